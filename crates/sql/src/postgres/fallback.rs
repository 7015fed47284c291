//! What clients ask PostgreSQL's catalog that is not planned as it stands: what has a form that can be is
//! rewritten, and what looks for keys, indexes and the like is answered with no rows, since our tables have
//! none.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, ParamValues};
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::{DataFrame, SessionContext};
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArguments, Join, JoinOperator, Query, SelectItem, SetExpr,
    Statement, TableFactor, TableWithJoins, Value, VisitMut as _, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion_postgres::QueryHook;
use datafusion_postgres::arrow_pg::encode_dataframe;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::pgwire::api::ClientInfo;
use datafusion_postgres::pgwire::api::portal::Format;
use datafusion_postgres::pgwire::api::results::Response;
use datafusion_postgres::pgwire::error::PgWireResult;

/// Tables of the catalog that tell of things of which our tables have none. Of functions, there are PostgreSQL's.
const EMPTY: [&str; 8] = [
    "pg_constraint",
    "pg_depend",
    "pg_index",
    "pg_inherits",
    "pg_policy",
    "pg_proc",
    "pg_sequence",
    "pg_trigger",
];

/// See the module's documentation.
pub(super) struct Fallback;

impl Fallback {
    async fn plan(statement: &Statement, context: &SessionContext) -> Option<LogicalPlan> {
        let Statement::Query(query) = statement else { return None };
        let mut rewriter = Rewriter { has_rewritten: false };
        if statement.to_string().contains("'max_index_keys'") {
            return context.state().create_logical_plan("SELECT '32' AS setting").await.ok();
        }
        let mut rewritten = statement.clone();
        let _ = rewritten.visit(&mut rewriter);
        let plan = can_be_planned(&rewritten, context).await;
        if plan.is_some() {
            return plan.filter(|_| rewriter.has_rewritten);
        }
        if has_no_rows(query) { empty(query) } else { None }
    }
}

/// Whether each row of a query has one of those.
fn has_no_rows(query: &Query) -> bool {
    let SetExpr::Select(select) = &*query.body else { return false };
    select.from.iter().any(joined)
}

fn joined(tables: &TableWithJoins) -> bool {
    let is_inner = |join: &&Join| {
        matches!(
            join.join_operator,
            JoinOperator::Join(_) | JoinOperator::Inner(_) | JoinOperator::CrossJoin(_)
        )
    };
    let is_outer_only = |join: &Join| {
        matches!(
            join.join_operator,
            JoinOperator::Right(_) | JoinOperator::RightOuter(_) | JoinOperator::FullOuter(_)
        )
    };
    if tables.joins.iter().any(is_outer_only) {
        return false;
    }
    let inner = tables.joins.iter().filter(is_inner).map(|join| &join.relation);
    std::iter::once(&tables.relation).chain(inner).any(|table| match table {
        TableFactor::Table { name, .. } => {
            let last = name.0.last().map(ToString::to_string).unwrap_or_default();
            EMPTY.contains(&last.to_lowercase().as_str())
        }
        TableFactor::Derived { subquery, .. } => has_no_rows(subquery),
        TableFactor::NestedJoin { table_with_joins, .. } => joined(table_with_joins),
        _ => false,
    })
}

async fn can_be_planned(statement: &Statement, context: &SessionContext) -> Option<LogicalPlan> {
    let parsed = Parsed::Statement(Box::new(statement.clone()));
    let plan = context.state().statement_to_plan(parsed).await.ok()?;
    context.state().optimize(&plan).ok()?;
    Some(plan)
}

/// No rows of the columns of a query.
fn empty(query: &Query) -> Option<LogicalPlan> {
    let SetExpr::Select(select) = &*query.body else { return None };
    let mut known = HashSet::new();
    let field = |item: &SelectItem| {
        let mut name = match item {
            SelectItem::ExprWithAlias { alias, .. } => alias.value.to_lowercase(),
            SelectItem::UnnamedExpr(Expr::Identifier(name)) => name.value.to_lowercase(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(names)) => {
                names.last().map(|name| name.value.to_lowercase())?
            }
            SelectItem::UnnamedExpr(_) => "?column?".to_owned(),
            _ => return None,
        };
        while !known.insert(name.clone()) {
            name.push('?');
        }
        Some(Field::new(name, DataType::Utf8, true))
    };
    let fields = select.projection.iter().map(field).collect::<Option<Vec<Field>>>()?;
    let schema = DFSchema::from_unqualified_fields(fields.into(), HashMap::new()).ok()?;
    let schema = Arc::new(schema);
    Some(LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema }))
}

/// Rewrites what DataFusion does not plan, or takes in another sense.
struct Rewriter {
    has_rewritten: bool,
}

impl VisitorMut for Rewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Some(new) = rewritten(expr) {
            *expr = new;
            self.has_rewritten = true;
        }
        ControlFlow::Continue(())
    }
}

fn rewritten(expr: &Expr) -> Option<Expr> {
    match expr {
        // Whether a type is of a table: no type is.
        Expr::Subquery(query) if query.to_string().contains("relkind = 'c'") => {
            Some(Expr::value(Value::Boolean(false)))
        }
        // `array(SELECT …)`, of roles and of storage.
        Expr::Function(call)
            if call.name.to_string().eq_ignore_ascii_case("array")
                && matches!(call.args, FunctionArguments::Subquery(_)) =>
        {
            let list = Parser::new(&GenericDialect {}).try_with_sql("string_to_array(NULL, ',')");
            list.ok()?.parse_expr().ok()
        }
        // A function's number is told by its name here, and none by a hyphen.
        Expr::BinaryOp { left, op: op @ (BinaryOperator::Eq | BinaryOperator::NotEq), right }
            if is_function(left) =>
        {
            let right = right.to_string();
            let name = match right.split('\'').nth(1) {
                Some(name) => name,
                None if right == "0" => "-",
                None => return None,
            };
            let name = Box::new(Expr::value(Value::SingleQuotedString(name.to_owned())));
            Some(Expr::BinaryOp { left: left.clone(), op: op.clone(), right: name })
        }
        _ => None,
    }
}

/// Whether an expression is a column of `pg_type` that names a function.
fn is_function(expr: &Expr) -> bool {
    let name = match expr {
        Expr::Identifier(name) => Some(name),
        Expr::CompoundIdentifier(names) => names.last(),
        _ => None,
    };
    name.is_some_and(|name| {
        let known = ["typinput", "typoutput", "typreceive", "typsend", "typmodin", "typmodout"];
        known.contains(&name.value.to_lowercase().as_str())
    })
}

#[async_trait]
impl QueryHook for Fallback {
    async fn handle_simple_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        _: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        let plan = Self::plan(statement, context).await?;
        let frame = DataFrame::new(context.state(), plan);
        let response = encode_dataframe(frame, &Format::UnifiedText, None).await;
        Some(response.map(Response::Query))
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Statement,
        context: &SessionContext,
        _: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        Self::plan(statement, context).await.map(Ok)
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
