//! Networks of addresses, as people write them.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::flat::parse_ip;

/// The first and last address of a network, or an address twice; IPv4 mapped into IPv6. None where the
/// text is neither.
pub fn network(text: &str) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let (address, length) = text.split_once('/').unwrap_or((text, "128"));
    let ip = parse_ip(address)?;
    let is_v4 = address.parse::<Ipv4Addr>().is_ok();
    let mut length: u32 = length.parse().ok()?;
    if is_v4 && text.contains('/') {
        length = length.checked_add(96)?;
    }
    let host_bits = 128_u32.checked_sub(length)?;
    let hosts = if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 };
    let first = u128::from(ip) & !hosts;
    Some((first.into(), (first | hosts).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_their_first_and_last_address() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = network(text).map(|(first, last)| (first.to_string(), last.to_string()));
            let expected = expected.map(|(first, last)| (first.to_owned(), last.to_owned()));
            assert_eq!(found, expected, "{text}");
        };
        check("10.0.0.0/8", Some(("::ffff:10.0.0.0", "::ffff:10.255.255.255")));
        check("192.0.2.7", Some(("::ffff:192.0.2.7", "::ffff:192.0.2.7")));
        check("0.0.0.0/0", Some(("::ffff:0.0.0.0", "::ffff:255.255.255.255")));
        check("2001:db8::/32", Some(("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")));
        check("::/0", Some(("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
        check("10.0.0.0/33", None);
        check("AWS Internal", None);
    }
}
