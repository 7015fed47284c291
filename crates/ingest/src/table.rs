//! Tables that a person names to an import: their rows go to the parser. A table that lies under a watched
//! folder is none of the archive's, and is not read.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::tally::hex;
use tables::{Kind, Place, Record};
use trail::flags::Flags;
use trail::parse::{Origin, Parser, Rows, Sink};
use trail::rows::RowPlace;

/// Bytes of a file that tell a Parquet file.
const BEGINNING: usize = 4;

/// Bytes that are read at a time for a file's hash.
const STEP: usize = 1 << 20;

/// What table a file is; None if it is none.
pub(crate) fn kind_of(path: &Path, file: &File) -> Option<Kind> {
    let name = path.file_name()?.to_string_lossy();
    let mut beginning = [0; BEGINNING];
    let read = file.read_at(&mut beginning, 0).unwrap_or(0);
    Kind::of(&name, &beginning[..read])
}

/// Whether the file at a path that a person named is a table.
pub fn is_table(path: &Path) -> bool {
    path.is_file() && File::open(path).is_ok_and(|file| kind_of(path, &file).is_some())
}

/// Whether a name is that of a table.
pub fn is_table_name(name: &str) -> bool {
    Kind::of(name, &[]).is_some()
}

/// Hands the events of a table to a sink; `read` reads the table.
pub(crate) fn index<S: Sink>(
    parser: &mut Parser,
    origin: Origin,
    sink: &mut S,
    read: impl FnOnce(&mut IntoEvents<'_, '_, S>) -> Result<(), S::Error>,
) -> Result<(), S::Error> {
    let mut events = IntoEvents(parser.table(origin, sink));
    read(&mut events)?;
    events.0.end()
}

/// The hash of a file, which is read once more for it.
pub(crate) fn sha256(mut file: &File) -> io::Result<String> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(0))?;
    let (mut hash, mut bytes) = (Sha256::new(), vec![0; STEP]);
    loop {
        match file.read(&mut bytes)? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(&bytes[..read]),
        }
    }
}

/// Makes events of a table's records.
pub(crate) struct IntoEvents<'p, 's, S: Sink>(Rows<'p, 's, S>);

fn place_of(place: Place<'_>) -> RowPlace {
    RowPlace { row: place.row, column: place.column, byte: 0 }
}

impl<S: Sink> tables::Sink for IntoEvents<'_, '_, S> {
    type Error = S::Error;

    fn record(&mut self, place: Place<'_>, record: Record<'_>) -> Result<(), S::Error> {
        match record {
            Record::Whole(text) => self.0.cell(place_of(place), place.name, text),
            Record::Rebuilt { json, doubt } => {
                let mut flags = Flags::RECONSTRUCTED;
                if doubt.is_ambiguous {
                    flags |= Flags::AMBIGUOUS;
                }
                if doubt.has_map_text {
                    flags |= Flags::MAP_TEXT;
                }
                self.0.record(place.row, json, flags)
            }
        }
    }

    fn reject(&mut self, place: Place<'_>, reason: &str) {
        let reason = match place {
            Place { row: 0, .. } => reason.to_owned(),
            Place { row, column: 0, .. } => format!("row {row}: {reason}"),
            Place { row, name, .. } => format!("row {row}, column {name}: {reason}"),
        };
        self.0.reject(place_of(place), reason);
    }
}
