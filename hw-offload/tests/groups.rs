//! The groups' primes from their definition, and the length of private exponents.

use hw_offload::{DhGroup, prime};
use num_bigint::BigUint;

/// floor(2^bits * pi) by Machin's formula: pi = 16 arctan(1/5) - 4 arctan(1/239).
fn pi(bits: u32) -> BigUint {
    let guard = 64;
    let one = BigUint::from(1_u8) << (bits + guard);
    let arctan = |x: u32| {
        let (mut sum, mut power, mut n) = (BigUint::ZERO, &one / x, 1_u32);
        let mut negative = Vec::new();
        while power != BigUint::ZERO {
            let term = &power / n;
            if n % 4 == 1 {
                sum += term;
            } else {
                negative.push(term);
            }
            power /= x * x;
            n += 2;
        }
        negative.iter().fold(sum, |sum, term| sum - term)
    };
    (arctan(5) * 16_u8 - arctan(239) * 4_u8) >> guard
}

/// RFC 2409 §6: p = 2^n - 2^(n-64) - 1 + 2^64 (floor(2^(n-130) pi) + c).
#[test]
fn primes_follow_from_pi() {
    for (group, c) in [
        (DhGroup::Modp512, 131_u32),
        (DhGroup::Modp768, 149_686),
        (DhGroup::Modp1024, 129_093),
    ] {
        let n = u32::from(group.bits());
        let power = |exponent: u32| BigUint::from(1_u8) << exponent;
        let p = power(n) - power(n - 64) - 1_u8 + power(64) * (pi(n - 130) + c);
        assert_eq!(prime(group), p.to_bytes_be(), "{group:?}");
        // A safe prime, by Fermat: 2 generates the subgroup of order (p-1)/2.
        let half = (&p - 1_u8) / 2_u8;
        let two = BigUint::from(2_u8);
        assert_eq!(two.modpow(&half, &p), BigUint::from(1_u8), "{group:?}");
        let three = BigUint::from(3_u8);
        assert_eq!(
            three.modpow(&(&half - 1_u8), &half),
            BigUint::from(1_u8),
            "{group:?}"
        );
    }
}
