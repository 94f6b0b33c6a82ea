//! What happened, counted once per place: globally, per policy and per SA.

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
    OutActionDeny = "Policy" / "outActionDeny",
    /// A PERMIT policy selected a leaving packet.
    OutActionPermit = "Policy" / "outActionPermit",
    /// An IPSEC policy selected a leaving packet.
    OutActionIpsec = "Policy" / "outActionIpsec",
    /// A DENY policy selected an arriving packet.
    InActionDeny = "Policy" / "inActionDeny",
    /// A PERMIT policy selected an arriving packet.
    InActionPermit = "Policy" / "inActionPermit",
    /// An IPSEC policy selected a clear arriving packet.
    InActionIpsecFail = "Policy" / "inActionIpsecFail",
    /// No bundle yet for a leaving packet.
    OutNoBundle = "Policy" / "outNoBundle",
    /// A leaving packet was discarded for want of a bundle.
    OutNoBundleFail = "Policy" / "outNoBundleFail",
    /// A leaving packet met a bundle that is not valid.
    OutBundleStateBad = "Policy" / "outBundleStateBad",
    /// A soft limit was reached.
    OutBundleSoftExpire = "Policy" / "outBundleSoftExpire",
    /// A hard limit was reached.
    OutBundleExpire = "Policy" / "outBundleExpire",
    /// An opened packet does not fit the policy.
    InPolSelectMatchFail = "Policy" / "inPolSelectMatchFail",
    /// The first packet on a new bundle retired the old one.
    InBundleReplaced = "Policy" / "inBundleReplaced",
    /// A bundle was begun.
    SetupStarted = "IPsec bundle setup/remove" / "setupStarted",
    /// A bundle became valid.
    SetupDone = "IPsec bundle setup/remove" / "setupDone",
    /// A bundle could not be set up.
    SetupFailed = "IPsec bundle setup/remove" / "setupFailed",
    /// A bundle's removal began.
    RemoveStarted = "IPsec bundle setup/remove" / "removeStarted",
    /// A bundle is gone.
    RemoveDone = "IPsec bundle setup/remove" / "removeDone",
    /// An inbound SPI was found.
    FindSaGood = "SAD" / "Find SA Good",
    /// An inbound SPI is unknown.
    FindSaFailed = "SAD" / "Find SA Failed",
    /// An SA was added.
    AddSa = "SAD" / "Add SA",
    /// An SA was deleted.
    DeleteSa = "SAD" / "Delete SA",
    /// A sequence number wrapped.
    SeqNumberCycled = "ESP outbound processing" / "seqNumberCycled",
    /// A packet was given to the engine for sealing.
    EncryptionStart = "ESP outbound processing" / "encryptionStart",
    /// The engine refused it.
    EncryptionFailImm = "ESP outbound processing" / "encryptionFailImm",
    /// It came back after its SA was gone.
    EncDoneGetSaFail = "ESP outbound processing" / "encDoneGetSaFail",
    /// It came back failed from the cipher.
    EncryptionFail = "ESP outbound processing" / "encryptionFail",
    /// It came back failed from the hash.
    OutHashFail = "ESP outbound processing" / "hashFail",
    /// It came back sealed.
    EncryptionGood = "ESP outbound processing" / "encryptionGood",
    /// The ICV does not belong to the packet.
    IcvInvalid = "ESP inbound processing" / "icvInvalid",
    /// The padding is not 1, 2, 3 and so on.
    PaddingInvalid = "ESP inbound processing" / "paddingInvalid",
    /// The sequence number was seen before or is too old.
    ReplayedPacket = "ESP inbound processing" / "replayedPacket",
    /// A packet was given to the engine for opening.
    DecryptionStart = "ESP inbound processing" / "decryptionStart",
    /// The engine refused it.
    DecryptionFailImm = "ESP inbound processing" / "decryptionFailImm",
    /// It came back after its SA was gone.
    DecDoneGetSaFail = "ESP inbound processing" / "encDoneGetSaFail",
    /// It came back failed.
    DecryptionFail = "ESP inbound processing" / "decryptionFail",
    /// It came back opened.
    DecryptionGood = "ESP inbound processing" / "decryptionGood",
}
