//! The counters of policies and of SAs: only what is counted there, since there are many of them.

use super::Happened;

macro_rules! subset {
    ($(#[$meta:meta])* $name:ident, $events:ident, $places:ident) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name([u64; $events.len()]);

        impl Default for $name {
            fn default() -> Self {
                Self([0; $events.len()])
            }
        }

        impl $name {
            /// Counts one; what is not counted here is left out.
            #[inline]
            pub fn raise(&mut self, happened: Happened) {
                let place = $places.get(happened as usize).copied().unwrap_or(u8::MAX);
                if let Some(counter) = self.0.get_mut(usize::from(place)) {
                    *counter = counter.saturating_add(1);
                }
            }

            /// A counter's value; 0 for what is not counted here.
            #[must_use]
            pub fn get(&self, happened: Happened) -> u64 {
                let place = $places.get(happened as usize).copied().unwrap_or(u8::MAX);
                self.0.get(usize::from(place)).copied().unwrap_or(0)
            }

            /// Sets every counter to zero.
            pub fn reset(&mut self) {
                *self = Self::default();
            }
        }

        /// For every event its place, or one behind them all.
        const $places: [u8; Happened::ALL.len()] = places(&$events);
    };
}

subset! {
    /// The counters of one policy.
    PolicyCounters, POLICY_EVENTS, POLICY_PLACES
}

subset! {
    /// The counters of one SA.
    SaCounters, SA_EVENTS, SA_PLACES
}

const fn places(events: &[Happened]) -> [u8; Happened::ALL.len()] {
    let mut places = [u8::MAX; Happened::ALL.len()];
    let mut place = 0;
    while place < events.len() {
        places[events[place] as usize] = place as u8;
        place += 1;
    }
    places
}

/// What is counted per policy.
pub const POLICY_EVENTS: [Happened; 38] = [
    Happened::SetupStarted,
    Happened::SetupSaSetupFailImm,
    Happened::SetupSaSetupStarted,
    Happened::SetupSaSetupFailed,
    Happened::SetupDone,
    Happened::SetupFailed,
    Happened::RemoveStarted,
    Happened::RemoveSaSetupStarted,
    Happened::RemoveDone,
    Happened::OutActionDeny,
    Happened::OutActionPermit,
    Happened::OutNoBundle,
    Happened::OutNoBundleFail,
    Happened::OutSetupBundleFail,
    Happened::OutBundleSoftExpire,
    Happened::OutBundleExpire,
    Happened::OutProcessStart,
    Happened::OutProcessFailImm,
    Happened::OutBundleStateBad,
    Happened::OutProcessFail,
    Happened::OutProcessDone,
    Happened::InActionDeny,
    Happened::InActionPermit,
    Happened::InActionIpsecFail,
    Happened::InBundleStateBad,
    Happened::InNotFirstSaInBundle,
    Happened::InProcessStart,
    Happened::InProcessFailImm,
    Happened::InProcessFail,
    Happened::InProcessDone,
    Happened::InEndOfBundle,
    Happened::InPrematureEndBundle,
    Happened::InBundleSaMatchFail,
    Happened::InPolicyActionFail,
    Happened::InPolSelectMatchFail,
    Happened::InBundleReplaced,
    Happened::InBundleSoftExpire,
    Happened::InBundleExpire,
];

/// What is counted per SA.
pub const SA_EVENTS: [Happened; 39] = [
    Happened::OutProcessStart,
    Happened::OutProcessFailImm,
    Happened::OutProcessFail,
    Happened::OutProcessDone,
    Happened::EncryptionStart,
    Happened::EncryptionFailImm,
    Happened::EncryptionFail,
    Happened::EncryptionGood,
    Happened::EspOutHashStart,
    Happened::EspOutHashFailImm,
    Happened::EspOutHashFail,
    Happened::EspOutHashGood,
    Happened::AhSeqNumberCycled,
    Happened::AhOutHashStart,
    Happened::AhOutHashFailImm,
    Happened::AhOutHashFail,
    Happened::AhOutHashGood,
    Happened::InProcessStart,
    Happened::InProcessFailImm,
    Happened::InProcessFail,
    Happened::InProcessDone,
    Happened::EspReplayedPacket,
    Happened::EspInHashStart,
    Happened::EspInHashFailImm,
    Happened::EspInHashFail,
    Happened::EspInHashGood,
    Happened::DecryptionStart,
    Happened::DecryptionFailImm,
    Happened::DecryptionFail,
    Happened::DecryptionGood,
    Happened::EspIcvInvalid,
    Happened::PaddingInvalid,
    Happened::AhReplayedPacket,
    Happened::AhBadPayloadLength,
    Happened::AhIcvInvalid,
    Happened::AhInHashStart,
    Happened::AhInHashFailImm,
    Happened::AhInHashFail,
    Happened::AhInHashGood,
];
