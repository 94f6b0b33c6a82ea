//! What TRACE and TRACEMORE tell of a quick mode.

use hw_offload::{Digest, Secret};
use ipsec_core::model::{Role, Spi};

use super::{Common, Opened, Terms, identities, phase2};
use crate::ask::{Acquire, Env};
use crate::debug::IsakmpDebug;
use crate::out::Out;
use crate::sa::IsakmpSa;
use crate::trace::{Part, Progress, Trace};
use crate::wire::{ExchangeType, Payloads, Writer};

/// The names of the blocks of KEYMAT, inbound and outbound. AES with 256 bits and SHA-1 need four of
/// MD5.
const KEYMAT: [[&str; 2]; 4] = [
    ["HASH INK1", "HASH OUTK1"],
    ["HASH INK2", "HASH OUTK2"],
    ["HASH INK3", "HASH OUTK3"],
    ["HASH INK4", "HASH OUTK4"],
];

impl Common {
    /// Tells under what the exchange begins.
    pub(crate) fn trace_start(&self, sa: &IsakmpSa, env: &Env<'_>, out: &mut Out<'_>) {
        let (part, trace) = (self.part(), IsakmpDebug::TRACE);
        out.trace_value(env, part, trace, ("COOKIE_I", &sa.cookies.0.0));
        out.trace_value(env, part, trace, ("COOKIE_R", &sa.cookies.1.0));
        out.trace(env, part, trace, || Trace::MessageId(self.message_id));
        out.trace_value(env, part, trace, ("IV", self.iv.as_bytes()));
    }
}

impl Opened {
    /// Tells how a message that passed every check did so, and its HASH.
    pub(crate) fn trace(&self, env: &Env<'_>, out: &mut Out<'_>, part: Part, matched: usize) {
        let mut step = |step| {
            let what = || Trace::Checked(1, step);
            out.trace(env, part, IsakmpDebug::TRACES, what);
        };
        step(Progress::Start);
        step(Progress::PolicyDone);
        for proposal in 0..matched {
            step(Progress::AttributesGood(proposal));
            step(Progress::TransformMatch(proposal));
            step(Progress::ProposalMatch(proposal));
        }
        step(Progress::AllMatched(matched));
        step(Progress::PayloadsGood);
        step(Progress::Good);
        if let Some((input, hash)) = &self.hashed {
            let name = if self.message == 1 { "HASH1" } else { "HASH2" };
            out.trace_hash(env, part, name, &[input.expose()], hash);
        }
    }
}

impl Terms {
    /// Tells what the keys are made of: K1 of both directions, then K2 and what follows.
    pub(super) fn trace(&self, common: &Common, sa: &IsakmpSa, env: &Env<'_>, out: &mut Out<'_>) {
        if !env.config.debug.has(IsakmpDebug::TRACEMORE) {
            return;
        }
        let part = common.part();
        if let Some(shared) = &self.shared {
            let value = ("g^xy", shared.expose());
            out.trace_secret(env, part, IsakmpDebug::TRACEMORE, value);
        }
        let shared = self.shared.as_ref().map(Secret::expose);
        let nonces = (&self.ni[..], &self.nr[..]);
        let skeyid = &sa.session.skeyid;
        let block = skeyid.d.as_bytes().len();
        for chosen in &self.agreement.chosen {
            let own = self
                .spis
                .iter()
                .find(|(other, _)| *other == chosen.protocol);
            let own = own.map_or(Spi(0), |(_, spi)| *spi);
            let spis = [own.to_bytes(), chosen.spi.to_bytes()];
            let len = chosen.spec.cipher().key_len() + chosen.spec.mac().key_len();
            let protocol = chosen.protocol.doi_number();
            for (number, names) in KEYMAT.iter().enumerate().take(len.div_ceil(block)) {
                for (spi, name) in spis.iter().zip(names) {
                    let keymat = skeyid.keymat(
                        env.primitives,
                        shared,
                        protocol,
                        *spi,
                        nonces,
                        block * (number + 1),
                    );
                    let blocks = || keymat.expose().chunks(block);
                    let before = number
                        .checked_sub(1)
                        .and_then(|before| blocks().nth(before));
                    let seed = [
                        before.unwrap_or(&[]),
                        shared.unwrap_or(&[]),
                        &[protocol],
                        &spi[..],
                        nonces.0,
                        nonces.1,
                    ];
                    let made = blocks().nth(number).unwrap_or(&[]);
                    out.trace_hash(env, part, name, &seed, made);
                }
            }
        }
    }
}

/// Tells the HASH of a message of ours, and what it covers.
pub(crate) fn trace_hash(
    common: &Common,
    env: &Env<'_>,
    out: &mut Out<'_>,
    name: &'static str,
    prefix: &[u8],
    writer: &Writer,
) {
    if let Ok(payloads) = Payloads::parse(writer.first(), writer.bytes()) {
        let id = common.message_id.to_bytes();
        let hash = payloads.all().first().map_or(&[][..], |raw| raw.body);
        let input = [&id[..], prefix, payloads.after_first()];
        out.trace_hash(env, common.part(), name, &input, hash);
    }
}

/// Tells what a policy offers for a request, before there is an exchange.
pub(crate) fn trace_offer(sa: &IsakmpSa, env: &Env<'_>, out: &mut Out<'_>, acquire: &Acquire) {
    let part = (ExchangeType::Quick, Role::Initiator);
    let policy = env.ipsec.policy(acquire.policy.as_str());
    let Some(policy) = policy.filter(|_| env.config.debug.has(IsakmpDebug::TRACEMORE)) else {
        return;
    };
    let (local, peer) = (sa.path.local.ip(), sa.path.peer.ip());
    if let Some((ci, cr)) = identities(&policy.selector(), local, peer, true) {
        let what = || Trace::Selectors(ci, cr);
        out.trace(env, part, IsakmpDebug::TRACEMORE, what);
    }
    if let Some(own) = phase2(env.ipsec, policy, sa) {
        let what = || Trace::LocalPolicy(own.offered());
        out.trace(env, part, IsakmpDebug::TRACEMORE, what);
    }
}

/// Tells HASH(3) and what it covers.
pub(crate) fn trace_hash3(
    common: &Common,
    env: &Env<'_>,
    out: &mut Out<'_>,
    (ni, nr): (&[u8], &[u8]),
    hash: &Digest,
) {
    let parts = [&[0][..], &common.message_id.to_bytes(), ni, nr];
    out.trace_hash(env, common.part(), "HASH3", &parts, hash.as_bytes());
}
