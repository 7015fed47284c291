//! `traildex serve`: watch an archive and answer on a socket.

use std::path::PathBuf;

use super::Exit;
use super::log;
use crate::config::{Config, Overrides};
use crate::daemon;
use crate::daemon::reload::Source;
use store::reading::has_events;

#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "TRAILDEX_CONFIG")]
    pub config: Option<PathBuf>,
    /// A directory with trail files, with all below it; may be given several times. Without any, what was
    /// imported is served
    #[arg(long, value_name = "DIR")]
    pub watch: Vec<PathBuf>,
    /// Where the index is kept
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The socket to answer on
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let config = load(args)?;
    let set_level = log::start(&config);
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
    if config.watch.dirs.is_empty() && !has_events(&config.index.data_dir) {
        anyhow::bail!(
            "nothing to watch: give --watch DIR, or watch.dirs in the configuration; and nothing was \
             imported that could be served without, for {} has no index with events",
            config.index.data_dir.display()
        );
    }
    config.check_memory(daemon::cores(), memory_bytes())?;
    Ok(config)
}

/// The environment, but for variables that are not UTF-8.
pub(super) fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The machine's memory, or the control group's where that is less.
pub(super) fn memory_bytes() -> Option<u64> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
    });
    let group = std::fs::read_to_string("/sys/fs/cgroup/memory.max")
        .ok()
        .and_then(|text| text.trim().parse::<u64>().ok());
    machine.into_iter().chain(group).min()
}
