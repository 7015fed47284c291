//! What becomes of characters in the texts that placeholders stand for.

use std::borrow::Cow;

use formats::terminal::is_unsafe;
use serde_json::Value;

/// How texts are made harmless for who shows them. JSON is always JSON; this is about what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Escape {
    /// Control characters, and those that are drawn as nothing, are written out: `\n`, `\u{1b}`.
    None,
    /// Slack's markup, too: links, mentions, code.
    Slack,
}

impl Escape {
    pub(crate) const NAMES: &[(&'static str, Self)] =
        &[("none", Self::None), ("slack", Self::Slack)];

    /// A text, cut to so many characters with an ellipsis, and never inside of an escape.
    pub(super) fn text(self, text: &str, chars_max: usize) -> String {
        let (mut whole, mut chars) = (String::with_capacity(text.len()), 0_usize);
        // Where the text ends if it has to be cut: room is left for the ellipsis.
        let mut cut_at = 0;
        for c in text.chars() {
            let piece = self.piece(c);
            chars = chars.saturating_add(piece.chars().count());
            if chars > chars_max {
                whole.truncate(cut_at);
                whole.push('…');
                return whole;
            }
            whole.push_str(&piece);
            if chars < chars_max {
                cut_at = whole.len();
            }
        }
        whole
    }

    /// All texts of a value.
    pub(super) fn value(self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.text(&text, usize::MAX)),
            Value::Array(values) => values.into_iter().map(|value| self.value(value)).collect(),
            Value::Object(members) => {
                let members = members
                    .into_iter()
                    .map(|(key, value)| (self.text(&key, usize::MAX), self.value(value)));
                Value::Object(members.collect())
            }
            value => value,
        }
    }

    fn piece(self, c: char) -> Cow<'static, str> {
        match (self, c) {
            (Self::Slack, '&') => "&amp;".into(),
            (Self::Slack, '<') => "&lt;".into(),
            (Self::Slack, '>') => "&gt;".into(),
            // Not a mention any more, and still the same to read.
            (Self::Slack, '@') => "@\u{2060}".into(),
            // It would end a piece of code, in which nothing else means anything.
            (Self::Slack, '`') => "'".into(),
            (_, c) if is_unsafe(c) => c.escape_default().collect::<String>().into(),
            (_, c) => String::from(c).into(),
        }
    }
}
