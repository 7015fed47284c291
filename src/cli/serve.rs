//! `traildex serve`: watch an archive and answer on a socket.

use std::io::IsTerminal;
use std::path::PathBuf;

use serde_json::json;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, reload};

use super::Exit;
use super::log_limit::Limited;
use crate::config::{Config, Format, Level, Overrides};
use crate::daemon;
use crate::daemon::reload::Source;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "TRAILDEX_CONFIG")]
    pub config: Option<PathBuf>,
    /// A directory with trail files, with all below it; may be given several times
    #[arg(long, value_name = "DIR")]
    pub watch: Vec<PathBuf>,
    /// Where the index is kept
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The socket to answer on
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let config = load(args)?;
    let set_level = start_log(&config);
    let args = args.clone();
    daemon::serve(&config, Source { load: Box::new(move || load(&args)), set_level })?;
    Ok(Exit::Done)
}

/// The settings in force if the daemon started now.
fn load(args: &Args) -> anyhow::Result<Config> {
    let flags = Overrides {
        watch: args.watch.clone(),
        data_dir: args.data_dir.clone(),
        socket: args.socket.clone(),
    };
    let config = Config::load(args.config.as_deref(), environment(), &flags)?;
    if config.watch.dirs.is_empty() {
        anyhow::bail!("nothing to watch: give --watch DIR, or watch.dirs in the configuration");
    }
    config.check_memory(daemon::cores(), memory_bytes())?;
    Ok(config)
}

/// The environment, but for variables that are not UTF-8.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The machine's memory, or the control group's where that is less.
pub fn memory_bytes() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    });
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    machine.into_iter().chain(group).min()
}

/// Returns what changes the level.
/// A line of a log in JSON.
fn as_json(text: &str) -> String {
    let timestamp = jiff::Timestamp::now().to_string();
    json!({ "timestamp": timestamp, "level": "WARN", "fields": { "message": text } }).to_string()
}

fn start_log(config: &Config) -> Box<dyn Fn(Level) + Send> {
    let filter = |level: Level| EnvFilter::new(format!("warn,traildex={}", level.name()));
    let (level, handle) = reload::Layer::new(filter(config.log.level));
    let lines =
        fmt::layer().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr);
    let lines = match config.log.format {
        Format::Text => lines.map_event_format(|lines| Limited::new(lines, str::to_owned)).boxed(),
        Format::Json => lines.json().map_event_format(|lines| Limited::new(lines, as_json)).boxed(),
    };
    tracing_subscriber::registry().with(lines).with(level).init();
    // Fails only where there is no log any more.
    Box::new(move |level| drop(handle.reload(filter(level))))
}
