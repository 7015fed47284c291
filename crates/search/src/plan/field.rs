//! The planner's part for tests on the values of a field.

use std::iter;
use std::net::Ipv6Addr;
use std::ops::Bound;
use std::sync::Arc;

use tantivy::Term;
use tantivy::query::{BooleanQuery, InvertedIndexRangeQuery, Query};

use super::{PARTS_UNPACED_MAX, Planner, any_of, exact, leaf_test, record_test};
use crate::addresses::{Addresses, AwsSource, Network};
use crate::compare::{CompareClause, Relation};
use crate::flags::FlagClause;
use crate::form::{AnyOfCases, Anything, Between, SameNumber, SameText};
use crate::id_clauses::{IdClause, UuidClause};
use crate::integrity::IntegrityClause;
use crate::meaning::{EventField, EventTest, Meaning, Operand, ValueMeaning};
use crate::phrase::Phrase;
use crate::run::key;
use crate::value_clauses::{
    ExistsClause, LeafClause, NumberClause, RecordTest, TextField, ValueTest, ValuesClause,
};
use crate::values::ValueSource;
use language::ast::Comparison;
use segment::ids::UuidKey;
use segment::schema::Fields;
use trail::columns;
use trail::columns::{ColumnId, Words};
use trail::limits::EXACT_BYTES_MAX;
use trail::words::shorten;

/// A hash of a field and the tests of which its values pass one.
pub(super) fn values_key(field: &TextField, tests: &[ValueMeaning]) -> u128 {
    let field = match field {
        TextField::Column(id) => EventField::Column(*id),
        TextField::Path(path) => EventField::Paths(vec![path.clone()]),
    };
    let test_of = |test: &ValueMeaning| {
        let (field, test) = (field.clone(), test.clone());
        Meaning::Test(EventTest::Value { field, test })
    };
    key(&Meaning::Or(tests.iter().map(test_of).collect()), (None, None))
}

/// Looks at a field's values. It must not be one of which nearly every event has its own.
pub(super) fn values_clause<T: ValueTest + Clone>(
    field: TextField,
    test: T,
    key: u128,
) -> ValuesClause<T> {
    let path = match &field {
        TextField::Column(id) => id.column().path,
        TextField::Path(path) => path,
    };
    let is_met_by_record: RecordTest = match field {
        // What is derived is in no record.
        TextField::Column(id) if id.column().words == Words::Derived => Arc::new(|_| false),
        _ => Arc::new(record_test(Some(path), test.clone())),
    };
    ValuesClause { field, test, key, is_met_by_record }
}

/// Values looked for one by one; more are looked for together, in one pass over the field's values.
const VALUES_APART_MAX: usize = 16;

impl Planner<'_> {
    /// Plans events with a value in a field that passes a test.
    pub(crate) fn value(&self, field: &EventField, test: &ValueMeaning) -> Box<dyn Query> {
        match field {
            EventField::Column(id) => self.column_test(*id, test),
            EventField::Integrity(_) => {
                let verdicts = self.snapshot.verdicts.load_full();
                self.clause(IntegrityClause { verdicts, test: test.clone() })
            }
            EventField::Flag(odd) => {
                self.clause(FlagClause { odd: Arc::clone(odd), test: test.clone() })
            }
            EventField::Below(path) => self.below(path, std::slice::from_ref(test)),
            EventField::Paths(paths) => {
                let test_of = |path: &String| match ColumnId::at_path(path) {
                    Some(id) => self.column_test(id, test),
                    None => self.path_test(path, test),
                };
                let parts = paths.iter().map(test_of);
                if paths.len() <= PARTS_UNPACED_MAX {
                    return any_of(parts.collect());
                }
                any_of(parts.map(|part| self.paced(part, 1)).collect())
            }
        }
    }

    pub(super) fn compared(
        &self,
        left: &Operand,
        comparison: Comparison,
        right: &Operand,
    ) -> Box<dyn Query> {
        let relation = match comparison {
            Comparison::Equal => Relation::Equal,
            Comparison::NotEqual => Relation::Different,
            Comparison::More => Relation::More,
            Comparison::AtLeast => Relation::AtLeast,
            Comparison::Less => Relation::Less,
            Comparison::AtMost => Relation::AtMost,
            Comparison::Alike => Relation::Alike,
        };
        let (left, right) = (self.source(left), self.source(right));
        self.clause(CompareClause { left, right, relation, read: crate::plan::read_record() })
    }

    pub(super) fn column_test(&self, id: ColumnId, test: &ValueMeaning) -> Box<dyn Query> {
        match test {
            ValueMeaning::Exact(SameText(text)) => self.is(id, text),
            ValueMeaning::OneOf(texts) => match texts.texts() {
                texts if texts.len() <= VALUES_APART_MAX => {
                    any_of(texts.into_iter().map(|text| self.is(id, text)).collect())
                }
                texts => any_of(self.is_any_of(id, texts.into_iter())),
            },
            ValueMeaning::Exists => {
                let there = self.clause(ExistsClause { path: id.column().path.to_owned() });
                if !id.column().is_unique {
                    return there;
                }
                any_of(vec![self.values_test(&TextField::Column(id), test), there])
            }
            ValueMeaning::Phrase(phrase) if id.column().words == Words::Whole => {
                self.phrase_in_whole(id, phrase)
            }
            // Of several, the first that is an address is in a field of its own.
            ValueMeaning::Address(addresses) if id == columns::SOURCE_IP => {
                self.addresses(addresses)
            }
            ValueMeaning::Network(Network { addresses, text }) if id == columns::SOURCE_IP => {
                any_of(vec![self.addresses(addresses), self.is(id, &text.0)])
            }
            test => self.values_test(&TextField::Column(id), test),
        }
    }

    pub(super) fn addresses(&self, addresses: &Addresses) -> Box<dyn Query> {
        let bound =
            |ip: &Ipv6Addr| Bound::Included(Term::from_field_ip_addr(self.snapshot.fields.ip, *ip));
        let between = |(first, last): &(Ipv6Addr, Ipv6Addr)| -> Box<dyn Query> {
            Box::new(InvertedIndexRangeQuery::new(bound(first), bound(last)))
        };
        any_of(addresses.ranges().iter().map(between).collect())
    }

    /// Words in a row in a column whose values are one word each, but for some whose words are found
    /// as those of leaves are.
    fn phrase_in_whole(&self, id: ColumnId, phrase: &Phrase) -> Box<dyn Query> {
        let mut parts = vec![self.is(id, &phrase.text.0)];
        if let ([word], []) = (&phrase.row.words[..], &phrase.row.marked[..]) {
            parts.extend([self.is(id, word), self.is(id, &word.to_ascii_uppercase())]);
        }
        if !phrase.row.words.is_empty() {
            parts.push(self.row_in_leaves(&phrase.row, Some(id.column().path)));
        }
        any_of(parts)
    }

    fn path_test(&self, path: &str, test: &ValueMeaning) -> Box<dyn Query> {
        match test {
            ValueMeaning::Exact(SameText(text)) => self.leaf(path, text),
            ValueMeaning::OneOf(texts) => match texts.texts() {
                each if each.len() <= VALUES_APART_MAX => {
                    any_of(each.into_iter().map(|text| self.leaf(path, text)).collect())
                }
                _ => self.values_test(&TextField::Path(path.to_owned()), test),
            },
            ValueMeaning::Phrase(Phrase { row, text: SameText(text) }) => {
                let whole = self.leaf(path, text);
                if row.words.is_empty() {
                    whole
                } else {
                    any_of(vec![whole, self.row_in_leaves(row, Some(path))])
                }
            }
            ValueMeaning::Exists => self.clause(ExistsClause { path: path.to_owned() }),
            ValueMeaning::Range(texts @ Between::Numbers(lower, upper)) => {
                self.clause(NumberClause {
                    path: path.to_owned(),
                    lower: *lower,
                    upper: *upper,
                    texts: texts.clone(),
                    is_met_by_record: Arc::new(record_test(Some(path), texts.clone())),
                })
            }
            test => self.values_test(&TextField::Path(path.to_owned()), test),
        }
    }

    /// Events with a text, or the number that it reads as, at a path that is no column.
    fn leaf(&self, path: &str, text: &str) -> Box<dyn Query> {
        let is_met_by_record: RecordTest = Arc::new(record_test(Some(path), SameNumber::new(text)));
        let is_in_record: RecordTest = Arc::new(leaf_test(path, text));
        let (path, text) = (path.to_owned(), text.to_owned());
        self.clause(LeafClause { path, text, is_met_by_record, is_in_record })
    }

    /// What is found by looking at all values of a field, by their texts.
    fn values_test(&self, field: &TextField, test: &ValueMeaning) -> Box<dyn Query> {
        let key = values_key(field, std::slice::from_ref(test));
        match test {
            ValueMeaning::Exists => self.values(field, Anything, key),
            ValueMeaning::Exact(text) => self.values(field, text.clone(), key),
            ValueMeaning::OneOf(texts) => self.values(field, texts.clone(), key),
            ValueMeaning::AnyCase(form) => self.values(field, form.clone(), key),
            ValueMeaning::Wildcard(form) => self.values(field, form.clone(), key),
            ValueMeaning::Regex(regex) => self.values(field, regex.clone(), key),
            ValueMeaning::Phrase(phrase) => self.values(field, phrase.clone(), key),
            ValueMeaning::Range(between) => self.values(field, between.clone(), key),
            ValueMeaning::Address(addresses) => self.values(field, addresses.clone(), key),
            ValueMeaning::Network(network) => self.values(field, network.clone(), key),
            ValueMeaning::Named(named) => self.values(field, named.clone(), key),
            ValueMeaning::AwsSource => self.values(field, AwsSource, key),
            ValueMeaning::LookedUp(test) => self.values(field, test.clone(), key),
        }
    }

    /// Events with a value in a field that passes any of several tests of patterns in any case: one look
    /// at the field's values for all of them.
    pub(super) fn any_case(&self, field: &EventField, tests: &[&ValueMeaning]) -> Box<dyn Query> {
        let forms = tests.iter().filter_map(|test| match test {
            ValueMeaning::AnyCase(form) => Some(form),
            _ => None,
        });
        let any = AnyOfCases::new(forms);
        let tests: Vec<ValueMeaning> = tests.iter().copied().cloned().collect();
        let of_field = |field: TextField| {
            let key = values_key(&field, &tests);
            self.values(&field, any.clone(), key)
        };
        match field {
            EventField::Column(id) => of_field(TextField::Column(*id)),
            EventField::Below(path) => self.below(path, &tests),
            EventField::Paths(paths) => {
                let parts = paths.iter().map(|path| {
                    of_field(match ColumnId::at_path(path) {
                        Some(id) => TextField::Column(id),
                        None => TextField::Path(path.clone()),
                    })
                });
                any_of(parts.collect())
            }
            EventField::Integrity(_) | EventField::Flag(_) => {
                any_of(tests.iter().map(|test| self.value(field, test)).collect())
            }
        }
    }

    /// Fields one of whose values passes a test. The key is that of [`values_key`].
    fn values(&self, field: &TextField, test: impl ValueTest + Clone, key: u128) -> Box<dyn Query> {
        match field {
            TextField::Column(id) if id.column().is_unique => {
                let read = crate::plan::read_record();
                self.clause(IdClause { column: *id, test, read })
            }
            field => self.clause(values_clause(field.clone(), test, key)),
        }
    }

    /// Events with a value in a column.
    pub(crate) fn is(&self, id: ColumnId, text: &str) -> Box<dyn Query> {
        any_of(self.is_any_of(id, iter::once(text)))
    }

    /// Events with one of some values in a column, in parts.
    fn is_any_of<'t>(
        &self,
        id: ColumnId,
        texts: impl Iterator<Item = &'t str>,
    ) -> Vec<Box<dyn Query>> {
        let is_uuid = |text: &&str| id.column().is_unique && UuidKey::of(text).is_some();
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

    fn source(&self, operand: &Operand) -> ValueSource {
        match operand {
            Operand::Time => ValueSource::Time,
            Operand::Field(EventField::Column(id)) => ValueSource::Column(*id),
            Operand::Field(EventField::Integrity(_)) => {
                ValueSource::Integrity(self.snapshot.verdicts.load_full())
            }
            Operand::Field(EventField::Flag(odd)) => ValueSource::Flag(Arc::clone(odd)),
            Operand::Field(EventField::Paths(paths)) => ValueSource::Paths(paths.clone()),
            // Which is not compared: see `lower`.
            Operand::Field(EventField::Below(path)) => ValueSource::Paths(vec![path.clone()]),
        }
    }
}
