//! Exports: everything that a query finds, in each format, equal to the archive, however large.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use bench::generate::{GenerateOptions, generate};
use client::ClientError;
use rustix::process::{Pid, Signal, kill_process};
use wire::{ErrorKind, ExportFormat, ExportRequest, Order, SearchRequest, TailRequest};
use xxhash_rust::xxh3::xxh3_128;

use crate::common::{self, Daemon, PATIENCE_BULK, Place, files_below, records_in_file};

/// Exports take no more of the daemon's own memory than this, however many events it has: what it has
/// after indexing, and some pages.
const OWN_KB_MAX: u64 = 400 << 10;

/// `TRAILDEX_EXPORT_EVENTS` for the long form.
fn events() -> u64 {
    std::env::var("TRAILDEX_EXPORT_EVENTS").map_or(12_000, |text| text.parse().unwrap())
}

fn indexed(events: u64) -> (Place, Daemon, u64) {
    let place = Place::new();
    let options = GenerateOptions { events, ..GenerateOptions::default() };
    generate(&options, &place.archive()).unwrap();
    let daemon = place.start();
    let patience = PATIENCE_BULK + Duration::from_millis(events);
    daemon.wait_for(patience, "all", |s| s.files.pending == 0 && s.events.indexed > 0);
    let indexed = daemon.status().events.indexed;
    (place, daemon, indexed)
}

/// Streams an export into a writer; where the next part begins.
fn export_to(daemon: &Daemon, request: &ExportRequest, to: &mut impl Write) -> Option<String> {
    let mut answer = daemon.client.export(request).unwrap();
    while let Some(chunk) = answer.chunk().unwrap() {
        to.write_all(&chunk).unwrap();
    }
    answer.cursor
}

fn exported(daemon: &Daemon, request: &ExportRequest) -> Vec<u8> {
    let mut bytes = Vec::new();
    export_to(daemon, request, &mut bytes);
    bytes
}

/// How many lines there are, and the sum of their hashes: the same lines in any order, each as often,
/// and no others. Ten million lines are not kept in memory.
#[derive(Debug, Default, PartialEq)]
struct Lines {
    count: u64,
    sum: u128,
    /// Of the line that has not ended.
    begun: Vec<u8>,
}

impl Lines {
    fn add(&mut self, line: &[u8]) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(xxh3_128(line));
    }

    fn of_archive(dir: &Path) -> Self {
        let mut lines = Self::default();
        for path in files_below(dir) {
            for record in records_in_file(&path).unwrap() {
                lines.add(record.raw.as_bytes());
            }
        }
        lines
    }

    fn of_file(path: &Path) -> Self {
        let mut lines = Self::default();
        std::io::copy(&mut fs::File::open(path).unwrap(), &mut lines).unwrap();
        lines
    }
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.begun.extend(piece);
            if let Some(line) = self.begun.strip_suffix(b"\n") {
                let line = line.to_vec();
                self.add(&line);
                self.begun.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn python(script: &str, file: &Path) -> String {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/bin/python");
    assert!(python.exists(), "run ./.ci/clients, which sets up {}", python.display());
    let ran = Command::new(python).args(["-c", script]).arg(file).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn an_export_is_the_archive_whole_and_in_parts() {
    let (place, daemon, indexed) = indexed(events());
    let archive = Lines::of_archive(&place.archive());
    assert_eq!(archive.count, indexed);
    let mut whole = Lines::default();
    assert_eq!(export_to(&daemon, &ExportRequest::default(), &mut whole), None);
    assert_eq!(whole, archive);
    let mut parts = Lines::default();
    let mut request =
        ExportRequest { limit: Some(1_700), order: Order::Oldest, ..ExportRequest::default() };
    let mut count = 0;
    loop {
        let cursor = export_to(&daemon, &request, &mut parts);
        count += 1;
        if cursor.is_none() {
            break;
        }
        request.cursor = cursor;
    }
    assert_eq!(count, indexed.div_ceil(1_700));
    assert_eq!(parts, archive);
    daemon.stop();
}

#[test]
fn csv_and_parquet_say_the_same() {
    let (place, daemon, indexed) = indexed(3_000);
    let export = |format, query: &str, name: &str| {
        let request = ExportRequest { format, query: query.into(), ..ExportRequest::default() };
        let file = place.path(name);
        fs::write(&file, exported(&daemon, &request)).unwrap();
        file
    };
    let summary = "import duckdb, sys; print(duckdb.sql(f\"select count(*), count(distinct id), \
                   epoch_us(min(time)), epoch_us(max(time)), sum(\\\"offset\\\"::bigint), count(error) from '{sys.argv[1]}'\").fetchall())";
    let csv = export(ExportFormat::Csv, "*", "all.csv");
    let parquet = export(ExportFormat::Parquet, "*", "all.parquet");
    let of_parquet = python(summary, &parquet);
    assert!(of_parquet.starts_with(&format!("[({indexed}, {indexed}, ")), "{of_parquet}");
    assert_eq!(python(summary, &csv), of_parquet);
    let types = "import duckdb, sys; print(dict(duckdb.sql(f\"select column_name, column_type from (describe select * from '{sys.argv[1]}')\").fetchall()))";
    let types = python(types, &parquet);
    for column in [
        "'time': 'TIMESTAMP WITH TIME ZONE'",
        "'offset': 'BIGINT'",
        "'ip': 'VARCHAR'",
        "'readOnly': 'BOOLEAN'",
        "'userAgent': 'VARCHAR'",
        "'userIdentity.arn': 'VARCHAR'",
    ] {
        assert!(types.contains(column), "{column} in {types}");
    }
    let records = "import duckdb, sys, json; rows = duckdb.sql(f\"select id, record from '{sys.argv[1]}'\").fetchall(); \
                   assert all(json.loads(r)['eventID'] == i for i, r in rows); print(len(rows))";
    assert_eq!(python(records, &parquet).trim(), indexed.to_string());

    // Rows of groups keep their numbers.
    let table =
        export(ExportFormat::Parquet, "count by eventName | sort count desc", "names.parquet");
    let sum = "import duckdb, sys; print(duckdb.sql(f\"select sum(\\\"count\\\"), typeof(any_value(\\\"count\\\")) from '{sys.argv[1]}'\").fetchall())";
    assert_eq!(python(sum, &table).trim(), format!("[({indexed}, 'BIGINT')]"));
    // Events that are sorted are one page, larger than others.
    let sorted = exported(
        &daemon,
        &ExportRequest { query: "* | sort eventName, eventID".into(), ..ExportRequest::default() },
    );
    let mut names: Vec<String> = Vec::new();
    for line in std::str::from_utf8(&sorted).unwrap().lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        names.push(record["eventName"].as_str().unwrap().to_owned());
    }
    assert_eq!(names.len() as u64, indexed);
    assert!(names.is_sorted());
    // Events' fields come in pages.
    let fields = export(ExportFormat::Csv, "* | fields eventID, eventName", "fields.csv");
    let text = fs::read_to_string(&fields).unwrap();
    assert_eq!(text.lines().next(), Some("eventID,eventName"));
    assert_eq!(text.lines().count() as u64, indexed + 1);
    daemon.stop();
}

#[test]
fn a_table_of_more_rows_than_a_search_returns_is_exported_whole() {
    let (_place, daemon, indexed) = indexed(12_000);
    assert!(indexed > 10_000);
    for format in [ExportFormat::Ndjson, ExportFormat::Csv] {
        let query = "count by eventID".into();
        let rows = exported(&daemon, &ExportRequest { query, format, ..ExportRequest::default() });
        let rows = std::str::from_utf8(&rows).unwrap();
        let ids: std::collections::BTreeSet<&str> = rows.lines().collect();
        let names = usize::from(format == ExportFormat::Csv);
        assert_eq!((ids.len() - names) as u64, indexed, "each once");
        assert_eq!(ids.len(), rows.lines().count());
    }
    daemon.stop();
}

/// The ids of an export of events, in their order.
fn ids(daemon: &Daemon, query: &str) -> Vec<String> {
    let bytes = exported(daemon, &ExportRequest { query: query.into(), ..Default::default() });
    let id = |line: &str| {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        record["eventID"].as_str().unwrap().to_owned()
    };
    std::str::from_utf8(&bytes).unwrap().lines().map(id).collect()
}

#[test]
fn sorted_events_are_exported_beyond_what_a_search_returns() {
    let (_place, daemon, indexed) = indexed(12_000);
    assert!(indexed > 10_000);
    let by_time = ids(&daemon, "*");
    let mut by_id = by_time.clone();
    by_id.sort_unstable();
    assert_eq!(by_id.len() as u64, indexed);
    assert_eq!(ids(&daemon, "* | sort eventID"), by_id);
    assert_eq!(ids(&daemon, "* | sort eventID desc | limit 10500"), {
        let last = by_id.iter().rev().take(10_500);
        last.cloned().collect::<Vec<_>>()
    });
    // Equal events keep the order of time.
    assert_eq!(ids(&daemon, "* | sort eventVersion, recipientAccountId | limit 0"), [""; 0]);
    let kept = ids(&daemon, "* | dedup eventID");
    assert_eq!(kept, by_time, "no two have one id");
    for format in [ExportFormat::Csv, ExportFormat::Parquet] {
        let query = "* | sort eventID | fields eventID, readOnly".into();
        let request = ExportRequest { query, format, ..ExportRequest::default() };
        let bytes = exported(&daemon, &request);
        if format == ExportFormat::Csv {
            let text = String::from_utf8(bytes).unwrap();
            let column =
                text.lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned());
            assert_eq!(column.collect::<Vec<_>>(), by_id);
        }
    }
    daemon.stop();
}

#[test]
fn a_limit_is_kept_whatever_is_exported_and_the_command_takes_all() {
    let (place, daemon, indexed) = indexed(12_000);
    let exported_of = |query: &str, limit| {
        let request = ExportRequest { query: query.into(), limit, ..ExportRequest::default() };
        let mut bytes = Vec::new();
        let cursor = export_to(&daemon, &request, &mut bytes);
        let lines: Vec<String> =
            std::str::from_utf8(&bytes).unwrap().lines().map(str::to_owned).collect();
        (lines, cursor)
    };
    for (query, is_paged) in [
        ("*", true),
        ("* | fields eventID", true),
        ("* | sort eventID", false),
        ("* | sort eventID | fields eventID", false),
        ("* | dedup eventID", false),
        ("count by eventID", false),
    ] {
        let (all, cursor) = exported_of(query, None);
        assert_eq!((all.len() as u64, cursor), (indexed, None), "{query}");
        for limit in [1, 7, 1_000, 1_001, 2_500] {
            let (some, cursor) = exported_of(query, Some(limit));
            assert_eq!(some, all[..limit], "{query}, {limit}");
            assert_eq!(cursor.is_some(), is_paged, "{query}, {limit}");
        }
        // The command asks for parts only where there are.
        let path = place.path("all.ndjson");
        let mut command = common::traildex();
        command.args(["export", query, "--output"]).arg(&path);
        let ran = common::Ran::from(command.arg("--socket").arg(place.socket()).output().unwrap());
        assert_eq!(ran.code, 0, "{query}: {}", ran.stderr);
        let written = fs::read_to_string(&path).unwrap();
        assert!(written.lines().eq(&all), "{query}: {} lines", written.lines().count());
    }
    daemon.stop();
}

#[test]
fn large_events_that_are_sorted_are_exported_up_to_the_limit() {
    let place = Place::new();
    // More than a page of 16 MiB.
    let record = |n: usize| {
        let text = "x".repeat(200 << 10);
        format!(
            "{{\"eventID\":\"e{n:03}\",\"eventTime\":\"2024-05-06T07:08:09Z\",\"errorMessage\":\"{text}\"}}"
        )
    };
    let records: Vec<String> = (0..150).map(record).collect();
    let file = format!("{{\"Records\":[{}]}}", records.join(","));
    fs::write(place.archive().join("large.json"), file).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 150);
    for limit in [Some(120), Some(150), None] {
        let query = "* | sort eventID".into();
        let request = ExportRequest { query, limit, ..ExportRequest::default() };
        assert_eq!(daemon.client.export(&request).unwrap().warnings, Vec::<String>::new());
        let lines = exported(&daemon, &request);
        let lines: Vec<&[u8]> = lines.split_inclusive(|byte| *byte == b'\n').collect();
        assert_eq!(lines.len(), limit.unwrap_or(150));
        assert!(lines.is_sorted());
    }
    daemon.stop();
}

#[test]
fn a_table_of_parquet_has_the_kinds_of_all_rows() {
    let (place, daemon, indexed) = indexed(3_000);
    let export = |query: &str| {
        let format = ExportFormat::Parquet;
        let request = ExportRequest { query: query.into(), format, ..ExportRequest::default() };
        let file = place.path("rows.parquet");
        fs::write(&file, exported(&daemon, &request)).unwrap();
        file
    };
    // Rows are written in several parts.
    let file = export("stats count, max(time) by eventID | sort eventID");
    let types = "import duckdb, sys; print(duckdb.sql(f\"select count(*), sum(\\\"count\\\"), typeof(any_value(\\\"max(time)\\\")) from '{sys.argv[1]}'\").fetchall())";
    let expected = format!("[({indexed}, {indexed}, 'TIMESTAMP WITH TIME ZONE')]");
    assert_eq!(python(types, &file).trim(), expected);
    daemon.stop();
}

#[test]
fn what_cannot_be_exported_is_refused_before_anything_is_sent() {
    let (_place, daemon, _) = indexed(12_000);
    let refused = |request: ExportRequest| match daemon.client.export(&request) {
        Err(ClientError::Api(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{request:?} is answered"),
    };
    let of = |query: &str| ExportRequest { query: query.into(), ..ExportRequest::default() };
    assert_eq!(refused(of("eventName:")).kind, ErrorKind::BadQuery);
    assert_eq!(refused(of("noSuchField:x")).kind, ErrorKind::UnknownField);
    let limit = Some(10_001);
    assert_eq!(refused(ExportRequest { limit, ..of("*") }).kind, ErrorKind::BadRequest);
    assert!(exported(&daemon, &of("eventName:NoSuchName")).is_empty());
    daemon.stop();
}

#[test]
fn an_export_and_a_tail_tell_how_the_query_was_taken() {
    let (place, daemon, _) = indexed(300);
    let query = "not eventName:getobject OR eventName:NoSuchName";
    let asked = |query: &str| {
        let request = SearchRequest { query: query.into(), limit: Some(300), ..Default::default() };
        daemon.client.search(&request).unwrap().warnings
    };
    let warnings = asked(query);
    assert!(warnings[0].starts_with("'not' at byte 0 was taken"), "{warnings:?}");
    let export = |query: &str, limit| {
        let request = ExportRequest { query: query.into(), limit, ..ExportRequest::default() };
        daemon.client.export(&request).unwrap().warnings
    };
    for limit in [None, Some(10)] {
        assert_eq!(export(query, limit), warnings, "{limit:?}");
    }
    for stages in ["| count by eventName", "| sort eventName", "| fields eventName"] {
        let query = format!("{query} {stages}");
        assert_eq!(export(&query, None), asked(&query), "{query}");
    }
    let tail = |q: &str| TailRequest { q: q.to_owned(), cursor: None };
    assert_eq!(daemon.client.tail(&tail(query)).unwrap().warnings, warnings);
    // Nothing is in doubt.
    assert_eq!(export("NOT eventName:GetObject", None), Vec::<String>::new());
    assert_eq!(daemon.client.tail(&tail("*")).unwrap().warnings, Vec::<String>::new());

    let mut command = common::traildex();
    command.args(["export", query, "--output"]).arg(place.path("x.csv"));
    let ran = common::Ran::from(command.arg("--socket").arg(place.socket()).output().unwrap());
    let told = format!("warning: {}\n", warnings[0]);
    assert_eq!((ran.code, ran.stderr.matches(&told).count()), (0, 1), "{}", ran.stderr);
    let mut command = common::traildex();
    command.args(["tail", query, "--socket"]).arg(place.socket());
    let mut tail = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(tail.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, told);
    tail.kill().unwrap();
    tail.wait().unwrap();
    daemon.stop();
}

#[test]
fn an_export_does_not_tell_where_its_pages_end() {
    let place = Place::new();
    // Two pages of 16 MiB.
    let record = |n: usize| {
        let text = "x".repeat(200 << 10);
        format!(
            "{{\"eventID\":\"e{n}\",\"eventTime\":\"2024-05-06T07:08:09Z\",\"errorMessage\":\"{text}\"}}"
        )
    };
    let records: Vec<String> = (0..150).map(record).collect();
    let file = format!("{{\"Records\":[{}]}}", records.join(","));
    fs::write(place.archive().join("large.json"), file).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, 150);
    let request = ExportRequest::default();
    assert_eq!(daemon.client.export(&request).unwrap().warnings, Vec::<String>::new());
    let request = ExportRequest { limit: Some(150), ..request };
    let [told] = &daemon.client.export(&request).unwrap().warnings[..] else { panic!() };
    assert!(told.contains("of 150 events are given"), "{told}");
    assert_eq!(exported(&daemon, &ExportRequest::default()).split(|b| *b == b'\n').count(), 151);
    daemon.stop();
}

#[test]
fn the_command_goes_on_where_it_was_interrupted() {
    let (place, daemon, indexed) = indexed(events().max(25_000));
    let output = place.path("all.ndjson");
    let export = |query: &str| {
        let mut command = common::traildex();
        command.args(["export", query, "--socket"]).arg(place.socket());
        command.arg("--output").arg(&output);
        command
    };
    let resume = place.path("all.ndjson.resume");
    for signal in [Signal::KILL, Signal::INT, Signal::TERM] {
        let before = fs::read(&resume).ok();
        let mut interrupted = export("*").spawn().unwrap();
        let mut is_further = || output.exists() || fs::read(&resume).ok() != before;
        common::wait_until(PATIENCE_BULK, "a part", &mut is_further);
        // It may have ended.
        let _ = kill_process(Pid::from_child(&interrupted), signal);
        interrupted.wait().unwrap();
    }
    if !output.exists() {
        // Another query would be mixed with it.
        assert_eq!(export("eventName:Decrypt").status().unwrap().code(), Some(4));
        // What was written behind the last part is written again.
        let mut partial =
            fs::OpenOptions::new().append(true).open(place.path("all.ndjson.partial")).unwrap();
        partial.write_all(b"{\"half\":").unwrap();
        let mut last = export("*").stderr(Stdio::piped()).spawn().unwrap();
        let mut own_kb = 0;
        while last.try_wait().unwrap().is_none() {
            own_kb = own_kb.max(daemon.own_kb());
            thread::sleep(Duration::from_millis(100));
        }
        let ran = common::Ran::from(last.wait_with_output().unwrap());
        assert!(ran.stderr.contains("continuing"), "{}", ran.stderr);
        println!("{indexed} events exported; the daemon had {own_kb} KB of its own at most");
        assert!(own_kb < OWN_KB_MAX, "{own_kb} KB");
    }
    let archive = Lines::of_archive(&place.archive());
    assert_eq!(archive.count, indexed);
    assert_eq!(Lines::of_file(&output), archive);
    assert!(!resume.exists() && !place.path("all.ndjson.partial").exists());
    let nothing = common::run(&[
        "export",
        "eventName:NoSuchName",
        "--socket",
        place.socket().to_str().unwrap(),
    ]);
    assert_eq!((nothing.code, nothing.stdout.as_str()), (1, ""));
    daemon.stop();
}
