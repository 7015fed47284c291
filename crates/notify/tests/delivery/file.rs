//! Files that are rotated meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::program::{Program, json_lines};
use crate::source::Source;

#[test]
fn a_file_is_opened_anew_where_it_was_renamed_or_removed() {
    let mut program = Program::new();
    let source = Source::start(program.folder());
    program.configure(
        &source.socket,
        "[[file]]\nname = 'log'\npath = 'alerts.ndjson'\nmode = '0640'\n\
         [[file]]\nname = 'short'\npath = 'short.ndjson'\ntemplate = { p = '{group.principal}' }\n",
    );
    program.start();
    let path = program.path("alerts.ndjson");
    source.raise("a");
    program.wait_until("a line", || json_lines(&path).len() == 1);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    fs::rename(&path, program.path("alerts.1")).unwrap();
    source.raise("b");
    program.wait_until("a line", || json_lines(&path).len() == 1);
    fs::remove_file(&path).unwrap();
    source.raise("c");
    program.wait_until("a line", || json_lines(&path).len() == 1);
    // A line that somebody left torn takes none of ours with it.
    fs::write(&path, "{\"torn").unwrap();
    source.raise("d");
    program.wait_until("a line", || fs::read_to_string(&path).unwrap().ends_with("}\n"));
    let text = fs::read_to_string(&path).unwrap();
    let (torn, line) = text.split_once('\n').unwrap();
    assert_eq!(torn, "{\"torn");
    assert!(line.contains("\"principal\":\"d\""), "{line}");
    assert_eq!(json_lines(&program.path("alerts.1"))[0]["alert"]["group"]["principal"], "a");
    let short = program.path("short.ndjson");
    program.wait_until("lines", || json_lines(&short).len() == 4);
    assert_eq!(fs::read_to_string(short).unwrap().lines().next(), Some("{\"p\":\"a\"}"));
}

#[test]
fn a_folder_that_is_not_there_is_waited_for() {
    let mut program = Program::new();
    let source = Source::start(program.folder());
    let target = "[[file]]\nname = 'log'\npath = 'later/a.ndjson'\npause_ms_min = 50\n";
    program.configure(&source.socket, target);
    program.start();
    source.raise("a");
    program.wait_for_log("cannot write to ");
    fs::create_dir(program.path("later")).unwrap();
    let path = program.path("later/a.ndjson");
    program.wait_until("a line", || json_lines(&path).len() == 1);
}

#[test]
fn what_is_kept_is_the_owners_alone() {
    let mut program = Program::new();
    fs::create_dir(program.path("state")).unwrap();
    let source = Source::start(program.folder());
    program.configure(&source.socket, "[[file]]\nname = 'log'\npath = 'a.ndjson'\n");
    program.start();
    source.raise("a");
    program.wait_until("a line", || json_lines(&program.path("a.ndjson")).len() == 1);
    program.stop();
    let mut waiting = vec![program.path("state")];
    while let Some(path) = waiting.pop() {
        let found = fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o077, 0, "{}", path.display());
        if found.is_dir() {
            waiting.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
}
