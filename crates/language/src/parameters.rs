//! Parameters of a query: `$name` in place of a field's value, or of a word.
//!
//! Values go into the tree, never into the text, so no value can change the structure of a query. A
//! `$` that is quoted, or has a backslash before it, is text; so is one inside a wildcard or a
//! phrase. No word contains a `$`, so a bare `$name` can only be a parameter.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use crate::ast::{Expr, Query, Stage, Test, Value};
use crate::parse::{ParseError, parse};

/// Whether a text is a valid parameter name: ASCII letters, digits and `_`, not starting with a
/// digit.
pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The names of a query's parameters, without the `$`.
pub fn parameters(text: &str) -> Result<BTreeSet<String>, ParseError> {
    let mut names = BTreeSet::new();
    let mut query = parse(text)?;
    each_parameter(&mut query, text, &mut |name| {
        names.insert(name.clone());
    });
    Ok(names)
}

/// Parses the query and puts values in place of its parameters. A parameter without a value stays
/// as the text `$name`.
pub fn bind(text: &str, values: &BTreeMap<String, String>) -> Result<Query, ParseError> {
    let mut query = parse(text)?;
    each_parameter(&mut query, text, &mut |name| {
        *name = match values.get(name.as_str()) {
            Some(value) => value.clone(),
            None => format!("${name}"),
        };
    });
    Ok(query)
}

/// Calls `visit` with the name of each parameter; what it leaves there takes the parameter's place.
fn each_parameter(query: &mut Query, text: &str, visit: &mut dyn FnMut(&mut String)) {
    in_query(query, &mut |found, offset| {
        let Some(name) = found.strip_prefix('$').filter(|name| is_name(name)) else { return };
        // One that is quoted or escaped is not in the text as it is in the tree.
        let is_bare = |at: usize| text.get(at..).is_some_and(|rest| rest.starts_with(&**found));
        if offset.is_none_or(is_bare) {
            let mut name = name.to_owned();
            visit(&mut name);
            *found = name;
        }
    });
}

/// A text that can be a parameter, and where it is, if the tree knows.
type Visit<'v> = dyn FnMut(&mut String, Option<usize>) + 'v;

fn in_query(Query { filter, stages }: &mut Query, visit: &mut Visit<'_>) {
    in_expr(filter, visit);
    for stage in stages {
        match stage {
            Stage::Filter(filter) => in_expr(filter, visit),
            Stage::Stats { .. }
            | Stage::Sort(_)
            | Stage::Limit { .. }
            | Stage::Fields(_)
            | Stage::Dedup(_) => {}
        }
    }
}

fn in_expr(expr: &mut Expr, visit: &mut Visit<'_>) {
    match expr {
        Expr::Word(text) => visit(text, None),
        Expr::Field { test, .. } => in_test(test, visit),
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                in_expr(part, visit);
            }
        }
        Expr::Not(inner) => in_expr(inner, visit),
        Expr::All | Expr::Wildcard(_) | Expr::Regex(_) | Expr::Phrase(_) => {}
    }
}

fn in_test(test: &mut Test, visit: &mut Visit<'_>) {
    match test {
        Test::Is(value) => in_value(value, visit),
        Test::Range { lower, upper } => {
            for bound in [lower, upper] {
                if let Bound::Included(value) | Bound::Excluded(value) = bound {
                    in_value(value, visit);
                }
            }
        }
        Test::OneOf(tests) => tests.iter_mut().for_each(|test| in_test(test, visit)),
        Test::InQuery(query) => in_query(query, visit),
        Test::AnyCase(_)
        | Test::Phrase(_)
        | Test::Wildcard(_)
        | Test::Regex(_)
        | Test::Exists
        | Test::Compared { .. } => {}
    }
}

fn in_value(Value { text, offset }: &mut Value, visit: &mut Visit<'_>) {
    visit(text, *offset);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A query with `$x` in each place where a value can stand.
    const EVERYWHERE: &str = "$x f:$x f = $x f != $x f >= $x f:<$x f:[$x TO 5] f:{1 TO $x} \
        f IN [a, $x] f:(a OR $x) f IN (g:$x | values h) NOT ($x OR f:$x) \
        | stats count by a | filter a:$x OR count > $x";
    const PLACES: usize = 15;

    fn with(text: &str, value: &str) -> Query {
        bind(text, &BTreeMap::from([("x".to_owned(), value.to_owned())])).unwrap()
    }

    #[track_caller]
    fn check(text: &str, value: &str, expected: &str) {
        assert_eq!(with(text, value), parse(expected).unwrap(), "{text}");
    }

    #[test]
    fn a_parameter_stands_for_a_value_or_a_word() {
        check("f:$x", "a b", r"f:a\ b");
        check("f = $x", "a*", r"f:a\*");
        check("$x", "pedro", "pedro");
        check("time >= $x | count by actor", "-24h", "time >= -24h | count by actor");
        check("f IN [$x, b]", "a, c", r#"f IN ["a, c", b]"#);
    }

    #[test]
    fn what_is_quoted_escaped_or_a_part_of_something_is_none() {
        for text in [r#"f:"$x""#, r#"f = "$x""#, r"f:\$x", "f:$x*", r#""$x""#, "f:$x-y", "f:/$x/"] {
            assert_eq!(parameters(text).unwrap(), BTreeSet::new(), "{text}");
            check(text, "value", text);
        }
    }

    #[test]
    fn every_parameter_is_named_once() {
        let names = parameters("f:$b g:$a h:[$_c1 TO $b] $1 $ $é").unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["_c1", "a", "b"]);
        assert_eq!(EVERYWHERE.matches("$x").count(), PLACES);
        let mut found = 0;
        each_parameter(&mut parse(EVERYWHERE).unwrap(), EVERYWHERE, &mut |_| found += 1);
        assert_eq!(found, PLACES);
    }

    #[test]
    fn a_value_that_ends_a_query_or_is_a_form_of_another_tool_is_text() {
        for value in [";", "a;", "a;b", "; DROP", "x~", "x^2", "1..2", "null", "-a"] {
            let bound = with(EVERYWHERE, value);
            assert_eq!(parse(&bound.to_string()).unwrap(), bound, "{bound}");
        }
    }

    proptest! {
        /// The tree with the value is what the text with the value, written as the language writes
        /// values, reads as; and but for the values it is the tree that was saved.
        #[test]
        fn no_value_changes_what_a_query_asks(value in prop_oneof![
            r"\PC{1,12}",
            r#"[ "\\*?()|/&\[\]{}:;=<>!~^$,-]{1,8}"#,
            prop::sample::select(vec!["* OR *", "a | count", "TO", "AND", "eventName", "$x", "@now"])
                .prop_map(str::to_owned),
        ]) {
            let bound = with(EVERYWHERE, &value);
            prop_assert_eq!(&parse(&bound.to_string()).unwrap(), &bound, "{}", bound);
            // The value may be one of those that stand there already.
            let without = |mut query: Query| {
                in_query(&mut query, &mut |text, _| {
                    if *text == value {
                        "$x".clone_into(text);
                    }
                });
                query
            };
            prop_assert_eq!(without(bound), without(parse(EVERYWHERE).unwrap()));
        }
    }
}
