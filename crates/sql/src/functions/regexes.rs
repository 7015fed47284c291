//! `regexp_like` and its kin: the syntax of the `regex` crate, which has no look-around and no
//! back-references, and takes time that grows with the text alone.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, ListBuilder, StringArray, StringBuilder,
};
use datafusion::arrow::datatypes::DataType::{self, Boolean, Int64, Utf8};
use datafusion::arrow::datatypes::Field;
use datafusion::common::Result;
use datafusion::common::cast::as_int64_array;
use datafusion::logical_expr::ScalarUDF;
use regex::{Captures, Regex, RegexBuilder};

use super::{Last, Plain, at, texts, wrong};

/// Bytes of an expression's program: the time of a search grows with it.
const PROGRAM_BYTES_MAX: usize = 256 << 10;

pub(super) fn list_of_texts() -> DataType {
    DataType::List(Arc::new(Field::new("item", Utf8, true)))
}

pub(super) fn all() -> Vec<ScalarUDF> {
    let two: &[&[_]] = &[&[Utf8, Utf8]];
    let with_group: &[&[_]] = &[&[Utf8, Utf8], &[Utf8, Utf8, Int64]];
    vec![
        Plain::of("regexp_like", two, Boolean, |arguments| {
            let mut made: Vec<Option<bool>> = Vec::new();
            each(arguments, |found, _| made.push(found.map(|(text, regex)| regex.is_match(text))))?;
            Ok(Arc::new(BooleanArray::from(made)) as ArrayRef)
        }),
        Plain::of("regexp_count", two, Int64, |arguments| {
            let mut made: Vec<Option<i64>> = Vec::new();
            let count = |(text, regex): (&str, &Regex)| regex.find_iter(text).count() as i64;
            each(arguments, |found, _| made.push(found.map(count)))?;
            Ok(Arc::new(Int64Array::from(made)) as ArrayRef)
        }),
        Plain::of("regexp_extract", with_group, Utf8, |arguments| {
            let groups = groups(arguments)?;
            let mut made: Vec<Option<String>> = Vec::new();
            each(arguments, |found, row| {
                made.push(
                    found.and_then(|(text, regex)| group(&regex.captures(text)?, groups[row]?)),
                );
            })?;
            Ok(Arc::new(StringArray::from(made)) as ArrayRef)
        }),
        Plain::of("regexp_extract_all", with_group, list_of_texts(), |arguments| {
            let groups = groups(arguments)?;
            lists(arguments, |text, regex, row, out| {
                for captures in regex.captures_iter(text) {
                    out.append_option(groups[row].and_then(|number| group(&captures, number)));
                }
            })
        }),
        Plain::of("regexp_split", two, list_of_texts(), |arguments| {
            lists(arguments, |text, regex, _, out| {
                regex.split(text).for_each(|part| out.append_value(part));
            })
        }),
        Plain::of("regexp_replace", &[&[Utf8, Utf8], &[Utf8, Utf8, Utf8]], Utf8, replaced),
    ]
}

/// Compiles an expression.
fn compiled(pattern: &str) -> Result<Regex> {
    RegexBuilder::new(pattern)
        .size_limit(PROGRAM_BYTES_MAX)
        .dfa_size_limit(PROGRAM_BYTES_MAX)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => wrong("a regular expression is too large"),
            error => {
                let text = error.to_string();
                let last = text.lines().last().unwrap_or_default();
                wrong(format!(
                    "'{pattern}' is no regular expression: {}",
                    last.trim_start_matches("error: ")
                ))
            }
        })
}

fn each(arguments: &[ArrayRef], mut take: impl FnMut(Option<(&str, &Regex)>, usize)) -> Result<()> {
    let (values, patterns) = (texts(arguments, 0)?, texts(arguments, 1)?);
    let mut last = Last::new();
    for row in 0..values.len() {
        match (at(values, row), at(patterns, row)) {
            (Some(text), Some(pattern)) => take(Some((text, last.get(pattern, compiled)?)), row),
            _ => take(None, row),
        }
    }
    Ok(())
}

fn lists(
    arguments: &[ArrayRef],
    fill: impl Fn(&str, &Regex, usize, &mut StringBuilder),
) -> Result<ArrayRef> {
    let mut made = ListBuilder::new(StringBuilder::new());
    each(arguments, |found, row| {
        let is_there = found.is_some();
        if let Some((text, regex)) = found {
            fill(text, regex, row, made.values());
        }
        made.append(is_there);
    })?;
    Ok(Arc::new(made.finish()))
}

/// The group that each row asks for: the third argument; the whole match where there is none.
fn groups(arguments: &[ArrayRef]) -> Result<Vec<Option<usize>>> {
    let Some(groups) = arguments.get(2) else {
        return Ok(vec![Some(0); texts(arguments, 0)?.len()]);
    };
    let groups = as_int64_array(groups)?;
    Ok(groups.iter().map(|group| usize::try_from(group?).ok()).collect())
}

fn group(captures: &Captures<'_>, number: usize) -> Option<String> {
    captures.get(number).map(|found| found.as_str().to_owned())
}

/// Every match is replaced; `$1` and `${name}` stand for groups, and a backslash makes a sign plain.
fn replaced(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let by = match arguments.get(2) {
        Some(_) => Some(texts(arguments, 2)?),
        None => None,
    };
    let mut made: Vec<Option<String>> = Vec::new();
    let mut last = Last::new();
    let mut failed = None;
    each(arguments, |found, row| {
        let by = match by {
            Some(by) => at(by, row),
            None => Some(""),
        };
        made.push(match (found, by) {
            (Some((text, regex)), Some(by)) => match last.get(by, |by| Ok(replacement(by))) {
                Ok(by) => Some(regex.replace_all(text, by.as_str()).into_owned()),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            },
            _ => None,
        });
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(Arc::new(StringArray::from(made))),
    }
}

/// Java's replacement as the `regex` crate has it.
fn replacement(java: &str) -> String {
    let mut made = String::with_capacity(java.len());
    let mut chars = java.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('$') => made.push_str("$$"),
                Some(plain) => made.push(plain),
                None => {}
            },
            '$' if chars.peek().is_some_and(char::is_ascii_digit) => {
                made.push_str("${");
                while let Some(digit) = chars.next_if(char::is_ascii_digit) {
                    made.push(digit);
                }
                made.push('}');
            }
            c => made.push(c),
        }
    }
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replacements_are_javas() {
        assert_eq!(replacement(r"$1a-\$2\\"), r"${1}a-$$2\");
        assert_eq!(replacement("${name}"), "${name}");
        assert!(compiled("(").is_err());
        assert!(compiled(r"(\w{1000}){1000}").is_err());
    }
}
