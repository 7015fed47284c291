//! What stands behind the pipes. The shorthands become the stages that they stand for.
//!
//! ```text
//! stage    = ("filter" | "where") any_of
//!          | "stats" function { "," function } [ "by" keys ]
//!          | "sort" name [ "asc" | "desc" ] { "," … }
//!          | ("limit" | "head") number [ "by" names ]
//!          | ("fields" | "display") names
//!          | "dedup" names
//!          | "count" [ "by" keys ]               stats count by keys | sort count desc
//!          | "top" [ number ] names [ "by" names ]
//!                filter each name:* | stats count by names | sort count desc | limit number
//!          | "timeline" [ width ] [ "by" keys ]  stats count by bin(width), keys | sort time
//!          | "values" names                      filter each name:* | stats count by names | sort names
//! function = "count" [ "(" [ "*" | name ] ")" ]
//!          | ("distinct" | "sum" | "avg" | "min" | "max" | "first" | "last" | "p95" …) "(" name ")"
//! keys     = key { "," key }
//! key      = name | "bin" "(" width ")"
//! width    = [ number ] ("s" | "m" | "h" | "d" | "w" | "mo")
//! ```
//! A function or a key can be followed by `as` and a name for its column.

use super::{ParseError, Parser, Result};
use crate::ast::{
    Bin, BinUnit, Expr, FieldRef, Function, FunctionKind, GroupKey, Query, SortKey, Stage, Test,
};
use crate::check::check_stages;
use crate::syntax::closest;

/// Rows of `top` where it says no number.
const TOP_ROWS: u64 = 10;

/// Width of a `timeline` that says none.
const TIMELINE_BIN: Bin = Bin { count: 1, unit: BinUnit::Hour };

/// Characters that end a name, beside those that end a word.
const NAME_ENDS: &str = ",=!<>~";

const STAGES: [&str; 13] = [
    "filter", "where", "stats", "sort", "limit", "head", "fields", "display", "dedup", "count",
    "top", "timeline", "values",
];

/// Other languages' names of the functions.
const ALIASES: [(&str, FunctionKind); 9] = [
    ("count_distinct", FunctionKind::Distinct),
    ("distinct_count", FunctionKind::Distinct),
    ("cardinality", FunctionKind::Distinct),
    ("dc", FunctionKind::Distinct),
    ("average", FunctionKind::Avg),
    ("mean", FunctionKind::Avg),
    ("earliest", FunctionKind::First),
    ("latest", FunctionKind::Last),
    ("median", FunctionKind::Percentile(50_000)),
];

/// Stages with the place of each.
type Placed = Vec<(Stage, usize)>;

impl Parser<'_> {
    /// A filter and what is made of its events.
    pub(super) fn query(&mut self) -> Result<Query> {
        self.scan.skip_spaces();
        let mut stages = Placed::new();
        let mut filter = Expr::All;
        if self.is_at_leading_stage() {
            self.stage(&mut stages)?;
        } else if !self.is_at_pipe() && !matches!(self.scan.peek(), None | Some(')')) {
            filter = self.any_of(None)?;
        }
        self.scan.skip_spaces();
        while self.is_at_pipe() {
            self.scan.eat("|");
            self.stage(&mut stages)?;
            self.scan.skip_spaces();
        }
        let (stages, offsets): (Vec<_>, Vec<_>) = stages.into_iter().unzip();
        check_stages(&stages)
            .map_err(|fault| ParseError::new(offsets[fault.stage], fault.message))?;
        Ok(Query { filter, stages }.with_filters_gathered())
    }

    fn is_at_pipe(&self) -> bool {
        self.is_at("|") && !self.is_at("||")
    }

    /// Whether the query begins with a stage: its name, and something that is no operator.
    fn is_at_leading_stage(&self) -> bool {
        let mut scan = self.scan;
        let word = scan.run("");
        let is_stage = STAGES.contains(&word);
        scan.skip_spaces();
        let next = scan.peek_run("");
        let is_operator = next.is_empty() && scan.peek() != Some('"')
            || ["AND", "OR", "NOT", "IN", "in", "LIKE", "like"].contains(&next)
            || next.starts_with(['=', '!', '<', '>', '~', ':']);
        is_stage && !is_operator
    }

    fn stage(&mut self, stages: &mut Placed) -> Result<()> {
        self.scan.skip_spaces();
        let offset = self.scan.offset();
        let start = self.scan;
        let word = self.scan.run(",=");
        let made = match word {
            "filter" | "where" => vec![Stage::Filter(self.any_of(None)?)],
            "stats" => {
                let functions = self.several(Self::function)?;
                vec![Stage::Stats { functions, by: self.keys()? }]
            }
            "sort" => vec![Stage::Sort(self.several(Self::sort_key)?)],
            "limit" | "head" => {
                let rows = self.number()?.ok_or_else(|| self.unexpected("a number"))?;
                vec![Stage::Limit { rows, by: self.by(Self::field)? }]
            }
            "fields" | "display" => vec![Stage::Fields(self.several(Self::field)?)],
            "dedup" => vec![Stage::Dedup(self.several(Self::field)?)],
            "count" => {
                let by = self.keys()?;
                let sort = sort_by_count(&by);
                let stats = Stage::Stats { functions: vec![Function::count()], by };
                std::iter::once(stats).chain(sort).collect()
            }
            "top" => self.top()?,
            "timeline" => self.timeline()?,
            "values" => {
                let fields = self.several(Self::field)?;
                let sort = fields.iter().map(|field| ascending(&field.name)).collect();
                vec![exist(&fields), count_by(fields), Stage::Sort(sort)]
            }
            _ => {
                self.scan = start;
                return Err(self.unknown_stage(word));
            }
        };
        stages.extend(made.into_iter().map(|stage| (stage, offset)));
        self.scan.skip_spaces();
        match self.scan.peek() {
            None | Some('|' | ')') => Ok(()),
            Some(_) => Err(self.unexpected("'|' or the end of the query")),
        }
    }

    fn unknown_stage(&self, word: &str) -> ParseError {
        if word.is_empty() {
            return self.unexpected("a stage");
        }
        let message = format!("there is no stage '{word}'");
        ParseError::new(self.scan.offset(), message).suggest(match closest(word, STAGES) {
            Some(stage) => format!("did you mean '{stage}'?"),
            None => "stages are filter, stats, count, top, timeline, values, fields, sort, limit \
                     and dedup"
                .to_owned(),
        })
    }

    fn top(&mut self) -> Result<Vec<Stage>> {
        let rows = self.number()?.unwrap_or(TOP_ROWS);
        let fields = self.several(Self::field)?;
        let by = self.by(Self::field)?;
        let exist = exist(&fields);
        let keys: Vec<FieldRef> = by.iter().cloned().chain(fields).collect();
        let mut stages = vec![exist, count_by(keys), Stage::Sort(vec![most_first()])];
        if by.is_empty() {
            stages.push(Stage::Limit { rows, by });
        } else {
            let mut sort: Vec<SortKey> = by.iter().map(|field| ascending(&field.name)).collect();
            sort.push(most_first());
            stages.extend([Stage::Limit { rows, by }, Stage::Sort(sort)]);
        }
        Ok(stages)
    }

    fn timeline(&mut self) -> Result<Vec<Stage>> {
        self.scan.skip_spaces();
        let mut bin = TIMELINE_BIN;
        if !self.is_at_pipe()
            && !self.scan.peek_run("").eq_ignore_ascii_case("by")
            && self.scan.peek().is_some_and(|c| c != ')')
        {
            bin = self.bin()?;
        }
        let time = GroupKey::Bin { bin, name: None };
        let sort = Stage::Sort(vec![ascending(time.column())]);
        let by = std::iter::once(time).chain(self.keys()?).collect();
        Ok(vec![Stage::Stats { functions: vec![Function::count()], by }, sort])
    }

    /// `a, b`.
    fn several<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        loop {
            self.scan.skip_spaces();
            self.count_term()?;
            items.push(item(self)?);
            self.scan.skip_spaces();
            if !self.scan.eat(",") {
                return Ok(items);
            }
        }
    }

    /// `by a, b`, or nothing.
    fn by<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.scan.skip_spaces();
        if self.eat_word("by") { self.several(item) } else { Ok(Vec::new()) }
    }

    /// Steps over a word of the language, in upper or lower case.
    fn eat_word(&mut self, word: &str) -> bool {
        let is_next = self.scan.peek_run(",").eq_ignore_ascii_case(word);
        if is_next {
            self.scan.run(",");
        }
        is_next
    }

    fn keys(&mut self) -> Result<Vec<GroupKey>> {
        self.by(Self::key)
    }

    fn key(&mut self) -> Result<GroupKey> {
        if self.is_at("bin(") {
            let open = self.scan;
            self.scan.eat("bin(");
            let bin = self.bin()?;
            self.close(open, ")", "')'")?;
            return Ok(GroupKey::Bin { bin, name: self.column_name()? });
        }
        Ok(GroupKey::Field { field: self.field()?, name: self.column_name()? })
    }

    fn bin(&mut self) -> Result<Bin> {
        self.scan.skip_spaces();
        let word = self.scan.peek_run(",");
        let Some(bin) = Bin::parse(word) else {
            let error = self.unexpected("a width of time");
            return Err(error.suggest("write 5m, 1h, 1d, 1w or 1mo"));
        };
        self.scan.run(",");
        Ok(bin)
    }

    /// `as name`, or nothing.
    fn column_name(&mut self) -> Result<Option<String>> {
        self.scan.skip_spaces();
        if self.eat_word("as") {
            self.scan.skip_spaces();
            return Ok(Some(self.field()?.name));
        }
        Ok(None)
    }

    fn field(&mut self) -> Result<FieldRef> {
        self.scan.skip_spaces();
        let start = self.scan;
        let field = if self.scan.peek_run("").eq_ignore_ascii_case("by") {
            None
        } else {
            self.scan.field(NAME_ENDS)
        };
        field.ok_or_else(|| {
            self.scan = start;
            self.unexpected("a field name")
        })
    }

    fn number(&mut self) -> Result<Option<u64>> {
        self.scan.skip_spaces();
        let word = self.scan.peek_run(",");
        if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let number = word.parse().map_err(|_| self.unexpected("a smaller number"))?;
        self.scan.run(",");
        Ok(Some(number))
    }

    fn function(&mut self) -> Result<Function> {
        let start = self.scan;
        let offset = start.offset();
        let word = self.scan.run(",");
        let Some(kind) = function_kind(word) else {
            self.scan = start;
            return Err(self.unknown_function(word));
        };
        let (kind, field) = if self.scan.eat("(") {
            let argument = self.argument(start, kind)?;
            self.close(start, ")", "')'")?;
            argument
        } else {
            let is_time = matches!(kind, Some(FunctionKind::First | FunctionKind::Last));
            let time = FieldRef::typed("time", Some(offset));
            match kind {
                Some(kind) if is_time => (kind, Some(time)),
                Some(FunctionKind::Count) => (FunctionKind::Count, None),
                _ => {
                    self.scan.skip_spaces();
                    let error = self.unexpected("'('");
                    return Err(error.suggest(format!("write {word}(field)")));
                }
            }
        };
        Ok(Function { kind, field, name: self.column_name()? })
    }

    /// What stands in a function's parentheses. `pct(field, 95)` states its kind there.
    fn argument(
        &mut self,
        start: crate::parse::Scanner<'_>,
        kind: Option<FunctionKind>,
    ) -> Result<(FunctionKind, Option<FieldRef>)> {
        self.scan.skip_spaces();
        if kind == Some(FunctionKind::Count) {
            self.scan.eat("*");
            self.scan.skip_spaces();
            if self.is_at(")") {
                return Ok((FunctionKind::Count, None));
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
                "functions are count, distinct, sum, avg, min, max, first, last and p95".to_owned()
            }
        })
    }

    fn sort_key(&mut self) -> Result<SortKey> {
        let start = self.scan;
        let has_minus = self.scan.eat("-");
        let is_function = {
            let mut scan = self.scan;
            function_kind(scan.run(",")).is_some() && scan.peek() == Some('(')
        };
        let field = if is_function {
            let offset = Some(self.scan.offset());
            FieldRef::typed(self.function()?.column(), offset)
        } else {
            self.field()?
        };
        self.scan.skip_spaces();
        let is_descending = self.eat_word("desc");
        let is_ascending = self.eat_word("asc");
        if has_minus && is_ascending {
            return Err(ParseError::new(start.offset(), "'-' is for a descending order"));
        }
        Ok(SortKey { field, is_descending: is_descending || has_minus })
    }
}

/// None within is a percentile whose percentage follows.
#[allow(clippy::option_option)]
fn function_kind(word: &str) -> Option<Option<FunctionKind>> {
    if matches!(word, "pct" | "percentile") {
        return Some(None);
    }
    let known = FunctionKind::ALL.iter().chain(&ALIASES).find(|(name, _)| *name == word);
    known.map(|(_, kind)| *kind).or_else(|| percentile(word.strip_prefix('p')?)).map(Some)
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

fn exist(fields: &[FieldRef]) -> Stage {
    let exists = |field: &FieldRef| Expr::Field { field: field.clone(), test: Test::Exists };
    Stage::Filter(Expr::all_of(fields.iter().map(exists)))
}

fn count_by(fields: Vec<FieldRef>) -> Stage {
    let by = fields.into_iter().map(|field| GroupKey::Field { field, name: None }).collect();
    Stage::Stats { functions: vec![Function::count()], by }
}

fn sort_by_count(by: &[GroupKey]) -> Option<Stage> {
    (!by.is_empty()).then(|| Stage::Sort(vec![most_first()]))
}

fn most_first() -> SortKey {
    SortKey { field: FieldRef::named(Function::count().column()), is_descending: true }
}

fn ascending(column: &str) -> SortKey {
    SortKey { field: FieldRef::named(column), is_descending: false }
}
