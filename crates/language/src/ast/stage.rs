//! The stages of a query: what happens to the events it finds.

use std::fmt;

use super::{Expr, FieldRef};
use crate::parse::function_of;

/// One stage of a query, behind a `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Keeps what meets this: events, or rows behind `Stats`.
    Filter(Expr),
    /// Makes one row for each combination of the keys' values; without keys, one row.
    Stats {
        /// What is computed for each row; never empty.
        functions: Vec<Function>,
        /// The keys that form the groups.
        by: Vec<GroupKey>,
    },
    /// Sorts by these keys, the first before the second.
    Sort(Vec<SortKey>),
    /// Keeps the first events or rows.
    Limit {
        /// How many are kept.
        rows: u64,
        /// With fields, `rows` are kept for each combination of their values; else, of all.
        by: Vec<FieldRef>,
    },
    /// Makes a table of these fields in place of whole events; behind `Stats`, keeps only these
    /// columns.
    Fields(Vec<FieldRef>),
    /// Keeps the first of all events that have equal values in these fields.
    Dedup(Vec<FieldRef>),
}

/// A value computed over the events of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// What is computed.
    pub kind: FunctionKind,
    /// The field whose values it takes. `Count` needs none: it then counts events, else the events
    /// that have the field.
    pub field: Option<FieldRef>,
    /// The column's name; None for the function's own, such as `sum(x)`.
    pub name: Option<String>,
}

/// The functions of `stats`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionKind {
    /// How many events there are, or how many have the field.
    Count,
    /// How many distinct values there are.
    Distinct,
    /// The sum of the values.
    Sum,
    /// The mean of the values.
    Avg,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The value of the earliest event that has one.
    First,
    /// The value of the latest event that has one.
    Last,
    /// The distinct values, in order.
    Values,
    /// The values of the events in their order of time, each as often as it comes.
    List,
    /// The value at this percentile, in thousandths of a percent: 95,000 is p95.
    Percentile(u32),
}

/// A key of `stats`: what its rows are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupKey {
    /// The values of a field.
    Field {
        /// The field whose values form the groups.
        field: FieldRef,
        /// The column's name; None for the field's.
        name: Option<String>,
    },
    /// The network of an address; of what is no address, the value.
    Net {
        /// The field whose values are addresses.
        field: FieldRef,
        /// The length of the network.
        net: Net,
        /// The column's name; None for `net(field, 24)`.
        name: Option<String>,
    },
    /// The event's time, rounded down to a multiple of the bin.
    Bin {
        /// The length of one bin.
        bin: Bin,
        /// The column's name; None for `time`.
        name: Option<String>,
    },
}

/// How many bits of an address form its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// Of an IPv4 address; at most 32.
    pub v4: u8,
    /// Of an IPv6 address; at most 128.
    pub v6: u8,
}

/// The length of a time bin. Days and longer units follow the calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bin {
    /// How many units the bin has; at least 1.
    pub count: u32,
    /// The unit of time.
    pub unit: BinUnit,
}

/// The units of a time bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinUnit {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`, a day of the time zone.
    Day,
    /// `w`, a week of the time zone.
    Week,
    /// `mo`, a calendar month.
    Month,
}

/// A column or field to sort by, and its direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The column of the table, or the field of the events.
    pub field: FieldRef,
    /// Whether the greatest value comes first.
    pub is_descending: bool,
}

/// Name of the column of time, where a key rounds it.
const BIN_COLUMN: &str = "time";

/// Thousandths of a percent in one.
pub(crate) const PERCENT: u32 = 1_000;

impl Function {
    /// The count of a row's events.
    pub fn count() -> Self {
        Self { kind: FunctionKind::Count, field: None, name: None }
    }

    /// The function that a text is, such as `dc(ip)`.
    pub fn of_text(text: &str) -> Option<Self> {
        function_of(text)
    }

    /// The same function with a name of its own no more.
    #[must_use]
    pub fn unnamed(&self) -> Self {
        Self { name: None, ..self.clone() }
    }

    /// The name of the column that holds the result.
    pub fn column(&self) -> String {
        self.name.clone().unwrap_or_else(|| match &self.field {
            Some(field) => format!("{}({})", self.kind, field.name),
            None => self.kind.to_string(),
        })
    }
}

impl GroupKey {
    /// The name of the column that holds the key's values.
    pub fn column(&self) -> String {
        match self {
            Self::Field { name: Some(name), .. }
            | Self::Net { name: Some(name), .. }
            | Self::Bin { name: Some(name), .. } => name.clone(),
            Self::Field { field, .. } => field.name.clone(),
            Self::Net { field, net, .. } => net.of(&field.name),
            Self::Bin { .. } => BIN_COLUMN.to_owned(),
        }
    }
}

impl Net {
    /// Bits of an IPv6 address where only those of an IPv4 address are said: what one site has.
    pub const V6_DEFAULT: u8 = 64;

    /// The networks of so many bits; None where an address has fewer.
    pub fn new(v4: u8, v6: u8) -> Option<Self> {
        (v4 <= 32 && v6 <= 128).then_some(Self { v4, v6 })
    }

    /// `net(field, 24)`, with `field` as it stands in the query.
    pub(super) fn of(self, field: &str) -> String {
        match self {
            Self { v4, v6: Self::V6_DEFAULT } => format!("net({field}, {v4})"),
            Self { v4, v6 } => format!("net({field}, {v4}, {v6})"),
        }
    }
}

impl BinUnit {
    /// Every unit with its name in queries, shortest first.
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
    /// Parses a bin such as `5m` or `d`; None if the text is not one.
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
    /// Every function with its name in queries, except percentiles, which are named like `p95`.
    pub const ALL: [(&'static str, Self); 10] = [
        ("count", Self::Count),
        ("distinct", Self::Distinct),
        ("sum", Self::Sum),
        ("avg", Self::Avg),
        ("min", Self::Min),
        ("max", Self::Max),
        ("first", Self::First),
        ("last", Self::Last),
        ("values", Self::Values),
        ("list", Self::List),
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
