//! `traildex status`: what the daemon has indexed, and how far it is behind.

use std::io::{self, Write};

use super::{Exit, SocketArg};
use crate::cli::list::write_json;
use crate::cli::output::Look;
use crate::cli::table::Format;
use crate::cli::text::{bytes, counted, labelled, seconds, thousands};
use wire::{
    EventCounts, FileCounts, IndexStatus, Lag, LookupStatus, RebuildState, RulesStatus, Status,
};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// text, or json (the daemon's whole answer)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    socket: SocketArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let status = args.socket.client().status()?;
    let text = match args.format {
        Format::Text => describe(&status),
        Format::Json => {
            write_json(&mut io::stdout(), &status, Look::of_stdout())?;
            return Ok(Exit::Done);
        }
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(Exit::Done)
}

fn describe(status: &Status) -> String {
    let mut lines = vec![
        ("daemon", format!("traildex {}, up {}", status.version, seconds(status.uptime_s as f64))),
        ("ingest", ingest(status)),
        ("watch", status.watch.join(", ")),
        ("data", status.data_dir.clone()),
        ("index", index(&status.index)),
        ("files", files(&status.files)),
        ("events", events(&status.events)),
        ("lag", lag(&status.files, &status.lag)),
    ];
    if let Some(rules) = &status.rules {
        lines.push(("rules", self::rules(rules)));
        let wrong = rules.problems.iter().chain(&rules.failed);
        lines.extend(wrong.map(|line| ("warning", line.clone())));
    }
    let looked_up =
        |of: &LookupStatus| ("looked up", format!("{}, in {}", of.field, of.sources.join(", ")));
    lines.extend(status.lookups.iter().map(looked_up));
    lines.extend(status.warnings.iter().map(|warning| ("warning", warning.clone())));
    labelled(&lines)
}

fn rules(status: &RulesStatus) -> String {
    let RulesStatus { rules, is_current, open, dropped, .. } = status;
    let mut parts = vec![format!("{} asked", thousands(*rules))];
    if !is_current {
        parts.push("not of everything yet".to_owned());
    }
    parts.push(format!("{} open", counted(*open, "alert")));
    if *dropped > 0 {
        parts.push(format!("{} dropped, because there were too many", counted(*dropped, "alert")));
    }
    parts.join(", ")
}

fn index(index: &IndexStatus) -> String {
    let damaged = match index.damaged {
        0 => String::new(),
        damaged => format!(", {} of them damaged", thousands(damaged)),
    };
    format!(
        "{} in {} segments{damaged}, format {}, {} free",
        bytes(index.bytes),
        thousands(index.segments),
        index.format_version,
        bytes(index.free_bytes)
    )
}

fn ingest(status: &Status) -> String {
    match (&status.fault, &status.rebuild) {
        (None, Some(rebuild)) if rebuild.state == RebuildState::Running => format!(
            "making the index anew: {} files read, {} events indexed, {} files known to be left; \
             searches see the old index",
            thousands(rebuild.files),
            thousands(rebuild.events),
            thousands(rebuild.pending)
        ),
        _ if status.is_ingesting => "running".into(),
        (Some(fault), _) if status.is_paused => format!("paused: {fault}; searches go on"),
        (Some(fault), _) => format!("stopped: {fault}; searches go on"),
        (None, _) => "stopped; searches go on".into(),
    }
}

fn files(files: &FileCounts) -> String {
    let mut parts = vec![format!("{} seen", thousands(files.seen))];
    parts.extend(counts(&[
        (files.indexed, "indexed"),
        (files.pending, "pending"),
        (files.rejected, "rejected"),
        (files.digest, "digest"),
        (files.empty, "empty"),
        (files.reread, "to be read again"),
        (files.skipped, "skipped"),
        (files.replaced, "replaced by a later reading"),
        (files.ignored, "others ignored"),
    ]));
    parts.join(", ")
}

fn events(events: &EventCounts) -> String {
    let mut parts = vec![format!("{} indexed", thousands(events.indexed))];
    parts.extend(counts(&[
        (events.expired, "older than is kept"),
        (events.duplicates, "duplicates left out"),
        (events.conflicting, "conflicting"),
        (events.rejected, "rejected"),
        (events.repaired, "repaired"),
        (events.lost, "lost"),
    ]));
    if let (Some(first), Some(last)) = (&events.first, &events.last) {
        parts.push(format!("from {first} to {last}"));
    }
    parts.join(", ")
}

/// `3 rejected` for each count that is not zero.
fn counts(counts: &[(u64, &str)]) -> impl Iterator<Item = String> {
    let counts = counts.iter().filter(|(count, _)| *count > 0);
    counts.map(|(count, what)| format!("{} {what}", thousands(*count)))
}

fn lag(files: &FileCounts, lag: &Lag) -> String {
    let pending = match files.pending {
        0 => "none".to_string(),
        pending => format!(
            "{} files, {}, the oldest for {}",
            thousands(pending),
            bytes(lag.pending_bytes),
            seconds(lag.oldest_pending_s)
        ),
    };
    let ages = [(lag.last_commit_s, "commit"), (lag.last_scan_s, "whole scan")];
    ages.iter().fold(pending, |text, (age, what)| match age {
        Some(age) => format!("{text}; last {what} {} ago", seconds(*age)),
        None => text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use trail::time::Micros;
    use wire::RebuildStatus;

    fn busy() -> Status {
        Status {
            version: "0.1.0".into(),
            uptime_s: 11_520,
            watch: vec!["/srv/trail".into(), "/srv/\x1b[2J".into()],
            data_dir: "/var/lib/traildex".into(),
            files: FileCounts {
                seen: 4222,
                indexed: 4200,
                pending: 12,
                rejected: 3,
                digest: 5,
                empty: 2,
                replaced: 1,
                reread: 0,
                skipped: 4,
                ignored: 10,
            },
            events: EventCounts {
                indexed: 1_000_000,
                expired: 0,
                duplicates: 6496,
                conflicting: 0,
                rejected: 3,
                repaired: 0,
                lost: 0,
                first: Micros::parse_event_time("2020-09-14T00:44:23Z"),
                last: Micros::parse_event_time("2023-07-10T12:27:54Z"),
            },
            index: IndexStatus {
                bytes: 310_200_000,
                free_bytes: 20_000_000_000,
                segments: 4,
                damaged: 0,
                format_version: 1,
            },
            lag: Lag {
                pending_bytes: 3_100_000,
                oldest_pending_s: 0.4,
                last_commit_s: Some(0.3),
                last_scan_s: Some(12.0),
            },
            is_ingesting: true,
            is_paused: false,
            fault: None,
            rebuild: None,
            rules: None,
            lookups: Vec::new(),
            warnings: Vec::new(),
        }
    }

    #[test]
    fn a_busy_daemon_is_described() {
        let expected = r"daemon  traildex 0.1.0, up 3 h 12 min
ingest  running
watch   /srv/trail, /srv/\u{1b}[2J
data    /var/lib/traildex
index   310.2 MB in 4 segments, format 1, 20.0 GB free
files   4,222 seen, 4,200 indexed, 12 pending, 3 rejected, 5 digest, 2 empty, 4 skipped, 1 replaced by a later reading, 10 others ignored
events  1,000,000 indexed, 6,496 duplicates left out, 3 rejected, from 2020-09-14T00:44:23Z to 2023-07-10T12:27:54Z
lag     12 files, 3.1 MB, the oldest for 0.4 s; last commit 0.3 s ago; last whole scan 12.0 s ago
";
        assert_eq!(describe(&busy()), expected);
    }

    #[test]
    fn rules_and_what_is_wrong_with_them_are_told() {
        let rules = RulesStatus {
            rules: 99,
            open: 1,
            dropped: 1_200,
            problems: vec!["/etc/rules/a.yml:3: it is no rule".to_owned()],
            ..RulesStatus::default()
        };
        let text = describe(&Status { rules: Some(rules), ..busy() });
        let expected = "rules    99 asked, not of everything yet, 1 alert open, 1,200 alerts \
                        dropped, because there were too many\n\
                        warning  /etc/rules/a.yml:3: it is no rule";
        assert!(text.contains(expected), "{text}");
    }

    #[test]
    fn a_rebuild_and_damage_are_named() {
        let rebuild =
            RebuildStatus { files: 1200, events: 5, pending: 7, ..RebuildStatus::default() };
        let rebuild = Some(rebuild);
        let index = IndexStatus { damaged: 1, ..busy().index };
        let warnings = vec!["x is\ndamaged".to_owned()];
        let text = describe(&Status { index, rebuild, warnings, ..busy() });
        let rebuild =
            "ingest   making the index anew: 1,200 files read, 5 events indexed, 7 files known";
        assert!(text.contains(rebuild), "{text}");
        assert!(
            text.contains("in 4 segments, 1 of them damaged, format 1, 20.0 GB free\n"),
            "{text}"
        );
        assert!(text.contains("warning  x is\\ndamaged\n"), "{text}");
    }

    #[test]
    fn a_fault_is_named() {
        let status = Status { is_ingesting: false, fault: Some("disk full".into()), ..busy() };
        assert!(describe(&status).contains("ingest  stopped: disk full; searches go on\n"));
    }
}
