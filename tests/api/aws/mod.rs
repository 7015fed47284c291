//! LookupEvents: AWS's own clients, unmodified, are told what the socket tells; whoever signs wrongly is
//! refused by AWS's names.
//!
//! `TRAILDEX_AWS_EVENTS=100000 cargo test --features failpoints --test api aws::` pages
//! through so many events.

mod clients;
mod refusals;
mod rules;
mod start;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::common::{Daemon, PATIENCE, Place, wait_until};

const KEY: &str = "AKIDEXAMPLE";
const SECRET: &str = "hush";
const TARGET: &str = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";

/// The same place with a port that the kernel chooses.
fn listening(place: Place) -> Place {
    place.with("AWS_LISTEN", "127.0.0.1:0")
}

fn without_keys(place: Place) -> Place {
    listening(place).with("AWS_AUTH", "none")
}

/// With the key of all accounts, and further lines of the keys file.
fn with_keys(place: Place, more: &str) -> Place {
    let file = place.path("keys.toml");
    write_keys(&file, &format!("[{KEY}]\nsecret = '{SECRET}'\n{more}"));
    listening(place).with("AWS_KEYS_FILE", file.to_str().unwrap())
}

fn write_keys(file: &Path, text: &str) {
    fs::write(file, text).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// The address that the daemon's log names.
fn address(daemon: &Daemon) -> String {
    let mut found = None;
    wait_until(PATIENCE, "it says where it listens", || {
        let log = daemon.log();
        let line = log.lines().rev().find(|line| line.contains("answering LookupEvents"));
        found = line.and_then(|line| {
            let after = line.split("127.0.0.1:").nth(1)?;
            after
                .split(|c: char| !c.is_ascii_digit())
                .next()
                .map(|port| format!("127.0.0.1:{port}"))
        });
        found.is_some()
    });
    found.unwrap()
}

/// Sends one request without a signature; returns status and body.
fn post(address: &str, host: &str, target: &str, body: &str) -> (u16, Value) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: {target}\r\nConnection: close\r\n\
         Content-Type: application/x-amz-json-1.1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(body.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

/// One page, which must be one.
fn page(address: &str, request: &Value) -> (Vec<Value>, Option<String>) {
    let (status, mut answer) = post(address, address, TARGET, &request.to_string());
    assert_eq!(status, 200, "{request}: {answer}");
    let Value::Array(events) = answer["Events"].take() else { panic!("{answer}") };
    (events, answer["NextToken"].as_str().map(str::to_owned))
}

/// The events of all pages.
fn all(address: &str, request: &Value) -> Vec<Value> {
    let mut request = request.clone();
    let mut found = Vec::new();
    loop {
        let (events, token) = page(address, &request);
        found.extend(events);
        match token {
            Some(token) => request["NextToken"] = json!(token),
            None => return found,
        }
    }
}

/// Name and message of an error.
fn refused(address: &str, request: &Value) -> (String, String) {
    let (status, answer) = post(address, address, TARGET, &request.to_string());
    assert_eq!(status, 400, "{request}: {answer}");
    let text = |key: &str| answer[key].as_str().unwrap().to_owned();
    (text("__type"), text("message"))
}

fn by(key: &str, value: &str) -> Value {
    json!({ "LookupAttributes": [{ "AttributeKey": key, "AttributeValue": value }] })
}

/// The records that the events hold, sorted.
fn records(events: &[Value]) -> Vec<String> {
    let record = |event: &Value| event["CloudTrailEvent"].as_str().unwrap().to_owned();
    let mut records: Vec<String> = events.iter().map(record).collect();
    records.sort_unstable();
    records
}

/// The records that the socket finds by a query, sorted.
fn socket_records(daemon: &Daemon, query: &str) -> Vec<String> {
    let hits = daemon.find(query).hits;
    let mut records: Vec<String> = hits.iter().map(|hit| hit.event.get().to_owned()).collect();
    records.sort_unstable();
    records
}

/// Where `.ci/clients` has put a program.
fn client(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients").join(name);
    assert!(path.exists(), "{} is not there: run ./.ci/clients", path.display());
    path
}

/// Runs a client with keys and endpoint where AWS's clients look for them; returns what it prints.
fn run_client(command: &mut Command, address: &str, input: &Value) -> Value {
    let (output, _) = try_client(command, address, input);
    serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// The same of one that may fail: standard output, and standard error where it did.
fn try_client(command: &mut Command, address: &str, input: &Value) -> (String, Option<String>) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    let defaults = [
        ("AWS_ACCESS_KEY_ID", KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
        ("AWS_MAX_ATTEMPTS", "1"),
        ("NO_PROXY", "127.0.0.1"),
    ];
    let given: Vec<_> = command.get_envs().map(|(name, _)| name.to_owned()).collect();
    let defaults = defaults.iter().filter(|(name, _)| !given.contains(&(*name).into()));
    command.envs(defaults.copied().collect::<Vec<_>>());
    command.env("AWS_ENDPOINT_URL_CLOUDTRAIL", format!("http://{address}"));
    command.env("TRAILDEX_CLIENTS", client(""));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let failed = (!output.status.success()).then_some(stderr.clone());
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(failed.is_some() || !stdout.is_empty(), "it printed nothing: {stderr}");
    (stdout, failed)
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn python(name: &str) -> Command {
    let mut command = Command::new(client("bin/python"));
    command.arg(script(name));
    command
}
