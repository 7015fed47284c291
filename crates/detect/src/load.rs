//! Reads files of rules. A bad file, or a bad document of one, costs itself.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::limits::{DEPTH_MAX, DOCUMENTS_MAX, FILE_BYTES_MAX, FILES_MAX, NESTING_MAX};
use crate::rule::Rule;
use crate::sigma;

/// A file of rules.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it is, or what it is called.
    pub path: PathBuf,
    /// What it holds.
    pub text: String,
}

/// What cannot be asked, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; None where the file as a whole is meant.
    pub line: Option<usize>,
    /// Why, in words.
    pub reason: String,
    /// Whether it is of a rule for something else than CloudTrail, which is no fault.
    pub is_elsewhere: bool,
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The rules, in the order of the files.
    pub rules: Vec<Rule>,
    /// What is no rule, or cannot be asked.
    pub problems: Vec<Problem>,
    /// When the same files say something else, because an exception ends; in microseconds since 1970.
    pub changes_at: Option<i64>,
}

/// A document of a file, at the line in which it begins.
pub(crate) struct Document<'s> {
    pub(crate) path: &'s Path,
    pub(crate) line: usize,
    /// With empty lines in front, so that errors tell the file's lines.
    pub(crate) text: String,
}

impl Problem {
    pub(crate) fn at(path: &Path, line: usize, reason: impl Into<String>) -> Self {
        let (line, reason) = (Some(line), reason.into());
        Self { path: path.to_owned(), line, reason, is_elsewhere: false }
    }

    fn of_file(path: &Path, reason: impl Into<String>) -> Self {
        let (line, reason) = (None, reason.into());
        Self { path: path.to_owned(), line, reason, is_elsewhere: false }
    }
}

/// Reads rules: files by their names, and all `.yml` and `.yaml` files in folders and those in them.
/// Then come those that are given with their text.
pub fn load(paths: &[PathBuf], mut sources: Vec<Source>) -> Loaded {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, 0, &mut files, &mut problems);
        } else {
            files.push(path.clone());
        }
    }
    if files.len() > FILES_MAX {
        let reason =
            format!("more than {FILES_MAX} files of rules: this and what follows is left out");
        problems.push(Problem::of_file(&files[FILES_MAX], reason));
        files.truncate(FILES_MAX);
    }
    for path in files {
        match read(&path) {
            Ok(text) => sources.push(Source { path, text }),
            Err(reason) => problems.push(Problem::of_file(&path, reason)),
        }
    }
    let mut documents = Vec::new();
    for source in &sources {
        if let Some(line) = too_deep(&source.text) {
            let reason = format!("what is in one another is more than {NESTING_MAX} deep");
            problems.push(Problem::at(&source.path, line, reason));
            continue;
        }
        let found = documents_of(source);
        if found.len() > DOCUMENTS_MAX {
            let reason = format!("more than {DOCUMENTS_MAX} documents in one file");
            problems.push(Problem::of_file(&source.path, reason));
        } else {
            documents.extend(found);
        }
    }
    let loaded = sigma::rules(&documents);
    problems.extend(loaded.problems);
    Loaded { problems, ..loaded }
}

/// Finds the files of a folder, by name.
fn walk(folder: &Path, depth: usize, files: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return problems.push(Problem::of_file(folder, error.to_string())),
    };
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let is_rule = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
        // A link to a folder is not followed: it may lead back.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && depth < DEPTH_MAX => {
                walk(&path, depth + 1, files, problems);
            }
            Ok(kind) if kind.is_dir() => {
                let reason = format!("folders are looked at {DEPTH_MAX} deep");
                problems.push(Problem::of_file(&path, reason));
            }
            Ok(_) if is_rule && files.len() <= FILES_MAX => files.push(path),
            Ok(_) => {}
            Err(error) => problems.push(Problem::of_file(&path, error.to_string())),
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    // A pipe would be waited for.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".to_owned());
    }
    let file = File::open(path).map_err(|error| error.to_string())?;
    if !file.metadata().is_ok_and(|meta| meta.is_file()) {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("a file of rules has {FILE_BYTES_MAX} bytes at most"));
    }
    Ok(text)
}

/// The line in which brackets or lists are too deep in one another: a parser takes long to find that.
fn too_deep(text: &str) -> Option<usize> {
    let mut depth: usize = 0;
    for (number, line) in text.lines().enumerate() {
        let inner = line.trim_start();
        let lists = inner.split(' ').take_while(|part| ["-", "?"].contains(part)).count();
        let (mut quote, mut before) = (None, ' ');
        for c in inner.chars() {
            match (quote, c) {
                (Some(open), c) if open == c => quote = None,
                (None, '\'' | '"') if !before.is_alphanumeric() => quote = Some(c),
                (None, '[' | '{') => depth += 1,
                (None, ']' | '}') => depth = depth.saturating_sub(1),
                _ => {}
            }
            before = c;
        }
        let indent = line.len() - inner.len();
        if depth.max(lists) > NESTING_MAX || indent > 10 * NESTING_MAX {
            return Some(number + 1);
        }
    }
    None
}

/// The documents of a file, apart from each other, so that a bad one costs no other. Those of a file
/// with actions depend on each other.
fn documents_of(source: &Source) -> Vec<Document<'_>> {
    let Source { path, text } = source;
    let has_actions = text.lines().any(|line| line.starts_with("action:"));
    if has_actions {
        return vec![Document { path, line: 1, text: text.clone() }];
    }
    let mut documents = Vec::new();
    let (mut first, mut lines) = (0, Vec::new());
    let all: Vec<&str> = text.lines().collect();
    for (number, line) in all.iter().chain(std::iter::once(&"---")).enumerate() {
        let is_end = *line == "---" || line.starts_with("--- ");
        if !is_end {
            lines.push(*line);
            continue;
        }
        let is_said = |line: &&&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
        if let Some(said) = lines.iter().position(|line| is_said(&line)) {
            let text = "\n".repeat(first) + &lines.join("\n");
            documents.push(Document { path, line: first + said + 1, text });
        }
        lines.clear();
        first = number + 1;
    }
    documents
}
