//! Users of extended authentication, judged by RADIUS servers (RFC 2865).
//!
//! The packets are made and read by the `radius` crate; Message-Authenticator (RFC 3579 §3.2), which
//! it leaves to its user, is made and demanded here: an answer without it can be forged
//! (CVE-2024-3596).

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use hw_offload::{Hash, Primitives as _, SoftPrimitives, ct_eq};
use isakmp_core::device::RadiusServer;
use isakmp_core::xauth::{XauthAnswer, XauthProof, XauthStep};
use radius::core::code::Code;
use radius::core::packet::Packet;
use radius::core::{rfc2865, rfc2869, rfc3162};

/// How long an answer is waited for before the question is asked again.
const TIMEOUT: Duration = Duration::from_secs(3);
/// How often one server is asked before the next one is.
const TRIES: u32 = 3;
/// The longest value of an attribute.
const LONGEST: usize = 253;
/// NAS-Port-Type "virtual".
const VIRTUAL: u32 = 5;
/// Message-Authenticator.
const AUTHENTICATOR: u8 = 80;

/// What the servers say of a user, in their order; a reject with the reason where none says
/// anything.
pub(crate) fn judge(servers: &[RadiusServer], step: &XauthStep) -> (XauthAnswer, Option<String>) {
    let mut why = String::from("there is no RADIUS server; ADD RADIUS SERVER");
    for server in servers {
        match ask(server, step) {
            Ok(answer) => return (answer, None),
            Err(error) => why = format!("the RADIUS server {}: {error}", server.address),
        }
    }
    (XauthAnswer::Reject, Some(why))
}

/// Asks one server until it answers.
fn ask(server: &RadiusServer, step: &XauthStep) -> io::Result<XauthAnswer> {
    let any: SocketAddr = match server.address {
        IpAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        IpAddr::V6(_) => ([0_u16; 8], 0).into(),
    };
    // A socket of its own takes packets from that server alone, and its port is a secret more.
    let socket = UdpSocket::bind(any)?;
    socket.connect((server.address, server.port))?;
    let secret = server.secret.expose();
    let request = request(secret, socket.local_addr()?.ip(), step).map_err(io::Error::other)?;
    let mut buffer = [0; 4096];
    for _ in 0..TRIES {
        // A refusal of the datagram is no more than silence: the server may be about to start.
        let _ = socket.send(&request);
        let end = Instant::now() + TIMEOUT;
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            socket.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
            let Ok(length) = socket.recv(&mut buffer) else {
                continue;
            };
            let answer = buffer.get(..length).unwrap_or(&[]);
            if let Some(answer) = read(secret, &request, answer) {
                return Ok(answer);
            }
        }
    }
    Err(io::Error::new(io::ErrorKind::TimedOut, "no answer"))
}

/// An Access-Request. Message-Authenticator stands first.
fn request(secret: &[u8], own: IpAddr, step: &XauthStep) -> Result<Vec<u8>, String> {
    let user = std::str::from_utf8(&step.user).map_err(|_| "the user name is no text")?;
    if user.is_empty() || user.len() > LONGEST {
        return Err("the user name is empty or too long".into());
    }
    let mut packet = Packet::new(Code::AccessRequest, secret);
    rfc2869::add_message_authenticator(&mut packet, &[0; 16]);
    rfc2865::add_user_name(&mut packet, user);
    match &step.proof {
        XauthProof::Password(password) => {
            rfc2865::add_user_password(&mut packet, password.expose())
                .map_err(|error| error.to_string())?;
        }
        XauthProof::Chap {
            id,
            digest,
            challenge,
        } => {
            rfc2865::add_chap_password(&mut packet, &[&[*id], &digest[..]].concat());
            rfc2865::add_chap_challenge(&mut packet, challenge);
        }
    }
    match own {
        IpAddr::V4(own) => rfc2865::add_nas_ip_address(&mut packet, &own),
        IpAddr::V6(own) => rfc3162::add_nas_ipv6_address(&mut packet, &own),
    }
    rfc2865::add_nas_port_type(&mut packet, VIRTUAL);
    rfc2865::add_calling_station_id(&mut packet, &step.peer.to_string());
    if let Some(state) = &step.state {
        rfc2865::add_state(&mut packet, state);
    }
    let mut bytes = packet.encode().map_err(|error| error.to_string())?;
    let own = SoftPrimitives.hmac(Hash::Md5, secret, &[&bytes]);
    // Behind the header of 20 bytes, type and length.
    let place = bytes.get_mut(22..38).ok_or("no room")?;
    place.copy_from_slice(own.as_bytes());
    Ok(bytes)
}

/// An answer that only a holder of the secret can have made to that request.
fn read(secret: &[u8], request: &[u8], bytes: &[u8]) -> Option<XauthAnswer> {
    let length = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    // What is behind the packet is padding.
    let bytes = bytes.get(..length.into())?;
    if bytes.get(1) != request.get(1) || !Packet::is_authentic_response(bytes, request, secret) {
        return None;
    }
    let packet = Packet::decode(bytes, secret).ok()?;
    let theirs = rfc2869::lookup_message_authenticator(&packet)?;
    let mut unsigned = bytes.to_vec();
    unsigned
        .get_mut(4..20)?
        .copy_from_slice(request.get(4..20)?);
    let place = place_of(bytes, AUTHENTICATOR).filter(|_| theirs.len() == 16)?;
    unsigned.get_mut(place..place + 16)?.fill(0);
    let own = SoftPrimitives.hmac(Hash::Md5, secret, &[&unsigned]);
    if !ct_eq(own.as_bytes(), &theirs) {
        return None;
    }
    match packet.get_code() {
        Code::AccessAccept => Some(XauthAnswer::Accept),
        Code::AccessReject => Some(XauthAnswer::Reject),
        Code::AccessChallenge => Some(XauthAnswer::Challenge {
            message: rfc2865::lookup_all_reply_message(&packet)
                .unwrap_or_default()
                .concat()
                .into_bytes(),
            state: rfc2865::lookup_state(&packet).unwrap_or_default(),
        }),
        _ => None,
    }
}

/// Where the value of an attribute begins.
fn place_of(packet: &[u8], kind: u8) -> Option<usize> {
    let mut place = 20;
    loop {
        let [found, length] = *packet.get(place..place + 2)?.first_chunk::<2>()?;
        if found == kind {
            return Some(place + 2);
        }
        place += usize::from(length).max(2);
    }
}

#[cfg(test)]
mod tests {
    use hw_offload::Secret;
    use ipsec_core::model::Name;

    use super::*;

    const SECRET: &[u8] = b"xyzzy5461";

    fn step(proof: XauthProof) -> XauthStep {
        XauthStep {
            peer: IpAddr::from([1, 1, 1, 1]),
            policy: Name::new("i"),
            user: b"nemo".to_vec(),
            proof,
            state: Some(b"before".to_vec()),
        }
    }

    fn password() -> XauthStep {
        step(XauthProof::Password(Secret::copy_of(b"arctangent")))
    }

    /// An answer as a server makes it.
    fn answer(request: &[u8], code: Code, authenticator: bool) -> Vec<u8> {
        let asked = Packet::decode(request, SECRET).expect("a request");
        let mut packet = asked.make_response_packet(code);
        if authenticator {
            rfc2869::add_message_authenticator(&mut packet, &[0; 16]);
        }
        rfc2865::add_state(&mut packet, b"later");
        rfc2865::add_reply_message(&mut packet, "and now?");
        let mut bytes = packet.encode().expect("a packet");
        if authenticator {
            bytes[4..20].copy_from_slice(&request[4..20]);
            let own = SoftPrimitives.hmac(Hash::Md5, SECRET, &[&bytes]);
            bytes[22..38].copy_from_slice(own.as_bytes());
        }
        sign(request, &mut bytes);
        bytes
    }

    /// The response authenticator (RFC 2865 §3).
    fn sign(request: &[u8], bytes: &mut [u8]) {
        let parts = [&bytes[..4], &request[4..20], &bytes[20..], SECRET];
        let own = SoftPrimitives.hash(Hash::Md5, &parts);
        bytes[4..20].copy_from_slice(own.as_bytes());
    }

    fn asked() -> Vec<u8> {
        request(SECRET, IpAddr::from([2, 2, 2, 2]), &password()).expect("a request")
    }

    #[test]
    fn a_request_says_who_and_hides_the_password() {
        let bytes = asked();
        assert!(!bytes.windows(10).any(|part| part == b"arctangent"));
        let packet = Packet::decode(&bytes, SECRET).expect("a packet");
        assert_eq!(packet.get_code(), Code::AccessRequest);
        let user = rfc2865::lookup_user_name(&packet).expect("a user");
        assert_eq!(user.as_deref().ok(), Some("nemo"));
        let hidden = rfc2865::lookup_user_password(&packet).expect("a password");
        assert_eq!(hidden.ok().as_deref(), Some(&b"arctangent"[..]));
        assert_eq!(
            rfc2865::lookup_state(&packet).as_deref(),
            Some(&b"before"[..])
        );
        // Message-Authenticator is the first attribute, and right.
        assert_eq!(bytes[20..22], [AUTHENTICATOR, 18]);
        let mut unsigned = bytes.clone();
        unsigned[22..38].fill(0);
        let own = SoftPrimitives.hmac(Hash::Md5, SECRET, &[&unsigned]);
        assert_eq!(own.as_bytes(), &bytes[22..38]);
    }

    #[test]
    fn a_digest_goes_on_with_its_challenge() {
        let proof = XauthProof::Chap {
            id: 7,
            digest: [1; 16],
            challenge: [2; 16],
        };
        let bytes = request(SECRET, IpAddr::from([2, 2, 2, 2]), &step(proof)).expect("a request");
        let packet = Packet::decode(&bytes, SECRET).expect("a packet");
        let chap = rfc2865::lookup_chap_password(&packet).expect("a digest");
        assert_eq!((chap[0], &chap[1..]), (7, &[1; 16][..]));
        assert_eq!(rfc2865::lookup_chap_challenge(&packet), Some(vec![2; 16]));
        assert!(rfc2865::lookup_user_password(&packet).is_none());
    }

    #[test]
    fn the_three_answers() {
        let request = asked();
        for (code, expected) in [
            (Code::AccessAccept, Some(XauthAnswer::Accept)),
            (Code::AccessReject, Some(XauthAnswer::Reject)),
            (
                Code::AccessChallenge,
                Some(XauthAnswer::Challenge {
                    message: b"and now?".to_vec(),
                    state: b"later".to_vec(),
                }),
            ),
            (Code::AccountingResponse, None),
        ] {
            let bytes = answer(&request, code, true);
            assert_eq!(read(SECRET, &request, &bytes), expected, "{code:?}");
            // Padding behind it does not matter.
            assert_eq!(
                read(SECRET, &request, &[&bytes[..], &[0; 9]].concat()),
                expected
            );
            assert_eq!(read(b"another", &request, &bytes), None);
            assert_eq!(read(SECRET, &asked(), &bytes), None, "to another request");
        }
        let bare = answer(&request, Code::AccessAccept, false);
        assert_eq!(read(SECRET, &request, &bare), None, "CVE-2024-3596");
    }

    #[test]
    fn threat_a11_no_changed_byte_and_no_cut_is_believed() {
        let request = asked();
        let good = answer(&request, Code::AccessAccept, true);
        for place in 0..good.len() {
            let mut bytes = good.clone();
            bytes[place] ^= 1;
            assert_eq!(read(SECRET, &request, &bytes), None, "{place}");
            assert_eq!(read(SECRET, &request, &good[..place]), None, "{place}");
            // Even with a right response authenticator the other one speaks against it.
            if place >= 20 {
                sign(&request, &mut bytes);
                assert_eq!(read(SECRET, &request, &bytes), None, "{place}");
            }
        }
        // An attribute of length 0 (CVE-2026-35333).
        let mut bytes = good.clone();
        bytes[39] = 0;
        sign(&request, &mut bytes);
        assert_eq!(read(SECRET, &request, &bytes), None);
    }

    /// A server that is silent, one that answers the second question, and the order.
    #[test]
    fn the_next_server_is_asked_when_one_is_silent() {
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let slow = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let server = |socket: &UdpSocket| RadiusServer {
            address: IpAddr::from([127, 0, 0, 1]),
            port: socket.local_addr().expect("an address").port(),
            secret: Secret::copy_of(SECRET),
        };
        let servers = [server(&silent), server(&slow)];
        let work = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            let mut seen = Vec::new();
            for code in [Code::Reserved, Code::AccessAccept] {
                let (length, from) = slow.recv_from(&mut buffer).expect("a request");
                seen.push(buffer[..length].to_vec());
                if code == Code::AccessAccept {
                    let bytes = answer(&buffer[..length], code, true);
                    slow.send_to(&bytes, from).expect("sent");
                }
            }
            seen
        });
        let (verdict, trouble) = judge(&servers, &password());
        assert_eq!((verdict, trouble), (XauthAnswer::Accept, None));
        let seen = work.join().expect("a server");
        assert_eq!(seen[0], seen[1], "a retransmission is the same packet");
        silent.set_nonblocking(true).expect("a socket");
        let questions = std::iter::repeat_with(|| silent.recv(&mut [0; 4096]));
        assert_eq!(questions.take_while(Result::is_ok).count(), 3);
        let (verdict, trouble) = judge(&[], &password());
        assert_eq!(verdict, XauthAnswer::Reject);
        assert!(trouble.is_some_and(|text| text.contains("ADD RADIUS SERVER")));
    }
}
