//! ESP over UDP on a port of one's own, from the command that sets it to the packets.

use ipsec_core::Instant;
use lab::{Pair, Side, is_udp};
use sekisho_tests::screens::folded;
use sekisho_tests::{HOST_A, HOST_B, config, pair};

fn tunnel(name: &str) -> [String; 2] {
    ["a", "b"].map(|side| config(&format!("{name}.{side}")))
}

/// UDP ports of everything that crossed a pair's WAN beside ISAKMP.
fn ports(pair: &Pair) -> Vec<(u16, u16)> {
    let mut ports: Vec<(u16, u16)> = Vec::new();
    let mut rest = pair.capture.get_ref().get(24..).unwrap_or(&[]);
    while let Some((head, more)) = rest.split_first_chunk::<16>() {
        let len = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
        let (packet, more) = more.split_at(len);
        rest = more;
        if let Some((from, to, _)) = is_udp(packet) {
            let both = (from.port(), to.port());
            if both != (500, 500) && !ports.contains(&both) {
                ports.push(both);
            }
        }
    }
    ports
}

#[test]
fn the_local_port_and_the_peers_port_may_be_others() {
    let mut pair = pair(&tunnel("udp-tunnel-port3456"), 1);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(pair.run(Instant::from_secs(60)));
    assert_eq!(pair.clear, 0);
    assert_eq!(ports(&pair), [(3456, 3456)]);
    let screen = pair
        .router(Side::A)
        .command(Instant::ZERO, "SHOW IPSEC")
        .text;
    let screen = folded(&screen);
    assert!(
        screen.contains("Status ............................... OPEN"),
        "{screen}"
    );
    assert!(
        screen.contains("Listen Port .......................... 3456"),
        "{screen}"
    );
}

#[test]
fn both_framings_carry_packets_and_different_ones_do_not() {
    for (a, b, works) in [
        ("V1", "V1", true),
        ("RAW", "RAW", true),
        ("RAW", "V1", false),
    ] {
        let mut configs = tunnel("udp-tunnel");
        for (text, framing) in configs.iter_mut().zip([a, b]) {
            *text = text.replace(
                "UDPTUNNEL=TRUE",
                &format!("UDPTUNNEL=TRUE UDPFRAMING={framing}"),
            );
        }
        let mut pair = pair(&configs, 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert_eq!(pair.run(Instant::from_secs(20)), works, "{a} {b}");
        assert_eq!(pair.clear, 0);
    }
}

#[test]
fn port_0_is_refused() {
    let mut pair = Pair::soft(1);
    let outcome = pair.a.command(Instant::ZERO, "SET IPSEC UDPPORT=0");
    assert!(
        outcome.text.contains("nothing can be received on port 0"),
        "{}",
        outcome.text
    );
    assert_eq!(pair.a.device.state().ipsec.udp_port, None);
}
