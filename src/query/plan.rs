//! Planning: from the tree to a query on the index. With `run`, the only file of this folder that
//! knows tantivy.
//!
//! Values are compared whole and with their case (`eventName:GetObject`), words in lower case. A value
//! that reads as a number or a truth value is looked for as text and as that.

use std::ops::Bound;
use std::sync::Arc;

use jiff::Timestamp;
use tantivy::Term;
use tantivy::query::{
    AllQuery, BooleanQuery, EmptyQuery, InvertedIndexRangeQuery, Occur, Query, RegexQuery,
    TermQuery,
};
use tantivy::schema::IndexRecordOption;

use super::ast::{Expr, FieldRef, Pattern, Test, Value};
use super::fields::{Target, resolve};
use super::form::{Between, Form, Row};
use super::time::{TimeSpan, parse_time};
use crate::api::proto::{ApiError, ErrorKind};
use crate::event::columns::{self, ColumnId, Words};
use crate::event::flat::{EXACT_BYTES_MAX, parse_ip};
use crate::event::time::Micros;
use crate::event::words::{shorten, words};
use crate::index::clauses::{
    ClauseQuery, ExistsClause, LeafClause, NumberClause, TextField, TimeClause, ValueTest,
    ValuesClause, VerifiedClause,
};
use crate::index::schema::Fields;
use crate::index::snapshot::{Snapshot, separated};
use crate::index::word_clauses::{ColumnPhraseClause, WordClause, WordFormClause};
use crate::ingest::parse::Parser;

type Planned = Result<Box<dyn Query>, ApiError>;

/// Plans queries on one snapshot, at one moment.
pub struct Planner<'a> {
    pub snapshot: &'a Arc<Snapshot>,
    pub now: Timestamp,
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
            Expr::Wildcard(pattern) => Ok(self.word_form(pattern)),
            Expr::Field { field, test } => self.test(field, test),
            Expr::And(parts) => Ok(all_of(self.plan_all(parts)?)),
            Expr::Or(parts) => Ok(any_of(self.plan_all(parts)?)),
            Expr::Not(inner) => Ok(not(self.plan(inner)?)),
        }
    }

    fn plan_all(&self, parts: &[Expr]) -> Result<Vec<Box<dyn Query>>, ApiError> {
        parts.iter().map(|part| self.plan(part)).collect()
    }

    fn clause(&self, clause: impl crate::index::clauses::Clause) -> Box<dyn Query> {
        ClauseQuery::boxed(self.snapshot, clause)
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
            [word] => Ok(self.clause(WordClause { word: word.clone() })),
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
        let path = path.map(separated);
        let row = Row(row);
        let test = move |record: &[u8]| {
            let mut is_met = false;
            Parser::default().each_string(record, |at, text| {
                let is_here = path.as_deref().is_none_or(|path| path == at);
                is_met |= is_here && row.is_met_by(text);
            });
            is_met
        };
        self.clause(VerifiedClause { candidates, test })
    }

    fn word_form(&self, pattern: &Pattern) -> Box<dyn Query> {
        self.clause(WordFormClause { test: Form::of_words(pattern) })
    }

    fn test(&self, field: &FieldRef, test: &Test) -> Planned {
        if let Test::OneOf(tests) = test {
            let parts =
                tests.iter().map(|test| self.test(field, test)).collect::<Result<_, _>>()?;
            return Ok(any_of(parts));
        }
        match resolve(field, self.snapshot)? {
            Target::Time => self.time_test(test, field),
            Target::Ip => self.ip_test(test),
            Target::Column(id) => self.column_test(id, test),
            Target::Path(path) => self.path_test(&path, test),
        }
    }

    fn column_test(&self, id: ColumnId, test: &Test) -> Planned {
        let field = TextField::Column(id);
        Ok(match test {
            Test::Is(value) => exact(Self::column_term(id, &value.text)),
            Test::Phrase(text) if id.column().words == Words::Whole => {
                exact(Self::column_term(id, text))
            }
            Test::Phrase(text) => self.values(field, row(text)?),
            Test::Wildcard(pattern) if id.column().is_unique => {
                let regex = Form::new(pattern).regex();
                Box::new(
                    RegexQuery::from_pattern(&regex, Fields::column(id))
                        .map_err(|error| internal(&error))?,
                )
            }
            Test::Wildcard(pattern) => self.values(field, Form::new(pattern)),
            Test::Range { lower, upper } if id.column().is_unique => {
                let term = |value: &Value| Self::column_term(id, &value.text);
                let (lower, upper) = (lower.as_ref().map(term), upper.as_ref().map(term));
                Box::new(InvertedIndexRangeQuery::new(lower, upper))
            }
            Test::Range { lower, upper } => self.values(field, between(lower, upper)),
            Test::Exists if id.column().is_unique => Box::new(
                RegexQuery::from_pattern("(.|\n)*", Fields::column(id))
                    .map_err(|error| internal(&error))?,
            ),
            Test::Exists => self.clause(ExistsClause { path: id.column().path.to_owned() }),
            Test::OneOf(_) => unreachable!("taken apart by `test`"),
        })
    }

    fn path_test(&self, path: &str, test: &Test) -> Planned {
        let field = TextField::Path(path.to_owned());
        Ok(match test {
            Test::Is(value) => {
                self.clause(LeafClause { path: path.to_owned(), text: value.text.clone() })
            }
            Test::Phrase(text) => self.row_in_leaves(row(text)?.0, Some(path)),
            Test::Wildcard(pattern) => self.values(field, Form::new(pattern)),
            Test::Range { lower, upper } => match (number_bound(lower), number_bound(upper)) {
                (Some(lower), Some(upper)) => {
                    self.clause(NumberClause { path: path.to_owned(), lower, upper })
                }
                _ => self.values(field, between(lower, upper)),
            },
            Test::Exists => self.clause(ExistsClause { path: path.to_owned() }),
            Test::OneOf(_) => unreachable!("taken apart by `test`"),
        })
    }

    fn column_term(id: ColumnId, text: &str) -> Term {
        let mut text = text.to_owned();
        Term::from_field_text(Fields::column(id), shorten(&mut text, EXACT_BYTES_MAX))
    }

    fn values(&self, field: TextField, test: impl ValueTest) -> Box<dyn Query> {
        self.clause(ValuesClause { field, test })
    }

    fn ip_test(&self, test: &Test) -> Planned {
        if let Test::Is(value) = test {
            if let Some((first, last)) = network(&value.text) {
                let term = |ip| Term::from_field_ip_addr(self.snapshot.fields.ip, ip);
                let bounds = (Bound::Included(term(first)), Bound::Included(term(last)));
                return Ok(Box::new(InvertedIndexRangeQuery::new(bounds.0, bounds.1)));
            }
            if value.text.contains('/') && value.text.starts_with(|c: char| c.is_ascii_hexdigit()) {
                let message = format!("'{}' is not a network like 10.0.0.0/8", value.text);
                return Err(bad_query(value.offset, &message));
            }
        }
        self.column_test(columns::SOURCE_IP, test)
    }

    fn time_test(&self, test: &Test, field: &FieldRef) -> Planned {
        let (start, end) = match test {
            Test::Exists => return Ok(Box::new(AllQuery)),
            Test::Is(value) => {
                let span = self.time(value)?;
                (Some(span.start), Some(span.end))
            }
            Test::Range { lower, upper } => (
                match lower {
                    Bound::Included(value) => Some(self.time(value)?.start),
                    Bound::Excluded(value) => Some(self.time(value)?.end),
                    Bound::Unbounded => None,
                },
                match upper {
                    Bound::Included(value) => Some(self.time(value)?.end),
                    Bound::Excluded(value) => Some(self.time(value)?.start),
                    Bound::Unbounded => None,
                },
            ),
            _ => {
                let message = format!(
                    "'{}' is a time: compare it (>= 2026-06-01) or give a range ([-24h TO now])",
                    field.name
                );
                return Err(bad_query(field.offset, &message));
            }
        };
        Ok(self.time_between(start, end))
    }

    fn time(&self, value: &Value) -> Result<TimeSpan, ApiError> {
        parse_time(&value.text, self.now)
            .map_err(|error| bad_query(value.offset, &error.to_string()))
    }

    fn time_between(&self, start: Option<Micros>, end: Option<Micros>) -> Box<dyn Query> {
        self.clause(TimeClause {
            start: start.unwrap_or(Micros(i64::MIN)),
            end: end.unwrap_or(Micros(i64::MAX)),
        })
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

fn not(query: Box<dyn Query>) -> Box<dyn Query> {
    Box::new(BooleanQuery::new(vec![(Occur::Must, Box::new(AllQuery)), (Occur::MustNot, query)]))
}

fn row(text: &str) -> Result<Row, ApiError> {
    let row = Row::of(text);
    if row.0.is_empty() { Err(no_word(text)) } else { Ok(row) }
}

fn between(lower: &Bound<Value>, upper: &Bound<Value>) -> Between {
    let text = |value: &Value| value.text.clone();
    Between { lower: lower.as_ref().map(text), upper: upper.as_ref().map(text) }
}

/// A bound that is a number, or none; None for text.
fn number_bound(bound: &Bound<Value>) -> Option<Bound<f64>> {
    let number = |value: &Value| value.text.parse::<f64>().ok().filter(|n| !n.is_nan());
    Some(match bound {
        Bound::Included(value) => Bound::Included(number(value)?),
        Bound::Excluded(value) => Bound::Excluded(number(value)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

/// The first and last address of a network, or an address twice; IPv4 mapped into IPv6.
fn network(text: &str) -> Option<(std::net::Ipv6Addr, std::net::Ipv6Addr)> {
    let (address, length) = text.split_once('/').unwrap_or((text, "128"));
    let ip = parse_ip(address)?;
    let is_v4 = address.parse::<std::net::Ipv4Addr>().is_ok();
    let mut length: u32 = length.parse().ok()?;
    if is_v4 && text.contains('/') {
        length = length.checked_add(96)?;
    }
    let host_bits = 128_u32.checked_sub(length)?;
    let hosts = if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 };
    let first = u128::from(ip) & !hosts;
    Some((first.into(), (first | hosts).into()))
}

fn bad_query(offset: usize, message: &str) -> ApiError {
    let mut error = ApiError::new(ErrorKind::BadQuery, format!("{message} at byte {offset}"));
    error.offset = Some(offset);
    error
}

fn no_word(text: &str) -> ApiError {
    let message = format!("'{text}' holds no word: words are letters and digits");
    ApiError::new(ErrorKind::BadQuery, message)
}

fn internal(error: &tantivy::TantivyError) -> ApiError {
    ApiError::new(ErrorKind::Internal, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_their_first_and_last_address() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let found = network(text).map(|(first, last)| (first.to_string(), last.to_string()));
            let expected = expected.map(|(first, last)| (first.to_owned(), last.to_owned()));
            assert_eq!(found, expected, "{text}");
        };
        check("10.0.0.0/8", Some(("::ffff:10.0.0.0", "::ffff:10.255.255.255")));
        check("192.0.2.7", Some(("::ffff:192.0.2.7", "::ffff:192.0.2.7")));
        check("0.0.0.0/0", Some(("::ffff:0.0.0.0", "::ffff:255.255.255.255")));
        check("2001:db8::/32", Some(("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")));
        check("::/0", Some(("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
        check("10.0.0.0/33", None);
        check("AWS Internal", None);
    }
}
