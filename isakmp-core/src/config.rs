//! The ISAKMP configuration as written.

use alloc::vec::Vec;
use core::time::Duration;

use hw_offload::{Cipher, DhGroup, Hash, KeyNumber, KeyRing};
use ipsec_core::model::{ConfigFault, Name, PeerAddress};

/// MSGBACKOFF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backoff {
    /// Longer and longer waits.
    Incremental,
    /// Equal waits.
    None,
}

/// CREATE ISAKMP POLICY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IsakmpPolicyConfig {
    /// The policy's name.
    pub name: Name,
    /// PEER.
    pub peer: PeerAddress,
    /// KEY.
    pub key: Option<u16>,
    /// ENCALG.
    pub encalg: Option<Cipher>,
    /// HASHALG.
    pub hashalg: Option<Hash>,
    /// GROUP.
    pub group: Option<DhGroup>,
    /// DHEXPONENTLENGTH in bits.
    pub dh_exponent_length: Option<u16>,
    /// EXPIRYSECONDS.
    pub expiry_seconds: Option<u32>,
    /// LOCALID.
    pub local_id: Option<Name>,
    /// REMOTEID.
    pub remote_id: Option<Name>,
    /// SENDNOTIFY.
    pub send_notify: Option<bool>,
    /// SENDDELETES.
    pub send_deletes: Option<bool>,
    /// DELETEDELAY in seconds.
    pub delete_delay: Option<u16>,
    /// MSGTIMEOUT in seconds.
    pub msg_timeout: Option<u32>,
    /// MSGRETRYLIMIT.
    pub msg_retry_limit: Option<u16>,
    /// MSGBACKOFF.
    pub msg_backoff: Option<Backoff>,
}

impl IsakmpPolicyConfig {
    /// A policy with nothing but name and peer.
    #[must_use]
    pub const fn new(name: Name, peer: PeerAddress) -> Self {
        Self {
            name,
            peer,
            key: None,
            encalg: None,
            hashalg: None,
            group: None,
            dh_exponent_length: None,
            expiry_seconds: None,
            local_id: None,
            remote_id: None,
            send_notify: None,
            send_deletes: None,
            delete_delay: None,
            msg_timeout: None,
            msg_retry_limit: None,
            msg_backoff: None,
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

    /// The rules between its parameters.
    ///
    /// # Errors
    /// [`ConfigFault`].
    pub fn check(&self, keys: &KeyRing) -> Result<(), ConfigFault> {
        let Some(number) = self.key else {
            let when = "with AUTHTYPE=PRESHARED";
            return Err(ConfigFault::Required {
                parameter: "KEY",
                when,
            });
        };
        if keys.get(KeyNumber(number)).is_none() {
            return Err(ConfigFault::NoSuch {
                what: "ENCO KEY",
                number,
            });
        }
        match self.peer {
            PeerAddress::Address(_) => {}
            PeerAddress::Any => return Err(ConfigFault::NotYet("PEER=ANY")),
            PeerAddress::Dynamic => {
                return Err(ConfigFault::Conflict(
                    "PEER takes an address, a host name or ANY",
                ));
            }
            PeerAddress::Host(_) => return Err(ConfigFault::NotYet("PEER by host name")),
        }
        if self.exponent_bits() >= self.group().bits() {
            return Err(ConfigFault::Conflict(
                "DHEXPONENTLENGTH is at most 511 for GROUP=0, 767 for GROUP=1, 1023 for GROUP=2",
            ));
        }
        Ok(())
    }
}

/// Everything configured for ISAKMP, in the order of creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IsakmpConfig {
    /// ENABLE ISAKMP.
    pub enabled: bool,
    /// ENABLE ISAKMP UDPPORT.
    pub udp_port: Option<u16>,
    /// The policies.
    pub policies: Vec<IsakmpPolicyConfig>,
}

impl IsakmpConfig {
    /// The port in force.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.udp_port.unwrap_or(500)
    }

    /// A policy by its name.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&IsakmpPolicyConfig> {
        self.policies.iter().find(|policy| policy.name == *name)
    }

    /// The policy towards a peer: the one that the IPsec policy names with ISAKMPPOLICY, which must
    /// be for that peer, else the first that names its address.
    #[must_use]
    pub fn policy_towards(
        &self,
        peer: core::net::IpAddr,
        named: Option<&Name>,
    ) -> Option<&IsakmpPolicyConfig> {
        match named {
            Some(name) => self
                .policy(name.as_str())
                .filter(|policy| policy.peer == PeerAddress::Address(peer)),
            None => self.policy_for(peer),
        }
    }

    /// The policy for a peer: the first that names its address.
    #[must_use]
    pub fn policy_for(&self, peer: core::net::IpAddr) -> Option<&IsakmpPolicyConfig> {
        self.policies
            .iter()
            .find(|policy| policy.peer == PeerAddress::Address(peer))
    }
}
