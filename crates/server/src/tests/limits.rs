//! Time and room: deadlines, queues, clients that take too much of either, and stops.

use super::*;

#[test]
fn searches_past_the_queue_are_turned_away() {
    let daemon =
        Daemon::start(ServerOptions { searches_max: 1, queue_max: 0, ..Default::default() });
    let running = daemon.search("wait");
    daemon.await_start("wait");
    let (status, head, body) = read_answer(daemon.search("*"));
    assert_eq!(status, 429);
    assert!(head.contains("retry-after: 1"), "{head}");
    assert!(body.contains("1 searches are running and 0 waiting"), "{body}");
    assert_eq!(daemon.ask("GET", "/v1/status", b"").0, 200);
    daemon.go_on.send(()).unwrap();
    assert_eq!(read_answer(running).0, 200);
}

#[test]
fn a_search_waits_for_its_turn_until_its_deadline() {
    let daemon = Daemon::start(ServerOptions {
        searches_max: 1,
        search_timeout: Duration::from_millis(100),
        ..Default::default()
    });
    let running = daemon.search("wait");
    daemon.await_start("wait");
    let (status, _, body) = read_answer(daemon.search("*"));
    assert_eq!(status, 429);
    assert!(body.contains("waited for its turn"), "{body}");
    // The engine that does not look at its deadline is not waited for either.
    let (status, _, body) = read_answer(running);
    assert_eq!(status, 503);
    assert!(body.contains(r#""kind":"timeout""#), "{body}");
}

#[test]
fn a_search_past_its_deadline_is_a_timeout() {
    let search_timeout = Duration::from_millis(20);
    let daemon = Daemon::start(ServerOptions { search_timeout, ..Default::default() });
    check_error(&daemon, ("GET", "/v1/search?q=poll", b""), 503, "timeout: the search reached");
}

#[test]
fn a_search_stops_when_its_client_hangs_up() {
    let daemon = Daemon::start(ServerOptions::default());
    let running = daemon.search("poll");
    daemon.await_start("poll");
    drop(running);
    let ended = daemon.ended.recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert_eq!(ended.message, "the client hung up");
}

#[test]
fn a_slow_head_a_slow_body_and_silence_are_cut_off() {
    let daemon = Daemon::start(short(50));
    for sent in ["", "GET /healthz HT", "POST /v1/search HTTP/1.1\r\nHost: localhost\r\n"] {
        let mut stream = daemon.connect();
        stream.write_all(sent.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "", "{sent}");
    }
    let mut stream = daemon.connect();
    let head = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    let (status, _, body) = read_answer(stream);
    assert_eq!(status, 400);
    assert!(body.contains("did not arrive within 50ms"), "{body}");
}

#[test]
fn a_client_that_stops_reading_is_cut_off() {
    let write_timeout = Duration::from_millis(50);
    let daemon =
        Daemon::start(ServerOptions { connections_max: 1, write_timeout, ..Default::default() });
    let stuck = daemon.search("large");
    // The only connection there may be becomes free, though its client holds on to it.
    assert_eq!(daemon.ask("GET", "/healthz", b"").0, 200);
    drop(stuck);
}

#[test]
fn an_export_that_keeps_much_leaves_others_what_it_does_not_keep() {
    let daemon = Daemon::start(ServerOptions::default());
    let slow = daemon.export("keep40");
    daemon.await_start("keep40");
    // It is not read, and what fits beside it is not refused.
    let (status, _, body) = read_answer(daemon.export("keep20"));
    assert_eq!((status, body.len() > 30 << 20), (200, true));
    daemon.await_start("keep20");
    let started = Instant::now();
    let (status, head, body) = read_answer(daemon.export("keep30"));
    assert_eq!(status, 429, "{body}");
    assert!(head.contains("retry-after: 1"), "{head}");
    let why = "this export would keep 30 MiB of rows, or of places of events that are sorted or \
               deduplicated, and others keep 40 of 64 MiB";
    assert!(body.contains(why), "{body}");
    assert!(started.elapsed() < Duration::from_secs(5), "it is told at once");
    daemon.await_start("keep30");
    assert!(daemon.started.try_recv().is_err(), "it is searched for once");
    drop(slow);
    wait_until_kept(&daemon);
}

/// A client that reads a little now and then may take its time where nothing is kept for it.
#[test]
fn who_keeps_memory_from_others_reads_at_a_least_rate() {
    let write_timeout = Duration::from_millis(300);
    let daemon = Daemon::start(ServerOptions { write_timeout, ..Default::default() });
    let mut slow = daemon.export("keep60");
    daemon.await_start("keep60");
    let reader = std::thread::spawn(move || {
        let mut some = [0; 1 << 10];
        while slow.read(&mut some).is_ok_and(|bytes| bytes > 0) {
            std::thread::sleep(Duration::from_millis(100));
        }
    });
    wait_until_kept(&daemon);
    reader.join().unwrap();
}

/// Asks until there is memory for a large export.
fn wait_until_kept(daemon: &Daemon) {
    let started = Instant::now();
    while read_answer(daemon.export("keep64")).0 != 200 {
        assert!(started.elapsed() < PATIENCE, "what another export keeps is not given back");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn connections_past_the_bound_wait() {
    let daemon = Daemon::start(ServerOptions { connections_max: 1, ..Default::default() });
    // One on which something is being answered keeps its place.
    let first = daemon.search("wait");
    daemon.await_start("wait");
    let mut second = daemon.send("GET", "/healthz", b"");
    second.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(second.read(&mut [0]).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    daemon.go_on.send(()).unwrap();
    assert_eq!(read_answer(first).0, 200);
    second.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(read_answer(second).0, 200);
}

#[test]
fn connections_on_which_nothing_is_asked_give_way() {
    let daemon = Daemon::start(ServerOptions { connections_max: 1, ..Default::default() });
    let answered_soon = |what: &str| {
        let started = Instant::now();
        assert_eq!(daemon.ask("GET", "/healthz", b"").0, 200, "{what}");
        assert!(started.elapsed() < Duration::from_secs(1), "{what}: {:?}", started.elapsed());
    };
    let silent = daemon.connect();
    answered_soon("one that says nothing");
    let mut half = daemon.connect();
    half.write_all(b"GET /healthz HTTP/1.1\r\nHost: local").unwrap();
    answered_soon("one whose head does not end");
    let mut kept = daemon.connect();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut status = [0; 12];
    kept.read_exact(&mut status).unwrap();
    assert_eq!(&status[9..], b"200");
    answered_soon("one whose request was answered");
    // An answer that its client has not read yet is not cut off.
    let unread = daemon.search("large");
    daemon.await_start("large");
    std::thread::sleep(Duration::from_millis(100));
    let second = daemon.send("GET", "/healthz", b"");
    std::thread::sleep(Duration::from_millis(300));
    let (status, _, body) = read_answer(unread);
    assert_eq!((status, body.len() > 7 << 20), (200, true));
    assert_eq!(read_answer(second).0, 200);
    drop((silent, half, kept));
}

#[test]
fn one_user_leaves_connections_to_others() {
    let daemon = Daemon::start(ServerOptions { connections_max: 8, ..Default::default() });
    let open = || {
        let mut stream = daemon.connect();
        stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        let mut status = [0; 12];
        stream.read_exact(&mut status).unwrap();
        (status[9..].to_vec(), stream)
    };
    let held: Vec<_> = (0..6).map(|_| open()).collect();
    assert!(held.iter().all(|(status, _)| status == b"200"));
    let (status, _, body) = read_answer(daemon.send("GET", "/healthz", b""));
    assert_eq!(status, 429, "{body}");
    assert!(body.contains("as many connections as one user may have are open"), "{body}");
    drop(held);
    wait_for_answer(&daemon);
    let (_, _, metrics) = daemon.ask("GET", "/metrics", b"");
    assert!(metrics.contains("traildex_http_refused_total{reason=\"share\"}"), "{metrics}");
}

/// Asks until the daemon has found out that others have left.
fn wait_for_answer(daemon: &Daemon) {
    let end = Instant::now() + PATIENCE;
    while daemon.ask("GET", "/healthz", b"").0 != 200 {
        assert!(Instant::now() < end);
    }
}

#[test]
fn a_stop_lets_running_requests_finish() {
    let mut daemon = Daemon::start(ServerOptions::default());
    let running = daemon.search("wait");
    daemon.await_start("wait");
    drop(daemon.stop.take());
    while daemon.socket().exists() {
        std::thread::yield_now();
    }
    daemon.go_on.send(()).unwrap();
    assert_eq!(read_answer(running).0, 200);
    daemon.stop().unwrap();
}

#[test]
fn a_stop_does_not_wait_for_idle_connections() {
    let mut daemon = Daemon::start(ServerOptions {
        read_timeout: 2 * PATIENCE,
        stop_grace: 2 * PATIENCE,
        ..Default::default()
    });
    let _silent = daemon.connect();
    // Accepted after the silent one: when this one is answered, both are being served.
    let mut kept_alive = daemon.connect();
    kept_alive.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    assert_eq!(kept_alive.read(&mut [0; 9]).unwrap(), 9);
    let stopped = Instant::now();
    daemon.stop().unwrap();
    assert!(stopped.elapsed() < PATIENCE);
}

#[test]
fn a_stop_cuts_off_what_outlasts_the_grace() {
    let stop_grace = Duration::from_millis(50);
    let mut daemon = Daemon::start(ServerOptions { stop_grace, ..Default::default() });
    let mut running = daemon.search("poll");
    daemon.await_start("poll");
    daemon.stop().unwrap();
    let mut ended = daemon.ended.recv_timeout(PATIENCE).unwrap().unwrap_err();
    if ended.kind == ErrorKind::Timeout {
        // It had begun again, as one that takes long.
        ended = daemon.ended.recv_timeout(PATIENCE).unwrap().unwrap_err();
    }
    assert_eq!(ended.message, "the client hung up");
    assert_eq!(running.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_search_that_takes_long_makes_way_for_short_ones() {
    let daemon = Daemon::start(ServerOptions {
        searches_max: 1,
        search_timeout: PATIENCE,
        ..Default::default()
    });
    let _long = daemon.search("poll");
    daemon.await_start("poll");
    assert!(daemon.started.recv_timeout(Duration::from_millis(200)).is_err(), "it is alone");
    let short = daemon.search("*");
    // It is asked again, without its turn, which the other has.
    let mut started = [0; 2].map(|_| daemon.started.recv_timeout(PATIENCE).unwrap());
    started.sort();
    assert_eq!(started, ["*", "poll"]);
    assert_eq!(read_answer(short).0, 200);
    for _ in 0..3 {
        assert_eq!(read_answer(daemon.search("*")).0, 200);
        daemon.await_start("*");
    }
    // Another that takes long waits for it.
    let _other = daemon.search("poll");
    daemon.await_start("poll");
    assert!(daemon.started.recv_timeout(Duration::from_millis(200)).is_err());
}

#[test]
fn large_answers_that_nobody_reads_are_bounded_and_small_ones_go_on() {
    let daemon = Daemon::start(ServerOptions::default());
    // The head is read, so the answer is there.
    let begin = || {
        let mut stream = daemon.search("large");
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        (stream, head.ends_with(b"200"))
    };
    let mut unread = Vec::new();
    let refused = loop {
        match begin() {
            (stream, true) => unread.push(stream),
            (stream, false) => break stream,
        }
    };
    // One user has half of the sum.
    assert_eq!(unread.len(), 2);
    drop(refused);
    assert_eq!(read_answer(daemon.search("*")).0, 200);
    drop(unread.pop());
    let end = Instant::now() + PATIENCE;
    while !begin().1 {
        assert!(Instant::now() < end, "an answer that is given up makes room");
    }
}

#[test]
fn clients_that_do_not_read_cost_no_usual_page() {
    let daemon = Daemon::start(ServerOptions::default());
    let unread: Vec<StdUnixStream> = (0..40)
        .map(|n| {
            let mut stream = daemon.search(if n % 2 == 0 { "large" } else { "usual" });
            stream.read_exact(&mut [0; 12]).unwrap();
            stream
        })
        .collect();
    for _ in 0..3 {
        let (status, _, body) = read_answer(daemon.search("usual"));
        assert_eq!((status, body.len() > 170 << 10), (200, true));
    }
    // Neither is a second answer that the same connection has not read free.
    let mut stream = daemon.connect();
    let body = r#"{"query":"usual"}"#;
    let length = body.len();
    let one = format!("POST /v1/search HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{body}");
    stream.write_all(one.repeat(200).as_bytes()).unwrap();
    let end = Instant::now() + PATIENCE;
    let unread_bytes = || daemon.app.budget.bytes();
    while unread_bytes() == 0 {
        assert!(Instant::now() < end);
    }
    assert!(unread_bytes() <= 32 << 20);
    drop((unread, stream));
    while unread_bytes() > 0 {
        assert!(Instant::now() < end, "what is given up makes room");
    }
}

#[test]
fn large_bodies_that_stall_are_bounded_and_queries_are_not() {
    let daemon = Daemon::start(ServerOptions { read_timeout: PATIENCE, ..Default::default() });
    let stall = |bytes: usize| {
        let mut stream = daemon.connect();
        let head =
            "POST /v1/search HTTP/1.1\r\nConnection: close\r\nContent-Length: 900000\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        let _ = stream.write_all(&vec![b' '; bytes]);
        stream
    };
    let _stalled: Vec<StdUnixStream> = (0..40).map(|_| stall(800_000)).collect();
    let (status, head, body) = read_answer(stall(900_000));
    assert_eq!(status, 429, "{body}");
    assert!(head.contains("retry-after: 1"), "{head}");
    assert!(body.contains("too many large requests are arriving"), "{body}");
    let query = "x".repeat(64 << 10);
    assert_eq!(read_answer(daemon.search(&query)).0, 200);
}

#[test]
fn options_that_are_exchanged_hold_for_the_next_search() {
    let daemon = Daemon::start(ServerOptions {
        searches_max: 1,
        queue_max: 0,
        search_timeout: 2 * PATIENCE,
        ..Default::default()
    });
    let _running = daemon.search("wait");
    daemon.await_start("wait");
    let search = ("POST", "/v1/search", &br#"{"query":"poll"}"#[..]);
    check_error(&daemon, search, 429, "busy: 1 searches are running and 0 waiting");
    let search_timeout = Duration::from_millis(20);
    let options = ServerOptions::clone(&daemon.options.load());
    daemon.options.store(Arc::new(ServerOptions { queue_max: 1, search_timeout, ..options }));
    check_error(&daemon, search, 429, "busy: the search waited for its turn until its deadline");
    daemon.go_on.send(()).unwrap();
    check_error(&daemon, search, 503, "timeout: ");
    let options = ServerOptions::clone(&daemon.options.load());
    daemon.options.store(Arc::new(ServerOptions { queue_max: 0, ..options }));
    check_error(&daemon, search, 503, "timeout: ");
}
