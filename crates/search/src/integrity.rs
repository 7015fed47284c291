//! The field `integrity`: what CloudTrail's digests say of the files that have an event. It is in no record and
//! in no column; the verdicts of the snapshot have it by file, and where a file is no good, perhaps another
//! one that has the same event.

use std::sync::Arc;

use tantivy::DocId;

use crate::clauses::{Clause, Context};
use crate::meaning::ValueMeaning;
use crate::parsers::SharedParser;
use segment::IndexError;
use segment::docsets::Docs;
use segment::view::SegmentView;
use store::verdicts::Verdicts;
use trail::cell::Cell;
use wire::Integrity;

/// The field's name.
pub(crate) const INTEGRITY: &str = "integrity";

/// The states in the order of their names.
pub(crate) const BY_NAME: [Integrity; 8] = [
    Integrity::Listed,
    Integrity::Mismatch,
    Integrity::Missing,
    Integrity::NoDigest,
    Integrity::NotCovered,
    Integrity::TrailingData,
    Integrity::Unlisted,
    Integrity::Verified,
];

/// The state of a document's event. Its record is read where another file may have it.
pub(crate) fn state_of(
    segment: &SegmentView,
    verdicts: &Verdicts,
    doc: DocId,
) -> Result<Option<Integrity>, IndexError> {
    let mut failed = None;
    let key = || {
        let record = segment.record(doc).map_err(|error| failed = Some(error)).ok()?;
        SharedParser::take().key(&record)
    };
    let state = verdicts.of_event(segment.file(doc), key);
    failed.map_or(Ok(state), Err)
}

/// Events whose state passes a test.
#[derive(Debug)]
pub(crate) struct IntegrityClause {
    pub(crate) verdicts: Arc<Verdicts>,
    pub(crate) test: ValueMeaning,
}

impl Clause for IntegrityClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let passes = Integrity::ALL.map(|(name, _)| self.test.is_met_by(&Cell::text(name)));
        let (segment, verdicts) = (Arc::clone(context.segment), Arc::clone(&self.verdicts));
        if verdicts.copies() == 0 {
            return Ok(context.scan(move |doc| {
                verdicts.of_file(segment.file(doc)).is_some_and(|state| passes[state as usize])
            }));
        }
        Ok(context.scan_reading(move |doc| {
            Ok(state_of(&segment, &verdicts, doc)?.is_some_and(|state| passes[state as usize]))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_states_are_in_the_order_of_their_names() {
        assert!(BY_NAME.windows(2).all(|pair| pair[0].name() < pair[1].name()));
    }
}
