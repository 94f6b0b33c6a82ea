//! Every event that is counted, with the blocks of SHOW IPSEC COUNTERS.

use crate::counters;

counters! {
    /// An event that is counted. What it counts globally is in its own blocks, in the order of the
    /// screen; what it counts for a policy and for an SA in [`Happened::POLICY_BLOCKS`]
    /// and [`Happened::SA_BLOCKS`].
    pub enum Happened;

    block "SAD Counters" of "SAD" {
        "Find SA" {
            /// An inbound SPI was found.
            FindSaGood "Good",
            /// An inbound SPI is unknown.
            FindSaFailed "Failed",
        }
        "Get SA" {
            /// The SA of a packet that came back from the engine is still there.
            GetSaGood "Good",
            /// It is not.
            GetSaFailed "Failed",
        }
        "Add SA" {
            /// An SA was added.
            AddSa "Good",
        }
        "Delete SA" {
            /// An SA was deleted.
            DeleteSa "Good",
            /// An SA was to be deleted that is not there.
            DeleteSaFailed "Failed",
        }
    }

    block "SPD Counters" of "SPD" {
        "policyMatchSelectors" {
            /// A packet was selected.
            PolicyMatchGood "Good",
            /// A selector of a policy differed.
            PolicyMatchFailed "Failed",
        }
        "policyAdd" {
            /// A policy was created.
            PolicyAdd "Good",
            /// A policy could not be created.
            PolicyAddFailed "Failed",
        }
        "policyGet" {
            /// A command named a policy that is there.
            PolicyGet "Good",
            /// A command named a policy that is not there.
            PolicyGetFailed "Failed",
        }
        "policyDelete" {
            /// A policy was destroyed.
            PolicyDelete "Good",
            /// A policy could not be destroyed.
            PolicyDeleteFailed "Failed",
        }
        "policyGetConfig" {
            /// A policy was shown.
            PolicyGetConfig "Good",
            /// A policy could not be shown.
            PolicyGetConfigFailed "Failed",
        }
        "policySetConfig" {
            /// A policy was changed.
            PolicySetConfig "Good",
            /// A policy could not be changed.
            PolicySetConfigFailed "Failed",
        }
        "policyFindByPeer" {
            /// The policy of what a peer proposes was found.
            PolicyFindByPeer "Good",
            /// No policy has what a peer proposes.
            PolicyFindByPeerFailed "Failed",
        }
        "saSpecAdd" {
            /// An SA specification was created.
            SaSpecAdd "Good",
            /// An SA specification could not be created.
            SaSpecAddFailed "Failed",
        }
        "saSpecGet" {
            /// A command named an SA specification that is there.
            SaSpecGet "Good",
            /// A command named an SA specification that is not there.
            SaSpecGetFailed "Failed",
        }
        "saSpecDelete" {
            /// An SA specification was destroyed.
            SaSpecDelete "Good",
            /// An SA specification could not be destroyed.
            SaSpecDeleteFailed "Failed",
        }
        "bundleSpecAdd" {
            /// A bundle specification was created.
            BundleSpecAdd "Good",
            /// A bundle specification could not be created.
            BundleSpecAddFailed "Failed",
        }
        "bundleSpecGet" {
            /// A command named a bundle specification that is there.
            BundleSpecGet "Good",
            /// A command named a bundle specification that is not there.
            BundleSpecGetFailed "Failed",
        }
        "bundleSpecDelete" {
            /// A bundle specification was destroyed.
            BundleSpecDelete "Good",
            /// A bundle specification could not be destroyed.
            BundleSpecDeleteFailed "Failed",
        }
    }

    block "Policy Filter Counters" of "SPD" {
        {
            /// LADDRESS, an address or a prefix, differed.
            LocalAddressFailed "localAddressMaskFailed",
            /// LADDRESS, a range, differed.
            LocalAddressRangeFailed "localAddressRangeFailed",
        }
        {
            /// RADDRESS, an address or a prefix, differed.
            RemoteAddressFailed "remoteAddressMaskFailed",
            /// RADDRESS, a range, differed.
            RemoteAddressRangeFailed "remoteAddressRangeFailed",
        }
        {
            /// LPORT differed.
            LocalPortFailed "localPortFailed",
            /// RPORT differed.
            RemotePortFailed "remotePortFailed",
        }
        { LocalNameFailed "localNameFailed", RemoteNameFailed "remoteNameFailed" }
        {
            /// TRANSPORTPROTOCOL differed.
            TransportProtoFailed "transportProtoFailed",
        }
        { IcmpTypeFailed "icmpTypeFailed" }
        {
            /// ICMPTYPE differed.
            NeighbourDiscFailed "neighbourDiscFailed",
        }
    }

    block "IPsec bundle setup/remove counters:" of "SETUP" {
        {
            /// A bundle names an SA specification that is not there.
            SetupGetSaSpecFail "setupGetSaSpecFail",
            /// A bundle was to be begun for a policy that is not there.
            SetupGetPolicyFail "setupGetPolicyFail",
        }
        {
            /// A bundle was begun.
            SetupStarted "setupStarted",
            /// An SA of it could not even be begun.
            SetupSaSetupFailImm "setupSaSetupFailImm",
        }
        {
            /// An SA of it was begun.
            SetupSaSetupStarted "setupSaSetupStarted",
            /// An SA of it failed.
            SetupSaSetupFailed "setupSaSetupFailed",
        }
        {
            /// A bundle became valid.
            SetupDone "setupDone",
            /// A bundle could not be set up.
            SetupFailed "setupFailed",
        }
        {
            /// A bundle was removed while it was being set up.
            SetupBundleRemoving "setupBundleRemoving",
        }
        {
            /// A bundle's removal began.
            RemoveStarted "removeStarted",
            /// The removal of an SA of it began.
            RemoveSaSetupStarted "removeSaSetupStarted",
        }
        {
            /// A bundle is gone.
            RemoveDone "removeDone",
        }
    }

    block "IPsec main packet processing counters:" of "MAIN" {
        {
            /// A packet leaves by an interface with policies.
            OutProcessPkt "outProcessPkt",
            /// A packet arrives at an interface with policies.
            InProcessPkt "inProcessPkt",
        }
        {
            /// No policy selected a leaving packet.
            OutNoPolicyFound "outNoPolicyFound",
            /// No policy selected an arriving packet.
            InNoPolicyFound "inNoPolicyFound",
        }
        {
            /// A leaving packet was sealed.
            OutProcessPktFinished "outProcessPktFinished",
            /// An arriving packet was opened.
            InProcessPktFinished "inProcessPktFinished",
        }
    }

    block "IPsec over UDP Counters" of "MAIN" {
        {
            /// An ESP packet left inside UDP.
            OutUdpPkt "outPkt",
            /// An ESP packet arrived inside UDP.
            InUdpPkt "inPkt",
        }
        {
            /// An ESP packet that was to leave inside UDP was not finished.
            OutUdpPktFail "outPktFail",
            /// What arrived at the tunnel's port is of no known version.
            InPktBadVersion "inPktBadVersion",
        }
        {
            /// The SA of what arrived in UDP belongs to a policy without such a tunnel.
            InPktNoPolicy "inPktNoPolicy",
        }
        {
            /// A heartbeat or keepalive is to be sent.
            OutUdpHeartBeat "outUdpHeartBeat",
            /// A heartbeat or keepalive arrived.
            InUdpHeartBeat "inUdpHeartBeat",
        }
    }

    block "ESP setup/remove counters" of "ESP" {
        {
            /// A channel was opened for an SA that is gone.
            EspSetupGetSaFailed "setupGetSaFailed",
            /// The engine has no channel for an ESP SA that enciphers.
            EspSetupEncSetupFailed "setupEncSetupFailed",
        }
        {
            /// The engine has no channel for an ESP SA that only authenticates.
            EspSetupHashSetupFailImm "setupHashSetupFailImm",
            /// A bundle was removed while a channel for an ESP SA of it was opened.
            EspSetupEncSetupBundleRm "setupEncSetupBundleRm",
        }
        {
            /// The engine has no channel for an ESP SA.
            EspSetupFailed "setupFailed",
            /// Both channels of an ESP SA are open.
            EspSetupDone "setupDone",
        }
        {
            /// A channel was closed whose SA is gone.
            EspRemoveGetSaFailed "removeGetSaFailed",
            /// An ESP SA had no channel to close.
            EspRemoveNothingDone "removeNothingDone",
        }
        {
            EspRemoveHashFailImm "removeHashFailImm",
            /// The channels of an ESP SA are closed.
            EspRemoveDone "removeDone",
        }
    }

    block "ESP outbound processing counters" of "ESP" {
        {
            EspOutBufChainCopy "bufChainCopy",
            /// A sequence number wrapped.
            EspSeqNumberCycled "seqNumberCycled",
        }
        {
            /// A leaving packet began to be enciphered.
            EncryptionStart "encryptionStart",
            /// The engine refused it.
            EncryptionFailImm "encryptionFailImm",
        }
        {
            /// It came back after its SA was gone.
            EncDoneGetSaFail "encDoneGetSaFail",
            /// It came back failed from the cipher.
            EncryptionFail "encryptionFail",
        }
        {
            /// It came back when its SA was being removed.
            EncDoneSaBadState "encDoneSaBadState",
            /// It came back enciphered.
            EncryptionGood "encryptionGood",
        }
        {
            /// A leaving packet began to be authenticated.
            EspOutHashStart "hashStart",
            /// The engine refused it.
            EspOutHashFailImm "hashFailImm",
        }
        {
            /// It came back after its SA was gone.
            EspOutHashDoneGetSaFail "hashDoneGetSaFail",
            /// It came back failed from the hash.
            EspOutHashFail "hashFail",
        }
        {
            /// It came back when its SA was being removed.
            EspOutHashDoneSaBadState "hashDoneSaBadState",
            /// It came back authenticated.
            EspOutHashGood "hashGood",
        }
    }

    block "ESP inbound processing counters" of "ESP" {
        {
            EspInBufChainCopy "bufChainCopy",
            /// The ICV does not belong to the packet.
            EspIcvInvalid "icvInvalid",
        }
        {
            /// The padding is not 1, 2, 3 and so on.
            PaddingInvalid "paddingInvalid",
            /// The sequence number was seen before or is too old.
            EspReplayedPacket "replayedPacket",
        }
        {
            /// An arriving packet began to be verified.
            EspInHashStart "hashStart",
            /// The engine refused it.
            EspInHashFailImm "hashFailImm",
        }
        {
            /// It came back after its SA was gone.
            EspInHashDoneGetSaFail "hashDoneGetSaFail",
            /// It came back failed from the hash.
            EspInHashFail "hashFail",
        }
        {
            /// It came back when its SA was being removed.
            EspInHashDoneSaBadState "hashDoneSaBadState",
            /// Its hash was computed.
            EspInHashGood "hashGood",
        }
        {
            /// An arriving packet began to be deciphered.
            DecryptionStart "decryptionStart",
            /// The engine refused it.
            DecryptionFailImm "decryptionFailImm",
        }
        {
            /// It came back after its SA was gone.
            DecDoneGetSaFail "encDoneGetSaFail",
            /// It came back failed from the cipher.
            DecryptionFail "decryptionFail",
        }
        {
            /// It came back when its SA was being removed.
            DecDoneSaBadState "encDoneSaBadState",
            /// It came back deciphered.
            DecryptionGood "decryptionGood",
        }
    }

    block "AH setup/remove counters" of "AH" {
        {
            /// A channel was opened for an SA that is gone.
            AhSetupGetSaFailed "setupGetSaFailed",
            /// The engine has no channel for an AH SA.
            AhSetupFailed "setupFailed",
        }
        {
            /// Both channels of an AH SA are open.
            AhSetupDone "setupDone",
        }
        {
            /// A channel was closed whose SA is gone.
            AhRemoveGetSaFailed "removeGetSaFailed",
            /// An AH SA had no channel to close.
            AhRemoveNothingDone "removeNothingDone",
        }
        {
            /// The channels of an AH SA are closed.
            AhRemoveDone "removeDone",
        }
    }

    block "AH outbound processing counters" of "AH" {
        { AhOutBufChainCopy "bufChainCopy" }
        {
            /// A sequence number wrapped.
            AhSeqNumberCycled "seqNumberCycled",
            /// A fragment was to be authenticated.
            AhFragmentSeen "fragmentSeen",
        }
        {
            /// A leaving packet began to be authenticated.
            AhOutHashStart "hashStart",
            /// The engine refused it.
            AhOutHashFailImm "hashFailImm",
        }
        {
            /// It came back after its SA was gone.
            AhOutHashDoneGetSaFail "hashDoneGetSaFail",
            /// It came back failed.
            AhOutHashFail "hashFail",
        }
        {
            /// It came back when its SA was being removed.
            AhOutHashDoneSaBadState "hashDoneSaBadState",
            /// It came back authenticated.
            AhOutHashGood "hashGood",
        }
    }

    block "AH inbound processing counters" of "AH" {
        {
            AhInBufChainCopy "bufChainCopy",
            /// The sequence number was seen before or is too old.
            AhReplayedPacket "replayedPacket",
        }
        {
            /// The ICV does not belong to the packet.
            AhIcvInvalid "icvInvalid",
            /// The length of AH is not that of its algorithm.
            AhBadPayloadLength "badPayloadLength",
        }
        {
            /// An arriving packet began to be verified.
            AhInHashStart "hashStart",
            /// The engine refused it.
            AhInHashFailImm "hashFailImm",
        }
        {
            /// It came back after its SA was gone.
            AhInHashDoneGetSaFail "hashDoneGetSaFail",
            /// It came back failed.
            AhInHashFail "hashFail",
        }
        {
            /// It came back when its SA was being removed.
            AhInHashDoneSaBadState "hashDoneSaBadState",
            /// Its hash was computed.
            AhInHashGood "hashGood",
        }
    }

    block "COMP setup/remove counters:" of "" {
        { CompSetupGetSaFailed "setupGetSaFailed", CompSetupFailed "setupFailed" }
        { CompSetupDone "setupDone" }
        { CompRemoveGetSaFailed "removeGetSaFailed", CompRemoveNothingDone "removeNothingDone" }
        { CompRemoveDone "removeDone" }
    }

    block "COMP outbound processing counters:" of "" {
        { CompOutBufChainCopy "bufChainCopy" }
        { CompTooSmall "compTooSmall", CompFragment "compFragment" }
        { NonExpansionBackoff "nonExpansionBackoff", DataExpansion "dataExpansion" }
        { CompressionStart "compressionStart", CompressionFailImm "compressionFailImm" }
        { CompDoneGetSaFail "compDoneGetSaFail", CompressionFail "compressionFail" }
        { CompDoneSaBadState "compDoneSaBadState", CompressionGood "compressionGood" }
    }

    block "COMP inbound processing counters:" of "" {
        { CompInBufChainCopy "bufChainCopy" }
        { DecompressionStart "decompressionStart", DecompressionFailImm "decompressionFailImm" }
        { DecompDoneGetSaFail "decompDoneGetSaFail", DecompressionFail "decompressionFail" }
        { DecompDoneSaBadState "decompDoneSaBadState", DecompressionGood "decompressionGood" }
    }

    block "General Algorithm Counters" of "ALG" {
        { NullKeymatProcessed "nullKeymatProcessed" }
        "DES:" {}
        { DesKeymatProcessed "desKeymatProcessed" }
        { DesAttachFail "desAttachFail", DesAttachGood "desAttachGood" }
        { DesConfigureFail "desConfigureFail", DesConfigureGood "desConfigureGood" }
        { DesRemove "desRemove", DesDetached "desDetached" }
        { DesEncodeGood "desEncodeGood", DesDecodeGood "desDecodeGood" }
        { DesEncodeFail "desEncodeFail", DesDecodeFail "desDecodeFail" }
        { DesEncodeDiscard "desEncodeDiscard", DesDecodeDiscard "desDecodeDiscard" }
        { DesEncodeGetInfoFail "desEncodeGetInfoFail" }
        "TRIPLE DES INNER:" {}
        { TripleDesInnerKeymatProcessed "3DesInnerKeymatProcessed" }
        { TripleDesInnerAttachFail "3DesInnerAttachFail", TripleDesInnerAttachGood "3DesInnerAttachGood" }
        { TripleDesInnerConfigureFail "3DesInnerConfigureFail", TripleDesInnerConfigureGood "3DesInnerConfigureGood" }
        { TripleDesInnerRemove "3DesInnerRemove", TripleDesInnerDetached "3DesInnerDetached" }
        { TripleDesInnerEncodeGood "3DesInnerEncodeGood", TripleDesInnerDecodeGood "3DesInnerDecodeGood" }
        { TripleDesInnerEncodeFail "3DesInnerEncodeFail", TripleDesInnerDecodeFail "3DesInnerDecodeFail" }
        { TripleDesInnerEncodeDiscard "3DesInnerEncodeDiscard", TripleDesInnerDecodeDiscard "3DesInnerDecodeDiscard" }
        { TripleDesInnerEncGetInfoFail "3DesInnerEncGetInfoFail" }
        "TRIPLE DES OUTER:" {}
        { TripleDesOuterKeymatProcessed "3DesOuterKeymatProcessed" }
        { TripleDesOuterAttachFail "3DesOuterAttachFail", TripleDesOuterAttachGood "3DesOuterAttachGood" }
        { TripleDesOuterConfigureFail "3DesOuterConfigureFail", TripleDesOuterConfigureGood "3DesOuterConfigureGood" }
        { TripleDesOuterRemove "3DesOuterRemove", TripleDesOuterDetached "3DesOuterDetached" }
        { TripleDesOuterEncodeGood "3DesOuterEncodeGood", TripleDesOuterDecodeGood "3DesOuterDecodeGood" }
        { TripleDesOuterEncodeFail "3DesOuterEncodeFail", TripleDesOuterDecodeFail "3DesOuterDecodeFail" }
        { TripleDesOuterEncodeDiscard "3DesOuterEncodeDiscard", TripleDesOuterDecodeDiscard "3DesOuterDecodeDiscard" }
        { TripleDesOuterEncGetInfoFail "3DesOuterEncGetInfoFail" }
        "TRIPLE DES 2KEY:" {}
        { TripleDes2KeyKeymatProcessed "3Des2KeyKeymatProcessed" }
        { TripleDes2KeyAttachFail "3Des2KeyAttachFail", TripleDes2KeyAttachGood "3Des2KeyAttachGood" }
        { TripleDes2KeyConfigureFail "3Des2KeyConfigureFail", TripleDes2KeyConfigureGood "3Des2KeyConfigureGood" }
        { TripleDes2KeyRemove "3Des2KeyRemove", TripleDes2KeyDetached "3Des2KeyDetached" }
        { TripleDes2KeyEncodeGood "3Des2KeyEncodeGood", TripleDes2KeyDecodeGood "3Des2KeyDecodeGood" }
        { TripleDes2KeyEncodeFail "3Des2KeyEncodeFail", TripleDes2KeyDecodeFail "3Des2KeyDecodeFail" }
        { TripleDes2KeyEncodeDiscard "3Des2KeyEncodeDiscard", TripleDes2KeyDecodeDiscard "3Des2KeyDecodeDiscard" }
        { TripleDes2KeyEncGetInfoFail "3Des2KeyEncGetInfoFail" }
        "AES:" {}
        { AesKeymatProcessed "aesKeymatProcessed" }
        { AesAttachFail "aesAttachFail", AesAttachGood "aesAttachGood" }
        { AesConfigureFail "aesConfigureFail", AesConfigureGood "aesConfigureGood" }
        { AesRemove "aesRemove", AesDetached "aesDetached" }
        { AesEncodeGood "aesEncodeGood", AesDecodeGood "aesDecodeGood" }
        { AesEncodeFail "aesEncodeFail", AesDecodeFail "aesDecodeFail" }
        { AesEncodeDiscard "aesEncodeDiscard", AesDecodeDiscard "aesDecodeDiscard" }
        { AesEncodeGetInfoFail "aesEncodeGetInfoFail" }
        "SHA:" {}
        { ShaKeymatProcessed "shaKeymatProcessed" }
        { ShaAttachFail "shaAttachFail", ShaAttachGood "shaAttachGood" }
        { ShaConfigureFail "shaConfigureFail", ShaConfigureGood "shaConfigureGood" }
        { ShaRemove "shaRemove", ShaDetached "shaDetached" }
        { ShaEncodeGood "shaEncodeGood", ShaDecodeGood "shaDecodeGood" }
        { ShaEncodeFail "shaEncodeFail", ShaDecodeFail "shaDecodeFail" }
        { ShaEncodeDiscard "shaEncodeDiscard", ShaDecodeDiscard "shaDecodeDiscard" }
        "MD5:" {}
        { Md5KeymatProcessed "md5KeymatProcessed" }
        { Md5AttachFail "md5AttachFail", Md5AttachGood "md5AttachGood" }
        { Md5ConfigureFail "md5ConfigureFail", Md5ConfigureGood "md5ConfigureGood" }
        { Md5Remove "md5Remove", Md5Detached "md5Detached" }
        { Md5EncodeGood "md5EncodeGood", Md5DecodeGood "md5DecodeGood" }
        { Md5EncodeFail "md5EncodeFail", Md5DecodeFail "md5DecodeFail" }
        { Md5EncodeDiscard "md5EncodeDiscard", Md5DecodeDiscard "md5DecodeDiscard" }
        "DES-MAC:" {}
        { DesmacKeymatProcessed "desmacKeymatProcessed" }
        { DesmacAttachFail "desmacAttachFail", DesmacAttachGood "desmacAttachGood" }
        { DesmacConfigureFail "desmacConfigureFail", DesmacConfigureGood "desmacConfigureGood" }
        { DesmacRemove "desmacRemove", DesmacDetached "desmacDetached" }
        { DesmacEncodeGood "desmacEncodeGood", DesmacDecodeGood "desmacDecodeGood" }
        { DesmacEncodeFail "desmacEncodeFail", DesmacDecodeFail "desmacDecodeFail" }
        { DesmacEncodeDiscard "desmacEncodeDiscard", DesmacDecodeDiscard "desmacDecodeDiscard" }
        "LZS:" {}
        { LzsKeymatProcessed "lzsKeymatProcessed" }
        { LzsAttachFail "lzsAttachFail", LzsAttachGood "lzsAttachGood" }
        { LzsConfigureFail "lzsConfigureFail", LzsConfigureGood "lzsConfigureGood" }
        { LzsRemove "lzsRemove", LzsDetached "lzsDetached" }
        { LzsEncodeGood "lzsEncodeGood", LzsDecodeGood "lzsDecodeGood" }
        { LzsEncodeFail "lzsEncodeFail", LzsDecodeFail "lzsDecodeFail" }
        { LzsEncodeDiscard "lzsEncodeDiscard", LzsDecodeDiscard "lzsDecodeDiscard" }
    }

    elsewhere {
        /// A DENY policy selected a leaving packet.
        OutActionDeny,
        /// A PERMIT policy selected a leaving packet.
        OutActionPermit,
        /// A DENY policy selected an arriving packet.
        InActionDeny,
        /// A PERMIT policy selected an arriving packet.
        InActionPermit,
        /// IPComp left an arriving packet as it was.
        InCompUncompressed,
        /// An IPSEC policy selected a clear arriving packet.
        InActionIpsecFail,
        /// No bundle yet for a leaving packet.
        OutNoBundle,
        /// A leaving packet was discarded for want of a bundle.
        OutNoBundleFail,
        /// No room for what a bundle is set up from.
        OutMakeSetupStrctFail,
        /// No bundle could be begun for a leaving packet.
        OutSetupBundleFail,
        /// A leaving packet met a bundle that is not valid.
        OutBundleStateBad,
        /// A leaving packet made a bundle reach its soft limit in bytes.
        OutBundleSoftExpire,
        /// A leaving packet made a bundle reach its hard limit.
        OutBundleExpire,
        /// One SA began to work on a leaving packet.
        OutProcessStart,
        /// It could not even begin.
        OutProcessFailImm,
        /// It failed.
        OutProcessFail,
        /// It is done.
        OutProcessDone,
        /// An arriving packet met a bundle that is not valid.
        InBundleStateBad,
        /// An arriving packet began with an SA that is not the outermost of its bundle.
        InNotFirstSaInBundle,
        /// One SA began to work on an arriving packet.
        InProcessStart,
        /// It could not even begin.
        InProcessFailImm,
        /// It failed.
        InProcessFail,
        /// It is done.
        InProcessDone,
        /// A packet still carried IPsec when the bundle had no SA left.
        InEndOfBundle,
        /// A packet came out in clear before all SAs of the bundle were applied.
        InPrematureEndBundle,
        /// The next SA of a packet is not the next one of the bundle.
        InBundleSaMatchFail,
        /// The policy of an opened packet does not ask for IPsec.
        InPolicyActionFail,
        /// An opened packet does not fit the policy.
        InPolSelectMatchFail,
        /// The first packet on a new bundle retired the old one.
        InBundleReplaced,
        /// An arriving packet made a bundle reach its soft limit in bytes.
        InBundleSoftExpire,
        /// An arriving packet made a bundle reach its hard limit.
        InBundleExpire,
    }
}
