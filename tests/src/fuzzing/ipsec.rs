//! The data plane: headers, bundle strings, and packets at a device with manual keys.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use hw_offload::{Headroom, PacketBuf};
use ipsec_core::model::{BundleString, Direction, Flow, Protocol, Spi};
use ipsec_core::net::InterfaceId;
use ipsec_core::wire::checksum::checksum;
use ipsec_core::wire::ipv4::{HEADER, Ipv4, NewHeader};
use ipsec_core::wire::ipv6::Ipv6;
use ipsec_core::wire::udp::Udp;
use ipsec_core::wire::{esp, flow_of, icmp};
use ipsec_core::{Instant, Outgoing};
use lab::{Output, Router};

use super::addresses::{A, B, datagram, repair};
use super::input::Input;
use super::router::{Engines, configured, settle, show};

/// Three tunnels with manual keys: a block cipher with a short block, one with a long block and
/// without authentication, and no cipher at all.
const TUNNELS: &str = "
ENABLE IP
ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255
ADD IP INT=vlan1 IP=192.168.10.1 MASK=255.255.255.0
ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0
CREATE ENCO KEY=1 TYPE=DES VALUE=0xF888CAC6C66ECF52
CREATE ENCO KEY=2 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957
CREATE ENCO KEY=3 TYPE=AES VALUE=0x000102030405060708090a0b0c0d0e0f
CREATE ENCO KEY=4 TYPE=GENERAL VALUE=0x000102030405060708090a0b0c0d0e0f
CREATE IPSEC SASPEC=1 KEYMAN=MANUAL PROT=ESP ENCALG=DES ENCKEY=1 HASHALG=SHA HASHKEY=2 INSPI=1001 OUTSPI=2001
CREATE IPSEC SASPEC=2 KEYMAN=MANUAL PROT=ESP ENCALG=AES128 ENCKEY=3 HASHALG=NULL INSPI=1002 OUTSPI=2002
CREATE IPSEC SASPEC=3 KEYMAN=MANUAL PROT=ESP ENCALG=NULL HASHALG=MD5 HASHKEY=4 INSPI=1003 OUTSPI=2003
CREATE IPSEC BUNDLE=1 KEYMAN=MANUAL STRING=1
CREATE IPSEC BUNDLE=2 KEYMAN=MANUAL STRING=2
CREATE IPSEC BUNDLE=3 KEYMAN=MANUAL STRING=3
CREATE IPSEC POLICY=one INT=ppp0 ACTION=IPSEC KEYMAN=MANUAL BUNDLE=1 PEER=2.2.2.2
SET IPSEC POLICY=one LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.20.0 RMA=255.255.255.0
CREATE IPSEC POLICY=two INT=ppp0 ACTION=IPSEC KEYMAN=MANUAL BUNDLE=2 PEER=2.2.2.2 DFBIT=COPY
SET IPSEC POLICY=two LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.30.0 RMA=255.255.255.0
CREATE IPSEC POLICY=three INT=ppp0 ACTION=IPSEC KEYMAN=MANUAL BUNDLE=3 PEER=2.2.2.2 DFBIT=SET
SET IPSEC POLICY=three LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.40.0 RMA=255.255.255.0
CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT
ENABLE IPSEC
";

/// The SAs of [`TUNNELS`]: SPI, length of the IV, length of the ICV, unit of the payload, and the
/// third byte of the LAN behind the peer.
const SAS: [(u32, usize, usize, usize, u8); 3] = [
    (1001, 8, 12, 8, 20),
    (1002, 16, 0, 16, 30),
    (1003, 0, 12, 4, 40),
];

/// Where a packet came from, which decides where it may go.
pub(super) enum From {
    /// The WAN, sealed for the tunnel to the LAN with that third byte.
    Tunnel(u8),
    /// The WAN, sealed for any SA.
    Sealed,
    /// The WAN, anything.
    Wan,
    /// The LAN.
    Lan,
}

/// A sequence of packets at a router with three tunnels under manual keys.
pub fn esp_in(data: &[u8]) {
    let mut input = Input::new(data);
    let mut router = configured(TUNNELS);
    let mut now = Instant::from_secs(1);
    let mut sequence = 0;
    while let Some(event) = input.byte() {
        if packet(&mut router, &mut now, &mut sequence, event, &mut input).is_none() {
            break;
        }
    }
    show(&mut router, now);
}

fn packet(
    router: &mut Router<Engines>,
    now: &mut Instant,
    sequence: &mut u32,
    event: u8,
    input: &mut Input<'_>,
) -> Option<()> {
    let from = match event % 8 {
        // A well-formed packet of an SA, whatever is inside.
        kind @ 0..4 => {
            let sa = SAS[usize::from(input.byte()?) % SAS.len()];
            *sequence = match kind {
                0 | 1 => sequence.wrapping_add(1),
                2 => sequence.wrapping_add(input.number()?.into()),
                _ => sequence.wrapping_sub(input.byte()?.into()),
            };
            let mut inner = input.chunk()?.to_vec();
            if event & 8 == 0 {
                repair(&mut inner);
            }
            let next_header = if event & 16 == 0 { 4 } else { input.byte()? };
            let payload = sealed(sa, *sequence, &inner, next_header);
            router.receive(*now, &datagram(B, A, 50, &payload)?);
            From::Tunnel(sa.4)
        }
        4 => {
            router.receive(*now, &datagram(B, A, 50, input.chunk()?)?);
            From::Sealed
        }
        5 => {
            let mut packet = input.chunk()?.to_vec();
            repair(&mut packet);
            router.receive(*now, &packet);
            From::Wan
        }
        6 => {
            let mut packet = input.chunk()?.to_vec();
            repair(&mut packet);
            router.forward(*now, &packet);
            From::Lan
        }
        _ => {
            *now += Duration::from_secs(60 * u64::from(input.byte()?));
            From::Wan
        }
    };
    held_to_policies(router, *now, &from, 50);
    Some(())
}

/// Lets the router work: what it delivers must be what the policies select for packets from there,
/// and what they protect leaves in nothing but the protocol.
pub(super) fn held_to_policies(
    router: &mut Router<Engines>,
    now: Instant,
    from: &From,
    protocol: u8,
) {
    for output in settle(router, now) {
        match output {
            Output::Wan(packet) => {
                let flow = flow_of(&packet).expect("what leaves is a packet");
                assert!(
                    flow.protocol == protocol && flow.source == A && flow.destination == B
                        || !through_a_tunnel(&flow, Direction::Out),
                    "{flow} leaves in clear"
                );
            }
            Output::Lan(packet) => {
                let flow = flow_of(&packet).expect("what is delivered is a packet");
                let allowed = match *from {
                    From::Tunnel(lan) => is_in(flow.source, lan) && is_in(flow.destination, 10),
                    From::Sealed => through_a_tunnel(&flow, Direction::In),
                    From::Wan => !through_a_tunnel(&flow, Direction::In),
                    // Between LANs, or an error for the sender.
                    From::Lan => true,
                };
                assert!(allowed, "{flow} is delivered");
            }
            Output::Report(_) | Output::Ask(..) => {}
        }
    }
}

/// An ESP payload as the peer would make it, but that nothing is enciphered or authenticated.
pub(super) fn sealed(
    (spi, iv, icv, unit, _): (u32, usize, usize, usize, u8),
    sequence: u32,
    inner: &[u8],
    next_header: u8,
) -> Vec<u8> {
    let mut payload = Spi(spi).to_bytes().to_vec();
    payload.extend_from_slice(&sequence.to_be_bytes());
    payload.resize(payload.len() + iv, 0);
    payload.extend_from_slice(inner);
    let start = payload.len();
    payload.resize(start + esp::pad_len(inner.len(), unit) + esp::TRAILER, 0);
    esp::write_trailer(&mut payload[start..], next_header);
    payload.resize(payload.len() + icv, 0);
    payload
}

/// Whether an address lies in the LAN with that third byte.
pub(super) fn is_in(address: IpAddr, lan: u8) -> bool {
    matches!(address, IpAddr::V4(address) if address.octets()[..3] == [192, 168, lan])
}

/// Whether a policy of [`TUNNELS`] with ACTION=IPSEC selects the packet.
fn through_a_tunnel(flow: &Flow, direction: Direction) -> bool {
    let (local, remote) = flow.addresses(direction);
    is_in(local, 10) && SAS.iter().any(|sa| is_in(remote, sa.4))
}

/// Every view of headers; IPv4 once as it is and once with lengths and checksum made right.
pub fn ip_headers(data: &[u8]) {
    headers(data);
    let mut repaired = data.to_vec();
    repair(&mut repaired);
    headers(&repaired);
    let _ = Udp::parse(data);
    let _ = esp::parse(data);
    if let Some((len, next)) = esp::read_trailer(data) {
        let mut end = vec![0; data.len() - len];
        esp::write_trailer(&mut end, next);
        assert_eq!(end, data[len..]);
    }
}

fn headers(data: &[u8]) {
    let flow = flow_of(data);
    if let Ok(ip) = Ipv6::parse(data) {
        let upper = ip.upper_layer();
        assert_eq!(flow.is_ok(), upper.is_ok());
        if let (Ok(flow), Ok(upper)) = (flow, upper) {
            assert_eq!(flow.source, IpAddr::V6(ip.source()));
            assert_eq!(flow.protocol, upper.protocol);
            assert!(flow.ports.is_none() || upper.first_fragment);
        }
    }
    let Ok(ip) = Ipv4::parse(data) else {
        return;
    };
    let flow = flow.expect("a readable IPv4 header makes a flow");
    assert_eq!(flow.destination, IpAddr::V4(ip.destination()));
    assert_eq!(checksum(&[ip.header()]), 0);
    rewritten(&ip);
    for mtu in [20, 68, 576, 1500] {
        cut(data, mtu);
    }
    too_big(data);
}

/// A header that is written from what was read says the same.
fn rewritten(ip: &Ipv4<'_>) {
    let written = NewHeader {
        tos: ip.tos(),
        total_len: u16::try_from(HEADER + ip.payload().len()).expect("16 bits on the wire"),
        id: ip.id(),
        dont_fragment: ip.dont_fragment(),
        more_fragments: ip.more_fragments(),
        offset_units: u16::try_from(ip.fragment_offset() / 8).expect("13 bits on the wire"),
        ttl: ip.ttl(),
        protocol: ip.protocol(),
        source: ip.source(),
        destination: ip.destination(),
    };
    let packet = [&written.to_bytes(), ip.payload()].concat();
    let again = Ipv4::parse(&packet).expect("a written header is readable");
    assert_eq!(
        flow_of(&packet),
        flow_of(&[ip.header(), ip.payload()].concat())
    );
    assert_eq!((again.ttl(), again.tos()), (ip.ttl(), ip.tos()));
    assert_eq!(again.fragment_offset(), ip.fragment_offset());
    assert_eq!(again.is_fragment(), ip.is_fragment());
    assert_eq!(again.dont_fragment(), ip.dont_fragment());
}

/// The datagrams that a packet is sent as carry its payload, each byte once and in order.
fn cut(data: &[u8], mtu: u16) {
    let ip = Ipv4::parse(data).expect("it was readable before");
    let start = ip.fragment_offset();
    let mut outgoing = Outgoing::new(buffer(data), InterfaceId(0), None, mtu);
    let (mut carried, mut pieces) = (Vec::new(), 0);
    while let Some(piece) = outgoing.next_datagram() {
        pieces += 1;
        let piece = Ipv4::parse(piece).expect("a fragment is readable");
        if pieces > 1 {
            assert_eq!(piece.fragment_offset(), start + carried.len());
        }
        carried.extend_from_slice(piece.payload());
    }
    assert_eq!(carried, ip.payload(), "in {pieces} pieces");
}

/// The answer to a packet that is too big is a sound ICMP error that quotes it.
fn too_big(data: &[u8]) {
    let router = Ipv4Addr::new(10, 0, 0, 1);
    let mut packet = buffer(data);
    if !icmp::fragmentation_needed(&mut packet, router, 1400) {
        assert_eq!(packet.packet(), data, "what is not answered is unchanged");
        return;
    }
    let offender = Ipv4::parse(data).expect("it was readable before");
    let answer = Ipv4::parse(packet.packet()).expect("the answer is readable");
    assert_eq!(
        (answer.source(), answer.destination(), answer.protocol()),
        (router, offender.source(), 1)
    );
    assert_eq!(checksum(&[answer.payload()]), 0);
    assert!(answer.payload()[8..].starts_with(offender.header()));
}

fn buffer(packet: &[u8]) -> impl PacketBuf + use<> {
    let mut buffer = Headroom::with_room(64, packet.len());
    buffer.fill(64, packet).expect("there is room for it");
    buffer
}

/// A bundle string: printed and read again it is the same, however it was typed.
pub fn bundle_string(data: &[u8]) {
    let Ok(text) = core::str::from_utf8(data) else {
        return;
    };
    let bundle = match BundleString::parse(text) {
        Ok(bundle) => bundle,
        Err(fault) => {
            assert!(!fault.to_string().is_empty());
            return;
        }
    };
    assert_eq!(bundle.to_string(), text);
    let plain = |groups: &[Vec<u8>]| {
        let group = |group: &Vec<u8>| {
            let numbers: Vec<String> = group.iter().map(u8::to_string).collect();
            numbers.join(" OR ")
        };
        groups.iter().map(group).collect::<Vec<_>>().join(" AND ")
    };
    let candidates: Vec<String> = bundle.candidates().iter().map(|c| plain(c)).collect();
    let canonical = candidates.join(",");
    // Blanks may be fewer than needed for the canonical form, never so many more.
    if canonical.len() <= BundleString::MAX_LEN {
        let again = BundleString::parse(&canonical).expect("the canonical form is readable");
        assert_eq!(again.candidates(), bundle.candidates());
    }
    let proposals = bundle.proposals().map(|entry| entry.specs.len());
    assert_eq!(proposals.sum::<usize>(), bundle.specs().count());
    for manual in [false, true] {
        let checked = bundle.check(manual, |spec| match spec % 3 {
            0 => None,
            1 => Some(Protocol::Esp),
            _ => Some(Protocol::Ah),
        });
        if checked.is_ok() {
            assert!(bundle.specs().all(|spec| spec % 3 != 0));
            assert!(bundle.candidates().iter().all(|groups| groups.len() <= 2));
            assert!(!manual || bundle.candidates().len() == 1);
        }
    }
}
