//! What is configured, and what SHOW reads of it.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use hw_offload::{KeyRing, Secret};
use ipsec_core::model::IpsecConfig;
use ipsec_core::net::Net;
use ipsec_core::{Limits, WallClock};

use super::log::Log;
use super::users::Users;
use crate::config::IsakmpConfig;

/// A RADIUS server, which judges users of extended authentication.
#[derive(Debug)]
pub struct RadiusServer {
    /// Its address.
    pub address: IpAddr,
    /// Its UDP port.
    pub port: u16,
    /// What it shares with this router.
    pub secret: Secret,
}

impl RadiusServer {
    /// The port where none is given (RFC 2865 §3).
    pub const PORT: u16 = 1812;
}

impl Clone for RadiusServer {
    fn clone(&self) -> Self {
        Self {
            address: self.address,
            port: self.port,
            secret: self.secret.duplicate(),
        }
    }
}

/// The configuration as written, with keys, users and log. It has no type parameters, so that
/// commands need none.
#[derive(Debug)]
pub struct State {
    /// IPsec.
    pub ipsec: IpsecConfig,
    /// ISAKMP.
    pub isakmp: IsakmpConfig,
    /// Numbered keys.
    pub keys: KeyRing,
    /// Interfaces and routes.
    pub net: Net,
    /// ENABLE IP.
    pub ip_enabled: bool,
    /// ENABLE IP REMOTEASSIGN: an unnumbered interface may be given its address by the other side
    /// of the link.
    pub ip_remote_assign: bool,
    /// ENABLE IPV6.
    pub ipv6_enabled: bool,
    /// Users.
    pub users: Users,
    /// ADD RADIUS SERVER, in the order in which they are asked.
    pub radius: Vec<RadiusServer>,
    /// ENABLE SYSTEM SECURITY MODE.
    pub security_mode: bool,
    /// SET CONFIG: the file that is executed at the next start.
    pub boot_config: Option<String>,
    /// The log.
    pub log: Log,
    /// For log lines.
    pub wall: WallClock,
}

impl State {
    /// A router as it leaves the factory.
    #[must_use]
    pub fn new(limits: &Limits, wall: WallClock) -> Self {
        Self {
            ipsec: IpsecConfig::default(),
            isakmp: IsakmpConfig::default(),
            keys: KeyRing::new(limits.keys.into()),
            net: Net::default(),
            ip_enabled: false,
            ip_remote_assign: false,
            ipv6_enabled: false,
            users: Users::default(),
            radius: Vec::new(),
            security_mode: false,
            boot_config: None,
            log: Log::new(limits.log_lines.into()),
            wall,
        }
    }
}
