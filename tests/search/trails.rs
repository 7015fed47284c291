//! Every folder of the sample trails, accounted for to the record: counts, values and bytes compared
//! with what `serde_json` and `flate2` find in the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::Value;
use wire::{FileCounts, FileState, FilesRequest, Hit};

use crate::common::{
    Daemon, PATIENCE, Place, Record, contents, escaped, files_below, records_below, sample,
};

/// What a folder must come to.
struct Expected {
    files: FileCounts,
    records: u64,
    repaired: u64,
    rejected: u64,
}

impl Expected {
    /// Records in so many files, all of them good.
    fn good(files: u64, records: u64) -> Self {
        let files = FileCounts { seen: files, indexed: files, ..FileCounts::default() };
        Self { files, records, repaired: 0, rejected: 0 }
    }
}

/// Starts a daemon on a sample trail, and checks all that must be true of any.
fn check(name: &str, expected: &Expected) -> Daemon {
    let dir = sample(name);
    // The files of a fresh clone are a minute old: their missing ends are not waited for.
    let daemon =
        Place::watching(std::slice::from_ref(&dir)).with("WATCH_UNFINISHED_S", "1").start();
    daemon.wait_indexed(PATIENCE, expected.records);
    daemon.wait_for(PATIENCE, "every file is read", |status| {
        status.files.seen == expected.files.seen && status.files.pending == 0
    });
    let status = daemon.status();
    assert_eq!(status.files, expected.files);
    assert_eq!(status.events.repaired, expected.repaired);
    assert_eq!(status.events.rejected, expected.rejected);
    assert!(status.is_ingesting && status.fault.is_none());

    let records = records_below(&dir);
    check_files(&daemon, &dir, &records);
    let (records, duplicates) = distinct(records);
    assert_eq!(status.events.duplicates, duplicates);
    assert_eq!(records.len() as u64, expected.records - expected.repaired);
    let hits = daemon.find("*").hits;
    assert_eq!(hits.len() as u64, expected.records);
    check_bytes(&hits, &records);
    check_values(&daemon, "eventName", &records, expected, |r| text_at(r, &["eventName"]));
    check_values(&daemon, "eventSource", &records, expected, |r| text_at(r, &["eventSource"]));
    let kind = |r: &Value| text_at(r, &["userIdentity", "type"]);
    check_values(&daemon, "userIdentity.type", &records, expected, kind);
    check_values(&daemon, "credential", &records, expected, |r| Some(credential(r).to_owned()));
    for hit in &hits {
        let json: Value = serde_json::from_str(hit.event.get()).unwrap();
        assert_eq!(hit.meta.credential, credential(&json), "{json:#}");
    }
    daemon
}

/// The records without those that another has said already, and how many these were.
fn distinct(records: Vec<Record>) -> (Vec<Record>, u64) {
    let count = records.len();
    let mut seen = BTreeSet::new();
    let is_new = |record: &Record| {
        // serde_json sorts the keys.
        seen.insert((key(&record.json), record.json.to_string()))
    };
    let mut records = records;
    records.retain(is_new);
    let duplicates = (count - records.len()) as u64;
    (records, duplicates)
}

/// What AWS says identifies an event.
fn key(record: &Value) -> [String; 2] {
    ["recipientAccountId", "eventID"].map(|name| record[name].to_string())
}

/// Each file of the folder is listed with as many records as it has.
fn check_files(daemon: &Daemon, dir: &Path, records: &[Record]) {
    let listed = daemon.files(&FilesRequest { limit: Some(10_000), ..FilesRequest::default() });
    assert_eq!(listed.total, listed.files.len() as u64);
    let mut paths: Vec<&str> = listed.files.iter().map(|file| file.path.as_str()).collect();
    paths.sort_unstable();
    let below = files_below(dir);
    assert_eq!(paths, below.iter().map(|path| path.to_str().unwrap()).collect::<Vec<_>>());
    for file in &listed.files {
        let has = records.iter().filter(|record| record.path == Path::new(&file.path)).count();
        assert_eq!(file.reading.records - file.reading.repaired, has as u64, "{}", file.path);
        assert_eq!(file.size, fs::metadata(&file.path).unwrap().len());
    }
}

/// The bytes that come back are those of the files, each record once, and stand in the file at the
/// place that is named.
fn check_bytes(hits: &[Hit], records: &[Record]) {
    let whole = hits.iter().filter(|hit| hit.meta.raw.is_none());
    let mut found: Vec<&str> = whole.map(|hit| hit.event.get()).collect();
    let mut delivered: Vec<&str> = records.iter().map(|record| record.raw.as_str()).collect();
    found.sort_unstable();
    delivered.sort_unstable();
    assert!(found == delivered, "the records that come back are not those of the files");

    let mut files: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for Hit { event, meta, .. } in hits {
        let file = files.entry(&meta.file).or_insert_with(|| contents(Path::new(&meta.file)));
        let raw = meta.raw.as_deref().unwrap_or(event.get()).as_bytes();
        let there = &file[meta.offset as usize..];
        assert!(there.starts_with(raw), "{} at byte {}", meta.file, meta.offset);
    }
}

/// A field has each value in as many events as the files have it.
fn check_values(
    daemon: &Daemon,
    field: &str,
    records: &[Record],
    expected: &Expected,
    value: impl Fn(&Value) -> Option<String>,
) {
    let mut counts: BTreeMap<Option<String>, u64> = BTreeMap::new();
    for record in records {
        *counts.entry(value(&record.json)).or_default() += 1;
    }
    if expected.repaired > 0 {
        let json = repaired_access_analyzer_entry();
        *counts.entry(value(&json)).or_default() += 1;
    }
    for (value, count) in &counts {
        let query = match value {
            Some(value) => format!("{field}:{}", escaped(value)),
            None => format!("NOT {field}:*"),
        };
        assert_eq!(daemon.count(&query), *count, "{query}");
    }
    let absent = counts.get(&None).copied().unwrap_or(0);
    assert_eq!(daemon.count(&format!("{field}:*")), expected.records - absent, "{field}:*");
}

fn text_at(record: &Value, path: &[&str]) -> Option<String> {
    let value = path.iter().try_fold(record, |value, key| value.get(key))?;
    value.as_str().map(str::to_owned)
}

/// The kind of credentials of a record, by AWS's description of `userIdentity`.
fn credential(record: &Value) -> &'static str {
    let text = |key| text_at(record, &["userIdentity", key]).unwrap_or_default();
    if text("accountId") == "anonymous" || text("principalId") == "Anonymous" {
        return "anonymous";
    }
    let arn = text("arn");
    let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
    match text("type").as_str() {
        "Root" => "root",
        "IAMUser" => "iam-user",
        "AssumedRole" | "Role" => "assumed-role",
        "FederatedUser" | "SAMLUser" | "WebIdentityUser" | "Directory" => "federated",
        "IdentityCenterUser" => "identity-center",
        "AWSService" => "aws-service",
        "AWSAccount" => "aws-account",
        _ if resource == "root" => "root",
        _ if resource.starts_with("user/") => "iam-user",
        _ if resource.starts_with("assumed-role/") => "assumed-role",
        _ if text_at(record, &["userIdentity", "onBehalfOf", "userId"]).is_some() => {
            "identity-center"
        }
        _ if !text("invokedBy").is_empty() => "aws-service",
        _ => "unknown",
    }
}

/// AWS's entry without its two stray commas, as anybody would mend it.
fn repaired_access_analyzer_entry() -> Value {
    let path = sample("odd/access-analyzer-documented-entry.json");
    let text = fs::read_to_string(path).unwrap();
    let mended = text.replace("{}, } }", "{} } }").replace(",,", ",");
    serde_json::from_str(&mended).unwrap()
}

#[test]
fn every_record_of_invictus_is_searchable_and_comes_back_unchanged() {
    let daemon = check("invictus", &Expected::good(55, 2_900));
    for (kind, count) in [("IAMUser", 2_748), ("AssumedRole", 76), ("AWSService", 34)] {
        assert_eq!(daemon.count(&format!("userIdentity.type:{kind}")), count);
    }
    assert_eq!(daemon.count("NOT userIdentity.type:*"), 42);
    assert_eq!(daemon.count("eventName:AssumeRole"), 49);
    let events = daemon.status().events;
    assert_eq!(events.first.unwrap().to_string(), "2023-07-10T11:42:18Z");
    assert_eq!(events.last.unwrap().to_string(), "2023-07-10T12:37:50Z");
    daemon.stop();
}

#[test]
fn every_record_of_stratus_is_searchable_and_comes_back_unchanged() {
    check("stratus", &Expected::good(35, 310)).stop();
}

#[test]
fn every_record_of_traildiscover_is_searchable_and_one_file_is_empty() {
    let mut expected = Expected::good(315, 314);
    expected.files = FileCounts { indexed: 314, empty: 1, ..expected.files };
    let daemon = check("traildiscover", &expected);
    let empty = FilesRequest { state: Some(FileState::Empty), ..FilesRequest::default() };
    let empty = daemon.files(&empty).files;
    assert!(empty[0].path.ends_with("/ChangeResourceRecordSets.json.cloudtrail"), "{empty:?}");
    daemon.stop();
}

#[test]
fn every_record_of_otrf_has_the_time_that_logstash_kept() {
    let daemon = check("otrf", &Expected::good(1, 103));
    for Hit { event, meta, .. } in daemon.find("*").hits {
        assert_eq!(meta.flags, ["time-from-timestamp"]);
        let json: Value = serde_json::from_str(event.get()).unwrap();
        let stated: jiff::Timestamp = json["@timestamp"].as_str().unwrap().parse().unwrap();
        assert_eq!(meta.time.parse::<jiff::Timestamp>().unwrap(), stated);
    }
    daemon.stop();
}

#[test]
fn every_record_of_panther_is_searchable_whatever_its_types() {
    let daemon = check("panther", &Expected::good(1, 458));
    let (records, duplicates) = distinct(records_below(&sample("panther")));
    assert_eq!((records.len(), duplicates), (458, 24), "rule tests repeat records");
    let mut of_key: BTreeMap<[String; 2], u64> = BTreeMap::new();
    for record in &records {
        *of_key.entry(key(&record.json)).or_default() += 1;
    }
    for Hit { event, meta, .. } in daemon.find("*").hits {
        let json: Value = serde_json::from_str(event.get()).unwrap();
        // Both sides of a conflict are flagged, whichever came first.
        let has_id = json["eventID"].is_string();
        let is_conflicting = has_id && of_key[&key(&json)] > 1;
        let stated = json["eventTime"].as_str().filter(|text| text.contains(':'));
        let flags = [("time-from-file", stated.is_none()), ("id-conflict", is_conflicting)];
        let flags = flags.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name);
        assert_eq!(meta.flags, flags.collect::<Vec<_>>(), "{json:#}");
        let Some(stated) = stated else { continue };
        let utc = format!("{}Z", stated.replace(' ', "T").trim_end_matches('Z'));
        let stated: jiff::Timestamp = utc.parse().unwrap();
        assert_eq!(meta.time.parse::<jiff::Timestamp>().unwrap(), stated);
    }
    daemon.stop();
}

/// By hand: two records in the gzipped file, one each in `cloudtrail.json`,
/// `cloudtrail_singleline.json` and the Access Analyzer entry; `bad_cloudtrail.json` is cut off inside
/// its only record, which begins at byte 13.
#[test]
fn odd_files_are_repaired_or_rejected_with_their_place_and_cost_no_neighbour() {
    let files = FileCounts { seen: 5, indexed: 4, rejected: 1, ..FileCounts::default() };
    let daemon = check("odd", &Expected { files, records: 5, repaired: 1, rejected: 1 });
    for (name, records) in [
        ("111111111111_CloudTrail_eu-central-1_20171211T1505Z_A6kvhMoVeCsc7v8U.json.gz", 2),
        ("cloudtrail.json", 1),
        ("cloudtrail_singleline.json", 1),
        ("access-analyzer-documented-entry.json", 1),
    ] {
        let file = daemon.file(name);
        assert_eq!(
            (file.state, file.reading.records, file.reading.rejected),
            (FileState::Indexed, records, 0)
        );
    }
    let bad = daemon.file("bad_cloudtrail.json");
    assert_eq!((bad.state, bad.reading.records, bad.reading.rejected), (FileState::Rejected, 0, 1));
    let text = fs::read_to_string(sample("odd/bad_cloudtrail.json")).unwrap();
    assert_eq!(bad.reading.rejects[0].offset, text.find("[{").unwrap() as u64 + 1);
    assert_eq!(bad.reading.rejects[0].reason, "the record has no end");
    assert_eq!(bad.reading.reason.as_deref(), Some("the record has no end"));
    daemon.stop();
}

#[test]
fn the_documented_access_analyzer_entry_answers_who_what_from_where_when_and_with_what() {
    let daemon = Place::watching(&[sample("odd")]).with("WATCH_UNFINISHED_S", "1").start();
    daemon.wait_indexed(PATIENCE, 5);
    assert_eq!(daemon.file("access-analyzer-documented-entry.json").reading.repaired, 1);
    for query in [
        "eventSource:access-analyzer.amazonaws.com",
        "CreateAnalyzer",
        "requestParameters.tags.tagkey1:tagvalue1",
        "role:admin-tempcreds",
        "ip:198.51.100.0/24",
        "\"aws-sdk-java 1.12.79\"",
    ] {
        let found = daemon.find(query);
        assert_eq!(found.total.value, 1, "{query}");
        let Hit { event, meta, .. } = &found.hits[0];
        assert_eq!(meta.id, "33333333-bcde-5555-bcde-444444444444");
        assert_eq!(meta.time, "2021-06-14T22:57:36Z");
        assert_eq!(meta.actor, "admin-tempcreds/Alice-tempcreds");
        assert_eq!(meta.credential, "assumed-role");
        assert_eq!((meta.offset, meta.flags.as_slice()), (0, &["repaired".to_owned()][..]));
        let text = fs::read_to_string(&meta.file).unwrap();
        assert_eq!(meta.raw.as_deref(), Some(text.trim_end()));
        let json: Value = serde_json::from_str(event.get()).unwrap();
        assert_eq!(json, repaired_access_analyzer_entry());
    }
    daemon.stop();
}
