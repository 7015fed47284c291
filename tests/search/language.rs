//! The page of the query language: every example on it is asked of the sample trails, and finds
//! something.

use std::fs;

use client::ClientError;
use serde_json::{Value, json};
use wire::{ErrorKind, QueryForm, SearchRequest, SearchResponse, Total, TotalMode};

use crate::common::{Daemon, PATIENCE, Place, Ran, sample, traildex};

const PAGE: &str = include_str!("../../docs/query-language.md");

/// The lines of the page's blocks of a kind.
fn blocks(kind: &str) -> Vec<String> {
    let blocks = PAGE.split("\n```").skip(1).step_by(2);
    blocks
        .filter_map(|block| block.strip_prefix(kind)?.strip_prefix('\n'))
        .map(str::to_owned)
        .collect()
}

/// The queries of the page: what stands before two spaces.
fn examples() -> Vec<String> {
    let blocks = blocks("query");
    let lines = blocks.iter().flat_map(|block| block.lines());
    lines.map(|line| line.split("  ").next().unwrap().trim().to_owned()).collect()
}

/// The last column of the tables for those who come from other tools, here and in the README.
fn translations() -> Vec<String> {
    let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let of_page = |page: &str, head: &str| {
        let rows = page.lines().skip_while(|line| !line.ends_with(head)).skip(2);
        let rows = rows.take_while(|line| line.starts_with('|'));
        let query = |row: &str| row.rsplit('`').nth(1).expect("a query").replace("\\|", "|");
        rows.map(query).collect::<Vec<_>>()
    };
    let (long, short) = (of_page(PAGE, "| traildex |"), of_page(readme, "| here |"));
    assert!(long.len() > 15 && short.len() == 4, "{long:#?} {short:#?}");
    [long, short].concat()
}

/// A daemon that has all the sample trails, and its place.
fn daemon() -> (Place, Daemon) {
    // One of them ends too early, and a clone has just made it.
    let place = Place::watching(&[sample("")]).with("WATCH_UNFINISHED_S", "1");
    let daemon = place.start();
    daemon.wait_for(PATIENCE, "the sample trails are indexed", |status| {
        status.files.pending == 0 && status.events.indexed > 4_000
    });
    (place, daemon)
}

fn rows(answer: &SearchResponse) -> u64 {
    answer.table.as_ref().map_or(answer.total.value, |table| table.rows_total)
}

#[test]
fn every_example_of_the_page_finds_something() {
    let examples = examples();
    assert!(examples.len() > 50, "{examples:#?}");
    let (_place, daemon) = daemon();
    let mut wrong = Vec::new();
    for query in &examples {
        let request = SearchRequest { query: query.as_str().into(), ..SearchRequest::default() };
        let answer = daemon.client.search(&request);
        match answer {
            Ok(answer) if rows(&answer) == 0 => wrong.push(format!("{query}: nothing is found")),
            Ok(_) => {}
            Err(error) => wrong.push(format!("{query}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for query in translations() {
        let request = SearchRequest { query: query.as_str().into(), ..SearchRequest::default() };
        let answer = daemon.client.search(&request);
        // Of the last day there is nothing.
        let finds = answer.map(|answer| rows(&answer) > 0 || query.starts_with('@'));
        assert!(finds.as_ref().is_ok_and(|finds| *finds), "{query}: {finds:?}");
    }
    let [tree] = &blocks("json")[..] else { panic!("one tree is on the page") };
    let query: QueryForm = serde_json::from_str(tree).unwrap();
    let request = SearchRequest { query, ..SearchRequest::default() };
    assert!(rows(&daemon.client.search(&request).unwrap()) > 0);
    daemon.stop();
}

#[test]
fn a_wrong_query_is_shown_where_it_is_wrong_and_how_it_would_be_right() {
    let (place, daemon) = daemon();
    for (query, expected, at) in [
        ("evntName:GetObject", "unknown field 'evntName' at byte 0; did you mean 'eventName'?", 0),
        ("bucketNam:x", "unknown field 'bucketNam' at byte 0; did you mean 'bucketName'?", 0),
        (
            "errorCode:* | tpo 5 actor",
            "there is no stage 'tpo' at byte 14; stages are filter, stats, count, top, timeline, values, fields, sort, limit and dedup",
            14,
        ),
        ("eventName:(GetObject OR", "expected a value, found the end of the query at byte 23", 23),
        ("errorCode:[a TO", "expected a value, found the end of the query at byte 15", 15),
        ("count by", "expected a field name, found the end of the query at byte 8", 8),
        ("stats sum(x", "this 'sum' is never closed at byte 6", 6),
        (
            "stats count by actor | sort cuont",
            "the table has no column 'cuont' at byte 28, but actor, count",
            28,
        ),
        ("ip:10.0.0.0/33", "'10.0.0.0/33' is not a network like 10.0.0.0/8 at byte 3", 3),
        (
            "eventName:/(/",
            "this regular expression is not one: unclosed group at byte 10; quote the value if it is a path",
            10,
        ),
        (
            "key IN (eventName:AssumeRole)",
            "'eventName:AssumeRole' is no value at byte 8; a query in these parentheses ends with | values field",
            8,
        ),
        (
            "eventName = [a, b]",
            "expected a value, found '[' at byte 12; a list is field IN [a, b], a range is field:[a TO b]",
            12,
        ),
    ] {
        let mut command = traildex();
        command.args(["search", query]).arg("--socket").arg(place.socket());
        let Ran { code, stderr: told, .. } = command.output().unwrap().into();
        assert_eq!(code, 2, "{query}: {told}");
        assert_eq!(told, format!("error: {expected}\n  {query}\n  {:at$}^\n", ""));
    }
    daemon.stop();
}

#[test]
fn help_explains_the_language_and_the_commands() {
    let help = |topic: &[&str]| {
        let Ran { code, stdout, .. } = traildex().arg("help").args(topic).output().unwrap().into();
        (code, stdout)
    };
    assert_eq!(help(&["query"]), (0, PAGE.to_owned()));
    let (code, text) = help(&["search"]);
    assert!(code == 0 && text.contains("Usage: traildex search"), "{text}");
    let (code, text) = help(&[]);
    assert!(code == 0 && text.contains("Usage: traildex <COMMAND>"), "{text}");
    assert_eq!(help(&["nothing"]).0, 2);
}

#[test]
fn groups_beyond_their_memory_are_refused_and_the_daemon_lives() {
    let place = Place::new();
    let many = |letter: &str| (0..20_000).map(|n| format!("{letter}{n}")).collect::<Vec<_>>();
    let record = json!({
        "eventTime": "2026-06-01T00:00:00Z", "eventID": "many", "eventName": "Many",
        "requestParameters": { "a": many("a"), "b": many("b") },
    });
    fs::write(place.archive().join("many.json"), json!({ "Records": [record] }).to_string())
        .unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1);
    let ask = |query: &str| {
        let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
        daemon.client.search(&request)
    };
    assert_eq!(rows(&ask("count by requestParameters.a").unwrap()), 20_000);
    let Err(ClientError::Api(error)) = ask("count by requestParameters.a, requestParameters.b")
    else {
        panic!("four hundred million groups are too many")
    };
    assert_eq!(error.kind, ErrorKind::BadRequest, "{error:?}");
    assert!(error.suggestion.is_some(), "{error:?}");
    assert!(daemon.own_kb() < 500_000, "{} kB", daemon.own_kb());
    assert_eq!(rows(&ask("count by requestParameters.a").unwrap()), 20_000);
    daemon.stop();
}

#[test]
fn of_a_long_word_wildcards_see_the_beginning() {
    let place = Place::new();
    let word = format!("{}z", "a".repeat(300));
    let record = json!({
        "eventTime": "2026-06-01T00:00:00Z", "eventID": "long", "eventName": "Long",
        "requestParameters": { "token": word, "text": format!("{}end", "a long text ".repeat(500)) },
    });
    fs::write(place.archive().join("long.json"), json!({ "Records": [record] }).to_string())
        .unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1);
    let found = |query: &str| {
        let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
        daemon.client.search(&request).unwrap().total.value
    };
    assert_eq!((found(&word), found("aaaaa*"), found("/a+/")), (1, 1, 1));
    // Neither its end, which the index does not have, nor that of the hash, which it has instead.
    for digit in "0123456789bcdef".chars() {
        assert_eq!(found(&format!("aaa*{digit}")), 0, "{digit}");
    }
    assert_eq!(found("aaa*z"), 0);
    assert_eq!(found("requestParameters.token:aaa*z"), 1);
    // A field's value is seen whole, be it longer than what its column holds of it.
    for test in ["*end", "\"text end\"", "/.*end/", "~*END"] {
        assert_eq!(found(&format!("requestParameters.text:{test}")), 1, "{test}");
    }
    assert_eq!(found("requestParameters.text:*END"), 0);
    daemon.stop();
}

#[test]
fn what_a_table_shows_of_a_long_value_finds_it() {
    let place = Place::new();
    let long = |end: &str| format!("{}{end}", "a long text ".repeat(500));
    let record = |(n, end): (usize, &str)| {
        json!({ "eventTime": "2026-06-01T00:00:00Z", "eventID": n.to_string(),
            "userAgent": long(end), "errorMessage": long(end),
            "requestParameters": { "text": [long(end), "short"] } })
    };
    let records: Vec<_> = ["one", "two"].into_iter().enumerate().map(record).collect();
    fs::write(place.archive().join("long.json"), json!({ "Records": records }).to_string())
        .unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 2);
    let ask = |query: &str| {
        let request = SearchRequest { query: query.into(), ..SearchRequest::default() };
        daemon.client.search(&request).unwrap()
    };
    for field in ["userAgent", "errorMessage", "requestParameters.text"] {
        let table = ask(&format!("eventID:1 | stats count by {field}")).table.unwrap();
        let shown: Vec<_> = table.rows.iter().filter_map(|row| row[0].as_str()).collect();
        let cut: Vec<_> = shown.into_iter().filter(|text| text.contains('#')).collect();
        let [cut] = cut[..] else { panic!("{field}: {cut:?}") };
        for test in [format!("\"{cut}\""), format!("\"{}\"", long("two"))] {
            let answer = ask(&format!("{field} = {test}"));
            let found: Vec<_> = answer.hits.iter().map(|hit| hit.meta.id.as_str()).collect();
            assert_eq!(found, ["1"], "{field} = {test}");
        }
        let inner = format!("{field} IN (eventID:0 | stats count by {field}) | stats count");
        // "short" is a value of both events.
        let both = if field == "requestParameters.text" { 2 } else { 1 };
        assert_eq!(ask(&inner).table.unwrap().rows[0][0], both, "{field}");
    }
    daemon.stop();
}

#[test]
fn the_largest_whole_numbers_keep_their_last_digit_beside_fractions() {
    let place = Place::new();
    let record = |(n, number): (usize, &Value)| {
        json!({ "eventTime": "2026-06-01T00:00:00Z", "eventID": n.to_string(),
            "requestParameters": { "number": number } })
    };
    let numbers = [
        json!(-1.5),
        json!(u64::MAX),
        json!(u64::MAX - 1),
        json!(9_007_199_254_740_993_u64),
        json!(1e300),
    ];
    let records: Vec<_> = numbers.iter().enumerate().map(record).collect();
    fs::write(place.archive().join("numbers.json"), json!({ "Records": records }).to_string())
        .unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, numbers.len() as u64);
    let check = |test: &str, expected: &[&str]| {
        let query = format!("requestParameters.number:{test}").as_str().into();
        let request = SearchRequest { query, ..SearchRequest::default() };
        let hits = daemon.client.search(&request).unwrap().hits;
        let mut found: Vec<_> = hits.iter().map(|hit| hit.meta.id.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "{test}");
    };
    check("18446744073709551615", &["1"]);
    check("18446744073709551614", &["2"]);
    check("184467440737095516*", &["1", "2"]);
    check("*5", &["0", "1"]);
    check("*2000", &[]);
    check("/.*[34]/", &["2", "3"]);
    check("9007199254740993", &["3"]);
    check("9007199254740992", &[]);
    check("1e300", &["4"]);
    check(">1e200", &["4"]);
    // As words it is what the record has, and not its three hundred digits.
    assert_eq!(daemon.count(&format!("\"{}\"", json!(1e300))), 1);
    assert_eq!(daemon.count(&1e300.to_string()), 0);
    daemon.stop();
}

/// One segment has most of the events, so that threads share it.
#[test]
fn events_are_counted_once_by_however_many_threads() {
    let place = Place::new();
    let many = 4_000;
    let mut events = 0;
    // In the first file each value thrice, in the second once; every thousandth once more in each.
    for (file, times) in [3, 1].into_iter().enumerate() {
        let values = (0..times).flat_map(|_| 0..many).chain((0..many).step_by(1_000));
        let record = |(n, value): (usize, usize)| {
            json!({
                "eventTime": format!("2026-06-{:02}T{:02}:{:02}:{:02}Z", file + 1, n / 3600, n / 60 % 60, n % 60),
                "eventID": format!("{file}-{n}"), "eventName": format!("Name{}", value % 2),
                "requestParameters": { "value": format!("value{value:05}"), "number": 0.5 },
            })
        };
        let records: Vec<_> = values.enumerate().map(record).collect();
        events += records.len();
        let path = place.archive().join(format!("{file}.json"));
        fs::write(path, json!({ "Records": records }).to_string()).unwrap();
    }
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, events as u64);
    let search = |query: &str| {
        let limit = query.contains('|').then_some(10_000);
        let request = SearchRequest { query: query.into(), limit, ..SearchRequest::default() };
        daemon.client.search(&request).unwrap()
    };
    let table = |query: &str| search(query).table.unwrap().rows;
    let row = |n: &str, count: u64| vec![json!(format!("value{n}")), json!(count)];
    let most =
        [row("00000", 6), row("01000", 6), row("02000", 6), row("03000", 6), row("00001", 4)];
    assert_eq!(table("top 5 requestParameters.value"), most);
    assert_eq!(table("stats distinct(requestParameters.value)"), [[json!(many)]]);
    assert_eq!(table("* | count by requestParameters.value").len(), many);
    // Numbers are gathered, not counted.
    assert_eq!(table("stats sum(requestParameters.number)"), [[json!(events / 2)]]);
    let both = search("eventName:Name0 requestParameters.number:0.5");
    assert_eq!(both.total.value, events as u64 / 2 + 4);
    let ids: Vec<_> = both.hits.iter().map(|hit| hit.meta.id.clone()).collect();
    let newest = (many..many + 4).rev().chain((0..many).rev().filter(|n| n % 2 == 0)).take(50);
    assert_eq!(ids, newest.map(|n| format!("1-{n}")).collect::<Vec<_>>());
    // Counting ends at ten thousand, where the index does not know the number beforehand.
    let bounded = |query: &str, start: &str| {
        let request = SearchRequest {
            query: query.into(),
            start: Some(start.into()),
            total: TotalMode::Bounded,
            ..SearchRequest::default()
        };
        daemon.client.search(&request).unwrap().total
    };
    let counted = bounded("requestParameters.number:0.5", "2026-01-01");
    assert_eq!(counted, Total { value: 10_000, exact: false });
    let known = bounded("*", "2026-01-01");
    assert_eq!(known, Total { value: events as u64, exact: true });
    assert_eq!(bounded("*", "2026-06-02").value, many as u64 + 4);
    daemon.stop();
}

#[test]
fn a_timeline_may_have_more_combinations_than_rows_would_fill() {
    const EVENTS: u64 = 3_000;
    let place = Place::new();
    let record = |n: u64| {
        let time = format!("2026-06-01T{:02}:{:02}:{:02}Z", n / 3_600, n / 60 % 60, n % 60);
        let value = json!({ "value": format!("v{n}") });
        json!({ "eventTime": time, "eventID": format!("e{n}"), "requestParameters": value })
    };
    let records: Vec<_> = (0..EVENTS).map(record).collect();
    fs::write(place.archive().join("many.json"), json!({ "Records": records }).to_string())
        .unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, EVENTS);
    // Nine million combinations, of which three thousand are there.
    let query = "timeline 1s by requestParameters.value".into();
    let request = SearchRequest { query, ..SearchRequest::default() };
    assert_eq!(rows(&daemon.client.search(&request).unwrap()), EVENTS);
    daemon.stop();
}
