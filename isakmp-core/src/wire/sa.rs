//! The SA payload's body: DOI, situation, proposals, transforms (RFC 2408 §3.4-3.6).
//!
//! ```text
//! SA body    DOI (4) | situation (4) | proposals
//! proposal   next | 0 | length (2) | number | protocol | SPI size | transforms | SPI | transforms
//! transform  next | 0 | length (2) | number | id | 0 0 | attributes
//! ```

use alloc::vec::Vec;

use super::attribute::{Attribute, Attributes};
use super::payload::PayloadType;
use super::{Malformed, payload};

/// The IPsec domain of interpretation, and the situation "identity only".
const DOI_AND_SITUATION: [u8; 8] = [0, 0, 0, 1, 0, 0, 0, 1];
const MAX_PROPOSALS: usize = 32;
const MAX_TRANSFORMS: usize = 256;

/// A checked SA body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SaBody<'a>(&'a [u8]);

/// One proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proposal<'a> {
    /// Its number; equal numbers are applied together.
    pub number: u8,
    /// 1 ISAKMP, 2 AH, 3 ESP, 4 IPCOMP.
    pub protocol: u8,
    /// The sender's SPI.
    pub spi: &'a [u8],
    transforms: &'a [u8],
}

/// One transform.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transform<'a> {
    /// Its number.
    pub number: u8,
    /// What it is, by the protocol's numbering.
    pub id: u8,
    /// Its attributes.
    pub attributes: Attributes<'a>,
}

/// A proposal to write: number, protocol, SPI, and transforms of id and attributes.
pub type Proposed<'a> = (u8, u8, &'a [u8], Vec<(u8, Vec<Attribute<'a>>)>);

impl<'a> SaBody<'a> {
    /// Checks DOI, situation, every length, and that there is at least one transform in every
    /// proposal.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let (head, proposals) = body.split_first_chunk::<8>().ok_or(Malformed::Length)?;
        if *head != DOI_AND_SITUATION {
            return Err(Malformed::Value);
        }
        let own = Self(proposals);
        let (mut count, mut transforms) = (0, 0);
        let mut rest = proposals;
        loop {
            let (proposal, later) = split_proposal(rest)?;
            count += 1;
            transforms += proposal.check()?;
            if count > MAX_PROPOSALS || transforms > MAX_TRANSFORMS {
                return Err(Malformed::TooMany);
            }
            if later.is_empty() {
                return Ok(own);
            }
            rest = later;
        }
    }

    /// The proposals in order.
    pub fn proposals(&self) -> impl Iterator<Item = Proposal<'a>> + use<'a> {
        let mut rest = self.0;
        core::iter::from_fn(move || {
            let (proposal, later) = split_proposal(rest).ok()?;
            rest = later;
            Some(proposal)
        })
    }

    /// Writes a body: each proposal as number, protocol, SPI, and transforms of id and
    /// attributes, which are numbered from 1.
    #[must_use]
    pub fn write(proposals: &[Proposed<'_>]) -> Vec<u8> {
        let mut body = DOI_AND_SITUATION.to_vec();
        for (index, (number, protocol, spi, transforms)) in proposals.iter().enumerate() {
            let mut inner = Vec::new();
            let size = u8::try_from(spi.len()).unwrap_or(u8::MAX);
            let count = u8::try_from(transforms.len()).unwrap_or(u8::MAX);
            inner.extend_from_slice(&[*number, *protocol, size, count]);
            inner.extend_from_slice(spi);
            for (place, (id, attributes)) in transforms.iter().enumerate() {
                let number = u8::try_from(place + 1).unwrap_or(u8::MAX);
                let mut transform = alloc::vec![number, *id, 0, 0];
                attributes
                    .iter()
                    .for_each(|attribute| attribute.write(&mut transform));
                let next = if place + 1 == transforms.len() { 0 } else { 3 };
                payload::write_generic(&mut inner, PayloadType(next), &transform);
            }
            let next = if index + 1 == proposals.len() { 0 } else { 2 };
            payload::write_generic(&mut body, PayloadType(next), &inner);
        }
        body
    }
}

impl<'a> Proposal<'a> {
    /// The transforms in order.
    pub fn transforms(&self) -> impl Iterator<Item = Transform<'a>> + use<'a> {
        let mut rest = self.transforms;
        core::iter::from_fn(move || {
            let (transform, later) = split_transform(rest).ok()?;
            rest = later;
            Some(transform)
        })
    }

    /// Checks every transform and counts them.
    fn check(&self) -> Result<usize, Malformed> {
        let (mut rest, mut count) = (self.transforms, 0);
        loop {
            rest = split_transform(rest)?.1;
            count += 1;
            if count > 64 {
                return Err(Malformed::TooMany);
            }
            if rest.is_empty() {
                return Ok(count);
            }
        }
    }
}

fn split_proposal(bytes: &[u8]) -> Result<(Proposal<'_>, &[u8]), Malformed> {
    let (next, inner, rest) = payload::split_generic(bytes)?;
    if (next.0 == 2) == rest.is_empty() || !matches!(next.0, 0 | 2) {
        return Err(Malformed::Value);
    }
    let (head, inner) = inner.split_first_chunk::<4>().ok_or(Malformed::Length)?;
    let [number, protocol, spi_size, count] = *head;
    let (spi, transforms) = inner
        .split_at_checked(usize::from(spi_size))
        .ok_or(Malformed::Length)?;
    if spi_size > 16 || count == 0 {
        return Err(Malformed::Value);
    }
    Ok((
        Proposal {
            number,
            protocol,
            spi,
            transforms,
        },
        rest,
    ))
}

fn split_transform(bytes: &[u8]) -> Result<(Transform<'_>, &[u8]), Malformed> {
    let (next, inner, rest) = payload::split_generic(bytes)?;
    if (next.0 == 3) == rest.is_empty() || !matches!(next.0, 0 | 3) {
        return Err(Malformed::Value);
    }
    let (head, attributes) = inner.split_first_chunk::<4>().ok_or(Malformed::Length)?;
    let attributes = Attributes::parse(attributes)?;
    Ok((
        Transform {
            number: head[0],
            id: head[1],
            attributes,
        },
        rest,
    ))
}
