//! The events that have a term. Most of the cost is to find the term in each segment's dictionary,
//! so the place is cached for the next page and the next search.

use std::collections::HashMap;

use tantivy::index::SegmentId;
use tantivy::postings::TermInfo;
use tantivy::query::{ConstScorer, Explanation, Weight};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocId, Score, SegmentReader, Term};

use segment::IndexError;
use segment::docsets::{Docs, none};
use store::snapshot::Snapshot;

/// Returns the documents of a segment that have a term.
pub(crate) fn docs_with(
    reader: &SegmentReader,
    term: &Term,
    info: &TermInfo,
) -> tantivy::Result<Docs> {
    let index = reader.inverted_index(term.field())?;
    let postings = index.read_postings_from_terminfo(info, IndexRecordOption::Basic)?;
    Ok(Box::new(ConstScorer::new(postings, 1.0)))
}

/// A query for one term and nothing else.
pub(crate) struct OneTerm {
    term: Term,
    /// Of the segments that have it.
    places: HashMap<SegmentId, TermInfo>,
}

impl OneTerm {
    pub(crate) fn look_up(snapshot: &Snapshot, term: &Term) -> Result<Self, IndexError> {
        let mut places = HashMap::with_capacity(snapshot.segments.len());
        for segment in &snapshot.segments {
            let place = segment.reading(|| segment.place_of(term))?;
            if let Some(info) = &place.info {
                places.insert(segment.reader.segment_id(), info.clone());
            }
        }
        Ok(Self { term: term.clone(), places })
    }
}

impl Weight for OneTerm {
    fn scorer(&self, reader: &SegmentReader, _: Score) -> tantivy::Result<Docs> {
        match self.places.get(&reader.segment_id()) {
            Some(info) => docs_with(reader, &self.term, info),
            None => Ok(none()),
        }
    }

    fn count(&self, reader: &SegmentReader) -> tantivy::Result<u32> {
        Ok(self.places.get(&reader.segment_id()).map_or(0, |info| info.doc_freq))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("one term", 1.0))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tantivy::query::{EnableScoring, Query, TermQuery};
    use tantivy::{DocSet, TERMINATED};

    use super::*;
    use store::store::Store;
    use store::testing::built;

    fn docs(weight: &dyn Weight, reader: &SegmentReader) -> Vec<DocId> {
        let mut scorer = weight.scorer(reader, 1.0).unwrap();
        let mut docs = Vec::new();
        while scorer.doc() != TERMINATED {
            docs.push(scorer.doc());
            scorer.advance();
        }
        assert_eq!(weight.count(reader).unwrap() as usize, docs.len());
        docs
    }

    #[test]
    fn a_term_is_found_as_tantivy_finds_it_and_each_segment_is_asked_once() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), 1 << 20).unwrap();
        for (number, times) in [(0, [5, 1, 9]), (1, [2, 5, 5]), (2, [1, 2, 3])] {
            let segment = built(&store, number, &times);
            store.commit(vec![segment]).unwrap();
        }
        let snapshot = store.snapshots().load_full();
        let mut found = Vec::new();
        for word in ["5", "1", "7"] {
            let term = Term::from_field_text(snapshot.fields.words, word);
            let query = TermQuery::new(term.clone(), IndexRecordOption::Basic);
            let theirs =
                query.weight(EnableScoring::disabled_from_schema(snapshot.schema())).unwrap();
            for _ in 0..2 {
                let ours = OneTerm::look_up(&snapshot, &term).unwrap();
                for segment in &snapshot.segments {
                    let docs = docs(&ours, &segment.reader);
                    assert_eq!(docs, self::docs(&*theirs, &segment.reader), "{word}");
                    found.extend(docs);
                }
            }
            let place = |at: usize| snapshot.segments[at].place_of(&term).unwrap();
            assert!(Arc::ptr_eq(&place(0), &place(0)), "it is kept");
            assert!(!Arc::ptr_eq(&place(0), &place(1)));
        }
        assert_eq!(found.len(), 2 * 5);
    }
}
