//! Conditions on ids, in columns where nearly every event has its own value. UUIDs are found by
//! their keys and checked on the record (see [`segment::ids`]); all other ids are terms.

use std::collections::HashSet;
use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use tantivy::query::{BitSetDocSet, ConstScorer};
use tantivy::{BitSet, DocId, DocSet, TERMINATED};

use crate::clauses::{Clause, Context, RECORD_COST, union};
use crate::value_clauses::{ValueTest, add_terms};
use crate::values::ReadRecord;
use segment::IndexError;
use segment::docsets::{Docs, none};
use segment::ids::{Id, UUID_ALPHABET, UuidKey};
use segment::schema::Fields;
use segment::view::SegmentView;
use trail::columns::ColumnId;

/// The events that have one of several UUIDs in a column.
pub(crate) struct UuidClause {
    pub(crate) column: ColumnId,
    pub(crate) uuids: Arc<HashSet<String>>,
    pub(crate) read: Arc<ReadRecord>,
}

impl fmt::Debug for UuidClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} one of {} UUIDs", self.column, self.uuids.len())
    }
}

impl Clause for UuidClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let keys = self.uuids.iter().filter_map(|uuid| UuidKey::of(uuid));
        let ids = keys.flat_map(|key| context.segment.ids.find(self.column, &(key..=key)));
        let uuids = Arc::clone(&self.uuids);
        let is_met = move |uuid: &str| uuids.contains(uuid);
        Ok(verified(context, self.column, ids.collect(), &self.read, is_met))
    }
}

/// The events that have a value which passes a test, in a column of ids.
pub(crate) struct IdClause<T> {
    pub(crate) column: ColumnId,
    pub(crate) test: T,
    pub(crate) read: Arc<ReadRecord>,
}

impl<T: ValueTest> fmt::Debug for IdClause<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.column, self.test)
    }
}

impl<T: ValueTest + Clone> Clause for IdClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let mut events = BitSet::with_max_value(context.segment.events());
        let field = Fields::column(self.column);
        let prefix = self.test.prefix();
        let is_met = |value: &str| self.test.is_met_by(value);
        add_terms(context, field, prefix, (is_met, self.test.steps()), &mut events)?;
        let terms: Docs = Box::new(ConstScorer::new(BitSetDocSet::from(events), 1.0));
        let keys = keys_of(&self.test);
        let test = self.test.clone();
        let is_met = move |uuid: &str| test.is_met_by(uuid);
        let uuids = docs_with_uuids(context, self.column, keys, &self.read, is_met);
        Ok(union(vec![terms, uuids]))
    }
}

/// Returns the range of keys whose UUIDs can pass a test; None where no UUID can.
pub(crate) fn keys_of(test: &impl ValueTest) -> Option<RangeInclusive<UuidKey>> {
    UuidKey::begun_by(test.lower_case_prefix()).filter(|_| test.can_be_made_of(UUID_ALPHABET))
}

/// Returns the documents that have a UUID in a column whose key is in a range and which passes
/// `is_met`.
pub(crate) fn docs_with_uuids(
    context: &Context<'_>,
    column: ColumnId,
    keys: Option<RangeInclusive<UuidKey>>,
    read: &Arc<ReadRecord>,
    is_met: impl Fn(&str) -> bool + Send + 'static,
) -> Docs {
    let ids = keys.map_or_else(Vec::new, |keys| context.segment.ids.find(column, &keys));
    verified(context, column, ids, read, is_met)
}

/// The documents of those ids whose UUID, which the record tells, passes a test.
fn verified(
    context: &Context<'_>,
    column: ColumnId,
    mut ids: Vec<Id>,
    read: &Arc<ReadRecord>,
    is_met: impl Fn(&str) -> bool + Send + 'static,
) -> Docs {
    if ids.is_empty() {
        return none();
    }
    ids.sort_unstable();
    let ids: Arc<[Id]> = ids.into();
    let candidates = Box::new(ConstScorer::new(Listed { ids: Arc::clone(&ids), at: 0 }, 1.0));
    let segment = Arc::clone(context.segment);
    let read = Arc::clone(read);
    let mut at = 0;
    context.verified_reading(candidates, RECORD_COST, move |doc| {
        at += ids[at..].partition_point(|id| id.doc < doc);
        let of_doc = ids[at..].iter().take_while(|id| id.doc == doc);
        has_uuid(&segment, doc, of_doc.map(|id| id.key), column, &read, &is_met)
    })
}

fn has_uuid(
    segment: &SegmentView,
    doc: DocId,
    mut keys: impl Iterator<Item = UuidKey>,
    column: ColumnId,
    read: &Arc<ReadRecord>,
    is_met: impl Fn(&str) -> bool,
) -> Result<bool, IndexError> {
    let record = segment.record(doc)?;
    Ok(keys.any(|key| match key.uuid_in(&record) {
        Some(uuid) => is_met(uuid),
        None => {
            let mut found = false;
            read(&record, column, &mut |text| {
                found |= UuidKey::of(text) == Some(key) && is_met(text);
            });
            found
        }
    }))
}

/// The documents of ids, which are in the order of the documents.
struct Listed {
    ids: Arc<[Id]>,
    at: usize,
}

impl DocSet for Listed {
    fn advance(&mut self) -> DocId {
        let doc = self.doc();
        self.seek(doc.saturating_add(1))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        let rest = self.ids.get(self.at..).unwrap_or_default();
        // Near as a rule.
        self.at += match rest.iter().take(8).position(|id| id.doc >= target) {
            Some(near) => near,
            None => rest.partition_point(|id| id.doc < target),
        };
        self.doc()
    }

    fn doc(&self) -> DocId {
        self.ids.get(self.at).map_or(TERMINATED, |id| id.doc)
    }

    fn size_hint(&self) -> u32 {
        (self.ids.len() - self.at) as u32
    }
}
