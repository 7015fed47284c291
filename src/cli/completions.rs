//! `traildex completions`: a shell's completion script: what clap makes of the commands, and for bash, zsh
//! and fish what asks the daemon for a query's fields and values.

use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Exit};

#[derive(Debug, clap::Args)]
pub struct Args {
    shell: Shell,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    // Into memory first: the generator panics when a pipe closes.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "traildex", &mut script);
    script.extend_from_slice(match args.shell {
        Shell::Bash => include_bytes!("completions/query.bash"),
        Shell::Zsh => include_bytes!("completions/query.zsh"),
        Shell::Fish => include_bytes!("completions/query.fish"),
        _ => b"",
    });
    std::io::stdout().write_all(&script)?;
    Ok(Exit::Done)
}
