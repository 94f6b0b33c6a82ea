//! Extended authentication between phase 1 and phase 2.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use hw_offload::testing::hex;
use hw_offload::{Engines, Hash, Primitives, SoftEngines, SoftPrimitives};
use ipsec_core::Instant;
use ipsec_core::wire::ipv4::Ipv4;
use isakmp_core::reason::Subject;
use isakmp_core::xauth::{XauthAnswer, XauthProof};
use isakmp_core::{Phase, Report};
use lab::{Buf, Pair, Side};
use sekisho_tests::tape::Tape;
use sekisho_tests::{
    HOST_A, HOST_B, attempts, basic, both, bundles, failed, failures, isakmp, one, pair, pair_with,
    ping_both, story,
};

const MINUTE: Instant = Instant::from_secs(60);
/// Messages of main mode, XAUTH and quick mode together.
const MESSAGES: u64 = 6 + 4 + 3;

/// A is the client, B the server.
fn configs(server: &str, client: &str) -> [String; 2] {
    let policy = "CREATE ISAKMP POLICY=i";
    let with = |text: &str| format!("ADD USER=joger PASSWORD=hogehoge LOGIN=NO\n{policy} {text}");
    let configs = one(&basic(), 1, policy, &with(server));
    one(&configs, 0, policy, &format!("{policy} {client}"))
}

fn generic() -> [String; 2] {
    configs(
        "XAUTH=SERVER",
        "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge",
    )
}

/// The exchange type of an ISAKMP message on the WAN.
fn exchange(packet: &[u8]) -> Option<u8> {
    let ip = Ipv4::parse(packet).ok().filter(|ip| ip.protocol() == 17)?;
    ip.payload().get(8 + 18).copied()
}

/// How many exchanges of extended authentication ended well.
fn authenticated<E: Engines<Buf = Buf>>(pair: &Pair<E>) -> usize {
    isakmp(pair)
        .filter(|(_, report)| {
            matches!(
                report,
                Report::Completed {
                    phase: Phase::OneAndHalf,
                    ..
                }
            )
        })
        .count()
}

story!(a_user_comes_in, |engines, seed| {
    let mut pair = pair_with(engines, &generic(), seed);
    ping_both(&mut pair);
    assert!(pair.run(MINUTE), "{:?}", failures(&pair));
    assert_eq!(authenticated(&pair), 2);
    let sent = isakmp(&pair).filter(|(_, r)| matches!(r, Report::Message { sent: true, .. }));
    assert_eq!(sent.count() as u64, MESSAGES);
    for side in [Side::A, Side::B] {
        let sa = pair
            .router(side)
            .device
            .endpoint()
            .sas()
            .next()
            .expect("one");
        assert!(sa.xauth.finished && sa.xauth.ok && sa.xauth.failures == 0);
    }
    let sa = pair.b.device.endpoint().sas().next().expect("one");
    assert_eq!(sa.user.as_deref(), Some(&b"joger"[..]));
});

story!(the_server_may_begin, |engines, seed| {
    let mut pair = pair_with(engines, &generic(), seed);
    pair.ping(HOST_B, HOST_A, Instant::ZERO);
    assert!(pair.run(MINUTE), "{:?}", failures(&pair));
    assert_eq!(authenticated(&pair), 2);
});

story!(each_message_may_be_lost, |engines, seed| {
    for lost in 0..MESSAGES {
        let mut pair = pair_with(&engines, &generic(), seed);
        pair.road = Some(Box::new(move |_, number, packet| {
            let copy = (Duration::ZERO, packet.to_vec());
            if number == lost {
                Vec::new()
            } else {
                vec![copy]
            }
        }));
        ping_both(&mut pair);
        assert!(
            pair.run(MINUTE),
            "message {lost} lost: {:?}",
            failures(&pair)
        );
        pair.run_to(MINUTE);
        assert_eq!(failures(&pair), [""; 0], "message {lost} lost");
        let (a, b) = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
        assert!(
            a == b && (1..=2).contains(&a),
            "message {lost} lost: {a}, {b}"
        );
    }
});

story!(each_message_may_come_twice, |engines, seed| {
    for twice in 0..MESSAGES {
        for later in [0, 5, 500, 5_000] {
            let mut pair = pair_with(&engines, &generic(), seed);
            pair.road = Some(Box::new(move |_, number, packet| {
                let copies = if number == twice { 2 } else { 1 };
                let late = |copy: u64| Duration::from_millis(copy * later);
                (0..copies)
                    .map(|copy| (late(copy), packet.to_vec()))
                    .collect()
            }));
            ping_both(&mut pair);
            assert!(
                pair.run(MINUTE),
                "message {twice} twice: {:?}",
                failures(&pair)
            );
            pair.run_to(MINUTE);
            assert_eq!(
                failures(&pair),
                [""; 0],
                "message {twice} twice, {later} ms later"
            );
            assert_eq!(
                authenticated(&pair),
                2,
                "message {twice} twice, {later} ms later"
            );
            let up = (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B));
            assert_eq!(up, (1, 1), "message {twice} twice, {later} ms later");
        }
    }
});

story!(threat_c9_three_wrong_passwords_end_it, |engines, seed| {
    let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=wrong";
    let mut pair = pair_with(engines, &configs("XAUTH=SERVER", client), seed);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    // One, two and four seconds of delay, and never a word before.
    pair.run_to(Instant::from_secs(6));
    assert_eq!(failures(&pair), [""; 0]);
    let sa = pair.b.device.endpoint().sas().next().expect("one");
    assert_eq!((sa.xauth.failures, sa.xauth.finished), (3, false));
    assert!(!pair.run(Instant::from_secs(9)));
    for side in [Side::A, Side::B] {
        let told = failed(&pair, side);
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].1, Subject::Xauth);
        // The next ping may have begun anew, and waits longer.
        let mut sas = pair.router(side).device.endpoint().sas();
        assert!(sas.all(|sa| !sa.xauth.finished));
    }
    assert_eq!(
        (bundles(&mut pair, Side::A), bundles(&mut pair, Side::B)),
        (0, 0)
    );
});

story!(threat_c9_nobody_comes_in_without_it, |engines, seed| {
    // No question reaches A, which begins with quick mode as if it had been accepted.
    let mut pair = pair_with(engines, &generic(), seed);
    pair.road = Some(Box::new(|_, _, packet| {
        let copy = (Duration::ZERO, packet.to_vec());
        if exchange(packet) == Some(6) {
            Vec::new()
        } else {
            vec![copy]
        }
    }));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(2));
    pair.a.device.endpoint_mut().pretend_authenticated();
    assert!(!pair.run(Instant::from_secs(30)));
    assert!(
        failed(&pair, Side::B)
            .iter()
            .any(|(_, why)| *why == Subject::XauthFirst)
    );
    assert_eq!(bundles(&mut pair, Side::B), 0);
    assert_eq!(pair.protected + pair.clear, 0);
});

story!(
    threat_b8_who_wants_it_does_not_do_without,
    |engines, seed| {
        let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge";
        for (server, client) in [("XAUTH=SERVER", ""), ("", client)] {
            let mut pair = pair_with(&engines, &configs(server, client), seed);
            pair.ping(HOST_A, HOST_B, Instant::ZERO);
            assert!(!pair.run(Instant::from_secs(10)));
            assert!(
                failed(&pair, Side::B)
                    .iter()
                    .all(|(_, why)| *why == Subject::NoProposal)
            );
            assert!(!failed(&pair, Side::B).is_empty());
        }
    }
);

story!(a_client_without_a_name_says_so, |engines, seed| {
    let mut pair = pair_with(engines, &configs("XAUTH=SERVER", "XAUTH=CLIENT"), seed);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(!pair.run(Instant::from_secs(2)));
    assert!(
        failed(&pair, Side::B)
            .iter()
            .all(|(_, why)| *why == Subject::Xauth)
    );
    assert!(!failed(&pair, Side::A).is_empty());
});

story!(a_server_that_asks_nothing_is_given_up, |engines, seed| {
    let short = "MSGTIMEOUT=1 MSGRETRYLIMIT=2";
    let client = format!("XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge {short}");
    let mut pair = pair_with(engines, &configs("XAUTH=SERVER", &client), seed);
    pair.road = Some(Box::new(|_, _, packet| {
        let copy = (Duration::ZERO, packet.to_vec());
        if exchange(packet) == Some(6) {
            Vec::new()
        } else {
            vec![copy]
        }
    }));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(!pair.run(Instant::from_secs(8)));
    assert_eq!(failed(&pair, Side::A)[0].1, Subject::NoXauth);
});

/// What a RADIUS server would say, with one more question in between.
struct Radius {
    asked: Vec<Vec<u8>>,
    challenges: u8,
}

fn radius<E: Engines<Buf = Buf>>(pair: &mut Pair<E>, challenges: u8) -> Arc<Mutex<Radius>> {
    let asked = Vec::new();
    let server = Arc::new(Mutex::new(Radius { asked, challenges }));
    let shared = Arc::clone(&server);
    pair.oracle = Some(Box::new(move |side, step| {
        assert_eq!(side, Side::B);
        let mut server = shared.lock().expect("nobody panicked");
        server.asked.push(step.state.clone().unwrap_or_default());
        let XauthProof::Chap {
            id,
            digest,
            challenge,
        } = step.proof
        else {
            panic!("not a digest");
        };
        let known = SoftPrimitives.hash(Hash::Md5, &[&[id], b"hogehoge", &challenge]);
        let right = step.user == b"joger" && known.as_bytes() == digest;
        Some(if !right {
            XauthAnswer::Reject
        } else if server.challenges > 0 {
            server.challenges -= 1;
            XauthAnswer::Challenge {
                message: b"the number on your card".to_vec(),
                state: hex("0102"),
            }
        } else {
            XauthAnswer::Accept
        })
    }));
    server
}

story!(radius_chap_in_several_rounds, |engines, seed| {
    let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge";
    let configs = configs("XAUTH=SERVER XAUTHTYPE=RADIUS", client);
    for challenges in [0, 1, 3] {
        let mut pair = pair_with(&engines, &configs, seed);
        let server = radius(&mut pair, challenges);
        ping_both(&mut pair);
        assert!(pair.run(MINUTE), "{:?}", failures(&pair));
        let asked = &server.lock().expect("nobody panicked").asked;
        assert_eq!(asked.len(), usize::from(challenges) + 1);
        let (first, later) = asked.split_first().expect("one");
        assert!(first.is_empty() && later.iter().all(|state| *state == hex("0102")));
    }
});

story!(a_wrong_digest_is_refused, |engines, seed| {
    let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=wrong";
    let configs = configs("XAUTH=SERVER XAUTHTYPE=RADIUS", client);
    let mut pair = pair_with(engines, &configs, seed);
    radius(&mut pair, 0);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    assert!(!pair.run(Instant::from_secs(9)));
    assert_eq!(failed(&pair, Side::B)[0].1, Subject::Xauth);
});

/// The identifier of a transaction is the server's; there are clients that do not give it back.
#[test]
fn a_client_may_answer_with_another_identifier() {
    /// Behind the headers of IP, UDP and ISAKMP, a HASH of SHA-1, and the head of the payload.
    const IDENTIFIER: usize = 20 + 8 + 28 + 24 + 4 + 2;
    // These engines encipher nothing, and digests of theirs are none, so that somebody else says
    // who the user is.
    let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge";
    let configs = configs("XAUTH=SERVER XAUTHTYPE=RADIUS", client);
    let mut pair = pair_with(|_| hw_offload::testing::insecure_engines(), &configs, 1);
    pair.oracle = Some(Box::new(|_, _| Some(XauthAnswer::Accept)));
    pair.road = Some(Box::new(|side, _, packet| {
        let mut packet = packet.to_vec();
        if side == Side::A && exchange(&packet) == Some(6) {
            packet[IDENTIFIER..IDENTIFIER + 2].fill(0);
            // No checksum of UDP.
            packet[26..28].fill(0);
        }
        vec![(Duration::ZERO, packet)]
    }));
    ping_both(&mut pair);
    assert!(pair.run(MINUTE), "{:?}", failures(&pair));
    assert_eq!(authenticated(&pair), 2);
}

#[test]
fn servers_are_asked_in_the_order_in_which_they_were_added() {
    let mut pair = Pair::soft(1);
    let mut say = |line: &str| pair.router(Side::A).command(Instant::ZERO, line).text;
    for line in [
        "ADD RADIUS SERVER=10.0.0.9 SECRET=hidden PORT=1645",
        "ADD RADIUS SERVER=10.0.0.8 SECRET=hidden",
    ] {
        assert!(say(line).starts_with("Info (1"), "{line}");
    }
    let again = say("ADD RADIUS SERVER=10.0.0.8 SECRET=x");
    assert!(again.contains("exists already"), "{again}");
    let screen = say("SHOW RADIUS");
    let places = ["10.0.0.9", "1645", "10.0.0.8", "1812"].map(|part| screen.find(part));
    assert!(places.is_sorted() && places[0].is_some(), "{screen}");
    assert!(!screen.contains("hidden"), "{screen}");
    assert!(say("DELETE RADIUS SERVER=10.0.0.9").starts_with("Info (1"));
    let gone = say("DELETE RADIUS SERVER=10.0.0.9");
    assert!(gone.contains("does not exist"), "{gone}");
}

/// The user table comes first; of others the servers hear the password.
#[test]
fn servers_know_the_users_that_the_router_does_not() {
    for (servers, user, asks, comes_in) in [
        (true, "nemo", true, true),
        (false, "nemo", false, false),
        (true, "joger", false, true),
    ] {
        let client = format!("XAUTH=CLIENT XAUTHNAME={user} XAUTHPASSWORD=hogehoge");
        let configs = configs("XAUTH=SERVER", &client);
        let mut pair = pair(&configs, 1);
        if servers {
            let line = "ADD RADIUS SERVER=10.0.0.8 SECRET=hidden";
            let answer = pair.router(Side::B).command(Instant::ZERO, line);
            assert!(answer.text.starts_with("Info"), "{}", answer.text);
        }
        let asked = Arc::new(Mutex::new(0));
        let shared = Arc::clone(&asked);
        pair.oracle = Some(Box::new(move |_, step| {
            *shared.lock().expect("nobody panicked") += 1;
            let XauthProof::Password(password) = step.proof else {
                panic!("not a password");
            };
            let right = step.user == b"nemo" && password.expose() == b"hogehoge";
            right.then_some(XauthAnswer::Accept)
        }));
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert_eq!(pair.run(MINUTE), comes_in, "{user}: {:?}", failures(&pair));
        let asked = *asked.lock().expect("nobody panicked");
        assert_eq!(asked > 0, asks, "{user} {servers}");
    }
}

/// The client of a group: everybody in it has the same name in phase 1.
fn member(user: &str, password: &str) -> [String; 2] {
    let client = format!(
        "LOCALID=group DPDMODE=NONE XAUTH=CLIENT XAUTHNAME={user} XAUTHPASSWORD={password}"
    );
    let configs = configs("REMOTEID=group XAUTH=SERVER", &client);
    let one_user = "ADD USER=joger";
    let other = "ADD USER=other PASSWORD=another1 LOGIN=NO";
    let configs = one(&configs, 1, one_user, &format!("{other}\n{one_user}"));
    both(&configs, "KEY=1 SENDN", "KEY=1 SENDDELETES=TRUE SENDN")
}

/// A secret that many share does not tell who of them somebody is: until the user is
/// authenticated, neither INITIAL-CONTACT nor a second SA takes anything from another. From then on
/// they concern the same user only.
#[test]
fn threat_b12_a_member_of_a_group_speaks_for_itself() {
    let configs = member("joger", "hogehoge");
    for (user, password, kept) in [
        ("joger", "wrong", true),
        ("nobody", "hogehoge", true),
        ("other", "another1", true),
        ("joger", "hogehoge", false),
    ] {
        let mut pair = pair(&configs, 1);
        pair.ping(HOST_A, HOST_B, Instant::ZERO);
        assert!(pair.run(MINUTE), "{:?}", failures(&pair));
        let first = pair.b.device.endpoint().sas().next().expect("one").cookies;
        let bundle = pair.b.device.plane().bundles().next().expect("one").0;
        // Somebody at the same address, who says that nothing from before is known.
        let [client, _] = member(user, password);
        let findings = pair.restart(Side::A, SoftEngines::new(256, 64, 64), &client);
        assert!(findings.is_empty(), "{findings:?}");
        pair.turn(Side::A);
        pair.pings.clear();
        let now = pair.now;
        pair.ping(HOST_A, HOST_B, now);
        pair.run_to(now + Duration::from_secs(20));
        let plane = pair.b.device.plane();
        let bundle = plane.bundle(bundle).is_some();
        let mut sas = pair.b.device.endpoint().sas();
        let sa = sas.any(|sa| sa.cookies == first);
        assert_eq!((sa, bundle), (kept, kept), "{user} {password}");
    }
}

/// Who was wrong waits, whichever SA the next answer comes under.
#[test]
fn threat_c9_another_sa_does_not_shorten_the_wait() {
    let mut pair = pair(&member("joger", "wrong"), 1);
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    // The second answer was wrong after one second: the third is looked at two seconds later.
    pair.run_to(Instant::from_micros(1_500_000));
    let sa = pair.b.device.endpoint().sas().next().expect("one");
    assert_eq!(sa.xauth.failures, 2);
    let [client, _] = member("joger", "hogehoge");
    pair.restart(Side::A, SoftEngines::new(256, 64, 64), &client);
    pair.turn(Side::A);
    pair.pings.clear();
    let now = pair.now;
    pair.ping(HOST_A, HOST_B, now);
    assert!(!pair.run(Instant::from_micros(2_900_000)));
    let accepted = |pair: &Pair| pair.b.device.endpoint().sas().any(|sa| sa.user.is_some());
    assert!(!accepted(&pair));
    assert!(pair.run(Instant::from_secs(10)), "{:?}", failures(&pair));
    assert!(accepted(&pair));
}

/// A password that was refused is refused again: nothing with XAUTH is tried by itself.
#[test]
fn nothing_is_tried_again_with_xauth() {
    let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge RETRYIKEATTEMPTS=3";
    let configs = configs("XAUTH=SERVER", client);
    let mut pair = pair(&configs, 1);
    pair.road = Some(Box::new(|_, _, _| Vec::new()));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(290));
    pair.pings.clear();
    pair.run_to(Instant::from_secs(1000));
    assert_eq!(attempts(&pair, 1), 1);
}

/// Who asks again and again gets no more passwords.
#[test]
fn a_client_answers_so_many_questions_and_no_more() {
    let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge";
    let configs = configs("XAUTH=SERVER XAUTHTYPE=RADIUS", client);
    let mut pair = pair(&configs, 1);
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    pair.oracle = Some(Box::new(move |_, step| {
        *count.lock().expect("alone") += 1;
        Some(XauthAnswer::Challenge {
            message: b"again".to_vec(),
            state: step.state.clone().unwrap_or_default(),
        })
    }));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(3));
    assert_eq!(failed(&pair, Side::A)[0].1, Subject::Xauth);
    // Every ping begins anew; three seconds have room for few.
    let asked = *asked.lock().expect("alone");
    assert!((8..=32).contains(&asked) && asked % 8 == 0, "{asked}");
}

/// A question that was answered is not answered again when another one came in between: what
/// follows one message id must not be enciphered twice.
#[test]
fn threat_c1_old_questions_are_not_answered() {
    let client = "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge";
    let configs = configs("XAUTH=SERVER XAUTHTYPE=RADIUS", client);
    let mut pair = pair(&configs, 1);
    pair.oracle = Some(Box::new(|_, step| {
        Some(match step.state {
            Some(_) => XauthAnswer::Accept,
            None => XauthAnswer::Challenge {
                message: b"again".to_vec(),
                state: vec![1],
            },
        })
    }));
    let tape = Tape::default();
    let heard = tape.clone();
    pair.road = Some(Box::new(move |side, _, packet| {
        if exchange(packet) != Some(6) {
            return vec![(Duration::ZERO, packet.to_vec())];
        }
        heard.borrow_mut().push((side, packet.to_vec()));
        // Two questions and their answers, but no word of the outcome.
        let passes = heard.borrow().len() <= 4;
        vec![(Duration::ZERO, packet.to_vec()); usize::from(passes)]
    }));
    pair.ping(HOST_A, HOST_B, Instant::ZERO);
    pair.run_to(Instant::from_secs(2));
    let questions: Vec<Vec<u8>> = tape
        .borrow()
        .iter()
        .filter(|(side, _)| *side == Side::B)
        .map(|(_, packet)| packet.clone())
        .collect();
    assert_eq!(questions.len(), 3, "two questions and the outcome");
    for (question, answers) in [(0, 0), (1, 1), (0, 0)] {
        let before = tape.borrow().len();
        let now = pair.now;
        pair.a.receive(now, &questions[question]);
        pair.turn(Side::A);
        assert_eq!(tape.borrow().len() - before, answers, "{question}");
    }
}
