//! Exceptions: events that rules leave out, for a reason and until a time. They are documents of their own
//! among those of rules, and extensions of traildex.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use language::ast::Expr;
use language::parse::parse;
use serde::Deserialize;

use crate::rule::Meta;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Exception {
    title: String,
    /// What the rules are called; None means all.
    rules: Option<Vec<String>>,
    condition: Expr,
    reason: String,
    /// Until when, as a person wrote it and in microseconds since 1970; None for good.
    until: Option<(String, i64)>,
}

/// A document, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    exception: String,
    rules: Names,
    query: String,
    reason: String,
    expires: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Some(Vec<String>),
}

impl Exception {
    /// Whether a document is one.
    pub(crate) fn is_written_in(text: &str) -> bool {
        text.lines().any(|line| line.starts_with("exception:"))
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let written: Written = yaml_serde::from_str(text).map_err(|error| error.to_string())?;
        let Written { exception: title, rules, query, reason, expires } = written;
        if reason.trim().is_empty() {
            return Err(format!("'{title}': an exception needs a reason"));
        }
        let rules = match rules {
            Names::One(any) if any == "any" => None,
            Names::One(name) => Some(vec![name]),
            Names::Some(names) => Some(names),
        };
        let parsed = parse(&query).map_err(|error| format!("'{title}': query: {error}"))?;
        if !parsed.stages.is_empty() {
            return Err(format!("'{title}': query: an exception has no '|'"));
        }
        if parsed.filter == Expr::All {
            return Err(format!("'{title}': query: it would leave out every event"));
        }
        let until = match expires.as_str() {
            "never" => None,
            text => {
                let time = end_of(text).ok_or_else(|| {
                    format!(
                        "'{title}': expires: '{text}' is no day such as 2026-12-31, no time such as \
                         2026-12-31T12:00:00Z, and not 'never'"
                    )
                })?;
                Some((expires, time))
            }
        };
        Ok(Self { title, rules, condition: parsed.filter, reason, until })
    }

    /// Whether it is for a rule.
    pub(crate) fn is_for(&self, rule: &Meta) -> bool {
        self.rules.as_ref().is_none_or(|names| names.iter().any(|name| rule.is_called(name)))
    }

    /// The names of rules that it is for, and that none of these has.
    pub(crate) fn unknown<'e>(&'e self, rules: &'e [Meta]) -> impl Iterator<Item = &'e str> {
        let names = self.rules.iter().flatten();
        names.filter(|name| !rules.iter().any(|rule| rule.is_called(name))).map(String::as_str)
    }

    /// When it ends, if that is to come.
    pub(crate) fn ends_at(&self, now: i64) -> Option<i64> {
        self.until.as_ref().map(|(_, until)| *until).filter(|until| *until > now)
    }

    /// What is left of a condition, and what to tell of that.
    pub(crate) fn apply(&self, condition: Expr, now: i64) -> (Expr, String) {
        let Self { title, reason, until, .. } = self;
        match until {
            Some((written, until)) if *until <= now => {
                let note =
                    format!("the exception '{title}' expired on {written}, and is not applied");
                (condition, note)
            }
            until => {
                let until = until.as_ref().map_or_else(
                    || "for good".to_owned(),
                    |(written, _)| format!("until {written}"),
                );
                let left = Expr::all_of([condition, Expr::negate(self.condition.clone())]);
                (left, format!("the exception '{title}' is left out of it {until}: {reason}"))
            }
        }
    }
}

/// The end of a day, or a time, in microseconds since 1970.
fn end_of(text: &str) -> Option<i64> {
    if let Ok(date) = text.parse::<Date>().and_then(Date::tomorrow) {
        let time = date.to_zoned(TimeZone::UTC).ok()?;
        // What has a time of day is none.
        if !text.contains('T') {
            return Some(time.timestamp().as_microsecond());
        }
    }
    text.parse::<Timestamp>().ok().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(query: &str, expires: &str) -> String {
        format!(
            "exception: Terraform\nrules: [one, two]\nquery: '{query}'\nreason: agreed\nexpires: {expires}\n"
        )
    }

    #[test]
    fn it_ends_with_its_day() {
        let exception = Exception::parse(&written("actor:terraform", "2026-12-31")).unwrap();
        let end = "2027-01-01T00:00:00Z".parse::<Timestamp>().unwrap().as_microsecond();
        assert_eq!(exception.ends_at(end - 1), Some(end));
        assert_eq!(exception.ends_at(end), None);
        let (left, _) = exception.apply(Expr::All, end - 1);
        assert_eq!(left.to_string(), "* AND NOT actor:terraform");
        assert_eq!(exception.apply(Expr::All, end).0, Expr::All);
        let exception = Exception::parse(&written("x", "2026-12-31T12:00:00Z")).unwrap();
        assert_eq!(exception.ends_at(0), Some(end - 12 * 3_600_000_000));
        assert_eq!(Exception::parse(&written("x", "never")).unwrap().ends_at(0), None);
    }

    #[test]
    fn what_would_leave_out_too_much_is_refused() {
        for (text, says) in [
            (written("", "never"), "every event"),
            (written("*", "never"), "every event"),
            (written("a | stats count", "never"), "no '|'"),
            (written("a:(", "never"), "query:"),
            (written("a", "soon"), "'soon' is no day"),
            (written("a", "never").replace("agreed", "' '"), "needs a reason"),
            (written("a", "never") + "until: 2026\n", "until"),
        ] {
            let error = Exception::parse(&text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
