//! PostgreSQL's catalog of the tables, and what clients ask of their session: answered by
//! `datafusion-postgres`, which knows the tables' columns and none of their rows.
//!
//! All connections share its memory and its turns: what is asked here is small, and beside the queries' share.

use std::sync::Arc;

use datafusion::catalog::{MemorySchemaProvider, SchemaProvider as _};
use datafusion::common::Result;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::SessionContext;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;
use tokio::sync::Semaphore;

use super::functions;
use super::rows::shown;
use crate::SqlError;
use crate::described::{Described, columns};
use crate::session::{CATALOG, Options, bare, register};

/// Memory of all that is asked here; it is in the printed sum (`src/config/memory.rs`).
const MEMORY_BYTES: usize = 64 << 20;

/// Statements at once.
const TURNS: usize = 4;

/// What the connections share.
pub(super) struct Shared {
    options: Options,
    runtime: Arc<RuntimeEnv>,
    pub(super) turns: Arc<Semaphore>,
}

impl Shared {
    pub(super) fn new(options: Options) -> std::result::Result<Self, SqlError> {
        let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(MEMORY_BYTES)))
            .with_disk_manager_builder(disk)
            .build_arc()
            .map_err(|error| SqlError::of(&error))?;
        let options = Options { memory_bytes: MEMORY_BYTES, threads: 1, ..options };
        Ok(Self { options, runtime, turns: Arc::new(Semaphore::new(TURNS)) })
    }

    /// A context of a connection's own: what a client sets there is its own, too.
    pub(super) fn context(&self) -> std::result::Result<SessionContext, SqlError> {
        self.made().map_err(|error| SqlError::of(&error))
    }

    fn made(&self) -> Result<SessionContext> {
        let context = bare(&self.options, Arc::clone(&self.runtime))?;
        let (described, names) = (MemorySchemaProvider::new(), self.options.names());
        for name in names.all() {
            if let Some(columns) = columns(&name, &names) {
                described.register_table(name, Arc::new(Described(shown(&columns))))?;
            }
        }
        register(&context, Arc::new(described))?;
        setup_pg_catalog(&context, CATALOG, EmptyContextProvider).map_err(|error| *error)?;
        functions::register(&context);
        Ok(context)
    }
}
