//! Answers the statements of one connection: those of the tables by the index, and any other by
//! `datafusion-postgres`.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
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
use datafusion_postgres::pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use datafusion_postgres::pgwire::api::stmt::{QueryParser, StoredStatement};
use datafusion_postgres::pgwire::api::store::PortalStore;
use datafusion_postgres::pgwire::api::{ClientInfo, ClientPortalStore, Type};
use datafusion_postgres::pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use datafusion_postgres::pgwire::messages::PgWireBackendMessage;
use datafusion_postgres::pgwire::messages::response::TransactionStatus;
use datafusion_postgres::pgwire::messages::startup::SecretKey;
use datafusion_postgres::{DfSessionService, QueryHook};
use futures_util::stream::{self, StreamExt as _};
use futures_util::{Sink, Stream};
use tokio::sync::watch;

use super::copy::Copy;
use super::hooks::{NothingElse, ReadsOnly, Sessions, nothing};
use super::nothing::Nothing;
use super::{catalog, parameters, rows};
use crate::SqlError;
use crate::error::TIMEOUT;
use crate::serve::desk::{Desk, Running as Query};
use crate::session::{Planned, of_tables};

/// What the library keeps of a statement: its text, its tree, its plan.
pub(super) type Kept = (String, Option<(Statement, LogicalPlan)>);

/// How the library keeps what `SET statement_timeout` says, in milliseconds.
const STATEMENT_TIMEOUT: &str = "statement_timeout_ms";

/// What a client cancels by: a number, which all connections of a process share, and a secret.
type Key = (i32, Vec<u8>);

/// The key of a connection, or of a request to stop one.
pub(super) fn key(number: i32, secret: &SecretKey) -> Key {
    let secret = match secret {
        SecretKey::I32(secret) => secret.to_be_bytes().to_vec(),
        SecretKey::Bytes(secret) => secret.to_vec(),
    };
    (number, secret)
}

/// What runs, by the key that a client cancels it by.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashMap<Key, watch::Sender<()>>>);

impl Running {
    /// Stops what runs under a key.
    pub(super) fn stop(&self, key: &Key) {
        let running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.get(key) {
            running.send_replace(());
        }
    }

    fn begin(&self, key: Key) -> watch::Receiver<()> {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        running.entry(key).or_insert_with(|| watch::Sender::new(())).subscribe()
    }

    fn end(&self, key: &Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// An error as PostgreSQL's clients know it, by its class.
pub(super) fn told(error: &SqlError) -> PgWireError {
    let code = match error {
        SqlError::Statement(_) => "42601",
        SqlError::Bound(text) if text == TIMEOUT => "57014",
        SqlError::Bound(_) => "53400",
        SqlError::Failed(_) => "XX000",
    };
    refused(code, &error.to_string())
}

pub(super) fn refused(code: &str, text: &str) -> PgWireError {
    let info = ErrorInfo::new("ERROR".to_owned(), code.to_owned(), text.to_owned());
    PgWireError::UserError(Box::new(info))
}

/// See the module's documentation.
pub(super) struct Service {
    index: Arc<Index>,
    catalog: DfSessionService,
    running: Arc<Running>,
    /// Under which key what it runs is stopped.
    key: Mutex<Option<Key>>,
}

impl Service {
    pub(super) async fn new(desk: Arc<Desk>, running: Arc<Running>) -> Result<Self, SqlError> {
        let context = Arc::new(catalog::context(&*desk.database()?).await?);
        let index = Arc::new(Index(desk));
        let hooks: Vec<Arc<dyn QueryHook>> = vec![
            Arc::new(ReadsOnly),
            Arc::clone(&index) as _,
            Arc::new(CursorStatementHook),
            Arc::new(Sessions),
            Arc::new(SetShowHook),
            Arc::new(TransactionStatementHook),
            Arc::new(NothingElse),
            Arc::new(Nothing),
        ];
        let catalog = DfSessionService::new_with_hooks(context, hooks);
        Ok(Self { index, catalog, running, key: Mutex::new(None) })
    }

    /// Until when a statement may take, and what tells that it is stopped.
    fn begin<C: ClientInfo>(&self, client: &C) -> Bounds {
        let (number, secret) = client.pid_and_secret_key();
        let key = key(number, &secret);
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        let timeout = timeout(client).min(self.index.0.config().timeout_max());
        Bounds { deadline: Instant::now() + timeout, stopped: self.running.begin(key) }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(key) = &*self.key.lock().unwrap_or_else(PoisonError::into_inner) {
            self.running.end(key);
        }
    }
}

/// Bounds of a statement.
#[derive(Clone)]
struct Bounds {
    deadline: Instant,
    stopped: watch::Receiver<()>,
}

impl Bounds {
    async fn within<T>(&mut self, work: impl Future<Output = T>) -> PgWireResult<T> {
        tokio::select! {
            biased;
            _ = self.stopped.changed() => Err(PgWireError::QueryCanceled),
            worked = tokio::time::timeout_at(self.deadline.into(), work) => {
                worked.map_err(|_| told(&SqlError::Bound(TIMEOUT.to_owned())))
            }
        }
    }

    /// The response, whose rows end with an error where a bound is reached.
    fn bound(&self, response: Response) -> Response {
        match response {
            Response::Query(mut response) => {
                let (fields, tag) = (response.row_schema(), response.command_tag().to_owned());
                let rows = std::mem::replace(response.data_rows(), Box::pin(stream::empty()));
                let mut response = QueryResponse::new(fields, self.bounded(rows));
                response.set_command_tag(&tag);
                Response::Query(response)
            }
            Response::CopyOut(mut response) => {
                let rows = std::mem::replace(response.data_stream(), Box::pin(stream::empty()));
                *response.data_stream() = Box::pin(self.bounded(rows));
                Response::CopyOut(response)
            }
            response => response,
        }
    }

    fn bounded<T: Send + 'static>(
        &self,
        rows: impl Stream<Item = PgWireResult<T>> + Send + Unpin + 'static,
    ) -> impl Stream<Item = PgWireResult<T>> + Send + 'static {
        stream::unfold(Some((rows, self.clone())), |left| async move {
            let (mut rows, mut bounds) = left?;
            match bounds.within(rows.next()).await {
                Ok(row) => row.map(|row| (row, Some((rows, bounds)))),
                Err(error) => Some((Err(error), None)),
            }
        })
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
        let mut bounds = self.begin(client);
        // In its own dialect, which has more than the library's.
        if self.index.statement(query).is_some() {
            let response = self.index.respond(client, query, None, &Format::UnifiedText);
            let response = bounds.within(response).await??;
            return Ok(vec![bounds.bound(response)]);
        }
        let theirs = SimpleQueryHandler::do_query(&self.catalog, client, query);
        let responses = bounds.within(theirs).await??;
        Ok(responses.into_iter().map(|response| bounds.bound(response)).collect())
    }
}

#[async_trait]
impl ExtendedQueryHandler for Service {
    type Statement = Kept;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        let catalog = ExtendedQueryHandler::query_parser(&self.catalog);
        Arc::new(Parser { index: Arc::clone(&self.index), catalog })
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
        let mut bounds = self.begin(client);
        let (sql, kept) = &portal.statement.statement;
        let response = match kept {
            Some((statement, plan)) if self.index.statement(sql).is_some() => {
                let values = parameters::values(portal, statement, plan)?;
                let format = &portal.result_column_format;
                bounds.within(self.index.respond(client, sql, Some(values), format)).await??
            }
            _ => {
                let theirs =
                    ExtendedQueryHandler::do_query(&self.catalog, client, portal, max_rows);
                bounds.within(theirs).await??
            }
        };
        Ok(bounds.bound(response))
    }
}

/// Understands statements that are run later, with values.
pub(super) struct Parser {
    index: Arc<Index>,
    catalog: Arc<datafusion_postgres::Parser>,
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
        let Some(statement) = self.index.statement(sql) else {
            return self.catalog.parse_sql(client, sql, types).await;
        };
        let planned = self.index.plan(client, sql).await?;
        Ok(Some((sql.to_owned(), Some((statement, planned.plan().clone())))))
    }

    fn get_parameter_types(&self, statement: &Kept) -> PgWireResult<Vec<Type>> {
        match statement {
            (sql, Some((statement, plan))) if self.index.statement(sql).is_some() => {
                parameters::types(statement, plan)
            }
            theirs => self.catalog.get_parameter_types(theirs),
        }
    }

    fn get_result_schema(
        &self,
        statement: &Kept,
        format: Option<&Format>,
    ) -> PgWireResult<Vec<FieldInfo>> {
        match statement {
            (sql, Some((_, plan))) if self.index.statement(sql).is_some() => {
                rows::fields(plan.schema().as_arrow(), format.unwrap_or(&Format::UnifiedText))
            }
            theirs => self.catalog.get_result_schema(theirs, format),
        }
    }
}

/// Answers statements of the tables, among others of one text, and in cursors.
struct Index(Arc<Desk>);

impl Index {
    /// The statement, if it is of the tables.
    fn statement(&self, sql: &str) -> Option<Statement> {
        of_tables(sql, &self.0.config().sql.stores)
    }

    async fn plan<C: ClientInfo + ?Sized>(&self, client: &C, sql: &str) -> PgWireResult<Planned> {
        self.0.plan(sql, timeout(client)).await.map_err(|error| told(&error))
    }

    async fn query<C: ClientInfo + ?Sized>(
        &self,
        client: &C,
        sql: &str,
        values: Option<ParamValues>,
    ) -> PgWireResult<Query> {
        if client.transaction_status() == TransactionStatus::Error {
            let text = "current transaction is aborted, commands ignored until end of transaction \
                        block";
            return Err(refused("25P02", text));
        }
        self.0.query(sql, timeout(client), values).await.map_err(|error| told(&error))
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
        let statement = self.statement(&sql)?;
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
        self.statement(&copy.sql)?;
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
        let plan = self.plan(client, &sql).await?.plan().clone();
        let running = self.query(client, &sql, values.cloned()).await?;
        let response = rows::response(running, &Format::UnifiedText)?;
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
        self.statement(&sql)?;
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
