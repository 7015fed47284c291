//! Tests on addresses: networks, ranges, and the names that AWS writes for its own services.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::{Bound, RangeBounds as _};

use crate::value_clauses::ValueTest;
use trail::client::is_aws_host;
use trail::flat::parse_ip;

/// A range of addresses, bounds included. IPv4 is mapped into IPv6.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Addresses {
    pub(crate) lower: Bound<Ipv6Addr>,
    pub(crate) upper: Bound<Ipv6Addr>,
}

impl Addresses {
    /// Parses a network (`10.0.0.0/8`) or one address; None where the text is neither.
    pub(crate) fn of_network(text: &str) -> Option<Self> {
        let (first, last) = network(text)?;
        Some(Self { lower: Bound::Included(first), upper: Bound::Included(last) })
    }
}

impl ValueTest for Addresses {
    fn is_met_by(&self, value: &str) -> bool {
        parse_ip(value).is_some_and(|address| (self.lower, self.upper).contains(&address))
    }
}

/// The first and last address of a network, or an address twice; IPv4 mapped into IPv6.
fn network(text: &str) -> Option<(Ipv6Addr, Ipv6Addr)> {
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

/// The test for values that name an AWS service in place of an address.
#[derive(Clone, Debug)]
pub(crate) struct AwsSource;

impl ValueTest for AwsSource {
    fn is_met_by(&self, value: &str) -> bool {
        value.starts_with("AWS Internal") || is_aws_host(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_of_all_partitions_stand_in_place_of_addresses() {
        for value in ["AWS Internal", "ec2.amazonaws.com", "ec2.amazonaws.com.cn", "s3.c2s.ic.gov"]
        {
            assert!(AwsSource.is_met_by(value), "{value}");
        }
        assert!(!AwsSource.is_met_by("203.0.113.7") && !AwsSource.is_met_by("ec2.example.com"));
    }

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
