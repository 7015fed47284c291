//! `traildex verify`: check the index, of a running daemon or of a data directory that nobody uses.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{HumanBytes, ProgressBar};

use super::{EXIT_CODES, Exit, SocketArg};
use crate::cli::list::write_json;
use crate::cli::output::Look;
use crate::cli::progress;
use crate::cli::table::Format;
use crate::cli::text::{bytes, escape, thousands};
use crate::daemon::upkeep::told;
use client::{Client, ClientError};
use store::inspect::inspect;
use wire::{ApiError, ErrorKind, VerifyProblem, VerifyReport};

/// Between two looks at a daemon's check.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Check this data directory, which no daemon uses, in place of a daemon's index
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// text, or json (the whole report)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = Format::Text)]
    format: Format,
    #[command(flatten)]
    socket: SocketArg,
    /// What somebody gives who means another check
    #[arg(hide = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    if let Some(path) = args.paths.first() {
        return Err(ClientError::from(of_another_check(path)).into());
    }
    let bar = progress::line(None);
    let report = match &args.data_dir {
        Some(data_dir) => told(inspect(data_dir, &|read| show(&bar, bar.position() + read))?),
        None => verify_online(&args.socket.client(), &bar)?,
    };
    bar.finish_and_clear();
    match args.format {
        Format::Text => print!("{}", describe(&report)),
        Format::Json => write_json(&mut io::stdout(), &report, Look::of_stdout())?,
    }
    Ok(if report.problems.is_empty() { Exit::Done } else { Exit::Failed })
}

/// Tells how to check what is no index.
fn of_another_check(path: &Path) -> ApiError {
    let shown = path.display();
    let suggestion = if path.join("bagit.txt").exists() || path.is_file() {
        format!("traildex bundle verify {shown}, which checks a bundle")
    } else {
        format!(
            "traildex bundle verify {shown} for a bundle, traildex validate {shown} for an archive, \
             traildex verify --data-dir {shown} for an index"
        )
    };
    let message = format!("verify checks the index of a daemon; {shown} is none");
    ApiError { suggestion: Some(suggestion), ..ApiError::new(ErrorKind::BadRequest, message) }
}

/// Has a daemon check its index, and waits for what it finds.
fn verify_online(client: &Client, bar: &ProgressBar) -> anyhow::Result<VerifyReport> {
    let mut status = client.start_verify()?;
    while status.is_running {
        show(bar, status.bytes_done);
        std::thread::sleep(TICK);
        status = client.verify()?;
    }
    status.report.ok_or_else(|| anyhow::anyhow!("the daemon could not start a check"))
}

fn show(bar: &ProgressBar, bytes: u64) {
    bar.set_position(bytes);
    let (read, rate) = (HumanBytes(bytes), HumanBytes(bar.per_sec() as u64));
    bar.set_message(format!("checking  {read}  {rate}/s"));
}

fn describe(report: &VerifyReport) -> String {
    let mut text = String::new();
    for VerifyProblem { path, problem } in &report.problems {
        let place = if path.is_empty() { String::new() } else { format!("{}: ", escape(path)) };
        text.push_str(&format!("{place}{}\n", escape(problem)));
    }
    let verdict = match report.problems.len() {
        0 => "nothing is wrong".to_owned(),
        1 => "1 problem".to_owned(),
        n => format!("{} problems", thousands(n as u64)),
    };
    text.push_str(&format!(
        "{verdict}: {} in {} segments, {} events, {} files\n",
        bytes(report.bytes),
        thousands(report.segments),
        thousands(report.events),
        thousands(report.files)
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_named_before_the_verdict() {
        let report = VerifyReport { segments: 2, events: 3000, ..VerifyReport::default() };
        let expected = "nothing is wrong: 0 B in 2 segments, 3,000 events, 0 files\n";
        assert_eq!(describe(&report), expected);
        let problem =
            |path: &str, text: &str| VerifyProblem { path: path.into(), problem: text.into() };
        let problems =
            vec![problem("/x\n.idx", "its hash does not match"), problem("", "and 2 more")];
        let expected = "/x\\n.idx: its hash does not match\nand 2 more\n\
                        2 problems: 0 B in 2 segments, 3,000 events, 0 files\n";
        assert_eq!(describe(&VerifyReport { problems, ..report }), expected);
    }
}
