//! The tree as JSON, for programs that would rather not write text.
//!
//! ```json
//! {"filter": {"and": [{"field": "eventName", "wildcard": "Create*"}, {"word": "pedro"}]},
//!  "stages": [{"stats": [{"function": "count"}], "by": ["actor", {"bin": "1h"}]}, {"limit": 10}]}
//! ```
//!
//! Read by hand rather than derived: an error says where in the tree, and what would have been right.

mod name;

use std::ops::Bound;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value as Json, json};

use self::name::write_name;
use super::{
    Bin, Comparison, Expr, FieldRef, Function, FunctionKind, GroupKey, Net, Pattern, PatternPiece,
    Query, Regex, SortKey, Stage, Test, Value,
};
use crate::check::check_stages;
use crate::limits::{QUERY_BYTES_MAX, QUERY_DEPTH_MAX, QUERY_TERMS_MAX};
use crate::parse::percentile;
use crate::syntax::names_a_field;

impl Serialize for Query {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_query(self).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Query {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let json = Json::deserialize(deserializer)?;
        if text_bytes(&json) > QUERY_BYTES_MAX {
            let message =
                format!("query: its texts are longer than {QUERY_BYTES_MAX} bytes together");
            return Err(D::Error::custom(message));
        }
        let mut reader = Reader { path: "query".to_owned(), depth: 0, terms: 0 };
        reader.query(&json).map_err(D::Error::custom)
    }
}

/// Bytes of all texts in a tree.
fn text_bytes(json: &Json) -> usize {
    match json {
        Json::String(text) => text.len(),
        Json::Array(items) => items.iter().map(text_bytes).sum(),
        Json::Object(members) => members.values().map(text_bytes).sum(),
        Json::Null | Json::Bool(_) | Json::Number(_) => 0,
    }
}

fn write_query(query: &Query) -> Json {
    let mut json = Map::new();
    json.insert("filter".to_owned(), write_expr(&query.filter));
    if !query.stages.is_empty() {
        json.insert("stages".to_owned(), query.stages.iter().map(write_stage).collect());
    }
    json.into()
}

fn write_expr(expr: &Expr) -> Json {
    match expr {
        Expr::All => json!({ "all": true }),
        Expr::Word(text) => json!({ "word": text }),
        Expr::Wildcard(pattern) => json!({ "wildcard": pattern.to_text() }),
        Expr::Regex(regex) => write_regex(regex).into(),
        Expr::Phrase(text) => json!({ "phrase": text }),
        Expr::Field { field, test } => {
            let mut json = write_test(test);
            json.insert("field".to_owned(), write_name(field));
            json.into()
        }
        Expr::And(parts) => json!({ "and": parts.iter().map(write_expr).collect::<Vec<_>>() }),
        Expr::Or(parts) => json!({ "or": parts.iter().map(write_expr).collect::<Vec<_>>() }),
        Expr::Not(inner) => json!({ "not": write_expr(inner) }),
    }
}

fn write_test(test: &Test) -> Map<String, Json> {
    let of = |kind: &str, inner: Json| Map::from_iter([(kind.to_owned(), inner)]);
    match test {
        Test::Is(value) => of("is", json!(value.text)),
        Test::AnyCase(pattern) => of("any_case", json!(pattern.to_text())),
        Test::Phrase(text) => of("phrase", json!(text)),
        Test::Wildcard(pattern) => of("wildcard", json!(pattern.to_text())),
        Test::Regex(regex) => write_regex(regex),
        Test::Range { lower, upper } => {
            let mut range = Map::new();
            for (bound, included, excluded) in [(lower, "gte", "gt"), (upper, "lte", "lt")] {
                match bound {
                    Bound::Included(value) => range.insert(included.into(), json!(value.text)),
                    Bound::Excluded(value) => range.insert(excluded.into(), json!(value.text)),
                    Bound::Unbounded => None,
                };
            }
            of("range", range.into())
        }
        Test::Exists => of("exists", json!(true)),
        Test::OneOf(tests) => of("one_of", json!(tests.iter().map(write_test).collect::<Vec<_>>())),
        Test::Compared { comparison, other } => {
            let mut json = of("compare", json!(comparison.to_string()));
            json.insert("other".to_owned(), write_name(other));
            json
        }
        Test::InQuery(query) => of("in", write_query(query)),
    }
}

fn write_regex(regex: &Regex) -> Map<String, Json> {
    let mut json = Map::new();
    json.insert("regex".to_owned(), regex.pattern.clone().into());
    if regex.ignores_case {
        json.insert("ignores_case".to_owned(), true.into());
    }
    json
}

fn write_stage(stage: &Stage) -> Json {
    let names = |fields: &[FieldRef]| fields.iter().map(write_name).collect::<Vec<_>>();
    match stage {
        Stage::Filter(expr) => json!({ "filter": write_expr(expr) }),
        Stage::Stats { functions, by } => json!({
            "stats": functions.iter().map(write_function).collect::<Vec<_>>(),
            "by": by.iter().map(write_key).collect::<Vec<_>>(),
        }),
        Stage::Sort(keys) => {
            let key = |SortKey { field, is_descending }: &SortKey| {
                let order = if *is_descending { "desc" } else { "asc" };
                json!({ "field": write_name(field), "order": order })
            };
            json!({ "sort": keys.iter().map(key).collect::<Vec<_>>() })
        }
        Stage::Limit { rows, by } => json!({ "limit": rows, "by": names(by) }),
        Stage::Fields(fields) => json!({ "fields": names(fields) }),
        Stage::Dedup(fields) => json!({ "dedup": names(fields) }),
    }
}

fn write_function(Function { kind, field, name }: &Function) -> Json {
    let mut json = json!({ "function": kind.to_string() });
    if let Some(field) = field {
        json["field"] = write_name(field);
    }
    with_name(json, name.as_deref())
}

fn write_key(key: &GroupKey) -> Json {
    match key {
        GroupKey::Field { field, name } => {
            with_name(json!({ "field": write_name(field) }), name.as_deref())
        }
        GroupKey::Net { field, net: Net { v4, v6 }, name } => {
            let json = json!({ "field": write_name(field), "net": [v4, v6] });
            with_name(json, name.as_deref())
        }
        GroupKey::Bin { bin, name } => {
            with_name(json!({ "bin": bin.to_string() }), name.as_deref())
        }
    }
}

fn with_name(mut json: Json, name: Option<&str>) -> Json {
    if let Some(name) = name {
        json["as"] = name.into();
    }
    json
}

/// Reads a tree, keeping to the bounds that hold for text too.
struct Reader {
    /// Where in the tree, for error messages.
    path: String,
    depth: usize,
    terms: usize,
}

type Read<T> = Result<T, String>;

impl Reader {
    fn fault<T>(&self, message: impl std::fmt::Display) -> Read<T> {
        Err(format!("{}: {message}", self.path))
    }

    /// Reads a part of the tree, which errors then name.
    fn at<T>(&mut self, place: &str, read: impl FnOnce(&mut Self) -> Read<T>) -> Read<T> {
        if self.depth > QUERY_DEPTH_MAX * 2 {
            return self.fault(format!("nested deeper than {QUERY_DEPTH_MAX} levels"));
        }
        let length = self.path.len();
        self.path.push_str(place);
        self.depth += 1;
        let result = read(self);
        self.depth -= 1;
        self.path.truncate(length);
        result
    }

    fn object<'j>(&self, json: &'j Json, keys: &[&str]) -> Read<&'j Map<String, Json>> {
        let Some(object) = json.as_object() else {
            return self.fault(format!("expected an object, found {json}"));
        };
        match object.keys().find(|key| !keys.contains(&key.as_str())) {
            Some(key) => {
                self.fault(format!("unknown key '{key}', expected one of {}", keys.join(", ")))
            }
            None => Ok(object),
        }
    }

    fn text(&self, json: &Json) -> Read<String> {
        match json {
            Json::String(text) => Ok(text.clone()),
            _ => self.fault(format!("expected text, found {json}")),
        }
    }

    /// Text, or the text of a number or truth value.
    fn scalar(&self, json: &Json) -> Read<Value> {
        match json {
            Json::String(text) => Ok(Value::of(text.as_str())),
            Json::Number(_) | Json::Bool(_) => Ok(Value::of(json.to_string())),
            _ => self.fault(format!("expected a value, found {json}")),
        }
    }

    fn list<T>(&mut self, json: &Json, item: impl Fn(&mut Self, &Json) -> Read<T>) -> Read<Vec<T>> {
        let Some(items) = json.as_array() else {
            return self.fault(format!("expected a list, found {json}"));
        };
        let mut list = Vec::with_capacity(items.len());
        for (place, json) in items.iter().enumerate() {
            // A group is none; what is in it will be counted, as it is in a text.
            let is_group = json.get("and").or(json.get("or")).is_some();
            self.terms += usize::from(!is_group);
            if self.terms > QUERY_TERMS_MAX {
                return self.fault(format!("more than {QUERY_TERMS_MAX} conditions"));
            }
            list.push(self.at(&format!("[{place}]"), |reader| item(reader, json))?);
        }
        Ok(list)
    }

    fn query(&mut self, json: &Json) -> Read<Query> {
        let object = self.object(json, &["filter", "stages"])?;
        let filter = match object.get("filter") {
            Some(filter) => self.at(".filter", |reader| reader.expr(filter))?,
            None => Expr::All,
        };
        let stages = match object.get("stages") {
            Some(stages) => self.at(".stages", |reader| reader.list(stages, Self::stage))?,
            None => Vec::new(),
        };
        if let Err(fault) = check_stages(&stages) {
            return self.fault(format!("stages[{}]: {}", fault.stage, fault.message));
        }
        Ok(Query { filter, stages }.with_filters_gathered())
    }

    fn expr(&mut self, json: &Json) -> Read<Expr> {
        const KINDS: [&str; 9] =
            ["field", "and", "or", "not", "word", "phrase", "wildcard", "regex", "all"];
        let Some(object) = json.as_object() else {
            return self.fault(format!("expected a condition, found {json}"));
        };
        let Some(kind) = KINDS.into_iter().find(|kind| object.contains_key(*kind)) else {
            return self.fault(format!("expected a key of {}", KINDS.join(", ")));
        };
        let inner = &object[kind];
        if kind == "field" {
            let field = self.at(".field", |reader| reader.name(inner))?;
            let test = self.test(json, &["field"])?;
            return Ok(Expr::Field { field, test });
        }
        if kind == "regex" {
            self.object(json, &["regex", "ignores_case"])?;
            return Ok(Expr::Regex(self.regex(object)?));
        }
        self.object(json, &[kind])?;
        self.at(&format!(".{kind}"), |reader| {
            Ok(match kind {
                "and" => Expr::all_of(reader.list(inner, Self::expr)?),
                "or" => Expr::any_of(reader.list(inner, Self::expr)?),
                "not" => Expr::negate(reader.expr(inner)?),
                "word" | "phrase" if reader.text(inner)?.is_empty() => {
                    return reader.fault("the text is empty");
                }
                "word" => Expr::Word(reader.text(inner)?),
                "phrase" => Expr::Phrase(reader.text(inner)?),
                "wildcard" => {
                    let pattern = Pattern::of_text(&reader.text(inner)?);
                    match pattern.pieces() {
                        [] => return reader.fault("the text is empty"),
                        [PatternPiece::Text(text)] => Expr::Word(text.clone()),
                        [PatternPiece::AnyRun] => Expr::All,
                        _ => Expr::Wildcard(pattern),
                    }
                }
                _ => {
                    reader.only_true(inner)?;
                    Expr::All
                }
            })
        })
    }

    /// What can only be said, and denied with `not`.
    fn only_true(&self, json: &Json) -> Read<()> {
        match json {
            Json::Bool(true) => Ok(()),
            _ => self.fault("expected true; its opposite is {\"not\": …}"),
        }
    }

    /// The test of an object that has `beside` as well.
    fn test(&mut self, json: &Json, beside: &[&str]) -> Read<Test> {
        const KINDS: [&str; 10] = [
            "is", "any_case", "phrase", "wildcard", "regex", "range", "exists", "one_of",
            "compare", "in",
        ];
        let Some(object) = json.as_object() else {
            return self.fault(format!("expected a test, found {json}"));
        };
        let Some(kind) = KINDS.into_iter().find(|kind| object.contains_key(*kind)) else {
            return self.fault(format!("expected a key of {}", KINDS.join(", ")));
        };
        let more = match kind {
            "regex" => "ignores_case",
            "compare" => "other",
            _ => kind,
        };
        self.object(json, &[beside, &[kind, more]].concat())?;
        let inner = &object[kind];
        if kind == "regex" {
            return Ok(Test::Regex(self.regex(object)?));
        }
        self.at(&format!(".{kind}"), |reader| {
            Ok(match kind {
                "is" => Test::Is(reader.scalar(inner)?),
                "any_case" => Test::AnyCase(Pattern::of_text(&reader.text(inner)?)),
                "phrase" => match reader.text(inner)? {
                    text if text.is_empty() => Test::Is(Value::of(text)),
                    text => Test::Phrase(text),
                },
                "wildcard" => {
                    let pattern = Pattern::of_text(&reader.text(inner)?);
                    match pattern.pieces() {
                        [] => Test::Is(Value::of("")),
                        [PatternPiece::Text(text)] => Test::Is(Value::of(text.as_str())),
                        [PatternPiece::AnyRun] => Test::Exists,
                        _ => Test::Wildcard(pattern),
                    }
                }
                "range" => reader.range(inner)?,
                "one_of" => reader.one_of(inner)?,
                "compare" => {
                    let symbol = reader.text(inner)?;
                    let Some(comparison) = Comparison::of(&symbol) else {
                        return reader.fault("expected one of =, !=, <, <=, >, >=, ~");
                    };
                    let other = reader.name(object.get("other").unwrap_or(&Json::Null))?;
                    if !other.is_path && !names_a_field(&other.name) {
                        return reader.fault("'other' is not the full path of a record's field");
                    }
                    // In quotes it would be a text.
                    Test::Compared { comparison, other: FieldRef { is_quoted: false, ..other } }
                }
                "in" => match reader.query(inner)? {
                    query if query.stages.is_empty() => {
                        return reader.fault("the query finds events: it needs stages");
                    }
                    query => Test::InQuery(Box::new(query)),
                },
                _ => {
                    reader.only_true(inner)?;
                    Test::Exists
                }
            })
        })
    }

    fn one_of(&mut self, json: &Json) -> Read<Test> {
        let tests = self.list(json, |reader, json| reader.test(json, &[]))?;
        let mut flat = Vec::new();
        for test in tests {
            match test {
                Test::OneOf(inner) => flat.extend(inner),
                test if test.is_of_values() => flat.push(test),
                _ => return self.fault("'compare' and 'in' cannot stand in a list"),
            }
        }
        if flat.is_empty() { self.fault("the list is empty") } else { Ok(Test::one_of(flat)) }
    }

    fn range(&self, json: &Json) -> Read<Test> {
        let object = self.object(json, &["gt", "gte", "lt", "lte"])?;
        let bound = |included: &str, excluded: &str| {
            Ok(match (object.get(included), object.get(excluded)) {
                (None, None) => Bound::Unbounded,
                (Some(value), None) => Bound::Included(self.scalar(value)?),
                (None, Some(value)) => Bound::Excluded(self.scalar(value)?),
                (Some(_), Some(_)) => {
                    return self.fault(format!("{included} and {excluded} together"));
                }
            })
        };
        match (bound("gte", "gt")?, bound("lte", "lt")?) {
            (Bound::Unbounded, Bound::Unbounded) => Ok(Test::Exists),
            (lower, upper) => Ok(Test::Range { lower, upper }),
        }
    }

    fn regex(&mut self, object: &Map<String, Json>) -> Read<Regex> {
        let ignores_case = match object.get("ignores_case") {
            None => false,
            Some(Json::Bool(ignores_case)) => *ignores_case,
            Some(_) => return self.fault("ignores_case is true or false"),
        };
        self.at(".regex", |reader| {
            let regex = Regex::new(&reader.text(&object["regex"])?, ignores_case);
            if regex.pattern.is_empty() {
                return reader.fault("the regular expression is empty");
            }
            match regex.compile() {
                Ok(_) => Ok(regex),
                Err(reason) => reader.fault(format!("not a regular expression: {reason}")),
            }
        })
    }

    fn stage(&mut self, json: &Json) -> Read<Stage> {
        const KINDS: [&str; 6] = ["filter", "stats", "sort", "limit", "fields", "dedup"];
        let Some(object) = json.as_object() else {
            return self.fault(format!("expected a stage, found {json}"));
        };
        let Some(kind) = KINDS.into_iter().find(|kind| object.contains_key(*kind)) else {
            return self.fault(format!("expected a key of {}", KINDS.join(", ")));
        };
        let has_by = matches!(kind, "stats" | "limit");
        self.object(json, if has_by { &["stats", "limit", "by"] } else { &KINDS })?;
        let none = Json::Array(Vec::new());
        let (inner, by) = (&object[kind], object.get("by").unwrap_or(&none));
        let names = |reader: &mut Self, json: &Json| match reader
            .list(json, |reader, json| reader.name(json))?
        {
            names if names.is_empty() => reader.fault("the list is empty"),
            names => Ok(names),
        };
        self.at(&format!(".{kind}"), |reader| {
            Ok(match kind {
                "filter" => Stage::Filter(reader.expr(inner)?),
                "stats" => Stage::Stats {
                    functions: reader.list(inner, Self::function)?,
                    by: reader.list(by, Self::key)?,
                },
                "sort" => match reader.list(inner, Self::sort_key)? {
                    keys if keys.is_empty() => return reader.fault("the list is empty"),
                    keys => Stage::Sort(keys),
                },
                "limit" => match inner.as_u64() {
                    Some(rows) => {
                        let by = reader.list(by, |reader, json| reader.name(json))?;
                        Stage::Limit { rows, by }
                    }
                    None => return reader.fault(format!("expected a number, found {inner}")),
                },
                "fields" => Stage::Fields(names(reader, inner)?),
                _ => Stage::Dedup(names(reader, inner)?),
            })
        })
    }

    fn column_name(&self, object: &Map<String, Json>) -> Read<Option<String>> {
        object.get("as").map(|name| self.name(name).map(|field| field.name)).transpose()
    }

    fn function(&mut self, json: &Json) -> Read<Function> {
        let object = self.object(json, &["function", "field", "as"])?;
        let word = self.text(object.get("function").unwrap_or(&Json::Null))?;
        let named = FunctionKind::ALL.iter().find(|(name, _)| *name == word);
        let kind =
            named.map(|(_, kind)| *kind).or_else(|| word.strip_prefix('p').and_then(percentile));
        let Some(kind) = kind else { return self.fault(format!("there is no function '{word}'")) };
        let field = object.get("field").map(|field| self.name(field)).transpose()?;
        if field.is_none() && kind != FunctionKind::Count {
            return self.fault(format!("{word} needs a field"));
        }
        Ok(Function { kind, field, name: self.column_name(object)? })
    }

    fn key(&mut self, json: &Json) -> Read<GroupKey> {
        if json.is_string() {
            return Ok(GroupKey::Field { field: self.name(json)?, name: None });
        }
        let object = self.object(json, &["field", "bin", "net", "as"])?;
        let name = self.column_name(object)?;
        if let Some(net) = object.get("net") {
            let field = self.name(object.get("field").unwrap_or(&Json::Null))?;
            return match read_net(net) {
                Some(net) => Ok(GroupKey::Net { field, net, name }),
                None => {
                    self.fault(format!("{net} is not a length of a network like 24 or [24, 64]"))
                }
            };
        }
        match (object.get("field"), object.get("bin")) {
            (Some(field), None) => Ok(GroupKey::Field { field: self.name(field)?, name }),
            (None, Some(bin)) => match Bin::parse(&self.text(bin)?) {
                Some(bin) => Ok(GroupKey::Bin { bin, name }),
                None => self.fault(format!("{bin} is not a width of time like 5m, 1h, 1d")),
            },
            _ => self.fault("expected either a field or a bin"),
        }
    }

    fn sort_key(&mut self, json: &Json) -> Read<SortKey> {
        if json.is_string() {
            return Ok(SortKey { field: self.name(json)?, is_descending: false });
        }
        let object = self.object(json, &["field", "order"])?;
        let field = self.name(object.get("field").unwrap_or(&Json::Null))?;
        let is_descending = match object.get("order").map(|order| self.text(order)).transpose()? {
            None => false,
            Some(order) if order == "asc" => false,
            Some(order) if order == "desc" => true,
            Some(_) => return self.fault("order is asc or desc"),
        };
        Ok(SortKey { field, is_descending })
    }
}

/// `24`, or `[24, 64]` for the two kinds of addresses.
fn read_net(json: &Json) -> Option<Net> {
    let bits = |json: &Json| u8::try_from(json.as_u64()?).ok();
    match json.as_array().map(Vec::as_slice) {
        None => Net::new(bits(json)?, Net::V6_DEFAULT),
        Some([v4, v6]) => Net::new(bits(v4)?, bits(v6)?),
        Some(_) => None,
    }
}

impl Pattern {
    /// `*` and `?` are wildcards; a backslash makes any character text.
    fn of_text(text: &str) -> Self {
        let mut chars = text.chars();
        let pieces = std::iter::from_fn(|| {
            Some(match chars.next()? {
                '*' => PatternPiece::AnyRun,
                '?' => PatternPiece::AnyOne,
                '\\' => PatternPiece::Text(chars.next().unwrap_or('\\').into()),
                c => PatternPiece::Text(c.into()),
            })
        });
        Self::new(pieces)
    }

    fn to_text(&self) -> String {
        let piece = |piece: &PatternPiece| match piece {
            PatternPiece::Text(text) => {
                text.replace('\\', "\\\\").replace('*', "\\*").replace('?', "\\?")
            }
            PatternPiece::AnyRun => "*".to_owned(),
            PatternPiece::AnyOne => "?".to_owned(),
        };
        self.pieces().iter().map(piece).collect()
    }
}

impl Comparison {
    fn of(symbol: &str) -> Option<Self> {
        use Comparison::{Alike, AtLeast, AtMost, Equal, Less, More, NotEqual};
        let all = [Equal, NotEqual, More, AtLeast, Less, AtMost, Alike];
        all.into_iter().find(|comparison| comparison.to_string() == symbol)
    }
}
