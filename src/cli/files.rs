//! `traildex files`: files and what became of them, or sums over them; each record that could not be
//! read is listed with its place.

use std::io::{self, Write};

use clap::builder::{PossibleValuesParser, RangedU64ValueParser, TypedValueParser};
use comfy_table::Color;
use serde_json::Value;

use super::{EXIT_CODES, Exit, named};
use crate::cli::ask::AskArg;
use crate::cli::list::write_json;
use crate::cli::output::{ColorArg, Look, Output};
use crate::cli::shown::csv_for_terminal;
use crate::cli::table::{Cell, ListFormat, table};
use crate::cli::text::{bytes, escape, thousands};
use formats::csv::CsvWriter;
use trail::time::Micros;
use wire::limits::FILES_LIMIT_MAX;
use wire::{
    Dimension, FileEntry, FileGroup, FileState, FileSums, FilesRequest, FilesResponse, Integrity,
};

const STATES: &[&str] = &[
    "pending", "indexed", "rejected", "digest", "empty", "replaced", "reread", "skipped", "ignored",
];

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Only files in this state
    #[arg(long, value_parser = named::<FileState>(STATES))]
    state: Option<FileState>,
    /// Only files whose path contains this text
    #[arg(long, value_name = "TEXT")]
    path: Option<String>,
    /// Only files that may have records of this account: of it, of several, or of none that is known
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,
    /// Only files that may have records of this region
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
    /// Only files with events since this time: 2023-07-10, 2023-07-10T11:42:36Z, -24h, now; files
    /// without events count by their last change
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only files with events before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Only files that were read since this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    read_since: Option<String>,
    /// Only files that were read before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    read_until: Option<String>,
    /// Sums by account, region and day, or some of these, in place of a list
    #[arg(long, value_name = "account,region,day", value_delimiter = ',', value_parser = dimensions())]
    by: Vec<Dimension>,
    /// How many files to list at most [default: 100], or sums [default: 10000]
    #[arg(long, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=FILES_LIMIT_MAX as u64))]
    limit: Option<usize>,
    /// The 'cursor' of an earlier answer: goes on behind its last file; the other flags must be as
    /// they were
    #[arg(long, value_name = "CURSOR", conflicts_with = "by")]
    cursor: Option<String>,
    /// table, json (the daemon's whole answer), ndjson (one file, or sum, a line), or csv
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    format: ListFormat,
    #[command(flatten)]
    color: ColorArg,
    #[command(flatten)]
    ask: AskArg,
}

fn dimensions() -> impl TypedValueParser<Value = Dimension> {
    PossibleValuesParser::new(Dimension::ALL.map(|(name, _)| name)).map(|name| {
        let found = Dimension::ALL.iter().find(|(known, _)| *known == name);
        found.expect("only these are possible").1
    })
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let response = args.ask.client()?.files(&FilesRequest {
        state: args.state,
        path: args.path.clone(),
        account: args.account.clone(),
        region: args.region.clone(),
        start: args.since.clone(),
        end: args.until.clone(),
        read_start: args.read_since.clone(),
        read_end: args.read_until.clone(),
        by: args.by.clone(),
        limit: args.limit,
        cursor: args.cursor.clone(),
    })?;
    let look = args.color.look();
    let mut out = Output::open(look);
    write(&mut out, &response, &args.by, args.format, look)?;
    out.close()?;
    if args.format != ListFormat::Json {
        let _ = writeln!(io::stderr(), "{}", footer(&response, &args.by));
        if let Some(cursor) = &response.cursor {
            let _ = writeln!(io::stderr(), "more follow: --cursor {}", escape(cursor));
        }
    }
    Ok(Exit::found(response.total > 0))
}

fn write(
    out: &mut impl Write,
    response: &FilesResponse,
    by: &[Dimension],
    format: ListFormat,
    look: Look,
) -> anyhow::Result<()> {
    match format {
        ListFormat::Table if response.total == 0 => {}
        ListFormat::Table if by.is_empty() => {
            let header = ["STATE", "SIZE", "RECORDS", "DUPLICATES", "REJECTED", "FILE"];
            let rows: Vec<_> = response.files.iter().map(row).collect();
            writeln!(out, "{}", table(&header, &rows, look))?;
        }
        ListFormat::Table => {
            let names = by.iter().map(|dimension| dimension.name().to_uppercase());
            let header: Vec<String> = names.chain(SUMS.map(str::to_owned)).collect();
            let header: Vec<&str> = header.iter().map(String::as_str).collect();
            let rows: Vec<_> = response.groups.iter().map(|group| group_row(group, by)).collect();
            writeln!(out, "{}", table(&header, &rows, look))?;
        }
        ListFormat::Csv => {
            let csv = csv(response, by)?;
            let csv = if look.is_terminal { csv_for_terminal(&csv) } else { csv.as_str().into() };
            out.write_all(csv.as_bytes())?;
        }
        ListFormat::Json => write_json(out, response, look)?,
        ListFormat::Ndjson => {
            for file in &response.files {
                write_json(out, file, look)?;
            }
            for group in &response.groups {
                write_json(out, group, look)?;
            }
        }
    }
    Ok(())
}

/// The keys of the JSON, each a column.
fn csv(response: &FilesResponse, by: &[Dimension]) -> anyhow::Result<String> {
    let mut columns: Vec<&str> = by.iter().copied().map(Dimension::name).collect();
    columns.extend_from_slice(if by.is_empty() { FILE_COLUMNS } else { SUM_COLUMNS });
    let rows: Vec<Value> = if by.is_empty() {
        response.files.iter().map(serde_json::to_value).collect::<Result<_, _>>()?
    } else {
        response.groups.iter().map(serde_json::to_value).collect::<Result<_, _>>()?
    };
    let mut csv = CsvWriter::new(Vec::new());
    csv.names(&columns)?;
    for row in rows {
        csv.row(&columns.iter().map(|name| row[name].clone()).collect::<Vec<_>>())?;
    }
    Ok(String::from_utf8(csv.into_inner()?)?)
}

const SUMS: [&str; 9] = [
    "FILES",
    "RECORDS",
    "DUPLICATES",
    "EXPIRED",
    "CONFLICTING",
    "REPAIRED",
    "REJECTED",
    "FIRST",
    "LAST",
];

const FILE_COLUMNS: &[&str] = &[
    "path",
    "state",
    "size",
    "modified",
    "read_at",
    "sha256",
    "records",
    "duplicates",
    "expired",
    "conflicting",
    "repaired",
    "rejected",
    "first",
    "last",
    "account",
    "region",
    "flags",
    "reason",
    "rejects",
    "integrity",
];

const SUM_COLUMNS: &[&str] = &[
    "files",
    "records",
    "duplicates",
    "expired",
    "conflicting",
    "repaired",
    "rejected",
    "first",
    "last",
];

fn group_row(group: &FileGroup, by: &[Dimension]) -> Vec<Cell> {
    let FileSums {
        files,
        records,
        duplicates,
        expired,
        conflicting,
        repaired,
        rejected,
        first,
        last,
        ..
    } = group.sums;
    let keys = by.iter().map(|dimension| {
        let key = match dimension {
            Dimension::Account => &group.account,
            Dimension::Region => &group.region,
            Dimension::Day => &group.day,
        };
        Cell::text(key.as_deref().filter(|key| !key.is_empty()))
    });
    let counts = [files, records, duplicates, expired, conflicting, repaired, rejected];
    let counts = counts.map(|count| Cell::number(thousands(count)));
    let times =
        [first, last].map(|time| Cell::text(time.as_ref().map(Micros::to_string).as_deref()));
    keys.chain(counts).chain(times).collect()
}

fn footer(response: &FilesResponse, by: &[Dimension]) -> String {
    let FileSums { files, records, duplicates, expired, rejected, .. } = &response.sums;
    let (shown, what) = match by {
        [] => (response.files.len(), "files".to_owned()),
        _ => (response.groups.len(), format!("sums over {} files", thousands(*files))),
    };
    let expired = match expired {
        0 => String::new(),
        expired => format!(", {} expired", thousands(*expired)),
    };
    format!(
        "{} of {} {what}: {} records, {} of them duplicates{expired}; {} rejected",
        thousands(shown as u64),
        thousands(response.total),
        thousands(*records),
        thousands(*duplicates),
        thousands(*rejected)
    )
}

fn row(file: &FileEntry) -> Vec<Cell> {
    let state = Cell::text(Some(&file.state.to_string()));
    let is_bad = matches!(file.state, FileState::Rejected | FileState::Reread);
    vec![
        if is_bad { state.coloured(Color::Red) } else { state },
        Cell::number(bytes(file.size)),
        Cell::number(thousands(file.reading.records)),
        Cell::number(thousands(file.reading.duplicates)),
        Cell::number(thousands(file.reading.rejected)),
        Cell::lines(path_and_notes(file)),
    ]
}

/// The path, and below it a line for each thing to know; safe for a terminal.
fn path_and_notes(file: &FileEntry) -> String {
    let reading = &file.reading;
    let mut lines = vec![escape(&file.path).into_owned()];
    let integrity =
        file.integrity.filter(|state| !matches!(state, Integrity::Verified | Integrity::NoDigest));
    lines.extend(integrity.map(|state| state.to_string()));
    lines.extend(reading.reason.as_deref().map(|reason| escape(reason).into_owned()));
    lines.extend(reading.flags.iter().map(|flag| escape(flag).into_owned()));
    let counts = [
        (reading.expired, "expired"),
        (reading.repaired, "repaired"),
        (reading.conflicting, "conflicting"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        lines.push(format!("{} {what}", thousands(count)));
    }
    for reject in &reading.rejects {
        let reason = escape(&reject.reason);
        // The reason names the row of a table itself.
        let is_table = reading.flags.iter().any(|flag| flag == "table");
        let byte = thousands(reject.offset);
        lines.push(if is_table { reason.into_owned() } else { format!("byte {byte}: {reason}") });
    }
    let unlisted = reading.rejected.saturating_sub(reading.rejects.len() as u64);
    if unlisted > 0 {
        lines.push(format!("and {} more rejected", thousands(unlisted)));
    }
    lines.join("\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Reading;
    use wire::Reject;

    fn sample() -> FilesResponse {
        let reading = Reading { records: 1200, duplicates: 3, ..Reading::default() };
        let good = FileEntry {
            path: "AWSLogs/1/good.json.gz".into(),
            state: FileState::Indexed,
            size: 2048,
            modified: Some(Micros(0)),
            integrity: None,
            reading,
        };
        let reject = |offset, reason: &str| Reject { offset, reason: reason.into() };
        let odd = FileEntry {
            path: "AWSLogs/1/odd\n.json".into(),
            reading: Reading {
                expired: 4,
                repaired: 1,
                conflicting: 2,
                rejected: 5,
                rejects: vec![reject(0, "no value"), reject(4096, "a \x1b[31m in a key")],
                flags: vec!["second-member".into()],
                ..good.reading.clone()
            },
            ..good.clone()
        };
        let bad = FileEntry {
            path: "notes.json".into(),
            state: FileState::Rejected,
            reading: Reading { reason: Some("not JSON at byte 0".into()), ..Reading::default() },
            ..good.clone()
        };
        let mut sums = FileSums::default();
        for file in [&good, &odd, &bad] {
            sums.add(&file.reading);
        }
        FilesResponse { files: vec![good, odd, bad], total: 3, sums, ..Default::default() }
    }

    fn check_by(
        response: &FilesResponse,
        by: &[Dimension],
        format: ListFormat,
        width: Option<u16>,
        expected: &str,
    ) {
        let look = Look { is_terminal: width.is_some(), width, has_colour: false };
        let mut out = Vec::new();
        write(&mut out, response, by, format, look).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    fn check(format: ListFormat, width: Option<u16>, expected: &str) {
        check_by(&sample(), &[], format, width, expected);
    }

    #[test]
    fn rejected_records_are_listed_with_their_place() {
        let expected = r"STATE       SIZE  RECORDS  DUPLICATES  REJECTED  FILE
indexed   2.0 kB    1,200           3         0  AWSLogs/1/good.json.gz
indexed   2.0 kB    1,200           3         5  AWSLogs/1/odd\n.json
                                                   second-member
                                                   4 expired
                                                   1 repaired
                                                   2 conflicting
                                                   byte 0: no value
                                                   byte 4,096: a \u{1b}[31m in a key
                                                   and 3 more rejected
rejected  2.0 kB        0           0         0  notes.json
                                                   not JSON at byte 0
";
        check(ListFormat::Table, Some(200), expected);
        let footer = footer(&sample(), &[]);
        let expected = "3 of 3 files: 2,400 records, 6 of them duplicates, 4 expired; 5 rejected";
        assert_eq!(footer, expected);
    }

    #[test]
    fn a_narrow_terminal_gets_a_table_that_fits() {
        let mut out = Vec::new();
        let look = Look { is_terminal: true, width: Some(72), has_colour: false };
        write(&mut out, &sample(), &[], ListFormat::Table, look).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= 72), "{text}");
        assert!(text.contains("and 3 more"), "{text}");
    }

    #[test]
    fn ndjson_is_one_file_a_line() {
        let lines: Vec<_> =
            sample().files.iter().map(|file| serde_json::to_string(file).unwrap() + "\n").collect();
        check(ListFormat::Ndjson, None, &lines.concat());
    }

    #[test]
    fn csv_has_a_row_a_file() {
        let mut out = Vec::new();
        write(&mut out, &sample(), &[], ListFormat::Csv, Look::default()).unwrap();
        let csv = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert!(lines[0].starts_with("path,state,size,modified,"), "{csv}");
        assert!(lines[1].starts_with("AWSLogs/1/good.json.gz,indexed,"), "{csv}");
        assert!(csv.ends_with("not JSON at byte 0,,\n"), "{csv}");
    }

    #[test]
    fn sums_are_a_table_of_what_was_asked_for() {
        let (first, last) = (Some(Micros(0)), Some(Micros(60_000_000)));
        let sums =
            FileSums { files: 1, records: 1200, duplicates: 3, first, last, ..FileSums::default() };
        let group = |account: &str, day: &str| FileGroup {
            account: Some(account.into()),
            day: Some(day.into()),
            sums: sums.clone(),
            ..FileGroup::default()
        };
        let groups = vec![group("", "2023-07-10"), group("111122223333", "2023-07-11")];
        let response = FilesResponse { groups, total: 2, sums, ..Default::default() };
        let by = [Dimension::Account, Dimension::Day];
        let expected = r"ACCOUNT       DAY         FILES  RECORDS  DUPLICATES  EXPIRED  CONFLICTING  REPAIRED  REJECTED  FIRST                 LAST
-             2023-07-10      1    1,200           3        0            0         0         0  1970-01-01T00:00:00Z  1970-01-01T00:01:00Z
111122223333  2023-07-11      1    1,200           3        0            0         0         0  1970-01-01T00:00:00Z  1970-01-01T00:01:00Z
";
        check_by(&response, &by, ListFormat::Table, None, expected);
        let expected = "2 of 2 sums over 1 files: 1,200 records, 3 of them duplicates; 0 rejected";
        assert_eq!(footer(&response, &by), expected);
    }

    #[test]
    fn every_state_can_be_asked_for() {
        assert!(FileState::ALL.iter().map(|(name, _)| name).eq(STATES));
    }
}
