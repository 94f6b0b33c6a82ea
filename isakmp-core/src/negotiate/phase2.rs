//! The SAs of phase 2 (RFC 2407 §4.5): from bundle specifications to proposals and back.

use alloc::vec::Vec;

use hw_offload::{Cipher, DhGroup, Mac};
use ipsec_core::model::{
    BundleConfig, HashAlg, Lifetime, Mode, Protocol, SaSpecConfig, Spi, cipher_word,
};

use super::{Nearest, four_bytes};
use crate::natt::NatVersion;
use crate::reason::{Mismatch, Value};
use crate::trace::{Offered, OfferedTransform};
use crate::wire::{Attribute, Attributes, SaBody, Transform};

/// Attribute classes from this one on are for private use: whoever does not know them need not
/// (RFC 2407 §4.5).
const PRIVATE: u16 = 32_001;
/// The group that a policy without perfect forward secrecy is said to have.
const DEFAULT_GROUP: u16 = 1;

/// One protocol of a chosen candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// The protocol.
    pub protocol: Protocol,
    /// The peer's SPI.
    pub spi: Spi,
    /// The SA specification.
    pub spec: SaSpecConfig,
}

/// What was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// The protocols, in the order of our bundle string.
    pub chosen: Vec<Chosen>,
    /// The shorter of both lives.
    pub lifetime: Lifetime,
    /// Whether the peer offered a longer life than we allow, and does not know it.
    pub shortened: bool,
}

impl Agreement {
    /// The first protocol, and the peer's SPI for it.
    #[must_use]
    pub fn proposed(&self) -> Option<(Protocol, Spi)> {
        let chosen = self.chosen.first()?;
        Some((chosen.protocol, chosen.spi))
    }
}

/// Our side of a phase 2 negotiation.
#[derive(Clone, Copy, Debug)]
pub struct Phase2<'a> {
    /// The bundle specification.
    pub bundle: &'a BundleConfig,
    /// The SA specifications that it names.
    pub specs: &'a [SaSpecConfig],
    /// The group for perfect forward secrecy.
    pub pfs: Option<DhGroup>,
    /// In whose way ESP travels in UDP; none where there is no NAT.
    pub nat: Option<NatVersion>,
}

impl Phase2<'_> {
    /// The life of an SA whose attributes give none (RFC 2407 §4.5).
    const UNSAID: Lifetime = Lifetime {
        seconds: Lifetime::DEFAULT_SECONDS,
        kbytes: None,
    };

    fn spec(&self, number: u8) -> Option<&SaSpecConfig> {
        self.specs.iter().find(|spec| spec.number == number)
    }

    /// Our candidates with their numbers; AH authenticates addresses, so that none with it passes
    /// NAT.
    fn candidates(&self) -> impl Iterator<Item = (u8, &[Vec<u8>])> {
        let passes = |candidate: &[Vec<u8>]| {
            self.nat.is_none()
                || candidate.iter().flatten().all(|number| {
                    self.spec(*number)
                        .is_some_and(|spec| spec.protocol == Protocol::Esp)
                })
        };
        (1..)
            .zip(self.bundle.string.candidates())
            .map(|(number, candidate)| (number, &candidate[..]))
            .filter(move |(_, candidate)| passes(candidate))
    }

    /// The mode of the preferred candidate.
    #[must_use]
    pub fn mode(&self) -> Mode {
        let mut specs = self.bundle.string.specs();
        let first = specs.next().and_then(|number| self.spec(number));
        first.map_or(Mode::Tunnel, SaSpecConfig::mode)
    }

    /// The protocols for which SPIs are reserved before an offer: those of every candidate, each
    /// once.
    #[must_use]
    pub fn protocols(&self) -> Vec<Protocol> {
        let mut protocols = Vec::new();
        let specs = self
            .candidates()
            .flat_map(|(_, candidate)| candidate.iter().flatten());
        for spec in specs.filter_map(|number| self.spec(*number)) {
            if !protocols.contains(&spec.protocol) {
                protocols.push(spec.protocol);
            }
        }
        protocols
    }

    /// What is offered, for a trace.
    #[must_use]
    pub fn offered(&self) -> Vec<Offered> {
        let life = self.bundle.lifetime();
        let transform = |spec: &SaSpecConfig| OfferedTransform {
            id: transform_id(spec),
            spec: spec.number,
            kbytes: life.kbytes,
            seconds: life.seconds,
            group: self.pfs.map_or(DEFAULT_GROUP, DhGroup::number),
            mode: self.mode_number(spec.mode()),
            auth: mac_number(spec.mac()).unwrap_or(0),
        };
        let groups = self
            .candidates()
            .flat_map(|(number, candidate)| candidate.iter().map(move |group| (number, group)));
        groups
            .filter_map(|(number, group)| {
                let specs = || group.iter().filter_map(|number| self.spec(*number));
                Some(Offered {
                    number,
                    protocol: specs().next()?.protocol,
                    transforms: specs().map(transform).collect(),
                })
            })
            .collect()
    }

    /// The initiator's SA body, with our SPIs.
    #[must_use]
    pub fn offer(&self, spis: &[(Protocol, Spi)]) -> Vec<u8> {
        let life = self.bundle.lifetime();
        let (seconds, kbytes) = (
            four_bytes(life.seconds),
            four_bytes(life.kbytes.unwrap_or(0)),
        );
        let groups = self
            .candidates()
            .flat_map(|(number, candidate)| candidate.iter().map(move |group| (number, group)));
        let entries: Vec<_> = groups
            .filter_map(|(number, group)| {
                let specs: Vec<_> = group
                    .iter()
                    .filter_map(|number| self.spec(*number))
                    .collect();
                let protocol = specs.first()?.protocol;
                let spi = spis
                    .iter()
                    .find(|(other, _)| *other == protocol)?
                    .1
                    .to_bytes();
                Some((number, protocol, spi, specs))
            })
            .collect();
        let proposals: Vec<_> = entries
            .iter()
            .map(|(number, protocol, spi, specs)| {
                let transforms = specs
                    .iter()
                    .map(|spec| {
                        (
                            transform_id(spec),
                            self.attributes(spec, life, &seconds, &kbytes),
                        )
                    })
                    .collect();
                (*number, protocol.doi_number(), &spi[..], transforms)
            })
            .collect();
        SaBody::write(&proposals)
    }

    /// The attributes of a life, for RESPONDER-LIFETIME.
    #[must_use]
    pub fn life_attributes(life: Lifetime) -> Vec<u8> {
        let (seconds, kbytes) = (
            four_bytes(life.seconds),
            four_bytes(life.kbytes.unwrap_or(0)),
        );
        let mut bytes = Vec::new();
        let mut write = |unit, duration| {
            Attribute::short(1, unit).write(&mut bytes);
            Attribute::long(2, duration).write(&mut bytes);
        };
        write(1, &seconds);
        if life.kbytes.is_some() {
            write(2, &kbytes);
        }
        bytes
    }

    /// Group, mode, integrity algorithm, key length, then lives; the default life is not sent.
    fn attributes<'b>(
        &self,
        spec: &SaSpecConfig,
        life: Lifetime,
        seconds: &'b [u8],
        kbytes: &'b [u8],
    ) -> Vec<Attribute<'b>> {
        let mut attributes = Vec::new();
        if let Some(group) = self.pfs {
            attributes.push(Attribute::short(3, group.number()));
        }
        attributes.push(Attribute::short(4, self.mode_number(spec.mode())));
        if let Some(number) = mac_number(spec.mac()) {
            attributes.push(Attribute::short(5, number));
        }
        if let Some(bits) = key_bits(spec.cipher()) {
            attributes.push(Attribute::short(6, bits));
        }
        if life.seconds != Lifetime::DEFAULT_SECONDS {
            attributes.push(Attribute::short(1, 1));
            attributes.push(Attribute::long(2, seconds));
        }
        if life.kbytes.is_some() {
            attributes.push(Attribute::short(1, 2));
            attributes.push(Attribute::long(2, kbytes));
        }
        attributes
    }

    /// The responder's choice: the first of our candidates for which a proposal has a fitting
    /// transform of every protocol.
    ///
    /// # Errors
    /// The nearest miss.
    pub fn choose(&self, offer: &SaBody<'_>) -> Result<(Agreement, Answer), Option<Mismatch>> {
        let mut nearest = Nearest::default();
        for (_, candidate) in self.candidates() {
            let mut number = None;
            for proposal in offer.proposals() {
                if number == Some(proposal.number) {
                    continue;
                }
                number = Some(proposal.number);
                if let Some(found) = self.fit(candidate, proposal.number, offer, &mut nearest) {
                    return Ok(found);
                }
            }
        }
        Err(nearest.take())
    }

    /// Fits one of our candidates to all entries of one proposal number.
    fn fit(
        &self,
        candidate: &[Vec<u8>],
        number: u8,
        offer: &SaBody<'_>,
        nearest: &mut Nearest,
    ) -> Option<(Agreement, Answer)> {
        let entries: Vec<_> = offer.proposals().filter(|p| p.number == number).collect();
        let protocols = |group: &Vec<u8>| {
            let protocol = self.spec(*group.first()?)?.protocol;
            Some(protocol.doi_number())
        };
        let ours = word_of(candidate.iter().filter_map(protocols));
        let theirs = word_of(entries.iter().map(|entry| entry.protocol));
        if entries.len() != candidate.len() || ours != theirs {
            nearest.miss(0, (number, 0), Mismatch::new("PROTOCOL", ours, theirs));
            return None;
        }
        let ours = self.bundle.lifetime();
        let (mut chosen, mut lines, mut life) = (Vec::new(), Vec::new(), ours);
        let mut shortened = false;
        for group in candidate {
            let protocol = self.spec(*group.first()?)?.protocol;
            let entry = entries
                .iter()
                .find(|p| p.protocol == protocol.doi_number())?;
            let spi = Spi::from_bytes(entry.spi.try_into().ok()?);
            if spi < Spi::FIRST {
                return None;
            }
            let found = group.iter().filter_map(|n| self.spec(*n)).find_map(|spec| {
                entry
                    .transforms()
                    .find_map(|transform| match self.compare(spec, &transform) {
                        Ok(theirs) => Some((spec.clone(), transform, theirs)),
                        Err((agreed, mismatch)) => {
                            nearest.miss(agreed + 1, (number, transform.number), mismatch);
                            None
                        }
                    })
            });
            let (spec, transform, theirs) = found?;
            life = life.shorter(theirs);
            shortened |= theirs != ours.shorter(theirs);
            let mut attributes = Vec::new();
            transform
                .attributes
                .iter()
                .for_each(|a| a.write(&mut attributes));
            lines.push(AnswerLine {
                place: entries
                    .iter()
                    .position(|p| p.protocol == protocol.doi_number()),
                protocol,
                number: transform.number,
                id: transform.id,
                attributes,
            });
            chosen.push(Chosen {
                protocol,
                spi,
                spec,
            });
        }
        // The peer's own order, which strict ones insist on.
        lines.sort_by_key(|line| line.place);
        let agreement = Agreement {
            chosen,
            lifetime: life,
            shortened,
        };
        Some((agreement, Answer { number, lines }))
    }

    /// What the responder answered to our offer: one of our candidates, one transform each.
    ///
    /// # Errors
    /// The attribute that differs.
    pub fn confirm(&self, answer: &SaBody<'_>) -> Result<Agreement, Option<Mismatch>> {
        let private = |transform: Transform<'_>| {
            let mut attributes = transform.attributes.iter();
            attributes.any(|attribute| attribute.class >= PRIVATE)
        };
        if answer.proposals().any(|proposal| {
            proposal.transforms().count() != 1 || proposal.transforms().any(private)
        }) {
            return Err(None);
        }
        let first = answer.proposals().next().map(|proposal| proposal.number);
        if answer
            .proposals()
            .any(|proposal| Some(proposal.number) != first)
        {
            return Err(None);
        }
        let mut nearest = Nearest::default();
        let offered = self
            .candidates()
            .find(|(number, _)| Some(*number) == first)
            .ok_or(None)?;
        let (number, candidate) = offered;
        let fit = self.fit(candidate, number, answer, &mut nearest);
        fit.map(|(agreement, _)| agreement).ok_or(nearest.take())
    }

    /// The encapsulation mode that we offer.
    fn mode_number(&self, mode: Mode) -> u16 {
        match self.nat {
            Some(version) => version.mode_number(mode),
            None => plain_mode(mode),
        }
    }

    /// Whether a number is that mode here: through NAT in UDP, by whichever version's number.
    fn is_mode(&self, number: u16, mode: Mode) -> bool {
        match self.nat {
            None => number == plain_mode(mode),
            Some(_) => [NatVersion::Draft03, NatVersion::Rfc3947]
                .iter()
                .any(|version| version.mode_number(mode) == number),
        }
    }

    /// Compares a transform with a specification; the peer's life is returned, not compared.
    fn compare(
        &self,
        spec: &SaSpecConfig,
        transform: &Transform<'_>,
    ) -> Result<Lifetime, (u8, Mismatch)> {
        let mut given: [Option<u64>; 12] = [None; 12];
        for attribute in transform.attributes.iter() {
            let number = attribute.number();
            match attribute.class {
                1 | 2 | PRIVATE.. => {}
                class => match given.get_mut(usize::from(class)) {
                    Some(slot) if slot.is_none() => *slot = number.or(Some(u64::MAX)),
                    _ => {
                        let (ours, theirs) = (Value::Absent, Value::Number(class.into()));
                        return Err((0, Mismatch::new("attribute", ours, theirs)));
                    }
                },
            }
        }
        let get = |class: usize| given.get(class).copied().flatten();
        let bits = get(6);
        let miss =
            |agreed, attribute, ours, theirs| Err((agreed, Mismatch::new(attribute, ours, theirs)));
        if transform.id != transform_id(spec) || bits != key_bits(spec.cipher()).map(u64::from) {
            let ours = Value::Word(cipher_word(spec.cipher()));
            return miss(0, "ENCALG", ours, theirs_transform(transform.id, bits));
        }
        if get(5) != mac_number(spec.mac()).map(u64::from) {
            let ours = Value::Word(spec.hashalg.unwrap_or(HashAlg::Null).word());
            let theirs = match get(5) {
                None => Value::Word("NULL"),
                Some(1) => Value::Word("MD5"),
                Some(2) => Value::Word("SHA"),
                Some(other) => Value::Number(other),
            };
            return miss(1, "HASHALG", ours, theirs);
        }
        let mode = get(4).and_then(|number| u16::try_from(number).ok());
        if !mode.is_some_and(|number| self.is_mode(number, spec.mode())) {
            let theirs = match get(4) {
                Some(1) => Value::Word("TUNNEL"),
                Some(2) => Value::Word("TRANSPORT"),
                Some(3 | 61_443) => Value::Word("TUNNEL in UDP"),
                Some(4 | 61_444) => Value::Word("TRANSPORT in UDP"),
                other => other.map_or(Value::Absent, Value::Number),
            };
            return miss(2, "MODE", Value::Word(spec.mode().word()), theirs);
        }
        let pfs = self.pfs.map(|group| u64::from(group.number()));
        if get(3) != pfs {
            let value = |n: Option<u64>| n.map_or(Value::Absent, Value::Number);
            return miss(3, "GROUP (USEPFSKEY)", value(pfs), value(get(3)));
        }
        if let Some(other) = [7, 8, 9, 10, 11]
            .into_iter()
            .find(|class| get(*class).is_some())
        {
            let theirs = Value::Number(u64::try_from(other).unwrap_or(0));
            return miss(4, "attribute", Value::Absent, theirs);
        }
        Ok(life_of(&transform.attributes, Self::UNSAID))
    }
}

/// The life that attributes give, each duration for the type just before it; `unsaid` where they
/// give none.
pub(crate) fn life_of(attributes: &Attributes<'_>, unsaid: Lifetime) -> Lifetime {
    let (mut life, mut unit) = (unsaid, None);
    for attribute in attributes.iter() {
        match attribute.class {
            1 => unit = attribute.number(),
            2 => {
                let value = attribute
                    .number()
                    .map(|n| u32::try_from(n).unwrap_or(u32::MAX));
                match (unit.take(), value) {
                    (Some(1), Some(seconds)) if seconds > 0 => life.seconds = seconds,
                    (Some(2), Some(kbytes)) if kbytes > 0 => life.kbytes = Some(kbytes),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    life
}

/// A responder's answer, complete but for our SPIs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    number: u8,
    lines: Vec<AnswerLine>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct AnswerLine {
    place: Option<usize>,
    protocol: Protocol,
    number: u8,
    id: u8,
    attributes: Vec<u8>,
}

impl Answer {
    /// The SA body with our SPIs; the transforms are the peer's, unchanged.
    #[must_use]
    pub fn to_body(&self, spis: &[(Protocol, Spi)]) -> Vec<u8> {
        let mut body = alloc::vec![0, 0, 0, 1, 0, 0, 0, 1];
        for (place, line) in self.lines.iter().enumerate() {
            let spi = spis.iter().find(|(protocol, _)| *protocol == line.protocol);
            let spi = spi.map_or([0; 4], |(_, spi)| spi.to_bytes());
            let transform = 8 + line.attributes.len();
            let proposal = 8 + 4 + transform;
            let len = |n: usize| u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes();
            let next = if place + 1 == self.lines.len() { 0 } else { 2 };
            body.extend_from_slice(&[next, 0]);
            body.extend_from_slice(&len(proposal));
            body.extend_from_slice(&[self.number, line.protocol.doi_number(), 4, 1]);
            body.extend_from_slice(&spi);
            body.extend_from_slice(&[0, 0]);
            body.extend_from_slice(&len(transform));
            body.extend_from_slice(&[line.number, line.id, 0, 0]);
            body.extend_from_slice(&line.attributes);
        }
        body
    }
}

/// The words of the command language for protocols that stand together.
fn word_of(protocols: impl Iterator<Item = u8>) -> Value {
    let (mut esp, mut ah, mut other) = (false, false, None);
    for protocol in protocols {
        match protocol {
            2 => ah = true,
            3 => esp = true,
            number => other = Some(number),
        }
    }
    match (esp, ah, other) {
        (_, _, Some(number)) => Value::Number(number.into()),
        (true, true, None) => Value::Word("ESP and AH"),
        (true, false, None) => Value::Word("ESP"),
        (false, true, None) => Value::Word("AH"),
        (false, false, None) => Value::Absent,
    }
}

const fn plain_mode(mode: Mode) -> u16 {
    match mode {
        Mode::Tunnel => 1,
        Mode::Transport => 2,
    }
}

const fn mac_number(mac: Mac) -> Option<u16> {
    match mac {
        Mac::None => None,
        Mac::HmacMd5_96 => Some(1),
        Mac::HmacSha1_96 => Some(2),
    }
}

const fn key_bits(cipher: Cipher) -> Option<u16> {
    match cipher {
        Cipher::Aes128 => Some(128),
        Cipher::Aes192 => Some(192),
        Cipher::Aes256 => Some(256),
        Cipher::Null | Cipher::Des | Cipher::TripleDes => None,
    }
}

fn transform_id(spec: &SaSpecConfig) -> u8 {
    match (spec.protocol, spec.cipher(), spec.mac()) {
        (Protocol::Ah, _, Mac::HmacMd5_96) => 2,
        (Protocol::Ah, _, _) => 3,
        (Protocol::Esp, Cipher::Des, _) => 2,
        (Protocol::Esp, Cipher::TripleDes, _) => 3,
        (Protocol::Esp, Cipher::Null, _) => 11,
        (Protocol::Esp, Cipher::Aes128 | Cipher::Aes192 | Cipher::Aes256, _) => 12,
    }
}

fn theirs_transform(id: u8, bits: Option<u64>) -> Value {
    match (id, bits) {
        (2, _) => Value::Word("DES"),
        (3, _) => Value::Word("3DESOUTER"),
        (11, _) => Value::Word("NULL"),
        (12, Some(128)) => Value::Word("AES128"),
        (12, Some(192)) => Value::Word("AES192"),
        (12, Some(256)) => Value::Word("AES256"),
        (other, _) => Value::Number(other.into()),
    }
}
