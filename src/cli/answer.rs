//! The table that a query's stages make, and beside a timeline, on a terminal, its numbers as bars.

use serde_json::Value;

use crate::cli::output::Look;
use crate::cli::table::{Cell, room_beside, table};
use crate::cli::text::escape;
use language::ast::{Function, GroupKey, Query, Stage};
use language::parse::parse;
use wire::{QueryForm, Table};

/// Bars are at most this long: longer ones tell no more.
const BAR_MAX: usize = 60;

/// Less than this shows nothing; there are no bars then.
const BAR_MIN: usize = 8;

/// The eighths of a block, from one to seven.
const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];

/// A table of an answer to this query.
pub(super) fn answer_table(answer: &Table, query: &QueryForm, look: Look) -> String {
    let header: Vec<String> = answer.columns.iter().map(|name| escape(name).into_owned()).collect();
    let mut header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut rows: Vec<Vec<Cell>> =
        answer.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    if let (Some(width), Some(column)) = (look.width, measure(query)) {
        let measured = answer.columns.iter().position(|name| *name == column);
        // The gap before it is counted already.
        let room = room_beside(&header, &rows, width.into()).min(BAR_MAX);
        if let Some(measured) = measured.filter(|_| room >= BAR_MIN) {
            let numbers = answer.rows.iter().map(|row| row[measured].as_f64().unwrap_or(0.0));
            let bars = bars(&numbers.collect::<Vec<_>>(), room);
            header.push("");
            for (row, bar) in rows.iter_mut().zip(bars) {
                row.push(Cell::lines(bar));
            }
        }
    }
    table(&header, &rows, look)
}

/// The column that a timeline counts in: the first of a query's figures over spans of time.
fn measure(query: &QueryForm) -> Option<String> {
    let parsed: Query;
    let query = match query {
        QueryForm::Text(text) => {
            parsed = parse(text).ok()?;
            &parsed
        }
        QueryForm::Tree(query) => query,
    };
    query.stages.iter().find_map(|stage| match stage {
        Stage::Stats { functions, by }
            if by.iter().any(|key| matches!(key, GroupKey::Bin { .. })) =>
        {
            functions.first().map(Function::column)
        }
        _ => None,
    })
}

/// A bar for each number, the largest of them as long as there is room.
fn bars(numbers: &[f64], room: usize) -> Vec<String> {
    let largest = numbers.iter().copied().fold(0.0, f64::max);
    let bar = |number: &f64| {
        if *number <= 0.0 {
            return String::new();
        }
        // What is there is seen, however small.
        let eighths = ((number / largest * (room * 8) as f64).round() as usize).max(1);
        let mut bar = "█".repeat(eighths / 8);
        bar.extend(EIGHTHS.get((eighths % 8).wrapping_sub(1)));
        bar
    };
    numbers.iter().map(bar).collect()
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::Number(number) => Cell::number(number.to_string()),
        // Among numbers, it is none that is missing.
        Value::Null => Cell::number("-"),
        value => Cell::text(text_of(value).as_deref()),
    }
}

/// A value as text; none where there is none.
pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            Some(values.iter().filter_map(text_of).collect::<Vec<_>>().join(", "))
        }
        value => Some(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(query: &str, width: Option<u16>, expected: &str) {
        let row = |time: &str, count: u64| vec![json!(time), json!(count)];
        let answer = Table {
            columns: vec!["time".into(), "count".into()],
            rows: vec![row("12:00", 100), row("13:00", 1), row("14:00", 0), row("15:00", 53)],
            rows_total: 4,
            exact: true,
        };
        let look = Look { is_terminal: width.is_some(), width, has_colour: false };
        assert_eq!(answer_table(&answer, &query.into(), look), expected.trim_end());
    }

    #[test]
    fn a_timeline_has_bars_on_a_terminal() {
        let expected = "\
time   count
12:00    100  ██████████
13:00      1  ▏
14:00      0
15:00     53  █████▎
";
        check("* | timeline 1h", Some(24), expected);
        check("* | stats count by bin(1h)", Some(24), expected);
    }

    #[test]
    fn other_tables_narrow_terminals_and_files_have_none() {
        let expected = "\
time   count
12:00    100
13:00      1
14:00      0
15:00     53
";
        check("* | timeline 1h", None, expected);
        check("* | timeline 1h", Some(21), expected);
        check("* | count by time", Some(80), expected);
    }
}
