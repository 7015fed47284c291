//! Saved searches over the socket and from the command line: what they find, what is refused, and that
//! they are there after a crash, a rebuild, and damage.

use std::collections::BTreeMap;
use std::fs;

use client::ClientError;
use serde_json::{Value, json};
use wire::{
    ApiError, ErrorKind, Parameter, RebuildRequest, RebuildState, SavedRequest, SavedSearch,
    SearchRequest,
};

use crate::common::{self, PATIENCE, Place, Ran, ended, run, shared_daemon, trail};

/// As the daemon tells it of one that this user has saved.
fn search(query: &str) -> SavedSearch {
    let owner = Some(rustix::process::geteuid().as_raw());
    SavedSearch { query: query.into(), owner, ..SavedSearch::default() }
}

fn with(values: &[(&str, &str)]) -> SavedRequest {
    let parameters = values.iter().map(|(name, value)| ((*name).into(), (*value).into()));
    SavedRequest { parameters: parameters.collect(), ..SavedRequest::default() }
}

fn refused(answer: Result<impl std::fmt::Debug, ClientError>) -> ApiError {
    match answer.unwrap_err() {
        ClientError::Api(error) => error,
        error => panic!("{error}"),
    }
}

#[test]
fn a_run_finds_what_the_query_with_its_values_finds() {
    let daemon = shared_daemon();
    let client = &daemon.client;
    let saved = SavedSearch {
        parameters: BTreeMap::from([(
            "action".to_owned(),
            Parameter { default: Some("Get*".into()), description: None },
        )]),
        ..search("eventName:$action errorCode:$error OR $word")
    };
    client.save("find-it", &saved).unwrap();
    assert_eq!(client.saved().unwrap().saved["find-it"], saved);
    let found = |values: &[(&str, &str)]| {
        client.search_saved("find-it", &with(values)).unwrap().total.value
    };
    let all = [("action", "GetObject"), ("error", "NoSuchKey"), ("word", "pedro")];
    let expected = daemon.count("eventName:GetObject errorCode:NoSuchKey OR pedro");
    assert_eq!(found(&all), expected);
    let denied = [("action", "DescribeInstances"), ("error", "AccessDenied"), ("word", "zzz")];
    assert_eq!(found(&denied), daemon.count("eventName:DescribeInstances errorCode:AccessDenied"));
    // A value is a value, whatever it looks like.
    assert_eq!(found(&[("error", "*"), ("word", "zzz")]), 0);
    assert_eq!(found(&[("error", "x OR eventName:*"), ("word", "zzz")]), 0);
    client.delete_saved("find-it").unwrap();
}

#[test]
fn a_run_says_what_it_says_and_the_rest_is_as_saved() {
    let daemon = shared_daemon();
    let saved = SavedSearch {
        start: Some("2023-07-10T12".into()),
        end: Some("2023-07-10T13".into()),
        limit: Some(3),
        ..search("*")
    };
    daemon.client.save("hour", &saved).unwrap();
    let of = |start: &str, end: &str| SearchRequest {
        start: Some(start.into()),
        end: Some(end.into()),
        limit: Some(3),
        ..SearchRequest::default()
    };
    let ids = |found: &wire::SearchResponse| -> Vec<String> {
        found.hits.iter().map(|hit| hit.meta.id.clone()).collect()
    };
    let plain = daemon.client.search(&of("2023-07-10T12", "2023-07-10T13")).unwrap();
    let found = daemon.client.search_saved("hour", &SavedRequest::default()).unwrap();
    assert_eq!((ids(&found), found.total), (ids(&plain), plain.total));
    assert!(found.total.value > 3);
    // From page to page.
    let next = SavedRequest { cursor: found.cursor.clone(), ..SavedRequest::default() };
    let next = daemon.client.search_saved("hour", &next).unwrap();
    assert_eq!(next.hits.len(), 3);
    assert!(ids(&next).iter().all(|id| !ids(&found).contains(id)));
    let request = SavedRequest { start: Some("2023-07-10T12:30".into()), ..Default::default() };
    let found = daemon.client.search_saved("hour", &request).unwrap();
    let plain = daemon.client.search(&of("2023-07-10T12:30", "2023-07-10T13")).unwrap();
    assert_eq!(found.total, plain.total);
    daemon.client.delete_saved("hour").unwrap();
}

#[test]
fn what_cannot_run_is_not_saved() {
    let client = &shared_daemon().client;
    let check = |name: &str, search: &SavedSearch, kind: ErrorKind, message: &str| {
        let error = refused(client.save(name, search));
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(message), "{error}");
        assert!(!client.saved().unwrap().saved.contains_key(name));
    };
    check("bad-query", &search("eventName:("), ErrorKind::BadQuery, "byte 11");
    for name in ["-a", "a b", "", "é", &"a".repeat(65), "a/b"] {
        // An empty name is another path.
        let kind = if name.is_empty() { ErrorKind::NotFound } else { ErrorKind::BadRequest };
        check(name, &search("*"), kind, name);
    }
    let with_parameter = |name: &str, query: &str| SavedSearch {
        parameters: BTreeMap::from([(name.to_owned(), Parameter::default())]),
        ..search(query)
    };
    check("unused", &with_parameter("x", "f:$y"), ErrorKind::BadRequest, "no value $x");
    check("part", &with_parameter("x", "f:$x*"), ErrorKind::BadRequest, "no value $x");
    check("odd", &with_parameter("x-y", "f:$x"), ErrorKind::BadRequest, "'x-y'");
    let start = SavedSearch { start: Some("someday".into()), ..search("*") };
    check("start", &start, ErrorKind::BadRequest, "start: ");
    let zone = SavedSearch { time_zone: Some("Mars".into()), ..search("*") };
    check("zone", &zone, ErrorKind::BadRequest, "Mars");
    let limit = SavedSearch { limit: Some(10_001), ..search("*") };
    check("limit", &limit, ErrorKind::BadRequest, "10001");
    let large = SavedSearch { description: Some("x".repeat(900_000)), ..search("*") };
    for n in 0..4 {
        client.save(&format!("large-{n}"), &large).unwrap();
    }
    check("large-4", &large, ErrorKind::BadRequest, "there is room for");
    for n in 0..4 {
        client.delete_saved(&format!("large-{n}")).unwrap();
    }
}

#[test]
fn parameters_and_names_that_are_missing_or_unknown_are_named() {
    let client = &shared_daemon().client;
    client.save("named", &search("eventName:$action ip:$from")).unwrap();
    let run =
        |name: &str, values: &[(&str, &str)]| refused(client.search_saved(name, &with(values)));
    let error = run("named", &[("from", "192.0.2.1")]);
    assert_eq!(error.message, "no value for parameter 'action'");
    let error = run("named", &[("acton", "x")]);
    assert_eq!(error.message, "there is no parameter 'acton', but 'action', 'from'");
    assert_eq!(run("nobody", &[]).kind, ErrorKind::NotFound);
    assert_eq!(refused(client.delete_saved("nobody")).kind, ErrorKind::NotFound);
    assert_eq!(client.get("/v1/saved/nobody").unwrap().0, 404);
    let (status, body) = client.get("/v1/saved/named").unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let owner = rustix::process::geteuid().as_raw();
    let expected = json!({"query": "eventName:$action ip:$from", "owner": owner});
    assert_eq!((status, body), (200, expected));
    client.delete_saved("named").unwrap();
}

/// The file before a change, or behind it: nothing else, wherever the daemon is killed.
#[test]
fn a_kill_at_any_step_leaves_the_searches_before_or_behind_the_change() {
    let place = Place::new();
    let daemon = place.start();
    daemon.client.save("old", &search("a")).unwrap();
    daemon.kill();
    let mut left = Vec::new();
    for step in ["saved-to-be-written", "saved-written", "saved-renamed"] {
        let mut command = place.serve_command();
        let daemon = place.spawn({
            command.env("FAILPOINTS", format!("{step}=return"));
            command
        });
        let outcome = daemon.client.save("new", &search("b"));
        assert!(matches!(outcome, Err(ClientError::Protocol(_))), "{step}: {outcome:?}");
        drop(daemon);
        let daemon = place.start();
        let saved = daemon.client.saved().unwrap().saved;
        left.push(saved.keys().cloned().collect::<Vec<_>>().join(" "));
        assert_eq!(saved["old"], search("a"), "{step}");
        daemon.stop();
    }
    assert_eq!(left, ["old", "old", "new old"]);
}

#[test]
fn neither_a_rebuild_nor_a_damaged_index_costs_a_search() {
    let place = Place::new();
    fs::write(place.archive().join("a.json"), trail(&["1"])).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 1);
    daemon.client.save("kept", &search("a")).unwrap();
    daemon.client.rebuild(&RebuildRequest::default()).unwrap();
    daemon.wait_for(PATIENCE, "the rebuild", |status| {
        status.rebuild.as_ref().is_some_and(|rebuild| rebuild.state == RebuildState::Done)
    });
    assert_eq!(daemon.client.saved().unwrap().saved["kept"], search("a"));
    daemon.stop();
    fs::write(place.data_dir().join("manifest.json"), "damaged").unwrap();
    let daemon = place.start();
    assert_eq!(daemon.client.saved().unwrap().saved["kept"], search("a"));
    daemon.stop();
}

#[test]
fn a_damaged_file_is_named_and_set_aside_and_the_daemon_starts() {
    let place = Place::new();
    let daemon = place.start();
    daemon.client.save("a", &search("x")).unwrap();
    daemon.stop();
    let path = place.data_dir().join("saved.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("\"x\"", "\"y\"")).unwrap();
    let daemon = place.start();
    assert!(daemon.client.saved().unwrap().saved.is_empty());
    let warnings = daemon.status().warnings.join("\n");
    assert!(warnings.contains("the saved searches were damaged"), "{warnings}");
    assert!(warnings.contains("its hash does not match"), "{warnings}");
    let aside = common::files_below(&place.data_dir().join("set-aside"));
    let kept = aside.iter().find(|path| path.ends_with("saved.json")).expect("it is set aside");
    assert!(fs::read_to_string(kept).unwrap().contains("\"y\""));
    daemon.client.save("b", &search("z")).unwrap();
    daemon.stop();
    let daemon = place.start();
    assert_eq!(daemon.client.saved().unwrap().saved.into_keys().collect::<Vec<_>>(), ["b"]);
    daemon.stop();
}

#[test]
fn a_file_of_another_version_is_refused_and_left_as_it_is() {
    let place = Place::new();
    place.start().stop();
    let path = place.data_dir().join("saved.json");
    let json = r#"{"format_version":3,"searches":{},"unheard":[]}"#;
    let text = format!("{json}\n{:016x}\n", xxhash_rust::xxh3::xxh3_64(json.as_bytes()));
    fs::write(&path, &text).unwrap();
    let Ran { code, stderr, .. } = ended(&mut place.serve_command());
    assert_eq!(code, 4, "{stderr}");
    assert!(stderr.contains("saved.json: format version 3"), "{stderr}");
    assert!(stderr.contains("move the file away"), "{stderr}");
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
    fs::remove_file(&path).unwrap();
    place.start().stop();
}

fn ask(args: &[&str]) -> Ran {
    let daemon = shared_daemon();
    run(&[args, &["--socket", daemon.socket.to_str().unwrap()]].concat())
}

#[test]
fn commands_save_list_run_and_delete() {
    // One for all of them: another would know nothing of what was saved.
    let _daemon = shared_daemon();
    let ran = ask(&["saved", "set", "cli", "eventName:$action | count by eventName"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{}", ran.stderr);
    let ran = ask(&["saved", "run", "cli", "action=ConsoleLogin", "--format", "ndjson"]);
    let events = shared_daemon().count("eventName:ConsoleLogin");
    let row = format!("{{\"eventName\":\"ConsoleLogin\",\"count\":{events}}}\n");
    assert_eq!(ran.stdout, row, "{}", ran.stderr);
    assert_eq!(ask(&["saved", "run", "cli", "action=NoSuchAction"]).code, 1);
    let ran = ask(&["saved", "run", "cli"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("no value for parameter 'action'"), "{}", ran.stderr);
    let again = ["saved", "set", "cli", "eventName:$action", "--default", "action=ConsoleLogin"];
    assert_eq!(ask(&[&again[..], &["--description", "who came in"]].concat()).code, 0);
    assert_eq!(ask(&["saved", "run", "cli"]).code, 0);
    let ran = ask(&["saved", "list"]);
    let line = ran.stdout.lines().find(|line| line.starts_with("cli ")).unwrap();
    let cells: Vec<&str> =
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    let own = rustix::process::geteuid().as_raw().to_string();
    let expected = ["cli", "eventName:$action", "action=ConsoleLogin", &own, "who came in"];
    assert_eq!(cells, expected);
    let ran = ask(&["saved", "set", "cli", "eventName:("]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains('^'), "{}", ran.stderr);
    assert_eq!(ask(&["saved", "delete", "cli"]).code, 0);
    assert_eq!(ask(&["saved", "delete", "cli"]).code, 1);
}
