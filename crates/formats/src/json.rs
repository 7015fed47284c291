//! JSON with other white space, and nothing else changed: numbers, escapes, keys and their order
//! stay as they are. A parsed tree could not promise that.

use std::borrow::Cow;

/// The JSON on one line: the same bytes if it is on one line already, else without white space
/// between tokens.
pub fn one_line(json: &str) -> Cow<'_, str> {
    if json.contains(['\n', '\r']) { Cow::Owned(compact(json)) } else { Cow::Borrowed(json) }
}

/// The JSON without white space between tokens.
pub fn compact(json: &str) -> String {
    let mut strings = Strings::default();
    json.chars().filter(|&c| strings.contain(c) || !c.is_ascii_whitespace()).collect()
}

/// Tells, character by character, which parts of a JSON text are strings.
#[derive(Default)]
pub struct Strings {
    is_inside: bool,
    is_escaped: bool,
}

impl Strings {
    /// Takes the next character; returns whether it belongs to a string, quotes included.
    pub fn contain(&mut self, c: char) -> bool {
        let was_inside = self.is_inside;
        if self.is_escaped {
            self.is_escaped = false;
        } else {
            match c {
                '"' => self.is_inside = !was_inside,
                '\\' => self.is_escaped = was_inside,
                _ => {}
            }
        }
        was_inside || self.is_inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_on_one_line_is_not_touched() {
        let record = r#"{ "a" : 1.50,  "b":"x\ny" }"#;
        assert!(matches!(one_line(record), Cow::Borrowed(_)));
    }

    #[test]
    fn a_record_on_many_lines_becomes_one_line_with_the_same_values() {
        let record = "{\r\n  \"a b\" : 1.50,\n\t\"q\": \"x \\\" , \\\\\", \"n\": [ 1e2 , {} ]\n}\n";
        assert_eq!(one_line(record), r#"{"a b":1.50,"q":"x \" , \\","n":[1e2,{}]}"#);
    }
}
