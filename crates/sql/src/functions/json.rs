//! `json_extract` and its kin. JSON is text here: what `json_extract` finds is written as JSON.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, BooleanArray, Int64Array, StringArray};
use datafusion::arrow::datatypes::DataType::{Boolean, Int64, Utf8};
use datafusion::common::Result;
use datafusion::common::cast::as_int64_array;
use datafusion::logical_expr::ScalarUDF;

use super::{Last, Plain, at, texts, wrong};
use crate::json::Json;

pub(super) fn all() -> Vec<ScalarUDF> {
    let two: &[&[_]] = &[&[Utf8, Utf8]];
    vec![
        Plain::of("json_extract", two, Utf8, |arguments| {
            found(arguments, |found| Some(found.to_string()))
        }),
        Plain::of("json_extract_scalar", two, Utf8, |arguments| {
            found(arguments, |found| match found {
                Json::List(_) | Json::Object(_) | Json::Null => None,
                scalar => scalar.text().map(std::borrow::Cow::into_owned),
            })
        }),
        Plain::of("json_size", two, Int64, size),
        Plain::of("json_array_length", &[&[Utf8]], Int64, |arguments| {
            let length = |text: &str| match Json::read(text)? {
                Json::List(values) => Some(values.len() as i64),
                _ => None,
            };
            let texts = texts(arguments, 0)?;
            Ok(Arc::new(texts.iter().map(|text| length(text?)).collect::<Int64Array>()) as ArrayRef)
        }),
        Plain::of("json_array_get", &[&[Utf8, Int64]], Utf8, array_get),
        Plain::of("json_array_contains", two, Boolean, array_contains),
        Plain::called(&["json_parse", "json_format"], &[&[Utf8]], Utf8, |arguments| {
            let texts = texts(arguments, 0)?;
            let parse = |text: Option<&str>| match text {
                None => Ok(None),
                Some(text) => match Json::read(text) {
                    Some(value) => Ok(Some(value.to_string())),
                    None => Err(wrong("json_parse: a text is no JSON")),
                },
            };
            let parsed = texts.iter().map(parse).collect::<Result<StringArray>>()?;
            Ok(Arc::new(parsed) as ArrayRef)
        }),
        Plain::of("is_json_scalar", &[&[Utf8]], Boolean, |arguments| {
            let is_scalar = |text: &str| {
                Json::read(text).map(|value| !matches!(value, Json::List(_) | Json::Object(_)))
            };
            let texts = texts(arguments, 0)?;
            Ok(Arc::new(texts.iter().map(|text| is_scalar(text?)).collect::<BooleanArray>())
                as ArrayRef)
        }),
    ]
}

/// A step of a path.
#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Item(usize),
    Every,
}

/// The path `$.a["b c"][0]`; `*` is every member or item.
fn path(text: &str) -> Result<Vec<Step>> {
    let bad = || wrong(format!("'{text}' is no path of JSON; one is $.a.b[0]"));
    let mut rest = text.trim().strip_prefix('$').ok_or_else(bad)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let quote = inner.chars().next().filter(|c| matches!(c, '"' | '\''));
            if let Some(quote) = quote {
                let (key, behind) = inner[1..].split_once(quote).ok_or_else(bad)?;
                steps.push(Step::Key(key.to_owned()));
                rest = behind.strip_prefix(']').ok_or_else(bad)?;
            } else {
                let (index, behind) = inner.split_once(']').ok_or_else(bad)?;
                steps.push(match index.trim() {
                    "*" => Step::Every,
                    index => Step::Item(index.parse().map_err(|_| bad())?),
                });
                rest = behind;
            }
        } else {
            let inner = rest.strip_prefix('.').ok_or_else(bad)?;
            if let Some(quoted) = inner.strip_prefix('"') {
                let (key, behind) = quoted.split_once('"').ok_or_else(bad)?;
                steps.push(Step::Key(key.to_owned()));
                rest = behind;
                continue;
            }
            let end = inner.find(['.', '[']).unwrap_or(inner.len());
            steps.push(match &inner[..end] {
                "" => return Err(bad()),
                "*" => Step::Every,
                key => Step::Key(key.to_owned()),
            });
            rest = &inner[end..];
        }
    }
    Ok(steps)
}

/// What is at a path; of several, a list.
fn walk<'v>(value: Json<'v>, steps: &[Step]) -> Option<Json<'v>> {
    let Some((step, rest)) = steps.split_first() else { return Some(value) };
    match (step, value) {
        (Step::Key(key), Json::Object(mut members)) => {
            let at = members.iter().rposition(|(name, _)| name == key)?;
            walk(members.swap_remove(at).1, rest)
        }
        (Step::Item(index), Json::List(mut values)) => {
            (*index < values.len()).then(|| values.swap_remove(*index)).and_then(|v| walk(v, rest))
        }
        (Step::Every, Json::List(values)) => {
            Some(Json::List(values.into_iter().filter_map(|value| walk(value, rest)).collect()))
        }
        (Step::Every, Json::Object(members)) => {
            let values = members.into_iter().filter_map(|(_, value)| walk(value, rest));
            Some(Json::List(values.collect()))
        }
        _ => None,
    }
}

/// The value at each row's path; NULL where a text is no JSON.
fn each(arguments: &[ArrayRef], mut take: impl FnMut(Option<Json<'_>>)) -> Result<()> {
    let (values, paths) = (texts(arguments, 0)?, texts(arguments, 1)?);
    let mut last = Last::new();
    for row in 0..values.len() {
        let (Some(value), Some(steps)) = (at(values, row), at(paths, row)) else {
            take(None);
            continue;
        };
        let steps = last.get(steps, path)?;
        take(Json::read(value).and_then(|value| walk(value, steps)));
    }
    Ok(())
}

fn found(arguments: &[ArrayRef], show: fn(&Json<'_>) -> Option<String>) -> Result<ArrayRef> {
    let mut made: Vec<Option<String>> = Vec::new();
    each(arguments, |found| made.push(found.and_then(|found| show(&found))))?;
    Ok(Arc::new(StringArray::from(made)))
}

fn size(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let mut made: Vec<Option<i64>> = Vec::new();
    each(arguments, |found| {
        made.push(found.map(|found| match &found {
            Json::List(values) => values.len() as i64,
            Json::Object(_) => found.members().map_or(0, |members| members.len() as i64),
            _ => 0,
        }));
    })?;
    Ok(Arc::new(Int64Array::from(made)))
}

fn array_get(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (values, places) = (texts(arguments, 0)?, as_int64_array(super::argument(arguments, 1)?)?);
    let get = |(text, place): (Option<&str>, Option<i64>)| {
        let (Json::List(mut values), place) = (Json::read(text?)?, place?) else { return None };
        let count = values.len() as i64;
        let at = if place < 0 { count.checked_add(place)? } else { place };
        if !(0..count).contains(&at) {
            return None;
        }
        Some(values.swap_remove(at as usize).to_string())
    };
    Ok(Arc::new(values.iter().zip(places.iter()).map(get).collect::<StringArray>()))
}

fn array_contains(arguments: &[ArrayRef]) -> Result<ArrayRef> {
    let (values, wanted) = (texts(arguments, 0)?, texts(arguments, 1)?);
    let contains = |(text, wanted): (Option<&str>, Option<&str>)| {
        let (Json::List(values), wanted) = (Json::read(text?)?, wanted?) else { return None };
        Some(values.iter().any(|value| matches!(value, Json::Text(text) if text == wanted)))
    };
    Ok(Arc::new(values.iter().zip(wanted.iter()).map(contains).collect::<BooleanArray>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_what_they_name() {
        let text = r#"{"a":{"b c":[1,{"d":"x"}]},"e":[{"f":1},{"f":2},{}]}"#;
        let at = |steps: &str| {
            walk(Json::read(text).unwrap(), &path(steps).unwrap()).map(|v| v.to_string())
        };
        assert_eq!(at(r#"$.a["b c"][1].d"#).unwrap(), "\"x\"");
        assert_eq!(at("$.e[*].f").unwrap(), "[1,2]");
        assert_eq!(at("$.e[9]"), None);
        assert_eq!(at("$.a.b"), None);
        assert_eq!(at("$").unwrap(), text);
        for bad in ["a", "$a", "$.", "$[", "$[x]", "$.a..b", "$[\"a]"] {
            assert!(path(bad).is_err(), "{bad}");
        }
    }
}
