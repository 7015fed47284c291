//! The daemon itself in the place of [`crate::source::Source`]: its program, where it was built beside
//! ours, as the whole workspace's tests do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::program::{Program, json_lines};

const RULES: &str = "
title: Trail stopped
name: trail-stopped
author: An Author
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: StopLogging }, condition: selection }
level: high
---
title: Deleted, and not made again
name: not-made-again
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: DeleteTrail }, condition: selection }
traildex:
    absence: { of: made, within: 10m, group-by: [userIdentity.arn] }
---
title: Made
name: made
logsource: { product: aws, service: cloudtrail }
detection: { selection: { eventName: CreateTrail }, condition: selection }
level: informational
";

struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// None where there is no daemon's program beside ours.
fn daemon(folder: &Path) -> Option<Daemon> {
    let program = Path::new(env!("CARGO_BIN_EXE_traildex-notify")).with_file_name("traildex");
    if !program.exists() {
        println!("not tried: {} was not built", program.display());
        return None;
    }
    let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("daemon.log"));
    let child = Command::new(program)
        // The tests' own; the daemon takes it for a misspelt key.
        .env_remove("TRAILDEX_KILLS")
        .args(["serve", "--config"])
        .arg(folder.join("traildex.toml"))
        .stdout(Stdio::null())
        .stderr(log.unwrap())
        .spawn();
    Some(Daemon(child.unwrap()))
}

fn write_configuration(folder: &Path) -> PathBuf {
    let at = |name: &str| folder.join(name).display().to_string();
    for name in ["archive", "rules"] {
        fs::create_dir(folder.join(name)).unwrap();
    }
    fs::write(folder.join("rules/rules.yml"), RULES).unwrap();
    let text = format!(
        "[watch]\ndirs = ['{}']\nsettle_ms = 50\n[index]\ndata_dir = '{}'\n[socket]\npath = '{}'\n\
         [rules]\ndirs = ['{}']\npack = false\n",
        at("archive"),
        at("index"),
        at("traildex.sock"),
        at("rules")
    );
    fs::write(folder.join("traildex.toml"), text).unwrap();
    folder.join("traildex.sock")
}

/// A file with one event, renamed into the archive.
fn arrive(folder: &Path, name: &str, user: &str, time: &str) {
    let event = json!({ "Records": [{
        "eventID": format!("{name}-{user}-{time}"), "eventName": name, "eventTime": time,
        "eventSource": "cloudtrail.amazonaws.com", "awsRegion": "eu-central-1",
        "userIdentity": { "type": "IAMUser", "arn": format!("arn:aws:iam::123456789012:user/{user}"),
            "userName": user },
    }]});
    let beside = folder.join("file.new");
    fs::write(&beside, event.to_string()).unwrap();
    let file = format!("archive/{name}-{user}.json");
    fs::rename(beside, folder.join(file)).unwrap();
}

/// Rule and change of all lines, without the order of what came at once.
fn told(lines: &[Value]) -> Vec<String> {
    let mut told: Vec<String> = lines
        .iter()
        .map(|line| {
            let rule = line["alert"]["rule"]["name"].as_str().unwrap();
            let group = line["alert"]["group"].to_string();
            let user = group.rsplit('/').next().unwrap().trim_end_matches(['"', '}']);
            format!("{} {rule} {user}", line["change"].as_str().unwrap())
        })
        .collect();
    told.sort();
    told.dedup();
    told
}

#[test]
fn what_the_daemon_finds_arrives_through_kills_of_both() {
    let mut program = Program::new();
    let folder = program.folder().to_owned();
    let socket = write_configuration(&folder);
    let target = "[[file]]\nname = 'log'\npath = 'alerts.ndjson'\n";
    program.configure(&socket, target);
    let Some(first) = daemon(&folder) else { return };
    program.start();
    let lines = || json_lines(&program.path("alerts.ndjson"));
    arrive(&folder, "StopLogging", "ann", "2024-05-06T07:00:00Z");
    program.wait_until("an alert", || told(&lines()) == ["raised trail-stopped ann"]);
    assert_eq!(lines()[0]["alert"]["rule"]["author"], "An Author");

    // Neither runs when something arrives.
    drop(first);
    program.kill();
    arrive(&folder, "StopLogging", "bob", "2024-05-06T08:00:00Z");
    arrive(&folder, "DeleteTrail", "cid", "2024-05-06T09:00:00Z");
    program.start();
    let _second = daemon(&folder).unwrap();
    let lines = || json_lines(&program.path("alerts.ndjson"));
    let expected = ["raised trail-stopped ann", "raised trail-stopped bob"];
    program.wait_until("an alert", || told(&lines()) == expected);
    // Later, the one that did not come is late; and then it comes after all.
    arrive(&folder, "StopLogging", "dan", "2024-05-06T12:00:00Z");
    let raised = || told(&lines()).contains(&"raised not-made-again cid".to_owned());
    program.wait_until("an alert of an absence", raised);
    arrive(&folder, "CreateTrail", "cid", "2024-05-06T09:05:00Z");
    let withdrawn = || told(&lines()).contains(&"withdrawn not-made-again cid".to_owned());
    program.wait_until("a withdrawal", withdrawn);
    let last = lines().pop().unwrap();
    assert!(last["alert"]["withdrawn"].is_string(), "{last}");
}
