//! Certificates: which chains prove a key, and what two routers make of them.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use hw_offload::{Engines, Secret};
use ipsec_core::Instant;
use ipsec_core::model::Name;
use isakmp_core::Report;
use isakmp_core::identity;
use isakmp_core::pki::{
    Certificate, CertificateFault, CertificateRole, Chain, LONGEST_CHAIN, Pki, Verifier, X509,
    read, read_file,
};
use isakmp_core::reason::Subject;
use isakmp_core::wire::PayloadType;
use lab::certificates::{Draft, SIGNS_CERTIFICATES, SIGNS_MESSAGES, key_pair, pem};
use lab::{Buf, Pair, Side};
use proptest::prelude::*;
use sekisho_tests::{
    HOST_A, HOST_B, at_rest, basic, both, bundles, command, failures, isakmp, one, ping_both, story,
};

const MINUTE: Instant = Instant::from_secs(60);

const ROOT: &str = "cn=Root,o=Example,c=JP";
const SUB: &str = "cn=Sub,o=Example,c=JP";
const A: &str = "cn=A,o=Example,c=JP";
const B: &str = "cn=B,o=Example,c=JP";

/// Key pairs are slow to make: each is made once.
fn key(number: usize) -> &'static Secret {
    static KEYS: [OnceLock<Secret>; 4] = [const { OnceLock::new() }; 4];
    KEYS[number].get_or_init(|| key_pair(1024, number as u64))
}

const ROOT_KEY: usize = 0;
const SUB_KEY: usize = 1;
const A_KEY: usize = 2;
const B_KEY: usize = 3;

/// A router that trusts one authority.
fn trusting(der: &[u8]) -> Pki {
    with(CertificateRole::Ca, der)
}

fn with(role: CertificateRole, der: &[u8]) -> Pki {
    let certificate = Certificate {
        name: Name::new("ca"),
        file: "ca.pem".into(),
        role,
        trusted: true,
        key: None,
        der: der.to_vec(),
        facts: read(der).expect("a certificate"),
    };
    Pki {
        certificates: vec![certificate],
    }
}

fn root() -> Vec<u8> {
    Draft::authority(ROOT, ROOT).issue(key(ROOT_KEY), key(ROOT_KEY))
}

fn a(change: impl FnOnce(&mut Draft)) -> Vec<u8> {
    let mut draft = Draft::router(A, ROOT);
    change(&mut draft);
    draft.issue(key(A_KEY), key(ROOT_KEY))
}

fn sub(change: impl FnOnce(&mut Draft)) -> Vec<u8> {
    let mut draft = Draft::authority(SUB, ROOT);
    change(&mut draft);
    draft.issue(key(SUB_KEY), key(ROOT_KEY))
}

fn chain(identity: &str, certificates: &[&[u8]]) -> Chain {
    Chain {
        peer: IpAddr::from([1, 1, 1, 1]),
        policy: Name::new("i"),
        identity: identity::parse(identity).expect("an identity"),
        certificates: certificates.iter().map(|der| der.to_vec()).collect(),
    }
}

/// A moment in the year 2001.
const NOW: u64 = 1_000_000_000;

fn verify(pki: &Pki, identity: &str, certificates: &[&[u8]]) -> Result<(), CertificateFault> {
    X509.verify(pki, NOW, &chain(identity, certificates))
        .map(|_| ())
}

/// Whether the root alone leads to that certificate of A.
fn judge(der: &[u8]) -> Result<(), CertificateFault> {
    verify(&trusting(&root()), A, &[der])
}

#[test]
fn a_certificate_of_the_trusted_authority_proves_its_key() {
    let proven = X509.verify(&trusting(&root()), NOW, &chain(A, &[&a(|_| {})]));
    let own = hw_offload::rsa_public_half(key(A_KEY)).expect("a key");
    assert_eq!(proven, Ok(own));
    assert_eq!(judge(&a(|draft| draft.sha1 = true)), Ok(()));
    assert_eq!(judge(&a(|draft| draft.usage = None)), Ok(()));
    // contentCommitment will do (RFC 4945 §5.1.3.2).
    assert_eq!(judge(&a(|draft| draft.usage = Some(0x40))), Ok(()));
}

#[test]
fn what_must_not_be_believed() {
    use CertificateFault as F;
    let until = |text: &str| a(|draft| draft.validity[1] = text.into());
    let from = |text: &str| a(|draft| draft.validity[0] = text.into());
    // NOW is 2001-09-09 01:46:40.
    assert_eq!(judge(&until("010909014640Z")), Ok(()));
    assert_eq!(judge(&until("010909014639Z")), Err(F::Expired));
    assert_eq!(judge(&from("010909014640Z")), Ok(()));
    assert_eq!(judge(&from("010909014641Z")), Err(F::NotYetValid));
    assert_eq!(judge(&a(|draft| draft.usage = Some(0x20))), Err(F::Usage));
    assert_eq!(judge(&a(|draft| draft.strange = true)), Err(F::Extension));
    // codeSigning.
    let code = vec![0x2b, 6, 1, 5, 5, 7, 3, 3];
    assert_eq!(judge(&a(|draft| draft.uses = vec![code])), Err(F::Usage));
    let ike = vec![0x2b, 6, 1, 5, 5, 7, 3, 17];
    assert_eq!(judge(&a(|draft| draft.uses = vec![ike])), Ok(()));
    // The right name, another key.
    let forged = Draft::router(A, ROOT).issue(key(A_KEY), key(B_KEY));
    assert_eq!(judge(&forged), Err(F::Signature));
    let stranger = Draft::router(A, SUB).issue(key(A_KEY), key(SUB_KEY));
    assert_eq!(judge(&stranger), Err(F::Untrusted));
    let alone = Draft::authority(A, A);
    assert_eq!(judge(&alone.issue(key(A_KEY), key(A_KEY))), Err(F::Usage));
    assert_eq!(judge(&[]), Err(F::Malformed));
    assert_eq!(judge(&vec![0x30; 9000]), Err(F::TooLarge));
    assert_eq!(verify(&trusting(&root()), A, &[]), Err(F::Untrusted));
    assert_eq!(verify(&Pki::default(), A, &[&a(|_| {})]), Err(F::Untrusted));
    // The peer's own root does not help it.
    let own_root = Draft::authority(SUB, SUB).issue(key(SUB_KEY), key(SUB_KEY));
    let given: [&[u8]; 2] = [&stranger, &own_root];
    assert_eq!(verify(&trusting(&root()), A, &given), Err(F::Untrusted));
}

#[test]
fn an_authority_must_be_one() {
    use CertificateFault as F;
    let last = Draft::router(A, SUB).issue(key(A_KEY), key(SUB_KEY));
    let over = |sub: Vec<u8>| verify(&trusting(&root()), A, &[&last, &sub]);
    assert_eq!(over(sub(|_| {})), Ok(()));
    assert_eq!(over(sub(|draft| draft.ca = None)), Err(F::NotCa));
    let no = Some((false, None));
    assert_eq!(over(sub(|draft| draft.ca = no)), Err(F::NotCa));
    let wrong = Some(SIGNS_MESSAGES);
    assert_eq!(over(sub(|draft| draft.usage = wrong)), Err(F::Usage));
    let early = |draft: &mut Draft| draft.validity[1] = "000101000000Z".into();
    assert_eq!(over(sub(early)), Err(F::Expired));
    assert_eq!(over(sub(|draft| draft.strange = true)), Err(F::Extension));
    // A root that allows none below itself, and one that allows exactly that.
    for (length, fits) in [(0, Err(F::PathLength)), (1, Ok(()))] {
        let mut draft = Draft::authority(ROOT, ROOT);
        draft.ca = Some((true, Some(length)));
        let root = draft.issue(key(ROOT_KEY), key(ROOT_KEY));
        let sub = sub(|_| {});
        let result = verify(&trusting(&root), A, &[&last, &sub]);
        assert_eq!(result, fits, "{length}");
    }
    // An expired root is no root.
    let mut draft = Draft::authority(ROOT, ROOT);
    early(&mut draft);
    let root = draft.issue(key(ROOT_KEY), key(ROOT_KEY));
    let result = verify(&trusting(&root), A, &[&a(|_| {})]);
    assert_eq!(result, Err(F::Expired));
    // Another peer cannot issue.
    let b = Draft::router(B, ROOT).issue(key(B_KEY), key(ROOT_KEY));
    let by_b = Draft::router(A, B).issue(key(A_KEY), key(B_KEY));
    assert_eq!(
        verify(&trusting(&self::root()), A, &[&by_b, &b]),
        Err(F::NotCa)
    );
}

#[test]
fn a_long_chain() {
    let name = |number: usize| format!("cn=Sub {number},o=Example,c=JP");
    for length in 1..=LONGEST_CHAIN + 2 {
        // As many authorities below the root, whose keys are all the same.
        let mut certificates = vec![Draft::router(A, &name(1)).issue(key(A_KEY), key(SUB_KEY))];
        for number in 1..length {
            let draft = Draft::authority(&name(number), &name(number + 1));
            certificates.push(draft.issue(key(SUB_KEY), key(SUB_KEY)));
        }
        let top = Draft::authority(&name(length), ROOT).issue(key(SUB_KEY), key(ROOT_KEY));
        certificates.push(top);
        let given: Vec<&[u8]> = certificates.iter().map(Vec::as_slice).collect();
        let result = verify(&trusting(&root()), A, &given);
        let long = (given.len() > LONGEST_CHAIN).then_some(CertificateFault::ChainTooLong);
        assert_eq!(result.err(), long, "{length}");
    }
}

#[test]
fn the_identity_must_stand_in_the_certificate() {
    let der = a(|draft| {
        draft.names = vec![
            (1, b"a@example.net".to_vec()),
            (2, b"a.example.net".to_vec()),
            (7, vec![1, 1, 1, 1]),
            (
                7,
                IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1])
                    .to_string()
                    .parse::<std::net::Ipv6Addr>()
                    .expect("an address")
                    .octets()
                    .to_vec(),
            ),
        ];
    });
    let pki = trusting(&root());
    for good in [
        A,
        "c=JP,o=example,cn=a",
        "a@example.net",
        "a.example.net",
        "1.1.1.1",
        "2001:db8::1",
    ] {
        assert_eq!(verify(&pki, good, &[&der]), Ok(()), "{good}");
    }
    for bad in [
        B,
        "b@example.net",
        "example.net",
        "a.example.net.org",
        "1.1.1.2",
        "2001:db8::2",
    ] {
        let result = verify(&pki, bad, &[&der]);
        assert_eq!(result, Err(CertificateFault::Name), "{bad}");
    }
    // A name of one kind is none of another.
    let der = a(|draft| draft.names = vec![(2, b"1.1.1.1".to_vec())]);
    let result = verify(&pki, "1.1.1.1", &[&der]);
    assert_eq!(result, Err(CertificateFault::Name));
}

/// A certificate of a peer may be trusted by itself, but no other.
#[test]
fn a_pinned_certificate() {
    let alone = Draft::router(A, A).issue(key(A_KEY), key(A_KEY));
    let pki = with(CertificateRole::EndEntity, &alone);
    assert_eq!(verify(&pki, A, &[&alone]), Ok(()));
    let other = Draft::router(A, A).issue(key(B_KEY), key(B_KEY));
    assert_eq!(verify(&pki, A, &[&other]), Err(CertificateFault::Untrusted));
    let below = Draft::router(B, A).issue(key(B_KEY), key(A_KEY));
    assert_eq!(verify(&pki, B, &[&below]), Err(CertificateFault::Untrusted));
}

/// Certificates that OpenSSL made (`tests/keys/make-certificates`), as it prints them.
#[test]
fn what_openssl_writes() {
    let file = |text: &str| read_file(text.as_bytes()).expect("a certificate");
    let (root, facts) = file(include_str!("../keys/ca.crt.pem"));
    assert!(facts.is_ca && facts.signs_certificates && !facts.signs_messages);
    assert_eq!(facts.path_length, Some(1));
    let (der, facts) = file(include_str!("../keys/a.crt.pem"));
    let subject = identity::dn_text(&facts.subject);
    assert_eq!(subject.as_deref(), Some("CN=A, O=Example, C=JP"));
    assert_eq!(
        (facts.not_before, facts.not_after),
        (946_684_800, 253_402_300_799)
    );
    assert_eq!(facts.serial, [0x10, 0x01]);
    let (_, key) = hw_offload::read_rsa(include_bytes!("../keys/a.pub.pem")).expect("a key");
    assert_eq!(facts.public_key, key.expose());
    let pki = trusting(&root);
    for name in [
        A,
        "1.1.1.1",
        "2001:db8::1",
        "a.example.net",
        "a@example.net",
    ] {
        assert_eq!(verify(&pki, name, &[&der]), Ok(()), "{name}");
    }
    let (der, _) = file(include_str!("../keys/b.crt.pem"));
    assert_eq!(verify(&pki, "b.example.net", &[&der]), Ok(()));
    assert_eq!(verify(&pki, A, &[&der]), Err(CertificateFault::Name));
}

proptest! {
    #[test]
    fn threat_a11_any_bytes(der in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&der).is_err());
        let _ = read_file(&der);
    }

    /// Whatever is changed in a certificate, it proves nothing any more.
    #[test]
    fn threat_a11_a_changed_certificate(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        static GOOD: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
        let (root, good) = GOOD.get_or_init(|| (root(), a(|_| {})));
        let mut der = good.clone();
        der[place.index(good.len())] ^= 1_u8 << bit;
        prop_assert!(verify(&trusting(root), A, &[&der]).is_err());
    }
}

// Two routers.

const KEYS: &str = "CREATE ENCO KEY=1 TYPE=GENERAL VALUE=\"jogefoge\"";
const OWN: &str = "CREATE ENCO KEY=2 TYPE=RSA FILE=own.key
ADD PKI CERTIFICATE=root LOCATION=root.pem TYPE=CA TRUSTED=YES
ADD PKI CERTIFICATE=own LOCATION=own.pem TYPE=SELF";

/// The basic configurations with certificates instead of the pre-shared key.
fn configs(more: &str) -> [String; 2] {
    let configs = both(&basic(), KEYS, OWN);
    let auth = format!("AUTHTYPE=RSASIG LOCALRSAKEY=2 {more} SENDN=TRUE");
    both(&configs, "KEY=1 SENDN=TRUE", &auth)
}

/// The files of both routers.
fn files(change: impl Fn(Side, &mut Draft)) -> [Vec<(&'static str, String)>; 2] {
    [Side::A, Side::B].map(|side| {
        let (name, own) = match side {
            Side::A => (A, A_KEY),
            Side::B => (B, B_KEY),
        };
        let mut draft = Draft::router(name, ROOT);
        change(side, &mut draft);
        let der = draft.issue(key(own), key(ROOT_KEY));
        vec![
            ("root.pem", pem("CERTIFICATE", &root())),
            ("own.pem", pem("CERTIFICATE", &der)),
            ("own.key", pem("RSA PRIVATE KEY", key(own).expose())),
        ]
    })
}

fn pair_with_files<E: Engines<Buf = Buf>>(
    engines: impl FnMut(Side) -> E,
    configs: &[String; 2],
    files: [Vec<(&'static str, String)>; 2],
    seed: u64,
) -> Pair<E> {
    let mut pair = Pair::new(engines, seed);
    for (side, files) in [Side::A, Side::B].into_iter().zip(files) {
        let router = pair.router(side);
        let files = files.into_iter().map(|(name, text)| (name.into(), text));
        router.host.files.extend(files);
        let findings = router.run_script(Instant::ZERO, &configs[side as usize]);
        assert!(findings.is_empty(), "{side}: {findings:?}");
    }
    pair.connect();
    pair
}

fn comes_up<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, what: &str) {
    ping_both(pair);
    settles(pair, what);
}

/// A begins, and B only answers.
fn comes_up_by_a<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, what: &str) {
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    settles(pair, what);
}

fn settles<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, what: &str) {
    let up = pair.run(MINUTE);
    assert!(up, "{what}: {:?}", failures(pair));
    assert_eq!(failures(pair), [""; 0], "{what}");
    assert_eq!(pair.clear, 0, "{what}");
    pair.run_to(MINUTE);
    assert_eq!(failures(pair), [""; 0], "{what}");
    at_rest(pair);
}

/// What B had against A's messages.
fn refused<E: Engines<Buf = Buf>>(pair: &Pair<E>) -> Vec<Subject> {
    isakmp(pair)
        .filter_map(|(happening, report)| match report {
            Report::Failed { reason, .. } | Report::Suspicious { reason, .. }
                if happening.side == Side::B =>
            {
                Some(reason.subject)
            }
            _ => None,
        })
        .collect()
}

/// The numbers of the messages in which a side sent such a payload.
fn sent<E: Engines<Buf = Buf>>(pair: &Pair<E>, side: Side, kind: PayloadType) -> Vec<u8> {
    isakmp(pair)
        .filter_map(|(happening, report)| match report {
            Report::Message {
                sent: true,
                again: 0,
                message,
                payloads,
                ..
            } if happening.side == side && payloads.contains(&kind) => Some(*message),
            _ => None,
        })
        .collect()
}

story!(certificates_in_both_modes, |engines, seed| {
    for (mode, certificates, requests) in [
        ("MAIN", [[5], [6]], [[3], [4]]),
        ("AGGRESSIVE", [[3], [2]], [[1], [2]]),
    ] {
        let configs = configs(&format!("MODE={mode}"));
        let mut pair = pair_with_files(&engines, &configs, files(|_, _| {}), seed);
        comes_up_by_a(&mut pair, mode);
        for (side, place) in [(Side::A, 0), (Side::B, 1)] {
            let (certificate, request) = (PayloadType::CERT, PayloadType::CR);
            assert_eq!(
                sent(&pair, side, certificate),
                certificates[place],
                "{mode} {side}"
            );
            assert_eq!(sent(&pair, side, request), requests[place], "{mode} {side}");
        }
        // Without LOCALID the identity is the certificate's subject.
        let sas = command(&mut pair, Side::A, "SHOW ISAKMP SA=1");
        assert!(sas.contains("2.2.2.2"), "{sas}");
    }
});

story!(the_screen_names_the_own_certificate, |engines, seed| {
    let configs = configs("");
    let mut pair = pair_with_files(engines, &configs, files(|_, _| {}), seed);
    pair.road = Some(Box::new(|_, _, _| Vec::new()));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(2));
    let screen = command(&mut pair, Side::A, "SHOW ISAKMP EXCHANGE=1");
    for line in [
        "  Peer Certificate Id ................. -\n",
        "  Local Certificate Id ................ own\n",
    ] {
        assert!(screen.contains(line), "{screen}");
    }
});

story!(identities_of_all_forms, |engines, seed| {
    let names = |side, draft: &mut Draft| {
        let (address, host): (_, &[u8]) = match side {
            Side::A => ([1, 1, 1, 1], b"a.example.net"),
            Side::B => ([2, 2, 2, 2], b"b.example.net"),
        };
        let user = [b"user@", host].concat();
        draft.names = vec![(7, address.to_vec()), (2, host.to_vec()), (1, user)];
    };
    for mode in ["MAIN", "AGGRESSIVE"] {
        for [id_a, id_b] in [
            ["1.1.1.1", "2.2.2.2"],
            ["a.example.net", "b.example.net"],
            ["user@a.example.net", "user@b.example.net"],
            [A, B],
            ["c=jp,o=example,cn=a", "c=jp,o=example,cn=b"],
        ] {
            let base = configs(&format!("MODE={mode}"));
            let id = |own: &str, other: &str| {
                format!("MODE={mode} LOCALID=\"{own}\" REMOTEID=\"{other}\"")
            };
            let text = format!("MODE={mode}");
            let configs = one(&base, 0, &text, &id(id_a, id_b));
            let configs = one(&configs, 1, &text, &id(id_b, id_a));
            let mut pair = pair_with_files(&engines, &configs, files(names), seed);
            comes_up(&mut pair, &format!("{mode} {id_a}"));
        }
    }
});

story!(the_default_identity_is_the_routers_name, |engines, seed| {
    let with = |name: &str| format!("SET SYSTEM DISTINGUISHEDNAME=\"{name}\"\n{OWN}");
    let base = configs("REMOTEID=\"cn=X,o=Example,c=JP\"");
    let text = "REMOTEID=\"cn=X,o=Example,c=JP\"";
    let configs = one(&one(&base, 0, OWN, &with(A)), 1, OWN, &with(B));
    let remote = |name: &str| format!("REMOTEID=\"{name}\"");
    let configs = one(&one(&configs, 0, text, &remote(B)), 1, text, &remote(A));
    let mut pair = pair_with_files(&engines, &configs, files(|_, _| {}), seed);
    comes_up(&mut pair, "names");
});

story!(an_authority_between, |engines, seed| {
    let mut files = files(|_, _| {});
    let last = Draft::router(A, SUB).issue(key(A_KEY), key(SUB_KEY));
    files[0][1].1 = pem("CERTIFICATE", &last);
    files[0].push(("sub.pem", pem("CERTIFICATE", &sub(|_| {}))));
    // A sends it along; B knows the root alone.
    let more = format!("{OWN}\nADD PKI CERTIFICATE=sub LOCATION=sub.pem TYPE=CA");
    let configs = one(&configs(""), 0, OWN, &more);
    let mut pair = pair_with_files(engines, &configs, files, seed);
    comes_up(&mut pair, "an authority between");
});

// A certificate that no datagram should carry whole: its message travels in fragments, of which
// some are lost, doubled or overtaken.
story!(threat_a9_long_certificates_in_fragments, |engines, seed| {
    let long = files(|_, draft| {
        let name = |number: u8| (2, format!("{number:02}.{}", "x".repeat(60)).into_bytes());
        draft.names = (0..30).map(name).collect();
    });
    for mode in ["MAIN", "AGGRESSIVE"] {
        let configs = configs(&format!("MODE={mode}"));
        for harm in ["nothing", "loss", "copies", "disorder"] {
            let mut pair = pair_with_files(&engines, &configs, long.clone(), seed);
            let seen = Arc::new(Mutex::new(0));
            let count = Arc::clone(&seen);
            pair.road = Some(Box::new(move |_, _, packet| {
                let whole = packet.to_vec();
                let at_once = Duration::ZERO;
                // The next payload stands behind IP, UDP and both cookies.
                let fragment = packet.get(9) == Some(&17) && packet.get(44) == Some(&132);
                if !fragment {
                    return vec![(at_once, whole)];
                }
                let mut count = count.lock().expect("not poisoned");
                *count += 1;
                match (harm, *count) {
                    ("loss", 2) => Vec::new(),
                    ("copies", _) => vec![(at_once, whole.clone()), (at_once, whole)],
                    ("disorder", 1 | 4) => vec![(Duration::from_millis(30), whole)],
                    _ => vec![(at_once, whole)],
                }
            }));
            let what = format!("{mode}, {harm}");
            comes_up_by_a(&mut pair, &what);
            assert!(
                *seen.lock().expect("not poisoned") >= 4,
                "{what}: {:?}",
                seen.lock()
            );
        }
    }
});

story!(hybrid_with_a_certificate, |engines, seed| {
    for mode in ["MAIN", "AGGRESSIVE"] {
        let client = format!(
            "MODE={mode} HYBRIDXAUTH=TRUE XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge"
        );
        let server = format!("MODE={mode} HYBRIDXAUTH=TRUE XAUTH=SERVER");
        let user = format!("ADD USER=joger PASSWORD=hogehoge LOGIN=NO\n{OWN}");
        // The client has no key and no certificate of its own.
        let root = "ADD PKI CERTIFICATE=root LOCATION=root.pem TYPE=CA TRUSTED=YES";
        let base = configs("MODE=MAIN");
        let configs = one(&base, 0, OWN, root);
        let configs = one(&configs, 0, "LOCALRSAKEY=2 MODE=MAIN", &client);
        let configs = one(&configs, 1, OWN, &user);
        let configs = one(&configs, 1, "MODE=MAIN", &server);
        let mut pair = pair_with_files(&engines, &configs, files(|_, _| {}), seed);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(pair.run(MINUTE), "{mode}: {:?}", failures(&pair));
        assert_eq!(failures(&pair), [""; 0], "{mode}");
        assert_eq!(sent(&pair, Side::A, PayloadType::CERT), [0; 0], "{mode}");
        assert_eq!(sent(&pair, Side::B, PayloadType::CERT).len(), 1, "{mode}");
        assert_eq!(sent(&pair, Side::B, PayloadType::CR), [0; 0], "{mode}");
    }
});

// A has B's public key, and needs no certificate; it sends its own because B asks for it.
story!(a_certificate_on_one_side_only, |engines, seed| {
    for mode in ["MAIN", "AGGRESSIVE"] {
        let mut files = files(|_, _| {});
        let public = hw_offload::rsa_public_half(key(B_KEY)).expect("a key");
        files[0].push(("b.key", pem("RSA PUBLIC KEY", &public)));
        let with_key = format!("{OWN}\nCREATE ENCO KEY=3 TYPE=RSA FILE=b.key");
        let base = configs(&format!("MODE={mode}"));
        let configs = one(&base, 0, OWN, &with_key);
        let text = format!("MODE={mode}");
        let configs = one(&configs, 0, &text, &format!("KEY=3 {text}"));
        let mut pair = pair_with_files(&engines, &configs, files, seed);
        comes_up_by_a(&mut pair, mode);
        assert_eq!(sent(&pair, Side::A, PayloadType::CR), [0; 0], "{mode}");
        assert_eq!(sent(&pair, Side::A, PayloadType::CERT).len(), 1, "{mode}");
    }
});

story!(why_a_certificate_was_not_accepted, |engines, seed| {
    type Change = fn(&mut Draft);
    let changes: [(Change, Subject); 4] = [
        // The virtual clock begins in 1970.
        (
            |draft| draft.validity[0] = "800101000000Z".into(),
            Subject::Expired,
        ),
        (
            |draft| draft.usage = Some(SIGNS_CERTIFICATES),
            Subject::CertificateUse,
        ),
        (|draft| draft.strange = true, Subject::BadCertificate),
        (|draft| draft.issuer = SUB.into(), Subject::Untrusted),
    ];
    for (change, subject) in changes {
        for mode in ["MAIN", "AGGRESSIVE"] {
            let files = files(|side, draft| {
                if side == Side::A {
                    change(draft);
                }
            });
            if subject == Subject::BadCertificate {
                // A itself does not take it either.
                let mut pair = Pair::new(&engines, seed);
                let router = pair.router(Side::A);
                let own = files[0].iter().cloned();
                router
                    .host
                    .files
                    .extend(own.map(|(name, text)| (name.into(), text)));
                let findings = router.run_script(Instant::ZERO, &configs("")[0]);
                assert!(
                    findings[0].text.contains("critical extension"),
                    "{findings:?}"
                );
                continue;
            }
            let configs = configs(&format!("MODE={mode} MSGRETRYLIMIT=1"));
            let mut pair = pair_with_files(&engines, &configs, files, seed);
            pair.ping(HOST_A, HOST_B, Instant::ZERO);
            assert!(!pair.run(MINUTE), "{mode} {subject:?}");
            let why = refused(&pair);
            assert!(
                !why.is_empty() && why.iter().all(|why| *why == subject),
                "{why:?}"
            );
            assert_eq!(bundles(&mut pair, Side::A) + bundles(&mut pair, Side::B), 0);
        }
    }
});

story!(an_identity_of_somebody_else, |engines, seed| {
    for (id, subject) in [(B, Subject::CertificateName), (A, Subject::Identity)] {
        let base = configs("MSGRETRYLIMIT=1");
        let text = "MSGRETRYLIMIT=1";
        let configs = one(&base, 0, text, &format!("{text} LOCALID=\"{id}\""));
        let configs = one(&configs, 1, text, &format!("{text} REMOTEID=\"{B}\""));
        let mut pair = pair_with_files(&engines, &configs, files(|_, _| {}), seed);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(!pair.run(MINUTE), "{id}");
        let why = refused(&pair);
        assert!(
            !why.is_empty() && why.iter().all(|why| *why == subject),
            "{why:?}"
        );
    }
});

#[test]
fn commands() {
    let mut pair = Pair::soft(1);
    let [a, _] = files(|_, _| {});
    let host = &mut pair.router(Side::A).host;
    host.files
        .extend(a.into_iter().map(|(name, text)| (name.into(), text)));
    host.files.insert("noise.pem".into(), "noise".into());
    let mut say = |line: &str| pair.router(Side::A).command(Instant::ZERO, line).text;
    let errors = [
        (
            "ADD PKI CERTIFICATE=x LOCATION=none.pem TYPE=CA",
            "column 23: the file none.pem does not exist",
        ),
        (
            "ADD PKI CERTIFICATE=x LOCATION=noise.pem TYPE=CA",
            "in the file noise.pem cannot be used: it is no well-formed",
        ),
        (
            "ADD PKI CERTIFICATE=x LOCATION=own.pem TYPE=SELF",
            "no RSA key of this router belongs to the certificate in the file own.pem",
        ),
        (
            "ADD PKI CERTIFICATE=x LOCATION=own.pem TYPE=CA",
            "is not that of a CA",
        ),
        ("ADD PKI CERTIFICATE=x LOCATION=own.pem", "TYPE"),
        (
            "DELETE PKI CERTIFICATE=x",
            "the certificate x does not exist",
        ),
        ("SHOW PKI CERTIFICATE=x", "the certificate x does not exist"),
    ];
    for (line, text) in errors {
        let answer = say(line);
        assert!(
            answer.starts_with("Error (3") && answer.contains(text),
            "{line}: {answer}"
        );
    }
    for line in OWN.lines() {
        assert!(say(line).starts_with("Info"), "{line}");
    }
    let again = say("ADD PKI CERTIFICATE=root LOCATION=root.pem TYPE=CA");
    assert!(again.contains("exists already"), "{again}");
    let used = say("DESTROY ENCO KEY=2");
    assert!(used.contains("used by"), "{used}");
    let list = say("SHOW PKI CERTIFICATE");
    assert!(
        list.contains("root             CA    TRUE     VALID          CN=Root, O=Example, C=JP"),
        "{list}"
    );
    assert!(
        list.contains("own              SELF  FALSE    VALID          CN=A, O=Example, C=JP"),
        "{list}"
    );
    let own = say("SHOW PKI CERTIFICATE=own");
    for part in [
        "CN=A, O=Example, C=JP",
        "CN=Root, O=Example, C=JP",
        "9999-12-31 23:59:59 UTC",
        "RSA key of this router ........ 2",
    ] {
        assert!(own.contains(part), "{part}: {own}");
    }
    let written = say("SHOW CONFIG DYNAMIC=ISAKMP");
    for line in [
        "add pki cert=root location=root.pem trusted=TRUE type=CA",
        "add pki cert=own location=own.pem type=SELF",
    ] {
        let squeezed = written
            .to_lowercase()
            .replace('"', "")
            .replace("certificate", "cert");
        assert!(squeezed.contains(&line.to_lowercase()), "{written}");
    }
    assert!(say("DELETE PKI CERTIFICATE=root").starts_with("Info"));
    let warning = say("CREATE ISAKMP POLICY=i PEER=2.2.2.2 AUTHTYPE=RSASIG LOCALRSAKEY=2");
    assert!(
        warning.starts_with("Warning") && warning.contains("accepts no peer"),
        "{warning}"
    );
}
