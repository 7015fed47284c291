//! Text that parses back to the tree.

use std::fmt;
use std::ops::Bound;

use super::{
    Comparison, Expr, FieldRef, Function, GroupKey, PatternPiece, Query, Regex, SortKey, Stage, Test,
    Value,
};
use crate::parse::names_a_stage;
use crate::syntax::{
    escape, escape_start, is_keyword, is_name_char, is_taken_before_values, names_a_field, quote,
    reads_as_span, reads_as_word,
};

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A stage's name alone is a stage.
        match &self.filter {
            Expr::Word(word) if names_a_stage(word) => write!(f, "\\{word}")?,
            filter => filter.fmt(f)?,
        }
        self.stages.iter().try_for_each(|stage| write!(f, " | {stage}"))
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Word(text) => f.write_str(&print_word(|also| escape(text, also))),
            Self::Wildcard(pattern) => f.write_str(&print_word(|also| pattern.escape(also))),
            Self::Regex(regex) => regex.fmt(f),
            Self::Phrase(text) => f.write_str(&quote(text)),
            Self::Field { field, test: Test::Compared { comparison, other } } => {
                write!(f, "{field} {comparison} {other}")
            }
            Self::Field { field, test: Test::InQuery(query) } => write!(f, "{field} IN ({query})"),
            Self::Field { field, test } => {
                let text = format!("{field}:{test}");
                if reads_as_word(&text) {
                    write!(f, "{field} = {test}")
                } else {
                    f.write_str(&text)
                }
            }
            Self::And(parts) => f.write_str(&join(parts, " AND ", operand)),
            Self::Or(parts) => f.write_str(&join(parts, " OR ", Self::to_string)),
            Self::Not(inner) => write!(f, "NOT {}", operand(inner)),
        }
    }
}

/// The text of a part of `AND` or `NOT`.
fn operand(expr: &Expr) -> String {
    match expr {
        Expr::And(_) | Expr::Or(_) => format!("({expr})"),
        _ => expr.to_string(),
    }
}

/// A test of values prints as what follows `field:`.
impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What would otherwise begin a regular expression, a comparison or a negation.
        const LEADING: &str = "/<>=!+-~";
        match self {
            Self::Is(Value { text, .. }) if text.is_empty() => f.write_str("\"\""),
            Self::Is(Value { text, .. }) => f.write_str(&escape_start(escape(text, ","), LEADING)),
            Self::AnyCase(pattern) if pattern.pieces().is_empty() => f.write_str("~\"\""),
            // Without quotes it would be another field.
            Self::AnyCase(pattern)
                if let [PatternPiece::Text(text)] = pattern.pieces()
                    && names_a_field(text) =>
            {
                write!(f, "~{}", quote(text))
            }
            Self::AnyCase(pattern) => {
                write!(f, "~{}", escape_start(pattern.escape(","), LEADING))
            }
            Self::Phrase(text) => f.write_str(&quote(text)),
            Self::Wildcard(pattern) => f.write_str(&escape_start(pattern.escape(","), LEADING)),
            Self::Regex(regex) => regex.fmt(f),
            Self::Range { lower, upper } => print_range(f, lower, upper),
            Self::Exists => f.write_str("*"),
            Self::OneOf(tests) => write!(f, "({})", join(tests, " OR ", Self::to_string)),
            Self::Compared { comparison, other } => write!(f, "{comparison} {other}"),
            Self::InQuery(query) => write!(f, "({query})"),
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Equal => "=",
            Self::NotEqual => "!=",
            Self::More => ">",
            Self::AtLeast => ">=",
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Alike => "~",
        })
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        let mut is_escaped = false;
        for c in self.pattern.chars() {
            if c == '/' && !is_escaped {
                f.write_str("\\")?;
            }
            is_escaped = c == '\\' && !is_escaped;
            write!(f, "{c}")?;
        }
        f.write_str(if self.ignores_case { "/i" } else { "/" })
    }
}

impl fmt::Display for FieldRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self { has_below: true, name, .. } if name.is_empty() => return f.write_str("*"),
            Self { is_quoted: true, name, .. } => f.write_str(&quote(name))?,
            Self { name, .. } => print_name(f, name)?,
        }
        f.write_str(if self.has_below { ".*" } else { "" })
    }
}

fn print_name(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    // In front of keys, `by` is a word of the language.
    let is_word_of_ours = name.eq_ignore_ascii_case("by") || is_taken_before_values(name);
    let would_mislead = reads_as_span(name) || is_keyword(name) || is_word_of_ours;
    for (at, c) in name.chars().enumerate() {
        let is_plain = is_name_char(c, at == 0) && !(would_mislead && at == 0);
        let backslash = if is_plain { "" } else { "\\" };
        write!(f, "{backslash}{c}")?;
    }
    Ok(())
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(expr) => write!(f, "filter {expr}"),
            Self::Stats { functions, by } => {
                f.write_str("stats ")?;
                list(f, functions)?;
                if !by.is_empty() {
                    f.write_str(if functions.is_empty() { "by " } else { " by " })?;
                    list(f, by)?;
                }
                Ok(())
            }
            Self::Sort(keys) => {
                f.write_str("sort ")?;
                list(f, keys)
            }
            Self::Limit { rows, by } => {
                write!(f, "limit {rows}")?;
                if !by.is_empty() {
                    f.write_str(" by ")?;
                    list(f, by)?;
                }
                Ok(())
            }
            Self::Fields(fields) => {
                f.write_str("fields ")?;
                list(f, fields)
            }
            Self::Dedup(fields) => {
                f.write_str("dedup ")?;
                list(f, fields)
            }
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    f.write_str(&join(items, ", ", T::to_string))
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its own name can be how it was written.
        if let Some(name) = &self.name
            && Self::of_text(name).as_ref() == Some(self)
        {
            return f.write_str(name);
        }
        self.kind.fmt(f)?;
        if let Some(field) = &self.field {
            write!(f, "({field})")?;
        }
        print_as(f, self.name.as_deref())
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { field, name } => {
                field.fmt(f)?;
                print_as(f, name.as_deref())
            }
            Self::Net { field, net, name } => {
                f.write_str(&net.of(&field.to_string()))?;
                print_as(f, name.as_deref())
            }
            Self::Bin { bin, name } => {
                write!(f, "bin({bin})")?;
                print_as(f, name.as_deref())
            }
        }
    }
}

fn print_as(f: &mut fmt::Formatter<'_>, name: Option<&str>) -> fmt::Result {
    if let Some(name) = name {
        f.write_str(" as ")?;
        print_name(f, name)?;
    }
    Ok(())
}

impl fmt::Display for SortKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.field, if self.is_descending { " desc" } else { "" })
    }
}

/// A bare word that is not taken for a field with its test; `escape` escapes the characters it is
/// given beside the usual ones.
fn print_word(escape: impl Fn(&str) -> String) -> String {
    const LEADING: &str = "!+-/@#`.$\u{2013}\u{2014}\u{2212}";
    let raw = escape_start(escape("=<>~"), LEADING);
    if reads_as_word(&raw) { raw } else { escape_start(escape("=<>:~"), LEADING) }
}

fn join<T>(parts: &[T], by: &str, print: impl Fn(&T) -> String) -> String {
    parts.iter().map(print).collect::<Vec<_>>().join(by)
}

fn print_range(
    f: &mut fmt::Formatter<'_>,
    lower: &Bound<Value>,
    upper: &Bound<Value>,
) -> fmt::Result {
    use Bound::{Excluded, Included, Unbounded};
    match (lower, upper) {
        (Included(value), Unbounded) => write!(f, ">={}", print_end(value)),
        (Excluded(value), Unbounded) => write!(f, ">{}", print_end(value)),
        (Unbounded, Included(value)) => write!(f, "<={}", print_end(value)),
        (Unbounded, Excluded(value)) => write!(f, "<{}", print_end(value)),
        (Unbounded, Unbounded) => f.write_str("*"),
        (Included(from) | Excluded(from), Included(to) | Excluded(to)) => {
            let open = if matches!(lower, Included(_)) { '[' } else { '{' };
            let close = if matches!(upper, Included(_)) { ']' } else { '}' };
            write!(f, "{open}{} TO {}{close}", print_end(from), print_end(to))
        }
    }
}

/// An end of a range.
fn print_end(value: &Value) -> String {
    if value.text.is_empty() || names_a_field(&value.text) {
        quote(&value.text)
    } else {
        escape_start(escape(&value.text, ","), "=<>!~")
    }
}
