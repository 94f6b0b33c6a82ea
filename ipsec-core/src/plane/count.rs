//! Counting: one place decides what an event counts globally, per policy and per SA.

use hw_offload::{Cipher, JobFault, Mac, Stage};

use super::PlaneState;
use crate::counters::{Algorithm, AlgorithmEvent, Happened};
use crate::model::{Direction, Protocol};
use crate::sad::{BundleId, SaId};
use crate::spd::PolicyId;

/// How far one SA's work on a packet has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The engine was given the packet.
    Start,
    /// The engine refused it.
    FailImm,
    /// It came back well.
    Done,
    /// It came back failed.
    Fault(JobFault),
    /// It came back when its SA was no longer to be used.
    SaBadState,
}

impl PlaneState {
    /// Counts globally and for a policy.
    pub(super) fn raise(&mut self, policy: PolicyId, happened: Happened) {
        self.counters.raise(happened);
        if let Some(policy) = self.policies.get_mut(policy.0) {
            policy.counters.raise(happened);
        }
    }

    /// Counts globally, for the policy and for the SA.
    pub(super) fn raise_sa(&mut self, id: SaId, happened: Happened) {
        self.raise_all(id, &[happened]);
    }

    /// Counts what the phase of one SA's work means for cipher and hash.
    pub(super) fn raise_pass(&mut self, id: SaId, direction: Direction, phase: Phase) {
        let Some(sa) = self.sad.sas.get(id.0) else {
            return;
        };
        let events = match sa.protocol {
            Protocol::Ah => ah_events(direction, phase),
            Protocol::Esp => {
                let (ciphers, hashes) = (sa.cipher != Cipher::Null, sa.mac != Mac::None);
                esp_events(direction, phase, ciphers, hashes)
            }
        };
        let failed = !matches!(phase, Phase::Start | Phase::Done);
        let bundle = sa.bundle;
        let algorithms = [Algorithm::of_cipher(sa.cipher), Algorithm::of_mac(sa.mac)];
        self.raise_all(id, events);
        for (algorithm, event) in algorithms.into_iter().zip(worked(direction, phase)) {
            if let Some(event) = event {
                self.raise_algorithm(algorithm, event);
            }
        }
        if failed && direction == Direction::Out {
            self.raise_udp_failure(bundle);
        }
    }

    /// Counts a packet that was to leave inside UDP.
    pub(super) fn raise_udp_failure(&mut self, bundle: BundleId) {
        let path = self.path_of(bundle);
        if path.is_some_and(|path| path.encap.ports().is_some()) {
            self.counters.raise(Happened::OutUdpPktFail);
        }
    }

    /// Counts what is done with the channels of an SA.
    pub(super) fn raise_algorithms(&mut self, cipher: Cipher, mac: Mac, event: AlgorithmEvent) {
        for algorithm in [Algorithm::of_cipher(cipher), Algorithm::of_mac(mac)] {
            self.raise_algorithm(algorithm, event);
        }
    }

    fn raise_algorithm(&mut self, algorithm: Option<Algorithm>, event: AlgorithmEvent) {
        if let Some(algorithm) = algorithm {
            self.counters.raise(algorithm.happened(event));
        }
    }

    /// The phases of which the SA is not known any more.
    pub(super) fn raise_gone(&mut self, direction: Direction) {
        self.counters.raise(Happened::GetSaFailed);
        self.counters.raise(match direction {
            Direction::Out => Happened::EncDoneGetSaFail,
            Direction::In => Happened::DecDoneGetSaFail,
        });
    }

    fn raise_all(&mut self, id: SaId, events: &[Happened]) {
        let mut bundle = None;
        if let Some(sa) = self.sad.sas.get_mut(id.0) {
            bundle = Some(sa.bundle);
            for happened in events {
                sa.counters.raise(*happened);
            }
        }
        let policy = bundle
            .and_then(|bundle| self.sad.bundles.get(bundle.0))
            .and_then(|bundle| self.policies.get_mut(bundle.policy.0));
        if let Some(policy) = policy {
            for happened in events {
                policy.counters.raise(*happened);
            }
        }
        for happened in events {
            self.counters.raise(*happened);
        }
    }
}

/// What a phase means for cipher and hash. Nothing was deciphered where the ICV was wrong, and
/// nothing hashed where the cipher failed first.
const fn worked(direction: Direction, phase: Phase) -> [Option<AlgorithmEvent>; 2] {
    use AlgorithmEvent as E;
    let (good, fail, discard) = match direction {
        Direction::Out => (E::EncodeGood, E::EncodeFail, E::EncodeDiscard),
        Direction::In => (E::DecodeGood, E::DecodeFail, E::DecodeDiscard),
    };
    match (phase, direction) {
        (Phase::Start, _) => [None; 2],
        (Phase::Done | Phase::SaBadState, _) => [Some(good); 2],
        (Phase::FailImm | Phase::Fault(JobFault::Closed), _) => [Some(discard); 2],
        (Phase::Fault(JobFault::BadIcv), _) => [None, Some(good)],
        (Phase::Fault(JobFault::Engine(Stage::Cipher)), Direction::Out) => [Some(fail), None],
        (Phase::Fault(JobFault::Engine(Stage::Cipher)), Direction::In) => [Some(fail), Some(good)],
        (Phase::Fault(JobFault::Engine(Stage::Hash)), Direction::Out) => [Some(good), Some(fail)],
        (Phase::Fault(JobFault::Engine(Stage::Hash)), Direction::In) => [None, Some(fail)],
    }
}

/// Sealing enciphers first and hashes then; opening the other way round. What comes second is said
/// to have started when the packet is back, for only then it is known that it did.
const fn esp_events(
    direction: Direction,
    phase: Phase,
    ciphers: bool,
    hashes: bool,
) -> &'static [Happened] {
    use Happened as H;
    match (direction, phase, ciphers, hashes) {
        (Direction::Out, Phase::Start, true, _) => &[H::OutProcessStart, H::EncryptionStart],
        (Direction::Out, Phase::Start, false, _) => &[H::OutProcessStart, H::EspOutHashStart],
        (Direction::Out, Phase::FailImm, true, _) => &[H::OutProcessFailImm, H::EncryptionFailImm],
        (Direction::Out, Phase::FailImm, false, _) => &[H::OutProcessFailImm, H::EspOutHashFailImm],
        (Direction::Out, Phase::Done, true, true) => &[
            H::EncryptionGood,
            H::EspOutHashStart,
            H::EspOutHashGood,
            H::OutProcessDone,
        ],
        (Direction::Out, Phase::Done, true, false) => &[H::EncryptionGood, H::OutProcessDone],
        (Direction::Out, Phase::Done, false, _) => &[H::EspOutHashGood, H::OutProcessDone],
        (Direction::Out, Phase::Fault(JobFault::Engine(Stage::Hash)), true, _) => &[
            H::EncryptionGood,
            H::EspOutHashStart,
            H::EspOutHashFail,
            H::OutProcessFail,
        ],
        (Direction::Out, Phase::Fault(JobFault::Engine(Stage::Hash)), false, _) => {
            &[H::EspOutHashFail, H::OutProcessFail]
        }
        (
            Direction::Out,
            Phase::Fault(JobFault::Engine(Stage::Cipher) | JobFault::BadIcv),
            true,
            _,
        ) => &[H::EncryptionFail, H::OutProcessFail],
        (Direction::Out, Phase::Fault(JobFault::Engine(_) | JobFault::BadIcv), false, _) => {
            &[H::EspOutHashFail, H::OutProcessFail]
        }
        (Direction::Out, Phase::Fault(JobFault::Closed), true, _) => {
            &[H::EncDoneGetSaFail, H::OutProcessFail]
        }
        (Direction::Out, Phase::Fault(JobFault::Closed), false, _) => {
            &[H::EspOutHashDoneGetSaFail, H::OutProcessFail]
        }
        (Direction::Out, Phase::SaBadState, true, _) => &[H::EncDoneSaBadState, H::OutProcessFail],
        (Direction::Out, Phase::SaBadState, false, _) => {
            &[H::EspOutHashDoneSaBadState, H::OutProcessFail]
        }
        (Direction::In, Phase::Start, _, true) => &[H::InProcessStart, H::EspInHashStart],
        (Direction::In, Phase::Start, _, false) => &[H::InProcessStart, H::DecryptionStart],
        (Direction::In, Phase::FailImm, _, true) => &[H::InProcessFailImm, H::EspInHashFailImm],
        (Direction::In, Phase::FailImm, _, false) => &[H::InProcessFailImm, H::DecryptionFailImm],
        (Direction::In, Phase::Done, true, true) => &[
            H::EspInHashGood,
            H::DecryptionStart,
            H::DecryptionGood,
            H::InProcessDone,
        ],
        (Direction::In, Phase::Done, false, true) => &[H::EspInHashGood, H::InProcessDone],
        (Direction::In, Phase::Done, _, false) => &[H::DecryptionGood, H::InProcessDone],
        (Direction::In, Phase::Fault(JobFault::BadIcv), _, _) => {
            &[H::EspInHashGood, H::EspIcvInvalid, H::InProcessFail]
        }
        (Direction::In, Phase::Fault(JobFault::Engine(Stage::Hash)), _, _) => {
            &[H::EspInHashFail, H::InProcessFail]
        }
        (Direction::In, Phase::Fault(JobFault::Engine(Stage::Cipher)), _, true) => &[
            H::EspInHashGood,
            H::DecryptionStart,
            H::DecryptionFail,
            H::InProcessFail,
        ],
        (Direction::In, Phase::Fault(JobFault::Engine(Stage::Cipher)), _, false) => {
            &[H::DecryptionFail, H::InProcessFail]
        }
        (Direction::In, Phase::Fault(JobFault::Closed), _, true) => {
            &[H::EspInHashDoneGetSaFail, H::InProcessFail]
        }
        (Direction::In, Phase::Fault(JobFault::Closed), _, false) => {
            &[H::DecDoneGetSaFail, H::InProcessFail]
        }
        (Direction::In, Phase::SaBadState, _, true) => {
            &[H::EspInHashDoneSaBadState, H::InProcessFail]
        }
        (Direction::In, Phase::SaBadState, _, false) => &[H::DecDoneSaBadState, H::InProcessFail],
    }
}

const fn ah_events(direction: Direction, phase: Phase) -> &'static [Happened] {
    use Happened as H;
    match (direction, phase) {
        (Direction::Out, Phase::Start) => &[H::OutProcessStart, H::AhOutHashStart],
        (Direction::Out, Phase::FailImm) => &[H::OutProcessFailImm, H::AhOutHashFailImm],
        (Direction::Out, Phase::Done) => &[H::AhOutHashGood, H::OutProcessDone],
        (Direction::Out, Phase::Fault(JobFault::Closed)) => {
            &[H::AhOutHashDoneGetSaFail, H::OutProcessFail]
        }
        (Direction::Out, Phase::Fault(JobFault::Engine(_) | JobFault::BadIcv)) => {
            &[H::AhOutHashFail, H::OutProcessFail]
        }
        (Direction::Out, Phase::SaBadState) => &[H::AhOutHashDoneSaBadState, H::OutProcessFail],
        (Direction::In, Phase::Start) => &[H::InProcessStart, H::AhInHashStart],
        (Direction::In, Phase::FailImm) => &[H::InProcessFailImm, H::AhInHashFailImm],
        (Direction::In, Phase::Done) => &[H::AhInHashGood, H::InProcessDone],
        (Direction::In, Phase::Fault(JobFault::BadIcv)) => {
            &[H::AhInHashGood, H::AhIcvInvalid, H::InProcessFail]
        }
        (Direction::In, Phase::Fault(JobFault::Closed)) => {
            &[H::AhInHashDoneGetSaFail, H::InProcessFail]
        }
        (Direction::In, Phase::Fault(JobFault::Engine(_))) => &[H::AhInHashFail, H::InProcessFail],
        (Direction::In, Phase::SaBadState) => &[H::AhInHashDoneSaBadState, H::InProcessFail],
    }
}
