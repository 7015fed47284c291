//! The networks of addresses, as keys of groups: of one segment, by the numbers of its values.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::values::{Local, Values};
use language::ast::Net;
use segment::IndexError;
use trail::cell::Cell;
use trail::seeded::SeededMap;

/// The part of the networks among a field's values, which has no column.
const PART: u32 = u32::MAX;

/// Finds the network of each value, and numbers the networks.
pub(crate) struct Nets {
    net: Net,
    known: SeededMap<Local, Local>,
    numbers: SeededMap<Cell, u64>,
    cells: Vec<Cell>,
}

impl Nets {
    pub(crate) fn new(net: Net) -> Self {
        Self { net, known: SeededMap::default(), numbers: SeededMap::default(), cells: Vec::new() }
    }

    /// Puts their networks in place of an event's values, each once.
    pub(crate) fn replace(
        &mut self,
        locals: &mut Vec<Local>,
        values: &Values,
    ) -> Result<(), IndexError> {
        for local in locals.iter_mut() {
            if let Some(known) = self.known.get(local) {
                *local = *known;
                continue;
            }
            let cell = of_cell(values.cell(*local)?, self.net);
            let cells = &mut self.cells;
            let bits = *self.numbers.entry(cell).or_insert_with_key(|cell| {
                cells.push(cell.clone());
                cells.len() as u64 - 1
            });
            let network = Local { part: PART, bits };
            self.known.insert(*local, network);
            *local = network;
        }
        locals.sort_unstable();
        locals.dedup();
        Ok(())
    }

    pub(crate) fn cells(&self, locals: &[Local]) -> Vec<Cell> {
        locals.iter().map(|local| self.cells[local.bits as usize].clone()).collect()
    }

    /// Forgets what was found, since values are numbered anew.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.numbers.clear();
        self.cells.clear();
    }
}

/// The network of an address; what is none stays as it is.
fn of_cell(cell: Cell, net: Net) -> Cell {
    let address = match &cell {
        Cell::Text(text) => text.parse::<IpAddr>().ok(),
        _ => None,
    };
    let bits = |length: u8, of: u32| of - u32::from(length).min(of);
    match address.map(|address| address.to_canonical()) {
        Some(IpAddr::V4(address)) => {
            let mask = u32::MAX.checked_shl(bits(net.v4, 32)).unwrap_or(0);
            Cell::text(&format!("{}/{}", Ipv4Addr::from(u32::from(address) & mask), net.v4))
        }
        Some(IpAddr::V6(address)) => {
            let mask = u128::MAX.checked_shl(bits(net.v6, 128)).unwrap_or(0);
            Cell::text(&format!("{}/{}", Ipv6Addr::from(u128::from(address) & mask), net.v6))
        }
        None => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_in_its_network_and_what_is_none_stays() {
        let check = |text: &str, v4, v6, expected: &str| {
            let net = Net::new(v4, v6).unwrap();
            assert_eq!(of_cell(Cell::text(text), net), Cell::text(expected), "{text}");
        };
        check("3.238.12.77", 24, 64, "3.238.12.0/24");
        check("3.238.12.77", 32, 64, "3.238.12.77/32");
        check("3.238.12.77", 20, 64, "3.238.0.0/20");
        check("3.238.12.77", 0, 64, "0.0.0.0/0");
        check("::ffff:3.238.12.77", 8, 64, "3.0.0.0/8");
        check("2001:db8:1:2:3::4", 24, 64, "2001:db8:1:2::/64");
        check("2001:db8:1:2:3::4", 24, 128, "2001:db8:1:2:3::4/128");
        check("2001:db8:1:2:3::4", 24, 0, "::/0");
        check("s3.amazonaws.com", 24, 64, "s3.amazonaws.com");
        assert_eq!(of_cell(Cell::Int(5), Net { v4: 8, v6: 64 }), Cell::Int(5));
    }
}
