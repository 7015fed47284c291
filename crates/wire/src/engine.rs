//! The trait of whatever answers the requests, and the way to stop a search.
//!
//! The server knows no index. It asks an [`Engine`]: the daemon has one, the tests have another.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::limits::GROUP_BYTES_MAX;
use crate::{
    AlertChanges, AlertChangesRequest, AlertsChangeRequest, AlertsChangeResponse, AlertsRequest,
    AlertsResponse, ApiError, CoverageRequest, CoverageResponse, ErrorKind, FieldsRequest,
    FieldsResponse, FilesRequest, FilesResponse, RebuildRequest, RebuildStatus, Rest, SavedRequest,
    SavedSearch, SearchRequest, SearchResponse, Status, TailPage, TailRequest, ValidateReport,
    ValuesRequest, ValuesResponse, VerifyStatus,
};

/// Answers the requests.
///
/// Every method is called on a blocking thread, several at a time, and may panic: that request is
/// then answered with 500, and the server goes on. The limits of a request are checked before the
/// call.
pub trait Engine: Send + Sync + 'static {
    /// Answers a search. Polls `cancel` at least every few milliseconds of work, and returns its
    /// error.
    fn search(&self, request: &SearchRequest, cancel: &Cancel) -> Result<SearchResponse, ApiError>;

    /// The next part of what a search kept, at most `limit` events or rows, and what is left behind it.
    /// [`ErrorKind::Gone`] where an event is not in the index any more. Polls `cancel` as
    /// [`Engine::search`] does.
    fn more(&self, rest: &Rest, limit: usize, cancel: &Cancel) -> Result<SearchResponse, ApiError>;

    /// A number that changes whenever [`Engine::tail`] may find more events. Cheap to call.
    fn commits(&self) -> u64;

    /// The next events behind the request's cursor, at most `limit`. Polls `cancel` as
    /// [`Engine::search`] does.
    fn tail(
        &self,
        request: &TailRequest,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<TailPage, ApiError>;

    /// The events with that `eventID` or that `Meta::id`; [`ErrorKind::NotFound`] where there is
    /// none.
    fn event(&self, id: &str, cancel: &Cancel) -> Result<SearchResponse, ApiError>;

    /// The daemon's state. Answers even while searches run and while ingest stands still.
    fn status(&self) -> Status;

    /// All saved searches, by name.
    fn saved(&self) -> Arc<BTreeMap<String, SavedSearch>>;

    /// Saves a search durably under a name. Returns what is saved now, with its owner, and true
    /// where the name is new, false where it was replaced. [`ErrorKind::Forbidden`] where the name
    /// belongs to somebody else, unless the caller is an operator.
    fn save(
        &self,
        caller: Caller,
        name: &str,
        search: &SavedSearch,
    ) -> Result<(SavedSearch, bool), ApiError>;

    /// Deletes a saved search and returns it; [`ErrorKind::NotFound`] where there is none of that
    /// name, [`ErrorKind::Forbidden`] as for [`Engine::save`].
    fn delete_saved(&self, caller: Caller, name: &str) -> Result<SavedSearch, ApiError>;

    /// Runs a saved search with the request's parameters. Polls `cancel` as [`Engine::search`]
    /// does.
    fn search_saved(
        &self,
        name: &str,
        request: &SavedRequest,
        cancel: &Cancel,
    ) -> Result<SearchResponse, ApiError>;

    /// Lists the fields of events. Polls `cancel` as [`Engine::search`] does.
    fn fields(&self, request: &FieldsRequest, cancel: &Cancel) -> Result<FieldsResponse, ApiError>;

    /// Lists the most frequent values of a field. Polls `cancel` as [`Engine::search`] does.
    fn values(&self, request: &ValuesRequest, cancel: &Cancel) -> Result<ValuesResponse, ApiError>;

    /// Lists alerts.
    fn alerts(&self, request: &AlertsRequest) -> Result<AlertsResponse, ApiError>;

    /// Notes what a person did with alerts, and who it was.
    fn change_alerts(
        &self,
        caller: Caller,
        request: &AlertsChangeRequest,
    ) -> Result<AlertsChangeResponse, ApiError>;

    /// The changes of alerts behind a number, without waiting for any.
    fn alert_changes(&self, request: &AlertChangesRequest) -> Result<AlertChanges, ApiError>;

    /// Lists files of the archive, or sums over them. Polls `cancel` as [`Engine::search`] does.
    fn files(&self, request: &FilesRequest, cancel: &Cancel) -> Result<FilesResponse, ApiError>;

    /// What the archive can know. Polls `cancel` as [`Engine::search`] does.
    fn coverage(
        &self,
        request: &CoverageRequest,
        cancel: &Cancel,
    ) -> Result<CoverageResponse, ApiError>;

    /// What CloudTrail's digests say of the files of the index; [`ErrorKind::NotFound`] where nothing was
    /// judged yet.
    fn validation(&self) -> Result<ValidateReport, ApiError>;

    /// Starts a check of the index for an operator, unless one is running. Returns how far it is.
    fn start_verify(&self, caller: Caller) -> VerifyStatus;

    /// How far a running check is, and what the last one found.
    fn verify(&self) -> VerifyStatus;

    /// Starts a rebuild of the index from the archive for an operator; returns once it has begun.
    fn rebuild(&self, caller: Caller, request: RebuildRequest) -> Result<RebuildStatus, ApiError>;

    /// The daemon's metrics, in Prometheus' text format.
    fn metrics(&self) -> String;
}

/// Who may operate the daemon, in a sentence's words.
pub const OPERATORS: &str =
    "root, the user that the daemon runs as, and the users in `socket.operators`";

/// Who asks for something that changes what others see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The number of the client's user.
    pub uid: u32,
    /// Whether the user may operate the daemon, and change what belongs to others.
    pub is_operator: bool,
}

/// Where the server finds the engine once there is one. Until then, it answers everything but
/// `/healthz` with [`ErrorKind::Unavailable`].
pub type EngineSlot = Arc<OnceLock<Arc<dyn Engine>>>;

/// Tells a search when to stop: at its deadline, or when its client has hung up. Clones share the
/// client's state.
#[derive(Clone, Debug)]
pub struct Cancel {
    has_hung_up: Arc<AtomicBool>,
    deadline: Instant,
    is_long: bool,
    group_bytes: usize,
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
    /// A cancel that stops the search at `deadline`.
    pub fn at(deadline: Instant) -> Self {
        Self {
            has_hung_up: Arc::default(),
            deadline,
            is_long: false,
            group_bytes: GROUP_BYTES_MAX,
            makes_way: None,
        }
    }

    /// For a first, short attempt at the same search. Once `after` has passed, the attempt ends as
    /// if at its deadline if other searches run or wait; `searches` counts them all, this one
    /// included.
    #[must_use]
    pub fn making_way(&self, after: Duration, searches: &Arc<AtomicUsize>) -> Self {
        let searches = Arc::clone(searches);
        let from = Instant::now() + after;
        let makes_way = Some(MakesWay { from, searches, is_decided: Arc::default() });
        Self { makes_way, ..self.clone() }
    }

    /// For a second attempt at the same search, once it is known to take long.
    #[must_use]
    pub fn long(&self) -> Self {
        Self { is_long: true, ..self.clone() }
    }

    /// For work that may take `time` from now, and no more than the search has.
    #[must_use]
    pub fn within(&self, time: Duration) -> Self {
        Self { deadline: self.deadline.min(Instant::now() + time), ..self.clone() }
    }

    /// For work whose groups may take so many bytes, and no more than any search's.
    #[must_use]
    pub fn with_group_bytes(&self, bytes: usize) -> Self {
        Self { group_bytes: self.group_bytes.min(bytes), ..self.clone() }
    }

    /// Bytes that the groups of a search may take.
    pub fn group_bytes(&self) -> usize {
        self.group_bytes
    }

    /// Whether the search is long, and so must run on threads that short searches do not wait for.
    pub fn is_long(&self) -> bool {
        self.is_long
    }

    /// When the search ends with [`ErrorKind::Timeout`].
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// Records that the client has hung up, so that the search and all clones stop.
    pub fn hang_up(&self) {
        self.has_hung_up.store(true, Ordering::Relaxed);
    }

    /// Returns an error once the search must stop. Searches poll it, and answer with that error.
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
pub fn timed_out() -> ApiError {
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
        let within = cancel.within(Duration::ZERO);
        assert_eq!(within.check().unwrap_err().kind, ErrorKind::Timeout);
        assert_eq!(cancel.within(Duration::from_hours(1)).deadline(), cancel.deadline());
        cancel.clone().hang_up();
        assert_eq!(cancel.check().unwrap_err().message, "the client hung up");
    }
}
