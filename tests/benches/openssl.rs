//! The peer: libcrypto, with every keyed context made once and used again, which is the fastest
//! that its EVP interface offers (HMAC_Init_ex without key beats EVP_MAC_init, and both beat
//! copies of a context).
#![allow(unsafe_code, reason = "libcrypto is C")]

use core::ffi::{c_int, c_uint};
use core::ptr::{null, null_mut};

use hw_offload::{Cipher, Mac, Op};
use openssl_sys as ffi;

// The bindings have the types but not these functions.
unsafe extern "C" {
    fn BN_MONT_CTX_new() -> *mut ffi::BN_MONT_CTX;
    fn BN_MONT_CTX_free(context: *mut ffi::BN_MONT_CTX);
    fn BN_MONT_CTX_set(
        context: *mut ffi::BN_MONT_CTX,
        modulus: *const ffi::BIGNUM,
        scratch: *mut ffi::BN_CTX,
    ) -> c_int;
    fn BN_mod_exp_mont_consttime(
        result: *mut ffi::BIGNUM,
        base: *const ffi::BIGNUM,
        exponent: *const ffi::BIGNUM,
        modulus: *const ffi::BIGNUM,
        scratch: *mut ffi::BN_CTX,
        context: *mut ffi::BN_MONT_CTX,
    ) -> c_int;
}

/// A keyed cipher and a keyed HMAC.
pub(crate) struct Packets {
    cipher: *mut ffi::EVP_CIPHER_CTX,
    hmac: *mut ffi::HMAC_CTX,
    op: Op,
}

impl Packets {
    pub(crate) fn new(cipher: Cipher, cipher_key: &[u8], mac: Mac, mac_key: &[u8], op: Op) -> Self {
        assert_eq!(cipher_key.len(), cipher.key_len());
        // SAFETY: the contexts are new and checked; the key has the length that the cipher reads,
        // the IV that is read is longer than any block.
        unsafe {
            let kind = match cipher {
                Cipher::TripleDes => ffi::EVP_des_ede3_cbc(),
                Cipher::Aes128 => ffi::EVP_aes_128_cbc(),
                Cipher::Null | Cipher::Des | Cipher::Aes192 | Cipher::Aes256 => {
                    panic!("no row compares {cipher:?}")
                }
            };
            let digest = match mac {
                Mac::HmacMd5_96 => ffi::EVP_md5(),
                Mac::HmacSha1_96 => ffi::EVP_sha1(),
                Mac::None => panic!("no row is without HMAC"),
            };
            let own = Self {
                cipher: ffi::EVP_CIPHER_CTX_new(),
                hmac: ffi::HMAC_CTX_new(),
                op,
            };
            assert!(!own.cipher.is_null() && !own.hmac.is_null());
            let direction = c_int::from(op == Op::Seal);
            let key = cipher_key.as_ptr();
            let iv = [0; 16];
            ok(ffi::EVP_CipherInit_ex(
                own.cipher,
                kind,
                null_mut(),
                key,
                iv.as_ptr(),
                direction,
            ));
            ok(ffi::EVP_CIPHER_CTX_set_padding(own.cipher, 0));
            let len = c_int::try_from(mac_key.len()).expect("a short key");
            ok(ffi::HMAC_Init_ex(
                own.hmac,
                mac_key.as_ptr().cast(),
                len,
                digest,
                null_mut(),
            ));
            own
        }
    }

    /// Cipher and HMAC over a packet that begins with SPI and sequence number and ends with the
    /// ICV; whether the ICV was right when opening.
    pub(crate) fn run(&mut self, packet: &mut [u8], iv_len: usize) -> bool {
        let (body, icv) = packet.split_at_mut(packet.len() - 12);
        match self.op {
            Op::Seal => {
                self.cipher(body, iv_len);
                icv.copy_from_slice(&self.hmac(body)[..12]);
                true
            }
            Op::Open => {
                let right = hw_offload::ct_eq(icv, &self.hmac(body)[..12]);
                if right {
                    self.cipher(body, iv_len);
                }
                right
            }
        }
    }

    fn cipher(&mut self, body: &mut [u8], iv_len: usize) {
        let (head, data) = body.split_at_mut(8 + iv_len);
        let (at, mut written) = (data.as_mut_ptr(), 0);
        let len = c_int::try_from(data.len()).expect("a packet is short");
        // SAFETY: the context is keyed; the IV behind the 8 bytes of header is one block; input
        // and output are the same `len` bytes, whole blocks without padding.
        unsafe {
            let iv = head.as_ptr().add(8);
            ok(ffi::EVP_CipherInit_ex(
                self.cipher,
                null(),
                null_mut(),
                null(),
                iv,
                -1,
            ));
            ok(ffi::EVP_CipherUpdate(
                self.cipher,
                at,
                &raw mut written,
                at,
                len,
            ));
        }
        assert_eq!(written, len);
    }

    fn hmac(&mut self, body: &[u8]) -> [u8; 20] {
        let (mut out, mut len): (_, c_uint) = ([0; 20], 0);
        // SAFETY: the context is keyed; the output holds the longest digest in use.
        unsafe {
            ok(ffi::HMAC_Init_ex(self.hmac, null(), 0, null(), null_mut()));
            ok(ffi::HMAC_Update(self.hmac, body.as_ptr(), body.len()));
            ok(ffi::HMAC_Final(self.hmac, out.as_mut_ptr(), &raw mut len));
        }
        out
    }
}

impl Drop for Packets {
    fn drop(&mut self) {
        // SAFETY: both came from their constructors and are not used again.
        unsafe {
            ffi::EVP_CIPHER_CTX_free(self.cipher);
            ffi::HMAC_CTX_free(self.hmac);
        }
    }
}

/// A modular exponentiation in constant time, with everything but the result computed before.
pub(crate) struct Power {
    scratch: *mut ffi::BN_CTX,
    context: *mut ffi::BN_MONT_CTX,
    /// Base, exponent, modulus, result.
    numbers: [*mut ffi::BIGNUM; 4],
}

impl Power {
    pub(crate) fn new(base: &[u8], exponent: &[u8], modulus: &[u8]) -> Self {
        let number = |bytes: &[u8]| {
            let len = c_int::try_from(bytes.len()).expect("a short number");
            // SAFETY: `len` bytes are read; without a number to fill a new one is made.
            let number = unsafe { ffi::BN_bin2bn(bytes.as_ptr(), len, null_mut()) };
            assert!(!number.is_null());
            number
        };
        // SAFETY: all are new and checked, and the modulus is odd.
        unsafe {
            let own = Self {
                scratch: ffi::BN_CTX_new(),
                context: BN_MONT_CTX_new(),
                numbers: [base, exponent, modulus, &[0]].map(number),
            };
            assert!(!own.scratch.is_null() && !own.context.is_null());
            ok(BN_MONT_CTX_set(own.context, own.numbers[2], own.scratch));
            own
        }
    }

    /// Computes the power.
    pub(crate) fn run(&mut self) {
        let [base, exponent, modulus, result] = self.numbers;
        // SAFETY: all were made in `new`; the context belongs to the modulus.
        unsafe {
            ok(BN_mod_exp_mont_consttime(
                result,
                base,
                exponent,
                modulus,
                self.scratch,
                self.context,
            ));
        }
    }

    /// The last result, `len` bytes.
    pub(crate) fn result(&self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        let wanted = c_int::try_from(len).expect("a short number");
        // SAFETY: exactly `wanted` bytes are written, or -1 answered.
        let written = unsafe { ffi::BN_bn2binpad(self.numbers[3], bytes.as_mut_ptr(), wanted) };
        assert_eq!(written, wanted);
        bytes
    }
}

impl Drop for Power {
    fn drop(&mut self) {
        // SAFETY: all came from their constructors and are not used again.
        unsafe {
            for number in self.numbers {
                ffi::BN_free(number);
            }
            BN_MONT_CTX_free(self.context);
            ffi::BN_CTX_free(self.scratch);
        }
    }
}

fn ok(answer: c_int) {
    assert_eq!(answer, 1, "libcrypto refused");
}
