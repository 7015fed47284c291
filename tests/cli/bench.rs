//! `traildex bench`, on a small archive: what it measures is there, and can be compared with.

use std::fs;

use bench::generate::{GenerateOptions, generate};
use serde_json::Value;

use crate::common::{self, Place, Ran, traildex};

const EVENTS: u64 = 5_000;

fn place() -> Place {
    let place = Place::new();
    generate(
        &GenerateOptions { events: EVENTS, days: 3, ..GenerateOptions::default() },
        &place.archive(),
    )
    .unwrap();
    place
}

fn bench(args: &[&str]) -> Ran {
    let ran: Ran =
        traildex().args(["bench", "--seconds", "0.05"]).args(args).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}

#[test]
fn an_archive_is_measured_and_compared_with_an_earlier_result() {
    let place = place();
    let archive = place.archive();
    let archive = archive.to_str().unwrap();
    let ran = bench(&[archive, "--format", "json"]);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(report["events"], EVENTS);
    let ingest = &report["ingest"];
    assert_eq!(ingest["events"], EVENTS);
    for measured in ["wall_s", "cpu_s", "peak_resident_bytes", "raw_bytes", "read_bytes"] {
        assert!(ingest[measured].as_f64().unwrap() > 0.0, "{measured}: {ingest}");
    }
    for part in ["reading", "building", "finishing", "committing"] {
        assert!(ingest["busy_s"][part].as_f64().unwrap() > 0.0, "{part}: {ingest}");
    }
    for part in ["records", "words and values", "postings", "columns", "keys", "ledger"] {
        assert!(ingest["index_bytes"][part].as_u64().unwrap() > 0, "{part}: {ingest}");
    }
    let queries = report["queries"].as_array().unwrap();
    assert!(queries.len() >= 20, "{queries:#?}");
    for query in queries {
        let of = |name: &str| query[name].as_f64().unwrap();
        assert!(of("cold_ms") > 0.0 && of("requests") >= 20.0, "{query}");
        assert!(of("median_ms") > 0.0 && of("median_ms") <= of("p95_ms"), "{query}");
        assert!(of("p99_ms") <= of("p999_ms") && of("p999_ms") <= of("max_ms"), "{query}");
        let is_found = query["name"] != "no match";
        assert_eq!(of("matches") > 0.0, is_found, "{query}");
    }
    let before = place.path("before.json");
    fs::write(&before, &ran.stdout).unwrap();
    let ran = bench(&[archive, "--compare", before.to_str().unwrap()]);
    assert!(
        ran.stdout.contains("OF BEFORE") && ran.stdout.contains("of before)"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("newest 50 of all"), "{}", ran.stdout);
    let ran = traildex().args(["bench", "--plot"]).args([&before, &before]).output().unwrap();
    let ran: Ran = ran.into();
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stdout.starts_with("<svg ") && ran.stdout.ends_with("</svg>\n"), "{}", ran.stdout);
    let curves = ran.stdout.matches("<polyline").count();
    assert_eq!(curves, 2 + queries.len(), "load, index, queries: {}", ran.stdout);
}

#[test]
fn queries_of_a_file_are_asked_of_a_daemon_that_runs() {
    let place = place();
    let daemon = place.start();
    daemon.wait_indexed(common::PATIENCE, EVENTS);
    let queries = place.path("queries");
    fs::write(&queries, "# two\nerrorCode:*\ntop 3 actor\n").unwrap();
    let socket = place.socket();
    let against = ["--against", socket.to_str().unwrap(), "--queries", queries.to_str().unwrap()];
    let ran =
        bench(&[&against[..], &["--format", "json", "--rate", "500", "--clients", "3"]].concat());
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(report["ingest"].is_null() && report["start"].is_null(), "{report}");
    let names: Vec<_> = report["queries"].as_array().unwrap().iter().map(|q| &q["query"]).collect();
    assert_eq!(names, ["errorCode:*", "top 3 actor"]);
    assert_eq!(report["queries"][0]["rate_per_s"], 500.0);
    daemon.stop();
}
