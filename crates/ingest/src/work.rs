//! A worker: reads the files it is handed, parses them, and builds segments.
//!
//! Each worker is a thread of the rayon pool and owns its buffers and the segment it is building. A
//! segment is finished when it is large enough, old enough, when nothing more is coming, or when
//! another of its batch is. A file that is larger than a segment may be is in several, which are
//! committed as one (`growing.rs`).
//!
//! A worker that waits for the disk under the archive, or looks for the records of a file, holds nothing
//! that others wait for (`desk`).
//!
//! Errors: a file that cannot be read as a trail is an entry in the ledger; one that is not finished
//! or cannot be opened goes back to the scanner; a panic costs the file that caused it, and the other
//! files of the batch are read again. Only a segment that cannot be written stops ingest.

use std::convert::Infallible;
use std::fs::File;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, select_biased};

use crate::archive::{Archive, is_gone};
use crate::batch::{Batch, Batches};
use crate::desk::{Building, Desk, Desks};
use crate::growing::{Full, Growing};
use crate::handover::TakenBack;
use crate::progress::{IngestFault, Progress, add, has_ended, spent};
use crate::read::{Content, FileReader, ReadError, ReadLimits};
use crate::table;
use crate::tally::{Tally, Untold};
use crate::walk::age;
use segment::IndexError;
use segment::build::{BuiltSegment, SegmentFactory};
use segment::file::{FileKey, FileRecord};
use segment::file::{FileState, Reading};
use segment::steps::step;
use store::attempts::{self, Attempts};
use store::dedupe::Dedupe;
use tables::Kind;
use trail::flags::Flags;
use trail::layout::PathFacts;
use trail::parse::{Origin, Parser};
use trail::split;
use trail::split::Pieces;
use trail::time::Micros;
use trail::utf16;
use trail::utf16::Utf16;

/// When a worker finishes a segment, and the limits on what it reads.
#[derive(Clone, Copy, Debug)]
pub struct WorkOptions {
    /// Bounds on what one file may inflate to.
    pub read: ReadLimits,
    /// A file that ends too early is rejected once it has not changed for this long.
    pub unfinished: Duration,
    /// A worker finishes its segment once it holds this many events.
    pub segment_events_max: u32,
    /// A worker finishes its segment once it takes this many bytes of memory, in the middle of a file
    /// too.
    pub segment_bytes_max: usize,
    /// The most time that an event may wait in a segment before the worker finishes it.
    pub commit_age_max: Duration,
    /// A worker finishes its segment when no file has come for this long.
    pub commit_idle: Duration,
    /// Whether a root that is a table is read as one: in an import, where a person named it.
    pub reads_tables: bool,
}

/// The same of a segment with a file that has just arrived, while older files are read: those who wait
/// for news do not wait for a backlog. Less would make segments of a few thousand events.
const FRESH_AGE_MAX: Duration = Duration::from_millis(300);

/// CloudTrail began in November 2013: a file that says it is older was copied without its time.
const FIRST_TRAIL: Micros = Micros(1_383_264_000_000_000);

const MINUTE_US: i64 = 60_000_000;

/// What a worker is connected to.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) options: WorkOptions,
    pub(crate) archive: Arc<Archive>,
    pub(crate) desks: Arc<Desks>,
    pub(crate) factory: SegmentFactory,
    pub(crate) dedupe: Arc<Dedupe>,
    pub(crate) attempts: Arc<Attempts>,
    pub(crate) batches: Arc<Batches>,
    pub(crate) progress: Arc<Progress>,
    pub(crate) next_number: Arc<AtomicU64>,
    pub(crate) fresh: Receiver<FileKey>,
    pub(crate) backlog: Receiver<FileKey>,
    /// Disconnects once no segment is of an earlier version.
    pub(crate) up_to_date: Receiver<Infallible>,
    /// See [`Store::horizon`](store::store::Store::horizon).
    pub(crate) horizon: Arc<AtomicI64>,
    /// Files that the scanner takes back.
    pub(crate) give_back: Sender<TakenBack>,
    pub(crate) built: Sender<Built>,
}

/// What one member of a batch has built, on its way to the committer.
pub(crate) struct Built {
    pub(crate) batch: Arc<Batch>,
    pub(crate) segments: Vec<BuiltSegment>,
}

impl Worker {
    /// Works at a desk until ingest ends.
    pub(crate) fn run(self, desk: usize) {
        let progress = Arc::clone(&self.progress);
        let desks = Arc::clone(&self.desks);
        let _leaving = Leaving(desks.of(desk));
        let mut work = Work {
            reader: self.reader(),
            parser: Parser::default(),
            desk: desks.of(desk),
            worker: self,
        };
        match catch_unwind(AssertUnwindSafe(|| work.run())) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                progress.fail(IngestFault::of_index("cannot build a segment", &error));
            }
            Err(_) => {
                progress
                    .fail(IngestFault::lasting("building a segment panicked: a bug in traildex"));
            }
        }
    }
}

/// Leaves a desk, however the work ends.
struct Leaving<'d>(&'d Desk);

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// A worker at work.
struct Work<'d> {
    worker: Worker,
    reader: FileReader,
    parser: Parser,
    desk: &'d Desk,
}

impl Building {
    fn is_batch_closing(&self) -> bool {
        has_ended(&self.membership.batch.closing)
    }
}

/// What became of a file.
enum Outcome {
    /// Its events are in the segment.
    Done(Box<FileRecord>),
    /// Not there any more, or another by now: the scan will say.
    Gone,
    /// To be looked at again.
    TakenBack(TakenBack),
    /// Ingest ends, and the segment holds a part of it.
    GivenUp,
}

enum Next {
    /// A file that has just arrived.
    Fresh(FileKey),
    Backlog(FileKey),
    /// No file is coming, or another segment of the batch is due.
    Quiet,
    Stop,
}

impl Work<'_> {
    fn run(&mut self) -> Result<(), IndexError> {
        let Worker { progress, up_to_date, .. } = &self.worker;
        select_biased! {
            recv(progress.stopping()) -> _ => return Ok(()),
            recv(up_to_date) -> _ => {}
        }
        loop {
            match self.next() {
                Next::Backlog(key) => self.take(key)?,
                Next::Fresh(key) => {
                    self.take(key)?;
                    if let Some(building) = &mut self.desk.lock().building {
                        building.has_fresh = true;
                    }
                }
                Next::Quiet => {}
                Next::Stop => return self.finish_segment(),
            }
            if self.is_segment_due() {
                self.finish_segment()?;
            }
        }
    }

    fn next(&self) -> Next {
        let Worker { progress, fresh, backlog, .. } = &self.worker;
        let closing = self.desk.closing();
        let patience = self.patience(self.desk.lock().building.as_ref());
        select_biased! {
            recv(progress.stopping()) -> _ => Next::Stop,
            recv(closing) -> _ => Next::Quiet,
            recv(fresh) -> key => key.map_or(Next::Stop, Next::Fresh),
            recv(backlog) -> key => key.map_or(Next::Stop, Next::Backlog),
            default(patience) => Next::Quiet,
        }
    }

    /// How long to wait for a file before the segment is due.
    fn patience(&self, building: Option<&Building>) -> Duration {
        match building {
            None => Duration::from_secs(3_600),
            Some(building) => {
                let Worker { options, backlog, .. } = &self.worker;
                let age_max = if building.has_fresh && !backlog.is_empty() {
                    options.commit_age_max.min(FRESH_AGE_MAX)
                } else {
                    options.commit_age_max
                };
                let age_left = age_max.saturating_sub(building.since.elapsed());
                let idle_left = options.commit_idle.saturating_sub(building.last_file.elapsed());
                age_left.min(idle_left)
            }
        }
    }

    fn is_segment_due(&self) -> bool {
        let desk = self.desk.lock();
        let Some(building) = &desk.building else { return false };
        building.segments.is_full()
            || self.patience(Some(building)).is_zero()
            || building.is_batch_closing()
    }

    fn finish_segment(&mut self) -> Result<(), IndexError> {
        let building = self.desk.lock().building.take();
        let Some(Building { segments, membership, .. }) = building else { return Ok(()) };
        let batch = membership.close();
        let started = Instant::now();
        let segments = segments.finish()?;
        spent(&self.worker.progress.counters.busy.finishing, started);
        // Fails only when the committer ended, which has said why.
        let _ = self.worker.built.send(Built { batch, segments });
        Ok(())
    }

    fn take(&mut self, key: FileKey) -> Result<(), IndexError> {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.process(&key)));
        match outcome {
            Ok(Ok(Outcome::Done(record))) => self.end_file(*record)?,
            Ok(Ok(Outcome::Gone)) => self.worker.progress.release(&key),
            Ok(Ok(Outcome::TakenBack(file))) => {
                let _ = self.worker.give_back.send(file);
            }
            Ok(Ok(Outcome::GivenUp)) => self.give_up(),
            Ok(Err(error)) => return Err(error),
            Err(_) => self.recover(key)?,
        }
        Ok(())
    }

    fn end_file(&mut self, record: FileRecord) -> Result<(), IndexError> {
        let mut desk = self.desk.lock();
        let building = open(&mut desk.building, &self.worker)?;
        building.segments.end_file(record);
        building.last_file = Instant::now();
        add(&self.worker.progress.counters.files, 1);
        Ok(())
    }

    /// After a panic: the segment may hold half of the file, and others of the batch may count
    /// duplicates of events in it. The batch is given up, its other files are read again, and the file
    /// that caused it is rejected.
    fn recover(&mut self, culprit: FileKey) -> Result<(), IndexError> {
        tracing::error!(file = %culprit.path, "reading a file panicked; the file is rejected");
        add(&self.worker.progress.counters.panics, 1);
        self.parser = Parser::default();
        self.reader = self.worker.reader();
        drop(self.desk.work());
        self.give_up();
        let reason = "a bug in traildex: reading it panicked; please report it";
        self.end_file(self.worker.rejected(culprit, reason.to_owned()))
    }

    /// Gives the batch up: the segment holds a part of a file, and is of no use.
    fn give_up(&mut self) {
        let building = self.desk.lock().building.take();
        if let Some(Building { segments, membership, .. }) = building {
            let batch = membership.give_up();
            let segments = segments.abandon();
            let _ = self.worker.built.send(Built { batch, segments });
        }
    }

    fn process(&mut self, key: &FileKey) -> Result<Outcome, IndexError> {
        self.desk.wait_for(&key.path);
        let outcome = self.read(key);
        // Where there was nothing to read.
        drop(self.desk.work());
        outcome
    }

    fn read(&mut self, key: &FileKey) -> Result<Outcome, IndexError> {
        let is_fresh = age(key) < self.worker.options.unfinished;
        let changed = || Ok(Outcome::TakenBack(TakenBack::Changed(key.clone())));
        let started = Instant::now();
        step("file-to-be-read");
        let file = match self.worker.archive.open_found(key) {
            Ok(Some(file)) => file,
            Ok(None) => return changed(),
            Err(error) => return Ok(unreadable(key, &error)),
        };
        let path = Path::new(&key.path);
        let is_named = self.worker.options.reads_tables && self.worker.archive.is_root(path);
        let table = if is_named { table::kind_of(path, &file) } else { None };
        if table == Some(Kind::Parquet) {
            return self.read_parquet(key, file);
        }
        let Self { reader, parser, worker, desk } = self;
        let busy = &worker.progress.counters.busy;
        let read = reader.read(&file, |content| {
            spent(&busy.reading, started);
            let started = Instant::now();
            // What was read is what was looked for, or nothing.
            if !worker.archive.is_still(key, &file).unwrap_or(false) {
                return changed();
            }
            if is_too_long_in_utf16(content.bytes, worker.options.read.file_bytes_max) {
                let reason = "it is UTF-16, and longer than two fifths of ingest.file_bytes_max";
                let rejected = worker.rejected(key.clone(), reason.to_owned());
                return Ok(Outcome::Done(Box::new(rejected)));
            }
            step("file-to-be-split");
            let decoded = utf16::decode(content.bytes);
            let body = match (table, &decoded) {
                (None, None) => Body::Pieces(Pieces::of(content.bytes)),
                (None, Some(text)) => Body::Pieces(Pieces::of_utf16(text)),
                (Some(_), None) => Body::Csv(content.bytes),
                (Some(_), Some(file)) => Body::Csv(file.text.as_bytes()),
            };
            let is_cut =
                body.outcome().is_cut || matches!(content.unread, Some(ReadError::Cut { .. }));
            if is_cut && is_fresh {
                return Ok(Outcome::TakenBack(TakenBack::Unfinished(key.clone())));
            }
            // To split a file can take seconds, for which nobody waits.
            let mut desk = desk.work();
            if worker.progress.is_stopping() {
                return Ok(Outcome::TakenBack(TakenBack::Unread(key.clone())));
            }
            let building = open(&mut desk.building, worker)?;
            let file = Split { key, content: &content, utf16: decoded.as_ref(), body: &body };
            let outcome = match file.index(parser, building, worker) {
                Ok(record) => Outcome::Done(Box::new(record)),
                Err(Untold::Stopped) => Outcome::GivenUp,
                Err(Untold::Index(error)) => return Err(error),
            };
            spent(&busy.building, started);
            Ok(outcome)
        });
        match read {
            Ok(outcome) => outcome,
            Err(ReadError::Changed) => Ok(Outcome::TakenBack(TakenBack::Unfinished(key.clone()))),
            Err(ReadError::Stopped) => Ok(Outcome::TakenBack(TakenBack::Unread(key.clone()))),
            Err(ReadError::Io(error)) => Ok(unreadable(key, &error)),
            Err(ReadError::Cut { .. }) if is_fresh => {
                Ok(Outcome::TakenBack(TakenBack::Unfinished(key.clone())))
            }
            Err(error) => {
                tracing::warn!(file = %key.path, %error, "file rejected");
                Ok(Outcome::Done(Box::new(worker.rejected(key.clone(), error.to_string()))))
            }
        }
    }
}

impl Work<'_> {
    /// Reads a Parquet file, which is never in memory as a whole.
    fn read_parquet(&mut self, key: &FileKey, file: File) -> Result<Outcome, IndexError> {
        let Self { parser, worker, desk, .. } = self;
        let mut desk = desk.work();
        let building = open(&mut desk.building, worker)?;
        let content = Content::plain(&[]);
        let body = Body::Parquet(Arc::new(file));
        let file = Split { key, content: &content, utf16: None, body: &body };
        match file.index(parser, building, worker) {
            Ok(record) => Ok(Outcome::Done(Box::new(record))),
            Err(Untold::Stopped) => Ok(Outcome::GivenUp),
            Err(Untold::Index(error)) => Err(error),
        }
    }
}

/// What becomes of a file that cannot be opened or read.
fn unreadable(key: &FileKey, error: &io::Error) -> Outcome {
    if is_gone(error) {
        return Outcome::Gone;
    }
    tracing::warn!(file = %key.path, %error, "cannot read a file; trying again later");
    Outcome::TakenBack(TakenBack::Unreadable(key.clone(), error.to_string()))
}

/// The segment in the making, begun where there is none.
fn open<'b>(
    building: &'b mut Option<Building>,
    worker: &Worker,
) -> Result<&'b mut Building, IndexError> {
    if building.is_none() {
        // In this order: a batch waits for each segment of those that joined it.
        let WorkOptions { segment_events_max, segment_bytes_max, .. } = worker.options;
        let full = Full { events: segment_events_max, bytes: segment_bytes_max };
        let segments = Growing::new(&worker.factory, full)?;
        worker.attempts.begin(attempts::Work::Batch);
        let membership = worker.batches.join();
        let now = Instant::now();
        *building =
            Some(Building { segments, membership, since: now, last_file: now, has_fresh: false });
    }
    Ok(building.as_mut().expect("it was begun where there was none"))
}

/// Whether a file is UTF-16 and would, together with its text in UTF-8, take more memory than the largest
/// file: the text has one and a half times as many bytes at most.
fn is_too_long_in_utf16(bytes: &[u8], file_bytes_max: usize) -> bool {
    utf16::is_utf16(bytes) && bytes.len() > file_bytes_max / 5 * 2
}

impl Worker {
    fn reader(&self) -> FileReader {
        FileReader::until(self.options.read, self.progress.stopping().clone())
    }

    fn number(&self) -> u64 {
        self.next_number.fetch_add(1, Ordering::Relaxed)
    }

    /// The entry of a file that cannot be read as a trail.
    fn rejected(&self, key: FileKey, reason: String) -> FileRecord {
        let PathFacts { account, region, .. } = PathFacts::of(&key.path);
        let reading = Reading {
            reason: Some(reason),
            account: account.map(str::to_owned),
            region: region.map(str::to_owned),
            ..Reading::default()
        };
        add(&self.progress.counters.files_rejected, 1);
        FileRecord::new(self.number(), key, FileState::Rejected, reading)
    }
}

/// What a file is that belongs to digests, and is none: public keys, or a digest's metadata.
fn beside_digests(path: &str, content: &[u8]) -> Option<&'static str> {
    const KEYS: &[u8] = b"\"PublicKeyList\"";
    if evidence::is_metadata_path(path) && content.len() <= evidence::METADATA_BYTES_MAX {
        return evidence::is_metadata(content).then_some("the metadata of a digest");
    }
    let begins_so =
        content[..content.len().min(1 << 10)].windows(KEYS.len()).any(|part| part == KEYS);
    let may_be_keys = begins_so && content.len() <= evidence::KEYS_BYTES_MAX;
    (may_be_keys && evidence::is_keys(content))
        .then_some("public keys of digests; they are trusted where evidence.public_keys names them")
}

/// A file that was read, and split into records.
struct Split<'a> {
    key: &'a FileKey,
    content: &'a Content<'a>,
    utf16: Option<&'a Utf16>,
    body: &'a Body<'a>,
}

/// What a file holds.
enum Body<'a> {
    /// Records.
    Pieces(Pieces<'a>),
    /// A text table.
    Csv(&'a [u8]),
    /// A Parquet file, which is read part by part.
    Parquet(Arc<File>),
}

impl Body<'_> {
    fn outcome(&self) -> split::Outcome {
        match self {
            Self::Pieces(pieces) => pieces.outcome,
            Self::Csv(_) | Self::Parquet(_) => split::Outcome::default(),
        }
    }
}

impl Split<'_> {
    /// Puts the file's events into the segment.
    fn index(
        self,
        parser: &mut Parser,
        building: &mut Building,
        worker: &Worker,
    ) -> Result<FileRecord, Untold> {
        let Self { key, content, utf16, body } = self;
        let number = worker.number();
        let name = Path::new(&key.path).file_name().and_then(|name| name.to_str()).unwrap_or("");
        let stated = Micros::parse_file_name(name);
        let changed = Micros(key.mtime_ns.div_euclid(1_000));
        let delivered = match stated {
            // Names state the minute.
            Some(minute) => Micros(minute.0 + MINUTE_US),
            None if changed >= FIRST_TRAIL => changed,
            None => Micros::now(),
        };
        let mut flags = content.flags;
        if content.has_trailing_bytes {
            flags |= Flags::TRAILING_BYTES;
        }
        if let Some(file) = utf16 {
            flags |= Flags::UTF16;
            if !file.is_whole {
                flags |= Flags::INVALID_UTF8;
            }
        }
        let is_table = !matches!(body, Body::Pieces(_));
        if is_table {
            flags |= Flags::TABLE;
        }
        let origin = Origin {
            file: number,
            time: stated.unwrap_or(changed),
            // Offsets of a table count rows.
            second_member: content.second_member.filter(|_| !is_table),
            flags,
        };
        let Building { segments, membership, .. } = building;
        let kept_from = Micros(worker.horizon.load(Ordering::Acquire));
        let batch = membership.batch.number;
        let stopping = worker.progress.stopping();
        let mut tally = Tally::new(segments, &worker.dedupe, batch, kept_from, delivered, stopping);
        tally.note_copies(&key.path, number);
        match body {
            Body::Pieces(pieces) => parser.parse_pieces(pieces, origin, &mut tally)?,
            Body::Csv(text) => {
                table::index(parser, origin, &mut tally, |rows| tables::read_csv(text, rows))?;
            }
            Body::Parquet(file) => {
                let bytes_max = worker.options.read.file_bytes_max;
                table::index(parser, origin, &mut tally, |rows| {
                    tables::read_parquet(file, bytes_max, rows)
                })?;
            }
        }
        let split::Outcome { is_digest, is_cut } = body.outcome();
        let is_digest = is_digest && matches!(body, Body::Pieces(pieces) if !pieces.is_empty());
        let beside = beside_digests(&key.path, content.bytes);
        let is_digest = is_digest || beside.is_some();
        let (state, mut reading) = tally.end(&key.path, content, flags, is_digest, is_cut);
        if state == FileState::Digest {
            reading.reason = beside.map(str::to_owned);
        }
        if let Body::Parquet(file) = body {
            reading.sha256 = table::sha256(file).ok();
        }
        let counters = &worker.progress.counters;
        add(&counters.events, reading.records - reading.duplicates - reading.expired);
        add(&counters.duplicates, reading.duplicates);
        add(&counters.expired, reading.expired);
        add(&counters.rejected, reading.rejected);
        add(&counters.files_rejected, u64::from(state == FileState::Rejected));
        add(&counters.bytes_raw, content.bytes.len() as u64);
        add(&counters.bytes_read, key.size);
        if !reading.flags.is_empty() || reading.rejected > 0 || reading.conflicting > 0 {
            let Reading { rejected, conflicting, flags, .. } = &reading;
            let first = reading.rejects.first();
            let (byte, reason) = (first.map(|r| r.offset), first.map(|r| r.reason.as_str()));
            tracing::warn!(
                file = %key.path, rejected, byte, reason, conflicting, ?flags,
                "file is odd; see `traildex files`"
            );
        }
        Ok(FileRecord::new(number, key.clone(), state, reading))
    }
}
