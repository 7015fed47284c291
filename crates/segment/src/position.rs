//! The one order of all events.

use std::cmp::Ordering;

use trail::time::Micros;
use wire::Order;

/// An event's place in the one order of all events, oldest first, across segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The event's time.
    pub time: Micros,
    /// The file's number in the ledger.
    pub file: u64,
    /// Byte offset of the record in the uncompressed file.
    pub offset: u64,
}

impl Position {
    /// Compares in the order of a query: `Less` means that `self` comes first.
    pub fn compare(&self, other: &Self, order: Order) -> Ordering {
        let oldest_first = self.cmp(other);
        if order == Order::Newest { oldest_first.reverse() } else { oldest_first }
    }
}
