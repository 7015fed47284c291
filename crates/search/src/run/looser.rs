//! The forms of a condition that find more: a part of a value in place of the whole, and any case. Values,
//! wildcards and regular expressions are compared with whole values and words; people who come from tools
//! that look for parts find nothing.
//!
//! Pure.

use language::ast::{Expr, Pattern, PatternPiece, Regex, Test, Value};
use wire::Difference;

/// Shorter texts are parts of too many values.
const PART_CHARS_MIN: usize = 3;

/// A condition that finds what another does, and more.
#[derive(Debug, PartialEq)]
pub(super) struct Looser {
    pub(super) condition: Expr,
    pub(super) difference: Difference,
    /// Whether it is of interest only where those before it find nothing.
    pub(super) is_last_resort: bool,
}

/// The looser forms of a condition, those that change less first; none where there are none.
pub(super) fn looser(asked: &Expr) -> Vec<Looser> {
    match asked {
        Expr::Word(text) => of_words(text),
        Expr::Phrase(text) if !text.contains(char::is_whitespace) => of_words(text),
        Expr::Wildcard(pattern) => {
            part_of(pattern).map(Expr::Wildcard).map(part).into_iter().collect()
        }
        Expr::Regex(regex) => {
            let forms = of_regex(regex);
            forms.into_iter().map(|form| form.map(Expr::Regex)).collect()
        }
        Expr::Field { field, test } => {
            let of_field = |test| Expr::Field { field: field.clone(), test };
            let of_form = |form: Form<Test>| match form.difference {
                Difference::Missing => form.map(|test| Expr::negate(of_field(test))),
                _ => form.map(of_field),
            };
            of_test(test).into_iter().map(of_form).collect()
        }
        _ => Vec::new(),
    }
}

/// A form of something, before it is a condition.
struct Form<T> {
    of: T,
    difference: Difference,
    is_last_resort: bool,
}

impl<T> Form<T> {
    fn new(of: T, difference: Difference) -> Self {
        Self { of, difference, is_last_resort: false }
    }

    fn last(of: T) -> Self {
        Self { of, difference: Difference::Part, is_last_resort: true }
    }

    fn map(self, condition: impl Fn(T) -> Expr) -> Looser {
        let Self { of, difference, is_last_resort } = self;
        Looser { condition: condition(of), difference, is_last_resort }
    }
}

fn part(condition: Expr) -> Looser {
    Looser { condition, difference: Difference::Part, is_last_resort: false }
}

/// A word is in lower case wherever it stands.
fn of_words(text: &str) -> Vec<Looser> {
    let pattern = text_of(text).and_then(|pattern| part_of(&pattern));
    pattern.map(Expr::Wildcard).map(part).into_iter().collect()
}

fn of_test(test: &Test) -> Vec<Form<Test>> {
    use Difference::{Case, Part};
    let of_text = |text: &str| {
        if let Some(form) = elsewhere(text) {
            return vec![form];
        }
        let Some(pattern) = text_of(text).and_then(|pattern| part_of(&pattern)) else {
            return Vec::new();
        };
        let any_case = Test::AnyCase(pattern.clone());
        vec![Form::new(Test::Wildcard(pattern), Part), Form::last(any_case)]
    };
    match test {
        Test::Is(value) => of_text(&value.text),
        Test::Phrase(text) => of_text(text),
        Test::AnyCase(pattern) => {
            let parts = part_of(pattern).map(|pattern| Form::new(Test::AnyCase(pattern), Part));
            parts.into_iter().collect()
        }
        Test::Wildcard(pattern) => {
            let mut forms = vec![Form::new(Test::AnyCase(pattern.clone()), Case)];
            if let Some(wider) = part_of(pattern) {
                forms.push(Form::new(Test::Wildcard(wider.clone()), Part));
                forms.push(Form::last(Test::AnyCase(wider)));
            }
            forms
        }
        Test::Regex(regex) => {
            let of_test = |Form { of, difference, is_last_resort }: Form<Regex>| Form {
                of: Test::Regex(of),
                difference,
                is_last_resort,
            };
            of_regex(regex).into_iter().map(of_test).collect()
        }
        _ => Vec::new(),
    }
}

/// The form of a value that stands for another in other tools: for none at all, for any, for a truth value.
fn elsewhere(text: &str) -> Option<Form<Test>> {
    let is = |texts: &[&str]| texts.iter().any(|known| known.eq_ignore_ascii_case(text));
    let truth = |text: &str| Form::new(Test::Is(Value::of(text)), Difference::Other);
    if text == "*" {
        return Some(Form::new(Test::Exists, Difference::Part));
    }
    if is(&[
        "none",
        "undefined",
        "nan",
        "n/a",
        "-",
        "--",
        "missing",
        "(none)",
        "(missing)",
        "(null)",
    ]) {
        return Some(Form::new(Test::Exists, Difference::Missing));
    }
    if is(&["1", "yes", "y", "t", "on"]) {
        return Some(truth("true"));
    }
    is(&["0", "no", "n", "f", "off"]).then(|| truth("false"))
}

fn of_regex(regex: &Regex) -> Vec<Form<Regex>> {
    let any_case = |regex: &Regex| Regex { ignores_case: true, ..regex.clone() };
    let mut forms = Vec::new();
    if !regex.ignores_case {
        forms.push(Form::new(any_case(regex), Difference::Case));
    }
    if let Some(wider) = anywhere(regex) {
        let last = (!regex.ignores_case).then(|| Form::last(any_case(&wider)));
        forms.push(Form::new(wider, Difference::Part));
        forms.extend(last);
    }
    forms
}

fn text_of(text: &str) -> Option<Pattern> {
    let is_long = text.chars().count() >= PART_CHARS_MIN;
    is_long.then(|| Pattern::new([PatternPiece::Text(text.to_owned())]))
}

/// The pattern with any characters around it; None where it has them.
fn part_of(pattern: &Pattern) -> Option<Pattern> {
    let around = std::iter::once(PatternPiece::AnyRun)
        .chain(pattern.pieces().iter().cloned())
        .chain([PatternPiece::AnyRun]);
    let wider = Pattern::new(around);
    (wider != *pattern).then_some(wider)
}

/// The expression for a part of the value; None where it is one. What begins with `^` stays at the value's
/// beginning, and what ends with `$` at its end.
fn anywhere(regex: &Regex) -> Option<Regex> {
    const ANY: &str = ".*";
    let pattern = regex.pattern.as_str();
    // An alternative reaches to the end of what it stands in.
    if pattern.contains('|') {
        let is_one = pattern.starts_with(".*(") && pattern.ends_with(").*");
        let pattern = format!("{ANY}(?:{pattern}){ANY}");
        return (!is_one).then_some(Regex { pattern, ignores_case: regex.ignores_case });
    }
    let is_escaped = |text: &str| {
        let backslashes = text.len() - text.trim_end_matches('\\').len();
        backslashes % 2 == 1
    };
    let (before, inner) = match pattern.strip_prefix('^') {
        Some(inner) => ("", inner),
        None if pattern.starts_with(ANY) => ("", pattern),
        None => (ANY, pattern),
    };
    let (inner, after) = match inner.strip_suffix('$') {
        Some(inner) if !is_escaped(inner) => (inner, ""),
        _ if inner.strip_suffix(ANY).is_some_and(|before| !is_escaped(before)) => (inner, ""),
        _ => (inner, ANY),
    };
    if before.is_empty() && after.is_empty() {
        return None;
    }
    let pattern = format!("{before}{inner}{after}");
    Some(Regex { pattern, ignores_case: regex.ignores_case })
}

#[cfg(test)]
mod tests {
    use super::*;
    use language::ast::Query;
    use language::parse::parse;

    #[track_caller]
    fn check(asked: &str, expected: &[&str]) {
        let forms = looser(&parse(asked).unwrap().filter);
        let forms: Vec<String> = forms
            .into_iter()
            .map(|form| {
                let last = if form.is_last_resort { " at last" } else { "" };
                format!("{} {:?}{last}", Query::of(form.condition), form.difference)
            })
            .collect();
        assert_eq!(forms, expected, "{asked}");
    }

    #[test]
    fn a_condition_is_loosened_by_case_and_to_a_part() {
        check("stratus", &["*stratus* Part"]);
        check("\"stratus\"", &["*stratus* Part"]);
        check("strat*", &["*strat* Part"]);
        check("*strat*", &[]);
        check("ab", &[]);
        check(
            "/stratus/",
            &["/stratus/i Case", "/.*stratus.*/ Part", "/.*stratus.*/i Part at last"],
        );
        check("f:x-y", &["f:*x-y* Part", "f:~*x-y* Part at last"]);
        check("f:\"a b\"", &["f:*a\\ b* Part", "f:~*a\\ b* Part at last"]);
        check("f:~stratus", &["f:~*stratus* Part"]);
        check("f = \"*\"", &["f:* Part"]);
        check("f:None", &["NOT f:* Missing"]);
        check("f:yes", &["f:true Other"]);
        check("f:0", &["f:false Other"]);
        check("f:get*", &["f:~get* Case", "f:*get* Part", "f:~*get* Part at last"]);
        check("f:*", &[]);
        check("f >= 5", &[]);
    }

    #[test]
    fn a_regular_expression_is_loosened_as_far_as_it_says() {
        let check = |pattern: &str, expected: Option<&str>| {
            let wider = anywhere(&Regex::new(pattern, false)).map(|regex| regex.pattern);
            assert_eq!(wider.as_deref(), expected, "{pattern}");
        };
        check("x", Some(".*x.*"));
        check("a|b", Some(".*(?:a|b).*"));
        check("^a|b$", Some(".*(?:^a|b$).*"));
        check(".*(?:a|b).*", None);
        check("^Get", Some("Get.*"));
        check("User$", Some(".*User"));
        check("^Get$", None);
        check(".*x", Some(".*x.*"));
        check("x.*", Some(".*x.*"));
        check(".*x.*", None);
        check("cost\\$", Some(".*cost\\$.*"));
        check("x\\.*", Some(".*x\\.*.*"));
    }
}
