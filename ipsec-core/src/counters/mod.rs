//! What happened, counted once per place: globally, per policy and per SA.

mod block;

pub use block::{Block, Layout, Row, Scope, Tally};

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

    /// Sets every counter to zero.
    pub fn reset(&mut self) {
        *self = Self::default();
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
    PolicyMatchGood = "SPD" / "policyMatchSelectors",
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
    /// An IPSEC policy selected a leaving packet.
    OutActionIpsec = "Policy" / "outIpsec",
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
    /// An ESP packet could not be put into UDP.
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
    /// The engine has no channel for an ESP SA.
    EspSetupFailed = "ESP setup/remove" / "setupFailed",
    /// Both channels of an ESP SA are open.
    EspSetupDone = "ESP setup/remove" / "setupDone",
    /// A channel was closed whose SA is gone.
    EspRemoveGetSaFailed = "ESP setup/remove" / "removeGetSaFailed",
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
    /// A channel was closed whose SA is gone.
    AhRemoveGetSaFailed = "AH setup/remove" / "removeGetSaFailed",
    /// An AH SA had no channel to close.
    AhRemoveNothingDone = "AH setup/remove" / "removeNothingDone",
    /// The channels of an AH SA are closed.
    AhRemoveDone = "AH setup/remove" / "removeDone",
    /// A sequence number wrapped.
    AhSeqNumberCycled = "AH outbound processing" / "seqNumberCycled",
    /// A fragment was to be authenticated.
    AhFragmentSeen = "AH outbound processing" / "fragmentSeen",
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

/// The counters of one SA: only what can happen on one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaCounters([u64; SA_EVENTS.len()]);

impl Default for SaCounters {
    fn default() -> Self {
        Self([0; SA_EVENTS.len()])
    }
}

impl SaCounters {
    /// Counts one; what does not happen on SAs is left out.
    pub fn raise(&mut self, happened: Happened) {
        if let Some(counter) = self.0.get_mut(usize::from(sa_place(happened))) {
            *counter = counter.saturating_add(1);
        }
    }

    /// A counter's value.
    #[must_use]
    pub fn get(&self, happened: Happened) -> u64 {
        let place = usize::from(sa_place(happened));
        self.0.get(place).copied().unwrap_or(0)
    }

    /// Sets every counter to zero.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// What is counted per SA, in the order of the screen.
pub const SA_EVENTS: [Happened; 40] = [
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
    Happened::AhFragmentSeen,
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

/// For every event its place among [`SA_EVENTS`], or a place behind them.
const SA_PLACES: [u8; Happened::ALL.len()] = {
    let mut places = [u8::MAX; Happened::ALL.len()];
    let mut place = 0;
    while place < SA_EVENTS.len() {
        places[SA_EVENTS[place] as usize] = place as u8;
        place += 1;
    }
    places
};

fn sa_place(happened: Happened) -> u8 {
    let place = SA_PLACES.get(happened as usize);
    place.copied().unwrap_or(u8::MAX)
}
