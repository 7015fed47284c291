//! Requests for other hosts and from other sites' pages, over a real socket.

use super::*;

/// Sends a request with these header lines; returns status, head and body.
fn send(daemon: &Daemon, line: &str, headers: &[&str], body: &str) -> (u16, String, String) {
    let mut stream = daemon.connect();
    let headers: String = headers.iter().flat_map(|header| [header, "\r\n"]).collect();
    let length = body.len();
    write!(
        stream,
        "{line} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    read_answer(stream)
}

#[test]
fn a_host_that_is_not_ours_is_refused_on_every_path_and_the_setting_named() {
    let daemon = Daemon::start(ServerOptions::default());
    for path in ["/", "/healthz", "/metrics", "/openapi.json", "/v1/status", "/v1/nothing"] {
        for headers in [&["Host: evil.example"][..], &["Host: localhost.evil.example:80"]] {
            let (status, head, body) = send(&daemon, &format!("GET {path}"), headers, "");
            assert_eq!(status, 421, "{path}: {body}");
            assert!(
                body.contains(r#""kind":"misdirected""#) && body.contains("`web.hosts`"),
                "{body}"
            );
            assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        }
    }
    for headers in [&[][..], &["Host: localhost"], &["Host: [::1]:8080"], &["Host: 127.0.0.1:1"]] {
        assert_eq!(send(&daemon, "GET /v1/status", headers, "").0, 200, "{headers:?}");
    }
    let twice = ["Host: localhost", "Host: evil.example"];
    assert_eq!(send(&daemon, "GET /v1/status", &twice, "").0, 400);
    let whole = "GET http://evil.example/v1/status";
    assert_eq!(send(&daemon, whole, &["Host: localhost"], "").0, 421);
    let options = ServerOptions::clone(&daemon.options.load());
    let hosts = vec![Host::parse("evil.example").unwrap()];
    daemon.options.store(Arc::new(ServerOptions { hosts, ..options }));
    assert_eq!(send(&daemon, "GET /v1/status", &["Host: Evil.example:9"], "").0, 200);
}

#[test]
fn another_sites_page_starts_nothing() {
    let daemon = Daemon::start(ServerOptions::default());
    let accept = r#"{"accept_loss":true}"#;
    let post = |headers: &[&str]| {
        let headers = [&["Host: localhost:8080"], headers].concat();
        send(&daemon, "POST /v1/rebuild", &headers, accept).0
    };
    let (json, plain) = ("Content-Type: application/json", "Content-Type: text/plain");
    let ours = "Origin: http://localhost:8080";
    assert_eq!(post(&[]), 202, "no browser");
    assert_eq!(post(&["Content-Type: application/x-www-form-urlencoded"]), 202, "curl -d");
    assert_eq!(post(&[ours, json]), 202);
    assert_eq!(post(&[ours, "Sec-Fetch-Site: same-origin", json]), 202);
    assert_eq!(post(&[ours, plain]), 415);
    assert_eq!(post(&[ours]), 415);
    for headers in [
        ["Origin: http://evil.example", plain],
        ["Origin: null", plain],
        ["Origin: http://localhost:8081", json],
        ["Sec-Fetch-Site: cross-site", json],
        ["Sec-Fetch-Site: same-site", json],
        ["Sec-Fetch-Site: none", json],
    ] {
        assert_eq!(post(&headers), 403, "{headers:?}");
        let headers = [&["Host: localhost:8080"][..], &headers].concat();
        for line in ["GET /v1/status", "OPTIONS /v1/rebuild", "DELETE /v1/saved/x"] {
            let (status, head, _) = send(&daemon, line, &headers, "");
            assert_eq!(status, 403, "{line} {headers:?}");
            assert!(!head.contains("access-control-allow"), "{head}");
        }
    }
    // Nothing was begun before the refusal.
    assert!(daemon.started.try_recv().is_err());
}

#[test]
fn every_answer_says_that_it_is_what_it_says() {
    let daemon = Daemon::start(ServerOptions::default());
    for line in [
        "GET /v1/status",
        "HEAD /v1/status",
        "GET /v1/search?q=*",
        "GET /v1/search?q=usual",
        "GET /v1/search?q=panic",
        "GET /v1/tail?q=x",
        "GET /metrics",
        "GET /nothing",
        "PUT /v1/status",
        "POST /v1/search",
        "GET /openapi.json",
    ] {
        let mut stream = daemon.connect();
        write!(stream, "{line} HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        assert!(head.contains("x-content-type-options: nosniff"), "{line}: {head}");
    }
}
