//! The side that says who the user is, by XAUTHNAME and XAUTHPASSWORD of its policy.

use alloc::vec::Vec;

use ipsec_core::Instant;

use super::{Common, Opened, Step, reason};
use crate::ask::{Action, Env};
use crate::config::IsakmpPolicyConfig;
use crate::out::Out;
use crate::reason::{Mismatch, Subject, Value, Whose};
use crate::sa::IsakmpSa;
use crate::wire::Attribute;
use crate::xauth::{Content, Verb, XauthMethod, chap, class};

/// Questions of one transaction that are answered; who asks more often gets no password any more.
const QUESTIONS: u8 = 8;

/// Where the client stands.
#[derive(Debug)]
pub(crate) struct Client {
    questions: u8,
    /// The id of the next digest.
    chap_id: u8,
    /// When nothing more is expected to come.
    until: Instant,
    /// When the last message of Aggressive mode is sent again while nothing is asked, and for the
    /// how manieth time that is. Where it was lost the server does not know that it may ask.
    again: (Instant, u16),
}

impl Client {
    pub(crate) fn new(now: Instant, policy: &IsakmpPolicyConfig) -> Self {
        Self {
            questions: 0,
            chap_id: 0,
            until: now + policy.patience(),
            again: (now + policy.wait(1), 1),
        }
    }

    pub(crate) const fn name(&self) -> &'static str {
        if self.is_new() { "IDLE" } else { "REPSENT" }
    }

    /// Whether nothing has been asked yet.
    pub(crate) const fn is_new(&self) -> bool {
        self.questions == 0
    }

    #[expect(clippy::unused_self, reason = "the server's twin looks at its state")]
    pub(crate) const fn expects(&self, verb: Option<Verb>) -> bool {
        matches!(verb, Some(Verb::Request | Verb::Set))
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let again = self.is_new().then_some(self.again.0);
        Some(again.map_or(self.until, |again| again.min(self.until)))
    }

    pub(super) fn receive(
        &mut self,
        common: &mut Common,
        sa: &IsakmpSa,
        env: &Env<'_>,
        out: &mut Out<'_>,
        opened: &Opened,
    ) -> Step {
        self.until = env.now + sa.policy.patience();
        let content = &opened.content;
        if opened.verb == Some(Verb::Request) {
            self.questions = self.questions.saturating_add(1);
            self.reply(common, sa, env, out, content);
            return Step::On;
        }
        let Some(status) = content.status else {
            // Something else is set; nothing of it is taken over.
            common.send(sa, env, out, (Verb::Ack, &[]), false);
            return Step::On;
        };
        let status_given = u16::try_from(status).unwrap_or(0);
        let status_attribute = Attribute::short(class::STATUS, status_given);
        common.send(sa, env, out, (Verb::Ack, &[status_attribute]), false);
        if status == 1 {
            return Step::Done;
        }
        let message = common.talk.message();
        let refused = reason(message, Subject::Xauth, Whose::Theirs);
        let name = sa.policy.xauth_name.as_ref();
        let ours = name.map_or(Value::Absent, Value::text);
        let mismatch = Mismatch::new("XAUTHNAME", ours, Value::Unsaid);
        Step::Failed(refused.with(Some(mismatch)))
    }

    pub(super) fn tick(&mut self, sa: &IsakmpSa, now: Instant, out: &mut Out<'_>) -> Step {
        if self.until <= now {
            return Step::Failed(reason(0, Subject::NoXauth, Whose::Theirs));
        }
        let (at, times) = self.again;
        if self.is_new() && at <= now {
            let times = times.saturating_add(1);
            self.again = (now + sa.policy.wait(times), times);
            for bytes in sa.last_of_aggressive_mode(now) {
                let path = sa.path;
                out.push(Action::Send { path, bytes });
            }
        }
        Step::On
    }

    /// Answers what is asked for, or says that it cannot.
    fn reply(
        &mut self,
        common: &mut Common,
        sa: &IsakmpSa,
        env: &Env<'_>,
        out: &mut Out<'_>,
        content: &Content,
    ) {
        let (name, password) = (&sa.policy.xauth_name, &sa.policy.xauth_password);
        let method = match content.method {
            None | Some(0) => Some(XauthMethod::Generic),
            Some(1) if content.challenge.is_some() => Some(XauthMethod::RadiusChap),
            Some(_) => None,
        };
        let answerable = content.classes.iter().all(|class| {
            matches!(
                *class,
                class::TYPE
                    | class::USER_NAME
                    | class::USER_PASSWORD
                    | class::PASSCODE
                    | class::MESSAGE
                    | class::CHALLENGE
            )
        });
        let able = answerable && self.questions <= QUESTIONS;
        let (Some(name), Some(password), Some(method), true) = (name, password, method, able)
        else {
            let fail = Attribute::short(class::STATUS, 0);
            return common.send(sa, env, out, (Verb::Reply, &[fail]), false);
        };
        common.method = method;
        let secret = match (method, &content.challenge) {
            (XauthMethod::RadiusChap, Some(challenge)) => {
                self.chap_id = self.chap_id.wrapping_add(1);
                let value = chap(env.primitives, self.chap_id, password.0.expose(), challenge);
                hw_offload::Secret::new(value)
            }
            _ => password.0.duplicate(),
        };
        let attributes: Vec<Attribute<'_>> = content
            .classes
            .iter()
            .filter_map(|asked| {
                Some(match *asked {
                    class::TYPE => Attribute::short(class::TYPE, method.number()),
                    class::USER_NAME => Attribute::long(class::USER_NAME, name.as_bytes()),
                    class::USER_PASSWORD | class::PASSCODE => {
                        Attribute::long(*asked, secret.expose())
                    }
                    _ => return None,
                })
            })
            .collect();
        common.send(sa, env, out, (Verb::Reply, &attributes), false);
    }
}
