//! SHOW IPSEC SASPECIFICATION and SHOW IPSEC BUNDLESPECIFICATION.

use alloc::format;
use alloc::string::String;

use ipsec_core::model::{
    BundleConfig, HashAlg, IpsecConfig, KeyManagement, SaSpecConfig, cipher_word,
};

use super::{Screen, or_dash, truth};

pub(crate) fn sa_specs(config: &IpsecConfig) -> String {
    let mut screen = Screen::new(0);
    screen.line("ID  Proto KeyMan Mode      EncAlg    HashAlg CompAlg InSpi  EncKey HashKey");
    screen.line("-".repeat(74));
    for spec in &config.sa_specs {
        screen.line(format!(
            "{:<3} {:<5} {:<6} {:<9} {:<9} {:<7} {:<7} {:<6} {:<6} {}",
            spec.number,
            spec.protocol,
            spec.key_management,
            spec.mode(),
            cipher_word(spec.cipher()),
            hash_word(spec),
            "-",
            or_dash(spec.inspi),
            or_dash(spec.enckey),
            or_dash(spec.hashkey)
        ));
    }
    screen.text
}

pub(crate) fn sa_spec(config: &IpsecConfig, number: u8) -> Option<String> {
    let spec = config.sa_spec(number)?;
    let mut screen = Screen::new(32);
    screen.line("Sa Specification");
    screen.field(0, "Id", spec.number);
    screen.field(0, "Protocol", spec.protocol);
    screen.field(0, "Key Management", spec.key_management);
    screen.field(0, "Mode", spec.mode());
    screen.field(0, "Encryption Algorithm", cipher_word(spec.cipher()));
    screen.field(0, "Hash Algorithm", hash_word(spec));
    screen.field(0, "Compression Algorithm", "-");
    screen.field(0, "In SPI", or_dash(spec.inspi));
    screen.field(0, "Out SPI", or_dash(spec.outspi));
    screen.field(0, "Encryption Key", or_dash(spec.enckey));
    screen.field(0, "Hash Key", or_dash(spec.hashkey));
    let anti_replay = spec.anti_replay == Some(true);
    screen.field(0, "AntiReplay Enabled", truth(anti_replay));
    screen.field(0, "Replay Window Size", spec.window.unwrap_or(32));
    Some(screen.text)
}

fn hash_word(spec: &SaSpecConfig) -> &'static str {
    spec.hashalg.map_or("NULL", HashAlg::word)
}

pub(crate) fn bundle_specs(config: &IpsecConfig) -> String {
    let mut screen = Screen::new(0);
    screen.line("ID   KeyManagement  ExpKBytes  ExpSec    String");
    screen.line("-".repeat(72));
    for bundle in &config.bundles {
        let (kbytes, seconds) = expiry(bundle);
        screen.line(format!(
            "{:<4} {:<14} {kbytes:<10} {seconds:<9} {}",
            bundle.number, bundle.key_management, bundle.string
        ));
    }
    screen.text
}

pub(crate) fn bundle_spec(config: &IpsecConfig, number: u8) -> Option<String> {
    let bundle = config.bundle(number)?;
    let (kbytes, seconds) = expiry(bundle);
    let mut screen = Screen::new(32);
    screen.line("Bundle Specification");
    screen.field(0, "Id", bundle.number);
    screen.field(0, "Key Management", bundle.key_management);
    screen.field(0, "String", &bundle.string);
    screen.field(0, "Expiry Kilobytes", kbytes);
    screen.field(0, "Expiry Seconds", seconds);
    let proposals = || bundle.string.proposals();
    screen.line(format!(
        "Num of Proposals................ {}",
        proposals().count()
    ));
    for (running, entry) in (1_usize..).zip(proposals()) {
        let protocol = entry
            .specs
            .first()
            .and_then(|number| config.sa_spec(*number))
            .map(|spec| spec.protocol);
        screen.field(0, "Proposal", running);
        screen.field(4, "ProposalNumber", entry.number);
        screen.field(4, "Protocol", or_dash(protocol));
        screen.field(4, "Number Of Transfroms", entry.specs.len());
        for (place, spec) in (0_usize..).zip(entry.specs) {
            screen.field(
                9,
                &format!("Transform {place}"),
                format!("SA Spec Id {spec}"),
            );
        }
    }
    Some(screen.text)
}

/// EXPIRYKBYTES and EXPIRYSECONDS in force; manual keys do not expire.
fn expiry(bundle: &BundleConfig) -> (String, String) {
    let life = bundle.lifetime();
    let limited = bundle.key_management == KeyManagement::Isakmp;
    (
        or_dash(life.kbytes),
        or_dash(limited.then_some(life.seconds)),
    )
}
