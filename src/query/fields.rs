//! Which field of the index a name in a query means.

use super::ast::FieldRef;
use crate::api::proto::{ApiError, ErrorKind};
use crate::event::columns::{COLUMNS, ColumnId};
use crate::index::snapshot::Snapshot;

/// Names told in an error message.
const NAMES_TOLD_MAX: usize = 5;

/// How alike a suggested name must be, from 0 to 1.
const LIKENESS_MIN: f64 = 0.8;

/// A field of the index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Column(ColumnId),
    /// `eventTime`.
    Time,
    /// `sourceIPAddress`, as an address.
    Ip,
    /// A path that is no column.
    Path(String),
}

/// Finds the field that a name means: a short name, a full path, or a last part of one that only one
/// path has.
pub fn resolve(field: &FieldRef, snapshot: &Snapshot) -> Result<Target, ApiError> {
    let name = field.name.as_str();
    match name {
        "time" | "eventTime" => return Ok(Target::Time),
        "ip" => return Ok(Target::Ip),
        _ => {}
    }
    if let Some(id) = ColumnId::named(name) {
        return Ok(Target::Column(id));
    }
    if snapshot.has_path(name) || is_above_a_column(name) {
        return Ok(Target::Path(name.to_owned()));
    }
    match paths_ending_in(name, snapshot).as_slice() {
        [] => Err(unknown(field, snapshot)),
        [path] => Ok(ColumnId::named(path).map_or(Target::Path(path.clone()), Target::Column)),
        paths => Err(ambiguous(field, paths)),
    }
}

/// `userIdentity`, say: only good to ask whether it is there.
fn is_above_a_column(name: &str) -> bool {
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
    let best = columns
        .chain(["time", "ip", "eventTime"])
        .chain(paths.iter().copied())
        .chain(last_parts)
        .map(|known| (strsim::jaro_winkler(&known.to_lowercase(), &name.to_lowercase()), known))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
    let at = field.offset;
    let mut error =
        ApiError::new(ErrorKind::UnknownField, format!("unknown field '{name}' at byte {at}"));
    error.offset = Some(at);
    if let Some((_, known)) = best {
        error.message.push_str(&format!("; did you mean '{known}'?"));
        error.suggestion = Some(known.to_owned());
    } else {
        error.message.push_str(": no event has it");
    }
    error
}

fn ambiguous(field: &FieldRef, paths: &[String]) -> ApiError {
    let told = paths.iter().take(NAMES_TOLD_MAX).cloned().collect::<Vec<_>>().join(", ");
    let more = paths.len().saturating_sub(NAMES_TOLD_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!(
        "'{}' at byte {} is the last part of several fields: {told}{more}; name one of them",
        field.name, field.offset
    );
    let mut error = ApiError::new(ErrorKind::UnknownField, message);
    error.offset = Some(field.offset);
    error.suggestion = paths.first().cloned();
    error
}
