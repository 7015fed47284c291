//! The command line: one file a command, and what they share.
//!
//! Commands write results to standard output, and everything about a result to standard error. What
//! records contain reaches a terminal only through [`text::escape`] or [`json::for_terminal`]: an
//! attacker can write escape sequences into a trail.

mod alerts;
mod answer;
mod ask;
mod bench;
mod bundle;
mod bundle_verify;
mod check_config;
mod complete;
mod completions;
mod coverage;
mod coverage_map;
mod demo;
mod errors;
mod event;
mod events;
mod explained;
mod export;
mod fields;
mod files;
mod generate;
mod help;
mod hunt;
mod import;
mod json;
mod left_out;
mod list;
mod log;
mod log_limit;
mod man;
mod output;
mod progress;
mod rebuild;
mod rules;
mod saved;
mod search;
mod serve;
mod shown;
mod status;
mod table;
mod tail;
mod text;
mod times;
mod trace;
mod validate;
mod values;
mod verify;
mod warnings;
mod web;
mod words;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{CommandFactory as _, Parser, Subcommand};
use serde::de::DeserializeOwned;

use client::Client;

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for a search, found
  1  nothing found
  2  wrong usage, or a query that cannot be understood
  3  no daemon can be reached
  4  anything else failed";

/// Indexes an AWS CloudTrail archive once and answers who did what, in milliseconds.
#[derive(Debug, Parser)]
#[command(name = "traildex", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch a trail archive, index it, and answer on a socket
    Serve(serve::Args),
    /// Find events
    Search(search::Args),
    /// Show one event: who, what, from where, when, with which credentials and outcome
    Event(event::Args),
    /// Write everything that a query finds into a file
    Export(export::Args),
    /// Write an evidence bundle: events with the original files they are from, digests and keys
    Bundle(bundle::Args),
    /// Show events as they come into the index
    Tail(tail::Args),
    /// Show where credentials came from, and what was made with them
    Trace(trace::Args),
    /// Find what rules describe, in the whole archive
    Hunt(hunt::Args),
    /// List what rules found while the daemon ran, and note what becomes of it
    Alerts(alerts::Args),
    /// List, check, explain and test rules
    Rules(rules::Args),
    /// Open a port on this machine for the page to work a case in
    Web(web::Args),
    /// Save searches under a name, and run them
    Saved(saved::Args),
    /// List the fields that events have
    Fields(fields::Args),
    /// List the most frequent values of a field
    Values(values::Args),
    /// Show what the daemon has indexed, and how far it is behind
    Status(status::Args),
    /// List files and what became of them
    Files(files::Args),
    /// Show what the archive can know: gaps, trails, data events that were recorded
    Coverage(coverage::Args),
    /// Index an archive once, without a daemon
    Import(import::Args),
    /// Check the index: checksums of its files, and whether its ledger and its events agree
    Verify(verify::Args),
    /// Validate the archive by CloudTrail's digest files: is it what AWS delivered, and all of it
    Validate(validate::Args),
    /// Make the index anew from the archive
    Rebuild(rebuild::Args),
    /// Check a configuration and print the memory it adds up to
    CheckConfig(check_config::Args),
    /// Index a small sample trail and answer five questions about it
    Demo(demo::Args),
    /// Write a realistic archive of any size, to measure with
    Generate(generate::Args),
    /// Measure what indexing an archive and searching it costs on this machine
    Bench(bench::Args),
    /// Print a completion script for a shell
    Completions(completions::Args),
    /// Complete a query, for the scripts that 'completions' prints
    #[command(hide = true)]
    Complete(complete::Args),
    /// Write the manual pages, one for each command
    Man(man::Args),
    /// Explain a command, or with 'query' the query language
    Help(help::Args),
}

impl Cli {
    /// The command that the process was started with; it ends here where that is none.
    pub fn of_process() -> Self {
        Self::parse_from(words::apart(std::env::args_os().collect(), &Self::command()))
    }
}

/// How a command ended; the exit code of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    Done = 0,
    NothingFound = 1,
    Usage = 2,
    NoDaemon = 3,
    Failed = 4,
}

impl Exit {
    fn found(any: bool) -> Self {
        if any { Self::Done } else { Self::NothingFound }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit as u8)
    }
}

/// Runs a command, prints its error, and says how the process should end.
pub fn run(cli: &Cli) -> ExitCode {
    let outcome = match &cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Search(args) => search::run(args),
        Command::Event(args) => event::run(args),
        Command::Export(args) => export::run(args),
        Command::Bundle(args) => bundle::run(args),
        Command::Tail(args) => tail::run(args),
        Command::Trace(args) => trace::run(args),
        Command::Hunt(args) => hunt::run(args),
        Command::Alerts(args) => alerts::run(args),
        Command::Rules(args) => rules::run(args),
        Command::Web(args) => web::run(args),
        Command::Saved(args) => saved::run(args),
        Command::Fields(args) => fields::run(args),
        Command::Values(args) => values::run(args),
        Command::Status(args) => status::run(args),
        Command::Files(args) => files::run(args),
        Command::Coverage(args) => coverage::run(args),
        Command::Import(args) => import::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Validate(args) => validate::run(args),
        Command::Rebuild(args) => rebuild::run(args),
        Command::CheckConfig(args) => check_config::run(args),
        Command::Demo(args) => demo::run(args),
        Command::Generate(args) => generate::run(args),
        Command::Bench(args) => bench::run(args),
        Command::Complete(args) => complete::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(args),
        Command::Help(args) => help::run(args),
    };
    outcome.unwrap_or_else(|error| errors::report(&error)).into()
}

/// Where the daemon listens and the commands look, when nobody says.
pub fn default_socket() -> PathBuf {
    let system = Path::new("/run/traildex/traildex.sock");
    choose_socket(system, std::env::var_os("XDG_RUNTIME_DIR"))
}

/// The system's socket when it is there; else the user's own.
fn choose_socket(system: &Path, runtime_dir: Option<OsString>) -> PathBuf {
    match runtime_dir.filter(|folder| !folder.is_empty()) {
        Some(folder) if !system.exists() => Path::new(&folder).join("traildex.sock"),
        _ => system.to_path_buf(),
    }
}

/// `--socket`, for the commands that ask a daemon.
#[derive(Debug, clap::Args)]
struct SocketArg {
    /// The daemon's socket [default: the system's, /run/traildex/traildex.sock, if it is there;
    /// else traildex.sock in the user's runtime directory]
    #[arg(long, env = "TRAILDEX_SOCKET", value_name = "SOCKET")]
    socket: Option<PathBuf>,
}

/// How long a daemon that opens its index is waited for: what thirty million events take.
const OPENING_MAX: Duration = Duration::from_secs(10);

impl SocketArg {
    fn path(&self) -> PathBuf {
        self.socket.clone().unwrap_or_else(default_socket)
    }

    fn client(&self) -> Client {
        Client::new(&self.path()).patient(OPENING_MAX)
    }
}

/// Reads a flag as the API reads the value of that name.
fn named<T>(names: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: DeserializeOwned + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names.iter().copied())
        .try_map(|name| serde_json::from_value(name.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_systems_socket_comes_before_the_users_own() {
        let folder = tempfile::tempdir().unwrap();
        let system = folder.path().join("system.sock");
        let user = || Some(OsString::from("/run/user/1"));
        assert_eq!(choose_socket(&system, user()), Path::new("/run/user/1/traildex.sock"));
        assert_eq!(choose_socket(&system, None), system);
        assert_eq!(choose_socket(&system, Some(OsString::new())), system);
        std::fs::write(&system, "").unwrap();
        assert_eq!(choose_socket(&system, user()), system);
    }
}
