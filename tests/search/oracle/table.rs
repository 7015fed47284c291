//! Stages, said again: groups as maps of lists of records.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jiff::Timestamp;
use jiff::ToSpan;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use language::ast::{Bin, BinUnit, Function, FunctionKind, GroupKey, Net, Query, SortKey, Stage};
use serde_json::Value as Json;

use super::evaluate::Archive;
use super::record::{Doc, Scalar, time_text};
use super::rows::{self, Column};

/// The order of values: none, truth values, numbers, texts.
pub fn order(a: &Json, b: &Json) -> Ordering {
    let rank = |json: &Json| match json {
        Json::Null => 0,
        Json::Bool(_) => 1,
        Json::Number(_) => 2,
        _ => 3,
    };
    match (a, b) {
        (Json::Bool(a), Json::Bool(b)) => a.cmp(b),
        (Json::Number(a), Json::Number(b)) => match (whole(a), whole(b)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => a.as_f64().unwrap().total_cmp(&b.as_f64().unwrap()),
        },
        (Json::String(a), Json::String(b)) => a.cmp(b),
        (a, b) => rank(a).cmp(&rank(b)),
    }
}

fn whole(number: &serde_json::Number) -> Option<i128> {
    number.as_i64().map(Into::into).or(number.as_u64().map(Into::into))
}

/// A value that is not there comes last in either direction.
pub fn in_order(a: &Json, b: &Json, is_descending: bool) -> Ordering {
    let by_value = if is_descending { order(b, a) } else { order(a, b) };
    a.is_null().cmp(&b.is_null()).then(by_value)
}

impl Archive {
    /// Columns and rows of a query whose first stage is `stats`.
    pub fn table(&self, query: &Query) -> (Vec<Column>, Vec<Vec<Json>>) {
        let Some((Stage::Stats { functions, by }, rest)) = query.stages.split_first() else {
            panic!("{query} makes no table")
        };
        let docs = self.matching(&query.filter);
        let mut groups: BTreeMap<Vec<String>, (Vec<Json>, Vec<&Doc>)> = BTreeMap::new();
        if by.is_empty() {
            groups.insert(Vec::new(), (Vec::new(), Vec::new()));
        }
        let paths: Vec<Vec<String>> = by.iter().map(|key| self.paths_of_key(key)).collect();
        for doc in docs {
            let mut keys = vec![Vec::new()];
            for (key, paths) in by.iter().zip(&paths) {
                let values = key_values(doc, key, paths);
                let with = |key: &Vec<Json>, value: &Json| {
                    [&key[..], std::slice::from_ref(value)].concat()
                };
                keys =
                    keys.iter().flat_map(|key| values.iter().map(move |v| with(key, v))).collect();
            }
            for key in keys {
                let name = key.iter().map(Json::to_string).collect();
                groups.entry(name).or_insert((key, Vec::new())).1.push(doc);
            }
        }
        let mut rows: Vec<Vec<Json>> = groups
            .into_values()
            .map(|(mut row, docs)| {
                row.extend(functions.iter().map(|function| self.measure(&docs, function)));
                row
            })
            .collect();
        let of_keys = by.iter().map(Column::of_key);
        let mut columns: Vec<Column> =
            of_keys.chain(functions.iter().map(Column::of_function)).collect();
        let mut keys = by.len();
        let all: Vec<SortKey> = Vec::new();
        sort_rows(&mut rows, &columns, &all, keys);
        for stage in rest {
            match stage {
                Stage::Sort(sort) => sort_rows(&mut rows, &columns, sort, keys),
                Stage::Limit { rows: limit, by } => {
                    let mut seen: BTreeMap<String, u64> = BTreeMap::new();
                    rows.retain(|row| {
                        let key = by.iter().map(|field| {
                            row[columns.iter().position(|c| c.name == field.name).unwrap()]
                                .to_string()
                        });
                        let seen = seen.entry(key.collect::<Vec<_>>().join("\n")).or_default();
                        *seen += 1;
                        *seen <= *limit
                    });
                }
                Stage::Fields(fields) => {
                    let at: Vec<usize> = fields
                        .iter()
                        .map(|field| columns.iter().position(|c| c.name == field.name).unwrap())
                        .collect();
                    rows =
                        rows.iter().map(|r| at.iter().map(|at| r[*at].clone()).collect()).collect();
                    columns = at.iter().map(|at| columns[*at].clone()).collect();
                    keys = 0;
                }
                Stage::Filter(expr) => rows::filter(self, &columns, expr, &mut rows),
                stage => panic!("{stage}"),
            }
        }
        (columns, rows)
    }

    fn paths_of_key(&self, key: &GroupKey) -> Vec<String> {
        match key {
            GroupKey::Bin { .. } => Vec::new(),
            GroupKey::Field { field, .. } | GroupKey::Net { field, .. } => self.paths_of(field),
        }
    }

    fn measure(&self, docs: &[&Doc], function: &Function) -> Json {
        let Some(field) = &function.field else { return docs.len().into() };
        let paths = self.paths_of(field);
        let each = |doc: &Doc| -> Vec<Scalar> {
            paths.iter().flat_map(|path| doc.of(path)).cloned().collect()
        };
        let of = |doc: &Doc| -> Vec<Scalar> {
            let mut values = each(doc);
            values.sort_by(|a, b| order(&a.json(), &b.json()));
            values.dedup_by(|a, b| a.json() == b.json());
            values
        };
        let numbers = || -> Vec<f64> {
            docs.iter().flat_map(|doc| each(doc)).filter_map(|value| value.number()).collect()
        };
        let float = |n: f64| {
            if n.fract() == 0.0 && n.abs() < 1e15 { Json::from(n as i64) } else { Json::from(n) }
        };
        let edge = |is_better: &dyn Fn(i64, i64) -> Ordering| {
            let mut best: Option<(i64, Json)> = None;
            for doc in docs {
                for value in of(doc) {
                    let value = value.json();
                    let better = best.as_ref().is_none_or(|(time, old)| {
                        is_better(doc.time, *time).then(order(&value, old)).is_lt()
                    });
                    if better {
                        best = Some((doc.time, value));
                    }
                }
            }
            best.map_or(Json::Null, |(_, value)| value)
        };
        match function.kind {
            FunctionKind::Count => docs.iter().filter(|doc| !of(doc).is_empty()).count().into(),
            FunctionKind::Distinct => docs
                .iter()
                .flat_map(|doc| of(doc))
                .map(|value| value.json().to_string())
                .collect::<BTreeSet<_>>()
                .len()
                .into(),
            FunctionKind::Sum | FunctionKind::Avg if numbers().is_empty() => Json::Null,
            FunctionKind::Sum => float(numbers().iter().sum()),
            FunctionKind::Avg => float(numbers().iter().sum::<f64>() / numbers().len() as f64),
            FunctionKind::Min | FunctionKind::Max => {
                let all: Vec<Json> =
                    docs.iter().flat_map(|doc| of(doc)).map(|value| value.json()).collect();
                let numbers = all.iter().filter(|value| value.is_number()).collect::<Vec<_>>();
                let of = if numbers.is_empty() { all.iter().collect() } else { numbers };
                let is_min = function.kind == FunctionKind::Min;
                let by = |a: &&Json, b: &&Json| if is_min { order(b, a) } else { order(a, b) };
                of.into_iter().max_by(by).cloned().unwrap_or_default()
            }
            FunctionKind::Values | FunctionKind::List => {
                unreachable!("a test of their own asks for lists of values")
            }
            FunctionKind::First => edge(&|new, old| new.cmp(&old)),
            FunctionKind::Last => edge(&|new, old| old.cmp(&new)),
            FunctionKind::Percentile(thousandths) => {
                let mut numbers = numbers();
                numbers.sort_by(f64::total_cmp);
                let share = f64::from(thousandths) / 100_000.0;
                // The smallest of which at least this share is no larger.
                let found = numbers
                    .iter()
                    .enumerate()
                    .find(|(at, _)| (*at + 1) as f64 >= share * numbers.len() as f64 - 1e-9);
                found.map_or(Json::Null, |(_, number)| float(*number))
            }
        }
    }
}

fn key_values(doc: &Doc, key: &GroupKey, paths: &[String]) -> Vec<Json> {
    let mut values: Vec<Json> = match key {
        GroupKey::Bin { bin, .. } => vec![time_text(start_of(*bin, doc.time)).into()],
        GroupKey::Net { net, .. } => {
            let values = paths.iter().flat_map(|path| doc.of(path));
            values.map(|value| network(&value.text(), *net).unwrap_or(value.json())).collect()
        }
        GroupKey::Field { .. } => {
            paths.iter().flat_map(|path| doc.of(path)).map(Scalar::json).collect()
        }
    };
    values.sort_by(order);
    values.dedup();
    if values.is_empty() {
        values.push(Json::Null);
    }
    values
}

/// The network of a text that is an address: its first bits, one by one.
fn network(text: &str, net: Net) -> Option<Json> {
    let first = |octets: &[u8], bits: u8| -> Vec<u8> {
        let bit = |at: usize| octets[at / 8] >> (7 - at % 8) & 1;
        let kept = |at: usize| if at < usize::from(bits) { bit(at) } else { 0 };
        (0..octets.len())
            .map(|byte| (0..8).fold(0, |all, at| all << 1 | kept(byte * 8 + at)))
            .collect()
    };
    Some(match text.parse().ok()? {
        IpAddr::V4(address) => {
            let octets: [u8; 4] = first(&address.octets(), net.v4).try_into().unwrap();
            format!("{}/{}", Ipv4Addr::from(octets), net.v4).into()
        }
        IpAddr::V6(address) => {
            let octets: [u8; 16] = first(&address.octets(), net.v6).try_into().unwrap();
            format!("{}/{}", Ipv6Addr::from(octets), net.v6).into()
        }
    })
}

fn sort_rows(rows: &mut [Vec<Json>], columns: &[Column], sort: &[SortKey], keys: usize) {
    let place = |key: &SortKey| columns.iter().position(|c| c.name == key.field.name).unwrap();
    rows.sort_by(|a, b| {
        for key in sort {
            let at = place(key);
            let order = in_order(&a[at], &b[at], key.is_descending);
            if order.is_ne() {
                return order;
            }
        }
        (0..keys).map(|at| in_order(&a[at], &b[at], false)).fold(Ordering::Equal, Ordering::then)
    });
}

fn start_of(bin: Bin, time: i64) -> i64 {
    let seconds = |n: i64| {
        let width = n * i64::from(bin.count) * 1_000_000;
        time.div_euclid(width) * width
    };
    let date = Timestamp::from_microsecond(time).unwrap().to_zoned(TimeZone::UTC).date();
    let day = match bin.unit {
        BinUnit::Second => return seconds(1),
        BinUnit::Minute => return seconds(60),
        BinUnit::Hour => return seconds(3_600),
        // Longer ones are asked for one at a time here.
        BinUnit::Day => date,
        BinUnit::Week => {
            let mut day = date;
            while day.weekday() != Weekday::Monday {
                day = day.checked_sub(1.day()).unwrap();
            }
            day
        }
        BinUnit::Month => date.first_of_month(),
    };
    day.to_zoned(TimeZone::UTC).unwrap().timestamp().as_microsecond()
}
