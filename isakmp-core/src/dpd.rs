//! Dead peer detection (RFC 3706), driven by traffic: a peer that is heard is alive, one that has
//! been silent for a while is asked, and one that does not answer is dead.
//!
//! ```text
//!             heard                      heard, or R-U-THERE-ACK
//!           +-------+              +------------------------------+
//!           v       |              v                              |
//!         Active ---+-- silent --> Checking -- still silent --> Querying -- retries spent --> Dead
//!                                  (asks the data plane)          ^    |
//!                                                                 +----+ R-U-THERE again
//! ```

use core::ops::RangeInclusive;
use core::time::Duration;

use hw_offload::Ticket;
use ipsec_core::Instant;

use crate::config::{DpdMode, IsakmpPolicyConfig};

/// Answers to R-U-THERE that one ISAKMP SA gives in one second.
const ANSWERS_PER_SECOND: u8 = 10;

/// The status that the screens show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DpdStatus {
    /// The peer is known to be alive, and is asked when it falls silent.
    Active,
    /// The peer's questions are answered, and none are put.
    ActiveReceive,
    /// A first R-U-THERE waits for its answer.
    IdleQuery,
    /// R-U-THERE was sent more than once.
    IdleQueryRetry,
    /// The peer did not answer; its SAs are on their way out.
    Dead,
    /// This router would ask, but the peer does not speak dead peer detection.
    None,
    /// Switched off.
    Off,
}

impl DpdStatus {
    /// The word of SHOW ISAKMP SA.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "Active",
            Self::ActiveReceive => "ActiveReceive",
            Self::IdleQuery => "IdleQuery",
            Self::IdleQueryRetry => "IdleQueryRetry",
            Self::Dead => "Dead",
            Self::None | Self::Off => "None",
        }
    }

    /// The short form of SHOW IPSEC ISAKMP.
    #[must_use]
    pub const fn short(self) -> &'static str {
        match self {
            Self::Active => "Act",
            Self::ActiveReceive => "ActRx",
            Self::IdleQuery => "IdlQy",
            Self::IdleQueryRetry => "IdlQR",
            Self::Dead => "Dead",
            Self::None => "None",
            Self::Off => "",
        }
    }
}

/// What becomes of a received R-U-THERE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Query {
    /// It is answered with its own sequence number.
    Answer,
    /// Its sequence number is an old one.
    Stale,
    /// Too many came in this second.
    TooMany,
    /// Nothing of the kind was agreed on.
    NotAgreed,
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing.
    Nothing,
    /// The data plane must be asked when it heard the peer last.
    Check,
}

/// What the data plane's answer leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The peer is alive.
    Alive,
    /// R-U-THERE with that sequence number goes out.
    Ask(u32),
    /// The peer is dead.
    Dead,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Active,
    Querying(Querying),
    Dead,
}

/// R-U-THERE was sent and no answer has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Querying {
    first: u32,
    sent: u16,
    next_at: Instant,
}

/// Dead peer detection of one ISAKMP SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dpd {
    mode: DpdMode,
    agreed: bool,
    state: State,
    /// The data plane was asked and has not answered.
    checking: Option<Ticket>,
    heard: Instant,
    idle: Duration,
    /// The sequence number of the next R-U-THERE.
    tx: u32,
    rx: Option<u32>,
    number: u32,
    answers: (Instant, u8),
}

impl Dpd {
    /// Of an ISAKMP SA that comes up now. The first sequence number is random; its top bit is
    /// cleared (RFC 3706 §6.2).
    #[must_use]
    pub fn new(policy: &IsakmpPolicyConfig, agreed: bool, first: u32, now: Instant) -> Self {
        Self {
            mode: policy.dpd(),
            agreed,
            state: State::Active,
            checking: None,
            heard: now,
            idle: policy.dpd_idle(),
            tx: first & 0x7fff_ffff,
            rx: None,
            number: 0,
            answers: (now, 0),
        }
    }

    /// DPDMODE of the policy.
    #[must_use]
    pub const fn mode(&self) -> DpdMode {
        self.mode
    }

    /// The status on the screens.
    #[must_use]
    pub const fn status(&self) -> DpdStatus {
        match (self.mode, self.agreed, self.state) {
            (DpdMode::None, ..) => DpdStatus::Off,
            (_, false, _) => DpdStatus::None,
            (DpdMode::Receive, ..) => DpdStatus::ActiveReceive,
            (DpdMode::Both, _, State::Active) => DpdStatus::Active,
            (DpdMode::Both, _, State::Querying(Querying { sent: 0 | 1, .. })) => {
                DpdStatus::IdleQuery
            }
            (DpdMode::Both, _, State::Querying(_)) => DpdStatus::IdleQueryRetry,
            (DpdMode::Both, _, State::Dead) => DpdStatus::Dead,
        }
    }

    /// The informational exchange that asks the peer, if there is one: its number and state.
    #[must_use]
    pub const fn exchange(&self) -> Option<(u32, &'static str)> {
        match (self.checking, self.state) {
            (Some(_), State::Querying(_)) => Some((self.number, "SEND_RUT")),
            (None, State::Querying(_)) => Some((self.number, "WAIT_RUTA")),
            (_, State::Active | State::Dead) => None,
        }
    }

    /// The exchange that asks has this number.
    pub(crate) const fn named(&mut self, number: u32) {
        self.number = number;
    }

    /// R-U-THERE messages sent since the peer was heard last.
    #[must_use]
    pub const fn retries(&self) -> u16 {
        match self.state {
            State::Querying(querying) => querying.sent,
            State::Active | State::Dead => 0,
        }
    }

    /// R-U-THERE messages that may still be sent.
    #[must_use]
    pub fn retries_left(&self, policy: &IsakmpPolicyConfig) -> u16 {
        let most = policy.retry_limit().saturating_add(1);
        most.saturating_sub(self.retries())
    }

    /// While the peer is known to be alive: how long until it is asked.
    #[must_use]
    pub fn idle_left(&self, now: Instant) -> Duration {
        match self.status() {
            DpdStatus::Active => (self.heard + self.idle).since(now),
            _ => Duration::ZERO,
        }
    }

    /// The sequence number of the next R-U-THERE.
    #[must_use]
    pub const fn next_tx(&self) -> u32 {
        self.tx
    }

    /// The sequence number that came last, 0 if none did.
    #[must_use]
    pub fn last_rx(&self) -> u32 {
        self.rx.unwrap_or(0)
    }

    const fn asks(&self) -> bool {
        matches!((self.mode, self.agreed), (DpdMode::Both, true))
    }

    /// When something is due; nothing while the data plane's answer is awaited.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        if !self.asks() || self.checking.is_some() {
            return None;
        }
        match self.state {
            State::Active => Some(self.heard + self.idle),
            State::Querying(querying) => Some(querying.next_at),
            State::Dead => None,
        }
    }

    pub(crate) fn tick(&self, now: Instant) -> Due {
        match self.deadline() {
            Some(at) if at <= now => Due::Check,
            _ => Due::Nothing,
        }
    }

    /// The data plane has been asked.
    pub(crate) const fn check(&mut self, ticket: Ticket) {
        self.checking = Some(ticket);
    }

    pub(crate) fn waits_for(&self, ticket: Ticket) -> bool {
        self.checking == Some(ticket)
    }

    /// The data plane's answer: when it heard the peer last.
    pub(crate) fn checked(
        &mut self,
        now: Instant,
        last: Option<Instant>,
        policy: &IsakmpPolicyConfig,
    ) -> Verdict {
        self.checking = None;
        if let Some(last) = last.filter(|last| *last > self.heard) {
            self.heard(last);
        }
        let due = match self.state {
            State::Active => self.heard + self.idle,
            State::Querying(querying) => querying.next_at,
            State::Dead => return Verdict::Dead,
        };
        if due > now {
            return Verdict::Alive;
        }
        let querying = match self.state {
            State::Querying(querying) => querying,
            State::Active | State::Dead => Querying {
                first: self.tx,
                sent: 0,
                next_at: now,
            },
        };
        if querying.sent > policy.retry_limit() {
            self.state = State::Dead;
            return Verdict::Dead;
        }
        let sent = querying.sent + 1;
        let sequence = self.tx;
        self.tx = self.tx.wrapping_add(1);
        self.state = State::Querying(Querying {
            sent,
            next_at: now + policy.wait(sent),
            ..querying
        });
        Verdict::Ask(sequence)
    }

    /// Something fresh and authentic came from the peer.
    pub(crate) fn heard(&mut self, at: Instant) {
        self.heard = self.heard.max(at);
        if self.state != State::Dead {
            self.state = State::Active;
        }
    }

    /// The sequence numbers of the questions that are not answered yet.
    pub(crate) fn questions(&self) -> Option<RangeInclusive<u32>> {
        let State::Querying(querying) = self.state else {
            return None;
        };
        let last = querying.first.wrapping_add(querying.sent.into());
        outstanding(querying.first, last)
    }

    /// R-U-THERE. One that repeats the last sequence number is answered again: its answer was
    /// lost.
    pub(crate) fn queried(&mut self, now: Instant, sequence: u32) -> Query {
        if self.mode == DpdMode::None || !self.agreed {
            return Query::NotAgreed;
        }
        if self.rx.is_some_and(|last| sequence < last) {
            return Query::Stale;
        }
        let (since, count) = self.answers;
        if since + Duration::from_secs(1) <= now {
            self.answers = (now, 1);
        } else if count < ANSWERS_PER_SECOND {
            self.answers = (since, count + 1);
        } else {
            return Query::TooMany;
        }
        self.rx = Some(sequence);
        Query::Answer
    }
}

/// The sequence numbers from the first to before `next`, unless none was sent.
fn outstanding(first: u32, next: u32) -> Option<RangeInclusive<u32>> {
    let last = next.checked_sub(1)?;
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use ipsec_core::model::{Name, PeerAddress};

    use super::*;

    fn policy() -> IsakmpPolicyConfig {
        IsakmpPolicyConfig {
            dpd_mode: Some(DpdMode::Both),
            ..IsakmpPolicyConfig::new(Name::new("main"), PeerAddress::Any)
        }
    }

    const fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    fn acknowledged(dpd: &Dpd, sequence: u32) -> bool {
        let questions = dpd.questions();
        questions.is_some_and(|questions| questions.contains(&sequence))
    }

    fn dpd() -> Dpd {
        Dpd::new(&policy(), true, 12_516, at(0))
    }

    /// Runs to the end; when each question was put, and when the peer was given up.
    fn run(dpd: &mut Dpd, policy: &IsakmpPolicyConfig) -> (Vec<(u64, u32)>, u64) {
        let mut asked = Vec::new();
        for _ in 0..64 {
            let now = dpd.deadline().expect("it goes on");
            assert_eq!(dpd.tick(now), Due::Check);
            dpd.check(Ticket(1));
            assert_eq!(dpd.deadline(), None);
            match dpd.checked(now, None, policy) {
                Verdict::Alive => panic!("nobody was heard"),
                Verdict::Ask(sequence) => asked.push((seconds(now), sequence)),
                Verdict::Dead => return (asked, seconds(now)),
            }
        }
        panic!("it never ends");
    }

    fn seconds(now: Instant) -> u64 {
        now.since(Instant::ZERO).as_secs()
    }

    use alloc::vec::Vec;

    #[test]
    fn the_figure_of_the_manual() {
        let (asked, dead) = run(&mut dpd(), &policy());
        let times: Vec<u64> = asked.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [20, 24, 32, 48, 72, 104, 144, 192, 248]);
        assert_eq!(dead, 312);
        let sequences: Vec<u32> = asked.iter().map(|(_, sequence)| *sequence).collect();
        assert_eq!(sequences, (12_516..12_525).collect::<Vec<u32>>());
    }

    #[test]
    fn one_transmission_without_retries() {
        let policy = IsakmpPolicyConfig {
            msg_retry_limit: Some(0),
            ..policy()
        };
        let mut dpd = Dpd::new(&policy, true, 1, at(0));
        assert_eq!(run(&mut dpd, &policy), ([(20, 1)].to_vec(), 24));
        assert_eq!(dpd.status(), DpdStatus::Dead);
    }

    #[test]
    fn traffic_keeps_it_quiet() {
        let mut dpd = dpd();
        assert_eq!(dpd.deadline(), Some(at(20)));
        dpd.check(Ticket(1));
        assert_eq!(dpd.checked(at(20), Some(at(15)), &policy()), Verdict::Alive);
        assert_eq!(dpd.deadline(), Some(at(35)));
        dpd.heard(at(30));
        assert_eq!(dpd.deadline(), Some(at(50)));
        assert_eq!(dpd.idle_left(at(31)), Duration::from_secs(19));
        // An older answer takes nothing back.
        dpd.check(Ticket(2));
        assert_eq!(dpd.checked(at(31), Some(at(15)), &policy()), Verdict::Alive);
        assert_eq!(dpd.deadline(), Some(at(50)));
    }

    #[test]
    fn any_outstanding_answer_counts_and_no_other() {
        let mut dpd = dpd();
        assert!(!acknowledged(&dpd, 12_516), "nothing was asked");
        for (now, sequence) in [(20, 12_516), (24, 12_517)] {
            dpd.check(Ticket(now));
            let verdict = dpd.checked(at(now), None, &policy());
            assert_eq!(verdict, Verdict::Ask(sequence));
        }
        assert_eq!(dpd.status(), DpdStatus::IdleQueryRetry);
        assert_eq!(dpd.retries(), 2);
        assert!(!acknowledged(&dpd, 12_515) && !acknowledged(&dpd, 12_518));
        assert!(acknowledged(&dpd, 12_516) && acknowledged(&dpd, 12_517));
        dpd.heard(at(25));
        assert_eq!((dpd.status(), dpd.retries()), (DpdStatus::Active, 0));
        assert!(!acknowledged(&dpd, 12_517), "the question is answered");
    }

    #[test]
    fn threat_b17_sequence_rules_and_rate() {
        let mut dpd = dpd();
        assert_eq!(dpd.queried(at(1), 7), Query::Answer);
        assert_eq!(dpd.queried(at(1), 7), Query::Answer, "its answer was lost");
        assert_eq!(dpd.queried(at(1), 6), Query::Stale);
        assert_eq!(dpd.queried(at(1), 9), Query::Answer);
        assert_eq!(dpd.last_rx(), 9);
        for sequence in 10..17 {
            assert_eq!(dpd.queried(at(1), sequence), Query::Answer);
        }
        assert_eq!(dpd.queried(at(1), 17), Query::TooMany);
        assert_eq!(dpd.last_rx(), 16);
        assert_eq!(dpd.queried(at(2), 17), Query::Answer);
    }

    #[test]
    fn the_words_of_the_screens() {
        let status = |mode, agreed| {
            let policy = IsakmpPolicyConfig {
                dpd_mode: mode,
                ..policy()
            };
            Dpd::new(&policy, agreed, 1, at(0)).status().short()
        };
        assert_eq!(status(None, true), "");
        assert_eq!(status(Some(DpdMode::Both), false), "None");
        assert_eq!(status(Some(DpdMode::Both), true), "Act");
        assert_eq!(status(Some(DpdMode::Receive), true), "ActRx");
    }
}
