//! Runs queries, whoever asks: over one open index, in turns.
//!
//! So many queries run at once, and so many more wait; the next one is refused. A query that fails for the
//! index's sake has it opened anew, as where the data directory was replaced.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tracing::{info, warn};

use crate::config::Config;
use crate::error::{SqlError, TIMEOUT};
use crate::session::{self, Answer, Database};

/// Queries that wait, for each that may run.
const WAITING: usize = 4;

/// Between two looks for an index.
const PAUSE: Duration = Duration::from_secs(1);

/// See the module's documentation.
pub(crate) struct Queries {
    config: Config,
    /// For queries that run or wait.
    places: Arc<Semaphore>,
    /// For those that run.
    turns: Arc<Semaphore>,
    /// Or why there is none.
    database: Mutex<Result<Arc<Database>, String>>,
    lost: Notify,
}

/// A query's right to run, until it is dropped.
pub(crate) struct Turn {
    _turn: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
}

/// A query that runs.
pub(crate) struct Running {
    pub(crate) answer: Answer,
    _turn: Turn,
}

impl Queries {
    /// Opens nothing yet.
    pub(crate) fn new(config: Config) -> Self {
        let queries = config.sql.queries_max;
        Self {
            config,
            places: Arc::new(Semaphore::new(queries * (1 + WAITING))),
            turns: Arc::new(Semaphore::new(queries)),
            database: Mutex::new(Err("the index is being opened".to_owned())),
            lost: Notify::new(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Opens the index, and again where it is lost. Never ends.
    pub(crate) async fn keep_open(self: Arc<Self>) {
        loop {
            let (data_dir, options) = (self.config.data_dir.clone(), self.config.options());
            let opened = tokio::task::spawn_blocking(move || Database::open(&data_dir, options));
            match opened.await {
                Ok(Ok(database)) => {
                    info!(data_dir = %self.config.data_dir.display(), "the index is open");
                    *self.slot() = Ok(Arc::new(database));
                    self.lost.notified().await;
                    continue;
                }
                Ok(Err(error)) => {
                    let reason = error.to_string();
                    let before = std::mem::replace(&mut *self.slot(), Err(reason.clone()));
                    if before.err().as_ref() != Some(&reason) {
                        warn!(reason, "there is no index to ask yet; waiting for it");
                    }
                }
                Err(error) => warn!(%error, "the index could not be opened"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The index, as it is open.
    pub(crate) fn database(&self) -> Result<Arc<Database>, SqlError> {
        self.slot().as_ref().map(Arc::clone).map_err(|reason| SqlError::Failed(reason.clone()))
    }

    /// Has the index opened anew.
    fn lose(&self, database: &Arc<Database>, reason: &str) {
        let mut slot = self.slot();
        if slot.as_ref().is_ok_and(|open| Arc::ptr_eq(open, database)) {
            warn!(reason, "the index is opened again");
            *slot = Err("the index is being opened again".to_owned());
            self.lost.notify_one();
        }
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Result<Arc<Database>, String>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A turn, by then. Fails where too many wait, or none comes in time.
    async fn turn(&self, until: Instant) -> Result<Turn, SqlError> {
        let queries = self.config.sql.queries_max;
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| {
            let waiting = queries * WAITING;
            let busy = format!("{queries} queries run and {waiting} wait; try again in a while");
            SqlError::Bound(busy)
        })?;
        let turn = tokio::time::timeout_at(until.into(), Arc::clone(&self.turns).acquire_owned());
        let late = || SqlError::Bound(TIMEOUT.to_owned());
        let turn = turn.await.map_err(|_| late())?.map_err(|_| late())?;
        Ok(Turn { _turn: turn, _place: place })
    }

    /// Understands a statement, without the index and without a turn.
    pub(crate) async fn describe(
        &self,
        statement: &str,
        timeout: Duration,
    ) -> Result<LogicalPlan, SqlError> {
        let timeout = timeout.min(self.config.timeout_max());
        session::describe(statement, &self.config.options(), timeout).await
    }

    /// Begins to answer a statement: waits for its turn, and plans it. Its time counts from now.
    pub(crate) async fn query(
        &self,
        statement: &str,
        timeout: Duration,
        values: Option<ParamValues>,
    ) -> Result<Running, SqlError> {
        let until = Instant::now() + timeout.min(self.config.timeout_max());
        let turn = self.turn(until).await?;
        let database = self.database()?;
        let left = until.saturating_duration_since(Instant::now());
        let answered = match database.plan(statement, left).await {
            Ok(planned) => planned.run(values).await,
            Err(error) => Err(error),
        };
        if let Err(SqlError::Failed(reason)) = &answered {
            self.lose(&database, reason);
        }
        Ok(Running { answer: answered?, _turn: turn })
    }
}
