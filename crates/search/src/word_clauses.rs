//! Searches that name no field: words, and patterns of words, anywhere in an event.
//!
//! A word is in one of four places: in the words field, which has the words of all values that are
//! not columns; as a whole value in a column of unique values; or in a value of another column,
//! which is found through the column's dictionary (see [`trail::columns::Words`]); or it is the date and
//! hour of the event's time.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use tantivy::BitSet;
use tantivy::query::{BitSetDocSet, ConstScorer};
use tantivy::schema::Term;

use crate::clauses::{Clause, Context, union};
use crate::id_clauses::{UuidClause, docs_with_uuids, keys_of};
use crate::value_clauses::{
    LOOK_UP_STEPS, TextField, ValueTest, add_terms, docs_with_values, ordinals_where,
};
use crate::values::ReadRecord;
use segment::IndexError;
use segment::docsets::{Docs, Ranges};
use segment::ids::UuidKey;
use segment::schema::Fields;
use segment::stop::Pace;
use trail::columns::{ColumnId, Words};
use trail::words::{each_word, known_part};

/// The events that contain a word, given in lower case.
pub(crate) struct WordClause {
    pub(crate) word: String,
    pub(crate) read: Arc<ReadRecord>,
}

impl fmt::Debug for WordClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "word {:?}", self.word)
    }
}

impl Clause for WordClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let fields = &context.snapshot.fields;
        let mut terms = vec![Term::from_field_text(fields.words, &self.word)];
        for id in columns(Words::Whole) {
            let field = Fields::column(id);
            terms.push(Term::from_field_text(field, &self.word));
            let upper = self.word.to_ascii_uppercase();
            if upper != self.word {
                terms.push(Term::from_field_text(field, &upper));
            }
        }
        let mut parts =
            terms.iter().map(|term| context.term(term)).collect::<Result<Vec<_>, _>>()?;
        if UuidKey::of(&self.word).is_some() {
            let uuids = Arc::new(HashSet::from([self.word.clone()]));
            for column in columns(Words::Whole) {
                let (uuids, read) = (Arc::clone(&uuids), Arc::clone(&self.read));
                parts.push(UuidClause { column, uuids, read }.docs(context)?);
            }
        }
        for (id, ordinals) in context.segment.column_words.values_with(&self.word)? {
            if let Some(column) = context.segment.text_column(id)? {
                parts.push(docs_with_values(context, &TextField::Column(id), &column, &ordinals)?);
            }
        }
        Ok(union(parts))
    }
}

/// The events that contain a word which passes a test. The test sees words in lower case, and only
/// the beginning of a word that the index has cut. It may take a look at all words of a segment, so
/// the result is cached for the next page and the next search.
pub(crate) struct WordFormClause<T> {
    /// The test's cache key, so no other test may have it.
    pub(crate) name: String,
    pub(crate) test: T,
    pub(crate) read: Arc<ReadRecord>,
}

impl<T: ValueTest> fmt::Debug for WordFormClause<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "word {}", self.name)
    }
}

impl<T: ValueTest + Clone> Clause for WordFormClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let events = context.segment.found(&self.name, || self.find(context))?;
        Ok(Box::new(ConstScorer::new(BitSetDocSet::from((*events).clone()), 1.0)))
    }
}

impl<T: ValueTest + Clone> WordFormClause<T> {
    fn find(&self, context: &Context<'_>) -> Result<BitSet, IndexError> {
        let mut events = BitSet::with_max_value(context.segment.events());
        let is_met = |word: &str| self.test.is_met_by(known_part(word));
        let (prefix, steps) = (self.test.prefix(), self.test.steps());
        add_terms(context, context.snapshot.fields.words, prefix, (&is_met, steps), &mut events)?;
        let mut buffer = String::new();
        let mut has_met = |value: &str| {
            let mut has_met = false;
            each_word(value, &mut buffer, |word| has_met |= is_met(word));
            has_met
        };
        for id in columns(Words::Whole) {
            // Its values may be in upper case, so that no prefix narrows the scan.
            add_terms(context, Fields::column(id), "", (&mut has_met, steps), &mut events)?;
        }
        let mut parts = vec![self.hours(context)?];
        for id in columns(Words::Whole) {
            // A UUID is one word.
            let test = self.test.clone();
            let is_met = move |uuid: &str| test.is_met_by(uuid);
            parts.push(docs_with_uuids(context, id, keys_of(&self.test), &self.read, is_met));
        }
        for id in columns(Words::Dictionary) {
            let Some(column) = context.segment.text_column(id)? else { continue };
            let ordinals = ordinals_where(context, &column, (&mut has_met, steps))?;
            parts.push(docs_with_values(context, &TextField::Column(id), &column, &ordinals)?);
        }
        for docs in parts {
            context.add_all(docs, &mut events)?;
        }
        Ok(events)
    }
}

impl<T: ValueTest> WordFormClause<T> {
    /// The events of hours that pass the test.
    fn hours(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let segment = context.segment;
        let mut pace = Pace::new(context.stop);
        let mut found = Vec::new();
        for run in &segment.runs {
            let mut doc = run.docs.start;
            while doc < run.docs.end {
                let time = segment.time(doc);
                // The latest comes first.
                let next = segment.next_before(doc, time.hour());
                let word = time.hour_word();
                pace.spend(LOOK_UP_STEPS + word.len() * self.test.steps())?;
                if self.test.is_met_by(&word) {
                    found.push(doc..next);
                }
                doc = next;
            }
        }
        Ok(Box::new(Ranges::new(found)))
    }
}

/// The events with a phrase in a column's value.
#[derive(Debug)]
pub(crate) struct ColumnPhraseClause<T> {
    /// Words of the phrase that tell most, in lower case.
    pub(crate) words: Vec<String>,
    pub(crate) test: T,
}

impl<T: ValueTest> Clause for ColumnPhraseClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        // The values with the rarest word are the fewest to look at.
        let values_with = |word: &String| {
            context.stop.check()?;
            context.segment.column_words.values_with(word)
        };
        let found: Vec<_> = self.words.iter().map(values_with).collect::<Result<_, _>>()?;
        let values = |found: &[(ColumnId, Vec<u64>)]| -> usize {
            found.iter().map(|(_, ordinals)| ordinals.len()).sum()
        };
        let rarest = found.into_iter().min_by_key(|found| values(found));
        let mut parts = Vec::new();
        let mut value = String::new();
        for (id, mut ordinals) in rarest.unwrap_or_default() {
            let Some(column) = context.segment.text_column(id)? else { continue };
            let mut pace = Pace::new(context.stop);
            let mut is_met = |ordinal: u64| -> Result<bool, IndexError> {
                column.ord_to_str(ordinal, &mut value)?;
                pace.spend(LOOK_UP_STEPS + value.len() * self.test.steps())?;
                Ok(self.test.is_met_by(&value))
            };
            let mut failure = None;
            ordinals.retain(|ordinal| {
                failure.is_none()
                    && is_met(*ordinal).unwrap_or_else(|error| {
                        failure = Some(error);
                        false
                    })
            });
            if let Some(error) = failure {
                return Err(error);
            }
            parts.push(docs_with_values(context, &TextField::Column(id), &column, &ordinals)?);
        }
        Ok(union(parts))
    }
}

fn columns(words: Words) -> impl Iterator<Item = ColumnId> {
    ColumnId::all().filter(move |id| id.column().words == words)
}
