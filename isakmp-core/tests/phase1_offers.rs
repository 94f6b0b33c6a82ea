//! What phase 1 may be agreed on.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use hw_offload::{Cipher, DhGroup, Hash};
use ipsec_core::model::Lifetime;
use isakmp_core::negotiate::phase1::{AuthMethod, Phase1};
use isakmp_core::wire::{Attribute, SaBody};
use proptest::prelude::*;

/// Every method that is implemented.
const METHODS: [u64; 8] = [1, 3, 64_221, 64_222, 65_001, 65_002, 65_005, 65_006];

fn phase1(method: u64) -> Phase1 {
    Phase1 {
        cipher: Cipher::TripleDes,
        hash: Hash::Sha1,
        method: AuthMethod::from_number(method).unwrap(),
        group: DhGroup::Modp1024,
        life: Lifetime {
            seconds: 3600,
            kbytes: None,
        },
    }
}

/// A transform for every attribute in it: cipher, hash, method, group.
fn offer(transforms: &[[u16; 4]]) -> Vec<u8> {
    let transforms = transforms.iter().map(|values| {
        let attributes = (1..).zip(values);
        let attributes = attributes.map(|(class, value)| Attribute::short(class, *value));
        (1, attributes.collect())
    });
    SaBody::write(&[(1, 1, &[], transforms.collect())])
}

/// Nobody is asked to decipher a nonce with RSA, or to prove itself in a way that nobody knows.
#[test]
fn threat_b9_unknown_methods_are_refused() {
    for method in (0..=u16::MAX).filter(|method| !METHODS.contains(&u64::from(*method))) {
        assert_eq!(AuthMethod::from_number(method.into()), None);
        let body = offer(&[[5, 2, method, 2]]);
        let offer = SaBody::parse(&body).unwrap();
        for own in METHODS {
            assert!(phase1(own).choose(&offer).is_err(), "{method} for {own}");
        }
    }
}

/// Who wants one method gets no other, whether it was offered or answered: no client tells its
/// password to a gateway that has not proved itself as agreed.
#[test]
fn threat_b8_no_method_stands_for_another() {
    for own in METHODS {
        for other in METHODS {
            let body = phase1(other).to_body();
            let said = SaBody::parse(&body).unwrap();
            assert_eq!(phase1(own).choose(&said).is_ok(), own == other);
            assert_eq!(phase1(own).confirm(&said).is_ok(), own == other);
        }
    }
}

/// What comes first in an offer does not count, only what the policy wants.
#[test]
fn threat_b14_weaker_transforms_in_front_are_passed_over() {
    let strong = [5, 2, 1, 2];
    let weaker = [[1, 2, 1, 2], [5, 1, 1, 2], [5, 2, 1, 1]];
    let all = [weaker[0], weaker[1], weaker[2], strong];
    let (_, answer) = phase1(1)
        .choose(&SaBody::parse(&offer(&all)).unwrap())
        .unwrap();
    let answer = SaBody::parse(&answer).unwrap();
    let transform = answer.proposals().next().unwrap().transforms().next();
    let transform = transform.unwrap();
    assert_eq!(transform.number, 4);
    let values: Vec<_> = transform.attributes.iter().map(|a| a.number()).collect();
    assert_eq!(values, strong.map(|value| Some(u64::from(value))));
    let body = offer(&weaker);
    let refused = phase1(1).choose(&SaBody::parse(&body).unwrap());
    assert_eq!(refused.unwrap_err().unwrap().attribute, "GROUP");
}

proptest! {
    /// An answer in which anything but the life differs from the offer is not taken for it; nor
    /// does a longer life count.
    #[test]
    fn threat_b16_answers_are_what_was_offered(place in 0_usize..52, flip in 1_u8..) {
        let own = phase1(1);
        let mut body = own.to_body();
        prop_assert_eq!(body.len(), 52);
        body[place] ^= flip;
        let Ok(answer) = SaBody::parse(&body) else { return Ok(()) };
        let Ok(agreed) = own.confirm(&answer) else { return Ok(()) };
        prop_assert_eq!(Phase1 { life: own.life, ..agreed }, own);
        prop_assert!(agreed.life.seconds <= own.life.seconds);
        // Numbers of the proposal and the transform, their count, reserved fields, and the life.
        prop_assert!([9, 12, 15, 17, 20, 22, 23].contains(&place) || place >= 40, "{}", place);
    }
}

/// What is for private use only tells something to those who know it: an offer with it is as good
/// as one without, and is answered unchanged. Other classes that nobody knows fit nobody, and an
/// answer has nothing that was not offered.
#[test]
fn attributes_for_private_use_are_ignored() {
    let own = phase1(1);
    let with = |class: u16| {
        let attributes = [(1, 5), (2, 2), (3, 1), (4, 2), (class, 7)];
        let attributes = attributes.map(|(class, value)| Attribute::short(class, value));
        SaBody::write(&[(1, 1, &[], vec![(1, attributes.to_vec())])])
    };
    for (class, fits) in [(17, false), (16_383, false), (16_384, true), (32_767, true)] {
        let body = with(class);
        let offer = SaBody::parse(&body).unwrap();
        let chosen = own.choose(&offer);
        assert_eq!(chosen.is_ok(), fits, "{class}");
        if let Ok((agreed, answer)) = chosen {
            assert_eq!((agreed, &answer), (own, &body));
        }
        assert!(own.confirm(&offer).is_err(), "{class}");
    }
}

/// AES without a length is AES-128, for no other policy; groups are modular exponentiation.
#[test]
fn what_may_be_left_out() {
    let aes = |cipher| Phase1 {
        cipher,
        ..phase1(1)
    };
    let body = offer(&[[7, 2, 1, 2]]);
    let plain = SaBody::parse(&body).unwrap();
    assert!(aes(Cipher::Aes128).choose(&plain).is_ok());
    assert!(aes(Cipher::Aes192).choose(&plain).is_err());
    assert!(aes(Cipher::Aes256).choose(&plain).is_err());
    for (kind, fits) in [(1, true), (2, false), (3, false)] {
        let attributes = [(1, 5), (2, 2), (3, 1), (4, 2), (5, kind)];
        let attributes = attributes.map(|(class, value)| Attribute::short(class, value));
        let body = SaBody::write(&[(1, 1, &[], vec![(1, attributes.to_vec())])]);
        let offer = SaBody::parse(&body).unwrap();
        assert_eq!(phase1(1).choose(&offer).is_ok(), fits, "group type {kind}");
    }
}
