//! The daemon as a service of a machine with several users: who reaches it, its sockets, reloads, and a
//! stop under load.
//!
//! What needs another user, or a mount of its own, is tried where the tests run as root.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use client::{Client, ClientError};
use rustix::process::{Signal, geteuid};
use wire::SearchRequest;

use crate::common::{
    Daemon, PATIENCE, PATIENCE_BULK, Place, Ran, copy_invictus, ledger, trail, wait_until,
};

/// A user, and a group, that is neither root nor the daemon.
pub(super) const NOBODY: u32 = 65_534;

/// In no list and, but for one test, in no user database.
pub(super) const STRANGER: u32 = 4_000_001;

/// What a daemon says that must not start.
#[track_caller]
fn check_refused(mut command: Command, expected: &[&str]) {
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut child = Killed(child);
    wait_until(PATIENCE, "the start is refused", || child.0.try_wait().unwrap().is_some());
    let mut stderr = String::new();
    child.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.0.wait().unwrap().code(), Some(4), "{stderr}");
    for part in expected {
        assert!(stderr.contains(part), "{stderr}\nlacks {part:?}");
    }
}

/// A place that every user can reach, with a copy of the program that they can run, and a socket for the
/// group NOBODY. None where this process cannot be another user.
pub(super) fn shared_place() -> Option<Place> {
    if !geteuid().is_root() {
        println!("not tried: only root can be another user");
        return None;
    }
    let place = Place::new().with("SOCKET_GROUP", &NOBODY.to_string());
    fs::set_permissions(place.path(""), Permissions::from_mode(0o711)).unwrap();
    fs::copy(env!("CARGO_BIN_EXE_traildex"), place.path("traildex")).unwrap();
    Some(place)
}

/// Asks for the status as a user of the group NOBODY, and of no other as far as the kernel knows.
fn ask_as(place: &Place, user: u32) -> Ran {
    let mut command = Command::new(place.path("traildex"));
    command.arg("status").arg("--socket").arg(place.socket()).uid(user).gid(NOBODY);
    Ran::from(command.output().unwrap())
}

#[track_caller]
fn check_answered(place: &Place, user: u32, is_answered: bool) {
    let ran = ask_as(place, user);
    if is_answered {
        assert_eq!(ran.code, 0, "{user}: {}", ran.stderr);
    } else {
        assert_eq!(ran.code, 4, "{user}: {}{}", ran.stdout, ran.stderr);
        let expected = format!("user {user} may not ask this daemon");
        assert!(ran.stderr.contains(&expected), "{}", ran.stderr);
    }
}

fn metric(daemon: &Daemon, name: &str) -> Option<f64> {
    let (_, text) = daemon.client.get("/metrics").unwrap();
    let text = String::from_utf8(text.to_vec()).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

#[test]
fn a_socket_where_others_could_put_theirs_is_not_opened() {
    let place = Place::new().with_socket("open/socket");
    let open = place.path("open");
    fs::create_dir(&open).unwrap();
    for (mode, shown) in [(0o777, "0777"), (0o775, "0775"), (0o1777, "1777")] {
        fs::set_permissions(&open, Permissions::from_mode(mode)).unwrap();
        let expected = format!("the socket's directory {} has mode {shown}", open.display());
        check_refused(place.serve_command(), &[&expected, "socket.path to a directory of its own"]);
    }
    assert!(!place.socket().exists());
    fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
    let daemon = place.start();
    assert_eq!(fs::metadata(place.socket()).unwrap().mode() & 0o7777, 0o660);
    daemon.stop();
}

#[test]
fn users_and_groups_that_there_are_not_stop_the_start() {
    for (name, kind) in [("GROUP", "group"), ("ALLOWED_USERS", "user"), ("ALLOWED_GROUPS", "group")]
    {
        let place = Place::new().with(&format!("SOCKET_{name}"), "no such name");
        let key = format!("`socket.{}` names \"no such name\"", name.to_lowercase());
        check_refused(place.serve_command(), &[&key, &format!("no {kind} of that name")]);
        assert!(!place.socket().exists());
    }
}

#[test]
fn without_lists_whoever_the_mode_lets_in_is_answered() {
    let Some(place) = shared_place() else { return };
    let daemon = place.start();
    assert_eq!(fs::metadata(place.socket()).unwrap().gid(), NOBODY);
    check_answered(&place, STRANGER, true);
    daemon.stop();
}

#[test]
fn users_that_are_in_no_list_are_refused_counted_and_logged() {
    let Some(place) = shared_place() else { return };
    let daemon = place.clone().with("SOCKET_ALLOWED_USERS", "4000007:nobody").start();
    for _ in 0..3 {
        check_answered(&place, STRANGER, false);
    }
    check_answered(&place, NOBODY, true);
    assert_eq!(metric(&daemon, "traildex_http_refused_total{reason=\"user\"}"), Some(3.0));
    let log = daemon.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("refused a client")).collect();
    let [line] = lines.as_slice() else { panic!("not one line for three:\n{log}") };
    assert!(line.contains("user=4000001 group=65534"), "{line}");
    daemon.stop();
}

#[test]
fn a_user_is_let_in_by_the_group_it_runs_as() {
    let Some(place) = shared_place() else { return };
    for (groups, is_answered) in [("4000007", false), ("4000007:65534", true)] {
        let daemon = place.clone().with("SOCKET_ALLOWED_GROUPS", groups).start();
        check_answered(&place, STRANGER, is_answered);
        daemon.stop();
    }
}

/// In a mount namespace, where the daemon sees other files of users and groups.
#[test]
fn a_user_is_let_in_by_a_group_that_the_user_database_has_it_in() {
    let Some(place) = shared_place() else { return };
    let place = place.with("SOCKET_ALLOWED_GROUPS", "readers");
    let users = format!("member:x:{STRANGER}:{STRANGER}::/:/bin/sh\n");
    for (file, lines) in [("passwd", users.as_str()), ("group", "readers:x:4000009:member\n")] {
        let known = fs::read_to_string(format!("/etc/{file}")).unwrap();
        fs::write(place.path(file), known + lines).unwrap();
    }
    let mounts = "mount --bind \"$PLACE/passwd\" /etc/passwd && \
                  mount --bind \"$PLACE/group\" /etc/group";
    let unshared = |line: &str| {
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", line, "sh"]).env("PLACE", place.path(""));
        command
    };
    if !unshared(mounts).output().is_ok_and(|output| output.status.success()) {
        println!("not tried: no mount namespace");
        return;
    }
    let serve = place.serve_command();
    let mut command = unshared(&format!("{mounts} && exec \"$@\""));
    command.arg(serve.get_program()).args(serve.get_args());
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let daemon = place.spawn(command);
    check_answered(&place, STRANGER, true);
    check_answered(&place, NOBODY, false);
    daemon.stop();
}

/// Root may always ask, and the daemon's own user.
#[test]
fn root_and_the_daemons_own_user_are_in_every_list() {
    let Some(place) = shared_place() else { return };
    let place = place.with("SOCKET_ALLOWED_USERS", "4000007");
    let daemon = place.start_as_nobody().unwrap();
    check_answered(&place, NOBODY, true);
    assert_eq!(ask_as(&place, 0).code, 0);
    assert_eq!(daemon.status().events.indexed, 0);
    daemon.stop();
}

/// Run by [`refused_clients_take_no_place_from_others`] as another user: opens connections, says so, and
/// holds them until it is told to end.
#[test]
#[ignore = "run by another test, as another user"]
fn stranger_holding_connections() {
    let Ok(socket) = std::env::var("TRAILDEX_TEST_SOCKET") else { return };
    let held: Vec<UnixStream> = (0..40).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    println!("{} are held", held.len());
    let _ = std::io::stdin().read(&mut [0]);
}

#[test]
fn refused_clients_take_no_place_from_others() {
    let Some(place) = shared_place() else { return };
    // One for a request, and one for that before it, whose place comes back a moment after its answer.
    let place = place.with("SOCKET_ALLOWED_USERS", "4000007").with("SOCKET_CONNECTIONS_MAX", "2");
    let daemon = place.start();
    let program = place.path("stranger");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut stranger = Command::new(program)
        .args(["--exact", "service::stranger_holding_connections", "--ignored", "--nocapture"])
        .env("TRAILDEX_TEST_SOCKET", place.socket())
        .current_dir("/")
        .uid(STRANGER)
        .gid(NOBODY)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(stranger.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("40 are held")));
    let asked = Instant::now();
    daemon.status();
    let took = asked.elapsed();
    println!("answered after {took:?} beside 40 refused clients");
    assert!(took < Duration::from_secs(5), "{took:?}");
    wait_until(PATIENCE, "all are counted", || {
        metric(&daemon, "traildex_http_refused_total{reason=\"user\"}") == Some(40.0)
    });
    drop(stranger.stdin.take());
    stranger.wait().unwrap();
    daemon.stop();
}

/// `traildex serve` with these as its first sockets, as systemd starts it.
fn activated(place: &Place, socket: OwnedFd, count: usize) -> Command {
    let serve = place.serve_command();
    let mut command = Command::new("sh");
    let line = "exec 3<&0 4<&0 0</dev/null; LISTEN_PID=$$ exec \"$@\"";
    command.args(["-c", line, "sh"]).arg(serve.get_program()).args(serve.get_args());
    command.envs(serve.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("LISTEN_FDS", count.to_string()).stdin(Stdio::from(socket));
    command
}

fn listen(place: &Place, mode: u32) -> UnixListener {
    let listener = UnixListener::bind(place.socket()).unwrap();
    fs::set_permissions(place.socket(), Permissions::from_mode(mode)).unwrap();
    listener
}

#[test]
fn a_socket_that_the_service_manager_opened_is_used_and_left_to_it() {
    let place = Place::new();
    fs::write(place.archive().join("a.json"), trail(&["a"])).unwrap();
    let listener = listen(&place, 0o660);
    // Before there is a daemon: the service manager starts one for it.
    let mut early = UnixStream::connect(place.socket()).unwrap();
    early
        .write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .unwrap();
    for round in 0..2 {
        let mut command = activated(&place, listener.try_clone().unwrap().into(), 1);
        let mut child = Killed(command.stderr(Stdio::null()).spawn().unwrap());
        if round == 0 {
            let mut answer = String::new();
            early.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        }
        let client = Client::new(&place.socket());
        wait_until(PATIENCE, "it has indexed", || {
            client.status().is_ok_and(|status| status.events.indexed == 1)
        });
        let pid = rustix::process::Pid::from_child(&child.0);
        rustix::process::kill_process(pid, Signal::TERM).unwrap();
        assert!(child.0.wait().unwrap().success());
        assert!(place.socket().exists(), "the socket is the service manager's");
        // It still listens: what comes now is for the next daemon.
        UnixStream::connect(place.socket()).unwrap();
    }
}

struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_socket_of_the_service_manager_that_will_not_do_stops_the_start() {
    let place = Place::new();
    let listener = listen(&place, 0o666);
    let fd = || OwnedFd::from(listener.try_clone().unwrap());
    check_refused(activated(&place, fd(), 1), &["has mode 0666", "set SocketMode=0660"]);
    check_refused(activated(&place, fd(), 2), &["hands over 2 sockets"]);
    let datagrams = UnixDatagram::bind(place.path("datagrams")).unwrap();
    check_refused(activated(&place, datagrams.into(), 1), &["no Unix stream socket"]);
    fs::set_permissions(place.socket(), Permissions::from_mode(0o660)).unwrap();
    fs::set_permissions(place.path(""), Permissions::from_mode(0o777)).unwrap();
    check_refused(activated(&place, fd(), 1), &["the socket's directory", "socket.path"]);
}

#[test]
fn systemds_own_activation_starts_it_with_the_first_client() {
    let place = Place::new();
    let serve = place.serve_command();
    let mut command = Command::new("systemd-socket-activate");
    command.arg("--listen").arg(place.socket());
    for (name, value) in serve.get_envs().filter_map(|(name, value)| Some((name, value?))) {
        command.arg(format!("--setenv={}={}", name.display(), value.display()));
    }
    command.arg(serve.get_program()).args(serve.get_args());
    if Command::new("systemd-socket-activate").arg("--version").output().is_err() {
        println!("not tried: there is no systemd-socket-activate");
        return;
    }
    let mut daemon = place.spawn(command);
    assert_eq!(daemon.status().events.indexed, 0);
    daemon.signal(Signal::TERM);
    assert!(daemon.wait_end().success());
    assert!(place.socket().exists());
}

/// A configuration file for the place, with these lines of its `[socket]` section, and others.
pub(super) fn configure(place: &Place, socket: &str, others: &str) {
    let text = format!(
        "[watch]\ndirs = ['{}']\n[index]\ndata_dir = '{}'\n[socket]\npath = '{}'\n{socket}\n{others}\n",
        place.archive().display(),
        place.data_dir().display(),
        place.socket().display(),
    );
    fs::write(place.path("traildex.toml"), text).unwrap();
}

pub(super) fn reload(daemon: &Daemon, outcome: &str) -> String {
    let name = format!("traildex_reloads_total{{outcome=\"{outcome}\"}}");
    let (before, log_before) = (metric(daemon, &name).unwrap_or_default(), daemon.log().len());
    daemon.signal(Signal::HUP);
    wait_until(PATIENCE, &format!("a reload is {outcome}"), || {
        metric(daemon, &name) == Some(before + 1.0)
    });
    daemon.log().split_off(log_before)
}

#[track_caller]
pub(super) fn check_line(log: &str, parts: &[&str]) {
    let has_all = |line: &str| parts.iter().all(|part| line.contains(part));
    assert!(log.lines().any(has_all), "no line has {parts:?}:\n{log}");
}

#[test]
fn a_reload_changes_what_it_can_and_names_what_waits() {
    let place = Place::new();
    configure(&place, "", "");
    let daemon = place.start_from(&place.path("traildex.toml"));
    daemon.status();
    assert!(!daemon.log().contains("DEBUG"));

    configure(
        &place,
        "connections_max = 77",
        "[search]\ndeadline_ms = 5000\n[log]\nlevel = 'debug'",
    );
    let log = reload(&daemon, "done");
    check_line(&log, &["changed", "key=\"search.deadline_ms\"", "from=\"10000\"", "to=\"5000\""]);
    check_line(&log, &["changed", "key=\"log.level\""]);
    check_line(&log, &["WARN", "needs a restart", "key=\"socket.connections_max\"", "77"]);
    check_line(&log, &["reloaded", "changed=2", "waiting=1"]);
    daemon.status();
    wait_until(PATIENCE, "debug lines", || daemon.log().contains("DEBUG"));

    // What waits for a restart is named each time; what has changed, once.
    let log = reload(&daemon, "done");
    check_line(&log, &["reloaded", "changed=0", "waiting=1"]);
    daemon.stop();
}

#[test]
fn a_configuration_that_is_refused_changes_nothing() {
    let place = Place::new();
    configure(&place, "", "");
    let daemon = place.start_from(&place.path("traildex.toml"));
    for (text, told) in [
        ("[search]\ndeadline_ms = 1\n[log]\nlevel = 'debug'", "line 9: `search.deadline_ms = 1`"),
        ("[log]\nlevel = 'debug'\n[serach]", "unknown section `serach`"),
        ("[log]\nlevel = 'debug", "line 9"),
    ] {
        configure(&place, "", text);
        check_line(&reload(&daemon, "refused"), &["ERROR", "nothing changes", told]);
    }
    configure(&place, "allowed_users = ['no such name']", "[log]\nlevel = 'debug'");
    check_line(&reload(&daemon, "refused"), &["ERROR", "nothing changes", "no such name"]);
    fs::remove_file(place.path("traildex.toml")).unwrap();
    check_line(&reload(&daemon, "refused"), &["ERROR", "No such file"]);
    daemon.status();
    assert!(!daemon.log().contains("DEBUG"));
    daemon.stop();
}

#[test]
fn a_reload_lets_users_in_and_out() {
    let Some(place) = shared_place() else { return };
    let lists = |list: &str| configure(&place, &format!("group = {NOBODY}\n{list}"), "");
    lists("allowed_users = [4000007]");
    let daemon = place.start_from(&place.path("traildex.toml"));
    check_answered(&place, STRANGER, false);
    lists("allowed_users = [4000007, 4000001]");
    check_line(&reload(&daemon, "done"), &["changed", "socket.allowed_users"]);
    check_answered(&place, STRANGER, true);
    lists("allowed_groups = [4000007]");
    check_line(&reload(&daemon, "done"), &["changed=2"]);
    check_answered(&place, STRANGER, false);
    daemon.stop();
}

/// Also while the index is being opened: without a handler, SIGHUP ends a process.
#[test]
fn a_reload_before_the_index_is_open_ends_nothing() {
    let place = Place::new();
    let mut slow = place.serve_command();
    slow.env("FAILPOINTS", "index-to-be-opened=sleep(2000)");
    let daemon = place.spawn_unready(slow);
    wait_until(PATIENCE, "it listens", || matches!(daemon.client.get("/healthz"), Ok((200, _))));
    daemon.signal(Signal::HUP);
    wait_until(PATIENCE, "it is reloaded", || daemon.log().contains("configuration reloaded"));
    assert!(matches!(daemon.client.get("/readyz"), Ok((503, _))), "it is too early for this test");
    wait_until(PATIENCE, "it is ready", || matches!(daemon.client.get("/readyz"), Ok((200, _))));
    daemon.stop();
}

/// Clients that keep a daemon busy: silent ones, such as stop in the middle of a head or a body, and
/// such as take nothing of a long answer.
fn load(daemon: &Daemon) -> Vec<UnixStream> {
    let head = "POST /v1/search HTTP/1.1\r\nHost: localhost\r\n";
    let body = r#"{"query":"*","limit":10000}"#;
    let takes_nothing = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let says_half = format!("{head}Content-Length: 1000\r\n\r\n{{");
    let kinds = ["", "GET /v1/sta", &says_half, &takes_nothing];
    let held = kinds.into_iter().cycle().take(40).map(|text| {
        let mut stream = UnixStream::connect(&daemon.socket).unwrap();
        stream.write_all(text.as_bytes()).unwrap();
        stream
    });
    let held: Vec<UnixStream> = held.collect();
    // The last one is of those that take nothing: its answer has begun.
    let mut answered = held.last().unwrap();
    answered.set_read_timeout(Some(PATIENCE)).unwrap();
    answered.read_exact(&mut [0; 12]).unwrap();
    held
}

#[test]
fn a_stop_under_full_load_takes_less_than_ten_seconds_and_loses_nothing() {
    const COPIES: usize = 12;
    const FIRST: usize = 10_000;
    const STOP_MAX: Duration = Duration::from_secs(10);
    let place = Place::new();
    let ids: Vec<String> = (0..FIRST).map(|n| format!("first-{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    fs::write(place.archive().join("first.json"), trail(&ids)).unwrap();
    let mut daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, FIRST as u64);
    let held = load(&daemon);
    copy_invictus(&place.archive(), COPIES);
    let started = Instant::now();
    let took = thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let client = Client::new(&daemon.socket);
                let query = "* | stats count, distinct(eventID) by actor, eventName".into();
                let request = SearchRequest { query, ..SearchRequest::default() };
                // Until there is no daemon.
                while started.elapsed() < PATIENCE
                    && !matches!(client.search(&request), Err(ClientError::NoDaemon { .. }))
                {
                }
            });
        }
        let connections = held.len() as f64 + 6.0;
        wait_until(PATIENCE, "searches beside the other clients", || {
            metric(&daemon, "traildex_http_connections").is_some_and(|open| open >= connections)
        });
        let pending = daemon.status().files.pending;
        println!("stopped with {pending} files pending");
        assert!(pending > 0, "ingest had ended before the stop");
        daemon.signal(Signal::TERM);
        Instant::now()
    });
    assert!(daemon.wait_end().success());
    let took = took.elapsed();
    println!("stopped under full load after {took:?}");
    assert!(took < STOP_MAX, "{took:?}");

    let (files, _) = ledger(&place.data_dir());
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE_BULK, (FIRST + 2_900 * COPIES) as u64);
    let (after, _) = daemon.ledger();
    assert!(after.starts_with(&files), "what was committed stays");
    assert_eq!(after.lines().count(), 1 + 55 * COPIES, "each file is read once");
    daemon.stop();
}
