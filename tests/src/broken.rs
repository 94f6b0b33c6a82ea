//! A world in which everything fails.

use config_lang::Host;
use hw_offload::{Entropy, EntropyFault};

/// Randomness is gone, the disk is full, and no file is there.
#[derive(Debug)]
pub struct Broken;

impl Entropy for Broken {
    fn fill(&mut self, _: &mut [u8]) -> Result<(), EntropyFault> {
        Err(EntropyFault)
    }
}

impl Host for Broken {
    fn write_file(&mut self, _: &str, _: &str) -> Result<(), String> {
        Err("the disk is full".into())
    }

    fn has_file(&self, _: &str) -> bool {
        false
    }

    fn read_file(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
}
