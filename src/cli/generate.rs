//! `traildex generate`: a realistic archive of any size, to measure with.

use std::io::{self, Write};
use std::path::PathBuf;

use super::{EXIT_CODES, Exit};
use crate::cli::text::{bytes, thousands};
use bench::generate::{GenerateOptions, generate};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// How many different events
    #[arg(long, value_name = "N")]
    events: u64,
    /// The same seed and options give the same archive
    #[arg(long, value_name = "S", default_value_t = 1)]
    seed: u64,
    /// Over how many days, from 2026-01-01 on
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    days: u32,
    /// How many of a thousand events are delivered a second time, in another file
    #[arg(long, value_name = "N", default_value_t = 0)]
    duplicates: u32,
    /// Trail files, or directories of them, to resample instead of the sample in the program; may be
    /// given several times
    #[arg(long, value_name = "PATH")]
    from: Vec<PathBuf>,
    /// The directory to write to, laid out as S3 does
    #[arg(value_name = "OUT")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let options = GenerateOptions {
        events: args.events,
        seed: args.seed,
        days: args.days,
        duplicates_per_mille: args.duplicates,
        from: args.from.clone(),
        ..GenerateOptions::default()
    };
    let made = generate(&options, &args.out)?;
    writeln!(
        io::stderr(),
        "{} events in {} files: {} raw, {} on disk",
        thousands(made.events),
        thousands(made.files),
        bytes(made.bytes_raw),
        bytes(made.bytes_written)
    )?;
    Ok(Exit::Done)
}
