//! One value of a field, as tables hold it, with an order over all kinds of values, and a hash.
//!
//! Numbers are equal by value, however a record writes them: `5` and `5.0` are the same cell. The
//! text `"5"` is another.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use serde::{Serialize, Serializer};

use crate::flat::Scalar;
use crate::time::Micros;

/// A value in a table. Cells are ordered by variant first, as listed here, with all numbers as one
/// kind, then by value.
#[derive(Clone, Debug, Default)]
pub enum Cell {
    /// The event has no such field.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i128),
    /// A number with a fraction, or of 2^53 or more; smaller whole numbers are `Int`.
    Float(f64),
    /// A point in time.
    Time(Micros),
    /// Any other value, as text.
    Text(Box<str>),
    /// Several values of a group, in their order; never empty.
    List(Box<[Self]>),
}

/// Whole numbers below are exact as `f64`.
const EXACT_MAX: f64 = (1_u64 << 53) as f64;

impl Cell {
    /// The cell of a number: `Int` if it is whole and below 2^53.
    pub fn number(number: f64) -> Self {
        if number.fract() == 0.0 && number.abs() < EXACT_MAX {
            Self::Int(number as i128)
        } else {
            Self::Float(number)
        }
    }

    /// The cell of a text, which is copied.
    pub fn text(text: &str) -> Self {
        Self::Text(text.into())
    }

    /// The value as a double, for sums and means; None if it is not a number.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Int(n) => Some(*n as f64),
            Self::Float(n) => Some(*n),
            _ => None,
        }
    }

    /// Place of the kind in the order. All numbers are of one kind.
    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) | Self::Float(_) => 2,
            Self::Time(_) => 3,
            Self::Text(_) => 4,
            Self::List(_) => 5,
        }
    }
}

impl From<Scalar<'_>> for Cell {
    fn from(scalar: Scalar<'_>) -> Self {
        match scalar {
            Scalar::Str(text) => Self::text(text),
            Scalar::I64(n) => Self::Int(n.into()),
            Scalar::U64(n) => Self::Int(n.into()),
            Scalar::F64(n, _) => Self::number(n),
            Scalar::Bool(b) => Self::Bool(b),
        }
    }
}

// Tables of groups are sorted and hashed by cells: their code should be inlined in other crates.
impl Ord for Cell {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) => a.cmp(b),
            (Self::Time(a), Self::Time(b)) => a.cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (a, b) => a.cmp_mixed(b),
        }
    }
}

impl Cell {
    /// Compares values of two kinds, or two floats.
    #[inline(never)]
    fn cmp_mixed(&self, other: &Self) -> Ordering {
        if let (Self::List(a), Self::List(b)) = (self, other) {
            return a.cmp(b);
        }
        match (self.as_number(), other.as_number()) {
            // A float that equals an integer is none of less than 2^53; then they differ.
            (Some(x), Some(y)) => {
                x.total_cmp(&y).then_with(|| self.is_float().cmp(&other.is_float()))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn is_float(&self) -> bool {
        matches!(self, Self::Float(_))
    }
}

impl PartialOrd for Cell {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cell {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a == b,
            (a, b) => a.cmp(b) == Ordering::Equal,
        }
    }
}

impl Eq for Cell {}

impl Hash for Cell {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Self::Null => {}
            Self::Bool(b) => b.hash(state),
            Self::Int(n) => n.hash(state),
            Self::Float(n) => n.to_bits().hash(state),
            Self::Time(time) => time.hash(state),
            Self::Text(text) => text.hash(state),
            Self::List(cells) => cells.hash(state),
        }
    }
}

/// As text: what a condition on the value sees.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => Ok(()),
            Self::Bool(b) => b.fmt(f),
            Self::Int(n) => n.fmt(f),
            Self::Float(n) => n.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Text(text) => f.write_str(text),
            Self::List(cells) => {
                for (at, cell) in cells.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { ", " })?;
                    cell.fmt(f)?;
                }
                Ok(())
            }
        }
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(b) => serializer.serialize_bool(*b),
            Self::Int(n) => match (i64::try_from(*n), u64::try_from(*n)) {
                (Ok(n), _) => serializer.serialize_i64(n),
                (_, Ok(n)) => serializer.serialize_u64(n),
                _ => serializer.serialize_f64(*n as f64),
            },
            Self::Float(n) => serializer.serialize_f64(*n),
            Self::Time(time) => serializer.collect_str(time),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(cells) => cells.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_values_have_one_order() {
        let cells = [
            Cell::Null,
            Cell::Bool(false),
            Cell::Bool(true),
            Cell::Int(i128::MIN),
            Cell::number(-1.5),
            Cell::Int(0),
            Cell::number(0.5),
            Cell::number(1.0),
            Cell::Int(i128::from(u64::MAX)),
            Cell::Float(f64::MAX),
            Cell::Time(Micros(-1)),
            Cell::Time(Micros(0)),
            Cell::text(""),
            Cell::text("0"),
            Cell::text("é"),
            Cell::List([Cell::Int(1)].into()),
            Cell::List([Cell::Int(1), Cell::Null].into()),
            Cell::List([Cell::text("a")].into()),
        ];
        for (a, one) in cells.iter().enumerate() {
            for (b, other) in cells.iter().enumerate() {
                assert_eq!(one.cmp(other), a.cmp(&b), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn a_whole_number_is_one_cell_however_it_is_written() {
        assert_eq!(Cell::number(5.0), Cell::Int(5));
        assert_eq!(Cell::number(-0.0), Cell::Int(0));
        assert_eq!(Cell::from(Scalar::U64(5)), Cell::from(Scalar::F64(5.0, "5.0")));
        assert_ne!(Cell::text("5"), Cell::Int(5));
        assert_eq!(Cell::number(5.0).to_string(), "5");
    }

    #[test]
    fn json_has_numbers_as_numbers_and_times_as_text() {
        let json = |cell: Cell| serde_json::to_string(&cell).unwrap();
        assert_eq!(json(Cell::Null), "null");
        assert_eq!(json(Cell::Int(u64::MAX.into())), u64::MAX.to_string());
        assert_eq!(json(Cell::number(2.5)), "2.5");
        assert_eq!(json(Cell::Time(Micros(0))), r#""1970-01-01T00:00:00Z""#);
        assert_eq!(json(Cell::text("a\"b")), r#""a\"b""#);
        assert_eq!(json(Cell::List([Cell::text("a"), Cell::Int(1)].into())), r#"["a",1]"#);
    }
}
