//! The search for the policy of a packet.

use core::hint::black_box;
use core::net::Ipv4Addr;

use hw_offload::KeyRing;
use ipsec_core::model::{
    Action, AddressSelector, Direction, Flow, InterfaceName, IpsecConfig, Name, PolicyConfig,
};
use ipsec_core::net::{InterfaceId, Net};
use ipsec_core::{DataPlane, Instant, Limits};
use lab::Buf;

use crate::rounds::{Batch, Table, Target, timed};

const POLICIES: [u32; 4] = [10, 100, 1000, 10_000];
/// Flows that are looked up in turn once they are known.
const KNOWN: u32 = 64;
/// New flows of a batch.
const NEW: u32 = 256;

pub(crate) fn run(table: &mut Table) {
    for policies in POLICIES {
        let known = format!("known flow, {policies} policies");
        let new = format!("new flow, {policies} policies");
        if !table.wants(&known) && !table.wants(&new) {
            continue;
        }
        let mut router = Router::new(policies);
        table.alone(&known, Target::Nanoseconds(50.0), router.known());
        let target = match policies {
            10_000 => Target::Nanoseconds(1000.0),
            _ => Target::None,
        };
        table.beside(&new, target, router.new_flows(), scan(policies));
    }
}

/// A plane with one interface and so many policies of a remote network each.
struct Router {
    plane: DataPlane<Buf>,
    wan: InterfaceId,
    policies: u32,
    /// Flows made so far.
    flows: u32,
}

impl Router {
    fn new(policies: u32) -> Self {
        let mut net = Net::default();
        let wan = net.interface(&InterfaceName::new("ppp0"));
        let config = IpsecConfig {
            enabled: true,
            policies: (0..policies).map(policy).collect(),
            ..IpsecConfig::default()
        };
        let mut plane = DataPlane::new(&Limits::default(), [7; 16]);
        plane.configure(Instant::ZERO, &config, &net, &KeyRing::new(0));
        Self {
            plane,
            wan,
            policies,
            flows: 0,
        }
    }

    fn known(&mut self) -> impl FnMut() -> Batch {
        let flows: Vec<_> = (0..KNOWN).map(|flow| self.flow(flow)).collect();
        look_up(&mut self.plane, self.wan, &flows);
        move || look_up(&mut self.plane, self.wan, &flows)
    }

    fn new_flows(&mut self) -> impl FnMut() -> Batch {
        move || {
            let first = self.flows;
            self.flows = self.flows.wrapping_add(NEW);
            let flows: Vec<_> = (first..first + NEW).map(|flow| self.flow(flow)).collect();
            look_up(&mut self.plane, self.wan, &flows)
        }
    }

    fn flow(&self, number: u32) -> Flow {
        flow(self.policies, number)
    }
}

/// The lookups of these flows; each is permitted by one of the policies.
fn look_up(plane: &mut DataPlane<Buf>, wan: InterfaceId, flows: &[Flow]) -> Batch {
    timed(flows.len(), || {
        for flow in flows {
            let action = plane.check(wan, Direction::Out, flow);
            assert_eq!(action, Action::Permit);
        }
    })
}

/// The meaning of a search, as a loop over the list.
fn scan(policies: u32) -> impl FnMut() -> Batch {
    let list: Vec<_> = (0..policies).map(|n| policy(n).selector()).collect();
    let mut first = 0_u32;
    move || {
        let flows: Vec<_> = (first..first + 32).map(|n| flow(policies, n)).collect();
        first = first.wrapping_add(32);
        timed(flows.len(), || {
            for flow in &flows {
                let found = list
                    .iter()
                    .position(|selector| selector.matches(flow, Direction::Out).is_ok());
                assert!(black_box(found).is_some());
            }
        })
    }
}

/// The policy of one remote network of 256 addresses.
fn policy(number: u32) -> PolicyConfig {
    let name = Name::new(&format!("p{number}"));
    PolicyConfig {
        raddress: Some(AddressSelector::Prefix(remote(number, 0).into(), 24)),
        ..PolicyConfig::new(name, InterfaceName::new("ppp0"), Action::Permit)
    }
}

fn remote(network: u32, host: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(10 << 24 | network << 8 | host)
}

/// The flow of that number, to a network that cannot be told from the one before.
fn flow(policies: u32, number: u32) -> Flow {
    let scattered = number.wrapping_mul(0x9e37_79b1);
    let [a, b, c, d] = number.to_be_bytes();
    Flow {
        source: Ipv4Addr::new(192, 168, 10, 2).into(),
        destination: remote((scattered >> 8) % policies, 5).into(),
        protocol: 17,
        ports: Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]))),
        icmp_type: None,
    }
}
