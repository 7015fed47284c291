//! Which changes concern a target.

use jiff::Timestamp;
use serde_json::Value;

use crate::change::{Change, NOTICE};

/// Levels, lowest first.
pub(crate) const LEVELS: [&str; 5] = ["informational", "low", "medium", "high", "critical"];

/// What a target wants.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    /// Of [`LEVELS`].
    pub level: usize,
    /// Patterns of ids, names and tags; empty for all.
    pub rules: Vec<Pattern>,
    pub rules_not: Vec<Pattern>,
    pub changes: Vec<&'static str>,
    /// Seconds; 0 for any.
    pub age_s_max: u64,
}

/// A name in which `*` stands for any text, in any case.
#[derive(Debug, Clone)]
pub(crate) struct Pattern(Vec<String>);

/// Why a change does not concern a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refused {
    /// Level, rule or kind of change.
    NotWanted,
    TooOld,
}

impl Filter {
    /// Whether the change is for the target, at that time.
    pub(crate) fn check(&self, change: &Change, now: Timestamp) -> Result<(), Refused> {
        if change.change == NOTICE {
            return Ok(());
        }
        let is_wanted = self.changes.contains(&change.change.as_str())
            && self.has_level(change)
            && self.has_rule(change);
        if !is_wanted {
            return Err(Refused::NotWanted);
        }
        if self.is_too_old(change, now) { Err(Refused::TooOld) } else { Ok(()) }
    }

    /// A level that is not known is not held back.
    fn has_level(&self, change: &Change) -> bool {
        let level = change.text(&["rule", "level"]).unwrap_or_default();
        LEVELS.iter().position(|known| *known == level).is_none_or(|level| level >= self.level)
    }

    fn has_rule(&self, change: &Change) -> bool {
        let names = names(change);
        let is_met = |patterns: &[Pattern]| {
            patterns.iter().any(|pattern| names.iter().any(|name| pattern.matches(name)))
        };
        (self.rules.is_empty() || is_met(&self.rules)) && !is_met(&self.rules_not)
    }

    /// What ends or changes an alert is too old where its beginning was: else an alert that was
    /// delivered would stay open for ever.
    fn is_too_old(&self, change: &Change, now: Timestamp) -> bool {
        if self.age_s_max == 0 {
            return false;
        }
        let time = |name| change.text(&[name]).and_then(|text| text.parse::<Timestamp>().ok());
        let is_start = matches!(change.change.as_str(), "raised" | "grown");
        let at = if is_start { Some(now) } else { time("raised") };
        let (Some(at), Some(last)) = (at, time("last")) else { return false };
        let age_s = at.as_second().saturating_sub(last.as_second());
        u64::try_from(age_s).is_ok_and(|age_s| age_s > self.age_s_max)
    }
}

/// What a rule is known by.
fn names(change: &Change) -> Vec<&str> {
    let mut names: Vec<&str> =
        ["id", "name"].iter().filter_map(|key| change.text(&["rule", key])).collect();
    if let Some(Value::Array(tags)) = change.value(&["rule", "tags"]) {
        names.extend(tags.iter().filter_map(Value::as_str));
    }
    names
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_lowercase().split('*').map(str::to_owned).collect())
    }

    fn matches(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        let (first, rest) = self.0.split_first().expect("a split has a part");
        let Some(mut left) = name.strip_prefix(first.as_str()) else { return false };
        let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
        for part in middle {
            match left.find(part.as_str()) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        left.ends_with(last.as_str())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(change: &str, level: &str) -> Change {
        let alert = json!({
            "id": "a", "rule": { "id": "6F2A", "name": "root-use", "level": level,
                "tags": ["attack.t1078", "attack.persistence"] },
            "last": "2026-11-30T10:00:00Z", "raised": "2026-11-30T10:05:00Z",
        });
        let Value::Object(alert) = alert else { unreachable!() };
        let (key, log, time) = (String::new(), String::new(), String::new());
        Change { key, log, number: 1, time, change: change.to_owned(), alert }
    }

    fn filter() -> Filter {
        let changes = vec!["raised", "withdrawn"];
        Filter { level: 2, rules: Vec::new(), rules_not: Vec::new(), changes, age_s_max: 0 }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn levels_and_kinds_of_changes_hold_back() {
        let now = at("2026-11-30T10:06:00Z");
        for (kind, level, is_wanted) in [
            ("raised", "medium", true),
            ("raised", "critical", true),
            ("raised", "low", false),
            ("raised", "unheard-of", true),
            ("grown", "critical", false),
            ("unheard-of", "critical", false),
            (NOTICE, "low", true),
        ] {
            let checked = filter().check(&change(kind, level), now);
            assert_eq!(checked.is_ok(), is_wanted, "{kind} {level}");
        }
    }

    #[test]
    fn rules_are_known_by_id_name_and_tag() {
        let now = at("2026-11-30T10:06:00Z");
        let check = |rules: &[&str], not: &[&str]| {
            let patterns = |texts: &[&str]| texts.iter().map(|text| Pattern::new(text)).collect();
            let filter = Filter { rules: patterns(rules), rules_not: patterns(not), ..filter() };
            filter.check(&change("raised", "high"), now).is_ok()
        };
        assert!(check(&["6f2a"], &[]) && check(&["root-*"], &[]) && check(&["attack.t1078"], &[]));
        assert!(check(&["*"], &[]) && check(&["*.t*8"], &[]) && !check(&["root"], &[]));
        assert!(!check(&[], &["attack.persist*"]) && !check(&["root-use"], &["ROOT-USE"]));
        assert!(check(&[], &["a*z"]));
    }

    #[test]
    fn an_end_is_too_old_only_where_the_beginning_was() {
        let filter = Filter { age_s_max: 600, ..filter() };
        let late = at("2026-11-30T12:00:00Z");
        assert_eq!(filter.check(&change("raised", "high"), late), Err(Refused::TooOld));
        assert_eq!(filter.check(&change("raised", "high"), at("2026-11-30T10:09:00Z")), Ok(()));
        assert_eq!(filter.check(&change("withdrawn", "high"), late), Ok(()));
        let filter = Filter { age_s_max: 200, ..filter };
        assert_eq!(filter.check(&change("withdrawn", "high"), late), Err(Refused::TooOld));
    }
}
