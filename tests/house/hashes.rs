//! Strangers choose the names and values in records. A table that is keyed by what they choose takes
//! its hashes from `trail::seeded`, or from the standard library, which draws a seed for each table.
//! This looks for all others.

use crate::layers::{packages, sources};

/// Packages that make hashes without a seed of their own.
const UNSEEDED: &[&str] = &["ahash", "fnv", "fxhash", "rapidhash", "rustc-hash", "siphasher"];

/// What stands in the source of a hash that may have a known seed.
const SIGNS: &[&str] = &[
    "BuildHasherDefault",
    "DefaultHasher",
    "FixedState",
    "HashTable",
    "Murmur",
    "Xxh3",
    "hashbrown::HashMap",
    "hashbrown::HashSet",
    "impl Hasher for",
    "impl BuildHasher for",
    "with_hasher",
    "xxh3_",
];

/// The files that have such a sign, each with the reason why nobody can flood a table there.
const ALLOWED: &[(&str, &str)] = &[
    ("crates/search/src/run/cursor.rs", "no table: a client's cursor is compared with its search"),
    ("crates/search/src/run/meaning.rs", "the process's seed"),
    ("crates/segment/src/check.rs", "no table: the hash of a file"),
    ("crates/segment/src/column_words.rs", "the hash on disk is sorted; the table is seeded"),
    ("crates/segment/src/directory.rs", "no table: the hash of a file"),
    ("crates/segment/src/sealed.rs", "no table: the hash of a file"),
    ("crates/segment/src/write/distinct.rs", "a seed of each segment's own"),
    ("crates/store/src/ledger.rs", "no table: the hash of a file"),
    ("crates/store/src/ledger/lines.rs", "keyed by the hash of a path in the archive"),
    ("crates/store/src/manifest.rs", "no table: the hash of a file"),
    ("crates/trail/src/content.rs", "no table: what an event is known by"),
    ("crates/trail/src/paths.rs", "seeded, by its field `hash`"),
    ("crates/trail/src/seeded.rs", "this is it"),
    ("crates/trail/src/words.rs", "no table: it stands for the rest of a long word"),
    ("src/daemon/files/cursor.rs", "no table: a client's cursor is compared with its list"),
];

#[test]
fn every_table_that_strangers_can_fill_has_a_seed() {
    let has_sign = |text: &str| {
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        SIGNS.iter().any(|sign| code.contains(sign))
    };
    let is_test = |path: &str| path.contains("tests") || path.ends_with("testing.rs");
    let mut found: Vec<String> = sources()
        .into_iter()
        .filter(|(path, text)| !is_test(path) && has_sign(text))
        .map(|(path, _)| path)
        .collect();
    found.sort();
    let allowed: Vec<&str> = ALLOWED.iter().map(|(path, _)| *path).collect();
    assert_eq!(found, allowed, "say in `ALLOWED` why nobody can flood it, or use `trail::seeded`");
    for (package, dependencies) in packages() {
        for unseeded in UNSEEDED {
            assert!(!dependencies.iter().any(|name| name == unseeded), "{package} uses {unseeded}");
        }
        let is_seeded = dependencies.iter().any(|name| name == "foldhash");
        assert_eq!(is_seeded, package == "trail", "`trail::seeded` alone gives foldhash its seed");
    }
}
