//! `dead`: alerts that could not be delivered. What is to be tried again is handed to the program that
//! runs, or waits for it to start.

use formats::terminal::escape_cut;
use serde_json::json;

use super::{Ended, say};
use crate::config::Config;
use crate::dead::{Dead, Letter};
use crate::run;

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct Args {
    /// List them
    #[arg(long, group = "what")]
    list: bool,
    /// Deliver them again, behind what waits
    #[arg(long, group = "what")]
    retry: bool,
    /// Forget them
    #[arg(long, group = "what")]
    drop: bool,
    /// Of this target only
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    /// The one with this key only
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// List whole letters, a line of JSON each
    #[arg(long, requires = "list")]
    json: bool,
}

pub(super) fn change(config: &Config, args: &Args) -> anyhow::Result<Ended> {
    let names: Vec<&str> = match &args.target {
        Some(name) => vec![config.target(name)?.name.as_str()],
        None => config.targets.iter().map(|target| target.name.as_str()).collect(),
    };
    let is_meant = |letter: &Letter| args.key.as_ref().is_none_or(|key| *key == letter.change.key);
    for name in names {
        let folder = run::folder_of(&config.state_dir, name);
        if !folder.is_dir() {
            continue;
        }
        let dead = Dead::new(&folder);
        if args.list {
            for letter in dead.letters()?.iter().filter(|letter| is_meant(letter)) {
                say(&listed(name, letter, args.json))?;
            }
            continue;
        }
        let count = dead.take(is_meant, args.retry)?;
        let done = if args.retry { "will be tried again" } else { "dropped" };
        if count > 0 {
            say(&format!("{name}: {count} {done}\n"))?;
        }
    }
    Ok(Ended::Well)
}

fn listed(name: &str, letter: &Letter, is_json: bool) -> String {
    let Letter { at, reason, attempts, change } = letter;
    if is_json {
        let letter = json!({
            "target": name, "at": at, "reason": reason, "attempts": attempts,
            "change": change.to_json(),
        });
        return format!("{letter}\n");
    }
    let title = escape_cut(change.text(&["rule", "title"]).unwrap_or_default(), 80);
    let (key, kind) = (escape_cut(&change.key, 150), escape_cut(&change.change, 20));
    let reason = escape_cut(reason, 400);
    format!("{at}  {name}  {key}  {kind}  {title}\n    after {attempts}: {reason}\n")
}
