//! Counters that are printed and stay zero.

use super::Happened;

impl Happened {
    /// What cannot happen here, and why. The screens print it all the same.
    pub const IMPOSSIBLE: &'static [(&'static str, &'static [Self])] = &[
        (
            "there is no IPComp",
            &[
                Self::CompSetupGetSaFailed,
                Self::CompSetupFailed,
                Self::CompSetupDone,
                Self::CompRemoveGetSaFailed,
                Self::CompRemoveNothingDone,
                Self::CompRemoveDone,
                Self::CompOutBufChainCopy,
                Self::CompTooSmall,
                Self::CompFragment,
                Self::NonExpansionBackoff,
                Self::DataExpansion,
                Self::CompressionStart,
                Self::CompressionFailImm,
                Self::CompDoneGetSaFail,
                Self::CompressionFail,
                Self::CompDoneSaBadState,
                Self::CompressionGood,
                Self::CompInBufChainCopy,
                Self::DecompressionStart,
                Self::DecompressionFailImm,
                Self::DecompDoneGetSaFail,
                Self::DecompressionFail,
                Self::DecompDoneSaBadState,
                Self::DecompressionGood,
                Self::InCompUncompressed,
            ],
        ),
        (
            "there is no such algorithm",
            &[
                Self::TripleDesInnerKeymatProcessed,
                Self::TripleDesInnerAttachFail,
                Self::TripleDesInnerAttachGood,
                Self::TripleDesInnerConfigureFail,
                Self::TripleDesInnerConfigureGood,
                Self::TripleDesInnerRemove,
                Self::TripleDesInnerDetached,
                Self::TripleDesInnerEncodeGood,
                Self::TripleDesInnerDecodeGood,
                Self::TripleDesInnerEncodeFail,
                Self::TripleDesInnerDecodeFail,
                Self::TripleDesInnerEncodeDiscard,
                Self::TripleDesInnerDecodeDiscard,
                Self::TripleDesInnerEncGetInfoFail,
                Self::TripleDes2KeyKeymatProcessed,
                Self::TripleDes2KeyAttachFail,
                Self::TripleDes2KeyAttachGood,
                Self::TripleDes2KeyConfigureFail,
                Self::TripleDes2KeyConfigureGood,
                Self::TripleDes2KeyRemove,
                Self::TripleDes2KeyDetached,
                Self::TripleDes2KeyEncodeGood,
                Self::TripleDes2KeyDecodeGood,
                Self::TripleDes2KeyEncodeFail,
                Self::TripleDes2KeyDecodeFail,
                Self::TripleDes2KeyEncodeDiscard,
                Self::TripleDes2KeyDecodeDiscard,
                Self::TripleDes2KeyEncGetInfoFail,
                Self::DesmacKeymatProcessed,
                Self::DesmacAttachFail,
                Self::DesmacAttachGood,
                Self::DesmacConfigureFail,
                Self::DesmacConfigureGood,
                Self::DesmacRemove,
                Self::DesmacDetached,
                Self::DesmacEncodeGood,
                Self::DesmacDecodeGood,
                Self::DesmacEncodeFail,
                Self::DesmacDecodeFail,
                Self::DesmacEncodeDiscard,
                Self::DesmacDecodeDiscard,
                Self::LzsKeymatProcessed,
                Self::LzsAttachFail,
                Self::LzsAttachGood,
                Self::LzsConfigureFail,
                Self::LzsConfigureGood,
                Self::LzsRemove,
                Self::LzsDetached,
                Self::LzsEncodeGood,
                Self::LzsDecodeGood,
                Self::LzsEncodeFail,
                Self::LzsDecodeFail,
                Self::LzsEncodeDiscard,
                Self::LzsDecodeDiscard,
            ],
        ),
        (
            "an SA that is gone cannot tell its algorithm",
            &[
                Self::DesEncodeGetInfoFail,
                Self::TripleDesOuterEncGetInfoFail,
                Self::AesEncodeGetInfoFail,
            ],
        ),
        (
            "a packet always lies in one buffer",
            &[
                Self::EspOutBufChainCopy,
                Self::EspInBufChainCopy,
                Self::AhOutBufChainCopy,
                Self::AhInBufChainCopy,
            ],
        ),
        (
            "negotiation compares names, no packet has one",
            &[Self::LocalNameFailed, Self::RemoteNameFailed],
        ),
        (
            "the only ICMP types that a policy names count as neighbourDiscFailed",
            &[Self::IcmpTypeFailed],
        ),
        (
            "a set-up needs no structure of its own",
            &[Self::OutMakeSetupStrctFail],
        ),
        (
            "a policy that is no longer ACTION=IPSEC has no SAs left",
            &[Self::InPolicyActionFail],
        ),
        (
            "fragments are joined before AH sees them",
            &[Self::AhFragmentSeen],
        ),
        (
            "a channel whose SA is gone cannot tell its protocol and counts as one of ESP",
            &[Self::AhRemoveGetSaFailed],
        ),
        (
            "an engine cannot refuse to close a channel",
            &[Self::EspRemoveHashFailImm],
        ),
    ];

    /// Why an event cannot happen, if so.
    #[must_use]
    pub const fn impossible(self) -> Option<&'static str> {
        let mut place = 0;
        while place < Self::IMPOSSIBLE.len() {
            let (why, events) = Self::IMPOSSIBLE[place];
            let mut event = 0;
            while event < events.len() {
                if events[event] as usize == self as usize {
                    return Some(why);
                }
                event += 1;
            }
            place += 1;
        }
        None
    }
}
