//! What each route answers, and what is refused.

use super::*;

#[test]
fn every_route_answers() {
    let daemon = Daemon::start(ServerOptions::default());
    let mut event = found("3:7/é");
    let sentence =
        "alice called GetObject at 2023-07-10T11:42:36Z, with iam-user credentials.".to_owned();
    event.hits[0].meta.sentence = Some(sentence);
    let event = serde_json::to_string(&event).unwrap();
    for (path, expected) in [
        ("/v1/events/3:7%2F%C3%A9", event.as_str()),
        ("/healthz", r#"{"ok":true}"#),
        ("/readyz", r#"{"ok":true}"#),
    ] {
        let (status, head, body) = daemon.ask("GET", path, b"");
        assert_eq!((status, body.as_str()), (200, expected), "{path}");
        assert!(head.contains("content-type: application/json"), "{head}");
    }
    let (_, _, files) = daemon.ask("GET", "/v1/files?state=rejected&path=a+b&limit=7", b"");
    assert!(files.starts_with(r#"{"files":[],"total":7,"sums":{"files":0,"#), "{files}");
    let (_, _, status) = daemon.ask("GET", "/v1/status", b"");
    assert!(status.starts_with(r#"{"version":"7","#), "{status}");
    let (_, head, metrics) = daemon.ask("GET", "/metrics", b"");
    assert!(head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(
        metrics.contains(r#"traildex_http_requests_total{path="/v1/events/{id}",status="200"} 1"#),
        "{metrics}"
    );
    assert!(metrics.contains("traildex_http_connections "), "{metrics}");
}

#[test]
fn checks_and_rebuilds_are_begun_and_asked_about() {
    let daemon = Daemon::start(ServerOptions::default());
    for (method, path, body, status, expected) in [
        ("POST", "/v1/verify", &b""[..], 202, r#"{"is_running":true,"#),
        ("GET", "/v1/verify", b"", 200, r#"{"is_running":false,"bytes_done":0,"bytes_total":7}"#),
        ("POST", "/v1/rebuild", br#"{"accept_loss":true}"#, 202, r#"{"state":"running","uid":"#),
        ("POST", "/v1/rebuild", b"", 409, r#"{"error":{"kind":"conflict","#),
        ("POST", "/v1/rebuild", br#"{"accept":true}"#, 400, r#"{"error":{"kind":"bad-request","#),
        ("POST", "/v1/verify", br#"{"x":1}"#, 400, r#"{"error":{"kind":"bad-request","#),
    ] {
        let (got, _, answer) = daemon.ask(method, path, body);
        assert_eq!(got, status, "{path} {answer}");
        assert!(answer.starts_with(expected), "{path} {answer}");
    }
}

#[test]
fn a_record_comes_back_byte_for_byte() {
    let daemon = Daemon::start(ServerOptions::default());
    let (_, _, body) = read_answer(daemon.search("*"));
    assert!(body.contains(&format!(r#""event":{RECORD},"#)), "{body}");
}

#[test]
fn a_search_by_url_is_the_search_by_body() {
    let daemon = Daemon::start(ServerOptions::default());
    let url = "/v1/search?q=a%20AND+b&start=-24h&end=now&limit=0&order=oldest&total=bounded";
    let body = br#"{"query":"a AND b","start":"-24h","end":"now","limit":0,
                    "order":"oldest","total":"bounded"}"#;
    let by_url = daemon.ask("GET", url, b"");
    assert_eq!(by_url.0, 200);
    assert!(by_url.2.contains(r#"\"limit\":0,\"order\":\"oldest\""#), "{}", by_url.2);
    assert_eq!(by_url.2, daemon.ask("POST", "/v1/search", body).2);
}

#[test]
fn a_wrong_path_or_method_is_named() {
    let daemon = Daemon::start(ServerOptions::default());
    for (method, path, status, expected) in [
        ("GET", "/v2", 404, "not-found: there is no path /v2"),
        ("GET", "/v1/events/", 404, "not-found: there is no path /v1/events/"),
        ("GET", "/v1/events/none", 404, "not-found: no event has the id none"),
        ("GET", "/v1/events/%FF", 400, "bad-request: Invalid URL: Invalid UTF-8 in `id`"),
        ("PUT", "/v1/search", 405, "method-not-allowed: /v1/search does not answer PUT"),
    ] {
        check_error(&daemon, (method, path, b""), status, expected);
    }
    let (_, head, _) = daemon.ask("DELETE", "/v1/status", b"");
    assert!(head.contains("allow: GET,HEAD"), "{head}");
}

#[test]
fn a_wrong_body_is_told_where_and_what_is_allowed() {
    let daemon = Daemon::start(ServerOptions::default());
    for (body, expected) in [
        (&b""[..], "the body is not JSON: EOF while parsing a value at line 1 column 0"),
        (b"{\n \"query\": x}", "the body is not JSON: expected value at line 2 column 11"),
        (b"{} {}", "the body is not JSON: trailing characters at line 1 column 4"),
        (b"{\"query\":\"\xff\"}", "the body is not UTF-8 at byte 10"),
        (b"{\"limit\":\"9\"}", "key 'limit': invalid type: string \"9\", expected usize"),
        (b"{\"limit\":-1}", "key 'limit': invalid value: integer `-1`"),
        (b"{\"limit\":10001}", "limit 10001 is more than 10000"),
        (b"{\"order\":\"up\"}", "key 'order': unknown variant `up`, expected `newest` or"),
        (b"{\"qery\":\"a\"}", "unknown field `qery`, expected one of `q`, `query`, `start`"),
        (b"{\"q\":\"a\",\"query\":\"b\"}", "duplicate field `query`"),
    ] {
        let expected = format!("bad-request: {expected}");
        check_error(&daemon, ("POST", "/v1/search", body), 400, &expected);
    }
}

#[test]
fn a_wrong_query_string_is_told_what_is_allowed() {
    let daemon = Daemon::start(ServerOptions::default());
    for (method, path, expected) in [
        ("GET", "/v1/search?limit=x", "query string: limit: invalid digit found in string"),
        ("GET", "/v1/search?q=%FF", "the query string is not UTF-8"),
        ("GET", "/v1/search?qq=1", "query string: qq: unknown field `qq`, expected one of"),
        ("GET", "/v1/search?limit=10001", "limit 10001 is more than 10000"),
        ("POST", "/v1/search?q=a", "query string: q: unknown field `q`, there are no fields"),
        ("GET", "/v1/status?v", "query string: v: unknown field `v`"),
        ("GET", "/v1/events/a?v=1", "query string: v: unknown field `v`"),
        ("GET", "/v1/files?state=lost", "query string: state: unknown variant `lost`"),
        ("GET", "/v1/files?by=day,hour", "query string: by: 'hour' is not one of"),
        ("GET", "/v1/files?limit=10001", "limit 10001 is more than 10000"),
    ] {
        let expected = format!("bad-request: {expected}");
        check_error(&daemon, (method, path, b""), 400, &expected);
    }
}

#[test]
fn a_body_past_the_bound_is_refused() {
    let daemon = Daemon::start(ServerOptions::default());
    let body = vec![b' '; REQUEST_BODY_BYTES_MAX + 1];
    check_error(&daemon, ("POST", "/v1/search", &body), 413, "too-large: the body is larger");
    let mut body = br#"{"query":"*"}"#.to_vec();
    body.resize(REQUEST_BODY_BYTES_MAX, b' ');
    assert_eq!(daemon.ask("POST", "/v1/search", &body).0, 200);
}

#[test]
fn a_daemon_that_is_not_ready_says_so_and_is_healthy() {
    let daemon = Daemon::start_when(false, ServerOptions::default());
    check_error(&daemon, ("GET", "/readyz", b""), 503, "unavailable: the index is being opened");
    assert_eq!(daemon.ask("GET", "/healthz", b"").0, 200);
}

#[test]
fn a_panic_is_one_requests_error_and_counted() {
    let daemon = Daemon::start(ServerOptions { searches_max: 1, ..Default::default() });
    check_error(
        &daemon,
        ("GET", "/v1/search?q=panic", b""),
        500,
        "internal: the daemon failed on this request",
    );
    assert_eq!(read_answer(daemon.search("*")).0, 200);
    assert!(daemon.ask("GET", "/metrics", b"").2.contains("traildex_http_panics_total 1"));
}
