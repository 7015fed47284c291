//! The layering of the modules, and which crate is known where: read from the sources, so that it
//! holds until somebody changes this file.
//!
//! Tests inside the sources may import what they like.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Modules, lowest layer first; those of one row may import each other. A module is in the row that
/// names it or, most closely, one above it.
const LAYERS: &[&[&str]] = &[
    &["limits"],
    &["sigbus", "zstd_contexts"],
    &["sample"],
    &["event"],
    &["query::ast", "query::check", "query::parameters", "query::parse", "query::syntax"],
    // What the socket's two ends and the searches share: the engine's trait and its cancel.
    &["api::proto", "api"],
    &["query::time"],
    &["ingest::split", "ingest::parse", "ingest::repair"],
    &["config"],
    &["index"],
    &["ingest"],
    &["query::bins", "query::fields", "query::form", "query::plan", "query::run", "query"],
    &["api::client", "api::server"],
    &["api::aws"],
    &["daemon"],
    &["bench"],
    &["cli"],
    &["main", "lib"],
];

/// What a lower layer holds and a module must still not know: module, what it may not import, why.
const FORBIDDEN: &[(&str, &str, &str)] = &[
    ("index", "ingest", "the index does not know how files are found or read"),
    ("index", "query", "the index does not know the language"),
    ("index", "config", "settings are passed in"),
    ("ingest", "query", "reading files does not know the language"),
    ("ingest", "config", "settings are passed in"),
    ("query", "config", "settings are passed in"),
    ("query", "ingest::work", "a search parses records, and knows no files"),
    ("query", "ingest::read", "a search parses records, and knows no files"),
    ("query::parse", "event", "a query's text is read without knowing what fields there are"),
    ("query::ast", "event", "the tree knows no fields"),
    ("api::server", "index", "the server asks its engine"),
    ("api::server", "query", "the server asks its engine"),
    ("api::aws", "index", "LookupEvents asks the engine"),
    ("api::aws", "config", "settings are passed in"),
    ("api::client", "index", "a client knows what travels on the socket"),
    ("api::client", "query", "a client knows what travels on the socket"),
];

/// Crates that only these files may name; a folder ends in a slash.
const CONFINED: &[(&str, &[&str])] = &[
    ("tantivy", &["index/", "query/plan.rs", "query/plan/"]),
    ("tantivy_sstable", &["index/write/columns.rs"]),
    ("notify", &["ingest/watch.rs"]),
    ("memmap2", &["ingest/read.rs"]),
    ("zstd", &["ingest/read.rs", "index/records.rs", "zstd_contexts.rs"]),
    ("lru", &["index/cache.rs"]),
    ("regex_syntax", &["query/form.rs"]),
    ("flate2", &["ingest/read.rs"]),
    ("libdeflate_sys", &["ingest/inflate.rs"]),
    ("libdeflater", &["bench/"]),
    ("simd_json", &["ingest/parse/json.rs"]),
    ("rayon", &["ingest/mod.rs", "index/pieces.rs", "bench/"]),
    ("sha2", &["ingest/tally.rs", "api/aws/sigv4.rs"]),
    ("hmac", &["api/aws/sigv4.rs"]),
    ("hex", &["api/aws/sigv4.rs"]),
    ("uuid", &["api/aws/mod.rs"]),
    ("fail", &["index/steps.rs"]),
    ("libc", &["sigbus.rs"]),
    // The demo stops the daemon that it started in its own process.
    ("tokio", &["api/", "daemon.rs", "daemon/manager.rs", "cli/demo.rs"]),
    ("axum", &["api/"]),
    ("listenfd", &["api/server/socket.rs"]),
    ("csv", &["api/csv.rs"]),
    ("uzers", &["api/server/access.rs"]),
    ("hyper", &["api/"]),
    ("hyper_util", &["api/"]),
    ("clap", &["cli/", "main.rs"]),
    ("comfy_table", &["cli/"]),
    ("clap_mangen", &["cli/man.rs"]),
    ("textwrap", &["cli/table.rs"]),
    ("crossterm", &["cli/output.rs"]),
    ("shlex", &["cli/output.rs"]),
    ("signal_hook", &["cli/output.rs"]),
    ("indicatif", &["cli/export.rs", "cli/import.rs", "cli/rebuild.rs", "cli/verify.rs"]),
    ("toml", &["config/", "config.rs", "api/aws/keys.rs"]),
    ("base64", &["query/run/cursor.rs", "query/run/tail.rs"]),
    ("schemars", &["api/proto.rs", "api/proto/", "api/server/openapi.rs", "event/time.rs"]),
    ("parquet", &["api/export/parquet.rs"]),
    ("futures_util", &["api/server/"]),
    ("anyhow", &["cli/", "daemon.rs", "daemon/", "bench/", "api/server/socket.rs", "api/aws/"]),
    (
        "xxhash_rust",
        &[
            "event/words.rs",
            "event/content.rs",
            "index/",
            "query/run/cursor.rs",
            "query/run/meaning.rs",
        ],
    ),
    ("mimalloc", &["main.rs"]),
];

const UNSAFE: &[&str] = &["ingest/inflate.rs", "ingest/read.rs", "sigbus.rs", "zstd_contexts.rs"];

const LINES_MAX: usize = 600;

/// A source file without comments, texts and tests.
struct Source {
    /// Below `src`, with slashes.
    path: String,
    /// `ingest::work`.
    module: Vec<String>,
    code: String,
    lines: usize,
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut dirs = vec![root.clone()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { dirs.push(path) } else { files.push(path) }
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    files.sort();
    let mut sources: Vec<Source> = files.iter().map(|path| source(&root, path)).collect();
    let tests: BTreeSet<Vec<String>> = sources.iter().flat_map(test_modules).collect();
    // What cargo runs before it compiles is no module.
    sources.retain(|source| !tests.contains(&source.module) && source.path != "build.rs");
    for source in &mut sources {
        source.code = without_tests(&source.code);
    }
    assert!(sources.len() > 50, "the sources were not found");
    sources
}

fn source(root: &Path, path: &PathBuf) -> Source {
    let text = fs::read_to_string(path).unwrap();
    let path = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    let stem = path.strip_suffix(".rs").unwrap();
    let stem = stem.strip_suffix("/mod").unwrap_or(stem);
    let module = stem.split('/').map(str::to_owned).collect();
    let code = without_texts(&text);
    Source { path, module, code, lines: text.lines().count() }
}

/// The code with comments left out and texts emptied.
fn without_texts(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let is_inside_name = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if rest.starts_with("//") {
            rest = &rest[rest.find('\n').unwrap_or(rest.len())..];
        } else if let Some(end) = raw_text_end(rest).filter(|_| !is_inside_name) {
            code.push_str("\"\"");
            rest = &rest[end..];
        } else if c == '"' {
            code.push_str("\"\"");
            rest = &rest[text_end(rest)..];
        } else if let Some(end) = character_end(rest) {
            code.push_str("' '");
            rest = &rest[end..];
        } else {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    code
}

/// Where `r"…"` or `r#"…"#` ends, with or without a `b` before it.
fn raw_text_end(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('b').unwrap_or(rest).strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let inside = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = inside.find(&close)? + close.len();
    Some(rest.len() - inside.len() + end)
}

fn text_end(rest: &str) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Where a character literal ends; none where the quote begins a lifetime.
fn character_end(rest: &str) -> Option<usize> {
    let inside = rest.strip_prefix('\'')?;
    let length = if inside.starts_with('\\') {
        inside[2..].find('\'')? + 2
    } else {
        inside.chars().next()?.len_utf8()
    };
    inside[length..].starts_with('\'').then_some(length + 2)
}

/// Modules in files of their own that are compiled for tests only.
fn test_modules(source: &Source) -> Vec<Vec<String>> {
    let declared = source.code.split("#[cfg(test)]").skip(1).filter_map(|after| {
        let name = after.trim_start().strip_prefix("mod ")?;
        let (name, _) = name.split_once(';')?;
        let is_name = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_name.then(|| [&source.module[..], &[name.to_owned()]].concat())
    });
    declared.collect()
}

/// The code without items marked `#[cfg(test)]`.
fn without_tests(code: &str) -> String {
    let mut kept = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        kept.push_str(before);
        let mut depth = 0;
        let end = after.char_indices().find_map(|(at, c)| {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            (depth == 0 && matches!(c, '}' | ';')).then_some(at + 1)
        });
        rest = &after[end.unwrap_or(after.len())..];
    }
    kept + rest
}

/// Every path of this crate that the code names, in `use` and elsewhere.
fn paths(source: &Source) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    for (start, parent) in [("crate::", 0), ("super::", 1)] {
        for (at, _) in source.code.match_indices(start) {
            if source.code[..at].ends_with(|c: char| c.is_alphanumeric() || "_:".contains(c)) {
                continue;
            }
            let mut ups = parent;
            let mut rest = &source.code[at + start.len()..];
            while let Some(after) = rest.strip_prefix("super::") {
                ups += 1;
                rest = after;
            }
            let base = match parent {
                0 => Vec::new(),
                _ => source.module[..source.module.len().saturating_sub(ups)].to_vec(),
            };
            expand(&base, rest, &mut found);
        }
    }
    found
}

/// Adds the paths of `a::{b, c::d}` after `base`; returns what follows them.
fn expand<'a>(base: &[String], tree: &'a str, found: &mut BTreeSet<Vec<String>>) -> &'a str {
    let tree = tree.trim_start();
    if let Some(mut rest) = tree.strip_prefix('{') {
        loop {
            rest = rest.trim_start().trim_start_matches(',').trim_start();
            match rest.strip_prefix('}') {
                Some(after) => return after,
                None if rest.is_empty() => return rest,
                None => {
                    let after = expand(base, rest, found);
                    // ` as name`, or what cannot be read.
                    let end = after.find([',', '}']).unwrap_or(after.len());
                    rest = &after[end..];
                }
            }
        }
    }
    let end = tree.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(tree.len());
    let (name, rest) = tree.split_at(end);
    let path = [base, &[name.to_owned()]].concat();
    match rest.strip_prefix("::") {
        Some(rest) if !name.is_empty() => expand(&path, rest, found),
        _ => {
            found.insert(path);
            rest
        }
    }
}

/// The layer that a module or an item of one is in, and the module that says so.
fn layer(path: &[String]) -> Option<(usize, &'static str)> {
    (1..=path.len()).rev().find_map(|length| {
        let name = path[..length].join("::");
        LAYERS.iter().enumerate().find_map(|(rank, modules)| {
            modules.iter().find(|module| **module == name).map(|module| (rank, *module))
        })
    })
}

fn is_within(path: &[String], module: &str) -> bool {
    let module: Vec<&str> = module.split("::").collect();
    path.len() >= module.len() && path.iter().zip(&module).all(|(a, b)| a == b)
}

#[test]
fn no_module_imports_from_a_higher_layer() {
    let mut faults = Vec::new();
    for source in sources() {
        let Some((own, _)) = layer(&source.module) else {
            faults.push(format!("{}: no layer names this module", source.path));
            continue;
        };
        for path in paths(&source) {
            // An item of the module itself, or of one below it.
            let is_own = path.starts_with(&source.module);
            match layer(&path) {
                Some((other, name)) if other > own && !is_own => {
                    faults.push(format!("{} imports {name}: {}", source.path, path.join("::")));
                }
                _ => {}
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn modules_do_not_know_what_is_none_of_their_business() {
    let mut faults = Vec::new();
    for source in sources() {
        let paths = paths(&source);
        for (module, forbidden, reason) in FORBIDDEN {
            if !is_within(&source.module, module) {
                continue;
            }
            for path in paths.iter().filter(|path| is_within(path, forbidden)) {
                faults.push(format!("{} imports {}: {reason}", source.path, path.join("::")));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn crates_are_confined_to_their_files() {
    let mut faults = Vec::new();
    for source in sources() {
        for (name, places) in CONFINED {
            let is_allowed = places.iter().any(|place| {
                source.path == *place || place.ends_with('/') && source.path.starts_with(place)
            });
            if !is_allowed && names_crate(&source.code, name) {
                faults.push(format!("{} names {name}", source.path));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Whether the code has `name::`, or `use name` by itself.
fn names_crate(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let (before, after) = (&code[..at], &code[at + name.len()..]);
        // `config::toml::x` and `.notify::<T>()` are others of that name.
        let is_path_start = !before.ends_with(|c: char| c.is_alphanumeric() || "_:.".contains(c))
            || before.ends_with(" ::");
        is_path_start && (after.starts_with("::") || before.ends_with("use "))
    })
}

#[test]
fn unsafe_code_is_in_four_files_only() {
    let has_unsafe = |source: &Source| {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        source.code.match_indices("unsafe").any(|(at, word)| {
            let (before, after) = (&source.code[..at], &source.code[at + word.len()..]);
            !before.ends_with(is_name) && !after.starts_with(is_name)
        })
    };
    let found: Vec<String> = sources().into_iter().filter(has_unsafe).map(|s| s.path).collect();
    assert_eq!(found, UNSAFE);
}

#[test]
fn every_metric_is_in_the_readme() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let documented: BTreeSet<&str> = names_of_metrics(&readme, '`').collect();
    let sources = rust_files(&root.join("src"));
    let texts: Vec<String> = sources.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let measured: BTreeSet<&str> =
        texts.iter().flat_map(|text| names_of_metrics(text, '"')).collect();
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

/// Every Rust file below a directory.
fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let below = |path: PathBuf| if path.is_dir() { rust_files(&path) } else { vec![path] };
    entries.flat_map(below).filter(|path| path.extension().is_some_and(|e| e == "rs")).collect()
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = sources()
        .iter()
        .filter(|source| source.lines > LINES_MAX)
        .map(|source| format!("{}: {} lines", source.path, source.lines))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

/// The reader of sources itself.
#[test]
fn paths_are_found_in_groups_and_inline_and_not_in_texts_or_tests() {
    let code = without_tests(&without_texts(
        "use crate::{a::{self, b as c}, d};\n// crate::no\nlet x = \"crate::no\"; let y = '\"';\n\
         fn f<'a>(x: &'a crate::e::F) { super::g(r#\"crate::no \" \"#) }\n\
         use super::super::h::I;\n#[cfg(test)]\nmod tests { use crate::no; fn f() {} }\n",
    ));
    let module = vec!["m".to_owned(), "n".to_owned(), "o".to_owned()];
    let source = Source { path: String::new(), module, code, lines: 0 };
    let found: Vec<String> = paths(&source).iter().map(|path| path.join("::")).collect();
    assert_eq!(found, ["a::b", "a::self", "d", "e::F", "m::h::I", "m::n::g"]);
}
