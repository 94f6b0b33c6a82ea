//! The ISAKMP heartbeat: a sign of life every 20 seconds, and a peer that misses three is lost.
//!
//! The maker's format is not published; what is sent is a private notification, behind a codec
//! that can be replaced when the format becomes known.

use alloc::vec::Vec;
use core::time::Duration;

use ipsec_core::Instant;

use crate::config::IsakmpPolicyConfig;
use crate::keys::Cookies;
use crate::wire::{Notify, NotifyType};

/// The time between two heartbeats.
const EVERY: Duration = Duration::from_secs(20);
/// Heartbeats that may be missing.
const MISSED: u32 = 3;

/// How a heartbeat looks.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatCodec {
    /// The body of the notification for an ISAKMP SA and a sequence number.
    pub encode: fn(Cookies, u32) -> Vec<u8>,
    /// The sequence number, if the notification is a heartbeat.
    pub decode: fn(&Notify<'_>) -> Option<u32>,
}

/// The type of the heartbeat's notification, from the range for private use.
pub const HEARTBEAT: NotifyType = NotifyType(36_864);

impl Default for HeartbeatCodec {
    /// A notification with both cookies as SPI and four bytes of sequence number.
    fn default() -> Self {
        Self {
            encode: |(initiator, responder), sequence| {
                Notify {
                    protocol: 1,
                    kind: HEARTBEAT,
                    spi: &[initiator.0, responder.0].concat(),
                    data: &sequence.to_be_bytes(),
                }
                .to_bytes()
            },
            decode: |notify| {
                let number = notify.data.try_into().map(u32::from_be_bytes).ok()?;
                (notify.kind == HEARTBEAT).then_some(number)
            },
        }
    }
}

/// What is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    /// Nothing.
    Nothing,
    /// A heartbeat with that sequence number goes out.
    Send(u32),
    /// The peer is lost.
    Lost,
}

/// The heartbeat of one ISAKMP SA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    send_at: Option<Instant>,
    lost_at: Option<Instant>,
    tx: u32,
    rx: u32,
}

impl Heartbeat {
    /// Of an ISAKMP SA that comes up now, with a peer that speaks it or does not.
    #[must_use]
    pub fn new(policy: &IsakmpPolicyConfig, agreed: bool, now: Instant) -> Self {
        let mode = policy.heartbeat();
        Self {
            send_at: (agreed && mode.sends()).then(|| now + EVERY),
            lost_at: (agreed && mode.receives()).then(|| now + EVERY * MISSED),
            tx: 1,
            rx: 0,
        }
    }

    /// Whether heartbeats are sent.
    #[must_use]
    pub const fn sends(&self) -> bool {
        self.send_at.is_some()
    }

    /// Whether heartbeats are expected.
    #[must_use]
    pub const fn receives(&self) -> bool {
        self.lost_at.is_some()
    }

    /// The sequence number of the next heartbeat.
    #[must_use]
    pub const fn next_tx(&self) -> u32 {
        self.tx
    }

    /// The sequence number that came last; 0 if none did.
    #[must_use]
    pub const fn last_rx(&self) -> u32 {
        self.rx
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.send_at.into_iter().chain(self.lost_at).min()
    }

    pub(crate) fn tick(&mut self, now: Instant) -> Beat {
        if self.lost_at.is_some_and(|at| at <= now) {
            self.lost_at = None;
            return Beat::Lost;
        }
        if self.send_at.is_none_or(|at| at > now) {
            return Beat::Nothing;
        }
        let sequence = self.tx;
        self.tx = self.tx.wrapping_add(1);
        self.send_at = Some(now + EVERY);
        Beat::Send(sequence)
    }

    /// An authentic heartbeat. False for one that is not newer than the last.
    pub(crate) fn received(&mut self, now: Instant, sequence: u32) -> bool {
        if sequence <= self.rx {
            return false;
        }
        self.rx = sequence;
        if self.lost_at.is_some() {
            self.lost_at = Some(now + EVERY * MISSED);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use ipsec_core::model::{Name, PeerAddress};

    use super::*;
    use crate::config::HeartbeatMode;
    use crate::wire::{Cookie, Payload, PayloadType, Raw};

    fn heartbeat(mode: HeartbeatMode, agreed: bool) -> Heartbeat {
        let policy = IsakmpPolicyConfig {
            heartbeat_mode: Some(mode),
            ..IsakmpPolicyConfig::new(Name::new("main"), PeerAddress::Any)
        };
        Heartbeat::new(&policy, agreed, Instant::ZERO)
    }

    const fn at(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn every_twenty_seconds_from_one_on() {
        let mut beat = heartbeat(HeartbeatMode::Send, true);
        for sequence in 1..5 {
            let due = at(20 * u64::from(sequence));
            assert_eq!(beat.deadline(), Some(due));
            assert_eq!(beat.tick(due), Beat::Send(sequence));
            assert_eq!(beat.tick(due), Beat::Nothing);
        }
    }

    #[test]
    fn three_missed_are_one_too_many() {
        let mut beat = heartbeat(HeartbeatMode::Receive, true);
        assert!(beat.received(at(20), 1));
        assert_eq!(beat.tick(at(79)), Beat::Nothing);
        assert!(!beat.received(at(79), 1), "an old one is no sign of life");
        assert_eq!(beat.tick(at(80)), Beat::Lost);
        assert_eq!(beat.deadline(), None);
    }

    #[test]
    fn who_never_sends_one_is_lost_as_soon() {
        let mut beat = heartbeat(HeartbeatMode::Receive, true);
        assert_eq!(beat.tick(at(59)), Beat::Nothing);
        assert_eq!(beat.tick(at(60)), Beat::Lost);
    }

    #[test]
    fn nothing_without_agreement() {
        for mode in [HeartbeatMode::Both, HeartbeatMode::None] {
            let agreed = mode == HeartbeatMode::None;
            assert_eq!(heartbeat(mode, agreed).deadline(), None);
        }
    }

    #[test]
    fn the_codec_reads_what_it_writes() {
        let codec = HeartbeatCodec::default();
        let body = (codec.encode)((Cookie([1; 8]), Cookie([2; 8])), 7);
        let (kind, at) = (PayloadType::N, 0);
        let raw = Raw {
            kind,
            body: &body,
            at,
        };
        let Ok(Payload::Notify(notify)) = Payload::parse(raw) else {
            panic!("not a notification");
        };
        assert_eq!((codec.decode)(&notify), Some(7));
        assert_eq!(notify.spi, [[1; 8], [2; 8]].concat());
    }
}
