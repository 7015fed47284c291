//! What digests say of the files of the index: a thread that judges again when files, digests, keys or
//! metadata have come, by the same judge as `traildex validate`, and from the hashes that ingest took.
//!
//! Where the archive has no digests, it does nothing. A digest that was read once is kept below the data
//! directory, and counts after it is gone from the archive.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use evidence::{Archive, Collector, Content, File, Filter, Finding, Kind, Options, Reading};
use segment::disk::RealDisk;
use segment::file::{FileRecord, FileState};
use segment::private;
use store::copies;
use store::snapshot::{Snapshot, SnapshotCell};
use store::verdicts::Verdicts;
use trail::time::Micros;
use wire::ValidateReport;

use super::read_limits;
use crate::config::Config;
use crate::evidence::{Disk, Given, resolved};

/// Between two looks at whether something has changed.
const LOOK: Duration = Duration::from_millis(500);

/// A judgement is followed by a pause of so many times its length: under a load it takes a tenth of a core.
const PAUSE: u32 = 10;

/// Bytes of digests that are kept below the data directory: those of a year and 17 regions, several times.
const KEPT_BYTES_MAX: u64 = 4 << 30;

/// Where digests are kept.
const DIGESTS: &str = "digests";

/// Flags of a file whose content is not all of one stretch of compressed data.
const NOT_PLAIN: [&str; 4] = ["second-member", "trailing-bytes", "log-members", "gzip-in-gzip"];

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Integrity {
    is_stopping: AtomicBool,
    judged: Mutex<Option<Arc<Judged>>>,
}

/// What a judgement found, and of which files: those whose number is less.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) report: ValidateReport,
    pub(super) next_number: u64,
}

/// What a judgement is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Basis {
    begun: Micros,
    next_number: u64,
    keys: Vec<(PathBuf, Option<SystemTime>, u64)>,
}

impl Integrity {
    pub(super) fn start(config: &Config, snapshots: &SnapshotCell) -> anyhow::Result<Arc<Self>> {
        let integrity = Arc::new(Self::default());
        let (own, config) = (Arc::clone(&integrity), config.clone());
        let snapshots = Arc::clone(snapshots);
        thread::Builder::new()
            .name("integrity".to_owned())
            .spawn(move || own.run(&config, &snapshots))?;
        Ok(integrity)
    }

    /// Ends the thread, soon.
    pub(super) fn stop(&self) {
        self.is_stopping.store(true, Ordering::Release);
    }

    /// What the last judgement found; None before the first, and without digests.
    pub(super) fn judged(&self) -> Option<Arc<Judged>> {
        self.judged.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn run(&self, config: &Config, snapshots: &SnapshotCell) {
        let mut judged = None;
        let mut next = Instant::now();
        while !self.is_stopping.load(Ordering::Acquire) {
            let snapshot = snapshots.load_full();
            let has_digests = snapshot.files.counts().files.digest > 0;
            let is_needed = has_digests || !snapshot.verdicts.load().is_empty();
            if is_needed && Instant::now() >= next {
                let basis = Basis {
                    begun: snapshot.begun,
                    next_number: snapshot.files.next_number(),
                    keys: stamps(&config.evidence.public_keys),
                };
                if judged.as_ref() != Some(&basis) {
                    let started = Instant::now();
                    match judge(config, &snapshot) {
                        Ok(report) => {
                            let next_number = basis.next_number;
                            let judged = Some(Arc::new(Judged { report, next_number }));
                            *self.judged.lock().unwrap_or_else(PoisonError::into_inner) = judged;
                        }
                        Err(error) => tracing::warn!(%error, "the digests cannot be judged"),
                    }
                    judged = Some(basis);
                    next = Instant::now() + started.elapsed() * PAUSE;
                }
            }
            thread::sleep(LOOK);
        }
    }
}

/// Judges all files of the index, and publishes the verdicts.
fn judge(config: &Config, snapshot: &Snapshot) -> anyhow::Result<ValidateReport> {
    let given = Given::read(&config.evidence.public_keys)?;
    for ignored in &given.ignored {
        tracing::warn!("{ignored}");
    }
    let roots = resolved(&config.evidence.roots);
    let archive = Indexed::new(config, snapshot);
    let filter = Filter::default();
    let bounds = config.evidence.bounds();
    let options = Options { roots: &roots, filter: &filter, metadata: &given.metadata, bounds };
    let (mut verdicts, mut collector) = (Verdicts::default(), Collector::default());
    evidence::validate_each(&archive, &given.keys, &options, &mut |finding| {
        if let Finding::File { state, number: Some(number), .. } = finding {
            verdicts.set(number, state);
        }
        collector.add(finding);
    });
    let data_dir = &config.index.data_dir;
    let (copies_max, mut has_left_out) = (config.evidence.copies_max(), false);
    copies::each(data_dir, snapshot.begun, |key, file| {
        if verdicts.copies() < copies_max {
            verdicts.repeat(key, file);
        } else {
            has_left_out = true;
        }
    })?;
    if has_left_out {
        collector.add(Finding::Note(format!(
            "more than {copies_max} events have good copies: others may show the state of a worse copy"
        )));
    }
    if let Err(error) = verdicts.save(data_dir, snapshot.begun, &RealDisk) {
        tracing::warn!(%error, "what the digests say cannot be saved; it is found again at the next start");
    }
    snapshot.verdicts.store(Arc::new(verdicts));
    let report = collector.report(given.keys.len());
    tracing::info!(is_verified = report.is_verified, keys = report.keys, "the digests were judged");
    Ok(report)
}

/// Names and times of the files that keys are read from.
fn stamps(paths: &[PathBuf]) -> Vec<(PathBuf, Option<SystemTime>, u64)> {
    let mut stamps = Vec::new();
    let mut waiting = paths.to_vec();
    while let Some(path) = waiting.pop() {
        let Ok(found) = fs::metadata(&path) else { continue };
        if found.is_dir() {
            let entries = fs::read_dir(&path).into_iter().flatten().flatten();
            waiting.extend(entries.map(|entry| entry.path()));
        }
        stamps.push((path, found.modified().ok(), found.len()));
    }
    stamps.sort();
    stamps
}

/// The files of the ledger, with the hashes that ingest took.
struct Indexed<'a> {
    snapshot: &'a Snapshot,
    disk: Disk,
    kept: Kept,
    watch: Vec<PathBuf>,
}

impl<'a> Indexed<'a> {
    fn new(config: &Config, snapshot: &'a Snapshot) -> Self {
        let limits = read_limits(config);
        let watch = config.watch.dirs.iter();
        let watch: Vec<PathBuf> = watch.filter_map(|dir| dir.canonicalize().ok()).collect();
        // What was imported is not watched.
        let roots = if watch.is_empty() { vec![PathBuf::from("/")] } else { watch.clone() };
        let folder = config.index.data_dir.join(DIGESTS);
        let kept = Disk::new(vec![folder.clone()], limits);
        Self {
            snapshot,
            disk: Disk::new(roots, limits),
            kept: Kept { bytes: Mutex::new(bytes_in(&folder)), disk: kept, folder },
            watch,
        }
    }
}

impl Archive for Indexed<'_> {
    fn walk(&self, each: &mut dyn FnMut(File)) {
        let walked = self.snapshot.files.each(|record| {
            if let Some(file) = file_of(record) {
                each(file);
            }
            Ok::<(), segment::IndexError>(())
        });
        if let Err(error) = walked {
            tracing::warn!(%error, "the ledger cannot be read");
        }
    }

    fn reading(&self, _: &str) -> Result<Reading, String> {
        Err("it was not read".to_owned())
    }

    fn content(&self, path: &str, bytes_max: usize) -> Result<Content, String> {
        match self.disk.content(path, bytes_max) {
            Ok(content) => {
                self.kept.keep(path, &self.disk);
                Ok(content)
            }
            Err(why) => self.kept.content(path, bytes_max).ok_or(why),
        }
    }

    fn is_asked(&self, path: &str) -> bool {
        self.watch.is_empty() || self.watch.iter().any(|dir| Path::new(path).starts_with(dir))
    }
}

/// What the ledger says of a file; None of keys, and of an earlier state of a digest.
fn file_of(record: FileRecord) -> Option<File> {
    let FileRecord { number, key, state, reading } = record;
    let path = key.path;
    let is_beside = evidence::is_digest_path(&path) || evidence::is_metadata_path(&path);
    let kind = match state {
        FileState::Digest if evidence::is_metadata_path(&path) => Kind::Metadata,
        FileState::Digest if evidence::is_digest_path(&path) => Kind::Digest,
        FileState::Digest => return None,
        FileState::Replaced if is_beside => return None,
        _ => Kind::Log,
    };
    let hash = reading.sha256.as_deref().and_then(evidence::hash);
    let is_plain = reading.flags.iter().all(|flag| !NOT_PLAIN.contains(&flag.as_str()));
    let known = match hash {
        Some(sha256) => Ok(Reading { sha256, has_trailing: !is_plain }),
        None => Err(reading.reason.unwrap_or_else(|| "it was not read".to_owned())),
    };
    Some(File { path, kind, number, known: Some(known) })
}

/// Copies of digests and of their metadata.
struct Kept {
    folder: PathBuf,
    disk: Disk,
    bytes: Mutex<u64>,
}

impl Kept {
    /// Where the copy of a file is. The name is of bounded length, and none that a stranger chose.
    fn path(&self, path: &str) -> PathBuf {
        self.folder.join(evidence::name_of_copy(path))
    }

    fn content(&self, path: &str, bytes_max: usize) -> Option<Content> {
        self.disk.content(self.path(path).to_str()?, bytes_max).ok()
    }

    /// Copies a file, unless there is a copy as long, or no room.
    fn keep(&self, path: &str, from: &Disk) {
        let to = self.path(path);
        let length = fs::metadata(&to).map(|found| found.len()).ok();
        let keep = || -> std::io::Result<()> {
            if length == Some(from.length(path)?) {
                return Ok(());
            }
            let bytes = from.raw(path, evidence::DIGEST_BYTES_MAX)?;
            let mut kept = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
            if *kept + bytes.len() as u64 > KEPT_BYTES_MAX {
                return Ok(());
            }
            *kept += bytes.len() as u64;
            drop(kept);
            private::create_dir_all(&self.folder)?;
            let new = to.with_extension("new");
            let mut options = private::options();
            let mut file = options.create(true).write(true).truncate(true).open(&new)?;
            std::io::Write::write_all(&mut file, &bytes)?;
            fs::rename(&new, &to)
        };
        if let Err(error) = keep() {
            tracing::warn!(file = path, %error, "a copy of a digest cannot be kept");
        }
    }
}

fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum()
}
