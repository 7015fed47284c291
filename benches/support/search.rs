//! One search, in the process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use search::run;
use store::snapshot::Snapshot;
use wire::engine::Cancel;
use wire::{Order, SearchRequest, SearchResponse};

/// A page of results.
const LIMIT: usize = 50;

/// A whole bench takes a tenth of this; a search that reaches it fails.
const DEADLINE: Duration = Duration::from_hours(1);

pub struct Search {
    pub name: &'static str,
    pub query: &'static str,
    pub order: Order,
    /// Events, or rows.
    pub limit: usize,
}

pub const fn newest(name: &'static str, query: &'static str) -> Search {
    Search { name, query, order: Order::Newest, limit: LIMIT }
}

impl Search {
    pub fn run(&self, snapshot: &Arc<Snapshot>) -> SearchResponse {
        let request = SearchRequest {
            query: self.query.into(),
            limit: Some(self.limit),
            order: self.order,
            ..SearchRequest::default()
        };
        let cancel = Cancel::at(Instant::now() + DEADLINE);
        // No query here is relative to now.
        run::search(snapshot, &request, Timestamp::UNIX_EPOCH, &cancel)
            .unwrap_or_else(|error| panic!("{}: {error:?}", self.query))
    }
}
