//! `status`: what waits, what was delivered, what fails. Reads files only, so it works whether the
//! program runs or not.

use formats::terminal::escape_cut;
use serde::Serialize;

use super::{Ended, say};
use crate::config::{Config, TargetConfig};
use crate::dead::Dead;
use crate::reader::Cursor;
use crate::run;
use crate::spool;
use crate::status::TargetStatus;

#[derive(Serialize)]
struct Shown {
    is_running: bool,
    targets: Vec<ShownTarget>,
}

#[derive(Serialize)]
struct ShownTarget {
    name: String,
    waiting: usize,
    waiting_bytes: u64,
    /// Dead letters that are kept; the counts have all that there were.
    dead_letters: usize,
    /// The daemon's number of the last change that was read.
    read_to: u64,
    #[serde(flatten)]
    status: TargetStatus,
}

/// Shows all targets. Not well: nothing runs, a target fails, or has dead letters.
pub(super) fn show(config: &Config, json: bool) -> anyhow::Result<Ended> {
    let is_running = run::is_running(&config.state_dir)?;
    let targets = config.targets.iter().map(|target| look(config, target));
    let shown = Shown { is_running, targets: targets.collect::<anyhow::Result<_>>()? };
    if json {
        say(&format!("{}\n", serde_json::to_string_pretty(&shown)?))?;
    } else {
        say(&as_text(&shown))?;
    }
    let fails = |target: &ShownTarget| target.status.failures > 0 || target.dead_letters > 0;
    let is_well = shown.is_running && !shown.targets.iter().any(fails);
    Ok(if is_well { Ended::Well } else { Ended::NotWell })
}

fn look(config: &Config, target: &TargetConfig) -> anyhow::Result<ShownTarget> {
    let folder = run::folder_of(&config.state_dir, &target.name);
    let backlog = spool::look(&folder.join("spool"))?;
    Ok(ShownTarget {
        name: target.name.clone(),
        waiting: backlog.entries,
        waiting_bytes: backlog.bytes,
        dead_letters: Dead::new(&folder).letters()?.len(),
        read_to: Cursor::read(&folder)?.map_or(0, |cursor| cursor.after),
        status: TargetStatus::read(&folder),
    })
}

fn as_text(shown: &Shown) -> String {
    let mut text = format!("runs: {}\n", if shown.is_running { "yes" } else { "no" });
    for target in &shown.targets {
        let ShownTarget { name, waiting, waiting_bytes, dead_letters, read_to, status } = target;
        let counts = status.counts;
        text += &format!("\n{name}\n");
        let mut line = |label: &str, value: String| {
            if !value.is_empty() {
                text += &format!("  {label:<14}{}\n", escape_cut(&value, 400));
            }
        };
        line("waiting", format!("{waiting} ({waiting_bytes} bytes)"));
        line("delivered", counts.delivered.to_string());
        line("last", status.delivered_at.clone().unwrap_or_default());
        line("dead letters", format!("{dead_letters}, of {} in all", counts.dead));
        line("held back", format!("{} not wanted, {} too old", counts.not_wanted, counts.too_old));
        line("missed", if counts.missed > 0 { counts.missed.to_string() } else { String::new() });
        line("read to", format!("change {read_to}"));
        line("reader", status.reading.clone());
        if status.failures > 0 {
            line("fails", format!("{} times in a row", status.failures));
            line("next try", status.next_try.clone().unwrap_or_default());
        }
        line("last error", status.error.clone().unwrap_or_default());
    }
    text
}
