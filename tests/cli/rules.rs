//! Rules: what each of Sigma's forms finds, the pack on its tests and on the sample trail, and what
//! becomes of files that are no rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::common::{Place, Ran, run, sample};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a hunt and returns its whole answer.
#[track_caller]
fn hunted(args: &[&str], code: i32) -> Value {
    let ran = run(&[&["hunt", "--format", "json"], args].concat());
    assert_eq!(ran.code, code, "{}", ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// How many events each rule found, by title.
fn events(answer: &Value) -> BTreeMap<&str, u64> {
    let rules = answer["rules"].as_array().unwrap().iter();
    rules
        .map(|rule| (rule["rule"]["title"].as_str().unwrap(), rule["events"].as_u64().unwrap()))
        .collect()
}

/// Five records that differ in what rules ask.
fn records() -> Vec<Value> {
    let record = |id: u8, more: Value| {
        let mut record = json!({
            "eventVersion": "1.08",
            "eventTime": format!("2026-01-01T00:00:0{id}Z"),
            "eventID": format!("00000000-0000-4000-8000-00000000000{id}"),
            "eventSource": "s3.amazonaws.com",
            "eventName": "PutBucketPolicy",
            "awsRegion": "eu-west-1",
            "sourceIPAddress": "192.0.2.7",
            "userAgent": "aws-cli/2.1",
            "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice" },
            "recipientAccountId": "111122223333",
        });
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        record
    };
    vec![
        record(
            1,
            json!({
                "requestParameters": {
                    "bucketName": "Logs", "count": 5, "flag": true, "path": "C:\\temp\\a*b",
                    "tags": [{ "key": "Owner", "value": "bob" }], "empty": "",
                },
            }),
        ),
        record(
            2,
            json!({
                "eventName": "PutBucketAcl", "errorCode": "AccessDenied",
                "requestParameters": { "bucketName": "logs-2", "count": 50, "flag": "false" },
            }),
        ),
        record(
            3,
            json!({
                "eventName": "GetObject", "sourceIPAddress": "198.51.100.9", "userAgent": "Boto3/1.2",
                "requestParameters": {
                    "bucketName": "data", "count": "7",
                    "body": "bGlzdCAvYmluL2Jhc2ggbm93", "note": "first line\nsecond line",
                },
            }),
        ),
        record(
            4,
            json!({
                "eventSource": "iam.amazonaws.com", "eventName": "CreateAccessKey",
                "sourceIPAddress": "2001:db8::1",
                "userIdentity": { "type": "IAMUser", "userName": "Alice",
                    "arn": "arn:aws:iam::111122223333:user/Alice" },
                "requestParameters": { "userName": "alice" },
            }),
        ),
        record(
            5,
            json!({
                "eventSource": "iam.amazonaws.com", "eventName": "CreateAccessKey",
                "sourceIPAddress": "cloudformation.amazonaws.com",
                "userIdentity": { "type": "AWSService", "invokedBy": "cloudformation.amazonaws.com" },
                "requestParameters": null,
            }),
        ),
    ]
}

/// What each form of a detection finds, by the last digits of the events' ids. Where the condition is
/// plain, it is left out.
const CASES: &[(&str, &str, &str)] = &[
    ("case plays no part", "s: {eventName: PUTBUCKETPOLICY}", "1"),
    ("cased", "s: {'eventName|cased': PUTBUCKETPOLICY}", ""),
    ("cased, and right", "s: {'eventName|cased': PutBucketPolicy}", "1"),
    ("a value is whole", "s: {eventName: PutBucket}", ""),
    ("a service has its whole name", "s: {eventSource: iam}", ""),
    ("wildcards", "s: {eventName: 'put?ucket*'}", "12"),
    ("an escaped wildcard", r"s: {requestParameters.path: 'c:\temp\\a\*B'}", "1"),
    ("a list is any of", "s: {eventName: [GetObject, PutBucketAcl]}", "23"),
    ("a map is all of", "s: {eventName: PutBucketAcl, errorCode: accessdenied}", "2"),
    ("a list of maps is any of", "s: [{eventName: GetObject}, {errorCode: '*'}]", "23"),
    ("contains", "s: {'requestParameters.bucketName|contains': OGS}", "12"),
    ("starts", "s: {'requestParameters.bucketName|startswith': LOGS}", "12"),
    ("ends", "s: {'requestParameters.bucketName|endswith': S-2}", "2"),
    ("all of a list", "s: {'userAgent|contains|all': [aws, cli]}", "1245"),
    ("an object is the values in it", "s: {'requestParameters|contains': own}", "1"),
    ("a list is its members", "s: {requestParameters.tags.value: BOB}", "1"),
    ("null", "s: {errorCode: null}", "1345"),
    ("null of an object", "s: {requestParameters: null}", "5"),
    ("null or a value", "s: {errorCode: [null, AccessDenied]}", "12345"),
    ("exists", "s: {'errorCode|exists': true}", "2"),
    ("exists, an object", "s: {'requestParameters|exists': true}", "1234"),
    ("exists not", "s: {'requestParameters.flag|exists': false}", "345"),
    ("an empty value", "s: {requestParameters.empty: ''}", "1"),
    ("a field that no record has", "s: {status: success}", ""),
    ("not a field that no record has", "s: {status: success}\n    condition: not s", "12345"),
    ("a short name of queries is no field", "s: {user: alice}", ""),
    ("a derived field", "s: {outcome: denied}", "2"),
    ("a truth value, and its text", "s: {requestParameters.flag: false}", "2"),
    ("a text, and the truth value", "s: {requestParameters.flag: 'TRUE'}", "1"),
    ("a number, and its text", "s: {requestParameters.count: 7}", "3"),
    ("a text, and the number", "s: {requestParameters.count: '5'}", "1"),
    ("more than", "s: {'requestParameters.count|gt': 5}", "23"),
    (
        "between",
        "s: {'requestParameters.count|gte': 5}\n    t: {'requestParameters.count|lt': 50}\n    condition: s and t",
        "13",
    ),
    ("not equal", "s: {'eventName|neq': [CreateAccessKey, GetObject]}", "12"),
    ("a part matches", "s: {'userAgent|re': 'cli/[0-9]'}", "1245"),
    ("minds the case", "s: {'userAgent|re': '^BOTO'}", ""),
    ("but not so", "s: {'userAgent|re|i': '^BOTO'}", "3"),
    ("a dot is no line's end", "s: {'requestParameters.note|re': 'first.*second'}", ""),
    ("but so", "s: {'requestParameters.note|re|s': 'first.*second'}", "3"),
    ("lines", "s: {'requestParameters.note|re|m': '^second line$'}", "3"),
    ("a network", "s: {'sourceIPAddress|cidr': 192.0.2.0/24}", "12"),
    (
        "networks of both kinds",
        "s: {'sourceIPAddress|cidr': [198.51.100.0/30, '2001:db8::/32']}",
        "4",
    ),
    (
        "a field as another",
        "s: {'userIdentity.userName|fieldref': requestParameters.userName}",
        "4",
    ),
    (
        "and in its case",
        "s: {'userIdentity.userName|fieldref|cased': requestParameters.userName}",
        "",
    ),
    ("base64 somewhere", "s: {'requestParameters.body|base64offset|contains': /bin/bash}", "3"),
    ("words anywhere", "s: [owner, boto3]", "13"),
    ("a word's part anywhere", "s: [loudformatio]", "5"),
    (
        "one of",
        "a_1: {eventName: GetObject}\n    a_2: {errorCode: AccessDenied}\n    condition: 1 of a_*",
        "23",
    ),
    (
        "all of",
        "a_1: {eventName: PutBucketAcl}\n    a_2: {errorCode: AccessDenied}\n    condition: all of a_*",
        "2",
    ),
    (
        "two of",
        "a: {eventName: PutBucketAcl}\n    b: {errorCode: AccessDenied}\n    c: {eventSource: iam.amazonaws.com}\n    condition: 2 of them",
        "2",
    ),
    (
        "not one of",
        "a: {eventName: GetObject}\n    f_1: {errorCode: '*'}\n    condition: not a and not 1 of f_*",
        "145",
    ),
    (
        "parentheses",
        "a: {eventName: GetObject}\n    b: {eventName: CreateAccessKey}\n    c: {userIdentity.type: IAMUser}\n    condition: (a or b) and c",
        "34",
    ),
    (
        "several conditions",
        "a: {eventName: GetObject}\n    b: {errorCode: '*'}\n    condition: [a, b]",
        "23",
    ),
];

fn document(title: &str, detection: &str) -> String {
    let condition = if detection.contains("condition:") { "" } else { "\n    condition: s" };
    format!(
        "title: \"{title}\"\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n    {detection}{condition}\n"
    )
}

#[test]
fn each_form_of_a_rule_finds_what_sigma_says_and_so_does_the_query_that_it_became() {
    let place = Place::new();
    fs::create_dir_all(place.archive()).unwrap();
    let trail = json!({ "Records": records() }).to_string();
    fs::write(place.archive().join("trail.json"), trail).unwrap();
    let rules = place.path("rules.yml");
    let documents: Vec<String> =
        CASES.iter().map(|(title, detection, _)| document(title, detection)).collect();
    fs::write(&rules, documents.join("---\n")).unwrap();
    let daemon = place.start();
    daemon.wait_count("*", 5);

    let socket = place.socket();
    let answer = hunted(&["--rules", text(&rules), "--socket", text(&socket)], 0);
    let found = events(&answer);
    let queries: BTreeMap<&str, &str> = answer["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["rule"]["title"].as_str().unwrap(), rule["query"].as_str().unwrap()))
        .collect();
    let mut wrong = Vec::new();
    for (title, _, expected) in CASES {
        let count = found.get(title).copied().unwrap_or_default();
        let mut ids = String::new();
        if let Some(query) = queries.get(title).filter(|query| !query.contains("status")) {
            let mut digits: Vec<char> = daemon
                .find(query)
                .hits
                .iter()
                .map(|hit| {
                    let record: Value = serde_json::from_str(hit.event.get()).unwrap();
                    record["eventID"].as_str().unwrap().chars().last().unwrap()
                })
                .collect();
            digits.sort_unstable();
            ids = digits.into_iter().collect();
        } else if count == expected.len() as u64 {
            // There is no query for it, or nothing was found.
            ids = (*expected).to_owned();
        }
        if ids != *expected || count != expected.len() as u64 {
            wrong.push(format!("{title}: {ids} and {count} in place of {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(answer["rules_asked"], CASES.len());
}

#[test]
fn the_pack_finds_what_its_tests_say_and_nothing_else() {
    let (rules, tests) = (root().join("config/rules"), root().join("tests/data/rules"));
    let ran = run(&["rules", "test", text(&rules), "--tests", text(&tests)]);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let files = fs::read_dir(&rules).unwrap().filter(|entry| {
        entry.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "yml")
    });
    assert!(
        ran.stderr.contains(&format!("{} files as their tests say", files.count())),
        "{}",
        ran.stderr
    );

    // A test that says otherwise fails: of each record that fires, and of each that does not.
    let place = Place::new();
    let (rule, test) = (place.path("root-user-change.yml"), place.path("root-user-change.json"));
    fs::copy(rules.join("root-user-change.yml"), &rule).unwrap();
    let case: Value =
        serde_json::from_slice(&fs::read(tests.join("root-user-change.json")).unwrap()).unwrap();
    let swapped = json!({ "fires": case["quiet"], "quiet": case["fires"] });
    fs::write(&test, swapped.to_string()).unwrap();
    let ran = run(&["rules", "test", text(&rule), "--tests", text(place.path("").as_path())]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    assert!(
        ran.stdout.contains("should find") && ran.stdout.contains("should not find"),
        "{}",
        ran.stdout
    );
}

/// The table of the pack's README, checked: what each rule finds in the sample trail.
#[test]
fn the_pack_finds_in_the_sample_trail_what_its_readme_says() {
    let place = Place::new();
    let data_dir = place.data_dir();
    let ran = run(&["import", text(&sample("invictus")), "--data-dir", text(&data_dir)]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let answer = hunted(&["--data-dir", text(&data_dir)], 0);
    let mut found: BTreeMap<&str, u64> = BTreeMap::new();
    for rule in answer["rules"].as_array().unwrap() {
        let count = rule["findings"].as_array().unwrap().len() as u64;
        found.insert(rule["rule"]["name"].as_str().unwrap(), count);
    }
    let readme = fs::read_to_string(root().join("config/rules/README.md")).unwrap();
    let mut said: BTreeMap<&str, u64> = BTreeMap::new();
    let mut rows = 0;
    for line in readme.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let name = cells[0].trim_matches(|c| c == '`' || c == '[' || c == ']');
        let name = name.split("](").next().unwrap();
        if !root().join("config/rules").join(format!("{name}.yml")).exists() {
            continue;
        }
        rows += 1;
        let hits: Vec<u64> = cells[1..].iter().filter_map(|cell| cell.parse().ok()).collect();
        if let Some(hits) = hits.first().filter(|hits| **hits > 0) {
            said.insert(name, *hits);
        }
    }
    assert!(rows > 90, "{rows} rows");
    assert_eq!(found, said);
}

fn problem(ran: &Ran, part: &str) -> bool {
    ran.stderr.lines().any(|line| line.contains(part))
}

#[test]
fn a_bad_file_costs_itself_and_is_told_with_its_line_and_reason() {
    let place = Place::new();
    let folder = place.path("rules");
    fs::create_dir(&folder).unwrap();
    let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
    let good = document("good", "s: {eventName: x}");
    write("broken.yml", "title: [never closed\n");
    write(
        "several.yml",
        &format!("{good}---\n{}", document("unknown modifier", "s: {'eventName|nearly': x}")),
    );
    write("expand.yml", &document("placeholder", "s: {'eventName|expand': '%names%'}"));
    write("regex.yml", &document("look-around", "s: {'eventName|re': '(?=x)y'}"));
    write("condition.yml", &document("no such name", "s: {eventName: x}\n    condition: t"));
    write(
        "windows.yml",
        "title: elsewhere\nlogsource: {product: windows}\ndetection:\n    s: {a: b}\n    condition: s\n",
    );
    write(
        "count.yml",
        "title: alone\ncorrelation:\n    type: event_count\n    rules: [nobody]\n    group-by: [userIdentity.arn]\n    timespan: 5m\n    condition: {gte: 3}\n",
    );
    write(
        "first.yml",
        &format!(
            "{}traildex:\n    first_sen: {{fields: [awsRegion]}}\n",
            document("slip", "s: {eventName: x}")
        ),
    );
    write("notes.txt", "no rule at all");
    let ran = run(&["rules", "list", text(&folder), "--format", "json"]);
    assert_eq!(ran.code, 4, "{}", ran.stderr);
    let listed: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let titles: Vec<&str> = listed.iter().map(|rule| rule["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["good"]);
    for part in [
        "broken.yml:",
        "several.yml:7: Unknown modifier 'nearly'",
        "expand.yml:1: 'placeholder': s: eventName: |expand is not supported",
        "regex.yml:1: 'look-around': s: eventName: /(?=x)y/ is no regular expression here",
        "condition.yml:1: 'no such name'",
        "count.yml:1: 'alone': there is no rule 'nobody'",
        "first.yml:1: 'slip': traildex.first_sen is unknown; there are first_seen, absence and",
        "1 rule for other logs than CloudTrail's left out",
    ] {
        assert!(problem(&ran, part), "{part} is not in\n{}", ran.stderr);
    }
    assert!(!problem(&ran, "notes.txt"));

    let ran = run(&["rules", "list", text(&place.path("nothing"))]);
    assert_eq!(ran.code, 4);
    assert!(problem(&ran, "no such file or folder"), "{}", ran.stderr);
}

#[test]
fn what_a_rule_can_never_find_is_told() {
    let place = Place::new();
    let rules = place.path("rules.yml");
    let doubtful = [
        document("field", "s: {status: success}"),
        document("source", "s: {eventSource: nothing.amazonaws.com}"),
        document("code", "s: {errorCode: Success}"),
        document("identity", "s: {userIdentity.type: Human}"),
        document("sound", "s: {eventSource: iam.amazonaws.com, requestParameters.userName: x}"),
    ];
    fs::write(&rules, doubtful.join("---\n")).unwrap();
    let ran = run(&["rules", "check", text(&rules), "--offline", "--format", "json"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let checked: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let told: Vec<bool> =
        checked.iter().map(|rule| !rule["doubts"].as_array().unwrap().is_empty()).collect();
    assert_eq!(told, [true, true, true, true, false], "{}", ran.stdout);
}

#[test]
fn what_a_hunt_shows_is_text_whatever_records_and_rules_hold() {
    let place = Place::new();
    let markup = "<script>alert(1)</script>\u{1b}[31m\u{202e}\" onload=x";
    let mut record = records().remove(0);
    record["userIdentity"]["arn"] = json!(markup);
    let (trail, rules) = (place.path("trail.json"), place.path("rules.yml"));
    fs::write(&trail, json!({ "Records": [record] }).to_string()).unwrap();
    let title = "<img src=x onerror=y>";
    fs::write(&rules, document(title, "s: {eventName: PutBucketPolicy}")).unwrap();
    let data_dir = place.data_dir();
    assert_eq!(run(&["import", text(&trail), "--data-dir", text(&data_dir)]).code, 0);
    let shown = |format: &str| {
        let args = ["--rules", text(&rules), "--data-dir", text(&data_dir), "--format", format];
        let ran = run(&[&["hunt"], &args[..]].concat());
        assert_eq!(ran.code, 0, "{}", ran.stderr);
        ran.stdout
    };
    let html = shown("html");
    assert!(html.contains("&lt;img src=x") && html.contains("&lt;script&gt;"), "{html}");
    for part in ["<img", "<script", "\u{1b}", "\u{202e}", "\" onload"] {
        assert!(!html.contains(part), "{part} is in\n{html}");
    }
    let table = shown("table");
    assert!(!table.contains('\u{1b}') && !table.contains('\u{202e}'), "{table}");
    // Files hold what it is.
    for format in ["json", "ndjson"] {
        let lines = shown(format);
        let line: Value = serde_json::from_str(lines.lines().next().unwrap()).unwrap();
        let finding = if format == "json" { &line["rules"][0]["findings"][0] } else { &line };
        assert_eq!(finding["group"]["principal"], markup, "{format}");
    }
    assert!(shown("csv").contains("onload"));
}

#[test]
fn a_hunt_tells_what_the_archive_lacks() {
    let place = Place::new();
    let data_dir = place.data_dir();
    assert_eq!(run(&["import", text(&sample("invictus")), "--data-dir", text(&data_dir)]).code, 0);
    let rules = place.path("rules.yml");
    let objects = "s: {eventSource: s3.amazonaws.com, eventName: DeleteObject}";
    fs::write(&rules, document("objects", objects)).unwrap();
    let ran = run(&[
        "search",
        "eventSource:s3.amazonaws.com AND eventName:DeleteObject",
        "--data-dir",
        text(&data_dir),
    ]);
    let told: Vec<&str> =
        ran.stderr.lines().filter(|line| line.starts_with("coverage: ")).collect();
    assert!(!told.is_empty(), "{}", ran.stderr);
    let ran = run(&["hunt", "--rules", text(&rules), "--data-dir", text(&data_dir)]);
    for line in told {
        assert!(problem(&ran, line), "{line} is not in\n{}", ran.stderr);
    }
}

/// Rules that refer to others, over the five records: what each finds, and which are asked.
#[test]
fn filters_and_correlations_refer_to_rules_by_id_name_and_title() {
    let place = Place::new();
    let (trail, rules) = (place.path("trail.json"), place.path("rules.yml"));
    fs::write(&trail, json!({ "Records": records() }).to_string()).unwrap();
    let data_dir = place.data_dir();
    assert_eq!(run(&["import", text(&trail), "--data-dir", text(&data_dir)]).code, 0);
    let named =
        |name: &str, detection: &str| format!("name: {name}\n{}", document(name, detection));
    let correlation = |title: &str, more: &str| {
        format!(
            "title: {title}\nname: {title}\ncorrelation:\n    group-by: [userIdentity.arn]\n    \
             timespan: 10s\n    {more}\n"
        )
    };
    let documents = [
        named("filtered", "s: {eventSource: s3.amazonaws.com}"),
        "title: f\nlogsource: {product: aws}\nfilter:\n    rules: [filtered]\n    s: {errorCode: '*'}\n    \
         condition: not s\n"
            .to_owned(),
        named("call", "s: {eventSource: s3.amazonaws.com}"),
        named("put", "s: {eventName: PutBucketPolicy}"),
        named("get", "s: {eventName: GetObject}"),
        named("shown", "s: {eventName: PutBucketAcl}"),
        correlation("three", "type: event_count\n    rules: [call]\n    condition: {gte: 3}"),
        correlation("four", "type: event_count\n    rules: [call]\n    condition: {gte: 4}"),
        correlation(
            "names",
            "type: value_count\n    rules: [call]\n    condition: {gte: 3, field: eventName}",
        ),
        correlation("in-order", "type: temporal_ordered\n    rules: [put, get]"),
        correlation("against-order", "type: temporal_ordered\n    rules: [get, put]"),
        correlation("chained", "type: temporal\n    rules: [three, put]"),
        correlation("generates", "type: event_count\n    rules: [shown]\n    generate: true\n    condition: {gte: 1}"),
    ];
    fs::write(&rules, documents.join("---\n")).unwrap();
    let answer = hunted(&["--rules", text(&rules), "--data-dir", text(&data_dir)], 0);
    let expected = [
        ("filtered", 2),
        ("shown", 1),
        ("names", 3),
        ("in-order", 2),
        ("chained", 2),
        ("generates", 1),
    ];
    // Neither is what only a correlation asks, nor a correlation that another one asks.
    assert_eq!(events(&answer), expected.into_iter().collect());
}
