//! Exports: everything that a query finds, in each format, equal to the archive, however large.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Daemon, PATIENCE_BULK, Place, records_below};
use traildex::api::client::ClientError;
use traildex::api::proto::{ErrorKind, ExportFormat, ExportRequest, Order};
use traildex::bench::generate::{GenerateOptions, generate};

/// `TRAILDEX_EXPORT_EVENTS` for the long form.
fn events() -> u64 {
    std::env::var("TRAILDEX_EXPORT_EVENTS").map_or(12_000, |text| text.parse().unwrap())
}

fn indexed(events: u64) -> (Place, Daemon, u64) {
    let place = Place::new();
    let options = GenerateOptions { events, ..GenerateOptions::default() };
    generate(&options, &place.archive()).unwrap();
    let daemon = place.start();
    daemon.wait_for(PATIENCE_BULK, "all", |s| s.files.pending == 0 && s.events.indexed > 0);
    let indexed = daemon.status().events.indexed;
    (place, daemon, indexed)
}

fn exported(daemon: &Daemon, request: &ExportRequest) -> (Vec<u8>, Option<String>) {
    let mut answer = daemon.client.export(request).unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().unwrap() {
        bytes.extend(chunk);
    }
    (bytes, answer.cursor)
}

/// Each line, and how often it is there.
fn lines(text: &[u8]) -> BTreeMap<String, u64> {
    let mut lines = BTreeMap::new();
    for line in std::str::from_utf8(text).unwrap().lines() {
        *lines.entry(line.to_owned()).or_insert(0) += 1;
    }
    lines
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
    let (whole, cursor) = exported(&daemon, &ExportRequest::default());
    assert_eq!(cursor, None);
    let found = lines(&whole);
    let archive: BTreeMap<String, u64> =
        records_below(&place.archive()).into_iter().map(|record| (record.raw, 1)).collect();
    assert_eq!(found.len() as u64, indexed);
    assert_eq!(found, archive);

    let mut parts = Vec::new();
    let mut request =
        ExportRequest { limit: Some(1_700), order: Order::Oldest, ..ExportRequest::default() };
    let mut count = 0;
    loop {
        let (part, cursor) = exported(&daemon, &request);
        parts.extend(part);
        count += 1;
        if cursor.is_none() {
            break;
        }
        request.cursor = cursor;
    }
    assert_eq!(count, indexed.div_ceil(1_700));
    assert_eq!(lines(&parts), found);
    daemon.stop();
}

#[test]
fn csv_and_parquet_say_the_same() {
    let (place, daemon, indexed) = indexed(3_000);
    let export = |format, query: &str, name: &str| {
        let request = ExportRequest { format, query: query.into(), ..ExportRequest::default() };
        let file = place.path(name);
        fs::write(&file, exported(&daemon, &request).0).unwrap();
        file
    };
    let summary = "import duckdb, sys; print(duckdb.sql(f\"select count(*), count(distinct id), \
                   min(time), max(time), sum(\\\"offset\\\"::bigint), count(error) from '{sys.argv[1]}'\").fetchall())";
    let csv = export(ExportFormat::Csv, "*", "all.csv");
    let parquet = export(ExportFormat::Parquet, "*", "all.parquet");
    let of_parquet = python(summary, &parquet);
    assert!(of_parquet.starts_with(&format!("[({indexed}, {indexed}, ")), "{of_parquet}");
    let summary = summary.replace(
        "min(time), max(time)",
        "strftime(min(time), '%Y-%m-%dT%H:%M:%SZ'), strftime(max(time), '%Y-%m-%dT%H:%M:%SZ')",
    );
    assert_eq!(python(&summary, &csv), of_parquet);
    let records = "import duckdb, sys, json; rows = duckdb.sql(f\"select id, record from '{sys.argv[1]}'\").fetchall(); \
                   assert all(json.loads(r)['eventID'] == i for i, r in rows); print(len(rows))";
    assert_eq!(python(records, &parquet).trim(), indexed.to_string());

    // Rows of groups keep their numbers.
    let table =
        export(ExportFormat::Parquet, "count by eventName | sort count desc", "names.parquet");
    let sum = "import duckdb, sys; print(duckdb.sql(f\"select sum(\\\"count\\\"), typeof(any_value(\\\"count\\\")) from '{sys.argv[1]}'\").fetchall())";
    assert_eq!(python(sum, &table).trim(), format!("[({indexed}, 'BIGINT')]"));
    // Events' fields come in pages.
    let fields = export(ExportFormat::Csv, "* | fields eventID, eventName", "fields.csv");
    let text = fs::read_to_string(&fields).unwrap();
    assert_eq!(text.lines().next(), Some("eventID,eventName"));
    assert_eq!(text.lines().count() as u64, indexed + 1);
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
    let error = refused(of("count by eventID"));
    assert!(error.message.contains("rows"), "{error}");
    let (all, _) = exported(&daemon, &of("eventName:NoSuchName"));
    assert!(all.is_empty());
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
    let mut interrupted = export("*").spawn().unwrap();
    common::wait_until(PATIENCE_BULK, "a part", || resume.exists() || output.exists());
    interrupted.kill().unwrap();
    interrupted.wait().unwrap();
    if !output.exists() {
        // Another query would be mixed with it.
        assert_eq!(export("eventName:Decrypt").status().unwrap().code(), Some(4));
        // What was written behind the last part is written again.
        let mut partial =
            fs::OpenOptions::new().append(true).open(place.path("all.ndjson.partial")).unwrap();
        std::io::Write::write_all(&mut partial, b"{\"half\":").unwrap();
        let ran = common::Ran::from(export("*").output().unwrap());
        assert!(ran.stderr.contains("continuing"), "{}", ran.stderr);
    }
    let found = lines(&fs::read(&output).unwrap());
    assert_eq!(found.len() as u64, indexed);
    let archive: BTreeMap<String, u64> =
        records_below(&place.archive()).into_iter().map(|record| (record.raw, 1)).collect();
    assert!(found == archive, "lines that are not the archive's");
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
