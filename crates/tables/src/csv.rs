//! Text tables: rows of cells, which may be quoted. The cells of one row are in memory.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

use crate::limits::{COLUMNS_MAX, ROW_BYTES_MAX, ROWS_MAX};
use crate::shape::{Cell, Shape, is_whole};
use crate::{Place, Sink};

const BOM: &[u8] = b"\xEF\xBB\xBF";

/// What a row's cells are in at first. It grows as far as a row may be long.
const ROW_BYTES_FIRST: usize = 64 << 10;

/// Reads a text table.
pub(crate) fn read<S: Sink>(text: &[u8], sink: &mut S) -> Result<(), S::Error> {
    let text = text.strip_prefix(BOM).unwrap_or(text);
    let mut rows = Rows::of(text);
    let mut shape = None;
    let mut names: Vec<String> = match rows.next() {
        None => return Ok(()),
        Some(Row::Cells) if rows.cells().any(is_whole) => {
            // There is no header: the first row has a record.
            rows.go_back();
            (1..=rows.ends.len()).map(|n| format!("column {n}")).collect()
        }
        Some(Row::Cells) => {
            rows.cells().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect()
        }
        Some(Row::Bad(reason)) => {
            sink.reject(Place::row(0), &format!("the header cannot be read: {reason}"));
            return Ok(());
        }
    };
    let columns = names.len();
    for row in 1.. {
        let next = rows.next();
        if row > ROWS_MAX && next.is_some() {
            let reason = format!("the table has more than {ROWS_MAX} rows; the rest is not read");
            sink.reject(Place::row(row), &reason);
            return Ok(());
        }
        let cells: Vec<Cell<'_>> = match &next {
            Some(Row::Cells) => rows.cells().map(Cell::Text).collect(),
            _ => Vec::new(),
        };
        let is_first = shape.is_none() && (next.is_none() || cells.len() == columns);
        if is_first {
            match Shape::of(std::mem::take(&mut names), &cells) {
                Ok(found) => shape = Some(found),
                Err(reason) => {
                    sink.reject(Place::row(0), &reason);
                    return Ok(());
                }
            }
        }
        match (next, &shape) {
            (None, _) => return Ok(()),
            (Some(Row::Bad(reason)), _) => {
                sink.reject(Place::row(row), &rows.told(&reason));
            }
            (Some(Row::Cells), Some(shape)) if cells.len() == columns => {
                shape.row(row, &cells, sink)?;
            }
            (Some(Row::Cells), _) => {
                let reason = format!("it has {} cells, and the header has {columns}", cells.len());
                sink.reject(Place::row(row), &rows.told(&reason));
            }
        }
    }
    Ok(())
}

/// The rows of a table, one after another.
struct Rows<'t> {
    text: &'t [u8],
    reader: Reader,
    delimiter: u8,
    at: usize,
    /// Where the row at hand begins.
    start: usize,
    output: Vec<u8>,
    /// Where each of its cells ends in the output.
    ends: Vec<usize>,
}

/// What became of a row.
enum Row {
    Cells,
    Bad(String),
}

impl<'t> Rows<'t> {
    fn of(text: &'t [u8]) -> Self {
        let delimiter = delimiter(text);
        let reader = ReaderBuilder::new().delimiter(delimiter).build();
        let output = vec![0; ROW_BYTES_FIRST];
        Self { text, reader, delimiter, at: 0, start: 0, output, ends: Vec::new() }
    }

    /// The cells of the row at hand.
    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.output[start..*end])
    }

    /// Makes the row at hand the next again.
    fn go_back(&mut self) {
        self.at = self.start;
        self.reader = ReaderBuilder::new().delimiter(self.delimiter).build();
    }

    fn told(&self, reason: &str) -> String {
        format!("the row that begins at byte {}: {reason}", self.start)
    }

    /// Goes to the next row; None at the end. Of one that is too long, the rest is passed over.
    fn next(&mut self) -> Option<Row> {
        self.start = self.at;
        let (mut written, mut cells) = (0, 0);
        let mut too_long = None;
        let mut ends = vec![0; COLUMNS_MAX + 1];
        let mut is_end = false;
        loop {
            let (result, read, bytes, found) = self.reader.read_record(
                &self.text[self.at..],
                &mut self.output[written..],
                &mut ends[cells..],
            );
            self.at += read;
            written += bytes;
            cells += found;
            match result {
                ReadRecordResult::Record => break,
                ReadRecordResult::End => return None,
                // Called once more, with nothing, it ends the row.
                ReadRecordResult::InputEmpty => is_end = true,
                ReadRecordResult::OutputFull if self.output.len() < ROW_BYTES_MAX => {
                    let length = (self.output.len() * 2).min(ROW_BYTES_MAX);
                    self.output.resize(length, 0);
                }
                ReadRecordResult::OutputFull => {
                    too_long = Some(format!("it has more than {ROW_BYTES_MAX} bytes"));
                    written = 0;
                }
                ReadRecordResult::OutputEndsFull => {
                    too_long = Some(format!("it has more than {COLUMNS_MAX} cells"));
                    cells = 0;
                }
            }
        }
        ends.truncate(cells);
        self.ends = ends;
        let raw = &self.text[self.start..self.at];
        let is_open = is_end && !memchr::memchr_iter(b'"', raw).count().is_multiple_of(2);
        if is_open {
            let reason = "a cell of it has a quote that is not closed, up to the end of the file: the \
                          file is cut off, or damaged here";
            return Some(Row::Bad(reason.to_owned()));
        }
        Some(too_long.map_or(Row::Cells, Row::Bad))
    }
}

/// What stands between the cells: a comma, unless the first line has none and has something else.
fn delimiter(text: &[u8]) -> u8 {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut is_quoted = false;
    let mut has = [false; 3];
    for byte in line {
        match byte {
            b'"' => is_quoted = !is_quoted,
            b',' | b';' | b'\t' if !is_quoted => {
                has[usize::from(*byte == b';') + 2 * usize::from(*byte == b'\t')] = true;
            }
            _ => {}
        }
    }
    match has {
        [true, ..] => b',',
        [_, true, _] => b';',
        [_, _, true] => b'\t',
        _ => b',',
    }
}
