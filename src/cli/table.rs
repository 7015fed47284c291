//! Tables: as wide as the terminal on one, without a bound elsewhere, and plain unless asked.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use comfy_table::presets;
use comfy_table::{Attribute, Cell, CellAlignment, ColumnConstraint, ContentArrangement, Table};
use serde_json::Value;

use super::text::escape;
use crate::api::proto;

/// The forms of an answer that is a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ListFormat {
    Table,
    Json,
    Ndjson,
}

/// The forms of an answer about one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Text,
    Json,
}

/// Where the output goes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    pub is_terminal: bool,
    /// Columns of the terminal.
    pub width: Option<u16>,
    pub has_colour: bool,
}

impl Look {
    pub fn of_stdout() -> Self {
        if !io::stdout().is_terminal() {
            return Self::default();
        }
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            is_terminal: true,
            width: Table::new().width(),
            has_colour: !is_set("NO_COLOR") && !is_dumb,
        }
    }

    /// A table to add rows to; the column named `whole` is never broken over lines.
    pub fn table(self, header: &[&str], whole: &str) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        if self.has_colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        if let Some(width) = self.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        let bold = |name: &&str| Cell::new(*name).add_attribute(Attribute::Bold);
        table.set_header(header.iter().map(bold).collect::<Vec<_>>());
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
            if header[column.index] == whole {
                column.set_constraint(ColumnConstraint::ContentWidth);
            }
        }
        table
    }
}

/// A cell that cannot harm the terminal; `-` where there is nothing to show.
pub fn cell(text: Option<&str>) -> Cell {
    Cell::new(text.map_or("-".into(), escape))
}

/// A table of an answer.
pub fn answer_table(answer: &proto::Table, look: Look) -> String {
    let header: Vec<String> = answer.columns.iter().map(|name| escape(name).into_owned()).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let mut table = look.table(&header, "time");
    for (at, column) in table.column_iter_mut().enumerate() {
        let is_number = |row: &Vec<Value>| row[at].is_number() || row[at].is_null();
        if answer.rows.iter().all(is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for row in &answer.rows {
        table.add_row(row.iter().map(|value| cell(text_of(value).as_deref())));
    }
    table.trim_fmt()
}

/// A value as text; none where there is none.
pub fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(values) => {
            Some(values.iter().filter_map(text_of).collect::<Vec<_>>().join(", "))
        }
        value => Some(value.to_string()),
    }
}
