//! Where events stand, file by file. They come in the order of time, and a file is read once: so their places
//! wait on disk, spread over some files, one of which is in memory at a time.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::Hash;
use crate::event::Sought;
use crate::limits::{BUCKET_PLACES_MAX, BUCKETS};

/// Bytes of a place on disk.
const BYTES: usize = 4 + 8 + 8 + 8 + 32 + 32;

/// Places that wait.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    buckets: Vec<BufWriter<File>>,
    counts: [u64; BUCKETS],
}

/// One place: the number of the file, and the number of the event.
struct Placed {
    file: u32,
    event: u64,
    sought: Sought,
}

impl Spool {
    /// Makes the folder anew, which is removed when the places were read.
    pub fn create(folder: &Path) -> io::Result<Self> {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)?;
        let bucket = |number| File::create(folder.join(format!("{number}"))).map(BufWriter::new);
        let buckets = (0..BUCKETS).map(bucket).collect::<Result<_, _>>()?;
        Ok(Self { folder: folder.to_owned(), buckets, counts: [0; BUCKETS] })
    }

    /// Adds the place of an event in a file. Fails where there are too many.
    pub fn add(&mut self, file: u32, event: u64, sought: &Sought) -> io::Result<()> {
        let number = file as usize % BUCKETS;
        if self.counts[number] >= BUCKET_PLACES_MAX {
            let error = format!("more than {BUCKET_PLACES_MAX} events are from a few files");
            return Err(io::Error::other(error));
        }
        self.counts[number] += 1;
        let bucket = &mut self.buckets[number];
        bucket.write_all(&file.to_le_bytes())?;
        for number in [event, sought.offset, sought.length] {
            bucket.write_all(&number.to_le_bytes())?;
        }
        bucket.write_all(&sought.sha256)?;
        bucket.write_all(&sought.line)
    }

    /// Hands over the places of each file, with the numbers of their events.
    pub fn each_file<E: From<io::Error>>(
        mut self,
        mut each: impl FnMut(u32, &[(u64, Sought)]) -> Result<(), E>,
    ) -> Result<(), E> {
        for bucket in &mut self.buckets {
            bucket.flush()?;
        }
        let mut places = Vec::new();
        for number in 0..BUCKETS {
            let mut placed = read(&self.folder.join(format!("{number}")))?;
            placed.sort_by_key(|placed| (placed.file, placed.sought.offset, placed.event));
            for of_file in placed.chunk_by(|a, b| a.file == b.file) {
                places.clear();
                places.extend(of_file.iter().map(|placed| (placed.event, placed.sought)));
                each(of_file[0].file, &places)?;
            }
        }
        fs::remove_dir_all(&self.folder)?;
        Ok(())
    }
}

fn read(path: &Path) -> io::Result<Vec<Placed>> {
    let file = File::open(path)?;
    let count = file.metadata()?.len() as usize / BYTES;
    let mut file = BufReader::new(file);
    let mut placed = Vec::with_capacity(count);
    let mut bytes = [0; BYTES];
    for _ in 0..count {
        file.read_exact(&mut bytes)?;
        placed.push(parse(&bytes));
    }
    Ok(placed)
}

fn parse(bytes: &[u8; BYTES]) -> Placed {
    let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| bytes[at + byte]));
    let hash = |at: usize| -> Hash { std::array::from_fn(|byte| bytes[at + byte]) };
    let file = u32::from_le_bytes(std::array::from_fn(|byte| bytes[byte]));
    let sought =
        Sought { offset: number(12), length: number(20), sha256: hash(28), line: hash(60) };
    Placed { file, event: number(4), sought }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_come_back_file_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(&folder.path().join("places")).unwrap();
        let sought = |offset: u64| Sought {
            offset,
            length: 7,
            sha256: [offset as u8; 32],
            line: [(offset / 256) as u8; 32],
        };
        for event in 0..1_000 {
            spool.add((event % 130) as u32, event, &sought(2_000 - event)).unwrap();
        }
        let mut seen = 0;
        spool
            .each_file(|file, places| {
                assert!(places.is_sorted_by_key(|(_, sought)| sought.offset));
                for (event, placed) in places {
                    assert_eq!((event % 130, *placed), (u64::from(file), sought(2_000 - event)));
                    seen += 1;
                }
                Ok::<(), io::Error>(())
            })
            .unwrap();
        assert_eq!(seen, 1_000);
        assert!(!folder.path().join("places").exists());
    }
}
