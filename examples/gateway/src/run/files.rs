//! The files that commands name: all in one directory, or in memory where none was given.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use config_lang::Host;
use lab::MemoryHost;

/// The router's file system.
#[derive(Debug)]
pub(crate) enum Files {
    /// Nothing is kept.
    Memory(MemoryHost),
    /// A directory.
    Directory(PathBuf),
}

impl Files {
    /// The file system in a directory, or in memory.
    ///
    /// # Errors
    /// When the directory is none.
    pub(crate) fn new(directory: Option<&Path>) -> Result<Self, String> {
        let Some(directory) = directory else {
            return Ok(Self::Memory(MemoryHost::default()));
        };
        if directory.is_dir() {
            Ok(Self::Directory(directory.to_owned()))
        } else {
            Err(format!(
                "--config-dir {}: there is no such directory",
                directory.display()
            ))
        }
    }
}

/// The place of a file; a name that could lead out of the directory has none.
fn place(directory: &Path, name: &str) -> Option<PathBuf> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let good = !name.is_empty() && !name.starts_with('.') && name.chars().all(plain);
    good.then(|| directory.join(name.to_ascii_lowercase()))
}

/// Writes a file that nobody but its owner may read: configurations hold keys. What was left there
/// by a crash goes first, so that its mode does not stay.
fn write_private(place: &Path, content: &str) -> io::Result<()> {
    match fs::remove_file(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(place)?.write_all(content.as_bytes())
}

impl Host for Files {
    fn write_file(&mut self, name: &str, content: &str) -> Result<(), String> {
        match self {
            Self::Memory(files) => files.write_file(name, content),
            Self::Directory(directory) => {
                let place = place(directory, name).ok_or("a plain file name is expected")?;
                // A crash in between leaves the old file whole.
                let fresh = place.with_extension("new");
                write_private(&fresh, content)
                    .and_then(|()| fs::rename(&fresh, &place))
                    .map_err(|error| error.to_string())
            }
        }
    }

    fn read_file(&self, name: &str) -> Option<Vec<u8>> {
        match self {
            Self::Memory(files) => files.read_file(name),
            Self::Directory(directory) => fs::read(place(directory, name)?).ok(),
        }
    }

    fn has_file(&self, name: &str) -> bool {
        match self {
            Self::Memory(files) => files.has_file(name),
            Self::Directory(directory) => {
                place(directory, name).is_some_and(|place| place.is_file())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn files_are_their_owners_alone() {
        let directory = std::env::temp_dir().join(format!("sekisho-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        // A file that a crash has left, for everybody to read.
        fs::write(directory.join("vpn.new"), "old").expect("a file");
        let mut files = Files::new(Some(&directory)).expect("it is there");
        files.write_file("VPN.cfg", "key").expect("written");
        let written = fs::metadata(directory.join("vpn.cfg")).expect("a file");
        assert_eq!(written.permissions().mode() & 0o777, 0o600);
        assert_eq!(files.read_file("vpn.cfg").as_deref(), Some(&b"key"[..]));
        fs::remove_dir_all(&directory).expect("removed");
    }

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let directory = Path::new("/d");
        for name in ["", "..", ".x", "../x", "a/b", "/etc/passwd", "a\0b", "a b"] {
            assert_eq!(place(directory, name), None, "{name:?}");
        }
        assert_eq!(
            place(directory, "IPsecVPN.cfg").as_deref(),
            Some(Path::new("/d/ipsecvpn.cfg"))
        );
    }
}
