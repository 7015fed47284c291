//! The command line.
//!
//! Rows go to standard output, and all that is said of them to standard error. Exit codes are those of
//! `traildex`: 0, there are rows; 1, there are none; 2, the statement or the command line is wrong; 4, anything
//! else, such as a bound that was reached.

use std::fs;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};

use crate::config::ConfigError;
use crate::error::SqlError;
use crate::out::{Format, Rows};
use crate::serve::{self, Serve};
use crate::session::{Database, Options, STACK_BYTES, STATEMENT_BYTES_MAX};
use formats::terminal::escape;

const AFTER: &str = "\
Exit codes:
  0  there are rows
  1  there are none
  2  wrong usage, or a statement that cannot be understood
  4  anything else failed, or a bound was reached

The table cloudtrail has CloudTrail Lake's columns; files and alerts are two more.
  traildex-sql \"SELECT eventname, count(*) AS n FROM cloudtrail GROUP BY eventname ORDER BY n DESC\"";

/// Answers SQL over traildex's index, beside a daemon or without one
#[derive(Debug, Parser)]
#[command(
    name = "traildex-sql",
    version,
    after_help = AFTER,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    ask: Option<Ask>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
struct Ask {
    /// The statement: SELECT, EXPLAIN, SHOW or DESCRIBE; '-' reads it from standard input
    #[arg(value_name = "SQL")]
    statement: String,
    /// The index's directory [default: that of the configuration, else /var/lib/traildex]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The daemon's configuration, for its index.data_dir
    #[arg(long, short, value_name = "FILE", conflicts_with = "data_dir")]
    config: Option<PathBuf>,
    /// How rows are written
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// How many rows are given at most [default: 1000 in a table, else 1000000]
    #[arg(long, value_name = "N")]
    rows: Option<usize>,
    /// Seconds that the statement may take
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// MiB of memory for sorts, joins and groups; beyond, they write to disk
    #[arg(long, value_name = "MIB", default_value_t = 512, value_parser = clap::value_parser!(u64).range(64..=1_048_576))]
    memory: u64,
    /// MiB that they may write to disk; 0 for none
    #[arg(long, value_name = "MIB", default_value_t = 4_096, value_parser = clap::value_parser!(u64).range(0..=16_777_216))]
    spill: u64,
    /// Where they write [default: the system's folder for such files]
    #[arg(long, value_name = "DIR")]
    spill_dir: Option<PathBuf>,
    /// Threads that read and compute [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// A name of an event data store under which cloudtrail is found, too; can be given again
    #[arg(long = "store", value_name = "NAME")]
    stores: Vec<String>,
}

const TABLE_ROWS: usize = 1_000;
const OTHER_ROWS: usize = 1_000_000;

/// Does what the process was started for.
pub fn run_process() -> ExitCode {
    let cli = Cli::parse();
    let done = match (cli.command, cli.ask) {
        // Rows are not counted.
        (Some(Command::Serve(args)), _) => serve::run(&args).map(|()| 1),
        (None, Some(ask)) => execute(ask),
        (None, None) => Err(Usage("there is no statement".to_owned()).into()),
    };
    match done {
        Ok(0) => ExitCode::from(1),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "error: {}", escape(&format!("{error:#}")));
            let is_of_statement = matches!(error.downcast_ref(), Some(SqlError::Statement(_)));
            let is_of_usage = error.is::<Usage>() || error.is::<ConfigError>();
            ExitCode::from(if is_of_statement || is_of_usage { 2 } else { 4 })
        }
    }
}

/// The command line is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Usage(String);

fn execute(cli: Ask) -> anyhow::Result<usize> {
    let data_dir = match (&cli.data_dir, &cli.config) {
        (Some(dir), _) => dir.clone(),
        (None, Some(file)) => data_dir_of(file)?,
        (None, None) => PathBuf::from("/var/lib/traildex"),
    };
    let statement = statement_of(&cli.statement)?;
    let defaults = Options::default();
    let options = Options {
        memory_bytes: usize::try_from(cli.memory << 20).unwrap_or(usize::MAX),
        spill_bytes: cli.spill << 20,
        spill_dir: cli.spill_dir,
        timeout: Duration::from_secs(cli.timeout),
        threads: cli.threads.map_or(defaults.threads, usize::from),
        stores: cli.stores,
        ..defaults
    };
    let rows_max =
        cli.rows.unwrap_or(if cli.format == Format::Table { TABLE_ROWS } else { OTHER_ROWS });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(options.threads)
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    // What is spilled goes with it, however the program ends.
    let spilled = match &options.spill_dir {
        Some(dir) => tempfile::Builder::new().prefix("traildex-sql-").tempdir_in(dir),
        None => tempfile::Builder::new().prefix("traildex-sql-").tempdir(),
    };
    let spilled = spilled.context("there is no folder to spill to; name one with --spill-dir")?;
    let options = Options { spill_dir: Some(spilled.path().to_owned()), ..options };
    let format = cli.format;
    let started = Instant::now();
    let answered = runtime.block_on(async {
        // On a thread whose stack is known.
        let answered = runtime.spawn(answer(data_dir, options, statement, (format, rows_max)));
        tokio::select! {
            answered = answered => answered,
            code = interrupted() => {
                let _ = fs::remove_dir_all(spilled.path());
                std::process::exit(code);
            }
        }
    });
    runtime.shutdown_background();
    let (count, has_more) = match answered? {
        Err(error) if is_of_closed_pipe(&error) => return Ok(1),
        answered => answered?,
    };
    if format == Format::Table {
        let rows = if count == 1 { "row" } else { "rows" };
        let _ = writeln!(
            io::stderr(),
            "{count} {rows}, {:.1} ms",
            started.elapsed().as_secs_f64() * 1e3
        );
    }
    if has_more {
        let _ = writeln!(
            io::stderr(),
            "warning: there are more rows than the {count} that are given; ask for more with --rows"
        );
    }
    Ok(count)
}

/// Writes the rows of a statement; says how many there were, and whether there are more.
async fn answer(
    data_dir: PathBuf,
    options: Options,
    statement: String,
    (format, rows_max): (Format, usize),
) -> anyhow::Result<(usize, bool)> {
    let database = Database::open(&data_dir, options)?;
    let mut answer = database.query(&statement).await?;
    let is_terminal = io::stdout().is_terminal();
    let mut rows = Rows::new(io::stdout(), format, is_terminal, &answer.schema())?;
    let mut has_more = false;
    while let Some(batch) = answer.next().await? {
        let wanted = rows_max - rows.count();
        rows.add(&batch.slice(0, batch.num_rows().min(wanted)))?;
        if batch.num_rows() > wanted {
            has_more = true;
            break;
        }
    }
    Ok((rows.end()?, has_more))
}

/// Waits for a signal that ends the process; the exit code that a shell knows it by.
async fn interrupted() -> i32 {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
    }
}

/// Whoever read the rows has seen enough.
fn is_of_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn statement_of(argument: &str) -> anyhow::Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut statement = String::new();
    // One byte more tells that it is too long.
    let mut input = io::stdin().take(STATEMENT_BYTES_MAX as u64 + 1);
    input.read_to_string(&mut statement).context("standard input cannot be read")?;
    Ok(statement)
}

/// Bytes of a configuration.
const CONFIG_BYTES_MAX: u64 = 1 << 20;

/// `index.data_dir` of a configuration of the daemon.
fn data_dir_of(file: &Path) -> anyhow::Result<PathBuf> {
    let shown = file.display();
    let opened = fs::File::open(file).with_context(|| format!("{shown} cannot be read"))?;
    let mut text = String::new();
    opened
        .take(CONFIG_BYTES_MAX)
        .read_to_string(&mut text)
        .with_context(|| format!("{shown} cannot be read"))?;
    let config: toml::Table = match text.parse() {
        Ok(config) => config,
        Err(error) => {
            let error: toml::de::Error = error;
            bail!(Usage(format!("{shown}: {}", error.message())));
        }
    };
    let data_dir = config.get("index").and_then(|index| index.get("data_dir"));
    match data_dir {
        None => Ok(PathBuf::from("/var/lib/traildex")),
        Some(toml::Value::String(dir)) => Ok(PathBuf::from(dir)),
        Some(_) => bail!(Usage(format!("{shown}: index.data_dir is no path"))),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_configuration_names_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("traildex.toml");
        let of = |text: &str| {
            fs::write(&file, text).unwrap();
            data_dir_of(&file)
        };
        assert_eq!(of("[index]\ndata_dir = \"/data\"\n").unwrap(), Path::new("/data"));
        assert_eq!(of("").unwrap(), Path::new("/var/lib/traildex"));
        assert!(of("[index]\ndata_dir = 1\n").unwrap_err().is::<Usage>());
        assert!(of("[index").unwrap_err().is::<Usage>());
    }
}
