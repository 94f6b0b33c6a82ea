//! The lines that ISAKMP writes into the log: those of the manual, and their siblings.

use core::net::Ipv4Addr;

use ipsec_core::Instant;
use lab::nat::{Kind, NatBox};
use lab::{Pair, Side};
use sekisho_tests::{HOST_A, HOST_B, basic, both, command, one, pair, ping_both};

const POLICY: &str = "CREATE ISAKMP POLICY=i";
const ENABLED: &str = "MSG   ISAKMP has been enabled";

/// What a side's log has of ISAKMP, in order, each with its subtype.
fn lines(pair: &mut Pair, side: Side) -> Vec<String> {
    let screen = command(pair, side, "SHOW LOG MODULE=ISAK");
    let mut lines: Vec<String> = Vec::new();
    for line in screen.lines() {
        if let Some((_, text)) = line.split_once(" 3 ISAK IKMP ") {
            lines.push(text.to_string());
        } else if let (Some(last), true) = (lines.last_mut(), line.starts_with(' ')) {
            // The message column is wrapped at a word.
            *last = format!("{last} {}", line.trim());
        }
    }
    lines
}

fn up(configs: &[String; 2]) -> Pair {
    let mut pair = pair(configs, 1);
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    assert!(pair.run(Instant::from_secs(30)));
    pair
}

/// The lines of A and B after some time without a link between them.
fn after_silence(mut pair: Pair, seconds: u64) -> [Vec<String>; 2] {
    pair.road = Some(Box::new(|_, _, _| Vec::new()));
    pair.run_to(Instant::from_secs(seconds));
    [Side::A, Side::B].map(|side| lines(&mut pair, side))
}

fn with(a: &str, b: &str) -> [String; 2] {
    let configs = one(&basic(), 0, POLICY, &format!("{POLICY} {a}"));
    one(&configs, 1, POLICY, &format!("{POLICY} {b}"))
}

#[test]
fn a_negotiation_as_the_manual_shows_it() {
    let mut pair = up(&basic());
    for (side, role, peer) in [(Side::A, "init", "2.2.2.2"), (Side::B, "resp", "1.1.1.1")] {
        let expected = [
            ENABLED.to_string(),
            format!("XCHG  Exchange 1: Phase 1 [{role}] started with peer {peer}"),
            "XCHG  Exchange 1: Notification Received - DOI".to_string(),
            "XCHG  Exchange 1: Completed successfully".to_string(),
            format!("XCHG  Exchange 2: Phase 2 [{role}] started with peer {peer}"),
            "XCHG  Exchange 2: Completed successfully".to_string(),
        ];
        assert_eq!(lines(&mut pair, side), expected);
    }
    let [by_type, by_module] = ["TYPE=IKMP", "MODULE=ISAK"]
        .map(|filter| command(&mut pair, Side::A, &format!("SHOW LOG {filter}")));
    assert_eq!(by_type, by_module);
}

#[test]
fn extended_authentication_is_phase_1_5() {
    let user = "ADD USER=joger PASSWORD=hogehoge LOGIN=NO\n";
    let configs = with(
        "XAUTH=CLIENT XAUTHNAME=joger XAUTHPASSWORD=hogehoge",
        "XAUTH=SERVER",
    );
    let mut pair = up(&one(&configs, 1, POLICY, &format!("{user}{POLICY}")));
    for (side, role, peer) in [(Side::A, "resp", "2.2.2.2"), (Side::B, "init", "1.1.1.1")] {
        let line = format!("XCHG  Exchange 2: Phase 1.5 [{role}] started with peer {peer}");
        let lines = lines(&mut pair, side);
        assert!(lines.contains(&line), "{lines:?}");
        let done = "XCHG  Exchange 2: Completed successfully".to_string();
        assert!(lines.contains(&done), "{lines:?}");
    }
}

#[test]
fn disabled_and_deleted_here_and_there() {
    let mut pair = up(&with("SENDDELETES=TRUE", ""));
    command(&mut pair, Side::A, "DISABLE ISAKMP");
    pair.run_to(Instant::from_secs(31));
    let last = lines(&mut pair, Side::A);
    let expected = [
        "XCHG  ISAKMP SA 1 with peer 2.2.2.2 deleted",
        "MSG   ISAKMP has been disabled",
    ];
    for line in expected {
        assert!(last.contains(&line.to_string()), "{last:?}");
    }
    let last = lines(&mut pair, Side::B).pop().unwrap();
    assert_eq!(
        last,
        "XCHG  ISAKMP SA 1 with peer 1.1.1.1 deleted by the peer"
    );
}

#[test]
fn another_key_is_told_on_both_sides() {
    let configs = one(&basic(), 1, "\"jogefoge\"", "\"other\"");
    let mut pair = pair(&configs, 1);
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.run_to(Instant::from_secs(400));
    let ignored = lines(&mut pair, Side::B);
    let head = "XCHG  Exchange 1: Message ignored - ";
    let told = ignored.iter().filter(|line| line.starts_with(head)).count();
    assert_eq!(told, 1, "{ignored:?}");
    let failed = lines(&mut pair, Side::A);
    let head = "XCHG  Exchange 1: Failed - ";
    assert!(
        failed.iter().any(|line| line.starts_with(head)),
        "{failed:?}"
    );
}

/// A refusal in clear is a hint, and is told as such.
#[test]
fn a_refusal_names_what_differs() {
    let configs = with("", "ENCALG=AES128");
    let mut pair = pair(&configs, 1);
    pair.ping(HOST_A, HOST_B, Instant::from_secs(1));
    pair.run_to(Instant::from_secs(400));
    let b = lines(&mut pair, Side::B);
    let refused = b
        .iter()
        .find(|line| line.starts_with("XCHG  Refused peer 1.1.1.1 - "));
    let refused = refused.unwrap_or_else(|| panic!("{b:?}"));
    for word in ["ENCALG", "DES", "AES"] {
        assert!(refused.contains(word), "{refused}");
    }
    let line = "XCHG  Exchange 1: Notification Received - NO-PROPOSAL-CHOSEN (not authenticated)";
    let a = lines(&mut pair, Side::A);
    assert!(a.contains(&line.to_string()), "{a:?}");
}

#[test]
fn the_loss_of_a_peer_says_how_it_was_noticed() {
    let gone = |peer: &str, how: &str| {
        format!("XCHG  ISAKMP SA 1: peer {peer} {how}, all SAs with it deleted")
    };
    let [a, _] = after_silence(up(&with("DPDMODE=BOTH", "DPDMODE=RECEIVE")), 500);
    assert!(
        a.contains(&gone("2.2.2.2", "does not answer R-U-THERE")),
        "{a:?}"
    );
    let both = with("HEARTBEATMODE=BOTH", "HEARTBEATMODE=BOTH");
    let [a, b] = after_silence(up(&both), 300);
    let how = "sends no heartbeat any more";
    assert!(a.contains(&gone("2.2.2.2", how)), "{a:?}");
    assert!(b.contains(&gone("1.1.1.1", how)), "{b:?}");
}

#[test]
fn a_client_without_traffic_is_let_go() {
    let configs = with("", "REKEY=TRUE EXPIRYSECONDS=600");
    let configs = one(&configs, 1, "PEER=1.1.1.1 KEY", "PEER=ANY KEY");
    let [_, b] = after_silence(up(&configs), 900);
    let line = "XCHG  ISAKMP SA 1: peer 1.1.1.1 sends nothing any more, all SAs with it deleted";
    assert!(b.iter().any(|other| other == line), "{b:?}");
}

#[test]
fn a_peer_that_moves_is_told() {
    let inside = Ipv4Addr::new(10, 0, 0, 2);
    let configs = with(
        "NATTRAVERSAL=TRUE LOCALID=a",
        "NATTRAVERSAL=TRUE REMOTEID=a",
    );
    let isa = "CREATE IPSEC POLICY=isa";
    let natt = "CREATE IPSEC POLICY=natt INT=ppp0 ACTION=PERMIT LPORT=4500 TRANSPORT=UDP";
    let configs = both(&configs, isa, &format!("{natt}\n{isa}"));
    let configs = one(
        &configs,
        0,
        "INT=ppp0 IP=1.1.1.1",
        &format!("INT=ppp0 IP={inside}"),
    );
    let mut pair = pair(&configs, 1);
    let public = Ipv4Addr::new(1, 1, 1, 1);
    pair.nat[0] = Some(NatBox::new(public, Kind::Symmetric, true));
    ping_both(&mut pair);
    assert!(pair.run(Instant::from_secs(30)));
    pair.nat[0].as_mut().unwrap().forget();
    pair.ping(HOST_A, HOST_B, Instant::from_secs(31));
    assert!(pair.run(Instant::from_secs(60)));
    let lines = lines(&mut pair, Side::B);
    let head = "XCHG  ISAKMP SA 1: peer moved from 1.1.1.1:";
    assert!(lines.iter().any(|line| line.starts_with(head)), "{lines:?}");
}
