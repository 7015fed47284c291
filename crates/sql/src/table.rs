//! The table `cloudtrail`. Every condition on it is met by the scan: by the index as far as that can, and by a
//! second look at what the index finds.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::leaves::Leaves;
use crate::push::pushed;
use crate::scan::{EventsExec, Sought, Source};
use crate::schema::{COLUMNS, Leaf, schema};
use language::ast;
use trail::time::Micros;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct CloudTrail {
    pub(crate) source: Arc<Source>,
}

#[async_trait]
impl TableProvider for CloudTrail {
    fn schema(&self) -> SchemaRef {
        schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let kind = |filter: &&Expr| {
            if self.source.uses_index && is_of_a_row(filter) {
                TableProviderFilterPushDown::Exact
            } else {
                TableProviderFilterPushDown::Unsupported
            }
        };
        Ok(filters.iter().map(kind).collect())
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let all: Vec<Leaf> = (0..COLUMNS.len()).filter_map(Leaf::column).collect();
        let chosen: Vec<usize> =
            projection.cloned().unwrap_or_else(|| (0..COLUMNS.len()).collect());
        let columns = chosen
            .into_iter()
            .filter_map(|at| Some((COLUMNS.get(at)?.name.to_owned(), all.get(at)?.clone())));
        let columns = columns.collect();
        let mut conditions = Vec::new();
        let mut span: (Option<Micros>, Option<Micros>) = (None, None);
        let (mut leaves, mut rest) = (Leaves::default(), Vec::new());
        let of_table = DFSchema::try_from(schema())?;
        for filter in filters {
            let asked = pushed(filter);
            let is_exact = asked.as_ref().is_some_and(|asked| asked.is_exact);
            if let Some(asked) = asked {
                span.0 = span.0.max(asked.span.0);
                span.1 = span.1.into_iter().chain(asked.span.1).min();
                // The span says all of it.
                if !(is_exact && is_span(&asked.expr)) {
                    conditions.push(asked.expr);
                }
            }
            if !is_exact {
                let plain = without_qualifiers(filter.clone())?;
                let condition = state.create_physical_expr(plain, &of_table)?;
                rest.push(leaves.rewrite(&condition, &all)?);
            }
        }
        let expr = ast::Expr::all_of(conditions);
        let sought = Sought { expr, span, rest, rest_leaves: leaves.read, count: OnceLock::new() };
        let source = Arc::clone(&self.source);
        Ok(Arc::new(EventsExec::new(source, Arc::new(sought), columns, limit)))
    }
}

/// Whether a condition is a range of time and nothing else.
fn is_span(expr: &ast::Expr) -> bool {
    let is_range =
        |part: &ast::Expr| matches!(part, ast::Expr::Field { test: ast::Test::Range { .. }, .. });
    match expr {
        ast::Expr::And(parts) => parts.iter().all(is_range),
        part => is_range(part),
    }
}

/// Columns by their names alone.
fn without_qualifiers(filter: Expr) -> Result<Expr> {
    use datafusion::common::Column;
    use datafusion::common::tree_node::{Transformed, TransformedResult};
    filter
        .transform(|expr| match expr {
            Expr::Column(column) => {
                Ok(Transformed::yes(Expr::Column(Column::new_unqualified(column.name))))
            }
            expr => Ok(Transformed::no(expr)),
        })
        .data()
}

/// Whether a condition is decided by a row alone, the same each time.
fn is_of_a_row(filter: &Expr) -> bool {
    let mut is_plain = !filter.is_volatile();
    let _ = filter.apply(|expr| {
        let is_other = matches!(
            expr,
            Expr::ScalarSubquery(_)
                | Expr::InSubquery(_)
                | Expr::Exists(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
                | Expr::AggregateFunction(_)
                | Expr::WindowFunction(_)
        );
        is_plain &= !is_other;
        Ok(if is_plain { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    is_plain
}
