//! Conditions that compare two fields of an event.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use tantivy::DocId;

use crate::clauses::{Clause, Context};
use crate::exact::Exact;
use crate::lower::is_too_fine;
use crate::values::{Local, ReadRecord, ValueSource, Values};
use segment::IndexError;
use segment::docsets::Docs;
use segment::stop::Pace;
use trail::cell::Cell;
use trail::seeded::SeededMap;
use trail::time::Micros;
use trail::words::lowercase;

/// The relation between the values of two fields. Both fields must have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relation {
    /// The fields have a value in common.
    Equal,
    /// The fields have no value in common.
    Different,
    Less,
    AtMost,
    More,
    AtLeast,
    /// The fields have a text in common, in any case.
    Alike,
}

/// The events in which two fields are in a relation.
///
/// Two values are equal if they are the same text or the same number. Numbers, and texts that read
/// as numbers, are ordered as numbers; values compared with a time, as times; all others, as texts.
pub(crate) struct CompareClause {
    pub(crate) left: ValueSource,
    pub(crate) right: ValueSource,
    pub(crate) relation: Relation,
    pub(crate) read: Arc<ReadRecord>,
}

impl fmt::Debug for CompareClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:?}", self.left, self.relation, self.right)
    }
}

impl Clause for CompareClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let open = |source| Values::open(context.segment, source, &self.read).map(Side::new);
        let (mut left, mut right) = (open(&self.left)?, open(&self.right)?);
        let relation = self.relation;
        let mut pace = Pace::of(context.stop.clone());
        Ok(context.scan_reading(move |doc| {
            let (left, right) = (left.of(doc, &mut pace)?, right.of(doc, &mut pace)?);
            relation.holds(&left, &right, &mut pace)
        }))
    }

    fn can_be_idle(&self) -> bool {
        true
    }
}

/// Steps that a comparison of two values takes, about.
const PAIR_STEPS: usize = 32;

/// Bytes of the values that are remembered of a side.
const KNOWN_BYTES_MAX: usize = 8 << 20;

/// One of the two fields.
struct Side {
    values: Values,
    known: SeededMap<Local, Arc<Comparable>>,
    /// Bytes that these take, about.
    bytes: usize,
}

/// A value, as it is compared.
struct Comparable {
    cell: Cell,
    /// The cell as text.
    text: String,
    number: Option<Exact>,
    /// Nanoseconds since 1970, of which texts can have more than the index keeps.
    time: Option<i128>,
}

impl Side {
    fn new(values: Values) -> Self {
        Self { values, known: SeededMap::default(), bytes: 0 }
    }

    fn of(&mut self, doc: DocId, pace: &mut Pace<'_>) -> Result<Vec<Arc<Comparable>>, IndexError> {
        if self.bytes + self.values.bytes() > KNOWN_BYTES_MAX {
            self.known.clear();
            self.bytes = 0;
            self.values.forget();
        }
        let locals = self.values.of(doc)?.to_vec();
        pace.spend(locals.len() * PAIR_STEPS + self.values.more_steps())?;
        let mut found = Vec::with_capacity(locals.len());
        for local in locals {
            if let Some(known) = self.known.get(&local) {
                found.push(Arc::clone(known));
                continue;
            }
            let comparable = Arc::new(Comparable::new(self.values.cell(local)?));
            self.bytes += size_of::<Comparable>() + 2 * comparable.text.len();
            self.known.insert(local, Arc::clone(&comparable));
            found.push(comparable);
        }
        Ok(found)
    }
}

impl Comparable {
    fn new(cell: Cell) -> Self {
        let (number, time) = match &cell {
            Cell::Text(text) => (Exact::parse(text), time_in(text)),
            Cell::Time(time) => (None, Some(i128::from(time.0) * 1_000)),
            Cell::Int(whole) => (Some(Exact::Whole(*whole)), None),
            Cell::Float(float) => (Some(Exact::of_float(*float)), None),
            // No value of an event is a list.
            Cell::Null | Cell::Bool(_) | Cell::List(_) => (None, None),
        };
        let text = cell.to_string();
        Self { cell, text, number, time }
    }

    fn is_time(&self) -> bool {
        matches!(self.cell, Cell::Time(_))
    }

    fn equals(&self, other: &Self) -> bool {
        if self.is_time() || other.is_time() {
            return self.time.is_some() && self.time == other.time;
        }
        // A truth value, or a number, may be text on the other side.
        self.cell == other.cell || self.text == other.text
    }

    fn is_like(&self, other: &Self) -> bool {
        self.equals(other) || lowercase(&self.text) == lowercase(&other.text)
    }

    fn compare(&self, other: &Self) -> Option<Ordering> {
        if self.is_time() || other.is_time() {
            return Some(self.time?.cmp(&other.time?));
        }
        match (self.number, other.number) {
            (Some(a), Some(b)) => a.partial_cmp(&b),
            _ => Some(self.text.cmp(&other.text)),
        }
    }
}

/// The time that a text states, in nanoseconds since 1970.
fn time_in(text: &str) -> Option<i128> {
    let time = Micros::parse_event_time(text).or_else(|| Micros::parse_written(text))?;
    let exact = || Some(text.parse::<Timestamp>().ok()?.as_nanosecond());
    is_too_fine(text).then(exact).flatten().or(Some(i128::from(time.0) * 1_000))
}

impl Relation {
    fn holds(
        self,
        left: &[Arc<Comparable>],
        right: &[Arc<Comparable>],
        pace: &mut Pace<'_>,
    ) -> Result<bool, IndexError> {
        let mut any = |test: &dyn Fn(&Comparable, &Comparable) -> bool| {
            for a in left {
                // An event can have thousands of values on both sides.
                pace.spend(right.len() * PAIR_STEPS)?;
                if right.iter().any(|b| test(a, b)) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        let mut ordered =
            |is_meant: fn(Ordering) -> bool| any(&|a, b| a.compare(b).is_some_and(is_meant));
        match self {
            Self::Less => ordered(Ordering::is_lt),
            Self::AtMost => ordered(Ordering::is_le),
            Self::More => ordered(Ordering::is_gt),
            Self::AtLeast => ordered(Ordering::is_ge),
            Self::Equal => any(&Comparable::equals),
            Self::Alike => any(&Comparable::is_like),
            Self::Different => {
                Ok(!left.is_empty() && !right.is_empty() && !any(&Comparable::equals)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use segment::stop::Stop;

    #[track_caller]
    fn check(left: &[Cell], relation: Relation, right: &[Cell], expected: bool) {
        let side = |cells: &[Cell]| -> Vec<Arc<Comparable>> {
            cells.iter().map(|cell| Arc::new(Comparable::new(cell.clone()))).collect()
        };
        let stop = Stop::when(|| false);
        let holds = relation.holds(&side(left), &side(right), &mut Pace::new(&stop));
        assert_eq!(holds.unwrap(), expected, "{left:?} {relation:?} {right:?}");
    }

    #[test]
    fn fields_are_compared_value_by_value() {
        use Relation::{Alike, AtLeast, AtMost, Different, Equal, Less, More};
        let text = Cell::text;
        check(&[text("a")], Equal, &[text("a")], true);
        check(&[text("a")], Equal, &[text("A")], false);
        check(&[text("a"), text("b")], Equal, &[text("b")], true);
        check(&[text("a"), text("b")], Different, &[text("b")], false);
        check(&[text("a")], Different, &[text("b"), text("c")], true);
        check(&[], Different, &[text("b")], false);
        check(&[text("a"), text("Bé")], Alike, &[text("bÉ")], true);
        check(&[text("a")], Alike, &[text("ab")], false);
        check(&[Cell::Bool(true)], Alike, &[text("TRUE")], true);
        check(&[text("b")], Equal, &[], false);
        // Account ids are texts: a leading zero counts.
        check(&[text("012")], Equal, &[text("12")], false);
        check(&[text("12")], Equal, &[Cell::Int(12)], true);
        check(&[text("true")], Equal, &[Cell::Bool(true)], true);
        check(&[text("9")], Less, &[text("10")], true);
        check(&[text("x9")], Less, &[text("x10")], false);
        check(&[Cell::number(1.5)], AtLeast, &[Cell::number(1.5)], true);
        check(&[Cell::Int(1)], More, &[text("0.5")], true);
        let time = |text| Cell::Time(Micros::parse_event_time(text).unwrap());
        let noon = "2023-07-10T12:00:00Z";
        check(&[time(noon)], Equal, &[text("2023-07-10T14:00:00+02:00")], true);
        check(&[time(noon)], More, &[text("2023-07-10T11:59:59Z")], true);
        check(&[time(noon)], AtMost, &[text("no time")], false);
        check(&[time(noon)], Equal, &[text("2023-07-10T12:00:00.000000001Z")], false);
        check(&[time(noon)], Equal, &[text("Jul 10, 2023, 12:00:00 PM")], true);
        let whole = Cell::Int(u64::MAX.into());
        check(
            std::slice::from_ref(&whole),
            Less,
            &[Cell::number(18_446_744_073_709_551_616.0)],
            true,
        );
        check(&[whole], AtLeast, &[text("18446744073709551616")], false);
    }
}
