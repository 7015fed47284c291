//! The rows of a table, and the stages behind `stats` that work on them.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::fields::at;
use crate::lower::{ColumnKind, FieldKind};
use crate::meaning::RowMeaning;
use crate::numbers::Holds;
use crate::ranked::{in_order, list_bytes};
use crate::sorting::{first_sorted, in_order_of, sorted};
use language::ast::{FieldRef, Function, SortKey};
use language::syntax::closest;
use segment::IndexError;
use segment::stop::Pace;
use trail::cell::Cell;
use wire::{ApiError, ErrorKind, Table};

/// A column of a table.
#[derive(Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The function that it is of, as it is called in its plain form.
    pub(crate) function: Option<String>,
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
    /// How many rows follow that are counted only.
    left_out: u64,
}

impl Rows {
    /// Makes a table, in no order yet.
    pub(crate) fn new(
        columns: Vec<Column>,
        keys: usize,
        rows: Vec<Vec<Cell>>,
        is_exact: bool,
    ) -> Self {
        Self { columns, keys, rows, is_exact, left_out: 0 }
    }

    /// So many rows follow those that are here.
    pub(crate) fn leave_out(&mut self, rows: u64) {
        self.left_out = rows;
    }

    pub(crate) fn into_rows(self) -> Vec<Vec<Cell>> {
        self.rows
    }

    /// How many rows there are, with those that are counted only.
    pub(crate) fn total(&self) -> u64 {
        self.rows.len() as u64 + self.left_out
    }

    /// Sorts by the keys, in the plain order of values: rows without one come first, where a stage that
    /// sorts has them last.
    pub(crate) fn sort_by_keys(&mut self, pace: &mut Pace<'_>) -> Result<(), ApiError> {
        let compare = |a: usize, b: usize| {
            let mut cells = self.rows[a].iter().zip(&self.rows[b]);
            cells
                .find_map(|(a, b)| Some(in_order(a, b, false)).filter(|order| order.is_ne()))
                .unwrap_or(Ordering::Equal)
        };
        let (rows, steps) = (self.rows.len(), steps(self.columns.len()));
        let order = sorted(rows, compare, steps, |steps| pace.spend(steps))?;
        self.rows = in_order_of(std::mem::take(&mut self.rows), &order);
        Ok(())
    }

    pub(crate) fn first_column(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().filter_map(|row| row.first())
    }

    /// How many rows there are.
    pub(crate) fn count(&self) -> usize {
        self.rows.len()
    }

    /// Bytes of memory that the rows take, about.
    pub(crate) fn bytes(&self) -> usize {
        self.rows.iter().map(|row| list_bytes(row)).sum()
    }

    /// Keeps the first rows.
    pub(crate) fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
        self.rows.shrink_to_fit();
    }

    /// Some rows as the table of an answer.
    pub(crate) fn part(&self, from: usize, limit: usize) -> Table {
        let json = |cell: &Cell| serde_json::to_value(cell).unwrap_or_default();
        let rows = self.rows.iter().skip(from).take(limit);
        let rows = rows.map(|row| row.iter().map(json).collect()).collect();
        let columns = self.columns.iter().map(|column| column.name.clone()).collect();
        let rows_total = self.total();
        Table { columns, rows, rows_total, exact: self.is_exact }
    }

    /// Finds the column that a name means, and the kind of its values.
    pub(crate) fn named(&self, field: &FieldRef) -> Result<(usize, ColumnKind), ApiError> {
        let at = self.column(field)?;
        Ok((at, self.columns[at].kind))
    }

    /// The first column whose values are of a kind.
    pub(crate) fn of_kind(&self, kind: FieldKind) -> Option<usize> {
        self.columns.iter().position(|column| column.kind == ColumnKind::Values(kind))
    }

    /// Which values are in the column that a name means.
    pub(crate) fn holds(&self, field: &FieldRef) -> Result<Holds, ApiError> {
        let at = self.column(field)?;
        let is_number = |row: &Vec<Cell>| matches!(row[at], Cell::Int(_) | Cell::Float(_));
        let is_other = |row: &Vec<Cell>| !is_number(row) && row[at] != Cell::Null;
        Ok(Holds {
            numbers: self.rows.iter().any(is_number),
            others: self.rows.iter().any(is_other),
        })
    }

    fn column(&self, field: &FieldRef) -> Result<usize, ApiError> {
        let named = self.columns.iter().position(|column| column.name == field.name);
        // A function can be written in several ways: `count` and `count(*)`.
        let found = named.or_else(|| {
            let function = plain_form(&field.name)?;
            self.columns.iter().position(|column| column.function.as_ref() == Some(&function))
        });
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

    /// Sorts by columns, then by the keys. Drops all but the first rows where no more are `wanted`.
    pub(crate) fn sort(
        &mut self,
        sort: &[SortKey],
        wanted: Option<u64>,
        pace: &mut Pace<'_>,
    ) -> Result<(), ApiError> {
        let mut columns = Vec::with_capacity(sort.len());
        for key in sort {
            columns.push((self.column(&key.field)?, key.is_descending));
        }
        columns.extend((0..self.keys).map(|key| (key, false)));
        let wanted = wanted.and_then(|wanted| usize::try_from(wanted).ok());
        let compare = |a: usize, b: usize| {
            let (a, b) = (&self.rows[a], &self.rows[b]);
            let mut each = columns
                .iter()
                .map(|(at, is_descending)| in_order(&a[*at], &b[*at], *is_descending));
            each.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
        };
        let (rows, steps) = (self.rows.len(), steps(columns.len()));
        let wanted = wanted.unwrap_or(rows);
        let order = first_sorted(rows, wanted, compare, steps, |steps| pace.spend(steps))?;
        self.rows = in_order_of(std::mem::take(&mut self.rows), &order);
        Ok(())
    }

    /// Keeps the first rows, or with `by`, the first rows of each combination of values in these
    /// columns.
    pub(crate) fn limit(
        &mut self,
        limit: u64,
        by: &[FieldRef],
        pace: &mut Pace<'_>,
    ) -> Result<(), ApiError> {
        let by = self.columns(by)?;
        if by.is_empty() {
            self.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
            return Ok(());
        }
        let mut seen: HashMap<Vec<Cell>, u64> = HashMap::new();
        self.keep(steps(by.len()), pace, |row| {
            let seen = seen.entry(by.iter().map(|at| row[*at].clone()).collect()).or_default();
            *seen += 1;
            *seen <= limit
        })
    }

    /// Keeps the rows that pass a test of so many steps.
    fn keep(
        &mut self,
        steps: usize,
        pace: &mut Pace<'_>,
        mut test: impl FnMut(&[Cell]) -> bool,
    ) -> Result<(), ApiError> {
        let mut ended = Ok(());
        self.rows.retain(|row| {
            if ended.is_ok() {
                ended = pace.spend(steps);
            }
            ended.is_ok() && test(row)
        });
        Ok(ended?)
    }

    /// Keeps only these columns, in this order. Where a column is chosen several times, the rows must fit
    /// so many bytes.
    pub(crate) fn choose(
        &mut self,
        fields: &[FieldRef],
        bytes_max: usize,
        pace: &mut Pace<'_>,
    ) -> Result<(), ApiError> {
        let columns = self.columns(fields)?;
        let grow = columns.len() > self.columns.len();
        let mut bytes = 0;
        for (done, row) in self.rows.iter_mut().enumerate() {
            pace.spend(steps(columns.len()))?;
            *row = columns.iter().map(|at| row[*at].clone()).collect();
            bytes += list_bytes(row);
            if grow && bytes > bytes_max {
                return Err(IndexError::TooManyGroups { groups: done }.into());
            }
        }
        self.columns = columns.iter().map(|at| self.columns[*at].clone()).collect();
        // The rows stay in the order that they have.
        self.keys = 0;
        Ok(())
    }

    /// Keeps the rows that meet a condition.
    pub(crate) fn filter(
        &mut self,
        filter: &RowMeaning,
        pace: &mut Pace<'_>,
    ) -> Result<(), ApiError> {
        let mut tests = 0;
        filter.each_test(&mut |test| tests += test.steps());
        // A test is of all columns, which are texts of some length.
        let steps = tests.saturating_mul(steps(self.columns.len()));
        self.keep(steps, pace, |row| filter.is_met(&|test| test.is_met_by(row)))
    }
}

/// The column of a function in its plain form: `distinct(ip)` of `dc(ip)`.
fn plain_form(name: &str) -> Option<String> {
    Function::of_text(name).map(|function| function.unnamed().column())
}

/// Whether a name is another way to write a function.
pub(crate) fn is_column_of(name: &str, function: &Function) -> bool {
    plain_form(name).is_some_and(|plain| plain == function.unnamed().column())
}

/// Steps that looking at so many values of a row takes, about.
fn steps(columns: usize) -> usize {
    64 * (columns + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment::stop::Stop;

    #[test]
    fn columns_that_are_chosen_again_and_again_fit_the_memory_or_are_refused() {
        let stop = Stop::when(|| false);
        let chosen = |times: usize, bytes_max| {
            let kind = ColumnKind::Values(FieldKind::Any);
            let column = Column { name: "a".to_owned(), function: None, kind };
            let rows = (0..1_000).map(|n| vec![Cell::text(&n.to_string().repeat(1_000))]);
            let mut rows = Rows::new(vec![column], 1, rows.collect(), true);
            let fields = vec![FieldRef::named("a"); times];
            rows.choose(&fields, bytes_max, &mut Pace::new(&stop)).map(|()| rows.bytes())
        };
        let once = chosen(1, 0).unwrap();
        assert!(once > 2 << 20, "what is there is not weighed again");
        assert_eq!(chosen(100, 8 << 20).unwrap_err().kind, ErrorKind::BadRequest);
        assert!(chosen(100, 400 << 20).unwrap() > 50 * once);
    }
}
