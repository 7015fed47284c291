//! Pages of search results as JSON lines, CSV or Parquet.

use std::collections::BTreeSet;
use std::io;

use serde::Serializer as _;

use crate::csv::{CsvWriter, EVENT_COLUMNS};
use crate::json::one_line;
use crate::parquet::{ParquetKind, ParquetWriter, kind_of};
use wire::{ExportFormat, SearchResponse, Table};

/// Writes the pages of one search in one format, from first to last.
pub enum Exporter {
    /// JSON lines, where each page stands alone.
    Ndjson,
    /// CSV, whose header comes before the first page.
    Csv {
        /// Whether the header is written already.
        is_begun: bool,
    },
    /// Parquet; None before the first page, which defines the columns.
    Parquet(Option<Box<ParquetWriter>>),
}

impl Exporter {
    /// An exporter in this format. `is_part` says that an earlier part has the header.
    pub fn new(format: ExportFormat, is_part: bool) -> Self {
        match format {
            ExportFormat::Ndjson => Self::Ndjson,
            ExportFormat::Csv => Self::Csv { is_begun: is_part },
            ExportFormat::Parquet => Self::Parquet(None),
        }
    }

    /// Takes what defines the columns: the first page, or all rows of a table that is written in pieces.
    pub fn begin(&mut self, first: &SearchResponse) -> io::Result<()> {
        if let Self::Parquet(writer @ None) = self {
            *writer = Some(Box::new(ParquetWriter::begin(first)?));
        }
        Ok(())
    }

    /// The bytes that a page adds to the output.
    pub fn page(&mut self, page: &SearchResponse) -> io::Result<Vec<u8>> {
        match self {
            Self::Ndjson => ndjson(page),
            Self::Csv { is_begun } => {
                let mut out = CsvWriter::new(Vec::new());
                match &page.table {
                    _ if *is_begun => {}
                    Some(table) => out.names(&table.columns)?,
                    None => out.names(&EVENT_COLUMNS)?,
                }
                *is_begun = true;
                page.hits.iter().try_for_each(|hit| out.event(hit))?;
                let rows = page.table.iter().flat_map(|table| &table.rows);
                rows.into_iter().try_for_each(|row| out.row(row))?;
                out.into_inner()
            }
            Self::Parquet(None) => {
                self.begin(page)?;
                self.page(page)
            }
            Self::Parquet(Some(writer)) => writer.page(page),
        }
    }

    /// The bytes behind the last page.
    pub fn end(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Parquet(Some(writer)) => writer.end(),
            _ => Ok(Vec::new()),
        }
    }

    /// The media type of the format, for the header `Content-Type`.
    pub fn content_type(format: ExportFormat) -> &'static str {
        match format {
            ExportFormat::Ndjson => "application/x-ndjson",
            ExportFormat::Csv => "text/csv; charset=utf-8",
            ExportFormat::Parquet => "application/vnd.apache.parquet",
        }
    }
}

/// Some rows of a table that have every kind of value that its columns have.
#[derive(Default)]
pub struct Kinds {
    page: SearchResponse,
    /// Columns, each with a kind that it has.
    seen: BTreeSet<(usize, ParquetKind)>,
}

impl Kinds {
    /// Takes in a page of the table.
    pub fn add(&mut self, page: &SearchResponse) {
        let Some(table) = &page.table else { return };
        let columns = || table.columns.clone();
        let kept =
            self.page.table.get_or_insert_with(|| Table { columns: columns(), ..Table::default() });
        for row in &table.rows {
            let mut is_new = false;
            for (at, value) in row.iter().enumerate() {
                is_new |= kind_of(value).is_some_and(|kind| self.seen.insert((at, kind)));
            }
            if is_new {
                kept.rows.push(row.clone());
            }
        }
    }

    /// The rows.
    pub fn into_page(self) -> SearchResponse {
        self.page
    }
}

fn ndjson(page: &SearchResponse) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for hit in &page.hits {
        out.extend_from_slice(one_line(hit.event.get()).as_bytes());
        out.push(b'\n');
    }
    if let Some(table) = &page.table {
        for row in &table.rows {
            let mut line = serde_json::Serializer::new(&mut out);
            // In the order of the columns.
            line.collect_map(table.columns.iter().zip(row))?;
            out.push(b'\n');
        }
    }
    Ok(out)
}
