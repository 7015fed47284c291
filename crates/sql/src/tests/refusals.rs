//! What is refused, and in which words; bounds; commits that come in.

use std::time::Duration;

use super::index::Index;
use super::{lines, options, refused, rows_with};
use crate::SqlError;
use crate::session::{Database, Options};

fn record(n: usize) -> String {
    format!(
        r#"{{"eventTime":"2023-07-10T10:{:02}:{:02}Z","eventName":"Call{}","eventSource":"s3.amazonaws.com","eventID":"e{n}","requestParameters":{{"n":{n}}}}}"#,
        n / 60 % 60,
        n % 60,
        n % 7
    )
}

fn index(count: usize) -> Index {
    Index::of(&(0..count).map(record).collect::<Vec<_>>(), 500)
}

#[test]
fn nothing_is_written() {
    let index = index(3);
    for sql in [
        "CREATE TABLE t AS SELECT 1",
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        "CREATE VIEW v AS SELECT 1",
        "DROP TABLE cloudtrail",
        "INSERT INTO cloudtrail SELECT * FROM cloudtrail",
        "DELETE FROM cloudtrail",
        "UPDATE cloudtrail SET eventname = 'x'",
        "COPY cloudtrail TO '/tmp/x.csv'",
        "COPY (SELECT 1) TO '/tmp/x.csv'",
        "SET datafusion.execution.batch_size = 1",
        "RESET datafusion.execution.batch_size",
        "EXPLAIN INSERT INTO cloudtrail SELECT * FROM cloudtrail",
        "EXPLAIN ANALYZE COPY cloudtrail TO '/tmp/x.csv'",
        "PREPARE p AS SELECT 1",
        "SELECT 1; SELECT 2",
        "",
    ] {
        let error = rows_with(&index, sql, options()).unwrap_err();
        assert!(matches!(error, SqlError::Statement(_)), "{sql}: {error}");
    }
    assert!(refused(&index, "SELECT * FROM '/etc/passwd'").contains("/etc/passwd"));
}

#[test]
fn mistakes_are_named() {
    let index = index(3);
    for (sql, words) in [
        ("SELECT nothing FROM cloudtrail", "nothing"),
        ("SELECT 1 FROM nowhere", "nowhere"),
        ("SELEC 1", "SELEC"),
        ("SELECT eventname FROM cloudtrail WHERE", ""),
        ("SELECT nofunction(1)", "nofunction"),
        ("SELECT regexp_like('a', '(')", "regular expression"),
        ("SELECT json_extract('{}', 'a')", "path of JSON"),
        ("SELECT date_diff('eon', now(), now())", "eon"),
        ("SELECT element_at(eventname, 1) FROM cloudtrail", "element_at"),
    ] {
        let error = rows_with(&index, sql, options()).unwrap_err();
        assert!(matches!(error, SqlError::Statement(_)), "{sql}: {error}");
        assert!(error.to_string().contains(words), "{sql}: {error}");
    }
}

#[test]
fn bounds_end_a_query_with_a_sentence() {
    let index = index(3_000);
    let short = Options { timeout: Duration::from_millis(300), ..options() };
    let endless = "SELECT count(*) FROM range(0, 10000000000) a, range(0, 100000) b WHERE a.value % 7 = b.value % 5";
    let error = rows_with(&index, endless, short.clone()).unwrap_err();
    assert!(error.to_string().contains("deadline"), "{error}");
    let error = rows_with(
        &index,
        "SELECT count(*) FROM cloudtrail a, cloudtrail b, cloudtrail c WHERE a.eventjson || b.eventjson LIKE '%x%'",
        short,
    );
    assert!(error.unwrap_err().to_string().contains("deadline"));
    let small = Options { memory_bytes: 1 << 20, spill_bytes: 0, ..options() };
    let error = rows_with(
        &index,
        "SELECT array_agg(a.eventjson || b.eventid) FROM cloudtrail a, cloudtrail b",
        small,
    );
    assert!(error.unwrap_err().to_string().contains("memory"));
    let long = format!("SELECT '{}'", "x".repeat(70_000));
    assert!(refused(&index, &long).contains("bytes"));
}

#[test]
fn what_does_not_fit_the_memory_goes_to_disk() {
    let index = index(3_000);
    let small = Options { memory_bytes: 3 << 20, ..options() };
    let sql = "SELECT a.eventid || b.eventid AS x FROM cloudtrail a JOIN cloudtrail b \
               ON a.requestparameters['n'] <> b.eventid AND b.eventid < 'e102' ORDER BY x DESC";
    let found = rows_with(&index, sql, small).unwrap();
    assert!(found.len() > 10_000, "{}", found.len());
}

#[test]
fn deep_and_long_conditions_are_no_harm() {
    let index = index(10);
    let long = (0..300).map(|n| format!("eventid='e{n}'")).collect::<Vec<_>>().join(" OR ");
    assert_eq!(lines(&index, &format!("SELECT count(*) FROM cloudtrail WHERE {long}")), ["10"]);
    let long = (0..300).map(|n| format!("eventid<>'x{n}'")).collect::<Vec<_>>().join(" AND ");
    assert_eq!(lines(&index, &format!("SELECT count(*) FROM cloudtrail WHERE {long}")), ["10"]);
    let deep = format!("SELECT {}1{}", "(".repeat(5_000), ")".repeat(5_000));
    assert!(rows_with(&index, &deep, options()).is_err());
    let sums = format!("SELECT {}1", "1+".repeat(10_000));
    let _ = rows_with(&index, &sums, options());
    let nots = format!("SELECT {}true", "NOT ".repeat(10_000));
    let _ = rows_with(&index, &nots, options());
}

#[test]
fn each_query_takes_the_newest_commit() {
    let mut index = index(1_200);
    let database = Database::open(index.path(), options()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_time().build().unwrap();
    let count = |database: &Database| {
        runtime.block_on(async {
            let mut answer = database.query("SELECT count(*) FROM cloudtrail").await.unwrap();
            let batch = answer.next().await.unwrap().unwrap();
            datafusion::common::cast::as_int64_array(batch.column(0)).unwrap().value(0)
        })
    };
    assert_eq!(count(&database), 1_200);
    let open = runtime.block_on(database.query("SELECT eventid FROM cloudtrail")).unwrap();
    index.commit(&(1_200..1_300).map(record).collect::<Vec<_>>());
    assert_eq!(count(&database), 1_300);
    // A query reads the commit that it began with.
    let mut answer = open;
    let mut rows = 0;
    while let Some(batch) = runtime.block_on(answer.next()).unwrap() {
        rows += batch.num_rows();
    }
    assert_eq!(rows, 1_200);
}

#[test]
fn damage_is_told() {
    let index = index(10);
    let (_dir, copy) = index.copied();
    let opened = Database::open(&copy, options());
    assert!(opened.is_ok());
    let segments = std::fs::read_dir(copy.join("segments")).unwrap();
    let largest = segments
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().len());
    let mut bytes = std::fs::read(largest.as_ref().unwrap()).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(largest.unwrap(), bytes).unwrap();
    let error = Database::open(&copy, options()).err().unwrap();
    assert!(matches!(error, SqlError::Failed(_)), "{error}");
    let nothing = tempfile::tempdir().unwrap();
    let error = Database::open(nothing.path(), options()).err().unwrap();
    assert!(error.to_string().contains("there is no index in"), "{error}");
}

#[test]
fn odd_records_are_rows() {
    let nested = format!("{}1{}", "[".repeat(250), "]".repeat(250));
    let records = [
        r#"{"eventID":"e0","eventName":"\ud800x","requestParameters":{"k\udc00":"a\ud83d"}}"#.to_owned(),
        format!(r#"{{"eventID":"e1","eventName":"B","requestParameters":{{"k":{nested}}}}}"#),
        r#"{"eventID":"e2","eventName":"C","requestParameters":{"n":123456789012345678901234567890,"m":1e999}}"#
            .to_owned(),
        "{\"eventID\":\"e3\",\"eventName\":\"D\",\"x\":\"a\tb\"}".to_owned(),
        r#"{"eventID":"e4","eventName":"E","userIdentity":{"type":"X",},"a":1,}"#.to_owned(),
    ];
    let index = Index::of(&records, 2);
    let found = rows_with(&index, "SELECT * FROM cloudtrail ORDER BY eventid", options()).unwrap();
    assert_eq!(found.len(), records.len());
    let names: Vec<&str> = found.iter().map(|row| row["eventname"].as_str().unwrap()).collect();
    assert_eq!(names[1..], ["B", "C", "D", "E"]);
    assert_eq!(found[4]["useridentity"]["type"], "X");
    let without = Options { uses_index: false, ..options() };
    let same = rows_with(&index, "SELECT * FROM cloudtrail ORDER BY eventid", without).unwrap();
    assert_eq!(found, same);
}
