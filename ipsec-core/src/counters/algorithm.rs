//! What algorithms do: the same events for each.

use hw_offload::{Cipher, Mac};

use super::Happened;

/// An algorithm of SAs, as the counters tell them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Algorithm {
    Des,
    /// 3DES in outer CBC mode.
    TripleDes,
    /// AES with any key.
    Aes,
    /// HMAC-SHA-1.
    Sha,
    /// HMAC-MD5.
    Md5,
}

/// What is counted of an algorithm, in the order of the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AlgorithmEvent {
    /// Keys of an SA were taken over.
    KeymatProcessed,
    /// The engine had no channel for an SA.
    AttachFail,
    /// Both channels of an SA are open.
    AttachGood,
    /// The engine refused the keys of an SA.
    ConfigureFail,
    /// Both channels of an SA have their keys.
    ConfigureGood,
    /// The channels of an SA are to be closed.
    Remove,
    /// They are closed.
    Detached,
    /// A leaving packet was worked on.
    EncodeGood,
    /// An arriving packet was worked on.
    DecodeGood,
    /// The engine failed on a leaving packet.
    EncodeFail,
    /// The engine failed on an arriving packet.
    DecodeFail,
    /// A leaving packet was not worked on: refused, or its channel was closed.
    EncodeDiscard,
    /// The same of an arriving packet.
    DecodeDiscard,
}

impl Algorithm {
    /// The algorithm of a cipher; none for NULL.
    pub(crate) const fn of_cipher(cipher: Cipher) -> Option<Self> {
        match cipher {
            Cipher::Null => None,
            Cipher::Des => Some(Self::Des),
            Cipher::TripleDes => Some(Self::TripleDes),
            Cipher::Aes128 | Cipher::Aes192 | Cipher::Aes256 => Some(Self::Aes),
        }
    }

    /// The algorithm of an integrity check; none for none.
    pub(crate) const fn of_mac(mac: Mac) -> Option<Self> {
        match mac {
            Mac::None => None,
            Mac::HmacMd5_96 => Some(Self::Md5),
            Mac::HmacSha1_96 => Some(Self::Sha),
        }
    }

    /// What an event of this algorithm is among all.
    pub(crate) fn happened(self, event: AlgorithmEvent) -> Happened {
        let first = match self {
            Self::Des => Happened::DesKeymatProcessed,
            Self::TripleDes => Happened::TripleDesOuterKeymatProcessed,
            Self::Aes => Happened::AesKeymatProcessed,
            Self::Sha => Happened::ShaKeymatProcessed,
            Self::Md5 => Happened::Md5KeymatProcessed,
        };
        // The events of an algorithm stand together, all in this order.
        let place = first as usize + event as usize;
        Happened::ALL.get(place).copied().unwrap_or(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;

    #[test]
    fn every_algorithm_has_its_events_in_order() {
        use AlgorithmEvent as E;
        let events = [
            E::KeymatProcessed,
            E::AttachFail,
            E::AttachGood,
            E::ConfigureFail,
            E::ConfigureGood,
            E::Remove,
            E::Detached,
            E::EncodeGood,
            E::DecodeGood,
            E::EncodeFail,
            E::DecodeFail,
            E::EncodeDiscard,
            E::DecodeDiscard,
        ];
        for (algorithm, name) in [
            (Algorithm::Des, "Des"),
            (Algorithm::TripleDes, "TripleDesOuter"),
            (Algorithm::Aes, "Aes"),
            (Algorithm::Sha, "Sha"),
            (Algorithm::Md5, "Md5"),
        ] {
            for event in events {
                let happened = algorithm.happened(event);
                assert_eq!(format!("{happened:?}"), format!("{name}{event:?}"));
            }
        }
    }
}
