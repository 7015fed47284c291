//! The cache key of a filter in one search: a hash of its meaning.

use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::meaning::EventMeaning;
use trail::seeded::process_seed;
use trail::time::Micros;

/// Hashes a meaning, in which names are fields and texts are times already, together with the time
/// range of the search. Nobody outside knows the seed: who did could ask two searches of one hash, and
/// put the count of one in place of the other's.
pub(crate) fn key(meaning: &EventMeaning, between: (Option<Micros>, Option<Micros>)) -> u128 {
    xxh3_128_with_seed(&bytes(meaning, between), process_seed())
}

/// All that derived code hashes of a meaning, one after another. It visits every part of every variant,
/// and writes the length of what has one, so that no two meanings are the same bytes.
fn bytes(meaning: &EventMeaning, between: (Option<Micros>, Option<Micros>)) -> Vec<u8> {
    let mut written = Written(Vec::new());
    (meaning, between).hash(&mut written);
    written.0
}

/// Keeps what is hashed.
struct Written(Vec<u8>);

impl Hasher for Written {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Of what was written there is no hash but [`key`].
    fn finish(&self) -> u64 {
        0
    }
}

#[cfg(test)]
mod tests {
    use std::ops::Bound;

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::addresses::{Addresses, Network, NetworkWords};
    use crate::exact::Exact;
    use crate::fields::{Places, Target};
    use crate::form::{AnyCase, AnyOf, Between, Form, Match, SameText};
    use crate::lower::{EventNames, Find, lower};
    use crate::meaning::{
        EventField, EventTest, Meaning, Operand, TimeBetween, ValueMeaning, WordMeaning,
    };
    use crate::named::Named;
    use crate::phrase::{Phrase, Row};
    use language::ast::{Comparison, FieldRef, Pattern, PatternPiece, Regex};
    use language::parse::parse;
    use language::time::Clock;
    use trail::columns::{ColumnId, EVENT_NAME, USER_NAME};
    use wire::ApiError;

    /// Names that are no columns stand for a path.
    struct Known<'p>(&'p str);

    impl Find for Known<'_> {
        fn of_values(&self, field: &FieldRef) -> Result<Target, ApiError> {
            let values = vec![self.0.to_owned()];
            Ok(match field.name.as_str() {
                "time" => Target::Time,
                name => match ColumnId::named(name) {
                    Some(id) => Target::Column(id),
                    None => Target::Places(Places { values, ..Places::default() }),
                },
            })
        }

        fn of_any(&self, field: &FieldRef) -> Result<Target, ApiError> {
            self.of_values(field)
        }

        fn below(&self, field: &FieldRef) -> Result<String, ApiError> {
            Ok(field.name.clone())
        }

        fn knows(&self, _: &FieldRef) -> bool {
            true
        }

        fn is_service(&self, _: &str) -> bool {
            false
        }

        fn has_service(&self, _: &str) -> bool {
            false
        }

        fn note(&self, _: String) {}

        fn paths(&self) -> Vec<String> {
            Vec::new()
        }
    }

    /// The key of a query at a second.
    fn at(text: &str, second: i64, path: &str) -> u128 {
        let names = EventNames {
            fields: &Known(path),
            clock: &Clock::utc(Timestamp::from_second(second).unwrap()),
            answer: &|_, _| Ok(Vec::new()),
        };
        key(&lower(&parse(text).unwrap().filter, &names).unwrap(), (None, None))
    }

    #[test]
    fn what_is_relative_to_a_moment_means_something_else_at_another() {
        for text in ["time >= -1h", "time <= -5m", "a NOT (b time < -5m)", "since > -5m", "@-1h.."]
        {
            assert_eq!(at(text, 7, "x"), at(text, 7, "x"), "{text}");
            assert_ne!(at(text, 7, "x"), at(text, 8, "x"), "{text}");
        }
        for text in
            ["a b", "user:x OR NOT user IN [a, b*]", "/x.*/", "time > 2026-01-01", "size > 5"]
        {
            assert_eq!(at(text, 7, "x"), at(text, 8, "x"), "{text}");
        }
    }

    #[test]
    fn a_name_that_stands_for_another_field_means_something_else() {
        for text in
            ["size:5", "size = user", "user = requestParameters.size", "user:x OR size IN [1, 2]"]
        {
            assert_ne!(at(text, 7, "a.size"), at(text, 7, "b.size"), "{text}");
        }
        assert_eq!(at("user:x", 7, "a.size"), at("user:x", 7, "b.size"));
        assert_ne!(at("user:x", 7, ""), at("user:y", 7, ""));
    }

    #[test]
    fn other_bounds_mean_something_else() {
        let between = |start, end| key(&Meaning::All, (start, end));
        let all = [(None, None), (Some(Micros(1)), None), (None, Some(Micros(1)))];
        for (n, (start, end)) in all.into_iter().enumerate() {
            for (other_start, other_end) in &all[..n] {
                assert_ne!(between(start, end), between(*other_start, *other_end));
            }
        }
    }

    /// Texts of which one is the beginning of another, or what another comes to in lower case.
    fn text() -> impl Strategy<Value = String> {
        prop::sample::select(vec!["", "a", "A", "ab", "b", "*", "1", "1.0"]).prop_map(str::to_owned)
    }

    fn texts() -> impl Strategy<Value = Vec<String>> {
        prop::collection::vec(text(), 0..3)
    }

    fn pattern() -> impl Strategy<Value = Pattern> {
        let piece = prop_oneof![
            text().prop_map(PatternPiece::Text),
            Just(PatternPiece::AnyRun),
            Just(PatternPiece::AnyOne),
        ];
        prop::collection::vec(piece, 0..3).prop_map(Pattern::new)
    }

    fn regex() -> impl Strategy<Value = Match> {
        let pattern = prop::sample::select(vec!["a", "ab", "a.", "a|b"]);
        (pattern, any::<bool>()).prop_map(|(pattern, ignores_case)| {
            Match::new(&Regex::new(pattern, ignores_case)).unwrap()
        })
    }

    fn bound<T: Clone + std::fmt::Debug + 'static>(
        value: impl Strategy<Value = T> + Clone + 'static,
    ) -> impl Strategy<Value = Bound<T>> {
        prop_oneof![
            value.clone().prop_map(Bound::Included),
            value.prop_map(Bound::Excluded),
            Just(Bound::Unbounded),
        ]
    }

    fn time() -> impl Strategy<Value = Option<Micros>> {
        prop::option::of((0..3_i64).prop_map(Micros))
    }

    fn span() -> impl Strategy<Value = TimeBetween> {
        (time(), time()).prop_map(|(start, end)| TimeBetween { start, end })
    }

    fn between() -> impl Strategy<Value = Between> {
        let number = prop::sample::select(vec![1.5, 1.500_000_000_000_000_2]);
        let number = bound(number.prop_map(Exact::of_float).boxed());
        let version = bound(prop::collection::vec(0..2_u64, 0..3).boxed());
        let text = bound(text().boxed());
        let numbers = (number.boxed(), version.boxed(), text.boxed());
        let (number, version, text) = numbers;
        prop_oneof![
            (number.clone(), number).prop_map(|(lower, upper)| Between::Numbers(lower, upper)),
            (time(), time()).prop_map(|(start, end)| Between::Times { start, end }),
            (version.clone(), version).prop_map(|(lower, upper)| Between::Versions(lower, upper)),
            (text.clone(), text).prop_map(|(lower, upper)| Between::Texts(lower, upper)),
        ]
    }

    fn value_meaning() -> impl Strategy<Value = ValueMeaning> {
        let network = prop::sample::select(vec!["10.0.0.1", "10.0.0.0/8", "::/0"]);
        prop_oneof![
            Just(ValueMeaning::Exists),
            Just(ValueMeaning::AwsSource),
            text().prop_map(|text| ValueMeaning::Exact(SameText(text))),
            texts().prop_map(|texts| {
                ValueMeaning::OneOf(AnyOf::new(texts.iter().map(String::as_str)))
            }),
            pattern().prop_map(|pattern| ValueMeaning::AnyCase(AnyCase::new(&pattern))),
            pattern().prop_map(|pattern| ValueMeaning::Wildcard(Form::new(&pattern))),
            regex().prop_map(ValueMeaning::Regex),
            text().prop_map(|text| ValueMeaning::Phrase(Phrase::new(&text))),
            between().prop_map(ValueMeaning::Range),
            network
                .clone()
                .prop_map(|text| ValueMeaning::Address(Addresses::of_network(text).unwrap())),
            network.prop_filter_map("one is an address", |text| {
                Network::of(text).map(ValueMeaning::Network)
            }),
            texts().prop_map(|texts| {
                let texts = AnyOf::new(texts.iter().map(String::as_str));
                ValueMeaning::Named(Named::OneOf(texts))
            }),
            pattern()
                .prop_map(|pattern| { ValueMeaning::Named(Named::Wildcard(Form::new(&pattern))) }),
            pattern().prop_map(|pattern| {
                ValueMeaning::Named(Named::AnyCase(AnyCase::new(&pattern)))
            }),
        ]
    }

    fn field() -> impl Strategy<Value = EventField> {
        prop_oneof![
            prop::sample::select(vec![EVENT_NAME, USER_NAME]).prop_map(EventField::Column),
            texts().prop_map(EventField::Paths),
        ]
    }

    fn operand() -> impl Strategy<Value = Operand> {
        prop_oneof![Just(Operand::Time), field().prop_map(Operand::Field)]
    }

    fn meaning() -> impl Strategy<Value = EventMeaning> {
        use Comparison::{AtLeast, AtMost, Equal, Less, More, NotEqual};
        let comparison = prop::sample::select(vec![Equal, NotEqual, Less, AtMost, More, AtLeast]);
        let words = prop_oneof![
            (texts(), texts(), prop::option::of(span())).prop_map(|(words, marked, time)| {
                WordMeaning::Row { row: Row { words, marked }, time }
            }),
            pattern().prop_map(|pattern| WordMeaning::Wildcard(Form::of_words(&pattern))),
            regex().prop_map(WordMeaning::Regex),
            prop::sample::select(vec!["10.0.0.0/8", "::/0"])
                .prop_map(|text| WordMeaning::Network(NetworkWords::of(text).unwrap())),
        ];
        let test = prop_oneof![
            words.prop_map(EventTest::Words),
            span().prop_map(EventTest::Time),
            (field(), value_meaning()).prop_map(|(field, test)| EventTest::Value { field, test }),
            (operand(), comparison, operand()).prop_map(|(left, comparison, right)| {
                EventTest::Compared { left, comparison, right }
            }),
        ];
        let leaf = prop_oneof![1 => Just(Meaning::All), 5 => test.prop_map(Meaning::Test)];
        leaf.prop_recursive(2, 6, 3, |inner| {
            let parts = prop::collection::vec(inner.clone(), 0..3);
            prop_oneof![
                parts.clone().prop_map(Meaning::And),
                parts.prop_map(Meaning::Or),
                inner.prop_map(|inner| Meaning::Not(Box::new(inner))),
            ]
        })
    }

    /// Many conditions, with the times between which they are asked; often all of one kind, so that some
    /// differ in next to nothing.
    fn conditions() -> impl Strategy<Value = Vec<(EventMeaning, Option<Micros>, Option<Micros>)>> {
        let value =
            |test| Meaning::Test(EventTest::Value { field: EventField::Column(EVENT_NAME), test });
        let kinds = [
            meaning().boxed(),
            value_meaning().prop_map(value).boxed(),
            between().prop_map(move |between| value(ValueMeaning::Range(between))).boxed(),
            regex().prop_map(move |regex| value(ValueMeaning::Regex(regex))).boxed(),
        ];
        let many = |kind| prop::collection::vec((kind, time(), time()), 100);
        let [any, values, ranges, regexes] = kinds.map(many);
        prop_oneof![any, values, ranges, regexes]
    }

    proptest! {
        #[test]
        fn conditions_are_the_same_bytes_where_they_are_equal_and_only_there(all in conditions()) {
            let written: Vec<Vec<u8>> =
                all.iter().map(|(meaning, start, end)| bytes(meaning, (*start, *end))).collect();
            for (n, one) in all.iter().enumerate() {
                for (m, other) in all[..n].iter().enumerate() {
                    prop_assert_eq!(one == other, written[n] == written[m], "{:?} {:?}", one, other);
                }
            }
        }
    }
}
