//! The spool of a target: changes on disk that wait for their delivery, in order.
//!
//! A folder of segments, each named by the number of its first entry, and a file `position`. An entry
//! is a line of JSON that ends in a line's end. What is appended is on the disk when [`Spool::append`]
//! returns. A line that is torn at the end of the last segment was never acknowledged, and is cut off.
//! A line that is broken elsewhere is a fault of the disk: it is kept in `damaged`, told and counted.
//!
//! `position` says what was delivered. It is written after each delivery and not synced: after a power
//! loss it may be older, and entries are delivered once more, with the same keys.
//!
//! A reader appends, and one deliverer takes from the front. A target's epoch names a time in which
//! the daemon's numbers only grew; within one, what was appended before is not appended again.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::disk;

/// A segment takes no more entries beyond this: small enough to be deleted soon after its delivery.
const SEGMENT_BYTES: u64 = 1 << 20;

/// What waits for its delivery.
pub(crate) struct Spool {
    folder: PathBuf,
    /// Beyond so many bytes that wait, nothing more should be read.
    bytes_max: u64,
    inner: Mutex<Inner>,
    changed: Condvar,
}

struct Inner {
    /// First numbers of the segments on disk, oldest first.
    segments: VecDeque<u64>,
    active: Option<Active>,
    waiting: VecDeque<Waiting>,
    bytes: u64,
    /// Of the next entry.
    next: u64,
    appended: Option<Place>,
    is_stopped: bool,
}

/// The segment that is written to: the last one.
struct Active {
    file: File,
    bytes: u64,
}

/// Where an entry is.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    seq: u64,
    segment: u64,
    offset: u64,
    bytes: u32,
    /// When this process came to know it.
    since: Instant,
}

/// A place in what the daemon told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place {
    pub epoch: u64,
    pub number: u64,
}

/// A line of a segment.
#[derive(Serialize, Deserialize)]
struct Line<C> {
    seq: u64,
    /// None for a dead letter that is tried again.
    place: Option<Place>,
    change: C,
}

/// What was delivered last.
#[derive(Debug, Default, Clone, Copy, Serialize, Deserialize)]
struct Position {
    seq: u64,
    place: Option<Place>,
}

/// An entry at the front.
#[derive(Debug)]
pub(crate) struct Entry {
    pub seq: u64,
    pub place: Option<Place>,
    pub change: Change,
    pub since: Instant,
}

/// How much waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backlog {
    pub entries: usize,
    pub bytes: u64,
}

/// What was found at the opening beside whole entries.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Found {
    /// Bytes cut off the end.
    pub torn_bytes: u64,
    /// Lines set aside.
    pub damaged: u64,
}

impl Spool {
    /// Opens the spool in a folder, which is made if there is none.
    pub(crate) fn open(folder: &Path, bytes_max: u64) -> io::Result<(Self, Found)> {
        disk::make_folder(folder)?;
        let position = read_position(folder)?;
        let mut inner = Inner {
            segments: segments(folder)?.into(),
            active: None,
            waiting: VecDeque::new(),
            bytes: 0,
            next: position.seq + 1,
            appended: position.place,
            is_stopped: false,
        };
        let mut found = Found::default();
        let segments: Vec<u64> = inner.segments.iter().copied().collect();
        for (at, segment) in segments.iter().enumerate() {
            let is_last = at + 1 == segments.len();
            inner.load(folder, *segment, is_last, position.seq, &mut found)?;
        }
        inner.drop_delivered(folder);
        let (folder, inner, changed) = (folder.to_owned(), Mutex::new(inner), Condvar::new());
        Ok((Self { folder, bytes_max, inner, changed }, found))
    }

    /// Appends those that were not appended before, and syncs them. Returns how many they were. After
    /// an error none was appended.
    pub(crate) fn append(&self, changes: &[(Option<Place>, Change)]) -> io::Result<usize> {
        let mut inner = self.lock();
        let appended = inner.append(&self.folder, changes)?;
        self.changed.notify_all();
        Ok(appended)
    }

    /// The oldest entry; waits for one at most so long. None where there is none, or after a stop.
    pub(crate) fn front(&self, wait: Duration) -> io::Result<Option<Entry>> {
        let inner = self.lock();
        let is_idle = |inner: &mut Inner| inner.waiting.is_empty() && !inner.is_stopped;
        let waited = self.changed.wait_timeout_while(inner, wait, is_idle);
        let inner = waited.unwrap_or_else(PoisonError::into_inner).0;
        let waiting = inner.waiting.front().copied().filter(|_| !inner.is_stopped);
        drop(inner);
        let Some(waiting) = waiting else { return Ok(None) };
        let mut bytes = vec![0; waiting.bytes as usize];
        let file = File::open(segment_path(&self.folder, waiting.segment))?;
        file.read_exact_at(&mut bytes, waiting.offset)?;
        let line: Line<Change> = serde_json::from_slice(&bytes)?;
        let Waiting { seq, since, .. } = waiting;
        Ok(Some(Entry { seq, place: line.place, change: line.change, since }))
    }

    /// Takes the entry off the front: it was delivered, or is a dead letter.
    pub(crate) fn done(&self, entry: &Entry) -> io::Result<()> {
        let mut inner = self.lock();
        let place = entry.place.or_else(|| read_position(&self.folder).ok()?.place);
        let position = Position { seq: entry.seq, place };
        if inner.waiting.front().is_some_and(|front| front.seq == entry.seq) {
            inner.bytes -= u64::from(inner.waiting[0].bytes);
            inner.waiting.pop_front();
        }
        inner.drop_delivered(&self.folder);
        self.changed.notify_all();
        drop(inner);
        let bytes = serde_json::to_vec(&position)?;
        disk::replace(&self.folder.join("position"), &bytes, disk::Sync::No)
    }

    /// The place of what was appended last.
    pub(crate) fn appended(&self) -> Option<Place> {
        self.lock().appended
    }

    /// Whether as much waits as may.
    pub(crate) fn is_full(&self) -> bool {
        self.lock().bytes >= self.bytes_max
    }

    /// Waits until there is room, or after a stop.
    pub(crate) fn wait_for_room(&self) {
        let inner = self.lock();
        let is_full = |inner: &mut Inner| inner.bytes >= self.bytes_max && !inner.is_stopped;
        drop(self.changed.wait_while(inner, is_full));
    }

    #[cfg(test)]
    fn backlog(&self) -> Backlog {
        let inner = self.lock();
        Backlog { entries: inner.waiting.len(), bytes: inner.bytes }
    }

    /// Ends all waiting; nothing is at the front any more.
    pub(crate) fn stop(&self) {
        self.lock().is_stopped = true;
        self.changed.notify_all();
    }

    /// Waits so long, or until a stop. Says whether it goes on.
    pub(crate) fn pause(&self, pause: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.lock(), pause, |inner| !inner.is_stopped);
        !waited.unwrap_or_else(PoisonError::into_inner).0.is_stopped
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Reads a segment's entries.
    fn load(
        &mut self,
        folder: &Path,
        segment: u64,
        is_last: bool,
        delivered: u64,
        found: &mut Found,
    ) -> io::Result<()> {
        let path = segment_path(folder, segment);
        let bytes = fs::read(&path)?;
        let mut offset = 0;
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = serde_json::from_slice::<Line<Change>>(piece).ok();
            match line.filter(|_| piece.ends_with(b"\n")) {
                Some(line) if line.seq >= self.next || line.seq <= delivered => {
                    self.take(&line, segment, offset, piece.len(), delivered);
                }
                // A line of an append that had failed; it was appended again behind it.
                Some(_) => {}
                None if is_last && offset + piece.len() == bytes.len() => {
                    found.torn_bytes += piece.len() as u64;
                    let file = File::options().write(true).open(&path)?;
                    file.set_len(offset as u64)?;
                    file.sync_data()?;
                    break;
                }
                None => {
                    found.damaged += 1;
                    let mut file = disk::append_to(&folder.join("damaged"))?;
                    file.write_all(piece)?;
                }
            }
            offset += piece.len();
        }
        if is_last {
            let file = disk::append_to(&path)?;
            // A kill may have come before the sync; a cursor that counts on these lines follows.
            file.sync_data()?;
            disk::sync_folder_of(&path)?;
            self.active = Some(Active { file, bytes: offset as u64 });
        }
        Ok(())
    }

    fn take(
        &mut self,
        line: &Line<Change>,
        segment: u64,
        offset: usize,
        bytes: usize,
        delivered: u64,
    ) {
        self.next = self.next.max(line.seq + 1);
        if let Some(place) = line.place {
            // Epochs are not ordered; the last line has the last one.
            let is_older = line.seq <= delivered;
            self.appended = self.appended.filter(|_| is_older).or(Some(place));
        }
        if line.seq > delivered {
            let (offset, bytes) = (offset as u64, bytes as u32);
            self.bytes += u64::from(bytes);
            let since = Instant::now();
            self.waiting.push_back(Waiting { seq: line.seq, segment, offset, bytes, since });
        }
    }

    fn append(&mut self, folder: &Path, changes: &[(Option<Place>, Change)]) -> io::Result<usize> {
        let mut lines = Vec::new();
        let mut ends = Vec::new();
        let (mut next, mut appended) = (self.next, self.appended);
        for (place, change) in changes {
            if let (Some(place), Some(last)) = (place, appended)
                && place.epoch == last.epoch
                && place.number <= last.number
            {
                continue;
            }
            serde_json::to_writer(&mut lines, &Line { seq: next, place: *place, change })?;
            lines.push(b'\n');
            ends.push((next, lines.len() as u64));
            next += 1;
            appended = place.or(appended);
        }
        if ends.is_empty() {
            return Ok(0);
        }
        self.begin_segment(folder)?;
        let segment = *self.segments.back().expect("a segment has begun");
        let active = self.active.as_mut().expect("a segment has begun");
        let start = active.bytes;
        if let Err(error) = active.file.write_all(&lines).and_then(|()| active.file.sync_data()) {
            // What a failed sync has left is not known: nothing is appended behind it.
            if active.file.set_len(start).is_err() {
                // Lines that stay may be read at the next start: nothing else has their numbers.
                self.next = next;
            }
            self.active = None;
            return Err(error);
        }
        active.bytes += lines.len() as u64;
        let (mut offset, since) = (0, Instant::now());
        for &(seq, end) in &ends {
            let bytes = (end - offset) as u32;
            let waiting = Waiting { seq, segment, offset: start + offset, bytes, since };
            self.waiting.push_back(waiting);
            offset = end;
        }
        self.bytes += lines.len() as u64;
        (self.next, self.appended) = (next, appended);
        Ok(ends.len())
    }

    /// Makes a new segment where there is none to append to.
    fn begin_segment(&mut self, folder: &Path) -> io::Result<()> {
        if self.active.as_ref().is_some_and(|active| active.bytes < SEGMENT_BYTES) {
            return Ok(());
        }
        let path = segment_path(folder, self.next);
        // One of that name has no entry that was appended.
        drop(disk::create(&path)?);
        let file = disk::append_to(&path)?;
        disk::sync_folder_of(&path)?;
        self.active = Some(Active { file, bytes: 0 });
        if self.segments.back() != Some(&self.next) {
            self.segments.push_back(self.next);
        }
        Ok(())
    }

    /// Deletes the segments of which all was delivered, but for the one that is written to.
    fn drop_delivered(&mut self, folder: &Path) {
        let needed = self.waiting.front().map_or(self.next, |front| front.segment);
        while self.segments.len() > 1 && self.segments[0] < needed {
            let segment = self.segments.pop_front().expect("there is more than one");
            // One that stays is read once more at the next start.
            let _ = fs::remove_file(segment_path(folder, segment));
        }
    }
}

fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.ndjson"))
}

fn segments(folder: &Path) -> io::Result<Vec<u64>> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let first = name.to_str().and_then(|name| name.strip_suffix(".ndjson"));
        segments.extend(first.and_then(|first| first.parse::<u64>().ok()));
    }
    segments.sort_unstable();
    Ok(segments)
}

/// One that cannot be read says nothing: what the segments hold is delivered once more.
fn read_position(folder: &Path) -> io::Result<Position> {
    let bytes = disk::read(&folder.join("position"))?.unwrap_or_default();
    Ok(serde_json::from_slice(&bytes).unwrap_or_default())
}

/// How much waits in a folder that another process may be using.
pub(crate) fn look(folder: &Path) -> io::Result<Backlog> {
    let position = read_position(folder)?;
    let mut backlog = Backlog { entries: 0, bytes: 0 };
    let segments = if folder.is_dir() { segments(folder)? } else { Vec::new() };
    for segment in segments {
        let bytes = disk::read(&segment_path(folder, segment))?.unwrap_or_default();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = serde_json::from_slice::<Line<serde::de::IgnoredAny>>(piece);
            if line.is_ok_and(|line| line.seq > position.seq) {
                backlog.entries += 1;
                backlog.bytes += piece.len() as u64;
            }
        }
    }
    Ok(backlog)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(number: u64) -> (Option<Place>, Change) {
        let alert = serde_json::Map::new();
        let (key, log, time) = (format!("k{number}"), "log".to_owned(), String::new());
        let change = Change { key, log, number, time, change: "raised".to_owned(), alert };
        (Some(Place { epoch: 7, number }), change)
    }

    fn open(folder: &Path) -> (Spool, Found) {
        Spool::open(folder, 1 << 20).unwrap()
    }

    /// Numbers of all that waits; the spool is as if it had been delivered.
    fn drain(spool: &Spool) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Some(entry) = spool.front(Duration::ZERO).unwrap() {
            numbers.push(entry.change.number);
            spool.done(&entry).unwrap();
        }
        numbers
    }

    fn only_segment(folder: &Path) -> PathBuf {
        let [first] = segments(folder).unwrap()[..] else { panic!("not one segment") };
        segment_path(folder, first)
    }

    #[test]
    fn entries_stay_in_order_until_they_are_done() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = open(folder.path());
        assert_eq!(spool.append(&[change(1), change(2), change(3)]).unwrap(), 3);
        let entry = spool.front(Duration::ZERO).unwrap().unwrap();
        assert_eq!(entry.change, change(1).1);
        spool.done(&entry).unwrap();
        drop(spool);
        let (spool, _) = open(folder.path());
        assert_eq!(spool.backlog().entries, 2);
        assert_eq!(look(folder.path()).unwrap().entries, 2);
        assert_eq!(drain(&spool), [2, 3]);
        drop(spool);
        let (spool, _) = open(folder.path());
        assert_eq!(drain(&spool), [0_u64; 0]);
    }

    #[test]
    fn what_was_appended_is_not_appended_again() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = open(folder.path());
        spool.append(&[change(1), change(2)]).unwrap();
        drop(spool);
        // Not delivered: known by the last line.
        let (spool, _) = open(folder.path());
        assert_eq!(spool.append(&[change(1), change(2), change(4)]).unwrap(), 1);
        assert_eq!(drain(&spool), [1, 2, 4]);
        fs::remove_file(only_segment(folder.path())).unwrap();
        // Delivered: known by the position.
        let (spool, _) = open(folder.path());
        assert_eq!(spool.append(&[change(3), change(4)]).unwrap(), 0);
        // Another epoch's numbers begin again.
        let other = (Some(Place { epoch: 8, number: 1 }), change(1).1);
        assert_eq!(spool.append(&[other]).unwrap(), 1);
        drop(spool);
        let (spool, _) = open(folder.path());
        assert_eq!(spool.append(&[(Some(Place { epoch: 8, number: 1 }), change(1).1)]).unwrap(), 0);
    }

    #[test]
    fn a_torn_end_is_cut_off_wherever_it_is_torn() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = open(folder.path());
        spool.append(&[change(1), change(2)]).unwrap();
        drop(spool);
        let path = only_segment(folder.path());
        let whole = fs::read(&path).unwrap();
        let second = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for end in second..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let (spool, found) = open(folder.path());
            assert_eq!(found.torn_bytes, (end - second) as u64);
            assert_eq!(spool.backlog().entries, 1, "torn at {end}");
            assert_eq!(spool.append(&[change(2)]).unwrap(), 1);
            drop(spool);
            assert_eq!(fs::read(&path).unwrap(), whole, "torn at {end}");
        }
    }

    #[test]
    fn a_broken_line_in_the_middle_costs_itself_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = open(folder.path());
        spool.append(&[change(1), change(2), change(3)]).unwrap();
        drop(spool);
        let path = only_segment(folder.path());
        let text = fs::read_to_string(&path).unwrap().replace("\"k2\"", "\"k2\u{1}");
        fs::write(&path, text).unwrap();
        let (spool, found) = open(folder.path());
        assert_eq!((found.damaged, found.torn_bytes), (1, 0));
        assert_eq!(drain(&spool), [1, 3]);
        assert!(fs::read_to_string(folder.path().join("damaged")).unwrap().contains("k2"));
    }

    #[test]
    fn a_lost_position_delivers_again_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = open(folder.path());
        spool.append(&[change(1), change(2)]).unwrap();
        drain(&spool);
        drop(spool);
        fs::write(folder.path().join("position"), "").unwrap();
        let (spool, _) = open(folder.path());
        spool.append(&[change(2), change(3)]).unwrap();
        assert_eq!(drain(&spool), [1, 2, 3]);
    }

    #[test]
    fn segments_end_and_go_away() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = open(folder.path());
        let mut numbers = 1..;
        for _ in 0..40 {
            let batch: Vec<_> = numbers.by_ref().take(50).map(big).collect();
            spool.append(&batch).unwrap();
        }
        assert!(spool.is_full() && segments(folder.path()).unwrap().len() > 2);
        drop(spool);
        let (spool, _) = open(folder.path());
        assert_eq!(drain(&spool), (1..=2000).collect::<Vec<u64>>());
        assert_eq!(segments(folder.path()).unwrap().len(), 1);
        assert!(!spool.is_full());
        assert_eq!(spool.append(&[change(2001)]).unwrap(), 1);
        assert_eq!(drain(&spool), [2001]);
    }

    fn big(number: u64) -> (Option<Place>, Change) {
        let (place, mut change) = change(number);
        change.alert.insert("query".to_owned(), "x".repeat(2000).into());
        (place, change)
    }

    #[test]
    fn a_full_disk_appends_nothing_and_the_next_append_all() {
        let folder = tempfile::tempdir().unwrap();
        let (spool, _) = open(folder.path());
        spool.append(&[change(1)]).unwrap();
        // A file that takes nothing stands for the disk.
        let full = File::options().append(true).open("/dev/full").unwrap();
        spool.lock().active = Some(Active { file: full, bytes: 0 });
        assert!(spool.append(&[change(2)]).is_err());
        assert_eq!(spool.append(&[change(2), change(3)]).unwrap(), 2);
        drop(spool);
        let (spool, _) = open(folder.path());
        assert_eq!(drain(&spool), [1, 2, 3]);
    }
}
