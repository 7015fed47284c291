//! Tables that are named to an import, in the real program. `tests/data/tables` has what other programs
//! wrote of some records, and the records.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use wire::{FileState, FilesRequest, Hit};

use crate::common::{Daemon, PATIENCE, Place, Ran, run, wait_until};

fn table(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tables").join(name)
}

/// The records as lines.
fn originals() -> Vec<String> {
    let text = fs::read_to_string(table("records.ndjson")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn import(place: &Place, paths: &[PathBuf]) -> Ran {
    let data_dir = place.data_dir();
    let mut args = vec!["import", "--data-dir", data_dir.to_str().unwrap()];
    args.extend(paths.iter().map(|path| path.to_str().unwrap()));
    let ran = run(&args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    ran
}

fn hits(daemon: &Daemon, id: &str) -> Vec<Hit> {
    daemon.find(&format!("eventID:\"{id}\"")).hits
}

fn id_of(record: &str) -> String {
    let record: Value = serde_json::from_str(record).unwrap();
    record["eventID"].as_str().unwrap().to_owned()
}

#[test]
fn a_cell_that_holds_a_record_is_that_record_byte_for_byte() {
    let place = Place::new();
    let ran = import(&place, &["lake.csv.gz", "insights.csv", "raw.parquet"].map(table));
    assert!(ran.stderr.contains("40 events from 3 files"), "{}", ran.stderr);
    assert!(ran.stderr.contains("80 duplicates"), "{}", ran.stderr);
    let daemon = place.start();
    assert_eq!(daemon.count("*"), 40);
    for (n, record) in originals().iter().enumerate() {
        let hits = hits(&daemon, &id_of(record));
        let [hit] = hits.as_slice() else { panic!("{hits:?}") };
        assert_eq!(hit.event.get(), record);
        assert_eq!(hit.meta.flags, ["table"]);
        assert_eq!(hit.meta.row, Some(n as u64 + 1));
        let column = match hit.meta.file.rsplit('/').next().unwrap() {
            "lake.csv.gz" => 4,
            "insights.csv" => 2,
            _ => 1,
        };
        assert_eq!(hit.meta.column, Some(column), "{}", hit.meta.file);
    }
    let id = id_of(&originals()[4]);
    let socket = daemon.socket.clone();
    let shown = run(&["event", &id, "--socket", socket.to_str().unwrap()]);
    assert!(shown.stdout.contains(", row 5, column "), "{}", shown.stdout);
    for name in ["lake.csv.gz", "raw.parquet"] {
        let file = daemon.file(name);
        assert_eq!((file.state, file.reading.records), (FileState::Indexed, 40), "{name}");
        assert_eq!(file.reading.flags, ["table"], "{name}");
        assert_eq!(file.reading.sha256.map(|hash| hash.len()), Some(64), "{name}");
    }
}

#[test]
fn a_record_as_delivered_wins_over_one_that_was_put_together() {
    for paths in [["records.ndjson", "athena.csv"], ["athena.csv", "records.ndjson"]] {
        let place = Place::new();
        let ran = import(&place, &paths.map(table));
        assert!(ran.stderr.contains("40 events from 2 files"), "{}", ran.stderr);
        assert!(ran.stderr.contains("40 duplicates"), "{}", ran.stderr);
        let ran = import(&place, &["lake-duckdb.parquet", "event-history.csv"].map(table));
        assert!(ran.stderr.contains("80 duplicates"), "{}", ran.stderr);
        let daemon = place.start();
        assert_eq!(daemon.count("*"), 40);
        for record in originals() {
            let hits = hits(&daemon, &id_of(&record));
            assert_eq!(hits[0].event.get(), record);
            assert!(hits[0].meta.flags.is_empty(), "{:?}", hits[0].meta.flags);
        }
    }
}

/// Nothing that was indexed is changed, so the one that was put together stays. Both say so.
#[test]
fn one_that_was_put_together_does_not_hide_the_record_that_comes_later() {
    let place = Place::new();
    import(&place, &["athena-snappy.parquet", "lake-zstd.parquet"].map(table));
    import(&place, &[table("event-history.csv")]);
    let ran = import(&place, &[table("records.ndjson")]);
    assert!(
        ran.stderr.contains("40 events added that share account and eventID"),
        "{}",
        ran.stderr
    );
    // The places and flags are in the index, not in the records.
    let data_dir = place.data_dir();
    let remake =
        ["rebuild", "--offline", "--from-records", "--data-dir", data_dir.to_str().unwrap()];
    assert_eq!(run(&remake).code, 0);
    let daemon = place.start();
    assert_eq!(daemon.count("*"), 80);
    for (n, record) in originals().iter().enumerate() {
        let mut hits = hits(&daemon, &id_of(record));
        hits.sort_by_key(|hit| hit.meta.flags.len());
        let [delivered, put_together] = hits.as_slice() else { panic!("{hits:?}") };
        assert_eq!(delivered.event.get(), record);
        assert_eq!(delivered.meta.flags, ["id-conflict"]);
        assert_eq!(put_together.meta.flags, ["id-conflict", "table", "reconstructed"]);
        assert_eq!((put_together.meta.row, put_together.meta.column), (Some(n as u64 + 1), None));
        assert_eq!(put_together.meta.actor, delivered.meta.actor, "{n}");
        assert_eq!(put_together.meta.time, delivered.meta.time, "{n}");
    }
    assert!(daemon.verified().problems.is_empty());
}

#[test]
fn a_table_is_read_only_where_it_is_named() {
    let place = Place::new();
    for name in ["athena.csv", "lake.csv.gz", "raw.parquet"] {
        fs::copy(table(name), place.archive().join(name)).unwrap();
    }
    fs::copy(table("records.ndjson"), place.archive().join("records.ndjson")).unwrap();
    let ran = import(&place, &[place.archive()]);
    assert!(ran.stderr.contains("40 events from 1 file"), "{}", ran.stderr);
    for name in ["athena.csv", "lake.csv.gz", "raw.parquet"] {
        assert!(ran.stderr.contains(&format!("{name}: a table, which")), "{}", ran.stderr);
    }
    let daemon = place.start();
    let request = FilesRequest { state: Some(FileState::Ignored), ..FilesRequest::default() };
    // They are told once a scan has met them.
    wait_until(PATIENCE, "the tables are ignored", || daemon.files(&request).total == 3);
    assert_eq!(daemon.count("*"), 40);
}

#[test]
fn what_is_wrong_in_a_table_is_told_with_row_and_column() {
    let place = Place::new();
    let bad = place.path("bad.csv");
    let good = r#"{""eventVersion"":""1.08"",""eventName"":""A"",""eventID"":""e-1""}"#;
    let broken = r#"{""eventName"":nonsense}"#;
    fs::write(&bad, format!("n,eventJson\n1,\"{good}\"\n2,\"{broken}\"\n3,none\n4,\"{good}\",5\n"))
        .unwrap();
    let other = place.path("other.csv");
    fs::write(&other, "id,name\n1,x\n").unwrap();
    let cut = place.path("cut.parquet");
    let whole = fs::read(table("raw.parquet")).unwrap();
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    import(&place, &[bad, other, cut]);
    let daemon = place.start();
    assert_eq!(daemon.count("*"), 1);
    let reasons = |name: &str| -> Vec<String> {
        let file = daemon.file(name);
        file.reading.rejects.into_iter().map(|reject| reject.reason).collect()
    };
    let told = reasons("bad.csv");
    assert!(told[0].starts_with("row 2, column eventJson, byte 13: "), "{told:?}");
    assert!(told[1].starts_with("row 3, column eventJson, byte 0: "), "{told:?}");
    assert!(told[2].starts_with("row 4: the row that begins at byte "), "{told:?}");
    assert_eq!(told.len(), 3);
    assert!(
        reasons("other.csv")[0].contains("eventTime, eventSource, eventName; its columns are id")
    );
    assert_eq!(daemon.file("other.csv").state, FileState::Rejected);
    assert!(reasons("cut.parquet")[0].contains("cut off"), "{:?}", reasons("cut.parquet"));
    let socket = daemon.socket.clone();
    let shown = run(&["files", "--path", "bad.csv", "--socket", socket.to_str().unwrap()]);
    assert!(
        shown.stdout.contains('\n') && shown.stdout.contains("row 2, column eventJson, byte 13")
    );
}
