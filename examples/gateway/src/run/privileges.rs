//! Going on as another user than root, with what sockets, routes and the TUN device need and
//! nothing else.

use std::path::Path;

use nix::unistd::{Gid, Uid, User, chown, setgroups, setresgid, setresuid};
use rustix::fs::{Access, access};
use rustix::thread::{
    CapabilitySet, CapabilitySets, configure_capability_in_ambient_set, set_capabilities,
    set_keep_capabilities, set_no_new_privs,
};

/// Routes, rules and addresses; raw sockets; ports below 1024.
const KEPT: CapabilitySet = CapabilitySet::NET_ADMIN
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::NET_BIND_SERVICE);

/// Whom the gateway becomes.
#[derive(Debug)]
pub(crate) struct Unprivileged {
    name: String,
    user: Uid,
    group: Gid,
}

impl Unprivileged {
    /// The user of that name.
    ///
    /// # Errors
    /// When there is none, or it is root.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let fault = |why: &str| format!("--drop-privileges {name}: {why}");
        let found = User::from_name(name).map_err(|error| fault(error.desc()))?;
        let found = found.ok_or(fault("there is no such user"))?;
        if found.uid.is_root() {
            return Err(fault("a user without privileges is expected"));
        }
        Ok(Self {
            name: found.name,
            user: found.uid,
            group: found.gid,
        })
    }

    /// Becomes that user, for good and with all its threads: there must be one only. The control
    /// socket becomes the user's, and the directory for files must be writable for it.
    ///
    /// # Errors
    /// What could not be done: nothing may go on then.
    pub(crate) fn become_it(
        &self,
        control: Option<&Path>,
        config_dir: Option<&Path>,
    ) -> Result<(), String> {
        let fault = |what: &str, why: String| {
            Err(format!("--drop-privileges {}: {what}: {why}", self.name))
        };
        if let Some(path) = control
            && let Err(error) = chown(path, Some(self.user), Some(self.group))
        {
            return fault(&path.display().to_string(), error.to_string());
        }
        if let Err(error) = self.change() {
            return fault("the system refuses", error.to_string());
        }
        if let Some(path) = config_dir
            && let Err(error) = access(path, Access::WRITE_OK | Access::EXEC_OK)
        {
            let what = format!("--config-dir {} is not writable for it", path.display());
            return fault(&what, error.to_string());
        }
        Ok(())
    }

    fn change(&self) -> std::io::Result<()> {
        set_keep_capabilities(true)?;
        setgroups(&[self.group])?;
        setresgid(self.group, self.group, self.group)?;
        setresuid(self.user, self.user, self.user)?;
        let kept = CapabilitySets {
            effective: KEPT,
            permitted: KEPT,
            inheritable: KEPT,
        };
        set_capabilities(None, kept)?;
        // `ip`, which sets the routes, must have them too; nothing that is started may get more.
        for one in KEPT {
            configure_capability_in_ambient_set(one, true)?;
        }
        set_no_new_privs(true)?;
        set_keep_capabilities(false)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_users_without_privileges_are_taken() {
        let fault = |name| Unprivileged::named(name).expect_err("refused");
        assert!(fault("root").contains("a user without privileges is expected"));
        assert!(fault("no-such-user-here").contains("there is no such user"));
        assert!(Unprivileged::named("nobody").is_ok());
    }
}
