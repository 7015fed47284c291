//! Random queries, answered by a daemon and by looking at every record. The test command asks the
//! same ones each time, so that what fails is the change at hand; new ones, and thousands of them:
//! `TRAILDEX_SEED=$RANDOM TRAILDEX_QUERIES=100000 cargo test --features failpoints --test search oracle::`.

mod evaluate;
mod highlights;
mod names;
mod random;
mod record;
mod rows;
mod table;
mod values;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;

use bench::generate::{GenerateOptions, generate};
use language::ast::{Expr, FieldRef, Query, SortKey, Stage, Test, Value};
use serde_json::{Value as Json, json};
use wire::{Order, QueryForm, SearchRequest, SearchResponse, TotalMode};

use crate::common::{self, Daemon, PATIENCE_BULK, Place, records_below, sample};
use evaluate::Archive;
use random::Queries;
use record::{Doc, Scalar};

/// Queries of each kind.
const QUERIES: u64 = 500;

/// Events of each query whose highlights are looked at.
const HIGHLIGHTED: usize = 20;

const SEED: u64 = 4034;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Asks a query, as text or as its tree.
fn ask(daemon: &Daemon, query: &Query, as_text: bool, request: SearchRequest) -> SearchResponse {
    let form = if as_text {
        QueryForm::Text(query.to_string())
    } else {
        QueryForm::Tree(Box::new(query.clone()))
    };
    let request = SearchRequest { query: form, ..request };
    let answer = daemon.client.search(&request);
    answer.unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Compares the answers of a daemon with those of an archive's records, which it has all indexed.
struct Comparison<'a> {
    daemon: &'a Daemon,
    archive: &'a Archive,
    queries: Queries<'a>,
    /// What every query asks for beside, where the daemon has other events too.
    scope: Option<Expr>,
    found: u64,
    /// Rows of a table that are asked for.
    rows_max: usize,
    /// Tables that came in several passes, and those that were refused because they do not fit.
    in_passes: u64,
    too_large: u64,
}

impl<'a> Comparison<'a> {
    fn new(daemon: &'a Daemon, archive: &'a Archive, seed: u64, scope: Option<Expr>) -> Self {
        let queries = Queries::new(archive, seed);
        let (rows_max, in_passes, too_large) = (10_000, 0, 0);
        Self { daemon, archive, queries, scope, found: 0, rows_max, in_passes, too_large }
    }

    fn scoped(&self, mut query: Query) -> Query {
        fn within(expr: &mut Expr, scope: &Expr) {
            match expr {
                Expr::And(parts) | Expr::Or(parts) => {
                    for part in parts {
                        within(part, scope);
                    }
                }
                Expr::Not(inner) => within(inner, scope),
                Expr::Field { test: Test::InQuery(query), .. } => {
                    let filter = std::mem::replace(&mut query.filter, Expr::All);
                    query.filter = Expr::all_of([filter, scope.clone()]);
                }
                _ => {}
            }
        }
        if let Some(scope) = &self.scope {
            within(&mut query.filter, scope);
            for stage in &mut query.stages {
                if let Stage::Filter(filter) = stage {
                    within(filter, scope);
                }
            }
            let filter = std::mem::replace(&mut query.filter, Expr::All);
            query.filter = match filter {
                Expr::All => scope.clone(),
                filter => Expr::all_of([filter, scope.clone()]),
            };
        }
        query
    }

    fn run(&mut self, count: u64) {
        for _ in 0..count {
            self.events();
            self.table();
            self.sorted();
        }
        let all = self.archive.docs.len() as u64;
        println!("{} events found by {count} queries, of {all} each", self.found);
        assert!(self.found > count, "queries that find nothing say nothing");
    }

    /// Which events match, newest or oldest first, all or a page of them.
    fn events(&mut self) {
        let query = self.queries.filter();
        let query = self.scoped(Query::of(query));
        let mut docs = self.archive.matching(&query.filter);
        let order = if self.queries.random.one_in(2) { Order::Newest } else { Order::Oldest };
        let limit = *self.queries.random.pick(&[10_000, 10_000, 1, 7, 50]);
        let as_text = self.queries.random.one_in(2);
        let request = SearchRequest { order, limit: Some(limit), ..SearchRequest::default() };
        let answer = ask(self.daemon, &query, as_text, request);
        self.found += docs.len() as u64;
        assert_eq!(
            answer.total.value,
            docs.len() as u64,
            "{query}\n{}",
            self.differ(&query, &docs)
        );
        assert!(answer.total.exact);
        docs.sort_by_key(|doc| if order == Order::Newest { -doc.time } else { doc.time });
        check_page(&query, &answer, &docs, limit);
        self.check_order(&query, order, &answer);
        self.check_highlights(&query, order, &docs);
    }

    /// Whatever is highlighted of an event meets the filter, and whatever meets it is highlighted.
    fn check_highlights(&self, query: &Query, order: Order, docs: &[&Doc]) {
        let limit = Some(HIGHLIGHTED);
        let request = SearchRequest { order, limit, highlights: true, ..SearchRequest::default() };
        for hit in ask(self.daemon, query, false, request).hits {
            let doc = docs.iter().find(|doc| doc.id == hit.meta.id).expect("a match");
            highlights::check(self.archive, &query.filter, doc, &hit.highlights);
        }
    }

    /// There is one order of all events, from whatever end and however many of them are asked for.
    fn check_order(&mut self, query: &Query, order: Order, page: &SearchResponse) {
        let ids = |answer: &SearchResponse| -> Vec<String> {
            answer.hits.iter().map(|hit| hit.meta.id.clone()).collect()
        };
        let all = |order| {
            let request = SearchRequest { order, limit: Some(10_000), ..SearchRequest::default() };
            ids(&ask(self.daemon, query, false, request))
        };
        let (mut newest, oldest) = (all(Order::Newest), all(Order::Oldest));
        let whole = if order == Order::Newest { &newest } else { &oldest };
        assert_eq!(ids(page), whole[..page.hits.len()], "{query}");
        newest.reverse();
        assert_eq!(newest, oldest, "{query}");
        let (order, whole) = match order {
            Order::Newest => (order, oldest.iter().rev().cloned().collect()),
            Order::Oldest => (order, oldest),
        };
        if !self.queries.random.one_in(3) {
            return;
        }
        let total = *self.queries.random.pick(&[TotalMode::Exact, TotalMode::None]);
        let limit = 1 + whole.len() / *self.queries.random.pick(&[1, 2, 5]);
        assert_eq!(self.pages(query, order, limit, total), whole, "{query} {order:?} {limit}");
    }

    /// Everything that a query finds, a page at a time.
    fn pages(&self, query: &Query, order: Order, limit: usize, total: TotalMode) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor = None;
        loop {
            let limit = Some(limit);
            let request = SearchRequest { order, limit, total, cursor, ..SearchRequest::default() };
            let page = ask(self.daemon, query, false, request);
            ids.extend(page.hits.into_iter().map(|hit| hit.meta.id));
            cursor = page.cursor;
            if cursor.is_none() {
                return ids;
            }
        }
    }

    fn table(&mut self) {
        let query = self.queries.table();
        let query = self.scoped(query);
        let (columns, rows) = self.archive.table(&query);
        let as_text = self.queries.random.one_in(2);
        let (limit, explain) = (Some(self.rows_max), self.rows_max < 10_000);
        let request = SearchRequest { limit, explain, ..SearchRequest::default() };
        if explain {
            // With little memory, what needs all of it at once is refused.
            let form = QueryForm::Text(query.to_string());
            let asked = SearchRequest { query: form, ..request.clone() };
            if let Err(error) = self.daemon.client.search(&asked) {
                assert!(error.to_string().contains("groups do not fit"), "{query}: {error}");
                self.too_large += 1;
                return;
            }
        }
        let answer = ask(self.daemon, &query, as_text, request);
        let Some(table) = answer.table else { panic!("{query}: no table") };
        let steps = answer.explain.iter().flat_map(|explain| &explain.steps);
        self.in_passes += u64::from(steps.filter(|step| step.step.contains(" passes")).count() > 0);
        assert_eq!(table.rows.len(), rows.len().min(self.rows_max), "{query}");
        let columns: Vec<String> = columns.into_iter().map(|column| column.name).collect();
        assert_eq!(table.columns, columns, "{query}");
        assert_eq!(table.rows_total, rows.len() as u64, "{query}\n{:?}\n{rows:?}", table.rows);
        assert!(table.exact);
        for (row, expected) in table.rows.iter().zip(&rows) {
            let is_equal = row.len() == expected.len()
                && row.iter().zip(expected).all(|(a, b)| is_close(a, b));
            assert!(is_equal, "{query}\n found    {row:?}\n expected {expected:?}");
        }
        self.found += answer.total.value;
    }

    /// Events by the values of fields, and the first of those that agree in some.
    fn sorted(&mut self) {
        let filter = self.queries.filter();
        let sort = self.queries.sort();
        let dedup = if self.queries.random.one_in(2) { self.queries.fields() } else { Vec::new() };
        let mut stages = vec![Stage::Sort(sort.clone())];
        if !dedup.is_empty() {
            stages.push(Stage::Dedup(dedup.clone()));
        }
        let query = self.scoped(Query { filter, stages });
        let all = self.archive.matching(&query.filter);
        let read: BTreeMap<&str, Read<'_>> =
            all.iter().map(|doc| (doc.id.as_str(), self.read(doc, &sort, &dedup))).collect();
        let mut sorted: Vec<&Read<'_>> = read.values().collect();
        sorted.sort_by(|a, b| a.compare(b, &sort));
        let mut seen = BTreeSet::new();
        sorted.retain(|doc| dedup.is_empty() || seen.insert(&doc.group));
        let limit = *self.queries.random.pick(&[10_000, 3]);
        let as_text = self.queries.random.one_in(2);
        let request = SearchRequest { limit: Some(limit), ..SearchRequest::default() };
        let answer = ask(self.daemon, &query, as_text, request);
        assert_eq!(answer.total.value, all.len() as u64, "{query}\n{}", self.differ(&query, &all));
        let ids: Vec<&str> = answer.hits.iter().map(|hit| hit.meta.id.as_str()).collect();
        assert_eq!(ids.len(), sorted.len().min(limit), "{query}");
        assert_eq!(answer.kept, (!dedup.is_empty()).then_some(sorted.len() as u64), "{query}");
        let mut groups = BTreeSet::new();
        for (id, expected) in ids.iter().zip(&sorted) {
            let Some(doc) = read.get(id) else { panic!("{query}: {id} does not match") };
            let is_in_order = doc.compare(expected, &sort) == Ordering::Equal;
            assert!(is_in_order, "{query}: {id} in place of {}", expected.doc.id);
            assert!(dedup.is_empty() || groups.insert(&doc.group), "{query}: {id}");
        }
    }

    /// What is found of a filter that should not be, and what is not, asked once more.
    fn differ(&self, query: &Query, docs: &[&Doc]) -> String {
        let request = SearchRequest { limit: Some(10_000), ..SearchRequest::default() };
        let answer = ask(self.daemon, &Query::of(query.filter.clone()), false, request);
        let mut found = BTreeSet::new();
        let ids = answer.hits.iter().map(|hit| hit.meta.id.as_str());
        let twice: Vec<_> = ids.filter(|id| !found.insert(*id)).take(3).collect();
        let expected: BTreeSet<&str> = docs.iter().map(|doc| doc.id.as_str()).collect();
        let missing: Vec<_> = expected.difference(&found).take(3).collect();
        let surplus: Vec<_> = found.difference(&expected).take(3).collect();
        format!("missing {missing:?}, too many {surplus:?}, twice {twice:?}")
    }

    fn read<'d>(&self, doc: &'d Doc, sort: &[SortKey], dedup: &[FieldRef]) -> Read<'d> {
        let values = |field: &FieldRef| {
            let paths = self.archive.paths_of(field);
            let mut values: Vec<Json> =
                paths.iter().flat_map(|path| doc.of(path)).map(Scalar::json).collect();
            values.sort_by(table::order);
            values.dedup();
            values
        };
        let first = |key: &SortKey| {
            let mut values = values(&key.field);
            let first = if key.is_descending { values.pop() } else { values.into_iter().next() };
            first.unwrap_or_default()
        };
        let texts = |field| values(field).iter().map(Json::to_string).collect();
        let (keys, group) = (sort.iter().map(first).collect(), dedup.iter().map(texts).collect());
        Read { doc, keys, group }
    }
}

/// What `sort` and `dedup` see of an event.
struct Read<'d> {
    doc: &'d Doc,
    keys: Vec<Json>,
    group: Vec<Vec<String>>,
}

impl Read<'_> {
    /// By the keys, then the newest first.
    fn compare(&self, other: &Self, sort: &[SortKey]) -> Ordering {
        let by_keys = (self.keys.iter().zip(&other.keys).zip(sort))
            .map(|((a, b), key)| table::in_order(a, b, key.is_descending))
            .fold(Ordering::Equal, Ordering::then);
        by_keys.then(other.doc.time.cmp(&self.doc.time))
    }
}

/// A page is right if it has the first events, in order of time. Which of the last time it has, only
/// the numbers of their files tell: see [`Comparison::check_order`].
fn check_page(query: &Query, answer: &SearchResponse, docs: &[&Doc], limit: usize) {
    let times: BTreeMap<&str, i64> = docs.iter().map(|doc| (doc.id.as_str(), doc.time)).collect();
    let ids: Vec<&str> = answer.hits.iter().map(|hit| hit.meta.id.as_str()).collect();
    assert_eq!(ids.len(), docs.len().min(limit), "{query}");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "{query}: twice");
    for (id, expected) in ids.iter().zip(docs) {
        let Some(time) = times.get(id) else { panic!("{query}: {id} does not match") };
        assert_eq!(*time, expected.time, "{query}: not in order at {id}");
    }
}

/// Sums of fractions depend on their order in the last digits.
fn is_close(a: &Json, b: &Json) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(b.abs()),
        _ => a == b,
    }
}

/// The real records that have a time and an id of their own.
fn real_records() -> Vec<Json> {
    let mut ids = BTreeSet::new();
    ["invictus", "stratus", "panther", "otrf", "traildiscover"]
        .iter()
        .flat_map(|name| records_below(&sample(name)))
        .map(|record| record.json)
        .filter(|json| {
            let is_time = |text: &str| text.parse::<jiff::Timestamp>().is_ok();
            json["eventTime"].as_str().is_some_and(is_time)
                && json["eventID"].as_str().is_some_and(|id| ids.insert(id.to_owned()))
        })
        .collect()
}

/// Records with what real ones have rarely: long values, values of several kinds, policies.
fn odd_records() -> Vec<Json> {
    let policy = json!({ "Version": "2012-10-17", "Statement": [{
        "Sid": "a", "Effect": "Allow", "Principal": { "AWS": "*" },
        "Action": ["s3:GetObject", "s3:PutObject"], "Resource": "arn:aws:s3:::b/*" }] });
    let encoded: Vec<String> =
        policy.to_string().bytes().map(|byte| format!("%{byte:02X}")).collect();
    let encoded = encoded.concat();
    let long = |end: &str| format!("{}{end}", "a long value ".repeat(500));
    let parameters = [
        json!({ "policyDocument": policy.to_string(), "mixed": 5 }),
        json!({ "policyDocument": encoded, "mixed": "5" }),
        json!({ "policy": { "Statement": { "Effect": "Deny", "Action": "*" } }, "mixed": [5, "x"] }),
        json!({ "text": long("one"), "mixed": true }),
        json!({ "text": long("two"), "mixed": 5.5, "number": 1e300 }),
        json!({ "text": [long("one"), "short"], "mixed": "true", "number": -7 }),
        json!({ "text": "ÄÖ ẞ straße", "number": 18_446_744_073_709_551_615_u64 }),
        json!({ "mixed": [5, 5, "5", 5.5, 5.5], "number": [8, 8, 100, 0.25] }),
        json!({ "mixed": 9_007_199_254_740_993_u64, "number": 9_007_199_254_740_993_u64 }),
        json!({ "mixed": [true, true], "number": [9_007_199_254_740_992_u64, -7] }),
    ];
    let record = |(n, parameters): (usize, &Json)| {
        json!({
            "eventVersion": if n % 2 == 0 { "1.9" } else { "1.10" },
            "eventTime": format!("2023-07-10T12:00:{n:02}Z"),
            "eventID": format!("odd-{n}"),
            "eventName": "Odd", "eventSource": "odd.amazonaws.com", "awsRegion": "us-east-1",
            "sourceIPAddress": (["2001:db8::7", "AWS Internal", "10.1.2.3"][n % 3]),
            "recipientAccountId": "000000000007",
            "userIdentity": { "type": "Root", "accountId": "000000000007" },
            "requestParameters": parameters,
        })
    };
    parameters.iter().enumerate().map(record).collect()
}

fn write(dir: &Path, records: &[Json]) {
    for (n, chunk) in records.chunks(100).enumerate() {
        fs::write(dir.join(format!("{n}.json")), json!({ "Records": chunk }).to_string()).unwrap();
    }
}

/// Daemons that commit often and merge soon, so that answers come from segments of all kinds.
fn restless_place() -> Place {
    Place::new()
        .with("INGEST_COMMIT_AGE_MS_MAX", "100")
        .with("INGEST_COMMIT_IDLE_MS", "10")
        .with("INGEST_SEGMENT_EVENTS_MAX", "1000")
        .with("WATCH_SETTLE_MS", "50")
        // Some queries look at every record.
        .with("SEARCH_DEADLINE_MS", "300000")
}

#[test]
fn random_queries_are_answered_as_the_records_answer_them() {
    let (count, seed) = (setting("TRAILDEX_QUERIES", QUERIES), setting("TRAILDEX_SEED", SEED));
    println!("{count} queries of each kind, seed {seed}");
    let records = [real_records(), odd_records()].concat();
    let place = restless_place();
    write(&place.archive(), &records);
    let archive = Archive::new(records.iter().map(Doc::new).collect());
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, records.len() as u64);
    Comparison::new(&daemon, &archive, seed, None).run(count);
    daemon.stop();
}

/// With columns for a few of the thousand paths, built and merged: the values of the others are in the
/// records alone.
#[test]
fn random_queries_are_answered_right_where_most_fields_have_no_column() {
    let (count, seed) = (setting("TRAILDEX_QUERIES", QUERIES) / 10, setting("TRAILDEX_SEED", SEED));
    println!("{count} queries of each kind, seed {seed}");
    let records = [real_records(), odd_records()].concat();
    let place = restless_place();
    write(&place.archive(), &records);
    let archive = Archive::new(records.iter().map(Doc::new).collect());
    let mut command = place.serve_command();
    command.env("FAILPOINTS", "columns-max=return(20);overflow-listed-max=return(100000)");
    let daemon = place.spawn(command);
    daemon.wait_indexed(PATIENCE_BULK, records.len() as u64);
    Comparison::new(&daemon, &archive, seed, None).run(count);
    daemon.stop();
}

/// Groups that do not fit the memory come in several passes, and are what they are in one.
#[test]
fn tables_are_right_whose_groups_do_not_fit_the_memory() {
    let (count, seed) = (setting("TRAILDEX_QUERIES", QUERIES), setting("TRAILDEX_SEED", SEED));
    println!("{count} tables, seed {seed}");
    let records = [real_records(), odd_records()].concat();
    let place = restless_place();
    write(&place.archive(), &records);
    let archive = Archive::new(records.iter().map(Doc::new).collect());
    let mut command = place.serve_command();
    command.env("FAILPOINTS", "group-bytes=return(60000)");
    let daemon = place.spawn(command);
    daemon.wait_indexed(PATIENCE_BULK, records.len() as u64);
    let mut comparison = Comparison::new(&daemon, &archive, seed, None);
    comparison.rows_max = 20;
    for _ in 0..count {
        comparison.table();
    }
    let Comparison { in_passes, too_large, .. } = comparison;
    println!("{in_passes} came in several passes, {too_large} were refused");
    assert!(in_passes > count / 20 && too_large < count / 4, "{in_passes} {too_large}");
    daemon.stop();
}

#[test]
fn random_queries_are_answered_right_while_files_arrive_and_segments_merge() {
    let (count, seed) = (setting("TRAILDEX_QUERIES", QUERIES) / 2, setting("TRAILDEX_SEED", SEED));
    println!("{count} queries of each kind, seed {seed}");
    let place = restless_place();
    let records = [real_records(), odd_records()].concat();
    let accounts: BTreeSet<&str> =
        records.iter().filter_map(|record| record["recipientAccountId"].as_str()).collect();
    let is = |account: &&str| Test::Is(Value::of(*account));
    let scope = Expr::Field {
        field: FieldRef::named("recipientAccountId"),
        test: Test::one_of(accounts.iter().map(is).collect()),
    };
    write(&place.archive(), &records);
    let archive = Archive::new(records.iter().map(Doc::new).collect());
    let coming = place.path("coming");
    let options = GenerateOptions { events: 40_000, seed, ..GenerateOptions::default() };
    generate(&options, &coming).unwrap();
    let files = common::files_below(&coming);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, records.len() as u64);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope_of_threads| {
        let feeder = scope_of_threads.spawn(|| {
            let mut fed = 0;
            for path in &files {
                if is_done.load(Relaxed) {
                    break;
                }
                let name = path.file_name().unwrap();
                fs::rename(path, place.archive().join(name)).unwrap();
                fed += 1;
                thread::sleep(Duration::from_millis(150));
            }
            fed
        });
        Comparison::new(&daemon, &archive, seed, Some(scope)).run(count);
        is_done.store(true, Relaxed);
        let fed = feeder.join().unwrap();
        let events = daemon.status().events.indexed - records.len() as u64;
        println!("{events} events of {fed} files came meanwhile");
        assert!(events > 0);
    });
    daemon.stop();
}
