//! Planning the tests of one field.

use std::iter;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Bound;
use std::sync::Arc;

use tantivy::Term;
use tantivy::query::{AllQuery, BooleanQuery, InvertedIndexRangeQuery, Query};

use super::{Planned, Planner, any_of, bad_query, compiled, exact, record_test};
use crate::compare::{CompareClause, Relation};
use crate::fields::{Target, has_no_value, resolve};
use crate::form::{
    AnyCase, AnyOf, Anything, AwsSource, Between, Form, Phrase, Row, SameNumber, time_bounds,
};
use crate::id_clauses::{IdClause, UuidClause};
use crate::value_clauses::{
    ExistsClause, LeafClause, NumberClause, RecordTest, TextField, ValueTest, ValuesClause,
};
use language::ast::{Comparison, FieldRef, Test, Value};
use language::time::{TimeError, parse_time};
use segment::ids::Key;
use segment::schema::Fields;
use trail::columns;
use trail::columns::{ColumnId, Words};
use trail::flat::parse_ip;
use trail::limits::EXACT_BYTES_MAX;
use trail::words::shorten;
use wire::ApiError;

/// Values looked for one by one; more are looked for together, in one pass over the field's values.
const VALUES_APART_MAX: usize = 16;

impl Planner<'_> {
    pub(super) fn test(&self, field: &FieldRef, test: &Test) -> Planned {
        match test {
            Test::OneOf(tests) => return self.one_of(field, tests),
            Test::Compared { comparison, other } => {
                return self.compared(field, *comparison, other);
            }
            Test::InQuery(_) => unreachable!("its values take its place before planning"),
            _ => {}
        }
        match resolve(field, self.snapshot)? {
            Target::Time => self.time_test(test, field),
            Target::Ip => self.ip_test(test),
            Target::Column(id) => self.column_test(id, test),
            Target::Paths(paths) => {
                let parts = paths.iter().map(|path| self.path_test(path, test));
                Ok(any_of(parts.collect::<Result<_, _>>()?))
            }
            Target::Object(path) if *test == Test::Exists => Ok(self.clause(ExistsClause { path })),
            Target::Object(path) => Err(has_no_value(field, &path, self.snapshot)),
        }
    }

    fn one_of(&self, field: &FieldRef, tests: &[Test]) -> Planned {
        let (plain, others): (Vec<_>, Vec<_>) = tests.iter().partition(|test| is_plain_text(test));
        if plain.len() <= VALUES_APART_MAX {
            let parts = tests.iter().map(|test| self.test(field, test));
            return Ok(any_of(parts.collect::<Result<_, _>>()?));
        }
        let texts = plain.iter().filter_map(|test| match test {
            Test::Is(value) => Some(value.text.as_str()),
            _ => None,
        });
        let mut parts = match resolve(field, self.snapshot)? {
            Target::Column(id) => self.is_any_of(id, texts),
            Target::Paths(paths) => {
                let test = AnyOf::new(texts);
                let values = |path: String| self.values(&TextField::Path(path), test.clone());
                paths.into_iter().map(values).collect()
            }
            _ => plain.iter().map(|test| self.test(field, test)).collect::<Result<_, _>>()?,
        };
        for test in others {
            parts.push(self.test(field, test)?);
        }
        Ok(any_of(parts))
    }

    fn compared(&self, field: &FieldRef, comparison: Comparison, other: &FieldRef) -> Planned {
        let relation = match comparison {
            Comparison::Equal => Relation::Equal,
            Comparison::NotEqual => Relation::Different,
            Comparison::More => Relation::More,
            Comparison::AtLeast => Relation::AtLeast,
            Comparison::Less => Relation::Less,
            Comparison::AtMost => Relation::AtMost,
        };
        let (left, right) = (self.source(field)?, self.source(other)?);
        Ok(self.clause(CompareClause { left, right, relation, read: crate::plan::read_record() }))
    }

    fn column_test(&self, id: ColumnId, test: &Test) -> Planned {
        match test {
            Test::Is(value) => Ok(self.is(id, &value.text)),
            Test::Exists if !id.column().is_unique => {
                Ok(self.clause(ExistsClause { path: id.column().path.to_owned() }))
            }
            Test::Phrase(text) if id.column().words == Words::Whole => {
                Ok(self.phrase_in_whole(id, text))
            }
            test => self.values_test(&TextField::Column(id), test),
        }
    }

    /// Words in a row in a column whose values are one word each, but for some whose words are found
    /// as those of leaves are.
    fn phrase_in_whole(&self, id: ColumnId, text: &str) -> Box<dyn Query> {
        let is = |text: &str| self.is(id, text);
        let row = Row::of(text).0;
        let mut parts = vec![is(text)];
        if let [word] = row.as_slice() {
            parts.extend([is(word), is(&word.to_ascii_uppercase())]);
        }
        if !row.is_empty() {
            parts.push(self.row_in_leaves(row, Some(id.column().path)));
        }
        any_of(parts)
    }

    fn path_test(&self, path: &str, test: &Test) -> Planned {
        let is = |text: &str| {
            let is_met_by_record: RecordTest =
                Arc::new(record_test(Some(path), SameNumber::new(text)));
            self.clause(LeafClause {
                path: path.to_owned(),
                text: text.to_owned(),
                is_met_by_record,
            })
        };
        match test {
            Test::Is(value) => Ok(is(&value.text)),
            Test::Phrase(text) => {
                let row = Row::of(text).0;
                let whole = is(text);
                Ok(if row.is_empty() {
                    whole
                } else {
                    any_of(vec![whole, self.row_in_leaves(row, Some(path))])
                })
            }
            Test::Exists => Ok(self.clause(ExistsClause { path: path.to_owned() })),
            Test::Range { lower, upper } => {
                let between = self.between(lower, upper)?;
                let Between::Numbers(lower, upper) = &between else {
                    return Ok(self.values(&TextField::Path(path.to_owned()), between));
                };
                let numbers = NumberClause {
                    path: path.to_owned(),
                    lower: *lower,
                    upper: *upper,
                    texts: between,
                };
                Ok(self.clause(numbers))
            }
            test => self.values_test(&TextField::Path(path.to_owned()), test),
        }
    }

    fn values_test(&self, field: &TextField, test: &Test) -> Planned {
        Ok(match test {
            Test::Is(Value { text, .. }) | Test::Phrase(text) => {
                self.values(field, Phrase::new(text))
            }
            Test::AnyCase(pattern) => self.values(field, AnyCase::new(pattern)),
            Test::Wildcard(pattern) => self.values(field, Form::new(pattern)),
            Test::Regex(regex) => self.values(field, compiled(regex)?),
            Test::Range { lower, upper } if *field == TextField::Column(columns::EVENT_VERSION) => {
                match Between::versions(lower, upper) {
                    Some(between) => self.values(field, between),
                    None => self.values(field, self.between(lower, upper)?),
                }
            }
            Test::Range { lower, upper } => self.values(field, self.between(lower, upper)?),
            Test::Exists => self.values(field, Anything),
            Test::OneOf(_) | Test::Compared { .. } | Test::InQuery(_) => {
                unreachable!("taken apart by `test`")
            }
        })
    }

    /// Fields one of whose values passes a test.
    fn values(&self, field: &TextField, test: impl ValueTest + Clone) -> Box<dyn Query> {
        let path = match field {
            TextField::Column(id) if id.column().is_unique => {
                let read = crate::plan::read_record();
                return self.clause(IdClause { column: *id, test, read });
            }
            TextField::Column(id) => id.column().path,
            TextField::Path(path) => path,
        };
        let is_met_by_record: RecordTest = match field {
            // What is derived is in no record.
            TextField::Column(id) if id.column().words == Words::Derived => Arc::new(|_| false),
            _ => Arc::new(record_test(Some(path), test.clone())),
        };
        self.clause(ValuesClause { field: field.clone(), test, is_met_by_record })
    }

    /// Events with a value in a column.
    pub fn is(&self, id: ColumnId, text: &str) -> Box<dyn Query> {
        any_of(self.is_any_of(id, iter::once(text)))
    }

    /// Events with one of some values in a column, in parts.
    fn is_any_of<'t>(
        &self,
        id: ColumnId,
        texts: impl Iterator<Item = &'t str>,
    ) -> Vec<Box<dyn Query>> {
        let is_uuid = |text: &&str| id.column().is_unique && Key::of(text).is_some();
        let (uuids, texts): (Vec<_>, Vec<_>) = texts.partition(is_uuid);
        let mut parts = Vec::new();
        if !uuids.is_empty() {
            let uuids = Arc::new(uuids.into_iter().map(str::to_owned).collect());
            parts.push(self.clause(UuidClause {
                column: id,
                uuids,
                read: crate::plan::read_record(),
            }));
        }
        let mut terms: Vec<Term> =
            texts.into_iter().map(|text| Self::column_term(id, text)).collect();
        match terms.len() {
            0 => {}
            1 => parts.push(exact(terms.remove(0))),
            _ => parts.push(Box::new(BooleanQuery::new_multiterms_query(terms))),
        }
        parts
    }

    fn column_term(id: ColumnId, text: &str) -> Term {
        let mut text = text.to_owned();
        Term::from_field_text(Fields::column(id), shorten(&mut text, EXACT_BYTES_MAX))
    }

    fn between(&self, lower: &Bound<Value>, upper: &Bound<Value>) -> Result<Between, ApiError> {
        Between::new(lower, upper, self.clock).map_err(bad_time)
    }

    fn ip_test(&self, test: &Test) -> Planned {
        let between = |lower: Bound<Ipv6Addr>, upper: Bound<Ipv6Addr>| {
            let term = |ip| Term::from_field_ip_addr(self.snapshot.fields.ip, ip);
            Box::new(InvertedIndexRangeQuery::new(lower.map(term), upper.map(term)))
        };
        match test {
            Test::Is(Value { text, .. }) if text == "aws" => {
                return Ok(self.values(&TextField::Column(columns::SOURCE_IP), AwsSource));
            }
            Test::Is(Value { text, .. }) | Test::Phrase(text) => {
                if let Some((first, last)) = network(text) {
                    return Ok(between(Bound::Included(first), Bound::Included(last)));
                }
                let is_meant_for_one = text.split_once('/').is_some_and(|(address, _)| {
                    address.chars().all(|c| c.is_ascii_hexdigit() || ".:".contains(c))
                });
                if is_meant_for_one {
                    let offset = if let Test::Is(value) = test { value.offset } else { None };
                    let message = format!("'{text}' is not a network like 10.0.0.0/8");
                    return Err(bad_query(offset, &message));
                }
            }
            Test::Range { lower, upper } => {
                let address = |bound: &Bound<Value>| {
                    let address = |value: &Value| {
                        parse_ip(&value.text).ok_or_else(|| {
                            let message = format!("'{}' is not an address", value.text);
                            bad_query(value.offset, &message)
                        })
                    };
                    Ok::<_, ApiError>(match bound {
                        Bound::Included(value) => Bound::Included(address(value)?),
                        Bound::Excluded(value) => Bound::Excluded(address(value)?),
                        Bound::Unbounded => Bound::Unbounded,
                    })
                };
                return Ok(between(address(lower)?, address(upper)?));
            }
            _ => {}
        }
        self.column_test(columns::SOURCE_IP, test)
    }

    fn time_test(&self, test: &Test, field: &FieldRef) -> Planned {
        let (start, end) = match test {
            Test::Exists => return Ok(Box::new(AllQuery)),
            Test::Is(value) => {
                let span = parse_time(&value.text, self.clock)
                    .map_err(|error| bad_time((value.offset, error)))?;
                (Some(span.start), Some(span.end))
            }
            Test::Phrase(text) => {
                let span = parse_time(text, self.clock)
                    .map_err(|error| bad_time((field.offset, error)))?;
                (Some(span.start), Some(span.end))
            }
            Test::Range { lower, upper } => {
                time_bounds(lower, upper, self.clock).map_err(bad_time)?
            }
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
}

/// A value that is looked for by its text alone: no number, which has several.
fn is_plain_text(test: &Test) -> bool {
    matches!(test, Test::Is(value) if value.text.parse::<f64>().is_err())
}

fn bad_time((offset, error): (Option<usize>, TimeError)) -> ApiError {
    bad_query(offset, &error.to_string())
}

/// The first and last address of a network, or an address twice; IPv4 mapped into IPv6.
fn network(text: &str) -> Option<(Ipv6Addr, Ipv6Addr)> {
    let (address, length) = text.split_once('/').unwrap_or((text, "128"));
    let ip = parse_ip(address)?;
    let is_v4 = address.parse::<Ipv4Addr>().is_ok();
    let mut length: u32 = length.parse().ok()?;
    if is_v4 && text.contains('/') {
        length = length.checked_add(96)?;
    }
    let host_bits = 128_u32.checked_sub(length)?;
    let hosts = if host_bits == 128 { u128::MAX } else { (1 << host_bits) - 1 };
    let first = u128::from(ip) & !hosts;
    Some((first.into(), (first | hosts).into()))
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
