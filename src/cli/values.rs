//! `traildex values`: the most frequent values of a field.

use clap::builder::RangedU64ValueParser;

use super::{EXIT_CODES, Exit};
use crate::cli::answer::text_of;
use crate::cli::ask::AskArg;
use crate::cli::errors::QueryError;
use crate::cli::fields::warn;
use crate::cli::list::{List, ListArgs};
use crate::cli::table::Cell;
use crate::cli::text::thousands;
use wire::ValuesRequest;
use wire::limits::VALUES_LIMIT_MAX;

#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct Args {
    /// The field, as queries name it
    #[arg(value_name = "FIELD")]
    field: String,
    /// Only values that begin with this
    #[arg(value_name = "PREFIX")]
    prefix: Option<String>,
    /// Only of the events that this filter finds
    #[arg(long, value_name = "QUERY", allow_hyphen_values = true)]
    query: Option<String>,
    /// Only of events since this time: 2023-07-10, 2023-07-10T11:42:36Z, -24h, now
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Only of events before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Zone of times without an offset: Europe/Berlin [default: UTC]
    #[arg(long, value_name = "ZONE")]
    time_zone: Option<String>,
    /// How many values to list at most [default: 10]
    #[arg(long, value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=VALUES_LIMIT_MAX as u64))]
    limit: Option<usize>,
    #[command(flatten)]
    list: ListArgs,
    #[command(flatten)]
    ask: AskArg,
}

pub(super) fn run(args: &Args) -> anyhow::Result<Exit> {
    let request = ValuesRequest {
        field: args.field.clone(),
        prefix: args.prefix.clone(),
        limit: args.limit,
        query: args.query.clone(),
        start: args.since.clone(),
        end: args.until.clone(),
        time_zone: args.time_zone.clone(),
    };
    let query = args.query.as_deref().unwrap_or_default();
    let client = args.ask.client()?;
    let answer = client.values(&request).map_err(|error| QueryError::locate(error, query))?;
    let list = List { answer: &answer, entries: &answer.values, keys: &["value", "events"] };
    args.list.show(&list, &["VALUE", "EVENTS"], |value| {
        vec![Cell::text(text_of(&value.value).as_deref()), Cell::number(thousands(value.events))]
    })?;
    warn(&answer.warnings);
    Ok(Exit::found(!answer.values.is_empty()))
}
