//! The socket: what travels on it, the server, and the client that the command line uses; and the
//! port at which AWS's tools ask.
//!
//! The server knows no index. It asks an [`Engine`]: the daemon's is one, the tests' another.

pub mod aws;
pub mod client;
pub mod csv;
pub mod export;
pub mod json;
pub mod proto;
pub mod server;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::{ApiError, ErrorKind, FieldsRequest, FieldsResponse, FilesRequest, FilesResponse, RebuildRequest, RebuildStatus, SavedRequest, SavedSearch, SearchRequest, SearchResponse, Status, TailPage, TailRequest, ValuesRequest, ValuesResponse, VerifyStatus};

/// What answers the requests.
///
/// Every method is called on a blocking thread, several at a time, and may panic: the request then
/// answers 500 and the server goes on. Limits of a request are checked before the call.
pub trait Engine: Send + Sync + 'static {
    /// Polls `cancel` at least every few milliseconds of work and passes its error on.
    fn search(&self, request: &SearchRequest, cancel: &Cancel) -> Result<SearchResponse, ApiError>;

    /// A number that changes whenever [`Engine::tail`] may find more. Cheap.
    fn commits(&self) -> u64;

    /// The next events that came behind the request's cursor; polls `cancel` as [`Engine::search`] does.
    fn tail(
        &self,
        request: &TailRequest,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<TailPage, ApiError>;

    /// The events of that `eventID`, or of that `Meta::id`; [`ErrorKind::NotFound`] when none.
    fn event(&self, id: &str, cancel: &Cancel) -> Result<SearchResponse, ApiError>;

    /// Must answer while searches are running and while ingest stands still.
    fn status(&self) -> Status;

    /// By name.
    fn saved(&self) -> Arc<BTreeMap<String, SavedSearch>>;

    /// Saves a search, durably; says whether none had the name.
    fn save(&self, name: &str, search: &SavedSearch) -> Result<bool, ApiError>;

    /// Returns the search that is not saved any more; [`ErrorKind::NotFound`] when there was none.
    fn delete_saved(&self, name: &str) -> Result<SavedSearch, ApiError>;

    /// Polls `cancel` as [`Engine::search`] does.
    fn search_saved(
        &self,
        name: &str,
        request: &SavedRequest,
        cancel: &Cancel,
    ) -> Result<SearchResponse, ApiError>;

    /// Polls `cancel` as [`Engine::search`] does.
    fn fields(&self, request: &FieldsRequest, cancel: &Cancel) -> Result<FieldsResponse, ApiError>;

    /// Polls `cancel` as [`Engine::search`] does.
    fn values(&self, request: &ValuesRequest, cancel: &Cancel) -> Result<ValuesResponse, ApiError>;

    /// Polls `cancel` as [`Engine::search`] does.
    fn files(&self, request: &FilesRequest, cancel: &Cancel) -> Result<FilesResponse, ApiError>;

    /// Starts checking the index, unless a check is running already.
    fn start_verify(&self) -> VerifyStatus;

    /// The check that is running, and what the last one found.
    fn verify(&self) -> VerifyStatus;

    /// Starts making the index anew; returns once that has begun.
    fn rebuild(&self, request: RebuildRequest) -> Result<RebuildStatus, ApiError>;

    /// Metrics in Prometheus' text format.
    fn metrics(&self) -> String;
}

/// Where the server finds the engine, once there is one: until then everything but `/healthz` is answered
/// [`ErrorKind::Unavailable`].
pub type EngineSlot = Arc<OnceLock<Arc<dyn Engine>>>;

/// Why a search should stop: its deadline has passed, or nobody waits for it. Clones are the same.
#[derive(Clone, Debug)]
pub struct Cancel {
    has_hung_up: Arc<AtomicBool>,
    deadline: Instant,
    is_long: bool,
    makes_way: Option<MakesWay>,
}

/// From when on a search ends where it is not the only one.
#[derive(Clone, Debug)]
struct MakesWay {
    from: Instant,
    /// How many searches run or wait.
    searches: Arc<AtomicUsize>,
    /// It was told to end, which it will have to explain when others may have ended already.
    is_decided: Arc<AtomicBool>,
}

impl MakesWay {
    fn is_due(&self, now: Instant) -> bool {
        let is_in_the_way = now >= self.from && self.searches.load(Ordering::Relaxed) > 1;
        if is_in_the_way {
            self.is_decided.store(true, Ordering::Relaxed);
        }
        is_in_the_way || self.is_decided.load(Ordering::Relaxed)
    }
}

impl Cancel {
    pub fn at(deadline: Instant) -> Self {
        Self { has_hung_up: Arc::default(), deadline, is_long: false, makes_way: None }
    }

    /// For an attempt at the same search that ends after this time, as if it were the deadline, where
    /// other searches run or wait; `searches` counts all of them.
    #[must_use]
    pub fn making_way(&self, after: Duration, searches: &Arc<AtomicUsize>) -> Self {
        let searches = Arc::clone(searches);
        let from = Instant::now() + after;
        let makes_way = Some(MakesWay { from, searches, is_decided: Arc::default() });
        Self { makes_way, ..self.clone() }
    }

    /// For an attempt at the same search, which is known to take long.
    #[must_use]
    pub fn long(&self) -> Self {
        Self { is_long: true, ..self.clone() }
    }

    /// Whether others must not have to wait for this search's threads.
    pub fn is_long(&self) -> bool {
        self.is_long
    }

    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Says that nobody waits for the answer any more.
    pub fn hang_up(&self) {
        self.has_hung_up.store(true, Ordering::Relaxed);
    }

    /// To be polled while searching: an error is the search's answer.
    pub fn check(&self) -> Result<(), ApiError> {
        if self.has_hung_up.load(Ordering::Relaxed) {
            return Err(ApiError::new(ErrorKind::Unavailable, "the client hung up"));
        }
        let now = Instant::now();
        let makes_way = self.makes_way.as_ref().is_some_and(|makes_way| makes_way.is_due(now));
        if now >= self.deadline || makes_way {
            return Err(timed_out());
        }
        Ok(())
    }
}

/// The error of a search that reached its deadline.
fn timed_out() -> ApiError {
    ApiError {
        suggestion: Some("a shorter time range".into()),
        ..ApiError::new(ErrorKind::Timeout, "the search reached its deadline")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_stops_for_its_deadline_or_its_client() {
        let late = Cancel::at(Instant::now());
        assert_eq!(late.check().unwrap_err().kind, ErrorKind::Timeout);

        let cancel = Cancel::at(Instant::now() + Duration::from_mins(1));
        assert_eq!(cancel.check(), Ok(()));
        let searches = Arc::new(AtomicUsize::new(1));
        let short = cancel.making_way(Duration::ZERO, &searches);
        assert_eq!(short.check(), Ok(()), "it is alone");
        searches.store(2, Ordering::Relaxed);
        assert_eq!(short.check().unwrap_err().kind, ErrorKind::Timeout);
        assert_eq!(cancel.check(), Ok(()));
        searches.store(1, Ordering::Relaxed);
        assert_eq!(short.check().unwrap_err().kind, ErrorKind::Timeout, "it was told to end");
        cancel.clone().hang_up();
        assert_eq!(cancel.check().unwrap_err().message, "the client hung up");
    }
}
