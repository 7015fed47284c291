//! Random texts and trees, and what must hold for each.

use std::ops::Bound;

use proptest::prelude::*;

use serde_json::Value as Json;

use super::parse;
use crate::ast::{
    Bin, BinUnit, Comparison, Expr, FieldRef, Function, FunctionKind, GroupKey, Pattern,
    PatternPiece, Query, Regex, SortKey, Stage, Test, Value,
};
use crate::check::check_stages;

proptest! {
    #[test]
    fn any_text_is_a_query_or_an_error_inside_it(text in any_text()) {
        match parse(&text) {
            Ok(query) => prop_assert_eq!(parse(&query.to_string()), Ok(query)),
            Err(error) => prop_assert!(text.is_char_boundary(error.offset)),
        }
    }

    #[test]
    fn what_a_tree_prints_parses_back_to_it(query in any_query()) {
        prop_assert_eq!(parse(&query.to_string()), Ok(query.clone()), "{}", query);
    }

    #[test]
    fn a_tree_comes_back_from_its_json(query in any_query()) {
        let json = serde_json::to_string(&query).unwrap();
        prop_assert_eq!(serde_json::from_str::<Query>(&json).unwrap(), query, "{}", json);
    }

    #[test]
    fn any_json_is_a_query_or_an_error(json in any_json()) {
        if let Ok(query) = serde_json::from_value::<Query>(json) {
            prop_assert_eq!(parse(&query.to_string()), Ok(query.clone()), "{}", query);
        }
    }
}

/// Noise, and tokens of the language in any order.
fn any_text() -> impl Strategy<Value = String> {
    let tokens = vec![
        "a",
        "f:",
        "arn:aws",
        "f",
        "=",
        "!=",
        ">=",
        "<",
        "IN",
        "NOT",
        "AND",
        "OR",
        "TO",
        "not",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "\"",
        "\\",
        "*",
        "?",
        "-",
        "+",
        "!",
        "|",
        "&&",
        ",",
        ":",
        "/",
        "::1",
        "://",
        " ",
        " ",
        "é",
        "\u{a0}",
        "|",
        "| stats count by a",
        "| count",
        "by",
        "~",
        "/a/",
        "/a|b/i",
        "@",
        "..",
        "2026-06-01",
        "[Europe/Berlin]",
        "like",
        "eventName",
        "top 3 ",
        "sort ",
        "-x desc",
        "limit 5",
        "bin(1h)",
        "p95(x)",
        "as y",
        "sum(",
    ];
    let mixed = prop::collection::vec(prop::sample::select(tokens), 0..20);
    prop_oneof![r"\PC*", r"[ -~]{0,20}", mixed.prop_map(|tokens| tokens.concat())]
}

/// JSON with the tree's own keys, mostly.
fn any_json() -> impl Strategy<Value = Json> {
    let keys = vec![
        "filter", "stages", "field", "and", "or", "not", "word", "phrase", "wildcard", "regex",
        "all", "is", "any_case", "range", "gte", "lt", "exists", "one_of", "compare", "other",
        "in", "stats", "by", "sort", "limit", "fields", "dedup", "function", "bin", "as", "order",
    ];
    let texts = vec!["a", "", "*", "a*", "count", "p95", "=", "eventName", "1h", "desc", "(", "by"];
    let leaf = prop_oneof![
        prop::sample::select(texts).prop_map(Json::from),
        any::<u8>().prop_map(Json::from),
        Just(Json::Bool(true)),
        Just(Json::Null),
    ];
    let json = leaf.prop_recursive(5, 24, 4, move |inner| {
        let members = (prop::sample::select(keys.clone()).prop_map(str::to_owned), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..3).prop_map(Json::from),
            prop::collection::hash_map(members.0, members.1, 0..3)
                .prop_map(|map| Json::Object(map.into_iter().collect())),
        ]
    });
    json.prop_map(|json| serde_json::json!({ "filter": json }))
}

/// A query in normal form.
fn any_query() -> impl Strategy<Value = Query> {
    any_query_within(prop_oneof![3 => Just(None), 1 => any_stages().prop_map(Some)])
}

fn any_query_within(
    stages: impl Strategy<Value = Option<Vec<Stage>>>,
) -> impl Strategy<Value = Query> {
    (any_expr(), stages)
        .prop_map(|(filter, stages)| Query { filter, stages: stages.unwrap_or_default() })
}

/// Stages that can follow each other, without those that become a part of the filter.
fn any_stages() -> impl Strategy<Value = Vec<Stage>> {
    let fields = || prop::collection::vec(field(), 1..3);
    let sort = || prop::collection::vec(sort_key(), 1..3).prop_map(Stage::Sort);
    let limit =
        |by| (any::<u32>(), by).prop_map(|(rows, by)| Stage::Limit { rows: rows.into(), by });
    let of_events = (
        prop::option::of(sort()),
        prop::option::of(fields().prop_map(Stage::Dedup)),
        prop::option::of(limit(Just(Vec::new()).boxed())),
        prop::option::of(fields().prop_map(Stage::Fields)),
    )
        .prop_map(|(a, b, c, d)| [a, b, c, d].into_iter().flatten().collect::<Vec<_>>());
    let of_rows = prop_oneof![
        simple_expr().prop_map(Stage::Filter),
        sort(),
        limit(prop_oneof![Just(Vec::new()), fields()].boxed()),
        fields().prop_map(Stage::Fields),
    ];
    let functions = prop::collection::vec(function(), 1..3);
    let keys = prop::collection::vec(key(), 0..3);
    let rows = (functions, keys, prop::collection::vec(of_rows, 0..3))
        .prop_map(|(functions, by, mut stages)| {
            stages.insert(0, Stage::Stats { functions, by });
            stages
        })
        .prop_filter("columns have names of their own", |stages| check_stages(stages).is_ok());
    prop_oneof![of_events, rows]
}

fn sort_key() -> impl Strategy<Value = SortKey> {
    let field = prop_oneof![field(), Just(FieldRef::named("sum(a.b)"))];
    (field, any::<bool>()).prop_map(|(field, is_descending)| SortKey { field, is_descending })
}

fn function() -> impl Strategy<Value = Function> {
    let kinds: Vec<_> = FunctionKind::ALL.iter().map(|(_, kind)| *kind).collect();
    let kind = prop_oneof![
        prop::sample::select(kinds),
        (0..=100_000_u32).prop_map(FunctionKind::Percentile),
    ];
    (kind, field(), any::<bool>(), prop::option::of(name())).prop_map(
        |(kind, field, has_field, name)| {
            let has_field = has_field || kind != FunctionKind::Count;
            Function { kind, field: has_field.then_some(field), name }
        },
    )
}

fn key() -> impl Strategy<Value = GroupKey> {
    let units: Vec<_> = BinUnit::ALL.iter().map(|(_, unit)| *unit).collect();
    let bin = (1..=Bin::COUNT_MAX, prop::sample::select(units))
        .prop_map(|(count, unit)| Bin { count, unit });
    let name = || prop::option::of(name());
    prop_oneof![
        (field(), name()).prop_map(|(field, name)| GroupKey::Field { field, name }),
        (bin, name()).prop_map(|(bin, name)| GroupKey::Bin { bin, name }),
    ]
}

/// A name as a stage has it.
fn name() -> impl Strategy<Value = String> {
    text()
}

/// A field, whose name may stand in quotes.
fn field() -> impl Strategy<Value = FieldRef> {
    (text(), any::<bool>())
        .prop_map(|(name, is_quoted)| FieldRef { is_quoted, ..FieldRef::named(name) })
}

/// A field that a condition asks, with what is below it or without.
fn asked() -> impl Strategy<Value = FieldRef> {
    prop_oneof![
        4 => field(),
        1 => field().prop_map(FieldRef::with_below),
        1 => Just(FieldRef::everywhere()),
    ]
}

/// A tree in normal form.
pub(crate) fn any_expr() -> impl Strategy<Value = Expr> {
    let stages = any_stages().prop_filter("events are no values", |stages| !stages.is_empty());
    let inner = (simple_expr(), stages)
        .prop_map(|(filter, stages)| Test::InQuery(Box::new(Query { filter, stages })));
    let in_query = (field(), inner).prop_map(|(field, test)| Expr::Field { field, test });
    prop_oneof![
        6 => simple_expr(),
        1 => (simple_expr(), in_query).prop_map(|(a, b)| Expr::all_of([a, b])
        ),
    ]
    .prop_filter("conditions on every event are none", |expr| match expr {
        Expr::And(parts) => !parts.contains(&Expr::All),
        _ => true,
    })
}

fn simple_expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        Just(Expr::All),
        text().prop_map(Expr::Word),
        pattern().prop_map(Expr::Wildcard),
        regex().prop_map(Expr::Regex),
        text().prop_map(Expr::Phrase),
        (asked(), compared()).prop_map(|(field, test)| Expr::Field { field, test }),
        (asked(), test()).prop_map(|(field, test)| Expr::Field { field, test }),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let parts = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            parts().prop_map(Expr::all_of),
            parts().prop_map(Expr::any_of),
            inner.clone().prop_map(Expr::negate),
        ]
    })
}

fn test() -> impl Strategy<Value = Test> {
    let single = prop_oneof![
        value().prop_map(Test::Is),
        text().prop_map(Test::Phrase),
        pattern().prop_map(Test::Wildcard),
        regex().prop_map(Test::Regex),
        prop_oneof![pattern(), text().prop_map(|text| Pattern::new([PatternPiece::Text(text)]))]
            .prop_map(Test::AnyCase),
        (end(), end())
            .prop_filter("an open range is Exists", |ends| {
                *ends != (Bound::Unbounded, Bound::Unbounded)
            })
            .prop_map(|(lower, upper)| Test::Range { lower, upper }),
        Just(Test::Exists),
    ];
    prop::collection::vec(single, 1..4).prop_map(Test::one_of)
}

fn compared() -> impl Strategy<Value = Test> {
    use Comparison::{Alike, AtLeast, AtMost, Equal, Less, More, NotEqual};
    let all = vec![Equal, NotEqual, More, AtLeast, Less, AtMost, Alike];
    let others = vec!["eventName", "userIdentity.arn", "requestParameters.a b", "resources.x:y"];
    (prop::sample::select(all), prop::sample::select(others)).prop_map(|(comparison, other)| {
        Test::Compared { comparison, other: FieldRef::named(other) }
    })
}

fn regex() -> impl Strategy<Value = Regex> {
    let patterns = vec!["a", "a|b", "a b/c", r"\/x", r"\\/", r"[^/]+\.(x|y)", "(?i)é", r"a\ "];
    let pattern =
        prop_oneof![prop::sample::select(patterns).prop_map(str::to_owned), r"[a-z/ |]{1,6}"];
    (pattern, any::<bool>()).prop_map(|(pattern, ignores_case)| Regex::new(&pattern, ignores_case))
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let piece = prop_oneof![
        text().prop_map(PatternPiece::Text),
        Just(PatternPiece::AnyRun),
        Just(PatternPiece::AnyOne),
    ];
    prop::collection::vec(piece, 1..4)
        .prop_map(Pattern::new)
        .prop_filter("text and a lone star are not patterns", |pattern| {
            !matches!(pattern.pieces(), [PatternPiece::Text(_) | PatternPiece::AnyRun])
        })
}

fn end() -> impl Strategy<Value = Bound<Value>> {
    prop_oneof![
        Just(Bound::Unbounded),
        value().prop_map(Bound::Included),
        value().prop_map(Bound::Excluded),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![text(), Just(String::new())].prop_map(Value::of)
}

/// Not empty, and as often as not something that could be taken for another thing.
fn text() -> impl Strategy<Value = String> {
    let awkward = vec![
        "AND",
        "OR",
        "NOT",
        "TO",
        "IN",
        "in",
        "arn",
        "arn:aws",
        "aws:x",
        "aws",
        "fe80",
        ":1",
        "::1",
        "fe80::1",
        "http",
        "://x",
        "//x",
        "http://x=y",
        "/x/",
        "=5",
        ">5",
        "-5",
        "!x",
        "a&&b",
        "*",
        "~a",
        "a~b",
        "@2026",
        "@..x",
        "@now",
        "eventName",
        "userIdentity.arn",
        "count",
        "top",
        "stats",
        "by",
        "as",
        "desc",
        "like",
        "a|b",
        "_exists_",
        "time",
        "[x]",
    ];
    let awkward = prop::sample::select(awkward).prop_map(str::to_owned);
    prop_oneof![awkward, r"[ -~]{1,6}", r"\PC{1,4}"]
}
