//! `traildex fields`: the fields that events have, with their kinds and how many events have each.

use std::io::{self, Write};

use clap::builder::RangedU64ValueParser;

use super::{EXIT_CODES, Exit};
use crate::cli::answer::text_of;
use crate::cli::ask::AskArg;
use crate::cli::list::{List, ListArgs};
use crate::cli::table::{Cell, ListFormat};
use crate::cli::text::{counted, escape, thousands};
use wire::limits::{FIELDS_LIMIT_MAX, VALUES_LIMIT_MAX};
use wire::{Field, FieldType, FieldsRequest};

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// Only fields whose path, one of its later parts, or whose short name begins with this
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// Show so many of the most frequent values of each, too
    #[arg(long, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=VALUES_LIMIT_MAX as u64))]
    values: Option<usize>,
    /// How many fields to list at most [default: 100]
    #[arg(long, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=FIELDS_LIMIT_MAX as u64))]
    limit: Option<usize>,
    #[command(flatten)]
    list: ListArgs,
    #[command(flatten)]
    ask: AskArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let answer = args.ask.client()?.fields(&FieldsRequest {
        prefix: args.prefix.clone(),
        limit: args.limit,
        values: args.values,
    })?;
    let keys = ["path", "short", "types", "events", "values"];
    let header = ["FIELD", "SHORT", "TYPES", "EVENTS", "VALUES"];
    let columns = if args.values.is_some() { header.len() } else { header.len() - 1 };
    let list = List { answer: &answer, entries: &answer.fields, keys: &keys[..columns] };
    args.list.show(&list, &header[..columns], |field| {
        let mut row = row(field);
        row.truncate(columns);
        row
    })?;
    if args.list.format != ListFormat::Json {
        let shown = thousands(answer.fields.len() as u64);
        let _ = writeln!(io::stderr(), "{shown} of {}", counted(answer.total, "field"));
    }
    warn(&answer.warnings);
    Ok(Exit::found(answer.total > 0))
}

/// Says why an answer may lack events.
pub(super) fn warn(warnings: &[String]) {
    for warning in warnings {
        let _ = writeln!(io::stderr(), "warning: {}", escape(warning));
    }
}

fn row(field: &Field) -> Vec<Cell> {
    let types: Vec<String> = field.types.iter().map(FieldType::to_string).collect();
    let values = field.values.iter().flatten();
    let values: Vec<String> = values.filter_map(|value| text_of(&value.value)).collect();
    let values = values.join(", ");
    vec![
        Cell::text(Some(field.query.as_ref().unwrap_or(&field.path))),
        Cell::text(field.short.as_deref()),
        Cell::text(Some(&types.join(", "))),
        Cell::number(thousands(field.events)),
        Cell::text(Some(values.as_str()).filter(|values| !values.is_empty())),
    ]
}
