//! Randomness: a ChaCha generator, seeded by the board.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use cortex_m_semihosting::{nr, syscall};
use hw_offload::{Entropy, EntropyFault};

/// Where cookies, nonces, SPIs, IVs and private exponents come from.
pub struct Random(ChaCha20Rng);

impl Random {
    /// Seeded by the board. This one has no random source of its own, so the debugger that started
    /// it gives 32 bytes as 64 hexadecimal digits in its last argument; without them there is no
    /// start, as keys that can be guessed are worse than none. A board with a true random number
    /// generator asks that here.
    pub fn from_board() -> Self {
        let seed =
            seed().expect("start me with -semihosting-config arg=firmware,arg=<64 hex digits>");
        Self(ChaCha20Rng::from_seed(seed))
    }
}

/// The last word of the command line.
fn seed() -> Option<[u8; 32]> {
    let mut line = [0_u8; 256];
    // SAFETY: the host writes at most so many bytes, to that place.
    let failed = unsafe { syscall(nr::GET_CMDLINE, &[line.as_mut_ptr() as usize, line.len()]) };
    if failed != 0 {
        return None;
    }
    let line = core::str::from_utf8(line.split(|byte| *byte == 0).next()?).ok()?;
    let word = line.split(' ').next_back()?;
    let mut seed = [0; 32];
    if word.len() != 2 * seed.len() {
        return None;
    }
    for (byte, at) in seed.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(word.get(at..at + 2)?, 16).ok()?;
    }
    Some(seed)
}

impl Entropy for Random {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyFault> {
        self.0.fill_bytes(out);
        Ok(())
    }
}
