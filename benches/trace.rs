//! What `traildex trace` takes beside so many other events: milliseconds and searches of the trace of a key
//! at the end of a chain, and of a busy role, as the daemon tells them.
//!
//! `cargo bench --bench trace -- 10000000` generates ten million events, whose keys lead nowhere, and beside
//! them the sessions of thirty days: a user's key assumes a role each minute, each session assumes a second role,
//! and that one a third; each has five uses. The folder that `TMPDIR` names needs 700 bytes an event.

use std::fs;
use std::io::Write as _;
use std::path::Path;

#[path = "support/daemon.rs"]
mod daemon;
#[path = "support/program.rs"]
mod program;

use daemon::Daemon;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use program::{run, traildex};
use serde_json::{Value, json};

const ACCOUNT: &str = "111122223333";
/// Minutes of thirty days: one chain of three sessions begins in each.
const CHAINS: u64 = 30 * 24 * 60;
/// Roles, one behind another.
const ROLES: [&str; 3] = ["busy", "behind", "last"];
/// Uses of each session.
const USES: u64 = 5;
/// Chains of one file: an hour.
const OF_FILE: u64 = 60;
/// Traces of each kind, at different ends of the archive.
const TRACES: u64 = 20;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let events: u64 = numbers.next().unwrap_or(1_000_000);
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let [others, sessions] = ["others", "sessions"].map(|name| folder.path().join(name));
    let mut generate = traildex();
    generate.arg("generate").arg(&others).args(["--events", &events.to_string()]);
    run(&mut generate);
    write_sessions(&sessions);
    let daemon = Daemon::serving(&[&others, &sessions], folder.path());
    let keys: Vec<String> =
        (0..TRACES).map(|at| key(at * (CHAINS - 1) / (TRACES - 1), ROLES.len() - 1)).collect();
    let roles: Vec<String> = (0..TRACES).map(|_| role_arn(0)).collect();
    for (what, subjects, args) in [
        ("a key behind three roles", &keys, &[][..]),
        ("the same, downwards too", &keys, &["--down"]),
        ("a busy role", &roles, &[]),
        ("the same, downwards too", &roles, &["--down"]),
    ] {
        let mut took: Vec<f64> = Vec::new();
        let mut last = Value::Null;
        for subject in subjects {
            let answer = daemon.ask(&[&["trace", subject], args].concat()).expect("it is found");
            took.push(answer["took_ms"].as_f64().expect("it says what it took"));
            last = answer;
        }
        took.sort_by(f64::total_cmp);
        let nodes = last["nodes"].as_array().map_or(0, Vec::len);
        println!(
            "{what}: median {:.1} ms, most {:.1} ms; {} searches, {nodes} nodes, left out: {}",
            took[took.len() / 2],
            took[took.len() - 1],
            last["searches"],
            last["left_out"]
        );
    }
}

fn role_arn(depth: usize) -> String {
    format!("arn:aws:iam::{ACCOUNT}:role/{}", ROLES[depth])
}

/// The key of a session.
fn key(chain: u64, depth: usize) -> String {
    format!("ASIA{chain:012}{depth:04}")
}

/// Who has the session of a role, and since when.
fn session(chain: u64, depth: usize, since: Timestamp) -> Value {
    let role = ROLES[depth];
    let id = format!("AROA{depth:017}");
    json!({
        "type": "AssumedRole", "principalId": format!("{id}:chain-{chain}"), "accountId": ACCOUNT,
        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/chain-{chain}"),
        "accessKeyId": key(chain, depth),
        "sessionContext": {
            "attributes": { "creationDate": since.to_string(), "mfaAuthenticated": "false" },
            "sessionIssuer": {
                "type": "Role", "principalId": id, "arn": role_arn(depth), "accountId": ACCOUNT,
                "userName": role,
            },
        },
    })
}

fn event(id: &str, name: &str, source: &str, time: Timestamp, who: &Value) -> Value {
    json!({
        "eventVersion": "1.08", "eventTime": time.to_string(), "eventName": name,
        "eventSource": source, "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli/2.15", "requestID": id, "eventID": id, "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT, "userIdentity": who, "readOnly": true,
    })
}

fn write_sessions(folder: &Path) {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let user = json!({
        "type": "IAMUser", "principalId": "AIDA00000000000000001", "userName": "deployer",
        "arn": format!("arn:aws:iam::{ACCOUNT}:user/deployer"), "accountId": ACCOUNT,
        "accessKeyId": "AKIA0000000000000001",
    });
    for hour in 0..CHAINS / OF_FILE {
        let mut records = Vec::new();
        for chain in hour * OF_FILE..(hour + 1) * OF_FILE {
            let begun = start + SignedDuration::from_mins(chain as i64);
            let mut who = user.clone();
            for (depth, role) in ROLES.into_iter().enumerate() {
                let time = begun + SignedDuration::from_secs(depth as i64 * 7);
                let id = |n: u64| format!("{chain:08x}-{depth:04x}-4000-8000-{n:012x}");
                let mut assume = event(&id(0), "AssumeRole", "sts.amazonaws.com", time, &who);
                assume["requestParameters"] = json!({ "roleArn": role_arn(depth), "roleSessionName": format!("chain-{chain}") });
                assume["responseElements"] = json!({
                    "credentials": { "accessKeyId": key(chain, depth), "sessionToken": "x" },
                    "assumedRoleUser": {
                        "assumedRoleId": format!("AROA{depth:017}:chain-{chain}"),
                        "arn": format!("arn:aws:sts::{ACCOUNT}:assumed-role/{role}/chain-{chain}"),
                    },
                });
                records.push(assume);
                who = session(chain, depth, time);
                records.extend((1..=USES).map(|n| {
                    let time = time + SignedDuration::from_secs(n as i64);
                    event(&id(n), "DescribeInstances", "ec2.amazonaws.com", time, &who)
                }));
            }
        }
        let time = start + SignedDuration::from_hours(hour as i64 + 1);
        let name = format!(
            "AWSLogs/{ACCOUNT}/CloudTrail/us-east-1/{}/{ACCOUNT}_CloudTrail_us-east-1_{}_{hour:016}.json.gz",
            time.strftime("%Y/%m/%d"),
            time.strftime("%Y%m%dT%H%MZ")
        );
        let path = folder.join(name);
        fs::create_dir_all(path.parent().expect("it has folders")).expect("folders can be made");
        let file = fs::File::create(path).expect("a file can be made");
        let mut packed = GzEncoder::new(file, Compression::default());
        let text = json!({ "Records": records }).to_string();
        packed
            .write_all(text.as_bytes())
            .and_then(|()| packed.finish().map(drop))
            .expect("written");
    }
}
