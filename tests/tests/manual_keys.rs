//! SAs with keys from the configuration: no ISAKMP, no lifetime, and a wrong key shows as ICV.

use ipsec_core::{DropReason, Instant};
use isakmp_core::device::DeviceReport;
use lab::Side;
use sekisho_tests::{
    at_rest, bundles, command, config, isakmp, pair_with, ping_both, steady, story,
};

fn configs() -> [String; 2] {
    [
        config("manual-key-vpn-fixed-values.a"),
        config("manual-key-vpn.b"),
    ]
}

story!(packets_pass_without_isakmp_for_ever, |engines, seed| {
    let mut pair = pair_with(engines, &configs(), seed);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)));
    steady(&mut pair, 5, 30);
    pair.run_to(Instant::from_secs(400_000));
    steady(&mut pair, 400_000, 400_010);
    assert_eq!(isakmp(&pair).count(), 0);
    assert_eq!(pair.clear, 0);
    at_rest(&mut pair);
});

story!(a_wrong_key_is_told_as_icv, |engines, seed| {
    let mut configs = configs();
    configs[0] = configs[0].replace(
        "0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957",
        "0x431d62cd3cb76fb8101dacaf43aa4dbfb919e956",
    );
    let mut pair = pair_with(engines, &configs, seed);
    ping_both(&mut pair);
    assert!(!pair.run(Instant::from_secs(20)));
    let dropped: Vec<_> = pair
        .happenings
        .iter()
        .filter_map(|happening| match happening.report {
            DeviceReport::Dropped { why, .. } => Some(why),
            _ => None,
        })
        .collect();
    assert!(
        !dropped.is_empty() && dropped.iter().all(|why| *why == DropReason::BadIcv),
        "{dropped:?}"
    );
});

story!(switched_off_and_on_again, |engines, seed| {
    let mut pair = pair_with(engines, &configs(), seed);
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(5)));
    for line in ["DISABLE IPSEC", "ENABLE IPSEC"] {
        command(&mut pair, Side::A, line);
        pair.run_to(pair.now + std::time::Duration::from_secs(1));
        let up = usize::from(line.starts_with("ENABLE"));
        assert_eq!(bundles(&mut pair, Side::A), up, "{line}");
    }
    let start = pair.now.micros() / 1_000_000 + 1;
    steady(&mut pair, start, start + 5);
    at_rest(&mut pair);
});
