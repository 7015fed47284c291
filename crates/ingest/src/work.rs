//! A worker: reads the files it is handed, parses them, and builds segments of whole files.
//!
//! Each worker is a thread of the rayon pool and owns its buffers and the segment it is building. A
//! segment is finished when it is large enough, old enough, when nothing more is coming, or when
//! another of its batch is.
//!
//! Errors: a file that cannot be read as a trail is an entry in the ledger; one that is not finished
//! or cannot be opened goes back to the scanner; a panic costs the file that caused it, and the other
//! files of the batch are read again. Only a segment that cannot be written stops ingest.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, never, select_biased};

use crate::batch::{Batch, Batches, Membership};
use crate::handover::TakenBack;
use crate::progress::{IngestFault, Progress, add, spent};
use crate::read::{Content, FileReader, ReadError, ReadLimits};
use crate::tally::Tally;
use crate::walk::{Found, age, look};
use segment::IndexError;
use segment::build::{BuiltSegment, SegmentBuilder, SegmentFactory};
use segment::file::{FileKey, FileRecord};
use segment::file::{FileState, Reading};
use store::dedupe::Dedupe;
use trail::flags::Flags;
use trail::layout::PathFacts;
use trail::parse::{Origin, Parser};
use trail::split;
use trail::split::Pieces;
use trail::time::Micros;

/// When a worker finishes a segment, and the limits on what it reads.
#[derive(Clone, Copy, Debug)]
pub struct WorkOptions {
    /// Bounds on what one file may inflate to.
    pub read: ReadLimits,
    /// A file that ends too early is rejected once it has not changed for this long.
    pub unfinished: Duration,
    /// A worker finishes its segment once it holds this many events.
    pub segment_events_max: u32,
    /// A worker finishes its segment once it takes this many bytes of memory.
    pub segment_bytes_max: usize,
    /// The most time that an event may wait in a segment before the worker finishes it.
    pub commit_age_max: Duration,
    /// A worker finishes its segment when no file has come for this long.
    pub commit_idle: Duration,
}

/// The same of a segment with a file that has just arrived, while older files are read: those who wait
/// for news do not wait for a backlog. Less would make segments of a few thousand events.
const FRESH_AGE_MAX: Duration = Duration::from_millis(300);

/// What a worker is connected to.
#[derive(Clone)]
pub(crate) struct Worker {
    pub(crate) options: WorkOptions,
    pub(crate) factory: SegmentFactory,
    pub(crate) dedupe: Arc<Dedupe>,
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

/// A segment that is closed, on its way to the committer.
pub(crate) struct Built {
    pub(crate) batch: Arc<Batch>,
    pub(crate) segment: BuiltSegment,
}

impl Worker {
    /// Works until ingest ends.
    pub(crate) fn run(self) {
        let progress = Arc::clone(&self.progress);
        let mut work = Work {
            reader: FileReader::new(self.options.read),
            parser: Parser::default(),
            building: None,
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

/// A worker at work.
struct Work {
    worker: Worker,
    reader: FileReader,
    parser: Parser,
    building: Option<Building>,
}

/// A segment in the making.
struct Building {
    builder: SegmentBuilder,
    membership: Membership,
    since: Instant,
    last_file: Instant,
    /// Whether a file of it has just arrived.
    has_fresh: bool,
}

impl Building {
    fn is_batch_closing(&self) -> bool {
        self.membership.batch.closing.try_recv().is_err_and(|error| error.is_disconnected())
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
}

enum Next {
    /// A file that has just arrived.
    Fresh(FileKey),
    Backlog(FileKey),
    /// No file is coming, or another segment of the batch is due.
    Quiet,
    Stop,
}

impl Work {
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
                    if let Some(building) = &mut self.building {
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
        let never = never();
        let closing = self.building.as_ref().map_or(&never, |b| &b.membership.batch.closing);
        select_biased! {
            recv(progress.stopping()) -> _ => Next::Stop,
            recv(closing) -> _ => Next::Quiet,
            recv(fresh) -> key => key.map_or(Next::Stop, Next::Fresh),
            recv(backlog) -> key => key.map_or(Next::Stop, Next::Backlog),
            default(self.patience()) => Next::Quiet,
        }
    }

    /// How long to wait for a file before the segment is due.
    fn patience(&self) -> Duration {
        match &self.building {
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
        let Some(building) = &self.building else { return false };
        let options = &self.worker.options;
        building.builder.events() >= options.segment_events_max
            || building.builder.memory() >= options.segment_bytes_max
            || self.patience().is_zero()
            || building.is_batch_closing()
    }

    fn finish_segment(&mut self) -> Result<(), IndexError> {
        let Some(Building { builder, membership, .. }) = self.building.take() else {
            return Ok(());
        };
        let batch = membership.close();
        let started = Instant::now();
        let segment = builder.finish()?;
        spent(&self.worker.progress.counters.busy.finishing, started);
        // Fails only when the committer ended, which has said why.
        let _ = self.worker.built.send(Built { batch, segment });
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
            Ok(Err(error)) => return Err(error),
            Err(_) => self.recover(key)?,
        }
        Ok(())
    }

    fn end_file(&mut self, record: FileRecord) -> Result<(), IndexError> {
        let building = open(&mut self.building, &self.worker)?;
        building.builder.end_file(record);
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
        self.reader = FileReader::new(self.worker.options.read);
        if let Some(Building { builder, membership, .. }) = self.building.take() {
            let batch = membership.give_up();
            let segment = builder.abandon();
            let _ = self.worker.built.send(Built { batch, segment });
        }
        let reason = "a bug in traildex: reading it panicked; please report it";
        self.end_file(self.worker.rejected(culprit, reason.to_owned()))
    }

    fn process(&mut self, key: &FileKey) -> Result<Outcome, IndexError> {
        let path = Path::new(&key.path);
        let is_fresh = age(key) < self.worker.options.unfinished;
        let Self { reader, parser, worker, building } = self;
        let busy = &worker.progress.counters.busy;
        let started = Instant::now();
        let read = reader.read(path, |content| {
            spent(&busy.reading, started);
            let started = Instant::now();
            // What was read is what was looked for, or nothing.
            match look(path) {
                Ok(Found::Trail(now)) if now == *key => {}
                Ok(_) => return Ok(Outcome::TakenBack(TakenBack::Changed(key.clone()))),
                Err(_) => return Ok(Outcome::Gone),
            }
            let pieces = Pieces::of(content.bytes);
            let is_cut =
                pieces.outcome.is_cut || matches!(content.unread, Some(ReadError::Cut { .. }));
            if is_cut && is_fresh {
                return Ok(Outcome::TakenBack(TakenBack::Unfinished(key.clone())));
            }
            let building = open(building, worker)?;
            let file = Split { key, content: &content, pieces: &pieces };
            let record = file.index(parser, building, worker)?;
            spent(&busy.building, started);
            Ok(Outcome::Done(Box::new(record)))
        });
        match read {
            Ok(outcome) => outcome,
            Err(ReadError::Io(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(Outcome::Gone)
            }
            Err(ReadError::Changed) => Ok(Outcome::TakenBack(TakenBack::Unfinished(key.clone()))),
            Err(ReadError::Io(error)) => {
                tracing::warn!(file = %key.path, %error, "cannot read a file; trying again later");
                Ok(Outcome::TakenBack(TakenBack::Unreadable(key.clone(), error.to_string())))
            }
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

/// The segment in the making, begun where there is none.
fn open<'b>(
    building: &'b mut Option<Building>,
    worker: &Worker,
) -> Result<&'b mut Building, IndexError> {
    if building.is_none() {
        // In this order: a batch waits for each segment of those that joined it.
        let builder = worker.factory.builder()?;
        let membership = worker.batches.join();
        let now = Instant::now();
        *building =
            Some(Building { builder, membership, since: now, last_file: now, has_fresh: false });
    }
    Ok(building.as_mut().expect("it was begun where there was none"))
}

impl Worker {
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

/// A file that was read, and split into records.
struct Split<'a> {
    key: &'a FileKey,
    content: &'a Content<'a>,
    pieces: &'a Pieces<'a>,
}

impl Split<'_> {
    /// Puts the file's events into the segment.
    fn index(
        self,
        parser: &mut Parser,
        building: &mut Building,
        worker: &Worker,
    ) -> Result<FileRecord, IndexError> {
        let Self { key, content, pieces } = self;
        let number = worker.number();
        let name = Path::new(&key.path).file_name().and_then(|name| name.to_str()).unwrap_or("");
        let origin = Origin {
            file: number,
            time: Micros::parse_file_name(name).unwrap_or(Micros(key.mtime_ns.div_euclid(1_000))),
            second_member: content.second_member,
            flags: if content.has_trailing_bytes {
                Flags::TRAILING_BYTES
            } else {
                Flags::default()
            },
        };
        let Building { builder, membership, .. } = building;
        let kept_from = Micros(worker.horizon.load(Ordering::Acquire));
        let batch = membership.batch.number;
        let mut tally = Tally::new(builder, &worker.dedupe, batch, kept_from);
        parser.parse_pieces(pieces, origin, &mut tally)?;
        let split::Outcome { is_digest, is_cut } = pieces.outcome;
        let is_digest = is_digest || key.path.contains("/CloudTrail-Digest/");
        let (state, reading) =
            tally.end(&key.path, content, is_digest && !pieces.is_empty(), is_cut);
        let counters = &worker.progress.counters;
        add(&counters.events, reading.records - reading.duplicates - reading.expired);
        add(&counters.duplicates, reading.duplicates);
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
