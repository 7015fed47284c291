//! `traildex check-config`: check a configuration.

use std::path::PathBuf;

use super::Exit;
use crate::cli::serve::{environment, memory_bytes};
use crate::config::{Config, Overrides};
use crate::daemon::cores;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file; without one, the built-in defaults
    #[arg(long, value_name = "FILE", env = "TRAILDEX_CONFIG")]
    pub config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let config = Config::load(args.config.as_deref(), environment(), &Overrides::default())?;
    print!("{}", config.to_toml());
    println!("\n{}", config.memory(cores()));
    config.check_memory(cores(), memory_bytes())?;
    Ok(Exit::Done)
}
