//! A command: the body on its standard input. Its arguments are the configuration's, and no shell is
//! between. Exit code 0 is a delivery; it need not read what it is given.

use std::io::{self, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;

use super::{Failure, Target};
use crate::change::Change;
use crate::config::CommandConfig;

/// What it prints is kept so far, for the reason of a failure; the rest is read and dropped.
const SAID_BYTES_MAX: usize = 4096;

/// Between two looks at whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
const LOOK_MAX: Duration = Duration::from_millis(100);

/// After its end, what it has started may hold its pipes open; nobody waits longer for that.
const DRAIN_MAX: Duration = Duration::from_millis(500);

pub(super) struct Command {
    config: CommandConfig,
    name: String,
    timeout: Duration,
}

impl Command {
    pub(super) fn new(config: &CommandConfig, name: &str, timeout: Duration) -> Self {
        Self { config: config.clone(), name: name.to_owned(), timeout }
    }
}

impl Target for Command {
    fn deliver(&mut self, change: &Change, body: &Value) -> Result<(), Failure> {
        let program = &self.config.argv[0];
        let mut child = std::process::Command::new(program)
            .args(&self.config.argv[1..])
            // Ours to make, unlike all that the alert says.
            .env("TRAILDEX_NOTIFY_KEY", &change.key)
            .env("TRAILDEX_NOTIFY_TARGET", &self.name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|error| Failure::retry(format!("cannot start {program}: {error}")))?;
        let mut stdin = child.stdin.take().expect("it is a pipe");
        let input = format!("{body}\n");
        // It ends when the command does: the pipe is broken then.
        thread::spawn(move || stdin.write_all(input.as_bytes()));
        let (told, said) = mpsc::channel();
        collect(child.stdout.take().expect("it is a pipe"), told.clone());
        collect(child.stderr.take().expect("it is a pipe"), told);
        let ended = wait(&mut child, self.timeout);
        let group = Pid::from_child(&child);
        if !matches!(ended, Ok(Some(_))) {
            let _ = kill_process_group(group, Signal::KILL);
            let _ = child.wait();
        }
        match ended {
            Ok(Some(status)) if status.success() => Ok(()),
            Ok(Some(status)) => {
                Err(Failure::retry(format!("{program} ended with {status}{}", last_words(&said))))
            }
            Ok(None) => {
                let seconds = self.timeout.as_secs();
                Err(Failure::retry(format!(
                    "{program} did not end in {seconds} s{}",
                    last_words(&said)
                )))
            }
            Err(error) => Err(Failure::retry(format!("cannot wait for {program}: {error}"))),
        }
    }
}

/// Waits for its end; None after the time.
fn wait(child: &mut Child, timeout: Duration) -> io::Result<Option<ExitStatus>> {
    let (started, mut look) = (Instant::now(), LOOK);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if started.elapsed() >= timeout {
            return Ok(None);
        }
        thread::sleep(look);
        look = (look * 2).min(LOOK_MAX);
    }
}

/// Reads a pipe to its end, on a thread of its own, and sends the beginning of it.
fn collect(mut pipe: impl Read + Send + 'static, told: mpsc::Sender<Vec<u8>>) {
    thread::spawn(move || {
        let mut said = Vec::new();
        let _ = pipe.by_ref().take(SAID_BYTES_MAX as u64).read_to_end(&mut said);
        // Before the rest: what it has started may hold the pipe open.
        let _ = told.send(said);
        let _ = io::copy(&mut pipe, &mut io::sink());
    });
}

fn last_words(said: &mpsc::Receiver<Vec<u8>>) -> String {
    let until = Instant::now() + DRAIN_MAX;
    let mut words = Vec::new();
    while let Ok(said) = said.recv_timeout(until.saturating_duration_since(Instant::now())) {
        words.extend(said);
    }
    let words = String::from_utf8_lossy(&words);
    if words.trim().is_empty() { String::new() } else { format!(": {}", words.trim()) }
}
