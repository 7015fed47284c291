//! Checks whether all files are as they were written, and whether the ledger agrees with the
//! events.

use std::path::Path;

use crate::manifest;
use crate::manifest::Manifest;
use crate::snapshot::Snapshot;
use segment::IndexError;
use segment::check::check_view;
use segment::file::Reading;
use segment::view::SegmentView;
use trail::time::Micros;

/// Problems listed; the rest are counted. A file for each of a lost segment's must not fill the
/// memory.
const PROBLEMS_MAX: usize = 1_000;

/// How many events of each file some segments hold, by the files' numbers, of which there are `files`.
/// The last counts events of files that there are not.
pub(crate) fn events_by_file<'v>(
    views: impl Iterator<Item = &'v SegmentView>,
    files: u64,
) -> Vec<u32> {
    let mut events = vec![0; files as usize + 1];
    for view in views {
        for doc in 0..view.events() {
            events[view.file(doc).min(files) as usize] += 1;
        }
    }
    events
}

/// A file's count in [`events_by_file`].
pub(crate) fn events_of(events: &[u32], file: u64) -> u64 {
    events.get(file as usize).map_or(0, |events| u64::from(*events))
}

/// Checks everything that one commit made count. Marks damaged segments, so that no search and no
/// merge reads them. Calls `read` with the number of bytes after each read; they add up to
/// [`bytes_to_check`]. `lacks_segments` says that the snapshot does not have all segments of the
/// commit.
pub fn verify(
    snapshot: &Snapshot,
    data_dir: &Path,
    segments_dir: &Path,
    read: &(dyn Fn(u64) + Sync),
    lacks_segments: bool,
) -> Report {
    let mut problems = Problems::default();
    match Manifest::read(data_dir) {
        Ok(Some(_)) => {}
        Ok(None) => problems.add(&data_dir.join(manifest::NAME), "it is missing".to_owned()),
        Err(error) => problems.add_error(data_dir, &error),
    }
    for view in &snapshot.segments {
        if let Err(error) = check_view(segments_dir, view, read) {
            problems.add_error(segments_dir, &error);
        }
    }
    let mut report = Report {
        segments: snapshot.segments.len() as u64,
        events: snapshot.events(),
        bytes: bytes_to_check(snapshot),
        ..Report::default()
    };
    if let Err(error) = compare(snapshot, lacks_segments, &mut report.files, &mut problems) {
        problems.add_error(data_dir, &error);
    }
    report.problems = problems.list();
    report.checked_at = Micros::now();
    report
}

/// Compares the ledger with the events. Of segments that are damaged nothing is believed, so that then
/// only too many events are a problem of their own.
fn compare(
    snapshot: &Snapshot,
    lacks_segments: bool,
    files: &mut u64,
    problems: &mut Problems,
) -> Result<(), IndexError> {
    snapshot.files.check(&snapshot.ledger)?;
    let whole: Vec<&SegmentView> =
        snapshot.segments.iter().map(|view| &**view).filter(|view| !view.is_damaged()).collect();
    let is_all_whole = !lacks_segments && whole.len() == snapshot.segments.len();
    for view in &whole {
        if view.keys.events() != view.events() as usize {
            let (keys, events) = (view.keys.events(), view.events());
            problems.add(Path::new(&view.entry.id), format!("{keys} keys of {events} events"));
        }
    }
    let numbers = snapshot.files.next_number();
    let events = events_by_file(whole.iter().copied(), numbers);
    snapshot.files.each_of(&snapshot.ledger, |record| {
        *files += 1;
        let found = events_of(&events, record.number);
        let expected = record.events().saturating_sub(record.reading.lost);
        // How many of them retention has dropped, nobody knows.
        let Reading { first, last, read_at, .. } = &record.reading;
        let may_lack = first.zip(*last).is_some_and(|(first, last)| {
            snapshot.expired.may_concern(first, last, read_at.unwrap_or(last))
        });
        if found > expected || found < expected && is_all_whole && !may_lack {
            let problem = format!("{found} events in place of {expected}");
            problems.add(Path::new(&record.key.path), problem);
        }
        Ok(())
    })?;
    match events_of(&events, numbers) {
        0 => {}
        n => problems.add(&snapshot.files.path(), format!("{n} events are of files it lacks")),
    }
    Ok(())
}

/// How many bytes [`verify`] reads of the segments.
pub fn bytes_to_check(snapshot: &Snapshot) -> u64 {
    snapshot.segments.iter().flat_map(|view| &view.entry.files).map(|file| file.bytes).sum()
}

/// The result of a check of the index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// When the check ended.
    pub checked_at: Micros,
    /// How many segments were checked.
    pub segments: u64,
    /// How many events these hold.
    pub events: u64,
    /// How many files the ledger lists.
    pub files: u64,
    /// Bytes whose hashes were compared.
    pub bytes: u64,
    /// What is wrong; past a bound, the last entry says how many more problems there are.
    pub problems: Vec<Problem>,
}

/// One fault that a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file concerned, of the index or of the archive; empty in the entry that counts the rest.
    pub path: String,
    /// What is wrong with the file, in words.
    pub problem: String,
}

#[derive(Default)]
struct Problems {
    listed: Vec<Problem>,
    unlisted: u64,
}

impl Problems {
    fn add(&mut self, path: &Path, problem: String) {
        if self.listed.len() < PROBLEMS_MAX {
            self.listed.push(Problem { path: path.display().to_string(), problem });
        } else {
            self.unlisted += 1;
        }
    }

    fn add_error(&mut self, place: &Path, error: &IndexError) {
        match error {
            IndexError::Damaged { path, reason } => self.add(path, reason.clone()),
            error => self.add(place, error.to_string()),
        }
    }

    fn list(mut self) -> Vec<Problem> {
        if self.unlisted > 0 {
            let problem = format!("and {} more problems", self.unlisted);
            self.listed.push(Problem { path: String::new(), problem });
        }
        self.listed
    }
}
