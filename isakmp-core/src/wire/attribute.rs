//! Data attributes (RFC 2408 §3.3): type and value, short or long.

use alloc::vec::Vec;

use super::Malformed;

/// The most attributes in one transform.
const MAX: usize = 32;

/// An attribute's value as it stands on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttributeValue<'a> {
    /// Two bytes in the place of a length.
    Short(u16),
    /// Bytes behind a length.
    Long(&'a [u8]),
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The class, without the format bit.
    pub class: u16,
    /// The value.
    pub value: AttributeValue<'a>,
}

impl<'a> Attribute<'a> {
    /// A short attribute.
    #[must_use]
    pub const fn short(class: u16, value: u16) -> Self {
        Self {
            class,
            value: AttributeValue::Short(value),
        }
    }

    /// A long attribute.
    #[must_use]
    pub const fn long(class: u16, value: &'a [u8]) -> Self {
        Self {
            class,
            value: AttributeValue::Long(value),
        }
    }

    /// The value as a number, whichever way it is written; none if it does not fit 64 bits.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match self.value {
            AttributeValue::Short(value) => Some(value.into()),
            AttributeValue::Long(bytes) => {
                let start = bytes.iter().position(|b| *b != 0).unwrap_or(bytes.len());
                let bytes = bytes.get(start..)?;
                (bytes.len() <= 8)
                    .then(|| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte)))
            }
        }
    }

    /// Appends the wire form.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self.value {
            AttributeValue::Short(value) => {
                out.extend_from_slice(&(self.class | 0x8000).to_be_bytes());
                out.extend_from_slice(&value.to_be_bytes());
            }
            AttributeValue::Long(bytes) => {
                out.extend_from_slice(&(self.class & 0x7fff).to_be_bytes());
                let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
                out.extend_from_slice(&len.to_be_bytes());
                out.extend_from_slice(bytes.get(..usize::from(len)).unwrap_or(bytes));
            }
        }
    }
}

/// The attributes of a transform or of an ATTR payload, checked to be whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    /// Checks that the bytes are a sequence of whole attributes.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let (mut rest, mut count) = (bytes, 0);
        while !rest.is_empty() {
            rest = split(rest).ok_or(Malformed::Length)?.1;
            count += 1;
            if count > MAX {
                return Err(Malformed::TooMany);
            }
        }
        Ok(Self(bytes))
    }

    /// The attributes in order.
    pub fn iter(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (attribute, later) = split(rest)?;
            rest = later;
            Some(attribute)
        })
    }
}

fn split(bytes: &[u8]) -> Option<(Attribute<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let class = u16::from_be_bytes([head[0], head[1]]);
    let second = u16::from_be_bytes([head[2], head[3]]);
    if class & 0x8000 != 0 {
        return Some((Attribute::short(class & 0x7fff, second), rest));
    }
    let (value, rest) = rest.split_at_checked(usize::from(second))?;
    Some((Attribute::long(class, value), rest))
}
