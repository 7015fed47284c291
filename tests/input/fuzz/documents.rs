//! Events to segments, committed and read back.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use segment::IndexError;
use segment::build::SegmentBuilder;
use segment::file::{FileKey, FileRecord};
use segment::file::{FileState, Reading};
use store::dedupe::Claim;
use store::store::Store;
use tempfile::TempDir;
use trail::flat::Event;
use trail::parse::{Origin, Parser, Reject, Sink};
use trail::split;

use super::records::{TOKENS, seeds};
use super::{folder, fuzz, keep, outcome};

/// Events of one segment, and segments of one index: few, so that writing and merging have their share.
const SEGMENT_EVENTS: u32 = 200;
const SEGMENTS: usize = 24;

/// An index that files go into.
struct Archive {
    store: Store,
    folder: TempDir,
    builder: Option<SegmentBuilder>,
    /// The files of the segment in the making, to be kept if it fails.
    files: Vec<Vec<u8>>,
    /// The records by file and offset.
    raws: HashMap<(u64, u64), Vec<u8>>,
    number: u64,
    segments: usize,
}

impl Archive {
    fn new() -> Self {
        let folder = folder();
        let store = Store::open(folder.path(), 1 << 20).unwrap();
        let (files, raws) = Default::default();
        Self { store, folder, builder: None, files, raws, number: 0, segments: 0 }
    }

    /// Adds a file's events; returns what kinds they are of.
    fn add(&mut self, input: &[u8], parser: &mut Parser) -> u64 {
        self.files.push(input.to_vec());
        let builder = self.builder.get_or_insert_with(|| self.store.factory().builder().unwrap());
        let before = builder.events();
        let mut adding =
            Adding { builder, store: &self.store, raws: &mut self.raws, twins: 0, shapes: 0 };
        let origin = Origin { file: self.number, ..Origin::default() };
        parser.parse_file(&split::collect(input).0, origin, &mut adding).unwrap();
        let (twins, shapes) = (adding.twins, adding.shapes);
        let added = u64::from(builder.events() - before);
        let path = format!("/{}", self.number);
        let key = FileKey { path, size: input.len() as u64, mtime_ns: 0 };
        let reading = Reading { records: added + twins, duplicates: twins, ..Reading::default() };
        builder.end_file(FileRecord::new(self.number, key, FileState::Indexed, reading));
        self.number += 1;
        if builder.events() >= SEGMENT_EVENTS {
            self.commit();
        }
        shapes
    }

    fn commit(&mut self) {
        let done = catch_unwind(AssertUnwindSafe(|| {
            let built = self.builder.take().unwrap().finish().unwrap();
            self.store.commit(vec![built]).unwrap();
            self.segments += 1;
            if self.segments == SEGMENTS {
                self.merge();
                self.check();
            }
        }));
        if let Err(panic) = done {
            for file in &self.files {
                eprintln!("in the segment: {}", keep("documents", file).display());
            }
            resume_unwind(panic);
        }
        self.files.clear();
        if self.segments == SEGMENTS {
            *self = Self::new();
        }
    }

    fn merge(&mut self) {
        let mut parser = Parser::default();
        while let Some(job) = self.store.merge_candidates() {
            let merged = job.run(&mut |record| parser.key(record)).unwrap();
            self.store.replace(&job.inputs, &[merged]).unwrap();
        }
    }

    /// Every record is there, once, as it was.
    fn check(&self) {
        let snapshot = self.store.snapshots().load_full();
        let mut left: HashMap<(u64, u64), &Vec<u8>> =
            self.raws.iter().map(|(place, raw)| (*place, raw)).collect();
        for view in &snapshot.segments {
            for doc in 0..view.events() {
                let place = (view.file(doc), view.offset(doc));
                let expected = left.remove(&place).expect("an event is of a file, and once");
                assert!(&*view.record(doc).unwrap() == expected.as_slice(), "{place:?}");
            }
        }
        assert!(left.is_empty(), "{} events are missing", left.len());
        assert!(self.folder.path().exists());
    }
}

struct Adding<'a> {
    builder: &'a mut SegmentBuilder,
    store: &'a Store,
    raws: &'a mut HashMap<(u64, u64), Vec<u8>>,
    twins: u64,
    /// Of the events, as far as they differ in kind.
    shapes: u64,
}

impl Sink for Adding<'_> {
    type Error = IndexError;

    fn event(&mut self, event: &mut Event) -> Result<(), IndexError> {
        if self.store.dedupe().claim(event.key(), 0)? == Claim::Duplicate {
            self.twins += 1;
            return Ok(());
        }
        // Records inside of one JSON text can have the same offset.
        if self.raws.contains_key(&(event.file, event.offset)) {
            return Ok(());
        }
        let longest = event.leaves().map(|(_, leaf)| format!("{leaf:?}").len()).max();
        let shape = (event.leaves().len().min(99), longest.unwrap_or(1).ilog2());
        self.shapes ^= outcome((event.flags.0, shape));
        let known = Parser::default().key(&event.raw);
        assert_eq!(known, Some(event.key()), "a record's key is its event's");
        self.raws.insert((event.file, event.offset), event.raw.clone());
        self.builder.add(event);
        Ok(())
    }

    fn reject(&mut self, _: Reject) -> Result<(), Self::Error> {
        Ok(())
    }
}

#[test]
fn documents() {
    let mut archive = Archive::new();
    let mut parser = Parser::default();
    fuzz("documents", seeds(), TOKENS, |input| archive.add(input, &mut parser));
}
