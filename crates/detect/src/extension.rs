//! What only traildex's rules say, under the key `traildex` of a document.

use std::collections::BTreeMap;

use language::ast::Expr;
use rsigma_parser::Timespan;
use serde_json::Value as Json;

use crate::fields::Key;
use crate::rule::{Absence, FirstSeen, Kind, Suppress};

/// The key of a document.
pub(crate) const EXTENSION: &str = "traildex";

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const DAY: i64 = 86_400 * SECOND;
const YEAR: i64 = 366 * DAY;

/// How far back first-seen rules look, and how long they learn, where they do not say.
const HISTORY_USUAL: i64 = 30 * DAY;
const LEARNING_USUAL: i64 = 7 * DAY;

/// What an absence refers to, by name.
pub(crate) struct Absent {
    pub(crate) of: String,
    pub(crate) group_by: Vec<Key>,
    pub(crate) within: i64,
}

/// The kind that the key `traildex` of a document makes of it.
pub(crate) fn extended(
    extension: &Json,
    condition: Expr,
) -> Result<(Kind, Option<Absent>, Suppress), String> {
    let object = extension.as_object().filter(|object| object.len() == 1);
    let (name, of) = object.and_then(|object| object.iter().next()).ok_or_else(|| {
        format!("{EXTENSION}: expected first_seen, absence or suppress, and one of them")
    })?;
    if name == "suppress" {
        return Ok((Kind::Events(condition), None, suppress(name, of)?));
    }
    let (kind, absent) = of_kind(name, of, condition)?;
    Ok((kind, absent, Suppress::default()))
}

/// By what, and over which time, events of a rule are one alert.
fn suppress(name: &str, of: &Json) -> Result<Suppress, String> {
    let members = members(name, of, &["by", "period"])?;
    let usual = Suppress::default();
    let by = match members.get("by") {
        None => usual.by,
        by => keys(name, by.copied())?,
    };
    let period = duration(name, "period", &members)?.unwrap_or(usual.period);
    if period % MINUTE != 0 || period > YEAR {
        return Err(format!("{EXTENSION}.{name}.period is whole minutes, and a year at most"));
    }
    Ok(Suppress { by, period })
}

fn of_kind(name: &str, of: &Json, condition: Expr) -> Result<(Kind, Option<Absent>), String> {
    match name {
        "first_seen" => {
            let members = members(name, of, &["fields", "history", "learning"])?;
            let keys = keys(name, members.get("fields").copied())?;
            if keys.is_empty() {
                return Err(format!("{EXTENSION}.{name}: fields are missing"));
            }
            let history = duration(name, "history", &members)?.unwrap_or(HISTORY_USUAL);
            let learning = duration(name, "learning", &members)?.unwrap_or(LEARNING_USUAL);
            if history < DAY {
                return Err(format!("{EXTENSION}.{name}.history is shorter than a day"));
            }
            Ok((Kind::FirstSeen(FirstSeen { condition, keys, history, learning }), None))
        }
        "absence" => {
            let members = members(name, of, &["of", "within", "group-by"])?;
            let text = |key: &str| members.get(key).and_then(|value| value.as_str());
            let of = text("of").ok_or_else(|| format!("{EXTENSION}.{name}.of is missing"))?;
            let within = duration(name, "within", &members)?
                .ok_or_else(|| format!("{EXTENSION}.{name}.within is missing"))?;
            let group_by = keys(name, members.get("group-by").copied())?;
            // Its place is known when all rules are.
            let kind = Absence { condition, of: usize::MAX, group_by: group_by.clone(), within };
            Ok((Kind::Absence(kind), Some(Absent { of: of.to_owned(), group_by, within })))
        }
        name => Err(format!(
            "{EXTENSION}.{name} is unknown; there are first_seen, absence and suppress"
        )),
    }
}

type Members<'j> = BTreeMap<&'j str, &'j Json>;

fn members<'j>(of: &str, json: &'j Json, known: &[&str]) -> Result<Members<'j>, String> {
    let object = json.as_object().ok_or_else(|| format!("{EXTENSION}.{of} is no map"))?;
    if let Some(key) = object.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("{EXTENSION}.{of}.{key} is unknown; there are {}", known.join(", ")));
    }
    Ok(object.iter().map(|(key, value)| (key.as_str(), value)).collect())
}

fn keys(of: &str, names: Option<&Json>) -> Result<Vec<Key>, String> {
    let fault = || format!("{EXTENSION}.{of}: fields are a list of names");
    let names = match names {
        None => return Ok(Vec::new()),
        Some(Json::String(name)) => return Ok(vec![Key::named(name)]),
        Some(names) => names.as_array().ok_or_else(fault)?,
    };
    names.iter().map(|name| name.as_str().map(Key::named).ok_or_else(fault)).collect()
}

fn duration(of: &str, key: &str, members: &Members<'_>) -> Result<Option<i64>, String> {
    let Some(value) = members.get(key) else { return Ok(None) };
    let span = value.as_str().and_then(|text| Timespan::parse(text).ok());
    let span =
        span.ok_or_else(|| format!("{EXTENSION}.{of}.{key} is no time such as 10m or 30d"))?;
    micros(&span).map(Some)
}

pub(crate) fn micros(span: &Timespan) -> Result<i64, String> {
    let micros = i64::try_from(span.seconds).ok().and_then(|seconds| seconds.checked_mul(SECOND));
    micros.filter(|micros| *micros > 0).ok_or_else(|| format!("'{}' is no time", span.original))
}
