//! Tables in memory, and the tables of `tests/data/tables`, which other programs wrote; whole, cut off
//! and damaged.

use std::convert::Infallible;
use std::io::Write;
use std::path::PathBuf;

use serde_json::Value;

use super::*;

/// Memory for a Parquet file in these tests.
const BYTES_MAX: usize = 64 << 20;

/// What a table came to.
#[derive(Debug, Default)]
struct Read {
    /// Row, column and text of cells that hold records.
    whole: Vec<(u64, u32, String)>,
    /// Row, record and doubt of those that were put together.
    rebuilt: Vec<(u64, Value, Doubt)>,
    /// Row, column's name and reason.
    rejects: Vec<(u64, String, String)>,
}

impl Sink for Read {
    type Error = Infallible;

    fn record(&mut self, place: Place<'_>, record: Record<'_>) -> Result<(), Infallible> {
        match record {
            Record::Whole(text) => {
                let text = String::from_utf8_lossy(text).into_owned();
                self.whole.push((place.row, place.column, text));
            }
            Record::Rebuilt { json, doubt } => {
                let json = String::from_utf8_lossy(json);
                self.rebuilt.push((place.row, serde_json::from_str(&json).unwrap(), doubt));
            }
        }
        Ok(())
    }

    fn reject(&mut self, place: Place<'_>, reason: &str) {
        self.rejects.push((place.row, place.name.to_owned(), reason.to_owned()));
    }
}

fn csv(text: &str) -> Read {
    let mut read = Read::default();
    let Ok(()) = read_csv(text.as_bytes(), &mut read);
    read
}

fn data(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/tables");
    std::fs::read(folder.join(name)).unwrap()
}

fn parquet(bytes: &[u8]) -> Read {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    let mut read = Read::default();
    let Ok(()) = read_parquet(&Arc::new(file), BYTES_MAX, &mut read);
    read
}

fn originals() -> Vec<Value> {
    let text = String::from_utf8(data("records.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_row_is_put_together_of_the_columns_that_are_documented() {
    let read = csv(
        "eventtime,eventsource,eventname,useridentity,requestparameters,readonly,errorcode,year,tlsdetails\n\
         2024-05-06T07:08:09Z,s3.amazonaws.com,GetObject,\"{type=IAMUser, username=alice}\",\"{\"\"n\"\":1.0}\",true,,2024,null\n",
    );
    assert_eq!(read.rejects, []);
    let (row, record, doubt) = &read.rebuilt[0];
    let expected = serde_json::json!({
        "eventTime": "2024-05-06T07:08:09Z", "eventSource": "s3.amazonaws.com",
        "eventName": "GetObject", "userIdentity": {"type": "IAMUser", "userName": "alice"},
        "requestParameters": {"n": 1.0}, "readOnly": true, "year": "2024"
    });
    assert_eq!((*row, record, *doubt), (1, &expected, Doubt::default()));
}

#[test]
fn what_reads_in_several_ways_stays_a_text() {
    let read = csv("eventtime,eventsource,eventname,useridentity,requestparameters\n\
         t,s,n,\"{type=IAMUser, username=a, x=1}\",\"{a=b, c=d}\"\n");
    let (_, record, doubt) = &read.rebuilt[0];
    assert_eq!(record["userIdentity"], "{type=IAMUser, username=a, x=1}");
    assert_eq!(record["requestParameters"], serde_json::json!({"a": "b", "c": "d"}));
    assert!(doubt.is_ambiguous && doubt.has_map_text);
}

#[test]
fn a_column_of_whole_records_is_found_by_name_and_by_content() {
    let record =
        r#"{"eventVersion":"1.08","eventName":"A, \"b\"","eventSource":"s","eventTime":"t"}"#;
    let quoted = format!("\"{}\"", record.replace('"', "\"\""));
    for (text, place) in [
        (format!("eventID,eventJson\n1,{quoted}\n"), (1, 2)),
        (format!("@timestamp,@message\nt,{quoted}\n"), (1, 2)),
        (format!("whatever\n{quoted}\n"), (1, 1)),
        (format!("\u{feff}_raw;n\r\n{quoted};1\r\n"), (1, 1)),
        (format!("{quoted}\n"), (1, 1)),
        (format!("eventtime,eventsource,eventname,eventjson\nt,s,n,{quoted}\n"), (1, 4)),
        (
            format!("EventId,EventName,EventTime,EventSource,CloudTrailEvent\ni,n,t,s,{quoted}\n"),
            (1, 5),
        ),
    ] {
        let read = csv(&text);
        assert_eq!(read.whole, [(place.0, place.1, record.to_owned())], "{text}");
        assert_eq!(read.rejects, [], "{text}");
    }
    let read = csv("eventtime,eventsource,eventname,eventjson\nt,s,n,\n");
    assert_eq!(read.rebuilt.len(), 1, "where the record is missing, the columns are there");
    let params = "eventtime,eventsource,eventname,requestparameters\nt,s,n,\"{\"\"eventName\"\":1,\"\"eventTime\"\":2,\"\"eventID\"\":3}\"\n";
    assert_eq!(csv(params).rebuilt.len(), 1, "what a caller chose is no record");
}

#[test]
fn another_table_is_rejected_with_what_it_lacks() {
    for (text, lacking) in [
        ("id,name\n1,x\n", "eventTime, eventSource, eventName"),
        ("id,event_name,Event time\n", "eventSource"),
    ] {
        let read = csv(text);
        let (row, _, reason) = &read.rejects[0];
        assert_eq!((*row, read.rejects.len()), (0, 1), "{text}");
        assert!(reason.contains(&format!("the columns {lacking};")), "{reason}");
    }
    assert!(csv("").rejects.is_empty());
    assert!(csv("eventtime,eventsource,eventname\n").rejects.is_empty());
}

#[test]
fn a_bad_row_costs_itself() {
    let read = csv(
        "eventtime,eventsource,eventname\na,b,c\na,b\na,b,c,d\n,null,\na,b,c\na,b,\"c\na,b,c\n",
    );
    assert_eq!(read.rebuilt.iter().map(|(row, ..)| *row).collect::<Vec<_>>(), [1, 5]);
    let rejects: Vec<(u64, &str)> = read.rejects.iter().map(|(n, _, why)| (*n, &**why)).collect();
    assert!(
        rejects[0].1.contains("at byte 38: it has 2 cells, and the header has 3"),
        "{rejects:?}"
    );
    assert_eq!(rejects.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [2, 3, 4, 6]);
    assert!(rejects[3].1.contains("a quote that is not closed"), "{rejects:?}");
    let long = format!("eventtime,eventsource,eventname\na,b,{}\na,b,c\n", "x".repeat(17 << 20));
    let read = csv(&long);
    assert_eq!((read.rebuilt.len(), read.rejects.len()), (1, 1));
    let wide = format!("{}\n", ",".repeat(600));
    assert!(csv(&wide).rejects[0].2.contains("511 cells"));
}

/// Compares what was read with the records, member by member. What a map holds is text, and so may be
/// JSON; what the table has no column for is missing.
fn compare(name: &str, read: &Value, original: &Value, path: &str) {
    match (read, original) {
        (Value::Object(members), Value::Object(originals)) => {
            for (member, value) in members {
                let path = format!("{path}.{member}");
                let original = originals.get(member).unwrap_or_else(|| panic!("{name}{path}"));
                compare(name, value, original, &path);
            }
        }
        (Value::Array(values), Value::Array(originals)) => {
            assert_eq!(values.len(), originals.len(), "{name}{path}");
            for (value, original) in values.iter().zip(originals) {
                compare(name, value, original, path);
            }
        }
        (Value::String(text), original) if !original.is_string() => {
            let value: Value =
                serde_json::from_str(text).unwrap_or_else(|_| panic!("{name}{path}"));
            assert_eq!(&value, original, "{name}{path}");
        }
        _ => assert_eq!(read, original, "{name}{path}"),
    }
}

#[test]
fn tables_of_other_programs_say_what_the_records_say() {
    let originals = originals();
    for name in [
        "athena.csv",
        "athena-snappy.parquet",
        "athena-gzip-v2.parquet",
        "lake-zstd.parquet",
        "lake-duckdb.parquet",
    ] {
        let bytes = data(name);
        let read = match name {
            "athena.csv" => csv(std::str::from_utf8(&bytes).unwrap()),
            _ => parquet(&bytes),
        };
        assert_eq!(read.rejects, [], "{name}");
        assert_eq!(read.rebuilt.len(), originals.len(), "{name}");
        for (n, ((row, record, doubt), original)) in read.rebuilt.iter().zip(&originals).enumerate()
        {
            assert_eq!((*row, *doubt), (n as u64 + 1, Doubt::default()), "{name}");
            compare(name, record, original, "");
            // Whatever it has a column for, and the record a value, is there.
            for path in [
                "/eventID",
                "/eventTime",
                "/eventName",
                "/sourceIPAddress",
                "/userAgent",
                "/errorCode",
                "/recipientAccountId",
                "/readOnly",
                "/userIdentity/arn",
                "/userIdentity/accessKeyId",
                "/userIdentity/sessionContext/sessionIssuer/userName",
                "/userIdentity/sessionContext/attributes/mfaAuthenticated",
                "/tlsDetails/tlsVersion",
                "/resources/0/ARN",
            ] {
                let has = |value: &Value| value.pointer(path).is_some_and(|value| !value.is_null());
                assert_eq!(has(record), has(original), "{name} {n} {path}");
            }
            for member in ["requestParameters", "responseElements"] {
                let count = |value: &Value| {
                    let members = value[member].as_object();
                    members.map_or(0, |members| members.values().filter(|v| !v.is_null()).count())
                };
                assert_eq!(count(record), count(original), "{name} {n} {member}");
            }
        }
    }
    let read = parquet(&data("raw.parquet"));
    let text = String::from_utf8(data("records.ndjson")).unwrap();
    assert!(read.whole.iter().map(|(_, _, record)| record.as_str()).eq(text.lines()));
}

#[test]
fn a_list_that_would_take_all_memory_costs_its_row() {
    let read = parquet(&data("long-list.parquet"));
    assert_eq!(read.rejects.len(), 1, "{:?}", read.rejects);
    assert!(read.rejects[0].2.contains("more than 16777216 bytes"), "{:?}", read.rejects);
    assert_eq!(read.rebuilt.iter().map(|(row, ..)| *row).collect::<Vec<_>>(), [2]);
}

#[test]
fn pages_that_take_more_memory_than_there_is_are_refused() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&data("lake-zstd.parquet")).unwrap();
    let mut read = Read::default();
    let Ok(()) = read_parquet(&Arc::new(file), 20_000, &mut read);
    assert!(read.rebuilt.is_empty());
    assert!(read.rejects[0].2.contains("20000 bytes of memory"), "{:?}", read.rejects);
}

/// Cut off and with wrong bytes at places drawn from a seed, a file is read or rejected, and takes neither
/// much memory nor the process.
#[test]
fn damaged_parquet_files_cost_themselves() {
    let quiet = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut seed = 19_u64;
    let mut below = |bound: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % bound
    };
    for name in ["athena-snappy.parquet", "athena-gzip-v2.parquet", "lake-zstd.parquet"] {
        let bytes = data(name);
        for n in 0..60 {
            let mut damaged = bytes.clone();
            for _ in 0..=n % 4 {
                // The footer is at the end, and says most.
                let at =
                    if n % 2 == 0 { below(bytes.len()) } else { bytes.len() - 1 - below(8_000) };
                damaged[at] = below(256) as u8;
            }
            let read = parquet(&damaged);
            assert!(
                read.rebuilt.len() + read.whole.len() <= 40 || !read.rejects.is_empty(),
                "{name} {n}"
            );
            let cut = parquet(&bytes[..below(bytes.len())]);
            assert_eq!(cut.rejects.len(), 1, "{name} {n}");
        }
    }
    std::panic::set_hook(quiet);
}

#[test]
fn a_name_or_a_beginning_tells_what_a_file_is() {
    for name in ["a.csv", "A.CSV", "a.csv.gz", "b.tsv.zst"] {
        assert_eq!(Kind::of(name, b"eventName"), Some(Kind::Csv), "{name}");
    }
    assert_eq!(Kind::of("a.parquet", b""), Some(Kind::Parquet));
    assert_eq!(Kind::of("20240506_000000_00000_abcde", b"PAR1"), Some(Kind::Parquet));
    for name in ["a.json.gz", "csv", "a.csv.metadata", "000000.gz"] {
        assert_eq!(Kind::of(name, b"\x1f\x8b"), None, "{name}");
    }
}
