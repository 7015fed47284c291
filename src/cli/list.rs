//! A list that the daemon answers with, in the form that is asked for.

use std::io::Write;

use clap::Args;
use serde::Serialize;

use crate::cli::output::{ColorArg, Look, Output};
use crate::cli::shown::{csv_for_terminal, json_for_terminal};
use crate::cli::table::{Cell, ListFormat, table};
use formats::csv::CsvWriter;

/// `--format` and `--color`, for commands that show nothing but a list.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// table, json (the daemon's whole answer), ndjson (one entry a line), or csv, safe to open in a
    /// spreadsheet
    #[arg(long, value_enum, hide_possible_values = true, default_value_t = ListFormat::Table)]
    pub format: ListFormat,
    #[command(flatten)]
    color: ColorArg,
}

/// An answer and what it lists.
pub(super) struct List<'a, A, T> {
    pub answer: &'a A,
    pub entries: &'a [T],
    /// Keys of the entries, each a column of CSV.
    pub keys: &'a [&'a str],
}

impl ListArgs {
    pub(super) fn show<A: Serialize, T: Serialize>(
        &self,
        list: &List<'_, A, T>,
        header: &[&str],
        row: impl Fn(&T) -> Vec<Cell>,
    ) -> anyhow::Result<()> {
        let look = self.color.look();
        let mut out = Output::open(look);
        match self.format {
            ListFormat::Table if list.entries.is_empty() => {}
            ListFormat::Table => {
                let rows: Vec<_> = list.entries.iter().map(row).collect();
                writeln!(out, "{}", table(header, &rows, look))?;
            }
            ListFormat::Json => write_json(&mut out, list.answer, look)?,
            ListFormat::Ndjson => {
                for entry in list.entries {
                    write_json(&mut out, entry, look)?;
                }
            }
            ListFormat::Csv => out.write_all(list.csv(look)?.as_bytes())?,
        }
        Ok(out.close()?)
    }
}

impl<A, T: Serialize> List<'_, A, T> {
    fn csv(&self, look: Look) -> anyhow::Result<String> {
        let mut csv = CsvWriter::new(Vec::new());
        csv.names(self.keys)?;
        for entry in self.entries {
            let entry = serde_json::to_value(entry)?;
            csv.row(&self.keys.iter().map(|key| entry[key].clone()).collect::<Vec<_>>())?;
        }
        let csv = String::from_utf8(csv.into_inner()?)?;
        Ok(if look.is_terminal { csv_for_terminal(&csv).into_owned() } else { csv })
    }
}

/// One line; texts in it are whatever somebody wrote into a record, or called a file.
pub(super) fn write_json(
    out: &mut impl Write,
    value: &impl Serialize,
    look: Look,
) -> anyhow::Result<()> {
    let json = serde_json::to_string(value)?;
    let json = if look.is_terminal { json_for_terminal(&json) } else { json.into() };
    writeln!(out, "{json}")?;
    Ok(())
}
