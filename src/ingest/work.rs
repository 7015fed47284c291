//! A worker: reads the files it is handed, parses them, and builds segments of whole files.
//!
//! Each worker is a thread of the rayon pool and owns its buffers and the segment it is building. A
//! segment is finished when it is large enough, old enough, or nothing more is coming.
//!
//! Errors: a file that cannot be read is an entry in the ledger; one that is not finished goes back to
//! the scanner; a panic costs the file that caused it, and the other files of the segment are read
//! again. Only a segment that cannot be written stops ingest.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crossbeam_channel::{Receiver, Sender, select_biased};

use super::parse::{Origin, Parser, Sink};
use super::progress::{Progress, add};
use super::read::{Content, FileReader, ReadError, ReadLimits};
use super::scan::TakenBack;
use super::split;
use super::walk::{Found, look};
use crate::api::proto::{FileState, Reject};
use crate::event::Flags;
use crate::event::flat::Event;
use crate::event::time::Micros;
use crate::index::IndexError;
use crate::index::build::{BuiltSegment, SegmentBuilder, SegmentFactory};
use crate::index::ledger::{FileKey, FileRecord};
use crate::limits::REJECTS_LISTED_MAX;

/// When a worker finishes a segment, and what it takes in.
#[derive(Clone, Copy, Debug)]
pub struct WorkOptions {
    pub read: ReadLimits,
    /// A file that ends too early is given up when it has not changed for this long.
    pub unfinished: Duration,
    pub segment_events_max: u32,
    pub segment_bytes_max: usize,
    /// Age of the oldest event in a segment that is not committed.
    pub commit_age_max: Duration,
    /// A segment is finished when no file came for this long.
    pub commit_idle: Duration,
}

/// What a worker is connected to.
#[derive(Clone)]
pub struct Worker {
    pub options: WorkOptions,
    pub factory: SegmentFactory,
    pub progress: Arc<Progress>,
    pub next_number: Arc<AtomicU64>,
    pub fresh: Receiver<FileKey>,
    pub backlog: Receiver<FileKey>,
    /// Files that the scanner takes back.
    pub give_back: Sender<TakenBack>,
    pub built: Sender<BuiltSegment>,
    /// Disconnects when the workers shall finish what they have and end.
    pub stop: Receiver<()>,
}

impl Worker {
    pub fn run(self) {
        let progress = Arc::clone(&self.progress);
        let mut work = Work {
            reader: FileReader::new(self.options.read),
            parser: Parser::default(),
            builder: None,
            worker: self,
        };
        if let Err(error) = work.run() {
            progress.fail(format!("cannot build a segment: {error}"));
        }
    }
}

/// A worker at work.
struct Work {
    worker: Worker,
    reader: FileReader,
    parser: Parser,
    builder: Option<Building>,
}

/// A segment in the making.
struct Building {
    builder: SegmentBuilder,
    keys: Vec<FileKey>,
    since: Instant,
    last_file: Instant,
}

/// What became of a file.
enum Outcome {
    Done(FileRecord),
    /// Not there any more, or another by now: the scan will say.
    Gone,
    /// Not written to its end yet.
    Unfinished,
}

enum Next {
    File(FileKey),
    Quiet,
    Stop,
}

impl Work {
    fn run(&mut self) -> Result<(), IndexError> {
        loop {
            match self.next() {
                Next::File(key) => self.take(key)?,
                Next::Quiet => {}
                Next::Stop => return self.finish_segment(),
            }
            if self.is_segment_due() {
                self.finish_segment()?;
            }
        }
    }

    fn next(&self) -> Next {
        let file = |key: Result<FileKey, _>| key.map_or(Next::Stop, Next::File);
        let Worker { stop, fresh, backlog, .. } = &self.worker;
        select_biased! {
            recv(stop) -> _ => Next::Stop,
            recv(fresh) -> key => file(key),
            recv(backlog) -> key => file(key),
            default(self.patience()) => Next::Quiet,
        }
    }

    /// How long to wait for a file before the segment is due.
    fn patience(&self) -> Duration {
        match &self.builder {
            None => Duration::from_secs(3_600),
            Some(building) => {
                let options = &self.worker.options;
                let age_left = options.commit_age_max.saturating_sub(building.since.elapsed());
                let idle_left = options.commit_idle.saturating_sub(building.last_file.elapsed());
                age_left.min(idle_left)
            }
        }
    }

    fn is_segment_due(&self) -> bool {
        let Some(building) = &self.builder else { return false };
        let options = &self.worker.options;
        building.builder.events() >= options.segment_events_max
            || building.builder.memory() >= options.segment_bytes_max
            || self.patience().is_zero()
    }

    fn finish_segment(&mut self) -> Result<(), IndexError> {
        let Some(Building { builder, .. }) = self.builder.take() else { return Ok(()) };
        // Fails only when the committer ended, which has said why.
        let _ = self.worker.built.send(builder.finish()?);
        Ok(())
    }

    fn take(&mut self, key: FileKey) -> Result<(), IndexError> {
        let mut building = match self.builder.take() {
            Some(building) => building,
            None => Building {
                builder: self.worker.factory.builder()?,
                keys: Vec::new(),
                since: Instant::now(),
                last_file: Instant::now(),
            },
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| self.process(&key, &mut building.builder)));
        let progress = &self.worker.progress;
        match outcome {
            Ok(Ok(Outcome::Done(record))) => {
                add(&progress.files, 1);
                building.builder.end_file(record);
                building.keys.push(key);
                building.last_file = Instant::now();
                self.builder = Some(building);
            }
            Ok(Ok(Outcome::Gone)) => {
                progress.release(&key);
                self.keep(building);
            }
            Ok(Ok(Outcome::Unfinished)) => {
                let _ = self.worker.give_back.send(TakenBack::Unfinished(key));
                self.keep(building);
            }
            Ok(Err(error)) => return Err(error),
            Err(_) => self.abandon(building, key)?,
        }
        Ok(())
    }

    /// Keeps a segment that holds files; an empty one has no age yet.
    fn keep(&mut self, building: Building) {
        if building.builder.file_count() > 0 {
            self.builder = Some(building);
        } else {
            building.builder.abandon();
        }
    }

    /// After a panic: the segment may hold half of the file. Its other files are read again, and the
    /// file that caused it is rejected.
    fn abandon(&mut self, building: Building, culprit: FileKey) -> Result<(), IndexError> {
        tracing::error!(file = %culprit.path, "reading a file panicked; the file is rejected");
        let progress = &self.worker.progress;
        add(&progress.panics, 1);
        building.builder.abandon();
        for key in building.keys {
            let _ = self.worker.give_back.send(TakenBack::Unread(key));
        }
        self.parser = Parser::default();
        self.reader = FileReader::new(self.worker.options.read);
        let reason = "a bug in traildex: reading it panicked; please report it".to_owned();
        let record = self.record(culprit.clone(), FileState::Rejected, Some(reason));
        let mut builder = self.worker.factory.builder()?;
        builder.end_file(record);
        let now = Instant::now();
        self.builder = Some(Building { builder, keys: vec![culprit], since: now, last_file: now });
        Ok(())
    }

    fn process(
        &mut self,
        key: &FileKey,
        builder: &mut SegmentBuilder,
    ) -> Result<Outcome, IndexError> {
        let path = Path::new(&key.path);
        let number = self.worker.next_number.fetch_add(1, Ordering::Relaxed);
        let is_fresh = age(key) < self.worker.options.unfinished;
        let Self { reader, parser, worker, .. } = self;
        let read = reader.read(path, |content| {
            // Whoever changed it while it was read will be found by the next look.
            if !matches!(look(path), Ok(Found::Trail(now)) if now == *key) {
                return Ok(Outcome::Gone);
            }
            let file = ContentOf { key, number, content, is_fresh };
            take_content(file, parser, builder, &worker.progress)
        });
        match read {
            Ok(outcome) => outcome,
            Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Outcome::Gone)
            }
            Err(ReadError::Cut { .. }) if is_fresh => Ok(Outcome::Unfinished),
            Err(error) => {
                tracing::warn!(file = %key.path, %error, "file rejected");
                let mut record = self.record(key.clone(), FileState::Rejected, None);
                record.number = number;
                record.reason = Some(error.to_string());
                Ok(Outcome::Done(record))
            }
        }
    }

    fn record(&self, key: FileKey, state: FileState, reason: Option<String>) -> FileRecord {
        let number = self.worker.next_number.fetch_add(1, Ordering::Relaxed);
        FileRecord { reason, ..FileRecord::new(number, key, state) }
    }
}

/// A file that was read.
struct ContentOf<'a> {
    key: &'a FileKey,
    number: u64,
    content: Content<'a>,
    /// It changed lately, so that what is missing may still come.
    is_fresh: bool,
}

fn take_content(
    file: ContentOf<'_>,
    parser: &mut Parser,
    builder: &mut SegmentBuilder,
    progress: &Progress,
) -> Result<Outcome, IndexError> {
    let ContentOf { key, number, content, is_fresh } = file;
    let (pieces, shape) = split::collect(content.bytes);
    if shape.is_cut && is_fresh {
        return Ok(Outcome::Unfinished);
    }
    let path = Path::new(&key.path);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("");
    let origin = Origin {
        file: number,
        time: Micros::parse_file_name(name).unwrap_or(Micros(key.mtime_ns / 1_000)),
        second_member: content.second_member,
    };
    let mut tally = Tally { builder, records: 0, repaired: 0, rejected: 0, rejects: Vec::new() };
    parser.parse_file(&pieces, origin, &mut tally)?;
    add(&progress.events, tally.records);
    add(&progress.bytes_raw, content.bytes.len() as u64);
    add(&progress.bytes_read, key.size);
    let is_digest = shape.is_digest || key.path.contains("/CloudTrail-Digest/");
    let mut record = tally.into_record(number, key.clone(), is_digest && !pieces.is_empty());
    if content.second_member.is_some() {
        record.flags.push("second-member".to_owned());
    }
    if content.has_trailing_bytes {
        record.flags.push("trailing-bytes".to_owned());
    }
    if !record.flags.is_empty() || record.rejected > 0 {
        let FileRecord { rejected, flags, .. } = &record;
        tracing::warn!(file = %key.path, rejected, ?flags, "file is odd; see `traildex files`");
    }
    Ok(Outcome::Done(record))
}

/// Puts a file's records into the segment, and counts.
struct Tally<'a> {
    builder: &'a mut SegmentBuilder,
    records: u64,
    repaired: u64,
    rejected: u64,
    rejects: Vec<Reject>,
}

impl Sink for Tally<'_> {
    type Error = IndexError;

    fn event(&mut self, event: &Arc<Event>) -> Result<(), IndexError> {
        self.records += 1;
        self.repaired += u64::from(event.flags.contains(Flags::REPAIRED));
        self.builder.add(event)
    }

    fn reject(&mut self, reject: Reject) {
        self.rejected += 1;
        if self.rejects.len() < REJECTS_LISTED_MAX {
            self.rejects.push(reject);
        }
    }
}

impl Tally<'_> {
    fn into_record(self, number: u64, key: FileKey, is_digest: bool) -> FileRecord {
        let Self { records, repaired, rejected, rejects, .. } = self;
        let state = match (records, rejected) {
            (1.., _) => FileState::Indexed,
            (0, _) if is_digest => return FileRecord::new(number, key, FileState::Digest),
            (0, 0) => FileState::Empty,
            (0, _) => FileState::Rejected,
        };
        let reason = match state {
            FileState::Rejected => rejects.first().map(|reject| reject.reason.clone()),
            _ => None,
        };
        FileRecord {
            records,
            repaired,
            rejected,
            rejects,
            reason,
            ..FileRecord::new(number, key, state)
        }
    }
}

/// How long ago a file changed last; zero for a time in the future.
pub fn age(key: &FileKey) -> Duration {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let changed = Duration::from_nanos(u64::try_from(key.mtime_ns).unwrap_or(0));
    now.saturating_sub(changed)
}
