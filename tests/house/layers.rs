//! What the compiler cannot keep of the structure: which crate may know which, where unsafe code is,
//! how long a file may be, that documents name what there is.
//!
//! That a crate uses nothing but what it states, and that nothing goes round in a circle, cargo sees
//! itself.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use toml::Table;

/// Libraries that only these crates may use.
const CONFINED: &[(&str, &[&str])] = &[
    ("anyhow", &["server", "lookup", "bench", "traildex-notify", "traildex-sql", "traildex"]),
    ("axum", &["client", "server", "lookup", "web", "traildex-sql"]),
    ("clap", &["traildex-notify", "traildex-sql", "traildex"]),
    ("csv", &["formats"]),
    ("csv-core", &["tables"]),
    // It takes long to build, and only one program is to.
    ("datafusion", &["traildex-sql"]),
    ("flate2", &["ingest", "tables"]),
    ("hyper", &["client", "server", "lookup", "web"]),
    ("libdeflate-sys", &["ingest"]),
    ("libdeflater", &["bench"]),
    ("lru", &["segment"]),
    ("maxminddb", &["enrich"]),
    ("md-5", &["evidence"]),
    ("memmap2", &["ingest"]),
    ("notify", &["ingest"]),
    ("parquet", &["formats", "tables"]),
    ("rayon", &["evidence", "search", "ingest", "bench"]),
    ("regex-syntax", &["search"]),
    ("ring", &["evidence"]),
    // The daemon has no TLS and no HTTP client that leaves the machine.
    ("rustls", &["traildex-notify"]),
    ("simd-json", &["trail"]),
    ("snap", &["tables"]),
    ("tar", &["bundle"]),
    ("tantivy", &["segment", "store", "search"]),
    ("tantivy-sstable", &["segment"]),
    // The demo stops the daemon that it started in its own process.
    ("tokio", &["client", "server", "lookup", "web", "traildex-sql", "traildex"]),
    ("toml", &["lookup", "traildex-notify", "traildex-sql", "traildex"]),
    ("unicode-normalization", &["search"]),
    ("yaml_serde", &["detect"]),
    ("ureq", &["traildex-notify"]),
    ("zstd", &["segment", "ingest", "tables"]),
];

/// Programs beside the daemon: each is asked for by its own name, and no crate knows it.
const BESIDE: &[&str] = &["traildex-notify", "traildex-sql"];

/// The files with unsafe code.
const UNSAFE: &[&str] =
    &["crates/ingest/src/inflate.rs", "crates/ingest/src/read.rs", "crates/segment/src/sigbus.rs"];

const LINES_MAX: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifest(path: &Path) -> Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

/// The workspace's crates in the order in which the root's manifest lists them, lowest first.
fn layers() -> Vec<String> {
    folders().into_iter().map(|(name, _)| name).collect()
}

/// The same, each with its folder's name below `crates`.
fn folders() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let of_ours = |line: &str| {
        let (name, value) = line.split_once(" = ")?;
        let (_, folder) = value.split_once("path = \"crates/")?;
        Some((name.to_owned(), folder.split('"').next()?.to_owned()))
    };
    let folders: Vec<(String, String)> = text.lines().filter_map(of_ours).collect();
    assert!(folders.len() > 10, "{folders:?}");
    folders
}

/// Name and dependencies, those of its tests left out, of each package.
pub(crate) fn packages() -> Vec<(String, Vec<String>)> {
    let mut manifests = vec![root().join("Cargo.toml")];
    let of_crate = |folder: &str| root().join("crates").join(folder).join("Cargo.toml");
    manifests.extend(folders().iter().map(|(_, folder)| of_crate(folder)));
    let read = |path: &PathBuf| {
        let manifest = manifest(path);
        let name = manifest["package"]["name"].as_str().unwrap().to_owned();
        let dependencies = manifest["dependencies"].as_table().unwrap().keys().cloned().collect();
        (name, dependencies)
    };
    manifests.iter().map(read).collect()
}

/// Every Rust file of the program below `src` and `crates`, with its path.
pub(crate) fn sources() -> Vec<(String, String)> {
    let mut files = rust_files(&root().join("src"));
    files.extend(rust_files(&root().join("crates")));
    let named = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), text)
    };
    let sources: Vec<_> = files.into_iter().map(named).collect();
    assert!(sources.len() > 150, "the sources were not found");
    sources
}

/// Every Rust file below a directory.
fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { rust_files(&path) } else { vec![path] };
    let mut files: Vec<PathBuf> = entries
        .flat_map(below)
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_crate_knows_only_those_below_it() {
    let layers = layers();
    let found: BTreeSet<String> = fs::read_dir(root().join("crates"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(folders().into_iter().map(|(_, folder)| folder).collect::<BTreeSet<_>>(), found);
    for (name, dependencies) in packages() {
        let layer = |name: &str| layers.iter().position(|known| known == name);
        let own = layer(&name).unwrap_or(layers.len());
        for dependency in dependencies {
            assert!(
                layer(&dependency).is_none_or(|lower| lower < own),
                "{name} knows {dependency}"
            );
        }
    }
}

#[test]
fn nobody_knows_the_programs_beside_the_daemon() {
    for (name, dependencies) in packages() {
        let known = dependencies.iter().find(|name| BESIDE.contains(&name.as_str()));
        assert!(known.is_none(), "{name} knows {known:?}");
    }
    // What `cargo build` and `cargo run` build, where nothing else is said, is the daemon.
    let workspace = &manifest(&root().join("Cargo.toml"))["workspace"];
    assert!(workspace.get("default-members").is_none());
}

#[test]
fn the_face_of_every_crate_is_documented_and_no_wider_than_it_says() {
    for (name, folder) in folders() {
        let text = fs::read_to_string(root().join(format!("crates/{folder}/src/lib.rs"))).unwrap();
        assert!(text.contains("#![warn(missing_docs, unreachable_pub)]"), "{name}");
    }
}

#[test]
fn the_log_tells_of_every_crate() {
    let log = fs::read_to_string(root().join("src/cli/log.rs")).unwrap();
    let named: BTreeSet<&str> =
        log.split("const OURS").nth(1).unwrap().split(';').next().unwrap().split('"').collect();
    // A program beside the daemon has a log of its own.
    for name in layers().iter().filter(|name| !BESIDE.contains(&name.as_str())) {
        assert!(named.contains(name.as_str()), "src/cli/log.rs does not name {name}");
    }
}

#[test]
fn libraries_are_confined_to_their_crates() {
    for (name, dependencies) in packages() {
        for (library, crates) in CONFINED {
            let is_used = dependencies.iter().any(|dependency| dependency == library);
            assert!(!is_used || crates.contains(&name.as_str()), "{name} uses {library}");
        }
    }
}

#[test]
fn unsafe_code_is_in_three_files_only() {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let has_unsafe = |text: &str| {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.into_iter().any(|line| {
            line.match_indices("unsafe").any(|(at, word)| {
                !line[..at].ends_with(is_name) && !line[at + word.len()..].starts_with(is_name)
            })
        })
    };
    let found: Vec<String> =
        sources().into_iter().filter(|(_, text)| has_unsafe(text)).map(|(path, _)| path).collect();
    assert_eq!(found, UNSAFE);
}

#[test]
fn every_metric_is_documented() {
    let text = fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let documented: BTreeSet<&str> = names_of_metrics(&text, '`').collect();
    let sources = sources();
    let measured: BTreeSet<&str> =
        sources.iter().flat_map(|(_, text)| names_of_metrics(text, '"')).collect();
    assert!(measured.len() > 30, "{measured:?}");
    assert_eq!(documented, measured);
}

/// What is in such quotes and begins as a metric does.
fn names_of_metrics(text: &str, quote: char) -> impl Iterator<Item = &str> {
    text.split(quote).filter(|part| {
        part.strip_prefix("traildex_").is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())
        })
    })
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = sources()
        .iter()
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines > LINES_MAX)
        .map(|(path, lines)| format!("{path}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}
