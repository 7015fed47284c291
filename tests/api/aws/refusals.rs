//! Who is refused, and by which of AWS's names.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{TARGET, post, python, refused, run_client, with_keys, without_keys};
use crate::common::{PATIENCE, Place, record, trail};

/// Anybody on the machine can connect, and needs no key for that.
#[test]
fn connections_that_ask_nothing_keep_nobody_out() {
    let place = Place::new().with("SOCKET_CONNECTIONS_MAX", "8");
    std::fs::write(place.archive().join("a.json"), trail(&["a"])).unwrap();
    let daemon = without_keys(place).start();
    let address = super::address(&daemon);
    let begun = |head: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.write_all(head.as_bytes()).unwrap();
        stream
    };
    let heads = ["", "POST / HTTP/1.1\r\n", "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-"];
    let idle: Vec<TcpStream> = (0..165).map(|n| begun(heads[n % heads.len()])).collect();
    for _ in 0..3 {
        let started = Instant::now();
        let (status, answer) = post(&address, &address, TARGET, "{}");
        assert_eq!(status, 200, "{answer}");
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
    drop(idle);
    daemon.stop();
}

#[test]
fn requests_that_are_not_signed_as_they_should_be_are_refused_by_awss_names() {
    let place = Place::new();
    std::fs::write(place.archive().join("a.json"), trail(&["a"])).unwrap();
    let daemon = with_keys(place, "").start();
    daemon.wait_indexed(PATIENCE, 1);
    let address = super::address(&daemon);
    let authorization = |text: &str| json!({ "set": { "Authorization": text } });
    let cases = [
        ("none", 200, json!({})),
        ("none", 200, json!({ "seconds": -200 })),
        ("MissingAuthenticationTokenException", 400, json!({ "set": { "Authorization": null } })),
        ("UnrecognizedClientException", 400, json!({ "key": "AKIDOTHER" })),
        ("InvalidSignatureException", 400, json!({ "secret": "another" })),
        ("InvalidSignatureException", 400, json!({ "body_after": "{ }" })),
        ("InvalidSignatureException", 400, json!({ "seconds": -400 })),
        ("InvalidSignatureException", 400, json!({ "seconds": 400 })),
        ("InvalidSignatureException", 400, json!({ "service": "s3" })),
        ("InvalidSignatureException", 400, json!({ "set": { "Host": "example.com" } })),
        ("IncompleteSignatureException", 400, json!({ "set": { "X-Amz-Date": null } })),
        ("IncompleteSignatureException", 400, json!({ "set": { "X-Amz-Date": "yesterday" } })),
        ("IncompleteSignatureException", 400, authorization("Basic YTpi")),
        ("IncompleteSignatureException", 400, authorization("AWS4-HMAC-SHA256 Credential=a")),
        ("SerializationException", 400, json!({ "body": "{" })),
        ("SerializationException", 400, json!({ "body": "[" })),
        ("SerializationException", 400, json!({ "body": r#"{"MaxResults":"five"}"# })),
        ("RequestEntityTooLargeException", 413, json!({ "body": " ".repeat(40 << 10) })),
        ("UnknownOperationException", 400, json!({ "target": "DynamoDB_20120810.ListTables" })),
        ("UnknownOperationException", 400, json!({ "target": TARGET.replace("Lookup", "Look") })),
        ("UnknownOperationException", 400, json!({ "target": "LookupEvents" })),
        ("UnknownOperationException", 404, json!({ "set": { "X-Amz-Target": null } })),
        ("UnknownOperationException", 404, json!({ "method": "GET" })),
    ];
    let items: Vec<&Value> = cases.iter().map(|(_, _, item)| item).collect();
    let endpoint = format!("http://{address}/");
    let answers = run_client(&mut python("signed.py"), &address, &json!([endpoint, items]));
    for ((name, status, item), answer) in cases.iter().zip(answers.as_array().unwrap()) {
        let item = item.to_string().chars().take(200).collect::<String>();
        assert_eq!(answer["status"], *status, "{item}: {answer}");
        assert_eq!(answer["type"].as_str().unwrap_or("none"), *name, "{item}: {answer}");
        assert_eq!(answer["events"], u64::from(*status == 200), "{item}: {answer}");
        assert_eq!(answer["content_type"], "application/x-amz-json-1.1", "{item}");
        assert_eq!(answer["request_id"].as_str().map(str::len), Some(36), "{item}");
    }
    assert_eq!(
        answers[3]["message"], "The security token included in the request is invalid.",
        "AWS's own words"
    );
    let metrics = String::from_utf8(daemon.client.get("/metrics").unwrap().1.to_vec()).unwrap();
    for line in [
        "traildex_aws_requests_total{error=\"none\"} 2",
        "traildex_aws_requests_total{error=\"UnrecognizedClientException\"} 1",
        "traildex_aws_request_seconds_count 23",
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
    daemon.stop();
}

/// What a request's head says, without its body.
fn head(authorization: &str, date: &str, length: usize) -> String {
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nX-Amz-Target: {TARGET}\r\nConnection: close\r\n\
         Authorization: {authorization}\r\nX-Amz-Date: {date}\r\nContent-Length: {length}\r\n\r\n"
    )
}

/// Whoever has no key makes the daemon hold nothing: the answer comes before the body.
#[test]
fn who_has_no_key_is_refused_before_the_body_and_who_has_one_sends_little() {
    let daemon = with_keys(Place::new(), "").start();
    let address = super::address(&daemon);
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let signed = |key: &str, service: &str, day: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/{day}/us-east-1/{service}/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=00"
        )
    };
    let today = &now[..8];
    let (key, service) = (super::KEY, "cloudtrail");
    for (authorization, date, length, expected) in [
        ("Basic YTpi".to_owned(), now.as_str(), 900_000, "IncompleteSignatureException"),
        (signed("AKIDOTHER", service, today), &now, 900_000, "UnrecognizedClientException"),
        (signed(key, service, "20150830"), "20150830T123600Z", 9, "InvalidSignatureException"),
        (signed(key, "s3", today), &now, 900_000, "InvalidSignatureException"),
    ] {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(head(&authorization, date, length).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(expected), "{authorization}: {answer}");
        assert!(answer.contains("x-content-type-options: nosniff"), "{answer}");
    }
    // With a key, of which anybody may know the name: some KiB.
    let mut stream = TcpStream::connect(&address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(head(&signed(key, service, today), &now, 40_000).as_bytes()).unwrap();
    stream.write_all(&vec![b' '; 40_000]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("RequestEntityTooLargeException"), "{answer}");
    assert!(answer.contains("larger than 32768 bytes"), "{answer}");
    daemon.stop();
}

/// Clients of the port that do not read take from each other, not from the socket.
#[test]
fn answers_that_nobody_reads_on_the_port_cost_the_socket_nothing() {
    let place = Place::new();
    let padding = "x".repeat(100_000);
    let records: Vec<String> = (0..60)
        .map(|n| {
            let record = record(&format!("e{n}"));
            record.replacen('{', &format!("{{\"requestParameters\":{{\"p\":\"{padding}{n}\"}},"), 1)
        })
        .collect();
    let text = format!("{{\"Records\":[{}]}}", records.join(","));
    std::fs::write(place.archive().join("a.json"), text).unwrap();
    let daemon = without_keys(place).start();
    daemon.wait_indexed(PATIENCE, 60);
    let address = super::address(&daemon);
    let body = r#"{"MaxResults":50}"#;
    let unread: Vec<TcpStream> = (0..20)
        .map(|_| {
            let mut stream = TcpStream::connect(&address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let head = head("none", "now", body.len());
            stream.write_all((head + body).as_bytes()).unwrap();
            stream.read_exact(&mut [0; 12]).unwrap();
            stream
        })
        .collect();
    let refused = post(&address, "localhost", TARGET, body);
    assert_eq!((refused.0, &refused.1["__type"]), (400, &json!("ThrottlingException")));
    assert_eq!(post(&address, "localhost", TARGET, r#"{"MaxResults":1}"#).0, 200);
    let found =
        daemon.client.search(&wire::SearchRequest { limit: Some(50), ..Default::default() });
    assert_eq!(found.unwrap().hits.len(), 50);
    drop(unread);
    daemon.stop();
}

#[test]
fn parameters_that_are_not_valid_are_refused_by_awss_names() {
    let place = Place::new();
    let daemon = without_keys(place).start();
    let address = super::address(&daemon);
    let attribute = |key: &str, value: &str| super::by(key, value);
    for (name, request) in [
        ("InvalidLookupAttributesException", attribute("UserName", "a")),
        ("InvalidLookupAttributesException", attribute("Username", "")),
        ("InvalidLookupAttributesException", attribute("Username", &"a".repeat(2_001))),
        // They count twice.
        ("InvalidLookupAttributesException", attribute("Username", &"_".repeat(1_001))),
        ("InvalidMaxResultsException", json!({ "MaxResults": 0 })),
        ("InvalidMaxResultsException", json!({ "MaxResults": 51 })),
        ("InvalidMaxResultsException", json!({ "MaxResults": -1 })),
        ("InvalidTimeRangeException", json!({ "StartTime": 2, "EndTime": 1 })),
        ("InvalidTimeRangeException", json!({ "StartTime": 1e300 })),
        ("InvalidEventCategoryException", json!({ "EventCategory": "Insight" })),
        ("InvalidNextTokenException", json!({ "NextToken": "a" })),
        ("SerializationException", json!({ "StartTime": "2024-01-01" })),
        ("SerializationException", json!({ "LookupAttributes": [{ "AttributeKey": "EventId" }] })),
    ] {
        assert_eq!(refused(&address, &request).0, name, "{request}");
    }
    for request in [
        attribute("Username", &"a".repeat(2_000)),
        json!({ "MaxResults": 50, "NextToken": null, "StartTime": 1, "EndTime": 1 }),
        json!({ "Unknown": 1 }),
    ] {
        assert!(super::all(&address, &request).is_empty(), "{request}");
    }
    // A page on the web could have a browser send this.
    let (status, answer) = post(&address, "evil.example.com", TARGET, "{}");
    assert_eq!((status, answer["__type"].as_str()), (400, Some("AccessDeniedException")));
    assert_eq!(post(&address, "localhost:1234", TARGET, "{}").0, 200);
    daemon.stop();
}
