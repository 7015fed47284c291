//! The tables of which only the columns are known. Statements are understood over them before they are asked:
//! a client may keep what is understood for days, and it must not keep files of the index with it.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{SchemaProvider, Session, TableProvider};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::names::Names;
use crate::{schema, tables};

/// A table's columns.
#[derive(Debug)]
pub(crate) struct Described(pub(crate) SchemaRef);

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

/// The columns of a table; None where there is none of that name.
pub(crate) fn columns(name: &str, names: &Names) -> Option<SchemaRef> {
    match name {
        "files" => Some(tables::files_schema()),
        "alerts" => Some(tables::alerts_schema()),
        name if names.is_cloudtrail(name) => Some(schema::schema()),
        _ => None,
    }
}

/// All tables, described.
#[derive(Debug)]
pub(crate) struct DescribedTables(pub(crate) Names);

#[async_trait]
impl SchemaProvider for DescribedTables {
    fn table_names(&self) -> Vec<String> {
        self.0.all()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let columns = columns(name, &self.0);
        Ok(columns.map(|columns| Arc::new(Described(columns)) as _))
    }

    fn table_exist(&self, name: &str) -> bool {
        columns(name, &self.0).is_some()
    }
}
