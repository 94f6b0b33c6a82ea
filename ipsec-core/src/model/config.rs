//! The configuration as written: what was not given stays `None`, and everything compiled is
//! derived from here.

use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{Cipher, KeyKind, KeyNumber, KeyRing, Mac};

use super::bundle::{BundleFault, BundleString};
use super::lifetime::Lifetime;
use super::name::{InterfaceName, Name};
use super::selector::{AddressSelector, Selector};
use super::words::{Action, DfBit, IpVersion, KeyManagement, Mode, Protocol};
use crate::wire::udp_encap::Framing;

/// HASHALG of an SA specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlg {
    /// No authentication.
    Null,
    /// HMAC-MD5-96.
    Md5,
    /// HMAC-SHA-1-96.
    Sha,
}

impl HashAlg {
    /// The word of the command language.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Md5 => "MD5",
            Self::Sha => "SHA",
        }
    }

    /// The integrity algorithm.
    #[must_use]
    pub const fn mac(self) -> Mac {
        match self {
            Self::Null => Mac::None,
            Self::Md5 => Mac::HmacMd5_96,
            Self::Sha => Mac::HmacSha1_96,
        }
    }
}

/// The word of the command language for a cipher.
#[must_use]
pub const fn cipher_word(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::Null => "NULL",
        Cipher::Des => "DES",
        Cipher::TripleDes => "3DESOUTER",
        Cipher::Aes128 => "AES128",
        Cipher::Aes192 => "AES192",
        Cipher::Aes256 => "AES256",
    }
}

/// Whether a key makes a cipher weaker than its name says: one of the 16 weak and semi-weak keys of
/// DES, or a key of 3DES whose neighbouring thirds are the same, which leaves single DES
/// (RFC 2451 §2.3). Parity bits do not count.
#[must_use]
pub fn is_weak_key(cipher: Cipher, key: &[u8]) -> bool {
    match (cipher, key.as_chunks::<8>().0) {
        (Cipher::Des, _) => hw_offload::is_weak_des_key(key),
        (Cipher::TripleDes, [first, second, third]) => {
            let same = |a: &[u8; 8], b: &[u8; 8]| {
                let differ = a.iter().zip(b).fold(0, |differ, (a, b)| differ | (a ^ b));
                differ & 0xfe == 0
            };
            same(first, second) | same(second, third)
        }
        _ => false,
    }
}

/// Why a record or a reference between records is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigFault {
    /// A parameter is missing.
    #[error("{parameter} is required {when}")]
    Required {
        /// The parameter.
        parameter: &'static str,
        /// In which case.
        when: &'static str,
    },
    /// A parameter does not belong here.
    #[error("{parameter} is only valid {when}")]
    OnlyWith {
        /// The parameter.
        parameter: &'static str,
        /// In which case.
        when: &'static str,
    },
    /// A combination that makes no sense.
    #[error("{0}")]
    Conflict(&'static str),
    /// The bundle string.
    #[error(transparent)]
    Bundle(#[from] BundleFault),
    /// A reference to something that does not exist.
    #[error("{what} {number} does not exist")]
    NoSuch {
        /// What.
        what: &'static str,
        /// Its number.
        number: u16,
    },
    /// A key of the wrong kind or length.
    #[error(
        "{parameter}={number}: {needs} needs a {kind} key of {wanted} bytes, the key is {have} with {len} bytes"
    )]
    Key {
        /// The parameter that names it.
        parameter: &'static str,
        /// The key's number.
        number: u16,
        /// The algorithm.
        needs: &'static str,
        /// The kind it needs.
        kind: &'static str,
        /// The length it needs.
        wanted: usize,
        /// The kind it is.
        have: &'static str,
        /// The length it has.
        len: usize,
    },
    /// A key of the wrong kind.
    #[error("{parameter}={number}: {needs} needs a {kind} key, the key is {have}")]
    KeyKind {
        /// The parameter that names it.
        parameter: &'static str,
        /// The key's number.
        number: u16,
        /// What it is for.
        needs: &'static str,
        /// The kind it must be.
        kind: &'static str,
        /// The kind it is.
        have: &'static str,
    },
    /// KEYMANAGEMENT of two records differ.
    #[error("{first} has KEYMANAGEMENT={one} and {second} has KEYMANAGEMENT={other}")]
    KeyManagement {
        /// A record.
        first: &'static str,
        /// Its value.
        one: KeyManagement,
        /// Another record.
        second: &'static str,
        /// Its value.
        other: KeyManagement,
    },
    /// A key that enciphers so badly that the algorithm is none.
    #[error("{parameter}={number}: the key is a weak one for {needs}")]
    WeakKey {
        /// The parameter that names it.
        parameter: &'static str,
        /// The key's number.
        number: u16,
        /// The algorithm.
        needs: &'static str,
    },
}

impl ConfigFault {
    /// SRCINTERFACE of a policy of either kind.
    pub const LOCAL_SOURCE: Self = Self::Conflict("SRCINTERFACE takes no local IP interface");
}

/// CREATE IPSEC SASPECIFICATION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaSpecConfig {
    /// The specification's number.
    pub number: u8,
    /// KEYMANAGEMENT.
    pub key_management: KeyManagement,
    /// PROTOCOL.
    pub protocol: Protocol,
    /// MODE.
    pub mode: Option<Mode>,
    /// ENCALG.
    pub encalg: Option<Cipher>,
    /// ENCKEY.
    pub enckey: Option<u16>,
    /// HASHALG.
    pub hashalg: Option<HashAlg>,
    /// HASHKEY.
    pub hashkey: Option<u16>,
    /// INSPI.
    pub inspi: Option<u32>,
    /// OUTSPI.
    pub outspi: Option<u32>,
    /// ANTIREPLAYENABLED.
    pub anti_replay: Option<bool>,
    /// REPLAYWINDOWSIZE.
    pub window: Option<u16>,
}

impl SaSpecConfig {
    /// MODE in force.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.mode.unwrap_or(Mode::Tunnel)
    }

    /// The cipher in force; NULL for AH.
    #[must_use]
    pub fn cipher(&self) -> Cipher {
        self.encalg.unwrap_or(Cipher::Null)
    }

    /// The integrity algorithm in force.
    #[must_use]
    pub fn mac(&self) -> Mac {
        self.hashalg.map_or(Mac::None, HashAlg::mac)
    }

    /// Window size in force, or none while anti-replay is off.
    #[must_use]
    pub fn replay_window(&self) -> Option<u16> {
        (self.anti_replay == Some(true)).then(|| self.window.unwrap_or(32))
    }

    /// The rules between its parameters.
    ///
    /// # Errors
    /// [`ConfigFault`] naming the parameter.
    pub fn check(&self) -> Result<(), ConfigFault> {
        let required = |missing: bool, parameter, when| {
            if missing {
                Err(ConfigFault::Required { parameter, when })
            } else {
                Ok(())
            }
        };
        let only = |given: bool, parameter, when| {
            if given {
                Err(ConfigFault::OnlyWith { parameter, when })
            } else {
                Ok(())
            }
        };
        let esp = self.protocol == Protocol::Esp;
        let manual = self.key_management == KeyManagement::Manual;
        required(esp && self.encalg.is_none(), "ENCALG", "with PROTOCOL=ESP")?;
        required(
            self.hashalg.is_none(),
            "HASHALG",
            "with PROTOCOL=ESP and PROTOCOL=AH",
        )?;
        only(!esp && self.encalg.is_some(), "ENCALG", "with PROTOCOL=ESP")?;
        if !esp && self.hashalg == Some(HashAlg::Null) {
            return Err(ConfigFault::Conflict(
                "PROTOCOL=AH needs HASHALG=MD5 or HASHALG=SHA",
            ));
        }
        if self.encalg == Some(Cipher::Null) && self.hashalg == Some(HashAlg::Null) {
            return Err(ConfigFault::Conflict(
                "ENCALG and HASHALG cannot both be NULL",
            ));
        }
        if manual {
            let with = "with KEYMANAGEMENT=MANUAL";
            let ciphers = self.cipher() != Cipher::Null;
            let hashes = self.mac() != Mac::None;
            required(ciphers && self.enckey.is_none(), "ENCKEY", with)?;
            required(hashes && self.hashkey.is_none(), "HASHKEY", with)?;
            required(self.inspi.is_none(), "INSPI", with)?;
            required(self.outspi.is_none(), "OUTSPI", with)?;
            let automatic = "with KEYMANAGEMENT=ISAKMP";
            only(self.anti_replay.is_some(), "ANTIREPLAYENABLED", automatic)?;
            only(self.window.is_some(), "REPLAYWINDOWSIZE", automatic)?;
        } else {
            let with = "with KEYMANAGEMENT=MANUAL";
            only(self.enckey.is_some(), "ENCKEY", with)?;
            only(self.hashkey.is_some(), "HASHKEY", with)?;
            only(self.inspi.is_some(), "INSPI", with)?;
            only(self.outspi.is_some(), "OUTSPI", with)?;
        }
        Ok(())
    }

    /// Whether the keys it names exist and fit the algorithms.
    ///
    /// # Errors
    /// [`ConfigFault::NoSuch`] or [`ConfigFault::Key`].
    pub fn check_keys(&self, ring: &KeyRing) -> Result<(), ConfigFault> {
        let check = |parameter, number: Option<u16>, needs, kind: KeyKind, wanted: usize| {
            let Some(number) = number else { return Ok(()) };
            let key = ring.get(KeyNumber(number)).ok_or(ConfigFault::NoSuch {
                what: "ENCO KEY",
                number,
            })?;
            if key.kind == kind && key.value.len() == wanted {
                return Ok(());
            }
            let (have, len) = (key.kind.word(), key.value.len());
            Err(ConfigFault::Key {
                parameter,
                number,
                needs,
                kind: kind.word(),
                wanted,
                have,
                len,
            })
        };
        let cipher = self.cipher();
        if let Some(kind) = KeyKind::of_cipher(cipher) {
            check(
                "ENCKEY",
                self.enckey,
                cipher_word(cipher),
                kind,
                cipher.key_len(),
            )?;
            let key = self.enckey.and_then(|number| ring.get(KeyNumber(number)));
            if key.is_some_and(|key| is_weak_key(cipher, key.value.expose())) {
                return Err(ConfigFault::WeakKey {
                    parameter: "ENCKEY",
                    number: self.enckey.unwrap_or(0),
                    needs: cipher_word(cipher),
                });
            }
        }
        if let Some(hash) = self.hashalg.filter(|hash| *hash != HashAlg::Null) {
            let wanted = hash.mac().key_len();
            check(
                "HASHKEY",
                self.hashkey,
                hash.word(),
                KeyKind::General,
                wanted,
            )?;
        }
        Ok(())
    }
}

/// CREATE IPSEC BUNDLESPECIFICATION.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleConfig {
    /// The specification's number.
    pub number: u8,
    /// KEYMANAGEMENT.
    pub key_management: KeyManagement,
    /// STRING.
    pub string: BundleString,
    /// EXPIRYKBYTES.
    pub expiry_kbytes: Option<u32>,
    /// EXPIRYSECONDS.
    pub expiry_seconds: Option<u32>,
}

impl BundleConfig {
    /// The largest EXPIRYKBYTES; greater values are cut to it.
    pub const MAX_KBYTES: u32 = 4_193_280;

    /// The life of an SA made from it.
    #[must_use]
    pub fn lifetime(&self) -> Lifetime {
        Lifetime {
            seconds: self.expiry_seconds.unwrap_or(Lifetime::DEFAULT_SECONDS),
            kbytes: self.expiry_kbytes,
        }
    }

    /// The rules between its parameters and the specifications it names.
    ///
    /// # Errors
    /// [`ConfigFault`].
    pub fn check(&self, specs: &[SaSpecConfig]) -> Result<(), ConfigFault> {
        let manual = self.key_management == KeyManagement::Manual;
        let when = "with KEYMANAGEMENT=ISAKMP";
        if manual && self.expiry_kbytes.is_some() {
            return Err(ConfigFault::OnlyWith {
                parameter: "EXPIRYKBYTES",
                when,
            });
        }
        if manual && self.expiry_seconds.is_some() {
            return Err(ConfigFault::OnlyWith {
                parameter: "EXPIRYSECONDS",
                when,
            });
        }
        let find = |number| specs.iter().find(|spec| spec.number == number);
        self.string
            .check(manual, |number| find(number).map(|spec| spec.protocol))?;
        for spec in self.string.specs().filter_map(find) {
            if spec.key_management != self.key_management {
                return Err(ConfigFault::KeyManagement {
                    first: "the bundle specification",
                    one: self.key_management,
                    second: "an SA specification of its string",
                    other: spec.key_management,
                });
            }
        }
        Ok(())
    }
}

/// PEERADDRESS of an IPsec policy, PEER of an ISAKMP policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerAddress {
    /// A fixed address.
    Address(IpAddr),
    /// A host name, to be resolved.
    Host(Name),
    /// Anybody.
    Any,
    /// Whoever passed authentication.
    Dynamic,
}

impl PeerAddress {
    /// The address, if it is fixed.
    #[must_use]
    pub const fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Address(address) => Some(*address),
            Self::Host(_) | Self::Any | Self::Dynamic => None,
        }
    }
}

impl core::fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Host(name) => name.fmt(f),
            Self::Any => f.pad("ANY"),
            Self::Dynamic => f.pad("DYNAMIC"),
        }
    }
}

/// CREATE IPSEC POLICY.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyConfig {
    /// The policy's name.
    pub name: Name,
    /// INTERFACE.
    pub interface: InterfaceName,
    /// ACTION.
    pub action: Action,
    /// IPVERSION.
    pub version: Option<IpVersion>,
    /// KEYMANAGEMENT.
    pub key_management: Option<KeyManagement>,
    /// BUNDLESPECIFICATION.
    pub bundle: Option<u8>,
    /// PEERADDRESS.
    pub peer: Option<PeerAddress>,
    /// LADDRESS; a single address counts with `lmask`.
    pub laddress: Option<AddressSelector>,
    /// LMASK as a prefix length.
    pub lmask: Option<u8>,
    /// LNAME.
    pub lname: Option<Name>,
    /// LPORT.
    pub lport: Option<u16>,
    /// RADDRESS; a single address counts with `rmask`.
    pub raddress: Option<AddressSelector>,
    /// RMASK as a prefix length.
    pub rmask: Option<u8>,
    /// RNAME.
    pub rname: Option<Name>,
    /// RPORT.
    pub rport: Option<u16>,
    /// TRANSPORTPROTOCOL.
    pub transport: Option<u8>,
    /// DFBIT.
    pub df_bit: Option<DfBit>,
    /// GROUP.
    pub group: Option<u8>,
    /// ICMPTYPE=NDALL.
    pub neighbour_discovery: bool,
    /// ISAKMPPOLICY.
    pub isakmp_policy: Option<Name>,
    /// SRCINTERFACE.
    pub src_interface: Option<InterfaceName>,
    /// USEPFSKEY.
    pub use_pfs: Option<bool>,
    /// UDPTUNNEL.
    pub udp_tunnel: Option<bool>,
    /// UDPHEARTBEAT.
    pub udp_heartbeat: Option<bool>,
    /// UDPPORT, the peer's port.
    pub udp_port: Option<u16>,
    /// How ESP is framed in the UDP tunnel.
    pub udp_framing: Option<Framing>,
    /// RESPONDBADSPI.
    pub respond_bad_spi: Option<bool>,
    /// IPROUTETEMPLATE.
    pub route_template: Option<Name>,
}

impl PolicyConfig {
    /// A policy with nothing but its name, interface and action.
    #[must_use]
    pub const fn new(name: Name, interface: InterfaceName, action: Action) -> Self {
        Self {
            name,
            interface,
            action,
            version: None,
            key_management: None,
            bundle: None,
            peer: None,
            laddress: None,
            lmask: None,
            lname: None,
            lport: None,
            raddress: None,
            rmask: None,
            rname: None,
            rport: None,
            transport: None,
            df_bit: None,
            group: None,
            neighbour_discovery: false,
            isakmp_policy: None,
            src_interface: None,
            use_pfs: None,
            udp_tunnel: None,
            udp_heartbeat: None,
            udp_port: None,
            udp_framing: None,
            respond_bad_spi: None,
            route_template: None,
        }
    }

    /// ACTION in force: NDALL turns any policy into PERMIT.
    #[must_use]
    pub const fn action(&self) -> Action {
        if self.neighbour_discovery {
            Action::Permit
        } else {
            self.action
        }
    }

    /// The compiled selectors.
    #[must_use]
    pub fn selector(&self) -> Selector {
        let masked = |address: Option<AddressSelector>, mask: Option<u8>| match (address, mask) {
            (Some(AddressSelector::Prefix(address @ IpAddr::V4(_), 32)), Some(length)) => {
                AddressSelector::Prefix(address, length)
            }
            (address, _) => address.unwrap_or_default(),
        };
        Selector {
            version: self.version.unwrap_or(IpVersion::V4),
            local: masked(self.laddress, self.lmask),
            remote: masked(self.raddress, self.rmask),
            local_port: self.lport,
            remote_port: self.rport,
            local_name: self.lname.clone(),
            remote_name: self.rname.clone(),
            protocol: self.transport,
            neighbour_discovery: self.neighbour_discovery,
        }
    }

    /// The group of a quick mode with perfect forward secrecy, if it is wanted.
    #[must_use]
    pub fn pfs_group(&self) -> Option<u8> {
        (self.use_pfs == Some(true)).then(|| self.group.unwrap_or(1))
    }

    /// The rules between its parameters and the records it names.
    ///
    /// # Errors
    /// [`ConfigFault`].
    pub fn check(&self, config: &IpsecConfig, ring: &KeyRing) -> Result<(), ConfigFault> {
        if self
            .src_interface
            .as_ref()
            .is_some_and(InterfaceName::is_local)
        {
            return Err(ConfigFault::LOCAL_SOURCE);
        }
        let v4 = self.version != Some(IpVersion::V6);
        for selector in [self.laddress, self.raddress].into_iter().flatten() {
            if selector
                .bounds()
                .is_some_and(|(low, _)| low.is_ipv4() != v4)
            {
                return Err(ConfigFault::Conflict(
                    "an address of LADDRESS or RADDRESS is not of the policy's IPVERSION",
                ));
            }
        }
        for (address, mask) in [(self.laddress, self.lmask), (self.raddress, self.rmask)] {
            let single = matches!(
                address,
                None | Some(AddressSelector::Prefix(IpAddr::V4(_), 32))
            );
            // The mask of a host is no mask at all.
            if mask.is_some_and(|length| length != 32) && !single {
                return Err(ConfigFault::Conflict(
                    "LMASK and RMASK other than 255.255.255.255 go with a single IPv4 address",
                ));
            }
        }
        if self.neighbour_discovery && v4 {
            return Err(ConfigFault::OnlyWith {
                parameter: "ICMPTYPE",
                when: "with IPVERSION=6",
            });
        }
        let ports = self.lport.is_some() || self.rport.is_some();
        if ports && !matches!(self.transport, Some(6 | 17)) {
            return Err(ConfigFault::OnlyWith {
                parameter: "LPORT or RPORT",
                when: "with TRANSPORTPROTOCOL=TCP or UDP",
            });
        }
        if self.action != Action::Ipsec {
            let when = "with ACTION=IPSEC";
            for (given, parameter) in [
                (self.key_management.is_some(), "KEYMANAGEMENT"),
                (self.bundle.is_some(), "BUNDLESPECIFICATION"),
                (self.peer.is_some(), "PEERADDRESS"),
                (self.isakmp_policy.is_some(), "ISAKMPPOLICY"),
                (self.route_template.is_some(), "IPROUTETEMPLATE"),
            ] {
                if given {
                    return Err(ConfigFault::OnlyWith { parameter, when });
                }
            }
            return Ok(());
        }
        self.check_ipsec(config, ring)
    }

    fn check_ipsec(&self, config: &IpsecConfig, ring: &KeyRing) -> Result<(), ConfigFault> {
        let when = "with ACTION=IPSEC";
        let need = |parameter| ConfigFault::Required { parameter, when };
        let number = self.bundle.ok_or(need("BUNDLESPECIFICATION"))?;
        let peer = self.peer.as_ref().ok_or(need("PEERADDRESS"))?;
        // SET cannot give it, and takes it from the bundle.
        let management = self.key_management.ok_or(need("KEYMANAGEMENT"))?;
        let anybody = matches!(peer, PeerAddress::Any | PeerAddress::Dynamic);
        let bundle = config.bundle(number).ok_or(ConfigFault::NoSuch {
            what: "BUNDLESPECIFICATION",
            number: number.into(),
        })?;
        if bundle.key_management != management {
            return Err(ConfigFault::KeyManagement {
                first: "the policy",
                one: management,
                second: "its bundle specification",
                other: bundle.key_management,
            });
        }
        if management == KeyManagement::Manual {
            if anybody {
                return Err(ConfigFault::Conflict(
                    "PEERADDRESS=ANY and PEERADDRESS=DYNAMIC need KEYMANAGEMENT=ISAKMP",
                ));
            }
            if self.use_pfs == Some(true) {
                return Err(ConfigFault::OnlyWith {
                    parameter: "USEPFSKEY",
                    when: "with KEYMANAGEMENT=ISAKMP",
                });
            }
        }
        if self.route_template.is_some() && !anybody {
            return Err(ConfigFault::OnlyWith {
                parameter: "IPROUTETEMPLATE",
                when: "with PEERADDRESS=ANY and PEERADDRESS=DYNAMIC",
            });
        }
        let v4 = self.version != Some(IpVersion::V6);
        let foreign = peer
            .address()
            .is_some_and(|address| address.is_ipv4() != v4);
        for spec in bundle.string.specs() {
            let spec = config
                .sa_spec(spec)
                .ok_or(BundleFault::NoSuchSpec { spec })?;
            if self.udp_tunnel == Some(true) && spec.protocol == Protocol::Ah {
                return Err(ConfigFault::Conflict(
                    "UDPTUNNEL=TRUE does not work with PROTOCOL=AH, which protects the addresses",
                ));
            }
            spec.check_keys(ring)?;
        }
        // A tunnel may lead IPv4 through IPv6 and the other way round.
        let transports = |number: &u8| {
            config
                .sa_spec(*number)
                .is_some_and(|spec| spec.mode() == Mode::Transport)
        };
        let candidates = bundle.string.candidates();
        let no_tunnel = candidates
            .iter()
            .any(|candidate| candidate.iter().all(|group| group.iter().any(transports)));
        if no_tunnel && foreign {
            return Err(ConfigFault::Conflict(
                "with MODE=TRANSPORT, PEERADDRESS must be of the policy's IPVERSION",
            ));
        }
        Ok(())
    }

    /// The peer's port of the UDP tunnel.
    #[must_use]
    pub fn udp_peer_port(&self) -> u16 {
        self.udp_port.unwrap_or(IpsecConfig::UDP_PORT)
    }
}

/// Everything configured for IPsec, in the order of creation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpsecConfig {
    /// ENABLE IPSEC.
    pub enabled: bool,
    /// SET IPSEC UDPPORT.
    pub udp_port: Option<u16>,
    /// The SA specifications.
    pub sa_specs: Vec<SaSpecConfig>,
    /// The bundle specifications.
    pub bundles: Vec<BundleConfig>,
    /// The policies; those of one interface are searched in this order, which POSITION changes.
    pub policies: Vec<PolicyConfig>,
}

impl IpsecConfig {
    /// The registered port of the UDP tunnel.
    pub const UDP_PORT: u16 = 2746;

    /// Our port of the UDP tunnel.
    #[must_use]
    pub fn udp_port(&self) -> u16 {
        self.udp_port.unwrap_or(Self::UDP_PORT)
    }

    /// An SA specification by its number.
    #[must_use]
    pub fn sa_spec(&self, number: u8) -> Option<&SaSpecConfig> {
        self.sa_specs.iter().find(|spec| spec.number == number)
    }

    /// A bundle specification by its number.
    #[must_use]
    pub fn bundle(&self, number: u8) -> Option<&BundleConfig> {
        self.bundles.iter().find(|bundle| bundle.number == number)
    }

    /// A policy by its name.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<&PolicyConfig> {
        self.policies.iter().find(|policy| policy.name == *name)
    }

    /// The policies of an interface, in the order in which they are searched, each with its
    /// position from 1.
    pub fn policies_on<'a>(
        &'a self,
        interface: &'a InterfaceName,
    ) -> impl Iterator<Item = (u16, &'a PolicyConfig)> {
        (1..).zip(
            self.policies
                .iter()
                .filter(move |policy| policy.interface == *interface),
        )
    }

    /// The position of a policy in the list of its interface.
    #[must_use]
    pub fn position(&self, policy: &PolicyConfig) -> u16 {
        self.policies_on(&policy.interface)
            .find(|(_, other)| other.name == policy.name)
            .map_or(0, |(position, _)| position)
    }

    /// Inserts a policy so that it gets `position` in the list of its interface, or the last one.
    pub fn insert_policy(&mut self, policy: PolicyConfig, position: Option<u16>) {
        let place = position.and_then(|position| {
            let name = self
                .policies_on(&policy.interface)
                .find(|(other, _)| *other == position)
                .map(|(_, other)| other.name.clone())?;
            self.policies.iter().position(|other| other.name == name)
        });
        let place = place.unwrap_or(self.policies.len());
        self.policies.insert(place, policy);
    }
}
