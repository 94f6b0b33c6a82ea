//! Why a packet went no further: one byte, one sentence and what to do about it.

macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident: $sentence:literal, $advice:literal;)*) => {
        /// The fate of a packet that was not passed on.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        #[non_exhaustive]
        pub enum DropReason { $($(#[$meta])* $variant,)* }

        impl DropReason {
            /// What is wrong, as a sentence without a full stop.
            #[must_use]
            pub const fn sentence(self) -> &'static str {
                match self { $(Self::$variant => $sentence,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

reasons! {
    /// Not an IP datagram.
    Malformed: "the packet is not a well-formed IP datagram", "look for a broken sender or link";
    /// The implicit last policy.
    NoPolicy: "no IPsec policy of the interface selects the packet",
        "add a PERMIT policy as the last one if such traffic is to pass";
    /// A DENY policy.
    Denied: "a DENY policy selects the packet", "change the policy if the packet is to pass";
    /// A clear packet where IPsec is required.
    ClearWhereIpsec: "the packet came in clear, but an IPSEC policy selects it",
        "compare the selectors of both routers; the sender may lack the policy";
    /// Nothing to seal it with, and no room to wait.
    QueueFull: "too many packets wait for an SA already", "wait until the negotiation has ended";
    /// Nothing to seal it with, and no negotiation to wait for.
    NoBundle: "the policy has no SA bundle", "look at SHOW IPSEC SA and at the log";
    /// The negotiation that it waited for failed.
    NegotiationFailed: "the negotiation of an SA failed", "look at the log for the reason";
    /// The policy went away while it waited.
    PolicyChanged: "the policy was changed or removed", "nothing, if that was intended";
    /// IPsec is off, but a policy demands it.
    Disabled: "the IPsec module is disabled", "ENABLE IPSEC";
    /// The caller's buffer is too small.
    NoRoom: "the buffer has too little room for the IPsec headers", "provide larger buffers";
    /// Every in-flight slot is taken.
    Busy: "too many packets are with the crypto engine", "slow down or use a faster engine";
    /// The engine refused the job.
    EngineRefused: "the crypto engine refused the packet", "the engine is overloaded";
    /// The engine failed.
    EngineFailed: "the crypto engine failed", "look at the engine's own diagnostics";
    /// The SA was removed meanwhile.
    SaGone: "the SA was removed while the packet was with the engine", "nothing";
    /// Unknown SPI.
    UnknownSpi: "no SA has the packet's SPI",
        "the peer uses an SA that this router does not have; reset the peer's policy";
    /// Wrong ICV.
    BadIcv: "the integrity check value (ICV) of the packet is wrong",
        "with manual keys compare ENCKEY and HASHKEY of both routers with SHOW ENCO KEY";
    /// Replay.
    Replayed: "the sequence number was seen before or is too old",
        "repeated packets are an attack or a fault of the network";
    /// Bad padding.
    BadPadding: "the padding of the deciphered packet is wrong",
        "with manual keys compare ENCKEY of both routers with SHOW ENCO KEY";
    /// Not a tunnelled packet.
    BadInner: "what came out of the tunnel is not an IP datagram",
        "with manual keys compare ENCKEY of both routers with SHOW ENCO KEY";
    /// Inner selectors.
    SelectorMismatch: "the deciphered packet is not within the policy's selectors",
        "compare the selectors of both routers";
    /// A dummy packet (next header 59).
    Dummy: "the packet is a dummy", "nothing";
    /// A fragment where whole datagrams are needed.
    Fragment: "IPsec works on whole datagrams, and this is a fragment",
        "lower the MTU of the sender's interface";
    /// Headers that AH does not know how to cover.
    Uncovered: "the packet has header options that AH cannot cover",
        "do not send such options through AH";
    /// The wrong encapsulation.
    WrongEncapsulation: "the packet came in another encapsulation than that of its SA",
        "compare UDPTUNNEL and NAT traversal of both routers";
    /// An unknown version of the UDP tunnel.
    BadVersion: "what arrived at the UDP tunnel's port is of no known version",
        "compare the framing of the UDP tunnel on both routers";
    /// Not the outermost SA.
    NotFirstSa: "the packet begins with an SA that is not the outermost of its bundle",
        "compare the bundle specifications of both routers";
    /// An SA of another bundle in the middle of one.
    WrongSa: "the packet's next SA is not the next one of the bundle",
        "compare the bundle specifications of both routers";
    /// In clear too early.
    PrematureEnd: "the packet came out in clear before all SAs of the bundle were applied",
        "compare the bundle specifications of both routers";
    /// More IPsec than SAs.
    EndOfBundle: "the packet still carries IPsec behind the last SA of its bundle",
        "compare the bundle specifications of both routers";
    /// The policy asks for no IPsec.
    PolicyAction: "the SA's policy does not ask for IPsec", "nothing, if the policy was changed";
    /// A keepalive.
    Keepalive: "the packet only keeps a NAT's mapping alive", "nothing";
    /// A heartbeat.
    Heartbeat: "the packet is a heartbeat of the UDP tunnel", "nothing";
    /// A believed report about the path MTU.
    PathMtu: "the packet told of a smaller path MTU, which was noted", "nothing";
    /// Bytes of a datagram came twice, and not as a mere repetition.
    FragmentOverlap: "a fragment overlaps others of its datagram, or disagrees about its length",
        "such fragments are an attack or a fault of the sender";
    /// A first fragment that shows no ports.
    FragmentTiny: "a first fragment does not hold the headers that it must",
        "such fragments are an attack or a fault of the sender";
    /// The same fragment again.
    FragmentRepeated: "the fragment was received before", "nothing";
    /// Reassembly is full, or the datagram too long for it.
    FragmentsTooMany: "the fragments of the datagram need more room than there is",
        "lower the MTU of the sender's interface";
    /// Congestion was met, and only loss can tell.
    Congested: "congestion was met by a packet whose transport does not know ECN",
        "nothing; the network is overloaded";
    /// Too large and must not be fragmented.
    TooBig: "the packet does not fit the MTU and must not be fragmented",
        "the sender has been told; lower its MTU if it does not listen";
    /// The source of randomness failed.
    NoEntropy: "the source of randomness failed", "look at the random number generator";
    /// Sequence numbers are used up.
    SequenceExhausted: "the SA has no sequence numbers left", "wait for the renewal of the SA";
    /// The lifetime is used up.
    Expired: "the SA reached its limit", "wait for the renewal of the SA";
}

impl DropReason {
    /// Whether the packet has done what it was sent for, and nothing is wrong.
    #[must_use]
    pub const fn is_expected(self) -> bool {
        matches!(
            self,
            Self::Keepalive | Self::Heartbeat | Self::PathMtu | Self::Dummy
        )
    }
}

impl core::fmt::Display for DropReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.sentence())
    }
}
