//! `traildex files`: files and what became of them; each record that could not be read is listed
//! with its place.

use std::io::{self, BufWriter, Write};

use clap::builder::RangedU64ValueParser;
use comfy_table::{Cell, Color};

use super::table::{ListFormat, Look, cell};
use super::text::{bytes, escape, thousands};
use super::{EXIT_CODES, Exit, SocketArg, named};
use crate::api::proto::{FileEntry, FileState, FilesRequest, FilesResponse};
use crate::limits::{FILES_LIMIT_DEFAULT, FILES_LIMIT_MAX};

const STATES: &[&str] = &["pending", "indexed", "rejected", "digest", "empty"];

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Only files in this state
    #[arg(long, value_parser = named::<FileState>(STATES))]
    state: Option<FileState>,
    /// Only files whose path contains this text
    #[arg(long, value_name = "TEXT")]
    path: Option<String>,
    /// How many files to list at most
    #[arg(long, value_name = "N", default_value_t = FILES_LIMIT_DEFAULT,
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=FILES_LIMIT_MAX as u64))]
    limit: usize,
    /// table, json (the daemon's whole answer), or ndjson (one file a line)
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    format: ListFormat,
    #[command(flatten)]
    socket: SocketArg,
}

pub fn run(args: &Args) -> anyhow::Result<Exit> {
    let response = args.socket.client().files(&FilesRequest {
        state: args.state,
        path: args.path.clone(),
        limit: Some(args.limit),
    })?;
    let mut out = BufWriter::new(io::stdout().lock());
    write(&mut out, &response, args.format, Look::of_stdout())?;
    out.flush()?;
    if args.format != ListFormat::Json {
        let shown = thousands(response.files.len() as u64);
        let _ = writeln!(io::stderr(), "{shown} of {} files", thousands(response.total));
    }
    Ok(Exit::found(response.total > 0))
}

fn write(
    out: &mut impl Write,
    response: &FilesResponse,
    format: ListFormat,
    look: Look,
) -> anyhow::Result<()> {
    match format {
        ListFormat::Table if response.files.is_empty() => {}
        ListFormat::Table => {
            let header = ["STATE", "SIZE", "RECORDS", "REJECTED", "FILE"];
            let mut table = look.table(&header, "STATE");
            table.add_rows(response.files.iter().map(row));
            writeln!(out, "{}", table.trim_fmt())?;
        }
        ListFormat::Json => writeln!(out, "{}", serde_json::to_string(response)?)?,
        ListFormat::Ndjson => {
            for file in &response.files {
                writeln!(out, "{}", serde_json::to_string(file)?)?;
            }
        }
    }
    Ok(())
}

fn row(file: &FileEntry) -> [Cell; 5] {
    let state = cell(Some(&file.state.to_string()));
    [
        if file.state == FileState::Rejected { state.fg(Color::Red) } else { state },
        cell(Some(&bytes(file.size))),
        cell(Some(&thousands(file.records))),
        cell(Some(&thousands(file.rejected))),
        Cell::new(path_and_notes(file)),
    ]
}

/// The path, and below it a line for each thing to know; safe for a terminal.
fn path_and_notes(file: &FileEntry) -> String {
    let mut lines = vec![escape(&file.path).into_owned()];
    lines.extend(file.reason.as_deref().map(|reason| escape(reason).into_owned()));
    lines.extend(file.flags.iter().map(|flag| escape(flag).into_owned()));
    if file.repaired > 0 {
        lines.push(format!("{} repaired", thousands(file.repaired)));
    }
    for reject in &file.rejects {
        lines.push(format!("byte {}: {}", thousands(reject.offset), escape(&reject.reason)));
    }
    let unlisted = file.rejected.saturating_sub(file.rejects.len() as u64);
    if unlisted > 0 {
        lines.push(format!("and {} more rejected", thousands(unlisted)));
    }
    lines.join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::proto::Reject;

    fn sample() -> FilesResponse {
        let good = FileEntry {
            path: "AWSLogs/1/good.json.gz".into(),
            state: FileState::Indexed,
            size: 2048,
            modified: "2023-07-10T11:42:36Z".into(),
            read_at: Some("2023-07-10T11:42:38Z".into()),
            records: 1200,
            repaired: 0,
            rejected: 0,
            rejects: Vec::new(),
            flags: Vec::new(),
            reason: None,
        };
        let reject = |offset, reason: &str| Reject { offset, reason: reason.into() };
        let odd = FileEntry {
            path: "AWSLogs/1/odd\n.json".into(),
            repaired: 1,
            rejected: 5,
            rejects: vec![reject(0, "no value"), reject(4096, "a \x1b[31m in a key")],
            flags: vec!["second-member".into()],
            ..good.clone()
        };
        let bad = FileEntry {
            path: "notes.json".into(),
            state: FileState::Rejected,
            records: 0,
            reason: Some("not JSON at byte 0".into()),
            ..good.clone()
        };
        FilesResponse { files: vec![good, odd, bad], total: 3 }
    }

    fn check(format: ListFormat, width: Option<u16>, expected: &str) {
        let look = Look { is_terminal: width.is_some(), width, has_colour: false };
        let mut out = Vec::new();
        write(&mut out, &sample(), format, look).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn rejected_records_are_listed_with_their_place() {
        let expected = r"STATE     SIZE    RECORDS  REJECTED  FILE
indexed   2.0 kB  1,200    0         AWSLogs/1/good.json.gz
indexed   2.0 kB  1,200    5         AWSLogs/1/odd\n.json
                                       second-member
                                       1 repaired
                                       byte 0: no value
                                       byte 4,096: a \u{1b}[31m in a key
                                       and 3 more rejected
rejected  2.0 kB  0        0         notes.json
                                       not JSON at byte 0
";
        check(ListFormat::Table, Some(200), expected);
    }

    #[test]
    fn a_narrow_terminal_gets_a_table_that_fits() {
        let expected = r"STATE     SIZE    RECORDS  REJECTED  FILE
indexed   2.0 kB  1,200    0         AWSLogs/1/good.json.g
                                     z
indexed   2.0 kB  1,200    5         AWSLogs/1/odd\n.json
                                       second-member
                                       1 repaired
                                       byte 0: no value
                                     byte 4,096: a
                                     \u{1b}[31m in a key
                                       and 3 more rejected
rejected  2.0 kB  0        0         notes.json
                                       not JSON at byte 0
";
        check(ListFormat::Table, Some(60), expected);
    }

    #[test]
    fn ndjson_is_one_file_a_line() {
        let lines: Vec<_> =
            sample().files.iter().map(|file| serde_json::to_string(file).unwrap() + "\n").collect();
        check(ListFormat::Ndjson, None, &lines.concat());
    }
}
