//! Reads one file into a segment: claims its records, adds and counts them, and makes the file's
//! entry in the ledger.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use sha2::{Digest, Sha256};

use crate::growing::Growing;
use crate::limits::REJECTS_LISTED_MAX;
use crate::progress::has_ended;
use crate::read::Content;
use segment::IndexError;
use segment::file::{FileState, Reading, Reject};
use store::dedupe::{Claim, Dedupe};
use trail::columns;
use trail::flags::Flags;
use trail::flat::Event;
use trail::layout::PathFacts;
use trail::parse;
use trail::parse::Sink;
use trail::time::Micros;

/// What stands for the account or region of a file whose records are of more than one.
const SEVERAL: &str = "several";

/// Records, or rejects, between two looks at whether ingest ends.
const LOOK_RECORDS: u64 = 1 << 10;

/// How long a file may take once ingest ends; one of AWS's takes milliseconds.
const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// Why a file was not read to its end.
#[derive(Debug)]
pub(crate) enum Untold {
    /// Ingest ends, and the file takes too long.
    Stopped,
    /// The index cannot be written or read.
    Index(IndexError),
}

impl From<IndexError> for Untold {
    fn from(error: IndexError) -> Self {
        Self::Index(error)
    }
}

/// See the module's documentation.
pub(crate) struct Tally<'a> {
    segments: &'a mut Growing,
    dedupe: &'a Dedupe,
    batch: u64,
    /// Events from before this are not taken in.
    kept_from: Micros,
    /// When the file was delivered: nothing in it can be later.
    delivered: Micros,
    reading: Reading,
    /// The number of the file, if digests can list it, so that its duplicates are noted.
    notes_copies_of: Option<u64>,
    /// Records that were put together of a table's columns and have no `eventID` or no account.
    unidentified: u64,
    /// Disconnects when ingest is to end.
    stopping: &'a Receiver<Infallible>,
    stops_at: Option<Instant>,
}

impl<'a> Tally<'a> {
    /// Begins a file whose events go into segments of this batch, but for those from before
    /// `kept_from`.
    pub(crate) fn new(
        segments: &'a mut Growing,
        dedupe: &'a Dedupe,
        batch: u64,
        kept_from: Micros,
        delivered: Micros,
        stopping: &'a Receiver<Infallible>,
    ) -> Self {
        let reading = Reading::default();
        Self {
            segments,
            dedupe,
            batch,
            kept_from,
            delivered,
            reading,
            notes_copies_of: None,
            unidentified: 0,
            stopping,
            stops_at: None,
        }
    }

    /// Has the events noted that a file repeats, if it lies as CloudTrail's files do: others are in no
    /// digest.
    pub(crate) fn note_copies(&mut self, path: &str, file: u64) {
        self.notes_copies_of = path.contains("/AWSLogs/").then_some(file);
    }

    /// Gives the file up where ingest ends and this takes long; looks now and then, of so many records or
    /// rejects.
    fn check_stop(&mut self, count: u64) -> Result<(), Untold> {
        if !count.is_multiple_of(LOOK_RECORDS) || !has_ended(self.stopping) {
            return Ok(());
        }
        let stops_at = *self.stops_at.get_or_insert_with(|| Instant::now() + STOP_PATIENCE);
        if Instant::now() < stops_at { Ok(()) } else { Err(Untold::Stopped) }
    }

    /// Ends the file with these flags. `is_digest` says that it is none of events, `is_cut` that it ends too
    /// early.
    pub(crate) fn end(
        self,
        path: &str,
        content: &Content<'_>,
        flags: Flags,
        is_digest: bool,
        is_cut: bool,
    ) -> (FileState, Reading) {
        let mut reading = self.reading;
        let state = match (reading.records, reading.rejected) {
            (1.., _) => FileState::Indexed,
            // A digest is one object that is no record; what else could not be read is told.
            (0, 0..=1) if is_digest => {
                reading = Reading::default();
                FileState::Digest
            }
            (0, 0) if content.unread.is_none() => FileState::Empty,
            (0, _) => FileState::Rejected,
        };
        if state == FileState::Rejected {
            reading.reason = reading.rejects.first().map(|reject| reject.reason.clone());
        }
        if self.unidentified > 0 {
            let reason = "records of the table have no eventID or no recipientAccountId, so they are not \
                          recognised as events that other files have";
            reading.reason = Some(format!("{}: {reason}", self.unidentified));
        }
        if let Some(error) = &content.unread {
            reading.reason = Some(format!("not all of the file was read: {error}"));
        }
        if content.second_member.is_some() {
            reading.flags.push("second-member".to_owned());
        }
        if content.has_trailing_bytes {
            reading.flags.push("trailing-bytes".to_owned());
        }
        if is_cut && state == FileState::Indexed {
            reading.flags.push("cut-off".to_owned());
        }
        reading.flags.extend(flags.among(Flags::PACKING).names());
        if reading.records == 0 {
            let PathFacts { account, region, .. } = PathFacts::of(path);
            reading.account = account.map(str::to_owned);
            reading.region = region.map(str::to_owned);
        }
        reading.sha256 = Some(hex(&Sha256::digest(content.bytes)));
        (state, reading)
    }
}

impl Sink for Tally<'_> {
    type Error = Untold;

    fn event(&mut self, event: &mut Event) -> Result<(), Untold> {
        #[cfg(feature = "failpoints")]
        segment::steps::panic_if("panic-on-marked-event", || {
            event.column(columns::EVENT_ID) == "TRAILDEX-PANIC"
        });
        self.check_stop(self.reading.records)?;
        let reading = &mut self.reading;
        reading.records += 1;
        reading.repaired += u64::from(event.flags.contains(Flags::REPAIRED));
        reading.first =
            Some(reading.first.map_or(event.time, |first: Micros| first.min(event.time)));
        reading.last = reading.last.max(Some(event.time));
        agree(&mut reading.account, event.column(columns::RECIPIENT_ACCOUNT));
        agree(&mut reading.region, event.column(columns::AWS_REGION));
        if event.time > self.delivered {
            event.flags |= Flags::FUTURE;
        }
        if event.time < self.kept_from {
            reading.expired += 1;
            return Ok(());
        }
        let is_reconstructed = event.flags.contains(Flags::RECONSTRUCTED);
        let claim = if is_reconstructed {
            let is_identified = [columns::EVENT_ID, columns::RECIPIENT_ACCOUNT]
                .iter()
                .all(|column| !event.column(*column).is_empty());
            self.unidentified += u64::from(!is_identified);
            self.dedupe.claim_reconstructed(event.key(), self.batch)?
        } else {
            self.dedupe.claim(event.key(), self.batch)?
        };
        match claim {
            Claim::New => {}
            Claim::Duplicate => {
                reading.duplicates += 1;
                // What was put together of a table has other content, and is no copy.
                if let Some(file) = self.notes_copies_of.filter(|_| !is_reconstructed) {
                    self.segments.repeat(event.key(), file);
                }
                return Ok(());
            }
            Claim::Conflict => {
                reading.conflicting += 1;
                event.flags |= Flags::ID_CONFLICT;
            }
        }
        self.segments.add(event).map_err(Untold::Index)
    }

    fn reject(&mut self, reject: parse::Reject) -> Result<(), Untold> {
        self.check_stop(self.reading.rejected)?;
        self.reading.rejected += 1;
        if self.reading.rejects.len() < REJECTS_LISTED_MAX {
            let parse::Reject { offset, reason } = reject;
            self.reading.rejects.push(Reject { offset, reason });
        }
        Ok(())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
    }
    text
}

/// Takes in a record's value of what a file's records have in common; those without one do not count.
fn agree(common: &mut Option<String>, value: &str) {
    match common {
        _ if value.is_empty() => {}
        None => *common = Some(value.to_owned()),
        Some(known) if known == value || known == SEVERAL => {}
        Some(known) => SEVERAL.clone_into(known),
    }
}
