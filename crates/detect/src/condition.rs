//! A rule's detections and their combination, as one condition of the query language.

use std::collections::HashMap;

use language::ast::{Expr, Test};
use rsigma_ir::{IrCondition, IrDetection};
use rsigma_parser::{Quantifier, SelectorPattern};

use crate::limits::CONDITIONS_MAX;
use crate::values;
use crate::values::Refused;

/// The condition that some of a rule's conditions is met.
pub(crate) fn whole(
    detections: &HashMap<String, IrDetection>,
    conditions: &[IrCondition],
) -> Result<Expr, Refused> {
    let mut named = HashMap::new();
    for (name, detection) in detections {
        let lowered = of_detection(detection).map_err(|reason| format!("{name}: {reason}"))?;
        named.insert(name.as_str(), lowered);
    }
    let named = Named(named);
    let any = conditions.iter().map(|condition| named.of(condition));
    let whole = Expr::any_of(any.collect::<Result<Vec<_>, _>>()?);
    match count(&whole) {
        found if found > CONDITIONS_MAX => {
            Err(format!("it comes to {found} conditions; a query has {CONDITIONS_MAX} at most"))
        }
        _ => Ok(whole),
    }
}

/// A rule's detections, by name.
struct Named<'r>(HashMap<&'r str, Expr>);

impl Named<'_> {
    fn of(&self, condition: &IrCondition) -> Result<Expr, Refused> {
        let each = |parts: &[IrCondition]| {
            parts.iter().map(|part| self.of(part)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            IrCondition::Detection(name) => {
                let found = self.0.get(name.as_str());
                found.cloned().ok_or_else(|| format!("there is no detection '{name}'"))?
            }
            IrCondition::And(parts) => Expr::all_of(each(parts)?),
            IrCondition::Or(parts) => Expr::any_of(each(parts)?),
            IrCondition::Not(inner) => Expr::negate(self.of(inner)?),
            IrCondition::Selector { quantifier, pattern } => self.some(quantifier, pattern)?,
        })
    }

    /// So many of the detections whose names match.
    fn some(&self, quantifier: &Quantifier, pattern: &SelectorPattern) -> Result<Expr, Refused> {
        let mut names: Vec<&str> = self.0.keys().copied().collect();
        names.retain(|name| pattern.matches_detection_name(name));
        // One order, whatever the order in memory is.
        names.sort_unstable();
        if names.is_empty() {
            return Err(format!("'{pattern}' is the name of no detection"));
        }
        let found: Vec<Expr> = names.iter().map(|name| self.0[name].clone()).collect();
        Ok(match quantifier {
            Quantifier::Any => Expr::any_of(found),
            Quantifier::All => Expr::all_of(found),
            Quantifier::Count(wanted) => at_least(*wanted as usize, &found, &mut CONDITIONS_MAX.clone())?,
        })
    }
}

/// At least so many of some conditions.
fn at_least(wanted: usize, parts: &[Expr], left: &mut usize) -> Result<Expr, Refused> {
    let too_many = || format!("'{wanted} of' so many detections are too many combinations");
    *left = left.checked_sub(1).ok_or_else(too_many)?;
    if wanted == 0 {
        return Ok(Expr::All);
    }
    if wanted > parts.len() {
        return Ok(never());
    }
    if wanted == parts.len() {
        return Ok(Expr::all_of(parts.iter().cloned()));
    }
    let (first, rest) = parts.split_first().ok_or_else(too_many)?;
    let with = Expr::all_of([first.clone(), at_least(wanted - 1, rest, left)?]);
    Ok(Expr::any_of([with, at_least(wanted, rest, left)?]))
}

/// What no event meets.
fn never() -> Expr {
    Expr::negate(Expr::All)
}

fn of_detection(detection: &IrDetection) -> Result<Expr, Refused> {
    let each = |parts: &[IrDetection]| parts.iter().map(of_detection).collect::<Result<Vec<_>, _>>();
    Ok(match detection {
        IrDetection::AllOf(items) => {
            let item = |item: &rsigma_ir::IrDetectionItem| {
                let name = item.field.as_deref();
                values::condition(name, &item.matcher)
                    .map_err(|reason| format!("{}: {reason}", name.unwrap_or("a word")))
            };
            Expr::all_of(items.iter().map(item).collect::<Result<Vec<_>, _>>()?)
        }
        IrDetection::AnyOf(parts) => Expr::any_of(each(parts)?),
        IrDetection::And(parts) => Expr::all_of(each(parts)?),
        IrDetection::Keywords(matcher) => values::condition(None, matcher)?,
        IrDetection::ArrayMatch { field, .. } => {
            return Err(format!("{field}[…]: conditions on one member of a list are not supported"));
        }
        IrDetection::Conditional { named, condition } => {
            whole(named, std::slice::from_ref(condition))?
        }
    })
}

/// How many tests a condition has.
fn count(expr: &Expr) -> usize {
    match expr {
        Expr::And(parts) | Expr::Or(parts) => parts.iter().map(count).sum(),
        Expr::Not(inner) => count(inner),
        Expr::Field { test: Test::OneOf(tests), .. } => tests.len(),
        _ => 1,
    }
}
