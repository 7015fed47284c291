//! PostgreSQL's catalog of the tables, and what clients ask of their session. It knows the tables' columns and
//! none of their rows.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{MemorySchemaProvider, SchemaProvider as _, Session, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionContext;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::setup_pg_catalog;

use super::functions;
use super::rows::shown;
use crate::SqlError;
use crate::session::{CATALOG, Database, register};

/// A context of a connection's own: what a client sets there is its own, too.
pub(super) async fn context(database: &Database) -> std::result::Result<SessionContext, SqlError> {
    let tables = database.tables().await?;
    let made = || {
        let context = database.bare()?;
        let described = MemorySchemaProvider::new();
        for (name, schema) in tables {
            described.register_table(name, Arc::new(Described(shown(&schema))))?;
        }
        register(&context, Arc::new(described))?;
        setup_pg_catalog(&context, CATALOG, EmptyContextProvider).map_err(|error| *error)?;
        functions::register(&context);
        Ok(context)
    };
    made().map_err(|error| SqlError::of(&error))
}

/// A table of which only the columns are known.
#[derive(Debug)]
struct Described(SchemaRef);

#[async_trait]
impl TableProvider for Described {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.0)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _: &dyn Session,
        _: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        plan_err!("PostgreSQL's catalog and the tables cannot be asked in one statement")
    }
}
