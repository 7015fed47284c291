//! Numbers as people write them, and what may be compared with a field that holds numbers.
//!
//! A condition is rewritten before it gets its meaning: `1MB` becomes `1000000`. What is no number is
//! refused where the field has numbers: as texts, `1,000` would come before `2`.

use std::ops::Bound;

use crate::fields::at;
use crate::notes::Notes;
use language::ast::{Expr, FieldRef, Test, Value};
use language::time::{Clock, parse_plain_time};
use wire::{ApiError, ErrorKind};

type Result<T, E = ApiError> = std::result::Result<T, E>;

/// What a number can be multiplied with. `m` is none: it would be minutes, or a thousandth.
const UNITS: [(&str, f64); 12] = [
    ("", 1.0),
    ("k", 1e3),
    ("M", 1e6),
    ("G", 1e9),
    ("T", 1e12),
    ("P", 1e15),
    ("Ki", 1024.0),
    ("Mi", 1024.0 * 1024.0),
    ("Gi", 1024.0 * 1024.0 * 1024.0),
    ("Ti", 1024.0 * 1024.0 * 1024.0 * 1024.0),
    ("Pi", 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0),
    ("K", 1e3),
];

/// Which values a field has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    /// Numbers, as JSON has them.
    pub(crate) numbers: bool,
    /// Values of other kinds.
    pub(crate) others: bool,
}

/// Rewrites the numbers of a condition.
pub(crate) struct Numbers<'a> {
    /// Finds out which values a field has. It is asked for few conditions: those that compare with
    /// something that is no number.
    pub(crate) holds: &'a dyn Fn(&FieldRef) -> Result<Holds>,
    pub(crate) clock: &'a Clock,
    pub(crate) notes: &'a Notes,
}

impl Numbers<'_> {
    /// The condition with plain numbers; an error names the byte of what is none.
    pub(crate) fn plain(&self, expr: &Expr) -> Result<Expr> {
        let all =
            |parts: &[Expr]| parts.iter().map(|part| self.plain(part)).collect::<Result<Vec<_>>>();
        Ok(match expr {
            Expr::And(parts) => Expr::And(all(parts)?),
            Expr::Or(parts) => Expr::Or(all(parts)?),
            Expr::Not(inner) => Expr::negate(self.plain(inner)?),
            Expr::Field { field, test } => {
                let tests = self.tests(field, test)?;
                Expr::Field { field: field.clone(), test: Test::one_of(tests) }
            }
            expr => expr.clone(),
        })
    }

    /// The tests of which one must be passed.
    fn tests(&self, field: &FieldRef, test: &Test) -> Result<Vec<Test>> {
        Ok(match test {
            Test::OneOf(tests) => {
                let tests = tests.iter().map(|test| self.tests(field, test));
                tests.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect()
            }
            Test::Range { lower, upper } => vec![self.range(field, lower, upper)?],
            Test::Is(value) => {
                self.note_unit(field, value)?;
                let lower = value.text.to_ascii_lowercase();
                let is_boolean = ["true", "false"].contains(&&*lower) && lower != value.text;
                let plain = Value { text: lower, offset: value.offset };
                let others = is_boolean.then_some(Test::Is(plain));
                std::iter::once(test.clone()).chain(others).collect()
            }
            test => vec![test.clone()],
        })
    }

    /// A number with a unit is a text where it is asked for as a value.
    fn note_unit(&self, field: &FieldRef, Value { text, offset }: &Value) -> Result<()> {
        if text.parse::<f64>().is_err()
            && let Some(number) = number(text)
            && (self.holds)(field)?.numbers
        {
            let at = at(*offset);
            self.notes
                .add(format!("'{text}'{at} was looked for as a text; the number is {number}"));
        }
        Ok(())
    }

    fn range(&self, field: &FieldRef, lower: &Bound<Value>, upper: &Bound<Value>) -> Result<Test> {
        let bounds = || [lower, upper].into_iter().filter_map(value);
        let mut others = bounds().filter(|value| number(&value.text).is_none());
        let Some(other) = others.next() else {
            let plain = |value: &Value| match (value.text.parse::<f64>(), number(&value.text)) {
                (Err(_), Some(number)) => Value { text: number.to_string(), offset: value.offset },
                _ => value.clone(),
            };
            let (lower, upper) = (lower.as_ref().map(plain), upper.as_ref().map(plain));
            return Ok(Test::Range { lower, upper });
        };
        let holds = (self.holds)(field)?;
        let are_times =
            || bounds().all(|value| parse_plain_time(&value.text, self.clock).is_some());
        if !holds.numbers || holds.others && are_times() {
            return Ok(Test::Range { lower: lower.clone(), upper: upper.clone() });
        }
        let Value { text, offset } = other;
        let message =
            format!("'{text}' is no number{}, and '{}' holds numbers", at(*offset), field.name);
        let suggestion = "write 1000, 1.5, 10k or 5MB (powers of 1,000), or 2GiB (of 1,024)";
        Err(ApiError {
            offset: *offset,
            suggestion: Some(suggestion.to_owned()),
            ..ApiError::new(ErrorKind::BadQuery, format!("{message}; {suggestion}"))
        })
    }
}

fn value(bound: &Bound<Value>) -> Option<&Value> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

/// A finite number, perhaps with a unit.
pub(crate) fn number(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].trim_end_matches(['b', 'B']);
    let is_of_bytes = digits.len() + unit.len() < text.len();
    let is_named = |name: &str| {
        // Where a `B` says that bytes are meant, or the unit has an `i`, case says nothing.
        let is_clear = is_of_bytes || name.ends_with('i') || name == "G";
        name == unit || is_clear && name.eq_ignore_ascii_case(unit)
    };
    let plain = text.parse::<f64>().ok();
    let number = match plain {
        Some(number) => number,
        None => {
            let (_, factor) = UNITS.iter().find(|(name, _)| is_named(name))?;
            digits.parse::<f64>().ok()? * factor
        }
    };
    number.is_finite().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use language::parse::parse;

    #[test]
    fn units_are_powers_of_a_thousand_or_of_1024() {
        for (text, expected) in [
            ("1000", 1000.0),
            ("1k", 1e3),
            ("1K", 1e3),
            ("1.5M", 1.5e6),
            ("2G", 2e9),
            ("2g", 2e9),
            ("1KB", 1e3),
            ("1kb", 1e3),
            ("1MB", 1e6),
            ("1mb", 1e6),
            ("3GB", 3e9),
            ("1TB", 1e12),
            ("1Ki", 1024.0),
            ("1KiB", 1024.0),
            ("2MiB", 2_097_152.0),
            ("1gib", 1_073_741_824.0),
            ("512B", 512.0),
            ("-1k", -1e3),
            ("1e3", 1e3),
        ] {
            assert_eq!(number(text), Some(expected), "{text}");
        }
        for text in
            ["", "k", "1,000", "1 000", "1m", "5h", "1x", "inf", "NaN", "1kk", "1_000", "0x10", "B"]
        {
            assert_eq!(number(text), None, "{text}");
        }
    }

    /// The condition as it prints afterwards, of fields that hold numbers (`n`), numbers and others
    /// (`mixed`), or texts.
    fn plain(text: &str) -> std::result::Result<String, (Option<usize>, String)> {
        let notes = Notes::default();
        let holds = |field: &FieldRef| {
            Ok(match &*field.name {
                "n" => Holds { numbers: true, others: false },
                "mixed" => Holds { numbers: true, others: true },
                _ => Holds { numbers: false, others: true },
            })
        };
        let clock = Clock::utc(Timestamp::UNIX_EPOCH);
        let numbers = Numbers { holds: &holds, clock: &clock, notes: &notes };
        let expr = numbers.plain(&parse(text).unwrap().filter);
        let mut printed = expr.map_err(|error| (error.offset, error.message))?.to_string();
        for note in notes.take() {
            printed.push_str(&format!(" ({note})"));
        }
        Ok(printed)
    }

    #[test]
    fn what_is_no_number_is_refused_where_a_field_has_numbers() {
        for (text, expected) in [
            ("n > 1MB", "n:>1000000"),
            ("n:[1K TO 2K]", "n:[1000 TO 2000]"),
            ("n > 1 MB", "n:>1000000"),
            ("n >= 5 AND n < 1.5k", "n:>=5 AND n:<1500"),
            ("n:(>1k OR <5)", "n:(>1000 OR <5)"),
            ("n > 18446744073709551615", "n:>18446744073709551615"),
            ("text:[a TO c]", "text:[a TO c]"),
            ("text > 1k", "text:>1000"),
            ("mixed > 2021-07-30", "mixed:>2021-07-30"),
            ("n:1k", "n:1k ('1k' at byte 2 was looked for as a text; the number is 1000)"),
            ("text:1k", "text:1k"),
            ("readOnly:False", "readOnly:(False OR false)"),
            ("readOnly:(TRUE OR x)", "readOnly:(TRUE OR true OR x)"),
            ("readOnly:false", "readOnly:false"),
        ] {
            assert_eq!(plain(text).as_deref(), Ok(expected), "{text}");
        }
        for (text, offset, wrong) in [
            ("n > \"1,000\"", 4, "1,000"),
            ("n > 5h", 4, "5h"),
            ("n:[1 TO 2x]", 8, "2x"),
            ("n > 2021-07-30", 4, "2021-07-30"),
            ("mixed < many", 8, "many"),
            ("x OR NOT (y n >= 1m)", 17, "1m"),
        ] {
            let (at, message) = plain(text).unwrap_err();
            assert_eq!(at, Some(offset), "{text}");
            assert!(message.starts_with(&format!("'{wrong}' is no number at byte")), "{message}");
        }
    }
}
