//! What the index does not have, or lost, or was changed while a bundle was made.

use bundle::{About, Query, Reasons};
use serde::{Deserialize, Serialize};

use client::{Client, ClientError};
use trail::layout::PathFacts;
use trail::time::Micros;
use wire::{ErrorKind, FileEntry, FileState, FilesRequest, RebuildState, Status};

const DAY_US: i64 = 24 * 3_600 * 1_000_000;

/// Files that one request lists.
const FILES_MAX: usize = wire::limits::FILES_LIMIT_MAX;

/// Files that are named as reasons; the rest are counted.
const NAMED_MAX: usize = 100;

/// Counts by which two states of an index are told apart. Those of `GRAVE` change what a query had found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State(Vec<(String, u64)>);

const GRAVE: [&str; 7] = [
    "expired events",
    "lost events",
    "damaged segments",
    "rejected files",
    "replaced files",
    "files to be read again",
    "rejected records",
];

impl State {
    pub(super) fn of(status: &Status) -> Self {
        let (files, events) = (&status.files, &status.events);
        let counts = [
            ("events", events.indexed),
            ("expired events", events.expired),
            ("lost events", events.lost),
            ("rejected records", events.rejected),
            ("files", files.indexed),
            ("rejected files", files.rejected),
            ("digests", files.digest),
            ("replaced files", files.replaced),
            ("files to be read again", files.reread),
            ("damaged segments", status.index.damaged),
        ];
        Self(counts.map(|(name, count)| (name.to_owned(), count)).to_vec())
    }

    /// What changed since, for a person; and whether it can have changed what was found before.
    pub(super) fn changes(&self, now: &Self) -> (Vec<String>, bool) {
        let mut is_grave = false;
        let changed = self.0.iter().zip(&now.0).filter(|(before, now)| before != now);
        let told = changed.map(|((name, before), (_, now))| {
            is_grave |= GRAVE.contains(&name.as_str());
            format!("{name}: {before} before, {now} now")
        });
        let told = told.collect();
        (told, is_grave)
    }
}

/// Why the index may lack events of a query, whatever the query finds.
pub(super) fn lacking(
    client: &Client,
    status: &Status,
    query: &Query,
    reasons: &mut Reasons,
    notes: &mut Vec<String>,
) -> Result<(), ClientError> {
    if status.index.damaged > 0 {
        let damaged = status.index.damaged;
        reasons.add(About::Index, format!("{damaged} segments of the index are damaged"));
    }
    if status.events.lost > 0 {
        let lost = status.events.lost;
        reasons.add(About::Index, format!("{lost} events were in a damaged part of the index"));
    }
    if let Some(fault) = &status.fault {
        reasons.add(About::Index, format!("nothing new is read: {fault}"));
    }
    if status.rebuild.as_ref().is_some_and(|rebuild| rebuild.state == RebuildState::Running) {
        reasons.add(About::Index, "the index is being rebuilt");
    }
    let range = Range::of(query);
    for (state, what) in [
        (FileState::Pending, "it waits to be read"),
        (FileState::Rejected, "nothing in it could be read"),
        (FileState::Reread, "a damaged part of the index held events of it"),
    ] {
        match files(client, state, &range) {
            Ok(found) => name(&found, what, reasons),
            Err(ClientError::Api(error)) if error.kind == ErrorKind::Conflict => {
                notes.push(
                    "without a daemon, it is not known which files wait to be read".to_owned(),
                );
            }
            Err(error) => return Err(error),
        }
    }
    let (start, end) = (query.start.clone(), query.end.clone());
    let state = Some(FileState::Indexed);
    let request = FilesRequest { state, start, end, limit: Some(1), ..FilesRequest::default() };
    let rejected = client.files(&request)?.sums.rejected;
    if rejected > 0 {
        let reason = format!("{rejected} records of files of that time could not be read");
        reasons.add(About::Index, reason);
    }
    match files(client, FileState::Skipped, &range) {
        Ok(skipped) if !skipped.files.is_empty() => {
            let count = skipped.files.len() as u64 + skipped.unlisted;
            notes.push(format!("{count} paths are links, pipes or the like, and are not read"));
        }
        Ok(_) => {}
        Err(ClientError::Api(error)) if error.kind == ErrorKind::Conflict => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Files of a state.
struct Found {
    /// Those that may have events of the time that is asked for.
    files: Vec<FileEntry>,
    /// Files that are more than can be listed: nobody knows of what time they are.
    unlisted: u64,
}

fn files(client: &Client, state: FileState, range: &Range) -> Result<Found, ClientError> {
    let request =
        FilesRequest { state: Some(state), limit: Some(FILES_MAX), ..FilesRequest::default() };
    let answer = client.files(&request)?;
    let unlisted = answer.total.saturating_sub(answer.files.len() as u64);
    let mut files = answer.files;
    files.retain(|file| range.may_touch(file));
    Ok(Found { files, unlisted })
}

fn name(Found { files, unlisted }: &Found, what: &str, reasons: &mut Reasons) {
    if *unlisted > 0 {
        let reason = format!("{unlisted} files more than can be listed, of any time: {what}");
        reasons.add(About::Index, reason);
    }
    for file in files.iter().take(NAMED_MAX) {
        let why = file.reading.reason.as_deref().map(|why| format!(": {why}"));
        let (path, why) = (&file.path, why.unwrap_or_default());
        reasons.add(About::Index, format!("{path}: {what}{why}"));
    }
    if files.len() > NAMED_MAX {
        let more = files.len() - NAMED_MAX;
        reasons.add(About::Index, format!("and {more} more files: {what}"));
    }
}

/// The time that is asked for.
struct Range {
    start: Option<Micros>,
    end: Option<Micros>,
}

impl Range {
    fn of(query: &Query) -> Self {
        let time = |text: &Option<String>| Micros::parse_record_time(text.as_deref()?);
        Self { start: time(&query.start), end: time(&query.end) }
    }

    /// Whether a file can have events of that time: by its events, or by the day in its path. One that
    /// tells neither can.
    fn may_touch(&self, file: &FileEntry) -> bool {
        let day = || {
            let day = PathFacts::of(&file.path).day?.join("-");
            Micros::parse_event_time(&format!("{day}T00:00:00Z"))
        };
        let span = match (file.reading.first, file.reading.last, day()) {
            (Some(first), Some(last), _) => (first.0, last.0),
            // Events are delivered later than they happen, and across midnight.
            (_, _, Some(day)) => (day.0 - DAY_US, day.0 + DAY_US),
            _ => return true,
        };
        self.start.is_none_or(|start| span.1 >= start.0)
            && self.end.is_none_or(|end| span.0 < end.0)
    }
}
