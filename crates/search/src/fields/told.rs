//! What is told of names: errors, and notes on what a name was taken for.

use super::{Asks, Finder, Places, first_part, named};
use language::ast::FieldRef;
use language::syntax::closest;
use trail::columns::COLUMNS;
use trail::names::{POLICY_ELEMENTS, ShortName, known_paths};
use wire::{ApiError, ErrorKind};

/// Names told in an error message or a note.
const NAMES_TOLD_MAX: usize = 5;

/// What people of other tools call what is no field here.
pub(super) const NO_FIELDS: [(&str, &str); 3] = [
    ("@message", "a word without a field"),
    ("_all", "a word without a field"),
    ("_raw", "a word without a field"),
];

/// Names that other tools have for the whole event, for where it came from, or for what became of it.
const FOREIGN: [&str; 12] = [
    "message", "source", "host", "hostname", "tags", "status", "level", "type", "log", "severity",
    "category", "count",
];

impl Finder<'_> {
    /// Makes the error of a query that asks for the value of an object.
    pub(super) fn has_no_value(self, field: &FieldRef, objects: &[String]) -> ApiError {
        let inside = self.inside(objects);
        let message = format!(
            "'{}' has no value of its own{}, but fields such as {}",
            field.name,
            at(field.offset),
            told(&inside)
        );
        ApiError {
            offset: field.offset,
            suggestion: inside.first().map(|path| FieldRef::written(path)),
            ..ApiError::new(ErrorKind::UnknownField, message)
        }
    }

    /// The note where no event has a value at an object's path, and another archive's could.
    pub(super) fn without_a_value(self, field: &FieldRef, objects: &[String]) -> String {
        let inside = self.inside(objects);
        let but = if inside.is_empty() {
            String::new()
        } else {
            format!(", but fields such as {}", told(&inside))
        };
        format!("'{}' has no value of its own in any event{but}", field.name)
    }

    /// The paths below some objects.
    fn inside(self, objects: &[String]) -> Vec<String> {
        let paths = self.snapshot.paths();
        let columns = COLUMNS.iter().map(|column| column.path);
        let is_inside = |path: &&str| {
            objects.iter().any(|object| {
                path.strip_prefix(object.as_str()).is_some_and(|rest| rest.starts_with('.'))
            })
        };
        columns.chain(paths).filter(is_inside).map(str::to_owned).collect()
    }

    /// The note on a name that several fields end in.
    pub(super) fn note_several(self, field: &FieldRef, places: &Places, asks: Asks) {
        let is_of_policies = POLICY_ELEMENTS.contains(&first_part(&field.name));
        let paths = match asks {
            Asks::Values if !places.values.is_empty() => places.values.clone(),
            Asks::Values | Asks::Existence => places.clone().all(),
        };
        if paths.len() < 2 || is_of_policies {
            return;
        }
        let all = if self.snapshot.lists_all_paths() {
            ""
        } else {
            "; others that are asked by their full path only may end so, too"
        };
        self.notes.add(format!(
            "'{}' stands for {} fields that end so: {}; the full path asks one of them{all}",
            field.name,
            paths.len(),
            told(&paths)
        ));
    }

    /// The note on a name that another tool has for more than the one field that ends so.
    pub(super) fn note_foreign(self, field: &FieldRef, places: &Places) {
        if let ([path], true) = (&places.values[..], FOREIGN.contains(&field.name.as_str())) {
            self.notes
                .add(format!("'{}' is taken for '{path}', the one field that ends so", field.name));
        }
    }

    /// The note on a field that AWS documents and no event has.
    pub(super) fn without_events(self, field: &FieldRef) -> String {
        let name = &field.name;
        let paths = self.snapshot.paths();
        let alike = closest(name, paths.iter().copied().filter(|path| is_alike(path, name)));
        let meant = alike.map_or_else(String::new, |path| {
            format!("; did you mean '{}'?", FieldRef::written(path))
        });
        format!("no event has the field '{name}'{meant}")
    }

    /// The note on a short name of which no event has a field.
    pub(super) fn without_any(short: &ShortName) -> String {
        format!(
            "no event has a field that '{}' stands for, which are {}",
            short.name,
            told(short.paths)
        )
    }

    pub(super) fn unknown(self, field: &FieldRef) -> ApiError {
        let name = &field.name;
        let paths = self.snapshot.paths();
        let last_parts = paths.iter().filter_map(|path| path.rsplit('.').next());
        let known = named().chain(paths.iter().copied()).chain(last_parts).chain(known_paths());
        let foreign = NO_FIELDS.iter().find(|(foreign, _)| foreign.eq_ignore_ascii_case(name));
        let best = foreign
            .map(|(_, ours)| (*ours).to_owned())
            .or_else(|| closest(name, known).map(FieldRef::written));
        let mut message = format!("unknown field '{name}'{}", at(field.offset));
        match &best {
            Some(known) => message.push_str(&format!("; did you mean '{known}'?")),
            None if self.snapshot.lists_all_paths() => message.push_str(": no event has it"),
            None => {
                message.push_str(": no event has it as a full path, and not all paths are listed");
            }
        }
        ApiError {
            offset: field.offset,
            suggestion: best,
            ..ApiError::new(ErrorKind::UnknownField, message)
        }
    }
}

/// Whether two paths differ in their last parts only, or in one of few parts.
fn is_alike(path: &str, name: &str) -> bool {
    first_part(path) == first_part(name) && path != name
}

/// Formats an offset for an error message, as ` at byte 7`; empty for None.
pub(crate) fn at(offset: Option<usize>) -> String {
    offset.map_or_else(String::new, |offset| format!(" at byte {offset}"))
}

fn told<T: AsRef<str>>(paths: &[T]) -> String {
    let told: Vec<String> =
        paths.iter().take(NAMES_TOLD_MAX).map(|path| FieldRef::written(path.as_ref())).collect();
    let more = paths.len().saturating_sub(NAMES_TOLD_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", told.join(", "))
}
