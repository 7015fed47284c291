//! Where a record of a table stands: its row, its column, and the byte in that cell; as one number,
//! which takes the place of a byte offset, so that the records of a file keep their order.
//!
//! ```text
//! bit 33 and up   the row, counted from 1 below the header; 0 stands for the table
//! 24 to 32        the column, counted from 1; 0 stands for the row
//! 0 to 23         the byte in the cell
//! ```
//!
//! A table of a million rows stays below 2^53, which every reader of JSON takes exactly.

const BYTE_BITS: u32 = 24;
const COLUMN_BITS: u32 = 9;

/// See the module's documentation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RowPlace {
    /// The row, counted from 1; 0 stands for the table.
    pub row: u64,
    /// The column, counted from 1; 0 stands for the row.
    pub column: u32,
    /// The byte in the cell.
    pub byte: u32,
}

impl RowPlace {
    /// The place of an offset, for an event or a file with [`Flags::TABLE`](crate::flags::Flags::TABLE).
    pub fn of(offset: u64) -> Self {
        let part = |bits: u32, shift: u32| (offset >> shift) as u32 & ((1 << bits) - 1);
        Self {
            row: offset >> (BYTE_BITS + COLUMN_BITS),
            column: part(COLUMN_BITS, BYTE_BITS),
            byte: part(BYTE_BITS, 0),
        }
    }

    /// The place as one number. A column or a byte beyond its bits counts as the last.
    pub fn offset(self) -> u64 {
        let part = |value: u32, bits: u32| u64::from(value.min((1 << bits) - 1));
        self.row << (BYTE_BITS + COLUMN_BITS)
            | part(self.column, COLUMN_BITS) << BYTE_BITS
            | part(self.byte, BYTE_BITS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_in_order_and_within_what_json_can_say() {
        let place = |row, column, byte| RowPlace { row, column, byte };
        let places = [
            place(0, 0, 0),
            place(1, 0, 0),
            place(1, 1, 0),
            place(1, 1, 9),
            place(1, 511, (1 << 24) - 1),
            place(2, 0, 0),
            place(1_000_000, 511, 5),
        ];
        for place in places {
            assert_eq!(RowPlace::of(place.offset()), place);
        }
        assert!(places.is_sorted_by_key(|place| place.offset()));
        assert!(places.iter().all(|place| place.offset() < 1 << 53));
        assert_eq!(place(1, 600, u32::MAX).offset(), place(1, 511, (1 << 24) - 1).offset());
    }
}
