//! In which order events come, how many of them, and from which times.

use super::*;
use wire::ExportRequest;

fn ask(query: &str, order: Order, limit: usize) -> SearchResponse {
    let query = query.to_owned();
    shared_daemon().search(&SearchRequest {
        query: query.into(),
        order,
        limit: Some(limit),
        ..SearchRequest::default()
    })
}

fn times(found: &SearchResponse) -> Vec<String> {
    let time = |event: &str| {
        let event: Value = serde_json::from_str(event).unwrap();
        event["eventTime"].as_str().unwrap().to_owned()
    };
    found.hits.iter().map(|hit| time(hit.event.get())).collect()
}

#[test]
fn the_newest_or_the_oldest_come_first_up_to_the_limit() {
    for (query, name) in [("*", None), ("eventName:Decrypt", Some("Decrypt"))] {
        let is_met = |event: &&Event| name.is_none_or(|name| is(event, "eventName", name));
        let met = EVENTS.iter().filter(is_met);
        let mut oldest: Vec<String> = met.map(|event| event.time().to_owned()).collect();
        oldest.sort();
        let newest: Vec<String> = oldest.iter().rev().cloned().collect();
        for limit in [0, 1, 7, 50, 999, 10_000] {
            for (order, expected) in [(Order::Newest, &newest), (Order::Oldest, &oldest)] {
                let found = ask(query, order, limit);
                let shown = &expected[..limit.min(expected.len())];
                assert_eq!(times(&found), shown, "{query} {order:?} {limit}");
                assert_eq!(found.total.value, expected.len() as u64, "{query} {order:?} {limit}");
                assert!(found.total.exact);
            }
        }
    }
}

#[test]
fn events_of_one_time_have_one_order() {
    let times: BTreeSet<&str> = EVENTS.iter().map(Event::time).collect();
    assert!(times.len() < EVENTS.len() / 2, "events that share their times");
    // Another daemon may number the files otherwise.
    let _same = shared_daemon();
    // Counted while they are collected, and not; by a condition that reads records, too.
    for query in ["*", "eventName:Decrypt", "ListBuckets OR Decrypt", "/[Dd]ecrypt/ OR /List.*/"] {
        let places = |order, limit| -> Vec<(String, String, u64)> {
            let place = |hit: &Hit| (hit.meta.time.clone(), hit.meta.file.clone(), hit.meta.offset);
            ask(query, order, limit).hits.iter().map(place).collect()
        };
        let oldest = places(Order::Oldest, 10_000);
        for pair in oldest.windows(2) {
            let [(time, file, offset), (next_time, next_file, next_offset)] = pair else {
                panic!()
            };
            let is_same = time == next_time && file == next_file;
            assert!(time < next_time || !is_same || offset < next_offset, "{query}: {pair:?}");
        }
        let newest: Vec<_> = oldest.iter().rev().cloned().collect();
        for limit in [1, 7, 50, 999, 10_000] {
            for (order, all) in [(Order::Newest, &newest), (Order::Oldest, &oldest)] {
                let shown = &all[..limit.min(all.len())];
                assert_eq!(places(order, limit), shown, "{query} {order:?} {limit}");
            }
        }
    }
}

#[test]
fn pages_exports_and_first_events_have_the_order_of_the_answer() {
    let daemon = shared_daemon();
    let query = "eventName:Decrypt OR eventName:ListBuckets";
    let id = |hit: &Hit| hit.meta.id.clone();
    for order in [Order::Newest, Order::Oldest] {
        let all: Vec<String> = ask(query, order, 10_000).hits.iter().map(id).collect();
        assert!(all.len() > 150);
        let (mut paged, mut cursor) = (Vec::new(), None);
        loop {
            let limit = Some(7);
            let request =
                SearchRequest { query: query.into(), order, limit, cursor, ..Default::default() };
            let page = daemon.search(&request);
            paged.extend(page.hits.iter().map(id));
            cursor = page.cursor;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(paged, all, "{order:?}");
        let request = ExportRequest { query: query.into(), order, ..ExportRequest::default() };
        let mut answer = daemon.client.export(&request).unwrap();
        let mut lines = Vec::new();
        while let Some(bytes) = answer.chunk().unwrap() {
            lines.extend(bytes);
        }
        let of_line = |line: &str| {
            let record: Value = serde_json::from_str(line).unwrap();
            record["eventID"].as_str().unwrap().to_owned()
        };
        let exported: Vec<String> =
            std::str::from_utf8(&lines).unwrap().lines().map(of_line).collect();
        assert_eq!(exported, all, "{order:?}");
        // Equal events of a sort, and the first that rows are made of.
        let sorted: Vec<String> =
            ask(&format!("{query} | sort awsRegion"), order, 10_000).hits.iter().map(id).collect();
        assert_eq!(sorted, all, "{order:?}");
        for limit in [0, 1, 50, 10_000] {
            let rows =
                ask(&format!("{query} | limit {limit} | stats count by eventID"), order, 10_000);
            let mut first: Vec<&String> = all.iter().take(limit).collect();
            first.sort();
            let rows = rows.table.unwrap().rows;
            let found: Vec<Value> = rows.into_iter().map(|mut row| row.remove(0)).collect();
            assert_eq!(json!(found), json!(first), "{order:?} {limit}");
        }
    }
}

#[test]
fn rows_are_made_of_the_events_that_stages_before_leave() {
    let daemon = shared_daemon();
    let rows = |query: &str| json!(daemon.find(query).table.unwrap().rows);
    let mut events: Vec<&Event> = EVENTS.iter().filter(|e| is(e, "eventName", "Decrypt")).collect();
    assert_eq!(rows("eventName:Decrypt | limit 10 | stats count"), json!([[10]]));
    assert_eq!(rows("eventName:Decrypt | limit 10000 | stats count"), json!([[events.len()]]));
    assert_eq!(rows("eventName:Decrypt | limit 0 | stats count"), json!([[0]]));
    events.sort_by_key(|event| event.time());
    let names: BTreeSet<&str> = EVENTS.iter().map(|e| e.text("eventName")).collect();
    assert_eq!(rows("* | dedup eventName | stats count"), json!([[names.len()]]));
    assert_eq!(rows("* | dedup eventName | limit 5 | stats count"), json!([[5]]));
    let sorted: Vec<&&str> = names.iter().take(3).collect();
    let first = rows("* | sort eventName | dedup eventName | limit 3 | stats count by eventName");
    let expected: Vec<Value> = sorted.iter().map(|name| json!([name, 1])).collect();
    assert_eq!(first, json!(expected));
    let last = events.last().unwrap().time();
    assert_eq!(
        rows("eventName:Decrypt | sort time desc | limit 1 | stats max(time)"),
        json!([[last]])
    );
    let request =
        SearchRequest { query: "* | limit 100001 | stats count".into(), ..Default::default() };
    let error = daemon.client.search(&request).unwrap_err().to_string();
    assert!(error.contains("the first 100000 events"), "{error}");
}

#[test]
fn fifty_events_come_without_a_limit() {
    let found = shared_daemon().search(&SearchRequest::default());
    assert_eq!((found.hits.len(), found.total.value), (50, 2_900));
}

#[test]
fn a_bounded_total_of_few_events_is_exact() {
    let found = shared_daemon().search(&SearchRequest {
        query: "eventName:Decrypt".into(),
        total: TotalMode::Bounded,
        ..SearchRequest::default()
    });
    assert_eq!(found.total, Total { value: 178, exact: true });
}

#[test]
fn the_start_is_included_and_the_end_is_not() {
    let is_between = |time: &&str| ("2023-07-10T12:00:00Z".."2023-07-10T12:10:20Z").contains(time);
    let mut between: Vec<&str> = EVENTS.iter().map(Event::time).filter(is_between).collect();
    between.sort_unstable();
    let request = SearchRequest {
        query: "".into(),
        start: Some("2023-07-10T12:00".to_owned()),
        end: Some("2023-07-10T12:10:20Z".to_owned()),
        limit: Some(10_000),
        order: Order::Oldest,
        ..SearchRequest::default()
    };
    let found = shared_daemon().search(&request);
    assert_eq!(times(&found), between);

    // The exact second of an event, up to the exact second of another.
    let (start, end) = (between[0].to_owned(), between[between.len() - 1].to_owned());
    let expected = between.iter().filter(|time| **time < end.as_str()).count();
    let found = shared_daemon().search(&SearchRequest {
        start: Some(start),
        end: Some(end),
        ..request.clone()
    });
    assert_eq!(found.total.value, expected as u64);

    let query = "errorCode:*".to_owned();
    let found = shared_daemon().search(&SearchRequest { query: query.into(), ..request });
    let failed = EVENTS.iter().filter(|e| is_between(&e.time()) && has(e, "errorCode"));
    assert_eq!(found.total.value, failed.count() as u64);
}
