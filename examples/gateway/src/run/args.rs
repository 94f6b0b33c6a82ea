//! The arguments of `run`.

use std::path::PathBuf;

use ipsec_core::model::InterfaceName;

use crate::args::value;

/// What `run` was asked to do.
#[derive(Debug)]
pub(crate) struct RunArgs {
    /// The configuration.
    pub(crate) file: PathBuf,
    /// Which Linux device stands for which interface of the configuration.
    pub(crate) interfaces: Vec<(InterfaceName, String)>,
    /// The name of the TUN device.
    pub(crate) tun: String,
    /// The only directory that commands write to.
    pub(crate) config_dir: Option<PathBuf>,
    /// Where `cli` connects.
    pub(crate) control: Option<PathBuf>,
    /// Where the capture of the WAN goes.
    pub(crate) pcap: Option<PathBuf>,
    /// Where keys for readers of captures go.
    pub(crate) keylog: Option<PathBuf>,
    /// The user that the gateway becomes once it is ready.
    pub(crate) user: Option<String>,
}

impl RunArgs {
    /// Reads the arguments behind `run`.
    ///
    /// # Errors
    /// A sentence that names the argument.
    pub(crate) fn read(mut args: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut files = Vec::new();
        let mut own = Self {
            file: PathBuf::new(),
            interfaces: Vec::new(),
            tun: "sekisho".to_owned(),
            config_dir: None,
            control: None,
            pcap: None,
            keylog: None,
            user: None,
        };
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--interface" => {
                    let text: String = value(&arg, &mut args, "NAME=DEVICE, as in ppp0=eth1")?;
                    own.interfaces.push(interface(&text)?);
                }
                "--tun" => own.tun = value(&arg, &mut args, "a device name")?,
                "--config-dir" => own.config_dir = Some(value(&arg, &mut args, "a directory")?),
                "--control" => own.control = Some(value(&arg, &mut args, "a socket's path")?),
                "--pcap" => own.pcap = Some(value(&arg, &mut args, "a file")?),
                "--keylog" => own.keylog = Some(value(&arg, &mut args, "a directory")?),
                "--drop-privileges" => own.user = Some(value(&arg, &mut args, "a user")?),
                other if other.starts_with('-') => {
                    return Err(format!("run has no option {other}"));
                }
                file => files.push(PathBuf::from(file)),
            }
        }
        let count = files.len();
        let [file] = <[PathBuf; 1]>::try_from(files)
            .map_err(|_| format!("run takes one configuration, {count} were given"))?;
        own.file = file;
        Ok(own)
    }
}

fn interface(text: &str) -> Result<(InterfaceName, String), String> {
    match text.split_once('=') {
        Some((name, device)) if !name.is_empty() && !device.is_empty() => {
            Ok((InterfaceName::new(name), device.to_owned()))
        }
        _ => Err(format!(
            "--interface {text}: NAME=DEVICE is expected, as in ppp0=eth1"
        )),
    }
}
