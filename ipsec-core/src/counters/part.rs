//! What is counted for a policy and for an SA: fewer things than globally.

use super::{Block, Happened, Scope};
use crate::counter_blocks;

impl Happened {
    /// What SHOW IPSEC POLICY COUNTERS prints.
    pub const POLICY_BLOCKS: &'static [Block<Self>] = counter_blocks! {
        block "Setup/Remove Counters:" of "" {
            { SetupStarted "setupStarted", SetupSaSetupFailImm "setupSaSetupFailImm" }
            { SetupSaSetupStarted "setupSaSetupStarted", SetupSaSetupFailed "setupSaSetupFailed" }
            { SetupDone "setupDone", SetupFailed "setupFailed" }
            { RemoveStarted "removeStarted", RemoveSaSetupStarted "removeSaSetupStarted" }
            { RemoveDone "removeDone" }
        }
        block "Outbound Packet Processing Counters:" of "" {
            { OutActionDeny "outDeny", OutActionPermit "outPermit" }
            { OutNoBundle "outNoBundle", OutNoBundleFail "outNoBundleFail" }
            { OutMakeSetupStrctFail "outMakeSetupStrctFail", OutSetupBundleFail "outSetupBundleFail" }
            { OutBundleSoftExpire "outBundleSoftExpire", OutBundleExpire "outBundleExpire" }
            { OutProcessStart "outProcessStart", OutProcessFailImm "outProcessFailImm" }
            { OutBundleStateBad "outBundleStateBad", OutProcessFail "outProcessFail" }
            { OutProcessDone "outProcessDone" }
        }
        block "Inbound Packet Processing Counters:" of "" {
            { InActionDeny "inDeny", InActionPermit "inPermit" }
            { InCompUncompressed "inCompUncompressed", InActionIpsecFail "inActionIpsecFail" }
            { InBundleStateBad "inBundleStateBad", InNotFirstSaInBundle "inNotFirstSaInBundle" }
            { InProcessStart "inProcessStart", InProcessFailImm "inProcessFailImm" }
            { InProcessFail "inProcessFail", InProcessDone "inProcessDone" }
            { InEndOfBundle "inEndOfBundle", InPrematureEndBundle "inPrematureEndBundle" }
            { InBundleSaMatchFail "inBundleSaMatchFail", InPolicyActionFail "inPolicyActionFail" }
            { InPolSelectMatchFail "inPolSelectMatchFail", InBundleReplaced "inBundleReplaced" }
            { InBundleSoftExpire "inBundleSoftExpire", InBundleExpire "inBundleExpire" }
        }
    };

    /// What SHOW IPSEC SA COUNTERS prints.
    pub const SA_BLOCKS: &'static [Block<Self>] = counter_blocks! {
        block "Outbound packet processing counters:" of "" {
            { OutProcessStart "outProcessStart", OutProcessFailImm "outProcessFailImm" }
            { OutProcessFail "outProcessFail", OutProcessDone "outProcessDone" }
            "ESP:" {}
            { EspOutBufChainCopy "espOutBufChainCopy" }
            { EncryptionStart "espEncryptionStart", EncryptionFailImm "espEncryptionFailImm" }
            { EncryptionFail "espEncryptionFail", EncryptionGood "espEncryptionGood" }
            { EspOutHashStart "espOutHashStart", EspOutHashFailImm "espOutHashFailImm" }
            { EspOutHashFail "espOutHashFail", EspOutHashGood "espOutHashGood" }
            "AH:" {}
            { AhOutBufChainCopy "ahOutBufChainCopy" }
            { AhSeqNumberCycled "ahSeqNumberCycled", AhFragmentSeen "ahFragmentSeen" }
            { AhOutHashStart "ahOutHashStart", AhOutHashFailImm "ahOutHashFailImm" }
            { AhOutHashFail "ahOutHashFail", AhOutHashGood "ahOutHashGood" }
            "IPCOMP:" {}
            { CompOutBufChainCopy "compOutBufChainCopy" }
            { CompTooSmall "compTooSmall", CompFragment "compFragment" }
            { NonExpansionBackoff "nonExpansionBackoff", DataExpansion "dataExpansion" }
            { CompressionStart "compressionStart", CompressionFailImm "compressionFailImm" }
            { CompressionFail "compressionFail", CompressionGood "compressionGood" }
        }
        block "Inbound packet processing counters:" of "" {
            { InProcessStart "inProcessStart", InProcessFailImm "inProcessFailImm" }
            { InProcessFail "inProcessFail", InProcessDone "inProcessDone" }
            "ESP:" {}
            { EspInBufChainCopy "espInBufChainCopy", EspReplayedPacket "espReplayedPacket" }
            { EspInHashStart "espInHashStart", EspInHashFailImm "espInHashFailImm" }
            { EspInHashFail "espInHashFail", EspInHashGood "espInHashGood" }
            { DecryptionStart "espDecryptionStart", DecryptionFailImm "espDecryptionFailImm" }
            { DecryptionFail "espDecryptionFail", DecryptionGood "espDecryptionGood" }
            { EspIcvInvalid "espIcvInvalid", PaddingInvalid "espPaddingInvalid" }
            "AH:" {}
            { AhInBufChainCopy "ahInBufChainCopy", AhReplayedPacket "ahReplayedPacket" }
            { AhBadPayloadLength "ahBadPayloadLength", AhIcvInvalid "ahIcvInvalid" }
            { AhInHashStart "ahInHashStart", AhInHashFailImm "ahInHashFailImm" }
            { AhInHashFail "ahInHashFail", AhInHashGood "ahInHashGood" }
            "IPCOMP:" {}
            { CompInBufChainCopy "compInBufChainCopy" }
            { DecompressionStart "decompressionStart", DecompressionFailImm "decompressionFailImm" }
            { DecompressionFail "decompressionFail", DecompressionGood "decompressionGood" }
        }
    };
}

/// A policy as a place where packets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnPolicy {}

/// An SA as a place where packets are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnSa {}

impl Scope for OnPolicy {
    type Event = Happened;

    fn place(event: Happened) -> Option<usize> {
        PLACES_ON_POLICY.of(event)
    }
}

impl Scope for OnSa {
    type Event = Happened;

    fn place(event: Happened) -> Option<usize> {
        PLACES_ON_SA.of(event)
    }
}

/// How many counters a policy has.
pub(super) const ON_POLICY: usize = PLACES_ON_POLICY.len;
/// How many counters an SA has.
pub(super) const ON_SA: usize = PLACES_ON_SA.len;

static PLACES_ON_POLICY: Places = Places::of_blocks(Happened::POLICY_BLOCKS);
static PLACES_ON_SA: Places = Places::of_blocks(Happened::SA_BLOCKS);

/// For every event the number of its counter in one kind of place. What cannot happen has none, so
/// that it takes no room.
struct Places {
    places: [u8; Happened::ALL.len()],
    len: usize,
}

impl Places {
    const NONE: u8 = u8::MAX;

    const fn of_blocks(blocks: &[Block<Happened>]) -> Self {
        let mut all = Self {
            places: [Self::NONE; Happened::ALL.len()],
            len: 0,
        };
        let mut block = 0;
        while block < blocks.len() {
            let lines = blocks[block].lines;
            let mut line = 0;
            while line < lines.len() {
                let cells = lines[line].cells;
                let mut cell = 0;
                while cell < cells.len() {
                    all.add(cells[cell].event);
                    cell += 1;
                }
                line += 1;
            }
            block += 1;
        }
        all
    }

    const fn add(&mut self, event: Happened) {
        let place = event as usize;
        if self.places[place] == Self::NONE && event.impossible().is_none() {
            self.places[place] = self.len as u8;
            self.len += 1;
        }
    }

    fn of(&self, event: Happened) -> Option<usize> {
        let place = self.places.get(event as usize).copied();
        place.filter(|place| *place != Self::NONE).map(usize::from)
    }
}
