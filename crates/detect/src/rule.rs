//! What a rule is: who wrote it and why, and what it finds.

use std::fmt;
use std::path::PathBuf;

use language::ast::Expr;
use serde::Serialize;

use crate::fields::Key;

/// How much a finding matters, as the rule's author says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// For context only. A rule that says nothing is of this level.
    #[default]
    Informational,
    /// Seldom worth a look by itself.
    Low,
    /// Worth a look.
    Medium,
    /// Needs a look soon.
    High,
    /// Needs a look now.
    Critical,
}

impl Level {
    /// All levels, the least first.
    pub const ALL: [Self; 5] =
        [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The level's name in rules.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a rule says of itself. Licences of rules ask that messages keep the author.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Meta {
    /// What the rule finds, in a few words.
    pub title: String,
    /// A UUID, as a rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A short name, by which correlations refer to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How much a finding matters.
    pub level: Level,
    /// How mature the rule is: `stable`, `test`, `experimental`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<String>,
    /// What happened, and why it matters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub author: Option<String>,
    /// Under which licence, if the rule says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub license: Option<String>,
    /// Where more is written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// Such as `attack.t1078`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// What else it can be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub falsepositives: Vec<String>,
}

impl Meta {
    /// The tactics of ATT&CK that the tags name, in their order: `privilege-escalation`.
    pub fn tactics(&self) -> impl Iterator<Item = &str> {
        let tactic = |tag: &'_ String| -> Option<usize> {
            let rest = tag.strip_prefix("attack.")?;
            let is_number = |rest: &str, letter| {
                rest.strip_prefix(letter)
                    .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
            };
            let is_tactic = !['t', 'g', 's'].into_iter().any(|letter| is_number(rest, letter));
            is_tactic.then_some("attack.".len())
        };
        self.tags.iter().filter_map(move |tag| Some(&tag[tactic(tag)?..]))
    }

    /// Whether this is its id, its name or its title.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        [self.id.as_deref(), self.name.as_deref(), Some(&self.title)].contains(&Some(name))
    }

    /// What the rule is called by: its id, name or title.
    pub fn key(&self) -> &str {
        self.id.as_deref().or(self.name.as_deref()).unwrap_or(&self.title)
    }
}

/// A rule, ready to be asked.
#[derive(Clone, Debug)]
pub struct Rule {
    /// What it says of itself.
    pub meta: Meta,
    /// The file that it is from.
    pub file: PathBuf,
    /// The line in which its document begins, from 1.
    pub line: usize,
    /// What it finds.
    pub kind: Kind,
    /// Which of its events are one alert, where each is found by itself.
    pub(crate) suppress: Suppress,
    /// False for what only a correlation asks.
    pub is_asked: bool,
    /// How it was taken, where that is not plain.
    pub notes: Vec<String>,
}

impl Rule {
    /// What decides what the rule finds, and those that it refers to; another text where that is another.
    pub fn definition(&self, rules: &[Rule]) -> String {
        let mut text = String::new();
        let mut open = vec![&self.kind];
        // Each rule is at most once in another: they are read in their order.
        while let Some(kind) = open.pop() {
            let others: &[usize] = match kind {
                Kind::Correlation(correlation) => &correlation.rules,
                Kind::Absence(absence) => std::slice::from_ref(&absence.of),
                Kind::Events(_) | Kind::FirstSeen(_) => &[],
            };
            open.extend(others.iter().filter_map(|place| Some(&rules.get(*place)?.kind)));
            text.push_str(&kind.text());
            text.push('\n');
        }
        text + &format!("{:?}", self.suppress)
    }
}

/// Which events of a rule are one alert: those with the same values of some keys within a period. Periods
/// are counted from 1970, so that an event's is the same whatever else came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Suppress {
    pub(crate) by: Vec<Key>,
    /// In microseconds, whole minutes.
    pub(crate) period: i64,
}

impl Default for Suppress {
    fn default() -> Self {
        Self { by: vec![Key::named("principal")], period: 86_400_000_000 }
    }
}

/// What a rule finds.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Each event that meets a condition.
    Events(Expr),
    /// Events of other rules that come together within a time.
    Correlation(Box<Correlation>),
    /// Events of which some values had not been seen together for a time. An extension.
    FirstSeen(FirstSeen),
    /// Events behind which one of another rule does not follow. An extension.
    Absence(Absence),
}

impl Kind {
    /// The kind's name, as rules have it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Events(_) => "events",
            Self::Correlation(correlation) => correlation.test.name(),
            Self::FirstSeen(_) => "first_seen",
            Self::Absence(_) => "absence",
        }
    }

    /// Everything about it but which places of rules it refers to.
    fn text(&self) -> String {
        match self {
            Self::Events(condition) => format!("events {condition}"),
            Self::Correlation(correlation) => {
                let Correlation { group_by, within, test, .. } = &**correlation;
                format!("correlation {group_by:?} {within} {test:?}")
            }
            Self::FirstSeen(FirstSeen { condition, keys, history, learning }) => {
                format!("first_seen {condition} {keys:?} {history} {learning}")
            }
            Self::Absence(Absence { condition, group_by, within, .. }) => {
                format!("absence {condition} {group_by:?} {within}")
            }
        }
    }

    /// The queries that find the events of the rule, in the query language.
    pub fn queries<'r>(&'r self, rules: &'r [Rule]) -> impl Iterator<Item = String> + 'r {
        let others: &[usize] = match self {
            Self::Correlation(correlation) => &correlation.rules,
            Self::Absence(absence) => std::slice::from_ref(&absence.of),
            Self::Events(_) | Self::FirstSeen(_) => &[],
        };
        let of_others = others
            .iter()
            .filter_map(|place| rules.get(*place)?.kind.condition())
            .map(Expr::to_string);
        self.condition().map(Expr::to_string).into_iter().chain(of_others)
    }

    /// What is asked of these events, in words; None where each is a finding.
    pub fn asks(&self) -> Option<String> {
        let names = |keys: &[Key]| match keys {
            [] => String::new(),
            keys => {
                let names: Vec<&str> = keys.iter().map(|key| key.name.as_str()).collect();
                format!(" of the same {}", names.join(", "))
            }
        };
        Some(match self {
            Self::Events(_) => return None,
            Self::Correlation(correlation) => {
                let same = names(correlation.group_by.first().map_or(&[], Vec::as_slice));
                format!("{}, within {}{same}", correlation.test, span(correlation.within))
            }
            Self::FirstSeen(rule) => {
                let keys: Vec<&str> = rule.keys.iter().map(|key| key.name.as_str()).collect();
                format!(
                    "{} not seen together for {}; the archive's first {} are for learning",
                    keys.join(", "),
                    span(rule.history),
                    span(rule.learning)
                )
            }
            Self::Absence(absence) => format!(
                "an event of the first query, and none of the second behind it within {}{}",
                span(absence.within),
                names(&absence.group_by)
            ),
        })
    }

    /// The condition on events, of a kind that has one.
    pub fn condition(&self) -> Option<&Expr> {
        match self {
            Self::Events(condition)
            | Self::FirstSeen(FirstSeen { condition, .. })
            | Self::Absence(Absence { condition, .. }) => Some(condition),
            Self::Correlation(_) => None,
        }
    }
}

/// Events of other rules that come together.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// The rules, by their places among those loaded.
    pub(crate) rules: Vec<usize>,
    /// What the events must have in common, for each of the rules in their order: a rule can call a field
    /// otherwise.
    pub(crate) group_by: Vec<Vec<Key>>,
    /// How far apart the first and the last of them may be, in microseconds.
    pub(crate) within: i64,
    pub(crate) test: WindowTest,
}

/// What must be so of the events within a window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WindowTest {
    /// So many events.
    Count(Vec<Limit>),
    /// So many different values; of several fields, combinations of them.
    Values { of: Vec<Key>, limits: Vec<Limit> },
    /// The values of a field come to so much.
    Number { of: Key, measure: Measure, limits: Vec<Limit> },
    /// Events of all rules, or of those that the condition names.
    Together(Together),
    /// Events of all rules, in the order of the rules.
    InOrder,
}

/// Which rules must have an event within the window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Together {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// The rule at this place in `rules`.
    Rule(usize),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Measure {
    Sum,
    Avg,
    /// From 0 to 100.
    Percentile(f64),
}

/// A comparison with a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Limit {
    pub(crate) is: Is,
    pub(crate) than: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Is {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Different,
}

impl Limit {
    pub(crate) fn holds(self, number: f64) -> bool {
        match self.is {
            Is::Less => number < self.than,
            Is::AtMost => number <= self.than,
            Is::More => number > self.than,
            Is::AtLeast => number >= self.than,
            // Counts, and what a person typed: no rounding is in either.
            Is::Equal => number.total_cmp(&self.than).is_eq(),
            Is::Different => number.total_cmp(&self.than).is_ne(),
        }
    }
}

impl WindowTest {
    /// The fields whose values are counted or measured.
    pub(crate) fn measured(&self) -> Vec<Key> {
        match self {
            Self::Values { of, .. } => of.clone(),
            Self::Number { of, .. } => vec![of.clone()],
            Self::Count(_) | Self::Together(_) | Self::InOrder => Vec::new(),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Count(_) => "event_count",
            Self::Values { .. } => "value_count",
            Self::Number { measure: Measure::Sum, .. } => "value_sum",
            Self::Number { measure: Measure::Avg, .. } => "value_avg",
            Self::Number { measure: Measure::Percentile(_), .. } => "value_percentile",
            Self::Together(_) => "temporal",
            Self::InOrder => "temporal_ordered",
        }
    }
}

impl fmt::Display for WindowTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limits = |limits: &[Limit]| {
            limits.iter().map(Limit::to_string).collect::<Vec<_>>().join(" and ")
        };
        match self {
            Self::Count(all) => write!(f, "{} events", limits(all)),
            Self::Values { of, limits: all } => {
                let names: Vec<&str> = of.iter().map(|key| key.name.as_str()).collect();
                write!(f, "{} different values of {}", limits(all), names.join(", "))
            }
            Self::Number { of, limits: all, .. } => {
                write!(f, "{} of {} is {}", self.name(), of.name, limits(all))
            }
            Self::Together(_) => f.write_str("events of these queries together"),
            Self::InOrder => f.write_str("events of these queries in their order"),
        }
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is = match self.is {
            Is::Less => "less than",
            Is::AtMost => "at most",
            Is::More => "more than",
            Is::AtLeast => "at least",
            Is::Equal => "exactly",
            Is::Different => "not",
        };
        write!(f, "{is} {}", self.than)
    }
}

/// A time in words.
fn span(micros: i64) -> String {
    const SECOND: i64 = 1_000_000;
    for (unit, name) in
        [(86_400 * SECOND, "day"), (3_600 * SECOND, "hour"), (60 * SECOND, "minute")]
    {
        if micros % unit == 0 {
            let count = micros / unit;
            return format!("{count} {name}{}", if count == 1 { "" } else { "s" });
        }
    }
    format!("{} seconds", micros / SECOND)
}

/// Events of which some values had not been seen together for a time.
#[derive(Clone, Debug)]
pub struct FirstSeen {
    pub(crate) condition: Expr,
    pub(crate) keys: Vec<Key>,
    /// Values that were seen in so many microseconds before are known.
    pub(crate) history: i64,
    /// What is first seen in the archive's first microseconds is no finding.
    pub(crate) learning: i64,
}

/// Events behind which one of another rule does not follow.
#[derive(Clone, Debug)]
pub struct Absence {
    pub(crate) condition: Expr,
    /// The place of the other rule.
    pub(crate) of: usize,
    /// What both have in common: fields of the one, and of the other.
    pub(crate) group_by: Vec<Key>,
    /// In microseconds.
    pub(crate) within: i64,
}
