//! The algorithms that channels, keys and exchanges are made of.

/// A cipher in CBC mode, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cipher {
    /// No encryption (RFC 2410).
    Null,
    /// DES-CBC (RFC 2405). Breakable in hours; kept for the routers that speak nothing else.
    Des,
    /// 3DES-EDE-CBC with three keys (RFC 2451), `3DESOUTER` in the command language.
    TripleDes,
    /// AES-CBC with a 128-bit key (RFC 3602).
    Aes128,
    /// AES-CBC with a 192-bit key (RFC 3602).
    Aes192,
    /// AES-CBC with a 256-bit key (RFC 3602).
    Aes256,
}

impl Cipher {
    /// Every cipher, weakest first.
    pub const ALL: [Self; 6] = [
        Self::Null,
        Self::Des,
        Self::TripleDes,
        Self::Aes128,
        Self::Aes192,
        Self::Aes256,
    ];

    /// Length of the key in bytes, DES parity bits included.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Null => 0,
            Self::Des => 8,
            Self::TripleDes | Self::Aes192 => 24,
            Self::Aes128 => 16,
            Self::Aes256 => 32,
        }
    }

    /// Length of a cipher block in bytes; 1 for NULL, which has no blocks.
    #[must_use]
    pub const fn block_len(self) -> usize {
        match self {
            Self::Null => 1,
            Self::Des | Self::TripleDes => 8,
            Self::Aes128 | Self::Aes192 | Self::Aes256 => 16,
        }
    }

    /// Length of the initialisation vector in bytes; 0 for NULL.
    #[must_use]
    pub const fn iv_len(self) -> usize {
        match self {
            Self::Null => 0,
            other => other.block_len(),
        }
    }

    /// Whether the block is so short that one key must not encrypt more than 2^32 blocks.
    #[must_use]
    pub const fn has_short_block(self) -> bool {
        matches!(self, Self::Des | Self::TripleDes)
    }
}

/// The integrity algorithm of a packet channel, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mac {
    /// No authentication.
    None,
    /// HMAC-MD5 cut to 96 bits (RFC 2403).
    HmacMd5_96,
    /// HMAC-SHA-1 cut to 96 bits (RFC 2404).
    HmacSha1_96,
}

impl Mac {
    /// Every integrity algorithm.
    pub const ALL: [Self; 3] = [Self::None, Self::HmacMd5_96, Self::HmacSha1_96];

    /// Length of the key in bytes: the output length of the hash, as RFC 2403 and 2404 ask.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacMd5_96 => 16,
            Self::HmacSha1_96 => 20,
        }
    }

    /// Length of the integrity check value in bytes.
    #[must_use]
    pub const fn icv_len(self) -> usize {
        match self {
            Self::None => 0,
            Self::HmacMd5_96 | Self::HmacSha1_96 => 12,
        }
    }

    /// The hash underneath.
    #[must_use]
    pub const fn hash(self) -> Option<Hash> {
        match self {
            Self::None => None,
            Self::HmacMd5_96 => Some(Hash::Md5),
            Self::HmacSha1_96 => Some(Hash::Sha1),
        }
    }
}

/// A hash function; with HMAC around it, the prf of an ISAKMP SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hash {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (FIPS 180).
    Sha1,
}

impl Hash {
    /// Both hashes.
    pub const ALL: [Self; 2] = [Self::Md5, Self::Sha1];

    /// Length of the output in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
        }
    }
}

/// A Diffie–Hellman group over the integers modulo a safe prime, generator 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DhGroup {
    /// Group 0 of the command language: 512 bits. It has no public definition; the prime follows
    /// the pattern of the Oakley primes with the smallest constant that makes it safe.
    Modp512,
    /// Oakley group 1 (RFC 2409 §6.1): 768 bits.
    Modp768,
    /// Oakley group 2 (RFC 2409 §6.2): 1024 bits.
    Modp1024,
    /// Group 5 (RFC 3526 §2): 1536 bits. Not a group of the manual.
    Modp1536,
    /// Group 14 (RFC 3526 §3): 2048 bits. Not a group of the manual.
    Modp2048,
}

impl DhGroup {
    /// Every group, weakest first.
    pub const ALL: [Self; 5] = [
        Self::Modp512,
        Self::Modp768,
        Self::Modp1024,
        Self::Modp1536,
        Self::Modp2048,
    ];

    /// The number that the command language and the wire use.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Modp512 => 0,
            Self::Modp768 => 1,
            Self::Modp1024 => 2,
            Self::Modp1536 => 5,
            Self::Modp2048 => 14,
        }
    }

    /// The group of that number, if we have it.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            0 => Some(Self::Modp512),
            1 => Some(Self::Modp768),
            2 => Some(Self::Modp1024),
            5 => Some(Self::Modp1536),
            14 => Some(Self::Modp2048),
            _ => None,
        }
    }

    /// Length of the prime, of a public value and of a shared secret, in bytes.
    #[must_use]
    #[allow(
        clippy::len_without_is_empty,
        reason = "the length of numbers of the group, not of a collection"
    )]
    pub const fn len(self) -> usize {
        self.bits() as usize / 8
    }

    /// Length of the prime in bits.
    #[must_use]
    pub const fn bits(self) -> u16 {
        match self {
            Self::Modp512 => 512,
            Self::Modp768 => 768,
            Self::Modp1024 => 1024,
            Self::Modp1536 => 1536,
            Self::Modp2048 => 2048,
        }
    }
}
