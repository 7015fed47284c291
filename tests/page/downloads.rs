//! Downloads by ticket: a link without the token gets one export, once.

use serde_json::Value;

use crate::common::{PATIENCE, Place, record, shared_daemon};

use super::harness::{Answered, Web};
use super::sites::on_socket;

const BODY: &str = r#"{"query":"eventName:CreateUser","format":"csv"}"#;

fn ticket(web: &Web, body: &str) -> String {
    let answered = web.ask("POST /v1/export/ticket", body);
    assert_eq!(answered.status, 201, "{}", answered.body);
    let answer: Value = serde_json::from_str(&answered.body).unwrap();
    assert_eq!(answer["seconds"], 60);
    answer["ticket"].as_str().unwrap().to_owned()
}

/// As a browser follows a link of the page: without the token.
fn follow(web: &Web, ticket: &str, more: &[&str]) -> Answered {
    let host = web.host();
    let headers = [&[host.as_str()], more].concat();
    web.send(&format!("GET /v1/export?ticket={ticket}"), &headers, "")
}

const OWN: [&str; 2] = ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Mode: navigate"];

#[test]
fn a_ticket_gets_its_export_once_and_without_the_token() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &["--read-only"]);
    let by_body = web.ask("POST /v1/export", BODY);
    let one = ticket(&web, BODY);
    assert!(one.len() == 64 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
    let file = follow(&web, &one, &OWN);
    assert_eq!(file.status, 200);
    assert_eq!(file.body, by_body.body);
    assert!(file.body.contains("CreateUser"), "{}", file.body);
    for header in [
        "content-disposition: attachment; filename=\"traildex.csv\"",
        "content-type: text/csv",
        "cache-control: no-store",
        "x-content-type-options: nosniff",
        "referrer-policy: no-referrer",
    ] {
        assert!(file.head.contains(header), "{header}: {}", file.head);
    }
    assert!(!file.body.contains(&one) && !file.head.contains(&one));
    for _ in 0..2 {
        let again = follow(&web, &one, &OWN);
        assert_eq!(again.status, 410);
        assert!(!again.body.contains("CreateUser") && !again.body.contains(&one), "{}", again.body);
    }
    // On the socket it is the same, with the same checks.
    let line = format!("GET /v1/export?ticket={}", ticket(&web, BODY));
    assert_eq!(on_socket(&daemon, &line, "Host: evil.example").0, 421);
    let (status, head, body) = on_socket(&daemon, &line, "Host: localhost");
    assert_eq!((status, &body), (200, &by_body.body));
    assert!(head.contains("filename=\"traildex.csv\""), "{head}");
    assert_eq!(on_socket(&daemon, &line, "Host: localhost").0, 410);
    let parquet = ticket(&web, r#"{"query":"*","format":"parquet"}"#);
    let file = follow(&web, &parquet, &OWN);
    assert!(file.head.contains("filename=\"traildex.parquet\""), "{}", file.head);
    assert!(file.body.contains("PAR1"));
}

#[test]
fn who_has_no_ticket_gets_nothing_and_uses_none_up() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    let host = web.host();
    assert_eq!(web.send("POST /v1/export/ticket", &[&host], BODY).status, 401);
    let one = ticket(&web, BODY);
    // Nor is it a token for anything else.
    for line in [
        format!("POST /v1/export?ticket={one}"),
        format!("GET /v1/search?ticket={one}"),
        format!("GET /v1/status?ticket={one}"),
        format!("HEAD /v1/export?ticket={one}"),
        format!("GET /v1/export?ticket={one}&query=*"),
        format!("GET /v1/export?q=*&ticket={one}"),
        format!("GET /v1/export/ticket?ticket={one}"),
        "GET /v1/export".to_owned(),
    ] {
        assert_eq!(web.send(&line, &[&host], "").status, 401, "{line}");
    }
    assert_eq!(
        web.send("GET /v1/status", &[&host, &format!("Authorization: Bearer {one}")], "").status,
        401
    );
    for wrong in [&one[..63], &format!("{one}0"), "x", &"0".repeat(64), "%00", &"x".repeat(5_000)] {
        assert_eq!(follow(&web, wrong, &OWN).status, 410, "{wrong}");
    }
    assert_eq!(follow(&web, "", &OWN).status, 400);
    // A page of another site cannot use it, nor ask for one.
    for site in ["cross-site", "same-site", "none"] {
        assert_eq!(follow(&web, &one, &[&format!("Sec-Fetch-Site: {site}")]).status, 403, "{site}");
    }
    assert_eq!(follow(&web, &one, &["Origin: http://evil.example"]).status, 403);
    let rebound = ["Host: evil.example"];
    assert_eq!(web.send(&format!("GET /v1/export?ticket={one}"), &rebound, "").status, 421);
    let bearer = web.bearer();
    let foreign = [host.as_str(), &bearer, "Origin: http://evil.example"];
    assert_eq!(web.send("POST /v1/export/ticket", &foreign, BODY).status, 403);
    let text = [host.as_str(), &bearer, "Sec-Fetch-Site: same-origin", "Content-Type: text/plain"];
    assert_eq!(web.send("POST /v1/export/ticket", &text, BODY).status, 415);
    assert_eq!(follow(&web, &one, &OWN).status, 200);
}

#[test]
fn a_ticket_says_what_is_wrong_and_how_the_query_was_taken() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    let wrong = web.ask("POST /v1/export/ticket", r#"{"query":"eventNam:x"}"#);
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("did you mean 'eventName'"), "{}", wrong.body);
    let query = "eventName:CreateUser or alice";
    let body = format!("{{\"query\":\"{query}\"}}");
    let told = web.ask("POST /v1/search", &body);
    let told: Value = serde_json::from_str(&told.body).unwrap();
    let answered = web.ask("POST /v1/export/ticket", &body);
    let answer: Value = serde_json::from_str(&answered.body).unwrap();
    assert!(!told["warnings"].as_array().unwrap().is_empty(), "{told}");
    assert_eq!(answer["warnings"], told["warnings"]);
    let large = format!("{{\"query\":\"{}\"}}", "x ".repeat(90_000));
    assert_eq!(web.ask("POST /v1/export/ticket", &large).status, 413);
    assert_eq!(web.ask("POST /v1/export/ticket", r#"{"query":"*","limit":10001}"#).status, 400);
}

#[test]
fn tickets_are_bounded_and_those_of_a_daemon_end_with_it() {
    let place = Place::new();
    let trail = format!("{{\"Records\":[{}]}}", record("one"));
    std::fs::write(place.archive().join("one.json"), trail).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1);
    let web = Web::start(&daemon, &[]);
    let tickets: Vec<String> = (0..16).map(|_| ticket(&web, r#"{"query":"*"}"#)).collect();
    let busy = web.ask("POST /v1/export/ticket", r#"{"query":"*"}"#);
    assert_eq!(busy.status, 429, "{}", busy.body);
    assert!(busy.head.contains("retry-after"), "{}", busy.head);
    // One that is used makes room.
    assert_eq!(follow(&web, &tickets[0], &OWN).body.matches("eventID").count(), 1);
    let last = ticket(&web, r#"{"query":"*"}"#);
    daemon.stop();
    let daemon = place.start();
    assert_eq!(follow(&web, &last, &OWN).status, 410);
    daemon.stop();
}
