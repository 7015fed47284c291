//! The functions of `stats`, by their names here and elsewhere.

use super::{ParseError, Parser, Result, Scanner};
use crate::ast::{FieldRef, Function, FunctionKind};
use crate::syntax::closest;

/// Other languages' names of the functions.
const ALIASES: [(&str, FunctionKind); 20] = [
    ("count_distinct", FunctionKind::Distinct),
    ("distinct_count", FunctionKind::Distinct),
    ("countdistinct", FunctionKind::Distinct),
    ("approx_distinct", FunctionKind::Distinct),
    ("cardinality", FunctionKind::Distinct),
    ("dcount", FunctionKind::Distinct),
    ("estdc", FunctionKind::Distinct),
    ("dc", FunctionKind::Distinct),
    ("average", FunctionKind::Avg),
    ("mean", FunctionKind::Avg),
    ("earliest", FunctionKind::First),
    ("latest", FunctionKind::Last),
    ("median", FunctionKind::Percentile(50_000)),
    ("make_set", FunctionKind::Values),
    ("makeset", FunctionKind::Values),
    ("collect_set", FunctionKind::Values),
    ("make_list", FunctionKind::List),
    ("makelist", FunctionKind::List),
    ("collect_list", FunctionKind::List),
    ("array_agg", FunctionKind::List),
];

/// Beginnings of the names of percentiles.
const PERCENTILES: [&str; 5] = ["p", "perc", "pct", "percentile", "exactperc"];

/// The function that a text is: `dc(ip)`; None where it is none, or has a name of its own.
pub(crate) fn function_of(text: &str) -> Option<Function> {
    let mut parser = Parser::new(text);
    let function = parser.function().ok()?;
    (parser.scan.peek().is_none()).then_some(function)
}

impl Parser<'_> {
    /// A function with its argument. Its column is called as it is written, or has a name behind it or, as
    /// in other languages, before it.
    pub(super) fn function(&mut self) -> Result<Function> {
        let before = self.name_before();
        let start = self.scan;
        let word = self.scan.run(",");
        let Some(kind) = function_kind(&word.to_ascii_lowercase()) else {
            self.scan = start;
            return Err(self.unknown_function(word));
        };
        let function = if self.scan.eat("(") {
            let inside = self.scan.offset();
            let (kind, field) = self.argument(start, kind)?;
            let end = self.scan.offset();
            self.close(start, ")", "')'")?;
            let inside = self.scan.text_from(inside)[..end - inside].trim();
            let function = Function { kind, field, name: None };
            let written = format!("{word}({inside})");
            // A name in quotes or with backslashes is written in one of several ways.
            let is_plain = !inside.contains(['\\', '"', '\'', '`']);
            let name = (is_plain && written != function.column()).then_some(written);
            Function { name, ..function }
        } else {
            self.without_argument(start, word, kind)?
        };
        let name = self.column_name()?.or(before).or(function.name);
        Ok(Function { name, ..function })
    }

    /// Steps over `name =`, which gives a column its name in other languages.
    pub(super) fn name_before(&mut self) -> Option<String> {
        let start = self.scan;
        let name = self.scan.name(",=!<>~");
        self.scan.skip_spaces();
        let is_given = name.is_some() && !self.is_at("==") && self.scan.eat("=");
        self.scan.skip_spaces();
        if !is_given {
            self.scan = start;
            return None;
        }
        name
    }

    /// A function that needs no argument: `count`, and the first and the last time.
    fn without_argument(
        &mut self,
        start: Scanner<'_>,
        word: &str,
        kind: Option<FunctionKind>,
    ) -> Result<Function> {
        let time = || FieldRef::typed("time", Some(start.offset()));
        let field = match kind {
            Some(FunctionKind::First | FunctionKind::Last) => Some(time()),
            Some(FunctionKind::Count) => None,
            _ => {
                self.scan.skip_spaces();
                let error = self.unexpected("'('");
                return Err(error.suggest(format!("write {word}(field)")));
            }
        };
        Ok(Function { kind: kind.unwrap_or(FunctionKind::Count), field, name: None })
    }

    /// What stands in a function's parentheses. `pct(field, 95)` states its kind there.
    fn argument(
        &mut self,
        start: Scanner<'_>,
        kind: Option<FunctionKind>,
    ) -> Result<(FunctionKind, Option<FieldRef>)> {
        self.scan.skip_spaces();
        if kind == Some(FunctionKind::Count) {
            self.scan.eat("*");
            self.scan.skip_spaces();
            if self.is_at(")") {
                return Ok((FunctionKind::Count, None));
            }
            let mut ahead = self.scan;
            if ahead.eat_keyword("distinct") && !ahead.next_word("").is_empty() {
                self.scan.eat_keyword("distinct");
                return Ok((FunctionKind::Distinct, Some(self.field()?)));
            }
        }
        let field = self.field()?;
        let Some(kind) = kind else {
            self.scan.skip_spaces();
            if !self.scan.eat(",") {
                return Err(self.unexpected("','").suggest("write pct(field, 95)"));
            }
            self.scan.skip_spaces();
            let percent = self.scan.run(",");
            let is_share =
                percent.starts_with(['0', '.']) && percent.parse().is_ok_and(|n: f64| n > 0.0);
            if is_share {
                // A share in Athena, where elsewhere it would be less than one percent.
                let error = format!("'{percent}' could be a share or a percentage");
                return Err(ParseError::new(start.offset(), error)
                    .suggest("write p95(field), or p0.5(field) for half a percent"));
            }
            let kind = percentile(percent).ok_or_else(|| {
                let message = format!("'{percent}' is not a percentage between 0 and 100");
                ParseError::new(start.offset(), message)
            })?;
            return Ok((kind, Some(field)));
        };
        Ok((kind, Some(field)))
    }

    fn unknown_function(&self, word: &str) -> ParseError {
        let names = FunctionKind::ALL.iter().map(|(name, _)| *name);
        let error = match word {
            "" => self.unexpected("a function"),
            word => ParseError::new(self.scan.offset(), format!("there is no function '{word}'")),
        };
        error.suggest(match closest(word, names) {
            Some(name) => format!("did you mean '{name}'?"),
            None => {
                "functions are count, distinct, sum, avg, min, max, first, last, values, list and p95"
                    .to_owned()
            }
        })
    }
}

/// The function of a name in lower case. None within is a percentile whose percentage follows.
#[allow(clippy::option_option)]
pub(super) fn function_kind(word: &str) -> Option<Option<FunctionKind>> {
    if matches!(word, "pct" | "percentile" | "approx_percentile") {
        return Some(None);
    }
    let known = FunctionKind::ALL.iter().chain(&ALIASES).find(|(name, _)| *name == word);
    let named = known.map(|(_, kind)| *kind);
    let mut begun = PERCENTILES.iter().filter_map(|start| word.strip_prefix(start));
    named.or_else(|| begun.find_map(percentile)).map(Some)
}

/// `95` or `99.9`.
pub(crate) fn percentile(text: &str) -> Option<FunctionKind> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !is_number(whole) || !is_number(fraction) || fraction.len() > 3 || whole.len() > 3 {
        return None;
    }
    let thousandths = format!("{whole}{fraction:0<3}").parse().ok()?;
    (thousandths <= 100_000).then_some(FunctionKind::Percentile(thousandths))
}
