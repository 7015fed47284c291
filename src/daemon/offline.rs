//! Answers about a data directory that no daemon uses, for one command of this process. It reads the
//! last commit and changes nothing: what would need a daemon is refused.
//!
//! The command asks on a socket as of any daemon, in a folder of its own that goes with it. So it has
//! the same limits and answers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use anyhow::Context as _;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::coverage::{Coverage, WAIT_OFFLINE};
use super::gaps::{lost, underived, unlisted};
use super::{alerts, files, live_options, lookups, saved};
use crate::config::Config;
use ::alerts::Alerts;
use ingest::progress::Progress;
use search::run;
use segment::IndexError;
use segment::sigbus;
use server::App;
use store::inspect::{disk_bytes, free_bytes};
use store::ledger::LedgerCounts;
use store::manifest::FORMAT_VERSION;
use store::reading::open_to_read;
use store::saved::Saved;
use store::snapshot::Snapshot;
use wire::engine::{Caller, Cancel, Engine, EngineSlot};
use wire::{
    AlertChanges, AlertChangesRequest, AlertsChangeRequest, AlertsChangeResponse, AlertsRequest,
    AlertsResponse, ApiError, CoverageRequest, CoverageResponse, ErrorKind, EventCounts,
    FieldsRequest, FieldsResponse, FileCounts, FileState, FilesRequest, FilesResponse, IndexStatus,
    RebuildRequest, RebuildStatus, Rest, RulesStatus, SavedRequest, SavedSearch, SearchRequest,
    SearchResponse, Status, TailPage, TailRequest, ValidateReport, ValuesRequest, ValuesResponse,
    VerifyStatus,
};

/// Serves a data directory for as long as it lives.
pub struct Offline {
    /// Where to ask.
    pub socket: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    serving: Option<JoinHandle<()>>,
    _folder: TempDir,
}

impl Offline {
    /// Opens the index, and answers on a socket of this process.
    pub fn start(data_dir: &Path, config: &Config) -> anyhow::Result<Self> {
        let snapshot = open_to_read(data_dir, config.search.record_cache_bytes)?
            .with_context(|| format!("there is no index in {}", data_dir.display()))?;
        lookups::read(&snapshot.enrichment, config.sources());
        let saved = Saved::read(data_dir)?;
        let alerts = Alerts::read(data_dir)?;
        let coverage = Coverage::new(WAIT_OFFLINE);
        let engine =
            Arc::new(Reader { data_dir: data_dir.to_owned(), snapshot, saved, alerts, coverage });
        let slot = EngineSlot::default();
        let _ = slot.set(engine as _);
        let app = App::new(slot, live_options(config)?);
        let folder = tempfile::Builder::new().prefix("traildex-").tempdir()?;
        let socket = server::bind(&folder.path().join("socket"), None)?;
        let path = socket.path.clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let left = folder.path().to_owned();
        let serving = std::thread::spawn(move || {
            runtime.block_on(async {
                let stopped = async { drop(stopped.await) };
                tokio::select! {
                    served = server::serve(socket, app, stopped) => {
                        if let Err(error) = served {
                            tracing::error!(%error, "the socket failed");
                        }
                    }
                    code = interrupted() => {
                        let _ = std::fs::remove_dir_all(left);
                        std::process::exit(code);
                    }
                }
            });
        });
        Ok(Self { socket: path, stop: Some(stop), serving: Some(serving), _folder: folder })
    }
}

/// Waits for a signal that ends the process; the exit code that a shell knows it by.
async fn interrupted() -> i32 {
    let signals = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
    let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(serving) = self.serving.take() {
            let _ = serving.join();
        }
    }
}

/// See the module's documentation.
struct Reader {
    data_dir: PathBuf,
    snapshot: Arc<Snapshot>,
    saved: Arc<BTreeMap<String, store::saved::Search>>,
    /// With what is wrong with their file.
    alerts: (Alerts, Option<String>),
    coverage: Arc<Coverage>,
}

impl Reader {
    /// Asks the index. An answer that was found while a file was cut short does not count.
    fn asked<T>(
        &self,
        ask: impl FnOnce(&Arc<Snapshot>) -> Result<T, ApiError>,
    ) -> Result<(T, Vec<String>), ApiError> {
        let cuts = sigbus::cuts();
        let found = ask(&self.snapshot);
        if sigbus::cuts() != cuts {
            return Err(IndexError::Cut.into());
        }
        let snapshot = &self.snapshot;
        let warnings = lost(snapshot).into_iter().chain(unlisted(snapshot));
        Ok((found?, warnings.chain(underived(snapshot)).collect()))
    }
}

fn needs_daemon() -> ApiError {
    let message = "no daemon uses this data directory, and without one nothing is changed";
    let suggestion = Some("'traildex serve', and its socket with --socket".to_owned());
    ApiError { suggestion, ..ApiError::new(ErrorKind::Conflict, message) }
}

impl Engine for Reader {
    fn search(&self, request: &SearchRequest, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        let asked = self.coverage.asked(&self.snapshot, request);
        let (mut answer, warnings) =
            self.asked(|snapshot| run::search(snapshot, request, Timestamp::now(), cancel))?;
        answer.warnings.extend(warnings);
        if let Some(asked) = asked {
            self.coverage.tell(&self.snapshot, &asked, &|| 0, &mut answer);
        }
        Ok(answer)
    }

    fn more(&self, rest: &Rest, limit: usize, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        Ok(self.asked(|snapshot| run::more(snapshot, rest, limit, cancel))?.0)
    }

    fn commits(&self) -> u64 {
        self.snapshot.commit
    }

    fn tail(
        &self,
        request: &TailRequest,
        limit: usize,
        cancel: &Cancel,
    ) -> Result<TailPage, ApiError> {
        let (mut page, warnings) =
            self.asked(|snapshot| run::tail(snapshot, request, limit, cancel))?;
        page.warnings.extend(warnings);
        Ok(page)
    }

    fn event(&self, id: &str, cancel: &Cancel) -> Result<SearchResponse, ApiError> {
        let (mut answer, warnings) = self.asked(|snapshot| run::event(snapshot, id, cancel))?;
        answer.warnings.extend(warnings);
        Ok(answer)
    }

    fn alerts(&self, request: &AlertsRequest) -> Result<AlertsResponse, ApiError> {
        let (alerts, damage) = &self.alerts;
        let problems = damage.iter().cloned().collect();
        alerts::listed(alerts, request, RulesStatus { problems, ..RulesStatus::default() })
    }

    fn change_alerts(
        &self,
        _: Caller,
        _: &AlertsChangeRequest,
    ) -> Result<AlertsChangeResponse, ApiError> {
        Err(needs_daemon())
    }

    fn alert_changes(&self, request: &AlertChangesRequest) -> Result<AlertChanges, ApiError> {
        Ok(self.alerts.0.changes(request))
    }

    fn saved(&self) -> Arc<BTreeMap<String, SavedSearch>> {
        let told = self.saved.iter().map(|(name, search)| (name.clone(), saved::told(search)));
        Arc::new(told.collect())
    }

    fn save(&self, _: Caller, _: &str, _: &SavedSearch) -> Result<(SavedSearch, bool), ApiError> {
        Err(needs_daemon())
    }

    fn delete_saved(&self, _: Caller, _: &str) -> Result<SavedSearch, ApiError> {
        Err(needs_daemon())
    }

    fn search_saved(
        &self,
        name: &str,
        request: &SavedRequest,
        cancel: &Cancel,
    ) -> Result<SearchResponse, ApiError> {
        let search = self.saved.get(name).ok_or_else(|| saved::unknown(name))?;
        let search = saved::told(search);
        let mut answer = self.search(&saved::search(&search, request)?, cancel)?;
        answer.warnings.splice(0..0, saved::notes(&search)?);
        Ok(answer)
    }

    fn fields(&self, request: &FieldsRequest, cancel: &Cancel) -> Result<FieldsResponse, ApiError> {
        let (mut answer, warnings) =
            self.asked(|snapshot| run::fields(snapshot, request, cancel))?;
        answer.warnings.extend(warnings);
        Ok(answer)
    }

    fn values(&self, request: &ValuesRequest, cancel: &Cancel) -> Result<ValuesResponse, ApiError> {
        let (mut answer, warnings) =
            self.asked(|snapshot| run::values(snapshot, request, Timestamp::now(), cancel))?;
        answer.warnings.extend(warnings);
        Ok(answer)
    }

    fn status(&self) -> Status {
        let LedgerCounts { files, .. } = self.snapshot.files.counts();
        let span = self.snapshot.time_span();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            data_dir: self.data_dir.display().to_string(),
            files: FileCounts {
                indexed: files.indexed,
                rejected: files.rejected,
                ..FileCounts::default()
            },
            events: EventCounts {
                indexed: self.snapshot.events(),
                first: span.map(|(first, _)| first),
                last: span.map(|(_, last)| last),
                ..EventCounts::default()
            },
            index: IndexStatus {
                bytes: disk_bytes(&self.data_dir),
                free_bytes: free_bytes(&self.data_dir).unwrap_or_default(),
                segments: self.snapshot.segments.len() as u64,
                damaged: 0,
                format_version: FORMAT_VERSION,
            },
            lookups: lookups::status(&self.snapshot),
            ..Status::default()
        }
    }

    fn files(&self, request: &FilesRequest, cancel: &Cancel) -> Result<FilesResponse, ApiError> {
        let of_watching = [FileState::Ignored, FileState::Pending, FileState::Skipped];
        if request.state.is_some_and(|state| of_watching.contains(&state)) {
            let message = "an index does not say which files are ignored, pending or skipped";
            let suggestion = Some("the daemon that watches the archive says it".to_owned());
            return Err(ApiError { suggestion, ..ApiError::new(ErrorKind::Conflict, message) });
        }
        files::list(&self.snapshot, &Progress::new(), request, cancel)
    }

    fn validation(&self) -> Result<ValidateReport, ApiError> {
        Err(needs_daemon())
    }

    fn coverage(
        &self,
        request: &CoverageRequest,
        cancel: &Cancel,
    ) -> Result<CoverageResponse, ApiError> {
        let (mut answer, warnings) =
            self.asked(|snapshot| self.coverage.answer(snapshot, request, None, cancel))?;
        answer.warnings.extend(warnings);
        Ok(answer)
    }

    fn start_verify(&self, _: Caller) -> VerifyStatus {
        VerifyStatus::default()
    }

    fn verify(&self) -> VerifyStatus {
        VerifyStatus::default()
    }

    fn rebuild(&self, _: Caller, _: RebuildRequest) -> Result<RebuildStatus, ApiError> {
        Err(needs_daemon())
    }

    fn metrics(&self) -> String {
        String::new()
    }
}
