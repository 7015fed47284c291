//! Explains a search: how long each step took, and how many events each condition finds by itself.

use std::cell::RefCell;
use std::time::Instant;

use super::{Search, why_ended};
use crate::collect::{Counting, Wanted, collect};
use language::ast::{Expr, Query};
use trail::time::Micros;
use wire::{ApiError, Explain, ExplainCondition, ExplainStep, Order, TotalMode};

/// The steps of a search with their times, in order.
#[derive(Default)]
pub(crate) struct Steps(RefCell<Vec<ExplainStep>>);

impl Search<'_> {
    /// Runs a step, and notes how long it took.
    pub(super) fn timed<T>(&self, step: &str, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = work();
        let ms = started.elapsed().as_secs_f64() * 1e3;
        self.steps.0.borrow_mut().push(ExplainStep { step: step.to_owned(), ms });
        done
    }

    /// Calls the step that was done last by another name.
    pub(super) fn noted(&self, step: &str) {
        if let Some(last) = self.steps.0.borrow_mut().last_mut() {
            step.clone_into(&mut last.step);
        }
    }

    /// Makes the explanation. Call it after the search.
    pub(super) fn explain(&self, query: String, filter: &Expr) -> Result<Explain, ApiError> {
        let steps = self.steps.0.take();
        let mut conditions = Vec::new();
        each_condition(filter, &mut |condition| {
            let text = Query::of(condition.clone()).to_string();
            if !conditions.iter().any(|(known, _)| *known == text) {
                conditions.push((text, condition));
            }
        });
        let conditions =
            conditions.into_iter().map(|(text, condition)| self.counted(text, condition));
        let (start, end) = (self.start, self.end);
        let is_outside = |latest: Micros, earliest: Micros| {
            start.is_some_and(|start| latest < start) || end.is_some_and(|end| earliest >= end)
        };
        let segments = &self.snapshot.segments;
        let skipped = segments.iter().filter(|s| is_outside(s.latest, s.earliest)).count();
        Ok(Explain {
            query,
            start: start.map(|time| time.to_string()),
            end: end.map(|time| time.to_string()),
            segments: segments.len() as u64,
            segments_skipped: skipped as u64,
            steps,
            conditions: conditions.collect::<Result<_, _>>()?,
        })
    }

    /// Counts the events of one condition.
    pub(super) fn counted(
        &self,
        condition: String,
        expr: &Expr,
    ) -> Result<ExplainCondition, ApiError> {
        let started = Instant::now();
        let sought = self.sought(&self.meaning(expr)?);
        let wanted = Wanted {
            limit: 0,
            order: Order::Newest,
            after: None,
            total: TotalMode::Exact,
            counting: Counting::Known,
        };
        let (_, total) = collect(self.snapshot, &sought, wanted, &|| self.cancel.check())
            .map_err(|error| why_ended(error, self.cancel))?;
        let ms = started.elapsed().as_secs_f64() * 1e3;
        Ok(ExplainCondition { condition, events: total.value, ms })
    }
}

/// What AND, OR and NOT are made of.
fn each_condition<'a>(expr: &'a Expr, visit: &mut impl FnMut(&'a Expr)) {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => {
            for part in parts {
                each_condition(part, visit);
            }
        }
        Expr::Not(inner) => each_condition(inner, visit),
        expr => visit(expr),
    }
}
