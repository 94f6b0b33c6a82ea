//! The ISAKMP configuration as written.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use hw_offload::{Cipher, DhGroup, Hash, KeyKind, KeyNumber, KeyRing, Secret};
use ipsec_core::model::{
    Action, ConfigFault, InterfaceName, IpVersion, KeyManagement, Lifetime, Name, PeerAddress,
    PolicyConfig,
};
use ipsec_core::words;

use crate::debug::IsakmpDebug;
use crate::identity;
use crate::pki::Pki;

words! {
    /// AUTHTYPE: how the peer proves who it is.
    AuthType {
        /// With a key that both sides know.
        PreShared = "PRESHARED",
        /// With an RSA signature.
        RsaSig = "RSASIG",
    }
}

words! {
    /// MODE: the exchange of phase 1.
    Phase1Mode {
        /// Six messages, identities enciphered.
        Main = "MAIN",
        /// Three messages, identities in clear.
        Aggressive = "AGGRESSIVE",
    }
}

words! {
    /// MSGBACKOFF.
    Backoff {
        /// Longer and longer waits.
        Incremental = "INCREMENTAL",
        /// Equal waits.
        None = "NONE",
    }
}

words! {
    /// HEARTBEATMODE.
    HeartbeatMode {
        /// Both.
        Both = "BOTH",
        /// Neither.
        None = "NONE",
        /// Heartbeats are expected.
        Receive = "RECEIVE",
        /// Heartbeats are sent.
        Send = "SEND",
    }
}

impl HeartbeatMode {
    /// Whether heartbeats are sent.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Self::Both | Self::Send)
    }

    /// Whether heartbeats are expected.
    #[must_use]
    pub const fn receives(self) -> bool {
        matches!(self, Self::Both | Self::Receive)
    }
}

words! {
    /// DPDMODE.
    DpdMode {
        /// R-U-THERE is sent and answered.
        Both = "BOTH",
        /// Dead peer detection is off.
        None = "NONE",
        /// R-U-THERE is answered only.
        Receive = "RECEIVE",
    }
}

words! {
    /// XAUTH: which part of extended authentication this router plays.
    Xauth {
        /// Answers the request.
        Client = "CLIENT",
        /// Sends the request.
        Server = "SERVER",
        /// Not used.
        None = "NONE",
    }
}

words! {
    /// XAUTHTYPE.
    XauthType {
        /// Name and password, by the user database.
        Generic = "GENERIC",
        /// By a RADIUS server.
        Radius = "RADIUS",
    }
}

/// PHASE2XCHGLIMIT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangeLimit {
    /// No limit.
    None,
    /// So many phase 2 exchanges under one ISAKMP SA.
    Exchanges(u16),
}

impl ExchangeLimit {
    /// The number that the screens show: 4294967295 without a limit.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::None => u32::MAX,
            Self::Exchanges(n) => n as u32,
        }
    }
}

impl fmt::Display for ExchangeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.pad("NONE"),
            Self::Exchanges(n) => n.fmt(f),
        }
    }
}

/// RETRYIKEATTEMPTS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retries {
    /// So many, 0 to 16.
    Times(u8),
    /// Until it works, for at most 24 hours.
    Continuous,
}

impl fmt::Display for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Times(n) => n.fmt(f),
            Self::Continuous => f.pad("CONTINUOUS"),
        }
    }
}

/// XAUTHPASSWORD. It is copied with the record it belongs to, every copy is zeroed.
#[derive(Debug, PartialEq, Eq)]
pub struct XauthPassword(pub Secret);

impl Clone for XauthPassword {
    fn clone(&self) -> Self {
        Self(self.0.duplicate())
    }
}

/// CREATE ISAKMP POLICY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsakmpPolicyConfig {
    /// The policy's name.
    pub name: Name,
    /// PEER.
    pub peer: PeerAddress,
    /// IPVERSION.
    pub version: Option<IpVersion>,
    /// AUTHTYPE.
    pub auth_type: Option<AuthType>,
    /// DELETEDELAY in seconds.
    pub delete_delay: Option<u16>,
    /// DHEXPONENTLENGTH in bits.
    pub dh_exponent_length: Option<u16>,
    /// DPDIDLETIMEOUT in seconds.
    pub dpd_idle_timeout: Option<u32>,
    /// DPDMODE.
    pub dpd_mode: Option<DpdMode>,
    /// ENCALG.
    pub encalg: Option<Cipher>,
    /// EXPIRYKBYTES.
    pub expiry_kbytes: Option<u32>,
    /// EXPIRYSECONDS.
    pub expiry_seconds: Option<u32>,
    /// GROUP.
    pub group: Option<DhGroup>,
    /// HASHALG.
    pub hashalg: Option<Hash>,
    /// HEARTBEATMODE.
    pub heartbeat_mode: Option<HeartbeatMode>,
    /// HYBRIDXAUTH.
    pub hybrid_xauth: Option<bool>,
    /// KEY.
    pub key: Option<u16>,
    /// LOCALID.
    pub local_id: Option<Name>,
    /// LOCALRSAKEY.
    pub local_rsa_key: Option<u16>,
    /// MODE.
    pub mode: Option<Phase1Mode>,
    /// MSGBACKOFF.
    pub msg_backoff: Option<Backoff>,
    /// MSGRETRYLIMIT.
    pub msg_retry_limit: Option<u16>,
    /// MSGTIMEOUT in seconds.
    pub msg_timeout: Option<u32>,
    /// NATTRAVERSAL.
    pub nat_traversal: Option<bool>,
    /// PHASE2XCHGLIMIT.
    pub phase2_limit: Option<ExchangeLimit>,
    /// POLICYFILENAME.
    pub policy_file: Option<String>,
    /// PRENEGOTIATE.
    pub prenegotiate: Option<bool>,
    /// REMOTEID.
    pub remote_id: Option<Name>,
    /// REKEY.
    pub rekey: Option<bool>,
    /// RETRYIKEATTEMPTS.
    pub retry_ike_attempts: Option<Retries>,
    /// SENDDELETES.
    pub send_deletes: Option<bool>,
    /// SENDNOTIFY.
    pub send_notify: Option<bool>,
    /// SENDIDALWAYS.
    pub send_id_always: Option<bool>,
    /// SETCOMMITBIT.
    pub set_commit_bit: Option<bool>,
    /// SRCINTERFACE.
    pub src_interface: Option<InterfaceName>,
    /// XAUTH.
    pub xauth: Option<Xauth>,
    /// XAUTHNAME, in the case typed.
    pub xauth_name: Option<String>,
    /// XAUTHPASSWORD.
    pub xauth_password: Option<XauthPassword>,
    /// XAUTHTYPE.
    pub xauth_type: Option<XauthType>,
}

impl IsakmpPolicyConfig {
    /// A policy with nothing but name and peer.
    #[must_use]
    pub const fn new(name: Name, peer: PeerAddress) -> Self {
        Self {
            name,
            peer,
            version: None,
            auth_type: None,
            delete_delay: None,
            dh_exponent_length: None,
            dpd_idle_timeout: None,
            dpd_mode: None,
            encalg: None,
            expiry_kbytes: None,
            expiry_seconds: None,
            group: None,
            hashalg: None,
            heartbeat_mode: None,
            hybrid_xauth: None,
            key: None,
            local_id: None,
            local_rsa_key: None,
            mode: None,
            msg_backoff: None,
            msg_retry_limit: None,
            msg_timeout: None,
            nat_traversal: None,
            phase2_limit: None,
            policy_file: None,
            prenegotiate: None,
            remote_id: None,
            rekey: None,
            retry_ike_attempts: None,
            send_deletes: None,
            send_notify: None,
            send_id_always: None,
            set_commit_bit: None,
            src_interface: None,
            xauth: None,
            xauth_name: None,
            xauth_password: None,
            xauth_type: None,
        }
    }

    /// The cipher in force.
    #[must_use]
    pub fn cipher(&self) -> Cipher {
        self.encalg.unwrap_or(Cipher::Des)
    }

    /// The hash in force.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hashalg.unwrap_or(Hash::Sha1)
    }

    /// The group in force.
    #[must_use]
    pub fn group(&self) -> DhGroup {
        self.group.unwrap_or(DhGroup::Modp768)
    }

    /// Length of the private exponent in bits.
    #[must_use]
    pub fn exponent_bits(&self) -> u16 {
        self.dh_exponent_length.unwrap_or(160)
    }

    /// AUTHTYPE in force.
    #[must_use]
    pub fn auth_type(&self) -> AuthType {
        self.auth_type.unwrap_or(AuthType::PreShared)
    }

    /// MODE in force.
    #[must_use]
    pub fn mode(&self) -> Phase1Mode {
        self.mode.unwrap_or(Phase1Mode::Main)
    }

    /// IPVERSION in force.
    #[must_use]
    pub fn version(&self) -> IpVersion {
        self.version.unwrap_or(IpVersion::V4)
    }

    /// Hard limit of the ISAKMP SA.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        Lifetime {
            seconds: self.seconds(),
            kbytes: self.expiry_kbytes,
        }
    }

    /// Hard limit of the ISAKMP SA in seconds.
    #[must_use]
    pub fn seconds(&self) -> u32 {
        self.expiry_seconds.unwrap_or(86_400)
    }

    /// Whether notifications are sent.
    #[must_use]
    pub fn notifies(&self) -> bool {
        self.send_notify.unwrap_or(false)
    }

    /// Whether Delete payloads are sent.
    #[must_use]
    pub fn deletes(&self) -> bool {
        self.send_deletes.unwrap_or(false)
    }

    /// Whether quick mode names its selectors even where they could be left out.
    #[must_use]
    pub fn always_sends_ids(&self) -> bool {
        self.send_id_always.unwrap_or(false)
    }

    /// Whether quick mode asks the peer to wait for CONNECTED.
    #[must_use]
    pub fn commits(&self) -> bool {
        self.set_commit_bit.unwrap_or(false)
    }

    /// Whether NAT traversal is offered.
    #[must_use]
    pub fn traverses_nat(&self) -> bool {
        self.nat_traversal.unwrap_or(false)
    }

    /// DPDMODE in force.
    #[must_use]
    pub fn dpd(&self) -> DpdMode {
        self.dpd_mode.unwrap_or(DpdMode::None)
    }

    /// How long a peer may be silent before it is asked.
    #[must_use]
    pub fn dpd_idle(&self) -> Duration {
        Duration::from_secs(self.dpd_idle_timeout.unwrap_or(20).into())
    }

    /// HEARTBEATMODE in force.
    #[must_use]
    pub fn heartbeat(&self) -> HeartbeatMode {
        self.heartbeat_mode.unwrap_or(HeartbeatMode::None)
    }

    /// XAUTH in force.
    #[must_use]
    pub fn xauth(&self) -> Xauth {
        self.xauth.unwrap_or(Xauth::None)
    }

    /// XAUTHTYPE in force.
    #[must_use]
    pub fn xauth_type(&self) -> XauthType {
        self.xauth_type.unwrap_or(XauthType::Generic)
    }

    /// Whether the XAUTH client proves itself by XAUTH alone.
    #[must_use]
    pub fn hybrid(&self) -> bool {
        self.hybrid_xauth.unwrap_or(false)
    }

    /// PHASE2XCHGLIMIT in force.
    #[must_use]
    pub fn phase2_limit(&self) -> ExchangeLimit {
        self.phase2_limit.unwrap_or(ExchangeLimit::None)
    }

    /// Whether phase 1 begins when ISAKMP is enabled.
    #[must_use]
    pub fn prenegotiates(&self) -> bool {
        self.prenegotiate.unwrap_or(false)
    }

    /// Whether the responder rekey extension is on.
    #[must_use]
    pub fn extends(&self) -> bool {
        self.rekey.unwrap_or(false)
    }

    /// RETRYIKEATTEMPTS in force: it has no effect for peers without a fixed address.
    #[must_use]
    pub fn retries(&self) -> Retries {
        match self.peer {
            PeerAddress::Address(_) | PeerAddress::Host(_) => {
                self.retry_ike_attempts.unwrap_or(Retries::Times(0))
            }
            PeerAddress::Any | PeerAddress::Dynamic => Retries::Times(0),
        }
    }

    /// How long a finished exchange is kept for the peer's retransmissions.
    #[must_use]
    pub fn delete_delay(&self) -> Duration {
        Duration::from_secs(self.delete_delay.unwrap_or(30).into())
    }

    /// Number of retransmissions.
    #[must_use]
    pub fn retry_limit(&self) -> u16 {
        self.msg_retry_limit.unwrap_or(8)
    }

    /// MSGTIMEOUT in force, in seconds.
    #[must_use]
    pub fn timeout(&self) -> u32 {
        self.msg_timeout.unwrap_or(4)
    }

    /// MSGBACKOFF in force.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        self.msg_backoff.unwrap_or(Backoff::Incremental)
    }

    /// The wait after transmission `n` (from 1): T for the first, then 2T(n-1) with the
    /// incremental back-off.
    #[must_use]
    pub fn wait(&self, n: u16) -> Duration {
        let t = u64::from(self.timeout());
        let factor = match (self.backoff(), n) {
            (Backoff::None, _) | (Backoff::Incremental, 0 | 1) => 1,
            (Backoff::Incremental, n) => 2 * (u64::from(n) - 1),
        };
        Duration::from_secs(t * factor)
    }

    /// How long a message is waited for in all, its retransmissions included.
    #[must_use]
    pub fn patience(&self) -> Duration {
        (1..=self.retry_limit().saturating_add(1))
            .map(|n| self.wait(n))
            .sum()
    }

    /// The own RSA key: LOCALRSAKEY here, else that of ENABLE ISAKMP.
    #[must_use]
    pub fn local_rsa_key(&self, module: &IsakmpConfig) -> Option<KeyNumber> {
        self.local_rsa_key.or(module.local_rsa_key).map(KeyNumber)
    }

    /// Whether SAs of an IPsec policy are negotiated under this policy: the one that it names, or
    /// one that is for the same peer.
    #[must_use]
    pub fn serves(&self, policy: &PolicyConfig) -> bool {
        let negotiated = policy.action() == Action::Ipsec
            && policy.key_management == Some(KeyManagement::Isakmp);
        let same_peer = match &policy.peer {
            Some(PeerAddress::Any | PeerAddress::Dynamic) => self.peer == PeerAddress::Any,
            peer => peer.as_ref() == Some(&self.peer),
        };
        let named = policy.isakmp_policy.as_ref();
        negotiated && named.map_or(same_peer, |name| *name == self.name)
    }

    /// Whether the peer signs: with hybrid authentication only the gateway does.
    #[must_use]
    pub fn verifies_signatures(&self) -> bool {
        self.auth_type() == AuthType::RsaSig && (!self.hybrid() || self.xauth() == Xauth::Client)
    }

    /// The rules between its parameters and what they name.
    ///
    /// # Errors
    /// [`ConfigFault`].
    pub fn check(&self, module: &IsakmpConfig, keys: &KeyRing) -> Result<(), ConfigFault> {
        match self.auth_type() {
            AuthType::PreShared => {
                let number = self.key.ok_or(ConfigFault::Required {
                    parameter: "KEY",
                    when: "with AUTHTYPE=PRESHARED",
                })?;
                check_key(keys, "KEY", number, "AUTHTYPE=PRESHARED", KeyKind::General)?;
                if self.hybrid() {
                    return Err(ConfigFault::OnlyWith {
                        parameter: "HYBRIDXAUTH",
                        when: "with AUTHTYPE=RSASIG",
                    });
                }
            }
            AuthType::RsaSig => self.check_rsa(module, keys)?,
        }
        for (text, fault) in [
            (&self.local_id, "LOCALID is no distinguished name"),
            (&self.remote_id, "REMOTEID is no distinguished name"),
        ] {
            let text = text.as_ref().map(Name::as_str);
            if text.is_some_and(|text| identity::parse(text).is_err()) {
                return Err(ConfigFault::Conflict(fault));
            }
        }
        self.check_peer()?;
        if self.extends() && self.expiry_kbytes.is_some() {
            return Err(ConfigFault::Conflict(
                "REKEY and EXPIRYKBYTES cannot be used together",
            ));
        }
        if self
            .src_interface
            .as_ref()
            .is_some_and(InterfaceName::is_local)
        {
            return Err(ConfigFault::LOCAL_SOURCE);
        }
        if self.exponent_bits() >= self.group().bits() {
            return Err(ConfigFault::Conflict(match self.group() {
                DhGroup::Modp512 => "DHEXPONENTLENGTH is at most 511 for GROUP=0",
                DhGroup::Modp768 => "DHEXPONENTLENGTH is at most 767 for GROUP=1",
                DhGroup::Modp1024 => "DHEXPONENTLENGTH is at most 1023 for GROUP=2",
                DhGroup::Modp1536 => "DHEXPONENTLENGTH is at most 1535 for GROUP=5",
                DhGroup::Modp2048 => "DHEXPONENTLENGTH is at most 2047 for GROUP=14",
            }));
        }
        Ok(())
    }

    fn check_rsa(&self, module: &IsakmpConfig, keys: &KeyRing) -> Result<(), ConfigFault> {
        if self.hybrid() && self.xauth() == Xauth::None {
            return Err(ConfigFault::OnlyWith {
                parameter: "HYBRIDXAUTH",
                when: "with XAUTH=CLIENT and XAUTH=SERVER",
            });
        }
        if !self.hybrid() || self.xauth() == Xauth::Server {
            let number = self.local_rsa_key(module).ok_or(ConfigFault::Required {
                parameter: "LOCALRSAKEY",
                when: "with AUTHTYPE=RSASIG, here or for ENABLE ISAKMP",
            })?;
            let fault = "LOCALRSAKEY is no RSA private key";
            check_rsa_key(keys, number, KeyKind::Rsa, fault)?;
        }
        if self.verifies_signatures() {
            // Without KEY the peer has to send its certificate.
            if let Some(number) = self.key {
                let fault = "KEY is no RSA public key, as AUTHTYPE=RSASIG needs it";
                check_rsa_key(keys, KeyNumber(number), KeyKind::RsaPublic, fault)?;
            }
        }
        Ok(())
    }

    fn check_peer(&self) -> Result<(), ConfigFault> {
        match self.peer {
            PeerAddress::Address(address) => {
                if address.is_ipv4() != (self.version() == IpVersion::V4) {
                    return Err(ConfigFault::Conflict(
                        "PEER is not of the policy's IPVERSION",
                    ));
                }
            }
            PeerAddress::Host(_) | PeerAddress::Any => {}
            PeerAddress::Dynamic => {
                return Err(ConfigFault::Conflict(
                    "PEER takes an address, a host name or ANY",
                ));
            }
        }
        if self.extends() && self.peer != PeerAddress::Any {
            return Err(ConfigFault::OnlyWith {
                parameter: "REKEY",
                when: "with PEER=ANY",
            });
        }
        Ok(())
    }
}

/// Whether an RSA key is there and of its kind.
fn check_rsa_key(
    keys: &KeyRing,
    number: KeyNumber,
    kind: KeyKind,
    fault: &'static str,
) -> Result<(), ConfigFault> {
    let key = keys.get(number).ok_or(ConfigFault::NoSuch {
        what: "ENCO KEY",
        number: number.0,
    })?;
    if key.kind == kind {
        Ok(())
    } else {
        Err(ConfigFault::Conflict(fault))
    }
}

/// Whether the key that a parameter names is there and of its kind.
fn check_key(
    keys: &KeyRing,
    parameter: &'static str,
    number: u16,
    needs: &'static str,
    kind: KeyKind,
) -> Result<(), ConfigFault> {
    let key = keys.get(KeyNumber(number)).ok_or(ConfigFault::NoSuch {
        what: "ENCO KEY",
        number,
    })?;
    if key.kind == kind {
        return Ok(());
    }
    Err(ConfigFault::KeyKind {
        parameter,
        number,
        needs,
        kind: kind.word(),
        have: key.kind.word(),
    })
}

/// Everything configured for ISAKMP, in the order of creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IsakmpConfig {
    /// ENABLE ISAKMP.
    pub enabled: bool,
    /// ENABLE ISAKMP UDPPORT.
    pub udp_port: Option<u16>,
    /// ENABLE ISAKMP LOCALRSAKEY.
    pub local_rsa_key: Option<u16>,
    /// ENABLE ISAKMP POLICYSERVERENABLED.
    pub policy_server: Option<bool>,
    /// ENABLE ISAKMP POLICYFILENAME.
    pub policy_file: Option<String>,
    /// SET ENCO DHPADDING: whether numbers of a Diffie–Hellman group travel with their leading
    /// zeros.
    pub dh_padding: Option<bool>,
    /// SET SYSTEM DISTINGUISHEDNAME: the identity of those who sign and have no LOCALID.
    pub distinguished_name: Option<String>,
    /// ADD PKI CERTIFICATE.
    pub pki: Pki,
    /// ENABLE ISAKMP DEBUG. It is no part of what SHOW CONFIG prints.
    pub debug: IsakmpDebug,
    /// The policies.
    pub policies: Vec<IsakmpPolicyConfig>,
}

impl IsakmpConfig {
    /// The port in force.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.udp_port.unwrap_or(500)
    }

    /// The policy file for a peer of that policy, if files are served at all.
    #[must_use]
    pub fn policy_file<'a>(&'a self, policy: &'a IsakmpPolicyConfig) -> Option<&'a str> {
        let file = policy
            .policy_file
            .as_deref()
            .or(self.policy_file.as_deref());
        file.filter(|_| self.policy_server == Some(true))
    }

    /// A policy by its name.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&IsakmpPolicyConfig> {
        self.policies.iter().find(|policy| policy.name == *name)
    }

    /// Whether numbers of a Diffie–Hellman group are as long as the prime (RFC 2409 §5).
    #[must_use]
    pub fn pads_dh(&self) -> bool {
        self.dh_padding.unwrap_or(true)
    }
}
