//! The planner: turns the meaning of a condition into a tantivy query, with clauses of our own
//! where tantivy has no query.
//!
//! A value is compared whole and with its case (`eventName:GetObject`), a word in lower case. A
//! value that reads as a number or a truth value is looked up as text and as that.

mod below;
mod cost;
mod field;

use std::sync::Arc;

use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;

use self::cost::{Cost, cost, in_order_of_cost, merged};
use crate::addresses::{NetworkWord, NetworkWords};
use crate::clauses::{Clause, ClauseQuery, PacedClause, Stop, TimeClause, VerifiedClause};
use crate::form::SameNumber;
use crate::lazily;
use crate::meaning::{EventMeaning, EventTest, Meaning, TimeBetween, WordMeaning};
use crate::parsers::SharedParser;
use crate::phrase::Row;
use crate::value_clauses::ValueTest;
use crate::values::ReadRecord;
use crate::word_clauses::{ColumnPhraseClause, WordClause, WordFormClause};
use segment::view::separated;
use store::snapshot::Snapshot;
use trail::flat::Scalar;
use trail::limits::EXACT_BYTES_MAX;
use trail::time::Micros;
use trail::words::shorten;

/// So many conditions are evaluated on all events of a segment in a fraction of a second, whether
/// events match or not.
const PARTS_UNPACED_MAX: usize = 8;

/// Plans queries on one snapshot.
pub(crate) struct Planner<'a> {
    pub(crate) snapshot: &'a Arc<Snapshot>,
    pub(crate) stop: Stop,
}

impl Planner<'_> {
    /// Plans a condition on events from `start` (inclusive) to `end` (exclusive).
    pub(crate) fn plan_between(
        &self,
        meaning: &EventMeaning,
        start: Option<Micros>,
        end: Option<Micros>,
    ) -> Box<dyn Query> {
        let query = self.plan(meaning);
        let (earliest, latest) = self.snapshot.time_span().unwrap_or_default();
        // Bounds outside of which nothing is say nothing.
        let start = start.filter(|start| *start > earliest);
        let end = end.filter(|end| *end <= latest);
        if start.is_none() && end.is_none() {
            return query;
        }
        let span = self.time_between(start, end);
        if *meaning == Meaning::All { span } else { all_of(vec![span, query]) }
    }

    /// The events of a query that a clause has, too.
    pub(crate) fn among(&self, query: Box<dyn Query>, clause: impl Clause) -> Box<dyn Query> {
        all_of(vec![query, self.clause(clause)])
    }

    pub(crate) fn plan(&self, meaning: &EventMeaning) -> Box<dyn Query> {
        match meaning {
            Meaning::All => Box::new(AllQuery),
            Meaning::And(parts) => self.plan_and(parts),
            Meaning::Or(parts) => self.plan_or(parts),
            Meaning::Not(_) => self.plan_and(std::slice::from_ref(meaning)),
            Meaning::Test(test) => self.test(test),
        }
    }

    fn test(&self, test: &EventTest) -> Box<dyn Query> {
        match test {
            EventTest::Words(WordMeaning::Row { row, time }) => self.words(row, time.as_ref()),
            EventTest::Words(WordMeaning::Wildcard(form)) => {
                self.word_form(format!("wildcard {form}"), form.clone())
            }
            EventTest::Words(WordMeaning::Regex(regex)) => {
                self.word_form(format!("regex {}", regex.source().pattern), regex.clone())
            }
            EventTest::Words(WordMeaning::Network(network)) => self.network(network),
            EventTest::Time(TimeBetween { start: None, end: None }) => Box::new(AllQuery),
            EventTest::Time(TimeBetween { start, end }) => self.time_between(*start, *end),
            EventTest::Value { field, test } => self.value(field, test),
            EventTest::Compared { left, comparison, right } => {
                self.compared(left, *comparison, right)
            }
        }
    }

    /// Plans an AND. Its negated parts are subtracted from its other parts, and not from all
    /// events.
    fn plan_and(&self, parts: &[EventMeaning]) -> Box<dyn Query> {
        let in_order = in_order_of_cost(parts);
        if in_order.iter().any(|part| cost(part) > Cost::Terms) {
            let (mut all, mut none) = (Vec::new(), Vec::new());
            for part in in_order {
                match part {
                    Meaning::Not(inner) => none.push(self.plan(inner)),
                    part => all.push(self.plan(part)),
                }
            }
            if all.is_empty() {
                all.push(Box::new(AllQuery));
            }
            let (all, none, stop) = (all.into(), none.into(), self.stop.clone());
            return Box::new(lazily::All { all, none, stop });
        }
        let all: Vec<_> = parts.iter().map(|part| self.plan(part)).collect();
        let count = all.len();
        if count <= PARTS_UNPACED_MAX {
            return all_of(all);
        }
        all_of(all.into_iter().map(|query| self.paced(query, count)).collect())
    }

    fn plan_or(&self, parts: &[EventMeaning]) -> Box<dyn Query> {
        let merged = merged(parts);
        let mut planned: Vec<Box<dyn Query>> = Vec::with_capacity(merged.len());
        for part in &merged {
            planned.push(match &part.of_field {
                Some((field, tests)) if tests.len() > 1 => self.any_case(field, tests),
                _ => self.plan(part.first),
            });
        }
        if planned.len() == 1 {
            return planned.remove(0);
        }
        let any: Vec<_> = planned.iter().map(|query| query.box_clone()).collect();
        let whole = if planned.len() <= PARTS_UNPACED_MAX {
            any_of(planned)
        } else {
            any_of(planned.into_iter().map(|part| self.paced(part, 1)).collect())
        };
        if parts.iter().all(|part| cost(part) == Cost::Terms) {
            return whole;
        }
        let (any, whole, stop) = (any.into(), Arc::from(whole), self.stop.clone());
        Box::new(lazily::Any { any, whole, stop })
    }

    /// An event that many queries are asked about costs so much that each counts, match or not.
    fn paced(&self, query: Box<dyn Query>, others: usize) -> Box<dyn Query> {
        self.clause(PacedClause { query, others })
    }

    fn clause(&self, clause: impl Clause) -> Box<dyn Query> {
        ClauseQuery::boxed(self.snapshot, clause, &self.stop)
    }

    /// One word anywhere, or several in a row within one value; or a time, which is kept as a time and
    /// not as words.
    fn words(&self, row: &Row, time: Option<&TimeBetween>) -> Box<dyn Query> {
        let found = match row.words.as_slice() {
            [word] if row.marked.is_empty() => {
                self.clause(WordClause { word: word.clone(), read: read_record() })
            }
            _ => {
                let words = row.telling_words().into_iter().cloned().collect();
                let in_columns = self.clause(ColumnPhraseClause { words, test: row.clone() });
                any_of(vec![in_columns, self.row_in_leaves(row, None)])
            }
        };
        match time {
            Some(TimeBetween { start, end }) => {
                any_of(vec![found, self.time_between(*start, *end)])
            }
            None => found,
        }
    }

    /// An address of a network anywhere in an event, or the network itself.
    fn network(&self, network: &NetworkWords) -> Box<dyn Query> {
        let text = self.words(&network.row, None);
        let addresses = &network.addresses;
        let named = format!("network {addresses:?}");
        if addresses.are_v4() {
            return any_of(vec![text, self.word_form(named, NetworkWord(addresses.clone()))]);
        }
        let of_source = self.addresses(addresses);
        // An address that begins with a zero may be written without it.
        let has_word = !NetworkWord(addresses.clone()).is_met_by("0");
        let candidates = if has_word {
            self.word_form(named, NetworkWord(addresses.clone()))
        } else {
            Box::new(AllQuery)
        };
        let test = record_test(None, network.clone());
        any_of(vec![text, of_source, self.clause(VerifiedClause { candidates, test })])
    }

    /// Words in a row within one value that is no column's: those events that have all the words
    /// that tell most, verified on the record.
    fn row_in_leaves(&self, row: &Row, path: Option<&str>) -> Box<dyn Query> {
        let field = self.snapshot.fields.words;
        let exact = |word: &String| exact(Term::from_field_text(field, word));
        let candidates = all_of(row.telling_words().into_iter().map(exact).collect());
        let test = record_test(path, row.clone());
        self.clause(VerifiedClause { candidates, test })
    }

    /// Plans events with a word that passes a test. The name is the test's cache key, so no other
    /// test may have it.
    fn word_form(&self, name: String, test: impl ValueTest + Clone) -> Box<dyn Query> {
        self.clause(WordFormClause { name, test, read: read_record() })
    }

    fn time_between(&self, start: Option<Micros>, end: Option<Micros>) -> Box<dyn Query> {
        self.clause(TimeClause {
            start: start.unwrap_or(Micros(i64::MIN)),
            end: end.unwrap_or(Micros(i64::MAX)),
        })
    }
}

/// Reads a column's values from a record, for columns that are not kept by event.
pub(crate) fn read_record() -> Arc<ReadRecord> {
    Arc::new(|record, column, visit| {
        if let Some((event, _)) = SharedParser::take().parse_record(record) {
            event.columns().filter(|(id, _)| *id == column).for_each(|(_, text)| visit(text));
        }
    })
}

/// Whether some value of a record, at a path or anywhere, passes a test.
fn record_test(
    path: Option<&str>,
    test: impl ValueTest + Clone,
) -> impl Fn(&[u8]) -> bool + Clone + Send + Sync + 'static {
    let path = path.map(separated);
    move |record: &[u8]| {
        let mut is_met = false;
        SharedParser::take().each_scalar(record, |at, scalar| {
            let is_here = path.as_deref().is_none_or(|path| path == at);
            is_met |= is_here && test.is_met_by(&scalar.written());
        });
        is_met
    }
}

/// Whether some value of a record at a path is a text, or the number or truth value that it reads as.
fn leaf_test(path: &str, text: &str) -> impl Fn(&[u8]) -> bool + Clone + Send + Sync + 'static {
    let (path, number) = (separated(path), SameNumber::new(text));
    let mut cut = text.to_owned();
    shorten(&mut cut, EXACT_BYTES_MAX);
    let is_equal = move |scalar: Scalar<'_>| match scalar {
        Scalar::Str(text) if text.len() <= EXACT_BYTES_MAX => text == cut,
        Scalar::Str(text) => shorten(&mut text.to_owned(), EXACT_BYTES_MAX) == cut,
        Scalar::Bool(b) => cut.parse() == Ok(b),
        scalar => number.is_met_by(&scalar.written()),
    };
    move |record: &[u8]| {
        let mut is_met = false;
        SharedParser::take().each_scalar(record, |at, scalar| {
            is_met |= at == path && is_equal(scalar);
        });
        is_met
    }
}

fn exact(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn all_of(mut parts: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match parts.len() {
        1 => parts.remove(0),
        _ => Box::new(BooleanQuery::intersection(parts)),
    }
}

fn any_of(mut parts: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    match parts.len() {
        0 => Box::new(EmptyQuery),
        1 => parts.remove(0),
        _ => Box::new(BooleanQuery::union(parts)),
    }
}
