//! What a rule asks of one value, as a condition of the query language.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Bound;

use language::ast::{Comparison, Expr, FieldRef, Pattern, PatternPiece, Regex, Test, Value};
use rsigma_ir::{IrMatcher, IrNumber, IrPattern, IrPatternPart, IrStrOp};
use trail::columns::ColumnId;

use crate::encode::encoded;
use crate::fields::field;

/// Why a part of a rule cannot be asked, in words.
pub(crate) type Refused = String;

/// The condition that some value of a field passes; None for any value of the record.
pub(crate) fn condition(name: Option<&str>, matcher: &IrMatcher) -> Result<Expr, Refused> {
    let asked = |test| Expr::Field { field: values_of(name), test };
    Ok(match matcher {
        IrMatcher::Str { op, pattern, case_insensitive } => {
            asked(text(pieces(pattern), *op, *case_insensitive))
        }
        IrMatcher::Encoded { encodings, op, value, case_insensitive } => {
            let texts = encoded(value, encodings)?.into_iter().map(|encoded| {
                asked(text(vec![PatternPiece::Text(encoded)], *op, *case_insensitive))
            });
            Expr::any_of(texts)
        }
        IrMatcher::Regex { pattern, case_insensitive, multiline, dotall, .. } => {
            asked(Test::Regex(regex(pattern, *case_insensitive, (*multiline, *dotall))?))
        }
        IrMatcher::Cidr { network } => asked(addresses(network)?),
        IrMatcher::NumericEq(number) => asked(Test::Is(value(number)?)),
        IrMatcher::NumericGt(number) => {
            asked(range(Bound::Excluded(value(number)?), Bound::Unbounded))
        }
        IrMatcher::NumericGte(number) => {
            asked(range(Bound::Included(value(number)?), Bound::Unbounded))
        }
        IrMatcher::NumericLt(number) => {
            asked(range(Bound::Unbounded, Bound::Excluded(value(number)?)))
        }
        IrMatcher::NumericLte(number) => {
            asked(range(Bound::Unbounded, Bound::Included(value(number)?)))
        }
        IrMatcher::BoolEq(truth) => {
            asked(text(vec![PatternPiece::Text(truth.to_string())], IrStrOp::Exact, true))
        }
        IrMatcher::Exists(true) => exists(name)?,
        IrMatcher::Exists(false) | IrMatcher::Null => Expr::negate(exists(name)?),
        IrMatcher::FieldRef { field: other, op: IrStrOp::Exact, case_insensitive } => {
            let comparison =
                if *case_insensitive { Comparison::Alike } else { Comparison::Equal };
            let name = name.ok_or("|fieldref needs a field")?;
            let test = Test::Compared { comparison, other: field(other) };
            Expr::Field { field: field(name), test }
        }
        IrMatcher::FieldRef { .. } => {
            return Err("|fieldref with |contains, |startswith or |endswith is not supported".into());
        }
        IrMatcher::Expand { .. } => {
            return Err("|expand is not supported: write the values of its placeholders".into());
        }
        IrMatcher::TimestampPart { .. } => {
            return Err("parts of a time (|hour, |day, …) are not supported".into());
        }
        IrMatcher::Not(inner) => Expr::negate(condition(name, inner)?),
        IrMatcher::AnyOf(all) => Expr::any_of(each(name, all)?),
        IrMatcher::AllOf(all) => Expr::all_of(each(name, all)?),
    })
}

fn each(name: Option<&str>, matchers: &[IrMatcher]) -> Result<Vec<Expr>, Refused> {
    matchers.iter().map(|matcher| condition(name, matcher)).collect()
}

/// The values that a rule means by a field: those of an object are the values in it.
fn values_of(name: Option<&str>) -> FieldRef {
    let Some(name) = name else { return FieldRef::everywhere() };
    let field = field(name);
    let is_one_value = !field.is_path || ColumnId::at_path(name).is_some();
    if is_one_value { field } else { field.with_below() }
}

fn exists(name: Option<&str>) -> Result<Expr, Refused> {
    let field = field(name.ok_or("null and |exists need a field")?);
    Ok(Expr::Field { field, test: Test::Exists })
}

fn pieces(pattern: &IrPattern) -> Vec<PatternPiece> {
    let piece = |part: &IrPatternPart| match part {
        IrPatternPart::Literal(text) => PatternPiece::Text(text.clone()),
        IrPatternPart::WildcardMulti => PatternPiece::AnyRun,
        IrPatternPart::WildcardSingle => PatternPiece::AnyOne,
    };
    pattern.parts.iter().map(piece).collect()
}

fn text(mut pieces: Vec<PatternPiece>, op: IrStrOp, ignores_case: bool) -> Test {
    if matches!(op, IrStrOp::Contains | IrStrOp::EndsWith) {
        pieces.insert(0, PatternPiece::AnyRun);
    }
    if matches!(op, IrStrOp::Contains | IrStrOp::StartsWith) {
        pieces.push(PatternPiece::AnyRun);
    }
    let pattern = Pattern::new(pieces);
    if ignores_case {
        return Test::AnyCase(pattern);
    }
    match pattern.pieces() {
        [] => Test::Is(Value::of("")),
        [PatternPiece::AnyRun] => Test::Exists,
        // Compared as text, even where it reads as a number or a network.
        [PatternPiece::Text(text)] if !text.starts_with(|c: char| c.is_alphabetic()) => {
            Test::Regex(Regex::new(&escaped(text), false))
        }
        [PatternPiece::Text(text)] => Test::Is(Value::of(text.as_str())),
        _ => Test::Wildcard(pattern),
    }
}

/// A text as a regular expression.
fn escaped(text: &str) -> String {
    let escape = |c: char| if c.is_ascii_punctuation() { format!("\\{c}") } else { c.to_string() };
    text.chars().map(escape).collect()
}

/// A regular expression of Sigma, which matches any part of a value.
fn regex(
    pattern: &str,
    ignores_case: bool,
    (is_multiline, has_dots_for_all): (bool, bool),
) -> Result<Regex, Refused> {
    let alone = Regex::new(pattern, ignores_case);
    alone.compile().map_err(|reason| {
        format!("/{pattern}/ is no regular expression here: {reason} (look-around and back-references are not supported)")
    })?;
    let flags = match (is_multiline, has_dots_for_all) {
        (true, true) => "m",
        (true, false) => "m-s",
        (false, true) => "",
        (false, false) => "-s",
    };
    let regex = Regex::new(&format!(".*(?{flags}:{pattern}).*"), ignores_case);
    regex.compile().map_err(|reason| format!("/{pattern}/ cannot be asked: {reason}"))?;
    Ok(regex)
}

fn range(lower: Bound<Value>, upper: Bound<Value>) -> Test {
    Test::Range { lower, upper }
}

fn value(number: &IrNumber) -> Result<Value, Refused> {
    match number {
        IrNumber::Literal(number) => Ok(Value::of(number.to_string())),
        IrNumber::DynamicSourceRef { .. } => Err("values from other sources are not supported".into()),
    }
}

/// The addresses of a network.
fn addresses(network: &str) -> Result<Test, Refused> {
    let refused = || format!("'{network}' is no network like 10.0.0.0/8");
    let (address, bits) = match network.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| refused())?)),
        None => (network, None),
    };
    let (first, last) = match address.parse::<IpAddr>().map_err(|_| refused())? {
        IpAddr::V4(address) => {
            let bits = bits.unwrap_or(32);
            let host = u32::MAX.checked_shr(bits).unwrap_or(0);
            let net = u32::from(address) & !host;
            let address = |bits: u32| Ipv4Addr::from_bits(bits).to_string();
            (bits <= 32).then(|| (address(net), address(net | host)))
        }
        IpAddr::V6(address) => {
            let bits = bits.unwrap_or(128);
            let host = u128::MAX.checked_shr(bits).unwrap_or(0);
            let net = u128::from(address) & !host;
            let address = |bits: u128| Ipv6Addr::from_bits(bits).to_string();
            (bits <= 128).then(|| (address(net), address(net | host)))
        }
    }
    .ok_or_else(refused)?;
    Ok(range(Bound::Included(Value::of(first)), Bound::Included(Value::of(last))))
}
