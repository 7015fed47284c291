//! Tests on addresses: networks, ranges, and the names that AWS writes for its own services.

use std::net::Ipv6Addr;
use std::ops::{Bound, Range};

use crate::form::SameText;
use crate::phrase::Row;
use crate::value_clauses::ValueTest;
use trail::client::is_aws_host;
use trail::flat::parse_ip;
use trail::network::network;
use trail::words::each_placed_word;

/// Ranges of addresses of one family, bounds included. IPv4 is mapped into IPv6, and a range of IPv6
/// leaves out where it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Addresses(Vec<(Ipv6Addr, Ipv6Addr)>);

/// The first and the last address of IPv4, mapped into IPv6.
const V4_FIRST: u128 = 0xffff << 32;
const V4_LAST: u128 = V4_FIRST | u32::MAX as u128;

impl Addresses {
    /// Parses a network (`10.0.0.0/8`) or one address; None where the text is neither.
    pub(crate) fn of_network(text: &str) -> Option<Self> {
        let (first, last) = network(text)?;
        Some(Self::of_one_family(first.into(), last.into(), is_v4(first) && is_v4(last)))
    }

    /// Parses a network; None where the text is none, or one address.
    pub(crate) fn of_prefix(text: &str) -> Option<Self> {
        text.contains('/').then(|| Self::of_network(text)).flatten()
    }

    /// The addresses between two; None where these are of two families.
    pub(crate) fn between(lower: Bound<Ipv6Addr>, upper: Bound<Ipv6Addr>) -> Option<Self> {
        use Bound::{Excluded, Included, Unbounded};
        let family = |bound: &Bound<Ipv6Addr>| match bound {
            Included(address) | Excluded(address) => Some(is_v4(*address)),
            Unbounded => None,
        };
        let is_v4 = match (family(&lower), family(&upper)) {
            (Some(one), Some(other)) if one != other => return None,
            (one, other) => one.or(other)?,
        };
        let first = match lower {
            Included(address) => Some(address.into()),
            Excluded(address) => u128::from(address).checked_add(1),
            Unbounded => Some(0),
        };
        let last = match upper {
            Included(address) => Some(address.into()),
            Excluded(address) => u128::from(address).checked_sub(1),
            Unbounded => Some(u128::MAX),
        };
        let (Some(first), Some(last)) = (first, last) else { return Some(Self(Vec::new())) };
        Some(Self::of_one_family(first, last, is_v4))
    }

    fn of_one_family(first: u128, last: u128, is_v4: bool) -> Self {
        let families = if is_v4 {
            vec![(V4_FIRST, V4_LAST)]
        } else {
            vec![(0, V4_FIRST - 1), (V4_LAST + 1, u128::MAX)]
        };
        let ranges = families.into_iter().map(|(from, to)| (first.max(from), last.min(to)));
        let ranges = ranges.filter(|(first, last)| first <= last);
        Self(ranges.map(|(first, last)| (first.into(), last.into())).collect())
    }

    /// The ranges, bounds included.
    pub(crate) fn ranges(&self) -> &[(Ipv6Addr, Ipv6Addr)] {
        &self.0
    }

    /// Whether some of these are addresses of IPv4.
    pub(crate) fn are_v4(&self) -> bool {
        self.0.iter().any(|(first, _)| is_v4(*first))
    }

    fn has(&self, address: Ipv6Addr) -> bool {
        self.0.iter().any(|(first, last)| (first..=last).contains(&&address))
    }

    /// The first parts of these addresses, as numbers from and to.
    fn first_parts(&self) -> (u16, u16) {
        let parts =
            self.0.iter().flat_map(|(first, last)| [first.segments()[0], last.segments()[0]]);
        (parts.clone().min().unwrap_or_default(), parts.max().unwrap_or_default())
    }
}

impl ValueTest for Addresses {
    fn is_met_by(&self, value: &str) -> bool {
        parse_ip(value).is_some_and(|address| self.has(address))
    }
}

fn is_v4(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

/// A network, or the text of one: a value is an address in it, or is this text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Network {
    pub(crate) addresses: Addresses,
    pub(crate) text: SameText,
}

impl Network {
    /// None where the text is no network.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let addresses = Addresses::of_prefix(text)?;
        Some(Self { addresses, text: SameText(text.to_owned()) })
    }
}

impl ValueTest for Network {
    fn is_met_by(&self, value: &str) -> bool {
        self.addresses.is_met_by(value) || self.text.is_met_by(value)
    }
}

/// A network somewhere in a value: an address in it, or the words of its text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct NetworkWords {
    pub(crate) addresses: Addresses,
    pub(crate) row: Row,
}

impl NetworkWords {
    /// None where the text is no network.
    pub(crate) fn of(text: &str) -> Option<Self> {
        Some(Self { addresses: Addresses::of_prefix(text)?, row: Row::of(text) })
    }

    /// The places of the addresses in a text. One of IPv4 is a word; one of IPv6 is what stands
    /// between other signs than words have, and colons.
    pub(crate) fn places(&self, text: &str) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if self.addresses.are_v4() {
            each_placed_word(text, &mut String::new(), |word, place| {
                if self.addresses.is_met_by(word) {
                    found.push(place);
                }
            });
            return found;
        }
        let is_part = |c: char| c.is_alphanumeric() || "-_.:".contains(c);
        let mut start = 0;
        for piece in text.split(|c| !is_part(c)) {
            // A colon behind it may be that of the text.
            let shorter = piece.strip_suffix(':').unwrap_or(piece);
            if let Some(address) =
                [piece, shorter].into_iter().find(|piece| self.addresses.is_met_by(piece))
            {
                found.push(start..start + address.len());
            }
            let end = start + piece.len();
            start = end + text[end..].chars().next().map_or(0, char::len_utf8);
        }
        found
    }
}

impl ValueTest for NetworkWords {
    fn is_met_by(&self, value: &str) -> bool {
        self.row.is_met_by(value) || !self.places(value).is_empty()
    }

    fn steps(&self) -> usize {
        64
    }
}

/// The words that an event has of which some value has an address of a network: the address itself,
/// or of IPv6, which is several words, the first.
#[derive(Clone, Debug)]
pub(crate) struct NetworkWord(pub(crate) Addresses);

impl ValueTest for NetworkWord {
    fn is_met_by(&self, word: &str) -> bool {
        if self.0.are_v4() {
            return self.0.is_met_by(word);
        }
        let (first, last) = self.0.first_parts();
        let is_part = |part: u16| (first..=last).contains(&part);
        word.len() <= 4 && u16::from_str_radix(word, 16).is_ok_and(is_part)
    }
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
    fn a_family_does_not_hold_the_other() {
        let holds = |network: &str, address: &str| {
            Addresses::of_network(network).unwrap().is_met_by(address)
        };
        assert!(holds("::/0", "2001:db8::1") && !holds("::/0", "10.0.0.1"));
        assert!(holds("0.0.0.0/0", "10.0.0.1") && !holds("0.0.0.0/0", "2001:db8::1"));
        assert!(holds("::ffff:10.0.0.0/104", "10.0.0.1") && !holds("::/8", "10.0.0.1"));
        let address = |text| parse_ip(text).unwrap();
        let from = |lower, upper| Addresses::between(lower, upper);
        let (v4, v6) = (Bound::Included(address("10.0.0.1")), Bound::Included(address("2001::")));
        assert_eq!(from(v4, v6), None);
        let above = from(v4, Bound::Unbounded).unwrap();
        assert!(above.is_met_by("10.0.0.1") && !above.is_met_by("2001::1"));
        let below = from(Bound::Unbounded, v6).unwrap();
        assert!(below.is_met_by("::1") && !below.is_met_by("10.0.0.1"));
        assert!(
            !from(Bound::Excluded(address("255.255.255.255")), Bound::Unbounded)
                .unwrap()
                .is_met_by("255.255.255.255")
        );
    }

    #[test]
    fn addresses_are_found_within_a_text() {
        let places = |network: &str, text: &str| -> Vec<String> {
            let network = NetworkWords::of(network).unwrap();
            let places = network.places(text).into_iter();
            places.map(|place| text[place].to_owned()).collect()
        };
        let text = "from 10.1.2.3:443, é10.1.2.4 [2001:db8::1] 2001:db8::2: and 10.2.0.0";
        assert_eq!(places("10.1.0.0/16", text), ["10.1.2.3"]);
        assert_eq!(places("2001:db8::/32", text), ["2001:db8::1", "2001:db8::2"]);
        assert!(places("::/16", text).is_empty());
    }
}
