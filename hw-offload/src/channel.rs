//! Keyed contexts: what an engine keeps of a channel, and one job carried out on it.

use crate::buffer::PacketBuf;
use crate::cbc_mode::{CipherKey, Iv};
use crate::digest::HmacKey;
use crate::packet::{ChannelSpec, JobFault, Op, OpenFault, PacketJob, RefusedWhy, Span, Stage};

/// The key schedules of an open channel.
pub(crate) struct Keyed {
    op: Op,
    iv_len: u16,
    /// The length of a cipher block, a power of two, less one.
    block_mask: u16,
    icv_len: u16,
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
        let short = |len| u16::try_from(len).map_err(|_| OpenFault::Engine);
        let mac_key = spec
            .mac
            .hash()
            .map(|hash| HmacKey::new(hash, spec.mac_key.expose()));
        Ok(Self {
            op: spec.op,
            iv_len: short(spec.cipher.iv_len())?,
            block_mask: short(spec.cipher.block_len() - 1)?,
            icv_len: short(spec.mac.icv_len())?,
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
            .all(|span| span.range().end <= storage);
        let lengths = job.iv.len == self.iv_len
            && job.crypt.len & self.block_mask == 0
            && job.icv.len == self.icv_len;
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
            Op::Seal => self.seal(job),
            Op::Open => self.open(job),
        }
    }

    #[inline]
    fn seal<B: PacketBuf>(&self, job: &mut PacketJob<B>) -> Result<(), JobFault> {
        let storage = job.buffer.storage_mut();
        let iv = Iv::new(storage.get(job.iv.range()).ok_or(CIPHER)?).map_err(|_| CIPHER)?;
        let crypt = job.crypt.range();
        let Some(key) = &self.mac_key else {
            let encrypted = self
                .cipher_key
                .encrypt_and(iv, storage, crypt, |_, _| usize::MAX);
            return encrypted.map_err(|_| CIPHER);
        };
        let mut hasher = key.begin();
        let [first, others @ ..] = job.auth.map(Span::range);
        let mut hashed = first.start;
        let hash_behind = |storage: &[u8], finished: usize| {
            let ready = finished.saturating_sub(LAG).min(first.end);
            if let Some(ready) = storage.get(hashed..ready) {
                hashed += hasher.update_blocks(ready);
            }
            hashed + HASH_BLOCK + LAG
        };
        self.cipher_key
            .encrypt_and(iv, storage, crypt, hash_behind)
            .map_err(|_| CIPHER)?;
        hasher.update(storage.get(hashed..first.end).ok_or(HASH)?);
        for other in others {
            hasher.update(storage.get(other).ok_or(HASH)?);
        }
        let icv = storage.get_mut(job.icv.range()).ok_or(HASH)?;
        *<&mut [u8; 12]>::try_from(icv).map_err(|_| HASH)? = key.icv(&mut hasher).to_bytes();
        Ok(())
    }

    #[inline]
    fn open<B: PacketBuf>(&self, job: &mut PacketJob<B>) -> Result<(), JobFault> {
        let storage = job.buffer.storage_mut();
        if let Some(key) = &self.mac_key {
            let mut hasher = key.begin();
            for span in job.auth {
                hasher.update(storage.get(span.range()).ok_or(HASH)?);
            }
            let received = storage.get(job.icv.range()).ok_or(HASH)?;
            let received = received.try_into().map_err(|_| HASH)?;
            if !key.icv(&mut hasher).equals(received) {
                return Err(JobFault::BadIcv);
            }
        }
        let iv = Iv::new(storage.get(job.iv.range()).ok_or(CIPHER)?).map_err(|_| CIPHER)?;
        let data = storage.get_mut(job.crypt.range()).ok_or(CIPHER)?;
        self.cipher_key.decrypt(iv, data).map_err(|_| CIPHER)
    }
}

const CIPHER: JobFault = JobFault::Engine(Stage::Cipher);
const HASH: JobFault = JobFault::Engine(Stage::Hash);
/// The block length of both hashes.
const HASH_BLOCK: usize = 64;
/// How far the hash stays behind the cipher. Ciphertext that has just been stored cannot be loaded
/// at another alignment before the stores have reached the cache.
const LAG: usize = 64;
