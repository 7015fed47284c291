//! Random texts and trees, and what must hold for each.

use std::ops::Bound;

use proptest::prelude::*;

use super::parse;
use crate::query::ast::{Expr, FieldRef, Pattern, Piece, Query, Test, Value};

proptest! {
    #[test]
    fn any_text_is_a_query_or_an_error_inside_it(text in any_text()) {
        match parse(&text) {
            Ok(query) => prop_assert_eq!(parse(&query.to_string()), Ok(query)),
            Err(error) => prop_assert!(text.is_char_boundary(error.offset)),
        }
    }

    #[test]
    fn what_a_tree_prints_parses_back_to_it(filter in any_expr()) {
        let query = Query { filter };
        prop_assert_eq!(parse(&query.to_string()), Ok(query.clone()), "{}", query);
    }
}

/// Noise, and tokens of the language in any order.
fn any_text() -> impl Strategy<Value = String> {
    let tokens = vec![
        "a", "f:", "arn:aws", "f", "=", "!=", ">=", "<", "IN", "NOT", "AND", "OR", "TO", "not",
        "(", ")", "[", "]", "{", "}", "\"", "\\", "*", "?", "-", "+", "!", "|", "&&", ",", ":",
        "/", "::1", "://", " ", " ", "é", "\u{a0}",
    ];
    let mixed = prop::collection::vec(prop::sample::select(tokens), 0..20);
    prop_oneof![r"\PC*", r"[ -~]{0,20}", mixed.prop_map(|tokens| tokens.concat())]
}

/// A tree in normal form.
pub(crate) fn any_expr() -> impl Strategy<Value = Expr> {
    let leaf = prop_oneof![
        Just(Expr::All),
        text().prop_map(Expr::Word),
        pattern().prop_map(Expr::Wildcard),
        text().prop_map(Expr::Phrase),
        (text(), test())
            .prop_map(|(name, test)| { Expr::Field { field: FieldRef { name, offset: 0 }, test } }),
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
        (end(), end())
            .prop_filter("an open range is Exists", |ends| {
                *ends != (Bound::Unbounded, Bound::Unbounded)
            })
            .prop_map(|(lower, upper)| Test::Range { lower, upper }),
        Just(Test::Exists),
    ];
    prop::collection::vec(single, 1..4).prop_map(Test::one_of)
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let piece =
        prop_oneof![text().prop_map(Piece::Text), Just(Piece::AnyRun), Just(Piece::AnyOne),];
    prop::collection::vec(piece, 1..4)
        .prop_map(Pattern::new)
        .prop_filter("text and a lone star are not patterns", |pattern| {
            !matches!(pattern.pieces(), [Piece::Text(_) | Piece::AnyRun])
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
    prop_oneof![text(), Just(String::new())].prop_map(|text| Value { text, offset: 0 })
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
    ];
    let awkward = prop::sample::select(awkward).prop_map(str::to_owned);
    prop_oneof![awkward, r"[ -~]{1,6}", r"\PC{1,4}"]
}
