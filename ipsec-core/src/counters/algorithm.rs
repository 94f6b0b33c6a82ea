//! What algorithms did: one set of counters for each.

use hw_offload::{Cipher, Mac};

/// The algorithms that the counter screen lists. Those that this implementation lacks stay at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// DES.
    Des,
    /// 3DES in inner CBC mode.
    TripleDesInner,
    /// 3DES in outer CBC mode.
    TripleDesOuter,
    /// 3DES with two keys.
    TripleDes2Key,
    /// AES with any key.
    Aes,
    /// HMAC-SHA-1.
    Sha,
    /// HMAC-MD5.
    Md5,
    /// DES-MAC.
    DesMac,
    /// LZS compression.
    Lzs,
}

impl Algorithm {
    /// Every algorithm, in the order of the screen.
    pub const ALL: [Self; 9] = [
        Self::Des,
        Self::TripleDesInner,
        Self::TripleDesOuter,
        Self::TripleDes2Key,
        Self::Aes,
        Self::Sha,
        Self::Md5,
        Self::DesMac,
        Self::Lzs,
    ];

    /// The heading, the start of the counters' names, and the name of the last counter if there is
    /// one.
    #[must_use]
    pub const fn printed(self) -> (&'static str, &'static str, Option<&'static str>) {
        match self {
            Self::Des => ("DES", "des", Some("EncodeGetInfoFail")),
            Self::TripleDesInner => ("TRIPLE DES INNER", "3DesInner", Some("EncGetInfoFail")),
            Self::TripleDesOuter => ("TRIPLE DES OUTER", "3DesOuter", Some("EncGetInfoFail")),
            Self::TripleDes2Key => ("TRIPLE DES 2KEY", "3Des2Key", Some("EncGetInfoFail")),
            Self::Aes => ("AES", "aes", Some("EncodeGetInfoFail")),
            Self::Sha => ("SHA", "sha", None),
            Self::Md5 => ("MD5", "md5", None),
            Self::DesMac => ("DES-MAC", "desmac", None),
            Self::Lzs => ("LZS", "lzs", None),
        }
    }

    /// The algorithm of a cipher; none for NULL.
    #[must_use]
    pub const fn of_cipher(cipher: Cipher) -> Option<Self> {
        match cipher {
            Cipher::Null => None,
            Cipher::Des => Some(Self::Des),
            Cipher::TripleDes => Some(Self::TripleDesOuter),
            Cipher::Aes128 | Cipher::Aes192 | Cipher::Aes256 => Some(Self::Aes),
        }
    }

    /// The algorithm of an integrity check; none for none.
    #[must_use]
    pub const fn of_mac(mac: Mac) -> Option<Self> {
        match mac {
            Mac::None => None,
            Mac::HmacMd5_96 => Some(Self::Md5),
            Mac::HmacSha1_96 => Some(Self::Sha),
        }
    }
}

/// What is counted of an algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlgorithmEvent {
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

impl AlgorithmEvent {
    /// Every event, in the order of the screen: the first stands alone, the others in pairs.
    pub const ALL: [Self; 13] = [
        Self::KeymatProcessed,
        Self::AttachFail,
        Self::AttachGood,
        Self::ConfigureFail,
        Self::ConfigureGood,
        Self::Remove,
        Self::Detached,
        Self::EncodeGood,
        Self::DecodeGood,
        Self::EncodeFail,
        Self::DecodeFail,
        Self::EncodeDiscard,
        Self::DecodeDiscard,
    ];

    /// The end of the counter's name.
    #[must_use]
    pub const fn printed(self) -> &'static str {
        match self {
            Self::KeymatProcessed => "KeymatProcessed",
            Self::AttachFail => "AttachFail",
            Self::AttachGood => "AttachGood",
            Self::ConfigureFail => "ConfigureFail",
            Self::ConfigureGood => "ConfigureGood",
            Self::Remove => "Remove",
            Self::Detached => "Detached",
            Self::EncodeGood => "EncodeGood",
            Self::DecodeGood => "DecodeGood",
            Self::EncodeFail => "EncodeFail",
            Self::DecodeFail => "DecodeFail",
            Self::EncodeDiscard => "EncodeDiscard",
            Self::DecodeDiscard => "DecodeDiscard",
        }
    }
}

/// The counters of every algorithm.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlgorithmCounters {
    each: [[u64; AlgorithmEvent::ALL.len()]; Algorithm::ALL.len()],
    /// Keys of SAs that do not encipher were taken over.
    pub null_keymat_processed: u64,
}

impl AlgorithmCounters {
    /// Counts one for an algorithm, if there is one.
    pub fn raise(&mut self, algorithm: Option<Algorithm>, event: AlgorithmEvent) {
        let counters = algorithm.and_then(|algorithm| self.each.get_mut(algorithm as usize));
        if let Some(counter) = counters.and_then(|counters| counters.get_mut(event as usize)) {
            *counter = counter.saturating_add(1);
        }
    }

    /// A counter's value.
    #[must_use]
    pub fn get(&self, algorithm: Algorithm, event: AlgorithmEvent) -> u64 {
        let counters = self.each.get(algorithm as usize);
        let counter = counters.and_then(|counters| counters.get(event as usize));
        counter.copied().unwrap_or(0)
    }

    /// Sets every counter to zero.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
