//! What people write who come from another tool: it is taken where it has one meaning, and otherwise
//! an error that shows how it is written here. Nothing of it is taken for words to look for.

use super::condition::LIST_AND_RANGE;
use super::function::function_kind;
use super::scan::Scanner;
use super::told::reads_as_field;
use super::value::{anywhere, contains, of_sql, test_of};
use super::{ParseError, Parser, Result};
use crate::ast::{Expr, FieldRef, PatternPiece, Regex, Test, Value};
use crate::syntax::{SOURCES, is_keyword, names_a_field};
use crate::time::is_distance;

/// What a name with an opening parenthesis behind it is.
pub(super) enum Called {
    /// Nothing is called.
    Nothing,
    /// A condition, which the function is.
    Condition(Expr),
    /// A column of a table, called as its function is.
    Column(FieldRef),
}

/// Functions that are conditions in another tool, and that are written otherwise here.
const ELSEWHERE: [(&[&str], &str); 7] = [
    (
        &["lower", "upper", "tolower", "toupper", "lcase", "ucase"],
        "field:~value finds a value in any case",
    ),
    (
        &["json_extract", "json_extract_scalar", "get_json_object", "spath", "element_at"],
        "every path is a field: requestParameters.bucketName = x",
    ),
    (&["isempty", "isblank"], "-field:* finds what is missing, field:\"\" the empty value"),
    (
        &["date_trunc", "from_iso8601_timestamp", "to_iso8601", "parse_datetime", "strptime"],
        "write the time itself: time >= 2026-06-01T12:00",
    ),
    (&["len", "length", "strlen"], "field:/.{10,}/ finds values of ten characters or more"),
    (&["search", "has", "term"], "a word without a field is looked for everywhere"),
    (
        &["cast", "try_cast", "coalesce", "if", "case", "nullif", "json_parse"],
        "fields are compared as they are: field = value",
    ),
];

/// Words behind a field's name that compare in another tool, in lower case.
const COMPARED_ELSEWHERE: [(&[&str], &str); 11] = [
    (
        &["contains", "!contains", "contains_cs", "has", "!has", "has_cs", "has_any", "has_all"],
        "LIKE x",
    ),
    (&["startswith", "!startswith", "startswith_cs", "beginswith", "hasprefix"], ":x*"),
    (&["endswith", "!endswith", "endswith_cs", "hassuffix"], ":*x"),
    (&["equals", "eq", "-eq", "is"], ":x, or {} != x"),
    (&["ne", "-ne", "neq"], " != x"),
    (&["gt", "ge", "lt", "le", "-gt", "-ge", "-lt", "-le", "gte", "lte"], " >= x"),
    (&["matches", "rlike", "regexp", "regex", "-match"], " LIKE /x/"),
    (&["ilike", "-like"], ":~*x*"),
    (&["exists"], ":*, or -{}:*"),
    (&["in~", "has_any~"], ":(~a OR ~b), which finds them in any case"),
    (&["!in", "!in~"], " NOT IN [a, b]"),
];

/// Words in front of a span of time, up to now.
const BEFORE_DISTANCES: [&str; 6] = ["last", "past", "since", "within", "previous", "newer"];

/// Programs whose command line somebody may type.
const PROGRAMS: [&str; 8] = ["grep", "egrep", "zgrep", "fgrep", "rg", "jq", "awk", "sed"];

impl Parser<'_> {
    /// Adds a sentence for the reader of the answer.
    pub(super) fn note(&mut self, note: String) {
        self.told.note(note);
    }

    /// Refuses a whole statement of SQL, and the semicolon behind one.
    pub(super) fn check_statement(&self) -> Result<()> {
        let mut scan = self.scan;
        scan.skip_spaces();
        let start = scan.offset();
        if scan.next_word("").eq_ignore_ascii_case("select") {
            while scan.peek().is_some() {
                let word = scan.next_word(",");
                if word.eq_ignore_ascii_case("from") {
                    let error = ParseError::new(start, "this is a statement of SQL");
                    return Err(error.suggest(
                        "write what is behind WHERE, and stages behind pipes: \
                         eventName = 'CreateUser' | fields time, actor | limit 10, or | count by actor",
                    ));
                }
                if word.is_empty() {
                    let next = scan.peek().map_or(0, char::len_utf8);
                    scan.eat(&scan.rest()[..next]);
                }
            }
        }
        let text = self.scan.text_from(0).trim_end();
        if text.len() > 1 && text.ends_with(';') && !text.ends_with("\\;") {
            let error = ParseError::new(text.len() - 1, "a query ends without ';'");
            return Err(error.suggest("a backslash before it makes it text"));
        }
        Ok(())
    }

    /// Refuses a stage that stands behind conditions without a pipe: its words would be looked for.
    pub(super) fn check_stage_without_pipe(&self) -> Result<()> {
        let mut scan = self.scan;
        let offset = scan.offset();
        let word = scan.next_word(",").to_ascii_lowercase();
        let next = scan.next_word(",(");
        let is_by = next.eq_ignore_ascii_case("by");
        let is_number = !next.is_empty() && next.bytes().all(|byte| byte.is_ascii_digit());
        if self.is_at(",") {
            let error = ParseError::new(offset, "conditions are not joined by ','");
            return Err(error.suggest("write AND or OR"));
        }
        if BEFORE_DISTANCES.contains(&word.as_str()) && is_distance(next) {
            let error = ParseError::new(offset, format!("'{word} {next}' is no condition"));
            return Err(error.suggest(format!("write @-{next}.., or quote the words")));
        }
        let is_stage = match word.as_str() {
            "count" | "group" | "order" | "sort" | "partition" | "timeline" | "values" => is_by,
            "limit" | "head" | "top" | "rare" | "take" | "tail" => is_number,
            "stats" | "timechart" | "summarize" => function_kind(next).is_some(),
            "having" => scan.peek() == Some('(') || !next.is_empty(),
            _ => false,
        };
        if !is_stage {
            return Ok(());
        }
        let message = format!("'{word} {next}' stands behind conditions without '|'");
        Err(ParseError::new(offset, message).suggest(match word.as_str() {
            "order" | "sort" => "write | sort time desc".to_owned(),
            "group" | "partition" => {
                "write | count by actor, or | stats sum(field) by actor".to_owned()
            }
            "having" => "write | filter count > 5".to_owned(),
            word => format!("write | {word} {next}, or quote the words"),
        }))
    }

    /// Refuses what tells another tool where to search. A column of a table may be called so.
    pub(super) fn check_source(&self, field: &FieldRef) -> Result<()> {
        let name = field.name.as_str();
        let at = field.offset.unwrap_or_default();
        let is_plain = !field.is_quoted && self.scan.text_from(at).starts_with(name);
        let is_of_trail = || {
            let value = { self.scan }.next_word("").to_ascii_lowercase();
            let quoted = { self.scan }.quoted().ok().flatten().unwrap_or_default();
            value.contains("cloudtrail") || quoted.to_ascii_lowercase().contains("cloudtrail")
        };
        let is_source = SOURCES.contains(&name) || name == "source" && is_of_trail();
        if !is_plain || !is_source || self.told.is_of_rows {
            return Ok(());
        }
        let message =
            format!("'{name}' says elsewhere where to search; here it is the whole archive");
        Err(ParseError::new(at, message)
            .suggest(format!("leave it out; a field that is called so is \"{name}\":x")))
    }

    /// Refuses signs in front of what is no condition to exclude.
    pub(super) fn check_sign(&self, sign: Scanner<'_>) -> Result<()> {
        let run = self.scan.peek_run("");
        if sign.peek() != Some('-') {
            return Ok(());
        }
        if is_distance(run) && run.ends_with(|c: char| c.is_alphabetic()) {
            let error = ParseError::new(sign.offset(), format!("'-{run}' is no condition"));
            return Err(error.suggest(format!("write @-{run}.., or quote \"{run}\" to exclude it")));
        }
        let is_option =
            run.strip_prefix('-').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        if is_option {
            let error = ParseError::new(sign.offset(), format!("'-{run}' is no condition"));
            return Err(error.suggest("one '-' excludes; quote it if it is text"));
        }
        Ok(())
    }

    /// Refuses a query in parentheses behind a colon: `key:(eventName:AssumeRole | values x)`.
    pub(super) fn check_inner_query(&self, field: &FieldRef, is_negated: bool) -> Result<()> {
        if self.scan.peek() != Some('(') || !self.scan.holds_pipe() {
            return Ok(());
        }
        let not = if is_negated { "NOT " } else { "" };
        let message = format!("these parentheses behind '{}' hold a query", field.name);
        Err(ParseError::new(self.scan.offset(), message).suggest(format!(
            "write {field} {not}IN (query | values field), which takes what the query finds"
        )))
    }

    /// Tells where `!=` finds more than elsewhere.
    pub(super) fn tell_unequal(&mut self, field: &FieldRef, test: &Test) {
        match test {
            Test::Is(Value { text, .. }) if text.is_empty() => self.note(format!(
                "{field} != \"\" leaves out the empty text only; {field}:* finds the events that have \
                 the field"
            )),
            _ => self.told.unequal(&field.name, field.offset),
        }
    }

    /// Refuses a value in which another condition stands behind a sign that joins them elsewhere.
    pub(super) fn check_joined(raw: &str, at: usize) -> Result<()> {
        for (sign, _) in raw.match_indices([';', '&']) {
            let rest = raw[sign + 1..].trim_start_matches('&');
            let name = rest.split([':', '=']).next().unwrap_or_default();
            if name.len() < rest.len() && reads_as_field(name) && !raw[..sign].contains('\\') {
                let message = format!("conditions are not joined by '{}'", &raw[sign..=sign]);
                return Err(ParseError::new(at + sign, message).suggest("write AND or OR"));
            }
        }
        Ok(())
    }

    /// Tells that a regular expression is compared with the whole, where it reads as one for a part: it is
    /// a plain text, or says where one end is.
    pub(super) fn tell_part(&mut self, regex: &Regex, at: usize) {
        let pattern = regex.pattern.as_str();
        let (begins, ends) = (pattern.starts_with('^'), pattern.ends_with('$'));
        let is_plain = !pattern.contains(|c: char| "\\.+*?()|[]{}^$".contains(c));
        let is_open = |c: char| ".*+{(|".contains(c);
        if is_plain || begins != ends && !pattern.contains(is_open) {
            let text = pattern.trim_start_matches('^').trim_end_matches('$');
            let (before, after) = (if begins { "" } else { ".*" }, if ends { "" } else { ".*" });
            self.note(format!(
                "/{pattern}/ at byte {at} is compared with the whole; /{before}{text}{after}/ finds a part"
            ));
        }
    }

    /// Tells where a value means something else in another tool.
    pub(super) fn tell_odd(&mut self, field: &FieldRef, Value { text, offset }: &Value) {
        let at = offset.unwrap_or_default();
        if text.is_empty() {
            self.note(format!(
                "{field} = \"\" finds the empty text; -{field}:* finds the events without the field"
            ));
        } else if text.len() > 1 && (text.starts_with('%') || text.ends_with('%')) {
            self.note(format!("'%' at byte {at} is itself; behind LIKE it is any text, as in SQL"));
        } else if text.len() > 1 && (text.starts_with('^') || text.ends_with('$')) {
            self.note(format!(
                "'{text}' at byte {at} is this text; a regular expression stands between slashes, as \
                 /{text}/"
            ));
        }
    }

    /// Refuses the command line of a program, and a query that begins with its source.
    pub(super) fn check_leading(&self) -> Result<()> {
        let mut scan = self.scan;
        let at = scan.offset();
        let word = scan.next_word("").to_ascii_lowercase();
        let next = scan.next_word("");
        let is_followed = !next.is_empty() || scan.is_at_quote();
        let is_operator = is_keyword(next) || next.starts_with([':', '=', '!', '<', '>', '~']);
        let fail = |message: String| ParseError::new(at, message);
        if PROGRAMS.contains(&word.as_str()) && is_followed && !is_operator {
            let error = fail(format!("'{word}' is a command of a shell"));
            return Err(error.suggest(
                "words are looked for in any case, everywhere; a regular expression is /x/; quote it \
                 to look for the word",
            ));
        }
        if word == "from" && is_followed && !is_operator {
            scan.skip_spaces();
            if scan.peek() == Some('|') {
                let error = fail("'from' says elsewhere where to search".to_owned());
                return Err(error.suggest("leave it out: begin with a filter, or with *"));
            }
        }
        if word == "parse" && next.starts_with('@') {
            return Err(fail("there is no stage 'parse'".to_owned())
                .suggest("every path of a record is a field"));
        }
        Ok(())
    }

    /// Tells of a word alone, in front of stages, that is a table elsewhere.
    pub(super) fn tell_table(&mut self, filter: &Expr, start: Scanner<'_>) {
        self.scan.skip_spaces();
        let word = match filter {
            Expr::Word(word) if self.is_at("|") => word.to_ascii_lowercase(),
            _ => return,
        };
        if word.contains("cloudtrail") {
            let at = start.offset();
            self.note(format!(
                "'{word}' at byte {at} is looked for as a word; if it is a table elsewhere, begin with *: \
                 the archive is searched as a whole"
            ));
        }
    }

    /// Refuses what would be words here, and is a condition elsewhere.
    pub(super) fn check_foreign_condition(&self) -> Result<()> {
        let run = self.scan.peek_run("");
        if run.contains('\\') {
            return Ok(());
        }
        let fail = |message: String| Err(ParseError::new(self.scan.offset(), message));
        let suggest = |suggestion: String| move |error: ParseError| error.suggest(suggestion);
        if run.starts_with(['\u{2013}', '\u{2014}', '\u{2212}']) {
            return fail("this dash is no '-'".to_owned())
                .map_err(suggest("write -field:value, or NOT".to_owned()));
        }
        let is_of_jq =
            run.strip_prefix('.').is_some_and(|rest| rest.starts_with(char::is_alphabetic));
        if run.starts_with("$.") || run.starts_with("{$") || is_of_jq {
            let name = run.trim_start_matches(['{', '$', '.']);
            let name = name.strip_prefix("Records[]").unwrap_or(name).trim_start_matches('.');
            let form = match name {
                "" => "begin with a filter: eventName = x".to_owned(),
                name => format!("write {name}"),
            };
            return fail(format!("'{run}' is no field")).map_err(suggest(form));
        }
        if run == "#" || run.starts_with("//") {
            return fail("a query has no comments".to_owned())
                .map_err(suggest("quote it if it is text".to_owned()));
        }
        if run.starts_with('`') {
            return fail("backquotes hold the name of a field".to_owned())
                .map_err(suggest("write `name` = value".to_owned()));
        }
        let is_head = |c: char| c.is_alphanumeric() || "._-".contains(c);
        let head = run.trim_start_matches(is_head);
        let (name, sign) = run.split_at(run.len() - head.len());
        if names_a_field(name) && sign.contains([':', '=', '<', '>']) {
            return fail(format!("'{run}' is no condition")).map_err(suggest(format!(
                "write {name}:value, {name} != value or {name} >= value"
            )));
        }
        self.check_word_operator(run)
    }

    fn check_word_operator(&self, name: &str) -> Result<()> {
        let mut scan = self.scan;
        scan.run("");
        scan.skip_spaces();
        let offset = scan.offset();
        let written = scan.next_word("");
        let operator = written.to_ascii_lowercase();
        let plain = operator.strip_prefix("not").unwrap_or(&operator);
        scan.skip_spaces();
        let is_followed = scan.peek().is_some_and(|c| c != '|' && c != ')');
        let is_field = reads_as_field(name);
        let fail = |suggestion: String| {
            let message = format!("'{written}' is no comparison here");
            Err(ParseError::new(offset, message).suggest(suggestion))
        };
        if operator == "in" && is_followed && (is_field || written == "IN") && !is_keyword(name) {
            return fail(LIST_AND_RANGE.to_owned());
        }
        // Of these, text has some as well.
        let is_common = ["is", "has", "exists", "regex", "matches", "gt", "ge", "lt", "le"];
        let is_common = is_common.contains(&operator.as_str());
        let known = COMPARED_ELSEWHERE
            .iter()
            .find(|(words, _)| words.contains(&operator.as_str()) || words.contains(&plain));
        match known {
            Some((_, form)) if is_field || is_followed && !is_common => {
                let form = form.replace("{}", name);
                let form = if form.starts_with("LIKE") { format!(" {form}") } else { form };
                fail(format!("write {name}{form}, or quote the words"))
            }
            _ => Ok(()),
        }
    }

    /// Steps over a function, if a name with a parenthesis behind it is next.
    pub(super) fn called(&mut self) -> Result<Called> {
        let start = self.scan;
        let name = self.scan.run("");
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.".contains(&byte));
        if !is_name || is_keyword(name) || !self.is_at("(") {
            self.scan = start;
            return Ok(Called::Nothing);
        }
        let lower = name.to_ascii_lowercase();
        if function_kind(&lower).is_some() {
            self.scan = start;
            let column = self.function()?.column();
            return Ok(Called::Column(FieldRef::typed(column, Some(start.offset()))));
        }
        let open = self.scan;
        self.scan.eat("(");
        let Some(expr) = self.predicate(&lower)? else {
            return Err(unknown_function(start.offset(), name, &lower));
        };
        self.close(open, ")", "')'")?;
        Ok(Called::Condition(expr))
    }

    /// The condition that a function is, with its arguments; None for another function.
    fn predicate(&mut self, name: &str) -> Result<Option<Expr>> {
        let (field, test) = match name {
            "ispresent" | "isnotnull" | "isnotempty" | "exists" | "is_not_null" => {
                (self.field()?, Test::Exists)
            }
            "isnull" | "ismissing" | "is_null" | "isnotpresent" => {
                let field = self.field()?;
                return Ok(Some(Expr::negate(Expr::Field { field, test: Test::Exists })));
            }
            "cidrmatch" => {
                let network = self.text_argument()?;
                self.comma()?;
                (self.field()?, Test::Is(network))
            }
            "isipv4insubnet" | "isipv6insubnet" | "isipinsubnet" | "ipv4_is_in_range" => {
                let field = self.field()?;
                self.comma()?;
                (field, Test::Is(self.text_argument()?))
            }
            "in" => {
                let field = self.field()?;
                let mut tests = Vec::new();
                while {
                    self.scan.skip_spaces();
                    self.is_at(",")
                } {
                    self.comma()?;
                    tests.push(Test::Is(self.text_argument()?));
                }
                if tests.is_empty() {
                    return Err(self.unexpected("','"));
                }
                (field, Test::one_of(tests))
            }
            "like" | "match" | "regexp_like" | "regexp_matches" | "rlike" | "contains"
            | "strcontains" | "startswith" | "starts_with" | "endswith" | "ends_with" => {
                let field = self.field()?;
                self.comma()?;
                let test = self.text_test(name)?;
                (field, test)
            }
            _ => return Ok(None),
        };
        Ok(Some(Expr::Field { field, test }))
    }

    /// The test of a function whose second argument is a text.
    fn text_test(&mut self, name: &str) -> Result<Test> {
        self.scan.skip_spaces();
        if let Some(regex) = self.regex()? {
            return Ok(anywhere(regex));
        }
        let Value { text, offset } = self.text_argument()?;
        let text_piece = PatternPiece::Text(text.clone());
        Ok(match name {
            "like" => test_of(of_sql(&text).0),
            "startswith" | "starts_with" => test_of(vec![text_piece, PatternPiece::AnyRun]),
            "endswith" | "ends_with" => test_of(vec![PatternPiece::AnyRun, text_piece]),
            "contains" | "strcontains" => contains(vec![text_piece]),
            _ => {
                let regex = Regex::new(&text, false);
                regex.compile().map_err(|reason| {
                    let message = format!("this regular expression is not one: {reason}");
                    ParseError::new(offset.unwrap_or_default(), message)
                })?;
                anywhere(regex)
            }
        })
    }

    fn comma(&mut self) -> Result<()> {
        self.scan.skip_spaces();
        if self.scan.eat(",") { Ok(()) } else { Err(self.unexpected("','")) }
    }

    fn text_argument(&mut self) -> Result<Value> {
        self.scan.skip_spaces();
        let offset = Some(self.scan.offset());
        let text = match self.scan.quoted()? {
            Some(text) => text,
            None => self.scan.run(",").to_owned(),
        };
        if text.is_empty() {
            return Err(self.unexpected("a value"));
        }
        Ok(Value { text, offset })
    }

    /// Steps over what stands before a character, or to the end.
    fn until(&mut self, end: char) -> String {
        let rest = self.scan.rest();
        let text = &rest[..rest.find(end).unwrap_or(rest.len())];
        self.scan.eat(text);
        text.trim().to_owned()
    }

    /// Steps over a time that is a function elsewhere: `ago(1h)`, `now()`, `timestamp '…'`.
    pub(super) fn called_time(&mut self) -> Result<Option<String>> {
        let start = self.scan;
        let name = self.scan.run("").to_ascii_lowercase();
        if ["now", "ago"].contains(&name.as_str()) && self.scan.eat("(") {
            let argument = self.scan.next_word("");
            self.scan.skip_spaces();
            if self.scan.eat(")") {
                match name.as_str() {
                    "now" if argument.is_empty() => return Ok(Some(name)),
                    "ago" if is_distance(argument) => return Ok(Some(format!("-{argument}"))),
                    _ => {}
                }
            }
            let message = format!("expected ago(1h) or now(), found {}", start.found());
            return Err(ParseError::new(start.offset(), message));
        }
        if TIMES_ELSEWHERE.contains(&name.as_str()) {
            let is_called = self.scan.eat("(");
            self.scan.skip_spaces();
            let text = match self.scan.quoted()? {
                None if is_called => Some(self.until(')')),
                text => text,
            };
            self.scan.skip_spaces();
            if let Some(text) = text.filter(|text| !text.is_empty())
                && (!is_called || self.scan.eat(")"))
            {
                return Ok(Some(text));
            }
        }
        self.scan = start;
        Ok(None)
    }
}

/// What stands in front of a time in other languages.
const TIMES_ELSEWHERE: [&str; 6] =
    ["timestamp", "date", "datetime", "todatetime", "to_datetime", "from_iso8601_timestamp"];

fn unknown_function(offset: usize, name: &str, lower: &str) -> ParseError {
    let known = ELSEWHERE.iter().find(|(names, _)| names.contains(&lower));
    let error = ParseError::new(offset, format!("there is no function '{name}' in conditions"));
    error.suggest(match known {
        Some((_, suggestion)) => (*suggestion).to_owned(),
        None => format!("to look for the word, write {name} AND (…)"),
    })
}
