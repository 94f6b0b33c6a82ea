//! Every exchange with each of its messages lost, doubled, late or overtaken, and with either
//! router or both restarted in each of its gaps. Afterwards packets pass both ways within a stated
//! time, both sides know the same SAs, and nothing is left under way.

use core::time::Duration;

use hw_offload::SoftEngines;
use ipsec_core::Instant;
use lab::nat::Kind;
use lab::{Buf, Pair, Side};
use sekisho_tests::setting::{Auth, Mode, Setting, with_vendor_ids};
use sekisho_tests::witness::{Copies, Watched, Witness, disagreement};
use sekisho_tests::{command, failures, unrest};

const SECOND: Duration = Duration::from_secs(1);
/// From the disturbance of a message to the next packets both ways: one retransmission after 4 s.
const AFTER_MESSAGE: Duration = Duration::from_secs(6);
/// The same after a restart that INITIAL-CONTACT tells of.
const AFTER_RESTART: Duration = Duration::from_secs(3);
/// The same after a restart that dead peer detection has to find: 20 s of silence, and nine
/// questions in 292 s.
const AFTER_DPD: Duration = Duration::from_secs(315);
/// A bundle that is younger than this when the next is begun may have crossed it, and stays.
const SETTLED: Duration = Duration::from_secs(31);
/// What was begun in vain ends after 292 s; then there is peace.
const PEACE: Duration = Duration::from_secs(400);

/// What brings an exchange about.
#[derive(Clone, Copy, Debug)]
enum Begin {
    /// The first packet between two routers that have not met; it is A's.
    Packet,
    /// The same with a packet of B's at the same time.
    Packets,
    /// Commands of A, while packets pass.
    Commands(&'static [&'static str]),
    /// Time, while packets pass.
    Time,
    /// Time, while nothing passes.
    Silence,
}

/// An exchange, or exchanges that follow one another.
struct Exchange {
    setting: Setting,
    begin: Begin,
    /// Messages that are disturbed, one at a time, and how soon they have passed undisturbed.
    messages: u64,
    within: Duration,
    /// From a restart to the next packet both ways.
    after_restart: Duration,
    /// The vendor IDs that both know, if not all.
    vendor_ids: Option<&'static [&'static str]>,
}

/// What happens once.
#[derive(Clone, Copy, Debug)]
enum Disturbance {
    Lost(u64),
    /// A copy comes so many milliseconds later.
    Twice(u64, u64),
    /// The message itself comes so many milliseconds later.
    Late(u64, u64),
    /// The sender's next message overtakes it.
    Overtaken(u64),
    /// These routers restart while the message is under way.
    Restart(u64, &'static [Side]),
}

/// Two routers and their traffic.
struct Scene<'a> {
    exchange: &'a Exchange,
    pair: Pair,
    witness: Witness,
    /// When the next packet leaves, and whose it is.
    next: Option<Instant>,
    sender: Side,
    what: String,
}

impl Watched for Scene<'_> {
    type Engines = SoftEngines<Buf>;

    fn pair(&mut self) -> &mut Pair {
        &mut self.pair
    }

    fn witness(&self) -> &Witness {
        &self.witness
    }

    fn next(&mut self) -> &mut Option<Instant> {
        &mut self.next
    }

    /// A packet from both sides each second, in turn.
    fn send(&mut self) -> Duration {
        self.witness.send(&mut self.pair, self.sender, 32);
        self.sender = self.sender.other();
        SECOND / 2
    }

    fn what(&self) -> String {
        self.what.clone()
    }
}

impl<'a> Scene<'a> {
    fn new(exchange: &'a Exchange, what: String) -> Self {
        let mut pair = exchange.setting.pair(|_| SoftEngines::new(256, 64, 64), 1);
        let witness = Witness::default();
        witness.watch(&mut pair, road(None, None));
        // A responder of Aggressive mode needs a moment after its start.
        pair.run_to(Instant::from_secs(1));
        Self {
            exchange,
            pair,
            witness,
            next: None,
            sender: Side::A,
            what,
        }
    }

    /// Packets sent from now on arrive behind both routers, the first within that time.
    fn passes(&mut self, within: Duration) {
        self.next.get_or_insert(self.pair.now);
        let start = self.witness.heard();
        // One may have been under way, and waits are answered all at once.
        let both =
            move |witness: &Witness| (0..2).all(|side| witness.heard()[side] >= start[side] + 2);
        let passes = self.until(within, both);
        assert!(passes, "{}: {:?}", self.what, failures(&self.pair));
    }

    fn run(mut self, disturbance: Option<Disturbance>) {
        if !matches!(self.exchange.begin, Begin::Packet | Begin::Packets) {
            self.passes(Duration::from_secs(20));
            self.next = None;
            let settled = match self.exchange.begin {
                Begin::Silence => 5 * SECOND,
                _ => SETTLED,
            };
            self.until(settled, |_| false);
        }
        let road = road(disturbance, self.exchange.vendor_ids);
        self.witness.watch(&mut self.pair, road);
        self.next = Some(self.pair.now).filter(|_| !matches!(self.exchange.begin, Begin::Silence));
        if let Begin::Commands(lines) = self.exchange.begin {
            for line in lines {
                command(&mut self.pair, Side::A, line);
            }
        }
        if matches!(self.exchange.begin, Begin::Packets) {
            self.witness.send(&mut self.pair, Side::B, 32);
        }
        let within = self.exchange.within;
        let Some(disturbance) = disturbance else {
            let all = self.exchange.messages;
            let seen = self.until(within, |witness| witness.isakmp() >= all);
            assert!(seen, "{}: {} messages", self.what, self.witness.isakmp());
            self.until(2 * SECOND, |_| false);
            assert_eq!(self.witness.isakmp(), all, "{}", self.what);
            self.passes(2 * SECOND);
            return self.rests();
        };
        let number = disturbance.message();
        let seen = self.until(within, |witness| witness.isakmp() > number);
        assert!(seen, "{}: only {number} messages", self.what);
        if let Disturbance::Restart(_, sides) = disturbance {
            for side in sides {
                let engines = SoftEngines::new(256, 64, 64);
                self.exchange
                    .setting
                    .restart(&mut self.pair, *side, engines);
            }
            self.passes(self.exchange.after_restart);
        } else {
            self.passes(AFTER_MESSAGE);
        }
        self.rests();
    }

    /// In the end nothing is under way, both sides know the same, and no packet waits.
    fn rests(&mut self) {
        self.next = None;
        self.until(PEACE, |_| false);
        let mut left = None;
        for _ in 0..300 {
            left = unrest(&mut self.pair).or_else(|| disagreement(&mut self.pair));
            if left.is_none() {
                break;
            }
            self.until(SECOND, |_| false);
        }
        assert_eq!(left, None, "{}", self.what);
        let before = self.witness.heard();
        for _ in 0..5 {
            for side in [Side::A, Side::B] {
                self.witness.send(&mut self.pair, side, 32);
            }
            self.until(SECOND, |_| false);
        }
        let heard = self.witness.heard();
        assert_eq!(heard, before.map(|n| n + 5), "{}: no peace", self.what);
    }
}

impl Disturbance {
    const fn message(self) -> u64 {
        match self {
            Self::Lost(number)
            | Self::Twice(number, _)
            | Self::Late(number, _)
            | Self::Overtaken(number)
            | Self::Restart(number, _) => number,
        }
    }

    /// All that can happen to a message.
    fn all(number: u64) -> impl Iterator<Item = Self> {
        let twice = [0, 5, 500, 5_000].map(|later| Self::Twice(number, later));
        let late = [15, 6_000].map(|later| Self::Late(number, later));
        let restarts: [&[Side]; 3] = [&[Side::A], &[Side::B], &[Side::A, Side::B]];
        let restarts = restarts.map(|sides| Self::Restart(number, sides));
        let others = [Self::Lost(number), Self::Overtaken(number)];
        others.into_iter().chain(twice).chain(late).chain(restarts)
    }
}

fn unchanged(packet: &[u8]) -> Copies {
    vec![(Duration::ZERO, packet.to_vec())]
}

/// What a disturbance does to the packets on the WAN.
fn road(
    disturbance: Option<Disturbance>,
    vendor_ids: Option<&'static [&'static str]>,
) -> impl FnMut(Side, Option<u64>, &[u8]) -> Copies {
    let mut held: Option<(Side, Vec<u8>)> = None;
    move |side, number, packet| {
        let packet = &match vendor_ids {
            Some(left) => with_vendor_ids(packet, left),
            None => packet.to_vec(),
        };
        let mut copies = unchanged(packet);
        if number.is_some()
            && let Some((_, overtaken)) = held.take_if(|(from, _)| *from == side)
        {
            copies.push((Duration::from_millis(1), overtaken));
        }
        let hit = disturbance.filter(|hit| number == Some(hit.message()));
        match hit {
            Some(Disturbance::Lost(_)) => copies.clear(),
            Some(Disturbance::Twice(_, later)) => {
                copies.push((Duration::from_millis(later), packet.to_vec()));
            }
            Some(Disturbance::Late(_, later)) => copies[0].0 = Duration::from_millis(later),
            Some(Disturbance::Overtaken(_)) => {
                copies.clear();
                held = Some((side, packet.to_vec()));
            }
            Some(Disturbance::Restart(..)) | None => {}
        }
        copies
    }
}

impl Exchange {
    fn survives(&self) {
        Scene::new(self, "undisturbed".into()).run(None);
        for number in 0..self.messages {
            for disturbance in Disturbance::all(number) {
                Scene::new(self, format!("{disturbance:?}")).run(Some(disturbance));
            }
        }
    }
}

/// The tunnel comes up.
fn first(setting: Setting, messages: u64) -> Exchange {
    Exchange {
        setting,
        begin: Begin::Packet,
        messages,
        within: 5 * SECOND,
        after_restart: AFTER_RESTART,
        vendor_ids: None,
    }
}

/// The tunnel comes up through a box in front of A that B cannot open: when B restarts, A must
/// notice.
fn behind_nat(mode: Mode, vendor_ids: &'static [&'static str]) -> Exchange {
    let setting = Setting {
        nat: [Some(Kind::Symmetric), None],
        isakmp: "DPDMODE=BOTH".into(),
        ..Setting::new(mode, Auth::Psk)
    };
    let messages = if mode == Mode::Main { 9 } else { 6 };
    Exchange {
        after_restart: AFTER_DPD,
        vendor_ids: Some(vendor_ids),
        ..first(setting, messages)
    }
}

/// Something happens to a tunnel that is up.
fn later(setting: Setting, begin: Begin, messages: u64, within: u64) -> Exchange {
    Exchange {
        begin,
        within: Duration::from_secs(within),
        ..first(setting, messages)
    }
}

/// A test per exchange, so that they run side by side.
macro_rules! exchanges {
    ($($name:ident: $exchange:expr;)*) => {
        $(
            #[test]
            fn $name() {
                $exchange.survives();
            }
        )*
    };
}

/// The vendor ID of dead peer detection (RFC 3706).
const DPD: &str = "afcad71368a1f1c96b8696fc77570100";

fn psk() -> Setting {
    Setting::new(Mode::Main, Auth::Psk)
}

exchanges! {
    main_mode_with_a_key: first(psk(), 9);
    main_mode_by_both_at_once: Exchange { begin: Begin::Packets, ..first(psk(), 18) };
    main_mode_with_signatures: first(Setting::new(Mode::Main, Auth::Rsa), 9);
    aggressive_mode_with_a_key: first(Setting::new(Mode::Aggressive, Auth::Psk), 6);
    aggressive_mode_with_signatures: first(Setting::new(Mode::Aggressive, Auth::Rsa), 6);
    hybrid_in_main_mode: first(Setting::new(Mode::Main, Auth::Hybrid), 13);
    hybrid_in_aggressive_mode: first(Setting::new(Mode::Aggressive, Auth::Hybrid), 10);
    xauth_with_a_password: first(Setting::new(Mode::Main, Auth::Xauth), 13);
    xauth_with_digests: first(Setting::new(Mode::Main, Auth::Chap), 15);
    quick_mode_with_pfs: first(Setting { ipsec: "USEPFSKEY=TRUE GROUP=2".into(), ..psk() }, 9);
    quick_mode_with_the_commit_bit: first(Setting { commit: [true; 2], ..psk() }, 10);
    quick_mode_with_the_commit_bit_of_the_initiator: first(
        Setting { commit: [true, false], ..psk() },
        10,
    );
    nat_traversal_of_the_rfc: behind_nat(Mode::Main, &["4a131c81070358455c5728f20e95452f", DPD]);
    nat_traversal_of_draft_08: behind_nat(Mode::Main, &["810fa565f8ab14369105d706fbd57279", DPD]);
    nat_traversal_of_draft_03: behind_nat(Mode::Main, &["7d9419a65310ca6f2c179d9215529d56", DPD]);
    nat_traversal_of_draft_02: behind_nat(Mode::Main, &["90cb80913ebb696e086381b5ec427b1f", DPD]);
    nat_traversal_of_draft_02_with_its_slip: behind_nat(
        Mode::Main,
        &["cd60464335df21f87cfdb2fc68b6a448", DPD],
    );
    nat_traversal_in_aggressive_mode: behind_nat(
        Mode::Aggressive,
        &["4a131c81070358455c5728f20e95452f", DPD],
    );
    quick_mode_with_the_commit_bit_of_the_responder: first(
        Setting { commit: [false, true], ..psk() },
        10,
    );
    quick_mode_with_pfs_and_the_commit_bit: first(
        Setting { ipsec: "USEPFSKEY=TRUE GROUP=2".into(), commit: [true; 2], ..psk() },
        10,
    );
    xauth_with_a_password_in_aggressive_mode: first(Setting::new(Mode::Aggressive, Auth::Xauth), 10);
    xauth_with_digests_in_aggressive_mode: first(Setting::new(Mode::Aggressive, Auth::Chap), 12);
    esp_and_ah: first(Setting { ah: true, ..psk() }, 9);
    deletes: later(
        Setting { isakmp: "SENDDELETES=TRUE".into(), ..psk() },
        Begin::Commands(&["RESET IPSEC POLICY=vpn"]),
        4,
        5,
    );
    farewell: later(
        Setting { isakmp: "SENDDELETES=TRUE".into(), ..psk() },
        Begin::Commands(&["DISABLE ISAKMP", "ENABLE ISAKMP", "RESET IPSEC POLICY=vpn"]),
        10,
        5,
    );
    dead_peer_detection: later(
        Setting { isakmp: "DPDMODE=BOTH".into(), ..psk() },
        Begin::Silence,
        4,
        60,
    );
    heartbeats: later(
        Setting { isakmp: "HEARTBEATMODE=BOTH".into(), ..psk() },
        Begin::Silence,
        6,
        70,
    );
    renewal_of_phase_2: later(
        Setting { bundle: "EXPIRYSECONDS=600".into(), ..psk() },
        Begin::Time,
        3,
        600,
    );
    renewal_of_phase_2_with_pfs: later(
        Setting {
            bundle: "EXPIRYSECONDS=600".into(),
            ipsec: "USEPFSKEY=TRUE GROUP=1".into(),
            ..psk()
        },
        Begin::Time,
        3,
        600,
    );
    renewal_of_phase_2_with_the_commit_bit: later(
        Setting { bundle: "EXPIRYSECONDS=600".into(), commit: [true; 2], ..psk() },
        Begin::Time,
        4,
        600,
    );
    renewal_of_phase_1_with_signatures: later(
        Setting {
            isakmp: "EXPIRYSECONDS=600".into(),
            ..Setting::new(Mode::Main, Auth::Rsa)
        },
        Begin::Time,
        6,
        600,
    );
    renewal_of_phase_1_in_aggressive_mode_with_signatures: later(
        Setting {
            isakmp: "EXPIRYSECONDS=600".into(),
            ..Setting::new(Mode::Aggressive, Auth::Rsa)
        },
        Begin::Time,
        3,
        600,
    );
    renewal_of_phase_1_with_a_password: later(
        Setting {
            isakmp: "EXPIRYSECONDS=600".into(),
            ..Setting::new(Mode::Main, Auth::Xauth)
        },
        Begin::Time,
        10,
        600,
    );
    renewal_of_phase_1_with_digests: later(
        Setting {
            isakmp: "EXPIRYSECONDS=600".into(),
            ..Setting::new(Mode::Main, Auth::Chap)
        },
        Begin::Time,
        12,
        600,
    );
    renewal_of_phase_1_with_hybrid: later(
        Setting {
            isakmp: "EXPIRYSECONDS=600".into(),
            ..Setting::new(Mode::Main, Auth::Hybrid)
        },
        Begin::Time,
        10,
        600,
    );
    renewal_of_phase_1: later(
        Setting { isakmp: "EXPIRYSECONDS=600".into(), ..psk() },
        Begin::Time,
        6,
        600,
    );
    renewal_of_phase_1_in_aggressive_mode: later(
        Setting {
            isakmp: "EXPIRYSECONDS=600".into(),
            ..Setting::new(Mode::Aggressive, Auth::Psk)
        },
        Begin::Time,
        3,
        600,
    );
}
