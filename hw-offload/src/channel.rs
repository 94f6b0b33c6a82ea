//! Keyed contexts: what an engine keeps of a channel, and one job carried out on it.

use crate::algorithm::{Cipher, Mac};
use crate::buffer::PacketBuf;
use crate::cbc_mode::CipherKey;
use crate::digest::HmacKey;
use crate::packet::{ChannelSpec, JobFault, Op, OpenFault, PacketJob, RefusedWhy, Stage};
use crate::secret::ct_eq;

/// The key schedules of an open channel.
pub(crate) struct Keyed {
    cipher: Cipher,
    mac: Mac,
    op: Op,
    cipher_key: CipherKey,
    mac_key: Option<HmacKey>,
}

impl Keyed {
    pub(crate) fn new(spec: &ChannelSpec) -> Result<Self, OpenFault> {
        let cipher_key = CipherKey::new(spec.cipher, spec.cipher_key.expose())
            .map_err(|_| OpenFault::KeyLength)?;
        if spec.mac_key.len() != spec.mac.key_len() {
            return Err(OpenFault::KeyLength);
        }
        let mac_key = spec
            .mac
            .hash()
            .map(|hash| HmacKey::new(hash, spec.mac_key.expose()));
        Ok(Self {
            cipher: spec.cipher,
            mac: spec.mac,
            op: spec.op,
            cipher_key,
            mac_key,
        })
    }

    /// The same without keys: jobs are admitted as on the real channel, then nothing is ciphered,
    /// authenticated or compared.
    #[cfg(feature = "testing")]
    pub(crate) fn insecure(spec: &ChannelSpec) -> Result<Self, OpenFault> {
        Ok(Self {
            cipher_key: CipherKey::Null,
            mac_key: None,
            ..Self::new(spec)?
        })
    }

    /// Whether the job's spans lie in the storage and have the lengths of the algorithms.
    pub(crate) fn admits<B: PacketBuf>(&self, job: &PacketJob<B>) -> Result<(), RefusedWhy> {
        let storage = job.buffer.storage().len();
        let inside = [job.iv, job.crypt, job.icv]
            .iter()
            .chain(&job.auth)
            .all(|span| span.is_empty() || span.range().end <= storage);
        let lengths = usize::from(job.iv.len) == self.cipher.iv_len()
            && usize::from(job.crypt.len).is_multiple_of(self.cipher.block_len())
            && usize::from(job.icv.len) == self.mac.icv_len();
        if inside && lengths && job.op == self.op {
            Ok(())
        } else {
            Err(RefusedWhy::Malformed)
        }
    }

    /// Carries the job out. An Open whose ICV is wrong leaves the packet as it came.
    #[inline]
    pub(crate) fn run<B: PacketBuf>(&self, job: &mut PacketJob<B>) -> Result<(), JobFault> {
        match self.op {
            Op::Seal => {
                self.cipher(job)?;
                let Some(key) = &self.mac_key else {
                    return Ok(());
                };
                let digest = Self::authenticate(key, job);
                let icv = job.icv.range();
                let (Some(out), Some(value)) = (
                    job.buffer.storage_mut().get_mut(icv),
                    digest.as_bytes().get(..usize::from(job.icv.len)),
                ) else {
                    return Err(JobFault::Engine(Stage::Hash));
                };
                out.copy_from_slice(value);
                Ok(())
            }
            Op::Open => {
                if let Some(key) = &self.mac_key {
                    let digest = Self::authenticate(key, job);
                    let (Some(received), Some(value)) = (
                        job.buffer.storage().get(job.icv.range()),
                        digest.as_bytes().get(..usize::from(job.icv.len)),
                    ) else {
                        return Err(JobFault::Engine(Stage::Hash));
                    };
                    if !ct_eq(received, value) {
                        return Err(JobFault::BadIcv);
                    }
                }
                self.cipher(job)
            }
        }
    }

    #[inline]
    fn authenticate<B: PacketBuf>(key: &HmacKey, job: &PacketJob<B>) -> crate::digest::Digest {
        let storage = job.buffer.storage();
        key.mac(job.auth.iter().filter_map(|span| storage.get(span.range())))
    }

    #[inline]
    fn cipher<B: PacketBuf>(&self, job: &mut PacketJob<B>) -> Result<(), JobFault> {
        const FAULT: JobFault = JobFault::Engine(Stage::Cipher);
        if matches!(self.cipher_key, CipherKey::Null) {
            return Ok(());
        }
        let storage = job.buffer.storage_mut();
        let mut block = [0; 16];
        let iv = block.get_mut(..usize::from(job.iv.len)).ok_or(FAULT)?;
        iv.copy_from_slice(storage.get(job.iv.range()).ok_or(FAULT)?);
        let data = storage.get_mut(job.crypt.range()).ok_or(FAULT)?;
        match self.op {
            Op::Seal => self.cipher_key.encrypt(iv, data),
            Op::Open => self.cipher_key.decrypt(iv, data),
        }
        .map_err(|_| FAULT)
    }
}
