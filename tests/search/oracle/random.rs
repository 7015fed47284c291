//! Random queries, made of what the records hold, so that most of them find something.

use std::ops::Bound;

use language::ast::{
    Bin, BinUnit, Comparison, Expr, FieldRef, Function, FunctionKind, GroupKey, Net, PatternPiece,
    Query, SortKey, Stage, Test, Value,
};
use serde_json::Value as Json;

use super::evaluate::{Archive, DERIVED, Kind};
use super::names::NAMES;
use super::record::{Doc, Scalar, is_column, time_text, words_of};
use super::rows::{Column, words_in};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut n = self.0;
        n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n = (n ^ (n >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        n ^ (n >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// Makes queries about an archive.
pub struct Queries<'a> {
    pub archive: &'a Archive,
    pub random: Random,
    /// Paths with numbers.
    numbers: Vec<String>,
    /// Records that have what others rarely have.
    odd: Vec<&'a Doc>,
}


const SHORT_NAMES: [(&str, &str); 19] = [
    ("event.action", "action"),
    ("user.name", "userIdentity.userName"),
    ("source.ip", "sourceIPAddress"),
    ("service", "eventSource"),
    ("action", "action"),
    ("region", "awsRegion"),
    ("error", "error"),
    ("user", "userIdentity.userName"),
    ("key", "userIdentity.accessKeyId"),
    ("principal", "userIdentity.principalId"),
    ("role", "userIdentity.sessionContext.sessionIssuer.userName"),
    ("arn", "userIdentity.arn"),
    ("ip", "sourceIPAddress"),
    ("actor", "actor"),
    ("credential", "credential"),
    ("outcome", "outcome"),
    ("client", "client"),
    ("target", "target"),
    ("account", "account"),
];

/// Ranges of such a field are of addresses.
fn is_of_addresses(field: &FieldRef) -> bool {
    ["ip", "source.ip"].contains(&field.name.as_str()) && !field.is_quoted
}

/// A test on a field with numbers: ranges of texts are refused there.
fn numeric(test: Test) -> Test {
    let is_number = |bound: &Bound<Value>| match bound {
        Bound::Included(value) | Bound::Excluded(value) => value.text.parse::<f64>().is_ok(),
        Bound::Unbounded => true,
    };
    match test {
        Test::Range { lower, upper } if !is_number(&lower) || !is_number(&upper) => Test::Exists,
        Test::OneOf(tests) => Test::OneOf(tests.into_iter().map(numeric).collect()),
        test => test,
    }
}

impl<'a> Queries<'a> {
    pub fn new(archive: &'a Archive, seed: u64) -> Self {
        let is_number = |path: &&String| {
            archive.docs.iter().any(|doc| doc.of(path).iter().any(|v| v.number().is_some()))
        };
        let numbers = archive.paths.iter().filter(is_number).cloned().collect();
        let odd = archive.docs.iter().filter(|doc| doc.id.starts_with("odd-")).collect();
        Self { archive, random: Random(seed), numbers, odd }
    }

    fn doc(&mut self) -> &'a Doc {
        if self.random.one_in(8) {
            return self.odd[self.random.below(self.odd.len())];
        }
        let archive = self.archive;
        self.random.pick(&archive.docs)
    }

    /// A field of some record, by one of its names, with a value that it has there.
    fn field(&mut self) -> (FieldRef, Scalar) {
        let doc = self.doc();
        loop {
            if self.random.one_in(2) {
                let (name, path) = *self.random.pick(&SHORT_NAMES);
                let Some(value) = doc.of(path).first() else { continue };
                return (FieldRef::named(name), value.clone());
            }
            if self.random.one_in(4) {
                let (name, paths, _) = *self.random.pick(&NAMES);
                let value = paths.iter().flat_map(|path| doc.of(path)).next();
                let Some(value) = value else { continue };
                return (FieldRef::named(name), value.clone());
            }
            let paths: Vec<&String> = doc.values.keys().collect();
            let path = *self.random.pick(&paths);
            let value = self.random.pick(doc.of(path)).clone();
            return (self.name_of(path), value);
        }
    }

    /// A field by its path, by the path in quotes, or by its end.
    fn name_of(&mut self, path: &str) -> FieldRef {
        let named = FieldRef::named(path);
        if DERIVED.contains(&path) {
            return named;
        }
        match self.random.below(6) {
            0 => FieldRef { is_quoted: true, ..named },
            1 => {
                let parts: Vec<&str> = path.split('.').collect();
                let end = parts[self.random.below(parts.len())..].join(".");
                // Others are short names, or services.
                let is_of_records = end.chars().any(char::is_uppercase) && end != "names";
                if is_of_records { FieldRef::named(end) } else { named }
            }
            _ => named,
        }
    }

    /// An action as the tables of events print it.
    fn action(&mut self) -> Expr {
        let doc = self.doc();
        let of = |path: &str| doc.of(path).first().map(|value| value.text().into_owned());
        let (Some(source), Some(name)) = (of("eventSource"), of("eventName")) else {
            return Expr::All;
        };
        let Some(service) = source.strip_suffix(".amazonaws.com") else { return Expr::All };
        let field = *self.random.pick(&["action", "eventName", "service"]);
        let text =
            if field == "service" { service.to_owned() } else { format!("{service}:{name}") };
        let test = Test::Is(Value::of(text));
        Expr::Field { field: FieldRef::named(field), test }
    }

    /// A network of some address that an event has.
    fn network(&mut self) -> Expr {
        let Expr::Field { test: Test::Is(value), .. } = self.ip() else { return Expr::All };
        if !value.text.contains('/') {
            return Expr::All;
        }
        if self.random.one_in(2) {
            return Expr::Word(value.text);
        }
        Expr::Field { field: FieldRef::named("sourceIPAddress"), test: Test::Is(value) }
    }

    pub fn expr(&mut self, depth: usize) -> Expr {
        if depth > 0 && self.random.one_in(2) {
            let count = 2 + self.random.below(2);
            let mut parts: Vec<Expr> = (0..count).map(|_| self.expr(depth - 1)).collect();
            return match self.random.below(5) {
                0 | 1 => Expr::all_of(parts),
                2 | 3 => Expr::any_of(parts),
                _ => Expr::negate(parts.remove(0)),
            };
        }
        match self.random.below(14) {
            12 => self.action(),
            13 => self.network(),
            0 => Expr::Word(self.word()),
            1 => {
                let word = self.word();
                match self.pattern(&word) {
                    pattern if matches!(pattern.pieces(), [PatternPiece::AnyRun]) => Expr::All,
                    pattern if matches!(pattern.pieces(), [PatternPiece::Text(_)]) => {
                        Expr::Word(word)
                    }
                    pattern => Expr::Wildcard(pattern),
                }
            }
            2 => {
                let word = self.word();
                Expr::Regex(self.regex(&word))
            }
            3 => Expr::Phrase(self.phrase()),
            4 => self.comparison(),
            5 => self.ip(),
            6 => self.below(),
            _ => {
                let (field, value) = self.field();
                let test = if self.random.one_in(6) {
                    let others = (0..2).map(|_| self.test(&value));
                    let mut tests: Vec<Test> = others.collect();
                    let more = if self.random.one_in(3) { 30 } else { 1 };
                    for _ in 0..more {
                        let (_, other) = self.field();
                        if !matches!(value, Scalar::Time(_)) && !matches!(other, Scalar::Time(_)) {
                            tests.push(Test::Is(Value::of(other.text())));
                        }
                    }
                    Test::OneOf(tests)
                } else {
                    self.test(&value)
                };
                // Ranges of `ip` are of addresses.
                let test = match test {
                    Test::Range { .. } | Test::OneOf(_) if is_of_addresses(&field) => Test::Exists,
                    test => test,
                };
                let test = if self.numbers.contains(&field.name) { numeric(test) } else { test };
                Expr::Field { field, test }
            }
        }
    }

    fn word(&mut self) -> String {
        loop {
            let words: Vec<&String> = self.doc().words().iter().collect();
            let word = *self.random.pick(&words);
            // A longer one is known by its beginning and a hash.
            if word.len() < 200 {
                return word.clone();
            }
        }
    }

    /// A few words in a row of some value.
    fn phrase(&mut self) -> String {
        loop {
            let (_, value) = self.field();
            let words = words_of(&value.text());
            if words.is_empty() || matches!(value, Scalar::Time(_) | Scalar::Bool(_)) {
                continue;
            }
            let start = self.random.below(words.len());
            let count = 1 + self.random.below(3);
            return words[start..(start + count).min(words.len())].join(" ");
        }
    }

    /// A field with all that is below it, or the whole record, and a value from there.
    fn below(&mut self) -> Expr {
        let doc = self.doc();
        let paths: Vec<&String> =
            doc.values.keys().filter(|path| !DERIVED.contains(&path.as_str())).collect();
        let path = *self.random.pick(&paths);
        let value = self.random.pick(doc.of(path)).clone();
        let parts: Vec<&str> = path.split('.').collect();
        let above = self.random.below(parts.len() + 1);
        let field = match above {
            0 => FieldRef::everywhere(),
            above => FieldRef::named(parts[..above].join(".")).with_below(),
        };
        let test = numeric(self.test(&value));
        Expr::Field { field, test }
    }

    fn comparison(&mut self) -> Expr {
        const PAIRS: [(&str, &str); 7] = [
            ("userIdentity.accountId", "recipientAccountId"),
            ("eventSource", "userIdentity.invokedBy"),
            ("sourceIPAddress", "eventSource"),
            ("userAgent", "sourceIPAddress"),
            ("time", "userIdentity.sessionContext.attributes.creationDate"),
            ("requestParameters.maxResults", "eventVersion"),
            ("eventID", "requestID"),
        ];
        use Comparison::{Alike, AtLeast, AtMost, Equal, Less, More, NotEqual};
        let (field, other) = *self.random.pick(&PAIRS);
        let has = |path: &str| self.archive.paths.contains(path);
        let comparison = *self.random.pick(&[Equal, NotEqual, Less, AtMost, More, AtLeast, Alike]);
        if !has(field) || !has(other) {
            return Expr::All;
        }
        let other = FieldRef::named(other);
        Expr::Field { field: FieldRef::named(field), test: Test::Compared { comparison, other } }
    }

    fn ip(&mut self) -> Expr {
        let source = loop {
            if let Some(source) = self.doc().of("sourceIPAddress").first() {
                break source.text().into_owned();
            }
        };
        let test = self.address(&source);
        Expr::Field { field: FieldRef::named("ip"), test }
    }

    /// What can be asked of a source address as such.
    fn address(&mut self, source: &str) -> Test {
        let is = |text: String| Test::Is(Value::of(text));
        match source.parse::<std::net::IpAddr>() {
            Ok(_) if self.random.one_in(4) => {
                let [lower, upper] = [(); 2].map(|()| Bound::Included(Value::of(source)));
                let ranges = [
                    Test::Range { lower: lower.clone(), upper: Bound::Unbounded },
                    Test::Range { lower: Bound::Unbounded, upper: upper.clone() },
                    Test::Range { lower, upper },
                ];
                self.random.pick(&ranges).clone()
            }
            Ok(std::net::IpAddr::V4(_)) => is(format!("{source}/{}", self.random.below(33))),
            Ok(std::net::IpAddr::V6(_)) => is(format!("{source}/{}", self.random.below(129))),
            Err(_) if self.random.one_in(2) => is("aws".to_owned()),
            Err(_) => is(source.to_owned()),
        }
    }

    /// A filter that may ask for what another query finds.
    pub fn filter(&mut self) -> Expr {
        let expr = self.expr(2);
        if !self.random.one_in(8) {
            return expr;
        }
        let (field, value) = self.field();
        if matches!(value, Scalar::Time(_)) || is_of_addresses(&field) {
            return expr;
        }
        let query = self.values_of(field.clone());
        let joined = Expr::Field { field, test: Test::InQuery(Box::new(query)) };
        Expr::all_of([expr, joined])
    }

    /// A query that finds values of a field.
    fn values_of(&mut self, field: FieldRef) -> Query {
        let by = vec![GroupKey::Field { field, name: None }];
        let stats = Stage::Stats { functions: vec![Function::count()], by };
        Query { filter: self.expr(1), stages: vec![stats] }
    }

    /// A query that makes a table.
    pub fn table(&mut self) -> Query {
        if self.random.one_in(6) {
            return self.of_one_field();
        }
        let mut functions = vec![Function::count()];
        for _ in 0..self.random.below(3) {
            let function = self.function();
            if functions.iter().all(|other| other.column() != function.column()) {
                functions.push(function);
            }
        }
        let mut by: Vec<GroupKey> = Vec::new();
        for _ in 0..self.random.below(3) {
            let key = self.key();
            if by.iter().all(|other| other.column() != key.column())
                && functions.iter().all(|other| other.column() != key.column())
            {
                by.push(key);
            }
        }
        let columns: Vec<String> = by
            .iter()
            .map(|key| key.column().clone())
            .chain(functions.iter().map(Function::column))
            .collect();
        let keys: Vec<FieldRef> = by.iter().map(|key| FieldRef::named(key.column())).collect();
        let stages = vec![Stage::Stats { functions, by }];
        let mut query = Query { filter: self.filter(), stages };
        if self.random.one_in(2) {
            self.filter_rows(&mut query);
        }
        let stages = &mut query.stages;
        if self.random.one_in(2) {
            let keys = (0..=self.random.below(2)).map(|_| SortKey {
                field: FieldRef::named(self.random.pick(&columns).as_str()),
                is_descending: self.random.one_in(2),
            });
            stages.push(Stage::Sort(keys.collect()));
        }
        if self.random.one_in(3) {
            let by =
                if self.random.one_in(2) { Vec::new() } else { keys[..keys.len().min(1)].to_vec() };
            stages.push(Stage::Limit { rows: 1 + self.random.below(20) as u64, by });
            if self.random.one_in(3) {
                self.filter_rows(&mut query);
            }
        }
        query
    }

    /// A filter of the rows that a query makes, if there are any, made of what they hold.
    fn filter_rows(&mut self, query: &mut Query) {
        let (columns, rows) = self.archive.table(query);
        if rows.is_empty() {
            return;
        }
        let filter = self.row_expr(&columns, &rows, 1);
        query.stages.push(Stage::Filter(filter));
    }

    fn row_expr(&mut self, columns: &[Column], rows: &[Vec<Json>], depth: usize) -> Expr {
        if depth > 0 && self.random.one_in(3) {
            let mut parts = [(); 2].map(|()| self.row_expr(columns, rows, depth - 1)).to_vec();
            return match self.random.below(3) {
                0 => Expr::all_of(parts),
                1 => Expr::any_of(parts),
                _ => Expr::negate(parts.remove(0)),
            };
        }
        let row = self.random.pick(rows);
        // The last digits of fractions depend on the order in which they are added up.
        let is_fraction = |cell: &Json| cell.is_f64();
        if self.random.one_in(3) && !rows.iter().flatten().any(is_fraction) {
            let cells: Vec<Scalar> =
                columns.iter().zip(row).filter_map(|(column, cell)| column.read(cell)).collect();
            if let Some(expr) = self.words_of_one(&cells) {
                return expr;
            }
        }
        // A function is called as it is written, which is no name behind `filter`.
        let named: Vec<usize> =
            (0..columns.len()).filter(|at| !columns[*at].name.contains('(')).collect();
        let at = *self.random.pick(&named);
        let field = FieldRef::named(columns[at].name.as_str());
        let is_field = self.archive.paths.contains(&field.name);
        let test = match (columns[at].kind, columns[at].read(&row[at])) {
            (_, None) => Test::Exists,
            (Kind::Plain, _) if is_field && self.random.one_in(12) => {
                Test::InQuery(Box::new(self.values_of(field.clone())))
            }
            (Kind::Address, Some(source)) if self.random.one_in(2) => self.address(&source.text()),
            // Ranges are of addresses.
            (Kind::Address, Some(source)) => match self.test(&source) {
                Test::Range { .. } => Test::Is(Value::of(source.text())),
                test => test,
            },
            (_, Some(value)) if is_fraction(&row[at]) => {
                let number = value.number().unwrap();
                let width = 0.5 + number.abs() * 1e-6;
                let bound = |number: f64| Bound::Included(Value::of(number.to_string()));
                Test::Range { lower: bound(number - width), upper: bound(number + width) }
            }
            (_, Some(value)) if self.random.one_in(5) => {
                Test::OneOf((0..2 + self.random.below(3)).map(|_| self.test(&value)).collect())
            }
            (_, Some(value)) => self.test(&value),
        };
        Expr::Field { field, test }
    }

    /// A condition without a field on the words of some value, if there are any.
    fn words_of_one(&mut self, values: &[Scalar]) -> Option<Expr> {
        let value = values.get(self.random.below(values.len()))?;
        if let Scalar::Time(time) = value {
            return Some(Expr::Word(time_text(*time)));
        }
        let words = words_in(value);
        let at = self.random.below(words.len());
        let word = words.get(at).filter(|word| word.len() < 200)?;
        Some(match self.random.below(3) {
            0 => Expr::Phrase(words[at..(at + 2).min(words.len())].join(" ")),
            1 => Expr::Regex(self.regex(word)),
            _ => match self.pattern(&word.to_uppercase()) {
                pattern if matches!(pattern.pieces(), [PatternPiece::AnyRun]) => Expr::All,
                pattern if matches!(pattern.pieces(), [PatternPiece::Text(_)]) => {
                    Expr::Word(word.clone())
                }
                pattern => Expr::Wildcard(pattern),
            },
        })
    }

    fn of_one_field(&mut self) -> Query {
        if self.random.one_in(4) {
            let (kind, field) = (FunctionKind::Distinct, Some(self.field().0));
            let functions = vec![Function { kind, field, name: None }];
            let stages = vec![Stage::Stats { functions, by: Vec::new() }];
            return Query { filter: self.filter(), stages };
        }
        let key = self.key();
        let count = SortKey { field: FieldRef::named("count"), is_descending: true };
        let stages = vec![
            Stage::Stats { functions: vec![Function::count()], by: vec![key] },
            Stage::Sort(vec![count]),
            Stage::Limit { rows: self.random.below(12) as u64, by: Vec::new() },
        ];
        Query { filter: self.filter(), stages }
    }

    fn function(&mut self) -> Function {
        let is_list =
            |kind: &FunctionKind| matches!(kind, FunctionKind::Values | FunctionKind::List);
        let kinds = FunctionKind::ALL.iter().map(|(_, kind)| *kind);
        let kinds: Vec<FunctionKind> = kinds.filter(|kind| !is_list(kind)).collect();
        let kind = match self.random.below(9) {
            8 => FunctionKind::Percentile(*self.random.pick(&[0, 50_000, 95_000, 99_900, 100_000])),
            _ => *self.random.pick(&kinds),
        };
        let is_of_numbers =
            matches!(kind, FunctionKind::Sum | FunctionKind::Avg | FunctionKind::Percentile(_));
        let field = if is_of_numbers || self.random.one_in(4) {
            FieldRef::named(self.random.pick(&self.numbers).as_str())
        } else {
            self.field().0
        };
        let name = self.random.one_in(4).then(|| format!("n{}", self.random.below(9)));
        Function { kind, field: Some(field), name }
    }

    fn key(&mut self) -> GroupKey {
        if self.random.one_in(4) {
            let units: Vec<BinUnit> = BinUnit::ALL.iter().map(|(_, unit)| *unit).collect();
            let unit = *self.random.pick(&units);
            let is_short = matches!(unit, BinUnit::Second | BinUnit::Minute | BinUnit::Hour);
            let count = if is_short { 1 + self.random.below(90) as u32 } else { 1 };
            return GroupKey::Bin { bin: Bin { count, unit }, name: None };
        }
        if self.random.one_in(8) {
            let (v4, v6) = (self.random.below(33) as u8, self.random.below(129) as u8);
            let net = Net::new(v4, v6).expect("as many bits as an address has");
            return GroupKey::Net { field: FieldRef::named("sourceIPAddress"), net, name: None };
        }
        let field = self.field().0;
        // A column of the table would have the name twice.
        let name = (field.name == "time").then(|| "when".to_owned());
        GroupKey::Field { field, name }
    }

    /// What events are sorted by, and which of them are left out.
    pub fn sort(&mut self) -> Vec<SortKey> {
        let key = |queries: &mut Self| {
            let field = if queries.random.one_in(3) {
                FieldRef::named(queries.random.pick(&queries.numbers).as_str())
            } else {
                queries.field().0
            };
            SortKey { field, is_descending: queries.random.one_in(2) }
        };
        (0..=self.random.below(2)).map(|_| key(self)).collect()
    }

    pub fn fields(&mut self) -> Vec<FieldRef> {
        let mut fields: Vec<FieldRef> = Vec::new();
        for _ in 0..=self.random.below(2) {
            let (field, _) = self.field();
            if !fields.contains(&field) && (is_column(&field.name) || !field.name.is_empty()) {
                fields.push(field);
            }
        }
        fields
    }
}
