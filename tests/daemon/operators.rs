//! Who may ask, and who may operate: rebuild and check the index, and change what others have saved.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use wire::{RebuildState, SavedSearch};

use super::service::{NOBODY, STRANGER, check_line, shared_place};
use crate::common::{Daemon, PATIENCE, Place, Ran, trail, wait_until};

const OTHER: u32 = STRANGER + 1;

/// Runs a command as a user of the group NOBODY.
fn run_as(place: &Place, user: u32, args: &[&str]) -> Ran {
    let mut command = Command::new(place.path("traildex"));
    command.args(args).arg("--socket").arg(place.socket()).uid(user).gid(NOBODY);
    Ran::from(command.output().unwrap())
}

#[track_caller]
fn check_refused(ran: &Ran, parts: &[&str]) {
    assert_eq!(ran.code, 4, "{}{}", ran.stdout, ran.stderr);
    for part in parts {
        assert!(ran.stderr.contains(part), "{}\nlacks {part:?}", ran.stderr);
    }
}

/// A daemon whose index has an event that the archive lacks.
fn with_evidence(place: &Place) -> Daemon {
    fs::write(place.archive().join("a.json"), trail(&["1", "2"])).unwrap();
    fs::write(place.archive().join("b.json"), trail(&["3"])).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 3);
    fs::remove_file(place.archive().join("a.json")).unwrap();
    daemon
}

#[test]
fn who_may_only_ask_destroys_nothing() {
    let Some(place) = shared_place() else { return };
    let daemon = with_evidence(&place);
    for args in [&["rebuild", "--accept-loss"][..], &["rebuild"], &["verify"]] {
        let what = if args[0] == "verify" { "check" } else { "rebuild" };
        let missing =
            format!("user {STRANGER} may ask, but may not {what} the index: root, the user");
        check_refused(&run_as(&place, STRANGER, args), &[&missing, "`socket.operators`"]);
    }
    let status = daemon.status();
    assert_eq!((status.events.indexed, status.rebuild), (3, None));
    assert!(daemon.client.verify().unwrap().report.is_none());
    let uid = format!("uid={STRANGER}");
    check_line(&daemon.log(), &["WARN", "refused an operation", &uid, "rebuild the index"]);
    assert_eq!(run_as(&place, STRANGER, &["search", "*"]).code, 0);
    assert_eq!(run_as(&place, STRANGER, &["status"]).code, 0);
    daemon.stop();
}

#[test]
fn an_operator_may_and_the_log_says_who_and_what_was_lost() {
    let Some(place) = shared_place() else { return };
    let place = place.with("SOCKET_OPERATORS", &format!("4000007:{STRANGER}"));
    let daemon = with_evidence(&place);
    let uid = format!("uid={STRANGER}");
    assert_eq!(run_as(&place, STRANGER, &["verify"]).code, 0);
    check_line(&daemon.log(), &[&uid, "has the index checked"]);
    let ran = run_as(&place, STRANGER, &["rebuild", "--accept-loss"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("2 events of the old index are lost"), "{}", ran.stderr);
    let rebuild = daemon.status().rebuild.unwrap();
    assert_eq!(
        (rebuild.state, rebuild.uid, rebuild.events_lost),
        (RebuildState::Done, STRANGER, 2)
    );
    check_line(&daemon.log(), &[&uid, "accept_loss=true", "has the index rebuilt"]);
    check_line(&daemon.log(), &["WARN", "lost=2", "files=1", "a.json"]);
    check_line(&daemon.log(), &[&uid, "lost=2", "has taken the place"]);
    check_refused(&run_as(&place, OTHER, &["rebuild"]), &["may not rebuild the index"]);
    daemon.stop();
}

#[test]
fn a_saved_search_belongs_to_who_saved_it() {
    let Some(place) = shared_place() else { return };
    let place = place.with("SOCKET_OPERATORS", "4000007");
    let daemon = place.start();
    let done = |user, args: &[&str]| {
        let ran = run_as(&place, user, args);
        assert_eq!(ran.code, 0, "{args:?}: {}", ran.stderr);
    };
    let saved = || daemon.client.saved().unwrap().saved["mine"].clone();
    done(STRANGER, &["saved", "set", "mine", "first"]);
    done(STRANGER, &["saved", "set", "mine", "second"]);
    assert_eq!((saved().query.as_str(), saved().owner), ("second", Some(STRANGER)));
    let belongs = format!("'mine' belongs to user {STRANGER}; user {OTHER} may not");
    for args in [&["saved", "set", "mine", "theirs"][..], &["saved", "delete", "mine"]] {
        check_refused(&run_as(&place, OTHER, args), &[&belongs, "`socket.operators`"]);
    }
    assert_eq!(saved().query, "second");
    // Everybody may run it.
    assert_eq!(run_as(&place, OTHER, &["saved", "run", "mine"]).code, 1);
    // An operator may change it, and it stays with its owner, whatever the request says.
    let theirs = SavedSearch { query: "third".into(), owner: Some(OTHER), ..Default::default() };
    assert_eq!(daemon.client.save("mine", &theirs).unwrap().owner, Some(STRANGER));
    done(4_000_007, &["saved", "set", "mine", "fourth"]);
    assert_eq!((saved().query.as_str(), saved().owner), ("fourth", Some(STRANGER)));
    check_line(&daemon.log(), &["uid=4000007", "name=\"mine\"", "lost=\"third\"", "was saved"]);
    done(STRANGER, &["saved", "delete", "mine"]);
    let uid = format!("uid={STRANGER}");
    check_line(&daemon.log(), &[&uid, "lost=\"fourth\"", "was deleted"]);
    daemon.stop();
}

#[test]
fn the_log_has_no_change_that_is_not_on_disk() {
    let place = Place::new();
    let daemon = place.start();
    daemon.client.save("kept", &SavedSearch::default()).unwrap();
    // The new file cannot be written where a directory is.
    fs::create_dir(place.data_dir().join("saved.json.new")).unwrap();
    assert!(daemon.client.save("lost", &SavedSearch::default()).is_err());
    assert!(daemon.client.delete_saved("kept").is_err());
    let log = daemon.log();
    check_line(&log, &["name=\"kept\"", "was saved"]);
    assert!(!log.contains("name=\"lost\"") && !log.contains("was deleted"), "{log}");
    daemon.stop();
}

#[test]
fn a_user_who_is_no_operator_leaves_room_for_others() {
    let Some(place) = shared_place() else { return };
    let daemon = place.start();
    let text = "x".repeat(120_000);
    let save = |user, n: usize| {
        let name = format!("large-{user}-{n}");
        run_as(&place, user, &["saved", "set", &name, "a", "--description", &text])
    };
    let refused = (0..18).map(|n| save(STRANGER, n)).find(|ran| ran.code != 0).unwrap();
    assert!(
        refused.stderr.contains("a user who is no operator can save 500"),
        "{}",
        refused.stderr
    );
    assert_eq!(save(OTHER, 0).code, 0);
    daemon.stop();
}

/// As a version before there were owners has left it.
#[test]
fn what_an_older_version_saved_only_operators_change() {
    let Some(place) = shared_place() else { return };
    place.start().stop();
    let json = r#"{"format_version":1,"searches":{"old":{"query":"x"}}}"#;
    let text = format!("{json}\n{:016x}\n", xxhash_rust::xxh3::xxh3_64(json.as_bytes()));
    fs::write(place.data_dir().join("saved.json"), text).unwrap();
    let daemon = place.start();
    assert_eq!(daemon.client.saved().unwrap().saved["old"].owner, None);
    let ran = run_as(&place, STRANGER, &["saved", "delete", "old"]);
    check_refused(&ran, &["'old' has no owner", "`socket.operators`"]);
    daemon.client.delete_saved("old").unwrap();
    daemon.stop();
}

#[test]
fn the_user_that_the_daemon_runs_as_is_an_operator() {
    let place = Place::new();
    let own = fs::metadata(place.path("")).unwrap().uid();
    let daemon = place.start();
    daemon.client.start_verify().unwrap();
    check_line(&daemon.log(), &[&format!("uid={own}"), "has the index checked"]);
    wait_until(PATIENCE, "it is checked", || daemon.client.verify().unwrap().report.is_some());
    daemon.stop();
}
