//! Templates: JSON whose texts hold placeholders, filled from a change.
//!
//! The template is parsed as JSON first, and placeholders are looked for in its texts only. So what
//! they stand for stays inside of a text, or is a whole value; it can never become a part of the
//! structure. Keys of objects are taken as they are.
//!
//! A text that is one placeholder and nothing else becomes the value itself: a number, a list, an
//! object. Where there is no such value, the member or the item is left out. In a longer text, lists
//! are written with commas, and what is absent is empty.

mod escape;
mod place;

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::change::Change;
use crate::secret::Secret;

pub(crate) use self::escape::Escape;
use self::place::Place;
pub(crate) use self::place::host;

/// A template, and what it needs beside a change.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    root: Node,
    escape: Escape,
    extras: Extras,
}

/// What the placeholders `secret.NAME` and `words.NAME` mean.
#[derive(Debug, Clone, Default)]
pub(crate) struct Extras {
    pub secrets: BTreeMap<String, Secret>,
    pub words: BTreeMap<String, Words>,
}

/// A table of words that stand for others: `raised` is `trigger` elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Words {
    /// A placeholder's name.
    pub of: String,
    pub words: BTreeMap<String, String>,
    /// For what is not in the table; without it, the value stays as it is.
    pub other: Option<String>,
}

#[derive(Debug, Clone)]
enum Node {
    Fixed(Value),
    Text(Vec<Piece>),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    Placed { place: Place, chars_max: Option<usize> },
}

impl Template {
    /// Takes a template; the error names a placeholder that there is not.
    pub(crate) fn new(template: &Value, escape: Escape, extras: Extras) -> Result<Self, String> {
        for (name, words) in &extras.words {
            let place = Place::parse(&words.of, &Extras::default())
                .map_err(|error| format!("words.{name}.of: {error}"))?;
            if matches!(place, Place::Words(_) | Place::Secret(_)) {
                return Err(format!("words.{name}.of: it names words or a secret"));
            }
        }
        Ok(Self { root: parse(template, &extras)?, escape, extras })
    }

    /// What is to be sent for a change.
    pub(crate) fn fill(&self, change: &Change) -> Value {
        self.node(&self.root, change).unwrap_or(Value::Null)
    }

    /// None where there is no value.
    fn node(&self, node: &Node, change: &Change) -> Option<Value> {
        match node {
            Node::Fixed(value) => Some(value.clone()),
            Node::Text(pieces) => self.text(pieces, change),
            Node::List(nodes) => {
                let values = nodes.iter().filter_map(|node| self.node(node, change));
                Some(Value::Array(values.collect()))
            }
            Node::Object(members) => {
                let values = members
                    .iter()
                    .filter_map(|(key, node)| Some((key.clone(), self.node(node, change)?)));
                Some(Value::Object(values.collect::<Map<_, _>>()))
            }
        }
    }

    fn text(&self, pieces: &[Piece], change: &Change) -> Option<Value> {
        if let [Piece::Placed { place, chars_max }] = pieces {
            let value = place.value(change, &self.extras)?;
            return Some(match (value, chars_max) {
                (value, _) if matches!(place, Place::Secret(_)) => value,
                (value, None) => self.escape.value(value),
                (value, Some(chars_max)) => self.escape.text(&plain(&value), *chars_max).into(),
            });
        }
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => text.push_str(literal),
                Piece::Placed { place, chars_max } => {
                    let value = place.value(change, &self.extras).unwrap_or(Value::Null);
                    let value = plain(&value);
                    if matches!(place, Place::Secret(_)) {
                        text.push_str(&value);
                    } else {
                        text.push_str(&self.escape.text(&value, chars_max.unwrap_or(usize::MAX)));
                    }
                }
            }
        }
        Some(Value::String(text))
    }
}

fn parse(value: &Value, extras: &Extras) -> Result<Node, String> {
    Ok(match value {
        Value::String(text) => match &pieces(text, extras)?[..] {
            [] => Node::Fixed(Value::String(String::new())),
            [Piece::Literal(literal)] => Node::Fixed(literal.as_str().into()),
            pieces => Node::Text(pieces.to_vec()),
        },
        Value::Array(values) => Node::List(
            values.iter().map(|value| parse(value, extras)).collect::<Result<_, String>>()?,
        ),
        Value::Object(members) => {
            let members =
                members.iter().map(|(key, value)| Ok((key.clone(), parse(value, extras)?)));
            Node::Object(members.collect::<Result<_, String>>()?)
        }
        value => Node::Fixed(value.clone()),
    })
}

/// Literals and placeholders of a text; `{{` and `}}` are braces.
fn pieces(text: &str, extras: &Extras) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        literal.push_str(&rest[..at]);
        let brace = &rest[at..=at];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            literal.push_str(brace);
            rest = after;
            continue;
        }
        let (inside, after) = match rest.split_once('}') {
            Some(split) if brace == "{" => split,
            _ => return Err(format!("{text:?}: write {brace}{brace} for a brace")),
        };
        rest = after;
        let (name, chars_max) = match inside.split_once(':') {
            None => (inside, None),
            Some((name, digits)) => {
                let chars_max = digits.parse().ok().filter(|max| (1..=100_000).contains(max));
                let bound = || format!("{{{inside}}}: behind : is a number of characters");
                (name, Some(chars_max.ok_or_else(bound)?))
            }
        };
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(Piece::Placed { place: Place::parse(name, extras)?, chars_max });
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// A value inside of a text.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let members = members.iter().map(|(key, value)| format!("{key}={}", plain(value)));
            members.collect::<Vec<_>>().join(", ")
        }
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change() -> Change {
        let alert = json!({
            "id": "0f3c", "rule": { "title": "Root \"used\"\u{1b}[2J", "level": "high",
                "references": ["https://a", "https://b"] },
            "group": { "principal": "<!channel> & {query} @here `x`", "a.b": "dotted" },
            "first": "2023-07-10T11:42:36Z", "last": "2023-07-10T11:50:00Z", "events": 4,
            "ids": ["i1"], "state": "open",
        });
        let Value::Object(alert) = alert else { unreachable!() };
        Change {
            key: "0f3c-log-17".to_owned(),
            log: "log".to_owned(),
            number: 17,
            time: "2026-11-30T14:00:00Z".to_owned(),
            change: "raised".to_owned(),
            alert,
        }
    }

    fn extras() -> Extras {
        let words = Words {
            of: "change".to_owned(),
            words: [("raised".to_owned(), "trigger".to_owned())].into(),
            other: None,
        };
        Extras { secrets: BTreeMap::new(), words: [("action".to_owned(), words)].into() }
    }

    #[track_caller]
    fn check(template: &Value, escape: Escape, expected: &Value) {
        let template = Template::new(template, escape, extras()).unwrap();
        assert_eq!(&template.fill(&change()), expected);
    }

    #[test]
    fn placeholders_are_values_alone_and_text_among_text() {
        check(
            &json!({ "n": "{events}", "t": "{events} events", "refs": "{rule.references}",
                "joined": "see {rule.references}", "group": "{group.a.b}", "fixed": [1, null, true],
                "{key}": "{key}", "absent": "{note}", "list": ["{note}", "{number}"],
                "text": "note: {note}.", "action": "{words.action}", "braces": "{{{id}}}" }),
            Escape::None,
            &json!({ "n": 4, "t": "4 events", "refs": ["https://a", "https://b"],
                "joined": "see https://a, https://b", "group": "dotted", "fixed": [1, null, true],
                "{key}": "0f3c-log-17", "list": [17],
                "text": "note: .", "action": "trigger", "braces": "{0f3c}" }),
        );
    }

    #[test]
    fn strangers_texts_stay_texts() {
        check(
            &json!({ "a": "{rule.title}", "b": "by {group.principal}", "alert": "{group}" }),
            Escape::None,
            &json!({ "a": "Root \"used\"\\u{1b}[2J", "b": "by <!channel> & {query} @here `x`",
                "alert": { "a.b": "dotted", "principal": "<!channel> & {query} @here `x`" } }),
        );
        check(
            &json!({ "b": "by {group.principal}", "short": "{group.principal:8}",
                "n": "{events:3}", "own": "<!here> {id}" }),
            Escape::Slack,
            &json!({ "b": "by &lt;!channel&gt; &amp; {query} @\u{2060}here 'x'",
                "short": "&lt;!ch…", "n": "4", "own": "<!here> 0f3c" }),
        );
    }

    #[test]
    fn unknown_placeholders_are_refused() {
        for (text, expected) in [
            ("{rule.titel}", "unknown placeholder {rule.titel}; did you mean {rule.title}?"),
            ("{words.x}", "{words.x}: there are no such words"),
            ("{secret.x}", "{secret.x}: there is no such secret"),
            ("{group.}", "unknown placeholder {group.}"),
            ("{", "\"{\": write {{ for a brace"),
            ("a}", "\"a}\": write }} for a brace"),
            ("{id:0}", "{id:0}: behind : is a number of characters"),
        ] {
            let error = Template::new(&json!({ "a": [text] }), Escape::None, extras()).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
