//! Searches that answer with events: filters, sorts, and cuts the result into pages.

use super::Search;
use crate::clauses::{ClauseQuery, FoundClause};
use crate::collect::{Counting, Match, Wanted, collect};
use crate::meaning::{EventField, EventMeaning, EventTest, Meaning, ValueMeaning};
use crate::plan::read_record;
use crate::ranked::{Found, Ranking, ranked};
use crate::run::cursor::Cursor;
use crate::run::fetch::{Chosen, fetch_up_to, rows_up_to};
use crate::run::highlight::Highlighter;
use crate::run::meaning::key;
use crate::run::rest::{Places, rest_of_events};
use crate::values::ValueSource;
use crate::visit::Sought;
use language::ast::{FieldRef, SortKey};
use language::check::{EventsQuery, FirstEvents};
use segment::position::Position;
use wire::limits::{FIRST_EVENTS_MAX, PAGE_BYTES_MAX, SEARCH_LIMIT_DEFAULT, SEARCH_LIMIT_MAX};
use wire::{ApiError, ErrorKind, Order, SearchRequest, SearchResponse, Table, Total, TotalMode};

/// In which order events are given.
enum Arrangement {
    /// Nothing decides but time: pages can be told by where they end.
    ByTime(Order),
    Ranked(Ranking),
}

/// What a search has found.
struct Finding {
    /// As many as are wanted.
    matches: Vec<Match>,
    total: Total,
    /// How many events `dedup` keeps, if there is one.
    kept: Option<u64>,
    /// Whether a cursor leads to the others.
    is_paged: bool,
}

/// Why there are fewer events than were asked for.
fn ends_early(given: usize, wanted: usize, is_paged: bool) -> String {
    let rest = if is_paged { "the rest are behind the cursor" } else { "ask for fewer" };
    let mib = PAGE_BYTES_MAX >> 20;
    format!(
        "{given} of {wanted} events are given, since a page ends at {mib} MiB of records; {rest}"
    )
}

/// That there are more, to which no cursor leads.
fn ends_at_limit(given: usize, all: u64) -> String {
    format!(
        "{given} of {all} events are given; what is sorted by a field or deduplicated has no next page: \
         ask for more with limit, {SEARCH_LIMIT_MAX} at most, or add conditions"
    )
}

fn too_many_first() -> ApiError {
    let message = format!(
        "rows are made of the first {FIRST_EVENTS_MAX} events at most, where they are not of all"
    );
    let suggestion = Some("a smaller limit before stats, or more conditions".to_owned());
    ApiError { suggestion, ..ApiError::new(ErrorKind::BadRequest, message) }
}

impl Search<'_> {
    pub(super) fn answer_events(
        &self,
        stages: &EventsQuery,
        request: &SearchRequest,
    ) -> Result<SearchResponse, ApiError> {
        let filter = self.timed("inner queries", || self.meaning(&stages.filter))?;
        self.note_times(&filter);
        let chosen = Chosen::of(&stages.fields, self.fields())?;
        let given = self.cursor.map_or(0, |cursor| cursor.given);
        let left = stages.limit.map(|limit| limit.saturating_sub(given));
        let asked = request.limit.map(|limit| limit as u64);
        let limit = asked.into_iter().chain(left).min();
        let limit =
            limit.map_or(SEARCH_LIMIT_DEFAULT, |limit| limit.min(SEARCH_LIMIT_MAX as u64) as usize);
        let sought = self.timed("plan", || self.sought(&filter));
        let is_last = limit == 0 || left == Some(limit as u64);
        // One more tells whether there are others.
        let wanted = limit + usize::from(!is_last);
        let of_query = |keeps: usize| left.map_or(keeps, |left| (keeps as u64).min(left) as usize);
        let ranked = request.keeps.map_or(wanted, of_query);
        let Finding { mut matches, total, kept, is_paged } =
            match self.arrangement(&stages.sort, &stages.dedup, request.order, ranked)? {
                Arrangement::ByTime(order) => {
                    let wanted = Wanted {
                        limit: wanted,
                        order,
                        after: self.cursor.map(|cursor| cursor.after),
                        total: request.total,
                        counting: self.counting(&filter, request.total),
                    };
                    self.timed("collect", || self.collect(&sought, wanted))?
                }
                Arrangement::Ranked(ranking) => {
                    self.timed("rank", || self.rank(&sought, &ranking))?
                }
            };
        let found = matches.len();
        let places = request.keeps.filter(|_| !is_paged).map(|_| Places::of(&matches));
        matches.truncate(limit);
        let all = kept.unwrap_or(total.value);
        let all = stages.limit.map_or(all, |limit| limit.min(all));
        let mut response = SearchResponse { total, kept, ..SearchResponse::default() };
        let given_now = if stages.fields.is_empty() {
            let highlighter = request.highlights.then(|| Highlighter::of(&filter));
            let (snapshot, cancel) = (self.snapshot, self.cancel);
            response.hits = self.timed("fetch", || {
                fetch_up_to(PAGE_BYTES_MAX, snapshot, &matches, highlighter.as_ref(), cancel)
            })?;
            response.hits.len()
        } else {
            let (snapshot, cancel) = (self.snapshot, self.cancel);
            let rows = rows_up_to(PAGE_BYTES_MAX, snapshot, &matches, &chosen, cancel)?;
            let given_now = rows.len();
            let columns = stages.fields.iter().map(|field| field.name.clone()).collect();
            response.table = Some(Table { columns, rows, rows_total: all, exact: total.exact });
            given_now
        };
        if given_now == found {
            return Ok(response);
        }
        if let Some(places) = places {
            let columns = stages.fields.iter().map(|field| field.name.clone()).collect();
            let begun = self.snapshot.begun;
            response.rest = Some(rest_of_events(places, begun, columns, chosen, given_now));
            return Ok(response);
        }
        // A page that is streamed is followed by the next.
        let follows = is_paged && request.is_streamed;
        if given_now < matches.len() && !follows {
            response.warnings.push(ends_early(given_now, matches.len(), is_paged));
        } else if !is_paged && request.limit.is_none_or(|n| n > given_now) {
            response.warnings.push(ends_at_limit(given_now, all));
        }
        if is_paged {
            let last = given_now.checked_sub(1).map(|at| matches[at].position);
            let given = given + given_now as u64;
            response.cursor = last.map(|last| self.cursor_behind(last, given, request));
        }
        Ok(response)
    }

    /// The first events of some, of which rows are made.
    pub(super) fn first_of(
        &self,
        sought: &Sought,
        FirstEvents { sort, dedup, limit }: &FirstEvents,
        order: Order,
    ) -> Result<Sought, ApiError> {
        let wanted =
            limit.map_or(FIRST_EVENTS_MAX + 1, |limit| limit.try_into().unwrap_or(usize::MAX));
        if limit.is_some() && wanted > FIRST_EVENTS_MAX {
            return Err(too_many_first());
        }
        let matches = match self.arrangement(sort, dedup, order, wanted)? {
            Arrangement::ByTime(order) => {
                let (total, counting) = (TotalMode::None, Counting::Known);
                let wanted = Wanted { limit: wanted, order, after: None, total, counting };
                self.collect(sought, wanted)?.matches
            }
            Arrangement::Ranked(ranking) => self.rank(sought, &ranking)?.matches,
        };
        if matches.len() > FIRST_EVENTS_MAX {
            return Err(too_many_first());
        }
        let mut found = FoundClause::default();
        for Match { segment, doc, .. } in &matches {
            found.0.entry(segment.reader.segment_id()).or_default().push(*doc);
        }
        let stop = sought.stop.clone();
        Ok(Sought { query: ClauseQuery::boxed(self.snapshot, found, &stop), stop })
    }

    fn arrangement(
        &self,
        sort_by: &[SortKey],
        dedup_by: &[FieldRef],
        mut order: Order,
        limit: usize,
    ) -> Result<Arrangement, ApiError> {
        let mut sort = Vec::new();
        for key in sort_by {
            match self.fields().source(&key.field)? {
                // Whatever would come behind it decides among events of the same time only.
                ValueSource::Time if sort_by.len() == 1 => {
                    order = if key.is_descending { Order::Newest } else { Order::Oldest };
                }
                source => sort.push((source, key.is_descending)),
            }
        }
        if sort.is_empty() && dedup_by.is_empty() {
            return Ok(Arrangement::ByTime(order));
        }
        let source = |field| self.fields().source(field);
        let dedup = dedup_by.iter().map(source).collect::<Result<_, _>>()?;
        Ok(Arrangement::Ranked(Ranking { sort, dedup, order, limit }))
    }

    fn collect(&self, sought: &Sought, wanted: Wanted) -> Result<Finding, ApiError> {
        let (matches, total) = collect(self.snapshot, sought, wanted, &|| self.cancel.check())?;
        Ok(Finding { matches, total, kept: None, is_paged: true })
    }

    fn rank(&self, sought: &Sought, ranking: &Ranking) -> Result<Finding, ApiError> {
        let (read, check) = (read_record(), || self.cancel.check());
        let bytes_max = self.cancel.group_bytes();
        let found = ranked(self.snapshot, sought, ranking, &read, bytes_max, &check)?;
        let Found { first, matches, groups } = found;
        let total = Total { value: matches, exact: true };
        Ok(Finding { matches: first, total, kept: groups, is_paged: false })
    }

    fn cursor_behind(&self, last: Position, given: u64, request: &SearchRequest) -> String {
        Cursor::behind(last, given, self.clock.now, request, self.snapshot).to_string()
    }

    fn counting(&self, filter: &EventMeaning, total: TotalMode) -> Counting {
        let is_of_all_times = self.start.is_none() && self.end.is_none();
        let is_known = match filter {
            Meaning::All => true,
            Meaning::Test(EventTest::Value {
                field: EventField::Column(_),
                test: ValueMeaning::Exact(_),
            }) => is_of_all_times,
            _ => false,
        };
        if is_known {
            return Counting::Known;
        }
        let key = || key(filter, (self.start, self.end));
        Counting::OneByOne((total == TotalMode::Exact).then(key))
    }
}
