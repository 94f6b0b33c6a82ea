//! One side's share of the key exchange: public value and nonce.

use alloc::vec::Vec;

use hw_offload::{DhGroup, Entropy, PublicJob, Secret, Ticket};
use ipsec_core::model::Role;

use super::{Common, Incoming, Receipt, Trouble, asks_certificate};
use crate::admission;
use crate::ask::{Ask, Env};
use crate::out::Out;
use crate::reason::Subject;
use crate::wire::{ExchangeType, Payload, PayloadType, Payloads, Writer};

/// Length of our nonces in bytes.
const NONCE: usize = 20;

/// Public value and nonce as they travel.
#[derive(Debug)]
pub(crate) struct KeyHalf {
    pub(crate) public: Vec<u8>,
    pub(crate) nonce: Vec<u8>,
}

impl KeyHalf {
    /// The KE and NONCE payloads of a message, with a public value that may be used.
    pub(crate) fn read(
        env: &Env<'_>,
        group: DhGroup,
        payloads: &Payloads<'_>,
    ) -> Result<Self, Subject> {
        let (mut public, mut nonce) = (Vec::new(), Vec::new());
        for raw in payloads.all() {
            if !matches!(raw.kind, PayloadType::KE | PayloadType::NONCE) {
                continue;
            }
            match Payload::parse(*raw).map_err(|_| Subject::Malformed)? {
                Payload::KeyExchange(value) => public = value.to_vec(),
                Payload::Nonce(value) => nonce = value.to_vec(),
                _ => {}
            }
        }
        let short = public.len() < group.len();
        let whole = in_full(group, &public);
        let fits = !short || !env.config.pads_dh();
        if !fits || !hw_offload::acceptable_public_value(group, &whole) {
            return Err(Subject::PublicValue);
        }
        Ok(Self { public, nonce })
    }

    pub(crate) fn push(&self, writer: &mut Writer) {
        writer
            .push(PayloadType::KE, &self.public)
            .push(PayloadType::NONCE, &self.nonce);
    }

    /// Whether the other side sent back what is ours.
    pub(crate) fn reflects(&self, other: &Self) -> bool {
        self.public == other.public || self.nonce == other.nonce
    }
}

/// Both sides' shares.
#[derive(Debug)]
pub(crate) struct Halves {
    pub(crate) own: KeyHalf,
    pub(crate) peer: KeyHalf,
}

impl Halves {
    /// The initiator's share and the responder's.
    pub(crate) const fn ordered(&self, own: Role) -> (&KeyHalf, &KeyHalf) {
        match own {
            Role::Initiator => (&self.own, &self.peer),
            Role::Responder => (&self.peer, &self.own),
        }
    }
}

impl Common {
    /// Message 3 or 4 of Main mode: the peer's share, and what it says of NAT.
    pub(crate) fn admit_keys(
        &mut self,
        env: &Env<'_>,
        message: u8,
        incoming: Incoming<'_>,
    ) -> Result<(KeyHalf, Receipt), Trouble> {
        let payloads = Payloads::parse(incoming.header.next, incoming.body)
            .map_err(|_| self.ignored(message, Subject::Malformed))?;
        let encrypted = incoming.header.flags.encrypted();
        if !admission::admits(ExchangeType::Main, message, encrypted, &payloads) {
            return Err(self.ignored(message, Subject::Payloads));
        }
        let half = KeyHalf::read(env, self.agreed.group, &payloads)
            .map_err(|subject| self.ignored(message, subject))?;
        let (hash, cookies) = (self.agreed.hash, self.cookies);
        self.extensions
            .discover(env.primitives, hash, cookies, incoming.path, &payloads);
        self.certificate_asked = asks_certificate(&payloads);
        Ok((half, incoming.receipt(&payloads)))
    }

    /// A private exponent for the group that is offered or agreed on.
    pub(crate) fn exponent(&self, env: &mut Env<'_>) -> Option<Secret> {
        exponent(env.entropy, self.policy.exponent_bits())
    }

    /// Asks for g^x.
    pub(crate) fn ask_public(&self, out: &mut Out<'_>, exponent: &Secret) -> Ticket {
        let (group, exponent) = (self.agreed.group, exponent.duplicate());
        out.ask(|ticket| {
            Ask::Public(PublicJob::DhPublic {
                ticket,
                group,
                exponent,
            })
        })
    }

    /// Asks for g^xy.
    pub(crate) fn ask_shared(&self, out: &mut Out<'_>, exponent: Secret, peer: &KeyHalf) -> Ticket {
        let group = self.agreed.group;
        let peer = in_full(group, &peer.public);
        out.ask(|ticket| {
            Ask::Public(PublicJob::DhShared {
                ticket,
                group,
                exponent,
                peer,
            })
        })
    }
}

/// A private exponent of so many bits: the top bit is set, so that the length is what was asked
/// for.
pub(crate) fn exponent(entropy: &mut dyn Entropy, bits: u16) -> Option<Secret> {
    let len = usize::from(bits).div_ceil(8);
    let mut bytes = alloc::vec![0; len];
    entropy.fill(&mut bytes).ok()?;
    let top = bits.wrapping_sub(1) % 8;
    if let Some(first) = bytes.first_mut() {
        *first = *first & (0xff >> (7 - top)) | 1 << top;
    }
    Some(Secret::new(bytes))
}

/// A nonce.
pub(crate) fn nonce(entropy: &mut dyn Entropy) -> Option<Vec<u8>> {
    let mut bytes = alloc::vec![0; NONCE];
    entropy.fill(&mut bytes).ok()?;
    Some(bytes)
}

/// A number of the group as it travels and is hashed: as long as the prime, or without leading
/// zeros for devices that leave them out (SET ENCO DHPADDING=OFF).
pub(crate) fn on_the_wire(env: &Env<'_>, value: &[u8]) -> Vec<u8> {
    if env.config.pads_dh() {
        return value.to_vec();
    }
    let start = value.iter().position(|byte| *byte != 0).unwrap_or(0);
    value.get(start..).unwrap_or(value).to_vec()
}

/// A number with the zeros that were left out.
fn in_full(group: DhGroup, value: &[u8]) -> Vec<u8> {
    let mut whole = alloc::vec![0; group.len().saturating_sub(value.len())];
    whole.extend_from_slice(value);
    whole
}
