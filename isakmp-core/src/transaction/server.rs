//! The side that asks who the user is.

use alloc::vec::Vec;

use hw_offload::Ticket;
use ipsec_core::Instant;

use super::{Common, MAX_FAILURES, Opened, Step, reason};
use crate::ask::{Ask, Env};
use crate::guard::Guard;
use crate::out::Out;
use crate::reason::{Mismatch, Reason, Subject, Text, Value, Whose};
use crate::sa::IsakmpSa;
use crate::wire::Attribute;
use crate::xauth::{Verb, XauthAnswer, XauthMethod, XauthProof, XauthStep, class};

/// The longest name of a user in bytes.
const LONGEST_NAME: usize = 253;

/// Where the server stands.
#[derive(Debug)]
pub(crate) enum Server {
    /// A question is out.
    Asked(Asked),
    /// An answer came sooner than the last failure allows: it is looked at later.
    Holding(XauthStep, Instant),
    /// Somebody who knows the users has been asked.
    Checking(Ticket, Vec<u8>),
    /// The answer was wrong, and this is told late.
    Delaying(Instant),
    /// STATUS is out.
    Telling {
        /// Whether it is OK.
        ok: bool,
    },
    /// Over.
    Over,
}

/// What a question leaves to be remembered.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    challenge: Option<[u8; 16]>,
    state: Option<Vec<u8>>,
}

impl Server {
    /// Asks for name and password.
    pub(super) fn start(
        common: &mut Common,
        sa: &mut IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
    ) -> Result<Self, Reason> {
        Self::ask(common, sa, env, out, &[], None)
    }

    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Asked(_) => "REQSENT",
            Self::Holding(..) | Self::Checking(..) | Self::Delaying(_) => "REPRECV",
            Self::Telling { .. } => "SETSENT",
            Self::Over => "UP",
        }
    }

    pub(crate) const fn next(&self, failures: u8) -> &'static str {
        match self {
            // Whoever was wrong may try again.
            Self::Delaying(_) if failures < MAX_FAILURES => "REQ",
            Self::Asked(_) | Self::Holding(..) | Self::Checking(..) | Self::Delaying(_) => "SET",
            Self::Telling { .. } | Self::Over => "UNKNOWN",
        }
    }

    pub(crate) const fn expects(&self, verb: Option<Verb>) -> bool {
        matches!(
            (self, verb),
            (Self::Asked(_), Some(Verb::Reply)) | (Self::Telling { .. }, Some(Verb::Ack))
        )
    }

    pub(crate) fn waits_for(&self, ticket: Ticket) -> bool {
        matches!(self, Self::Checking(own, _) if *own == ticket)
    }

    pub(crate) const fn deadline(&self) -> Option<Instant> {
        match self {
            Self::Holding(_, at) | Self::Delaying(at) => Some(*at),
            Self::Asked(_) | Self::Checking(..) | Self::Telling { .. } | Self::Over => None,
        }
    }

    pub(super) fn receive(
        &mut self,
        common: &mut Common,
        sa: &mut IsakmpSa,
        guard: &mut Guard,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        opened: Opened,
    ) -> Step {
        match core::mem::replace(self, Self::Over) {
            Self::Asked(asked) => {
                let content = opened.content;
                // Only the server can say OK; a client says FAIL when it cannot answer.
                if content.status == Some(0) {
                    common.failures = MAX_FAILURES;
                    return self.tell(common, sa, env, out, false);
                }
                let method = content
                    .method
                    .is_none_or(|m| m == common.method.number().into());
                let proof = content.password.and_then(|password| {
                    let given = password.expose();
                    let password = crate::xauth::text(given);
                    match (common.method, asked.challenge) {
                        (XauthMethod::RadiusChap, Some(challenge)) => chap(given, challenge),
                        // An empty password is nobody's.
                        _ if password.is_empty() => None,
                        _ => Some(XauthProof::Password(hw_offload::Secret::copy_of(password))),
                    }
                });
                let user = content.user.filter(|user| is_name(user) && method);
                if let Some(user) = &user {
                    common.user = Some(Text::of(alloc::string::String::from_utf8_lossy(user)));
                }
                let (Some(user), Some(proof)) = (user, proof) else {
                    return self.wrong(common, guard, env, &[]);
                };
                let peer = common.talk.path.peer.ip();
                let step = XauthStep {
                    peer,
                    policy: sa.policy.name.clone(),
                    user,
                    proof,
                    state: asked.state,
                };
                match guard.not_before(env.now, &step.user, peer) {
                    Some(until) => *self = Self::Holding(step, until),
                    None => self.check(out, step),
                }
                Step::On
            }
            Self::Telling { ok: true } => Step::Done,
            Self::Telling { ok: false } => {
                let message = common.talk.message();
                let refused = reason(message, Subject::Xauth, Whose::Ours);
                let theirs = common.user.map_or(Value::Absent, Value::Text);
                let mismatch = Mismatch::new("XAUTHNAME", Value::Unsaid, theirs);
                Step::Failed(refused.with(Some(mismatch)))
            }
            other => {
                *self = other;
                Step::On
            }
        }
    }

    fn check(&mut self, out: &mut Out<'_>, step: XauthStep) {
        let user = step.user.clone();
        let ticket = out.ask(|_| Ask::Xauth(step));
        *self = Self::Checking(ticket, user);
    }

    /// Tells nobody yet that the answer was wrong.
    fn wrong(
        &mut self,
        common: &mut Common,
        guard: &mut Guard,
        env: &Env<'_>,
        user: &[u8],
    ) -> Step {
        common.failures = common.failures.saturating_add(1);
        let peer = common.talk.path.peer.ip();
        *self = Self::Delaying(guard.failed(env.now, user, peer));
        Step::On
    }

    pub(super) fn answer(
        &mut self,
        common: &mut Common,
        sa: &mut IsakmpSa,
        guard: &mut Guard,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        answer: XauthAnswer,
    ) -> Step {
        let Self::Checking(_, user) = core::mem::replace(self, Self::Over) else {
            return Step::On;
        };
        match answer {
            XauthAnswer::Accept => {
                guard.passed(&user, common.talk.path.peer.ip());
                sa.user = Some(user);
                self.tell(common, sa, env, out, true)
            }
            XauthAnswer::Reject => self.wrong(common, guard, env, &user),
            XauthAnswer::Challenge { message, state } => {
                self.ask_again(common, sa, env, out, &message, Some(state))
            }
        }
    }

    pub(super) fn tick(
        &mut self,
        common: &mut Common,
        sa: &mut IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
    ) -> Step {
        if self.deadline().is_none_or(|at| at > env.now) {
            return Step::On;
        }
        match core::mem::replace(self, Self::Over) {
            Self::Holding(step, _) => {
                self.check(out, step);
                Step::On
            }
            Self::Delaying(_) if common.failures < MAX_FAILURES => {
                self.ask_again(common, sa, env, out, &[], None)
            }
            Self::Delaying(_) => self.tell(common, sa, env, out, false),
            other => {
                *self = other;
                Step::On
            }
        }
    }

    fn ask_again(
        &mut self,
        common: &mut Common,
        sa: &mut IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        message: &[u8],
        state: Option<Vec<u8>>,
    ) -> Step {
        match Self::ask(common, sa, env, out, message, state) {
            Ok(asked) => {
                *self = asked;
                Step::On
            }
            Err(reason) => Step::Failed(reason),
        }
    }

    fn ask(
        common: &mut Common,
        sa: &mut IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        message: &[u8],
        state: Option<Vec<u8>>,
    ) -> Result<Self, Reason> {
        let entropy = reason(0, Subject::Entropy, Whose::Ours);
        let message_id = sa
            .new_message_id(env.entropy)
            .map_err(|subject| reason(0, subject, Whose::Ours))?;
        let challenge = match common.method {
            XauthMethod::Generic => None,
            XauthMethod::RadiusChap => {
                let mut challenge = [0; 16];
                env.entropy.fill(&mut challenge).map_err(|_| entropy)?;
                Some(challenge)
            }
        };
        let mut attributes = Vec::new();
        if let Some(challenge) = &challenge {
            // Without TYPE a question is a generic one.
            attributes.push(Attribute::short(class::TYPE, common.method.number()));
            attributes.push(Attribute::long(class::CHALLENGE, challenge));
        }
        if !message.is_empty() {
            attributes.push(Attribute::long(class::MESSAGE, message));
        }
        attributes.push(Attribute::long(class::USER_NAME, &[]));
        attributes.push(Attribute::long(class::USER_PASSWORD, &[]));
        common.begin(sa, env, message_id);
        common.send(sa, env, out, (Verb::Request, &attributes), true);
        Ok(Self::Asked(Asked { challenge, state }))
    }

    fn tell(
        &mut self,
        common: &mut Common,
        sa: &mut IsakmpSa,
        env: &mut Env<'_>,
        out: &mut Out<'_>,
        ok: bool,
    ) -> Step {
        let message_id = match sa.new_message_id(env.entropy) {
            Ok(message_id) => message_id,
            Err(subject) => return Step::Failed(reason(0, subject, Whose::Ours)),
        };
        let status = Attribute::short(class::STATUS, u16::from(ok));
        common.begin(sa, env, message_id);
        common.send(sa, env, out, (Verb::Set, &[status]), true);
        *self = Self::Telling { ok };
        Step::On
    }
}

/// Whether that may be a user's name: RADIUS can carry no longer one (RFC 2865 §5), and what is
/// remembered of each failure is short.
fn is_name(user: &[u8]) -> bool {
    (1..=LONGEST_NAME).contains(&user.len())
}

/// The answer of CHAP: an identifier and a digest. A zero at the end of the digest is part of it, one
/// behind it, which some clients send, is none.
fn chap(given: &[u8], challenge: [u8; 16]) -> Option<XauthProof> {
    let (id, rest) = given.split_first()?;
    let (digest, rest) = rest.split_first_chunk()?;
    matches!(rest, [] | [0]).then_some(XauthProof::Chap {
        id: *id,
        digest: *digest,
        challenge,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_empty_nor_long() {
        assert!(!is_name(b"") && is_name(b"a"));
        assert!(is_name(&[b'a'; LONGEST_NAME]) && !is_name(&[b'a'; LONGEST_NAME + 1]));
    }

    #[test]
    fn a_digest_has_sixteen_bytes_and_a_zero_behind_it_at_most() {
        let read = |given: &[u8]| match chap(given, [9; 16]) {
            Some(XauthProof::Chap { id, digest, .. }) => Some((id, digest)),
            _ => None,
        };
        let mut given = alloc::vec![7];
        given.extend_from_slice(&[1; 15]);
        assert_eq!(read(&given), None);
        given.push(0);
        let mut digest = [1; 16];
        digest[15] = 0;
        assert_eq!(read(&given), Some((7, digest)));
        given.push(0);
        assert_eq!(read(&given), Some((7, digest)));
        given.push(0);
        assert_eq!(read(&given), None);
        assert_eq!(read(&[]), None);
    }
}
