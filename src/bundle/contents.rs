//! Packed files and records, read as ingest reads them: so a record is where the index says that it is, and has
//! the same ID and time.

use std::fs::File;

use bundle::Said;
use formats::json::one_line;
use ingest::read::{FileReader, ReadLimits};
use sha2::{Digest as _, Sha256};
use trail::columns;
use trail::flags::Flags;
use trail::parse::Parser;

/// See the module's documentation.
pub(super) struct Packed {
    reader: FileReader,
    limits: ReadLimits,
    parser: Parser,
}

impl Packed {
    pub(super) fn new(limits: ReadLimits) -> Self {
        Self { reader: FileReader::new(limits), limits, parser: Parser::default() }
    }
}

impl bundle::Contents for Packed {
    fn content(&mut self, file: &File, take: &mut dyn FnMut(&[u8])) -> Result<String, String> {
        let read = self.reader.read(file, |content| {
            take(content.bytes);
            hex::encode(Sha256::digest(content.bytes))
        });
        read.map_err(|error| error.to_string())
    }

    fn record(&mut self, record: &[u8]) -> Option<Said> {
        let (event, text) = self.parser.parse_record(record)?;
        let states_time = !event.flags.contains(Flags::TIME_FROM_FILE);
        Some(Said {
            id: event.column(columns::EVENT_ID).to_owned(),
            time: states_time.then(|| event.time.to_string()),
            line: one_line(str::from_utf8(&text).ok()?).into_owned(),
        })
    }

    fn file_bytes_max(&self) -> usize {
        self.limits.file_bytes_max
    }
}
