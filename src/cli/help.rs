//! `traildex help`: of a command, or of the query language.

use std::io::Write;

use clap::{CommandFactory, error::ErrorKind};

use super::{Cli, Exit};

/// The page of the query language.
const QUERY_PAGE: &str = include_str!("../../docs/query-language.md");

#[derive(Debug, clap::Args)]
pub struct Args {
    /// A command, or 'query' for the query language
    #[arg(value_name = "TOPIC")]
    topic: Option<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut program = Cli::command();
    program.build();
    match args.topic.as_deref() {
        None => program.print_long_help()?,
        Some("query") => std::io::stdout().write_all(QUERY_PAGE.as_bytes())?,
        Some(name) => match program.find_subcommand_mut(name) {
            Some(command) => command.print_long_help()?,
            None => {
                let message = format!("there is no command '{name}'");
                program.error(ErrorKind::InvalidSubcommand, message).exit();
            }
        },
    }
    Ok(Exit::Done)
}
