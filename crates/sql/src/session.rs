//! A data directory that is asked in SQL. Each query takes the newest commit, and reads it to its end whatever
//! is committed meanwhile.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{
    CatalogProvider as _, MemoryCatalogProvider, SchemaProvider, TableProvider,
};
use datafusion::common::{ParamValues, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::TrackConsumersPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::{SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::parser::{DFParserBuilder, Statement};
use datafusion::sql::sqlparser::ast::{Statement as SqlStatement, visit_relations};
use datafusion::sql::sqlparser::dialect::{Dialect, PostgreSqlDialect};
use datafusion::sql::sqlparser::parser::Parser;
use futures_util::StreamExt as _;

use crate::described::DescribedTables;
use crate::error::{SqlError, TIMEOUT};
use crate::functions;
use crate::names::{Names, quoted};
use crate::pool::{Pool, runs_at_once};
use crate::rewrite::{DEPTH_MAX, Trino, is_nested_within, rewrite};
use crate::scan::Source;
use crate::table::CloudTrail;
use crate::tables;
use store::reading::{Follower, Trust, User, user};
use store::snapshot::Snapshot;
use wire::engine::Cancel;

/// Bounds of a query, and what the tables are called.
#[derive(Clone, Debug)]
pub struct Options {
    /// Bytes of memory that sorts, joins and groups may take; beyond, they write to disk.
    pub memory_bytes: usize,
    /// Bytes that they may write to disk.
    pub spill_bytes: u64,
    /// Where they write; None is the system's folder for such files.
    pub spill_dir: Option<PathBuf>,
    /// How long a query may take.
    pub timeout: Duration,
    /// Threads that read and compute.
    pub threads: usize,
    /// Names of event data stores, under which `cloudtrail` is found, too.
    pub stores: Vec<String>,
    /// Bytes of records that are kept between queries.
    pub cache_bytes: usize,
    /// Whether conditions and columns are asked of the index. Without, answers are the same, and slow: it is
    /// there to test that.
    pub uses_index: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_bytes: 512 << 20,
            spill_bytes: 4 << 30,
            spill_dir: None,
            timeout: Duration::from_secs(60),
            threads: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            stores: Vec::new(),
            cache_bytes: 64 << 20,
            uses_index: true,
        }
    }
}

impl Options {
    /// The names of the tables.
    pub(crate) fn names(&self) -> Names {
        Names { stores: self.stores.clone() }
    }
}

/// Bytes of a statement. Lake takes 10,000 characters.
pub const STATEMENT_BYTES_MAX: usize = 64 << 10;

/// Bytes of stack of each thread that a statement is answered on: it can be nested.
pub const STACK_BYTES: usize = 64 << 20;

/// Where the tables are: PostgreSQL's clients look for them in `public`.
pub(crate) const CATALOG: &str = "traildex";
pub(crate) const SCHEMA: &str = "public";

/// Rows of a batch: a merge of what was spilled holds one of each file, and a row can hold a record.
const BATCH_ROWS: usize = 2_048;

/// Merges that read from disk at once: each holds a batch of every file.
const SPILL_READ_BYTES: usize = 10 << 20;

/// See the module's documentation.
pub struct Database {
    data_dir: PathBuf,
    follower: Mutex<Follower>,
    options: Options,
}

/// The rows that a statement makes, as they come.
pub struct Answer {
    stream: SendableRecordBatchStream,
    cancel: Cancel,
}

impl Database {
    /// Opens the index of a data directory. Where a daemon or an import uses it, that one answers for its
    /// files; where nobody does, all of them are compared with their hashes first.
    pub fn open(data_dir: &Path, options: Options) -> std::result::Result<Self, SqlError> {
        let failed = |error: segment::IndexError| SqlError::Failed(error.to_string());
        let trust = match user(data_dir).map_err(failed)? {
            User::Nobody => Trust::Hashes,
            User::Daemon(_) | User::Writer => Trust::Owner,
        };
        let mut follower = Follower::new(data_dir, options.cache_bytes, trust);
        if follower.newest().map_err(failed)?.is_none() {
            return Err(SqlError::Failed(format!("there is no index in {}", data_dir.display())));
        }
        Ok(Self { data_dir: data_dir.to_owned(), follower: Mutex::new(follower), options })
    }

    /// The newest commit.
    fn newest(&self) -> std::result::Result<Arc<Snapshot>, SqlError> {
        let mut follower = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = follower.newest().map_err(|error| SqlError::Failed(error.to_string()))?;
        newest.ok_or_else(|| {
            SqlError::Failed(format!("there is no index in {}", self.data_dir.display()))
        })
    }

    /// Begins to answer a statement. It must be run on a runtime of several threads, each with a stack of
    /// [`STACK_BYTES`].
    pub async fn query(&self, sql: &str) -> std::result::Result<Answer, SqlError> {
        self.plan(sql, self.options.timeout).await?.run(None).await
    }

    /// Understands a statement over the newest commit. Planning and answering may take so long together.
    pub(crate) async fn plan(
        &self,
        sql: &str,
        timeout: Duration,
    ) -> std::result::Result<Planned, SqlError> {
        let cancel = Cancel::at(Instant::now() + timeout.min(self.options.timeout));
        let snapshot = self.newest()?;
        let context = self.context(&snapshot, &cancel).map_err(|error| SqlError::of(&error))?;
        let (sql, stores) = (sql.to_owned(), self.options.stores.clone());
        let (of_thread, runtime) = (context.clone(), tokio::runtime::Handle::current());
        let plan = move || {
            let statement = parsed(&sql, &stores)?;
            let planned = runtime.block_on(plan(&of_thread, statement));
            planned.map_err(|error| SqlError::of(&error))
        };
        let plan = deep(cancel.deadline(), plan).await?;
        Ok(Planned { plan, context, cancel })
    }

    fn context(&self, snapshot: &Arc<Snapshot>, cancel: &Cancel) -> Result<SessionContext> {
        let source = Arc::new(Source {
            snapshot: Arc::clone(snapshot),
            cancel: cancel.clone(),
            partitions: self.options.threads.max(1),
            uses_index: self.options.uses_index,
        });
        let tables =
            Tables { data_dir: self.data_dir.clone(), source, names: self.options.names() };
        let context = bare(&self.options, runtime(&self.options)?)?;
        register(&context, Arc::new(tables))?;
        Ok(context)
    }
}

/// The memory and the disk of one query.
fn runtime(options: &Options) -> Result<Arc<RuntimeEnv>> {
    let Options { memory_bytes, spill_bytes, spill_dir, threads, .. } = options;
    let mode = match spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let disk =
        DiskManagerBuilder::default().with_mode(mode).with_max_temp_directory_size(*spill_bytes);
    let largest = std::num::NonZero::<usize>::MIN;
    let pool = TrackConsumersPool::new(Pool::new(*memory_bytes), largest);
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(pool))
        .with_disk_manager_builder(disk)
        .with_max_spill_merge_fan_in(runs_at_once(*memory_bytes, *threads))
        .build_arc()
}

/// A context with Trino's functions and no tables.
pub(crate) fn bare(options: &Options, runtime: Arc<RuntimeEnv>) -> Result<SessionContext> {
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH_ROWS)
        .with_target_partitions(options.threads.max(1))
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA);
    let settings = config.options_mut();
    "nulls_last".clone_into(&mut settings.sql_parser.default_null_ordering);
    settings.sql_parser.map_string_types_to_utf8view = false;
    settings.execution.sort_spill_reservation_bytes =
        SPILL_READ_BYTES.min(options.memory_bytes / 32);
    let mut state = SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .build();
    functions::register(&mut state)?;
    Ok(SessionContext::new_with_state(state))
}

/// Understands a statement: its columns and its parameters are known then, and nothing of the index is held.
pub(crate) async fn describe(
    sql: &str,
    options: &Options,
    timeout: Duration,
) -> std::result::Result<LogicalPlan, SqlError> {
    let (sql, options) = (sql.to_owned(), options.clone());
    let handle = tokio::runtime::Handle::current();
    let work = move || {
        let context = bare(&options, runtime(&options).map_err(|error| SqlError::of(&error))?);
        let context = context.map_err(|error| SqlError::of(&error))?;
        let tables = Arc::new(DescribedTables(options.names()));
        register(&context, tables).map_err(|error| SqlError::of(&error))?;
        let statement = parsed(&sql, &options.stores)?;
        handle.block_on(plan(&context, statement)).map_err(|error| SqlError::of(&error))
    };
    deep(Instant::now() + timeout, work).await
}

/// Puts the tables where statements look for them.
pub(crate) fn register(context: &SessionContext, tables: Arc<dyn SchemaProvider>) -> Result<()> {
    let catalog = MemoryCatalogProvider::new();
    catalog.register_schema(SCHEMA, tables)?;
    context.register_catalog(CATALOG, Arc::new(catalog));
    Ok(())
}

async fn plan(context: &SessionContext, statement: Statement) -> Result<LogicalPlan> {
    let plan = context.state().statement_to_plan(statement).await?;
    let reads_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads_only.verify_plan(&plan)?;
    Ok(plan)
}

/// Works on a thread of its own: a statement can be nested, and plans with it.
async fn deep<T: Send + 'static>(
    deadline: Instant,
    work: impl FnOnce() -> std::result::Result<T, SqlError> + Send + 'static,
) -> std::result::Result<T, SqlError> {
    let (done, worked) = tokio::sync::oneshot::channel();
    let work = move || {
        let _ = done.send(work());
    };
    let spawned = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(work);
    spawned.map_err(|error| SqlError::Failed(format!("no thread can be started: {error}")))?;
    match tokio::time::timeout_at(deadline.into(), worked).await {
        Ok(Ok(worked)) => worked,
        Ok(Err(_)) => Err(SqlError::Failed("the statement could not be planned: a bug".to_owned())),
        Err(_) => Err(SqlError::Bound(TIMEOUT.to_owned())),
    }
}

/// A statement that can be answered.
pub(crate) struct Planned {
    plan: LogicalPlan,
    context: SessionContext,
    cancel: Cancel,
}

impl Planned {
    /// Begins to answer, with values in place of `$1` and so on.
    pub(crate) async fn run(
        self,
        parameters: Option<ParamValues>,
    ) -> std::result::Result<Answer, SqlError> {
        let Self { plan, context, cancel } = self;
        let runtime = tokio::runtime::Handle::current();
        let work = move || {
            let stream = runtime.block_on(async {
                let plan = match parameters {
                    Some(parameters) => plan.replace_params_with_values(&parameters)?,
                    None => plan,
                };
                context.execute_logical_plan(plan).await?.execute_stream().await
            });
            stream.map_err(|error| SqlError::of(&error))
        };
        let stream = deep(cancel.deadline(), work).await?;
        Ok(Answer { stream, cancel })
    }
}

/// The one statement of a text, if it only reads.
fn parsed(sql: &str, stores: &[String]) -> std::result::Result<Statement, SqlError> {
    let refuse = |message: String| Err(SqlError::Statement(message));
    if sql.len() > STATEMENT_BYTES_MAX {
        return refuse(format!(
            "the statement has {} bytes; {STATEMENT_BYTES_MAX} are the most",
            sql.len()
        ));
    }
    let sql = quoted(sql, stores);
    let parser = DFParserBuilder::new(sql.as_ref()).with_dialect(&Trino).build();
    let parsed = parser.and_then(|mut parser| parser.parse_statements());
    let mut statements = parsed.map_err(|error| SqlError::of(&error))?;
    let Some(mut statement) = statements.pop_front() else {
        return refuse("there is no statement".to_owned());
    };
    if !statements.is_empty() {
        return refuse("one statement is asked at a time".to_owned());
    }
    match reads(&mut statement) {
        None => refuse("SQL only reads here: SELECT, EXPLAIN, SHOW and DESCRIBE".to_owned()),
        Some(false) => refuse(format!(
            "a condition is nested more than {DEPTH_MAX} deep; a list of values is shorter as x IN (…)"
        )),
        Some(true) => Ok(statement),
    }
}

/// Bytes of a text that is not of the tables: what clients ask PostgreSQL's catalog has a few thousand.
const OTHER_BYTES_MAX: usize = 16 << 10;

/// How deeply conditions of such a text may be nested: it is planned by those who have no bound.
const OTHER_DEPTH_MAX: usize = 200;

/// The statement of a text that reads the tables or describes them, of an `EXPLAIN` what it explains. None where
/// it asks for PostgreSQL's catalog, is more than one statement, or cannot be understood; an error where it is
/// so long, or nested so deeply, that nobody should look at it.
pub(crate) fn of_tables(
    sql: &str,
    stores: &[String],
) -> std::result::Result<Option<SqlStatement>, SqlError> {
    if let Ok(statement) = parsed(sql, stores) {
        let statement = innermost(statement);
        if statement.as_ref().is_some_and(is_of_tables) {
            return Ok(statement);
        }
    }
    let refuse = |message: String| Err(SqlError::Statement(message));
    if sql.len() > OTHER_BYTES_MAX {
        let bytes = sql.len();
        return refuse(format!(
            "a text of {bytes} bytes that is not one statement of the tables; {OTHER_BYTES_MAX} are the most"
        ));
    }
    let dialects: [&dyn Dialect; 2] = [&PostgreSqlDialect {}, &Trino];
    let parsed = dialects.iter().find_map(|dialect| Parser::parse_sql(*dialect, sql).ok());
    let is_within = |statement: &SqlStatement| is_nested_within(statement, OTHER_DEPTH_MAX);
    if parsed.is_some_and(|statements| !statements.iter().all(is_within)) {
        return refuse(format!(
            "a condition is nested more than {OTHER_DEPTH_MAX} deep in what is not one statement of the tables"
        ));
    }
    Ok(None)
}

fn innermost(mut statement: Statement) -> Option<SqlStatement> {
    while let Statement::Explain(explain) = statement {
        statement = *explain.statement;
    }
    match statement {
        Statement::Statement(statement) => Some(*statement),
        _ => None,
    }
}

/// Whether a statement reads tables and none of the catalog, or describes them.
fn is_of_tables(statement: &SqlStatement) -> bool {
    let mut is_of_tables = !matches!(statement, SqlStatement::Query(_));
    let _ = visit_relations(statement, |name| {
        is_of_tables = !name.0.iter().any(|part| {
            let part = part.to_string().to_lowercase();
            part.starts_with("pg_") || part == "information_schema"
        });
        if is_of_tables { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    is_of_tables
}

/// Whether what a statement asks is nested no deeper than it may be; None where it does more than read. What
/// is within is rewritten to DataFusion's forms.
fn reads(statement: &mut Statement) -> Option<bool> {
    match statement {
        Statement::Explain(explain) => reads(&mut explain.statement),
        Statement::Statement(statement) => match &mut **statement {
            SqlStatement::Query(_) => Some(rewrite(statement)),
            SqlStatement::Explain { statement: inner, .. } => {
                matches!(**inner, SqlStatement::Query(_)).then(|| rewrite(inner))
            }
            SqlStatement::ExplainTable { .. }
            | SqlStatement::ShowTables { .. }
            | SqlStatement::ShowColumns { .. }
            | SqlStatement::ShowFunctions { .. } => Some(true),
            _ => None,
        },
        _ => None,
    }
}

impl Answer {
    /// The columns of the rows.
    pub fn schema(&self) -> SchemaRef {
        self.stream.schema()
    }

    /// The next rows; None behind the last. Fails once the deadline is reached.
    pub async fn next(&mut self) -> std::result::Result<Option<RecordBatch>, SqlError> {
        let next = tokio::time::timeout_at(self.cancel.deadline().into(), self.stream.next());
        match next.await {
            Ok(Some(batch)) => batch.map(Some).map_err(|error| SqlError::of(&error)),
            Ok(None) => Ok(None),
            Err(_) => Err(SqlError::Bound(TIMEOUT.to_owned())),
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        // Its scans end, too.
        self.cancel.hang_up();
    }
}

/// The tables that there are.
#[derive(Debug)]
struct Tables {
    data_dir: PathBuf,
    source: Arc<Source>,
    names: Names,
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        self.names.all()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        Ok(match name {
            "files" => Some(tables::files(&self.source)?),
            "alerts" => Some(tables::alerts(&self.data_dir)?),
            name if self.names.is_cloudtrail(name) => {
                Some(Arc::new(CloudTrail { source: Arc::clone(&self.source) }))
            }
            _ => None,
        })
    }

    fn table_exist(&self, name: &str) -> bool {
        self.names.has(name)
    }
}
