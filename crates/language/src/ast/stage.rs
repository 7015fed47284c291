//! What a query makes of its events, stage by stage.

use std::fmt;

use super::{Expr, FieldRef};

/// One stage, behind a `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Only events that meet this; behind `Stats`, only rows.
    Filter(Expr),
    /// A row for each combination of the keys' values, or one row where there are no keys.
    Stats { functions: Vec<Function>, by: Vec<Key> },
    /// By these, the first before the second.
    Sort(Vec<SortKey>),
    /// At most so many; with fields, so many of each combination of their values.
    Limit { rows: u64, by: Vec<FieldRef> },
    /// A table of these in place of whole events; behind `Stats`, only these columns.
    Fields(Vec<FieldRef>),
    /// Of events that agree in all of these, the first.
    Dedup(Vec<FieldRef>),
}

/// What is computed of the events of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    pub kind: FunctionKind,
    /// `Count` may go without: then it counts events, else those that have the field.
    pub field: Option<FieldRef>,
    /// Name of the column, in place of the function's own.
    pub name: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    Count,
    /// How many values there are.
    Distinct,
    Sum,
    Avg,
    Min,
    Max,
    /// The value of the earliest event that has one.
    First,
    /// The value of the latest event that has one.
    Last,
    /// In thousandths of a percent.
    Percentile(u32),
}

/// What rows are told apart by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    Field {
        field: FieldRef,
        /// Name of the column, in place of the field's.
        name: Option<String>,
    },
    /// The event's time, rounded down.
    Bin { bin: Bin, name: Option<String> },
}

/// A stretch of time: days and longer ones by the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    pub count: u32,
    pub unit: BinUnit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinUnit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
}

/// A column of the table, or a field of the events, and its direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    pub field: FieldRef,
    pub is_descending: bool,
}

/// Name of the column of time, where a key rounds it.
const BIN_COLUMN: &str = "time";

/// Thousandths of a percent in one.
pub(crate) const PERCENT: u32 = 1_000;

impl Function {
    pub fn count() -> Self {
        Self { kind: FunctionKind::Count, field: None, name: None }
    }

    pub fn column(&self) -> String {
        self.name.clone().unwrap_or_else(|| match &self.field {
            Some(field) => format!("{}({})", self.kind, field.name),
            None => self.kind.to_string(),
        })
    }
}

impl Key {
    pub fn column(&self) -> &str {
        match self {
            Self::Field { name: Some(name), .. } | Self::Bin { name: Some(name), .. } => name,
            Self::Field { field, .. } => &field.name,
            Self::Bin { .. } => BIN_COLUMN,
        }
    }
}

impl BinUnit {
    pub const ALL: [(&'static str, Self); 6] = [
        ("s", Self::Second),
        ("m", Self::Minute),
        ("h", Self::Hour),
        ("d", Self::Day),
        ("w", Self::Week),
        ("mo", Self::Month),
    ];
}

impl Bin {
    /// `5m`, say.
    pub fn parse(text: &str) -> Option<Self> {
        let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
        let (count, unit) = text.split_at(unit_at);
        let (_, unit) = BinUnit::ALL.into_iter().find(|(name, _)| *name == unit)?;
        let count = if count.is_empty() { 1 } else { count.parse().ok()? };
        (1..=Self::COUNT_MAX).contains(&count).then_some(Self { count, unit })
    }

    /// The calendar ends before 20,000 times the longest unit.
    pub(crate) const COUNT_MAX: u32 = 10_000;
}

impl FunctionKind {
    /// The names of the functions, but for the percentiles: `p95`.
    pub const ALL: [(&'static str, Self); 8] = [
        ("count", Self::Count),
        ("distinct", Self::Distinct),
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
        ("first", Self::First),
        ("last", Self::Last),
    ];
}

impl fmt::Display for FunctionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Percentile(thousandths) = self {
            let (whole, rest) = (thousandths / PERCENT, thousandths % PERCENT);
            let fraction = format!(".{rest:03}");
            return write!(f, "p{whole}{}", fraction.trim_end_matches('0').trim_end_matches('.'));
        }
        let found = Self::ALL.iter().find(|(_, kind)| kind == self);
        f.write_str(found.map_or("", |(name, _)| name))
    }
}

impl fmt::Display for Bin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, _) = BinUnit::ALL[self.unit as usize];
        write!(f, "{}{name}", self.count)
    }
}
