//! What happens in ISAKMP, counted under the names that SHOW ISAKMP COUNTERS prints.

use ipsec_core::counters::Tally;

use crate::ask::LostBy;
use crate::wire::ExchangeType;

/// The counters of ISAKMP.
pub type Counters = Tally<Happened, { Happened::ALL.len() }>;

ipsec_core::counters! {
    /// What happens in ISAKMP.
    pub enum Happened;
        block "ISAKMP General Counters" of "GENERAL" {
            {
            /// IPsec asked for a bundle.
            Acquire "acquire",
            }
            {
            /// No ISAKMP policy is for the peer of a request.
            AcquireNoPolicy "acquireNoPolicy",
            /// A request met no ISAKMP SA that it could use.
            AcquireNoSa "acquireNoSa",
            }
            {
            /// A request met an equal one that waits.
            AcquireEquivFound "acquireEquivFound",
            /// A request met a quick mode for the same.
            AcqPh2EquivInProgress "acqPh2EquivInProgress",
            }
            {
            /// Phase 1 could not begin for a request.
            AcqPh1XchgStartFailed "acqPh1XchgStartFailed",
            /// Quick mode could not begin for a request.
            AcqPh2XchgStartFailed "acqPh2XchgStartFailed",
            }
            {
            /// A request waits for an ISAKMP SA or for its turn.
            AcquireQueued "acquireQueued",
            /// A peer's name and address disagree.
            AcqPeerAddrNameIncons "acqPeerAddrNameIncons",
            }
            {
            /// PRENEGOTIATE without a policy.
            AcquirePrenegNoPolicy "acquirePrenegNoPolicy",
            }
            {
            /// The data plane told of an unknown SPI.
            BadSpiRequests "badSpiRequests",
            /// Of these, from a peer with an ISAKMP SA or a negotiation of one.
            BadSpiFromKnownPeer "badSpiFromKnownPeer",
            }
            {
            /// Of these, where the ISAKMP policy has MODE=AGGRESSIVE.
            BadSpiInAggrMode "badSpiInAggrMode",
            /// Of these, where the ISAKMP policy has SENDNOTIFY=FALSE.
            BadSpiSendNotifyUnset "badSpiSendNotifyUnset",
            }
            {
            /// Extended authentication could not begin.
            MsgInitPh1p5StartFail "msgInitPh1p5StartFail",
            }
            {
            /// An exchange ended well.
            DoneGood "doneGood",
            /// A phase 1 exchange ended without an SA.
            DonePhase1Failed "donePhase1Failed",
            }
            {
            /// CONNECTED could not be sent for want of an SA.
            DoneSendConNoSa "doneSendConNoSa",
            }
            {
            /// A message was made to be sent.
            MsgTx "msgTx",
            /// A datagram was sent.
            MsgTxd "msgTxd",
            }
            {
            /// An enciphered message came back without its exchange.
            TxEncryptNoExchange "txEncryptNoExchange",
            /// No cipher could be had for a message.
            MsgTxEncryptNoEncoPrc "msgTxEncryptNoEncoPrc",
            }
            {
            /// A message began to be enciphered.
            MsgTxStartEncrypt "msgTxStartEncrypt",
            }
            {
            /// Enciphering failed.
            TxEncryptFail "txEncryptFail",
            /// A message was enciphered.
            TxEncryptGood "txEncryptGood",
            }
            {
            /// A sent message used up the life of its SA.
            MsgTxEncryptExpKBytes "msgTxEncryptExpKBytes",
            }
            {
            /// A message was sent again.
            TxRetryTxd "txRetryTxd",
            /// The peer did not answer all transmissions of a message.
            TxRetryXchgTimedOut "txRetryXchgTimedOut",
            }
            {
            /// Phase 1 was begun again because one had failed.
            RetryIkeAttemptsPh1 "retryIkeAttemptsPh1",
            /// Quick mode was begun again because one had failed.
            RetryIkeAttemptsPh2 "retryIkeAttemptsPh2",
            }
            {
            /// A datagram was received.
            MsgRxd "msgRxd",
            }
            {
            /// The length field disagrees with the datagram.
            MsgRxInconsistLengths "msgRxInconsistLengths",
            /// A datagram is shorter than a header, or too long.
            MsgRxBadLength "msgRxBadLength",
            }
            {
            /// A reserved field of the header is not zero.
            MsgRxBadReserved "msgRxBadReserved",
            /// Not version 1 of ISAKMP.
            MsgRxBadVersion "msgRxBadVersion",
            }
            {
            /// A message without payloads.
            MsgRxBadNextPayload "msgRxBadNextPayload",
            /// A message that its exchange does not wait for.
            MsgRxUnexpectedMsg "msgRxUnexpectedMsg",
            }
            {
            /// A message for which there is no exchange.
            MsgRxNoExchange "msgRxNoExchange",
            /// Of these, of phase 1.
            MsgRxNoExchangePhase1 "msgRxNoExchangePhase1",
            }
            {
            /// Of these, not the first of its exchange.
            MsgRxP1NoXcgNot1stMsg "msgRxP1NoXcgNot1stMsg",
            /// An unknown exchange without message id.
            MsgRxPh1UnkwnXchgType "msgRxPh1UnkwnXchgType",
            }
            {
            /// A first message of phase 1 led to nothing.
            MsgRxPh1XchgStartFail "msgRxPh1XchgStartFail",
            /// A message of phase 1 with a message id.
            MsgRxPh1MsgIdNotZero "msgRxPh1MsgIdNotZero",
            }
            {
            /// A message of a transaction that nobody waits for.
            MsgRxP15XchgStartFail "msgRxP15XchgStartFail",
            }
            {
            /// A message under an ISAKMP SA that is not there.
            MsgRxPhase2NoSa "msgRxPhase2NoSa",
            /// The first message of a quick mode, or a late one.
            MsgRxNoExchangePhase2 "msgRxNoExchangePhase2",
            }
            {
            /// A first message of quick mode led to nothing.
            MsgRxPh2XchgStartFail "msgRxPh2XchgStartFail",
            /// An unknown exchange with a message id.
            MsgRxPh2UnkwnXchgType "msgRxPh2UnkwnXchgType",
            }
            {
            /// An enciphered message.
            MsgRxEncrypted "msgRxEncrypted",
            /// An enciphered message where none can be.
            MsgRxEncryptdUnexpect "msgRxEncryptdUnexpect",
            }
            {
            /// The padding of a message is wrong.
            MsgRxBadPad "msgRxBadPad",
            /// The length of the padding is wrong.
            MsgRxBadPadLength "msgRxBadPadLength",
            }
            {
            /// Too many payloads in a clear message.
            MsgRxPayBadNextPay "msgRxPayBadNextPay",
            /// A reserved field of a payload is not zero.
            MsgRxPayBadReserved "msgRxPayBadReserved",
            }
            {
            /// No cipher could be had for a received message.
            MsgRxDecryptNoEncoPrc "msgRxDecryptNoEncoPrc",
            /// A message began to be deciphered.
            MsgRxStartDecrypt "msgRxStartDecrypt",
            }
            {
            /// A clear message.
            MsgRxPlain "msgRxPlain",
            /// A clear message where it must be enciphered.
            MsgRxPlainUnexpected "msgRxPlainUnexpected",
            }
            {
            /// An authentic message by a way on which its sender has no business.
            MsgRxBadPortIpChange "msgRxBadPortIpChange",
            /// A message on the port that both sides have left.
            MsgRxFailOldPort "msgRxFailOldPort",
            }
            {
            /// The payloads of a clear message do not fit into it.
            MsgRxPayBadLength "msgRxPayBadLength",
            }
            {
            /// A deciphered message came back without its exchange.
            RxDecryptNoExchange "rxDecryptNoExchange",
            /// A deciphered message has another length.
            RxDecryptedBadLength "rxDecryptedBadLength",
            }
            {
            /// A message was deciphered and is authentic.
            RxDecryptGood "rxDecryptGood",
            /// An enciphered message is not authentic.
            RxDecryptFail "rxDecryptFail",
            }
            {
            /// The padding of a deciphered message is not of zeros, which is no reason to refuse it.
            RxDecryptedBadPad "rxDecryptedBadPad",
            /// That padding is longer than any block.
            RxDecryptBadPadLength "rxDecryptBadPadLength",
            }
            {
            /// The payloads of a deciphered message name wrong types.
            RxDecrptPayBadNextPay "rxDecrptPayBadNextPay",
            /// A reserved field of a deciphered payload is not zero.
            RxDecryptPayBadRsvd "rxDecryptPayBadRsvd",
            }
            {
            /// The payloads of a deciphered message do not fit into it.
            RxDecryptPayBadLength "rxDecryptPayBadLength",
            }
            {
            /// A notification in clear about no exchange.
            InfoNoMatchingPolicy "infoNoMatchingPolicy",
            /// A first message was refused in silence, since SENDNOTIFY=FALSE.
            InfoPh1NotifyDisabled "infoPh1NotifyDisabled",
            }
            {
            /// A Delete payload in clear.
            InfoPh1NoDelAllowed "infoPh1NoDelAllowed",
            /// A notification in clear could not be made.
            InfoPh1ExchgStartFail "infoPh1ExchgStartFail",
            }
            {
            /// An informational message under an SA that is not there.
            InfoPh2SANotFound "infoPh2SANotFound",
            /// A Delete or notification before the user is authenticated.
            InfoPh2SANotActive "infoPh2SANotActive",
            }
            {
            /// A notification was not sent, since SENDNOTIFY=FALSE.
            InfoPh2NotifyDisabled "infoPh2NotifyDisabled",
            /// A Delete was not sent, since SENDDELETES=FALSE.
            InfoPh2DeleteDisabled "infoPh2DeleteDisabled",
            }
            {
            /// An informational exchange could not begin.
            InfoPh2XchgStartFail "infoPh2XchgStartFail",
            }
            {
            /// A finished exchange is kept for DELETEDELAY.
            DeleteDelayStarted "deleteDelayStarted",
            /// A finished exchange is not kept, since DELETEDELAY=0.
            DeleteDelayNotUsed "deleteDelayNotUsed",
            }
            {
            /// A message came for an exchange that is kept.
            DeleteDelayPktsRxd "deleteDelayPktsRxd",
            /// Its last message was sent again.
            DeleteDelayRetrySent "deleteDelayRetrySent",
            }
            {
            /// Of these, with CONNECTED.
            DeleteDelayConSent "deleteDelayConSent",
            /// CONNECTED could not be sent again for want of an SA.
            DeleteDelayConNoSA "deleteDelayConNoSA",
            }
            {
            /// Its last message was sent again too often.
            DeleteDelayTxExceeded "deleteDelayTxExceeded",
            /// A message came for an exchange that is over, but not the one that was answered.
            DeleteDelayPktDiff "deleteDelayPktDiff",
            }
        }
        block "ISAKMP Main Mode Counters" of "MAIN" {
            {
            /// One began, by us.
            MainInitStarted "initStarted",
            /// One began, by the peer.
            MainRespStarted "respStarted",
            }
            {
            /// A message was sent.
            MainMsgTx "msgTx",
            /// It was sent again.
            MainMsgTxAgain "msgTxAgain",
            }
            {
            /// A message was accepted.
            MainMsgRx "msgRx",
            /// What came was not what was waited for: told once in an exchange.
            MainMsgRxIgnored "msgRxIgnored",
            }
            {
            /// One ended well.
            MainCompleted "completed",
            /// One ended without a result, or was refused.
            MainFailed "failed",
            }
        }
        block "ISAKMP Aggressive Mode Counters" of "AGGRESSIVE" {
            {
            /// One began, by us.
            AggressiveInitStarted "initStarted",
            /// One began, by the peer.
            AggressiveRespStarted "respStarted",
            }
            {
            /// A message was sent.
            AggressiveMsgTx "msgTx",
            /// It was sent again.
            AggressiveMsgTxAgain "msgTxAgain",
            }
            {
            /// A message was accepted.
            AggressiveMsgRx "msgRx",
            /// What came was not what was waited for: told once in an exchange.
            AggressiveMsgRxIgnored "msgRxIgnored",
            }
            {
            /// One ended well.
            AggressiveCompleted "completed",
            /// One ended without a result, or was refused.
            AggressiveFailed "failed",
            }
        }
        block "ISAKMP Quick Mode Counters" of "QUICK" {
            {
            /// One began, by us.
            QuickInitStarted "initStarted",
            /// One began, by the peer.
            QuickRespStarted "respStarted",
            }
            {
            /// A message was sent.
            QuickMsgTx "msgTx",
            /// It was sent again.
            QuickMsgTxAgain "msgTxAgain",
            }
            {
            /// A message was accepted.
            QuickMsgRx "msgRx",
            /// What came was not what was waited for: told once in an exchange.
            QuickMsgRxIgnored "msgRxIgnored",
            }
            {
            /// One ended well.
            QuickCompleted "completed",
            /// One ended without a result, or was refused.
            QuickFailed "failed",
            }
        }
        block "ISAKMP Transaction Counters" of "TRANSACTION" {
            {
            /// One began, by us.
            TransactionInitStarted "initStarted",
            /// One began, by the peer.
            TransactionRespStarted "respStarted",
            }
            {
            /// A message was sent.
            TransactionMsgTx "msgTx",
            /// It was sent again.
            TransactionMsgTxAgain "msgTxAgain",
            }
            {
            /// A message was accepted.
            TransactionMsgRx "msgRx",
            /// What came was not what was waited for: told once in an exchange.
            TransactionMsgRxIgnored "msgRxIgnored",
            }
            {
            /// One ended well.
            TransactionCompleted "completed",
            /// One ended without a result, or was refused.
            TransactionFailed "failed",
            }
        }
        block "ISAKMP Informational Counters" of "INFO" {
            {
            /// A notification was sent under an SA.
            InfoNotifyTx "notifyTx",
            /// A notification was received, authentic.
            InfoNotifyRx "notifyRx",
            }
            {
            /// A Delete payload was sent.
            InfoDeleteTx "deleteTx",
            /// A Delete payload was received, authentic.
            InfoDeleteRx "deleteRx",
            }
            {
            /// A notification was sent in clear.
            InfoNotifyTxPlain "notifyTxPlain",
            /// A notification came in clear: a hint.
            InfoNotifyRxPlain "notifyRxPlain",
            }
        }
        block "ISAKMP DPD Counters" of "DPD" {
            {
            /// R-U-THERE was sent.
            DpdRutTx "ruThereTx",
            /// R-U-THERE was received, and answered.
            DpdRutRx "ruThereRx",
            }
            {
            /// R-U-THERE-ACK was sent.
            DpdAckTx "ruThereAckTx",
            /// R-U-THERE-ACK was received for a question that was open.
            DpdAckRx "ruThereAckRx",
            }
            {
            /// Of either, the sequence number is wrong, or there are too many.
            DpdRefused "rxRefused",
            /// A peer did not answer.
            DpdPeerDead "peerDead",
            }
        }
        block "ISAKMP Heartbeat Counters" of "HEARTBEAT" {
            {
            /// A heartbeat was sent.
            HeartbeatTx "heartbeatTx",
            /// A heartbeat was received.
            HeartbeatRx "heartbeatRx",
            }
            {
            /// A heartbeat is not newer than the last.
            HeartbeatRefused "rxRefused",
            /// Heartbeats stayed away.
            HeartbeatLost "peerLost",
            }
        }
        block "ISAKMP Network Counters" of "NETWORK" {
            {
            /// A datagram was handed to the network.
            NetworkTx "datagramTx",
            /// A datagram came from the network.
            NetworkRx "datagramRx",
            }
            {
            /// A fragment was received.
            NetworkFragment "fragmentRx",
            /// A fragment of nobody who was told of them, or none at all.
            NetworkFragmentRefused "fragmentRefused",
            }
            {
            /// A NAT was reminded.
            NetworkKeepalive "keepaliveTx",
            /// A peer behind NAT is elsewhere.
            NetworkMoved "peerMoved",
            }
        }
        block "ISAKMP SA Database Counters" of "SAD" {
            {
            /// An ISAKMP SA came up.
            SadAdd "saAdd",
            /// One could not, for want of a place.
            SadAddFull "saAddFull",
            }
            {
            /// One went.
            SadDelete "saDelete",
            /// The peer deleted one.
            SadDeletedByPeer "saDeletedByPeer",
            }
            {
            /// One reached its hard limit.
            SadExpired "saExpired",
            /// One has a successor.
            SadReplaced "saReplaced",
            }
        }
        block "ISAKMP Policy Counters" of "SPD" {
            {
            /// A policy is for a peer.
            SpdByPeerGood "getPolicyByPeerGood",
            /// No policy is for a peer.
            SpdByPeerFailed "getPolicyByPeerFailed",
            }
            {
            /// RETRYIKEATTEMPTS allows another attempt.
            SpdRetryGood "usePolIkeRetryGood",
            /// It does not.
            SpdRetryFailed "usePolIkeRetryFailed",
            }
        }
        block "ISAKMP Exchange Database Counters" of "XDB" {
            {
            /// An exchange began.
            XdbAdd "exchangeAdd",
            /// One is over.
            XdbDelete "exchangeDelete",
            }
            {
            /// A stranger began one.
            XdbHalfOpenAdd "halfOpenAdd",
            /// One made room for another.
            XdbHalfOpenEvicted "halfOpenEvicted",
            }
            {
            /// A message was answered before.
            XdbDuplicate "duplicate",
            /// A first message came from an address that no policy names.
            XdbStranger "stranger",
            }
        }
        block "ISAKMP IPsec Interface Counters" of "IPSEC" {
            {
            /// SPIs were asked for.
            IpsecReserve "spiRequested",
            /// One direction of a bundle was handed over.
            IpsecInstall "saInstalled",
            }
            {
            /// A bundle will not be finished.
            IpsecRelease "bundleReleased",
            /// A request was refused.
            IpsecFailed "acquireFailed",
            }
            {
            /// The peer deleted an SA.
            IpsecSpiDeleted "spiDeleted",
            /// A peer is dead, or knows nothing of its bundles any more.
            IpsecBundlesLost "bundlesLost",
            }
        }
}

use Happened as H;

/// What happens in every exchange that has counters of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    InitStarted,
    RespStarted,
    Sent,
    SentAgain,
    Received,
    Ignored,
    Completed,
    Failed,
}

impl Happened {
    /// What it counts for an exchange of that type; nothing for those without counters.
    pub(crate) fn of(kind: ExchangeType, course: Course) -> Option<Self> {
        let counters = match kind {
            ExchangeType::Main => MAIN,
            ExchangeType::Aggressive => AGGRESSIVE,
            ExchangeType::Quick => QUICK,
            ExchangeType::Transaction => TRANSACTION,
            ExchangeType::Informational | ExchangeType::NewGroup | ExchangeType::Other(_) => {
                return None;
            }
        };
        counters.get(course as usize).copied()
    }

    /// How the loss of a peer counts.
    pub(crate) const fn lost(by: LostBy) -> Option<Self> {
        match by {
            LostBy::Dpd => Some(Self::DpdPeerDead),
            LostBy::Heartbeat => Some(Self::HeartbeatLost),
            LostBy::Idle => None,
        }
    }
}

const MAIN: [H; 8] = [
    H::MainInitStarted,
    H::MainRespStarted,
    H::MainMsgTx,
    H::MainMsgTxAgain,
    H::MainMsgRx,
    H::MainMsgRxIgnored,
    H::MainCompleted,
    H::MainFailed,
];

const AGGRESSIVE: [H; 8] = [
    H::AggressiveInitStarted,
    H::AggressiveRespStarted,
    H::AggressiveMsgTx,
    H::AggressiveMsgTxAgain,
    H::AggressiveMsgRx,
    H::AggressiveMsgRxIgnored,
    H::AggressiveCompleted,
    H::AggressiveFailed,
];

const QUICK: [H; 8] = [
    H::QuickInitStarted,
    H::QuickRespStarted,
    H::QuickMsgTx,
    H::QuickMsgTxAgain,
    H::QuickMsgRx,
    H::QuickMsgRxIgnored,
    H::QuickCompleted,
    H::QuickFailed,
];

const TRANSACTION: [H; 8] = [
    H::TransactionInitStarted,
    H::TransactionRespStarted,
    H::TransactionMsgTx,
    H::TransactionMsgTxAgain,
    H::TransactionMsgRx,
    H::TransactionMsgRxIgnored,
    H::TransactionCompleted,
    H::TransactionFailed,
];

/// What is named and never happens here, with the reason.
pub const NEVER: &[(Happened, &str)] = &[
    (H::AcqPeerAddrNameIncons, NAMED),
    (H::AcquirePrenegNoPolicy, PRENEGOTIATE),
    (H::DoneSendConNoSa, UNDER),
    (H::TxEncryptNoExchange, CALL),
    (H::MsgTxEncryptNoEncoPrc, CALL),
    (H::TxEncryptFail, CALL),
    (H::MsgRxBadReserved, RESERVED),
    (H::MsgRxBadPad, PADDING),
    (H::MsgRxBadPadLength, PADDING),
    (H::MsgRxPayBadReserved, RESERVED),
    (H::MsgRxDecryptNoEncoPrc, CALL),
    (H::RxDecryptNoExchange, CALL),
    (H::RxDecryptedBadLength, KEY),
    (H::RxDecrptPayBadNextPay, KEY),
    (H::RxDecryptPayBadRsvd, RESERVED),
    (H::RxDecryptPayBadLength, KEY),
    (H::InfoPh2SANotActive, ACTIVE),
    (H::DeleteDelayConNoSA, UNDER),
    (H::DeleteDelayTxExceeded, REPLIES),
];

const NAMED: &str = "a peer's name is resolved before its policy is looked for";
const PRENEGOTIATE: &str = "PRENEGOTIATE stands in the policy itself";
const UNDER: &str = "an exchange goes with the ISAKMP SA that protects it";
const CALL: &str = "messages are enciphered and deciphered within one call";
const RESERVED: &str = "reserved fields are ignored, as RFC 2408 lets a receiver do";
const PADDING: &str = "a message in clear has none";
const KEY: &str = "what cannot be read is not authentic: rxDecryptFail counts it";
const ACTIVE: &str = "an ISAKMP SA takes informational messages from the first moment";
const REPLIES: &str = "whoever repeats itself is answered for as long as the answer is kept";
