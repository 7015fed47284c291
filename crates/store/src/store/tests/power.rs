//! Power loss: every directory image that a crash could leave, by what POSIX promises and no more,
//! holds the last commit that returned, or a later one, whole.
//!
//! [`Recorder`] writes down every change to the data directory. For each point in time, images are
//! made in which what was not synced by then is there, not there, or torn, by chance, in any order.
//! `TRAILDEX_POWER_IMAGES=20` in the environment makes so many images a point, by chance; the seed and
//! the number of all images are printed.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Mutex;

use super::*;
use segment::disk::Output;

/// Images a point in time, beside the two extremes.
const IMAGES: u32 = 3;

/// A change to the data directory.
#[derive(Clone, Debug)]
enum Change {
    Create(PathBuf),
    Append(PathBuf, Vec<u8>),
    WriteAt(PathBuf, usize, Vec<u8>),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    SyncDir(PathBuf),
}

/// Does and writes down.
#[derive(Clone, Debug, Default)]
struct Recorder {
    changes: Arc<Mutex<Vec<Change>>>,
}

impl Recorder {
    fn note(&self, change: Change) {
        self.changes.lock().unwrap().push(change);
    }

    fn count(&self) -> usize {
        self.changes.lock().unwrap().len()
    }
}

struct Recorded {
    recorder: Recorder,
    path: PathBuf,
    output: Box<dyn Output>,
}

impl Disk for Recorder {
    fn create(&self, path: &Path) -> io::Result<Box<dyn Output>> {
        let output = RealDisk.create(path)?;
        self.note(Change::Create(path.to_owned()));
        Ok(Box::new(Recorded { recorder: self.clone(), path: path.to_owned(), output }))
    }

    fn write_at(&self, path: &Path, offset: u64, bytes: &[u8]) -> io::Result<()> {
        RealDisk.write_at(path, offset, bytes)?;
        self.note(Change::WriteAt(path.to_owned(), offset as usize, bytes.to_vec()));
        self.note(Change::Sync(path.to_owned()));
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)?;
        self.note(Change::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)?;
        self.note(Change::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        RealDisk.sync_dir(path)?;
        self.note(Change::SyncDir(path.to_owned()));
        Ok(())
    }
}

impl Write for Recorded {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.output.write(buffer)?;
        self.recorder.note(Change::Append(self.path.clone(), buffer[..written].to_vec()));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

impl Output for Recorded {
    fn sync(&mut self) -> io::Result<()> {
        self.output.sync()?;
        self.recorder.note(Change::Sync(self.path.clone()));
        Ok(())
    }
}

/// A file's bytes, by what is on disk and what the process has written.
#[derive(Clone, Debug, Default)]
struct Inode {
    durable: Vec<u8>,
    written: Vec<u8>,
}

/// A change of names that no sync of the directory made durable yet.
#[derive(Clone, Debug)]
enum Naming {
    Make(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl Naming {
    fn is_in(&self, dir: &Path) -> bool {
        let (Self::Make(path, _) | Self::Rename(_, path) | Self::Remove(path)) = self;
        path.parent() == Some(dir)
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Make(path, inode) => {
                names.insert(path.clone(), *inode);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

/// The disk as the changes so far left it.
#[derive(Clone, Debug, Default)]
struct Machine {
    inodes: Vec<Inode>,
    /// As the process sees them.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending: Vec<Naming>,
}

impl Machine {
    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.pending.push(naming);
    }

    fn inode(&mut self, path: &Path) -> &mut Inode {
        if !self.names.contains_key(path) {
            self.inodes.push(Inode::default());
            self.name(Naming::Make(path.to_owned(), self.inodes.len() - 1));
        }
        &mut self.inodes[self.names[path]]
    }

    fn apply(&mut self, change: &Change) {
        match change {
            Change::Create(path) => self.inode(path).written.clear(),
            Change::Append(path, bytes) => self.inode(path).written.extend(bytes),
            Change::WriteAt(path, offset, bytes) => {
                let written = &mut self.inode(path).written;
                written.truncate(*offset);
                written.resize(*offset, 0);
                written.extend(bytes);
            }
            Change::Sync(path) => {
                let inode = self.inode(path);
                inode.durable = inode.written.clone();
            }
            Change::Rename(from, to) => self.name(Naming::Rename(from.clone(), to.clone())),
            Change::Remove(path) => self.name(Naming::Remove(path.clone())),
            Change::SyncDir(dir) => {
                let (done, left) =
                    self.pending.drain(..).partition(|naming: &Naming| naming.is_in(dir));
                self.pending = left;
                let done: Vec<Naming> = done;
                for naming in done {
                    naming.apply(&mut self.durable_names);
                }
            }
        }
    }

    /// Writes out what a crash now could leave: `chance` says, of each thing that is not durable,
    /// whether it is there.
    fn crash(&self, root: &Path, image: &Path, chance: &mut dyn FnMut() -> Luck) {
        let mut names = self.durable_names.clone();
        for naming in &self.pending {
            if chance() != Luck::Lost {
                naming.apply(&mut names);
            }
        }
        fs::create_dir_all(image.join(SEGMENTS)).unwrap();
        for (path, inode) in names {
            let Inode { durable, written } = &self.inodes[inode];
            let bytes = if durable == written {
                durable.clone()
            } else {
                match chance() {
                    Luck::Lost => durable.clone(),
                    Luck::Kept => written.clone(),
                    // The length came through, and of the bytes some. What was synced before and is
                    // the same now is on disk either way.
                    Luck::Torn(share) => {
                        let mut bytes = written.clone();
                        let same = durable.iter().zip(written).take_while(|(a, b)| a == b).count();
                        let from = same + (bytes.len() - same) * share / 100;
                        bytes[from..].fill(0);
                        bytes
                    }
                }
            };
            fs::write(image.join(path.strip_prefix(root).unwrap()), bytes).unwrap();
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Luck {
    Lost,
    Kept,
    Torn(usize),
}

/// A store that is opened on what a killed process left, and the power goes while it is: its changes
/// join those that were not durable yet.
fn crash_while_opening(
    machine: &Machine,
    root: &Path,
    chance: &mut dyn FnMut() -> Luck,
    check: &mut dyn FnMut(&Path, usize),
) {
    let left = tempfile::tempdir().unwrap();
    machine.crash(root, left.path(), &mut || Luck::Kept);
    let recorder = Recorder::default();
    drop(Store::open_on(Arc::new(recorder.clone()), left.path(), CACHE).unwrap());
    let changes = recorder.changes.lock().unwrap().clone();
    let moved = |path: &Path| root.join(path.strip_prefix(left.path()).unwrap());
    let mut machine = machine.clone();
    for (n, change) in changes.into_iter().enumerate() {
        machine.apply(&match change {
            Change::Create(path) => Change::Create(moved(&path)),
            Change::Append(path, bytes) => Change::Append(moved(&path), bytes),
            Change::WriteAt(path, offset, bytes) => Change::WriteAt(moved(&path), offset, bytes),
            Change::Sync(path) => Change::Sync(moved(&path)),
            Change::Rename(from, to) => Change::Rename(moved(&from), moved(&to)),
            Change::Remove(path) => Change::Remove(moved(&path)),
            Change::SyncDir(path) => Change::SyncDir(moved(&path)),
        });
        let image = tempfile::tempdir().unwrap();
        machine.crash(root, image.path(), chance);
        check(image.path(), n);
    }
}

/// What the index holds: times of its events, and paths of its files.
type Contents = (Vec<i64>, Vec<String>);

fn contents(store: &Store) -> Contents {
    let mut events = times(store);
    events.sort_unstable();
    let mut files = Vec::new();
    let visit = |record: FileRecord| {
        files.push(record.key.path);
        Ok::<_, IndexError>(())
    };
    store.ledger().each(visit).unwrap();
    (events, files)
}

/// What had returned after so many changes.
struct Returned {
    changes: usize,
    contents: Contents,
}

/// Commits, merges and a rebuild; notes each state and when it was promised.
fn live(dir: &Path, recorder: &Recorder) -> Vec<Returned> {
    let mut store = Store::open_on(Arc::new(recorder.clone()), dir, CACHE).unwrap();
    let mut states = Vec::new();
    let note = |store: &Store, states: &mut Vec<Returned>| {
        let returned = Returned { changes: recorder.count(), contents: contents(store) };
        states.push(returned);
    };
    note(&store, &mut states);
    for number in 0..4 {
        let times: Vec<i64> = (0..3).map(|n| n * 10 + number).collect();
        let first = built(&store, number as u64 * 2, &times);
        let second = built(&store, number as u64 * 2 + 1, &[100 + number]);
        store.commit(vec![first, second]).unwrap();
        note(&store, &mut states);
    }
    for is_sorted in [true, false] {
        let inputs: Vec<_> = store.current.manifest.segments[1..4].to_vec();
        let merged = merge_of(&store, &inputs, is_sorted).unwrap();
        store.replace(&inputs, &[merged]).unwrap();
        note(&store, &mut states);
    }
    store.begin_rebuild(Micros(i64::MIN)).unwrap();
    let segment = built(&store, 0, &[1_000]);
    store.commit(vec![segment]).unwrap();
    store.promote().unwrap();
    note(&store, &mut states);
    let segment = built(&store, 1, &[1_001]);
    store.commit(vec![segment]).unwrap();
    note(&store, &mut states);
    states
}

#[test]
fn whatever_a_power_loss_leaves_is_the_last_commit_or_the_one_under_way() {
    let images = std::env::var("TRAILDEX_POWER_IMAGES");
    let images = images.map_or(IMAGES, |text| text.parse().unwrap());
    let seed: u64 = 0x5EED;
    println!("seed {seed}, {images} images by chance a point");
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::default();
    let states = live(dir.path(), &recorder);
    let changes = recorder.changes.lock().unwrap().clone();
    let mut machine = Machine::default();
    let mut random = seed;
    let mut next = move || {
        // SplitMix64.
        random = random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut n = random;
        n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    };
    let first_commit = states[0].changes;
    let mut made = 0;
    for (done, change) in changes.iter().enumerate() {
        machine.apply(change);
        let done = done + 1;
        if done < first_commit {
            continue;
        }
        let promised = states.iter().rposition(|state| state.changes <= done).unwrap();
        for n in 0..images + 2 {
            let mut by_chance = || match next() % 3 {
                0 => Luck::Lost,
                1 => Luck::Kept,
                _ => Luck::Torn((next() % 100) as usize),
            };
            let mut chance: Box<dyn FnMut() -> Luck> = match n {
                0 => Box::new(|| Luck::Lost),
                1 => Box::new(|| Luck::Kept),
                _ => Box::new(&mut by_chance),
            };
            let check = |image: &Path, what: &str| {
                let place = format!("image {n} after change {done}, {what}: {change:?}");
                let store = Store::open(image, CACHE).unwrap();
                assert_eq!(store.set_aside(), [""; 0], "{place}");
                let found = contents(&store);
                let expected = &states[promised].contents;
                assert!(
                    states[promised..].iter().take(2).any(|state| state.contents == found),
                    "{place}\nfound {found:?}\npromised {expected:?}"
                );
                assert_eq!(problems(&store), [""; 0]);
            };
            let image = tempfile::tempdir().unwrap();
            machine.crash(dir.path(), image.path(), &mut *chance);
            check(image.path(), "at once");
            made += 1;
            if n == 2 && matches!(change, Change::Rename(..) | Change::SyncDir(_)) {
                crash_while_opening(&machine, dir.path(), &mut *chance, &mut |image, opened| {
                    check(image, &format!("and {opened} of the next start"));
                });
            }
        }
    }
    println!("{made} images");
    assert!(made > 1_000);
}
