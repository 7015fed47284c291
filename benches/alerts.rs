//! What rules cost while a daemon reads an archive, and how soon an alert is there.
//!
//! `cargo bench --bench alerts -- 1000000 800` has daemons read a million events without rules, with the
//! pack, and with 800 rules: the pack again and again, each time with one more condition. Each tells the CPU
//! seconds until all is read and all rules have looked at it. Meanwhile, files with an event for an alert
//! are renamed into place, and the time is taken until the alert is told. The folder that `TMPDIR` names
//! needs 700 bytes an event, and as many again for the index.

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use client::Client;
use wire::{AlertChangesRequest, AlertsRequest};

#[path = "support/program.rs"]
mod program;
#[path = "support/rules.rs"]
mod rules;

use program::{run, traildex};
use rules::vary;

/// Alerts that are waited for while the archive is read, and behind that.
const FRESH: u64 = 40;

/// What the alerts are of.
const ALARM: &str = "title: alarm\nlogsource: { product: aws, service: cloudtrail }\n\
    detection: { s: { eventName: TraildexAlarm }, condition: s }\nlevel: high\n\
    traildex: { suppress: { by: [eventID], period: 1d } }\n";

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse().ok());
    let events: u64 = numbers.next().unwrap_or(1_000_000);
    let wanted: usize = numbers.next().unwrap_or(800) as usize;
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let archive = folder.path().join("archive");
    let mut generate = traildex();
    run(generate.arg("generate").arg(&archive).args(["--events", &events.to_string()]));
    let mut without = None;
    for rules in [0, 98, wanted] {
        let cpu = Measured::of(folder.path(), &archive, rules, events);
        let of_none = *without.get_or_insert(cpu);
        println!("{rules} rules: {cpu:.1} CPU s, {:+.1} %", (cpu / of_none - 1.0) * 100.0);
    }
}

struct Measured {
    process: Child,
    client: Client,
}

impl Measured {
    /// Has a daemon read an archive with so many rules; returns its CPU seconds.
    fn of(folder: &Path, archive: &Path, count: usize, events: u64) -> f64 {
        let [data_dir, arriving, rules, socket] = ["index", "arriving", "rules", "socket"]
            .map(|name| folder.join(format!("{name}-{count}")));
        fs::create_dir_all(&arriving).expect("a folder can be made");
        fs::create_dir_all(&rules).expect("a folder can be made");
        if count > 0 {
            vary(&rules, count);
            fs::write(rules.join("alarm.yml"), ALARM).expect("it can be written");
        }
        let mut serve = traildex();
        serve.arg("serve").arg("--data-dir").arg(&data_dir).arg("--socket").arg(&socket);
        serve.arg("--watch").arg(archive).arg("--watch").arg(&arriving);
        if count > 0 {
            serve.env("TRAILDEX_RULES_DIRS", &rules);
        }
        serve.stdout(Stdio::null()).stderr(Stdio::null());
        let process = serve.spawn().expect("the program can be started");
        let measured = Self { process, client: Client::new(&socket) };
        while measured.client.status().is_err() {
            sleep(Duration::from_millis(50));
        }
        let mut fresh = Vec::new();
        let mut backlog = 0;
        while !measured.is_done(events + fresh.len() as u64, count > 0) {
            if count > 0 && (fresh.len() as u64) < FRESH {
                fresh.push(measured.fresh(&arriving, fresh.len()));
                backlog = fresh.len();
            }
            sleep(Duration::from_millis(100));
        }
        let cpu = cpu_seconds(measured.process.id());
        while count > 0 && (fresh.len() as u64) < 2 * FRESH {
            fresh.push(measured.fresh(&arriving, fresh.len()));
        }
        tell("while the archive is read", &mut fresh[..backlog]);
        tell("later", &mut fresh[backlog..]);
        let _ = fs::remove_dir_all(data_dir);
        cpu
    }

    fn is_done(&self, events: u64, has_rules: bool) -> bool {
        let status = self.client.status().expect("the daemon answers");
        let is_current = || {
            let alerts = self.client.alerts(&AlertsRequest::default());
            alerts.expect("the daemon answers").rules.is_current
        };
        status.events.indexed >= events && (!has_rules || is_current())
    }

    /// Seconds from the rename of a file to the alert of its event.
    fn fresh(&self, folder: &Path, number: usize) -> f64 {
        let record = serde_json::json!({ "Records": [{
            "eventVersion": "1.08",
            "eventTime": format!("2023-07-10T11:{:02}:00Z", number % 60),
            "eventID": format!("00000000-0000-4000-8000-{number:012}"),
            "eventSource": "traildex.amazonaws.com",
            "eventName": "TraildexAlarm",
            "awsRegion": "eu-west-1",
            "userIdentity": { "type": "Root", "arn": format!("arn:aws:iam::{number}:root") },
        }] });
        let hidden = folder.join(format!(".{number}"));
        fs::write(&hidden, record.to_string()).expect("it can be written");
        let renamed = Instant::now();
        fs::rename(&hidden, folder.join(format!("{number}.json"))).expect("it can be renamed");
        let mut after = self.last();
        // The alert may be there already.
        if self.has_alert(number) {
            return renamed.elapsed().as_secs_f64();
        }
        loop {
            let request = AlertChangesRequest { after, limit: None, wait: 5 };
            let answer = self.client.alert_changes(&request).expect("the daemon answers");
            for change in answer.changes {
                after = change.number;
                if change
                    .alert
                    .group
                    .values()
                    .any(|value| value.ends_with(&format!("-{number:012}")))
                {
                    return renamed.elapsed().as_secs_f64();
                }
            }
            assert!(renamed.elapsed() < Duration::from_mins(5), "no alert came");
        }
    }

    fn last(&self) -> u64 {
        let request = AlertChangesRequest { limit: Some(1), ..AlertChangesRequest::default() };
        self.client.alert_changes(&request).expect("the daemon answers").last
    }

    fn has_alert(&self, number: usize) -> bool {
        let q = Some(format!("-{number:012}"));
        let alerts = self.client.alerts(&AlertsRequest { q, ..AlertsRequest::default() });
        alerts.expect("the daemon answers").total > 0
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn tell(what: &str, seconds: &mut [f64]) {
    if seconds.is_empty() {
        return;
    }
    seconds.sort_by(f64::total_cmp);
    let at = |share: f64| seconds[((seconds.len() - 1) as f64 * share).ceil() as usize];
    println!(
        "  alerts {what}: p50 {:.2} s, p99 {:.2} s, {} of them",
        at(0.5),
        at(0.99),
        seconds.len()
    );
}

/// User and system time of a process.
fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<f64>().ok());
    // The kernel counts in hundredths, whatever its own clock is.
    ticks.sum::<f64>() / 100.0
}
