//! SQL's conditions as the index's own: each becomes a condition that finds at least the rows for which it is
//! true, or none is made. The index may find more, so what is not exact is looked at again.
//!
//! A condition of SQL is true, false or unknown, and one of the index is met or not. So only what makes a
//! condition true is asked: behind a `NOT`, unknown would become true.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};

use crate::schema::{COLUMNS, Kind, Leaf};
use language::ast::{self, FieldRef, Pattern, PatternPiece, Regex, Test, Value};
use std::ops::Bound;
use trail::columns::EVENT_TIME_PATH;
use trail::time::Micros;

/// What the index is asked for a condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pushed {
    /// The index's condition.
    pub(crate) expr: ast::Expr,
    /// Whether it finds just the rows for which SQL's is true.
    pub(crate) is_exact: bool,
    /// Earliest time, inclusive, and latest, exclusive; None is no bound. `expr` has them, too.
    pub(crate) span: (Option<Micros>, Option<Micros>),
}

impl Pushed {
    fn more(expr: ast::Expr) -> Self {
        Self { expr, is_exact: false, span: (None, None) }
    }
}

/// Conditions are looked into so deeply.
const DEPTH_MAX: usize = 64;

/// Bytes of a text that the index is asked for.
const TEXT_BYTES_MAX: usize = 4_000;

/// What the index is asked; None where it cannot be.
pub(crate) fn pushed(condition: &Expr) -> Option<Pushed> {
    within(condition, DEPTH_MAX)
}

fn within(condition: &Expr, depth: usize) -> Option<Pushed> {
    let depth = depth.checked_sub(1)?;
    match condition {
        Expr::Alias(alias) => within(&alias.expr, depth),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            match (within(left, depth), within(right, depth)) {
                (Some(left), Some(right)) => Some(Pushed {
                    expr: ast::Expr::all_of([left.expr, right.expr]),
                    is_exact: left.is_exact && right.is_exact,
                    span: (left.span.0.max(right.span.0), earlier(left.span.1, right.span.1)),
                }),
                (Some(side), None) | (None, Some(side)) => Some(Pushed { is_exact: false, ..side }),
                (None, None) => None,
            }
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            let (left, right) = (within(left, depth)?, within(right, depth)?);
            let is_exact = left.is_exact && right.is_exact;
            let span = (
                left.span.0.zip(right.span.0).map(|(a, b)| a.min(b)),
                left.span.1.zip(right.span.1).map(|(a, b)| a.max(b)),
            );
            Some(Pushed { expr: ast::Expr::any_of([left.expr, right.expr]), is_exact, span })
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => match (&**left, &**right) {
            (field, Expr::Literal(value, _)) => compared(field, *op, value),
            (Expr::Literal(value, _), field) => compared(field, op.swap()?, value),
            _ => None,
        },
        Expr::InList(InList { expr, list, negated: false }) => {
            let leaf = text_leaf(expr)?;
            let value = |item: &Expr| match item {
                Expr::Literal(value, _) => equal(&leaf, text_of(value)?),
                _ => None,
            };
            let tests = list.iter().map(value).collect::<Option<Vec<Test>>>()?;
            (!tests.is_empty()).then(|| Pushed::more(asked(&leaf, Test::one_of(tests))))
        }
        Expr::Like(Like { negated: false, expr, pattern, escape_char, case_insensitive }) => {
            let leaf = text_leaf(expr)?;
            let Expr::Literal(pattern, _) = &**pattern else { return None };
            let pieces = like(text_of(pattern)?, *escape_char)?;
            matching(&leaf, pieces, *case_insensitive)
        }
        Expr::IsNotNull(expr) => {
            let leaf = leaf_of(expr)?;
            let is_scalar =
                matches!(leaf.last().kind, Kind::Text | Kind::Bool) && leaf.key.is_none();
            is_scalar.then(|| Pushed::more(asked(&leaf, Test::Exists)))
        }
        Expr::Not(inner) => truth(inner, false),
        Expr::ScalarFunction(call) if call.name() == "regexp_like" => regex(call),
        Expr::ScalarFunction(call) if call.name() == "starts_with" => {
            let [field, Expr::Literal(start, _)] = &call.args[..] else { return None };
            let leaf = text_leaf(field)?;
            let start = PatternPiece::Text(text_of(start)?.to_owned());
            matching(&leaf, vec![start, PatternPiece::AnyRun], false)
        }
        field => truth(field, true),
    }
}

fn earlier(a: Option<Micros>, b: Option<Micros>) -> Option<Micros> {
    a.into_iter().chain(b).min()
}

/// A column of truth values that is a condition by itself.
fn truth(field: &Expr, wanted: bool) -> Option<Pushed> {
    let leaf = leaf_of(field)?;
    (leaf.last().kind == Kind::Bool && leaf.key.is_none())
        .then(|| Pushed::more(asked(&leaf, Test::Is(Value::of(wanted.to_string())))))
}

fn compared(field: &Expr, op: Operator, value: &ScalarValue) -> Option<Pushed> {
    if let Expr::ScalarFunction(call) = field
        && let ("lower" | "upper", [inner]) = (call.name(), &call.args[..])
        && op == Operator::Eq
    {
        let pieces = vec![PatternPiece::Text(text_of(value)?.to_owned())];
        return matching(&text_leaf(inner)?, pieces, true);
    }
    let leaf = leaf_of(field)?;
    if leaf.last().kind == Kind::EventTime {
        return between(op, moment(value)?);
    }
    match (op, value) {
        (Operator::Eq, ScalarValue::Boolean(Some(wanted))) => truth(field, *wanted),
        (Operator::Eq, value) => {
            let leaf = text_leaf(field)?;
            Some(Pushed::more(asked(&leaf, equal(&leaf, text_of(value)?)?)))
        }
        _ => None,
    }
}

/// A time in microseconds since 1970; None where a literal is none, or between two microseconds.
fn moment(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::TimestampSecond(Some(time), None) => time.checked_mul(1_000_000),
        ScalarValue::TimestampMillisecond(Some(time), None) => time.checked_mul(1_000),
        ScalarValue::TimestampMicrosecond(Some(time), None) => Some(*time),
        ScalarValue::TimestampNanosecond(Some(time), None) if time % 1_000 == 0 => {
            Some(time / 1_000)
        }
        _ => None,
    }
}

/// Times beyond these have no text that the index reads.
const TIMES: std::ops::Range<i64> = 0..4_000_000_000_000_000;

fn between(op: Operator, time: i64) -> Option<Pushed> {
    if !TIMES.contains(&time) {
        return None;
    }
    let (start, end) = match op {
        Operator::Eq => (Some(time), Some(time + 1)),
        Operator::Gt => (Some(time + 1), None),
        Operator::GtEq => (Some(time), None),
        Operator::Lt => (None, Some(time)),
        Operator::LtEq => (None, Some(time + 1)),
        _ => return None,
    };
    let span = (start.map(Micros), end.map(Micros));
    let value = |time: Micros| {
        let time = jiff::Timestamp::from_microsecond(time.0).ok()?;
        Some(Value::of(format!("{time:.6}")))
    };
    let lower = match span.0 {
        Some(start) => Bound::Included(value(start)?),
        None => Bound::Unbounded,
    };
    let upper = match span.1 {
        Some(end) => Bound::Excluded(value(end)?),
        None => Bound::Unbounded,
    };
    let test = Test::Range { lower, upper };
    let expr = ast::Expr::Field { field: FieldRef::named(EVENT_TIME_PATH), test };
    Some(Pushed { expr, is_exact: true, span })
}

fn asked(leaf: &Leaf, test: Test) -> ast::Expr {
    ast::Expr::Field { field: FieldRef::at_path(leaf.path()), test }
}

fn text_of(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(Some(text))
        | ScalarValue::Utf8View(Some(text))
        | ScalarValue::LargeUtf8(Some(text)) => {
            (text.len() <= TEXT_BYTES_MAX && !text.contains('\0')).then_some(text)
        }
        _ => None,
    }
}

/// The place of the record that an expression reads; None where it reads another, or none.
pub(crate) fn leaf_of(expr: &Expr) -> Option<Leaf> {
    match expr {
        Expr::Alias(alias) => leaf_of(&alias.expr),
        Expr::Column(column) => {
            Leaf::column(COLUMNS.iter().position(|place| place.name == column.name)?)
        }
        Expr::ScalarFunction(call) if matches!(call.name(), "get_field" | "element_at") => {
            let (base, keys) = call.args.split_first()?;
            keys.iter().try_fold(leaf_of(base)?, |leaf, key| match key {
                Expr::Literal(name, _) => leaf.below(text_of(name)?),
                _ => None,
            })
        }
        _ => None,
    }
}

/// A leaf that holds texts, by a path that the index knows as it is.
fn text_leaf(expr: &Expr) -> Option<Leaf> {
    let leaf = leaf_of(expr)?;
    match &leaf.key {
        Some(key) => has_plain_path(key).then_some(leaf),
        None => (leaf.last().kind == Kind::Text).then_some(leaf),
    }
}

/// Keys that the index has as parts of paths as they are. Long ones are cut there.
fn has_plain_path(key: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-:./@ ".contains(c);
    let parts = key.split('.');
    key.len() <= 100
        && key.chars().all(is_plain)
        && parts.clone().count() <= 8
        && parts.into_iter().all(|part| !part.is_empty())
}

/// The text of a map is JSON where something is nested there, of which the index knows the values only.
fn may_be_nested(leaf: &Leaf, first: Option<char>) -> bool {
    leaf.key.is_some() && matches!(first, None | Some('{' | '['))
}

fn equal(leaf: &Leaf, text: &str) -> Option<Test> {
    let is_nested = !text.is_empty() && may_be_nested(leaf, text.chars().next());
    (!is_nested).then(|| Test::Is(Value::of(text)))
}

/// The pieces of a pattern of `LIKE`; None where it ends within an escape.
fn like(pattern: &str, escape: Option<char>) -> Option<Vec<PatternPiece>> {
    let escape = escape.unwrap_or('\\');
    let mut pieces = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        pieces.push(match c {
            c if c == escape => PatternPiece::Text(chars.next()?.to_string()),
            '%' => PatternPiece::AnyRun,
            '_' => PatternPiece::AnyOne,
            c => PatternPiece::Text(c.to_string()),
        });
    }
    Some(pieces)
}

fn matching(leaf: &Leaf, pieces: Vec<PatternPiece>, ignores_case: bool) -> Option<Pushed> {
    let pattern = Pattern::new(pieces);
    let texts = || {
        pattern.pieces().iter().filter_map(|piece| match piece {
            PatternPiece::Text(text) => Some(text.as_str()),
            _ => None,
        })
    };
    let first = match pattern.pieces().first() {
        Some(PatternPiece::Text(text)) => text.chars().next(),
        _ => None,
    };
    // Case is folded otherwise beyond ASCII.
    if may_be_nested(leaf, first) || ignores_case && !texts().all(str::is_ascii) {
        return None;
    }
    // A number is looked for by its digits, whatever the record has.
    let is_of_number = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    if leaf.indexed().is_none() && texts().all(|text| text.chars().all(is_of_number)) {
        return None;
    }
    let test = match pattern.pieces() {
        [] => return None,
        [PatternPiece::AnyRun] => Test::Exists,
        _ if ignores_case => Test::AnyCase(pattern),
        [PatternPiece::Text(text)] => equal(leaf, text)?,
        _ => Test::Wildcard(pattern),
    };
    Some(Pushed::more(asked(leaf, test)))
}

fn regex(call: &ScalarFunction) -> Option<Pushed> {
    let [field, Expr::Literal(pattern, _)] = &call.args[..] else { return None };
    let leaf = text_leaf(field)?;
    leaf.indexed()?;
    let regex = Regex::new(&format!("(?s:.*)(?:{})(?s:.*)", text_of(pattern)?), false);
    regex.compile().ok()?;
    Some(Pushed::more(asked(&leaf, Test::Regex(regex))))
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn shown(condition: &Expr) -> String {
        pushed(condition).map_or("-".to_owned(), |pushed| {
            format!("{}{}", if pushed.is_exact { "= " } else { "> " }, pushed.expr)
        })
    }

    #[test]
    fn what_can_be_asked_is_asked() {
        let name = || col("eventname");
        assert_eq!(shown(&name().eq(lit("GetObject"))), "> eventName:GetObject");
        assert_eq!(shown(&lit("a").eq(name()).and(name().not_eq(lit("b")))), "> eventName:a");
        assert_eq!(shown(&name().eq(lit("a")).or(col("errorcode").is_null())), "-");
        assert_eq!(shown(&name().like(lit("Get%_x"))), "> eventName:Get*?x");
        assert_eq!(shown(&col("readonly")), "> readOnly:true");
        assert_eq!(shown(&!col("readonly")), "> readOnly:false");
        assert_eq!(shown(&!(name().eq(lit("a")))), "-");
        assert_eq!(shown(&name().is_null()), "-");
        assert_eq!(shown(&name().is_not_null()), "> eventName:*");
        assert_eq!(shown(&col("requestparameters").is_not_null()), "-");
        assert_eq!(shown(&name().eq(lit(ScalarValue::Utf8(None)))), "-");
    }

    #[test]
    fn times_are_exact() {
        let time = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), None));
        let day = col("eventtime").gt_eq(time(1_600_000_000_000_000));
        let pushed = pushed(&day.and(col("eventtime").lt(time(1_600_000_000_000_001)))).unwrap();
        assert!(pushed.is_exact);
        let (start, end) = pushed.span;
        assert_eq!(
            (start.unwrap().0, end.unwrap().0),
            (1_600_000_000_000_000, 1_600_000_000_000_001)
        );
        assert_eq!(shown(&col("eventtime").gt(time(-5))), "-");
        let nanos = lit(ScalarValue::TimestampNanosecond(Some(1_600_000_000_000_000_001), None));
        assert_eq!(shown(&col("eventtime").gt(nanos)), "-");
    }
}
