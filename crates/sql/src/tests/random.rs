//! Random conditions. The index, the records alone, and an evaluation that knows neither give the same rows.

use serde_json::Value;

use super::index::Index;
use super::options;
use crate::session::{Database, Options, STACK_BYTES};

/// A generator of numbers, from a seed that is told where a test fails.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Values as they stand in records.
const VALUES: &[&str] = &[
    "\"GetObject\"",
    "\"getobject\"",
    "\"PutObject\"",
    "\"Get*\"",
    "\"5\"",
    "5",
    "5.0",
    "-1.5e3",
    "true",
    "false",
    "\"true\"",
    "\"\"",
    "null",
    "[\"a\",\"GetObject\"]",
    "[]",
    "[[5],\"x\"]",
    "{\"x\":\"GetObject\"}",
    "{}",
    "\"a\\\\b\"",
    "\"a%b_c\"",
    "\"äÖ\"",
    "\"a\\u0308\"",
    "\"10.0.0.1\"",
    "\"10.0.0.0/8\"",
    "\"line\\nbreak\"",
    "\"s3:GetObject\"",
    "\"arn:aws:iam::1:role/x\"",
    "\"[\\\"a\\\"]\"",
    "\"{\\\"x\\\":1}\"",
    "\"\\ud83d\\ude00\"",
    "\"2023-07-10T00:00:00Z\"",
    "18446744073709551615",
    "1e300",
];

/// Texts of SQL.
const TEXTS: &[&str] = &[
    "GetObject",
    "getobject",
    "PutObject",
    "Get*",
    "5",
    "5.0",
    "-1500",
    "true",
    "",
    "a",
    "x",
    "a\\b",
    "a%b_c",
    "äÖ",
    "ä",
    "10.0.0.1",
    "10.0.0.0/8",
    "s3:GetObject",
    "arn:aws:iam::1:role/x",
    "[\"a\"]",
    "{\"x\":1}",
    "{}",
    "[]",
    "{\"x\":\"GetObject\"}",
    "😀",
    "aws",
    "None",
    "2023-07-10T00:00:00Z",
    "18446744073709551615",
    "1000",
    "line\nbreak",
    "a'b",
    "[\"a\",\"GetObject\"]",
];

const PATTERNS: &[&str] = &[
    "Get%",
    "%Object",
    "%e%",
    "_",
    "%",
    "",
    "G_tObject",
    "5%",
    "%.0%",
    "[%",
    "%x%",
    "{%}",
    "a\\b",
    "%*",
    "a%b_c",
    "%ä%",
    "10.%",
    "%line%break%",
    "%:%",
    "true",
    "-%",
    "%00%",
];

const REGEXES: &[&str] =
    &["^Get", "Object$", "(?i)get", "[0-9]+", "^$", "a|x", ".", "k.b", "\\\\", "e.b"];

const LEAVES: &[(&str, &[&str])] = &[
    ("eventname", &["eventName"]),
    ("errorcode", &["errorCode"]),
    ("sourceipaddress", &["sourceIPAddress"]),
    ("apiversion", &["apiVersion"]),
    ("useridentity.username", &["userIdentity", "userName"]),
    (
        "useridentity.sessioncontext.sessionissuer.arn",
        &["userIdentity", "sessionContext", "sessionIssuer", "arn"],
    ),
    (
        "useridentity.sessioncontext.attributes.mfaauthenticated",
        &["userIdentity", "sessionContext", "attributes", "mfaAuthenticated"],
    ),
    ("tlsdetails.tlsversion", &["tlsDetails", "tlsVersion"]),
];

const KEYS: &[&str] = &["k", "a.b", "Key With Space", "ключ", "n"];

fn record(random: &mut Random, id: usize) -> String {
    let mut value = || {
        if random.below(40) == 0 {
            format!("\"{}\"", "long ".repeat(1_000))
        } else {
            random.of(VALUES).to_owned()
        }
    };
    let mut parts = vec![format!("\"eventID\":\"e{id}\"")];
    for key in ["eventName", "errorCode", "sourceIPAddress", "apiVersion", "readOnly"] {
        parts.push(format!("\"{key}\":{}", value()));
    }
    let identity = format!(
        "{{\"userName\":{},\"sessionContext\":{{\"sessionIssuer\":{{\"arn\":{}}},\"attributes\":{{\"mfaAuthenticated\":{}}}}}}}",
        value(),
        value(),
        value()
    );
    let parameters: Vec<String> = KEYS.iter().map(|key| format!("\"{key}\":{}", value())).collect();
    let tls = value();
    parts.push(match random.below(12) {
        0 => "\"userIdentity\":null".to_owned(),
        1 => "\"userIdentity\":\"text\"".to_owned(),
        2 => format!("\"userIdentity.userName\":{}", random.of(VALUES)),
        _ => format!("\"userIdentity\":{identity}"),
    });
    parts.push(match random.below(12) {
        0 => "\"requestParameters\":null".to_owned(),
        1 => "\"requestParameters\":\"text\"".to_owned(),
        2 => "\"requestParameters\":[{\"k\":\"GetObject\"}]".to_owned(),
        3 => "\"requestParameters\":{\"a\":{\"b\":\"GetObject\"},\"k\":\"PutObject\"}".to_owned(),
        _ => format!("\"requestParameters\":{{{}}}", parameters.join(",")),
    });
    match random.below(8) {
        // Keys that come twice: the last counts.
        0 => parts.push(format!("\"eventName\":{}", random.of(VALUES))),
        1 => parts.push(format!("\"errorCode\":{}", random.of(VALUES))),
        _ => parts.push(format!("\"tlsDetails\":{{\"tlsVersion\":{tls}}}")),
    }
    let (minute, second) = (random.below(60), random.below(60));
    parts.push(format!("\"eventTime\":\"2023-07-10T10:{minute:02}:{second:02}Z\""));
    format!("{{{}}}", parts.join(","))
}

/// What SQL says of a row: true, false or unknown.
type Truth = Option<bool>;

/// A condition, and what it is of a record.
struct Condition {
    sql: String,
    of: Box<dyn Fn(&Value) -> Truth>,
}

/// A text at a place, evaluated without anything of this crate.
#[derive(Clone)]
struct Field {
    sql: String,
    keys: Vec<String>,
    is_of_map: bool,
}

impl Field {
    fn of(&self, record: &Value) -> Option<String> {
        if self.is_of_map {
            let Value::Object(map) = record.get(&self.keys[0])? else { return None };
            return match map.get(&self.keys[1])? {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                value => Some(value.to_string()),
            };
        }
        let mut value = record;
        for (at, key) in self.keys.iter().enumerate() {
            value = match value.get(key) {
                Some(value) => value,
                // A key with dots is a path, too.
                None => return scalar(value.get(self.keys[at..].join("."))?),
            };
            if value.is_string() && at + 1 < self.keys.len() {
                return None;
            }
        }
        scalar(value)
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) => None,
        Value::String(text) => Some(text.clone()),
        Value::Bool(truth) => Some(truth.to_string()),
        Value::Number(n) => Some(match (n.as_i64(), n.as_u64()) {
            (Some(n), _) => n.to_string(),
            (_, Some(n)) => n.to_string(),
            _ => n.as_f64()?.to_string(),
        }),
        Value::Array(items) => items.iter().find_map(scalar),
    }
}

fn like(text: &[char], pattern: &[char]) -> bool {
    match pattern {
        [] => text.is_empty(),
        ['%', rest @ ..] => (0..=text.len()).any(|at| like(&text[at..], rest)),
        ['_', rest @ ..] => !text.is_empty() && like(&text[1..], rest),
        [c, rest @ ..] => text.first() == Some(c) && like(&text[1..], rest),
    }
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn field(random: &mut Random) -> Field {
    if random.below(3) == 0 {
        let key = random.of(KEYS);
        let sql = match random.below(2) {
            0 => format!("element_at(requestparameters, '{key}')"),
            _ => format!("requestparameters['{key}']"),
        };
        return Field {
            sql,
            keys: vec!["requestParameters".to_owned(), key.to_owned()],
            is_of_map: true,
        };
    }
    let (sql, keys) = random.of(LEAVES);
    Field {
        sql: sql.to_owned(),
        keys: keys.iter().map(|key| (*key).to_owned()).collect(),
        is_of_map: false,
    }
}

fn atom(random: &mut Random) -> Condition {
    let field = field(random);
    let sql = field.sql.clone();
    let text = |test: Box<dyn Fn(&str) -> bool>| -> Box<dyn Fn(&Value) -> Truth> {
        Box::new(move |record| field.of(record).map(|text| test(&text)))
    };
    let is_not = random.below(2) == 0;
    match random.below(11) {
        0 | 1 => {
            let wanted = random.of(TEXTS);
            let op = if is_not { "<>" } else { "=" };
            let of = text(Box::new(move |found| (found == wanted) != is_not));
            Condition { sql: format!("{sql} {op} {}", literal(wanted)), of }
        }
        2 | 3 => {
            let count = 1 + random.below(5);
            let wanted: Vec<&str> = (0..count).map(|_| random.of(TEXTS)).collect();
            let list: Vec<String> = wanted.iter().map(|text| literal(text)).collect();
            let list = list.join(", ");
            let of = text(Box::new(move |found| wanted.contains(&found) != is_not));
            if !is_not {
                return Condition { sql: format!("{sql} IN ({list})"), of };
            }
            // DataFusion takes `x NOT IN (1) OR x NOT IN (2)` for true, where x is NULL, too.
            let of = move |record: &Value| Some(of(record).unwrap_or(false));
            let sql = format!("({sql} NOT IN ({list}) AND {sql} IS NOT NULL)");
            Condition { sql, of: Box::new(of) }
        }
        4 | 5 => {
            let pattern = random.of(PATTERNS);
            let not = if is_not { "NOT " } else { "" };
            let signs: Vec<char> = pattern.chars().collect();
            let of = text(Box::new(move |found| {
                like(&found.chars().collect::<Vec<_>>(), &signs) != is_not
            }));
            Condition { sql: format!("{sql} {not}LIKE {}", literal(pattern)), of }
        }
        6 => {
            let not = if is_not { "NOT " } else { "" };
            let of = text(Box::new(|_| true));
            Condition {
                sql: format!("{sql} IS {not}NULL"),
                of: Box::new(move |record| Some(of(record).is_some() == is_not)),
            }
        }
        7 => {
            let pattern = random.of(REGEXES);
            let regex = regex::Regex::new(pattern).unwrap();
            let of = text(Box::new(move |found| regex.is_match(found)));
            Condition { sql: format!("regexp_like({sql}, {})", literal(pattern)), of }
        }
        8 => {
            let start = random.of(TEXTS);
            let of = text(Box::new(move |found| found.starts_with(start)));
            Condition { sql: format!("starts_with({sql}, {})", literal(start)), of }
        }
        9 => {
            let wanted = random.of(&["getobject", "true", "ÄÖ", "äö", "5"]);
            let of = text(Box::new(move |found| found.to_lowercase() == wanted));
            Condition { sql: format!("lower({sql}) = {}", literal(wanted)), of }
        }
        _ => other(random, is_not),
    }
}

fn other(random: &mut Random, is_not: bool) -> Condition {
    if random.below(3) == 0 {
        let not = if is_not { "NOT " } else { "" };
        let of =
            |record: &Value| match scalar(record.get("readOnly")?)?.to_ascii_lowercase().as_str() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            };
        let of = move |record: &Value| of(record).map(|truth| truth != is_not);
        return Condition { sql: format!("{not}readonly"), of: Box::new(of) };
    }
    let (minute, second) = (random.below(60), random.below(60));
    let time = format!("2023-07-10 10:{minute:02}:{second:02}");
    let op = random.of(&["<", "<=", ">", ">=", "=", "<>"]);
    let wanted = time.replace(' ', "T") + "Z";
    let of = move |record: &Value| {
        let order = record["eventTime"].as_str()?.cmp(&wanted);
        Some(match op {
            "<" => order.is_lt(),
            "<=" => order.is_le(),
            ">" => order.is_gt(),
            ">=" => order.is_ge(),
            "=" => order.is_eq(),
            _ => order.is_ne(),
        })
    };
    Condition { sql: format!("eventtime {op} '{time}'"), of: Box::new(of) }
}

fn condition(random: &mut Random, depth: usize) -> Condition {
    if depth == 0 || random.below(4) == 0 {
        return atom(random);
    }
    let left = condition(random, depth - 1);
    match random.below(5) {
        0 => Condition {
            sql: format!("NOT ({})", left.sql),
            of: Box::new(move |record| (left.of)(record).map(|truth| !truth)),
        },
        n => {
            let right = condition(random, depth - 1);
            let is_and = n < 3;
            let op = if is_and { "AND" } else { "OR" };
            Condition {
                sql: format!("({}) {op} ({})", left.sql, right.sql),
                of: Box::new(move |record| match ((left.of)(record), (right.of)(record)) {
                    (a, b) if a == Some(!is_and) || b == Some(!is_and) => Some(!is_and),
                    (Some(_), Some(_)) => Some(is_and),
                    _ => None,
                }),
            }
        }
    }
}

#[test]
fn the_index_loses_no_row_and_adds_none() {
    let seed = std::env::var("TRAILDEX_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7);
    let count =
        std::env::var("TRAILDEX_QUERIES").ok().and_then(|count| count.parse().ok()).unwrap_or(200);
    let mut random = Random(seed);
    let records: Vec<String> = (0..240).map(|id| record(&mut random, id)).collect();
    let index = Index::of(&records, 70);
    let parsed: Vec<Value> =
        records.iter().map(|record| serde_json::from_str(record).unwrap()).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(STACK_BYTES)
        .enable_time()
        .build()
        .unwrap();
    let with = Database::open(index.path(), options()).unwrap();
    let without = Options { uses_index: false, ..options() };
    let without = Database::open(index.path(), without).unwrap();
    let ids = |database: &Database, sql: &str| {
        runtime.block_on(async {
            let mut answer =
                database.query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
            let mut ids = Vec::new();
            while let Some(batch) =
                answer.next().await.unwrap_or_else(|error| panic!("{sql}: {error}"))
            {
                let column =
                    datafusion::common::cast::as_string_array(batch.column(0)).unwrap().clone();
                ids.extend(column.iter().map(|id| id.unwrap().to_owned()));
            }
            ids.sort();
            ids
        })
    };
    for n in 0..count {
        let Condition { sql, of } = condition(&mut random, 2);
        let sql = format!("SELECT eventid FROM cloudtrail WHERE {sql}");
        let is_met = |record: &&Value| of(record) == Some(true);
        let mut expected: Vec<String> = parsed
            .iter()
            .filter(is_met)
            .map(|record| record["eventID"].as_str().unwrap().to_owned())
            .collect();
        expected.sort();
        let asked = format!("seed {seed}, {n}: {sql}");
        for (name, database) in [("the records alone", &without), ("the index", &with)] {
            let found = ids(database, &sql);
            if found == expected {
                continue;
            }
            let only = |a: &[String], b: &[String]| {
                let id = a.iter().find(|id| !b.contains(id))?;
                Some(records[id[1..].parse::<usize>().ok()?].clone())
            };
            panic!(
                "{name}, {asked}\nlost: {:?}\nadded: {:?}",
                only(&expected, &found),
                only(&found, &expected)
            );
        }
    }
}
