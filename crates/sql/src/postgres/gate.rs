//! Which statements clients may ask of the catalog and of their session: queries, and what changes nothing. A
//! statement could name files that are read or written, make tables that stay in memory, or take away bounds.

use async_trait::async_trait;
use datafusion::common::{DFSchema, DFSchemaRef, ParamValues};
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::{SQLOptions, SessionContext};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::results::{Response, Tag};
use datafusion_postgres::pgwire::error::PgWireResult;

use super::errors::refused;

/// See the module's documentation.
pub(super) struct Gate;

/// What becomes of a statement.
enum Verdict {
    /// The library answers it.
    Passes,
    /// It changes nothing, and is done.
    Done(Response),
    Refused,
}

impl Gate {
    async fn verdict(statement: &Statement, context: &SessionContext) -> Verdict {
        let done = |tag: &str| Verdict::Done(Response::Execution(Tag::new(tag)));
        let queries: Vec<Statement> = match statement {
            Statement::Query(_) => vec![statement.clone()],
            Statement::Explain { statement, .. } => vec![(**statement).clone()],
            Statement::Declare { stmts } => {
                let queries = stmts.iter().filter_map(|declared| declared.for_query.clone());
                queries.map(Statement::Query).collect()
            }
            // There are no savepoints where nothing is written; statements go with the connection.
            Statement::Savepoint { .. } => return done("SAVEPOINT"),
            Statement::ReleaseSavepoint { .. } => return done("RELEASE"),
            // The transaction goes on, and its error is forgotten.
            Statement::Rollback { savepoint: Some(_), .. } => {
                return Verdict::Done(Response::TransactionStart(Tag::new("ROLLBACK")));
            }
            Statement::Deallocate { .. } => return done("DEALLOCATE"),
            Statement::Discard { .. } => return done("DISCARD ALL"),
            Statement::UNLISTEN { .. } => return done("UNLISTEN"),
            Statement::Reset(_) => return done("RESET"),
            // DataFusion's own settings are bounds, among others.
            Statement::Set(_) if statement.to_string().to_lowercase().contains("datafusion") => {
                return Verdict::Refused;
            }
            Statement::Set(_)
            | Statement::ShowVariable { .. }
            | Statement::ShowCatalogs { .. }
            | Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Fetch { .. }
            | Statement::Close { .. } => return Verdict::Passes,
            _ => return Verdict::Refused,
        };
        for query in queries {
            if !matches!(query, Statement::Query(_)) || !is_read_only(query, context).await {
                return Verdict::Refused;
            }
        }
        Verdict::Passes
    }
}

/// Whether a query makes no table. What cannot be planned is told by whoever runs it.
async fn is_read_only(query: Statement, context: &SessionContext) -> bool {
    let plan = context.state().statement_to_plan(Parsed::Statement(Box::new(query))).await;
    let reads_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    plan.map_or(true, |plan| reads_only.verify_plan(&plan).is_ok())
}

fn refuse<T>() -> PgWireResult<T> {
    Err(refused("25006", "SQL only reads here: SELECT, EXPLAIN, SHOW and DESCRIBE"))
}

/// The plan of a statement that has no rows.
pub(super) fn nothing() -> LogicalPlan {
    let schema = DFSchemaRef::new(DFSchema::empty());
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema })
}

#[async_trait]
impl QueryHook for Gate {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        match Self::verdict(statement, context).await {
            Verdict::Passes => None,
            Verdict::Done(response) => Some(Ok(response)),
            Verdict::Refused => Some(refuse()),
        }
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        match Self::verdict(statement, context).await {
            Verdict::Passes => None,
            Verdict::Done(_) => Some(Ok(nothing())),
            Verdict::Refused => Some(refuse()),
        }
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        context: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        self.handle_simple_query(statement, context, client).await
    }
}
