//! The ledger on a real file.

use segment::file::{FileState, Reading, Reject};

use super::*;
use segment::disk::RealDisk;
use trail::time::Micros;

fn key(path: &str, size: u64) -> FileKey {
    FileKey { path: path.to_owned(), size, mtime_ns: 2 }
}

fn record(number: u64, path: &str, size: u64) -> FileRecord {
    let rejects = vec![Reject { offset: 5, reason: "x".repeat(2_000) }];
    let reading = Reading {
        records: 4,
        duplicates: 1,
        rejected: 1,
        rejects,
        first: Some(Micros(7)),
        ..Reading::default()
    };
    FileRecord::new(number, key(path, size), FileState::Indexed, reading)
}

fn files(records: &[FileRecord]) -> Vec<Line> {
    records.iter().map(|record| Line::File(Box::new(record.clone()))).collect()
}

struct Place {
    dir: tempfile::TempDir,
    ledger: Ledger,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::create(dir.path(), "files.jsonl", &RealDisk).unwrap();
        Self { dir, ledger }
    }

    fn commit(&mut self, lines: Vec<Line>) {
        let appended = self.ledger.append(lines, &RealDisk).unwrap();
        self.ledger.publish(appended);
    }

    /// Each entry's number and state, and the sums, before and after a restart.
    fn check(&mut self, expected: &[(u64, FileState)]) -> LedgerCounts {
        let seen = |ledger: &Ledger| {
            let mut seen = Vec::new();
            let visit = |record: FileRecord| {
                assert_eq!(ledger.reader().get(record.number).unwrap(), Some(record.clone()));
                seen.push((record.number, record.state));
                Ok::<_, IndexError>(())
            };
            ledger.reader().each(visit).unwrap();
            assert_eq!(seen, expected);
            ledger.reader().check(ledger.extent()).unwrap();
            ledger.reader().counts()
        };
        let before = seen(&self.ledger);
        self.ledger = Ledger::open(self.dir.path(), self.ledger.extent().clone()).unwrap();
        let after = seen(&self.ledger);
        assert_eq!(format!("{before:?}"), format!("{after:?}"), "a restart changes nothing");
        after
    }

    fn is_known(&self, path: &str, size: u64) -> bool {
        self.ledger.reader().is_known(&key(path, size))
    }
}

#[test]
fn a_path_is_known_from_its_commit_on() {
    let mut place = Place::new();
    place.commit(files(&[record(0, "a", 1), record(1, "b", 1)]));
    let path = |place: &Place, number| {
        let path = place.ledger.reader().path_of(number).unwrap();
        path.map(|path| path.to_string())
    };
    for _ in 0..2 {
        assert_eq!(path(&place, 0).as_deref(), Some("a"));
        assert_eq!(path(&place, 1).as_deref(), Some("b"));
        assert_eq!(path(&place, 2), None);
    }
    place.commit(files(&[record(2, "c", 1)]));
    assert_eq!(path(&place, 2).as_deref(), Some("c"));
}

#[test]
fn only_what_was_published_counts_after_a_restart() {
    let mut place = Place::new();
    place.commit(files(&[record(0, "a", 1), record(2, "b", 1)]));
    place.ledger.append(files(&[record(3, "lost", 1)]), &RealDisk).unwrap();
    let counts = place.check(&[(0, FileState::Indexed), (2, FileState::Indexed)]);
    assert_eq!((counts.records, counts.duplicates, counts.rejected), (8, 2, 2));
    let reader = place.ledger.reader();
    assert_eq!(reader.get(1).unwrap(), None);
    assert_eq!(reader.get(3).unwrap(), None);
    assert_eq!(reader.next_number(), 3);
    assert!(place.is_known("a", 1) && place.is_known("b", 1));
    assert!(!place.is_known("lost", 1) && !place.is_known("a", 9));
    // What is appended next takes the place of what was not published.
    place.commit(files(&[record(3, "c", 1)]));
    place.check(&[(0, FileState::Indexed), (2, FileState::Indexed), (3, FileState::Indexed)]);
}

#[test]
fn a_later_reading_of_a_path_replaces_the_earlier_in_whatever_order_they_are_committed() {
    let mut place = Place::new();
    place.commit(files(&[record(0, "a", 1), record(1, "b", 1)]));
    place.commit(files(&[record(3, "a", 3), record(2, "a", 2)]));
    let replaced = FileState::Replaced;
    let counts = place.check(&[
        (0, replaced),
        (1, FileState::Indexed),
        (3, FileState::Indexed),
        (2, replaced),
    ]);
    assert_eq!((counts.files.indexed, counts.files.replaced), (2, 2));
    let known = [1, 2, 3].map(|size| place.is_known("a", size));
    assert_eq!(known, [false, false, true], "a file that is as it was once is read again");
}

#[test]
fn a_file_that_lost_events_is_unknown_until_it_is_read_again() {
    let mut place = Place::new();
    place.commit(files(&[record(0, "a", 1), record(1, "b", 1)]));
    let loss = |file, events| Line::Loss(Loss { file, events, at: Micros(1) });
    place.commit(vec![loss(0, 2), loss(1, 0)]);
    let counts = place.check(&[(0, FileState::Reread), (1, FileState::Reread)]);
    assert_eq!((counts.lost, counts.files.reread, counts.files.indexed), (2, 2, 0));
    assert!(!place.is_known("a", 1) && !place.is_known("b", 1));
    let entry = place.ledger.reader().get(0).unwrap().unwrap();
    assert_eq!(entry.reading.lost, 2);
    assert!(entry.reading.reason.unwrap().starts_with("2 of its events were in a damaged"));
    place.commit(vec![loss(0, 1)]);
    assert_eq!(place.check(&[(0, FileState::Reread), (1, FileState::Reread)]).lost, 3);
    place.commit(files(&[record(2, "a", 1)]));
    let counts =
        place.check(&[(0, FileState::Replaced), (1, FileState::Reread), (2, FileState::Indexed)]);
    assert_eq!((counts.lost, counts.files.reread), (0, 1));
    assert!(place.is_known("a", 1));
    // What is replaced cannot be read again.
    place.commit(vec![loss(0, 1)]);
    assert_eq!(place.ledger.reader().counts().lost, 1);
    // And what another content takes the place of is not back.
    place.commit(vec![loss(2, 4)]);
    place.commit(files(&[record(3, "a", 7)]));
    let counts = place.check(&[
        (0, FileState::Replaced),
        (1, FileState::Reread),
        (2, FileState::Replaced),
        (3, FileState::Indexed),
    ]);
    assert_eq!(counts.lost, 5);
}

#[test]
fn a_ledger_that_is_not_as_it_was_committed_is_named() {
    let mut place = Place::new();
    place.commit(files(&[record(0, "a", 1), record(1, "b", 1)]));
    let path = place.dir.path().join("files.jsonl");
    let extent = place.ledger.extent().clone();
    let whole = std::fs::read(&path).unwrap();
    let check = |bytes: &[u8], expected: &str| {
        std::fs::write(&path, bytes).unwrap();
        let error = Ledger::open(place.dir.path(), extent.clone()).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&whole[..10], &format!("10 bytes long, but {} were committed", whole.len()));
    let mut flipped = whole.clone();
    let at = memchr::memmem::find(&whole, b"xxxx").unwrap();
    flipped[at] ^= 1;
    check(&flipped, "its hash does not match");
}

/// What a fuzzer made of lines: the first took 74 petabytes of memory, the others counts below zero.
#[test]
fn a_line_that_no_writer_wrote_is_damage_and_takes_no_memory() {
    let place = Place::new();
    let path = place.dir.path().join("files.jsonl");
    let check = |record: &FileRecord, expected: &str| {
        let good = record_line(&self::record(0, "a", 1));
        let text = good + &record_line(record);
        std::fs::write(&path, &text).unwrap();
        let xxh3 = hash_text(xxhash_rust::xxh3::xxh3_64(text.as_bytes()));
        let extent =
            LedgerExtent { name: "files.jsonl".to_owned(), bytes: text.len() as u64, xxh3 };
        let error = Ledger::open(place.dir.path(), extent).err().unwrap().to_string();
        assert!(error.contains(expected), "{error}");
    };
    check(&record(u64::MAX >> 8, "b", 1), "far beyond those before it");
    check(&record(0, "b", 1), "two files have the same number");
    let mut twins = record(1, "b", 1);
    twins.reading.duplicates = 5;
    check(&twins, "more duplicates than records");
}

fn record_line(record: &FileRecord) -> String {
    serde_json::to_string(record).unwrap() + "\n"
}

#[test]
fn a_file_costs_at_most_32_bytes_of_memory() {
    let mut lines = Lines::default();
    let mut most = 0.0_f64;
    for number in 0..300_000_u64 {
        let path = format!("/archive/AWSLogs/111122223333/CloudTrail/us-east-1/{number}.json.gz");
        let record =
            FileRecord::new(number, key(&path, number), FileState::Indexed, Reading::default());
        lines.add(&(&record).into(), number * 300);
        // A constant is allowed beside.
        let grown = lines.memory().saturating_sub(64 << 10);
        most = most.max(grown as f64 / (number + 1) as f64);
    }
    assert!(lines.is_known(&key(
        "/archive/AWSLogs/111122223333/CloudTrail/us-east-1/299999.json.gz",
        299_999
    )));
    assert!(most <= 32.0, "{most} bytes a file");
    println!("at most {most:.1} bytes a file");
}
