//! Vendor IDs: which extensions both sides of phase 1 speak.
//!
//! An initiator names what its policy uses, a responder only what it uses and the initiator
//! named, and of several versions the best. A policy without extensions names nothing at all.

use crate::config::{AuthType, DpdMode, HeartbeatMode, IsakmpPolicyConfig, Xauth};
use crate::natt::NatVersion;
use crate::wire::{PayloadType, Payloads, Writer};

/// What a vendor ID announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Extension {
    Nat(NatVersion),
    Xauth,
    Dpd,
    Heartbeat,
    Fragments,
}

/// An extension and the bytes that name it; a peer's ID may be longer where it ends in a version
/// or in capabilities.
struct Vendor {
    extension: Extension,
    id: &'static [u8],
    /// How many of the bytes must agree.
    significant: usize,
}

/// The table, in the order in which it is offered: for NAT traversal the best version first.
const VENDORS: &[Vendor] = &[
    // MD5 of "RFC 3947", of draft 08's name, of the "RFC XXXX" that draft 08 prints, and of the
    // names of drafts 03 and 02; devices are split over whether the last ends in a newline.
    Vendor {
        extension: Extension::Nat(NatVersion::Rfc3947),
        id: &hex::<16>(b"4a131c81070358455c5728f20e95452f"),
        significant: 16,
    },
    Vendor {
        extension: Extension::Nat(NatVersion::Draft08),
        id: &hex::<16>(b"8f8d83826d246b6fc7a8a6a428c11de8"),
        significant: 16,
    },
    Vendor {
        extension: Extension::Nat(NatVersion::Draft08),
        id: &hex::<16>(b"810fa565f8ab14369105d706fbd57279"),
        significant: 16,
    },
    Vendor {
        extension: Extension::Nat(NatVersion::Draft03),
        id: &hex::<16>(b"7d9419a65310ca6f2c179d9215529d56"),
        significant: 16,
    },
    Vendor {
        extension: Extension::Nat(NatVersion::Draft02),
        id: &hex::<16>(b"cd60464335df21f87cfdb2fc68b6a448"),
        significant: 16,
    },
    Vendor {
        extension: Extension::Nat(NatVersion::Draft02),
        id: &hex::<16>(b"90cb80913ebb696e086381b5ec427b1f"),
        significant: 16,
    },
    Vendor {
        extension: Extension::Xauth,
        id: &hex::<8>(b"09002689dfd6b712"),
        significant: 8,
    },
    // The last two bytes are the version (RFC 3706 §5.1).
    Vendor {
        extension: Extension::Dpd,
        id: &hex::<16>(b"afcad71368a1f1c96b8696fc77570100"),
        significant: 14,
    },
    // MD5 of "sekisho ISAKMP heartbeat 1": the maker's own is not known.
    Vendor {
        extension: Extension::Heartbeat,
        id: &hex::<16>(b"6006aae87fbecd265abb9b85e56a5322"),
        significant: 16,
    },
    // The last four bytes are capabilities.
    Vendor {
        extension: Extension::Fragments,
        id: &hex::<20>(b"4048b7d56ebce88525e7de7f00d6c2d380000000"),
        significant: 16,
    },
];

/// The bytes that hexadecimal digits spell; evaluated at compile time only.
const fn hex<const N: usize>(digits: &[u8]) -> [u8; N] {
    const fn value(digit: u8) -> u8 {
        match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => panic!("not a hexadecimal digit"),
        }
    }
    let mut bytes = [0; N];
    let mut place = 0;
    while place < N {
        bytes[place] = value(digits[2 * place]) << 4 | value(digits[2 * place + 1]);
        place += 1;
    }
    bytes
}

/// The extensions that a peer named, or that one side of an exchange may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeerFeatures {
    /// The place in the table of the best NAT traversal that it named: it is echoed as it came.
    nat: Option<usize>,
    /// Extended authentication.
    pub xauth: bool,
    /// Dead peer detection.
    pub dpd: bool,
    /// The ISAKMP heartbeat.
    pub heartbeat: bool,
    /// Fragments of ISAKMP messages.
    pub fragments: bool,
}

impl PeerFeatures {
    /// What the vendor IDs of a message name. Unknown ones are nobody's business.
    #[must_use]
    pub fn of(payloads: &Payloads<'_>) -> Self {
        let mut features = Self::default();
        for raw in payloads.of(PayloadType::VID) {
            let known = VENDORS.iter().position(|vendor| {
                let theirs = raw.body.get(..vendor.significant);
                theirs.is_some() && theirs == vendor.id.get(..vendor.significant)
            });
            let Some(place) = known else { continue };
            match VENDORS.get(place).map(|vendor| vendor.extension) {
                Some(Extension::Nat(_)) => {
                    features.nat = Some(features.nat.map_or(place, |best| best.min(place)));
                }
                Some(Extension::Xauth) => features.xauth = true,
                Some(Extension::Dpd) => features.dpd = true,
                Some(Extension::Heartbeat) => features.heartbeat = true,
                Some(Extension::Fragments) => features.fragments = true,
                None => {}
            }
        }
        features
    }

    /// The best version of NAT traversal that it named.
    #[must_use]
    pub fn nat(&self) -> Option<NatVersion> {
        match VENDORS.get(self.nat?)?.extension {
            Extension::Nat(version) => Some(version),
            Extension::Xauth | Extension::Dpd | Extension::Heartbeat | Extension::Fragments => None,
        }
    }

    /// What is left of it for a policy: an extension that is switched off here is not spoken,
    /// whatever the peer names.
    #[must_use]
    pub fn within(self, policy: &IsakmpPolicyConfig) -> Self {
        Self {
            nat: self.nat.filter(|_| policy.traverses_nat()),
            xauth: self.xauth && policy.xauth() != Xauth::None,
            dpd: self.dpd && policy.dpd() != DpdMode::None,
            heartbeat: self.heartbeat && policy.heartbeat() != HeartbeatMode::None,
            fragments: self.fragments && offers_fragments(policy),
        }
    }

    const fn names(&self, place: usize, extension: Extension) -> bool {
        match extension {
            Extension::Nat(_) => matches!(self.nat, Some(best) if best == place),
            Extension::Xauth => self.xauth,
            Extension::Dpd => self.dpd,
            Extension::Heartbeat => self.heartbeat,
            Extension::Fragments => self.fragments,
        }
    }
}

/// Certificates make messages longer than a datagram should be.
pub(crate) fn offers_fragments(policy: &IsakmpPolicyConfig) -> bool {
    policy.auth_type() == AuthType::RsaSig
}

/// Appends what an initiator names in its first message: all that its policy uses.
pub(crate) fn push_offer(writer: &mut Writer, policy: &IsakmpPolicyConfig) {
    for vendor in VENDORS {
        let wanted = match vendor.extension {
            Extension::Nat(_) => policy.traverses_nat(),
            Extension::Xauth => policy.xauth() != Xauth::None,
            Extension::Dpd => policy.dpd() != DpdMode::None,
            Extension::Heartbeat => policy.heartbeat() != HeartbeatMode::None,
            Extension::Fragments => offers_fragments(policy),
        };
        if wanted {
            writer.push(PayloadType::VID, vendor.id);
        }
    }
}

/// Appends what a responder names in its first message: what is common to both.
pub(crate) fn push_answer(writer: &mut Writer, common: &PeerFeatures) {
    for (place, vendor) in VENDORS.iter().enumerate() {
        if common.names(place, vendor.extension) {
            writer.push(PayloadType::VID, vendor.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use hw_offload::testing::hex as bytes;
    use ipsec_core::model::{Name, PeerAddress};

    use super::*;

    fn policy() -> IsakmpPolicyConfig {
        IsakmpPolicyConfig::new(Name::new("main"), PeerAddress::Any)
    }

    fn all() -> IsakmpPolicyConfig {
        IsakmpPolicyConfig {
            nat_traversal: Some(true),
            dpd_mode: Some(DpdMode::Receive),
            xauth: Some(Xauth::Server),
            heartbeat_mode: Some(HeartbeatMode::Send),
            auth_type: Some(AuthType::RsaSig),
            ..policy()
        }
    }

    fn read(writer: &Writer) -> (usize, PeerFeatures) {
        let payloads = Payloads::parse(writer.first(), writer.bytes()).expect("whole");
        (payloads.all().len(), PeerFeatures::of(&payloads))
    }

    fn offer(policy: &IsakmpPolicyConfig) -> (usize, PeerFeatures) {
        let mut writer = Writer::new();
        push_offer(&mut writer, policy);
        read(&writer)
    }

    #[test]
    fn a_plain_policy_names_nothing() {
        assert_eq!(offer(&policy()), (0, PeerFeatures::default()));
    }

    #[test]
    fn the_answer_names_what_is_common_and_one_version() {
        let (count, theirs) = offer(&all());
        assert_eq!(count, 10);
        for own in [
            all(),
            IsakmpPolicyConfig {
                dpd_mode: None,
                ..all()
            },
            policy(),
        ] {
            let common = theirs.within(&own);
            let mut writer = Writer::new();
            push_answer(&mut writer, &common);
            let (count, named) = read(&writer);
            assert_eq!(named, common);
            assert!(count <= 5, "{count} vendor IDs");
        }
        assert_eq!(theirs.within(&all()).nat(), Some(NatVersion::Rfc3947));
    }

    #[test]
    fn threat_b14_the_best_version_that_is_left_is_taken() {
        let named = |ids: &[&str]| {
            let mut writer = Writer::new();
            for id in ids {
                writer.push(PayloadType::VID, &bytes(id));
            }
            read(&writer).1.nat()
        };
        let (new, xxxx) = (
            "4a131c81070358455c5728f20e95452f",
            "810fa565f8ab14369105d706fbd57279",
        );
        let (two, newline) = (
            "cd60464335df21f87cfdb2fc68b6a448",
            "90cb80913ebb696e086381b5ec427b1f",
        );
        assert_eq!(named(&[two, new]), Some(NatVersion::Rfc3947));
        assert_eq!(named(&[two, xxxx]), Some(NatVersion::Draft08));
        assert_eq!(named(&[newline]), Some(NatVersion::Draft02));
        assert_eq!(named(&["00"]), None);
    }

    #[test]
    fn versions_and_capabilities_do_not_count() {
        let mut writer = Writer::new();
        writer.push(PayloadType::VID, &bytes("afcad71368a1f1c96b8696fc77570203"));
        writer.push(PayloadType::VID, &bytes("4048b7d56ebce88525e7de7f00d6c2d3"));
        writer.push(PayloadType::VID, &bytes("afcad713"));
        let (_, features) = read(&writer);
        assert!(features.dpd && features.fragments && !features.xauth);
    }
}
