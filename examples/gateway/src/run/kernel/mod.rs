//! What the Linux kernel must know of the router: addresses, routes and source checks.
//!
//! What IPsec protects is routed into the TUN device by a table of its own, which everybody but
//! the gateway's marked sockets asks first. A blackhole of worse metric stands behind each of these
//! routes: it stays when the process dies and takes the TUN device along, so that nothing leaves in
//! clear. The WAN addresses that the gateway brings live on the TUN device and go with it, so that
//! a dead router does not answer its peer with ICMP errors.
//!
//! Where a protected range holds the peer itself - transport mode, or everything - what ISAKMP and
//! IPsec exchange with it is excepted, or the source check below would take its answers for forged.
//!
//! A clear packet from the WAN that claims an address of a protected range is dropped by the strict
//! source check of IPv4; IPv6 has none, so a rule in front of the own table does it.

mod ranges;

use std::fs;
use std::net::IpAddr;
use std::process::Command;

use ipsec_core::model::{PolicyConfig, Selector};
use ipsec_core::net::{InterfaceId, Net};
use isakmp_core::device::State;

pub(crate) use self::ranges::Network;
use self::ranges::{family, ranges};
use super::link::ports;

/// The routing table of protected ranges, and the mark of the sockets that do not ask it.
pub(crate) const TABLE: u32 = 2407;
/// The protocol number of routes in the main table that are the gateway's.
const PROTOCOL: &str = "83";
/// Where the table stands among the kernel's rules: behind `local`, before `main`.
const RULE_PREFERENCE: &str = "2407";
/// Where the rules against forged sources stand: in front of it.
const SOURCE_PREFERENCE: &str = "2406";
/// Where the rules for what the gateway itself exchanges stand: in front of both.
const OWN_PREFERENCE: &str = "2405";
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
        if read_setting("ipv4/conf/all/rp_filter")? == "2" {
            return Err(
                "net.ipv4.conf.all.rp_filter is 2, so the kernel would pass packets from the WAN \
                 that claim a remote LAN's address; set it to 0 or 1"
                    .to_owned(),
            );
        }
        self.set("ipv4/ip_forward", "1")?;
        for device in devices {
            self.set(&format!("ipv4/conf/{device}/rp_filter"), "1")?;
        }
        // ICMP errors for hosts of the LAN come from the router's own address.
        let tun = self.tun.clone();
        write_setting(&format!("ipv4/conf/{tun}/accept_local"), "1")?;
        write_setting(&format!("ipv4/conf/{tun}/rp_filter"), "0")
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
        if has_ipv6(&state.net) {
            self.set("ipv6/conf/all/forwarding", "1")?;
            let guarded = guarded(state);
            for (_, device) in devices.iter().filter(|(on, _)| guarded.contains(on)) {
                self.set(&format!("ipv6/conf/{device}/proxy_ndp"), "1")?;
                self.set(&format!("ipv6/neigh/{device}/proxy_delay"), "0")?;
            }
        }
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

    /// Removes from the own table what a killed process left and nobody wants any more, and its
    /// rules.
    fn sweep(&self) -> Result<(), String> {
        let table = TABLE.to_string();
        let made = |what: &[&str]| {
            let made = |step: &Step| step.make.windows(what.len()).any(|part| *part == *what);
            self.steps.iter().any(made)
        };
        for family in ["-4", "-6"] {
            let routes = match ip(&words(&format!("{family} route show table {table}"))) {
                Err(error) if error.contains("table does not exist") => String::new(),
                routes => routes?,
            };
            for line in routes.lines() {
                let mut fields = line.split_whitespace();
                let (Some(kind @ ("blackhole" | "throw")), Some(range)) =
                    (fields.next(), fields.next())
                else {
                    continue;
                };
                let hosts = [format!("{range}/32"), format!("{range}/128")];
                let [v4, v6] = &hosts;
                if ![range, v4, v6].iter().any(|range| made(&[kind, range])) {
                    ip(&words(&format!(
                        "{family} route del {kind} {range} table {table}"
                    )))?;
                }
            }
        }
        let rules = ip(&words(&format!("-4 rule show pref {OWN_PREFERENCE}")))?;
        for line in rules.lines() {
            let words = line.split_once(':').map(|(_, rule)| rule.trim());
            let Some((what, _)) = words.and_then(|rule| rule.split_once(" lookup")) else {
                continue;
            };
            let wanted = own_rule(what);
            if !self.steps.contains(&wanted) {
                ip(&wanted.unmake)?;
            }
        }
        let rules = ip(&words(&format!("-6 rule show pref {SOURCE_PREFERENCE}")))?;
        for line in rules.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let after = |word| fields.iter().skip_while(|field| **field != word).nth(1);
            let (Some(range), Some(device)) = (after("from"), after("iif")) else {
                continue;
            };
            let host = format!("{range}/128");
            if !made(&["from", range, "iif", device]) && !made(&["from", &host, "iif", device]) {
                ip(&words(&format!(
                    "-6 rule del from {range} iif {device} pref {SOURCE_PREFERENCE}"
                )))?;
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
        for family in ["-4", "-6"] {
            if ranges
                .iter()
                .any(|(network, ..)| network.family() == family)
            {
                let rule =
                    format!("not from all fwmark {TABLE} lookup {TABLE} pref {RULE_PREFERENCE}");
                steps.push(Step {
                    make: words(&format!("{family} rule add {rule}")),
                    unmake: words(&format!("{family} rule del {rule}")),
                    ours: Some(words(&format!("{family} rule show pref {RULE_PREFERENCE}"))),
                    there: None,
                });
            }
        }
        if own_traffic_is_protected(state, &ranges) {
            let mut kinds = vec!["ipproto esp".to_owned(), "ipproto ah".to_owned()];
            let ports = ports(state).into_iter();
            kinds.extend(ports.map(|(port, _)| format!("ipproto udp sport {port}")));
            let interfaces = guarded.iter().filter_map(|on| state.net.get(*on));
            for (address, _) in interfaces.flat_map(|interface| &interface.addresses) {
                let kinds = kinds.iter().filter(|_| address.is_ipv4());
                steps.extend(kinds.map(|kind| own_rule(&format!("from {address} {kind}"))));
            }
        }
        for (network, on, _) in &ranges {
            steps.push(own_route(
                network.family(),
                &format!("blackhole {network} metric {BLACKHOLE_METRIC}"),
            ));
            let device = devices.iter().find(|(other, _)| other == on);
            if let (IpAddr::V6(_), Some((_, device))) = (network.0, device) {
                steps.push(source_rule(*network, device));
            }
        }
        for family in ["-4", "-6"] {
            for network in self.unguarded(family, &state.net, devices, &guarded)? {
                if !ranges
                    .iter()
                    .any(|(range, ..)| range.to_string() == network)
                {
                    steps.push(own_route(family, &format!("throw {network}")));
                }
            }
        }
        steps.extend(self.addresses(&state.net, devices, &guarded));
        for route in state.net.routes() {
            let device = devices.iter().find(|(on, _)| *on == route.interface);
            let Some((_, device)) = device else { continue };
            let network = Network(route.destination.0, route.destination.1);
            let via = route
                .next_hop
                .map_or(String::new(), |hop| format!("via {hop} onlink "));
            let what = format!("{network} {via}dev {device} proto {PROTOCOL}");
            steps.push(main_route(&what, network, device));
        }
        for (_, route) in state.net.registered() {
            let network = Network(route.destination.0, route.destination.1);
            let known = ranges.iter().any(|(range, ..)| *range == network);
            if !known && guarded.contains(&route.interface) {
                let route = own_route(network.family(), &format!("{network} dev {tun}"));
                if !steps.contains(&route) {
                    steps.push(route);
                }
            }
        }
        for (network, _, policy) in &ranges {
            let source = policy
                .and_then(|policy| source_within(&policy.selector(), &state.net, devices))
                .map_or(String::new(), |address| format!(" src {address}"));
            steps.push(own_route(
                network.family(),
                &format!("{network} dev {tun}{source}"),
            ));
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
                let family = family(*address);
                let host = Network(*address, if address.is_ipv4() { 32 } else { 128 });
                // Nobody else may have the address of a router, and waiting to find out would
                // keep its first packets from leaving.
                let nodad = if address.is_ipv4() { "" } else { " nodad" };
                let there = Some(words(&format!("-o {family} addr show to {host}")));
                let step = |what: String| Step {
                    make: words(&format!("{family} addr add {what}{nodad}")),
                    unmake: words(&format!("{family} addr del {what}")),
                    ours: None,
                    there: there.clone(),
                };
                if guarded.contains(on) {
                    // What still arrives for a dead router shall not be sent back.
                    steps.push(own_route(
                        family,
                        &format!("blackhole {host} metric {BLACKHOLE_METRIC}"),
                    ));
                    steps.push(step(format!("{host} dev {}", self.tun)));
                    if address.is_ipv6() {
                        // For an address of another device nobody answers neighbours otherwise.
                        steps.push(neighbour_proxy(*address, device));
                    }
                    if *len < host.1 {
                        let network = Network::of(*address, *len);
                        let what = format!("{network} dev {device} src {address} proto {PROTOCOL}");
                        steps.push(main_route(&what, network, device));
                    }
                } else {
                    steps.push(step(format!("{address}/{len} dev {device}")));
                }
            }
        }
        steps
    }

    /// The networks that are reached by devices that IPsec does not guard: the configuration's, which
    /// the kernel need not know yet, and those that it reaches directly.
    fn unguarded(
        &self,
        family: &str,
        net: &Net,
        devices: &[(InterfaceId, String)],
        guarded: &[InterfaceId],
    ) -> Result<Vec<String>, String> {
        let behind = |device: &str| {
            let ours = devices.iter().find(|(_, name)| name == device);
            device == self.tun || ours.is_some_and(|(on, _)| guarded.contains(on))
        };
        // Link-local networks are not routed: the table is not asked for them.
        let scope = if family == "-4" { "scope link" } else { "" };
        let text = ip(&words(&format!(
            "-o {family} route show table main proto kernel {scope}"
        )))?;
        let open = devices.iter().filter(|(on, _)| !guarded.contains(on));
        let open: Vec<InterfaceId> = open.map(|(on, _)| *on).collect();
        let interfaces = open.iter().filter_map(|on| net.get(*on));
        let connected = interfaces.flat_map(|interface| &interface.addresses);
        let routed = net.routes().iter().filter(|r| open.contains(&r.interface));
        let mut networks: Vec<String> = connected
            .chain(routed.map(|route| &route.destination))
            .map(|(address, len)| Network::of(*address, *len))
            .filter(|network| network.family() == family && network.1 > 0)
            .map(|network| network.to_string())
            .collect();
        for line in text.lines() {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let device = fields.iter().skip_while(|word| **word != "dev").nth(1);
            if let (Some(network), Some(device)) = (fields.first(), device)
                && !behind(device)
                && !network.starts_with("fe80:")
            {
                networks.push((*network).to_owned());
            }
        }
        networks.sort_unstable();
        networks.dedup();
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

/// What must pass the SPD, and is therefore routed into the TUN device.
pub(crate) fn protected(state: &State) -> Vec<Network> {
    let ranges = ranges(state, &guarded(state)).into_iter();
    ranges.map(|(network, ..)| network).collect()
}

/// Whether the router has an IPv6 address.
fn has_ipv6(net: &Net) -> bool {
    net.interfaces()
        .flat_map(|(_, interface)| &interface.addresses)
        .any(|(address, _)| address.is_ipv6())
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
fn own_route(family: &str, what: &str) -> Step {
    Step {
        make: words(&format!("{family} route replace {what} table {TABLE}")),
        unmake: words(&format!("{family} route del {what} table {TABLE}")),
        ours: None,
        there: None,
    }
}

/// Whether a protected range of IPv4 holds the address of a peer, or may hold it.
fn own_traffic_is_protected(
    state: &State,
    ranges: &[(Network, InterfaceId, Option<&PolicyConfig>)],
) -> bool {
    let peers = state.ipsec.policies.iter();
    peers
        .filter_map(|policy| policy.peer.as_ref())
        .any(|peer| match peer.address() {
            Some(address) => {
                address.is_ipv4() && ranges.iter().any(|(range, ..)| range.holds(address))
            }
            None => ranges.iter().any(|(range, ..)| range.0.is_ipv4()),
        })
}

/// What the router itself sends, from an address and of a kind, goes by the main table, and so does
/// the question whether an answer may come from where it came.
fn own_rule(what: &str) -> Step {
    let rule = format!("{what} lookup main pref {OWN_PREFERENCE}");
    Step {
        make: words(&format!("-4 rule add {rule}")),
        unmake: words(&format!("-4 rule del {rule}")),
        ours: Some(words(&format!("-4 rule show pref {OWN_PREFERENCE}"))),
        there: None,
    }
}

/// Packets that come from a device and claim an address of the network go no further.
fn source_rule(network: Network, device: &str) -> Step {
    let rule = format!("from {network} iif {device}");
    Step {
        make: words(&format!(
            "-6 rule add {rule} blackhole pref {SOURCE_PREFERENCE}"
        )),
        unmake: words(&format!("-6 rule del {rule} pref {SOURCE_PREFERENCE}")),
        ours: Some(words(&format!(
            "-6 rule show {rule} pref {SOURCE_PREFERENCE}"
        ))),
        there: None,
    }
}

/// The device answers neighbours that look for the address.
fn neighbour_proxy(address: IpAddr, device: &str) -> Step {
    let what = format!("proxy {address} dev {device}");
    Step {
        make: words(&format!("-6 neigh replace {what}")),
        unmake: words(&format!("-6 neigh del {what}")),
        ours: None,
        there: None,
    }
}

/// A route in the main table, if nobody else has it.
fn main_route(what: &str, network: Network, device: &str) -> Step {
    let family = network.family();
    Step {
        make: words(&format!("{family} route add {what}")),
        unmake: words(&format!("{family} route del {what}")),
        ours: Some(words(&format!(
            "{family} route show {network} dev {device} proto {PROTOCOL}"
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
    let path = format!("/proc/sys/net/{name}");
    fs::read_to_string(&path)
        .map(|text| text.trim().to_owned())
        .map_err(|error| format!("{path}: {error}"))
}

fn write_setting(name: &str, value: &str) -> Result<(), String> {
    let path = format!("/proc/sys/net/{name}");
    fs::write(&path, value).map_err(|error| format!("{path}: {error}"))
}
