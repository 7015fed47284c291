//! How many events of a snapshot have each field.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;

use crate::pieces::in_parallel;
use segment::IndexError;

use segment::presence::Presence;
use store::snapshot::Snapshot;
use trail::columns::COLUMNS;

/// Of fields that are no columns of the schema.
pub(crate) type ByPath<'s> = HashMap<&'s str, Presence, FxBuildHasher>;

/// How many events of a snapshot have each field that is no column of the schema, by its path, and each
/// that is, by its number. `check` is asked now and then whether to go on.
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
