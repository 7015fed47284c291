//! `traildex web` on a daemon, and requests to its port, byte by byte.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{Daemon, PATIENCE, traildex, wait_until};

/// A running `traildex web`. Killed when it is dropped.
pub struct Web {
    child: Child,
    /// What it says beside the address.
    told: BufReader<ChildStderr>,
    /// As it was printed, with the token.
    pub url: String,
    pub token: String,
    pub port: u16,
}

/// An answer's status, head and body.
pub struct Answered {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Web {
    pub fn start(daemon: &Daemon, more: &[&str]) -> Self {
        Self::start_by(traildex(), daemon, more)
    }

    /// With a command of the program that has an environment of its own.
    pub fn start_by(mut command: Command, daemon: &Daemon, more: &[&str]) -> Self {
        command.args(["web", "--port", "0", "--socket"]).arg(&daemon.socket).args(more);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        let url = url.trim().to_owned();
        let (address, token) = url.split_once("/#token=").expect("an address with a token");
        let port = address.strip_prefix("http://127.0.0.1:").unwrap().parse().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap());
        Self { child, told, port, token: token.to_owned(), url }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The header that lets in.
    pub fn bearer(&self) -> String {
        format!("Authorization: Bearer {}", self.token)
    }

    pub fn host(&self) -> String {
        format!("Host: 127.0.0.1:{}", self.port)
    }

    /// Sends these headers and no others.
    pub fn send(&self, line: &str, headers: &[&str], body: &str) -> Answered {
        sent(self.connect(), line, headers, body)
    }

    /// The same, where the port may be closed.
    pub fn try_send(&self, line: &str, headers: &[&str]) -> Option<Answered> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Some(sent(stream, line, headers, ""))
    }

    /// As the page asks.
    pub fn ask(&self, line: &str, body: &str) -> Answered {
        let origin = format!("Origin: http://127.0.0.1:{}", self.port);
        let json = "Content-Type: application/json";
        let (host, bearer) = (self.host(), self.bearer());
        self.send(line, &[&host, &origin, "Sec-Fetch-Site: same-origin", json, &bearer], body)
    }

    /// What it says beside the address, to the line that ends so.
    pub fn told_until(&mut self, end: &str) -> String {
        let mut told = String::new();
        while !told.trim_end().ends_with(end) {
            assert!(self.told.read_line(&mut told).unwrap() > 0, "it ended: {told}");
        }
        told
    }

    /// How it has ended, if it has.
    pub fn try_end(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    pub fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    pub fn wait_end(&mut self) -> ExitStatus {
        let mut ended = None;
        let child = &mut self.child;
        wait_until(PATIENCE, "it ends", || {
            ended = child.try_wait().unwrap();
            ended.is_some()
        });
        ended.unwrap()
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sent(mut stream: TcpStream, line: &str, headers: &[&str], body: &str) -> Answered {
    let length =
        if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let headers: Vec<&str> = headers.iter().flat_map(|header| [*header, "\r\n"]).collect();
    let headers = headers.concat();
    let request = format!("{line} HTTP/1.1\r\n{headers}{length}Connection: close\r\n\r\n{body}");
    // It may be refused before all of it has arrived.
    let _ = stream.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answered { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
}
