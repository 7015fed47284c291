//! A pseudo-terminal with a program in it, and what a person would see there.

use std::ffi::OsStr;
use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use pty_process::Size;
use pty_process::blocking::{self, Pty};

use crate::common::{PATIENCE, wait_until};

/// A terminal with the program in it.
pub struct Terminal {
    pty: Arc<Pty>,
    pub program: Child,
    pub screen: vt100::Parser,
    output: Receiver<Vec<u8>>,
    /// All that was written to it.
    raw: Vec<u8>,
}

impl Terminal {
    /// Starts traildex on a terminal of so many columns and rows.
    pub fn start(
        socket: &Path,
        size: (u16, u16),
        settings: &[(&str, &str)],
        args: &[&str],
    ) -> Self {
        let program = env!("CARGO_BIN_EXE_traildex");
        let settings: Vec<_> =
            settings.iter().map(|(name, value)| (*name, OsStr::new(*value))).collect();
        Self::with(program, socket, size, &settings, args)
    }

    /// The same with any program.
    pub fn with(
        program: &str,
        socket: &Path,
        (columns, rows): (u16, u16),
        settings: &[(&str, &OsStr)],
        args: &[&str],
    ) -> Self {
        let (pty, pts) = blocking::open().unwrap();
        pty.resize(Size::new(rows, columns)).unwrap();
        let mut command = blocking::Command::new(program)
            .args(args)
            .env("TERM", "xterm-256color")
            .env("TRAILDEX_SOCKET", socket);
        for name in ["NO_COLOR", "PAGER", "TRAILDEX_PAGER", "LESS"] {
            command = command.env_remove(name);
        }
        let program = command.envs(settings.iter().copied()).spawn(pts).unwrap();
        let pty = Arc::new(pty);
        let (sender, output) = channel();
        let reader = Arc::clone(&pty);
        // It ends with an error when nobody has the other side open any more.
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = (&*reader).read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        // Who says none is shown as what is usual.
        let cells =
            |number| NonZeroU16::new(number).unwrap_or(const { NonZeroU16::new(80).unwrap() });
        let screen = vt100::Parser::new(cells(rows), cells(columns), 0);
        Self { pty, program, screen, output, raw: Vec::new() }
    }

    fn see(&mut self) {
        while let Ok(bytes) = self.output.try_recv() {
            self.screen.process(&bytes);
            self.raw.extend(bytes);
        }
    }

    /// Waits until the screen shows what is wanted.
    pub fn wait_for(&mut self, what: &str, mut is_met: impl FnMut(&[String]) -> bool) {
        let started = Instant::now();
        self.see();
        while !is_met(&self.lines()) {
            assert!(started.elapsed() < PATIENCE, "not seen: {what}\n{:#?}", self.lines());
            thread::sleep(Duration::from_millis(10));
            self.see();
        }
    }

    pub fn press(&self, keys: &str) {
        (&*self.pty).write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the program has ended and all that it wrote has been seen.
    pub fn end(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until(PATIENCE, "the program ends", || {
            self.see();
            status = self.program.try_wait().unwrap();
            status.is_some()
        });
        while let Ok(bytes) = self.output.recv() {
            self.screen.process(&bytes);
            self.raw.extend(bytes);
        }
        status.unwrap()
    }

    /// What is on the screen, without empty lines at its end.
    pub fn lines(&self) -> Vec<String> {
        let screen = self.screen.screen();
        let (rows, columns) = screen.size();
        let lines: Vec<String> = screen.rows(0, columns.get()).collect();
        for row in 0..rows.get() {
            assert!(!screen.row_wrapped(row), "too wide: {}", lines[usize::from(row)]);
        }
        let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
        lines[..end].to_vec()
    }

    pub fn raw(&self) -> String {
        String::from_utf8(self.raw.clone()).unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Ended already, most of the time.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
