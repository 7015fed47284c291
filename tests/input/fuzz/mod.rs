//! Fuzzing of whatever bytes come in from outside: files, records, queries, requests, the ledger.
//!
//! On stable Rust and without instrumentation: inputs are real ones (`tests/data`,
//! `docs/query-language.md`), cut up and joined (`mutate`); those that made a target do something that
//! none before did are kept and mutated further. A target does not only not panic, it checks what must
//! hold of each answer.
//!
//! Each target takes a second in the test command, always with the same inputs. The long form:
//! `TRAILDEX_FUZZ_SECONDS=600 cargo test --features failpoints --test input fuzz:: -- --nocapture`;
//! with a target's name behind `fuzz::`, that one alone; with `TRAILDEX_FUZZ_SEED=N`, the inputs of a run
//! that failed. An input that fails is kept in `target/tmp`, and belongs into an ordinary test.

mod documents;
mod files;
mod language;
mod ledger;
mod mutate;
mod records;
mod requests;
mod tables;

use std::collections::HashSet;
use std::fs;
use std::hash::{BuildHasher, Hash};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use bench::generate::random::Rng;
use mutate::Mutator;
use rustix::time::{ClockId, clock_gettime};
use xxhash_rust::xxh3::Xxh3DefaultBuilder;

/// What one target gets in the test command.
const SHORT: Duration = Duration::from_millis(1_000);

/// Processor time that any one input may take of this unoptimised program. Inputs have at most
/// [`mutate::INPUT_BYTES_MAX`] bytes, so what takes longer grows with more than their length.
const INPUT_CPU_MAX: Duration = Duration::from_secs(4);

/// An input that takes this long never ends: the clock on the wall, on a machine that does other things.
const HANG: Duration = Duration::from_secs(120);

/// Inputs kept to be mutated.
const POOL_MAX: usize = 4_000;

/// What a target did with an input, as a number: two inputs of the same number teach nothing new.
pub(crate) fn outcome(what: impl Hash) -> u64 {
    Xxh3DefaultBuilder::new().hash_one(what)
}

/// Runs a target on mutated seeds for its time, and fails with the first input that it fails for.
///
/// # Panics
///
/// When the target does, or takes too long.
pub(crate) fn fuzz(
    name: &str,
    seeds: Vec<Vec<u8>>,
    tokens: &[&str],
    mut run: impl FnMut(&[u8]) -> u64,
) {
    let setting = |name| std::env::var(name).ok().map(|text| text.parse().expect("a number"));
    let time = setting("TRAILDEX_FUZZ_SECONDS").map_or(SHORT, Duration::from_secs);
    let clock = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = setting("TRAILDEX_FUZZ_SEED");
    let seed = seed.unwrap_or_else(|| if time == SHORT { 1 } else { clock() });
    println!("{name}: seed {seed}, {} inputs to begin with", seeds.len());
    assert!(!seeds.is_empty());

    let watched = Watched::new(name);
    let mut seen = HashSet::new();
    let mut mutator = Mutator { random: Rng(seed), pool: seeds.clone(), tokens };
    let mut seeds = seeds.into_iter();
    let started = Instant::now();
    let (mut inputs, mut slowest) = (0_u64, Duration::ZERO);
    while started.elapsed() < time {
        let next = seeds.next();
        let is_seed = next.is_some();
        let input = next.unwrap_or_else(|| mutator.next());
        let began = cpu();
        let outcome = watched.run(&input, || run(&input));
        let took = cpu().saturating_sub(began);
        slowest = slowest.max(took);
        assert!(took <= INPUT_CPU_MAX, "{took:?} for {}", watched.keep(&input));
        inputs += 1;
        if seen.insert(outcome) && !is_seed {
            mutator.keep(input, POOL_MAX);
        }
    }
    println!(
        "{name}: {inputs} inputs in {:.0?}, {} outcomes, {slowest:.1?} the slowest",
        started.elapsed(),
        seen.len()
    );
}

/// Processor time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// The input that is being looked at, for whoever notices that it takes too long.
struct Watched {
    name: String,
    current: Arc<Mutex<Option<Since>>>,
}

/// An input, and since when.
type Since = (Instant, Vec<u8>);

impl Watched {
    fn new(name: &str) -> Self {
        let watched = Self { name: name.to_owned(), current: Arc::default() };
        let (name, current) = (watched.name.clone(), Arc::downgrade(&watched.current));
        thread::spawn(move || {
            while let Some(current) = current.upgrade() {
                if let Some((since, input)) = &*current.lock().unwrap()
                    && since.elapsed() > HANG
                {
                    eprintln!("{name}: this does not end: {}", keep(&name, input).display());
                    std::process::abort();
                }
                drop(current);
                thread::sleep(Duration::from_millis(200));
            }
        });
        watched
    }

    fn run(&self, input: &[u8], run: impl FnOnce() -> u64) -> u64 {
        *self.current.lock().unwrap() = Some((Instant::now(), input.to_vec()));
        let outcome = catch_unwind(AssertUnwindSafe(run));
        *self.current.lock().unwrap() = None;
        outcome.unwrap_or_else(|panic| {
            eprintln!("it fails for {}", self.keep(input));
            resume_unwind(panic)
        })
    }

    fn keep(&self, input: &[u8]) -> String {
        keep(&self.name, input).display().to_string()
    }
}

/// Writes an input that fails to where a person finds it.
pub(crate) fn keep(name: &str, input: &[u8]) -> PathBuf {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = dir.join(format!("fuzz-{name}-{:016x}", outcome(input)));
    fs::write(&path, input).unwrap();
    path
}

/// The sample trails' files of at most so many bytes, as they are.
pub(crate) fn sample_files(bytes_max: usize) -> Vec<Vec<u8>> {
    let mut dirs = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data")];
    let mut paths = Vec::new();
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { paths.push(path) }
        }
    }
    paths.sort();
    let files = paths.iter().map(|path| fs::read(path).unwrap());
    files.filter(|bytes| bytes.len() <= bytes_max).collect()
}

/// A folder in memory, where there is one: a target writes thousands of files a second.
pub(crate) fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir());
    made.expect("a temporary folder can be made")
}
