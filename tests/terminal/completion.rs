//! Queries that real shells complete, with a socket behind them that answers as a daemon does.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::common::traildex;
use crate::screen::Terminal;

const FIELDS: [(&str, Option<&str>); 5] = [
    ("eventName", Some("action")),
    ("eventSource", Some("service")),
    ("errorCode", Some("error")),
    ("requestParameters.bucketName", Some("bucketName")),
    // What an attacker sent as a key.
    ("errorCode.$(touch pwned)", None),
];

const VALUES: [&str; 5] =
    ["GetObject", "GetObjectAcl", "GetUser", "Get$(touch pwned)", "Get'; touch pwned; '"];

/// A socket that answers `/v1/fields` and `/v1/values` after a pause, and a folder with the program and its
/// scripts for the shells.
struct Stand {
    folder: TempDir,
    socket: PathBuf,
}

impl Stand {
    fn new(pause: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut head = [0; 4096];
                let length = stream.read(&mut head).unwrap_or(0);
                let head = String::from_utf8_lossy(&head[..length]).into_owned();
                thread::sleep(pause);
                let body = answer(&head);
                let length = body.len();
                // Who asked may have gone.
                let _ = write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            }
        });
        symlink(env!("CARGO_BIN_EXE_traildex"), folder.path().join("traildex")).unwrap();
        for (shell, file) in
            [("bash", "traildex.bash"), ("zsh", "_traildex"), ("fish", "traildex.fish")]
        {
            let script = traildex().args(["completions", shell]).output().unwrap().stdout;
            fs::write(folder.path().join(file), script).unwrap();
        }
        Self { folder, socket }
    }

    /// Starts a shell, and has it take the script.
    fn shell(&self, program: &str, args: &[&str], setup: &str) -> Terminal {
        let path = format!("{}:{}", self.folder.path().display(), std::env::var("PATH").unwrap());
        let home = self.folder.path().as_os_str();
        let settings = [("PATH", OsStr::new(&path)), ("HOME", home), ("XDG_CONFIG_HOME", home)];
        let mut terminal = Terminal::with(program, &self.socket, (120, 40), &settings, args);
        terminal
            .press(&format!("cd {}; {setup}; clear; echo rea''dy\r", self.folder.path().display()));
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

/// As the daemon answers; every name, whatever is asked: it is for the program to leave out the rest.
fn answer(head: &str) -> String {
    if head.starts_with("GET /v1/fields?") {
        let fields = FIELDS.map(|(path, short)| json!({"path": path, "short": short, "events": 1}));
        json!({"fields": fields}).to_string()
    } else {
        assert!(head.starts_with("GET /v1/values?field=eventName&"), "{head}");
        let values = VALUES.map(|value| json!({"value": value, "events": 1}));
        json!({"values": values}).to_string()
    }
}

#[test]
fn shells_complete_a_value_inside_of_quotes() {
    let stand = Stand::new(Duration::ZERO);
    for (name, mut shell) in stand.shells() {
        shell.press("traildex search 'errorCode:x AND eventName:GetU\t");
        let expected = "traildex search 'errorCode:x AND eventName:GetUser";
        shell.wait_for(name, |lines| lines.iter().any(|line| line.contains(expected)));
    }
}

#[test]
fn shells_complete_a_field_and_show_its_values() {
    let stand = Stand::new(Duration::ZERO);
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
    assert!(!stand.folder.path().join("pwned").exists());
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
    let stand = Stand::new(Duration::ZERO);
    let socket = &stand.socket;
    assert_eq!(completed(socket, "a event"), "a eventName:\na eventSource:\n");
    assert_eq!(
        completed(socket, "a | count by event"),
        "a | count by eventName\na | count by eventSource\n"
    );
    assert_eq!(
        completed(socket, "eventName:(GetUser OR GetObjectA"),
        "eventName:(GetUser OR GetObjectAcl\n"
    );
    assert_eq!(completed(socket, "errorMessage:\"event"), "");
}

#[test]
fn completion_gives_up_in_silence() {
    let stand = Stand::new(Duration::from_secs(5));
    let started = Instant::now();
    assert_eq!(completed(&stand.socket, "event"), "");
    // The program's start is not free on a busy machine.
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert_eq!(completed(Path::new("/nonexistent/socket"), "event"), "");
}
