//! Rows of a table, and what the stages behind `stats` make of them.

use std::cmp::Ordering;
use std::collections::HashMap;

use crate::fields::at;
use crate::form::{AnyCase, Between, Form, Match, Phrase, Row};
use crate::ranked::in_order;
use crate::value_clauses::ValueTest;
use language::ast::{Expr, FieldRef, SortKey, Test};
use language::syntax::closest;
use language::time::{Clock, parse_time};
use trail::cell::Cell;
use trail::words::words;
use wire::{ApiError, ErrorKind, Table};

/// A table in the making.
pub struct Rows {
    columns: Vec<String>,
    /// How many columns are keys; rows that compare equal are in their order.
    keys: usize,
    rows: Vec<Vec<Cell>>,
    is_exact: bool,
}

impl Rows {
    /// In the order of their keys.
    pub fn new(
        columns: Vec<String>,
        keys: usize,
        mut rows: Vec<Vec<Cell>>,
        is_exact: bool,
    ) -> Self {
        rows.sort();
        Self { columns, keys, rows, is_exact }
    }

    pub fn first_column(&self) -> impl Iterator<Item = &Cell> {
        self.rows.iter().filter_map(|row| row.first())
    }

    /// The first rows, as they are answered.
    pub fn into_table(self, limit: usize) -> Table {
        let rows_total = self.rows.len() as u64;
        let json = |cell: Cell| serde_json::to_value(cell).unwrap_or_default();
        let rows = self.rows.into_iter().take(limit);
        let rows = rows.map(|row| row.into_iter().map(json).collect()).collect();
        Table { columns: self.columns, rows, rows_total, exact: self.is_exact }
    }

    fn column(&self, field: &FieldRef) -> Result<usize, ApiError> {
        let found = self.columns.iter().position(|column| *column == field.name);
        found.ok_or_else(|| {
            let known = closest(&field.name, self.columns.iter().map(String::as_str));
            let columns = self.columns.join(", ");
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
    pub fn sort(&mut self, sort: &[SortKey]) -> Result<(), ApiError> {
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

    /// Keeps the first rows, of each combination of some columns' values.
    pub fn limit(&mut self, limit: u64, by: &[FieldRef]) -> Result<(), ApiError> {
        let by = self.columns(by)?;
        let mut seen: HashMap<Vec<Cell>, u64> = HashMap::new();
        self.rows.retain(|row| {
            let seen = seen.entry(by.iter().map(|at| row[*at].clone()).collect()).or_default();
            *seen += 1;
            *seen <= limit
        });
        Ok(())
    }

    /// Keeps some columns.
    pub fn choose(&mut self, fields: &[FieldRef]) -> Result<(), ApiError> {
        let columns = self.columns(fields)?;
        for row in &mut self.rows {
            *row = columns.iter().map(|at| row[*at].clone()).collect();
        }
        self.columns = fields.iter().map(|field| field.name.clone()).collect();
        // The rows stay in the order that they have.
        self.keys = 0;
        Ok(())
    }

    /// Keeps the rows that meet a condition.
    pub fn filter(&mut self, filter: &Expr, clock: &Clock) -> Result<(), ApiError> {
        let condition = self.condition(filter, clock)?;
        self.rows.retain(|row| condition(row));
        Ok(())
    }

    fn condition(&self, expr: &Expr, clock: &Clock) -> Result<Condition, ApiError> {
        Ok(match expr {
            Expr::All => Box::new(|_| true),
            Expr::Word(text) | Expr::Phrase(text) => anywhere(Row(words(text))),
            Expr::Wildcard(pattern) => anywhere(Form::new(pattern)),
            Expr::Regex(regex) => anywhere(compiled(regex)?),
            Expr::Field { field, test } => {
                let at = self.column(field)?;
                if let Test::Compared { .. } = test {
                    let message = "columns are compared with values; quote the value";
                    return Err(ApiError::new(ErrorKind::BadQuery, message));
                }
                let test = cell_test(test, clock)?;
                Box::new(move |row| test(&row[at]))
            }
            Expr::And(parts) => {
                let parts = self.conditions(parts, clock)?;
                Box::new(move |row| parts.iter().all(|part| part(row)))
            }
            Expr::Or(parts) => {
                let parts = self.conditions(parts, clock)?;
                Box::new(move |row| parts.iter().any(|part| part(row)))
            }
            Expr::Not(inner) => {
                let inner = self.condition(inner, clock)?;
                Box::new(move |row| !inner(row))
            }
        })
    }

    fn conditions(&self, parts: &[Expr], clock: &Clock) -> Result<Vec<Condition>, ApiError> {
        parts.iter().map(|part| self.condition(part, clock)).collect()
    }
}

type Condition = Box<dyn Fn(&[Cell]) -> bool>;
type CellTest = Box<dyn Fn(&Cell) -> bool>;

/// Rows one of whose cells passes.
fn anywhere(test: impl ValueTest) -> Condition {
    Box::new(move |row| row.iter().any(|cell| test.is_met_by(&cell.to_string())))
}

fn cell_test(test: &Test, clock: &Clock) -> Result<CellTest, ApiError> {
    fn of_text(test: impl ValueTest) -> CellTest {
        Box::new(move |cell| *cell != Cell::Null && test.is_met_by(&cell.to_string()))
    }
    Ok(match test {
        Test::Is(value) => {
            let text = value.text.clone();
            let number = text.parse::<f64>().ok();
            let span = parse_time(&text, clock).ok();
            Box::new(move |cell| match cell {
                Cell::Null => false,
                Cell::Time(time) => span.is_some_and(|span| (span.start..span.end).contains(time)),
                cell => cell.to_string() == text || number.is_some() && cell.as_number() == number,
            })
        }
        Test::AnyCase(pattern) => of_text(AnyCase::new(pattern)),
        Test::Phrase(text) => of_text(Phrase::new(text)),
        Test::Wildcard(pattern) => of_text(Form::new(pattern)),
        Test::Regex(regex) => of_text(compiled(regex)?),
        Test::Range { lower, upper } => {
            let between = Between::new(lower, upper, clock).map_err(|(offset, error)| {
                let message = format!("{error}{}", at(offset));
                ApiError { offset, ..ApiError::new(ErrorKind::BadQuery, message) }
            })?;
            of_text(between)
        }
        Test::Exists => Box::new(|cell| *cell != Cell::Null),
        Test::OneOf(tests) => {
            let tests: Vec<CellTest> =
                tests.iter().map(|test| cell_test(test, clock)).collect::<Result<_, _>>()?;
            Box::new(move |cell| tests.iter().any(|test| test(cell)))
        }
        Test::Compared { .. } | Test::InQuery(_) => unreachable!("taken apart before"),
    })
}

fn compiled(regex: &language::ast::Regex) -> Result<Match, ApiError> {
    let fault = |reason: String| ApiError::new(ErrorKind::BadQuery, reason);
    Match::new(regex).map_err(fault)
}
