//! `traildex check-config`: check a configuration.

use std::path::PathBuf;

use super::Exit;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Configuration file; without one, the built-in defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

pub fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
