//! The page's own code: its units, its types, what it takes from others, and the whole of it in Chromium.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use crate::common::{Daemon, PATIENCE, Place, record, sample, shared_daemon};

use super::harness::Web;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Where `.ci/clients` has put the packages.
fn clients() -> PathBuf {
    let path = root().join("target/clients");
    let chromium = path.join("node_modules/playwright-core");
    assert!(chromium.exists(), "{} is not there: run ./.ci/clients", chromium.display());
    path
}

fn node(arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.args(arguments).current_dir(root()).env("TRAILDEX_CLIENTS", clients());
    command
}

fn succeed(command: &mut Command) {
    let output = command.output().unwrap();
    let told = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).join("\n");
    assert!(output.status.success(), "{told}");
}

#[test]
fn the_units_of_the_page_do_as_they_say() {
    let folder = root().join("tests/page/unit");
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<String> = files.map(|path| path.to_str().unwrap().to_owned()).collect();
    assert!(files.len() >= 5);
    let mut command = node(&["--test"]);
    succeed(command.args(files));
}

#[test]
fn the_types_of_the_page_agree() {
    let compiler = clients().join("node_modules/typescript/bin/tsc");
    succeed(&mut node(&[compiler.to_str().unwrap(), "-p", "crates/web/tsconfig.json"]));
}

#[test]
fn what_the_page_takes_from_others_is_what_its_packages_make() {
    succeed(&mut node(&["crates/web/vendor/build.mjs", "--check"]));
}

/// Runs a script in Chromium on an open port; does what it asks for.
pub fn browse(script: &str, web: &Web, values: &Value, mut act: impl FnMut(&str)) {
    let mut child = node(&[&format!("tests/page/e2e/{script}")])
        .env("TRAILDEX_URL", &web.url)
        .env("TRAILDEX_VALUES", values.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut told = String::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(what) = line.strip_prefix("ask: ") {
            act(what);
            writeln!(input, "done").unwrap();
        }
        told.push_str(&format!("{line}\n"));
    }
    let status = child.wait().unwrap();
    assert!(status.success(), "{script}:\n{told}");
    println!("{told}");
}

pub fn nothing(what: &str) {
    panic!("{what} was not expected");
}

#[test]
fn an_investigation_is_worked_in_the_page() {
    let daemon = shared_daemon();
    browse("investigation.mjs", &Web::start(&daemon, &[]), &Value::Null, nothing);
}

#[test]
fn whoever_lacks_the_token_is_kept_out_and_a_restart_is_survived() {
    let place = Place::watching(&[sample("invictus")]);
    let started = || {
        let daemon = place.start();
        daemon.wait_indexed(PATIENCE, 2_900);
        daemon
    };
    let mut daemon: Option<Daemon> = Some(started());
    let web = Web::start(daemon.as_ref().unwrap(), &[]);
    browse("access.mjs", &web, &Value::Null, |what| match what {
        "stop" => daemon.take().unwrap().stop(),
        "start" => daemon = Some(started()),
        other => nothing(other),
    });
}

/// Values that markup, shells, query languages and eyes take for something else.
fn values() -> Vec<String> {
    let long = "x".repeat(5_000);
    let values = [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(2)>",
        "\"><svg onload=alert(3)>",
        "javascript:alert(4)",
        "{{constructor.constructor('alert(5)')()}}",
        "plain",
        "two words",
        "plain two words more",
        "a:b",
        "a\"b",
        "a\\b",
        "ends with \\",
        "\\\"",
        "line\nbreak",
        "tab\tand\r\nmore",
        "it's 'quoted'",
        "\u{201c}curly\u{201d}",
        "a|b || c && d",
        "(x OR y) NOT z",
        "[1 TO 2] {3}",
        "*?~^;,",
        "/regex/i",
        "$parameter",
        "null",
        "and",
        "",
        " ",
        " spaces around ",
        "\u{202e}gpj.exe",
        "ro\u{200b}ot",
        "root\u{e0041}",
        "\u{1b}[2J\u{9b}31m",
        "caf\u{e9}",
        "\u{1f600} \u{65e5}\u{672c}",
        "-negated",
        "user:alice OR *",
        "2023-07-10",
        "true",
        long.as_str(),
    ];
    values.map(str::to_owned).to_vec()
}

/// A record of our own with this value, on top of a usual one.
fn with_value(id: &str, value: &str) -> String {
    let mut event: Value = serde_json::from_str(&record(id)).unwrap();
    event["requestParameters"] = json!({ "secretName": value });
    event["userAgent"] = json!(value);
    event["errorMessage"] = json!(value);
    event["userIdentity"]["userName"] = json!(value);
    event.to_string()
}

#[test]
fn records_of_strangers_stay_text_and_a_click_finds_the_value() {
    let place = Place::new();
    let values = values();
    let named: Vec<(String, &String)> =
        values.iter().enumerate().map(|(at, value)| (format!("hostile-{at}"), value)).collect();
    let mut records: Vec<String> = named.iter().map(|(id, value)| with_value(id, value)).collect();
    let mut odd: Value = serde_json::from_str(&record("odd-keys")).unwrap();
    odd["requestParameters"] = json!({
        "__proto__": "polluted", "constructor": "c", "a b": "d", "q\"t": "e", "aws:SourceVpc": "f",
        "with.dot": "g", "<b>": "h",
    });
    records.push(odd.to_string());
    records.push(with_value("large", &"megabyte ".repeat(120_000)));
    let trail = format!("{{\"Records\":[{}]}}", records.join(","));
    fs::write(place.archive().join("hostile.json"), trail).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, records.len() as u64);
    let started = Instant::now();
    browse("hostile.mjs", &Web::start(&daemon, &[]), &json!(named), nothing);
    println!("{:?}", started.elapsed());
    daemon.stop();
}

#[test]
fn what_is_alike_is_kept_apart() {
    let place = Place::new();
    let with = |id: &str, minute: u32, change: &dyn Fn(&mut Value)| {
        let mut event: Value = serde_json::from_str(&record(id)).unwrap();
        event["eventTime"] = json!(format!("2024-05-06T07:{minute:02}:09Z"));
        change(&mut event);
        event.to_string()
    };
    let secret = |name: &'static str| {
        move |event: &mut Value| event["requestParameters"] = json!({ "secretName": name })
    };
    let records = [
        with("twin", 8, &secret("first")),
        with("twin", 28, &secret("second")),
        with("one", 10, &|event| {
            event["requestParameters"] =
                json!({ "big": 9_007_199_254_740_992_u64, "size": 5, "a b": "x" });
            event["userAgent"] = json!("=1+1");
        }),
        with("two", 50, &|event| {
            event["requestParameters"] = json!({ "big": 9_007_199_254_740_993_u64, "size": "5" });
            event["userAgent"] = json!("@SUM(1)");
            event["region"] = json!("own");
        }),
        with("three", 51, &|_| {}),
    ];
    let trail = format!("{{\"Records\":[{}]}}", records.join(","));
    fs::write(place.archive().join("alike.json"), trail).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, records.len() as u64);
    browse("apart.mjs", &Web::start(&daemon, &[]), &Value::Null, nothing);
    daemon.stop();
}
