//! Commands that fail, hang, print a lot, and never read what they are given.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::program::{Program, json_lines};
use crate::source::Source;

/// A program with one command target, which is a script.
fn with_script(script: &str, more: &str) -> (Program, Source) {
    let mut program = Program::new();
    let source = Source::start(program.folder());
    let path = program.path("script");
    fs::write(&path, format!("#!/bin/sh\ncd '{}'\n{script}", program.folder().display())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let target = format!(
        "[[command]]\nname = 'run'\nargv = ['{}', 'fixed; rm -rf x']\npause_ms_min = 20\n\
         pause_ms_max = 50\n{more}\n",
        path.display()
    );
    program.configure(&source.socket, &target);
    program.start();
    (program, source)
}

#[test]
fn a_command_gets_the_alert_on_its_standard_input_and_fixed_arguments() {
    let script = "cat > stdin; printf '%s|%s' \"$#\" \"$1\" > arguments; mv stdin done";
    let (program, source) = with_script(script, "");
    let evil = "$(touch evil) `touch evil`; touch evil\n--flag";
    source.raise(evil);
    program.wait_until("an input", || program.path("done").exists());
    assert_eq!(json_lines(&program.path("done"))[0]["alert"]["group"]["principal"], evil);
    let arguments = fs::read_to_string(program.path("arguments")).unwrap();
    assert_eq!(arguments, "1|fixed; rm -rf x");
    assert!(!program.path("evil").exists());
}

#[test]
fn a_command_that_fails_is_run_again_and_its_words_are_kept() {
    let script = "echo x >> tries; [ $(wc -l < tries) -ge 3 ] && cat > done && exit 0; \
                  echo 'no \"luck\"' >&2; exit 7";
    let (program, source) = with_script(script, "");
    source.raise("a");
    program.wait_until("an input", || program.path("done").exists());
    assert_eq!(fs::read_to_string(program.path("tries")).unwrap(), "x\nx\nx\n");
    program.wait_for_log("ended with exit status: 7: no ");
    program.wait_until("a state", || program.status_of("run")["counts"]["delivered"] == 1);
}

#[test]
fn a_command_that_hangs_is_ended_with_all_that_it_started() {
    let script = "echo $$ >> pids; sleep 300 & echo $! >> pids; wait";
    let (program, source) = with_script(script, "timeout_s = 1\nattempts_max = 1");
    source.raise("a");
    program.wait_until("a state", || program.status_of("run")["dead_letters"] == 1);
    assert!(program.says(&["dead", "--list"]).contains("did not end in 1 s"));
    for pid in fs::read_to_string(program.path("pids")).unwrap().lines() {
        // Ended; where nobody has looked at that yet, its memory has gone.
        let ended =
            || fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().is_empty();
        program.wait_until("end of a process", ended);
    }
}

#[test]
fn a_command_may_print_a_lot_and_read_nothing() {
    let script = "head -c 10000000 /dev/zero; head -c 10000000 /dev/zero >&2; exit 0";
    let (program, source) = with_script(script, "");
    // More than a pipe takes.
    source.raise(&"x".repeat(300_000));
    source.raise("b");
    program.wait_until("a state", || program.status_of("run")["counts"]["delivered"] == 2);
    assert_eq!(program.status_of("run")["counts"]["failures"], 0);
}

#[test]
fn what_a_command_leaves_behind_is_not_waited_for() {
    let (program, source) = with_script("sleep 30 & exit 0", "");
    source.raise("a");
    program.wait_until("a state", || program.status_of("run")["counts"]["delivered"] == 1);
}
