//! The hash of every table that is keyed by text, bytes or numbers from outside.
//!
//! Strangers choose what records hold. With a hash whose seed they know, they would choose keys that
//! all meet in one place, and each look-up would walk through all of them. So the seed is drawn once
//! a process from the operating system's randomness, and is told to nobody. No hash of it is
//! written to disk.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use foldhash::SharedSeed;
use foldhash::{fast, quality};

/// A map whose keys come from outside.
pub type SeededMap<K, V> = HashMap<K, V, Seeded>;

/// A set whose members come from outside.
pub type SeededSet<T> = HashSet<T, Seeded>;

/// What all hashes of the process start from. The standard library draws it with `getrandom`.
struct ProcessSeed {
    shared: SharedSeed,
    own: u64,
}

static SEED: LazyLock<ProcessSeed> = LazyLock::new(|| {
    let random = RandomState::new();
    ProcessSeed { shared: SharedSeed::from_u64(random.hash_one(0)), own: random.hash_one(1) }
});

/// Makes the hashers of a table.
#[derive(Clone, Debug)]
pub struct Seeded(fast::SeedableRandomState);

impl Default for Seeded {
    fn default() -> Self {
        let ProcessSeed { shared, own } = &*SEED;
        Self(fast::SeedableRandomState::with_seed(*own, shared))
    }
}

impl BuildHasher for Seeded {
    type Hasher = <fast::SeedableRandomState as BuildHasher>::Hasher;

    #[inline]
    fn build_hasher(&self) -> Self::Hasher {
        self.0.build_hasher()
    }
}

/// A hash whose bits are all as good as random, for those who count with it: equal in every table
/// and every thread of this process.
pub fn spread_hash(of: &impl std::hash::Hash) -> u64 {
    let ProcessSeed { shared, own } = &*SEED;
    quality::SeedableRandomState::with_seed(*own, shared).hash_one(of)
}

/// A seed for hashes of other kinds, such as those of 128 bits.
pub fn process_seed() -> u64 {
    spread_hash(&"seed")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn tables_of_a_process_agree() {
        assert_eq!(Seeded::default().hash_one("a"), Seeded::default().hash_one("a"));
        assert_ne!(Seeded::default().hash_one("a"), Seeded::default().hash_one("b"));
        assert_eq!(spread_hash(&"a"), std::thread::spawn(|| spread_hash(&"a")).join().unwrap());
    }

    #[test]
    #[ignore = "the_seed_is_another_in_every_process runs it"]
    fn print_hashes() {
        println!("<{} {} {}>", Seeded::default().hash_one("a"), spread_hash(&"a"), process_seed());
    }

    #[test]
    fn the_seed_is_another_in_every_process() {
        let hashes = || -> Vec<u64> {
            let program = std::env::current_exe().unwrap();
            let test = ["--ignored", "--exact", "--nocapture", "seeded::tests::print_hashes"];
            let printed = Command::new(program).args(test).output().unwrap().stdout;
            let printed = String::from_utf8(printed).unwrap();
            let (_, rest) = printed.split_once('<').expect("the hashes");
            let (hashes, _) = rest.split_once('>').unwrap();
            hashes.split(' ').map(|hash| hash.parse().unwrap()).collect()
        };
        let (one, other) = (hashes(), hashes());
        assert_eq!(one.len(), 3);
        assert!(one.iter().zip(&other).all(|(one, other)| one != other), "{one:?} {other:?}");
    }
}
