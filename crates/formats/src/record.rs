//! A record for people: a few of its values by name, whatever their types.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use crate::json::one_line;

/// The keys of one object. Values are read when asked for. A key given twice has its last value, as
/// in most readers. What is not an object has no keys.
pub struct Record<'a>(BTreeMap<String, &'a RawValue>);

impl<'a> Record<'a> {
    /// Reads the keys; the values when they are asked for.
    pub fn new(json: &'a RawValue) -> Self {
        Self(serde_json::from_str(json.get()).unwrap_or_default())
    }

    /// The value at a path: a string's text, anything else as JSON. Neither null nor empty.
    pub fn text(&self, path: &[&str]) -> Option<String> {
        let (key, rest) = path.split_first()?;
        let value = *self.0.get(*key)?;
        if !rest.is_empty() {
            return Self::new(value).text(rest);
        }
        match serde_json::from_str::<Option<String>>(value.get()) {
            Ok(text) => text.filter(|text| !text.is_empty()),
            Err(_) => Some(one_line(value.get()).into_owned()),
        }
    }

    /// What was done, `s3:GetObject`, by the names that IAM policies use.
    pub fn action(&self) -> Option<String> {
        // An Insight event is of calls of this name.
        let field = |name| self.text(&[name]).or_else(|| self.text(&["insightDetails", name]));
        let name = field("eventName");
        let Some(source) = field("eventSource") else {
            return name;
        };
        let service = source.strip_suffix(".amazonaws.com").unwrap_or(&source);
        Some(format!("{service}:{}", name.as_deref().unwrap_or("?")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, path: &[&str], expected: Option<&str>) {
        let json = RawValue::from_string(json.into()).unwrap();
        assert_eq!(Record::new(&json).text(path).as_deref(), expected, "{json} {path:?}");
    }

    #[test]
    fn values_of_any_type_are_shown() {
        check(r#"{"a":"x\u00e9"}"#, &["a"], Some("xé"));
        check(r#"{"a":1.50}"#, &["a"], Some("1.50"));
        check(r#"{"a":1e999,"a":2e999}"#, &["a"], Some("2e999"));
        check(r#"{"a":"null"}"#, &["a"], Some("null"));
        check("{\"a\":[1,\n 2]}", &["a"], Some("[1,2]"));
        check(r#"{"a":{"b":{"c":true}}}"#, &["a", "b", "c"], Some("true"));
    }

    #[test]
    fn what_is_not_there_is_absent() {
        for json in [r#"{"a":null}"#, r#"{"a":""}"#, "{}", "[1]", r#""a""#] {
            check(json, &["a"], None);
        }
        check(r#"{"a":"text"}"#, &["a", "b"], None);
    }

    #[test]
    fn an_action_is_named_as_iam_names_it() {
        for (json, expected) in [
            (r#"{"eventSource":"s3.amazonaws.com","eventName":"GetObject"}"#, Some("s3:GetObject")),
            (r#"{"eventSource":"custom"}"#, Some("custom:?")),
            (r#"{"eventName":"GetObject"}"#, Some("GetObject")),
            (
                r#"{"insightDetails":{"eventSource":"ec2.amazonaws.com","eventName":"RunInstances"}}"#,
                Some("ec2:RunInstances"),
            ),
            ("{}", None),
        ] {
            let json = RawValue::from_string(json.into()).unwrap();
            assert_eq!(Record::new(&json).action().as_deref(), expected);
        }
    }
}
