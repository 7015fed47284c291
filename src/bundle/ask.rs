//! What a bundle is asked for, made independent of when it is asked: the same command gives the same bag.

use bundle::{Query, Tree};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use client::ClientError;
use coverage::asked::Asked;
use language::parse::parse;
use language::time::Clock;
use search::run::{clock_of, parse_bound, refused};
use wire::{ApiError, ErrorKind, Order, SearchRequest};

/// Far enough from another time that nothing relative means the same.
const ELSEWHEN: jiff::SignedDuration = jiff::SignedDuration::from_hours(24 * 1_000);

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// As it was typed.
    pub query: String,
    /// Earliest time, as it was typed.
    pub start: Option<String>,
    /// Latest time, as it was typed.
    pub end: Option<String>,
    /// The zone of times without an offset.
    pub time_zone: Option<String>,
    /// Without the originals.
    pub records_only: bool,
    /// A tar in place of a folder.
    pub is_tar: bool,
}

impl Ask {
    /// The query with its range in absolute times, as of this time.
    pub(super) fn resolved(&self, time: Timestamp) -> Result<Query, ClientError> {
        let parsed = parse(&self.query).map_err(refused)?;
        let clock = clock_of(self.time_zone.as_deref(), time)?;
        let start = parse_bound("since", self.start.as_deref(), &clock)?;
        let end = parse_bound("until", self.end.as_deref(), &clock)?;
        let then =
            Clock { now: time.checked_sub(ELSEWHEN).unwrap_or(time), zone: clock.zone.clone() };
        let asked = |clock: &Clock| Asked::of(&parsed, None, None, clock);
        if asked(&clock) != asked(&then) {
            return Err(bad(
                "the query has a time that depends on when it is asked, so nobody could ask it again",
                "--since and --until, which are resolved once and written down",
            ));
        }
        Ok(Query {
            text: self.query.clone(),
            parsed: parsed.to_string(),
            tree: Tree::of(&parsed),
            start: start.map(|time| time.to_string()),
            end: end.map(|time| time.to_string()),
            time_zone: self.time_zone.clone(),
        })
    }
}

/// The search for the events of a bundle, the oldest first.
pub(super) fn request(query: &Query) -> SearchRequest {
    SearchRequest {
        query: query.text.as_str().into(),
        start: query.start.clone(),
        end: query.end.clone(),
        time_zone: query.time_zone.clone(),
        order: Order::Oldest,
        ..SearchRequest::default()
    }
}

/// The caller's mistake.
pub(super) fn bad(message: &str, suggestion: &str) -> ClientError {
    let suggestion = Some(suggestion.to_owned());
    ApiError { suggestion, ..ApiError::new(ErrorKind::BadRequest, message) }.into()
}
