//! `traildex trace`: where credentials came from, and what was made with them, as a tree, as JSON or for
//! Graphviz.

mod dot;
mod tree;

use std::io::Write;

use clap::ValueEnum;
use clap::builder::RangedU64ValueParser;

use super::{EXIT_CODES, Exit};
use crate::cli::ask::AskArg;
use crate::cli::fields::warn;
use crate::cli::list::write_json;
use crate::cli::output::{ColorArg, Output};
use wire::limits::{TRACE_CHILDREN_MAX, TRACE_DEPTH_MAX};
use wire::{TraceRequest, TraceResponse};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// An access key, the ARN or the name of a role or a user, an event's id or its beginning, an
    /// instance, or an address
    #[arg(value_name = "KEY|ARN|ROLE|EVENT-ID|INSTANCE|ADDRESS")]
    of: String,
    /// Show what was made with these credentials, too
    #[arg(long)]
    down: bool,
    /// How many steps to go up, and down, at most [default: 8]
    #[arg(long, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=TRACE_DEPTH_MAX as u64))]
    depth: Option<usize>,
    /// How many neighbours of one node to show at most [default: 50]
    #[arg(long, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=TRACE_CHILDREN_MAX as u64))]
    children: Option<usize>,
    /// tree, json (the daemon's whole answer), or dot, for Graphviz
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Tree)]
    format: Format,
    #[command(flatten)]
    color: ColorArg,
    #[command(flatten)]
    ask: AskArg,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    Tree,
    Json,
    Dot,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let answer = args.ask.client()?.trace(&TraceRequest {
        of: args.of.clone(),
        down: args.down,
        depth: args.depth,
        children: args.children,
    })?;
    let look = args.color.look();
    let mut out = Output::open(look);
    match args.format {
        Format::Tree => out.write_all(tree::tree(&answer, look).as_bytes())?,
        Format::Json => write_json(&mut out, &answer, look)?,
        Format::Dot => out.write_all(dot::dot(&answer).as_bytes())?,
    }
    out.close()?;
    if args.format != Format::Json {
        warn(&told(&answer));
        if !args.down {
            eprintln!("note: --down shows what was made with these credentials, too");
        }
    }
    Ok(Exit::Done)
}

/// What the answer lacks, a line each.
fn told(answer: &TraceResponse) -> Vec<String> {
    let left_out = answer.left_out.iter().map(|what| format!("left out: {what}"));
    left_out.chain(answer.warnings.iter().cloned()).collect()
}
