//! Keys for readers of captures, in the two files that Wireshark and tshark read from their
//! configuration directory: `esp_sa` and `ikev1_decryption_table`.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use hw_offload::{Cipher, Mac};
use isakmp_core::Report;
use isakmp_core::device::DeviceReport;

/// The files.
#[derive(Debug)]
pub(crate) struct KeyLog {
    esp: File,
    isakmp: File,
}

impl KeyLog {
    /// Opens both files, readable by their owner only; what they hold is kept.
    ///
    /// # Errors
    /// When the directory or a file cannot be made.
    pub(crate) fn new(directory: &Path) -> Result<Self, String> {
        fs::create_dir_all(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        let open = |name: &str| {
            let path = directory.join(name);
            OpenOptions::new()
                .append(true)
                .create(true)
                .mode(0o600)
                .open(&path)
                .map_err(|error| format!("{}: {error}", path.display()))
        };
        Ok(Self {
            esp: open("esp_sa")?,
            isakmp: open("ikev1_decryption_table")?,
        })
    }

    /// Writes down what a report tells of keys.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub(crate) fn note(&mut self, report: &DeviceReport) -> std::io::Result<()> {
        match report {
            DeviceReport::SaKeys {
                source,
                destination,
                spi,
                cipher,
                cipher_key,
                mac,
                mac_key,
            } => writeln!(
                self.esp,
                "\"{}\",\"{source}\",\"{destination}\",\"0x{:08x}\",\"{}\",\"{}\",\"{}\",\"{}\"",
                if source.is_ipv4() { "IPv4" } else { "IPv6" },
                spi.0,
                cipher_name(*cipher),
                prefixed(cipher_key.expose()),
                mac_name(*mac),
                prefixed(mac_key.expose()),
            ),
            DeviceReport::Isakmp(Report::Phase1Key { initiator, key }) => {
                writeln!(self.isakmp, "{},{}", hex(&initiator.0), hex(key.expose()))
            }
            _ => Ok(()),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn prefixed(key: &[u8]) -> String {
    if key.is_empty() {
        String::new()
    } else {
        format!("0x{}", hex(key))
    }
}

const fn cipher_name(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::Null => "NULL",
        Cipher::Des => "DES-CBC [RFC2405]",
        Cipher::TripleDes => "TripleDES-CBC [RFC2451]",
        Cipher::Aes128 | Cipher::Aes192 | Cipher::Aes256 => "AES-CBC [RFC3602]",
    }
}

const fn mac_name(mac: Mac) -> &'static str {
    match mac {
        Mac::None => "NULL",
        Mac::HmacMd5_96 => "HMAC-MD5-96 [RFC2403]",
        Mac::HmacSha1_96 => "HMAC-SHA-1-96 [RFC2404]",
    }
}
