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
    use crate::flags::Flags;
    use crate::flat::Event;
    use crate::parse::{Origin, Parser, Reject, Sink};

    #[derive(Default)]
    struct Collected {
        events: Vec<(RowPlace, String, Vec<String>)>,
        rejects: Vec<(RowPlace, String)>,
    }

    impl Sink for Collected {
        type Error = std::convert::Infallible;

        fn event(&mut self, event: &mut Event) -> Result<(), Self::Error> {
            let raw = String::from_utf8(event.raw.clone()).unwrap();
            self.events.push((RowPlace::of(event.offset), raw, event.flags.names()));
            Ok(())
        }

        fn reject(&mut self, reject: Reject) -> Result<(), Self::Error> {
            self.rejects.push((RowPlace::of(reject.offset), reject.reason));
            Ok(())
        }
    }

    #[test]
    fn every_record_of_a_cell_has_its_place() {
        let record = |id: &str| format!(r#"{{"eventName":"A","eventID":"{id}"}}"#);
        let (a, b, c) = (record("a"), record("b"), record("c"));
        let cell = RowPlace { row: 7, column: 3, byte: 0 };
        let mut collected = Collected::default();
        let origin = Origin { flags: Flags::TABLE, ..Origin::default() };
        let mut parser = Parser::default();
        let mut rows = parser.table(origin, &mut collected);
        rows.cell(cell, "message", format!(r#"{{"Records":[{a}, {b}]}}"#).as_bytes()).unwrap();
        rows.cell(RowPlace { row: 8, ..cell }, "message", br#"{"eventName":x}"#).unwrap();
        rows.cell(RowPlace { row: 9, ..cell }, "message", b"START RequestId").unwrap();
        rows.cell(RowPlace { row: 10, ..cell }, "message", br#"{"detail":"none"}"#).unwrap();
        rows.record(11, c.as_bytes(), Flags::RECONSTRUCTED).unwrap();
        rows.end().unwrap();
        let flags = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let table: Vec<String> = flags(&["table", "time-from-file"]);
        let events: Vec<_> =
            collected.events.iter().map(|(place, raw, _)| (*place, raw.as_str())).collect();
        assert_eq!(
            events,
            [
                (RowPlace { byte: 12, ..cell }, a.as_str()),
                (RowPlace { byte: 12 + a.len() as u32 + 2, ..cell }, b.as_str()),
                (RowPlace { row: 11, column: 0, byte: 0 }, c.as_str()),
            ]
        );
        assert!(table.iter().all(|flag| collected.events[0].2.contains(flag)));
        assert!(collected.events[2].2.iter().any(|flag| flag == "reconstructed"));
        let rejects: Vec<_> = collected.rejects.iter().map(|(place, _)| *place).collect();
        let bytes = rejects.iter().map(|place| (place.row, place.column, place.byte));
        assert_eq!(bytes.collect::<Vec<_>>(), [(8, 3, 13), (9, 3, 0), (10, 3, 0)]);
        assert!(collected.rejects[0].1.starts_with("row 8, column message, byte 13: "));
    }

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
