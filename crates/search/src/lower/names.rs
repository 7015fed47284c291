//! Resolves the names in a condition to fields of events, or to columns of a table; the kind of each
//! decides what a text asks of its values.

use super::{Asked, Names, Result, any_of, bad_query, exact, lower_test, one_of_texts};
use crate::fields::{Finder, SERVICE, Target, service_paths};
use crate::form::{AnyCase, Form};
use crate::lookups::LookedUp;
use crate::meaning::{
    EventField, EventTest, Meaning, Operand, RowTest, TimeBetween, ValueMeaning, WordMeaning,
};
use language::ast::{Comparison, FieldRef, Pattern, PatternPiece, Query, Test, Value};
use language::time::Clock;
use trail::columns;
use trail::columns::{COLUMNS, Column, ColumnId, EVENT_TIME_PATH, Words};
use trail::names::SERVICE_ENDING;
use trail::outcome::Outcome;
use wire::{ApiError, ErrorKind};

/// The kind of a field's values, which decides what a text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldKind {
    /// Texts, numbers and truth values.
    Any,
    /// Texts that can be addresses.
    Address,
    Version,
    /// `eventSource`, whose ending can be left out.
    Service,
    /// `eventName`, before which a service can stand.
    Action,
    /// Names of things, or their ARNs.
    Named,
}

/// The kind of the values in a table's column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    Time,
    Values(FieldKind),
}

/// Answers an inner query: the values in the first column of its table.
pub(crate) type Answer<'a> = dyn Fn(&FieldRef, &Query) -> Result<Vec<Value>> + 'a;

/// Finds the fields that names mean.
pub(crate) trait Find {
    /// The field whose values a name means.
    fn of_values(&self, field: &FieldRef) -> Result<Target>;

    /// The field that a name means, whether it has values or things below it.
    fn of_any(&self, field: &FieldRef) -> Result<Target>;

    /// The path at and below which a name asks for values.
    fn below(&self, field: &FieldRef) -> Result<String>;

    /// Whether a name is that of a field which events have, or a short name.
    fn knows(&self, field: &FieldRef) -> bool;

    /// Whether a name is that of a service.
    fn is_service(&self, name: &str) -> bool;

    /// Whether any event is of a service.
    fn has_service(&self, name: &str) -> bool;

    /// AWS's service of an address, where its ranges are there.
    fn aws_service(&self) -> Option<LookedUp> {
        None
    }

    /// Tells how a condition was taken.
    fn note(&self, note: String);

    /// The paths that events have beside columns.
    fn paths(&self) -> Vec<String>;
}

impl Find for Finder<'_> {
    fn of_values(&self, field: &FieldRef) -> Result<Target> {
        self.resolve(field)
    }

    fn of_any(&self, field: &FieldRef) -> Result<Target> {
        self.resolve_any(field)
    }

    fn below(&self, field: &FieldRef) -> Result<String> {
        Finder::below(*self, field)
    }

    fn knows(&self, field: &FieldRef) -> bool {
        Finder::knows(*self, field)
    }

    fn is_service(&self, name: &str) -> bool {
        Finder::is_service(*self, name)
    }

    fn has_service(&self, name: &str) -> bool {
        Finder::has_service(*self, name)
    }

    fn aws_service(&self) -> Option<LookedUp> {
        Finder::aws_service(*self)
    }

    fn note(&self, note: String) {
        self.notes.add(note);
    }

    fn paths(&self) -> Vec<String> {
        self.snapshot.paths().into_iter().map(str::to_owned).collect()
    }
}

/// Resolves names to fields of events.
pub(crate) struct EventNames<'a> {
    pub(crate) fields: &'a dyn Find,
    pub(crate) clock: &'a Clock,
    pub(crate) answer: &'a Answer<'a>,
}

/// What a name stands for that asks for values.
enum Found {
    Time,
    Values(EventField, FieldKind),
    LookedUp(LookedUp),
}

impl EventNames<'_> {
    fn find(&self, field: &FieldRef) -> Result<Found> {
        if field.has_below {
            return Ok(Found::Values(EventField::Below(self.fields.below(field)?), FieldKind::Any));
        }
        Ok(match self.fields.of_values(field)? {
            Target::Time => Found::Time,
            Target::Ip => Found::Values(EventField::Column(columns::SOURCE_IP), FieldKind::Address),
            // A program that names a whole path means its text as it stands there.
            Target::Column(id) if field.is_path => {
                Found::Values(EventField::Column(id), FieldKind::Any)
            }
            Target::Column(id) => Found::Values(EventField::Column(id), kind_of_column(id)),
            Target::Integrity(edition) => {
                Found::Values(EventField::Integrity(edition), FieldKind::Any)
            }
            Target::Flag(odd) => Found::Values(EventField::Flag(odd), FieldKind::Any),
            Target::LookedUp(of) => Found::LookedUp(of),
            Target::Service => {
                Found::Values(EventField::Paths(service_paths()), FieldKind::Service)
            }
            Target::Places(places) => {
                let kind = if places.has_arns { FieldKind::Named } else { FieldKind::Any };
                Found::Values(EventField::Paths(places.values), kind)
            }
        })
    }

    fn operand(&self, field: &FieldRef) -> Result<Operand> {
        if field.has_below {
            let message =
                format!("{field} stands for many values, and fields are compared one with one");
            return Err(bad_query(field.offset, &message));
        }
        Ok(match self.find(field)? {
            Found::Time => Operand::Time,
            Found::Values(field, _) => Operand::Field(field),
            Found::LookedUp(_) => {
                let message =
                    format!("'{field}' is looked up, and compared with values and not with fields");
                return Err(bad_query(field.offset, &message));
            }
        })
    }

    /// Events of a service whose names, which are in one of two columns, pass a test.
    fn action(
        &self,
        service: &str,
        name: (EventField, ValueMeaning),
    ) -> Result<Meaning<EventTest>> {
        let (field, test) = name;
        // What the record holds is that of one event, and no Insight event's.
        let is_of_record = field == EventField::Column(columns::EVENT_NAME);
        let source = if is_of_record {
            EventField::Column(columns::EVENT_SOURCE)
        } else {
            self.service_field()?
        };
        let service = one_of_texts(FieldKind::Service, &[service]);
        let value = |field, test| Meaning::Test(EventTest::Value { field, test });
        Ok(Meaning::And(vec![value(source, service), value(field, test)]))
    }

    /// The field that has the names of services.
    fn service_field(&self) -> Result<EventField> {
        match self.find(&FieldRef::named(SERVICE))? {
            Found::Values(field, _) => Ok(field),
            Found::Time | Found::LookedUp(_) => Ok(EventField::Column(columns::EVENT_SOURCE)),
        }
    }
}

impl Names for EventNames<'_> {
    type Test = EventTest;

    fn words(&self, words: WordMeaning) -> EventTest {
        EventTest::Words(words)
    }

    fn exists(&self, field: &FieldRef) -> Result<EventTest> {
        let all = EventTest::Time(TimeBetween { start: None, end: None });
        if field.has_below {
            let path = self.fields.below(field)?;
            let field = EventField::Below(path);
            return Ok(if field == EventField::Below(String::new()) {
                all
            } else {
                EventTest::Value { field, test: ValueMeaning::Exists }
            });
        }
        let field = match self.fields.of_any(field)? {
            // Every event has one.
            Target::Time => return Ok(all),
            Target::Ip => EventField::Column(columns::SOURCE_IP),
            Target::Column(id) => EventField::Column(id),
            Target::Integrity(edition) => EventField::Integrity(edition),
            Target::Flag(odd) => EventField::Flag(odd),
            Target::Service => EventField::Paths(service_paths()),
            Target::LookedUp(of) => return Ok(of.test(ValueMeaning::Exists)),
            // Whatever has something below it is there.
            Target::Places(places) => EventField::Paths(places.all()),
        };
        Ok(EventTest::Value { field, test: ValueMeaning::Exists })
    }

    fn asked(&self, field: &FieldRef, asked: Asked<'_>) -> Result<Meaning<EventTest>> {
        let name = field;
        let (field, kind) = match self.find(field)? {
            Found::Time => {
                return Ok(Meaning::Test(EventTest::Time(asked.of_time(field, self.clock)?)));
            }
            Found::LookedUp(of) => {
                let plain = match asked {
                    Asked::Is(Value { text, offset }) => {
                        of.number(text).map(|text| Value { text: text.to_owned(), offset: *offset })
                    }
                    _ => None,
                };
                let asked = plain.as_ref().map_or(asked, Asked::Is);
                let test = asked.of_value(FieldKind::Any, self.clock)?;
                return Ok(Meaning::Test(of.test(test)));
            }
            Found::Values(field, kind) => (field, kind),
        };
        let mut tests = vec![asked.of_value(kind, self.clock)?];
        tests.extend(asked.in_other_forms(kind));
        if is_aws(kind, asked) {
            tests.extend(self.fields.aws_service().map(in_ranges));
        }
        if is_failure_elsewhere(name, asked) {
            self.fields.note("'event.outcome:failure' finds 'outcome:denied', too".to_owned());
            tests.push(exact(Outcome::Denied.name()));
        }
        let value = |test| Meaning::Test(EventTest::Value { field: field.clone(), test });
        let mut parts: Vec<_> = tests.into_iter().map(value).collect();
        if kind == FieldKind::Action
            && let Some((service, name)) = action(asked)
        {
            parts.push(self.action(&service, (field, name))?);
        }
        Ok(any_of(parts))
    }

    fn of_service(&self, field: &FieldRef, test: &Test) -> Option<Result<Meaning<EventTest>>> {
        let name = field.name.as_str();
        let is_of_action = |test: &Test| {
            matches!(
                test,
                Test::Is(_)
                    | Test::AnyCase(_)
                    | Test::Phrase(_)
                    | Test::Wildcard(_)
                    | Test::Regex(_)
            )
        };
        let is_of_actions = match test {
            Test::OneOf(tests) => tests.iter().all(is_of_action),
            test => *test == Test::Exists || is_of_action(test),
        };
        let is_plain = !field.is_path && !field.is_quoted && !field.has_below;
        if !is_plain || !is_of_actions || !self.fields.is_service(&name.to_ascii_lowercase()) {
            return None;
        }
        let is_field = self.fields.knows(field);
        if is_field && !reads_as_action(test) {
            return None;
        }
        let source = match self.service_field() {
            Ok(source) => source,
            Err(error) => return Some(Err(error)),
        };
        // An Insight event has its action elsewhere, and nothing else is asked where there is none.
        let is_of_insights = matches!(source, EventField::Paths(_));
        let action = if is_of_insights { columns::ACTION } else { columns::EVENT_NAME };
        let service = one_of_texts(FieldKind::Service, &[name]);
        let service = Meaning::Test(EventTest::Value { field: source, test: service });
        if *test == Test::Exists {
            return Some(Ok(service));
        }
        let action = FieldRef::named(action.column().path);
        let both = |action| {
            let action = Meaning::And(vec![service, action]);
            if !is_field {
                return Ok(action);
            }
            self.fields.note(format!(
                "'{name}' is a field and a service: both the field and the service's action are asked"
            ));
            Ok(Meaning::Or(vec![lower_test(field, test, self)?, action]))
        };
        Some(lower_test(&action, test, self).and_then(both))
    }

    fn one_of(&self, field: &FieldRef, texts: &[&str]) -> Result<Option<EventTest>> {
        Ok(match self.find(field)? {
            Found::Time | Found::Values(_, FieldKind::Address) => None,
            Found::Values(_, FieldKind::Action) if texts.iter().any(|text| text.contains(':')) => {
                None
            }
            Found::LookedUp(of) if texts.iter().any(|text| of.number(text).is_some()) => None,
            Found::LookedUp(of) => Some(of.test(one_of_texts(FieldKind::Any, texts))),
            // Each by itself: one of them is more than its text.
            Found::Values(..) if field.name == OUTCOME_ELSEWHERE => None,
            Found::Values(field, kind) => {
                Some(EventTest::Value { field, test: one_of_texts(kind, texts) })
            }
        })
    }

    fn compared(&self, left: &FieldRef, how: Comparison, right: &FieldRef) -> Result<EventTest> {
        let (left, right) = (self.operand(left)?, self.operand(right)?);
        Ok(EventTest::Compared { left, comparison: how, right })
    }

    fn paths(&self) -> Option<Vec<String>> {
        let is_of_records = |column: &&Column| column.words != Words::Derived;
        let mut paths = self.fields.paths();
        paths.extend(COLUMNS.iter().filter(is_of_records).map(|column| column.path.to_owned()));
        paths.push(EVENT_TIME_PATH.to_owned());
        Some(paths)
    }

    fn with_paths(&self, paths: Vec<String>) -> Meaning<EventTest> {
        let mut parts = Vec::new();
        let mut others = Vec::new();
        for path in paths {
            match ColumnId::at_path(&path).filter(|id| id.column().is_unique) {
                // They have no column of their own by event.
                Some(id) => parts.push(EventField::Column(id)),
                None if path == EVENT_TIME_PATH => return Meaning::All,
                None => others.push(path),
            }
        }
        if !others.is_empty() {
            parts.push(EventField::Paths(others));
        }
        let exists = |field| EventTest::Value { field, test: ValueMeaning::Exists };
        any_of(parts.into_iter().map(|field| Meaning::Test(exists(field))).collect())
    }

    fn tell_word(&self, word: &str, is_network: bool) {
        if is_network {
            self.fields.note(format!(
                "{word} is taken as a network, and finds every address in it; \"{word}\" in quotes finds the \
                 text"
            ));
            return;
        }
        let service = word.to_ascii_lowercase();
        if self.fields.has_service(&service) {
            self.fields.note(format!(
                "'{word}' is looked for as a word, and {service}{SERVICE_ENDING} is another; \
                 service:{service} finds what was asked of the service"
            ));
        }
    }

    fn found(&self, field: &FieldRef, query: &Query) -> Result<Vec<Value>> {
        (self.answer)(field, query)
    }
}

/// Returns the kind of a table's column that holds values of a field.
pub(crate) fn column_kind(field: &Target) -> ColumnKind {
    match field {
        Target::Time => ColumnKind::Time,
        Target::Ip => ColumnKind::Values(FieldKind::Address),
        Target::Service => ColumnKind::Values(FieldKind::Service),
        Target::Column(id) => ColumnKind::Values(kind_of_column(*id)),
        Target::Places(places) if places.has_arns => ColumnKind::Values(FieldKind::Named),
        Target::Places(_) | Target::Integrity(_) | Target::Flag(_) | Target::LookedUp(_) => {
            ColumnKind::Values(FieldKind::Any)
        }
    }
}

fn kind_of_column(id: ColumnId) -> FieldKind {
    match id {
        columns::EVENT_VERSION => FieldKind::Version,
        columns::EVENT_SOURCE => FieldKind::Service,
        columns::EVENT_NAME | columns::ACTION => FieldKind::Action,
        _ => FieldKind::Any,
    }
}

/// Whether an address is asked to be AWS's.
fn is_aws(kind: FieldKind, asked: Asked<'_>) -> bool {
    kind == FieldKind::Address && matches!(asked, Asked::Is(Value { text, .. }) if text == "aws")
}

/// An address that is in AWS's ranges.
fn in_ranges(service: LookedUp) -> ValueMeaning {
    ValueMeaning::LookedUp(service.with(ValueMeaning::Exists))
}

/// Elastic's name of the outcome, which knows no denial.
const OUTCOME_ELSEWHERE: &str = "event.outcome";

/// Whether what is asked is Elastic's outcome of every call that did not succeed.
fn is_failure_elsewhere(field: &FieldRef, asked: Asked<'_>) -> bool {
    let is_failure = match asked {
        Asked::Is(Value { text, .. }) => text == Outcome::Failure.name(),
        Asked::Phrase(text) => text == Outcome::Failure.name(),
        _ => false,
    };
    is_failure && !field.is_quoted && field.name == OUTCOME_ELSEWHERE
}

/// The service and the test of the name in a text such as `iam:CreateUser`; None where it is no such
/// text.
fn action(asked: Asked<'_>) -> Option<(String, ValueMeaning)> {
    let split = |text: &str| {
        let (service, name) = text.split_once(':')?;
        let is_part = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
        (!service.is_empty() && service.bytes().all(is_part))
            .then(|| (service.to_owned(), name.to_owned()))
    };
    let of_text = |text: &str| split(text).map(|(service, name)| (service, exact(&name)));
    let in_pattern = |pattern: &Pattern| {
        let (first, rest) = pattern.pieces().split_first()?;
        let PatternPiece::Text(first) = first else { return None };
        let (service, name) = split(first)?;
        let first = PatternPiece::Text(name);
        Some((service, Pattern::new(std::iter::once(first).chain(rest.iter().cloned()))))
    };
    match asked {
        Asked::Is(Value { text, .. }) => of_text(text),
        Asked::Phrase(text) => of_text(text),
        Asked::Wildcard(pattern) => {
            let (service, name) = in_pattern(pattern)?;
            Some((service, ValueMeaning::Wildcard(Form::new(&name))))
        }
        Asked::AnyCase(pattern) => {
            let (service, name) = in_pattern(pattern)?;
            Some((service, ValueMeaning::AnyCase(AnyCase::new(&name))))
        }
        Asked::Regex(_) | Asked::Range(..) => None,
    }
}

/// Whether a test is on names such as actions have: they begin with a capital.
fn reads_as_action(test: &Test) -> bool {
    let is_capital = |text: &str| text.starts_with(|c: char| c.is_ascii_uppercase());
    match test {
        Test::Is(Value { text, .. }) | Test::Phrase(text) => is_capital(text),
        Test::Wildcard(pattern) => {
            matches!(pattern.pieces().first(), Some(PatternPiece::Text(text)) if is_capital(text))
        }
        Test::OneOf(tests) => tests.iter().all(reads_as_action),
        _ => false,
    }
}

/// Resolves names to columns of a table.
pub(crate) struct RowNames<'a> {
    /// Finds the column that a name means, and the kind of its values.
    pub(crate) column: &'a dyn Fn(&FieldRef) -> Result<(usize, ColumnKind)>,
    /// The first column whose values are of a kind.
    pub(crate) of_kind: &'a dyn Fn(FieldKind) -> Option<usize>,
    /// AWS's service of an address, where its ranges are there.
    pub(crate) aws_service: &'a dyn Fn() -> Option<LookedUp>,
    pub(crate) clock: &'a Clock,
    pub(crate) answer: &'a Answer<'a>,
}

impl Names for RowNames<'_> {
    type Test = RowTest;

    fn words(&self, words: WordMeaning) -> RowTest {
        RowTest::Words(words)
    }

    fn exists(&self, field: &FieldRef) -> Result<RowTest> {
        let (column, _) = (self.column)(field)?;
        Ok(RowTest::Value { column, test: ValueMeaning::Exists })
    }

    fn asked(&self, field: &FieldRef, asked: Asked<'_>) -> Result<Meaning<RowTest>> {
        let (column, kind) = match (self.column)(field)? {
            (column, ColumnKind::Time) => {
                let between = asked.of_time(field, self.clock)?;
                return Ok(Meaning::Test(RowTest::Time { column, between }));
            }
            (column, ColumnKind::Values(kind)) => (column, kind),
        };
        let mut tests = vec![asked.of_value(kind, self.clock)?];
        tests.extend(asked.in_other_forms(kind));
        if is_aws(kind, asked) {
            tests.extend((self.aws_service)().map(in_ranges));
        }
        let value = |column, test| Meaning::Test(RowTest::Value { column, test });
        let mut parts: Vec<_> = tests.into_iter().map(|test| value(column, test)).collect();
        if kind == FieldKind::Action
            && let Some((service, name)) = action(asked)
        {
            let Some(source) = (self.of_kind)(FieldKind::Service) else {
                let message = format!(
                    "the table has no column of the service, by which '{service}:' could be asked; \
                     ask for it before the table is made"
                );
                return Err(bad_query(field.offset, &message));
            };
            let service = value(source, one_of_texts(FieldKind::Service, &[&service]));
            parts.push(Meaning::And(vec![service, value(column, name)]));
        }
        Ok(any_of(parts))
    }

    fn one_of(&self, field: &FieldRef, texts: &[&str]) -> Result<Option<RowTest>> {
        Ok(match (self.column)(field)? {
            (_, ColumnKind::Time | ColumnKind::Values(FieldKind::Address)) => None,
            (_, ColumnKind::Values(FieldKind::Action))
                if texts.iter().any(|text| text.contains(':')) =>
            {
                None
            }
            (column, ColumnKind::Values(kind)) => {
                Some(RowTest::Value { column, test: one_of_texts(kind, texts) })
            }
        })
    }

    fn compared(&self, _: &FieldRef, _: Comparison, _: &FieldRef) -> Result<RowTest> {
        let message = "columns are compared with values; quote the value";
        Err(ApiError::new(ErrorKind::BadQuery, message))
    }

    fn found(&self, field: &FieldRef, query: &Query) -> Result<Vec<Value>> {
        (self.answer)(field, query)
    }
}
