//! The headers as AH authenticates them: what changes on the way is zeroed, what changes in a
//! way that the sender can foresee stands as it will arrive (RFC 4302 §3.3.3 and appendix A).

use super::Malformed;
use super::extension::{Chain, DESTINATION_OPTIONS, HOP_BY_HOP, ROUTING};
use super::ipv4::{self, SOURCE_ROUTES, source_route};
use super::ipv6;

/// IPv4 options that no router changes: end of list, no operation, security, extended security,
/// commercial security, router alert, sender directed delivery.
const IMMUTABLE: [u8; 7] = [0, 1, 130, 133, 134, 148, 149];
/// IPv4 options that routers change, which AH leaves out whole: record route, timestamp,
/// traceroute, the experimental and the superseded ones of appendix A1.
const MUTABLE: [u8; 13] = [7, 10, 11, 12, 15, 68, 82, 136, 142, 144, 145, 147, 205];

/// The bit of an IPv6 option's type that says that its data may change on the way.
const CHANGES: u8 = 0x20;
/// The IPv6 option that has no length byte.
const PAD1: u8 = 0;

/// Writes into `out` the headers in front of AH as the ICV covers them. `headers` is the datagram
/// from its first byte to where AH begins, with the lengths and the next header that travel with
/// AH in place; `out` has the same length.
///
/// An IPv4 option that appendix A1 does not list is refused: two ends that treat it differently
/// would never agree. So are a fragment header, since AH covers whole datagrams only, and routing
/// headers of unknown type that are not yet used up. Of Mobile IPv6, the type 2 routing header is
/// foretold; a home address option is covered as it stands.
///
/// # Errors
/// [`Malformed`]; `out` is then half written.
pub fn normalise(headers: &[u8], out: &mut [u8]) -> Result<(), Malformed> {
    if out.len() != headers.len() {
        return Err(Malformed::Length);
    }
    out.copy_from_slice(headers);
    match headers.first().map(|byte| byte >> 4) {
        Some(4) => normalise_v4(out),
        Some(6) => normalise_v6(headers, out),
        Some(_) => Err(Malformed::Version),
        None => Err(Malformed::Short),
    }
}

fn normalise_v4(out: &mut [u8]) -> Result<(), Malformed> {
    let (fixed, mut options) = out
        .split_first_chunk_mut::<{ ipv4::HEADER }>()
        .ok_or(Malformed::Short)?;
    if usize::from(fixed[0] & 0xf) * 4 != ipv4::HEADER + options.len() {
        return Err(Malformed::Length);
    }
    fixed[1] = 0; // type of service
    fixed[6..8].fill(0); // flags, fragment offset
    fixed[8] = 0; // time to live
    fixed[10..12].fill(0); // checksum
    let mut routed = false;
    while let [kind, ..] = *options {
        let len = ipv4::option_len(options)?;
        let (option, rest) = options.split_at_mut_checked(len).ok_or(Malformed::Length)?;
        match kind {
            0 => break, // the rest is padding
            kind if IMMUTABLE.contains(&kind) => {}
            // Left out whole, too, but it foretells the destination.
            kind if SOURCE_ROUTES.contains(&kind) && !routed => {
                routed = true;
                if let Some(last) = source_route(option)? {
                    fixed[16..20].copy_from_slice(&last);
                }
                option.fill(0);
            }
            kind if MUTABLE.contains(&kind) => option.fill(0),
            _ => return Err(Malformed::Uncovered),
        }
        options = rest;
    }
    Ok(())
}

fn normalise_v6(headers: &[u8], out: &mut [u8]) -> Result<(), Malformed> {
    let mut chain = Chain::new(headers)?;
    let (fixed, extensions) = out
        .split_first_chunk_mut::<{ ipv6::HEADER }>()
        .ok_or(Malformed::Short)?;
    fixed[0..4].copy_from_slice(&[0x60, 0, 0, 0]); // traffic class, flow label
    fixed[7] = 0; // hop limit
    while let Some(extension) = chain.step()? {
        let start = extension.at - ipv6::HEADER;
        let header = extensions.get_mut(start..start + extension.len);
        let header = header.ok_or(Malformed::Length)?;
        match extension.kind {
            HOP_BY_HOP | DESTINATION_OPTIONS => zero_changing(header)?,
            ROUTING => foresee(fixed, header)?,
            _ => return Err(Malformed::Uncovered),
        }
    }
    if chain.place().at == headers.len() {
        Ok(())
    } else {
        Err(Malformed::Length)
    }
}

/// Zeroes the data of options that may change on the way; their types and lengths stay.
fn zero_changing(header: &mut [u8]) -> Result<(), Malformed> {
    let mut options = header.get_mut(2..).ok_or(Malformed::Short)?;
    while let [kind, rest @ ..] = options {
        if *kind == PAD1 {
            options = rest;
            continue;
        }
        let (len, rest) = rest.split_first_mut().ok_or(Malformed::Length)?;
        let (data, rest) = rest
            .split_at_mut_checked(usize::from(*len))
            .ok_or(Malformed::Length)?;
        if *kind & CHANGES != 0 {
            data.fill(0);
        }
        options = rest;
    }
    Ok(())
}

/// Puts a routing header and the destination into the state of arrival: every hop that is left
/// swaps the destination with its entry (RFC 2460 §4.4 for type 0, RFC 6275 §6.4 for type 2).
fn foresee(fixed: &mut [u8; ipv6::HEADER], header: &mut [u8]) -> Result<(), Malformed> {
    let (start, addresses) = header
        .split_first_chunk_mut::<8>()
        .ok_or(Malformed::Short)?;
    let (kind, left) = (start[2], usize::from(start[3]));
    if left == 0 {
        return Ok(());
    }
    let (hops, odd) = addresses.as_chunks_mut::<16>();
    let known = kind == 0 || (kind == 2 && hops.len() == 1);
    if !known || !odd.is_empty() {
        return Err(Malformed::Uncovered);
    }
    let first = hops.len().checked_sub(left).ok_or(Malformed::Length)?;
    let mut destination = [0; 16];
    destination.copy_from_slice(&fixed[24..40]);
    for hop in hops.iter_mut().skip(first) {
        core::mem::swap(hop, &mut destination);
    }
    fixed[24..40].copy_from_slice(&destination);
    start[3] = 0;
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    fn view(headers: &[u8]) -> Result<Vec<u8>, Malformed> {
        let mut out = vec![0xee; headers.len()];
        normalise(headers, &mut out).map(|()| out)
    }

    /// A header from 10.0.0.1 to 10.0.0.2 with protocol AH; the checksum is not read.
    fn v4(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![
            0x45, 0xb8, 0x00, 0x54, 0x4b, 0x7f, 0x60, 0x05, 0x3f, 51, 0xfa, 0xc7, 10, 0, 0, 1, 10,
            0, 0, 2,
        ];
        bytes[0] += u8::try_from(options.len() / 4).unwrap();
        bytes.extend(options);
        bytes
    }

    fn v4_view(options: &[u8], destination: [u8; 4]) -> Vec<u8> {
        let mut bytes = vec![
            0x45, 0, 0x00, 0x54, 0x4b, 0x7f, 0, 0, 0, 51, 0, 0, 10, 0, 0, 1,
        ];
        bytes[0] += u8::try_from(options.len() / 4).unwrap();
        bytes.extend(destination);
        bytes.extend(options);
        bytes
    }

    const HERE: [u8; 4] = [10, 0, 0, 2];

    #[test]
    fn ipv4_fields_that_change_are_zeroed() {
        assert_eq!(view(&v4(&[])), Ok(v4_view(&[], HERE)));
    }

    #[test]
    fn ipv4_options_that_do_not_change_are_covered() {
        for kind in [130, 133, 134, 148, 149] {
            let options = [1, kind, 4, 0xab, 0xcd, 0, 0x77, 0x78];
            assert_eq!(view(&v4(&options)), Ok(v4_view(&options, HERE)));
        }
    }

    #[test]
    fn ipv4_options_that_change_are_zeroed_whole() {
        for kind in MUTABLE {
            let options = [1, kind, 6, 4, 9, 9, 9, 148, 4, 5, 6, 1];
            let expected = [1, 0, 0, 0, 0, 0, 0, 148, 4, 5, 6, 1];
            assert_eq!(view(&v4(&options)), Ok(v4_view(&expected, HERE)));
        }
    }

    #[test]
    fn a_source_route_foretells_the_destination() {
        for kind in SOURCE_ROUTES {
            let mut options = [kind, 11, 4, 1, 1, 1, 1, 2, 2, 2, 2, 0];
            assert_eq!(view(&v4(&options)), Ok(v4_view(&[0; 12], [2, 2, 2, 2])));
            options[2] = 8; // the first entry is used up
            assert_eq!(view(&v4(&options)), Ok(v4_view(&[0; 12], [2, 2, 2, 2])));
            options[2] = 12; // arrived
            assert_eq!(view(&v4(&options)), Ok(v4_view(&[0; 12], HERE)));
            let twice = [kind, 3, 4, kind, 3, 4, 0, 0];
            assert_eq!(view(&v4(&twice)), Err(Malformed::Uncovered));
        }
    }

    #[test]
    fn threat_d7_unlisted_ipv4_options_and_overruns_are_refused() {
        assert_eq!(view(&v4(&[0x99, 4, 0, 0])), Err(Malformed::Uncovered));
        assert_eq!(view(&v4(&[7, 5, 0, 0])), Err(Malformed::Length));
        assert_eq!(view(&v4(&[7, 1, 0, 0])), Err(Malformed::Length));
        assert_eq!(view(&v4(&[1, 1, 1, 7])), Err(Malformed::Length));
        assert_eq!(view(&v4(&[131, 4, 4, 0])), Err(Malformed::Length));
        let mut long = v4(&[]);
        long.push(0);
        assert_eq!(view(&long), Err(Malformed::Length));
        assert_eq!(normalise(&v4(&[]), &mut [0; 19]), Err(Malformed::Length));
        assert_eq!(view(&[]), Err(Malformed::Short));
        assert_eq!(view(&[0x51; 40]), Err(Malformed::Version));
    }

    /// A header from ...:1 to ...:2 with everything set that changes on the way.
    fn v6(next: u8, extensions: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x6b, 0xc1, 0x23, 0x45, 0x00, 0x60, next, 0x40];
        bytes.extend(address(1));
        bytes.extend(address(2));
        bytes.extend(extensions);
        bytes
    }

    fn v6_view(next: u8, destination: u8, extensions: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x60, 0, 0, 0, 0x00, 0x60, next, 0];
        bytes.extend(address(1));
        bytes.extend(address(destination));
        bytes.extend(extensions);
        bytes
    }

    fn address(last: u8) -> [u8; 16] {
        [
            0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last,
        ]
    }

    #[test]
    fn ipv6_fields_that_change_are_zeroed() {
        assert_eq!(view(&v6(51, &[])), Ok(v6_view(51, 2, &[])));
    }

    #[test]
    fn ipv6_options_that_may_change_lose_their_data() {
        for kind in [HOP_BY_HOP, DESTINATION_OPTIONS] {
            // Pad1, an option that may change, one that may not, PadN.
            let options = [51, 1, 0, 0x3e, 3, 7, 7, 7, 0x05, 2, 8, 9, 1, 2, 0, 0];
            let expected = [51, 1, 0, 0x3e, 3, 0, 0, 0, 0x05, 2, 8, 9, 1, 2, 0, 0];
            let expected = v6_view(kind, 2, &expected);
            assert_eq!(view(&v6(kind, &options)), Ok(expected));
        }
        for overrun in [[51, 0, 0x3e, 5, 0, 0, 0, 0], [51, 0, 1, 3, 0, 0, 0, 0x3e]] {
            assert_eq!(view(&v6(0, &overrun)), Err(Malformed::Length));
        }
    }

    #[test]
    fn a_routing_header_stands_as_it_will_arrive() {
        let routing = |kind, left, hops: &[u8]| {
            let units = u8::try_from(hops.len() * 2).unwrap();
            let mut bytes = vec![51, units, kind, left, 0, 0, 0, 0];
            bytes.extend(hops.iter().flat_map(|last| address(*last)));
            bytes
        };
        let check = |before: &[u8], destination, after: &[u8]| {
            assert_eq!(
                view(&v6(43, before)),
                Ok(v6_view(43, destination, after)),
                "{before:?}"
            );
        };
        check(&routing(0, 3, &[3, 4, 5]), 5, &routing(0, 0, &[2, 3, 4]));
        check(&routing(0, 1, &[8, 9, 5]), 5, &routing(0, 0, &[8, 9, 2]));
        check(&routing(0, 0, &[8, 9]), 2, &routing(0, 0, &[8, 9]));
        check(&routing(2, 1, &[7]), 7, &routing(2, 0, &[2]));
        check(&routing(99, 0, &[7]), 2, &routing(99, 0, &[7]));
        let refused = |bytes: &[u8], why| assert_eq!(view(&v6(43, bytes)), Err(why));
        refused(&routing(0, 2, &[3]), Malformed::Length);
        refused(&routing(2, 1, &[7, 8]), Malformed::Uncovered);
        refused(&routing(99, 1, &[7]), Malformed::Uncovered);
        refused(
            &[51, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            Malformed::Uncovered,
        );
    }

    #[test]
    fn ipv6_headers_that_ah_cannot_cover_are_refused() {
        let fragment = v6(44, &[51, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(view(&fragment), Err(Malformed::Uncovered));
        assert_eq!(view(&v6(51, &[0; 8])), Err(Malformed::Length));
        assert_eq!(view(&v6(60, &[])), Err(Malformed::Short));
    }
}
