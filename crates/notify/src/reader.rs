//! Reads changes from the daemon, for one target, into its spool.
//!
//! The cursor says up to which change the spool has all. It is written after the spool was synced, and
//! is itself renamed into place and synced. So a kill at any time costs reading a few changes again.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::Client;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{debug, info, warn};

use crate::change::{Answer, Change};
use crate::config::{Begin, TargetConfig};
use crate::disk::{self, Sync};
use crate::filter::Refused;
use crate::run::Shared;
use crate::spool::Place;

/// Seconds for which the daemon may hold a question back.
const WAIT_S: u64 = 30;

/// Changes of one answer: some hundred KiB at the usual size.
const LIMIT: u32 = 100;

/// Between two questions where the last one failed, or had nothing and came at once.
const PAUSE_MIN: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Up to where a target has read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cursor {
    /// The daemon's name of its log.
    pub log: String,
    /// The number of the last change that was read.
    pub after: u64,
    /// Another one whenever numbers may begin again; see [`Place`].
    pub epoch: u64,
}

impl Cursor {
    /// None where the target is new, or the file cannot be read as one: then all is read again.
    pub(crate) fn read(folder: &Path) -> io::Result<Option<Self>> {
        let bytes = disk::read(&path_in(folder))?;
        Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        disk::replace(&path_in(folder), &serde_json::to_vec(self)?, Sync::Yes)
    }

    fn new(log: &str, after: u64) -> Self {
        let epoch = uuid::Uuid::new_v4().as_u64_pair().0;
        Self { log: log.to_owned(), after, epoch }
    }
}

fn path_in(folder: &Path) -> PathBuf {
    folder.join("cursor.json")
}

/// Reads for a target.
pub(crate) struct Reader<'a> {
    config: &'a TargetConfig,
    shared: &'a Shared,
    folder: &'a Path,
    client: Client,
    cursor: Option<Cursor>,
}

impl<'a> Reader<'a> {
    pub(crate) fn open(
        socket: &Path,
        config: &'a TargetConfig,
        shared: &'a Shared,
        folder: &'a Path,
    ) -> io::Result<Self> {
        let mut cursor = Cursor::read(folder)?;
        // A kill may have come before the cursor was written: what the spool has was not missed.
        if let (Some(cursor), Some(place)) = (&mut cursor, shared.spool.appended())
            && place.epoch == cursor.epoch
            && place.number > cursor.after
        {
            cursor.after = place.number;
            // `status` reads the file, and nothing more may come for long.
            cursor.write(folder)?;
        }
        Ok(Self { config, shared, folder, client: Client::new(socket), cursor })
    }

    /// Reads until a stop.
    pub(crate) fn run(mut self) {
        let target = self.config.name.as_str();
        let (mut pause, mut told) = (PAUSE_MIN, None);
        while !self.shared.is_stopped() {
            self.wait_for_room();
            let asked = Instant::now();
            match self.step() {
                Ok(read) => {
                    if told.take().is_some() {
                        info!(target = target, "reads alerts again");
                    }
                    self.shared.note(|status| "reads alerts".clone_into(&mut status.reading));
                    // A daemon without rules answers at once.
                    let is_idle = read == 0 && asked.elapsed() < Duration::from_secs(1);
                    pause =
                        if is_idle { (pause * 2).min(Duration::from_secs(2)) } else { PAUSE_MIN };
                    if is_idle {
                        self.shared.spool.pause(pause);
                    }
                }
                Err(error) => {
                    let reason = format!("{error:#}");
                    if told.as_ref() != Some(&reason) {
                        warn!(target = target, %reason, "cannot read alerts; tries again");
                    }
                    self.shared.note(|status| status.reading.clone_from(&reason));
                    told = Some(reason);
                    self.shared.spool.pause(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    /// Backpressure: while the spool is full, the daemon's log keeps what comes.
    fn wait_for_room(&self) {
        if !self.shared.spool.is_full() {
            return;
        }
        let target = self.config.name.as_str();
        let bytes = self.config.spool_bytes_max;
        warn!(
            target = target,
            bytes, "the spool is full: reading waits, and the daemon keeps alerts"
        );
        self.shared.note(|status| "waits: the spool is full".clone_into(&mut status.reading));
        self.shared.spool.wait_for_room();
        info!(target = target, "the spool has room: reading goes on");
    }

    /// Asks once. Returns how many changes there were.
    fn step(&mut self) -> anyhow::Result<usize> {
        let Some(cursor) = self.cursor.clone() else { return self.begin() };
        let answer = self.ask(cursor.after, LIMIT, WAIT_S)?;
        if answer.log.is_empty() {
            return Ok(0);
        }
        let target = self.config.name.as_str();
        if answer.log != cursor.log {
            warn!(
                target = target,
                "the daemon's log of alerts was made anew: all of it is read again"
            );
            self.keep(Cursor::new(&answer.log, 0))?;
            return Ok(1);
        }
        if answer.last < cursor.after {
            warn!(
                target = target,
                last = answer.last,
                after = cursor.after,
                "the daemon's log of alerts has become shorter: reading goes on at its end"
            );
            self.keep(Cursor::new(&answer.log, answer.last))?;
            return Ok(1);
        }
        self.take(&cursor, answer)
    }

    fn begin(&mut self) -> anyhow::Result<usize> {
        let answer = self.ask(0, 1, 0)?;
        if answer.log.is_empty() {
            return Ok(0);
        }
        let after = match self.config.begin {
            Begin::First => 0,
            Begin::Now => answer.last,
        };
        info!(
            target = self.config.name.as_str(),
            after,
            last = answer.last,
            "begins to read alerts"
        );
        self.keep(Cursor::new(&answer.log, after))?;
        Ok(1)
    }

    fn take(&mut self, cursor: &Cursor, answer: Answer) -> anyhow::Result<usize> {
        let Answer { log, changes, missed, .. } = answer;
        let (epoch, mut after) = (cursor.epoch, cursor.after);
        let mut batch = Vec::new();
        if missed > 0 {
            after += missed;
            let target = self.config.name.as_str();
            warn!(target = target, missed, "the daemon had dropped changes before they were read");
            let place = Place { epoch, number: after };
            batch.push((Some(place), Change::missed(&log, after, missed)));
        }
        let now = Timestamp::now();
        let (mut count, mut not_wanted, mut too_old) = (0, 0, 0);
        for told in changes {
            if told.number <= cursor.after {
                debug!(number = told.number, "the daemon told a change that was not asked for");
                continue;
            }
            count += 1;
            after = after.max(told.number);
            let place = Place { epoch, number: told.number };
            let change = Change::told(&log, told);
            match self.config.filter.check(&change, now) {
                Ok(()) => batch.push((Some(place), change)),
                Err(Refused::NotWanted) => not_wanted += 1,
                Err(Refused::TooOld) => too_old += 1,
            }
        }
        if after == cursor.after {
            return Ok(0);
        }
        if !batch.is_empty() {
            self.shared.spool.append(&batch)?;
        }
        self.keep(Cursor { after, ..cursor.clone() })?;
        self.shared.note(|status| {
            status.counts.missed += missed;
            status.counts.not_wanted += not_wanted;
            status.counts.too_old += too_old;
        });
        Ok(count.max(1))
    }

    fn ask(&self, after: u64, limit: u32, wait_s: u64) -> anyhow::Result<Answer> {
        let path = format!("/v1/alerts/changes?after={after}&limit={limit}&wait={wait_s}");
        let (status, body) = self.client.get(&path).map_err(anyhow::Error::new)?;
        match status {
            200 => Ok(serde_json::from_slice(&body)?),
            404 => anyhow::bail!("the daemon knows no alerts: it answered 404"),
            status => {
                let said = String::from_utf8_lossy(&body);
                anyhow::bail!(
                    "the daemon answered {status}: {}",
                    formats::terminal::escape_cut(&said, 200)
                )
            }
        }
    }

    fn keep(&mut self, cursor: Cursor) -> io::Result<()> {
        cursor.write(self.folder)?;
        self.cursor = Some(cursor);
        Ok(())
    }
}
