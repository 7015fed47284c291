//! Webhooks, against servers that fail, stall, break off, and come back.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::program::{Program, text};
use crate::server::{Act, Request, Server, certify};
use crate::source::Source;

/// A webhook's settings, for tests: it is tried again soon.
fn webhook(name: &str, url: &str, more: &str) -> String {
    format!(
        "[[webhook]]\nname = '{name}'\nurl = '{url}'\ntimeout_s = 1\npause_ms_min = 50\n\
         pause_ms_max = 200\n{more}\n"
    )
}

/// Starts the program with one webhook whose server does these acts.
fn with_https(acts: &[Act], more: &str) -> (Program, Source, Server) {
    let mut program = Program::new();
    let server = Server::https(acts, &program.path("roots.pem"));
    let source = Source::start(program.folder());
    let url = format!("https://localhost:{}/hook", server.address.port());
    let more = format!("roots_file = 'roots.pem'\n{more}");
    program.configure(&source.socket, &webhook("hook", &url, &more));
    program.start();
    (program, source, server)
}

/// Waits for so many requests.
fn requests(program: &Program, server: &Server, count: usize) -> Vec<Request> {
    program.wait_until(&format!("{count} requests"), || server.count() >= count);
    server.requests()
}

fn principals(requests: &[Request]) -> Vec<String> {
    let principal = |request: &Request| {
        request.json()["alert"]["group"]["principal"].as_str().unwrap().to_owned()
    };
    requests.iter().map(principal).collect()
}

#[test]
fn an_alert_arrives_whole_over_https() {
    let (program, source, server) = with_https(&[], "headers = { X-Team = 'blue' }");
    let id = source.raise("arn:aws:iam::1:user/\u{1b}[31m\"<x>\n");
    let [request] = &requests(&program, &server, 1)[..] else { panic!() };
    assert_eq!(request.path, "/hook");
    assert_eq!(request.header("content-type"), Some("application/json"));
    assert_eq!(request.header("x-team"), Some("blue"));
    assert!(request.header("user-agent").unwrap().starts_with("traildex-notify/"));
    let json = request.json();
    assert_eq!(request.key(), format!("{id}-6b0c6f0e5d6f4f0a-1"));
    assert_eq!(json["key"], request.key());
    assert_eq!(json["change"], "raised");
    let expected = crate::source::alert(&id, "high", "arn:aws:iam::1:user/\u{1b}[31m\"<x>\n");
    assert_eq!(json["alert"], expected);
    assert!(!program.log().contains('\u{1b}'), "{}", program.log());
}

#[test]
fn what_fails_or_breaks_off_is_sent_again_with_the_same_key_and_in_order() {
    let acts = [Act::Answer(500), Act::BreakOff, Act::Close, Act::Answer(503), Act::Stall];
    let (program, source, server) = with_https(&acts, "");
    source.raise("a");
    source.raise("b");
    let requests = requests(&program, &server, 7);
    assert_eq!(principals(&requests), ["a", "a", "a", "a", "a", "a", "b"]);
    assert!(requests[..6].iter().all(|request| request.key() == requests[0].key()));
    assert_ne!(requests[6].key(), requests[0].key());
    // The one that stalled was given up after a second, which begins before the server has it.
    assert!(requests[5].at - requests[4].at >= Duration::from_millis(500));
    program.wait_for_log("delivers again");
    let log = program.log();
    assert!(log.contains("the server answered 500: ok"), "{log}");
}

#[test]
fn a_server_says_when_to_come_back_within_a_bound() {
    let acts = [
        Act::AnswerWith(429, "Retry-After: 1"),
        Act::AnswerWith(503, "Retry-After: 86400"),
        Act::AnswerWith(429, "Retry-After: nonsense"),
    ];
    let (program, source, server) = with_https(&acts, "retry_after_s_max = 2");
    source.raise("a");
    let requests = requests(&program, &server, 4);
    let pauses: Vec<u128> =
        requests.windows(2).map(|pair| (pair[1].at - pair[0].at).as_millis()).collect();
    assert!((1000..30_000).contains(&pauses[0]), "{pauses:?}");
    assert!((2000..30_000).contains(&pauses[1]), "{pauses:?}");
    assert!(pauses[2] < 1000 || pauses[2] < pauses[0], "{pauses:?}");
}

#[test]
fn a_server_that_was_down_gets_all_in_order_and_holds_nobody_up() {
    let mut program = Program::new();
    let source = Source::start(program.folder());
    let tls = certify(&program.path("roots.pem"));
    let server = Server::start("127.0.0.1:0".parse().unwrap(), &[], Some(tls.clone()));
    let address = server.address;
    drop(server);
    let down = webhook("down", &format!("https://{address}/"), "roots_file = 'roots.pem'");
    let stalls = Server::http(&vec![Act::Stall; 1000]);
    let stalling = webhook("stalls", &format!("http://{}/", stalls.address), "");
    let well = Server::http(&[]);
    let well_url = webhook("well", &format!("http://{}/", well.address), "");
    program.configure(&source.socket, &format!("{down}{stalling}{well_url}"));
    program.start();
    let names: Vec<String> = (0..30).map(|n| format!("p{n}")).collect();
    for name in &names {
        source.raise(name);
    }
    assert_eq!(principals(&requests(&program, &well, 30)), names);
    program.wait_until("failures", || program.status_of("down")["failures"].as_u64() > Some(1));
    assert_eq!(program.run(&["status"]).status.code(), Some(1));
    let server = Server::start(address, &[], Some(tls));
    assert_eq!(principals(&requests(&program, &server, 30)), names);
    program.wait_until("a state", || program.status_of("down")["counts"]["delivered"] == 30);
}

#[test]
fn what_is_refused_is_a_dead_letter_and_can_be_tried_again() {
    let acts = [Act::Say(400, "invalid_payload"), Act::AnswerWith(302, "Location: /x")];
    let (mut program, source, server) = with_https(&acts, "");
    let first = source.raise("a");
    source.raise("b");
    source.raise("c");
    let sent = requests(&program, &server, 3);
    assert_eq!(principals(&sent), ["a", "b", "c"]);
    program.wait_until("a state", || program.status_of("hook")["dead_letters"] == 2);
    let listed = program.says(&["dead", "--list"]);
    assert!(listed.contains("the server answered 400: invalid_payload"), "{listed}");
    assert!(listed.contains("redirects are not followed"), "{listed}");
    assert!(program.log().contains("gave up: the alert is a dead letter"));
    let whole = program.says(&["dead", "--list", "--json", "--target", "hook"]);
    assert!(whole.lines().next().unwrap().contains(&first), "{whole}");
    // While it runs: one by its key. While it does not: the rest.
    let said = program.says(&["dead", "--retry", "--key", sent[0].key()]);
    assert_eq!(said, "hook: 1 will be tried again\n");
    assert_eq!(requests(&program, &server, 4)[3].key(), sent[0].key());
    program.stop();
    program.says(&["dead", "--retry"]);
    assert_eq!(program.says(&["dead", "--list"]), "");
    program.start();
    assert_eq!(requests(&program, &server, 5)[4].key(), sent[1].key());
}

#[test]
fn what_is_tried_too_often_or_too_long_is_a_dead_letter() {
    let fail = vec![Act::Answer(500); 8];
    let (program, source, server) = with_https(&fail, "attempts_max = 3");
    source.raise("a");
    source.raise("b");
    source.raise("c");
    let sent = requests(&program, &server, 9);
    assert_eq!(principals(&sent), ["a", "a", "a", "b", "b", "b", "c", "c", "c"]);
    program.wait_until("a state", || program.status_of("hook")["dead_letters"] == 2);

    let (program, source, server) = with_https(&vec![Act::Answer(500); 1000], "give_up_s = 1");
    source.raise("a");
    source.raise("b");
    program.wait_until("a state", || program.status_of("hook")["dead_letters"] == 2);
    assert!(server.count() >= 5);
    let text = program.says(&["dead", "--drop"]);
    assert_eq!(text, "hook: 2 dropped\n");
    assert_eq!(program.says(&["dead", "--list"]), "");
}

#[test]
fn only_servers_of_trusted_authorities_get_anything() {
    let mut program = Program::new();
    let server = Server::https(&[], &program.path("roots.pem"));
    certify(&program.path("others.pem"));
    let source = Source::start(program.folder());
    let url = format!("https://localhost:{}/", server.address.port());
    program.configure(&source.socket, &webhook("hook", &url, "roots_file = 'others.pem'"));
    program.start();
    source.raise("a");
    program.wait_for_log("certificate");
    assert_eq!(server.count(), 0);
}

#[test]
fn secrets_are_sent_and_never_shown() {
    let mut program = Program::new();
    let said = "wrong: hunter22 and /services/T0/B0/sesame";
    let server = Server::https(&[Act::Say(403, said), Act::Close], &program.path("roots.pem"));
    let source = Source::start(program.folder());
    let url = format!("https://localhost:{}/services/T0/B0/sesame", server.address.port());
    program.write_secret("url", &url);
    program.write_secret("headers", "Authorization: Bearer hunter22\nX-Key: other-secret\n");
    program.write_secret("routing", "routing-secret");
    program.write_secret("sign", "sign-secret");
    program.configure(
        &source.socket,
        "[[webhook]]\nname = 'hook'\nurl_file = 'url'\nheaders_file = 'headers'\n\
         roots_file = 'roots.pem'\nsign_file = 'sign'\npause_ms_min = 50\n\
         secrets = { routing = 'routing' }\n\
         template = { routing_key = '{secret.routing}', id = '{id}' }\n",
    );
    program.start();
    source.raise("a");
    source.raise("b");
    let requests = requests(&program, &server, 3);
    assert_eq!(requests[0].header("authorization"), Some("Bearer hunter22"));
    assert_eq!(requests[0].header("x-key"), Some("other-secret"));
    assert!(requests[0].header("traildex-signature").unwrap().starts_with("sha256="));
    assert_eq!(requests[0].json()["routing_key"], "routing-secret");
    program.wait_until("a state", || program.status_of("hook")["counts"]["delivered"] == 1);
    program.stop();
    let mut shown = program.log() + &program.says(&["dead", "--list", "--json"]);
    shown += &text(&program.run(&["status"]).stdout);
    shown += &program.says(&["test", "hook", "--dry-run"]);
    shown += &program.says(&["--check-config"]);
    for secret in ["hunter22", "sesame", "other-secret", "routing-secret", "sign-secret"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
    assert!(shown.contains("the server answered 403: wrong: … and …"), "{shown}");
    let state = program.state_of("hook").join("spool");
    for entry in std::fs::read_dir(state).unwrap() {
        let text = text(&std::fs::read(entry.unwrap().path()).unwrap());
        assert!(!text.contains("routing-secret"));
    }
}

#[test]
fn a_test_tries_a_target_once() {
    let program = Program::new();
    let server = Server::http(&[Act::Answer(200), Act::Say(404, "no_service")]);
    let url = format!("http://{}/", server.address);
    program.configure(&program.path("none"), &webhook("hook", &url, ""));
    assert_eq!(program.says(&["test", "hook"]), "hook took it\n");
    assert_eq!(server.requests()[0].json()["alert"]["rule"]["name"], "traildex-notify-test");
    let output = program.run(&["test", "hook", "--change", "withdrawn"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("404: no_service"), "{}", text(&output.stderr));
    assert_eq!(server.requests()[1].json()["change"], "withdrawn");
    let output = program.run(&["test", "hok"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(text(&output.stderr).contains("there are: hook"));
}

#[test]
fn a_stop_is_quick_while_a_server_stalls() {
    let acts = [Act::Answer(500), Act::Stall];
    let mut program = Program::new();
    let server = Server::http(&acts);
    let source = Source::start(program.folder());
    let url = format!("http://{}/", server.address);
    program.configure(&source.socket, &webhook("hook", &url, ""));
    program.start();
    source.raise("a");
    requests(&program, &server, 2);
    assert!(program.stop() < Duration::from_secs(6));
    // What was under way is sent again.
    program.start();
    let sent = requests(&program, &server, 3);
    assert_eq!(sent[2].key(), sent[0].key());
}

/// A proxy: one tunnel after another. Returns its address, and counts.
fn proxy() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&count);
    thread::spawn(move || {
        for client in listener.incoming() {
            let client = client.unwrap();
            let mut head = BufReader::new(client.try_clone().unwrap());
            let mut line = String::new();
            head.read_line(&mut line).unwrap();
            let to = line.strip_prefix("CONNECT ").unwrap().split(' ').next().unwrap().to_owned();
            while line.trim() != "" {
                line.clear();
                head.read_line(&mut line).unwrap();
            }
            let server = TcpStream::connect(to).unwrap();
            (&client).write_all(b"HTTP/1.1 200 x\r\n\r\n").unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut to));
            thread::spawn(move || std::io::copy(&mut (&client), &mut (&server)));
        }
    });
    (address, count)
}

#[test]
fn a_proxy_is_used_where_it_is_asked_for() {
    let (address, count) = proxy();
    let (program, source, server) = with_https(&[], &format!("proxy = 'http://{address}'"));
    source.raise("a");
    requests(&program, &server, 1);
    assert_eq!(count.load(Ordering::SeqCst), 1);
}
