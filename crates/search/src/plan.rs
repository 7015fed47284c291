//! Planning: from the tree to a query on the index. With `run`, the only part of this folder that knows
//! tantivy.
//!
//! Values are compared whole and with their case (`eventName:GetObject`), words in lower case. A value
//! that reads as a number or a truth value is looked for as text and as that.

mod field;

use std::sync::Arc;

use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, Query, TermQuery};
use tantivy::schema::IndexRecordOption;

use crate::clauses::{Clause, ClauseQuery, Stop, TimeClause, VerifiedClause};
use crate::fields::{Target, at, has_no_value, resolve};
use crate::form::{Form, Match, Row};
use crate::value_clauses::ValueTest;
use crate::values::{ReadRecord, Source};
use crate::word_clauses::{ColumnPhraseClause, WordClause, WordFormClause};
use language::ast::{Expr, FieldRef, Regex};
use language::time::Clock;
use segment::view::separated;
use store::snapshot::Snapshot;
use trail::columns;
use trail::flat::Scalar;
use trail::parse::Parser;
use trail::time::Micros;
use trail::words::words;
use wire::{ApiError, ErrorKind};

type Planned = Result<Box<dyn Query>, ApiError>;

/// Plans queries on one snapshot, at one moment.
pub struct Planner<'a> {
    pub snapshot: &'a Arc<Snapshot>,
    pub clock: &'a Clock,
    pub stop: Stop,
}

impl Planner<'_> {
    /// Plans the events of `expr` from `start` up to, and without, `end`.
    pub fn plan_between(&self, expr: &Expr, start: Option<Micros>, end: Option<Micros>) -> Planned {
        let query = self.plan(expr)?;
        if start.is_none() && end.is_none() {
            return Ok(query);
        }
        let span = self.time_between(start, end);
        Ok(if *expr == Expr::All { span } else { all_of(vec![query, span]) })
    }

    pub fn plan(&self, expr: &Expr) -> Planned {
        match expr {
            Expr::All => Ok(Box::new(AllQuery)),
            Expr::Word(text) | Expr::Phrase(text) => self.words(text),
            Expr::Wildcard(pattern) => Ok(self.word_form(expr, Form::of_words(pattern))),
            Expr::Regex(regex) => {
                let any_case = Regex { ignores_case: true, ..regex.clone() };
                Ok(self.word_form(expr, compiled(&any_case)?))
            }
            Expr::Field { field, test } => self.test(field, test),
            Expr::And(parts) => self.plan_and(parts),
            Expr::Or(parts) => Ok(any_of(self.plan_all(parts)?)),
            Expr::Not(inner) => Ok(without(Box::new(AllQuery), vec![self.plan(inner)?])),
        }
    }

    /// The field whose values a name stands for.
    pub fn source(&self, field: &FieldRef) -> Result<Source, ApiError> {
        Ok(match resolve(field, self.snapshot)? {
            Target::Time => Source::Time,
            Target::Ip => Source::Column(columns::SOURCE_IP),
            Target::Column(id) => Source::Column(id),
            Target::Paths(paths) => Source::Paths(paths),
            Target::Object(path) => return Err(has_no_value(field, &path, self.snapshot)),
        })
    }

    /// What is not to be met takes away from what is, and not from all events.
    fn plan_and(&self, parts: &[Expr]) -> Planned {
        let (mut all, mut none) = (Vec::new(), Vec::new());
        for part in parts {
            match part {
                Expr::Not(inner) => none.push(self.plan(inner)?),
                part => all.push(self.plan(part)?),
            }
        }
        if all.is_empty() {
            all.push(Box::new(AllQuery));
        }
        let all = all_of(all);
        Ok(if none.is_empty() { all } else { without(all, none) })
    }

    fn plan_all(&self, parts: &[Expr]) -> Result<Vec<Box<dyn Query>>, ApiError> {
        parts.iter().map(|part| self.plan(part)).collect()
    }

    fn clause(&self, clause: impl Clause) -> Box<dyn Query> {
        ClauseQuery::boxed(self.snapshot, clause, &self.stop)
    }

    /// One word anywhere, or several in a row within one value. A whole time is an event's time too,
    /// which is kept as a time and not as words.
    fn words(&self, text: &str) -> Planned {
        let found = self.words_in_values(text)?;
        Ok(match Micros::parse_event_time(text) {
            Some(time) => {
                let end = Micros(time.0.saturating_add(1));
                any_of(vec![found, self.time_between(Some(time), Some(end))])
            }
            None => found,
        })
    }

    fn words_in_values(&self, text: &str) -> Planned {
        let row = words(text);
        match row.as_slice() {
            [] => Err(no_word(text)),
            [word] => Ok(self.clause(WordClause { word: word.clone(), read: read_record() })),
            _ => {
                let in_columns =
                    self.clause(ColumnPhraseClause { words: row.clone(), test: Row(row.clone()) });
                Ok(any_of(vec![in_columns, self.row_in_leaves(row, None)]))
            }
        }
    }

    /// Words in a row within one value that is no column's: those events that have all the words,
    /// verified on the record.
    fn row_in_leaves(&self, row: Vec<String>, path: Option<&str>) -> Box<dyn Query> {
        let field = self.snapshot.fields.words;
        let candidates =
            all_of(row.iter().map(|word| exact(Term::from_field_text(field, word))).collect());
        let test = record_test(path, Row(row));
        self.clause(VerifiedClause { candidates, test })
    }

    fn word_form(&self, expr: &Expr, test: impl ValueTest + Clone) -> Box<dyn Query> {
        self.clause(WordFormClause { name: expr.to_string(), test, read: read_record() })
    }

    fn time_between(&self, start: Option<Micros>, end: Option<Micros>) -> Box<dyn Query> {
        self.clause(TimeClause {
            start: start.unwrap_or(Micros(i64::MIN)),
            end: end.unwrap_or(Micros(i64::MAX)),
        })
    }
}

/// Reads a column's values from a record, for columns that are not kept by event.
pub fn read_record() -> Arc<ReadRecord> {
    Arc::new(|record, column, visit| {
        if let Some((event, _)) = Parser::default().parse_record(record) {
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
        Parser::default().each_scalar(record, |at, scalar| {
            let is_here = path.as_deref().is_none_or(|path| path == at);
            is_met |= is_here && with_text(scalar, |text| test.is_met_by(text));
        });
        is_met
    }
}

fn with_text<R>(scalar: Scalar<'_>, read: impl FnOnce(&str) -> R) -> R {
    match scalar {
        Scalar::Str(text) => read(text),
        scalar => read(&trail::cell::Cell::from(scalar).to_string()),
    }
}

fn compiled(regex: &Regex) -> Result<Match, ApiError> {
    let fault = |reason| {
        let message = format!("/{}/ is no regular expression: {reason}", regex.pattern);
        ApiError::new(ErrorKind::BadQuery, message)
    };
    Match::new(regex).map_err(fault)
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

fn without(query: Box<dyn Query>, others: Vec<Box<dyn Query>>) -> Box<dyn Query> {
    let others = others.into_iter().map(|other| (Occur::MustNot, other));
    Box::new(BooleanQuery::new(std::iter::once((Occur::Must, query)).chain(others).collect()))
}

fn bad_query(offset: Option<usize>, message: &str) -> ApiError {
    let message = format!("{message}{}", at(offset));
    ApiError { offset, ..ApiError::new(ErrorKind::BadQuery, message) }
}

fn no_word(text: &str) -> ApiError {
    let message = format!("'{text}' holds no word: words are letters and digits");
    ApiError {
        suggestion: Some("look in a field, as field:value".to_owned()),
        ..ApiError::new(ErrorKind::BadQuery, message)
    }
}
