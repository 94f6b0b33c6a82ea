//! What the Linux kernel must know of the router: addresses, routes and source checks.
//!
//! What IPsec protects is routed into the TUN device by a table of its own, which everybody but
//! the gateway's marked sockets asks first. A blackhole of worse metric stands behind each of these
//! routes: it stays when the process dies and takes the TUN device along, so that nothing leaves in
//! clear. The WAN addresses that the gateway brings live on the TUN device and go with it, so that
//! a dead router does not answer its peer with ICMP errors.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use ipsec_core::model::{Action, PolicyConfig, Selector};
use ipsec_core::net::{InterfaceId, Net};
use isakmp_core::device::State;

/// The routing table of protected ranges, and the mark of the sockets that do not ask it.
pub(crate) const TABLE: u32 = 2407;
/// The protocol number of routes in the main table that are the gateway's.
const PROTOCOL: &str = "83";
/// Where the table stands among the kernel's rules: behind `local`, before `main`.
const RULE_PREFERENCE: &str = "2407";
const BLACKHOLE_METRIC: &str = "2000000";

/// A change that can be undone, as arguments of `ip`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    make: Vec<String>,
    unmake: Vec<String>,
    /// Prints something if what is already there is ours, left by a process that was killed.
    ours: Option<Vec<String>>,
    /// Prints something if nothing needs to be made: an address that the machine has.
    there: Option<Vec<String>>,
}

/// The changes that are in force.
#[derive(Debug)]
pub(crate) struct Kernel {
    tun: String,
    steps: Vec<Step>,
    settings: Vec<(String, String)>,
}

impl Kernel {
    /// Nothing changed yet.
    pub(crate) const fn new(tun: String) -> Self {
        Self {
            tun,
            steps: Vec::new(),
            settings: Vec::new(),
        }
    }

    /// Switches forwarding and strict source checks on, for devices that stand for guarded
    /// interfaces.
    ///
    /// # Errors
    /// When the kernel would not check: packets could then claim a remote LAN's address.
    pub(crate) fn guard(&mut self, devices: &[&str]) -> Result<(), String> {
        if read_setting("conf/all/rp_filter")? == "2" {
            return Err(
                "net.ipv4.conf.all.rp_filter is 2, so the kernel would pass packets from the WAN \
                 that claim a remote LAN's address; set it to 0 or 1"
                    .to_owned(),
            );
        }
        self.set("ip_forward", "1")?;
        for device in devices {
            self.set(&format!("conf/{device}/rp_filter"), "1")?;
        }
        // ICMP errors for hosts of the LAN come from the router's own address.
        let tun = self.tun.clone();
        write_setting(&format!("conf/{tun}/accept_local"), "1")?;
        write_setting(&format!("conf/{tun}/rp_filter"), "0")
    }

    /// Makes the kernel agree with a configuration: what is no longer wanted goes, what is new
    /// comes.
    ///
    /// # Errors
    /// What `ip` complained of, with the command.
    pub(crate) fn follow(
        &mut self,
        state: &State,
        devices: &[(InterfaceId, String)],
    ) -> Result<(), String> {
        let wanted = self.wanted(state, devices)?;
        let first = self.steps.is_empty();
        for step in &wanted {
            if self.steps.contains(step) {
                continue;
            }
            if let Some(there) = &step.there
                && !ip(there)?.trim().is_empty()
            {
                continue;
            }
            match ip(&step.make) {
                Ok(_) => self.steps.push(step.clone()),
                Err(error) if error.contains("File exists") => {
                    let ours = step.ours.as_ref();
                    let ours = ours.is_some_and(|ask| ip(ask).is_ok_and(|t| !t.trim().is_empty()));
                    if ours {
                        self.steps.push(step.clone());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        let (keep, gone): (Vec<_>, Vec<_>) =
            self.steps.drain(..).partition(|step| wanted.contains(step));
        self.steps = keep;
        for step in gone.iter().rev() {
            ip(&step.unmake)?;
        }
        if first {
            self.sweep()?;
        }
        Ok(())
    }

    /// Undoes everything, in reverse order. What cannot be undone is told and passed over.
    pub(crate) fn restore(&mut self) {
        for step in self.steps.drain(..).rev() {
            // The device may be gone, and what stood on it.
            if let Err(error) = ip(&step.unmake) {
                eprintln!("gateway: {error}");
            }
        }
        for (name, value) in self.settings.drain(..).rev() {
            if let Err(error) = write_setting(&name, &value) {
                eprintln!("gateway: {error}");
            }
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let was = read_setting(name)?;
        if was != value {
            write_setting(name, value)?;
            self.settings.push((name.to_owned(), was));
        }
        Ok(())
    }

    /// Removes from the own table what a killed process left and nobody wants any more.
    fn sweep(&self) -> Result<(), String> {
        let table = TABLE.to_string();
        for line in ip(&words(&format!("route show table {table}")))?.lines() {
            let mut fields = line.split_whitespace();
            let (Some(kind @ ("blackhole" | "throw")), Some(range)) =
                (fields.next(), fields.next())
            else {
                continue;
            };
            let wanted = |step: &Step| {
                let mut both = step.make.windows(2).map(|pair| (&*pair[0], &*pair[1]));
                let host = format!("{range}/32");
                both.any(|(k, r)| k == kind && (r == range || r == host))
            };
            if !self.steps.iter().any(wanted) {
                ip(&words(&format!("route del {kind} {range} table {table}")))?;
            }
        }
        Ok(())
    }

    fn wanted(
        &self,
        state: &State,
        devices: &[(InterfaceId, String)],
    ) -> Result<Vec<Step>, String> {
        let tun = &self.tun;
        let guarded = guarded(state);
        let ranges = ranges(state, &guarded);
        let mut steps = Vec::new();
        if !ranges.is_empty() {
            let rule = format!("not from all fwmark {TABLE} lookup {TABLE} pref {RULE_PREFERENCE}");
            steps.push(Step {
                make: words(&format!("rule add {rule}")),
                unmake: words(&format!("rule del {rule}")),
                ours: Some(words(&format!("rule show pref {RULE_PREFERENCE}"))),
                there: None,
            });
        }
        for (network, _) in &ranges {
            steps.push(own_route(&format!(
                "blackhole {network} metric {BLACKHOLE_METRIC}"
            )));
        }
        let passed_by = self.connected(devices, &guarded)?;
        for network in passed_by {
            if !ranges.iter().any(|(range, _)| *range == network) {
                steps.push(own_route(&format!("throw {network}")));
            }
        }
        steps.extend(self.addresses(&state.net, devices, &guarded));
        for route in state.net.routes() {
            let device = devices.iter().find(|(on, _)| *on == route.interface);
            let (IpAddr::V4(network), Some((_, device))) = (route.destination.0, device) else {
                continue;
            };
            let via = route
                .next_hop
                .map_or(String::new(), |hop| format!("via {hop} onlink "));
            let what = format!(
                "{network}/{} {via}dev {device} proto {PROTOCOL}",
                route.destination.1
            );
            steps.push(main_route(
                &what,
                &format!("{network}/{}", route.destination.1),
                device,
            ));
        }
        for (network, policy) in &ranges {
            let source = policy
                .and_then(|policy| source_within(&policy.selector(), &state.net, devices))
                .map_or(String::new(), |address| format!(" src {address}"));
            steps.push(own_route(&format!("{network} dev {tun}{source}")));
        }
        Ok(steps)
    }

    fn addresses(
        &self,
        net: &Net,
        devices: &[(InterfaceId, String)],
        guarded: &[InterfaceId],
    ) -> Vec<Step> {
        let mut steps = Vec::new();
        for (on, device) in devices {
            let Some(interface) = net.get(*on) else {
                continue;
            };
            for (address, len) in &interface.addresses {
                let IpAddr::V4(address) = address else {
                    continue;
                };
                let there = Some(words(&format!("-o -4 addr show to {address}/32")));
                let step = |what: String| Step {
                    make: words(&format!("addr add {what}")),
                    unmake: words(&format!("addr del {what}")),
                    ours: None,
                    there: there.clone(),
                };
                if guarded.contains(on) {
                    // What still arrives for a dead router shall not be sent back.
                    steps.push(own_route(&format!(
                        "blackhole {address}/32 metric {BLACKHOLE_METRIC}"
                    )));
                    steps.push(step(format!("{address}/32 dev {}", self.tun)));
                    if *len < 32 {
                        let network = network_of(*address, *len);
                        let what = format!("{network} dev {device} src {address} proto {PROTOCOL}");
                        steps.push(main_route(&what, &network, device));
                    }
                } else {
                    steps.push(step(format!("{address}/{len} dev {device}")));
                }
            }
        }
        steps
    }

    /// The networks that the kernel reaches directly by devices that IPsec does not guard.
    fn connected(
        &self,
        devices: &[(InterfaceId, String)],
        guarded: &[InterfaceId],
    ) -> Result<Vec<String>, String> {
        let behind = |device: &str| {
            let ours = devices.iter().find(|(_, name)| name == device);
            device == self.tun || ours.is_some_and(|(on, _)| guarded.contains(on))
        };
        let text = ip(&words(
            "-o -4 route show table main proto kernel scope link",
        ))?;
        let mut networks = Vec::new();
        for line in text.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let device = fields.iter().skip_while(|word| **word != "dev").nth(1);
            if let (Some(network), Some(device)) = (fields.first(), device)
                && !behind(device)
            {
                networks.push((*network).to_owned());
            }
        }
        Ok(networks)
    }
}

/// The interfaces that have policies.
pub(crate) fn guarded(state: &State) -> Vec<InterfaceId> {
    let mut guarded: Vec<InterfaceId> = state
        .ipsec
        .policies
        .iter()
        .filter_map(|policy| state.net.by_name(&policy.interface))
        .collect();
    guarded.sort_unstable();
    guarded.dedup();
    guarded
}

/// What must pass the SPD: the remote ranges of the policies that do not permit, each with its
/// policy, and everything where an interface's last word is the implicit DENY.
fn ranges<'a>(
    state: &'a State,
    guarded: &[InterfaceId],
) -> Vec<(String, Option<&'a PolicyConfig>)> {
    let mut ranges: Vec<(String, Option<&PolicyConfig>)> = Vec::new();
    if !state.ipsec.enabled {
        return ranges;
    }
    for on in guarded {
        let mut open = false;
        let here = |policy: &&PolicyConfig| state.net.by_name(&policy.interface) == Some(*on);
        for policy in state.ipsec.policies.iter().filter(here) {
            let selector = policy.selector();
            if policy.action == Action::Permit {
                open |= selector == Selector::any(selector.version);
                continue;
            }
            for network in networks(&selector) {
                if !ranges.iter().any(|(range, _)| *range == network) {
                    ranges.push((network, Some(policy)));
                }
            }
        }
        if !open {
            for half in ["0.0.0.0/1", "128.0.0.0/1"] {
                if !ranges.iter().any(|(range, _)| range == half) {
                    ranges.push((half.to_owned(), None));
                }
            }
        }
    }
    ranges
}

/// The networks that cover a selector's remote addresses exactly.
fn networks(selector: &Selector) -> Vec<String> {
    match selector.remote.bounds() {
        None => vec!["0.0.0.0/1".to_owned(), "128.0.0.0/1".to_owned()],
        Some((IpAddr::V4(low), IpAddr::V4(high))) => cover(low, high),
        Some(_) => Vec::new(),
    }
}

/// The fewest networks that hold exactly the addresses from `low` to `high`.
fn cover(low: Ipv4Addr, high: Ipv4Addr) -> Vec<String> {
    let mut networks = Vec::new();
    let (mut next, high) = (u64::from(low.to_bits()), u64::from(high.to_bits()));
    while next <= high {
        let aligned = next.trailing_zeros().min(32);
        let fits = (high - next + 1).ilog2();
        // A default route would be the kernel's own; two halves are more specific.
        let bits = aligned.min(fits).min(31);
        let address = Ipv4Addr::from_bits(u32::try_from(next).unwrap_or(u32::MAX));
        networks.push(format!("{address}/{}", 32 - bits));
        next += 1 << bits;
    }
    networks
}

fn network_of(address: Ipv4Addr, len: u8) -> String {
    let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
    format!("{}/{len}", Ipv4Addr::from_bits(address.to_bits() & mask))
}

/// The router's own address that a policy selects, for what the router itself sends.
fn source_within(
    selector: &Selector,
    net: &Net,
    devices: &[(InterfaceId, String)],
) -> Option<IpAddr> {
    let interfaces = devices.iter().filter_map(|(on, _)| net.get(*on));
    let mut addresses = interfaces.flat_map(|interface| &interface.addresses);
    addresses
        .find(|(address, _)| selector.local.bounds().is_some() && selector.local.matches(*address))
        .map(|(address, _)| *address)
}

/// A route in the own table, whoever left it there.
fn own_route(what: &str) -> Step {
    Step {
        make: words(&format!("route replace {what} table {TABLE}")),
        unmake: words(&format!("route del {what} table {TABLE}")),
        ours: None,
        there: None,
    }
}

/// A route in the main table, if nobody else has it.
fn main_route(what: &str, network: &str, device: &str) -> Step {
    Step {
        make: words(&format!("route add {what}")),
        unmake: words(&format!("route del {what}")),
        ours: Some(words(&format!(
            "route show {network} dev {device} proto {PROTOCOL}"
        ))),
        there: None,
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Runs `ip` and returns what it printed.
pub(crate) fn ip(args: &[String]) -> Result<String, String> {
    let output = Command::new("ip")
        .args(args)
        .output()
        .map_err(|error| format!("the program ip (of iproute2) cannot be started: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("ip {}: {}", args.join(" "), why.trim()))
}

fn read_setting(name: &str) -> Result<String, String> {
    let path = format!("/proc/sys/net/ipv4/{name}");
    fs::read_to_string(&path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| format!("{path}: {error}"))
}

fn write_setting(name: &str, value: &str) -> Result<(), String> {
    let path = format!("/proc/sys/net/ipv4/{name}");
    fs::write(&path, value).map_err(|error| format!("{path}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::{cover, network_of};

    #[test]
    fn ranges_are_covered_exactly() {
        let of = |low: &str, high: &str| cover(low.parse().unwrap(), high.parse().unwrap());
        assert_eq!(of("192.168.20.0", "192.168.20.255"), ["192.168.20.0/24"]);
        assert_eq!(of("10.0.0.1", "10.0.0.1"), ["10.0.0.1/32"]);
        assert_eq!(
            of("10.0.0.1", "10.0.0.6"),
            ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]
        );
        assert_eq!(
            of("0.0.0.0", "255.255.255.255"),
            ["0.0.0.0/1", "128.0.0.0/1"]
        );
        assert_eq!(
            of("255.255.255.255", "255.255.255.255"),
            ["255.255.255.255/32"]
        );
    }

    #[test]
    fn networks_are_addresses_under_their_masks() {
        assert_eq!(network_of("10.1.2.3".parse().unwrap(), 24), "10.1.2.0/24");
        assert_eq!(network_of("10.1.2.3".parse().unwrap(), 32), "10.1.2.3/32");
        assert_eq!(network_of("10.1.2.3".parse().unwrap(), 0), "0.0.0.0/0");
    }
}
