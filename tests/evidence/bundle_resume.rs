//! A bundle that was ended anywhere goes on, copies nothing again, and comes out the same; nothing less than
//! a whole bag ever has its name.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use crate::bundle::{Indexed, check_code, is_good, text, tree, verify};
use crate::chain::Bench;
use crate::common::{Ran, files_below, sample};

/// Where a process is ended: at a step, or at one of its later times.
const STEPS: [&str; 10] = [
    "bundle-begun=return",
    "bundle-page-written=return",
    "bundle-page-noted=1*off->return",
    "bundle-file-copied=return",
    "bundle-file-copied=5*off->return",
    "bundle-to-be-judged=return",
    "bundle-payload-written=return",
    "bundle-manifest-written=return",
    "bundle-tagmanifest-written=return",
    "bundle-done=return",
];

/// Those of a tar.
const STEPS_OF_TAR: [&str; 3] =
    ["bundle-file-packed=return", "bundle-file-packed=7*off->return", "bundle-tar-written=return"];

fn partial(out: &Path) -> PathBuf {
    PathBuf::from(format!("{}.partial", out.display()))
}

/// The copies in a bag in the making, as a copy anew would change them.
fn copies(out: &Path) -> BTreeMap<PathBuf, (u64, i64)> {
    let folder = partial(out).join("bag/data/archive");
    if !folder.exists() {
        return BTreeMap::new();
    }
    let state = |path: PathBuf| {
        let found = fs::metadata(&path).unwrap();
        (path.strip_prefix(&folder).unwrap().to_owned(), (found.ino(), found.ctime_nsec()))
    };
    files_below(&folder).into_iter().map(state).collect()
}

fn end_at(indexed: &Indexed, out: &Path, args: &[&str], step: &str) {
    let mut command = indexed.command("*", out, args);
    let output = command.env("FAILPOINTS", step).output().unwrap();
    let ended = std::os::unix::process::ExitStatusExt::signal(&output.status);
    assert!(ended.is_some(), "{step}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_bag_that_was_ended_at_any_step_comes_out_the_same() {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let keys = ["--public-keys", text(&bench.keys)];
    let whole = indexed.out("whole");
    check_code(&indexed.bundle("*", &whole, &keys), 0);
    let whole = tree(&whole);
    for (number, step) in STEPS.iter().enumerate() {
        if step.starts_with("bundle-page-noted") {
            // There is one page.
            continue;
        }
        let out = indexed.out(&format!("bag-{number}"));
        end_at(&indexed, &out, &keys, step);
        assert!(!out.exists(), "{step}");
        let unfinished = verify(&partial(&out).join("bag"), &[]);
        let is_all_there = step.contains("tagmanifest") || step.contains("done");
        assert_eq!(unfinished.0 == 0, is_all_there, "{step}");
        let before = copies(&out);
        // Ended once more, behind all copies.
        end_at(&indexed, &out, &keys, "bundle-payload-written=return");
        for (path, state) in &before {
            assert_eq!(copies(&out).get(path), Some(state), "{step}: {}", path.display());
        }
        check_code(&indexed.bundle("*", &out, &keys), 0);
        assert!(tree(&out) == whole, "{step}");
        assert!(!partial(&out).exists(), "{step}");
    }
}

#[test]
fn a_bag_that_was_ended_when_it_had_its_name_is_done() {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    for name in ["bag", "bag.tar"] {
        let out = indexed.out(name);
        end_at(&indexed, &out, &[], "bundle-named=return");
        assert!(partial(&out).exists());
        is_good(&out, &[]);
        check_code(&indexed.bundle("*", &out, &[]), 0);
        assert!(!partial(&out).exists());
        // So is one that was ended while it removed the rest.
        for left in ["done", ""] {
            fs::create_dir(partial(&out)).unwrap();
            if !left.is_empty() {
                fs::write(partial(&out).join(left), "").unwrap();
            }
            check_code(&indexed.bundle("*", &out, &[]), 0);
            assert!(!partial(&out).exists());
        }
        check_code(&indexed.bundle("*", &out, &[]), 4);
    }
}

#[test]
fn a_tar_that_was_ended_at_any_step_comes_out_the_same() {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let whole = indexed.out("whole.tar");
    check_code(&indexed.bundle("*", &whole, &[]), 0);
    let whole = fs::read(&whole).unwrap();
    for (number, step) in STEPS_OF_TAR.iter().enumerate() {
        let out = indexed.out(&format!("{number}/whole.tar"));
        fs::create_dir(out.parent().unwrap()).unwrap();
        end_at(&indexed, &out, &[], step);
        assert!(!out.exists(), "{step}");
        check_code(&indexed.bundle("*", &out, &[]), 0);
        assert!(fs::read(&out).unwrap() == whole, "{step}");
    }
}

#[test]
fn a_bag_that_is_killed_again_and_again_comes_out_the_same() {
    let indexed = Indexed::of(&sample("invictus"));
    let whole = indexed.out("whole");
    check_code(&indexed.bundle("*", &whole, &[]), 0);
    let out = indexed.out("bag");
    let mut kills = 0;
    for milliseconds in (20..).step_by(40) {
        let mut command = indexed.command("*", &out, &[]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        thread::sleep(Duration::from_millis(milliseconds));
        if child.try_wait().unwrap().is_some() {
            let ran = Ran::from(child.wait_with_output().unwrap());
            check_code(&ran, 0);
            break;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        kills += 1;
        // If it has its name, it is whole.
        if out.exists() {
            is_good(&out, &[]);
            if !partial(&out).exists() {
                // It was just about to end.
                break;
            }
        }
    }
    assert!(kills > 2);
    assert!(tree(&out) == tree(&whole));
}

#[test]
fn pages_that_were_fetched_are_not_fetched_again() {
    let indexed = Indexed::of(&sample("invictus"));
    let whole = indexed.out("whole");
    check_code(&indexed.bundle("*", &whole, &["--records-only"]), 0);
    let out = indexed.out("bag");
    end_at(&indexed, &out, &["--records-only"], "bundle-page-noted=return");
    let fetched = partial(&out).join("events");
    let (length, inode) =
        (fs::metadata(&fetched).unwrap().len(), fs::metadata(&fetched).unwrap().ino());
    let first = fs::read(&fetched).unwrap();
    end_at(&indexed, &out, &["--records-only"], "bundle-page-noted=return");
    let second = fs::read(&fetched).unwrap();
    assert!(second.len() as u64 > length && second.starts_with(&first));
    assert_eq!(fs::metadata(&fetched).unwrap().ino(), inode);
    check_code(&indexed.bundle("*", &out, &["--records-only"]), 0);
    assert!(tree(&out) == tree(&whole));
}

#[test]
fn a_bag_of_another_command_is_never_this_commands_result() {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    for name in ["bag", "bag.tar"] {
        let out = indexed.out(name);
        check_code(&indexed.bundle("eventName:GetObject", &out, &[]), 0);
        let others: [(&str, &[&str]); 4] = [
            ("*", &[]),
            ("eventName:GetObject", &["--records-only"]),
            ("eventName:GetObject", &["--since", "2023-11-05T09:00:00Z"]),
            ("eventName:GetObject", &["--time-zone", "Europe/Berlin"]),
        ];
        let leave = |left: &str| {
            fs::create_dir_all(partial(&out)).unwrap();
            if !left.is_empty() {
                fs::write(partial(&out).join(left), "").unwrap();
            }
        };
        for left in ["done", ""] {
            for (query, args) in others {
                leave(left);
                let ran = indexed.bundle(query, &out, args);
                check_code(&ran, 4);
                assert!(ran.stderr.contains("is there already"), "{}", ran.stderr);
            }
            leave(left);
            let mut later = crate::common::traildex();
            later.args(["bundle", "eventName:GetObject", "--time", "2026-01-02T03:04:06Z"]);
            later.arg("--data-dir").arg(indexed.place.data_dir()).arg("--output").arg(&out);
            check_code(&later.output().unwrap().into(), 4);
            leave(left);
            check_code(&indexed.bundle("eventName:GetObject", &out, &[]), 0);
        }
        is_good(&out, &[]);
    }
}

#[test]
fn a_state_that_cannot_be_read_takes_nothing_of_another_query_along() {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let whole = indexed.out("whole");
    check_code(&indexed.bundle("eventID:00000001*", &whole, &[]), 0);
    for (number, state) in ["", "{", "{\"ask\":1}"].iter().enumerate() {
        let out = indexed.out(&format!("bag-{number}"));
        end_at(&indexed, &out, &[], "bundle-payload-written=return");
        fs::write(partial(&out).join("state.json"), state).unwrap();
        check_code(&indexed.bundle("eventID:00000001*", &out, &[]), 0);
        assert!(tree(&out) == tree(&whole));
    }
}

#[test]
fn a_tar_that_goes_on_has_the_reports_of_the_run_that_ends_it() {
    let place = crate::common::Place::new();
    for number in 0..1_100 {
        let file = place.archive().join(format!("{number}.json"));
        crate::chain::write(&file, &crate::common::trail(&[&format!("id-{number}")]));
    }
    let indexed = Indexed::of(&place.archive());
    let out = indexed.out("x.tar");
    end_at(&indexed, &out, &[], "bundle-file-packed=1090*off->return");
    // What it says of the index is longer now.
    let more = indexed.out("more");
    crate::chain::write(&more.join("z.json"), &crate::common::trail(&["z"]));
    let data = indexed.place.data_dir();
    let ran = crate::common::run(&["import", text(&more), "--data-dir", text(&data)]);
    check_code(&ran, 0);
    check_code(&indexed.bundle("*", &out, &[]), 4);
    let (_, found) = verify(&out, &[]);
    assert!(found["is_whole"] == true && found["says_complete"] == false, "{found:#}");
}

#[test]
fn an_output_is_named_in_any_way_that_a_shell_completes() {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let whole = indexed.out("whole");
    check_code(&indexed.bundle("*", &whole, &[]), 0);
    for name in ["slash/", "dot/.", "./before"] {
        let named = indexed.out(name);
        check_code(&indexed.bundle("*", &named, &[]), 0);
        assert!(tree(&named) == tree(&whole), "{name}");
    }
    fs::create_dir(indexed.out("empty")).unwrap();
    check_code(&indexed.bundle("*", &indexed.out("empty/"), &[]), 0);
    std::os::unix::fs::symlink(indexed.out("nothing"), indexed.out("link")).unwrap();
    for name in ["link", "slash/..", "x.tar/"] {
        let ran = indexed.bundle("*", &indexed.out(name), &[]);
        check_code(&ran, 4);
        assert!(ran.stderr.contains("cannot be written"), "{}", ran.stderr);
    }
}

#[test]
fn a_place_that_holds_something_else_is_refused() {
    let (bench, _) = Bench::whole();
    let indexed = Indexed::of(&bench.copy);
    let out = indexed.out("bag");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("mine"), "").unwrap();
    let tar = indexed.out("mine.tar");
    fs::write(&tar, "").unwrap();
    for place in [&out, &tar] {
        let ran = indexed.bundle("*", place, &[]);
        check_code(&ran, 4);
        assert!(ran.stderr.contains("is there already"), "{}", ran.stderr);
        assert!(!partial(place).exists());
    }
    fs::remove_file(out.join("mine")).unwrap();
    check_code(&indexed.bundle("*", &out, &[]), 0);
    let other = indexed.out("other");
    fs::create_dir(partial(&other)).unwrap();
    fs::write(partial(&other).join("mine"), "").unwrap();
    let ran = indexed.bundle("*", &other, &[]);
    check_code(&ran, 4);
    assert!(ran.stderr.contains("no bundle in the making"), "{}", ran.stderr);
    // What another command has begun is not gone on with.
    let begun = indexed.out("begun");
    end_at(&indexed, &begun, &[], "bundle-payload-written=return");
    let ran = indexed.bundle("eventName:x", &begun, &[]);
    check_code(&ran, 4);
    assert!(ran.stderr.contains("of another bundle"), "{}", ran.stderr);
}
