//! Pages of other sites, and names that they point at this machine: nothing is told to them, on the port
//! and on the daemon's own socket.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use crate::common::{Daemon, shared_daemon};

use super::harness::Web;

#[test]
fn a_rebound_name_is_refused_on_every_path_even_with_the_token() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    let bearer = web.bearer();
    for host in [
        "evil.example",
        "evil.example:80",
        "127.0.0.1.evil.example",
        "0.0.0.0",
        "[::]",
        "10.1.2.3",
        "a b",
    ] {
        for path in ["/", "/v1/status", "/v1/search?q=*", "/nothing"] {
            let headers = [&format!("Host: {host}"), &bearer];
            let answered = web.send(&format!("GET {path}"), &headers.map(String::as_str), "");
            assert_eq!(answered.status, 421, "{host} {path}");
            assert!(!answered.body.contains("<html"), "{}", answered.body);
        }
    }
    // Forwarded by ssh, the port is another.
    for host in ["localhost", "localhost:9999", "127.0.0.1", "[::1]:1"] {
        let headers = [&format!("Host: {host}"), &bearer];
        let answered = web.send("GET /v1/status", &headers.map(String::as_str), "");
        assert_eq!(answered.status, 200, "{host}");
    }
}

#[test]
fn a_page_of_another_origin_is_refused_even_with_the_token() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    let (host, bearer) = (web.host(), web.bearer());
    let own = format!("Origin: http://127.0.0.1:{}", web.port);
    let json = "Content-Type: application/json";
    let body = r#"{"query":"*"}"#;
    let status = |headers: &[&str]| {
        let all = [&[host.as_str(), bearer.as_str(), json], headers].concat();
        web.send("POST /v1/search", &all, body).status
    };
    for site in ["cross-site", "same-site", "none", "x", ""] {
        let site = format!("Sec-Fetch-Site: {site}");
        assert_eq!(status(&[&site]), 403, "{site}");
        assert_eq!(status(&[&own, &site]), 403, "{site}");
    }
    for origin in [
        "null",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:1",
        "http://localhost:8457",
        "https://127.0.0.1.evil.example",
    ] {
        assert_eq!(status(&[&format!("Origin: {origin}")]), 403, "{origin}");
    }
    assert_eq!(status(&[&own]), 200);
    assert_eq!(status(&[&own, "Sec-Fetch-Site: same-origin"]), 200);
    assert_eq!(status(&[]), 200);
    let text = [host.as_str(), &bearer, &own, "Content-Type: text/plain"];
    assert_eq!(web.send("POST /v1/search", &text, body).status, 415);
    // A link from anywhere opens the page.
    let headers = [host.as_str(), "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"];
    assert_eq!(web.send("GET /", &headers, "").status, 200);
    // No answer is open to another origin, and no other origin may ask beforehand.
    let headers =
        [host.as_str(), "Origin: http://evil.example", "Access-Control-Request-Method: POST"];
    let asked = web.send("OPTIONS /v1/search", &headers, "");
    assert_eq!(asked.status, 403);
    assert!(!asked.head.contains("access-control"), "{}", asked.head);
}

#[test]
fn no_path_leads_to_other_files_or_past_the_token() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    for path in [
        "/../etc/passwd",
        "/page/../../etc/passwd",
        "/page/x/../../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc/passwd",
        "//etc/passwd",
        "/etc/passwd",
        "/V1/status",
        "//v1/status",
        "/page/../v1/status",
        "/./v1/status",
        "/%761/status",
        "/metrics",
        "/openapi.json",
        "/healthz",
    ] {
        let answered = web.send(&format!("GET {path}"), &[&web.host()], "");
        assert_eq!(answered.status, 404, "{path}: {}", answered.body);
        assert!(!answered.body.contains("root:"), "{path}");
    }
    for path in ["/v1/../metrics", "/v1/%2e%2e/metrics", "/v1//status", "/v1/../v1/status"] {
        assert_eq!(web.send(&format!("GET {path}"), &[&web.host()], "").status, 401, "{path}");
        let passed = web.send(&format!("GET {path}"), &[&web.host(), &web.bearer()], "");
        assert_eq!(passed.status, 404, "{path}: {}", passed.body);
    }
}

#[test]
fn the_daemon_has_the_page_on_its_socket_behind_the_same_checks() {
    let daemon = shared_daemon();
    let (status, head, body) = on_socket(&daemon, "GET /", "Host: localhost:9000");
    assert_eq!(status, 200);
    assert!(body.contains("<!doctype html>"), "{body}");
    assert!(head.contains("trusted-types 'none'"), "{head}");
    let script = body.split('"').find(|part| part.ends_with("app.js")).unwrap();
    let (status, head, _) = on_socket(&daemon, &format!("GET {script}"), "Host: localhost");
    assert_eq!(status, 200);
    assert!(head.contains("text/javascript") && head.contains("immutable"), "{head}");
    for path in ["/".to_owned(), script.to_owned()] {
        assert_eq!(
            on_socket(&daemon, &format!("GET {path}"), "Host: evil.example").0,
            421,
            "{path}"
        );
    }
    assert_eq!(on_socket(&daemon, "POST /", "Host: localhost").0, 404);
    let (_, head, _) = on_socket(&daemon, "GET /v1/status", "Host: localhost");
    assert!(head.contains("cross-origin-resource-policy: same-origin"), "{head}");
}

pub fn on_socket(daemon: &Daemon, line: &str, host: &str) -> (u16, String, String) {
    let mut stream = UnixStream::connect(&daemon.socket).unwrap();
    write!(stream, "{line} HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}
