//! The one order of all events.

use std::cmp::Ordering;

use trail::time::Micros;
use wire::Order;

/// Where an event stands in the one order of all events, oldest first, whatever segments they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The event's time.
    pub time: Micros,
    /// The number of its file.
    pub file: u64,
    /// The byte in the file.
    pub offset: u64,
}

impl Position {
    /// Compares in the order of a query: `Less` means that `self` comes first.
    pub fn compare(&self, other: &Self, order: Order) -> Ordering {
        let oldest_first = self.cmp(other);
        if order == Order::Newest { oldest_first.reverse() } else { oldest_first }
    }
}
