//! Answers the statements of one connection: those of the tables by the index, and any other by
//! `datafusion-postgres`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{DeclareType, Statement};
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::hooks::cursor::CursorStatementHook;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use datafusion_postgres::pgwire::api::portal::{Format, Portal};
use datafusion_postgres::pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use datafusion_postgres::pgwire::api::results::{FieldInfo, Response, Tag};
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, Type};
use datafusion_postgres::pgwire::error::{PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::{DfSessionService, QueryHook};
use futures_util::Sink;
use tokio::sync::{OnceCell, OwnedSemaphorePermit};

use super::bounds::Bounds;
use super::cancel::key;
use super::copy::Copy;
use super::errors::{refused, told};
use super::fallback::Fallback;
use super::gate::{Gate, nothing};
use super::startup::Server;
use super::{parameters, rows};
use crate::serve::queries::Running;
use crate::session::of_tables;

/// What the library keeps of a statement: its text, its tree, its plan.
pub(super) type Kept = (String, Option<(Statement, LogicalPlan)>);

/// How the library keeps what `SET statement_timeout` says, in milliseconds.
const STATEMENT_TIMEOUT: &str = "statement_timeout_ms";

/// See the module's documentation.
pub(super) struct Service {
    index: Arc<Index>,
    catalog: Arc<Catalog>,
}

/// The library's service, made when it is first asked: who has not said who it is costs less.
struct Catalog {
    index: Arc<Index>,
    made: OnceCell<DfSessionService>,
}

impl Catalog {
    async fn get(&self) -> PgWireResult<&DfSessionService> {
        let make = async || {
            let context = self.index.0.catalog.context().map_err(|error| told(&error))?;
            let hooks: Vec<Arc<dyn QueryHook>> = vec![
                Arc::clone(&self.index) as _,
                Arc::new(Gate),
                Arc::new(CursorStatementHook),
                Arc::new(SetShowHook),
                Arc::new(TransactionStatementHook),
                Arc::new(Fallback),
            ];
            Ok(DfSessionService::new_with_hooks(Arc::new(context), hooks))
        };
        self.made.get_or_try_init(make).await
    }
}

impl Service {
    pub(super) fn new(server: Arc<Server>) -> Self {
        let index = Arc::new(Index(server));
        let catalog = Arc::new(Catalog { index: Arc::clone(&index), made: OnceCell::new() });
        Self { index, catalog }
    }

    /// A turn for what is not of the tables.
    async fn turn(&self, bounds: &mut Bounds) -> PgWireResult<OwnedSemaphorePermit> {
        let turns = Arc::clone(&self.index.0.catalog.turns);
        let turn = bounds.within(turns.acquire_owned()).await?;
        turn.map_err(|error| refused("XX000", &error.to_string()))
    }
}

fn timeout<C: ClientInfo + ?Sized>(client: &C) -> Duration {
    let set = client.metadata().get(STATEMENT_TIMEOUT);
    let set = set.and_then(|set| set.parse().ok()).filter(|millis| *millis > 0);
    set.map_or(Duration::MAX, Duration::from_millis)
}

#[async_trait]
impl SimpleQueryHandler for Service {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut bounds = self.index.bounds(client);
        // In its own dialect, which has more than the library's.
        if self.index.statement(query)?.is_some() {
            let response = self.index.respond(client, query, None, &Format::UnifiedText);
            let response = bounds.within(response).await??;
            return Ok(vec![bounds.bound(response, ())]);
        }
        let turn = Arc::new(self.turn(&mut bounds).await?);
        let theirs = SimpleQueryHandler::do_query(self.catalog.get().await?, client, query);
        let responses = bounds.within(theirs).await??;
        let bound = |response| bounds.bound(response, Arc::clone(&turn));
        Ok(responses.into_iter().map(bound).collect())
    }
}

#[async_trait]
impl ExtendedQueryHandler for Service {
    type Statement = Kept;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        Arc::new(Parser { index: Arc::clone(&self.index), catalog: Arc::clone(&self.catalog) })
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Kept>,
        max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Kept>,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let mut bounds = self.index.bounds(client);
        let (sql, kept) = &portal.statement.statement;
        if let Some((statement, plan)) = kept
            && self.index.statement(sql)?.is_some()
        {
            let values = parameters::values(portal, statement, plan)?;
            let format = &portal.result_column_format;
            let response = self.index.respond(client, sql, Some(values), format);
            let response = bounds.within(response).await??;
            return Ok(bounds.bound(response, ()));
        }
        let turn = self.turn(&mut bounds).await?;
        let catalog = self.catalog.get().await?;
        let theirs = ExtendedQueryHandler::do_query(catalog, client, portal, max_rows);
        let response = bounds.within(theirs).await??;
        Ok(bounds.bound(response, turn))
    }
}

/// Understands statements that are run later, with values.
pub(super) struct Parser {
    index: Arc<Index>,
    catalog: Arc<Catalog>,
}

impl Parser {
    /// The library's parser, once it has parsed a statement.
    fn of_catalog(&self) -> Option<Arc<datafusion_postgres::Parser>> {
        self.catalog.made.get().map(ExtendedQueryHandler::query_parser)
    }

    /// Whether a statement is of the tables.
    fn is_ours(&self, sql: &str) -> bool {
        matches!(self.index.statement(sql), Ok(Some(_)))
    }
}

#[async_trait]
impl QueryParser for Parser {
    type Statement = Kept;

    async fn parse_sql<C>(
        &self,
        client: &C,
        sql: &str,
        types: &[Option<Type>],
    ) -> PgWireResult<Option<Kept>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let Some(statement) = self.index.statement(sql)? else {
            let catalog = ExtendedQueryHandler::query_parser(self.catalog.get().await?);
            return catalog.parse_sql(client, sql, types).await;
        };
        let plan = self.index.describe(client, sql).await?;
        Ok(Some((sql.to_owned(), Some((statement, plan)))))
    }

    fn get_parameter_types(&self, kept: &Kept) -> PgWireResult<Vec<Type>> {
        match (kept, self.of_catalog()) {
            ((sql, Some((statement, plan))), _) if self.is_ours(sql) => {
                parameters::types(statement, plan)
            }
            (_, Some(catalog)) => catalog.get_parameter_types(kept),
            (_, None) => Ok(Vec::new()),
        }
    }

    fn get_result_schema(
        &self,
        kept: &Kept,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match (kept, self.of_catalog()) {
            ((sql, Some((_, plan))), _) if self.is_ours(sql) => {
                rows::fields(plan.schema().as_arrow(), format.unwrap_or(&Format::UnifiedText))
            }
            (_, Some(catalog)) => catalog.get_result_schema(kept, format),
            (_, None) => Ok(Vec::new()),
        }
    }
}

/// Answers statements of the tables, among others of one text, and in cursors.
struct Index(Arc<Server>);

impl Index {
    /// The statement, if it is of the tables.
    fn statement(&self, sql: &str) -> PgWireResult<Option<Statement>> {
        of_tables(sql, &self.0.queries.config().sql.stores).map_err(|error| told(&error))
    }

    /// The same of what stands in another statement, which was looked at.
    fn part(&self, sql: &str) -> Option<Statement> {
        self.statement(sql).ok().flatten()
    }

    /// What a statement of a client may take.
    fn bounds<C: ClientInfo + ?Sized>(&self, client: &C) -> Bounds {
        let timeout = timeout(client).min(self.0.queries.config().timeout_max());
        let stopped = self.0.cancels.begin(key(client.pid_and_secret_key()));
        Bounds { deadline: Instant::now() + timeout, stopped }
    }

    async fn describe<C: ClientInfo + ?Sized>(
        &self,
        client: &C,
        sql: &str,
    ) -> PgWireResult<LogicalPlan> {
        let described = self.0.queries.describe(sql, timeout(client)).await;
        described.map_err(|error| told(&error))
    }

    async fn query<C: ClientInfo + ?Sized>(
        &self,
        client: &C,
        sql: &str,
        values: Option<ParamValues>,
    ) -> PgWireResult<Running> {
        if client.transaction_status() == TransactionStatus::Error {
            let text = "current transaction is aborted, commands ignored until end of transaction \
                        block";
            return Err(refused("25P02", text));
        }
        self.0.queries.query(sql, timeout(client), values).await.map_err(|error| told(&error))
    }

    async fn respond<C: ClientInfo + ?Sized>(
        &self,
        client: &C,
        sql: &str,
        values: Option<ParamValues>,
        format: &Format,
    ) -> PgWireResult<Response> {
        let running = self.query(client, sql, values).await?;
        rows::response(running, format).map(Response::Query)
    }

    /// Opens the cursors of a `DECLARE`; None where it reads none of the tables.
    async fn declare(
        &self,
        statement: &Statement,
        values: Option<&ParamValues>,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let Statement::Declare { stmts } = statement else { return None };
        let [declared] = &stmts[..] else { return None };
        let (Some(DeclareType::Cursor), [name], Some(query)) =
            (&declared.declare_type, &declared.names[..], &declared.for_query)
        else {
            return None;
        };
        let sql = query.to_string();
        let statement = self.part(&sql)?;
        Some(self.open(&name.value, (sql, statement), values, client).await)
    }

    /// Copies rows out; None where a statement is no `COPY` of the tables.
    async fn copy(
        &self,
        statement: &Statement,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let copy = match Copy::of(statement)? {
            Ok(copy) => copy,
            Err(error) => return Some(Err(error)),
        };
        self.part(&copy.sql)?;
        Some(match self.query(client, &copy.sql, None).await {
            Ok(running) => copy.response(running).await,
            Err(error) => Err(error),
        })
    }

    async fn open(
        &self,
        cursor: &str,
        (sql, statement): (String, Statement),
        values: Option<&ParamValues>,
        client: &mut dyn HookClient,
    ) -> PgWireResult<Response> {
        let plan = self.describe(client, &sql).await?;
        let running = self.query(client, &sql, values.cloned()).await?;
        let response = Response::Query(rows::response(running, &Format::UnifiedText)?);
        let Response::Query(response) = self.bounds(client).bound(response, ()) else {
            return Err(refused("XX000", "a cursor has no rows: a bug"));
        };
        // Clients ask which columns it has.
        let kept = (sql, Some((statement, plan)));
        let statement = StoredStatement::new(cursor.to_owned(), kept, Vec::new());
        let portal = Portal::new_cursor(cursor.to_owned(), Arc::new(statement));
        portal.start(response).await;
        client.portal_store().put_portal(Arc::new(portal));
        Ok(Response::Execution(Tag::new("DECLARE CURSOR")))
    }
}

#[async_trait]
impl QueryHook for Index {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if let Some(declared) = self.declare(statement, None, client).await {
            return Some(declared);
        }
        if let Some(copied) = self.copy(statement, client).await {
            return Some(copied);
        }
        let sql = statement.to_string();
        self.part(&sql)?;
        Some(self.respond(client, &sql, None, &Format::UnifiedText).await)
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        _: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        Copy::of(statement).map(|copy| copy.map(|_| nothing()))
    }

    async fn handle_extended_query(
        &self,
        statement: &Statement,
        _: &LogicalPlan,
        values: &ParamValues,
        _: &SessionContext,
        client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        if let Some(declared) = self.declare(statement, Some(values), client).await {
            return Some(declared);
        }
        self.copy(statement, client).await
    }
}
