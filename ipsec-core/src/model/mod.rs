//! The words of IPsec: protocols, names, selectors, bundles, lifetimes, records of configuration.

mod bundle;
mod config;
mod lifetime;
mod name;
mod selector;
mod words;

pub use bundle::{BundleFault, BundleString, Candidate, Group, ProposalEntry};
pub use config::{
    BundleConfig, ConfigFault, HashAlg, IpsecConfig, PeerAddress, PolicyConfig, SaSpecConfig,
    cipher_word, is_weak_key,
};
pub use lifetime::{Lifetime, Role};
pub use name::{InterfaceName, Name};
pub use selector::{AddressSelector, Flow, PortSelector, Selector, SelectorField};
pub use words::{Action, DfBit, Direction, Half, IpVersion, KeyManagement, Mode, Protocol, Spi};
