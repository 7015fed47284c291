//! The events of a query, page by page, into a file beside the bag in the making. How far it is, is noted
//! with each page, so an interrupted run goes on there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, BufWriter, Seek as _, Write as _};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bundle::{EventLine, Stage};
use formats::json::one_line;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use client::{Client, ClientError};
use coverage::notes::NOT_YET;
use segment::steps::step;
use wire::limits::SEARCH_LIMIT_MAX;
use wire::{ErrorKind, Hit, Integrity, Meta, SearchRequest, TotalMode};

use super::ask::bad;

/// Events of a page: a few megabytes, which a daemon sends while others ask, too.
const PAGE_EVENTS: usize = 2_000;

/// How often, and after what pause, a daemon is asked for what it is just looking up.
const COVERAGE_TRIES: u32 = 100;
const COVERAGE_PAUSE: Duration = Duration::from_millis(100);

/// An event as it waits.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Waiting {
    id: String,
    time: String,
    pub(super) source: String,
    offset: u64,
    row: Option<u64>,
    column: Option<u32>,
    flags: Vec<String>,
    integrity: Option<Integrity>,
    raw: Option<String>,
    /// As a text: every byte counts, and it may have line ends.
    event: String,
}

/// What an event line says beside what waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Where {
    pub(super) file: Option<String>,
    pub(super) sha256: Option<String>,
    pub(super) record_offset: Option<u64>,
}

impl Waiting {
    fn of(hit: Hit) -> Self {
        let Meta { id, time, file, offset, row, column, flags, integrity, raw, .. } = hit.meta;
        let event = hit.event.get().to_owned();
        Self { id, time, source: file, offset, row, column, flags, integrity, raw, event }
    }

    /// The record as delivered.
    pub(super) fn record(&self) -> &str {
        self.raw.as_deref().unwrap_or(&self.event)
    }

    /// The line of the bag.
    pub(super) fn line(self, place: Where) -> serde_json::Result<EventLine> {
        let record = self.record();
        Ok(EventLine {
            length: record.len() as u64,
            record_sha256: hex::encode(Sha256::digest(record)),
            event: RawValue::from_string(one_line(&self.event).into_owned())?,
            id: self.id,
            time: self.time,
            source: self.source,
            file: place.file,
            sha256: place.sha256,
            offset: self.offset,
            row: self.row,
            column: self.column,
            record_offset: place.record_offset,
            flags: self.flags,
            integrity: self.integrity,
            raw: self.raw,
        })
    }
}

/// How far it is, and what the answers said besides.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Collected {
    /// Bytes of the file that count.
    bytes: u64,
    pub(super) events: u64,
    cursor: Option<String>,
    is_done: bool,
    pub(super) coverage: Vec<String>,
    pub(super) warnings: Vec<String>,
}

const PROGRESS: &str = "events.json";

fn path(stage: &Stage) -> PathBuf {
    stage.beside("events")
}

/// How many events the index has for the query's conditions, and what it says of them.
pub(super) fn count(client: &Client, request: &SearchRequest) -> anyhow::Result<(u64, Collected)> {
    let request = SearchRequest { limit: Some(0), total: TotalMode::Exact, ..request.clone() };
    let mut tries = 1;
    loop {
        let answer = client.search(&request)?;
        if answer.table.is_some() {
            return Err(
                bad("a bundle is of events, and the query makes rows", "it without '|'").into()
            );
        }
        if answer.coverage.iter().any(|line| line == NOT_YET) && tries < COVERAGE_TRIES {
            tries += 1;
            thread::sleep(COVERAGE_PAUSE);
            continue;
        }
        let (coverage, warnings) = (answer.coverage, answer.warnings);
        let collected = Collected { coverage, warnings, ..Collected::default() };
        return Ok((answer.total.value, collected));
    }
}

/// Fetches what is left of a query's events.
pub(super) fn collect(
    stage: &Stage,
    client: &Client,
    request: &SearchRequest,
    has_stages: bool,
    on_page: &mut dyn FnMut(u64),
) -> anyhow::Result<Collected> {
    let mut progress = match stage.state::<Collected>(PROGRESS) {
        Some(progress) => progress,
        None => count(client, request)?.1,
    };
    let path = path(stage);
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).write(true).open(&path)?;
    if file.metadata()?.len() < progress.bytes {
        bail!("{} is shorter than it was: remove the folder it is in", path.display());
    }
    let mut out = BufWriter::new(file);
    let limit = if has_stages { SEARCH_LIMIT_MAX } else { PAGE_EVENTS };
    let page = SearchRequest { limit: Some(limit), total: TotalMode::None, ..request.clone() };
    while !progress.is_done {
        out.get_ref().set_len(progress.bytes)?;
        out.seek(io::SeekFrom::Start(progress.bytes))?;
        let answer = match client
            .search(&SearchRequest { cursor: progress.cursor.clone(), ..page.clone() })
        {
            Err(ClientError::Api(error)) if error.kind == ErrorKind::Gone => {
                // The index was rebuilt: its pages are others.
                progress = count(client, request)?.1;
                continue;
            }
            answer => answer?,
        };
        for hit in answer.hits {
            let mut line = serde_json::to_vec(&Waiting::of(hit))?;
            line.push(b'\n');
            out.write_all(&line)?;
            progress.bytes += line.len() as u64;
            progress.events += 1;
        }
        progress.is_done = answer.cursor.is_none();
        progress.cursor = answer.cursor;
        out.flush()?;
        out.get_ref().sync_data()?;
        step("bundle-page-written");
        stage.note(PROGRESS, &progress)?;
        on_page(progress.events);
        step("bundle-page-noted");
    }
    Ok(progress)
}

/// Hands over each event that was fetched, with its number, in the order of time.
pub(super) fn each<E: From<anyhow::Error>>(
    stage: &Stage,
    mut visit: impl FnMut(u64, Waiting) -> Result<(), E>,
) -> Result<(), E> {
    let path = path(stage);
    let file = File::open(&path).with_context(|| path.display().to_string())?;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| path.display().to_string())?;
        let waiting = serde_json::from_str(&line);
        visit(number as u64, waiting.with_context(|| path.display().to_string())?)?;
    }
    Ok(())
}
