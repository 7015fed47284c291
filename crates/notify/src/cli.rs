//! The command line.
//!
//! `error:` says what went wrong and why. Exit codes: 0, all is well; 1, `status` or `test` found that
//! something is not; 2, the configuration or the command line is wrong; 4, anything else.

mod dead;
mod status;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use formats::terminal::escape;
use serde_json::Value;

use crate::change::{CHANGES, Change};
use crate::config::{Config, ConfigError, DEFAULT_FILE, TargetConfig};
use crate::{log, run, targets};

/// Delivers traildex's alerts: to webhooks, files, syslog and commands
#[derive(Debug, Parser)]
#[command(name = "traildex-notify", version, arg_required_else_help = true)]
struct Cli {
    /// The configuration file
    #[arg(long, short, global = true, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// Check the configuration, and what it names, and end
    #[arg(long)]
    check_config: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read alerts from the daemon and deliver them, until a signal
    Run,
    /// Send a made-up alert to a target, once
    Test(Test),
    /// Show each target: what waits, what was delivered, what fails
    Status {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// List, retry or drop alerts that could not be delivered
    Dead(dead::Args),
    /// Print a shell's completion script
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual pages, one for each command
    Man {
        /// Where to; made where it is missing
        dir: PathBuf,
    },
}

#[derive(Debug, clap::Args)]
struct Test {
    /// The target's name
    target: String,
    /// Which change to make up
    #[arg(long, value_name = "CHANGE", default_value = "raised", value_parser = clap::builder::PossibleValuesParser::new(CHANGES))]
    change: String,
    /// Print what would be sent, without its secrets, and send nothing
    #[arg(long)]
    dry_run: bool,
    /// A change to send, as JSON in a file; for templates that are tried
    #[arg(long, value_name = "FILE")]
    with: Option<PathBuf>,
}

/// How a command ended.
enum Ended {
    Well,
    NotWell,
}

/// Does what the process was started for.
pub fn run_process() -> ExitCode {
    match execute(Cli::parse()) {
        Ok(Ended::Well) => ExitCode::SUCCESS,
        Ok(Ended::NotWell) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {}", escape(&format!("{error:#}")));
            ExitCode::from(if error.is::<ConfigError>() { 2 } else { 4 })
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<Ended> {
    match &cli.command {
        Some(Command::Completions { shell }) => return complete(*shell),
        Some(Command::Man { dir }) => return write_manual(dir),
        _ => {}
    }
    let config = Config::load(&cli.config)?;
    if cli.check_config {
        return check(&cli.config, &config);
    }
    match cli.command {
        Some(Command::Run) => {
            log::start(config.level, config.is_json);
            run::run(config)?;
            Ok(Ended::Well)
        }
        Some(Command::Test(test)) => try_target(&config, &test),
        Some(Command::Status { json }) => status::show(&config, json),
        Some(Command::Dead(args)) => dead::change(&config, &args),
        Some(Command::Completions { .. } | Command::Man { .. }) => Ok(Ended::Well),
        None => anyhow::bail!("say what to do: run, test, status or dead; --help lists them"),
    }
}

fn complete(shell: Shell) -> anyhow::Result<Ended> {
    // Into memory first: the generator panics when a pipe closes.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "traildex-notify", &mut script);
    say(&String::from_utf8(script)?)?;
    Ok(Ended::Well)
}

fn write_manual(dir: &Path) -> anyhow::Result<Ended> {
    let shown = dir.display();
    fs::create_dir_all(dir).with_context(|| format!("cannot make {shown}"))?;
    clap_mangen::generate_to(Cli::command(), dir)
        .with_context(|| format!("cannot write to {shown}"))?;
    Ok(Ended::Well)
}

/// Opens what the targets need; nothing is sent.
fn check(path: &Path, config: &Config) -> anyhow::Result<Ended> {
    for target in &config.targets {
        targets::open(target).map_err(|error| error.context(format!("target {}", target.name)))?;
    }
    say(&format!("{}: {} targets\n", path.display(), config.targets.len()))?;
    for target in &config.targets {
        say(&format!("  {}\n", target.name))?;
    }
    Ok(Ended::Well)
}

fn try_target(config: &Config, test: &Test) -> anyhow::Result<Ended> {
    let target = config.target(&test.target)?;
    let change = made_up(test)?;
    if test.dry_run {
        let body = hide(targets::body(target, &change), target);
        say(&format!("{}\n", serde_json::to_string_pretty(&body)?))?;
        return Ok(Ended::Well);
    }
    let mut opened = targets::open(target)?;
    match targets::deliver(&mut *opened, target, &change) {
        Ok(()) => {
            say(&format!("{} took it\n", target.name))?;
            Ok(Ended::Well)
        }
        Err(failure) => {
            eprintln!("error: {} did not take it: {}", target.name, failure.reason);
            Ok(Ended::NotWell)
        }
    }
}

fn made_up(test: &Test) -> anyhow::Result<Change> {
    match &test.with {
        None => Ok(Change::test(&test.change)),
        Some(path) => Ok(serde_json::from_slice(
            &fs::read(path).with_context(|| format!("cannot read {}", path.display()))?,
        )?),
    }
}

/// The value without the target's secrets.
fn hide(value: Value, target: &TargetConfig) -> Value {
    match value {
        Value::String(text) => Value::String(target.hidden.redact(&text)),
        Value::Array(values) => values.into_iter().map(|value| hide(value, target)).collect(),
        Value::Object(members) => {
            members.into_iter().map(|(key, value)| (key, hide(value, target))).collect()
        }
        value => value,
    }
}

/// Prints; a reader that has gone is no error.
fn say(text: &str) -> std::io::Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
