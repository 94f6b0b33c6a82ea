//! The small words.

use core::fmt;

/// A security parameter index (RFC 4301 §4.1). 0 is none, 1 to 255 are reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spi(pub u32);

impl Spi {
    /// The lowest SPI that may be allocated.
    pub const FIRST: Self = Self(256);

    /// The SPI of four wire bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(u32::from_be_bytes(bytes))
    }

    /// Its four wire bytes.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 4] {
        self.0.to_be_bytes()
    }
}

impl fmt::Display for Spi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An enumeration of words of the command language, with the way there and back.
#[macro_export]
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vmeta])* $variant,)* }

        impl $name {
            /// The word of the command language and of the screens.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The value of a whole word in capitals.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($text => Some(Self::$variant),)* _ => None }
            }
        }

        impl ::core::fmt::Display for $name {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

words! {
    /// An IPsec protocol.
    Protocol {
        /// Encapsulating Security Payload (RFC 4303), IP protocol 50.
        Esp = "ESP",
        /// Authentication Header (RFC 4302), IP protocol 51.
        Ah = "AH",
    }
}

impl Protocol {
    /// The IP protocol number.
    #[must_use]
    pub const fn ip_number(self) -> u8 {
        match self {
            Self::Esp => 50,
            Self::Ah => 51,
        }
    }

    /// The protocol identifier of ISAKMP proposals (RFC 2407 §4.4.1).
    #[must_use]
    pub const fn doi_number(self) -> u8 {
        match self {
            Self::Ah => 2,
            Self::Esp => 3,
        }
    }

    /// The protocol of an ISAKMP identifier.
    #[must_use]
    pub const fn from_doi_number(number: u8) -> Option<Self> {
        match number {
            2 => Some(Self::Ah),
            3 => Some(Self::Esp),
            _ => None,
        }
    }
}

words! {
    /// What an SA protects.
    Mode {
        /// The payload of a packet between the two ends.
        Transport = "TRANSPORT",
        /// A whole packet inside a new one.
        Tunnel = "TUNNEL",
    }
}

words! {
    /// What a policy does with a packet that matches.
    Action {
        /// Let it pass as it is.
        Permit = "PERMIT",
        /// Protect it, or require that it was protected.
        Ipsec = "IPSEC",
        /// Discard it.
        Deny = "DENY",
    }
}

words! {
    /// Where keys come from.
    KeyManagement {
        /// Negotiated by ISAKMP.
        Isakmp = "ISAKMP",
        /// Typed in.
        Manual = "MANUAL",
    }
}

words! {
    /// The DF bit of the outer header.
    DfBit {
        /// Always set.
        Set = "SET",
        /// As in the inner header.
        Copy = "COPY",
        /// Always clear.
        Clear = "CLEAR",
    }
}

words! {
    /// The version of IP that a policy selects.
    IpVersion {
        /// IPv4.
        V4 = "4",
        /// IPv6.
        V6 = "6",
    }
}

/// Which way a packet crosses the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Leaving: local is the source.
    Out,
    /// Arriving: local is the destination.
    In,
}

/// One direction of a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// SAs that open what the peer sealed.
    Inbound,
    /// SAs that seal for the peer.
    Outbound,
}
