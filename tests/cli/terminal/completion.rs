//! Queries that real shells complete, with a daemon behind them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::screen::Terminal;
use crate::common::{Daemon, PATIENCE, Place, record, traildex};

/// Names of events; the last two, and a key, are what an attacker may have sent.
const VALUES: [&str; 5] =
    ["GetObject", "GetObjectAcl", "GetUser", "Get$(touch pwned)", "Get'; touch pwned; '"];
const KEY: &str = "errorCode.$(touch pwned)";

/// A daemon with an event of each name, and a folder with the program and its scripts for the shells.
struct Stand {
    _place: Place,
    daemon: Daemon,
    socket: PathBuf,
    folder: PathBuf,
}

impl Stand {
    fn new() -> Self {
        let place = Place::new();
        for (number, value) in VALUES.iter().enumerate() {
            let record = record(&number.to_string()).replacen("GetObject", value, 1);
            let record = record.replacen('{', &format!(r#"{{"errorCode":"x","{KEY}":1,"#), 1);
            fs::write(place.archive().join(format!("{number}.json")), record).unwrap();
        }
        let daemon = place.start();
        daemon.wait_indexed(PATIENCE, VALUES.len() as u64);
        let folder = place.path("shell");
        fs::create_dir(&folder).unwrap();
        symlink(env!("CARGO_BIN_EXE_traildex"), folder.join("traildex")).unwrap();
        for (shell, file) in
            [("bash", "traildex.bash"), ("zsh", "_traildex"), ("fish", "traildex.fish")]
        {
            let script = traildex().args(["completions", shell]).output().unwrap().stdout;
            fs::write(folder.join(file), script).unwrap();
        }
        Self { socket: place.socket(), folder, daemon, _place: place }
    }

    /// Starts a shell, and has it take the script.
    fn shell(&self, program: &str, args: &[&str], setup: &str) -> Terminal {
        let path = format!("{}:{}", self.folder.display(), std::env::var("PATH").unwrap());
        let home = self.folder.as_os_str();
        let settings = [("PATH", OsStr::new(&path)), ("HOME", home), ("XDG_CONFIG_HOME", home)];
        let mut terminal = Terminal::with(program, &self.socket, (140, 40), &settings, args);
        terminal.press(&format!("cd {}; {setup}; clear; echo rea''dy\r", self.folder.display()));
        terminal.wait_for("the shell is ready", |lines| lines.iter().any(|line| line == "ready"));
        terminal
    }

    fn shells(&self) -> [(&'static str, Terminal); 3] {
        let bash = "source ./traildex.bash; bind 'set enable-bracketed-paste off'";
        // As packages install it: zsh finds it by its name.
        let zsh = "fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; unsetopt beep";
        [
            ("bash", self.shell("bash", &["--noprofile", "--norc", "-i"], bash)),
            ("zsh", self.shell("zsh", &["-f", "-i"], zsh)),
            ("fish", self.shell("fish", &["--private"], "source ./traildex.fish")),
        ]
    }
}

#[test]
fn shells_complete_a_value_inside_of_quotes() {
    let stand = Stand::new();
    for (name, mut shell) in stand.shells() {
        shell.press("traildex search 'errorCode:x AND eventName:GetU\t");
        let expected = "traildex search 'errorCode:x AND eventName:GetUser";
        shell.wait_for(name, |lines| lines.iter().any(|line| line.contains(expected)));
    }
}

#[test]
fn shells_complete_a_field_and_show_its_values() {
    let stand = Stand::new();
    for (name, mut shell) in stand.shells() {
        // bash shows a choice when a further tab has changed nothing.
        shell.press("traildex search 'eventN\t\t\t");
        shell.wait_for(name, |lines| {
            ["Name:GetObjectAcl", "Name:GetUser"]
                .iter()
                .all(|value| lines.iter().any(|line| line.contains(value)))
        });
        assert!(!shell.raw().contains("pwned"), "{name}: {}", shell.raw());
    }
    assert!(!stand.folder.join("pwned").exists());
    stand.daemon.stop();
}

/// What a shell's script is given for a text.
fn completed(socket: &Path, text: &str) -> String {
    let mut command = traildex();
    command.args(["complete", "--socket"]).arg(socket).args(["--", text]);
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty());
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_query_goes_on_with_fields_and_values() {
    let stand = Stand::new();
    let socket = &stand.socket;
    assert_eq!(
        completed(socket, "a event"),
        "a eventID:\na eventName:\na eventSource:\na eventTime:\na eventVersion:\n"
    );
    assert_eq!(
        completed(socket, "a | count by event"),
        "a | count by eventID\na | count by eventName\na | count by eventSource\n\
         a | count by eventTime\na | count by eventVersion\n"
    );
    assert_eq!(completed(socket, "a | ti"), "a | timeline\n");
    assert_eq!(completed(socket, "a | count by actor |so"), "a | count by actor |sort\n");
    assert_eq!(completed(socket, "a | ").lines().count(), 10, "all stages");
    assert_eq!(completed(socket, "a | filter errorC"), "a | filter errorCode:x\n");
    assert_eq!(completed(socket, "errorC"), "errorCode:x\n");
    assert_eq!(
        completed(socket, "eventName:(GetUser OR GetObjectA"),
        "eventName:(GetUser OR GetObjectAcl\n"
    );
    assert_eq!(
        completed(socket, "eventName:Get"),
        "eventName:GetObject\neventName:GetObjectAcl\neventName:GetUser\n"
    );
    assert_eq!(completed(socket, "errorMessage:\"event"), "");
    stand.daemon.stop();
}

#[test]
fn shells_complete_the_field_of_values_and_stages_behind_a_pipe() {
    let stand = Stand::new();
    for (name, mut shell) in stand.shells() {
        shell.press("traildex values eventNa\t");
        shell.wait_for(name, |lines| lines.iter().any(|line| line.contains("values eventName")));
        shell.press("\x15traildex search 'errorCode:x | timel\t");
        let expected = "traildex search 'errorCode:x | timeline";
        shell.wait_for(name, |lines| lines.iter().any(|line| line.contains(expected)));
    }
    stand.daemon.stop();
}

#[test]
fn completion_gives_up_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    // Nobody accepts, let alone answers.
    let _listener = UnixListener::bind(&socket).unwrap();
    let started = Instant::now();
    assert_eq!(completed(&socket, "event"), "");
    // The program's start is not free on a busy machine.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(completed(Path::new("/nonexistent/socket"), "event"), "");
}
