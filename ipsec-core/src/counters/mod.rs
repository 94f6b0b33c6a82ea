//! What happened, counted once per place: globally, per policy and per SA.
//!
//! Code raises a [`Happened`]; which places count it, and where screens print it, stands in the
//! tables of this module alone.

mod algorithm;
mod block;
mod subset;

pub use algorithm::{Algorithm, AlgorithmCounters, AlgorithmEvent};
pub use block::{BLOCKS, Block, Body, Category, POLICY_BLOCKS, Row, SA_LINES, SaLine, never};
pub use subset::{POLICY_EVENTS, PolicyCounters, SA_EVENTS, SaCounters};

/// The counters of one place, addressed by [`Happened`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters([u64; Happened::ALL.len()]);

impl Default for Counters {
    fn default() -> Self {
        Self([0; Happened::ALL.len()])
    }
}

impl Counters {
    /// Counts one.
    pub fn raise(&mut self, happened: Happened) {
        self.raise_by(happened, 1);
    }

    /// Counts several.
    pub fn raise_by(&mut self, happened: Happened, n: u64) {
        if let Some(counter) = self.0.get_mut(happened as usize) {
            *counter = counter.saturating_add(n);
        }
    }

    /// A counter's value.
    #[must_use]
    pub fn get(&self, happened: Happened) -> u64 {
        self.0.get(happened as usize).copied().unwrap_or(0)
    }

    /// Sets the counters of a block to zero.
    pub fn reset(&mut self, block: &Block) {
        for happened in Happened::ALL {
            if happened.printed().0 == block.key
                && let Some(counter) = self.0.get_mut(*happened as usize)
            {
                *counter = 0;
            }
        }
    }
}

macro_rules! happened {
    ($($(#[$meta:meta])* $variant:ident = $block:literal / $name:literal,)*) => {
        /// An event that is counted. The names are those that the counter screens print.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Happened { $($(#[$meta])* $variant,)* }

        impl Happened {
            /// Every event, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The block and the printed name.
            #[must_use]
            pub const fn printed(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($block, $name),)* }
            }

            /// The event that a screen prints in a block under a name.
            #[must_use]
            pub fn of(block: &str, name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|happened| happened.printed() == (block, name))
            }
        }
    };
}

happened! {
    /// A packet leaves by an interface with policies.
    OutProcessPkt = "IPsec main packet processing" / "outProcessPkt",
    /// A packet arrives at an interface with policies.
    InProcessPkt = "IPsec main packet processing" / "inProcessPkt",
    /// No policy selected a leaving packet.
    OutNoPolicyFound = "IPsec main packet processing" / "outNoPolicyFound",
    /// No policy selected an arriving packet.
    InNoPolicyFound = "IPsec main packet processing" / "inNoPolicyFound",
    /// A leaving packet was sealed.
    OutProcessPktFinished = "IPsec main packet processing" / "outProcessPktFinished",
    /// An arriving packet was opened.
    InProcessPktFinished = "IPsec main packet processing" / "inProcessPktFinished",
    /// A packet was selected.
    PolicyMatchGood = "SPD" / "policyMatchSelectors Good",
    /// A selector of a policy differed.
    PolicyMatchFailed = "SPD" / "policyMatchSelectors Failed",
    /// A policy was created.
    PolicyAdd = "SPD" / "policyAdd Good",
    /// A policy could not be created.
    PolicyAddFailed = "SPD" / "policyAdd Failed",
    /// A command named a policy that is there.
    PolicyGet = "SPD" / "policyGet Good",
    /// A command named a policy that is not there.
    PolicyGetFailed = "SPD" / "policyGet Failed",
    /// A policy was destroyed.
    PolicyDelete = "SPD" / "policyDelete Good",
    /// A policy could not be destroyed.
    PolicyDeleteFailed = "SPD" / "policyDelete Failed",
    /// A policy was shown.
    PolicyGetConfig = "SPD" / "policyGetConfig Good",
    /// A policy could not be shown.
    PolicyGetConfigFailed = "SPD" / "policyGetConfig Failed",
    /// A policy was changed.
    PolicySetConfig = "SPD" / "policySetConfig Good",
    /// A policy could not be changed.
    PolicySetConfigFailed = "SPD" / "policySetConfig Failed",
    /// The policy of what a peer proposes was found.
    PolicyFindByPeer = "SPD" / "policyFindByPeer Good",
    /// No policy has what a peer proposes.
    PolicyFindByPeerFailed = "SPD" / "policyFindByPeer Failed",
    /// An SA specification was created.
    SaSpecAdd = "SPD" / "saSpecAdd Good",
    /// An SA specification could not be created.
    SaSpecAddFailed = "SPD" / "saSpecAdd Failed",
    /// A command named an SA specification that is there.
    SaSpecGet = "SPD" / "saSpecGet Good",
    /// A command named an SA specification that is not there.
    SaSpecGetFailed = "SPD" / "saSpecGet Failed",
    /// An SA specification was destroyed.
    SaSpecDelete = "SPD" / "saSpecDelete Good",
    /// An SA specification could not be destroyed.
    SaSpecDeleteFailed = "SPD" / "saSpecDelete Failed",
    /// A bundle specification was created.
    BundleSpecAdd = "SPD" / "bundleSpecAdd Good",
    /// A bundle specification could not be created.
    BundleSpecAddFailed = "SPD" / "bundleSpecAdd Failed",
    /// A command named a bundle specification that is there.
    BundleSpecGet = "SPD" / "bundleSpecGet Good",
    /// A command named a bundle specification that is not there.
    BundleSpecGetFailed = "SPD" / "bundleSpecGet Failed",
    /// A bundle specification was destroyed.
    BundleSpecDelete = "SPD" / "bundleSpecDelete Good",
    /// A bundle specification could not be destroyed.
    BundleSpecDeleteFailed = "SPD" / "bundleSpecDelete Failed",
    /// LADDRESS, an address or a prefix, differed.
    LocalAddressFailed = "Policy Filter" / "localAddressMaskFailed",
    /// LADDRESS, a range, differed.
    LocalAddressRangeFailed = "Policy Filter" / "localAddressRangeFailed",
    /// RADDRESS, an address or a prefix, differed.
    RemoteAddressFailed = "Policy Filter" / "remoteAddressMaskFailed",
    /// RADDRESS, a range, differed.
    RemoteAddressRangeFailed = "Policy Filter" / "remoteAddressRangeFailed",
    /// LPORT differed.
    LocalPortFailed = "Policy Filter" / "localPortFailed",
    /// RPORT differed.
    RemotePortFailed = "Policy Filter" / "remotePortFailed",
    /// TRANSPORTPROTOCOL differed.
    TransportProtoFailed = "Policy Filter" / "transportProtoFailed",
    /// ICMPTYPE differed.
    NeighbourDiscFailed = "Policy Filter" / "neighbourDiscFailed",
    /// A DENY policy selected a leaving packet.
    OutActionDeny = "Policy" / "outDeny",
    /// A PERMIT policy selected a leaving packet.
    OutActionPermit = "Policy" / "outPermit",
    /// A DENY policy selected an arriving packet.
    InActionDeny = "Policy" / "inDeny",
    /// A PERMIT policy selected an arriving packet.
    InActionPermit = "Policy" / "inPermit",
    /// An IPSEC policy selected a clear arriving packet.
    InActionIpsecFail = "Policy" / "inActionIpsecFail",
    /// No bundle yet for a leaving packet.
    OutNoBundle = "Policy" / "outNoBundle",
    /// A leaving packet was discarded for want of a bundle.
    OutNoBundleFail = "Policy" / "outNoBundleFail",
    /// No bundle could be begun for a leaving packet.
    OutSetupBundleFail = "Policy" / "outSetupBundleFail",
    /// A leaving packet met a bundle that is not valid.
    OutBundleStateBad = "Policy" / "outBundleStateBad",
    /// A leaving packet made a bundle reach its soft limit in bytes.
    OutBundleSoftExpire = "Policy" / "outBundleSoftExpire",
    /// A leaving packet made a bundle reach its hard limit.
    OutBundleExpire = "Policy" / "outBundleExpire",
    /// One SA began to work on a leaving packet.
    OutProcessStart = "Policy" / "outProcessStart",
    /// It could not even begin.
    OutProcessFailImm = "Policy" / "outProcessFailImm",
    /// It failed.
    OutProcessFail = "Policy" / "outProcessFail",
    /// It is done.
    OutProcessDone = "Policy" / "outProcessDone",
    /// An arriving packet met a bundle that is not valid.
    InBundleStateBad = "Policy" / "inBundleStateBad",
    /// An arriving packet began with an SA that is not the outermost of its bundle.
    InNotFirstSaInBundle = "Policy" / "inNotFirstSaInBundle",
    /// One SA began to work on an arriving packet.
    InProcessStart = "Policy" / "inProcessStart",
    /// It could not even begin.
    InProcessFailImm = "Policy" / "inProcessFailImm",
    /// It failed.
    InProcessFail = "Policy" / "inProcessFail",
    /// It is done.
    InProcessDone = "Policy" / "inProcessDone",
    /// A packet still carried IPsec when the bundle had no SA left.
    InEndOfBundle = "Policy" / "inEndOfBundle",
    /// A packet came out in clear before all SAs of the bundle were applied.
    InPrematureEndBundle = "Policy" / "inPrematureEndBundle",
    /// The next SA of a packet is not the next one of the bundle.
    InBundleSaMatchFail = "Policy" / "inBundleSaMatchFail",
    /// The policy of an opened packet does not ask for IPsec.
    InPolicyActionFail = "Policy" / "inPolicyActionFail",
    /// An opened packet does not fit the policy.
    InPolSelectMatchFail = "Policy" / "inPolSelectMatchFail",
    /// The first packet on a new bundle retired the old one.
    InBundleReplaced = "Policy" / "inBundleReplaced",
    /// An arriving packet made a bundle reach its soft limit in bytes.
    InBundleSoftExpire = "Policy" / "inBundleSoftExpire",
    /// An arriving packet made a bundle reach its hard limit.
    InBundleExpire = "Policy" / "inBundleExpire",
    /// A bundle names an SA specification that is not there.
    SetupGetSaSpecFail = "IPsec bundle setup/remove" / "setupGetSaSpecFail",
    /// A bundle was to be begun for a policy that is not there.
    SetupGetPolicyFail = "IPsec bundle setup/remove" / "setupGetPolicyFail",
    /// A bundle was begun.
    SetupStarted = "IPsec bundle setup/remove" / "setupStarted",
    /// An SA of it could not even be begun.
    SetupSaSetupFailImm = "IPsec bundle setup/remove" / "setupSaSetupFailImm",
    /// An SA of it was begun.
    SetupSaSetupStarted = "IPsec bundle setup/remove" / "setupSaSetupStarted",
    /// An SA of it failed.
    SetupSaSetupFailed = "IPsec bundle setup/remove" / "setupSaSetupFailed",
    /// A bundle became valid.
    SetupDone = "IPsec bundle setup/remove" / "setupDone",
    /// A bundle could not be set up.
    SetupFailed = "IPsec bundle setup/remove" / "setupFailed",
    /// A bundle was removed while it was being set up.
    SetupBundleRemoving = "IPsec bundle setup/remove" / "setupBundleRemoving",
    /// A bundle's removal began.
    RemoveStarted = "IPsec bundle setup/remove" / "removeStarted",
    /// The removal of an SA of it began.
    RemoveSaSetupStarted = "IPsec bundle setup/remove" / "removeSaSetupStarted",
    /// A bundle is gone.
    RemoveDone = "IPsec bundle setup/remove" / "removeDone",
    /// An inbound SPI was found.
    FindSaGood = "SAD" / "Find SA Good",
    /// An inbound SPI is unknown.
    FindSaFailed = "SAD" / "Find SA Failed",
    /// The SA of a packet that came back from the engine is still there.
    GetSaGood = "SAD" / "Get SA Good",
    /// It is not.
    GetSaFailed = "SAD" / "Get SA Failed",
    /// An SA was added.
    AddSa = "SAD" / "Add SA Good",
    /// An SA was deleted.
    DeleteSa = "SAD" / "Delete SA Good",
    /// An SA was to be deleted that is not there.
    DeleteSaFailed = "SAD" / "Delete SA Failed",
    /// An ESP packet left inside UDP.
    OutUdpPkt = "IPsec over UDP" / "outPkt",
    /// An ESP packet arrived inside UDP.
    InUdpPkt = "IPsec over UDP" / "inPkt",
    /// An ESP packet that was to leave inside UDP was not finished.
    OutUdpPktFail = "IPsec over UDP" / "outPktFail",
    /// What arrived at the tunnel's port is of no known version.
    InPktBadVersion = "IPsec over UDP" / "inPktBadVersion",
    /// The SA of what arrived in UDP belongs to a policy without such a tunnel.
    InPktNoPolicy = "IPsec over UDP" / "inPktNoPolicy",
    /// A heartbeat or keepalive is to be sent.
    OutUdpHeartBeat = "IPsec over UDP" / "outUdpHeartBeat",
    /// A heartbeat or keepalive arrived.
    InUdpHeartBeat = "IPsec over UDP" / "inUdpHeartBeat",
    /// A channel was opened for an SA that is gone.
    EspSetupGetSaFailed = "ESP setup/remove" / "setupGetSaFailed",
    /// The engine has no channel for an ESP SA that enciphers.
    EspSetupEncSetupFailed = "ESP setup/remove" / "setupEncSetupFailed",
    /// The engine has no channel for an ESP SA that only authenticates.
    EspSetupHashSetupFailImm = "ESP setup/remove" / "setupHashSetupFailImm",
    /// A bundle was removed while a channel for an ESP SA of it was opened.
    EspSetupEncSetupBundleRm = "ESP setup/remove" / "setupEncSetupBundleRm",
    /// The engine has no channel for an ESP SA.
    EspSetupFailed = "ESP setup/remove" / "setupFailed",
    /// Both channels of an ESP SA are open.
    EspSetupDone = "ESP setup/remove" / "setupDone",
    /// An ESP SA had no channel to close.
    EspRemoveNothingDone = "ESP setup/remove" / "removeNothingDone",
    /// The channels of an ESP SA are closed.
    EspRemoveDone = "ESP setup/remove" / "removeDone",
    /// A sequence number wrapped.
    EspSeqNumberCycled = "ESP outbound processing" / "seqNumberCycled",
    /// A leaving packet began to be enciphered.
    EncryptionStart = "ESP outbound processing" / "encryptionStart",
    /// The engine refused it.
    EncryptionFailImm = "ESP outbound processing" / "encryptionFailImm",
    /// It came back after its SA was gone.
    EncDoneGetSaFail = "ESP outbound processing" / "encDoneGetSaFail",
    /// It came back failed from the cipher.
    EncryptionFail = "ESP outbound processing" / "encryptionFail",
    /// It came back when its SA was being removed.
    EncDoneSaBadState = "ESP outbound processing" / "encDoneSaBadState",
    /// It came back enciphered.
    EncryptionGood = "ESP outbound processing" / "encryptionGood",
    /// A leaving packet began to be authenticated.
    EspOutHashStart = "ESP outbound processing" / "hashStart",
    /// The engine refused it.
    EspOutHashFailImm = "ESP outbound processing" / "hashFailImm",
    /// It came back after its SA was gone.
    EspOutHashDoneGetSaFail = "ESP outbound processing" / "hashDoneGetSaFail",
    /// It came back failed from the hash.
    EspOutHashFail = "ESP outbound processing" / "hashFail",
    /// It came back when its SA was being removed.
    EspOutHashDoneSaBadState = "ESP outbound processing" / "hashDoneSaBadState",
    /// It came back authenticated.
    EspOutHashGood = "ESP outbound processing" / "hashGood",
    /// The ICV does not belong to the packet.
    EspIcvInvalid = "ESP inbound processing" / "icvInvalid",
    /// The padding is not 1, 2, 3 and so on.
    PaddingInvalid = "ESP inbound processing" / "paddingInvalid",
    /// The sequence number was seen before or is too old.
    EspReplayedPacket = "ESP inbound processing" / "replayedPacket",
    /// An arriving packet began to be verified.
    EspInHashStart = "ESP inbound processing" / "hashStart",
    /// The engine refused it.
    EspInHashFailImm = "ESP inbound processing" / "hashFailImm",
    /// It came back after its SA was gone.
    EspInHashDoneGetSaFail = "ESP inbound processing" / "hashDoneGetSaFail",
    /// It came back failed from the hash.
    EspInHashFail = "ESP inbound processing" / "hashFail",
    /// It came back when its SA was being removed.
    EspInHashDoneSaBadState = "ESP inbound processing" / "hashDoneSaBadState",
    /// Its hash was computed.
    EspInHashGood = "ESP inbound processing" / "hashGood",
    /// An arriving packet began to be deciphered.
    DecryptionStart = "ESP inbound processing" / "decryptionStart",
    /// The engine refused it.
    DecryptionFailImm = "ESP inbound processing" / "decryptionFailImm",
    /// It came back after its SA was gone.
    DecDoneGetSaFail = "ESP inbound processing" / "encDoneGetSaFail",
    /// It came back failed from the cipher.
    DecryptionFail = "ESP inbound processing" / "decryptionFail",
    /// It came back when its SA was being removed.
    DecDoneSaBadState = "ESP inbound processing" / "encDoneSaBadState",
    /// It came back deciphered.
    DecryptionGood = "ESP inbound processing" / "decryptionGood",
    /// A channel was opened for an SA that is gone.
    AhSetupGetSaFailed = "AH setup/remove" / "setupGetSaFailed",
    /// The engine has no channel for an AH SA.
    AhSetupFailed = "AH setup/remove" / "setupFailed",
    /// Both channels of an AH SA are open.
    AhSetupDone = "AH setup/remove" / "setupDone",
    /// An AH SA had no channel to close.
    AhRemoveNothingDone = "AH setup/remove" / "removeNothingDone",
    /// The channels of an AH SA are closed.
    AhRemoveDone = "AH setup/remove" / "removeDone",
    /// A sequence number wrapped.
    AhSeqNumberCycled = "AH outbound processing" / "seqNumberCycled",
    /// A leaving packet began to be authenticated.
    AhOutHashStart = "AH outbound processing" / "hashStart",
    /// The engine refused it.
    AhOutHashFailImm = "AH outbound processing" / "hashFailImm",
    /// It came back after its SA was gone.
    AhOutHashDoneGetSaFail = "AH outbound processing" / "hashDoneGetSaFail",
    /// It came back failed.
    AhOutHashFail = "AH outbound processing" / "hashFail",
    /// It came back when its SA was being removed.
    AhOutHashDoneSaBadState = "AH outbound processing" / "hashDoneSaBadState",
    /// It came back authenticated.
    AhOutHashGood = "AH outbound processing" / "hashGood",
    /// The sequence number was seen before or is too old.
    AhReplayedPacket = "AH inbound processing" / "replayedPacket",
    /// The ICV does not belong to the packet.
    AhIcvInvalid = "AH inbound processing" / "icvInvalid",
    /// The length of AH is not that of its algorithm.
    AhBadPayloadLength = "AH inbound processing" / "badPayloadLength",
    /// An arriving packet began to be verified.
    AhInHashStart = "AH inbound processing" / "hashStart",
    /// The engine refused it.
    AhInHashFailImm = "AH inbound processing" / "hashFailImm",
    /// It came back after its SA was gone.
    AhInHashDoneGetSaFail = "AH inbound processing" / "hashDoneGetSaFail",
    /// It came back failed.
    AhInHashFail = "AH inbound processing" / "hashFail",
    /// It came back when its SA was being removed.
    AhInHashDoneSaBadState = "AH inbound processing" / "hashDoneSaBadState",
    /// Its hash was computed.
    AhInHashGood = "AH inbound processing" / "hashGood",
}
