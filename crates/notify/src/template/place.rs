//! Placeholders: their names, and what each means of a change.

use serde_json::Value;

use super::{Extras, plain};
use crate::change::Change;

/// What there is of every alert, by where it is.
const OF_ALERT: &[&str] = &[
    "id",
    "kind",
    "group",
    "first",
    "last",
    "events",
    "ids",
    "query",
    "state",
    "withdrawn",
    "note",
    "raised",
    "changed",
];

const OF_RULE: &[&str] = &[
    "title",
    "id",
    "name",
    "level",
    "status",
    "description",
    "author",
    "license",
    "references",
    "tags",
    "falsepositives",
];

/// What there is of a change beside the alert.
const OF_CHANGE: &[&str] = &["key", "log", "number", "time", "change", "alert", "rule", "host"];

/// Two names with this similarity or more (1 is equal) are one name and a slip.
const SLIP_SIMILARITY: f64 = 0.6;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    OfChange(&'static str),
    OfAlert(&'static str),
    OfRule(&'static str),
    /// A member of the group, by its name.
    OfGroup(String),
    Secret(String),
    Words(String),
}

impl Place {
    pub(super) fn parse(name: &str, extras: &Extras) -> Result<Self, String> {
        let known = |names: &[&'static str], name: &str| names.iter().copied().find(|n| *n == name);
        if let Some(name) = known(OF_CHANGE, name) {
            return Ok(Self::OfChange(name));
        }
        if let Some(name) = known(OF_ALERT, name) {
            return Ok(Self::OfAlert(name));
        }
        match name.split_once('.') {
            Some(("rule", member)) if known(OF_RULE, member).is_some() => {
                Ok(Self::OfRule(known(OF_RULE, member).expect("it was found")))
            }
            Some(("group", member)) if !member.is_empty() => Ok(Self::OfGroup(member.to_owned())),
            Some(("secret", member)) if extras.secrets.contains_key(member) => {
                Ok(Self::Secret(member.to_owned()))
            }
            Some(("secret", _)) => {
                Err(format!("{{{name}}}: there is no such secret under `secrets`"))
            }
            Some(("words", member)) if extras.words.contains_key(member) => {
                Ok(Self::Words(member.to_owned()))
            }
            Some(("words", _)) => Err(format!("{{{name}}}: there are no such words under `words`")),
            _ => Err(unknown(name)),
        }
    }

    /// None where the change has no such value.
    pub(super) fn value(&self, change: &Change, extras: &Extras) -> Option<Value> {
        match self {
            Self::OfChange(name) => Some(match *name {
                "key" => change.key.as_str().into(),
                "log" => change.log.as_str().into(),
                "number" => change.number.into(),
                "time" => change.time.as_str().into(),
                "change" => change.change.as_str().into(),
                "rule" => change.value(&["rule"])?.clone(),
                "host" => host().into(),
                _ => Value::Object(change.alert.clone()),
            }),
            Self::OfAlert(name) => change.value(&[name]).cloned(),
            Self::OfRule(name) => change.value(&["rule", name]).cloned(),
            Self::OfGroup(name) => change.value(&["group", name]).cloned(),
            Self::Secret(name) => Some(extras.secrets.get(name)?.reveal().into()),
            Self::Words(name) => {
                let words = extras.words.get(name)?;
                let of = Self::parse(&words.of, &Extras::default()).ok()?;
                let value = plain(&of.value(change, extras).unwrap_or(Value::Null));
                let word = words.words.get(&value).or(words.other.as_ref());
                Some(word.cloned().unwrap_or(value).into())
            }
        }
    }
}

/// The machine's name.
pub(crate) fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn unknown(name: &str) -> String {
    let mut all: Vec<String> =
        OF_CHANGE.iter().chain(OF_ALERT).map(|name| (*name).to_owned()).collect();
    all.extend(OF_RULE.iter().map(|name| format!("rule.{name}")));
    let nearest = all
        .iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(name, known), known))
        .filter(|(similarity, _)| *similarity >= SLIP_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let help = match nearest {
        Some((_, known)) => format!("did you mean {{{known}}}?"),
        None => format!("there are {}, group.NAME, secret.NAME, words.NAME", all.join(", ")),
    };
    format!("unknown placeholder {{{name}}}; {help}")
}
