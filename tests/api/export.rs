//! Exports: everything that a query finds, in each format, equal to the archive, however large.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use bench::generate::{GenerateOptions, generate};
use client::ClientError;
use rustix::process::{Pid, Signal, kill_process};
use wire::{ErrorKind, ExportFormat, ExportRequest, Order};
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
    let error = refused(of("* | sort eventName"));
    assert!(error.message.contains("10000 events"), "{error}");
    assert!(refused(of("* | dedup eventID")).message.contains("10000 events"));
    assert!(exported(&daemon, &of("eventName:NoSuchName")).is_empty());
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
