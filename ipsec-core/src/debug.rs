//! What may be watched of a policy's packets: ENABLE IPSEC POLICY DEBUG.

use alloc::boxed::Box;
use core::net::IpAddr;

use crate::model::{AddressSelector, Direction};
use crate::spd::PolicyId;

/// A set of things to watch, in one word; nothing is built while none of them is wanted.
///
/// | bits | of |
/// |---|---|
/// | 0, 1 | directions of [`FILTER`](Self::FILTER): in, out |
/// | 2, 3 | results: fail, pass |
/// | 4 to 10 | selectors, in the order of [`Selectors`] |
/// | 11, 12 | directions of [`PACKET`](Self::PACKET) |
/// | 13 to 15 | parts of the packet: buffer header, IP header, data |
/// | 16, 17 | places: IPsec as a whole, each protocol |
/// | 18, 19 | directions of [`TRACE`](Self::TRACE) |
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DebugMask(u32);

impl DebugMask {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// Everything about filters.
    pub const FILTER: Self = Self(0x7ff);
    /// Everything about packets.
    pub const PACKET: Self = Self(0x7f << 11);
    /// Everything about what IPsec does.
    pub const TRACE: Self = Self(3 << 18);

    /// FILTER in some directions, of some results and selectors.
    #[must_use]
    pub const fn filter(directions: Directions, results: Results, selectors: Selectors) -> Self {
        Self(directions.0 | results.0 << 2 | selectors.0 << 4)
    }

    /// PACKET in some directions, with some parts, at some places.
    #[must_use]
    pub const fn packet(directions: Directions, parts: Parts, places: Places) -> Self {
        Self(directions.0 << 11 | parts.0 << 13 | places.0 << 16)
    }

    /// TRACE in some directions.
    #[must_use]
    pub const fn trace(directions: Directions) -> Self {
        Self(directions.0 << 18)
    }

    /// Both sets together.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// This set without another. What is left of FILTER or PACKET may lack a direction, a result,
    /// a selector, a part or a place altogether: then nothing of it is left.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        let mut left = self.0 & !other.0;
        if left & 3 == 0 || left & 0xc == 0 || left & 0x7f0 == 0 {
            left &= !Self::FILTER.0;
        }
        if left >> 11 & 3 == 0 || left >> 13 & 7 == 0 || left >> 16 & 3 == 0 {
            left &= !Self::PACKET.0;
        }
        Self(left)
    }

    /// The parts of FILTER, PACKET and TRACE, as the screen of a policy prints them.
    #[must_use]
    pub const fn flags(self) -> [u32; 3] {
        [
            self.0 & Self::FILTER.0,
            (self.0 & Self::PACKET.0) >> 11,
            self.0 >> 18,
        ]
    }

    /// Whether a comparison is watched.
    #[must_use]
    pub const fn watches(self, direction: Direction, watched: Watched, passed: bool) -> bool {
        let result = if passed { Results::PASS } else { Results::FAIL };
        let wanted = Self::filter(Directions::of(direction), result, Selectors::of(watched));
        self.0 & wanted.0 == wanted.0
    }

    /// Whether filters are watched at all.
    #[must_use]
    pub const fn filters(self) -> bool {
        self.0 & 3 != 0
    }

    /// Whether packets are watched at all.
    #[must_use]
    pub const fn packets(self) -> bool {
        self.0 >> 11 & 3 != 0 || self.0 >> 18 & 3 != 0
    }

    /// The parts to show of a packet at a place.
    #[must_use]
    pub const fn shows(self, direction: Direction, place: Places) -> Parts {
        let direction = Directions::of(direction).0;
        let packet = self.0 >> 11 & direction != 0 && self.0 >> 16 & place.0 != 0;
        let trace = self.0 >> 18 & direction != 0;
        let mut parts = 0;
        if packet {
            parts |= self.0 >> 13 & 7;
        }
        if trace {
            parts |= Parts::DATA.0 | Parts::IP_HEADER.0;
        }
        Parts(parts)
    }
}

macro_rules! set {
    ($(#[$meta:meta])* $name:ident { $($(#[$item:meta])* $constant:ident = $bits:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name(u32);

        impl $name {
            $($(#[$item])* pub const $constant: Self = Self($bits);)*

            /// The set of those bits; others do not count.
            #[must_use]
            pub const fn from_bits(bits: u32) -> Self {
                Self(bits & Self::ALL.0)
            }

            /// Its bits.
            #[must_use]
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// Whether it has everything of the other.
            #[must_use]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether it is empty.
            #[must_use]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }
        }
    };
}

set! {
    /// DIRECTION.
    Directions {
        /// What arrives.
        IN = 1,
        /// What leaves.
        OUT = 2,
        /// Both.
        ALL = 3,
    }
}

set! {
    /// RESULT.
    Results {
        /// What differs.
        FAIL = 1,
        /// What fits.
        PASS = 2,
        /// Both.
        ALL = 3,
    }
}

set! {
    /// SELECTOR.
    Selectors {
        /// LADDRESS.
        LOCAL_ADDRESS = 1,
        /// LNAME.
        LOCAL_NAME = 2,
        /// LPORT.
        LOCAL_PORT = 4,
        /// RADDRESS.
        REMOTE_ADDRESS = 8,
        /// RNAME.
        REMOTE_NAME = 16,
        /// RPORT.
        REMOTE_PORT = 32,
        /// TRANSPORTPROTOCOL.
        PROTOCOL = 64,
        /// Every one.
        ALL = 127,
    }
}

set! {
    /// DISPLAY.
    Parts {
        /// How the packet lies in its buffer.
        BUFFER_HEADER = 1,
        /// The IP header.
        IP_HEADER = 2,
        /// What follows it.
        DATA = 4,
        /// Everything.
        ALL = 7,
    }
}

set! {
    /// WHERE.
    Places {
        /// In front of the first SA of a bundle and behind its last.
        IPSEC = 1,
        /// Between the SAs of a bundle.
        PROTOCOL = 2,
        /// Both.
        ALL = 3,
    }
}

impl Directions {
    const fn of(direction: Direction) -> Self {
        match direction {
            Direction::In => Self::IN,
            Direction::Out => Self::OUT,
        }
    }
}

impl Selectors {
    const fn of(watched: Watched) -> Self {
        match watched {
            Watched::LocalAddress { .. } => Self::LOCAL_ADDRESS,
            Watched::RemoteAddress { .. } => Self::REMOTE_ADDRESS,
            Watched::LocalPort { .. } => Self::LOCAL_PORT,
            Watched::RemotePort { .. } => Self::REMOTE_PORT,
            Watched::Protocol { .. } => Self::PROTOCOL,
        }
    }
}

/// A comparison of a selector with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// LADDRESS.
    LocalAddress {
        /// What is selected.
        own: AddressSelector,
        /// What the packet has.
        packet: IpAddr,
    },
    /// RADDRESS.
    RemoteAddress {
        /// What is selected.
        own: AddressSelector,
        /// What the packet has.
        packet: IpAddr,
    },
    /// LPORT.
    LocalPort {
        /// What is selected.
        own: u16,
        /// What the packet has, if it has ports.
        packet: Option<u16>,
    },
    /// RPORT.
    RemotePort {
        /// What is selected.
        own: u16,
        /// What the packet has, if it has ports.
        packet: Option<u16>,
    },
    /// TRANSPORTPROTOCOL.
    Protocol {
        /// What is selected.
        own: u8,
        /// What the packet has.
        packet: u8,
    },
}

/// What is seen of a policy that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DebugEvent {
    /// A selector was compared with a packet.
    Compared {
        /// The policy.
        policy: PolicyId,
        /// The number of the SA whose selector it is, if it is not the policy's own.
        sa: Option<u32>,
        /// What was compared.
        watched: Watched,
        /// Whether it fits.
        passed: bool,
    },
    /// IPsec began to work on a packet, or is done with it.
    Processed {
        /// The policy.
        policy: PolicyId,
        /// The number of the SA.
        sa: u32,
        /// Which way the packet goes.
        direction: Direction,
        /// Whether IPsec is done with it.
        post: bool,
        /// What is to be shown.
        parts: Parts,
        /// The length of the integrity check value at the end of a packet that IPsec made.
        icv: u8,
        /// The packet, from its IP header on.
        packet: Box<[u8]>,
    },
}
