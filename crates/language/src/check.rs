//! The order of stages: a query becomes one that finds events, or one that makes rows.
//!
//! What runs a query takes a [`Checked`] one only, so it never meets stages in a wrong order.

use std::collections::BTreeSet;

use crate::ast::{Expr, FieldRef, Function, GroupKey, Query, SortKey, Stage};
use crate::limits::{COLUMNS_MAX, KEYS_MAX, STAGES_MAX};

/// What is wrong with a query's stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageFault {
    /// The faulty stage's place among the stages, from 0.
    pub stage: usize,
    /// What is wrong with it, for a person.
    pub message: String,
}

/// A query whose stages are in a valid order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checked {
    /// A query that finds events.
    Events(EventsQuery),
    /// A query that makes rows.
    Rows(RowsQuery),
}

/// A query that finds events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsQuery {
    /// Which events the query finds.
    pub filter: Expr,
    /// The keys to sort by; empty for the order by time.
    pub sort: Vec<SortKey>,
    /// Of all events with equal values in these fields, only the first stays; empty to keep all.
    pub dedup: Vec<FieldRef>,
    /// How many events stay at most; None for all.
    pub limit: Option<u64>,
    /// The columns of a table in place of whole events; empty for whole events.
    pub fields: Vec<FieldRef>,
}

/// A query that makes rows out of events, with `stats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowsQuery {
    /// Which events the rows are made of.
    pub filter: Expr,
    /// Which of these, where it is not all of them.
    pub first: Option<FirstEvents>,
    /// What is computed for each row.
    pub functions: Vec<Function>,
    /// The keys that form the groups; empty for a single row.
    pub by: Vec<GroupKey>,
    /// What happens to the rows, in order.
    pub stages: Vec<RowStage>,
}

/// The first of some events, of which rows are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstEvents {
    /// The keys to sort by; empty for the order by time.
    pub sort: Vec<SortKey>,
    /// Of all events with equal values in these fields, only the first counts; empty for all.
    pub dedup: Vec<FieldRef>,
    /// How many count at most; None for all.
    pub limit: Option<u64>,
}

/// A stage behind `stats`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowStage {
    /// Keeps the rows that meet this.
    Filter(Expr),
    /// Sorts the rows by these keys, the first before the second.
    Sort(Vec<SortKey>),
    /// Keeps the first rows.
    Limit {
        /// How many are kept.
        rows: u64,
        /// With fields, `rows` are kept for each combination of their values; else, of all.
        by: Vec<FieldRef>,
    },
    /// Keeps only these columns.
    Fields(Vec<FieldRef>),
}

/// Tells what is wrong with stages, if something is.
pub(crate) fn check_stages(stages: &[Stage]) -> Result<(), StageFault> {
    let query = Query { filter: Expr::All, stages: stages.to_vec() };
    query.checked().map(|_| ())
}

impl Query {
    /// Checks the order of the stages. Those before `stats` work on events, in this order: filters,
    /// sort, dedup, limit; `fields` may stand anywhere. Those behind it work on rows, in any order.
    pub fn checked(self) -> Result<Checked, StageFault> {
        check_sizes(&self.stages)?;
        let mut filters = vec![self.filter];
        let (mut sort, mut dedup, mut limit, mut fields) =
            (Vec::new(), Vec::new(), None, Vec::new());
        let mut order = Order::default();
        let mut stages = self.stages.into_iter().enumerate();
        while let Some((at, stage)) = stages.next() {
            let fault = |message| StageFault { stage: at, message };
            order.follow(&stage).map_err(fault)?;
            match stage {
                Stage::Filter(filter) => filters.push(filter),
                Stage::Sort(keys) => sort = keys,
                Stage::Dedup(by) => dedup = by,
                Stage::Limit { rows, by } if by.is_empty() => limit = Some(rows),
                Stage::Limit { .. } => {
                    return Err(fault("limit … by is for rows, behind stats".to_owned()));
                }
                Stage::Fields(chosen) => fields = chosen,
                Stage::Stats { functions, by } => {
                    check_columns(&functions, &by).map_err(fault)?;
                    let stages = stages.map(row_stage).collect::<Result<_, _>>()?;
                    let filter = all_of(filters);
                    // An order alone changes no row.
                    let first = (limit.is_some() || !dedup.is_empty()).then_some(FirstEvents {
                        sort,
                        dedup,
                        limit,
                    });
                    return Ok(Checked::Rows(RowsQuery { filter, first, functions, by, stages }));
                }
            }
        }
        let filter = all_of(filters);
        Ok(Checked::Events(EventsQuery { filter, sort, dedup, limit, fields }))
    }
}

fn check_sizes(stages: &[Stage]) -> Result<(), StageFault> {
    let fault = |stage, message| Err(StageFault { stage, message });
    if stages.len() > STAGES_MAX {
        return fault(STAGES_MAX, format!("a query has at most {STAGES_MAX} stages"));
    }
    for (at, stage) in stages.iter().enumerate() {
        let parts = match stage {
            Stage::Filter(_) => continue,
            Stage::Stats { functions, by } => {
                [("stats", functions.len(), "functions"), ("stats", by.len(), "keys")]
            }
            Stage::Sort(keys) => [("sort", keys.len(), "keys"); 2],
            Stage::Limit { by, .. } => [("limit", by.len(), "keys"); 2],
            Stage::Dedup(by) => [("dedup", by.len(), "fields"); 2],
            Stage::Fields(fields) => [("fields", fields.len(), "columns"); 2],
        };
        for (name, count, what) in parts {
            let max = if name == "fields" { COLUMNS_MAX } else { KEYS_MAX };
            if count > max {
                return fault(at, format!("{name} takes at most {max} {what}; this has {count}"));
            }
        }
    }
    Ok(())
}

fn row_stage((at, stage): (usize, Stage)) -> Result<RowStage, StageFault> {
    let fault = |message: &str| Err(StageFault { stage: at, message: message.to_owned() });
    Ok(match stage {
        Stage::Filter(filter) => RowStage::Filter(filter),
        Stage::Sort(keys) => RowStage::Sort(keys),
        Stage::Limit { rows, by } => RowStage::Limit { rows, by },
        Stage::Fields(fields) => RowStage::Fields(fields),
        Stage::Stats { .. } => return fault("a table cannot be grouped again: there is one stats"),
        Stage::Dedup(_) => return fault("rows are distinct already; dedup comes before stats"),
    })
}

fn all_of(mut filters: Vec<Expr>) -> Expr {
    filters.retain(|filter| *filter != Expr::All);
    Expr::all_of(filters)
}

/// The order of the stages of events, as far as they were seen.
#[derive(Default)]
struct Order {
    last: &'static str,
    last_rank: u32,
    seen: BTreeSet<&'static str>,
}

impl Order {
    fn follow(&mut self, stage: &Stage) -> Result<(), String> {
        let (name, rank) = event_rank(stage);
        if rank > 0 {
            if rank < self.last_rank {
                return Err(format!("{name} comes before {}", self.last));
            }
            (self.last, self.last_rank) = (name, rank);
        }
        if !matches!(stage, Stage::Filter(_)) && !self.seen.insert(name) {
            return Err(format!("there is another {name} before this one"));
        }
        Ok(())
    }
}

/// A stage's name and its place among those of events; 0 for any place.
fn event_rank(stage: &Stage) -> (&'static str, u32) {
    match stage {
        Stage::Fields(_) => ("fields", 0),
        Stage::Filter(_) => ("filter", 1),
        Stage::Stats { .. } => ("stats", 5),
        Stage::Sort(_) => ("sort", 2),
        Stage::Dedup(_) => ("dedup", 3),
        Stage::Limit { .. } => ("limit", 4),
    }
}

fn check_columns(functions: &[Function], by: &[GroupKey]) -> Result<(), String> {
    let mut columns = BTreeSet::new();
    let by = by.iter().map(GroupKey::column);
    for column in by.chain(functions.iter().map(Function::column)) {
        if columns.contains(&column) {
            return Err(format!("two columns are called '{column}'; name one with as"));
        }
        columns.insert(column);
    }
    if functions.is_empty() {
        Err("stats needs a function, such as count".to_owned())
    } else {
        Ok(())
    }
}

impl Query {
    /// The same query with the filters of events in one place.
    #[must_use]
    pub(crate) fn with_filters_gathered(self) -> Self {
        let mut filters = vec![self.filter];
        let mut stages = Vec::new();
        let mut is_of_events = true;
        for stage in self.stages {
            is_of_events &= !matches!(stage, Stage::Stats { .. });
            match stage {
                Stage::Filter(filter) if is_of_events => filters.push(filter),
                stage => stages.push(stage),
            }
        }
        Self { filter: all_of(filters), stages }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::parse;

    #[test]
    fn a_query_finds_events_or_makes_rows() {
        let checked = |text: &str| parse(text).unwrap().checked().unwrap();
        let Checked::Events(events) =
            checked("a | filter b | sort x | dedup y | limit 3 | fields z")
        else {
            panic!("it finds events")
        };
        assert_eq!(events.filter, parse("a b").unwrap().filter);
        assert_eq!((events.sort.len(), events.dedup.len(), events.limit), (1, 1, Some(3)));
        assert_eq!(events.fields, [FieldRef::named("z")]);
        let Checked::Rows(rows) = checked("a | filter b | count by x | filter c | limit 3 by x")
        else {
            panic!("it makes rows")
        };
        assert_eq!(rows.filter, parse("a b").unwrap().filter);
        assert_eq!((rows.functions.len(), rows.by.len()), (1, 1));
        assert_eq!(rows.first, None);
        let [RowStage::Sort(_), RowStage::Filter(filter), RowStage::Limit { rows: 3, by }] =
            &rows.stages[..]
        else {
            panic!("{:?}", rows.stages)
        };
        assert_eq!((filter, &by[..]), (&parse("c").unwrap().filter, &[FieldRef::named("x")][..]));
    }

    #[test]
    fn rows_can_be_of_the_first_events() {
        let first = |text: &str| match parse(text).unwrap().checked().unwrap() {
            Checked::Rows(rows) => rows.first,
            Checked::Events(_) => panic!("it makes rows"),
        };
        let found = first("a | sort x desc | dedup y | limit 3 | count by z | limit 2").unwrap();
        assert_eq!((found.sort.len(), found.dedup.len(), found.limit), (1, 1, Some(3)));
        assert_eq!(first("a | sort x | count by z | limit 2"), None);
        assert_eq!(first("a | limit 2 | stats count").unwrap().limit, Some(2));
    }

    #[test]
    fn stages_have_bounds() {
        let many = |count: usize, of: &str| {
            (0..count).map(|n| of.replace('#', &n.to_string())).collect::<Vec<_>>().join(", ")
        };
        let queries = |count: usize| {
            [
                (
                    format!("stats {}", many(count, "distinct(f#)")),
                    "stats takes at most 64 functions",
                ),
                (format!("stats count by {}", many(count, "f#")), "stats takes at most 64 keys"),
                (format!("* | sort {}", many(count, "f#")), "sort takes at most 64 keys"),
                (format!("* | dedup {}", many(count, "f#")), "dedup takes at most 64 fields"),
                (
                    format!("count by x | limit 1 by {}", many(count, "f#")),
                    "limit takes at most 64 keys",
                ),
                (format!("*{}", " | filter x".repeat(count)), "a query has at most 64 stages"),
                (
                    format!("* | fields {}", many(2 * count - 1, "f#")),
                    "fields takes at most 128 columns",
                ),
            ]
        };
        for (text, _) in queries(64) {
            parse(&text).unwrap();
        }
        for (text, message) in queries(65) {
            let error = parse(&text).unwrap_err().to_string();
            assert!(error.contains(message), "{error}");
        }
    }

    #[test]
    fn stages_that_no_text_can_have_are_refused_where_they_are() {
        let stats = || Stage::Stats { functions: vec![Function::count()], by: Vec::new() };
        let check = |stages: Vec<Stage>, stage: usize, message: &str| {
            let fault = StageFault { stage, message: message.to_owned() };
            assert_eq!(Query { filter: Expr::All, stages }.checked(), Err(fault));
        };
        let limit = |by| Stage::Limit { rows: 1, by };
        check(vec![stats(), stats()], 1, "a table cannot be grouped again: there is one stats");
        check(
            vec![stats(), Stage::Dedup(Vec::new())],
            1,
            "rows are distinct already; dedup comes before stats",
        );
        check(vec![limit(Vec::new()), Stage::Sort(Vec::new())], 1, "sort comes before limit");
        check(vec![limit(vec![FieldRef::named("x")])], 0, "limit … by is for rows, behind stats");
        check(
            vec![limit(Vec::new()), limit(Vec::new())],
            1,
            "there is another limit before this one",
        );
    }
}
