//! The types of `$1` and so on, and their values as clients send them.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field};
use datafusion::common::ParamValues;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{
    Expr, LimitClause, Query, Statement, Value, Visit as _, Visitor,
};
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters;
use datafusion_postgres::arrow_pg::datatypes::into_pg_type;
use datafusion_postgres::pgwire::api::Type;
use datafusion_postgres::pgwire::api::portal::Portal;
use datafusion_postgres::pgwire::api::results::FieldFormat;
use datafusion_postgres::pgwire::error::PgWireResult;

use super::errors::told;
use super::service::Kept;
use crate::SqlError;

/// The types that a client is told.
pub(super) fn types(statement: &Statement, plan: &LogicalPlan) -> PgWireResult<Vec<Type>> {
    let known = known(statement, plan)?;
    known.iter().map(|known| known.as_ref().map_or(Ok(Type::TEXT), into_pg_type)).collect()
}

/// The values that a client sent.
pub(super) fn values(
    portal: &Portal<Kept>,
    statement: &Statement,
    plan: &LogicalPlan,
) -> PgWireResult<ParamValues> {
    let mut known = known(statement, plan)?;
    for (at, known) in known.iter_mut().enumerate() {
        let is_text = portal.parameter_format.format_for(at) == FieldFormat::Text;
        let told = portal.statement.parameter_types.get(at).and_then(Option::as_ref);
        // A text is read as any other text that is compared with a time: '2023-07-12' is one.
        if is_text && told.is_none() && matches!(known, Some(DataType::Timestamp(..))) {
            *known = Some(DataType::Utf8);
        }
    }
    let known: Vec<Option<&DataType>> = known.iter().map(Option::as_ref).collect();
    deserialize_parameters(portal, &known)
}

/// The types in the order of their numbers, where they are known.
fn known(statement: &Statement, plan: &LogicalPlan) -> PgWireResult<Vec<Option<DataType>>> {
    let types = plan.get_parameter_types().map_err(|error| told(&SqlError::of(&error)))?;
    let mut known: BTreeMap<u32, Option<DataType>> = types
        .into_iter()
        .filter_map(|(name, data_type)| Some((number(&name)?, data_type)))
        .collect();
    let mut places = Places(BTreeMap::new());
    let _ = statement.visit(&mut places);
    for (number, data_type) in places.0 {
        known.insert(number, Some(data_type));
    }
    Ok(known.into_values().collect())
}

fn number(name: &str) -> Option<u32> {
    name.strip_prefix('$')?.parse().ok()
}

/// What a place says of a parameter, where the plan does not: a limit is a number, and behind `ANY` is a list.
struct Places(BTreeMap<u32, DataType>);

impl Places {
    fn note(&mut self, expr: &Expr, data_type: DataType) {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(name) = &value.value
            && let Some(number) = number(name)
        {
            self.0.insert(number, data_type);
        }
    }
}

impl Visitor for Places {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            let offset = offset.as_ref().map(|offset| &offset.value);
            for expr in limit.iter().chain(offset) {
                self.note(expr, DataType::Int64);
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<()> {
        if let Expr::AnyOp { right, .. } | Expr::AllOp { right, .. } = expr {
            let item = Arc::new(Field::new_list_field(DataType::Utf8, true));
            self.note(right, DataType::List(item));
        }
        ControlFlow::Continue(())
    }
}
