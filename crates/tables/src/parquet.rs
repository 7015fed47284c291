//! Parquet files: footer, row groups, rows. A file's parts are read as they are needed; what is in memory
//! is bounded, whatever the file states.
//!
//! The library may panic at what a damaged file holds. That costs the rest of the file.

mod leaf;
mod pages;
mod rows;
mod thrift;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData,
};

use self::leaf::Leaf;
use self::pages::{Budget, Chunk, Pages, SharedValues};
use self::rows::{Node, Row};
use crate::limits::{BATCH_ROWS, FOOTER_BYTES_MAX, ROWS_MAX};
use crate::shape::Shape;
use crate::{PARQUET_MAGIC, Place, Sink};

/// What an encrypted file ends with.
const ENCRYPTED_MAGIC: &[u8] = b"PARE";

/// Length of the footer, and the magic behind it.
const TAIL_BYTES: u64 = 8;

/// Reads a Parquet file within so many bytes of memory.
pub(crate) fn read<S: Sink>(
    file: &Arc<File>,
    bytes_max: u64,
    sink: &mut S,
) -> Result<(), S::Error> {
    let opened = caught(|| open(file).map_err(ParquetError::General));
    let (metadata, columns) = match opened {
        Ok(opened) => opened,
        Err(reason) => {
            sink.reject(Place::row(0), &reason);
            return Ok(());
        }
    };
    let names = columns.iter().map(|column| column.0.clone()).collect();
    let columns: Vec<Node> = columns.into_iter().map(|column| column.1).collect();
    let mut table = Table { file, columns, names: Some(names), shape: None, row: 0, bytes_max };
    for (number, group) in metadata.row_groups().iter().enumerate() {
        if !table.group(number, group, sink)? {
            return Ok(());
        }
    }
    // Where there is no row, the names decide alone.
    if let Some(names) = table.names
        && let Err(reason) = Shape::of(names, &[])
    {
        sink.reject(Place::row(0), &reason);
    }
    Ok(())
}

/// Runs what uses the library, and tells a panic as any other fault.
fn caught<T>(run: impl FnOnce() -> Result<T, ParquetError>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(ParquetError::General(reason))) => Err(reason),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("what it holds cannot be decoded".to_owned()),
    }
}

/// Reads the footer: what it says, and the columns with their names.
fn open(file: &File) -> Result<(ParquetMetaData, Vec<(String, Node)>), String> {
    let told = |error: std::io::Error| error.to_string();
    let length = file.metadata().map_err(told)?.len();
    let no_parquet = || "not a Parquet file, or cut off: it does not end with PAR1".to_owned();
    let tail_at = length.checked_sub(TAIL_BYTES).filter(|at| *at > 0).ok_or_else(no_parquet)?;
    let mut tail = [0; TAIL_BYTES as usize];
    file.read_exact_at(&mut tail, tail_at).map_err(told)?;
    let (size, magic) = tail.split_at(4);
    if magic == ENCRYPTED_MAGIC {
        return Err("the Parquet file is encrypted".to_owned());
    }
    if magic != PARQUET_MAGIC {
        return Err(no_parquet());
    }
    let size = u64::from(u32::from_le_bytes(size.try_into().unwrap_or_default()));
    let at = tail_at.checked_sub(size).ok_or("its footer would begin before the file")?;
    if size > FOOTER_BYTES_MAX {
        return Err(format!("its footer has more than {FOOTER_BYTES_MAX} bytes"));
    }
    let mut footer = vec![0; size as usize];
    file.read_exact_at(&mut footer, at).map_err(told)?;
    thrift::check_footer(&footer)?;
    let metadata = ParquetMetaDataReader::decode_metadata(&footer);
    let metadata = metadata.map_err(|error| format!("its footer is damaged: {error}"))?;
    let schema = metadata.file_metadata().schema();
    let names: Vec<String> =
        schema.get_fields().iter().map(|field| field.name().to_owned()).collect();
    let columns = rows::columns(schema).ok_or("it has a column without values")?;
    Ok((metadata, names.into_iter().zip(columns).collect()))
}

/// A file that is being read.
struct Table<'f> {
    file: &'f Arc<File>,
    columns: Vec<Node>,
    /// Until the first row.
    names: Option<Vec<String>>,
    shape: Option<Shape>,
    /// How many rows were read.
    row: u64,
    bytes_max: u64,
}

impl Table<'_> {
    /// Reads a row group. Returns whether the next can be read.
    fn group<S: Sink>(
        &mut self,
        number: usize,
        group: &RowGroupMetaData,
        sink: &mut S,
    ) -> Result<bool, S::Error> {
        let mut left = u64::try_from(group.num_rows()).unwrap_or(0);
        let budget = Budget::new(self.bytes_max);
        let told = |reason: String| format!("row group {number}: {reason}; the rest is not read");
        let mut leaves = match caught(|| self.leaves(group, &budget)) {
            Ok(leaves) => leaves,
            Err(reason) => return Ok(self.give_up(&told(reason), sink)),
        };
        let mut row = Row::default();
        while left > 0 {
            let wanted = left.min(BATCH_ROWS as u64);
            let filled = caught(|| fill(&mut leaves, wanted as usize));
            let reason = filled.err();
            if let Some(reason) = reason {
                return Ok(self.give_up(&told(reason), sink));
            }
            for _ in 0..wanted {
                if self.row == ROWS_MAX {
                    let reason = format!("the table has more than {ROWS_MAX} rows");
                    return Ok(self.give_up(&told(reason), sink));
                }
                if let Err(reason) = caught(|| row.take(&self.columns, &mut leaves)) {
                    return Ok(self.give_up(&told(reason), sink));
                }
                self.row += 1;
                if !self.take(&row, sink)? {
                    return Ok(false);
                }
            }
            left -= wanted;
        }
        Ok(true)
    }

    fn give_up<S: Sink>(&mut self, reason: &str, sink: &mut S) -> bool {
        self.names = None;
        sink.reject(Place::row(self.row + 1), reason);
        false
    }

    /// Hands a row on. Returns whether the table is one of CloudTrail's.
    fn take<S: Sink>(&mut self, row: &Row, sink: &mut S) -> Result<bool, S::Error> {
        if row.is_too_long {
            let reason = format!("it has more than {} bytes", crate::ROW_BYTES_MAX);
            sink.reject(Place::row(self.row), &reason);
            return Ok(true);
        }
        let cells = row.cells();
        if let Some(names) = self.names.take() {
            match Shape::of(names, &cells) {
                Ok(shape) => self.shape = Some(shape),
                Err(reason) => {
                    sink.reject(Place::row(0), &reason);
                    return Ok(false);
                }
            }
        }
        if let Some(shape) = &self.shape {
            shape.row(self.row, &cells, sink)?;
        }
        Ok(true)
    }

    fn leaves(
        &self,
        group: &RowGroupMetaData,
        budget: &Arc<Budget>,
    ) -> Result<Vec<Leaf>, ParquetError> {
        let length = self.file.metadata()?.len();
        let leaf = |column: &ColumnChunkMetaData| {
            let name = column.column_path().string();
            let chunk = chunk(column, length).ok_or_else(|| {
                ParquetError::General(format!("the column {name} is not where it should be"))
            })?;
            let shared = SharedValues::default();
            let pages = Pages::new(self.file, chunk, budget, &shared);
            Ok(Leaf::new(&column.column_descr_ptr(), pages, shared, budget))
        };
        group.columns().iter().map(leaf).collect()
    }
}

/// Decodes the next rows of all columns, which must have as many.
fn fill(leaves: &mut [Leaf], rows: usize) -> Result<(), ParquetError> {
    for leaf in leaves {
        let reason = match leaf.fill(rows) {
            Ok(filled) if filled == rows => continue,
            Ok(_) => "it has fewer rows than the file states".to_owned(),
            Err(ParquetError::General(reason)) => reason,
            Err(error) => error.to_string(),
        };
        return Err(ParquetError::General(format!("column {}: {reason}", leaf.name)));
    }
    Ok(())
}

/// Where a column's pages are; None where the footer says something that cannot be.
fn chunk(column: &ColumnChunkMetaData, length: u64) -> Option<Chunk> {
    let data = u64::try_from(column.data_page_offset()).ok()?;
    // Some writers state a dictionary at 0, where none can be.
    let dictionary = column.dictionary_page_offset().and_then(|at| u64::try_from(at).ok());
    let start = dictionary.filter(|at| *at > 0).map_or(data, |at| at.min(data));
    let end = start.checked_add(u64::try_from(column.compressed_size()).ok()?)?;
    let is_repeated = column.column_descr().max_rep_level() > 0;
    let codec = column.compression();
    (end <= length && column.file_path().is_none()).then_some(Chunk {
        start,
        end,
        codec,
        is_repeated,
    })
}
