//! Searches that find events: which of them, in which order, and a page at a time.

use tantivy::query::Query as Planned;

use super::cursor::Cursor;
use super::fetch::{Chosen, Fetcher, fetch_all};
use super::highlight::Highlighter;
use super::{Search, read_record};
use crate::api::proto::{ApiError, Order, SearchRequest, SearchResponse, Table, Total};
use crate::event::columns::ColumnId;
use crate::index::collect::{Match, Position, Wanted, collect};
use crate::index::ranked::{Ranking, ranked};
use crate::index::values::Source;
use crate::limits::{GROUP_BYTES_MAX, SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX};
use crate::query::ast::{Expr, FieldRef, SortKey, Stage, Test};

/// The stages of a query that is about events.
#[derive(Default)]
struct EventStages {
    sort: Vec<SortKey>,
    dedup: Vec<FieldRef>,
    limit: Option<u64>,
    fields: Vec<FieldRef>,
}

impl EventStages {
    fn gather(stages: Vec<Stage>) -> Self {
        let mut gathered = Self::default();
        for stage in stages {
            match stage {
                Stage::Sort(keys) => gathered.sort = keys,
                Stage::Dedup(fields) => gathered.dedup = fields,
                Stage::Limit { rows, .. } => gathered.limit = Some(rows),
                Stage::Fields(fields) => gathered.fields = fields,
                Stage::Filter(_) | Stage::Stats { .. } => unreachable!("gathered, or split off"),
            }
        }
        gathered
    }
}

/// In which order events are given.
enum Arrangement {
    /// Nothing decides but time: pages can be told by where they end.
    ByTime(Order),
    Ranked(Ranking),
}

impl Search<'_> {
    pub(super) fn answer_events(
        &self,
        filter: &Expr,
        stages: Vec<Stage>,
        request: &SearchRequest,
    ) -> Result<SearchResponse, ApiError> {
        let stages = EventStages::gather(stages);
        let chosen = Chosen::of(&stages.fields, self.snapshot)?;
        let given = self.cursor.map_or(0, |cursor| cursor.given);
        let left = stages.limit.map(|limit| limit.saturating_sub(given));
        let asked = request.limit.map(|limit| limit as u64);
        let limit = asked.into_iter().chain(left).min();
        let limit =
            limit.map_or(SEARCH_LIMIT_DEFAULT, |limit| limit.min(SEARCH_LIMIT_MAX as u64) as usize);
        let query =
            self.timed("plan", || self.planner().plan_between(filter, self.start, self.end))?;
        let is_last = limit == 0 || left == Some(limit as u64);
        let (matches, total, cursor) = match self.arrangement(&stages, request.order, limit)? {
            Arrangement::ByTime(order) => {
                let wanted = Wanted {
                    // One more tells whether there is another page.
                    limit: limit + usize::from(!is_last),
                    order,
                    after: self.cursor.map(|cursor| cursor.after),
                    total: request.total,
                    is_count_known: self.is_count_known(filter),
                };
                let (mut matches, total) =
                    self.timed("collect", || self.collect(&*query, wanted))?;
                let has_more = matches.len() > limit;
                matches.truncate(limit);
                let last = matches.last().filter(|_| has_more).map(|last| last.position);
                let given = given + matches.len() as u64;
                (matches, total, last.map(|last| self.cursor_behind(last, given, request)))
            }
            Arrangement::Ranked(ranking) => {
                let (matches, total) = self.timed("rank", || self.rank(&*query, &ranking))?;
                (matches, total, None)
            }
        };
        if stages.fields.is_empty() {
            let highlighter = request.highlights.then(|| Highlighter::of(filter, self.snapshot));
            let highlighter = highlighter.transpose()?;
            let hits = self.timed("fetch", || {
                fetch_all(self.snapshot, &matches, highlighter.as_ref(), self.cancel)
            })?;
            return Ok(SearchResponse { hits, total, cursor, ..SearchResponse::default() });
        }
        let mut fetcher = Fetcher::new(self.snapshot);
        let mut rows = Vec::with_capacity(matches.len());
        for found in &matches {
            self.cancel.check()?;
            rows.push(fetcher.values(found, &chosen)?);
        }
        let columns = stages.fields.iter().map(|field| field.name.clone()).collect();
        let rows_total = stages.limit.map_or(total.value, |limit| limit.min(total.value));
        let table = Some(Table { columns, rows, rows_total, exact: total.exact });
        Ok(SearchResponse { table, total, cursor, ..SearchResponse::default() })
    }

    fn arrangement(
        &self,
        stages: &EventStages,
        mut order: Order,
        limit: usize,
    ) -> Result<Arrangement, ApiError> {
        let mut sort = Vec::new();
        for key in &stages.sort {
            match self.planner().source(&key.field)? {
                // Whatever would come behind it decides among events of the same time only.
                Source::Time if stages.sort.len() == 1 => {
                    order = if key.is_descending { Order::Newest } else { Order::Oldest };
                }
                source => sort.push((source, key.is_descending)),
            }
        }
        if sort.is_empty() && stages.dedup.is_empty() {
            return Ok(Arrangement::ByTime(order));
        }
        let source = |field| self.planner().source(field);
        let dedup = stages.dedup.iter().map(source).collect::<Result<_, _>>()?;
        Ok(Arrangement::Ranked(Ranking { sort, dedup, order, limit }))
    }

    fn collect(
        &self,
        query: &dyn Planned,
        wanted: Wanted,
    ) -> Result<(Vec<Match>, Total), ApiError> {
        collect(self.snapshot, query, wanted, &|| self.cancel.check())
    }

    fn rank(
        &self,
        query: &dyn Planned,
        ranking: &Ranking,
    ) -> Result<(Vec<Match>, Total), ApiError> {
        let (read, check) = (read_record(), || self.cancel.check());
        let (matches, total) =
            ranked(self.snapshot, query, ranking, &read, GROUP_BYTES_MAX, &check)?;
        Ok((matches, Total { value: total, exact: true }))
    }

    fn cursor_behind(&self, last: Position, given: u64, request: &SearchRequest) -> String {
        Cursor::behind(last, given, self.clock.now, request, self.snapshot).to_string()
    }

    /// Whether the index tells how many events match without counting them.
    fn is_count_known(&self, filter: &Expr) -> bool {
        let is_of_all_times = self.start.is_none() && self.end.is_none();
        match filter {
            Expr::All => true,
            Expr::Field { field, test: Test::Is(_) } => {
                is_of_all_times && ColumnId::named(&field.name).is_some()
            }
            _ => false,
        }
    }
}
