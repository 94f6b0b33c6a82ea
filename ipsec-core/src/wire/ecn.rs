//! Explicit congestion notification through a tunnel (RFC 6040).
//!
//! Normal mode: the ingress copies the inner field into the outer header, which copying the whole
//! type of service or traffic class does; the egress combines both as here.

use super::checksum::adjust;

/// The lower two bits of a type of service or traffic class (RFC 3168 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ecn {
    /// The transport does not know ECN.
    NotEct,
    /// ECT(1).
    Ect1,
    /// ECT(0).
    Ect0,
    /// Congestion experienced.
    Ce,
}

/// Congestion was met by a packet whose transport cannot be told so other than by loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("congestion experienced by a packet whose transport does not know ECN")]
pub struct MustDrop;

impl Ecn {
    /// The field of a type of service or traffic class.
    #[must_use]
    pub const fn of(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// Its two bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        match self {
            Self::NotEct => 0,
            Self::Ect1 => 1,
            Self::Ect0 => 2,
            Self::Ce => 3,
        }
    }
}

/// What the inner field becomes at the tunnel's end (RFC 6040 §4.2).
///
/// # Errors
/// [`MustDrop`].
pub const fn combine(inner: Ecn, outer: Ecn) -> Result<Ecn, MustDrop> {
    match (inner, outer) {
        (Ecn::NotEct, Ecn::Ce) => Err(MustDrop),
        (Ecn::NotEct, Ecn::NotEct | Ecn::Ect0 | Ecn::Ect1) => Ok(Ecn::NotEct),
        (Ecn::Ce, _) | (Ecn::Ect0 | Ecn::Ect1, Ecn::Ce) => Ok(Ecn::Ce),
        (Ecn::Ect1, _) | (Ecn::Ect0, Ecn::Ect1) => Ok(Ecn::Ect1),
        (Ecn::Ect0, Ecn::NotEct | Ecn::Ect0) => Ok(Ecn::Ect0),
    }
}

/// Combines the field of a decapsulated datagram with that of the outer header's type of service
/// or traffic class, in place. Bytes that are no IP header stay as they are.
///
/// # Errors
/// [`MustDrop`]; nothing is changed.
pub fn decapsulate(inner: &mut [u8], outer_tos: u8) -> Result<(), MustDrop> {
    let outer = Ecn::of(outer_tos);
    match inner {
        [first, tos, _, _, _, _, _, _, _, _, high, low, ..] if *first >> 4 == 4 => {
            let new = *tos & !3 | combine(Ecn::of(*tos), outer)?.bits();
            let sum = u16::from_be_bytes([*high, *low]);
            [*high, *low] = adjust(sum, &[*first, *tos], &[*first, new]).to_be_bytes();
            *tos = new;
        }
        [first, second, ..] if *first >> 4 == 6 => {
            let new = combine(Ecn::of(*second >> 4), outer)?.bits();
            *second = *second & !0x30 | new << 4;
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ipv4::{Ipv4, NewHeader};

    const ALL: [Ecn; 4] = [Ecn::NotEct, Ecn::Ect0, Ecn::Ect1, Ecn::Ce];

    #[test]
    fn the_egress_follows_figure_4() {
        use Ecn::{Ce, Ect0, Ect1, NotEct};
        let rows = [
            (NotEct, [Ok(NotEct), Ok(NotEct), Ok(NotEct), Err(MustDrop)]),
            (Ect0, [Ok(Ect0), Ok(Ect0), Ok(Ect1), Ok(Ce)]),
            (Ect1, [Ok(Ect1), Ok(Ect1), Ok(Ect1), Ok(Ce)]),
            (Ce, [Ok(Ce), Ok(Ce), Ok(Ce), Ok(Ce)]),
        ];
        for (inner, row) in rows {
            assert_eq!(ALL.map(|outer| combine(inner, outer)), row, "{inner:?}");
        }
    }

    #[test]
    fn headers_are_changed_in_place() {
        for (tos, outer) in (0..=255).flat_map(|tos| ALL.map(|outer| (tos, outer))) {
            let header = NewHeader {
                tos,
                total_len: 20,
                id: u16::from(tos) * 257,
                dont_fragment: false,
                more_fragments: false,
                offset_units: 0,
                ttl: 64,
                protocol: 17,
                source: [10, 0, 0, 1].into(),
                destination: [10, 0, 0, 2].into(),
            };
            let before = header.to_bytes();
            let mut v4 = before;
            let mut v6 = [0_u8; 40];
            v6[0] = 0x60 | tos >> 4;
            v6[1] = tos << 4 | 0x5;
            let v6_before = v6;
            let expected = combine(Ecn::of(tos), outer);
            let results = [
                decapsulate(&mut v4, 0xb8 | outer.bits()),
                decapsulate(&mut v6, outer.bits()),
            ];
            assert_eq!(results, [expected.map(|_| ()); 2]);
            if let Ok(ecn) = expected {
                let tos = tos & 0xfc | ecn.bits();
                let changed = NewHeader { tos, ..header };
                assert_eq!(v4, changed.to_bytes(), "the checksum is right, too");
                assert!(Ipv4::parse(&v4).is_ok());
                assert_eq!(v6[..2], [0x60 | tos >> 4, tos << 4 | 0x5]);
            } else {
                assert_eq!((v4, v6), (before, v6_before));
            }
        }
    }
}
