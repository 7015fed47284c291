//! Pages of events: each event once, in order, while others arrive, segments merge and time passes.

use std::collections::BTreeSet;
use std::fs;

use client::ClientError;
use jiff::{SignedDuration, Timestamp};
use wire::{
    ApiError, ErrorKind, ExportRequest, Order, RebuildRequest, RebuildState, SearchRequest,
    SearchResponse, TailRequest, TotalMode,
};

use crate::common::{
    self, Daemon, PATIENCE, PATIENCE_BULK, Place, files_below, generated, wait_until,
};

fn indexed(events: u64) -> (Place, Daemon, BTreeSet<String>) {
    let place = Place::new();
    let ids = generated(&place.archive(), 1, events);
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, ids.len() as u64);
    (place, daemon, ids)
}

fn of(query: &str) -> SearchRequest {
    SearchRequest { query: query.into(), ..SearchRequest::default() }
}

fn next(request: &SearchRequest, page: &SearchResponse) -> Option<SearchRequest> {
    let cursor = page.cursor.clone()?;
    Some(SearchRequest { cursor: Some(cursor), ..request.clone() })
}

#[track_caller]
fn refusal(daemon: &Daemon, request: &SearchRequest) -> ApiError {
    match daemon.client.search(request) {
        Err(ClientError::Api(error)) => error,
        answer => panic!("{request:?}: {answer:?}"),
    }
}

#[test]
fn no_event_is_missed_or_repeated_while_others_arrive() {
    let (place, daemon, before) = indexed(4_000);
    let coming = place.path("coming");
    generated(&coming, 2, 4_000);
    let mut coming = files_below(&coming).into_iter();
    let mut arrived = 0;
    for (order, limit) in [(Order::Newest, 83), (Order::Oldest, 199), (Order::Newest, 1_009)] {
        let limit = Some(limit);
        let total = TotalMode::None;
        let mut request = SearchRequest { order, limit, total, ..SearchRequest::default() };
        let mut found = Vec::new();
        loop {
            let page = daemon.search(&request);
            found.extend(page.hits.iter().map(|hit| (hit.meta.time.clone(), hit.meta.id.clone())));
            for file in coming.by_ref().take(1) {
                let name = file.file_name().unwrap();
                fs::rename(&file, place.archive().join(name)).unwrap();
                arrived += 1;
            }
            let Some(following) = next(&request, &page) else { break };
            request = following;
        }
        let times = found.iter().map(|(time, _)| time);
        assert!(if order == Order::Newest {
            times.is_sorted_by(|a, b| a >= b)
        } else {
            times.is_sorted()
        });
        let ids: BTreeSet<String> = found.iter().map(|(_, id)| id.clone()).collect();
        assert_eq!(ids.len(), found.len(), "{order:?} {limit:?}: repeated");
        assert!(
            before.is_subset(&ids),
            "{order:?} {limit:?}: {} missed",
            before.difference(&ids).count()
        );
    }
    assert!(arrived > 5 && coming.next().is_none(), "{arrived} files");
    daemon.stop();
}

#[test]
fn the_total_and_a_querys_own_limit_are_those_of_all_pages() {
    let (_place, daemon, ids) = indexed(500);
    for (query, wanted) in [("* | limit 100", 100), ("* | limit 100 | fields eventID, time", 100)] {
        let mut request = SearchRequest { limit: Some(30), ..of(query) };
        let mut sizes = Vec::new();
        loop {
            let page = daemon.search(&request);
            assert_eq!((page.total.value, page.total.exact), (ids.len() as u64, true));
            sizes.push(page.table.as_ref().map_or(page.hits.len(), |table| table.rows.len()));
            let Some(following) = next(&request, &page) else { break };
            request = following;
        }
        assert_eq!(sizes, [30, 30, 30, 10], "{query}");
        assert_eq!(sizes.iter().sum::<usize>(), wanted);
    }
    // As many as are asked for, and no more to come.
    let all = Some(ids.len());
    let page = daemon.search(&SearchRequest { limit: all, ..SearchRequest::default() });
    assert_eq!((page.hits.len(), page.cursor), (ids.len(), None));
    let none = daemon.search(&SearchRequest { limit: Some(0), ..SearchRequest::default() });
    assert_eq!(none.cursor, None);
    let uncounted = SearchRequest { total: TotalMode::None, ..SearchRequest::default() };
    let page = daemon.search(&uncounted);
    assert_eq!((page.hits.len(), page.total.exact), (50, false));
    daemon.stop();
}

/// An event a second leaves the last hour while the test runs, so that two moments differ in what they
/// find, however long the daemon takes.
#[test]
fn now_is_what_it_was_on_the_first_page() {
    const EVENTS: i64 = 600;
    let place = Place::new();
    let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let record = |n: i64| {
        let time = (hour_ago + SignedDuration::from_secs(n)).strftime("%Y-%m-%dT%H:%M:%SZ");
        format!(r#"{{"eventID":"{n}","eventTime":"{time}","eventName":"A"}}"#)
    };
    let records: Vec<String> = (0..EVENTS).map(record).collect();
    fs::write(place.archive().join("a.jsonl"), records.join("\n")).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, EVENTS as u64);
    let number = |page: &SearchResponse| page.hits[0].meta.id.parse::<i64>().unwrap();
    let start = Some("-1h".to_owned());
    let oldest =
        SearchRequest { start, limit: Some(1), order: Order::Oldest, ..SearchRequest::default() };
    let page = daemon.search(&oldest);
    let first = number(&page);
    wait_until(PATIENCE, "the second page's event is too old by now", || {
        number(&daemon.search(&oldest)) > first + 1
    });
    assert_eq!(number(&daemon.search(&next(&oldest, &page).unwrap())), first + 1);
    daemon.stop();
}

#[test]
fn a_cursor_of_another_search_or_index_is_refused() {
    let (_place, daemon, ids) = indexed(300);
    let request = SearchRequest { limit: Some(10), ..SearchRequest::default() };
    let page = daemon.search(&request);
    let second = next(&request, &page).unwrap();
    let others = [
        SearchRequest { query: "s3".into(), ..second.clone() },
        SearchRequest { order: Order::Oldest, ..second.clone() },
        SearchRequest { start: Some("2020-01-01".to_owned()), ..second.clone() },
        SearchRequest { end: Some("now".to_owned()), ..second.clone() },
        SearchRequest { time_zone: Some("Europe/Berlin".to_owned()), ..second.clone() },
        SearchRequest { cursor: Some("AAAA".to_owned()), ..request.clone() },
        SearchRequest { cursor: Some("?".to_owned()), ..request.clone() },
        SearchRequest { cursor: Some(String::new()), ..request.clone() },
    ];
    for other in others {
        let error = refusal(&daemon, &other);
        assert_eq!(error.kind, ErrorKind::BadRequest, "{other:?}");
        assert!(error.message.starts_with("cursor: "), "{error}");
    }
    // What does not change which events there are may change.
    let larger = SearchRequest { limit: Some(20), total: TotalMode::None, ..second.clone() };
    assert_eq!(daemon.search(&larger).hits.len(), 20);

    daemon.client.rebuild(&RebuildRequest::default()).unwrap();
    daemon.wait_for(PATIENCE_BULK, "the rebuild", |status| {
        status.rebuild.as_ref().is_some_and(|rebuild| rebuild.state == RebuildState::Done)
    });
    assert_eq!(daemon.count("*"), ids.len() as u64);
    assert_eq!(refusal(&daemon, &second).kind, ErrorKind::Gone);
    daemon.stop();
}

#[test]
fn pages_go_by_time_only() {
    let (_place, daemon, _) = indexed(300);
    for query in ["* | sort eventName", "* | dedup eventName", "count by eventName"] {
        let request = SearchRequest { limit: Some(1), ..of(query) };
        assert_eq!(daemon.search(&request).cursor, None, "{query}");
    }
    // The query's own order of time is the pages'.
    let request = SearchRequest {
        query: "* | sort time desc".into(),
        limit: Some(1),
        order: Order::Oldest,
        ..SearchRequest::default()
    };
    let page = daemon.search(&request);
    let second = daemon.search(&next(&request, &page).unwrap());
    assert!(second.hits[0].meta.time <= page.hits[0].meta.time);
    daemon.stop();
}

/// CloudTrail delivers records of up to 256 KB, of which ten thousand are not held in memory.
#[test]
fn large_records_end_a_page_and_are_told_and_exported_whole() {
    let place = Place::new();
    let daemon = place.start();
    let mut tail = TailRequest { q: "*".to_owned(), cursor: None };
    tail.cursor = Some(daemon.client.tail(&tail).unwrap().told().unwrap().unwrap().cursor);
    let ids: BTreeSet<String> = (100..300).map(|number| format!("e{number}")).collect();
    let policy = format!(r#"{{"requestParameters":{{"policy":"{}"}},"#, "word".repeat(62_500));
    let records: Vec<String> =
        ids.iter().map(|id| common::record(id).replacen('{', &policy, 1)).collect();
    for (number, records) in records.chunks(20).enumerate() {
        let trail = format!(r#"{{"Records":[{}]}}"#, records.join(","));
        let file = place.archive().join(format!("{number}.json.gz"));
        fs::write(file, common::gzip(trail.as_bytes())).unwrap();
    }
    daemon.wait_indexed(PATIENCE_BULK, 200);

    for query in ["*", "* | fields requestParameters, eventID"] {
        let mut request = SearchRequest { limit: Some(150), ..of(query) };
        let (mut found, mut pages) = (BTreeSet::new(), 0);
        loop {
            let page = daemon.search(&request);
            let rows = page.table.iter().flat_map(|table| &table.rows);
            let of_rows = rows.map(|row| row.last().unwrap().as_str().unwrap().to_owned());
            let given: Vec<_> =
                page.hits.iter().map(|hit| hit.meta.id.clone()).chain(of_rows).collect();
            assert!(given.len() < 70, "{query}: {} events of 250 KB", given.len());
            if page.cursor.is_some() {
                assert!(page.warnings.iter().any(|w| w.contains("16 MiB")), "{:?}", page.warnings);
            }
            pages += 1;
            found.extend(given);
            let Some(following) = next(&request, &page) else { break };
            request = following;
        }
        assert_eq!((pages, &found), (3, &ids), "{query}");
    }

    let sorted = "* | sort eventName, eventID";
    let ranked = daemon.search(&SearchRequest { limit: Some(150), ..of(sorted) });
    assert!(ranked.cursor.is_none() && ranked.hits.len() < 70);
    assert!(ranked.warnings.iter().any(|w| w.contains("ask for fewer")), "{:?}", ranked.warnings);
    let export = |query: &str| {
        let request = ExportRequest { query: query.into(), ..ExportRequest::default() };
        let mut export = daemon.client.export(&request).unwrap();
        let mut exported = Vec::new();
        while let Some(bytes) = export.chunk().unwrap() {
            exported.extend(bytes);
        }
        String::from_utf8(exported).unwrap()
    };
    // What is sorted is found at once, and fetched in parts.
    let in_order: Vec<&str> = records.iter().map(String::as_str).collect();
    assert!(
        export(sorted).lines().collect::<Vec<_>>() == in_order,
        "other records, or another order"
    );

    let exported = export("*");
    let lines: BTreeSet<&str> = exported.lines().collect();
    assert!(exported.lines().count() == 200, "{} lines", exported.lines().count());
    assert!(lines == records.iter().map(String::as_str).collect(), "other records");

    let mut stream = daemon.client.tail(&tail).unwrap();
    let mut told = BTreeSet::new();
    while told.len() < ids.len() {
        if let Some(hit) = stream.told().unwrap().unwrap().hit {
            assert!(told.insert(hit.meta.id), "told twice");
        }
    }
    assert_eq!(told, ids);
    daemon.stop();
}

#[test]
fn an_id_that_many_large_events_have_is_said_not_to_be_told_whole() {
    let place = Place::new();
    let daemon = place.start();
    let policy = "word".repeat(62_500);
    let record = |number: u32| {
        let other = format!(r#"{{"requestParameters":{{"number":{number},"policy":"{policy}"}},"#);
        common::record("same").replacen('{', &other, 1)
    };
    let records: Vec<String> = (0..80).map(record).collect();
    for (number, records) in records.chunks(20).enumerate() {
        let trail = format!(r#"{{"Records":[{}]}}"#, records.join(","));
        fs::write(place.archive().join(format!("{number}.json")), trail).unwrap();
    }
    daemon.wait_indexed(PATIENCE, 80);
    let found = daemon.client.event("same").unwrap();
    assert_eq!(found.total.value, 80);
    assert!(found.hits.len() < 70, "{} events of 250 KB", found.hits.len());
    assert!(found.warnings.iter().any(|w| w.contains("of 80 events")), "{:?}", found.warnings);
    daemon.stop();
}
