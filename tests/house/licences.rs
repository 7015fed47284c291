//! Every crate of the program may be used: its licence allows it, it comes from crates.io, and it is
//! none of those that must not be here. Reads `cargo metadata`; `deny.toml` says the same to people
//! who have cargo-deny.

use std::collections::{BTreeSet, HashMap};
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than their text to be kept.
const ALLOWED: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// Crates under another licence, with the reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "x509-certificate",
    "MPL-2.0",
    "in traildex-sql, by pgwire; its files are used as they are, and their source is at crates.io",
)];

/// Crates, each with the reason.
type Banned = &'static [(&'static str, &'static str)];

/// The programs of the workspace, a crate that each is known by, and those that must not come into each,
/// with the reason.
const PROGRAMS: &[(&str, &str, Banned)] = &[
    ("traildex", "tantivy", BANNED_IN_DAEMON),
    ("traildex-notify", "rustls", BANNED_IN_NOTIFY),
    ("traildex-sql", "datafusion", BANNED_IN_SQL),
];

const BANNED_IN_DAEMON: &[(&str, &str)] = &[
    ("datafusion", "SQL has a program of its own"),
    ("openssl", "there is nothing to encrypt on a local socket"),
    ("openssl-sys", "there is nothing to encrypt on a local socket"),
    ("native-tls", "there is nothing to encrypt on a local socket"),
    ("rustls", "there is nothing to encrypt on a local socket"),
    ("reqwest", "the program opens no connection to anywhere"),
    ("rsa", "RUSTSEC-2023-0071"),
    ("serde_yaml", "not maintained"),
];

const BANNED_IN_SQL: &[(&str, &str)] = &[
    ("openssl", "it opens no connection to anywhere"),
    ("openssl-sys", "it opens no connection to anywhere"),
    ("native-tls", "it opens no connection to anywhere"),
    ("reqwest", "it opens no connection to anywhere"),
    ("rsa", "RUSTSEC-2023-0071"),
    ("serde_yaml", "not maintained"),
];

const BANNED_IN_NOTIFY: &[(&str, &str)] = &[
    ("aws-lc-rs", "ring is there already"),
    ("openssl", "rustls is there"),
    ("openssl-sys", "rustls is there"),
    ("native-tls", "rustls is there"),
    ("reqwest", "ureq is there"),
    ("rsa", "RUSTSEC-2023-0071"),
    ("serde_yaml", "not maintained"),
    ("tantivy", "it asks as a client, and knows no index"),
    ("webpki-roots", "whom to trust is the system's, and its owner's"),
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// The crates that are built for this machine, tests and benches included.
fn packages() -> Vec<Value> {
    let Value::Array(packages) = metadata()["packages"].take() else { panic!("no packages") };
    assert!(packages.len() > 50);
    packages
}

fn metadata() -> Value {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let host = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(host.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The names of all packages that a program is made of, those of its tests included.
fn packages_of(program: &str) -> BTreeSet<String> {
    let metadata = metadata();
    let nodes: HashMap<&str, &Value> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (node["id"].as_str().unwrap(), node))
        .collect();
    let packages = metadata["packages"].as_array().unwrap();
    let name_of: HashMap<&str, &str> = packages
        .iter()
        .map(|package| (package["id"].as_str().unwrap(), package["name"].as_str().unwrap()))
        .collect();
    let root = packages.iter().find(|package| package["name"] == program).unwrap();
    let mut waiting = vec![root["id"].as_str().unwrap()];
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        if found.insert(id) {
            let dependencies = nodes[id]["dependencies"].as_array().unwrap();
            waiting.extend(dependencies.iter().map(|id| id.as_str().unwrap()));
        }
    }
    found.into_iter().map(|id| name_of[id].to_owned()).collect()
}

/// Whether an SPDX expression can be met with allowed licences alone. A slash is an old `OR`.
fn is_allowed(expression: &str) -> bool {
    let spaced = expression.replace('(', " ( ").replace(')', " ) ").replace('/', " OR ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let (is_allowed, rest) = any_of(&tokens);
    assert!(rest.is_empty(), "{expression}: cannot be read from {rest:?}");
    is_allowed
}

fn any_of<'a, 'b>(tokens: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    let (mut is_met, mut rest) = all_of(tokens);
    while let ["OR", after @ ..] = rest {
        let (other, after) = all_of(after);
        is_met |= other;
        rest = after;
    }
    (is_met, rest)
}

fn all_of<'a, 'b>(tokens: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    let (mut is_met, mut rest) = one(tokens);
    while let ["AND", after @ ..] = rest {
        let (other, after) = one(after);
        is_met &= other;
        rest = after;
    }
    (is_met, rest)
}

fn one<'a, 'b>(tokens: &'a [&'b str]) -> (bool, &'a [&'b str]) {
    match tokens {
        ["(", inside @ ..] => match any_of(inside) {
            (is_met, [")", rest @ ..]) => (is_met, rest),
            (_, rest) => (false, rest),
        },
        [licence, "WITH", exception, rest @ ..] => {
            (ALLOWED.contains(&format!("{licence} WITH {exception}").as_str()), rest)
        }
        [licence, rest @ ..] => (ALLOWED.contains(licence), rest),
        [] => (false, tokens),
    }
}

#[test]
fn every_crate_has_a_licence_that_is_allowed() {
    let mut refused = Vec::new();
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or("none stated");
        let is_exception =
            EXCEPTIONS.iter().any(|(name, of, _)| package["name"] == *name && licence == *of);
        if !is_allowed(licence) && !is_exception {
            refused.push(format!("{} {}: {licence}", package["name"], package["version"]));
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}

#[test]
fn every_crate_comes_from_crates_io() {
    for package in packages() {
        let manifest = package["manifest_path"].as_str().unwrap();
        let is_ours =
            package["source"].is_null() && manifest.starts_with(env!("CARGO_MANIFEST_DIR"));
        assert!(
            is_ours || package["source"] == CRATES_IO,
            "{} {}",
            package["id"],
            package["source"]
        );
    }
}

#[test]
fn no_program_has_a_crate_that_is_banned_in_it() {
    for (program, sign, banned) in PROGRAMS {
        let packages = packages_of(program);
        assert!(packages.contains(*sign), "{packages:?}");
        for (name, reason) in *banned {
            assert!(!packages.contains(*name), "{program} has {name}: {reason}");
        }
    }
}

/// A part of the index's files is what these crates make of them, and we read and write the same bytes
/// ourselves: no other version comes in by itself, nor two beside each other.
#[test]
fn tantivy_is_pinned_and_of_one_version() {
    let packages = packages();
    let is_tantivy = |name: &Value| name.as_str().is_some_and(|name| name.starts_with("tantivy"));
    let ours = packages.iter().filter(|package| package["source"].is_null());
    let needed = ours.flat_map(|package| package["dependencies"].as_array().unwrap());
    let mut pinned = BTreeSet::new();
    for dependency in needed.filter(|dependency| is_tantivy(&dependency["name"])) {
        let version = dependency["req"].as_str().unwrap().strip_prefix('=');
        let version = version.unwrap_or_else(|| panic!("{} is not pinned", dependency["name"]));
        pinned.insert(version.to_owned());
    }
    for name in ["tantivy", "tantivy-columnar", "tantivy-sstable"] {
        let found: Vec<_> = packages.iter().filter(|package| package["name"] == name).collect();
        assert_eq!(found.len(), 1, "{name}");
        pinned.insert(found[0]["version"].as_str().unwrap().to_owned());
    }
    assert_eq!(pinned.len(), 1, "{pinned:?}");
}

#[test]
fn expressions_are_met_as_they_say() {
    assert!(is_allowed("MIT OR GPL-3.0"));
    assert!(is_allowed("GPL-3.0/MIT"));
    assert!(is_allowed("(MIT OR GPL-3.0) AND Unicode-3.0"));
    assert!(is_allowed("Apache-2.0 WITH LLVM-exception OR GPL-3.0"));
    assert!(!is_allowed("MIT AND GPL-3.0"));
    assert!(!is_allowed("GPL-3.0 WITH Classpath-exception"));
    assert!(!is_allowed("(MIT AND GPL-3.0) OR AGPL-3.0"));
}
