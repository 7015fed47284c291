//! Conditions on rows, said again: a cell is a value of an event, and is asked the same.

use jiff::Timestamp;
use language::ast::{Expr, Function, FunctionKind, GroupKey};
use serde_json::Value as Json;

use super::evaluate::{Archive, Kind, compile, has_row, is_of_form, lower};
use super::record::{Scalar, hour_word, known_part, words_of, written_span};

/// A column of a table.
#[derive(Clone)]
pub struct Column {
    pub name: String,
    pub kind: Kind,
}

/// A row's values; none where there is no value.
type Cells = Vec<Option<Scalar>>;

pub type Meets = Box<dyn Fn(&Cells) -> bool>;

impl Column {
    pub fn of_key(key: &GroupKey) -> Self {
        let kind = match key {
            GroupKey::Bin { .. } => Kind::Time,
            GroupKey::Net { .. } => Kind::Plain,
            GroupKey::Field { field, .. } => Kind::of(&field.name),
        };
        Self { name: key.column(), kind }
    }

    pub fn of_function(function: &Function) -> Self {
        use FunctionKind::{First, Last, Max, Min};
        let is_value = matches!(function.kind, Min | Max | First | Last);
        let field = function.field.as_ref().filter(|_| is_value);
        let kind = field.map_or(Kind::Plain, |field| Kind::of(&field.name));
        Self { name: function.column(), kind }
    }

    /// What is in a cell of the column.
    pub fn read(&self, cell: &Json) -> Option<Scalar> {
        let scalar = Scalar::of(cell)?;
        Some(match self.kind {
            Kind::Time => {
                Scalar::Time(scalar.text().parse::<Timestamp>().unwrap().as_microsecond())
            }
            _ => scalar,
        })
    }
}

/// Keeps the rows that meet a condition.
pub fn filter(archive: &Archive, columns: &[Column], filter: &Expr, rows: &mut Vec<Vec<Json>>) {
    let meets = meaning(&archive.without_queries(filter), columns);
    rows.retain(|row| {
        meets(&columns.iter().zip(row).map(|(column, cell)| column.read(cell)).collect())
    });
}

fn meaning(expr: &Expr, columns: &[Column]) -> Meets {
    let all = |parts: &[Expr]| -> Vec<Meets> {
        parts.iter().map(|part| meaning(part, columns)).collect()
    };
    match expr {
        Expr::All => Box::new(|_| true),
        Expr::And(parts) => {
            let parts = all(parts);
            Box::new(move |row| parts.iter().all(|part| part(row)))
        }
        Expr::Or(parts) => {
            let parts = all(parts);
            Box::new(move |row| parts.iter().any(|part| part(row)))
        }
        Expr::Not(inner) => {
            let inner = meaning(inner, columns);
            Box::new(move |row| !inner(row))
        }
        Expr::Word(text) | Expr::Phrase(text) => {
            let (wanted, span) = (words_of(text), written_span(text));
            Box::new(move |row| {
                row.iter().flatten().any(|value| match value {
                    Scalar::Time(found) => span.as_ref().is_some_and(|span| span.contains(found)),
                    value => has_row(&words_in(value), &wanted),
                })
            })
        }
        Expr::Wildcard(pattern) => {
            let pattern = lower(pattern);
            any_word(move |word| is_of_form(word, pattern.pieces()))
        }
        Expr::Regex(regex) => {
            let regex = compile(&regex.pattern, true);
            any_word(move |word| regex.is_match(word))
        }
        Expr::Field { field, test } => {
            let at = columns.iter().position(|column| column.name == field.name).unwrap();
            let is_meant = columns[at].kind.meaning(test);
            Box::new(move |row| row[at].as_ref().is_some_and(&is_meant))
        }
    }
}

fn any_word(test: impl Fn(&str) -> bool + 'static) -> Meets {
    Box::new(move |row| {
        row.iter().flatten().any(|value| words_in(value).iter().any(|word| test(known_part(word))))
    })
}

/// The words of a value of a row. A time has one.
pub fn words_in(value: &Scalar) -> Vec<String> {
    match value {
        Scalar::Time(time) => vec![hour_word(*time)],
        value => words_of(&value.text()),
    }
}
