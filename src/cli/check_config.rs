//! `traildex check-config`: check a configuration.

use std::path::PathBuf;

use super::Exit;
use crate::cli::output::Look;
use crate::cli::serve::{environment, memory_bytes};
use crate::cli::text::escape_lines;
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
    let text = format!("{}\n{}\n", config.to_toml(), config.memory(cores()));
    // Paths may be called anything.
    let is_terminal = Look::of_stdout().is_terminal;
    print!("{}", if is_terminal { escape_lines(&text) } else { text });
    config.check_memory(cores(), memory_bytes())?;
    Ok(Exit::Done)
}
