//! The rows of a table, and the stages behind `stats` that work on them.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::fields::at;
use crate::lower::ColumnKind;
use crate::meaning::RowMeaning;
use crate::ranked::in_order;
use language::ast::{FieldRef, SortKey};
use language::syntax::closest;
use trail::cell::Cell;
use wire::{ApiError, ErrorKind, Table};

/// A column of a table.
#[derive(Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The kind of the column's values.
    pub(crate) kind: ColumnKind,
}

/// A table that stages still change.
pub(crate) struct Rows {
    columns: Vec<Column>,
    /// How many columns are keys; rows that compare equal are in their order.
    keys: usize,
    rows: Vec<Vec<Cell>>,
    is_exact: bool,
}

impl Rows {
    /// Makes a table, sorted by the keys.
    pub(crate) fn new(
        columns: Vec<Column>,
        keys: usize,
        mut rows: Vec<Vec<Cell>>,
        is_exact: bool,
    ) -> Self {
        rows.sort();
        Self { columns, keys, rows, is_exact }
    }

    pub(crate) fn first_column(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().filter_map(|row| row.first())
    }

    /// Turns the first rows into the table of an answer.
    pub(crate) fn into_table(self, limit: usize) -> Table {
        let rows_total = self.rows.len() as u64;
        let json = |cell: Cell| serde_json::to_value(cell).unwrap_or_default();
        let rows = self.rows.into_iter().take(limit);
        let rows = rows.map(|row| row.into_iter().map(json).collect()).collect();
        let columns = self.columns.into_iter().map(|column| column.name).collect();
        Table { columns, rows, rows_total, exact: self.is_exact }
    }

    /// Finds the column that a name means, and the kind of its values.
    pub(crate) fn named(&self, field: &FieldRef) -> Result<(usize, ColumnKind), ApiError> {
        let at = self.column(field)?;
        Ok((at, self.columns[at].kind))
    }

    fn column(&self, field: &FieldRef) -> Result<usize, ApiError> {
        let found = self.columns.iter().position(|column| column.name == field.name);
        found.ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|column| &*column.name).collect();
            let known = closest(&field.name, names.iter().copied());
            let columns = names.join(", ");
            let message = format!(
                "the table has no column '{}'{}, but {columns}",
                field.name,
                at(field.offset)
            );
            ApiError {
                offset: field.offset,
                suggestion: known.map(str::to_owned),
                ..ApiError::new(ErrorKind::UnknownField, message)
            }
        })
    }

    fn columns(&self, fields: &[FieldRef]) -> Result<Vec<usize>, ApiError> {
        fields.iter().map(|field| self.column(field)).collect()
    }

    /// Sorts by columns, then by the keys.
    pub(crate) fn sort(&mut self, sort: &[SortKey]) -> Result<(), ApiError> {
        let mut columns = Vec::with_capacity(sort.len());
        for key in sort {
            columns.push((self.column(&key.field)?, key.is_descending));
        }
        columns.extend((0..self.keys).map(|key| (key, false)));
        self.rows.sort_by(|a, b| {
            let each = columns
                .iter()
                .map(|(at, is_descending)| in_order(&a[*at], &b[*at], *is_descending));
            each.fold(Ordering::Equal, Ordering::then)
        });
        Ok(())
    }

    /// Keeps the first rows, or with `by`, the first rows of each combination of values in these
    /// columns.
    pub(crate) fn limit(&mut self, limit: u64, by: &[FieldRef]) -> Result<(), ApiError> {
        let by = self.columns(by)?;
        let mut seen: HashMap<Vec<Cell>, u64> = HashMap::new();
        self.rows.retain(|row| {
            let seen = seen.entry(by.iter().map(|at| row[*at].clone()).collect()).or_default();
            *seen += 1;
            *seen <= limit
        });
        Ok(())
    }

    /// Keeps only these columns, in this order.
    pub(crate) fn choose(&mut self, fields: &[FieldRef]) -> Result<(), ApiError> {
        let columns = self.columns(fields)?;
        for row in &mut self.rows {
            *row = columns.iter().map(|at| row[*at].clone()).collect();
        }
        self.columns = columns.iter().map(|at| self.columns[*at].clone()).collect();
        // The rows stay in the order that they have.
        self.keys = 0;
        Ok(())
    }

    /// Keeps the rows that meet a condition.
    pub(crate) fn filter(&mut self, filter: &RowMeaning) {
        self.rows.retain(|row| filter.is_met(&|test| test.is_met_by(row)));
    }
}
