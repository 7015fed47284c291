//! A bag that lacks something says so, and why; each case by itself.

use std::fs;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::bundle::{Indexed, ask, check_code, events, reasons, report, text, verify};
use crate::chain::{Bench, gzip, write};
use crate::common::{PATIENCE, Place, files_below, sample, trail, traildex};

/// Some files without digests.
fn plain() -> Place {
    let place = Place::new();
    for (name, ids) in [("a", ["1", "2"]), ("b", ["3", "4"]), ("c", ["5", "6"])] {
        write(&place.archive().join(format!("{name}.json.gz")), &gzip(&trail(&ids), 6));
    }
    place
}

/// The one reason of a bag, which must be about this and say that; the bag is whole all the same.
#[track_caller]
fn check_reason(bag: &Path, about: &str, says: &str) {
    let reasons = reasons(bag);
    assert!(
        reasons.iter().any(|(of, reason)| of == about && reason.contains(says)),
        "{about}: {says}: {reasons:#?}"
    );
    let (code, found) = verify(bag, &[]);
    assert!(code == 4 && found["is_whole"] == true && found["says_complete"] == false, "{found:#}");
}

#[test]
fn an_original_that_is_gone_changed_or_closed_is_a_reason() {
    let place = plain();
    let indexed = Indexed::of(&place.archive());
    let whole = indexed.out("whole");
    check_code(&indexed.bundle("*", &whole, &[]), 0);
    let a = place.archive().join("a.json.gz");
    fs::remove_file(&a).unwrap();
    let gone = indexed.out("gone");
    check_code(&indexed.bundle("*", &gone, &[]), 4);
    check_reason(&gone, "originals", "a.json.gz: it is gone; 2 events");
    assert_eq!(reasons(&gone).len(), 1);
    let without = events(&gone).iter().filter(|event| event["file"].is_null()).count();
    assert_eq!((without, report(&gone)["counts"]["events_in_originals"].clone()), (2, 4.into()));
    fs::write(&a, gzip(&trail(&["1", "x"]), 6)).unwrap();
    let changed = indexed.out("changed");
    check_code(&indexed.bundle("*", &changed, &[]), 4);
    check_reason(&changed, "originals", "a.json.gz: it was changed since it was indexed");
    // What was only compressed anew holds what was indexed.
    fs::write(&a, gzip(&trail(&["1", "2"]), 1)).unwrap();
    check_code(&indexed.bundle("*", &indexed.out("anew"), &[]), 0);
    fs::remove_file(&a).unwrap();
    std::os::unix::fs::symlink(place.archive().join("b.json.gz"), &a).unwrap();
    let linked = indexed.out("linked");
    check_code(&indexed.bundle("*", &linked, &[]), 4);
    check_reason(&linked, "originals", "a.json.gz: it cannot be read");
}

#[test]
fn an_original_that_the_user_may_not_read_is_a_reason() {
    const NOBODY: u32 = 65_534;
    let place = plain();
    let indexed = Indexed::of(&place.archive());
    let closed = place.archive().join("a.json.gz");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).unwrap();
    // Who runs the tests may be root, whom nothing is closed to.
    let program = indexed.out("traildex");
    fs::copy(env!("CARGO_BIN_EXE_traildex"), &program).unwrap();
    for path in [indexed.out(""), place.path("")] {
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let mut all = files_below(&indexed.place.data_dir());
    all.extend(fs::read_dir(indexed.place.data_dir()).unwrap().map(|entry| entry.unwrap().path()));
    all.push(indexed.place.data_dir());
    if all.iter().any(|path| std::os::unix::fs::lchown(path, Some(NOBODY), None).is_err()) {
        println!("not root: who owns the file may open it");
        return;
    }
    let out = indexed.out("bag");
    let command = indexed.command("*", &out, &[]);
    let mut as_nobody = std::process::Command::new(program);
    as_nobody.args(command.get_args()).env("XDG_RUNTIME_DIR", "/nonexistent");
    std::os::unix::process::CommandExt::uid(&mut as_nobody, NOBODY);
    // A process that another test starts can have the copy open for a moment.
    let ran = loop {
        match as_nobody.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => {
                thread::sleep(Duration::from_millis(10));
            }
            ran => break ran.unwrap(),
        }
    };
    check_code(&ran.into(), 4);
    check_reason(&out, "originals", "a.json.gz: it cannot be read: Permission denied");
}

#[test]
fn results_that_the_query_cuts_are_a_reason() {
    let place = plain();
    let indexed = Indexed::of(&place.archive());
    for (name, query) in [("limit", "* | limit 4"), ("dedup", "* | dedup eventName")] {
        let out = indexed.out(name);
        check_code(&indexed.bundle(query, &out, &[]), 4);
        check_reason(&out, "events", "the index has 6 for the query's conditions");
    }
}

#[test]
fn events_of_an_earlier_content_are_a_reason() {
    let place = plain();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 6);
    fs::write(place.archive().join("a.json.gz"), gzip(&trail(&["1", "7", "8"]), 6)).unwrap();
    daemon.wait_indexed(PATIENCE, 8);
    let out = place.path("bag");
    check_code(&ask(&daemon, "*", &out, &[]), 4);
    check_reason(&out, "originals", "a.json.gz: 1 of its 4 events are of an earlier content");
    let without: Vec<_> =
        events(&out).into_iter().filter(|event| event["file"].is_null()).collect();
    assert_eq!((without.len(), &without[0]["id"]), (1, &"2".into()));
    daemon.stop();
}

#[test]
fn files_that_wait_or_could_not_be_read_are_a_reason() {
    let place = plain().with("WATCH_SETTLE_MS", "60000");
    write(&place.archive().join("garbage.json"), b"\x00\x01 this is no trail");
    for name in ["a.json.gz", "b.json.gz", "c.json.gz", "garbage.json"] {
        crate::common::make_old(&place.archive().join(name));
    }
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 6);
    let out = place.path("rejected");
    check_code(&ask(&daemon, "*", &out, &[]), 4);
    check_reason(&out, "index", "garbage.json: nothing in it could be read");
    assert_eq!(reasons(&out).len(), 1);
    // It settles while somebody writes.
    let growing = place.archive().join("growing.json");
    let mut file = fs::File::create(&growing).unwrap();
    std::io::Write::write_all(&mut file, &trail(&["9"])).unwrap();
    daemon.wait_for(PATIENCE, "a file waits", |status| status.files.pending == 1);
    let out = place.path("pending");
    check_code(&ask(&daemon, "*", &out, &[]), 4);
    check_reason(&out, "index", "growing.json: it waits to be read");
}

#[test]
fn a_digest_that_is_missing_or_gone_is_a_reason() {
    let (bench, hours) = Bench::whole();
    fs::remove_file(&hours[2].digest).unwrap();
    let indexed = Indexed::of(&bench.copy);
    let keys = ["--public-keys", text(&bench.keys)];
    let out = indexed.out("missing");
    check_code(&indexed.bundle("*", &out, &keys), 4);
    check_reason(&out, "digests", "its account and region have digests, and none is of its hour");
    assert_eq!(reasons(&out).len(), hours[2].logs.len());
    fs::remove_file(&hours[0].digest).unwrap();
    let out = indexed.out("gone");
    check_code(&indexed.bundle("*", &out, &keys), 4);
    check_reason(&out, "digests", "the index had this digest, and it cannot be read");
}

#[test]
fn a_digest_whose_signature_carrier_is_gone_is_a_reason() {
    let mut bench = Bench::new();
    // A file that was listed late: the digest that follows ends two days after it.
    let (object, content) = bench.chain.log(5);
    write(&bench.chain.path(&object), &gzip(&content, 6));
    bench.chain.start = "2023-11-06T22:40:14Z".parse().unwrap();
    let hash = hex::encode(<sha2::Sha256 as sha2::Digest>::digest(&content));
    bench.chain.hour_with(0, |digest| {
        digest["logFiles"] = serde_json::json!([{
            "s3Bucket": "my-trail", "s3Object": object, "hashAlgorithm": "SHA-256", "hashValue": hash,
        }]);
    });
    let next = bench.chain.hour(0);
    let indexed = Indexed::of(&bench.copy);
    let keys = ["--public-keys", text(&bench.keys)];
    check_code(&indexed.bundle("*", &indexed.out("whole"), &keys), 0);
    fs::remove_file(&next.digest).unwrap();
    let out = indexed.out("gone");
    check_code(&indexed.bundle("*", &out, &keys), 4);
    check_reason(&out, "digests", "the index had this digest, and it cannot be read");
}

#[test]
fn what_was_not_recorded_and_the_query_asks_for_is_a_reason() {
    let indexed = Indexed::of(&sample("invictus"));
    let out = indexed.out("bag");
    check_code(&indexed.bundle("eventName:DeleteObject", &out, &[]), 4);
    check_reason(&out, "coverage", "object-level events of S3");
    let out = indexed.out("range");
    let range = ["--since", "2023-07-09", "--until", "2023-07-11"];
    check_code(&indexed.bundle("eventName:AssumeRole", &out, &range), 4);
    check_reason(&out, "coverage", "begin");
}

#[test]
fn a_change_of_the_index_meanwhile_is_a_reason() {
    let place = plain();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 6);
    let (out, other) = (place.path("bag"), place.path("other"));
    let start = |query: &str, out: &Path| {
        let mut command = traildex();
        command.env("FAILPOINTS", "bundle-to-be-judged=sleep(4000)");
        command.args(["bundle", query, "--socket"]).arg(&daemon.socket).arg("-o").arg(out);
        command.stderr(std::process::Stdio::piped()).spawn().unwrap()
    };
    let (first, second) = (start("*", &out), start("eventName:Nobody OR eventID:1", &other));
    thread::sleep(Duration::from_millis(1_500));
    write(&place.archive().join("d.json.gz"), &gzip(&trail(&["7"]), 6));
    daemon.wait_indexed(PATIENCE, 7);
    check_code(&first.wait_with_output().unwrap().into(), 4);
    check_reason(&out, "events", "the bag has 6 events, and the index has 7");
    check_reason(&out, "index", "events: 6 before, 7 now");
    // Who asked for others is told, and lacks nothing.
    check_code(&second.wait_with_output().unwrap().into(), 0);
    let notes = report(&other)["notes"].to_string();
    assert!(notes.contains("events: 6 before, 7 now"), "{notes}");
    daemon.stop();
}

#[test]
fn a_damaged_index_makes_no_complete_bag() {
    let place = plain();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, 6);
    let mut records = files_below(&place.data_dir().join("segments"));
    records.retain(|path| path.extension().is_some_and(|found| found == "records"));
    for path in &records {
        let bytes = fs::read(path).unwrap();
        let changed: Vec<u8> = bytes.iter().map(|byte| byte ^ 0x55).collect();
        // In place: the daemon has it mapped.
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(&changed, 0).unwrap();
    }
    let out = place.path("bag");
    let ran = ask(&daemon, "*", &out, &[]);
    check_code(&ran, 4);
    assert!(ran.stderr.contains(".records: block 0"), "{}", ran.stderr);
    assert!(!out.exists());
    // Set aside at the next start, and read again; what cannot be is lost.
    daemon.kill();
    fs::remove_file(place.archive().join("a.json.gz")).unwrap();
    let daemon = place.start();
    daemon.wait_for(PATIENCE, "the rest is read again", |status| status.files.pending == 0);
    check_code(&ask(&daemon, "*", &place.path("lost"), &[]), 4);
    check_reason(&place.path("lost"), "index", "damaged part of the index");
}
