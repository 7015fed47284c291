//! The rows of a query: groups of events, and the stages behind them. Groups that do not fit the memory come
//! in several passes; of each pass only the rows are kept that the answer can have.

use super::rows::{Column, Rows, is_column_of};
use super::spans::EmptySpans;
use super::{Search, stop_of};
use crate::groups::{Asked, Grouping, Passes, group_in_passes};
use crate::meaning::EventMeaning;
use crate::plan::read_record;
use crate::visit::Sought;
use language::ast::{FunctionKind, GroupKey};
use language::check::{RowStage, RowsQuery};
use segment::stop::Pace;
use trail::cell::Cell;
use wire::ApiError;

/// The rows that are kept while groups come in several passes.
struct Kept {
    rows: Vec<Vec<Cell>>,
    /// How many others the answer counts.
    left_out: u64,
}

impl Search<'_> {
    /// The rows of a query, whose filter means this, and how many events they are of. Behind the first
    /// `wanted`, rows may be left out and counted only; None wants all.
    pub(super) fn rows(
        &self,
        query: &RowsQuery,
        filter: &EventMeaning,
        wanted: Option<usize>,
        empty: &mut EmptySpans,
    ) -> Result<(Rows, u64), ApiError> {
        let RowsQuery { functions, by, stages, .. } = query;
        let grouping = Grouping {
            keys: by.iter().map(|key| self.key(key)).collect::<Result<_, _>>()?,
            measures: functions.iter().map(|f| self.measure(f)).collect::<Result<_, _>>()?,
            largest: largest_wanted(query),
        };
        let mut sought = self.sought(filter);
        if let Some(first) = &query.first {
            sought = self.timed("first events", || self.first_of(&sought, first, self.order))?;
        }
        let columns = by.iter().map(|key| self.key_column(key));
        let columns = columns.chain(functions.iter().map(|function| self.measure_column(function)));
        let columns: Vec<Column> = columns.collect::<Result<_, _>>()?;
        let (kept, passes) = self.groups(query, &columns, &sought, &grouping, wanted)?;
        let Kept { rows: mut found, left_out } = kept;
        if passes.count == 1 {
            self.add_empty_spans(query, &mut found, empty);
        } else {
            empty.leave_out(query);
        }
        let stop = stop_of(self.cancel);
        let pace = &mut Pace::new(&stop);
        let mut rows = Rows::new(columns, by.len(), found, passes.is_exact);
        order_first(&mut rows, stages, pace)?;
        for (at, stage) in stages.iter().enumerate() {
            match stage {
                RowStage::Fields(fields) => rows.choose(fields, self.cancel.group_bytes(), pace)?,
                stage => self.apply(&mut rows, stage, limit_behind(stages, at), pace)?,
            }
        }
        rows.leave_out(left_out);
        Ok((rows, passes.events))
    }

    /// The groups of events, as rows in no order: all of them, or where they come in several passes, those
    /// that the stages can leave.
    fn groups(
        &self,
        query: &RowsQuery,
        columns: &[Column],
        sought: &Sought,
        grouping: &Grouping,
        wanted: Option<usize>,
    ) -> Result<(Kept, Passes), ApiError> {
        let (read, check) = (read_record(), || self.cancel.check());
        let cut = Cut::of(&query.stages, wanted);
        let asked = Asked {
            snapshot: self.snapshot,
            sought,
            grouping,
            read: &read,
            bytes_max: self.cancel.group_bytes(),
            may_split: cut.leaves_out,
            check: &check,
        };
        let mut kept = Kept { rows: Vec::new(), left_out: 0 };
        let passes = self.timed("group", || {
            group_in_passes(&asked, |rows, are_all| {
                kept.rows.extend(rows);
                if are_all {
                    return Ok(0);
                }
                let rows = std::mem::take(&mut kept.rows);
                let mut rows = Rows::new(columns.to_vec(), query.by.len(), rows, true);
                self.cut(&mut rows, &cut)?;
                if let Some(wanted) = cut.wanted {
                    let count = rows.count();
                    rows.truncate(wanted);
                    kept.left_out += (count - rows.count()) as u64;
                }
                let bytes = rows.bytes();
                kept.rows = rows.into_rows();
                Ok(bytes)
            })
        })?;
        if passes.count > 1 {
            self.noted(&format!("group in {} passes", passes.count));
        }
        Ok((kept, passes))
    }

    /// Leaves out the rows that no answer can have.
    fn cut(&self, rows: &mut Rows, cut: &Cut<'_>) -> Result<(), ApiError> {
        let stop = stop_of(self.cancel);
        let pace = &mut Pace::new(&stop);
        order_first(rows, cut.stages, pace)?;
        for (at, stage) in cut.stages.iter().enumerate() {
            self.apply(rows, stage, limit_behind(cut.stages, at), pace)?;
        }
        Ok(())
    }

    /// Applies a stage that leaves rows out, or changes their order.
    fn apply(
        &self,
        rows: &mut Rows,
        stage: &RowStage,
        wanted: Option<u64>,
        pace: &mut Pace<'_>,
    ) -> Result<(), ApiError> {
        match stage {
            RowStage::Filter(filter) => {
                let meaning = self.row_meaning(filter, rows)?;
                rows.filter(&meaning, pace)
            }
            RowStage::Sort(keys) => rows.sort(keys, wanted, pace),
            RowStage::Limit { rows: limit, by } => rows.limit(*limit, by, pace),
            RowStage::Fields(_) => Ok(()),
        }
    }
}

/// The order that rows have before any stage.
fn order_first(rows: &mut Rows, stages: &[RowStage], pace: &mut Pace<'_>) -> Result<(), ApiError> {
    match stages.first() {
        Some(RowStage::Sort(_)) => Ok(()),
        _ => rows.sort_by_keys(pace),
    }
}

/// How many rows the stage behind one keeps, if that is all it does.
fn limit_behind(stages: &[RowStage], at: usize) -> Option<u64> {
    match stages.get(at + 1) {
        Some(RowStage::Limit { rows, by }) if by.is_empty() => Some(*rows),
        _ => None,
    }
}

/// What can be left out of the rows of some groups, whatever the other groups are. Filters look at one row;
/// sorting orders all; the first rows of several parts together have the first of all. So these stages can
/// be applied to each part, and again to what they leave of all parts.
struct Cut<'q> {
    /// The stages, to the first that limits.
    stages: &'q [RowStage],
    /// How many of the rows that they leave are kept; None for all.
    wanted: Option<usize>,
    /// Whether anything is left out.
    leaves_out: bool,
}

impl<'q> Cut<'q> {
    fn of(stages: &'q [RowStage], wanted: Option<usize>) -> Self {
        let is_limit = |stage: &RowStage| matches!(stage, RowStage::Limit { .. });
        let is_fields = |stage: &RowStage| matches!(stage, RowStage::Fields(_));
        let end = stages.iter().position(|stage| is_limit(stage) || is_fields(stage));
        let has_limit = end.is_some_and(|end| is_limit(&stages[end]));
        let (first, rest) =
            stages.split_at(end.map_or(stages.len(), |end| end + usize::from(has_limit)));
        // Behind these, nothing but columns may change.
        let wanted = wanted.filter(|_| !has_limit && rest.iter().all(is_fields));
        let has_filter = first.iter().any(|stage| matches!(stage, RowStage::Filter(_)));
        Self { stages: first, wanted, leaves_out: has_limit || has_filter || wanted.is_some() }
    }
}

/// How many rows are kept of a table that counts by one field and begins with the most frequent.
fn largest_wanted(query: &RowsQuery) -> Option<usize> {
    let [RowStage::Sort(sort), RowStage::Limit { rows, by: of_each }, ..] = &query.stages[..]
    else {
        return None;
    };
    let ([function], [GroupKey::Field { .. }], [first]) =
        (&query.functions[..], &query.by[..], &sort[..])
    else {
        return None;
    };
    let is_count = function.kind == FunctionKind::Count && function.field.is_none();
    let is_named = |name: &str| name == function.column() || is_column_of(name, function);
    let is_most_first = first.is_descending && is_named(&first.field.name);
    (is_count && is_most_first && of_each.is_empty()).then_some(*rows as usize)
}
