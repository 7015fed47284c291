//! Networks by which an address is looked up: one look for each length that some network has, however many
//! networks there are.

use std::net::Ipv6Addr;

use trail::network::network;
use trail::seeded::SeededMap;

/// Bits of an IPv6 address before an IPv4 address that is mapped into it.
const V4_BITS: u8 = 96;

/// Networks of both families, and what is known of each.
#[derive(Debug)]
pub(crate) struct Networks<T> {
    found: SeededMap<(u128, u8), T>,
    /// The lengths of networks, longest first.
    lengths: Vec<u8>,
}

impl<T> Default for Networks<T> {
    fn default() -> Self {
        Self { found: SeededMap::default(), lengths: Vec::new() }
    }
}

impl<T> Networks<T> {
    /// Adds a network or an address; what was known of it is kept, and given to `add`. None where the text
    /// is neither.
    pub(crate) fn add(&mut self, text: &str, add: impl FnOnce(Option<T>) -> T) -> Option<()> {
        let (first, last) = network(text)?;
        let (first, last) = (u128::from(first), u128::from(last));
        let length = (first ^ last).leading_zeros() as u8;
        if let Err(place) = self.lengths.binary_search_by(|known| length.cmp(known)) {
            self.lengths.insert(place, length);
        }
        let before = self.found.remove(&(first, length));
        self.found.insert((first, length), add(before));
        Some(())
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// What is known of the networks that an address is in, the smallest first.
    pub(crate) fn of(&self, address: Ipv6Addr) -> impl Iterator<Item = &T> {
        let bits = u128::from(address);
        // A network of IPv6 leaves out where IPv4 is.
        let shortest = if address.to_ipv4_mapped().is_some() { V4_BITS } else { 0 };
        let lengths = self.lengths.iter().take_while(move |length| **length >= shortest);
        lengths.filter_map(move |length| {
            let hosts = u128::MAX.checked_shr(u32::from(*length)).unwrap_or(0);
            self.found.get(&(bits & !hosts, *length))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trail::flat::parse_ip;

    #[test]
    fn an_address_is_in_every_network_that_holds_it() {
        let mut networks = Networks::default();
        for text in [
            "10.0.0.0/8",
            "10.1.2.3",
            "10.1.0.0/16",
            "::/0",
            "0.0.0.0/0",
            "2001:db8::/32",
            "10.1.2.9/8",
        ] {
            networks.add(text, |before: Option<String>| {
                before.map_or_else(|| text.to_owned(), |before| format!("{before} {text}"))
            });
        }
        assert_eq!((networks.add("10.0.0.0/33", |_| String::new()), networks.count()), (None, 6));
        let of = |address| -> Vec<&str> {
            networks.of(parse_ip(address).unwrap()).map(String::as_str).collect()
        };
        let eight = "10.0.0.0/8 10.1.2.9/8";
        assert_eq!(of("10.1.2.3"), ["10.1.2.3", "10.1.0.0/16", eight, "0.0.0.0/0"]);
        assert_eq!(of("10.2.0.0"), [eight, "0.0.0.0/0"]);
        assert_eq!(of("192.0.2.1"), ["0.0.0.0/0"]);
        assert_eq!(of("2001:db8::1"), ["2001:db8::/32", "::/0"]);
        assert_eq!(of("::1"), ["::/0"]);
    }
}
