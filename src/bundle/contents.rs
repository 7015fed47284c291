//! Packed files and records, read as ingest reads them: so a record is where the index says that it is, and has
//! the same ID and time; and what ingest would take for no record is none.

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;

use bundle::{Found, Said};
use formats::json::one_line;
use ingest::read::{FileReader, ReadLimits};
use sha2::{Digest as _, Sha256};
use trail::columns;
use trail::flags::Flags;
use trail::flat::Event;
use trail::parse::{Origin, Parser, Reject, Sink};
use trail::split::Pieces;
use trail::time::Micros;
use trail::utf16;

/// See the module's documentation.
pub(super) struct Packed {
    reader: FileReader,
    limits: ReadLimits,
    parser: Parser,
    /// For records that the other has just parsed.
    again: Parser,
}

impl Packed {
    pub(super) fn new(limits: ReadLimits) -> Self {
        let (parser, again) = (Parser::default(), Parser::default());
        Self { reader: FileReader::new(limits), limits, parser, again }
    }
}

impl bundle::Contents for Packed {
    fn records(
        &mut self,
        file: &File,
        offsets: &[u64],
        each: &mut dyn FnMut(Found),
    ) -> Result<String, String> {
        let Self { reader, parser, again, .. } = self;
        let read = reader.read(file, |content| {
            let decoded = utf16::decode(content.bytes);
            let pieces = match &decoded {
                Some(text) => Pieces::of_utf16(text),
                None => Pieces::of(content.bytes),
            };
            let origin = Origin { second_member: content.second_member, ..Origin::default() };
            let mut wanted = Wanted { offsets, again, each };
            let Ok(()) = parser.parse_pieces(&pieces, origin, &mut wanted);
            hex::encode(Sha256::digest(content.bytes))
        });
        read.map_err(|error| error.to_string())
    }

    fn record(&mut self, record: &[u8], source: &str) -> Option<Said> {
        let (event, text) = self.again.parse_record(record)?;
        let stated = if event.flags.contains(Flags::TIME_FROM_FILE) {
            let name = Path::new(source).file_name().and_then(|name| name.to_str());
            name.and_then(Micros::parse_file_name)
        } else {
            Some(event.time)
        };
        Some(Said {
            id: event.column(columns::EVENT_ID).to_owned(),
            time: stated.map(|time| time.to_string()),
            line: one_line(str::from_utf8(&text).ok()?).into_owned(),
        })
    }

    fn file_bytes_max(&self) -> usize {
        self.limits.file_bytes_max
    }
}

/// Takes the events that begin at some bytes.
struct Wanted<'a> {
    offsets: &'a [u64],
    again: &'a mut Parser,
    each: &'a mut dyn FnMut(Found),
}

impl Sink for Wanted<'_> {
    type Error = Infallible;

    fn event(&mut self, event: &mut Event) -> Result<(), Infallible> {
        if self.offsets.binary_search(&event.offset).is_err() {
            return Ok(());
        }
        // As it is given by a search.
        let record = String::from_utf8_lossy(&event.raw);
        if let Some((_, text)) = self.again.parse_record(&event.raw)
            && let Ok(text) = str::from_utf8(&text)
        {
            (self.each)(Found {
                offset: event.offset,
                length: record.len() as u64,
                sha256: Sha256::digest(record.as_bytes()).into(),
                line: Sha256::digest(one_line(text).as_bytes()).into(),
            });
        }
        Ok(())
    }

    fn reject(&mut self, _: Reject) -> Result<(), Infallible> {
        Ok(())
    }
}
