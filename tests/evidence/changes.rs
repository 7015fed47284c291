//! Any one change of an archive is named, wherever it is; a file that was only compressed anew stays valid.

use std::fs;
use std::path::{Path, PathBuf};

use crate::chain::{Bench, gzip, write};
use crate::common::{contents, files_below};

/// Archives that are changed, unless `TRAILDEX_CHANGES` says how many.
const ROUNDS: usize = 60;

/// xorshift: small, and the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }

    fn of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// Two regions, and two trails in one of them, one of which rotates its key.
fn archive() -> Bench {
    let mut bench = Bench::new();
    let starts =
        [("us-east-1", "my_trail", 0), ("us-east-1", "second", 1), ("eu-west-1", "my_trail", 1)];
    for (region, trail, key) in starts {
        bench.chain.stop(0);
        (bench.chain.region, bench.chain.trail) = (region.to_owned(), trail.to_owned());
        (bench.chain.key, bench.chain.start) = (0, "2023-11-05T07:30:14Z".parse().unwrap());
        bench.chain.hour(2);
        bench.chain.hour(0);
        bench.chain.key = key;
        bench.chain.hour(1);
        bench.chain.save_metadata();
    }
    bench
}

fn is_metadata(path: &Path) -> bool {
    path.to_str().unwrap().ends_with(".metadata.json")
}

/// Changes one thing, and says what.
fn change(files: &[PathBuf], random: &mut Random) -> String {
    let objects: Vec<&PathBuf> = files.iter().filter(|path| !is_metadata(path)).collect();
    let path = *random.of(&objects);
    let elsewhere = |random: &mut Random| renamed(path, random);
    match random.below(7) {
        0 => {
            let mut content = contents(path);
            let at = random.below(content.len());
            content[at] ^= 1 << random.below(8);
            fs::write(path, gzip(&content, 6)).unwrap();
            format!("byte {at} of {}", path.display())
        }
        1 => {
            let mut content = contents(path);
            let at = random.below(content.len());
            if random.below(2) == 0 {
                content.truncate(at);
            } else {
                content.insert(at, b' ');
            }
            fs::write(path, gzip(&content, 6)).unwrap();
            format!("length at {at} of {}", path.display())
        }
        2 => {
            let path = random.of(files);
            fs::remove_file(path).unwrap();
            format!("removed {}", path.display())
        }
        3 => {
            let to = elsewhere(random);
            write(&to, b"");
            fs::rename(path, &to).unwrap();
            format!("renamed {} to {}", path.display(), to.display())
        }
        4 => {
            let to = elsewhere(random);
            write(&to, &fs::read(path).unwrap());
            format!("added {}", to.display())
        }
        5 => {
            let other = *random.of(&objects);
            let (a, b) = (fs::read(path).unwrap(), fs::read(other).unwrap());
            if contents(path) == contents(other) {
                fs::remove_file(path).unwrap();
                return format!("removed {}", path.display());
            }
            fs::write(path, b).unwrap();
            fs::write(other, a).unwrap();
            format!("swapped {} and {}", path.display(), other.display())
        }
        _ => {
            let tails = [&b"\n"[..], b"\0", b"x", b"\x1f\x8b"];
            let tail = random.of(&tails);
            fs::write(path, [&fs::read(path).unwrap()[..], tail].concat()).unwrap();
            format!("{tail:?} behind {}", path.display())
        }
    }
}

/// Another path for a file.
fn renamed(path: &Path, random: &mut Random) -> PathBuf {
    let text = path.to_str().unwrap();
    let changes = [
        ("/2023/11/05/", "/2023/11/04/"),
        ("11122223333", "11122223334"),
        ("-1/2023", "-2/2023"),
        ("_20231105T", "_20231106T"),
        ("AWSLogs", "p/AWSLogs"),
        (".json.gz", ".json"),
        (".json.gz", "x.json.gz"),
    ];
    let (from, to) = random.of(&changes);
    PathBuf::from(text.replace(from, to))
}

#[test]
fn any_one_change_is_named_and_compressing_anew_is_none() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let seed = number("TRAILDEX_SEED").unwrap_or(0x5EED_2023_1105);
    let rounds = number("TRAILDEX_CHANGES").map_or(ROUNDS, |rounds| rounds as usize);
    eprintln!("TRAILDEX_SEED={seed}");
    let mut random = Random(seed | 1);
    for _ in 0..rounds {
        let bench = archive();
        let files = files_below(&bench.copy);
        for path in files.iter().filter(|path| !is_metadata(path)) {
            if random.below(4) == 0 {
                fs::write(path, gzip(&contents(path), random.below(10) as u32)).unwrap();
            }
        }
        bench.validate().is_valid();
        let changed = change(&files, &mut random);
        eprintln!("{changed}");
        bench.validate().is_not_valid();
    }
}
