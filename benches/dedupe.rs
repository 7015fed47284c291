//! What it costs to know every event once, with ten million in the index: CPU time an event, as a
//! share of all that ingest spends on one in the same run, and memory.
//!
//! The keys of the ten million lie in files of the sizes that the merge policy leaves; they are
//! hashes of made-up ids, because a key's origin makes no difference to what it costs. `cargo bench
//! --bench dedupe -- 1000000` has another number of events.

mod support;

use std::fs::File;
use std::hint::black_box;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::sync::Arc;

use ingest::archive::Archive as ArchiveOnDisk;
use ingest::read::FileReader;
use ingest::walk::{FileWalk, Found};
use rustix::time::{ClockId, clock_gettime};
use segment::IndexError;
use segment::build::SegmentBuilder;
use segment::keys;
use segment::keys::KeySet;
use store::dedupe::{Claim, Dedupe};
use support::Archive;
use trail::content::{ContentHash, EventKey, id_hash};
use trail::flat::Event;
use trail::parse::{Origin, Parser, Reject, Sink};
use trail::split;
use trail::split::Piece;
use traildex::config::Config;
use traildex::daemon::{import_options, open_store};

/// Events of the archive that ingest is measured on: a few segments.
const ARCHIVE_EVENTS: u64 = 100_000;
const SEGMENT_EVENTS: u64 = 30_000;
/// Segments merged into one.
const FACTOR: u64 = 10;

fn main() {
    // `cargo bench` adds a flag of its own.
    let number = std::env::args().skip(1).find_map(|arg| arg.parse().ok());
    let committed: u64 = number.unwrap_or(10_000_000);
    let archive = Archive::generate(ARCHIVE_EVENTS);
    let texts = read(&archive);

    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let before_kb = resident_kb();
    let made = Made::new(dir.path(), committed);
    let dedupe = Dedupe::default();
    dedupe.set_committed(made.sets.clone());

    let hash_ns = hashing(&texts) / archive.generated.events as f64;
    let new_ns = claims(&dedupe, committed, |n| key(committed + n), Claim::New);
    let resident = resident_kb().saturating_sub(before_kb);
    dedupe.release_through(1);
    let copy_ns = claims(&dedupe, committed, |n| key(n * 7_919 % committed), Claim::Duplicate);
    let ingest_ns = ingest(&texts, Dedupe::default()) / archive.generated.events as f64;

    let kept: usize = made.sets.iter().map(KeySet::memory).sum();
    let sum = hash_ns + new_ns + made.write_ns + made.merge_ns;
    let share = |ns: f64| format!("{:5.1} %", ns / ingest_ns * 100.0);
    println!("\n{committed} events in the index, {} segments", made.sets.len());
    println!("{:<46} {:>9}  of ingest", "CPU time an event", "ns");
    for (what, ns) in [
        ("hash of the content", hash_ns),
        ("claim of a new event", new_ns),
        ("keys of its segment, sorted and written", made.write_ns),
        ("keys in all merges", made.merge_ns),
        ("all of it, for a new event", sum),
    ] {
        println!("{what:<46} {ns:>9.0}  {}", share(ns));
    }
    println!("{:<46} {copy_ns:>9.0}", "claim of a duplicate, which is not indexed");
    println!("{:<46} {ingest_ns:>9.0}", "all of ingest, but reading and large merges");
    println!("\nmemory");
    println!("{:<46} {:>9.2} bytes an event", "kept of the keys", kept as f64 / committed as f64);
    println!(
        "{:<46} {:>9.2} MB more than before",
        "resident after a million claims of new events",
        resident as f64 * 1024.0 / 1e6
    );
}

/// A key as an event with an id of its own has.
fn key(n: u64) -> EventKey {
    let mut content = ContentHash::default();
    content.0[..8].copy_from_slice(&n.to_be_bytes());
    EventKey { id: id_hash("111122223333", &n.to_string()), content }
}

/// The keys of so many events, on disk.
struct Made {
    sets: Vec<KeySet>,
    /// Nanoseconds of CPU an event.
    write_ns: f64,
    merge_ns: f64,
}

impl Made {
    /// Writes and merges as ingest does: segments of [`SEGMENT_EVENTS`], ten of a size into one.
    fn new(dir: &Path, events: u64) -> Self {
        let mut levels: Vec<Vec<(u64, KeySet)>> = vec![Vec::new()];
        let (mut write_ns, mut merge_ns) = (0.0, 0.0);
        let mut next = 0;
        let mut names = 0;
        let mut file = |dir: &Path| {
            names += 1;
            let path = dir.join(format!("{names}.keys"));
            let out = BufWriter::new(File::create(&path).expect("a file can be made"));
            (path, out)
        };
        while next < events {
            let count = SEGMENT_EVENTS.min(events - next);
            let keys: Vec<EventKey> = (next..next + count).map(key).collect();
            next += count;
            let (path, mut out) = file(dir);
            write_ns += cpu_ns(|| {
                keys::write(keys, Vec::new(), &mut out).expect("keys can be written");
                out.flush().expect("keys can be written");
            });
            levels[0].push((count, KeySet::open(&path).expect("keys can be read")));
            for level in 0.. {
                if (levels[level].len() as u64) < FACTOR {
                    break;
                }
                let inputs = std::mem::take(&mut levels[level]);
                let sets: Vec<KeySet> = inputs.iter().map(|(_, set)| set.clone()).collect();
                let (path, mut out) = file(dir);
                merge_ns += cpu_ns(|| {
                    keys::merge(&sets, &mut out).expect("keys can be merged");
                    out.flush().expect("keys can be merged");
                });
                let count = inputs.iter().map(|(count, _)| count).sum();
                if levels.len() == level + 1 {
                    levels.push(Vec::new());
                }
                levels[level + 1].push((count, KeySet::open(&path).expect("keys can be read")));
            }
        }
        let sets = levels.into_iter().flatten().map(|(_, set)| set).collect();
        Self { sets, write_ns: write_ns / events as f64, merge_ns: merge_ns / events as f64 }
    }
}

/// Claims a million events, or as many as there are.
fn claims(dedupe: &Dedupe, committed: u64, key: impl Fn(u64) -> EventKey, expected: Claim) -> f64 {
    let count = committed.min(1_000_000);
    let mut ns = 0.0;
    // A batch's worth at a time, as ingest has it.
    for batch in 0..count.div_ceil(2 * SEGMENT_EVENTS) {
        let first = batch * 2 * SEGMENT_EVENTS;
        let keys: Vec<EventKey> =
            (first..count.min(first + 2 * SEGMENT_EVENTS)).map(&key).collect();
        ns += cpu_ns(|| {
            for key in keys {
                assert_eq!(dedupe.claim(key, batch).expect("keys can be read"), expected);
            }
            dedupe.release_through(batch);
        });
    }
    ns / count as f64
}

fn read(archive: &Archive) -> Vec<Vec<u8>> {
    let limits = import_options(&Config::default(), Vec::new()).work.read;
    let mut reader = FileReader::new(limits);
    let files = FileWalk::new(&Arc::new(ArchiveOnDisk::new([archive.dir.path().to_owned()])))
        .filter(|(_, found)| matches!(found, Ok(Found::Trail(_))));
    let text = |path: &Path| {
        reader.read(&File::open(path).expect("it opens"), |content| content.bytes.to_vec())
    };
    let mut text = text;
    files.map(|(path, _)| text(&path).expect("a generated file can be read")).collect()
}

/// What parsing costs more for the hash: with it as ingest parses, without it as a search does.
fn hashing(texts: &[Vec<u8>]) -> f64 {
    let pieces: Vec<Vec<Piece<'_>>> = texts.iter().map(|text| split::collect(text).0).collect();
    let mut parser = Parser::default();
    let mut best = [f64::MAX; 2];
    for _ in 0..5 {
        let mut count = Count;
        best[0] = best[0].min(cpu_ns(|| {
            for file in &pieces {
                let Ok(()) = parser.parse_file(file, Origin::default(), &mut count);
            }
        }));
        best[1] = best[1].min(cpu_ns(|| {
            for piece in pieces.iter().flatten() {
                let Piece::Record { bytes, .. } = piece else { panic!("{piece:?} is no record") };
                black_box(parser.parse_record(bytes));
            }
        }));
    }
    best[0] - best[1]
}

struct Count;

impl Sink for Count {
    type Error = std::convert::Infallible;

    fn event(&mut self, event: &mut Event) -> Result<(), Self::Error> {
        black_box(event.key());
        Ok(())
    }

    fn reject(&mut self, reject: Reject) -> Result<(), Self::Error> {
        panic!("a generated record was rejected: {reject:?}");
    }
}

/// Everything that a worker does with a file's bytes, dedupe included.
fn ingest(texts: &[Vec<u8>], dedupe: Dedupe) -> f64 {
    let dir = tempfile::tempdir().expect("a temporary folder can be made");
    let store = open_store(dir.path(), &Config::default()).expect("a new index opens");
    let mut parser = Parser::default();
    let builder = || store.factory().builder().expect("a segment can be begun");
    let mut segment = Segment { builder: builder(), dedupe };
    cpu_ns(|| {
        for text in texts {
            let pieces = split::collect(text).0;
            parser.parse_file(&pieces, Origin::default(), &mut segment).expect("events are new");
            if u64::from(segment.builder.events()) >= SEGMENT_EVENTS {
                let done = std::mem::replace(&mut segment.builder, builder());
                done.finish().expect("a segment can be finished");
            }
        }
    })
}

struct Segment {
    builder: SegmentBuilder,
    dedupe: Dedupe,
}

impl Sink for Segment {
    type Error = IndexError;

    fn event(&mut self, event: &mut Event) -> Result<(), IndexError> {
        assert_eq!(self.dedupe.claim(event.key(), 1)?, Claim::New);
        self.builder.add(event);
        Ok(())
    }

    fn reject(&mut self, reject: Reject) -> Result<(), Self::Error> {
        panic!("a generated record was rejected: {reject:?}");
    }
}

/// Nanoseconds of this thread's CPU time.
fn cpu_ns(work: impl FnOnce()) -> f64 {
    let now = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 * 1e9 + time.tv_nsec as f64
    };
    let before = now();
    work();
    now() - before
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux says what is resident");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("it is there");
    line.split_whitespace().nth(1).and_then(|kb| kb.parse().ok()).expect("a number")
}
