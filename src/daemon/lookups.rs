//! Files in which values are looked up: read at the start, and again where they change, by a thread that looks
//! at them every few seconds. Searches have what was read in their snapshot.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use enrich::{Enrichment, Field, Sources};

use crate::config::Config;
use store::snapshot::{EnrichmentCell, Snapshot};
use wire::LookupStatus;

/// Between two looks: for a reload, and at every so-manieth at the files.
const LOOK: Duration = Duration::from_millis(500);
const LOOKS_BETWEEN_FILES: u32 = 6;

/// What of the configuration can change while the daemon runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookupOptions {
    sources: Sources,
    /// Counted up by each reload, after which what failed is read again.
    reloads: u64,
}

/// Shared with whoever reloads them.
pub type LiveLookups = Arc<ArcSwap<LookupOptions>>;

impl LookupOptions {
    pub fn of(config: &Config) -> Self {
        Self { sources: config.sources(), reloads: 0 }
    }

    /// Those of a configuration that was read again.
    #[must_use]
    pub fn reloaded(&self, config: &Config) -> Self {
        Self { sources: config.sources(), reloads: self.reloads + 1 }
    }
}

/// See the module's documentation.
pub(super) struct Lookups {
    cell: EnrichmentCell,
    options: LiveLookups,
    is_stopped: AtomicBool,
    pause: (Mutex<()>, Condvar),
}

impl Lookups {
    /// Reads the files, and starts the thread.
    pub(super) fn start(snapshot: &Snapshot, options: LiveLookups) -> anyhow::Result<Arc<Self>> {
        let lookups = Arc::new(Self {
            cell: Arc::clone(&snapshot.enrichment),
            options,
            is_stopped: AtomicBool::new(false),
            pause: (Mutex::default(), Condvar::new()),
        });
        let options = lookups.options.load_full();
        read(&lookups.cell, options.sources.clone());
        let own = Arc::clone(&lookups);
        thread::Builder::new().name("lookups".to_owned()).spawn(move || own.run(&options))?;
        Ok(lookups)
    }

    /// Ends the thread, soon.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
        self.pause.1.notify_all();
    }

    fn has_stopped_within(&self, time: Duration) -> bool {
        let (lock, stopped) = &self.pause;
        let lock = lock.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stopped = || self.is_stopped.load(Ordering::Acquire);
        drop(stopped.wait_timeout_while(lock, time, |()| !is_stopped()));
        is_stopped()
    }

    fn run(&self, options: &LookupOptions) {
        let (mut options, mut looks) = (options.clone(), 0_u32);
        while !self.has_stopped_within(LOOK) {
            let now = self.options.load_full();
            looks += 1;
            let is_reloaded = *now != options;
            if is_reloaded
                || looks.is_multiple_of(LOOKS_BETWEEN_FILES) && self.cell.load().is_stale()
            {
                options = LookupOptions::clone(&now);
                read(&self.cell, options.sources.clone());
            }
        }
    }

    /// What is wrong with the files.
    pub(super) fn problems(&self) -> Vec<String> {
        self.cell.load().problems().iter().map(ToString::to_string).collect()
    }
}

/// The fields that can be looked up.
pub(super) fn status(snapshot: &Snapshot) -> Vec<LookupStatus> {
    let enrichment = snapshot.enrichment.load();
    let known = Field::ALL.iter().filter(|(field, ..)| enrichment.check(*field).is_ok());
    let told = |(field, name, _): &(Field, &str, _)| LookupStatus {
        field: (*name).to_owned(),
        sources: enrichment.told(*field),
    };
    known.map(told).collect()
}

/// Reads what changed, and has searches look it up from now on. What is wrong is logged where it is new.
pub(super) fn read(cell: &EnrichmentCell, sources: Sources) {
    let before = cell.load_full();
    let Ok(new) = catch_unwind(AssertUnwindSafe(|| Enrichment::load(sources, &before))) else {
        tracing::error!(
            "a file in which values are looked up cannot be read; all stay as they were"
        );
        return;
    };
    let known = before.problems();
    for problem in new.problems().iter().filter(|problem| !known.contains(problem)) {
        tracing::warn!(
            problem = problem.to_string(),
            "a file in which values are looked up lacks some"
        );
    }
    if new.sources().are_any() {
        let indicators: usize = new.lists().iter().map(|(_, count)| count).sum();
        let databases = new.databases_told();
        tracing::info!(?databases, indicators, "files in which values are looked up were read");
    }
    cell.store(Arc::new(new));
}
