//! The examples of config/notify.toml, and what docs/notify.md says they send. `TRAILDEX_ACCEPT=1`
//! writes the document's anew.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::program::{Program, text};
use crate::server::Server;
use crate::source::Source;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What stands behind `# ` where it is a line of TOML, of the examples or of the settings before them.
fn uncommented() -> String {
    let text = fs::read_to_string(root().join("config/notify.toml")).unwrap();
    let examples = text.split("# -----").next().unwrap();
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(inside) if inside.starts_with('[') || inside.contains(" = ") => inside.to_owned(),
        _ => line.to_owned(),
    };
    examples.lines().map(|text| line(text) + "\n").collect()
}

/// The examples, with files that are here in place of those of an installation.
fn program() -> Program {
    let program = Program::new();
    program.write_secret("slack.url", "https://hooks.slack.com/services/T0/B0/sesame");
    program.write_secret("pagerduty.key", "routing-secret");
    let templates = root().join("config/notify");
    let text = uncommented()
        .replace("/usr/share/traildex/notify", templates.to_str().unwrap())
        .replace("/etc/traildex/", &format!("{}/", program.folder().display()))
        .replace("/usr/bin/aws", program.path("aws").to_str().unwrap());
    fs::write(program.path("notify.toml"), text).unwrap();
    program
}

/// The alert of the document.
fn change(kind: &str) -> Value {
    json!({
        "key": "7d1a5f3e9c2b4806a1f0d3c5b7e9f210-6b0c6f0e5d6f4f0a-17",
        "log": "6b0c6f0e5d6f4f0a", "number": 17, "time": "2026-11-30T14:00:00.123456Z",
        "change": kind,
        "alert": {
            "id": "7d1a5f3e9c2b4806a1f0d3c5b7e9f210",
            "rule": {
                "title": "Trail stopped or deleted", "id": "a5f6f2f7-6a0c-4f6e-9b65-0b7f3c0f5a11",
                "name": "trail-stopped-or-deleted", "level": "high", "status": "stable",
                "author": "traildex", "license": "Apache-2.0",
                "references": ["https://docs.aws.amazon.com/awscloudtrail/"],
                "tags": ["attack.t1562.008"],
            },
            "kind": "events",
            "group": { "principal": "arn:aws:iam::123456789012:user/<!channel>" },
            "first": "2023-07-10T11:42:36Z", "last": "2023-07-10T11:50:00Z", "events": 4,
            "ids": ["ea1b7a4e"], "query": "eventName:(StopLogging OR DeleteTrail)",
            "state": "open",
            "raised": "2026-11-30T14:00:00Z", "changed": "2026-11-30T14:00:00Z",
        },
    })
}

fn sent(program: &Program, target: &str, kind: &str) -> Value {
    fs::write(program.path("change.json"), change(kind).to_string()).unwrap();
    let with = program.path("change.json");
    let arguments = ["test", target, "--dry-run", "--with", with.to_str().unwrap()];
    serde_json::from_str(&program.says(&arguments)).unwrap()
}

#[test]
fn the_examples_send_what_the_document_says() {
    let program = program();
    let listed = program.says(&["--check-config"]);
    assert!(listed.contains("5 targets"), "{listed}");
    let path = root().join("docs/notify.md");
    let mut document = fs::read_to_string(&path).unwrap();
    for (name, target) in [("Slack", "slack"), ("PagerDuty", "pagerduty"), ("SNS", "sns")] {
        let mut body = sent(&program, target, "raised");
        if let Some(source) = body.pointer_mut("/payload/source") {
            *source = "traildex-host".into();
        }
        let start = document.find(&format!("\n{name}, with [")).unwrap();
        let start = start + document[start..].find("```json\n").unwrap() + "```json\n".len();
        let end = start + document[start..].find("\n```").unwrap();
        if std::env::var_os("TRAILDEX_ACCEPT").is_some() {
            let text = serde_json::to_string_pretty(&body).unwrap();
            document.replace_range(start..end, &text);
            fs::write(&path, &document).unwrap();
            continue;
        }
        let documented: Value = serde_json::from_str(&document[start..end]).unwrap();
        assert_eq!(body, documented, "{name}");
    }
}

#[test]
fn a_pager_is_told_of_the_same_incident_from_its_start_to_its_end() {
    let program = program();
    for (kind, action) in [
        ("raised", "trigger"),
        ("acknowledged", "acknowledge"),
        ("withdrawn", "resolve"),
        ("closed", "resolve"),
        ("reopened", "trigger"),
        ("notice", "trigger"),
    ] {
        let body = sent(&program, "pagerduty", kind);
        assert_eq!(body["event_action"], action);
        assert_eq!(body["dedup_key"], "7d1a5f3e9c2b4806a1f0d3c5b7e9f210");
        assert_eq!(body["payload"]["severity"], "error");
        assert_eq!(body["routing_key"], "…");
    }
}

/// Slack's bounds, in characters: 3,000 of a text, 2,000 of a field.
#[test]
fn no_stranger_makes_slack_refuse_or_obey() {
    let program = program();
    let mut change = change("raised");
    let evil = "<!channel> <https://evil|x> @here `*_~ & ".repeat(2000);
    change["alert"]["group"]["principal"] = evil.as_str().into();
    change["alert"]["query"] = evil.as_str().into();
    change["alert"]["rule"]["title"] = evil.as_str().into();
    change["alert"]["rule"]["author"] = Value::Null;
    fs::write(program.path("change.json"), change.to_string()).unwrap();
    let with = program.path("change.json");
    let arguments = ["test", "slack", "--dry-run", "--with", with.to_str().unwrap()];
    let body: Value = serde_json::from_str(&program.says(&arguments)).unwrap();
    let mut texts = Vec::new();
    collect(&body, &mut texts);
    assert!(texts.len() > 6);
    for text in texts {
        assert!(!text.is_empty() && text.chars().count() < 2000 + 50, "{text}");
        assert!(!text.contains("<!") && !text.contains("<http") && !text.contains("@here"));
        // Pieces of code end where the template ends them.
        assert_eq!(text.matches('`').count() % 2, 0, "{text}");
    }
}

fn collect<'a>(value: &'a Value, texts: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(values) => values.iter().for_each(|value| collect(value, texts)),
        Value::Object(members) => members.values().for_each(|value| collect(value, texts)),
        _ => {}
    }
}

#[test]
fn the_aws_cli_gets_the_message_on_its_standard_input() {
    let mut program = program();
    // It does with its arguments what the AWS CLI does.
    let script = "#!/bin/sh\n[ \"$1 $2 $3 $5\" = 'sns publish --topic-arn --message' ] || exit 9\n\
                  cat \"${6#file://}\" > \"$(dirname \"$0\")/message\"\n";
    fs::write(program.path("aws"), script).unwrap();
    fs::set_permissions(program.path("aws"), fs::Permissions::from_mode(0o755)).unwrap();
    let source = Source::start(program.folder());
    let text = fs::read_to_string(program.path("notify.toml")).unwrap();
    let sns = text.split("[[command]]").nth(1).unwrap().split("[[file]]").next().unwrap();
    program.configure(&source.socket, &format!("[[command]]\n{sns}"));
    program.start();
    source.raise("somebody");
    let path = program.path("message");
    program
        .wait_until("a message", || fs::read_to_string(&path).is_ok_and(|it| it.ends_with('\n')));
    let message: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(message["group"]["principal"], "somebody");
    assert_eq!(message["rule"]["author"], "An Author");
}

/// An error lists the keys that there are: each is in the file, and those there are no others.
#[test]
fn the_configuration_file_has_every_key() {
    let file = fs::read_to_string(root().join("config/notify.toml")).unwrap();
    let program = Program::new();
    let server = Server::http(&[]);
    for (kind, needed) in [
        ("webhook", format!("url = 'http://{}'", server.address)),
        ("file", "path = 'x'".to_owned()),
        ("syslog", String::new()),
        ("command", "argv = ['/bin/true']".to_owned()),
    ] {
        let target = format!("[[{kind}]]\nname = 'a'\n{needed}\nno-such-key-at-all-anywhere = 1\n");
        program.configure(&program.path("s"), &target);
        let said = text(&program.run(&["--check-config"]).stderr);
        let keys = said.split("there are ").nth(1).unwrap_or_else(|| panic!("{said}")).trim();
        assert!(keys.split(", ").count() > 15, "{said}");
        for key in keys.split(", ") {
            let is_there = file.contains(&format!("# {key} = "))
                || file.contains(&format!("or {key} = "))
                || file.contains(&format!("# {key}.NAME = "));
            assert!(is_there, "{kind}.{key} is not in config/notify.toml");
        }
    }
}
