//! The stages of ingest, each by itself, over all files of an archive, on one thread.
//!
//! A stage takes what the one before it gave, from memory; `document` includes what `parse` does.

use std::convert::Infallible;
use std::hint::black_box;
use std::path::Path;

use ingest::inflate::Inflater;
use ingest::read::FileReader;
use segment::IndexError;
use segment::build::SegmentBuilder;
use trail::flat::Event;
use trail::parse::{Origin, Parser, Reject, Sink};
use trail::split;
use trail::split::Piece;
use traildex::config::Config;
use traildex::daemon::{import_options, open_store};

use super::{opened, trail_files};

/// The files of an archive, in memory.
pub struct Files {
    gzip: Vec<Vec<u8>>,
    texts: Vec<Vec<u8>>,
}

impl Files {
    pub fn read(archive: &Path) -> Self {
        let limits = import_options(&Config::default(), Vec::new()).work.read;
        let mut reader = FileReader::new(limits);
        let mut files = Self { gzip: Vec::new(), texts: Vec::new() };
        for path in trail_files(archive) {
            let text = reader.read(&opened(&path), |content| content.bytes.to_vec());
            files.texts.push(text.expect("a generated file can be read"));
            files.gzip.push(std::fs::read(&path).expect("a generated file can be read"));
        }
        files
    }

    /// What `parse`, `document` and `index` take: the records of each file.
    pub fn pieces(&self) -> Vec<Vec<Piece<'_>>> {
        self.texts.iter().map(|text| split::collect(text).0).collect()
    }

    /// As long as the longest text.
    pub fn buffer(&self) -> Vec<u8> {
        vec![0; self.texts.iter().map(Vec::len).max().unwrap_or(0)]
    }
}

/// libdeflate into one reused buffer.
pub fn inflate(inflater: &mut Inflater, files: &Files, buffer: &mut [u8]) {
    for gzip in &files.gzip {
        let member = inflater.gunzip(gzip, buffer);
        assert!(matches!(member, Ok(Some(_))));
    }
}

/// A file's bytes to the spans of its records.
pub fn split(files: &Files) {
    for text in &files.texts {
        black_box(split::collect(text));
    }
}

/// simd-json's tape and a walk over it; nothing is kept.
pub fn parse(parser: &mut Parser, files: &[Vec<Piece<'_>>]) {
    for piece in files.iter().flatten() {
        let Piece::Record { bytes, .. } = piece else { panic!("{piece:?} is no record") };
        parser.each_scalar(bytes, |path, scalar| {
            black_box((path, scalar));
        });
    }
}

/// A record's bytes to a finished [`Event`]: parsed, flattened, its words cut, its actor derived.
/// Returns how many there are.
pub fn document(parser: &mut Parser, files: &[Vec<Piece<'_>>]) -> u64 {
    let mut count = Count(0);
    for file in files {
        let Ok(()) = parser.parse_file(file, Origin::default(), &mut count);
    }
    count.0
}

/// Does nothing with the events but count them.
struct Count(u64);

impl Sink for Count {
    type Error = Infallible;

    fn event(&mut self, event: &mut Event) -> Result<(), Infallible> {
        black_box(event);
        self.0 += 1;
        Ok(())
    }

    fn reject(&mut self, reject: Reject) -> Result<(), Self::Error> {
        panic!("a generated record was rejected: {reject:?}");
    }
}

/// Events to one segment on disk, synced. Its work is done inside of `measured`, parsing outside.
/// Returns how many events the segment has.
pub fn index(
    parser: &mut Parser,
    files: &[Vec<Piece<'_>>],
    mut measured: impl FnMut(&mut dyn FnMut()),
) -> u64 {
    let data_dir = tempfile::tempdir().expect("a temporary folder can be made");
    let store = open_store(data_dir.path(), &Config::default()).expect("a new index opens");
    let factory = store.factory();
    let mut builder = None;
    measured(&mut || builder = Some(factory.builder().expect("a segment can be begun")));
    let mut segment = Segment { builder: builder.take().expect("it was begun"), measured };
    for file in files {
        parser.parse_file(file, Origin::default(), &mut segment).expect("an event is indexed");
    }
    let Segment { builder, mut measured } = segment;
    let (mut builder, mut built) = (Some(builder), None);
    measured(&mut || built = builder.take().map(SegmentBuilder::finish));
    let built = built.expect("it was finished").expect("a segment can be finished");
    built.segment.map_or(0, |segment| u64::from(segment.events()))
}

/// A segment in the making. Each event is added right after it was parsed, as a worker does it: were
/// all parsed beforehand, each would have to be fetched from memory again.
struct Segment<M> {
    builder: SegmentBuilder,
    measured: M,
}

impl<M: FnMut(&mut dyn FnMut())> Sink for Segment<M> {
    type Error = IndexError;

    fn event(&mut self, event: &mut Event) -> Result<(), IndexError> {
        (self.measured)(&mut || self.builder.add(event));
        Ok(())
    }

    fn reject(&mut self, reject: Reject) -> Result<(), Self::Error> {
        panic!("a generated record was rejected: {reject:?}");
    }
}
