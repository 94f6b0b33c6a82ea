//! ESP inside UDP: what stands on port 4500 (RFC 3948), and the framings of port 2746.

/// One byte that keeps a NAT mapping alive.
pub const KEEPALIVE: [u8; 1] = [0xff];
/// What stands in front of an IKE message on port 4500, where ESP has an SPI that is not zero.
pub const NON_ESP_MARKER: [u8; 4] = [0; 4];

/// What a UDP payload on port 4500 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encapsulated<'a> {
    /// Nothing to do.
    Keepalive,
    /// An IKE message, its marker taken off.
    Ike(&'a [u8]),
    /// An ESP packet.
    Esp(&'a [u8]),
}

/// Tells the payloads of port 4500 apart; none for one that is too short for any.
#[must_use]
pub fn demultiplex(payload: &[u8]) -> Option<Encapsulated<'_>> {
    if *payload == KEEPALIVE {
        return Some(Encapsulated::Keepalive);
    }
    let (first, rest) = payload.split_first_chunk::<4>()?;
    Some(if *first == NON_ESP_MARKER {
        Encapsulated::Ike(rest)
    } else {
        Encapsulated::Esp(payload)
    })
}

/// How ESP is framed in the UDP tunnel of port 2746. A captured device's format would be a further
/// variant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Framing {
    /// Four bytes in front of ESP.
    ///
    /// ```text
    /// +---------------+---------------+-------------------------------+
    /// |    Version 1  |0 ESP,1 heartb.|           Reserved            |
    /// +---------------+---------------+-------------------------------+
    /// ```
    #[default]
    V1,
    /// Nothing but ESP; the heartbeat is one byte.
    Raw,
}

/// What a UDP payload on port 2746 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framed<'a> {
    /// An ESP packet.
    Esp(&'a [u8]),
    /// A heartbeat; without effect.
    Heartbeat,
    /// A version or type that the framing does not have (`inPktBadVersion`).
    BadVersion,
}

const VERSION: u8 = 1;
const ESP: u8 = 0;
const HEARTBEAT: u8 = 1;

impl Framing {
    /// The bytes to put in front of an ESP packet.
    #[must_use]
    pub const fn header(self) -> &'static [u8] {
        match self {
            Self::V1 => &[VERSION, ESP, 0, 0],
            Self::Raw => &[],
        }
    }

    /// The payload that is sent every 30 seconds.
    #[must_use]
    pub const fn heartbeat(self) -> &'static [u8] {
        match self {
            Self::V1 => &[VERSION, HEARTBEAT, 0, 0],
            Self::Raw => &KEEPALIVE,
        }
    }

    /// Reads a payload; none for one that is too short. Reserved bytes are not read.
    #[must_use]
    pub fn read(self, payload: &[u8]) -> Option<Framed<'_>> {
        match (self, payload) {
            (Self::V1, [VERSION, ESP, _, _, esp @ ..]) => Some(Framed::Esp(esp)),
            (Self::V1, [VERSION, HEARTBEAT, _, _]) => Some(Framed::Heartbeat),
            (Self::V1, [_, _, _, _, ..]) => Some(Framed::BadVersion),
            (Self::Raw, [0xff]) => Some(Framed::Heartbeat),
            (Self::Raw, [_, _, _, _, ..]) => Some(Framed::Esp(payload)),
            (Self::V1 | Self::Raw, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_4500_carries_three_things() {
        let cases: [(&[u8], _); 9] = [
            (&[0xff], Some(Encapsulated::Keepalive)),
            (&[0, 0, 0, 0, 7, 8], Some(Encapsulated::Ike(&[7, 8]))),
            (&[0, 0, 0, 0], Some(Encapsulated::Ike(&[]))),
            (&[0, 0, 0, 1, 7], Some(Encapsulated::Esp(&[0, 0, 0, 1, 7]))),
            (&[0xff, 0, 0, 0], Some(Encapsulated::Esp(&[0xff, 0, 0, 0]))),
            (&[], None),
            (&[0xfe], None),
            (&[0xff, 0xff], None),
            (&[0, 0, 0], None),
        ];
        for (payload, expected) in cases {
            assert_eq!(demultiplex(payload), expected, "{payload:?}");
        }
    }

    #[test]
    fn threat_d10_framings_read_what_they_write_and_nothing_odd() {
        for framing in [Framing::V1, Framing::Raw] {
            let packet = [framing.header(), &[1, 2, 3, 4, 5]].concat();
            let esp = Framed::Esp(&[1, 2, 3, 4, 5]);
            assert_eq!(framing.read(&packet), Some(esp));
            assert_eq!(framing.read(framing.heartbeat()), Some(Framed::Heartbeat));
            assert_eq!(framing.read(&[]), None);
            assert_eq!(framing.read(&[1, 0, 0]), None);
        }
        let odd: [&[u8]; 4] = [
            &[0, 0, 0, 0, 9],
            &[2, 0, 0, 0],
            &[1, 2, 0, 0],
            &[1, 1, 0, 0, 9],
        ];
        for payload in odd {
            assert_eq!(Framing::V1.read(payload), Some(Framed::BadVersion));
        }
        assert_eq!(Framing::V1.read(&[0xff]), None);
    }
}
