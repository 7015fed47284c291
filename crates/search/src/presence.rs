//! Counts the events of a snapshot that have each field.

use crate::numbers::Holds;
use crate::pieces::in_parallel;
use segment::IndexError;

use segment::presence::Presence;
use store::snapshot::Snapshot;
use trail::columns::COLUMNS;
use trail::seeded::SeededMap;
use wire::FieldType;

/// The presence of each field that is not a column of the schema, by its path.
pub(crate) type ByPath<'s> = SeededMap<&'s str, Presence>;

/// Finds out which values are at some paths that are not columns. Polls `check` and stops at its
/// error.
pub(crate) fn holds<E: From<IndexError>>(
    snapshot: &Snapshot,
    paths: &[String],
    check: &dyn Fn() -> Result<(), E>,
) -> Result<Holds, E> {
    let mut holds = Holds::default();
    for segment in &snapshot.segments {
        check()?;
        for path in paths {
            if !segment.paths().contains(path) {
                continue;
            }
            let Some(place) = segment.paths().iter().position(|known| known == path) else {
                continue;
            };
            let kinds = segment.presences()?.paths[place].kinds;
            for kind in kinds.types() {
                let is_number = matches!(kind, FieldType::Integer | FieldType::Number);
                holds.numbers |= is_number;
                holds.others |= !is_number;
            }
        }
    }
    Ok(holds)
}

/// Counts the events that have each field: paths that are not columns by path, columns of the
/// schema by number. Polls `check`, and stops at its error.
pub(crate) fn presences<'s, E: From<IndexError> + Send>(
    snapshot: &'s Snapshot,
    check: &(dyn Fn() -> Result<(), E> + Sync),
) -> Result<(ByPath<'s>, Vec<Presence>), E> {
    let counted = in_parallel(snapshot.segments.iter().collect(), |segment| {
        check()?;
        Ok::<_, E>((segment.paths(), segment.presences()?))
    })?;
    let mut by_path = ByPath::default();
    let mut of_columns = vec![Presence::default(); COLUMNS.len()];
    for (paths, presences) in counted {
        for (path, presence) in paths.iter().zip(&presences.paths) {
            by_path.entry(path).or_default().add(*presence);
        }
        for (all, presence) in of_columns.iter_mut().zip(&presences.columns) {
            all.add(*presence);
        }
    }
    Ok((by_path, of_columns))
}
