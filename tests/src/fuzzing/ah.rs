//! Packets in AH, and in ESP within AH, at a device with manual keys.

use core::time::Duration;

use ipsec_core::Instant;
use ipsec_core::model::Spi;
use ipsec_core::wire::ah;
use lab::Router;

use super::addresses::{A, B, datagram, repair};
use super::input::Input;
use super::ipsec::{From, held_to_policies, sealed};
use super::router::{Engines, configured, settle, show};

/// Three tunnels with manual keys: AH alone with either hash, and ESP without authentication
/// within AH.
const TUNNELS: &str = "
ENABLE IP
ADD IP INT=ppp0 IP=1.1.1.1 MASK=255.255.255.255
ADD IP INT=vlan1 IP=192.168.10.1 MASK=255.255.255.0
ADD IP ROUTE=0.0.0.0 INT=ppp0 NEXT=0.0.0.0
CREATE ENCO KEY=1 TYPE=GENERAL VALUE=0x431d62cd3cb76fb8101dacaf43aa4dbfb919e957
CREATE ENCO KEY=2 TYPE=AES VALUE=0x000102030405060708090a0b0c0d0e0f
CREATE ENCO KEY=3 TYPE=GENERAL VALUE=0x000102030405060708090a0b0c0d0e0f
CREATE IPSEC SASPEC=1 KEYMAN=MANUAL PROT=AH HASHALG=SHA HASHKEY=1 INSPI=1001 OUTSPI=2001
CREATE IPSEC SASPEC=2 KEYMAN=MANUAL PROT=ESP ENCALG=AES128 ENCKEY=2 HASHALG=NULL INSPI=1002 OUTSPI=2002
CREATE IPSEC SASPEC=3 KEYMAN=MANUAL PROT=AH HASHALG=SHA HASHKEY=1 INSPI=1003 OUTSPI=2003
CREATE IPSEC SASPEC=4 KEYMAN=MANUAL PROT=AH HASHALG=MD5 HASHKEY=3 INSPI=1004 OUTSPI=2004
CREATE IPSEC BUNDLE=1 KEYMAN=MANUAL STRING=1
CREATE IPSEC BUNDLE=2 KEYMAN=MANUAL STRING=\"2 AND 3\"
CREATE IPSEC BUNDLE=3 KEYMAN=MANUAL STRING=4
CREATE IPSEC POLICY=one INT=ppp0 ACTION=IPSEC KEYMAN=MANUAL BUNDLE=1 PEER=2.2.2.2
SET IPSEC POLICY=one LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.20.0 RMA=255.255.255.0
CREATE IPSEC POLICY=two INT=ppp0 ACTION=IPSEC KEYMAN=MANUAL BUNDLE=2 PEER=2.2.2.2 DFBIT=COPY
SET IPSEC POLICY=two LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.30.0 RMA=255.255.255.0
CREATE IPSEC POLICY=three INT=ppp0 ACTION=IPSEC KEYMAN=MANUAL BUNDLE=3 PEER=2.2.2.2 DFBIT=SET
SET IPSEC POLICY=three LAD=192.168.10.0 LMA=255.255.255.0 RAD=192.168.40.0 RMA=255.255.255.0
CREATE IPSEC POLICY=inet INT=ppp0 ACTION=PERMIT
ENABLE IPSEC
";

/// The SPIs of [`TUNNELS`] in AH, and the third byte of the LAN behind the peer.
const SAS: [(u32, u8); 3] = [(1001, 20), (1003, 30), (1004, 40)];

/// The SA within that of SPI 1003, for [`sealed`].
const WITHIN: (u32, usize, usize, usize, u8) = (1002, 16, 0, 16, 30);

/// A sequence of packets at a router with three tunnels under manual keys.
pub fn ah_in(data: &[u8]) {
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
            let (spi, lan) = SAS[usize::from(input.byte()?) % SAS.len()];
            *sequence = match kind {
                0 | 1 => sequence.wrapping_add(1),
                2 => sequence.wrapping_add(input.number()?.into()),
                _ => sequence.wrapping_sub(input.byte()?.into()),
            };
            let mut inner = input.chunk()?.to_vec();
            if event & 8 == 0 {
                repair(&mut inner);
            }
            let next = if event & 16 == 0 { 4 } else { input.byte()? };
            // Without the ESP that must be there it is as if the peer had left a stage out.
            let payload = if lan == WITHIN.4 && event & 32 == 0 {
                authenticated(spi, *sequence, 50, &sealed(WITHIN, *sequence, &inner, next))
            } else {
                authenticated(spi, *sequence, next, &inner)
            };
            router.receive(*now, &datagram(B, A, 51, &payload)?);
            From::Tunnel(lan)
        }
        4 => {
            router.receive(*now, &datagram(B, A, 51, input.chunk()?)?);
            From::Sealed
        }
        // The stage within, without the one around it.
        5 => {
            let payload = sealed(WITHIN, *sequence, input.chunk()?, 4);
            router.receive(*now, &datagram(B, A, 50, &payload)?);
            assert!(
                settle(router, *now).is_empty(),
                "the AH around it is missing"
            );
            return Some(());
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
    held_to_policies(router, *now, &from, 51);
    Some(())
}

/// An AH payload as the peer would make it, but that nothing is authenticated.
fn authenticated(spi: u32, sequence: u32, next: u8, behind: &[u8]) -> Vec<u8> {
    const ICV: usize = 12;
    let header = ah::header(next, ah::HEADER + ICV, Spi(spi), sequence);
    [&header[..], &[0; ICV], behind].concat()
}
