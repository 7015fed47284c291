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
    let mut named = Named { named, left: CONDITIONS_MAX };
    let any: Vec<Expr> =
        conditions.iter().map(|condition| named.of(condition)).collect::<Result<_, _>>()?;
    Ok(Expr::any_of(any))
}

/// A rule's detections, by name.
struct Named<'r> {
    named: HashMap<&'r str, Expr>,
    /// How many more tests the condition may come to. A detection counts each time it is named, so a short
    /// text can come to many.
    left: usize,
}

impl Named<'_> {
    fn of(&mut self, condition: &IrCondition) -> Result<Expr, Refused> {
        let mut each = |parts: &[IrCondition]| {
            parts.iter().map(|part| self.of(part)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match condition {
            IrCondition::Detection(name) => self.taken(name)?,
            IrCondition::And(parts) => Expr::all_of(each(parts)?),
            IrCondition::Or(parts) => Expr::any_of(each(parts)?),
            IrCondition::Not(inner) => Expr::negate(self.of(inner)?),
            IrCondition::Selector { quantifier, pattern } => self.some(quantifier, pattern)?,
        })
    }

    /// A detection, which counts.
    fn taken(&mut self, name: &str) -> Result<Expr, Refused> {
        let found = self.named.get(name);
        let found = found.ok_or_else(|| format!("there is no detection '{name}'"))?;
        let left = self.left.checked_sub(count(found).max(1));
        self.left = left.ok_or_else(too_many)?;
        Ok(found.clone())
    }

    fn all_taken(&mut self, names: &[String]) -> Result<Vec<Expr>, Refused> {
        names.iter().map(|name| self.taken(name)).collect()
    }

    /// So many of the detections whose names match.
    fn some(
        &mut self,
        quantifier: &Quantifier,
        pattern: &SelectorPattern,
    ) -> Result<Expr, Refused> {
        let matches = |name: &&&str| pattern.matches_detection_name(name);
        let names = self.named.keys().filter(matches);
        let mut names: Vec<String> = names.map(|name| (*name).to_owned()).collect();
        // One order, whatever the order in memory is.
        names.sort_unstable();
        if names.is_empty() {
            return Err(format!("'{pattern}' is the name of no detection"));
        }
        Ok(match quantifier {
            Quantifier::Any => Expr::any_of(self.all_taken(&names)?),
            Quantifier::All => Expr::all_of(self.all_taken(&names)?),
            Quantifier::Count(wanted) => self.at_least(*wanted as usize, &names)?,
        })
    }

    /// At least so many of some detections.
    fn at_least(&mut self, wanted: usize, names: &[String]) -> Result<Expr, Refused> {
        if wanted == 0 {
            return Ok(Expr::All);
        }
        let Some((first, rest)) = names.split_first().filter(|_| wanted <= names.len()) else {
            return Ok(never());
        };
        if wanted == names.len() {
            return Ok(Expr::all_of(self.all_taken(names)?));
        }
        let with = Expr::all_of([self.taken(first)?, self.at_least(wanted - 1, rest)?]);
        Ok(Expr::any_of([with, self.at_least(wanted, rest)?]))
    }
}

fn too_many() -> Refused {
    format!("it comes to more than {CONDITIONS_MAX} conditions, as many as a query may have")
}

/// What no event meets.
fn never() -> Expr {
    Expr::negate(Expr::All)
}

fn of_detection(detection: &IrDetection) -> Result<Expr, Refused> {
    let each =
        |parts: &[IrDetection]| parts.iter().map(of_detection).collect::<Result<Vec<_>, _>>();
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
            return Err(format!(
                "{field}[…]: conditions on one member of a list are not supported"
            ));
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use crate::load::{Loaded, Source, load};

    fn loaded(detection: &str) -> Loaded {
        let text = format!(
            "title: t\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n{detection}"
        );
        load(&[], vec![Source { path: PathBuf::from("t.yml"), text }])
    }

    #[test]
    fn a_short_text_cannot_come_to_many_conditions() {
        let values: Vec<String> = (0..100).map(|n| format!("v{n}")).collect();
        let list = values.join(", ");
        let ten = |by: &str| {
            format!("    a: {{eventName: [{list}]}}\n    condition: {}\n", ["a"; 10].join(by))
        };
        assert_eq!(loaded(&ten(" and ")).rules.len(), 1);
        for condition in [
            ["a"; 11].join(" and "),
            ["1 of a*"; 11].join(" or "),
            ["all of them"; 200].join(" or "),
        ] {
            let found =
                loaded(&format!("    a: {{eventName: [{list}]}}\n    condition: {condition}\n"));
            assert!(found.rules.is_empty());
            assert!(found.problems[0].reason.contains("more than 1024 conditions"), "{found:?}");
        }
        let many: Vec<String> =
            (0..30).map(|n| format!("    a{n}: {{eventName: v{n}}}\n")).collect();
        let many = many.concat();
        assert!(loaded(&format!("{many}    condition: 15 of them\n")).rules.is_empty());
        assert_eq!(loaded(&format!("{many}    condition: 29 of them\n")).rules.len(), 1);
    }

    #[test]
    fn aliases_in_aliases_are_no_bomb() {
        let mut text = String::from("    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for n in 1..12 {
            let before = vec![format!("*a{}", n - 1); 10].join(", ");
            text.push_str(&format!("    a{n}: &a{n} [{before}]\n"));
        }
        let found = loaded(&format!("{text}    condition: a0\n"));
        assert!(found.rules.is_empty() && !found.problems.is_empty());
    }
}
