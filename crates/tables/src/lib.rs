//! Tables of CloudTrail events to records: CloudTrail Lake's and Athena's results, CloudWatch Logs
//! Insights, the console's Event history, as CSV and as Parquet.
//!
//! A row becomes one record. Where a column holds whole records as JSON, the record is that text, byte
//! for byte. Where the columns are the fields of records, the record is put together of them: `fields`
//! knows how CloudTrail spells their names, `texts` takes structs apart that were printed as text.
//!
//! The crate opens no file and starts no thread. Start at [`Kind::of`], then [`read_csv`] or
//! [`read_parquet`]. Neither fails for what a file holds: a bad row is a reject, and what damages the
//! rest of a file is the last one. Nothing that a file says of itself is trusted; the bounds are in
//! `limits`.

#![warn(missing_docs, unreachable_pub)]

mod csv;
mod fields;
mod json;
mod limits;
mod parquet;
mod shape;
mod texts;

use std::fs::File;
use std::sync::Arc;

pub use self::limits::{COLUMNS_MAX, ROW_BYTES_MAX};

/// The formats of tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text with commas, semicolons or tabs between the cells, perhaps compressed.
    Csv,
    /// Apache Parquet.
    Parquet,
}

/// What a Parquet file begins and ends with.
const PARQUET_MAGIC: &[u8] = b"PAR1";

/// Endings of the names of text tables, and what may stand behind them.
const TEXT_ENDINGS: [&str; 2] = [".csv", ".tsv"];
const COMPRESSED: [&str; 5] = ["", ".gz", ".gzip", ".zst", ".zstd"];

impl Kind {
    /// What a file with this name and beginning is; None if it is no table.
    pub fn of(name: &str, beginning: &[u8]) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        if beginning.starts_with(PARQUET_MAGIC) || name.ends_with(".parquet") {
            return Some(Self::Parquet);
        }
        let mut endings = COMPRESSED
            .iter()
            .flat_map(|packed| TEXT_ENDINGS.map(|ending| format!("{ending}{packed}")));
        endings.any(|ending| name.ends_with(&ending)).then_some(Self::Csv)
    }
}

/// Where in a table something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The row, counted from 1 below the header; 0 stands for the table.
    pub row: u64,
    /// The column, counted from 1; 0 stands for the row.
    pub column: u32,
    /// The column's name; empty for a row.
    pub name: &'a str,
}

impl Place<'_> {
    /// A row as a whole.
    pub const fn row(row: u64) -> Self {
        Place { row, column: 0, name: "" }
    }
}

/// What a row comes to.
#[derive(Clone, Copy, Debug)]
pub enum Record<'a> {
    /// A cell that holds a record as a whole, or several.
    Whole(&'a [u8]),
    /// A record that was put together of the row's cells, as JSON.
    Rebuilt {
        /// The record.
        json: &'a [u8],
        /// How surely it was put together.
        doubt: Doubt,
    },
}

/// What may be wrong about a record that was put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Doubt {
    /// The text of a column can be taken apart in several ways, and stays a text.
    pub is_ambiguous: bool,
    /// A map was taken apart at `, name=`; a value that holds that itself would look the same.
    pub has_map_text: bool,
}

/// Receives the records of a table, in order.
pub trait Sink {
    /// Why the sink takes no more; it ends the reading of the table.
    type Error;
    /// Takes a record, or a cell that holds some.
    fn record(&mut self, place: Place<'_>, record: Record<'_>) -> Result<(), Self::Error>;
    /// Takes a row that is none, or the reason why the rest of the table cannot be read.
    fn reject(&mut self, place: Place<'_>, reason: &str);
}

/// Reads a text table, of uncompressed UTF-8.
pub fn read_csv<S: Sink>(text: &[u8], sink: &mut S) -> Result<(), S::Error> {
    csv::read(text, sink)
}

/// Reads a Parquet file, which takes no more than so many bytes of memory at any time, apart from a row.
pub fn read_parquet<S: Sink>(
    file: &Arc<File>,
    bytes_max: usize,
    sink: &mut S,
) -> Result<(), S::Error> {
    parquet::read(file, bytes_max as u64, sink)
}

#[cfg(test)]
mod tests;
