//! Which stages can follow which.

use std::collections::BTreeSet;

use crate::ast::{Expr, Query, Stage};

/// What is wrong with a query's stages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Which stage, by its place.
    pub stage: usize,
    pub message: String,
}

/// Before `stats`, stages are about events, in this order: filters, sort, dedup, limit; `fields` can
/// stand anywhere. Behind it they are about rows, in any order.
pub fn check_stages(stages: &[Stage]) -> Result<(), Fault> {
    let mut last = "";
    let mut last_rank = 0;
    let mut seen = BTreeSet::new();
    for (at, stage) in stages.iter().enumerate() {
        let fault = |message: String| Err(Fault { stage: at, message });
        let (name, rank) = event_rank(stage);
        if let Stage::Stats { functions, by } = stage {
            check_columns(functions, by).or_else(fault)?;
        }
        if seen.contains("stats") {
            match stage {
                Stage::Stats { .. } => {
                    return fault("a table cannot be grouped again: there is one stats".to_owned());
                }
                Stage::Dedup(_) => {
                    return fault("rows are distinct already; dedup comes before stats".to_owned());
                }
                _ => continue,
            }
        }
        if rank > 0 {
            if rank < last_rank {
                return fault(format!("{name} comes before {last}"));
            }
            (last, last_rank) = (name, rank);
        }
        if !matches!(stage, Stage::Filter(_)) && !seen.insert(name) {
            return fault(format!("there is another {name} before this one"));
        }
        if let Stage::Limit { by, .. } = stage
            && !by.is_empty()
        {
            return fault("limit … by is for rows, behind stats".to_owned());
        }
    }
    Ok(())
}

/// A stage's name and its place among those of events; 0 for any place.
fn event_rank(stage: &Stage) -> (&'static str, u32) {
    match stage {
        Stage::Fields(_) => ("fields", 0),
        Stage::Filter(_) => ("filter", 1),
        // Groups are of all events.
        Stage::Stats { .. } => ("stats", 1),
        Stage::Sort(_) => ("sort", 2),
        Stage::Dedup(_) => ("dedup", 3),
        Stage::Limit { .. } => ("limit", 4),
    }
}

fn check_columns(functions: &[crate::ast::Function], by: &[crate::ast::Key]) -> Result<(), String> {
    let mut columns = BTreeSet::new();
    let by = by.iter().map(|key| key.column().to_owned());
    for column in by.chain(functions.iter().map(crate::ast::Function::column)) {
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
    pub fn with_filters_gathered(self) -> Self {
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
        filters.retain(|filter| *filter != Expr::All);
        Self { filter: Expr::all_of(filters), stages }
    }
}
