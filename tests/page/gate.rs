//! The port: the token, what passes through it, its bounds, its end.

use std::fs::{self, Permissions};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::common::{PATIENCE, Place, record, run, shared_daemon, traildex};

use super::harness::Web;

/// What every answer to a browser says.
const HEADERS: [&str; 7] = [
    "content-security-policy: default-src 'none'",
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options: nosniff",
    "referrer-policy: no-referrer",
    "cross-origin-resource-policy: same-origin",
    "cross-origin-opener-policy: same-origin",
    "cache-control:",
];

#[test]
fn nothing_of_the_archive_is_told_without_the_token() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    let other = Web::start(&daemon, &[]);
    assert_ne!(web.token, other.token);
    let with = |headers: &[&str]| {
        let host = web.host();
        let all = [&[host.as_str()], headers].concat();
        for line in ["GET /v1/status", "GET /v1/search?q=*", "GET /v1/nothing", "HEAD /v1/status"] {
            let answered = web.send(line, &all, "");
            assert_eq!(answered.status, 401, "{line} {headers:?}");
            assert!(answered.head.contains("www-authenticate: bearer"), "{}", answered.head);
            assert!(!answered.body.contains("indexed"), "{}", answered.body);
        }
    };
    let (right, cut) = (web.bearer(), &web.bearer()[..web.bearer().len() - 1].to_owned());
    with(&[]);
    with(&["Authorization: Bearer"]);
    with(&["Authorization: Bearer x"]);
    with(&[&other.bearer()]);
    with(&[cut]);
    with(&[&format!("{right}0")]);
    with(&[&right, &right]);
    with(&[&right.replace("Bearer", "Basic")]);
    with(&[&format!("Cookie: token={}", web.token)]);
    assert_eq!(
        web.send(&format!("GET /v1/status?token={}", web.token), &[&web.host()], "").status,
        401
    );
    let answered = web.send("GET /v1/status", &[&web.host(), &right], "");
    assert_eq!(answered.status, 200);
    assert!(answered.body.contains("\"indexed\":2900"), "{}", answered.body);
}

#[test]
fn connections_that_ask_nothing_keep_nobody_out() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    let idle: Vec<TcpStream> = (0..400).map(|_| web.connect()).collect();
    for _ in 0..3 {
        let started = Instant::now();
        assert_eq!(web.send("GET /", &[&web.host()], "").status, 200);
        assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    }
    drop(idle);
}

#[test]
fn the_page_is_there_for_everybody_and_every_answer_says_what_a_browser_may() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &["--read-only"]);
    let page = web.send("GET /", &[&web.host()], "");
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<!doctype html>"), "{}", page.body);
    let files = page.body.split('"').filter(|part| part.starts_with("/page/"));
    let mut paths: Vec<String> = files.map(str::to_owned).collect();
    assert!(paths.len() >= 3, "{paths:?}");
    for path in &paths {
        let file = web.send(&format!("GET {path}"), &[&web.host()], "");
        assert_eq!(file.status, 200, "{path}");
        assert!(file.head.contains("immutable"), "{path}: {}", file.head);
    }
    paths.push("/".to_owned());
    for (line, expected) in paths
        .iter()
        .map(|path| (format!("GET {path}"), 200))
        .chain([("GET /nothing".to_owned(), 404), ("POST /".to_owned(), 404)])
        .chain([("GET /v1/status".to_owned(), 200), ("GET /v1/nothing".to_owned(), 404)])
        .chain([("DELETE /v1/saved/x".to_owned(), 403), ("GET /metrics".to_owned(), 404)])
    {
        let answered = web.ask(&line, "");
        assert_eq!(answered.status, expected, "{line}");
        for header in HEADERS {
            assert!(answered.head.contains(header), "{line} has no {header}: {}", answered.head);
        }
    }
    let foreign = web.send("GET /", &["Host: evil.example"], "");
    assert_eq!(foreign.status, 421);
    assert!(HEADERS.iter().all(|header| foreign.head.contains(header)), "{}", foreign.head);
}

#[test]
fn a_page_that_only_reads_changes_nothing() {
    let place = Place::new();
    let daemon = place.start();
    let (web, reader) = (Web::start(&daemon, &[]), Web::start(&daemon, &["--read-only"]));
    let search = r#"{"query":"*"}"#;
    for line in [
        "PUT /v1/saved/x",
        "DELETE /v1/saved/x",
        "POST /v1/rebuild",
        "POST /v1/verify",
        "POST /v1/alerts",
        "PATCH /v1/search",
    ] {
        let answered = reader.ask(line, search);
        assert_eq!(answered.status, 403, "{line}: {}", answered.body);
        assert!(answered.body.contains("--read-only"), "{}", answered.body);
    }
    assert!(daemon.client.saved().unwrap().saved.is_empty());
    assert_eq!(web.ask("PUT /v1/saved/x", search).status, 201);
    assert_eq!(daemon.client.saved().unwrap().saved.len(), 1);
    for line in ["POST /v1/search", "POST /v1/export"] {
        let body =
            if line.ends_with("export") { r#"{"query":"*","format":"csv"}"# } else { search };
        assert_eq!(reader.ask(line, body).status, 200, "{line}");
    }
    assert_eq!(reader.ask("POST /v1/saved/x/search", "{}").status, 200);
    daemon.stop();
}

#[test]
fn an_event_reaches_the_page_while_its_answer_goes_on() {
    let place = Place::new().with("WATCH_SETTLE_MS", "10");
    let daemon = place.start();
    let web = Web::start(&daemon, &[]);
    let mut stream = web.connect();
    let request =
        format!("GET /v1/tail?q=* HTTP/1.1\r\n{}\r\n{}\r\n\r\n", web.host(), web.bearer());
    stream.write_all(request.as_bytes()).unwrap();
    let mut so_far = Vec::new();
    let mut read_until = |text: &str, stream: &mut TcpStream| {
        let started = Instant::now();
        while !String::from_utf8_lossy(&so_far).contains(text) {
            assert!(started.elapsed() < PATIENCE, "{}", String::from_utf8_lossy(&so_far));
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&so_far));
            so_far.extend_from_slice(&bytes[..count]);
        }
    };
    read_until("text/event-stream", &mut stream);
    let trail = format!("{{\"Records\":[{}]}}", record("told-at-once"));
    fs::write(place.archive().join("one.json"), trail).unwrap();
    read_until("told-at-once", &mut stream);
    daemon.stop();
}

#[test]
fn what_asks_too_much_is_refused() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    let large = format!("{{\"query\":\"{}\"}}", "x".repeat(2 << 20));
    assert_eq!(web.ask("POST /v1/search", &large).status, 413);
    let long = format!("X-Long: {}", "x".repeat(200_000));
    let answered = web.send("GET /v1/status", &[&web.host(), &web.bearer(), &long], "");
    assert!([0, 431].contains(&answered.status), "{}", answered.head);
    let wrong = web.ask("POST /v1/search", "{\"query\":\"eventNam:x\"}");
    assert_eq!(wrong.status, 400);
    assert!(wrong.body.contains("did you mean 'eventName'"), "{}", wrong.body);
    assert_eq!(web.ask("GET /v1/status", "").status, 200);
}

#[test]
fn a_client_that_does_not_go_on_is_cut_off() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    let head = format!("POST /v1/search HTTP/1.1\r\n{}\r\n{}\r\n", web.host(), web.bearer());
    // In the middle of its head, and of its body.
    for begun in [head.clone(), format!("{head}Content-Length: 10\r\n\r\n{{")] {
        let mut stream = web.connect();
        stream.write_all(begun.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let started = Instant::now();
        let _ = stream.read_to_end(&mut answer);
        assert!(started.elapsed() < PATIENCE, "{begun}");
        assert!(!String::from_utf8_lossy(&answer).contains(" 200 "), "{begun}");
    }
}

#[test]
fn a_daemon_that_is_away_is_said_to_be_and_is_found_again() {
    let place = Place::new();
    let daemon = place.start();
    let web = Web::start(&daemon, &[]);
    assert_eq!(web.ask("GET /v1/status", "").status, 200);
    daemon.stop();
    let answered = web.ask("GET /v1/status", "");
    assert_eq!(answered.status, 503);
    assert!(answered.body.contains("no daemon can be reached"), "{}", answered.body);
    let daemon = place.start();
    assert_eq!(web.ask("GET /v1/status", "").status, 200);
    daemon.stop();
}

#[test]
fn it_ends_by_ctrl_c() {
    let daemon = shared_daemon();
    let mut web = Web::start(&daemon, &[]);
    web.interrupt();
    assert_eq!(web.wait_end().code(), Some(0));
}

#[test]
fn what_is_asked_of_the_archive_keeps_it_and_the_pages_files_do_not() {
    let daemon = shared_daemon();
    let idle = Duration::from_secs(2);
    // As long as it is asked, thrice as long as it may be idle, it is there.
    let mut web = Web::start(&daemon, &["--idle", "2s"]);
    let begun = Instant::now();
    while begun.elapsed() < 3 * idle {
        assert_eq!(web.ask("GET /v1/status", "").status, 200, "after {:?}", begun.elapsed());
        sleep(idle / 10);
    }
    assert_eq!(web.wait_end().code(), Some(0));
    // The page's files, and what is refused, are no use of the archive: it ends while they are asked for.
    let mut web = Web::start(&daemon, &["--idle", "2s"]);
    let (begun, host) = (Instant::now(), web.host());
    while web.try_end().is_none() {
        assert!(begun.elapsed() < PATIENCE, "the page's files keep it");
        for line in ["GET /", "GET /v1/status"] {
            web.try_send(line, &[&host]);
        }
        sleep(idle / 10);
    }
    assert!(begun.elapsed() >= idle, "{:?}", begun.elapsed());
}

#[test]
fn a_browser_that_cannot_be_opened_is_no_reason_to_end() {
    let daemon = shared_daemon();
    let folder = tempfile::tempdir().unwrap();
    let failing = folder.path().join("xdg-open");
    fs::write(&failing, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&failing, Permissions::from_mode(0o755)).unwrap();
    // There is none, it cannot be told of the page, and it fails.
    for (path, temporary, why) in [
        ("/nonexistent", "/tmp", "cannot start xdg-open"),
        ("/nonexistent", "/nonexistent", "No such file"),
        (folder.path().to_str().unwrap(), "/tmp", "exit status: 3"),
    ] {
        let mut command = traildex();
        command.env("PATH", path).env("TMPDIR", temporary);
        let mut web = Web::start_by(command, &daemon, &["--open"]);
        assert_eq!(web.ask("GET /v1/status", "").status, 200, "{why}");
        let told = web.told_until("Open the address yourself.");
        assert!(told.contains(why), "{told}");
        web.interrupt();
        assert_eq!(web.wait_end().code(), Some(0));
    }
}

#[test]
fn the_port_is_on_loopback_and_its_own() {
    let daemon = shared_daemon();
    let web = Web::start(&daemon, &[]);
    assert!(TcpStream::connect(("127.0.0.2", web.port)).is_err());
    let socket = daemon.socket.to_str().unwrap();
    let second = run(&["web", "--port", &web.port.to_string(), "--socket", socket]);
    assert_eq!(second.code, 4);
    assert!(second.stderr.contains("--port 0"), "{}", second.stderr);
    let nobody = run(&["web", "--port", "0", "--socket", "/nonexistent/socket"]);
    assert_eq!(nobody.code, 3, "{}", nobody.stderr);
    assert_eq!(nobody.stdout, "");
}
