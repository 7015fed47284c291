//! What stands behind the pipes. The shorthands become the stages that they stand for.
//!
//! ```text
//! stage    = ("filter" | "where" | …) any_of
//!          | "stats" function { "," function } [ "by" keys ]
//!          | "sort" name [ "asc" | "desc" ] { "," … }
//!          | ("limit" | "head" | …) number [ "by" names ]
//!          | ("fields" | "display" | …) names
//!          | "dedup" names
//!          | "count" [ "by" keys ]               stats count by keys | sort count desc
//!          | ("top" | "rare") [ number ] names [ "by" names ]
//!                filter each name:* | stats count by names | sort count desc | limit number
//!          | "timeline" [ width ] [ "by" keys ]  stats count by bin(width), keys | sort time
//!          | "timechart" [ "span=" width ] functions [ "by" keys ]
//!          | "values" names                      filter each name:* | stats count by names | sort names
//! function = "count" [ "(" [ "*" | name ] ")" ]
//!          | ("distinct" | "sum" | "avg" | "min" | "max" | "first" | "last" | "p95" …) "(" name ")"
//! keys     = key { "," key }
//! key      = name | "bin" "(" width ")" | "net" "(" name "," number [ "," number ] ")"
//! width    = [ number ] ("s" | "m" | "h" | "d" | "w" | "mo")
//! ```
//! A function or a key can be followed by `as` and a name for its column.

use super::function::function_kind;
use super::{ParseError, Parser, Result};
use crate::ast::{Bin, BinUnit, Expr, FieldRef, Function, GroupKey, Query, SortKey, Stage, Test};
use crate::check::check_stages;
use crate::syntax::closest;

/// Rows of `top` and `rare` where they say no number.
const TOP_ROWS: u64 = 10;

/// Width of a `timeline` that says none.
const TIMELINE_BIN: Bin = Bin { count: 1, unit: BinUnit::Hour };

/// Characters that end a name, beside those that end a word.
const NAME_ENDS: &str = ",=!<>~";

const STAGES: [&str; 13] = [
    "filter", "where", "stats", "sort", "limit", "head", "fields", "display", "dedup", "count",
    "top", "timeline", "values",
];

/// Other languages' names of the stages.
const ALIASES: [(&str, &str); 11] = [
    ("search", "filter"),
    ("having", "filter"),
    ("table", "fields"),
    ("select", "fields"),
    ("project", "fields"),
    ("take", "limit"),
    ("order", "sort"),
    ("orderby", "sort"),
    ("summarize", "stats"),
    ("timechart", "timechart"),
    ("rare", "rare"),
];

/// Those that begin a query elsewhere, and that are hardly words to look for.
const LEADING_ELSEWHERE: [&str; 10] = [
    "rex",
    "eval",
    "spath",
    "eventstats",
    "streamstats",
    "mvexpand",
    "fillnull",
    "tstats",
    "inputlookup",
    "unnest",
];

/// Stages of other languages that are written otherwise here.
const ELSEWHERE: [(&[&str], &str); 16] = [
    (&["regex", "rex", "grep"], "write filter userAgent:/.*x.*/"),
    (
        &["eval", "extend", "let", "convert", "fieldformat"],
        "values are compared as they are, in filter; as names a column: stats sum(field) as total",
    ),
    (&["rename", "alias"], "write as behind a function or a key, as in count as events"),
    (&["group", "groupby", "chart", "aggregate"], "write stats count by action, actor"),
    (&["bin", "bucket", "span"], "write stats count by bin(1h)"),
    (&["tail", "reverse"], "write sort time | limit 10"),
    (&["uniq", "distinct", "unique"], "write values field, or dedup field"),
    (&["join", "lookup", "append", "appendcols", "union"], "write key IN (query | values field)"),
    (
        &["parse", "spath", "unnest", "mvexpand", "mv-expand", "extract"],
        "every path of a record is a field: requestParameters.bucketName:x",
    ),
    (&["eventstats", "streamstats", "transaction", "cluster"], "write stats … by …"),
    (&["offset", "skip"], "pages follow each other by their cursor"),
    (
        &["from", "source", "index", "tstats", "inputlookup"],
        "the archive is searched as a whole: begin with a filter",
    ),
    (&["fillnull", "mvcombine", "makemv", "addtotals"], "write stats … by …"),
    (&["keep", "drop"], "write fields time, actor"),
    (&["json", "timeslice", "parse_json"], "every path is a field; time is cut by bin(1h)"),
    (&["xor", "show", "describe"], "stages are filter, stats, sort, limit and fields"),
];

/// Stages with the place of each.
type Placed = Vec<(Stage, usize)>;

impl Parser<'_> {
    /// A filter and what is made of its events.
    pub(super) fn query(&mut self) -> Result<Query> {
        self.scan.skip_spaces();
        let mut stages = Placed::new();
        let mut filter = Expr::All;
        if LEADING_ELSEWHERE.contains(&self.scan.peek_run("")) {
            return Err(self.unknown_stage(self.scan.peek_run("")));
        }
        self.check_leading()?;
        if self.is_at_leading_stage() {
            let word = self.scan.peek_run("");
            let is_alone = matches!(
                { self.scan }.rest()[word.len()..].trim_start().chars().next(),
                None | Some('|')
            );
            self.stage(&mut stages).map_err(|error| {
                if is_alone {
                    error.suggest(format!("quote it to look for the word: \"{word}\""))
                } else {
                    error
                }
            })?;
        } else if !self.is_at_pipe() && !matches!(self.scan.peek(), None | Some(')')) {
            let start = self.scan;
            filter = self.any_of(None)?;
            self.tell_table(&filter, start);
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

    /// Whether the query begins with a stage: its name, and something that is no operator. Alone, a
    /// stage's name is one, too.
    fn is_at_leading_stage(&self) -> bool {
        let mut scan = self.scan;
        let word = scan.run("");
        if word.eq_ignore_ascii_case("count") && scan.peek() == Some('(') {
            return true;
        }
        scan.skip_spaces();
        let next = scan.peek_run("");
        let takes_condition = matches!(stage_of(word), Some("filter" | "where"));
        if takes_condition && next.eq_ignore_ascii_case("NOT") {
            return true;
        }
        let is_alone = scan.peek().is_none_or(|c| c == '|' && !scan.rest().starts_with("||"));
        let is_operator = next.is_empty() && !scan.is_at_quote() && !is_alone
            || OPERATORS.iter().any(|operator| operator.eq_ignore_ascii_case(next))
            || next.starts_with("&&")
            || next.starts_with(['=', '!', '<', '>', '~', ':']);
        stage_of(word).is_some() && !is_operator
    }

    fn stage(&mut self, stages: &mut Placed) -> Result<()> {
        self.scan.skip_spaces();
        let offset = self.scan.offset();
        let start = self.scan;
        let word = self.scan.run(",=");
        let Some(stage) = stage_of(word) else {
            self.scan = start;
            return Err(self.unknown_stage(word));
        };
        self.told.more();
        self.told.is_of_kusto |= ["summarize", "project"].contains(&&*word.to_ascii_lowercase());
        let made = match stage {
            "filter" | "where" => vec![Stage::Filter(self.any_of(None)?)],
            "stats" => {
                let functions = self.several(Self::function)?;
                vec![Stage::Stats { functions, by: self.keys()? }]
            }
            "sort" => vec![self.sort()?],
            "limit" | "head" => {
                let rows = self.rows()?.ok_or_else(|| {
                    self.unexpected("a number").suggest(format!("write {word} 10"))
                })?;
                vec![Stage::Limit { rows, by: self.by(Self::field)? }]
            }
            "fields" | "display" => {
                self.check_fields()?;
                vec![Stage::Fields(self.several(Self::field)?)]
            }
            "dedup" => vec![Stage::Dedup(self.several(Self::field)?)],
            "count" if self.is_at("(") => {
                self.scan = start;
                self.counted()?
            }
            "count" => {
                let by = self.keys()?;
                let sort = sort_by_count(&by);
                let stats = Stage::Stats { functions: vec![Function::count()], by };
                std::iter::once(stats).chain(sort).collect()
            }
            "top" => self.top(true)?,
            "rare" => self.top(false)?,
            "timeline" => self.timeline()?,
            "timechart" => self.timechart()?,
            "values" => {
                let fields = self.several(Self::field)?;
                let sort = fields.iter().map(|field| ascending(&field.name)).collect();
                vec![exist(&fields), count_by(fields), Stage::Sort(sort)]
            }
            _ => return Err(self.unknown_stage(word)),
        };
        self.told.is_of_rows |= made.iter().any(|stage| matches!(stage, Stage::Stats { .. }));
        stages.extend(made.into_iter().map(|stage| (stage, offset)));
        self.scan.skip_spaces();
        match self.scan.peek() {
            None | Some('|' | ')') => Ok(()),
            Some(_) => Err(self.behind_stage(word)),
        }
    }

    fn sort(&mut self) -> Result<Stage> {
        self.scan.skip_spaces();
        let start = self.scan.offset();
        self.eat_word("by");
        let keys = self.several(Self::sort_key)?;
        let text = &self.scan.text_from(start)[..self.scan.offset() - start];
        let says_asc = text.to_ascii_lowercase().contains(" asc");
        if let [key, ..] = &keys[..]
            && self.told.is_of_kusto
            && !key.is_descending
            && !says_asc
        {
            let column = &key.field;
            self.note(format!(
                "sort {column} has the smallest first; write {column} desc for the largest"
            ));
        }
        Ok(Stage::Sort(keys))
    }

    /// The error of what follows a stage that is complete.
    fn behind_stage(&self, stage: &str) -> ParseError {
        let error = self.unexpected("'|' or the end of the query");
        let next = { self.scan }.next_word(",=(").to_ascii_lowercase();
        match next.as_str() {
            "having" => error.suggest("write | filter count > 5"),
            "span" => error.suggest("write timeline 1h, or by bin(1h)"),
            next if stage_of(next).is_some() || next == "group" => {
                error.suggest(format!("write | before {next}"))
            }
            "" if self.is_at("(") => {
                error.suggest("time is cut by bin(1h), an address by net(ip, 24)")
            }
            next if stage_takes_names(stage) && next.starts_with(char::is_alphabetic) => {
                error.suggest("put a comma between names")
            }
            _ => error,
        }
    }

    fn unknown_stage(&self, word: &str) -> ParseError {
        if word.is_empty() {
            return self.unexpected("a stage");
        }
        let message = format!("there is no stage '{word}'");
        let error = ParseError::new(self.scan.offset(), message);
        let lower = word.to_ascii_lowercase();
        if let Some((_, here)) = ELSEWHERE.iter().find(|(names, _)| names.contains(&&*lower)) {
            return error.suggest(*here);
        }
        error.suggest(match closest(word, STAGES) {
            Some(stage) => format!("did you mean '{stage}'?"),
            None => "stages are filter, stats, count, top, timeline, values, fields, sort, limit \
                     and dedup"
                .to_owned(),
        })
    }

    /// Refuses what is before fields elsewhere.
    fn check_fields(&mut self) -> Result<()> {
        self.scan.skip_spaces();
        let error = match self.scan.peek() {
            Some('*') => "name the fields; without this stage, events are whole",
            Some('-' | '+') => "name the fields that stay",
            _ => return Ok(()),
        };
        Err(self.unexpected("a field name").suggest(error))
    }

    /// `count(*) by a`: the stage `count` as a function.
    fn counted(&mut self) -> Result<Vec<Stage>> {
        let function = self.function()?;
        let column = FieldRef::named(function.column());
        let by = self.keys()?;
        let sort = (!by.is_empty())
            .then(|| Stage::Sort(vec![SortKey { field: column, is_descending: true }]));
        let stats = Stage::Stats { functions: vec![function], by };
        Ok(std::iter::once(stats).chain(sort).collect())
    }

    /// `top`, and `rare`, which has the least frequent first.
    fn top(&mut self, is_descending: bool) -> Result<Vec<Stage>> {
        self.scan.skip_spaces();
        self.eat_word_before("limit", "=");
        let rows = self.rows()?.unwrap_or(TOP_ROWS);
        let fields =
            self.several(Self::field).map_err(|error| match { self.scan }.next_word("") {
                "by" => error.suggest(format!("write sort field desc | limit {rows}")),
                _ => error,
            })?;
        self.scan.skip_spaces();
        let rows =
            if self.eat_word_before("limit", "=") { self.rows()?.unwrap_or(rows) } else { rows };
        let by = self.by(Self::field)?;
        let exist = exist(&fields);
        let keys: Vec<FieldRef> = by.iter().cloned().chain(fields).collect();
        let by_count = || SortKey { is_descending, ..most_first() };
        let mut stages = vec![exist, count_by(keys), Stage::Sort(vec![by_count()])];
        if by.is_empty() {
            stages.push(Stage::Limit { rows, by });
        } else {
            let mut sort: Vec<SortKey> = by.iter().map(|field| ascending(&field.name)).collect();
            sort.push(by_count());
            stages.extend([Stage::Limit { rows, by }, Stage::Sort(sort)]);
        }
        Ok(stages)
    }

    fn timeline(&mut self) -> Result<Vec<Stage>> {
        self.scan.skip_spaces();
        let mut bin = TIMELINE_BIN;
        let is_said = self.eat_word_before("span", "=");
        if is_said
            || !self.is_at_pipe()
                && !self.scan.peek_run("").eq_ignore_ascii_case("by")
                && self.scan.peek().is_some_and(|c| c != ')')
        {
            bin = self.bin()?;
        }
        self.by_time(vec![Function::count()], bin)
    }

    /// Splunk's `timechart span=1h count by a`.
    fn timechart(&mut self) -> Result<Vec<Stage>> {
        self.scan.skip_spaces();
        let bin = if self.eat_word_before("span", "=") { self.bin()? } else { TIMELINE_BIN };
        self.scan.skip_spaces();
        let is_function = function_kind(&{ self.scan }.run(",").to_ascii_lowercase()).is_some();
        let functions =
            if is_function { self.several(Self::function)? } else { vec![Function::count()] };
        self.by_time(functions, bin)
    }

    fn by_time(&mut self, functions: Vec<Function>, bin: Bin) -> Result<Vec<Stage>> {
        let time = GroupKey::Bin { bin, name: None };
        let sort = Stage::Sort(vec![ascending(&time.column())]);
        let by = std::iter::once(time).chain(self.keys()?).collect();
        Ok(vec![Stage::Stats { functions, by }, sort])
    }

    /// `a, b`.
    pub(super) fn several<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
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
    pub(super) fn by<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.scan.skip_spaces();
        if self.eat_word("by") { self.several(item) } else { Ok(Vec::new()) }
    }

    /// Steps over a word of the language, in upper or lower case.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let is_next = self.scan.peek_run(",").eq_ignore_ascii_case(word);
        if is_next {
            self.scan.run(",");
        }
        is_next
    }

    /// Steps over a word of the language and what stands directly behind it, if both are next.
    pub(super) fn eat_word_before(&mut self, word: &str, sign: &str) -> bool {
        let start = self.scan;
        let is_next = self.scan.run(",=").eq_ignore_ascii_case(word) && self.scan.eat(sign);
        if !is_next {
            self.scan = start;
        }
        is_next
    }

    /// `as name`, or nothing.
    pub(super) fn column_name(&mut self) -> Result<Option<String>> {
        self.scan.skip_spaces();
        if self.eat_word("as") {
            self.scan.skip_spaces();
            return Ok(Some(self.field()?.name));
        }
        Ok(None)
    }

    pub(super) fn field(&mut self) -> Result<FieldRef> {
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

    pub(super) fn number(&mut self) -> Result<Option<u64>> {
        self.scan.skip_spaces();
        let word = self.scan.peek_run(",");
        if word.is_empty() || !word.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(None);
        }
        let number = word.parse().map_err(|_| self.unexpected("a smaller number"))?;
        self.scan.run(",");
        Ok(Some(number))
    }

    /// A number of rows.
    fn rows(&mut self) -> Result<Option<u64>> {
        let rows = self.number()?;
        if rows == Some(0) {
            // In Splunk, that is all of them.
            self.note("a limit of 0 keeps nothing; leave it out to keep all".to_owned());
        }
        Ok(rows)
    }

    fn sort_key(&mut self) -> Result<SortKey> {
        let start = self.scan;
        let has_minus = self.scan.eat("-");
        if !has_minus {
            self.scan.eat("+");
        }
        self.scan.skip_spaces();
        let is_function = {
            let mut scan = self.scan;
            function_kind(&scan.run(",").to_ascii_lowercase()).is_some() && scan.peek() == Some('(')
        };
        let field = if is_function {
            let offset = Some(self.scan.offset());
            FieldRef::typed(self.function()?.column(), offset)
        } else {
            self.field().map_err(|error| {
                let rows = self.scan.peek_run(",");
                let is_number = !rows.is_empty() && rows.bytes().all(|byte| byte.is_ascii_digit());
                if is_number {
                    error.suggest(format!("write sort … | limit {rows}"))
                } else {
                    error
                }
            })?
        };
        self.scan.skip_spaces();
        let is_descending = self.eat_word("desc") || self.eat_word("descending");
        let is_ascending = self.eat_word("asc") || self.eat_word("ascending");
        if has_minus && is_ascending {
            return Err(ParseError::new(start.offset(), "'-' is for a descending order"));
        }
        Ok(SortKey { field, is_descending: is_descending || has_minus })
    }
}

/// Words that make a word before them no stage.
const OPERATORS: [&str; 7] = ["AND", "OR", "NOT", "IN", "LIKE", "IS", "BETWEEN"];

/// The stage of a name, in upper or lower case, as it is called here.
fn stage_of(word: &str) -> Option<&'static str> {
    let ours = STAGES.into_iter().find(|name| name.eq_ignore_ascii_case(word));
    let alias = || ALIASES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
    ours.or_else(|| alias().map(|(_, stage)| *stage))
}

/// Whether a word alone is a stage.
pub(crate) fn names_a_stage(word: &str) -> bool {
    stage_of(word).is_some()
}

/// Whether a word is a stage here or in another language.
pub(super) fn is_foreign_word(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    names_a_stage(&lower)
        || LEADING_ELSEWHERE.contains(&&*lower)
        || ELSEWHERE.iter().any(|(names, _)| names.contains(&&*lower))
}

fn stage_takes_names(stage: &str) -> bool {
    !matches!(stage_of(stage), Some("filter" | "where" | "limit" | "head") | None)
}

fn exist(fields: &[FieldRef]) -> Stage {
    let exists = |field: &FieldRef| {
        // Every event has something.
        let is_all = *field == FieldRef::everywhere();
        if is_all { Expr::All } else { Expr::Field { field: field.clone(), test: Test::Exists } }
    };
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
