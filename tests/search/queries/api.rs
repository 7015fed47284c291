//! What is answered beside events, and what is refused.

use super::*;
use crate::common;

/// What the daemon refuses a request with.
#[track_caller]
fn refusal(request: &SearchRequest) -> ApiError {
    match shared_daemon().client.search(request) {
        Err(ClientError::Api(error)) => error,
        answer => panic!("{request:?}: {answer:?}"),
    }
}

#[track_caller]
fn check_refused(query: &str, kind: ErrorKind, offset: usize) -> ApiError {
    let query = query.to_owned();
    let error = refusal(&SearchRequest { query: query.clone().into(), ..SearchRequest::default() });
    assert_eq!((error.kind, error.offset), (kind, Some(offset)), "{query}: {error:?}");
    error
}

#[test]
fn an_unknown_field_is_refused_with_its_place_and_the_name_that_was_meant() {
    let error = check_refused("bert-jan AND evntName:Decrypt", ErrorKind::UnknownField, 13);
    assert_eq!(error.suggestion.as_deref(), Some("eventName"));
    assert!(error.message.contains("evntName"), "{}", error.message);
    let error = check_refused("é OR arn:* OR nmae:x", ErrorKind::UnknownField, 15);
    assert_eq!(error.suggestion.as_deref(), Some("name"));
}

#[test]
fn a_query_that_cannot_be_read_is_refused_with_its_place() {
    check_refused("eventName:(Decrypt OR", ErrorKind::BadQuery, 21);
    check_refused("a AND )", ErrorKind::BadQuery, 6);
    check_refused("(a OR b", ErrorKind::BadQuery, 0);
    check_refused("\"never closed", ErrorKind::BadQuery, 0);
    check_refused("time:yesterdayish", ErrorKind::BadQuery, 5);
    check_refused("ip:10.0.0.0/64", ErrorKind::BadQuery, 3);
}

#[test]
fn a_request_that_cannot_be_answered_is_refused() {
    let error = refusal(&SearchRequest { limit: Some(10_001), ..SearchRequest::default() });
    assert_eq!(error.kind, ErrorKind::BadRequest);
    assert!(error.message.contains("10000"), "{}", error.message);
    let start = Some("soon".to_owned());
    let error = refusal(&SearchRequest { start, ..SearchRequest::default() });
    assert_eq!(error.kind, ErrorKind::BadRequest);
    assert!(error.message.contains("start") && error.message.contains("soon"), "{error}");

    for (path, message) in [
        ("/v1/search?q=*&limt=5", "limt"),
        ("/v1/search?q=*&limit=many", "limit"),
        ("/v1/search?q=*&order=random", "random"),
        ("/v1/files?state=lost", "lost"),
        ("/v1/status?verbose=1", "verbose"),
    ] {
        let (status, error) = get(path);
        assert_eq!((status, error["error"]["kind"].as_str()), (400, Some("bad-request")), "{path}");
        assert!(error["error"]["message"].as_str().unwrap().contains(message), "{error}");
    }
}

/// A body that the client's types cannot make, sent byte by byte.
fn post(body: &str) -> (u16, Value) {
    use std::io::{Read as _, Write as _};
    // Held to the end: the daemon ends with the last test that holds it.
    let daemon = shared_daemon();
    let mut stream = std::os::unix::net::UnixStream::connect(&daemon.socket).unwrap();
    let head = "POST /v1/search HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length";
    let sent = write!(stream, "{head}: {}\r\n\r\n{body}", body.len());
    sent.unwrap_or_else(|error| panic!("{error}: {body:.80}"));
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}")))
}

fn get(path: &str) -> (u16, Value) {
    let (status, body) = shared_daemon().client.get(path).unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_else(|error| panic!("{path}: {error}")))
}

#[test]
fn a_body_with_an_unknown_key_or_no_json_is_refused() {
    for (body, told) in [
        (r#"{"query":"*","limits":5}"#, "limits"),
        (r#"{"query":"*","limit":"5"}"#, "limit"),
        (r#"{"query":"*","limit":-1}"#, "limit"),
        ("query=*", "JSON"),
        (r#"{"query":"*""#, "JSON"),
    ] {
        let (status, answer) = post(body);
        let error: ErrorBody = serde_json::from_value(answer).unwrap();
        assert_eq!((status, error.error.kind), (400, ErrorKind::BadRequest), "{body}");
        assert!(error.error.message.contains(told), "{body}: {}", error.error.message);
    }
    let (status, answer) = post(&json!({ "query": "x".repeat(2 << 20) }).to_string());
    assert_eq!((status, answer["error"]["kind"].as_str()), (413, Some("too-large")));
    let error =
        refusal(&SearchRequest { query: "x".repeat(2 << 20).into(), ..SearchRequest::default() });
    assert_eq!(error.kind, ErrorKind::TooLarge);
}

#[test]
fn get_and_post_answer_the_same() {
    let body = json!({
        "query": "eventSource:s3.amazonaws.com AND \"AWS Internal\"", "limit": 3, "order": "oldest",
        "start": "2023-07-10", "end": "2023-07-10T12:30",
    });
    let url = "/v1/search?q=eventSource:s3.amazonaws.com+AND+%22AWS%20Internal%22&limit=3\
               &order=oldest&start=2023-07-10&end=2023-07-10T12:30";
    let answer = |(status, mut answer): (u16, Value)| {
        assert_eq!(status, 200, "{answer}");
        assert!(answer["took_ms"].take().is_number());
        // It fixes what `now` is.
        assert!(answer["cursor"].take().is_string());
        answer
    };
    // Another daemon may number the files, and so order the events of one time, otherwise.
    let _same = shared_daemon();
    let by_get = answer(get(url));
    assert_eq!(by_get, answer(post(&body.to_string())));
    assert_eq!(by_get["hits"].as_array().unwrap().len(), 3);
    assert_eq!(get("/v1/search").1["total"]["value"], 2_900);
}

#[test]
fn an_event_is_answered_by_its_id() {
    for event in EVENTS.iter().step_by(97) {
        let id = event.text("eventID");
        let found = shared_daemon().client.event(id).unwrap();
        assert_eq!((found.total.value, found.hits.len()), (1, 1), "{id}");
        assert_eq!(found.hits[0].event.get(), event.raw());
        assert_eq!(found.hits[0].meta.id, id);
        assert_eq!(PathBuf::from(&found.hits[0].meta.file), event.record.path);
    }
    let Err(ClientError::Api(error)) = shared_daemon().client.event("no-such-event") else {
        panic!()
    };
    assert_eq!(error.kind, ErrorKind::NotFound);
    assert_eq!(get("/v1/events/no-such-event").0, 404);
}

#[test]
fn paths_and_methods_that_are_not_there_are_told_apart() {
    let (status, error) = get("/v2/search");
    assert_eq!((status, error["error"]["kind"].as_str()), (404, Some("not-found")));
    let (status, error) = get("/v1/events");
    assert_eq!((status, error["error"]["kind"].as_str()), (404, Some("not-found")));
}

#[test]
fn files_are_listed_by_state_path_and_limit() {
    let list = |request: FilesRequest| shared_daemon().files(&request);
    let all = list(FilesRequest::default());
    assert_eq!((all.total, all.files.len()), (55, 55));
    let path = Some("T1230Z".to_owned());
    let some = list(FilesRequest { path, ..FilesRequest::default() });
    let named = EVENTS.iter().map(|event| &event.record.path);
    let expected: BTreeSet<&PathBuf> =
        named.filter(|path| path.to_str().unwrap().contains("T1230Z")).collect();
    assert_eq!(some.total, expected.len() as u64);
    assert!(some.files.iter().all(|file| expected.contains(&PathBuf::from(&file.path))));
    assert_eq!(some.files.iter().map(|f| f.reading.records).sum::<u64>(), {
        EVENTS.iter().filter(|event| expected.contains(&event.record.path)).count() as u64
    });
    let few = list(FilesRequest { limit: Some(7), ..FilesRequest::default() });
    assert_eq!((few.total, few.files.len()), (55, 7));
    for (state, total) in
        [(FileState::Indexed, 55), (FileState::Rejected, 0), (FileState::Pending, 0)]
    {
        let found = list(FilesRequest { state: Some(state), ..FilesRequest::default() });
        assert_eq!(found.total, total, "{state}");
    }
}

#[test]
fn health_readiness_and_metrics_are_answered() {
    let held = shared_daemon();
    held.client.search(&SearchRequest::default()).unwrap();
    assert_eq!(get("/healthz"), (200, json!({ "ok": true })));
    assert_eq!(get("/readyz"), (200, json!({ "ok": true })));
    shared_daemon().find("eventName:Decrypt");
    let (status, body) = shared_daemon().client.get("/metrics").unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(status, 200);
    for line in [
        "traildex_events_indexed 2900",
        "traildex_files{state=\"indexed\"} 55",
        "traildex_files{state=\"pending\"} 0",
        "traildex_ingesting 1",
        "traildex_ingest_files_total 55",
        "traildex_ingest_events_total 2900",
        "traildex_ingest_panics_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "no line {line} in\n{text}");
    }
    let searches = "traildex_http_requests_total{path=\"/v1/search\",status=\"200\"} ";
    let searches = text.lines().find_map(|line| line.strip_prefix(searches)).unwrap();
    assert!(searches.parse::<u64>().unwrap() > 0);
    let raw = text.lines().find_map(|line| line.strip_prefix("traildex_ingest_raw_bytes_total "));
    let files: BTreeSet<&PathBuf> = EVENTS.iter().map(|event| &event.record.path).collect();
    let bytes: usize = files.iter().map(|path| common::contents(path).len()).sum();
    assert_eq!(raw, Some(bytes.to_string().as_str()));
}

#[test]
fn the_status_adds_up() {
    let status = shared_daemon().status();
    assert_eq!(status.version, env!("CARGO_PKG_VERSION"));
    assert_eq!((status.files.seen, status.files.indexed, status.files.ignored), (55, 55, 0));
    assert_eq!((status.events.indexed, status.events.rejected), (2_900, 0));
    assert!(status.index.bytes > 0 && status.index.segments > 0);
    assert_eq!((status.lag.pending_bytes, status.lag.oldest_pending_s), (0, 0.0));
    assert!(status.lag.last_commit_s.is_some());
}
