//! Every example of the README and of the pages in `docs` is run as it is written: lines of `sh`
//! against a daemon on the sample trail, Python and Node programs against the same socket. Lines of
//! `console` must print what stands below them. Paths that are somebody else's stand for the test's own.
//!
//! Needs what `.ci/clients` sets up.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bench::sample;

use crate::common::{self, Daemon, PATIENCE, Place, Ran, run};

/// Lines that are not run, and why.
const NOT_RUN: &[(&str, &str)] = &[
    (
        "aws cloudtrail lookup-events --lookup-attributes AttributeKey=Username,AttributeValue=alice --max-items 200",
        "tests/api/aws runs the client, against the listener",
    ),
    (
        r#"python3 -c 'import boto3; print(boto3.client("cloudtrail").lookup_events()["Events"])'"#,
        "tests/api/aws runs the client, against the listener",
    ),
    (
        r#"node --input-type=module -e 'import { CloudTrail } from "@aws-sdk/client-cloudtrail"; console.log((await new CloudTrail().lookupEvents({})).Events)'"#,
        "tests/api/aws runs the client, against the listener",
    ),
    ("uvx awslabs.cloudtrail-mcp-server", "tests/api/aws runs the client, against the listener"),
    ("cargo run --release -- demo --once", "tests/cli/commands.rs runs the demo"),
    ("traildex demo", "tests/cli/commands.rs runs the demo"),
    (
        "traildex bundle 'eventName:ConsoleLogin' --output case-17",
        "the archive here has a file that is no trail, so the bag is not complete; tests/evidence",
    ),
    ("traildex bundle verify case-17", "the same"),
    ("./.ci/test", "it runs this"),
    ("cargo install --locked --path .", "a build"),
    ("apt install ./target/package/traildex_*.deb", ".ci/package does it"),
    ("editor /etc/traildex/traildex.toml", "needs a person"),
    ("systemctl enable --now traildex.socket traildex", "needs systemd"),
    ("adduser $USER traildex", "changes the machine"),
    (
        "aws s3 sync s3://YOUR-TRAIL-BUCKET/AWSLogs /srv/trail/AWSLogs --only-show-errors",
        "needs a bucket; the sample stands for one",
    ),
];

/// Commands that go on until they are interrupted.
const ENDLESS: &[&str] = &["traildex tail ", "traildex web"];

/// What `timeout` ends with where it had to interrupt.
const INTERRUPTED: i32 = 124;

/// What starts the daemon that the other lines ask.
const SERVE: &str = "traildex serve --watch /srv/trail --data-dir /var/lib/traildex --socket \
                     /run/traildex/traildex.sock";

/// In an output, stands for whatever is left out there.
const LEFT_OUT: char = '…';

/// The pages' names for what the test has elsewhere, or smaller.
fn substituted(line: &str, place: &Place) -> String {
    let path = |name: &str| place.path(name).to_str().unwrap().to_owned();
    let names = [
        ("/srv/trail", path("archive")),
        ("/var/lib/traildex", path("data")),
        ("/run/traildex/traildex.sock", path("socket")),
        ("/tmp/archive", path("made")),
        ("/tmp/index", path("index")),
        ("/tmp/imported", path("imported")),
        // An unoptimised program, and a test of the command rather than of the figures.
        ("--events 1000000", "--events 2000".to_owned()),
        ("traildex bench /", "traildex bench --seconds 0.05 /".to_owned()),
        ("--clients 8", "--clients 8 --seconds 0.05".to_owned()),
        // Whoever runs the tests may have the page open.
        ("traildex web", "traildex web --port 0".to_owned()),
    ];
    names.iter().fold(line.to_owned(), |line, (name, own)| line.replace(name, own))
}

/// The README, and then the pages in `docs` by name: where they are, and their text.
fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let is_page = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md");
    let mut paths: Vec<_> = entries.filter(is_page).collect();
    paths.sort();
    paths.insert(0, root.join("README.md"));
    paths.into_iter().map(page).collect()
}

fn page(path: PathBuf) -> (PathBuf, String) {
    let text = fs::read_to_string(&path).unwrap();
    (path, text)
}

/// The lines of a page that are in no block.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut is_block = false;
    page.lines().filter(move |line| {
        let is_fence = line.starts_with("```");
        is_block ^= is_fence;
        !is_block && !is_fence
    })
}

/// The names under which links find a page's headings.
fn anchors(page: &str) -> Vec<String> {
    let heading = |line: &str| {
        let text = line.strip_prefix('#')?.trim_start_matches('#').trim().to_lowercase();
        let kept = text.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        Some(kept.map(|c| if c == ' ' { '-' } else { c }).collect())
    };
    prose(page).filter_map(heading).collect()
}

/// The contents of the pages' blocks of a language.
fn blocks(language: &str) -> Vec<String> {
    let open = format!("```{language}");
    let in_page = |(_, page): &(PathBuf, String)| {
        let mut blocks = Vec::new();
        let mut lines = page.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("```") {
                let block: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
                blocks.extend((line == open).then(|| block.join("\n") + "\n"));
            }
        }
        blocks
    };
    pages().iter().flat_map(in_page).collect()
}

/// The lines of the pages' `sh` blocks, without comments.
fn lines() -> Vec<String> {
    let without_comment =
        |line: &str| line.split_once("  #").map_or(line, |(line, _)| line).trim().to_owned();
    blocks("sh").iter().flat_map(|block| block.lines().map(without_comment)).collect()
}

/// The commands of the pages' `console` blocks, each with what it prints.
fn outputs() -> Vec<(String, String)> {
    let mut outputs: Vec<(String, String)> = Vec::new();
    for block in blocks("console") {
        assert!(block.starts_with("$ "), "{block}");
        for line in block.lines() {
            match line.strip_prefix("$ ") {
                Some(command) => outputs.push((command.to_owned(), String::new())),
                None => outputs.last_mut().unwrap().1 += &format!("{line}\n"),
            }
        }
    }
    outputs
}

/// Whether a command printed what a page says: its text, with anything in place of [`LEFT_OUT`].
fn is_as_shown(printed: &str, shown: &str) -> bool {
    let parts: Vec<&str> = shown.split(LEFT_OUT).collect();
    let [first, others @ ..] = &parts[..] else { unreachable!("split gives one part at least") };
    let Some(mut rest) = printed.strip_prefix(first) else { return false };
    let Some((last, between)) = others.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// The sample trail, and a file that is none.
fn place() -> Place {
    let place = Place::new();
    sample::extract(&place.archive()).unwrap();
    fs::write(place.archive().join("notes.json"), "no trail").unwrap();
    common::make_old(&place.archive().join("notes.json"));
    place
}

fn indexed(place: &Place, command: Command) -> Daemon {
    let daemon = place.spawn(command);
    daemon.wait_indexed(PATIENCE, sample::TRAIL_RECORDS + 1);
    daemon
}

/// A command in the test's folder, for which `traildex` is the program under test, and that fails
/// where curl is answered with an error.
fn command(program: &str, place: &Place, socket: &Path) -> Command {
    let programs = place.path("bin");
    if !programs.exists() {
        fs::create_dir(&programs).unwrap();
        symlink(env!("CARGO_BIN_EXE_traildex"), programs.join("traildex")).unwrap();
        fs::write(place.path(".curlrc"), "fail-with-body\nsilent\nshow-error\n").unwrap();
    }
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.env("PATH", path).env("CURL_HOME", place.path("")).env("TRAILDEX_SOCKET", socket);
    command.env("XDG_RUNTIME_DIR", "/nonexistent").current_dir(place.path(""));
    command.stdin(Stdio::null());
    command
}

/// Runs a line of shell; a failure anywhere in a pipe is one.
fn shell(line: &str, place: &Place, socket: &Path) -> Ran {
    let script = format!("set -euo pipefail\n{line}");
    command("bash", place, socket).args(["-c", &script]).output().unwrap().into()
}

#[test]
fn every_line_of_the_pages_runs_as_it_is_written() {
    let place = place();
    let lines = lines();
    for line in NOT_RUN.iter().map(|(line, _)| line).chain([&SERVE]) {
        assert!(lines.iter().any(|l| l == line), "no page has the line {line}");
    }
    // What the examples call so.
    let dir = place.path("DIR");
    let archive = place.archive();
    let import = ["import", archive.to_str().unwrap(), "--data-dir", dir.to_str().unwrap()];
    assert_eq!(run(&import).code, 0);
    let tables = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tables");
    fs::create_dir(place.path("athena-unload")).unwrap();
    for (table, name) in [
        ("lake.csv.gz", "lake.csv.gz"),
        ("lake.csv.gz", "result_1.csv.gz"),
        ("athena-snappy.parquet", "athena.parquet"),
        ("athena-snappy.parquet", "athena-unload/20240506_000000_00000_abcde"),
    ] {
        fs::copy(tables.join(table), place.path(name)).unwrap();
    }
    fs::write(place.path("FILE"), "eventName:ConsoleLogin\nerrorCode:* | count by errorCode\n")
        .unwrap();

    let (program, args) = SERVE.split_once(' ').unwrap();
    assert_eq!(program, "traildex");
    let mut serve = common::traildex();
    serve.args(args.split(' ').map(|arg| substituted(arg, &place)));
    let daemon = indexed(&place, serve);
    let is_left_out = |line: &&String| NOT_RUN.iter().any(|(left_out, _)| left_out == line);
    let mut ran = 0;
    for line in lines.iter().filter(|line| !is_left_out(line) && *line != SERVE) {
        let is_endless = ENDLESS.iter().any(|command| line.starts_with(command));
        let interrupted = if is_endless { "timeout --signal INT 2 " } else { "" };
        let script = format!("{interrupted}{}", substituted(line, &place));
        let shown = shell(&script, &place, &daemon.socket);
        let code = if is_endless { INTERRUPTED } else { 0 };
        assert_eq!(shown.code, code, "{line}\n{}\n{}", shown.stdout, shown.stderr);
        let says_nothing = shown.stdout.is_empty() && shown.stderr.is_empty();
        let is_meant_to = is_endless
            || line.starts_with("export ")
            || [" > ", " --output "].iter().any(|part| line.contains(part));
        assert!(!says_nothing || is_meant_to, "{line} says nothing");
        if line.contains("before.json") {
            for copy in ["small.json", "large.json"] {
                fs::copy(place.path("before.json"), place.path(copy)).unwrap();
            }
        }
        ran += 1;
    }
    assert!(ran > 40, "{ran} lines of {lines:#?}");
    daemon.stop();
}

#[test]
fn every_output_of_the_pages_is_what_is_printed() {
    assert!(is_as_shown("a b c\n", "a…c\n") && is_as_shown("a\n", "a\n"));
    assert!(!is_as_shown("a b\n", "a\n") && !is_as_shown("a b c\n", "a…b\n"));
    let place = Place::new();
    sample::extract(&place.archive()).unwrap();
    let daemon = place.start();
    daemon.wait_indexed(PATIENCE, sample::TRAIL_RECORDS + 1);
    let outputs = outputs();
    assert!(outputs.len() > 15, "{outputs:#?}");
    for (command, shown) in outputs {
        let ran = shell(&command, &place, &daemon.socket);
        // 1 is what a search ends with that finds nothing.
        assert!(ran.code <= 1, "{command}\n{}\n{}", ran.stdout, ran.stderr);
        assert!(
            is_as_shown(&ran.stdout, &shown),
            "{command}\nis shown as\n{shown}\nand prints\n{}",
            ran.stdout
        );
    }
    daemon.stop();
}

/// Of the pages that `docs` has no part of, too.
#[test]
fn every_link_of_the_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let others = ["ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md"]
        .map(|name| page(root.join(name)));
    let mut wrong = Vec::new();
    let mut links = 0;
    for (path, text) in pages().into_iter().chain(others) {
        let targets = prose(&text).flat_map(|line| line.split("](").skip(1));
        let targets = targets.filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
        for target in targets.filter(|target| !target.contains("://")) {
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let place = if file.is_empty() { path.clone() } else { path.with_file_name(file) };
            let is_there = place.exists()
                && (anchor.is_empty() || anchors(&page(place).1).iter().any(|a| a == anchor));
            if !is_there {
                wrong.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(links > 40 && wrong.is_empty(), "{links} links, and these lead nowhere: {wrong:#?}");
}

#[test]
fn what_the_pages_show_as_json_and_toml_is_so() {
    let (json, toml) = (blocks("json"), blocks("toml"));
    assert!(json.len() > 2 && toml.len() > 1);
    for block in json {
        serde_json::from_str::<serde_json::Value>(&block)
            .unwrap_or_else(|e| panic!("{e}\n{block}"));
    }
    for block in toml {
        toml::from_str::<toml::Table>(&block).unwrap_or_else(|e| panic!("{e}\n{block}"));
    }
}

#[test]
fn the_programs_of_the_pages_ask_and_print_answers() {
    let place = place();
    let daemon = indexed(&place, place.serve_command());
    let clients = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients");
    let python = clients.join("bin/python");
    assert!(python.exists(), "there is no {}: run ./.ci/clients", python.display());
    let programs = [("python", python, "py"), ("js", PathBuf::from("node"), "mjs")];
    for (language, program, extension) in programs {
        let [code] = &blocks(language)[..] else { panic!("one {language} program") };
        let file = place.path(&format!("example.{extension}"));
        fs::write(&file, code).unwrap();
        let program = program.to_str().unwrap();
        let output = command(program, &place, &daemon.socket).arg(&file).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}: run ./.ci/clients"));
        let shown = Ran::from(output);
        assert_eq!(shown.code, 0, "{}\n{}", shown.stdout, shown.stderr);
        let errors =
            daemon.find("errorCode:* | count by errorCode | sort count desc").table.unwrap();
        let expected: Vec<String> = errors
            .rows
            .iter()
            .map(|row| format!("{} {}", row[1], row[0].as_str().unwrap()))
            .collect();
        assert!(expected.len() > 3);
        assert_eq!(shown.stdout.lines().collect::<Vec<_>>(), expected, "{language}");
    }
    daemon.stop();
}
