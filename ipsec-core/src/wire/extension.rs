//! The chain of IPv6 extension headers (RFC 8200 §4), and where an IPsec header stands in it.

use super::Malformed;
use super::ipv6::HEADER;

/// Hop-by-hop options; only directly behind the fixed header.
pub const HOP_BY_HOP: u8 = 0;
/// Routing header.
pub const ROUTING: u8 = 43;
/// Fragment header.
pub const FRAGMENT: u8 = 44;
/// Destination options.
pub const DESTINATION_OPTIONS: u8 = 60;
/// Length of a fragment header.
pub const FRAGMENT_HEADER: usize = 8;

/// The most extension headers that are followed.
const MAX_EXTENSIONS: usize = 8;
/// Where the fixed header names what follows it.
const FIRST_NEXT: usize = 6;

/// Where an IPsec header stands in a datagram, or where one is to be put.
///
/// In IPv4 that is behind the header and its options. In IPv6 it is behind all that routers and
/// reassembly read (hop-by-hop options, routing, fragment, and destination options in front of a
/// routing header), and in front of destination options that only the last receiver reads
/// (RFC 4302 §3.1.1, RFC 4303 §3.1.1). A sender may also have put those in front of its IPsec
/// header; then the place is where that header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Offset of the first byte behind the headers that stay in front.
    pub at: usize,
    /// Offset of the byte that names what stands at `at`.
    pub next_at: usize,
    /// That byte's value.
    pub next: u8,
}

/// One extension header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension {
    /// [`HOP_BY_HOP`], [`ROUTING`], [`FRAGMENT`] or [`DESTINATION_OPTIONS`].
    pub kind: u8,
    /// Offset in the datagram.
    pub at: usize,
    /// Length in bytes, a multiple of 8.
    pub len: usize,
}

/// The walk over the extension headers of one datagram; it ends at the first header of another
/// kind, and behind the fragment header of any fragment but the first, whose bytes are no header.
#[derive(Clone, Debug)]
pub struct Chain<'a> {
    bytes: &'a [u8],
    place: Place,
    followed: usize,
    cut: bool,
}

impl<'a> Chain<'a> {
    /// The chain of a datagram that begins with a fixed header. Its length field is not read: the
    /// walk ends where `bytes` end.
    ///
    /// # Errors
    /// [`Malformed::Short`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let fixed = bytes.first_chunk::<HEADER>().ok_or(Malformed::Short)?;
        Ok(Self {
            bytes,
            place: Place {
                at: HEADER,
                next_at: FIRST_NEXT,
                next: fixed[FIRST_NEXT],
            },
            followed: 0,
            cut: false,
        })
    }

    /// Where the walk stands: behind every header that it gave out so far.
    #[must_use]
    pub const fn place(&self) -> Place {
        self.place
    }

    /// Whether the walk ended behind the fragment header of a later fragment.
    #[must_use]
    pub const fn is_cut(&self) -> bool {
        self.cut
    }

    /// The next extension header, or none at the end of the chain.
    ///
    /// # Errors
    /// [`Malformed`] when a header leaves the bytes, there are too many, or hop-by-hop options
    /// are not the first.
    pub fn step(&mut self) -> Result<Option<Extension>, Malformed> {
        let Place { at, next, .. } = self.place;
        let is_extension = matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION_OPTIONS);
        if self.cut || !is_extension {
            return Ok(None);
        }
        if self.followed == MAX_EXTENSIONS || (next == HOP_BY_HOP && at != HEADER) {
            return Err(Malformed::Chain);
        }
        let rest = self.bytes.get(at..).ok_or(Malformed::Short)?;
        let [after, units, high, low, ..] = *rest else {
            return Err(Malformed::Short);
        };
        let len = if next == FRAGMENT {
            self.cut = u16::from_be_bytes([high, low]) & 0xfff8 != 0;
            FRAGMENT_HEADER
        } else {
            usize::from(units) * 8 + 8
        };
        if rest.len() < len {
            return Err(Malformed::Length);
        }
        self.followed += 1;
        self.place = Place {
            at: at + len,
            next_at: at,
            next: after,
        };
        Ok(Some(Extension {
            kind: next,
            at,
            len,
        }))
    }

    /// Walks to the end and gives the place of an IPsec header.
    ///
    /// # Errors
    /// [`Malformed`] as [`Chain::step`] says.
    pub fn ipsec_at(mut self) -> Result<Place, Malformed> {
        let place = self.walk()?;
        Ok(if matches!(self.place.next, 50 | 51) {
            self.place
        } else {
            place
        })
    }

    /// Walks to the end and gives the place where the source puts a fragment header: behind all
    /// that routers read (RFC 8200 §4.5).
    ///
    /// # Errors
    /// [`Malformed`] as [`Chain::step`] says.
    pub fn fragment_at(mut self) -> Result<Place, Malformed> {
        self.walk()
    }

    /// Walks to the end; where only destination options follow that the last receiver reads.
    fn walk(&mut self) -> Result<Place, Malformed> {
        let mut place = self.place;
        while let Some(extension) = self.step()? {
            if extension.kind != DESTINATION_OPTIONS {
                place = self.place;
            }
        }
        Ok(place)
    }
}
