//! How the screens of counters are laid out, and which names on them stay at 0 for a reason.

use super::{Algorithm, Happened};

/// What SHOW and RESET IPSEC COUNTERS choose by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// AH.
    Ah,
    /// Algorithms.
    Alg,
    /// ESP.
    Esp,
    /// All packets.
    Main,
    /// The SAD.
    Sad,
    /// Bundles that are set up and removed.
    Setup,
    /// The SPD.
    Spd,
}

impl Category {
    /// The category of that word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "AH" => Self::Ah,
            "ALG" => Self::Alg,
            "ESP" => Self::Esp,
            "MAIN" => Self::Main,
            "SAD" => Self::Sad,
            "SETUP" => Self::Setup,
            "SPD" => Self::Spd,
            _ => return None,
        })
    }
}

/// Two names side by side, the second empty where the first stands alone.
pub type Row = [&'static str; 2];

/// What stands under a title.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Names, each with whether it has a column `Failed` beside `Good`.
    Outcomes(&'static [(&'static str, bool)]),
    /// Names in rows.
    Rows(&'static [Row]),
    /// [`Algorithm::ALL`], each under its heading.
    Algorithms,
}

/// A block of SHOW IPSEC COUNTERS.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    /// What [`Happened::printed`] calls it.
    pub key: &'static str,
    /// The title as printed.
    pub title: &'static str,
    /// The category; none is only shown when all are.
    pub category: Option<Category>,
    /// The counters.
    pub body: Body,
}

/// The blocks of SHOW IPSEC COUNTERS, in the order of the screen.
pub const BLOCKS: &[Block] = &[
    Block {
        key: "SAD",
        title: "SAD Counters",
        category: Some(Category::Sad),
        body: Body::Outcomes(&[
            ("Find SA", true),
            ("Get SA", true),
            ("Add SA", false),
            ("Delete SA", true),
        ]),
    },
    Block {
        key: "SPD",
        title: "SPD Counters",
        category: Some(Category::Spd),
        body: Body::Outcomes(&[
            ("policyMatchSelectors", true),
            ("policyAdd", true),
            ("policyGet", true),
            ("policyDelete", true),
            ("policyGetConfig", true),
            ("policySetConfig", true),
            ("policyFindByPeer", true),
            ("saSpecAdd", true),
            ("saSpecGet", true),
            ("saSpecDelete", true),
            ("bundleSpecAdd", true),
            ("bundleSpecGet", true),
            ("bundleSpecDelete", true),
        ]),
    },
    Block {
        key: "Policy Filter",
        title: "Policy Filter Counters",
        category: Some(Category::Spd),
        body: Body::Rows(&[
            ["localAddressMaskFailed", "localAddressRangeFailed"],
            ["remoteAddressMaskFailed", "remoteAddressRangeFailed"],
            ["localPortFailed", "remotePortFailed"],
            ["localNameFailed", "remoteNameFailed"],
            ["transportProtoFailed", ""],
            ["icmpTypeFailed", ""],
            ["neighbourDiscFailed", ""],
        ]),
    },
    Block {
        key: "IPsec bundle setup/remove",
        title: "IPsec bundle setup/remove counters:",
        category: Some(Category::Setup),
        body: Body::Rows(&[
            ["setupGetSaSpecFail", "setupGetPolicyFail"],
            ["setupStarted", "setupSaSetupFailImm"],
            ["setupSaSetupStarted", "setupSaSetupFailed"],
            ["setupDone", "setupFailed"],
            ["setupBundleRemoving", ""],
            ["removeStarted", "removeSaSetupStarted"],
            ["removeDone", ""],
        ]),
    },
    Block {
        key: "IPsec main packet processing",
        title: "IPsec main packet processing counters:",
        category: Some(Category::Main),
        body: Body::Rows(&[
            ["outProcessPkt", "inProcessPkt"],
            ["outNoPolicyFound", "inNoPolicyFound"],
            ["outProcessPktFinished", "inProcessPktFinished"],
        ]),
    },
    Block {
        key: "IPsec over UDP",
        title: "IPsec over UDP Counters",
        category: Some(Category::Main),
        body: Body::Rows(&[
            ["outPkt", "inPkt"],
            ["outPktFail", "inPktBadVersion"],
            ["inPktNoPolicy", ""],
            ["outUdpHeartBeat", "inUdpHeartBeat"],
        ]),
    },
    Block {
        key: "ESP setup/remove",
        title: "ESP setup/remove counters",
        category: Some(Category::Esp),
        body: Body::Rows(&[
            ["setupGetSaFailed", "setupEncSetupFailed"],
            ["setupHashSetupFailImm", "setupEncSetupBundleRm"],
            ["setupFailed", "setupDone"],
            ["removeGetSaFailed", "removeNothingDone"],
            ["removeHashFailImm", "removeDone"],
        ]),
    },
    Block {
        key: "ESP outbound processing",
        title: "ESP outbound processing counters",
        category: Some(Category::Esp),
        body: Body::Rows(&[
            ["bufChainCopy", "seqNumberCycled"],
            ["encryptionStart", "encryptionFailImm"],
            ["encDoneGetSaFail", "encryptionFail"],
            ["encDoneSaBadState", "encryptionGood"],
            ["hashStart", "hashFailImm"],
            ["hashDoneGetSaFail", "hashFail"],
            ["hashDoneSaBadState", "hashGood"],
        ]),
    },
    Block {
        key: "ESP inbound processing",
        title: "ESP inbound processing counters",
        category: Some(Category::Esp),
        body: Body::Rows(&[
            ["bufChainCopy", "icvInvalid"],
            ["paddingInvalid", "replayedPacket"],
            ["hashStart", "hashFailImm"],
            ["hashDoneGetSaFail", "hashFail"],
            ["hashDoneSaBadState", "hashGood"],
            ["decryptionStart", "decryptionFailImm"],
            ["encDoneGetSaFail", "decryptionFail"],
            ["encDoneSaBadState", "decryptionGood"],
        ]),
    },
    Block {
        key: "AH setup/remove",
        title: "AH setup/remove counters",
        category: Some(Category::Ah),
        body: Body::Rows(&[
            ["setupGetSaFailed", "setupFailed"],
            ["setupDone", ""],
            ["removeGetSaFailed", "removeNothingDone"],
            ["removeDone", ""],
        ]),
    },
    Block {
        key: "AH outbound processing",
        title: "AH outbound processing counters",
        category: Some(Category::Ah),
        body: Body::Rows(&[
            ["bufChainCopy", ""],
            ["seqNumberCycled", "fragmentSeen"],
            ["hashStart", "hashFailImm"],
            ["hashDoneGetSaFail", "hashFail"],
            ["hashDoneSaBadState", "hashGood"],
        ]),
    },
    Block {
        key: "AH inbound processing",
        title: "AH inbound processing counters",
        category: Some(Category::Ah),
        body: Body::Rows(&[
            ["bufChainCopy", "replayedPacket"],
            ["icvInvalid", "badPayloadLength"],
            ["hashStart", "hashFailImm"],
            ["hashDoneGetSaFail", "hashFail"],
            ["hashDoneSaBadState", "hashGood"],
        ]),
    },
    Block {
        key: "COMP setup/remove",
        title: "COMP setup/remove counters:",
        category: None,
        body: Body::Rows(&[
            ["setupGetSaFailed", "setupFailed"],
            ["setupDone", ""],
            ["removeGetSaFailed", "removeNothingDone"],
            ["removeDone", ""],
        ]),
    },
    Block {
        key: "COMP outbound processing",
        title: "COMP outbound processing counters:",
        category: None,
        body: Body::Rows(&[
            ["bufChainCopy", ""],
            ["compTooSmall", "compFragment"],
            ["nonExpansionBackoff", "dataExpansion"],
            ["compressionStart", "compressionFailImm"],
            ["compDoneGetSaFail", "compressionFail"],
            ["compDoneSaBadState", "compressionGood"],
        ]),
    },
    Block {
        key: "COMP inbound processing",
        title: "COMP inbound processing counters:",
        category: None,
        body: Body::Rows(&[
            ["bufChainCopy", ""],
            ["decompressionStart", "decompressionFailImm"],
            ["decompDoneGetSaFail", "decompressionFail"],
            ["decompDoneSaBadState", "decompressionGood"],
        ]),
    },
    Block {
        key: "General Algorithm",
        title: "General Algorithm Counters",
        category: Some(Category::Alg),
        body: Body::Algorithms,
    },
];

/// The blocks of SHOW IPSEC POLICY COUNTERS: titles and names.
pub const POLICY_BLOCKS: &[(&str, &[Row])] = &[
    (
        "Setup/Remove Counters:",
        &[
            ["setupStarted", "setupSaSetupFailImm"],
            ["setupSaSetupStarted", "setupSaSetupFailed"],
            ["setupDone", "setupFailed"],
            ["removeStarted", "removeSaSetupStarted"],
            ["removeDone", ""],
        ],
    ),
    (
        "Outbound Packet Processing Counters:",
        &[
            ["outDeny", "outPermit"],
            ["outNoBundle", "outNoBundleFail"],
            ["outMakeSetupStrctFail", "outSetupBundleFail"],
            ["outBundleSoftExpire", "outBundleExpire"],
            ["outProcessStart", "outProcessFailImm"],
            ["outBundleStateBad", "outProcessFail"],
            ["outProcessDone", ""],
        ],
    ),
    (
        "Inbound Packet Processing Counters:",
        &[
            ["inDeny", "inPermit"],
            ["inCompUncompressed", "inActionIpsecFail"],
            ["inBundleStateBad", "inNotFirstSaInBundle"],
            ["inProcessStart", "inProcessFailImm"],
            ["inProcessFail", "inProcessDone"],
            ["inEndOfBundle", "inPrematureEndBundle"],
            ["inBundleSaMatchFail", "inPolicyActionFail"],
            ["inPolSelectMatchFail", "inBundleReplaced"],
            ["inBundleSoftExpire", "inBundleExpire"],
        ],
    ),
];

/// A line of SHOW IPSEC SA COUNTERS.
#[derive(Clone, Copy, Debug)]
pub enum SaLine {
    /// A title, with a blank line in front.
    Title(&'static str),
    /// A heading.
    Heading(&'static str),
    /// Names with their events; none for what cannot happen.
    Cells([(&'static str, Option<Happened>); 2]),
}

/// The lines of SHOW IPSEC SA COUNTERS for one SA.
pub const SA_LINES: &[SaLine] = &{
    use Happened as H;
    [
        SaLine::Title("Outbound packet processing counters:"),
        SaLine::Cells([
            ("outProcessStart", Some(H::OutProcessStart)),
            ("outProcessFailImm", Some(H::OutProcessFailImm)),
        ]),
        SaLine::Cells([
            ("outProcessFail", Some(H::OutProcessFail)),
            ("outProcessDone", Some(H::OutProcessDone)),
        ]),
        SaLine::Heading("ESP:"),
        SaLine::Cells([("espOutBufChainCopy", None), ("", None)]),
        SaLine::Cells([
            ("espEncryptionStart", Some(H::EncryptionStart)),
            ("espEncryptionFailImm", Some(H::EncryptionFailImm)),
        ]),
        SaLine::Cells([
            ("espEncryptionFail", Some(H::EncryptionFail)),
            ("espEncryptionGood", Some(H::EncryptionGood)),
        ]),
        SaLine::Cells([
            ("espOutHashStart", Some(H::EspOutHashStart)),
            ("espOutHashFailImm", Some(H::EspOutHashFailImm)),
        ]),
        SaLine::Cells([
            ("espOutHashFail", Some(H::EspOutHashFail)),
            ("espOutHashGood", Some(H::EspOutHashGood)),
        ]),
        SaLine::Heading("AH:"),
        SaLine::Cells([("ahOutBufChainCopy", None), ("", None)]),
        SaLine::Cells([
            ("ahSeqNumberCycled", Some(H::AhSeqNumberCycled)),
            ("ahFragmentSeen", None),
        ]),
        SaLine::Cells([
            ("ahOutHashStart", Some(H::AhOutHashStart)),
            ("ahOutHashFailImm", Some(H::AhOutHashFailImm)),
        ]),
        SaLine::Cells([
            ("ahOutHashFail", Some(H::AhOutHashFail)),
            ("ahOutHashGood", Some(H::AhOutHashGood)),
        ]),
        SaLine::Heading("IPCOMP:"),
        SaLine::Cells([("compOutBufChainCopy", None), ("", None)]),
        SaLine::Cells([("compTooSmall", None), ("compFragment", None)]),
        SaLine::Cells([("nonExpansionBackoff", None), ("dataExpansion", None)]),
        SaLine::Cells([("compressionStart", None), ("compressionFailImm", None)]),
        SaLine::Cells([("compressionFail", None), ("compressionGood", None)]),
        SaLine::Title("Inbound packet processing counters:"),
        SaLine::Cells([
            ("inProcessStart", Some(H::InProcessStart)),
            ("inProcessFailImm", Some(H::InProcessFailImm)),
        ]),
        SaLine::Cells([
            ("inProcessFail", Some(H::InProcessFail)),
            ("inProcessDone", Some(H::InProcessDone)),
        ]),
        SaLine::Heading("ESP:"),
        SaLine::Cells([
            ("espInBufChainCopy", None),
            ("espReplayedPacket", Some(H::EspReplayedPacket)),
        ]),
        SaLine::Cells([
            ("espInHashStart", Some(H::EspInHashStart)),
            ("espInHashFailImm", Some(H::EspInHashFailImm)),
        ]),
        SaLine::Cells([
            ("espInHashFail", Some(H::EspInHashFail)),
            ("espInHashGood", Some(H::EspInHashGood)),
        ]),
        SaLine::Cells([
            ("espDecryptionStart", Some(H::DecryptionStart)),
            ("espDecryptionFailImm", Some(H::DecryptionFailImm)),
        ]),
        SaLine::Cells([
            ("espDecryptionFail", Some(H::DecryptionFail)),
            ("espDecryptionGood", Some(H::DecryptionGood)),
        ]),
        SaLine::Cells([
            ("espIcvInvalid", Some(H::EspIcvInvalid)),
            ("espPaddingInvalid", Some(H::PaddingInvalid)),
        ]),
        SaLine::Heading("AH:"),
        SaLine::Cells([
            ("ahInBufChainCopy", None),
            ("ahReplayedPacket", Some(H::AhReplayedPacket)),
        ]),
        SaLine::Cells([
            ("ahBadPayloadLength", Some(H::AhBadPayloadLength)),
            ("ahIcvInvalid", Some(H::AhIcvInvalid)),
        ]),
        SaLine::Cells([
            ("ahInHashStart", Some(H::AhInHashStart)),
            ("ahInHashFailImm", Some(H::AhInHashFailImm)),
        ]),
        SaLine::Cells([
            ("ahInHashFail", Some(H::AhInHashFail)),
            ("ahInHashGood", Some(H::AhInHashGood)),
        ]),
        SaLine::Heading("IPCOMP:"),
        SaLine::Cells([("compInBufChainCopy", None), ("", None)]),
        SaLine::Cells([("decompressionStart", None), ("decompressionFailImm", None)]),
        SaLine::Cells([("decompressionFail", None), ("decompressionGood", None)]),
    ]
};

/// Why a counter that the screens print always is 0; none where it can be raised.
#[must_use]
pub fn never(block: &str, name: &str) -> Option<&'static str> {
    let algorithms = [
        Algorithm::TripleDesInner,
        Algorithm::TripleDes2Key,
        Algorithm::DesMac,
        Algorithm::Lzs,
    ];
    let lacks = |algorithm: &Algorithm| algorithm.printed().0 == block;
    Some(match name {
        "outMakeSetupStrctFail" => "a set-up needs no structure of its own",
        "localNameFailed" | "remoteNameFailed" => "negotiation compares names, no packet has one",
        "icmpTypeFailed" => "the only ICMP types a policy names count as neighbourDiscFailed",
        "inPolicyActionFail" => "a policy that is no longer ACTION=IPSEC has no SAs left",
        "fragmentSeen" => "fragments are put together in front of IPsec",
        "removeGetSaFailed" => "the entry of an SA outlives its channels",
        "removeHashFailImm" => "an engine cannot refuse to close a channel",
        _ if name.ends_with("ufChainCopy") => "a packet always lies in one buffer",
        _ if name.ends_with("GetInfoFail") => "an SA that is gone cannot tell its algorithm",
        _ if block.starts_with("COMP") || name == "inCompUncompressed" => "there is no IPComp",
        _ if algorithms.iter().any(lacks) => "there is no such algorithm",
        _ => return None,
    })
}
