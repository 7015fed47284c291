//! `traildex man`: the manual pages, one for each command.

use std::fs;
use std::path::PathBuf;

use anyhow::Context;
use clap::CommandFactory;

use super::{Cli, Exit};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where to write traildex.1, traildex-search.1 and so on; made where it is missing
    dir: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let shown = args.dir.display();
    fs::create_dir_all(&args.dir).with_context(|| format!("cannot make {shown}"))?;
    clap_mangen::generate_to(Cli::command(), &args.dir)
        .with_context(|| format!("cannot write to {shown}"))?;
    Ok(Exit::Done)
}
