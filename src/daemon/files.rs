//! `GET /v1/files`: what became of which files, listed or summed up. Here the ledger's lines become what
//! the API tells.

mod cursor;

use std::collections::BTreeMap;

use ingest::progress::{Progress, Unread};
use language::time::Clock;
use search::run::parse_bound;
use segment::file;
use segment::file::FileRecord;
use store::snapshot::Snapshot;
use trail::layout::PathFacts;
use trail::time::Micros;
use wire::Reject;
use wire::engine::Cancel;
use wire::limits::{FILE_GROUPS_MAX, FILES_LIMIT_DEFAULT, FILES_LIMIT_MAX};
use wire::{
    ApiError, Dimension, ErrorKind, FileEntry, FileGroup, FileState, FileSums, FilesRequest,
    FilesResponse, Reading,
};

use self::cursor::Cursor;

/// Entries looked at between two looks at the deadline.
const CHECK_STEP: u64 = 1 << 10;

/// What stands for an account or a region where a file's records have more than one.
const SEVERAL: &str = "several";

/// Answers a request for files: those of the ledger, then those that are pending or skipped.
pub(super) fn list(
    snapshot: &Snapshot,
    progress: &Progress,
    request: &FilesRequest,
    cancel: &Cancel,
) -> Result<FilesResponse, ApiError> {
    let begin = Cursor::of(request, snapshot)?;
    let mut listing = Listing {
        filter: Filter::new(request, &Clock::utc(begin.now()))?,
        by: &request.by,
        limit: request.limit.unwrap_or(if request.by.is_empty() {
            FILES_LIMIT_DEFAULT
        } else {
            FILES_LIMIT_MAX
        }),
        begin,
        lines: 0,
        end: None,
        has_more: false,
        groups: BTreeMap::new(),
        response: FilesResponse::default(),
    };
    let is_only = |state| request.state == Some(state);
    if is_only(FileState::Ignored) {
        let listed = progress.ignored();
        let unlisted = progress.glance().ignored.saturating_sub(listed.len() as u64);
        listing.take_unread(listed, FileState::Ignored)?;
        let is_all = request.path.is_none() && listing.filter.is_of_any_time_and_place();
        let mut files = listing.end();
        files.total += unlisted * u64::from(is_all && request.by.is_empty());
        return Ok(files);
    }
    if !is_only(FileState::Pending) && !is_only(FileState::Skipped) {
        let verdicts = snapshot.verdicts.load();
        snapshot.files.each(|record| {
            listing.lines += 1;
            if listing.lines.is_multiple_of(CHECK_STEP) {
                cancel.check()?;
            }
            let integrity = verdicts.of_file(record.number);
            let is_behind = listing.lines > listing.begin.lines;
            listing.take(FileEntry { integrity, ..entry_of(record) }, is_behind, None)
        })?;
    }
    listing.take_unread(progress.pending(), FileState::Pending)?;
    listing.take_unread(progress.skipped(), FileState::Skipped)?;
    Ok(listing.end())
}

/// The API's entry of a file that was read.
pub(super) fn entry_of(record: FileRecord) -> FileEntry {
    let FileRecord { key, state, reading, .. } = record;
    FileEntry {
        path: key.path,
        state: state_of(state),
        size: key.size,
        integrity: None,
        modified: Some(Micros(key.mtime_ns.div_euclid(1_000))),
        reading: reading_of(reading),
    }
}

fn state_of(state: file::FileState) -> FileState {
    match state {
        file::FileState::Indexed => FileState::Indexed,
        file::FileState::Rejected => FileState::Rejected,
        file::FileState::Digest => FileState::Digest,
        file::FileState::Empty => FileState::Empty,
        file::FileState::Replaced => FileState::Replaced,
        file::FileState::Reread => FileState::Reread,
    }
}

fn reading_of(reading: file::Reading) -> Reading {
    let reject = |file::Reject { offset, reason }| Reject { offset, reason };
    // Every field, so that a new one is not forgotten.
    let file::Reading {
        read_at,
        sha256,
        records,
        duplicates,
        expired,
        conflicting,
        repaired,
        rejected,
        lost,
        first,
        last,
        account,
        region,
        rejects,
        flags,
        reason,
    } = reading;
    Reading {
        read_at,
        sha256,
        records,
        duplicates,
        expired,
        conflicting,
        repaired,
        rejected,
        lost,
        first,
        last,
        account,
        region,
        rejects: rejects.into_iter().map(reject).collect(),
        flags,
        reason,
    }
}

/// The API's entry of a file that is not read.
fn unread_entry(file: Unread, state: FileState) -> FileEntry {
    let Unread { path, size, modified, reason } = file;
    let reading = Reading { reason: Some(reason), ..Reading::default() };
    FileEntry { path, state, size, modified, integrity: None, reading }
}

struct Filter<'r> {
    request: &'r FilesRequest,
    start: Option<Micros>,
    end: Option<Micros>,
    read_start: Option<Micros>,
    read_end: Option<Micros>,
}

impl<'r> Filter<'r> {
    fn new(request: &'r FilesRequest, clock: &Clock) -> Result<Self, ApiError> {
        Ok(Self {
            request,
            start: parse_bound("start", request.start.as_deref(), clock)?,
            end: parse_bound("end", request.end.as_deref(), clock)?,
            read_start: parse_bound("read_start", request.read_start.as_deref(), clock)?,
            read_end: parse_bound("read_end", request.read_end.as_deref(), clock)?,
        })
    }

    fn is_of_any_time_and_place(&self) -> bool {
        let Self { start, end, read_start, read_end, request } = self;
        [start, end, read_start, read_end].into_iter().all(Option::is_none)
            && request.account.is_none()
            && request.region.is_none()
    }

    /// Whether the file may have records of the account and the region that are asked for.
    fn admits_place(&self, entry: &FileEntry) -> bool {
        let FilesRequest { account, region, .. } = self.request;
        if account.is_none() && region.is_none() {
            return true;
        }
        let place = PathFacts::of(&entry.path);
        let may_be = |known: &Option<String>, of_path: Option<&str>, wanted: &Option<String>| {
            let known = known.as_deref().or(of_path);
            let is =
                |wanted: &String| known.is_none_or(|known| known == wanted || known == SEVERAL);
            wanted.as_ref().is_none_or(is)
        };
        may_be(&entry.reading.account, place.account, account)
            && may_be(&entry.reading.region, place.region, region)
    }

    fn admits(&self, entry: &FileEntry) -> bool {
        let reading = &entry.reading;
        let first = reading.first.or(entry.modified);
        let last = reading.last.or(entry.modified);
        self.request.state.is_none_or(|state| state == entry.state)
            && self.request.path.as_ref().is_none_or(|part| entry.path.contains(part))
            && self.start.is_none_or(|start| last.is_some_and(|last| last >= start))
            && self.end.is_none_or(|end| first.is_some_and(|first| first < end))
            && self.read_start.is_none_or(|start| reading.read_at.is_some_and(|at| at >= start))
            && self.read_end.is_none_or(|end| reading.read_at.is_some_and(|at| at < end))
            && self.admits_place(entry)
    }
}

/// Account, region and day, as far as they are asked for.
type GroupKey = [Option<String>; 3];

struct Listing<'r> {
    filter: Filter<'r>,
    by: &'r [Dimension],
    limit: usize,
    /// Where the page begins.
    begin: Cursor,
    /// Lines of the ledger that were looked at.
    lines: u64,
    /// Where the page ends: behind the last file that it lists.
    end: Option<Cursor>,
    has_more: bool,
    groups: BTreeMap<GroupKey, FileSums>,
    response: FilesResponse,
}

impl Listing<'_> {
    /// Takes files that are not read, by their paths.
    fn take_unread(&mut self, mut files: Vec<Unread>, state: FileState) -> Result<(), ApiError> {
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        for file in files {
            let place = cursor::Unread { state, path: file.path.clone() };
            let is_behind = self.begin.unread.as_ref().is_none_or(|last| place > *last);
            self.take(unread_entry(file, state), is_behind, Some(place))?;
        }
        Ok(())
    }

    /// Takes a file, which is listed where it is behind the page's begin.
    fn take(
        &mut self,
        entry: FileEntry,
        is_behind: bool,
        unread: Option<cursor::Unread>,
    ) -> Result<(), ApiError> {
        if !self.filter.admits(&entry) {
            return Ok(());
        }
        self.response.sums.add(&entry.reading);
        if self.by.is_empty() {
            self.response.total += 1;
            if is_behind && self.response.files.len() < self.limit {
                self.response.files.push(entry);
                self.end = Some(self.begin.at(self.lines, unread));
            } else {
                self.has_more |= is_behind;
            }
            return Ok(());
        }
        self.groups.entry(self.key(&entry)).or_default().add(&entry.reading);
        if self.groups.len() > FILE_GROUPS_MAX {
            let message = format!("there are more than {FILE_GROUPS_MAX} groups");
            return Err(ApiError {
                suggestion: Some("a path or a time range".to_owned()),
                ..ApiError::new(ErrorKind::BadRequest, message)
            });
        }
        Ok(())
    }

    fn key(&self, entry: &FileEntry) -> GroupKey {
        let place = PathFacts::of(&entry.path);
        let reading = &entry.reading;
        let is_by = |dimension| self.by.contains(&dimension);
        let or_place = |known: &Option<String>, place: Option<&str>| {
            known.clone().or_else(|| place.map(str::to_owned)).unwrap_or_default()
        };
        [
            is_by(Dimension::Account).then(|| or_place(&reading.account, place.account)),
            is_by(Dimension::Region).then(|| or_place(&reading.region, place.region)),
            is_by(Dimension::Day).then(|| match (reading.first, place.day) {
                (None, Some(day)) => day.join("-"),
                (time, _) => time.or(entry.modified).map(day_of).unwrap_or_default(),
            }),
        ]
    }

    fn end(mut self) -> FilesResponse {
        self.response.cursor = self.end.filter(|_| self.has_more).map(|end| end.to_string());
        if !self.by.is_empty() {
            self.response.total = self.groups.len() as u64;
            let group = |([account, region, day], sums): (GroupKey, FileSums)| FileGroup {
                account,
                region,
                day,
                sums,
            };
            self.response.groups = self.groups.into_iter().take(self.limit).map(group).collect();
        }
        self.response
    }
}

fn day_of(time: Micros) -> String {
    time.to_string().chars().take("2023-07-10".len()).collect()
}
