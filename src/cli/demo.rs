//! `traildex demo`: five questions to a sample trail.

use super::Exit;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// End after the answers instead of serving until Ctrl-C
    #[arg(long)]
    pub once: bool,
}

pub fn run(_args: &Args) -> anyhow::Result<Exit> {
    anyhow::bail!("not built yet")
}
