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

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    // Into memory first: the generator panics when a pipe closes.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "traildex", &mut script);
    let mut script = String::from_utf8(script)?;
    match args.shell {
        Shell::Bash => script.push_str(include_str!("completions/query.bash")),
        Shell::Fish => script.push_str(include_str!("completions/query.fish")),
        Shell::Zsh => {
            // Before all else: a file that zsh loads by itself ends in the first completion.
            let (compdef, rest) = script.split_once('\n').unwrap_or_default();
            script =
                format!("{compdef}\n{}{}", include_str!("completions/query.zsh"), asking(rest));
        }
        _ => {}
    }
    std::io::stdout().write_all(script.as_bytes())?;
    Ok(Exit::Done)
}

/// The script for zsh with a query completed by our function, in place of names of files.
fn asking(script: &str) -> String {
    let line = |line: &str| match line.strip_suffix(":_default' \\\n") {
        Some(start) if start.starts_with("'*::query ") => format!("{start}:_traildex_query' \\\n"),
        Some(start) if start.starts_with("':field ") => format!("{start}:_traildex_field' \\\n"),
        _ => line.to_owned(),
    };
    script.split_inclusive('\n').map(line).collect()
}
