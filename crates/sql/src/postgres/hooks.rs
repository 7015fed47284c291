//! What clients say beside their queries, and what they may not ask: anything that does more than read. A
//! statement could name files that are read or written, or make tables that stay in memory.

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

use super::service::refused;

const TEXT: &str = "SQL only reads here: SELECT, EXPLAIN, SHOW and DESCRIBE";

fn refuse<T>() -> PgWireResult<T> {
    Err(refused("25006", TEXT))
}

/// The plan of a statement that has no rows.
pub(super) fn nothing() -> LogicalPlan {
    let schema = DFSchemaRef::new(DFSchema::empty());
    LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema })
}

fn is_read_only(plan: &LogicalPlan) -> bool {
    let reads_only =
        SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads_only.verify_plan(plan).is_ok()
}

/// Looks at queries before anything runs.
pub(super) struct ReadsOnly;

impl ReadsOnly {
    async fn allows(statement: &Statement, context: &SessionContext) -> bool {
        let queries: Vec<Statement> = match statement {
            Statement::Query(_) => vec![statement.clone()],
            Statement::Explain { statement, .. } => vec![(**statement).clone()],
            Statement::Declare { stmts } => {
                let queries = stmts.iter().filter_map(|declared| declared.for_query.clone());
                queries.map(Statement::Query).collect()
            }
            _ => return true,
        };
        for query in queries {
            if !matches!(query, Statement::Query(_)) {
                return false;
            }
            let query = Parsed::Statement(Box::new(query));
            // What cannot be planned is told by whoever runs it.
            if let Ok(plan) = context.state().statement_to_plan(query).await
                && !is_read_only(&plan)
            {
                return false;
            }
        }
        true
    }
}

#[async_trait]
impl QueryHook for ReadsOnly {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if Self::allows(statement, context).await { None } else { Some(refuse()) }
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        if Self::allows(statement, context).await { None } else { Some(refuse()) }
    }

    async fn handle_extended_query(
        &self,
        _: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        None
    }
}

/// Takes note of what clients say of their session, where that changes nothing: there are no savepoints where
/// nothing is written, and statements go with the connection.
pub(super) struct Sessions;

impl Sessions {
    fn told(statement: &Statement) -> Option<Response> {
        let done = |tag: &str| Some(Response::Execution(Tag::new(tag)));
        match statement {
            Statement::Savepoint { .. } => done("SAVEPOINT"),
            Statement::ReleaseSavepoint { .. } => done("RELEASE"),
            // The transaction goes on, and its error is forgotten.
            Statement::Rollback { savepoint: Some(_), .. } => {
                Some(Response::TransactionStart(Tag::new("ROLLBACK")))
            }
            Statement::Deallocate { .. } => done("DEALLOCATE"),
            Statement::Discard { .. } => done("DISCARD ALL"),
            Statement::UNLISTEN { .. } => done("UNLISTEN"),
            Statement::Reset(_) => done("RESET"),
            _ => None,
        }
    }
}

#[async_trait]
impl QueryHook for Sessions {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        Self::told(statement).map(Ok)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        Self::told(statement).map(|_| Ok(nothing()))
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        Self::told(statement).map(Ok)
    }
}

/// Refuses statements that no hook before it knew, but for queries.
pub(super) struct NothingElse;

fn is_query(statement: &Statement) -> bool {
    matches!(statement, Statement::Query(_) | Statement::Explain { .. })
}

#[async_trait]
impl QueryHook for NothingElse {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if is_query(statement) { None } else { Some(refuse()) }
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        if is_query(statement) { None } else { Some(refuse()) }
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        _: &ParamValues,
        _: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if is_query(statement) { None } else { Some(refuse()) }
    }
}
