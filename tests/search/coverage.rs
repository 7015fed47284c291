//! What searches say they could miss, and what `coverage` shows: on made archives with holes, stopped
//! trails and data events, and on real ones.

use std::fs;

use serde_json::{Value, json};

use crate::common::{Daemon, PATIENCE, Place, ended, sample, traildex, wait_until};
use wire::{CoverageKey, CoverageRequest, CoverageResponse, SearchRequest, SearchResponse};

const ACCOUNT: &str = "111122223333";

/// An event at minutes of the first of May 2024.
fn event(minute: u32, name: &str, more: &Value) -> Value {
    let (day, hour) = (1 + minute / 1_440, minute / 60 % 24);
    let mut record = json!({
        "eventVersion": "1.08", "userIdentity": {"type": "IAMUser", "userName": "mallory"},
        "eventTime": format!("2024-05-{day:02}T{hour:02}:{:02}:00Z", minute % 60),
        "eventSource": "ec2.amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
        "recipientAccountId": ACCOUNT, "eventID": format!("{minute:08}-{name}"),
        "eventCategory": "Management", "managementEvent": true,
    });
    for (key, value) in more.as_object().unwrap() {
        record[key] = value.clone();
    }
    record
}

/// An event of CloudTrail's.
fn change(minute: u32, name: &str, parameters: &Value) -> Value {
    event(
        minute,
        name,
        &json!({"eventSource": "cloudtrail.amazonaws.com", "requestParameters": parameters}),
    )
}

/// An event each quarter of an hour, but for some hours.
fn day(without: &[u32]) -> Vec<Value> {
    let minutes = (0..1_440).step_by(15).filter(|minute| !without.contains(&(minute / 60)));
    minutes.map(|minute| event(minute, "DescribeInstances", &json!({}))).collect()
}

/// A daemon on an archive of one file with these records.
fn daemon_of(place: &Place, records: &[Value]) -> Daemon {
    fs::create_dir_all(place.archive()).unwrap();
    let trail = json!({ "Records": records });
    fs::write(place.archive().join("trail.json"), trail.to_string()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, records.len() as u64);
    daemon
}

/// The lines of an answer, once the picture is there.
fn told(daemon: &Daemon, request: &SearchRequest) -> Vec<String> {
    let mut answer = SearchResponse::default();
    wait_until(PATIENCE, "a picture of the archive", || {
        answer = daemon.search(request);
        !answer.coverage.iter().any(|line| line.contains("ask again") || line.contains("s ago"))
    });
    answer.coverage
}

fn asked(query: &str) -> SearchRequest {
    SearchRequest { query: query.into(), ..SearchRequest::default() }
}

fn between(query: &str, start: &str, end: &str) -> SearchRequest {
    let (start, end) = (Some(start.to_owned()), Some(end.to_owned()));
    SearchRequest { start, end, ..asked(query) }
}

/// That one line has all of these parts, and that there is no other.
#[track_caller]
fn check(told: &[String], parts: &[&str]) {
    let [line] = told else { panic!("{told:#?}") };
    for part in parts {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn data_events_are_told_to_be_recorded_from_when_on_and_of_what() {
    let place = Place::new();
    let mut records = day(&[]);
    let selectors = json!({"trailName": "main", "eventSelectors": [{"readWriteType": "All",
        "includeManagementEvents": true,
        "dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3:::evidence/"]}]}]});
    records.push(change(1_433, "PutEventSelectors", &selectors));
    let daemon = daemon_of(&place, &records);
    let answer = told(&daemon, &asked("eventName:DeleteObject"));
    check(
        &answer,
        &[
            "object-level events of S3",
            "for evidence from 2024-05-01T23:53:00Z on",
            "trail main",
            "nothing in the archive shows that they were before",
        ],
    );
    let of_other = told(&daemon, &asked("eventName:DeleteObject bucketName:other"));
    check(
        &of_other,
        &["recorded for evidence", "nothing in the archive shows that they were for other"],
    );
    check(
        &told(&daemon, &asked("service:lambda Invoke")),
        &["the archive has no invocations of Lambda"],
    );
    // What has nothing to do with it.
    for query in ["eventName:DescribeInstances", "*", "eventName:DeleteBucket", "mallory"] {
        assert_eq!(told(&daemon, &asked(query)), Vec::<String>::new(), "{query}");
    }
    daemon.stop();
}

#[test]
fn data_events_of_a_selector_that_always_applied_are_not_told() {
    let place = Place::new();
    let mut records = day(&[]);
    let selectors = json!({"trailName": "main", "advancedEventSelectors": [{"fieldSelectors": [
        {"field": "eventCategory", "equals": ["Data"]},
        {"field": "resources.type", "equals": ["AWS::S3::Object"]}]}]});
    records.push(change(0, "PutEventSelectors", &selectors));
    let daemon = daemon_of(&place, &records);
    // The selector of data events alone records no management events; others go on.
    let answer = told(&daemon, &asked("eventName:DeleteObject"));
    assert_eq!(answer, Vec::<String>::new());
    daemon.stop();
}

#[test]
fn missing_hours_unknown_places_and_times_outside_are_told() {
    let place = Place::new();
    let daemon = daemon_of(&place, &day(&[10, 11]));
    let day = |query: &str| between(query, "2024-05-01", "2024-05-01T23:59:00Z");
    check(
        &told(&daemon, &day("*")),
        &[
            "account 111122223333 in us-east-1 has no events",
            "2024-05-01T10:00:00Z to 2024-05-01T12:00:00Z",
        ],
    );
    assert_eq!(told(&daemon, &between("*", "2024-05-01T13:00Z", "2024-05-01T20:00Z")), [""; 0]);
    assert_eq!(told(&daemon, &asked("eventName:DescribeInstances")), [""; 0]);
    let early = between("*", "2024-04-01", "2024-05-01T05:00Z");
    check(&told(&daemon, &early), &["the archive's events begin at 2024-05-01T00:00:00Z"]);
    let unknown = told(&daemon, &asked("account:999988887777"));
    assert!(unknown[0].contains("no event of account 999988887777; it has those of 111122223333"));
    let unknown = told(&daemon, &asked("region:(eu-west-1 OR us-east-1)"));
    assert!(
        unknown[0].contains("no event of region eu-west-1; it has those of us-east-1"),
        "{unknown:?}"
    );
    daemon.stop();
}

#[test]
fn a_trail_that_was_stopped_is_told_where_it_touches_the_time() {
    let place = Place::new();
    let mut records = day(&[13, 14, 15, 16]);
    records.push(change(779, "StopLogging", &json!({"name": "main"})));
    records.push(change(1_019, "StartLogging", &json!({"name": "main"})));
    let failed = change(100, "StopLogging", &json!({"name": "other"}));
    let mut failed = failed;
    failed["errorCode"] = "AccessDenied".into();
    records.push(failed);
    let daemon = daemon_of(&place, &records);
    let touched = told(&daemon, &between("user:mallory", "2024-05-01T12:00Z", "2024-05-01T18:00Z"));
    let stop = "trail main of account 111122223333 was stopped at 2024-05-01T12:59:00Z by mallory";
    assert!(
        touched[0].contains(stop) && touched[0].contains("2024-05-01T16:59:00Z"),
        "{touched:#?}"
    );
    let before = between("user:mallory", "2024-05-01T00:00Z", "2024-05-01T12:00Z");
    assert_eq!(told(&daemon, &before), [""; 0]);
    daemon.stop();
}

#[test]
fn files_that_are_not_in_the_index_are_told_for_their_time() {
    let place = Place::new();
    let folder = place.archive().join("AWSLogs/111122223333/CloudTrail/us-east-1/2024/05/01");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("broken.json"), "{\"Records\":[7,8]}").unwrap();
    let daemon = daemon_of(&place, &day(&[]));
    let of_day = told(&daemon, &between("*", "2024-05-01T05:00Z", "2024-05-01T06:00Z"));
    check(&of_day, &["not in the index: ", "could not be read (traildex files)"]);
    assert_eq!(told(&daemon, &asked("*")), [""; 0]);
    daemon.stop();
}

#[test]
fn strangers_cannot_make_it_a_wall() {
    let place = Place::new();
    let mut records = day(&[5]);
    for n in 0..300 {
        let place = json!({"awsRegion": format!("x-{n}"), "recipientAccountId": format!("{n:012}"),
            "requestParameters": {"name": format!("trail-{n}")},
            "eventSource": "cloudtrail.amazonaws.com"});
        records.push(event(600 + n, "StopLogging", &place));
    }
    let daemon = daemon_of(&place, &records);
    let told = told(&daemon, &between("eventName:GetObject", "2024-04-01", "2024-05-03"));
    assert!((2..=5).contains(&told.len()), "{told:#?}");
    assert!(told[1].contains("; and 299 more stops before (traildex coverage)"), "{told:#?}");
    assert!(told.iter().all(|line| line.len() < 500), "{told:#?}");
    daemon.stop();
}

#[test]
fn coverage_lists_gaps_trails_and_recordings() {
    let place = Place::new();
    let mut records = day(&[10]);
    let selectors = json!({"trailName": "main", "eventSelectors": [{"includeManagementEvents": true,
        "dataResources": [{"type": "AWS::Lambda::Function", "values": ["arn:aws:lambda"]}]}]});
    records.push(change(700, "PutEventSelectors", &selectors));
    records.push(event(
        800,
        "Invoke",
        &json!({"eventSource": "lambda.amazonaws.com", "eventCategory": "Data", "managementEvent": false}),
    ));
    let daemon = daemon_of(&place, &records);
    let answer: CoverageResponse = daemon.client.coverage(&CoverageRequest::default()).unwrap();
    let [gap] = &answer.gaps[..] else { panic!("{answer:#?}") };
    assert_eq!((gap.start.to_string(), gap.hours), ("2024-05-01T10:00:00Z".into(), 1));
    assert_eq!(answer.trails[0].action, "PutEventSelectors");
    assert_eq!(answer.recordings[0].resource_type, "AWS::Lambda::Function");
    assert_eq!(answer.data_events[0].events, 1);
    let [group] = &answer.groups[..] else { panic!("{answer:#?}") };
    let counts = (group.files, group.events, group.hours, group.missing);
    assert_eq!(counts, (1, records.len() as u64, 23, 1));
    let by = vec![CoverageKey::Hour];
    let hours = daemon.client.coverage(&CoverageRequest { by, ..Default::default() }).unwrap();
    assert_eq!(hours.total, 24);
    assert_eq!(hours.groups[10].events, 0);

    let socket = place.socket();
    let ask = |args: &[&str]| {
        ended(traildex().arg("coverage").args(["--socket", socket.to_str().unwrap()]).args(args))
    };
    let table = ask(&[]);
    assert_eq!(table.code, 0, "{}", table.stderr);
    let first = table.stdout.lines().next().unwrap();
    assert!(first.starts_with("NO EVENTS FROM"), "gaps come first: {}", table.stdout);
    let map = ask(&["--format", "map"]).stdout;
    let row = map.lines().find(|line| line.contains('!') && line.contains(ACCOUNT)).unwrap();
    assert_eq!(row.chars().filter(|c| *c == '!').count(), 1, "{map}");
    let csv =
        ask(&["--format", "csv", "--by", "account,hour", "--since", "2024-05-01T09:00Z"]).stdout;
    let names = "account,time,files,events,hours,missing,first,last,integrity,digests";
    assert_eq!(csv.lines().next(), Some(names));
    assert_eq!(csv.lines().count(), 1 + 15);
    daemon.stop();
}

#[test]
fn the_command_line_shows_what_a_search_could_miss() {
    let place = Place::watching(&[sample("invictus")]);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2_900);
    told(&daemon, &asked("eventName:DeleteObject"));
    let socket = place.socket();
    let socket = socket.to_str().unwrap();
    let found = ended(traildex().args(["search", "eventName:DeleteObject", "--socket", socket]));
    assert!(found.stderr.contains("\ncoverage: "), "{}", found.stderr);
    // All of it is one hour, and its attacker's own trails are no reason to miss anything.
    for query in ["*", "user:bert-jan", "eventName:DeleteTrail", "region:us-east-1"] {
        assert_eq!(told(&daemon, &asked(query)), [""; 0], "{query}");
    }
    daemon.stop();
    // Without a daemon, too, at the first time.
    let data_dir = place.data_dir();
    let data_dir = data_dir.to_str().unwrap();
    let found =
        ended(traildex().args(["search", "eventName:DeleteObject", "--data-dir", data_dir]));
    assert!(
        found.stderr.contains("\ncoverage: the archive has no object-level"),
        "{}",
        found.stderr
    );
    let shown = ended(traildex().args(["coverage", "--by", "region", "--data-dir", data_dir]));
    assert!(shown.stdout.ends_with("2023-07-10T12:37:50Z\n"), "{}", shown.stdout);
}
