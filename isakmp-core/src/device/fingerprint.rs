//! One number for everything that a device holds: two that are equal moved nothing in between.
//!
//! What a number is made of is what `Debug` prints, to which no field is added by hand, and the
//! secrets, which `Debug` leaves out. The log is no state: who is refused may be told of there.

use core::fmt::{self, Debug, Write};

use hw_offload::{Engines, Secret};

use super::{Device, State};

/// FNV-1a of 64 bits: it has to tell changes apart, not to withstand anybody.
struct Sum(u64);

impl Sum {
    const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    const fn byte(&mut self, byte: u8) {
        self.0 = (self.0 ^ byte as u64).wrapping_mul(0x0100_0000_01b3);
    }

    fn add(&mut self, value: &dyn Debug) {
        // A sum takes whatever is written.
        let _ = write!(self, "{value:?};");
    }

    fn secret(&mut self, secret: &Secret) {
        for byte in secret.expose() {
            self.byte(*byte);
        }
    }
}

impl Write for Sum {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for byte in text.bytes() {
            self.byte(byte);
        }
        Ok(())
    }
}

impl State {
    /// The number of the configuration with its keys, users and passwords.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut sum = Sum::new();
        let Self {
            ipsec,
            isakmp,
            keys,
            net,
            ip_enabled,
            ip_remote_assign,
            ipv6_enabled,
            users,
            radius,
            security_mode,
            boot_config,
            log: _,
            wall,
        } = self;
        sum.add(ipsec);
        sum.add(isakmp);
        for policy in &isakmp.policies {
            if let Some(password) = &policy.xauth_password {
                sum.secret(&password.0);
            }
        }
        sum.add(keys);
        for (_, key) in keys.iter() {
            sum.secret(&key.value);
        }
        sum.add(net);
        sum.add(&(ip_enabled, ip_remote_assign, ipv6_enabled));
        sum.add(users);
        sum.add(radius);
        for server in radius {
            sum.secret(&server.secret);
        }
        sum.add(&(security_mode, boot_config, wall));
        sum.0
    }
}

impl<E: Engines> Device<E> {
    /// The number of the configuration, and of all SAs, exchanges and packets under way; what an
    /// engine works on is its own.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let Self {
            state,
            plane,
            endpoint,
            engines: _,
            installs,
            limits,
            key_log,
            generating,
            generated,
        } = self;
        let mut sum = Sum::new();
        sum.add(&state.fingerprint());
        sum.add(plane.state());
        sum.add(&self.held_fragments());
        sum.add(endpoint);
        sum.add(&(installs, limits, key_log, generating, generated));
        sum.0
    }
}
