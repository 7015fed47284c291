//! Numbers to the last digit, equal values of one event, and what an answer leaves out: whether values
//! have columns or not.

use std::collections::BTreeSet;
use std::fs;

use serde_json::{Value as Json, json};
use wire::{SearchRequest, SearchResponse, ValuesRequest};

use crate::common::{Daemon, PATIENCE, Place, ended, traildex};

/// From here on, not every whole number is a fraction's neighbour of its own.
const LARGE: i64 = 1 << 53;

/// Events of two names; both have each of so many values.
const VALUES: i64 = 20;

fn record(n: usize, name: &str, parameters: &Json) -> Json {
    json!({
        "eventVersion": "1.08", "eventTime": format!("2024-05-06T07:{:02}:{:02}Z", n / 60, n % 60),
        "eventSource": "s3.amazonaws.com", "eventName": name, "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.1", "eventID": format!("event-{n}"),
        "recipientAccountId": "000000000001",
        "userIdentity": { "type": "Root", "accountId": "000000000001" },
        "requestParameters": parameters,
    })
}

/// A text of which the index keeps the beginning.
fn long(n: i64) -> String {
    format!("{}{n}", "long é ".repeat(1_000))
}

fn records() -> Vec<Json> {
    let mut records = Vec::new();
    for name in ["First", "Second"] {
        for n in 0..VALUES {
            let parameters = json!({
                "large": LARGE + n, "long": long(n), "list": [format!("short {n}"), long(-n - 1)],
            });
            records.push(record(records.len(), name, &parameters));
        }
    }
    for parameters in [
        json!({ "large": 0.5, "sizes": [8, 8, 100] }),
        json!({ "large": -0.5, "sizes": [2.5, 2.5, -1, -1, -1] }),
        json!({ "large": LARGE as f64, "sizes": 8 }),
        json!({ "sizes": [LARGE + 1, LARGE + 1, "8", "8", true] }),
    ] {
        records.push(record(records.len(), "Other", &parameters));
    }
    records
}

/// Daemons with a column for each field, and with columns for next to none.
fn each_daemon(check: impl Fn(&Daemon)) {
    for failpoints in ["", "columns-max=return(1);overflow-listed-max=return(100000)"] {
        let place = Place::new();
        let text = json!({ "Records": records() }).to_string();
        fs::write(place.archive().join("x.json"), text).unwrap();
        let mut command = place.serve_command();
        command.env("FAILPOINTS", failpoints);
        let daemon = place.spawn(command);
        daemon.wait_indexed(PATIENCE, records().len() as u64);
        check(&daemon);
        daemon.stop();
    }
}

fn rows(daemon: &Daemon, query: &str) -> Vec<Json> {
    let SearchResponse { table, .. } = daemon.find(query);
    table.expect("a table").rows.into_iter().map(Json::from).collect()
}

#[test]
fn equal_numbers_of_one_event_count_each() {
    each_daemon(|daemon| {
        let check = |filter: &str, expected: Json| {
            let query = format!(
                "{filter} | stats sum(requestParameters.sizes), avg(requestParameters.sizes), \
                 median(requestParameters.sizes), p90(requestParameters.sizes), \
                 count(requestParameters.sizes), distinct(requestParameters.sizes)"
            );
            assert_eq!(rows(daemon, &query), [expected], "{filter}");
        };
        // 8, 8, 100; a mean of 116 / 3.
        check("id:event-40", json!([116, 116.0 / 3.0, 8, 100, 1, 2]));
        // -1, -1, -1, 2.5, 2.5
        check("id:event-41", json!([2, 0.4, -1, 2.5, 1, 2]));
        // Means and percentiles have 53 bits.
        let sum = rows(daemon, "id:event-43 | stats sum(requestParameters.sizes)");
        assert_eq!(sum, [json!([2 * (LARGE + 1)])]);
        // -1, -1, -1, 2.5, 2.5, 8, 8, 8, 100
        check("id:event-40 OR id:event-41 OR id:event-42", json!([126, 14, 2.5, 100, 3, 4]));
        // A group has an event once, whatever it has twice.
        let groups = rows(
            daemon,
            "id:event-40 | stats count, sum(requestParameters.sizes) \
                                   by requestParameters.sizes",
        );
        assert_eq!(groups, [json!([8, 1, 116]), json!([100, 1, 116])]);
    });
}

#[test]
fn large_numbers_beside_fractions_keep_their_digits() {
    each_daemon(|daemon| {
        let field = "requestParameters.large";
        let groups = rows(daemon, &format!("eventName:First | count by {field}"));
        let expected: Vec<Json> = (0..VALUES).map(|n| json!([LARGE + n, 1])).collect();
        assert_eq!(groups, expected);
        let whole = format!(
            "eventName:(First OR Second) | stats distinct({field}), \
                             min({field}), max({field}), sum({field})"
        );
        let sum = 2 * (VALUES * LARGE + VALUES * (VALUES - 1) / 2);
        assert_eq!(rows(daemon, &whole), [json!([VALUES, LARGE, LARGE + VALUES - 1, sum])]);
        let sorted = rows(daemon, &format!("eventName:First | sort {field} desc | fields {field}"));
        let expected: Vec<Json> = (0..VALUES).rev().map(|n| json!([LARGE + n])).collect();
        assert_eq!(sorted, expected);
        let kept = daemon.find(&format!("eventName:(First OR Second) | dedup {field}"));
        assert_eq!((kept.kept, kept.hits.len()), (Some(VALUES as u64), VALUES as usize));
        assert_eq!(daemon.count(&format!("eventName:(First OR Second) {field} = {field}")), 40);
    });
}

/// So many values that they are looked for together.
#[test]
fn the_values_of_an_inner_query_are_found_again() {
    each_daemon(|daemon| {
        for field in ["large", "long", "list"] {
            let field = format!("requestParameters.{field}");
            let inner = format!("eventName:First | values {field}");
            let query = format!("eventName:Second {field} IN ({inner})");
            assert_eq!(daemon.count(&query), VALUES as u64, "{field}");
            let query = format!("eventName:Second NOT {field} IN ({inner})");
            assert_eq!(daemon.count(&query), 0, "{field}");
            let few = format!("eventName:Second {field} IN (id:event-7 | values {field})");
            assert_eq!(daemon.count(&few), 1, "{field}");
            let none = format!("id:event-7 {field} IN (id:event-8 | values {field})");
            assert_eq!(daemon.count(&none), 0, "{field}");
        }
    });
}

#[test]
fn an_answer_says_what_it_leaves_out() {
    let place = Place::new();
    let agents: Vec<String> = (0..1_100).map(|n| format!("agent-{}", n / 2)).collect();
    let records: Vec<Json> = (0..1_100)
        .map(|n| record(n, "Get", &json!({ "agent": agents[n], "own": n, "few": n % 3 })))
        .collect();
    let text = json!({ "Records": records }).to_string();
    fs::write(place.archive().join("x.json"), text).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1_100);
    let check = |query: &str, limit, (given, all): (usize, u64), told: &[&str]| {
        let request = SearchRequest { query: query.into(), limit, ..SearchRequest::default() };
        let found = daemon.search(&request);
        let (shown, total) = match &found.table {
            Some(table) => (table.rows.len(), table.rows_total),
            None => (found.hits.len(), found.kept.unwrap_or(found.total.value)),
        };
        assert_eq!((shown, total), (given, all), "{query}");
        assert!(found.cursor.is_none(), "{query}");
        let is_as_told = found.warnings.len() == told.len()
            && found.warnings.iter().zip(told).all(|(found, told)| found.starts_with(told));
        assert!(is_as_told, "{query}: {:?}", found.warnings);
    };
    let agent = "requestParameters.agent";
    let dedup = format!("dedup {agent}");
    check(&dedup, None, (50, 550), &["50 of 550 events are given;"]);
    check(&dedup, Some(10), (10, 550), &[]);
    check(&dedup, Some(550), (550, 550), &[]);
    check("dedup requestParameters.few", None, (3, 3), &[]);
    check(&format!("{dedup} | limit 40"), None, (40, 550), &[]);
    let rows = format!("{dedup} | fields time, {agent}");
    check(&rows, None, (50, 550), &["50 of 550 events are given;"]);
    check(&format!("{rows} | limit 60"), None, (60, 60), &[]);
    check("sort requestParameters.own", None, (50, 1_100), &["50 of 1100 events are given;"]);
    let counted = "stats count by requestParameters.own";
    check(counted, None, (1_000, 1_100), &["1000 of 1100 rows are given:"]);
    check(counted, Some(7), (7, 1_100), &[]);
    // All that `dedup` keeps are told from each other.
    let request = SearchRequest { query: dedup.into(), limit: Some(600), ..Default::default() };
    let kept = daemon.search(&request);
    let of_hit = |hit: &wire::Hit| {
        serde_json::from_str::<Json>(hit.event.get()).unwrap()["requestParameters"]["agent"]
            .to_string()
    };
    assert_eq!(kept.hits.iter().map(of_hit).collect::<BTreeSet<_>>().len(), 550);
    assert_eq!((kept.total.value, kept.kept), (1_100, Some(550)));

    let values = |field: &str, limit| {
        let request = ValuesRequest { field: field.into(), limit, ..ValuesRequest::default() };
        daemon.client.values(&request).unwrap()
    };
    let few = values("requestParameters.few", None);
    assert_eq!((few.values.len(), few.warnings.len()), (3, 0));
    let many = values(agent, None);
    assert_eq!(many.warnings.len(), 1, "{:?}", many.warnings);
    assert!(many.warnings[0].contains("there are more"), "{:?}", many.warnings);
    assert_eq!(values(agent, Some(5)).values.len(), 5);

    let mut command = traildex();
    command.args(["search", "--socket"]).arg(&daemon.socket).arg(format!("dedup {agent}"));
    let told = ended(&mut command).stderr;
    assert!(told.contains("50 of 550 that dedup keeps, of 1,100 events"), "{told}");
    assert!(told.contains("warning: 50 of 550 events are given;"), "{told}");
    daemon.stop();
}
