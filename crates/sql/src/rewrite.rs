//! Trino's forms that DataFusion reads otherwise, or not at all, as forms that mean the same there.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    self, AccessExpr, CastKind, DataType, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
    Ident, ObjectName, Statement, Subscript, Value, ValueWithSpan, VisitMut, Visitor, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::{Dialect, GenericDialect};
use datafusion::sql::sqlparser::parser::Parser;

/// The dialect: a usual one, with lambdas.
#[derive(Debug)]
pub(crate) struct Trino;

impl Dialect for Trino {
    fn dialect(&self) -> std::any::TypeId {
        std::any::TypeId::of::<GenericDialect>()
    }

    fn is_identifier_start(&self, c: char) -> bool {
        GenericDialect.is_identifier_start(c)
    }

    fn is_identifier_part(&self, c: char) -> bool {
        GenericDialect.is_identifier_part(c)
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_within_after_array_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }
}

/// How deeply expressions may be nested; each `OR` of a chain is a level.
pub(crate) const DEPTH_MAX: usize = 4_000;

/// Rewrites a statement; false where it is nested too deeply.
pub(crate) fn rewrite(statement: &mut Statement) -> bool {
    statement.visit(&mut Rewriter { depth: 0 }).is_continue()
}

/// Whether the expressions of a statement are nested no deeper.
pub(crate) fn is_nested_within(statement: &Statement, max: usize) -> bool {
    ast::Visit::visit(statement, &mut Depth { depth: 0, max }).is_continue()
}

struct Depth {
    depth: usize,
    max: usize,
}

impl Visitor for Depth {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth += 1;
        if self.depth > self.max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<()> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }
}

struct Rewriter {
    depth: usize,
}

impl VisitorMut for Rewriter {
    type Break = ();

    fn pre_visit_expr(&mut self, _: &mut Expr) -> ControlFlow<()> {
        self.depth += 1;
        if self.depth > DEPTH_MAX { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        self.depth -= 1;
        if let Some(new) = rewritten(expr) {
            *expr = new;
        }
        ControlFlow::Continue(())
    }
}

fn rewritten(expr: &mut Expr) -> Option<Expr> {
    match expr {
        // `element_at(list, 1).field`
        Expr::CompoundFieldAccess { root, access_chain } => {
            // Behind a name, the first dots are those of names.
            let is_name = matches!(**root, Expr::Identifier(_) | Expr::CompoundIdentifier(_));
            let is_item = |access: &AccessExpr| matches!(access, AccessExpr::Subscript(_));
            let first = if is_name { access_chain.iter().position(is_item)? } else { 0 };
            for access in &mut access_chain[first..] {
                if let AccessExpr::Dot(Expr::Identifier(Ident { value, quote_style, .. })) = access
                {
                    let name =
                        if quote_style.is_some() { value.clone() } else { value.to_lowercase() };
                    *access = AccessExpr::Subscript(Subscript::Index { index: text(name) });
                }
            }
            None
        }
        Expr::Cast { kind: CastKind::Cast | CastKind::TryCast, expr, data_type, .. }
            if is_text(data_type) =>
        {
            let Expr::Function(call) = &mut **expr else { return None };
            // The text of a JSON string is without its quotes.
            if name_of(&call.name) != "json_extract" {
                return None;
            }
            call.name = ObjectName::from(vec![Ident::new("json_extract_scalar")]);
            Some((**expr).clone())
        }
        Expr::Like { pattern, escape_char, .. } | Expr::ILike { pattern, escape_char, .. } => {
            escaped(pattern, escape_char);
            None
        }
        // In quotes it is a function as any other, and Trino's.
        Expr::Substring { expr, substring_from: Some(from), substring_for, .. } => {
            let args = [Some(&*expr), Some(&*from), substring_for.as_ref()];
            let args: Vec<String> = args.into_iter().flatten().map(ToString::to_string).collect();
            made(
                if args.len() == 3 { "\"substr\"($1, $2, $3)" } else { "\"substr\"($1, $2)" },
                &args,
            )
        }
        Expr::Function(call) => function(call),
        Expr::Lambda(lambda) => {
            let names = lambda.params.iter().map(|param| param.name.value.to_lowercase()).collect();
            let _ = lambda.body.visit(&mut OfLambda { names });
            None
        }
        _ => None,
    }
}

/// The arguments of a lambda, of which `x.field` reads a field.
struct OfLambda {
    names: Vec<String>,
}

impl VisitorMut for OfLambda {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::CompoundIdentifier(parts) = expr
            && let Some((first, fields)) = parts.split_first()
            && self.names.contains(&first.value.to_lowercase())
        {
            let field = |field: &Ident| {
                AccessExpr::Subscript(Subscript::Index { index: text(field.value.to_lowercase()) })
            };
            let access_chain = fields.iter().map(field).collect();
            let root = Box::new(Expr::Identifier(first.clone()));
            *expr = Expr::CompoundFieldAccess { root, access_chain };
        }
        ControlFlow::Continue(())
    }
}

fn text(text: String) -> Expr {
    Expr::Value(Value::SingleQuotedString(text).into())
}

fn is_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Varchar(_) | DataType::Text | DataType::String(_) | DataType::Char(_)
    )
}

fn name_of(name: &ObjectName) -> String {
    name.to_string().to_ascii_lowercase()
}

/// In Trino nothing is escaped in a pattern but by the character behind `ESCAPE`; in DataFusion by a
/// backslash only.
fn escaped(pattern: &mut Expr, escape: &mut Option<ValueWithSpan>) {
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(pattern), .. }) = pattern
    else {
        return;
    };
    let by = match escape.as_ref().map(|escape| &escape.value) {
        Some(Value::SingleQuotedString(by)) => by.chars().next(),
        _ => None,
    };
    let mut new = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == by => {
                new.push('\\');
                new.extend(chars.next());
            }
            '\\' => new.push_str("\\\\"),
            c => new.push(c),
        }
    }
    *pattern = new;
    *escape = None;
}

/// Functions of Trino by others: `$1` is the first argument.
const BY_OTHERS: &[(&str, usize, &str)] = &[
    ("count_if", 1, "count(CASE WHEN $1 THEN 1 END)"),
    ("every", 1, "bool_and($1)"),
    ("arbitrary", 1, "min($1)"),
    ("any_value", 1, "min($1)"),
    ("max_by", 2, "last_value($1 ORDER BY $2 ASC NULLS FIRST)"),
    ("min_by", 2, "first_value($1 ORDER BY $2 ASC NULLS LAST)"),
    ("approx_percentile", 2, "approx_percentile_cont($2) WITHIN GROUP (ORDER BY $1)"),
    ("if", 2, "CASE WHEN $1 THEN $2 END"),
    ("if", 3, "CASE WHEN $1 THEN $2 ELSE $3 END"),
    ("contains", 2, "array_has($1, $2)"),
    ("date", 1, "CAST($1 AS DATE)"),
    ("any_match", 2, "array_any_match($1, $2)"),
    ("filter", 2, "array_filter($1, $2)"),
    ("transform", 2, "array_transform($1, $2)"),
];

/// Bytes of what a rewritten call may come to: calls may stand within calls.
const BYTES_MAX: usize = 64 << 10;

fn function(call: &ast::Function) -> Option<Expr> {
    let name = name_of(&call.name);
    let FunctionArguments::List(list) = &call.args else { return None };
    if call.over.is_some() || call.filter.is_some() || list.duplicate_treatment.is_some() {
        return None;
    }
    let is_known = |(known, count, _): &&(&str, usize, &str)| {
        *known == name && *count == list.args.len() && list.clauses.is_empty()
    };
    let (.., form) = BY_OTHERS.iter().find(is_known)?;
    let args = list.args.iter().map(|arg| match arg {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.to_string()),
        _ => None,
    });
    made(form, &args.collect::<Option<Vec<String>>>()?)
}

/// The expression of a form, with its arguments in place.
fn made(form: &str, args: &[String]) -> Option<Expr> {
    if args.iter().map(String::len).sum::<usize>() > BYTES_MAX {
        return None;
    }
    let mut pieces = form.split('$');
    let mut new = pieces.next()?.to_owned();
    for piece in pieces {
        let (number, rest) = piece.split_at_checked(1)?;
        new.push_str(args.get(number.parse::<usize>().ok()?.checked_sub(1)?)?);
        new.push_str(rest);
    }
    Parser::new(&Trino).try_with_sql(&new).ok()?.parse_expr().ok()
}
