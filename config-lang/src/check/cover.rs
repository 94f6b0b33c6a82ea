//! Which packets of a policy are left for it when policies before it took theirs.

use alloc::vec;
use alloc::vec::Vec;
use core::net::IpAddr;

use ipsec_core::model::{AddressSelector, IpVersion, Selector};

/// The fields that selectors look at: local and remote address, protocol, local and remote port,
/// ICMP type.
const FIELDS: usize = 6;
/// The most pieces that packets are cut into; beyond them nothing is concluded.
const PIECES: usize = 4096;
/// What stands for a port or an ICMP type that a packet does not show.
const HIDDEN: u128 = 1 << 16;
const ICMPV6: u128 = 58;

/// Packets that have each field in an interval, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Piece([(u128, u128); FIELDS]);

impl Piece {
    /// What a selector selects of its IP version; none if its addresses are none.
    fn of(selector: &Selector) -> Option<Self> {
        let local = addresses(selector.version, &selector.local)?;
        let remote = addresses(selector.version, &selector.remote)?;
        let one = |value: u128| (value, value);
        // A port that is given asks for a packet that shows both.
        let shown = selector.local_port.is_some() || selector.remote_port.is_some();
        let any_port = (0, if shown { HIDDEN - 1 } else { HIDDEN });
        let port = |port: Option<u16>| port.map_or(any_port, |port| one(port.into()));
        let (protocol, icmp_type) = if selector.neighbour_discovery {
            (one(ICMPV6), (133, 136))
        } else {
            let protocol = selector.protocol;
            let protocol = protocol.map_or((0, u8::MAX.into()), |number| one(number.into()));
            (protocol, (0, HIDDEN))
        };
        let (local_port, remote_port) = (port(selector.local_port), port(selector.remote_port));
        Some(Self([
            local,
            remote,
            protocol,
            local_port,
            remote_port,
            icmp_type,
        ]))
    }

    /// Appends what is left of it without the packets of another; true if those were some.
    fn without(self, other: &Self, left: &mut Vec<Self>) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        if pairs
            .clone()
            .any(|(own, taken)| own.1 < taken.0 || taken.1 < own.0)
        {
            left.push(self);
            return false;
        }
        let mut rest = self;
        for (field, taken) in other.0.iter().enumerate() {
            let Some(own) = rest.0.get(field).copied() else {
                continue;
            };
            let cut = |interval| {
                let mut piece = rest;
                if let Some(place) = piece.0.get_mut(field) {
                    *place = interval;
                }
                piece
            };
            if own.0 < taken.0 {
                left.push(cut((own.0, taken.0 - 1)));
            }
            if taken.1 < own.1 {
                left.push(cut((taken.1 + 1, own.1)));
            }
            rest = cut((own.0.max(taken.0), own.1.min(taken.1)));
        }
        true
    }
}

/// An interval of addresses of one IP version; none if the selector has none of them.
fn addresses(version: IpVersion, selector: &AddressSelector) -> Option<(u128, u128)> {
    let number = |address: IpAddr| match (version, address) {
        (IpVersion::V4, IpAddr::V4(address)) => Some(address.to_bits().into()),
        (IpVersion::V6, IpAddr::V6(address)) => Some(address.to_bits()),
        _ => None,
    };
    let Some((low, high)) = selector.bounds() else {
        return Some(match version {
            IpVersion::V4 => (0, u32::MAX.into()),
            IpVersion::V6 => (0, u128::MAX),
        });
    };
    let (low, high) = (number(low)?, number(high)?);
    (low <= high).then_some((low, high))
}

/// Packets of which earlier policies take theirs, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Left {
    version: IpVersion,
    pieces: Vec<Piece>,
    /// There were too many pieces to go on.
    vague: bool,
}

impl Left {
    /// Everything that a selector selects.
    pub(super) fn of(selector: &Selector) -> Self {
        Self {
            version: selector.version,
            pieces: Piece::of(selector).map_or_else(Vec::new, |piece| vec![piece]),
            vague: false,
        }
    }

    /// A policy takes its packets. True if some of them were left until now.
    pub(super) fn take(&mut self, selector: &Selector) -> bool {
        if selector.version != self.version || self.vague {
            return false;
        }
        let Some(taken) = Piece::of(selector) else {
            return false;
        };
        let mut left = Vec::new();
        let mut some = false;
        for piece in &self.pieces {
            some |= piece.without(&taken, &mut left);
        }
        if left.len() > PIECES {
            self.vague = true;
            return false;
        }
        self.pieces = left;
        some
    }

    /// Whether nothing is left, for certain.
    pub(super) const fn is_nothing(&self) -> bool {
        self.pieces.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipsec_core::model::{Direction, Flow};

    /// A stream of numbers (xorshift).
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, bound: u64) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0 % bound
        }

        fn range(&mut self) -> AddressSelector {
            if self.below(4) == 0 {
                return AddressSelector::Any;
            }
            let (a, b) = (self.below(4), self.below(4));
            let address = |n: u64| IpAddr::V4((0x0a00_0000 + n as u32).into());
            AddressSelector::Range(address(a.min(b)), address(a.max(b)))
        }

        fn selector(&mut self) -> Selector {
            let protocol = [None, Some(6), Some(17), Some(1)][self.below(4) as usize];
            let ports = matches!(protocol, Some(6 | 17));
            let mut port = || match self.below(3) {
                0 if ports => Some(500),
                1 if ports => Some(0),
                _ => None,
            };
            let (local_port, remote_port) = (port(), port());
            Selector {
                local: self.range(),
                remote: self.range(),
                local_port,
                remote_port,
                protocol,
                ..Selector::any(IpVersion::V4)
            }
        }
    }

    /// Packets on both sides of every border that [`Numbers::selector`] draws.
    fn flows() -> Vec<Flow> {
        let addresses = (0_u32..6).map(|n| IpAddr::V4((0x0a00_0000 - 1 + n).into()));
        let addresses: Vec<IpAddr> = addresses.collect();
        let mut flows = Vec::new();
        let ports = [0, 1, 500, u16::MAX];
        let pairs = ports
            .iter()
            .flat_map(|a| ports.iter().map(|b| Some((*a, *b))));
        let pairs: Vec<Option<(u16, u16)>> = pairs.chain([None]).collect();
        for source in &addresses {
            for destination in &addresses {
                for protocol in [0, 1, 6, 17, 255] {
                    let shows = matches!(protocol, 6 | 17);
                    for ports in pairs.iter().filter(|ports| shows || ports.is_none()) {
                        flows.push(Flow {
                            source: *source,
                            destination: *destination,
                            protocol,
                            ports: *ports,
                            icmp_type: None,
                        });
                    }
                }
            }
        }
        flows
    }

    /// Against asking every packet: nothing is left exactly when every packet was taken.
    #[test]
    fn nothing_is_left_when_every_packet_was_taken() {
        let flows = flows();
        let mut numbers = Numbers(1);
        let mut together = 0;
        for _ in 0..3000 {
            let own = numbers.selector();
            let many = numbers.below(6);
            let earlier: Vec<Selector> = (0..many).map(|_| numbers.selector()).collect();
            let mut left = Left::of(&own);
            for selector in &earlier {
                left.take(selector);
            }
            let takes =
                |selector: &Selector, flow: &Flow| selector.matches(flow, Direction::Out).is_ok();
            let mine = flows.iter().filter(|flow| takes(&own, flow));
            let taken = |flow: &Flow| earlier.iter().any(|selector| takes(selector, flow));
            let all = mine.clone().all(taken);
            assert_eq!(left.is_nothing(), all, "{own:?}\n{earlier:?}");
            let alone = earlier.iter().any(|selector| selector.contains(&own));
            together += usize::from(all && !alone);
        }
        assert!(together > 10, "{together}");
    }

    #[test]
    fn halves_make_a_whole_in_every_field() {
        let any = Selector::any(IpVersion::V6);
        let half = |low: &str, high: &str| Selector {
            remote: AddressSelector::Range(low.parse().unwrap(), high.parse().unwrap()),
            ..any.clone()
        };
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        let mut left = Left::of(&any);
        assert!(left.take(&half("::", "7fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
        assert!(!left.is_nothing());
        assert!(!left.take(&Selector::any(IpVersion::V4)));
        assert!(left.take(&half("8000::1", last)) && !left.is_nothing());
        assert!(left.take(&half("8000::", "8000::")) && left.is_nothing());
        assert!(!left.take(&any));
        // Protocol by protocol.
        let mut left = Left::of(&any);
        for protocol in 0..=u8::MAX {
            assert!(!left.is_nothing());
            let protocol = Some(protocol);
            left.take(&Selector {
                protocol,
                ..any.clone()
            });
        }
        assert!(left.is_nothing());
        // Neighbour discovery is less than its protocol.
        let discovery = Selector {
            neighbour_discovery: true,
            ..any
        };
        let icmp = Selector {
            protocol: Some(58),
            ..discovery.clone()
        };
        let icmp = Selector {
            neighbour_discovery: false,
            ..icmp
        };
        let mut left = Left::of(&icmp);
        left.take(&discovery);
        assert!(!left.is_nothing());
        let mut left = Left::of(&discovery);
        left.take(&icmp);
        assert!(left.is_nothing());
    }
}
