//! Valid JSON laid out for a person.

use formats::json::{Strings, compact};

/// Levels that are indented: a record nested by an attacker must not grow by its depth squared.
const INDENTED_LEVELS_MAX: usize = 32;

/// One key or element a line.
pub(super) fn indent(json: &str) -> String {
    let json = compact(json);
    let mut laid_out = String::with_capacity(json.len() * 2);
    let mut strings = Strings::default();
    let mut depth: usize = 0;
    let mut chars = json.chars().peekable();
    while let Some(c) = chars.next() {
        if strings.contain(c) {
            laid_out.push(c);
            continue;
        }
        match c {
            '{' | '[' => {
                laid_out.push(c);
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    laid_out.push(end);
                } else {
                    depth += 1;
                    new_line(&mut laid_out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                new_line(&mut laid_out, depth);
                laid_out.push(c);
            }
            ',' => {
                laid_out.push(c);
                new_line(&mut laid_out, depth);
            }
            ':' => laid_out.push_str(": "),
            _ => laid_out.push(c),
        }
    }
    laid_out
}

fn new_line(laid_out: &mut String, depth: usize) {
    laid_out.push('\n');
    for _ in 0..depth.min(INDENTED_LEVELS_MAX) {
        laid_out.push_str("  ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indenting_changes_layout_only() {
        let record = r#"{"a":[],"b":{"c":[1.50,"x:{,\""]},"a":{ }}"#;
        let expected = r#"{
  "a": [],
  "b": {
    "c": [
      1.50,
      "x:{,\""
    ]
  },
  "a": {}
}"#;
        assert_eq!(indent(record), expected);
        assert_eq!(compact(&indent(record)), compact(record));
    }

    #[test]
    fn deep_nesting_is_not_indented_for_ever() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(indent(&deep).len() < 100 * deep.len());
    }
}
