//! Finds the field of the index that a name in a query means.

use unicode_normalization::UnicodeNormalization;

use crate::unicode::forms;
use language::ast::FieldRef;
use language::syntax::closest;
use store::snapshot::Snapshot;
use trail::columns::{COLUMNS, ColumnId};
use wire::{ApiError, ErrorKind};

/// Names told in an error message.
const NAMES_TOLD_MAX: usize = 5;

/// The elements of a policy's statement. They are looked for in every policy, wherever it travels.
const POLICY_ELEMENTS: [&str; 9] = [
    "Action",
    "Condition",
    "Effect",
    "NotAction",
    "NotPrincipal",
    "NotResource",
    "Principal",
    "Resource",
    "Sid",
];

/// What people of other tools call a field.
const FOREIGN_NAMES: [(&str, &str); 8] = [
    ("@timestamp", "time"),
    ("timestamp", "time"),
    ("@message", "a word without a field"),
    ("_all", "a word without a field"),
    ("username", "user"),
    ("sourceip", "ip"),
    ("src_ip", "ip"),
    ("source.ip", "ip"),
];

/// A field of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Column(ColumnId),
    /// `eventTime`.
    Time,
    /// `sourceIPAddress`, as an address.
    Ip,
    /// Paths that are not columns: one, or for an element of a policy, all that end in it.
    Paths(Vec<String>),
    /// The path of an object, which has no value: a query can only ask whether it exists.
    Object(String),
}

/// Finds the field that a name means: a short name, a full path, or the last part of exactly one
/// path. An unknown or ambiguous name is an error with suggestions.
pub(crate) fn resolve(field: &FieldRef, snapshot: &Snapshot) -> Result<Target, ApiError> {
    let name = field.name.as_str();
    if field.is_path {
        let column = ColumnId::at_path(name).map(Target::Column);
        return Ok(column.unwrap_or_else(|| Target::Paths(forms(name))));
    }
    if let Some(paths) = paths_in_any_form(name, snapshot) {
        return Ok(Target::Paths(paths));
    }
    match name {
        "time" | "eventTime" => return Ok(Target::Time),
        "ip" => return Ok(Target::Ip),
        _ => {}
    }
    if let Some(id) = ColumnId::named(name) {
        return Ok(Target::Column(id));
    }
    if snapshot.has_values_at(name) {
        return Ok(Target::Paths(vec![name.to_owned()]));
    }
    if snapshot.has_values_below(name) || is_above_a_column(name) {
        return Ok(Target::Object(name.to_owned()));
    }
    let first = name.split('.').next().unwrap_or_default();
    match paths_ending_in(name, snapshot).as_slice() {
        [] => Err(unknown(field, snapshot)),
        paths if POLICY_ELEMENTS.contains(&first) => Ok(Target::Paths(paths.to_vec())),
        [path] => Ok(match ColumnId::named(path) {
            Some(id) => Target::Column(id),
            None => Target::Paths(vec![path.clone()]),
        }),
        paths => Err(ambiguous(field, paths)),
    }
}

/// The paths that a name means in some form that Unicode has for it, where it has several.
fn paths_in_any_form(name: &str, snapshot: &Snapshot) -> Option<Vec<String>> {
    let forms = forms(name);
    if forms.len() < 2 {
        return None;
    }
    let at: Vec<String> =
        forms.iter().filter(|form| snapshot.has_values_at(form)).cloned().collect();
    let paths = if at.is_empty() {
        forms.iter().flat_map(|form| paths_ending_in(form, snapshot)).collect()
    } else {
        at
    };
    let composed = |path: &String| path.nfc().collect::<String>();
    let is_one = paths.windows(2).all(|pair| composed(&pair[0]) == composed(&pair[1]));
    (!paths.is_empty() && is_one).then_some(paths)
}

/// Whether a name always means a column or the time, whatever paths events have.
pub(crate) fn is_taken(name: &str) -> bool {
    ["time", "eventTime", "ip"].contains(&name) || ColumnId::named(name).is_some()
}

/// Makes the error of a query that asks for the value of an object.
pub(crate) fn has_no_value(field: &FieldRef, path: &str, snapshot: &Snapshot) -> ApiError {
    let below = format!("{path}.");
    let paths = snapshot.paths();
    let columns = COLUMNS.iter().map(|column| column.path);
    let inside: Vec<&str> =
        columns.chain(paths.iter().copied()).filter(|path| path.starts_with(&below)).collect();
    let message = format!(
        "'{}' has no value of its own{}, but fields such as {}",
        field.name,
        at(field.offset),
        told(&inside)
    );
    ApiError {
        offset: field.offset,
        suggestion: inside.first().map(|path| (*path).to_owned()),
        ..ApiError::new(ErrorKind::UnknownField, message)
    }
}

/// Formats an offset for an error message, as ` at byte 7`; empty for None.
pub(crate) fn at(offset: Option<usize>) -> String {
    offset.map_or_else(String::new, |offset| format!(" at byte {offset}"))
}

/// `userIdentity`, say.
pub(crate) fn is_above_a_column(name: &str) -> bool {
    COLUMNS
        .iter()
        .any(|column| column.path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
}

fn paths_ending_in(name: &str, snapshot: &Snapshot) -> Vec<String> {
    let end = format!(".{name}");
    let columns = COLUMNS.iter().map(|column| column.path);
    columns.chain(snapshot.paths()).filter(|path| path.ends_with(&end)).map(str::to_owned).collect()
}

fn unknown(field: &FieldRef, snapshot: &Snapshot) -> ApiError {
    let name = &field.name;
    let columns = COLUMNS
        .iter()
        .flat_map(|column| std::iter::once(&column.path).chain(column.aliases).copied());
    let paths = snapshot.paths();
    let last_parts = paths.iter().filter_map(|path| path.rsplit('.').next());
    let known =
        columns.chain(["time", "ip", "eventTime"]).chain(paths.iter().copied()).chain(last_parts);
    let foreign = FOREIGN_NAMES.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(name));
    let best = foreign.map(|(_, ours)| *ours).or_else(|| closest(name, known));
    let mut message = format!("unknown field '{name}'{}", at(field.offset));
    match best {
        Some(known) => message.push_str(&format!("; did you mean '{known}'?")),
        None if snapshot.lists_all_paths() => message.push_str(": no event has it"),
        None => message.push_str(": no event has it as a full path, and not all paths are listed"),
    }
    ApiError {
        offset: field.offset,
        suggestion: best.map(str::to_owned),
        ..ApiError::new(ErrorKind::UnknownField, message)
    }
}

fn ambiguous(field: &FieldRef, paths: &[String]) -> ApiError {
    let message = format!(
        "'{}'{} is the last part of several fields: {}; name one of them",
        field.name,
        at(field.offset),
        told(paths)
    );
    ApiError {
        offset: field.offset,
        suggestion: paths.first().cloned(),
        ..ApiError::new(ErrorKind::UnknownField, message)
    }
}

fn told<T: AsRef<str>>(paths: &[T]) -> String {
    let told: Vec<&str> = paths.iter().take(NAMES_TOLD_MAX).map(AsRef::as_ref).collect();
    let more = paths.len().saturating_sub(NAMES_TOLD_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", told.join(", "))
}
