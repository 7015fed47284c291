//! Event selectors, basic and advanced: what a trail is told to record.
//!
//! Read from `PutEventSelectors`. A selector that is not understood is kept as far as it is: nothing
//! here fails.

use serde_json::Value;

use crate::limits::{LISTED_MAX, RESOURCES_MAX, SELECTORS_MAX};
use crate::trails::{cut, listed};

/// What a trail records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selectors {
    /// Which management events: `all`, `reads only`, `writes only`; None for none.
    pub(crate) management: Option<&'static str>,
    /// Services whose management events are left out: `kms.amazonaws.com`.
    pub(crate) without: Vec<String>,
    /// Which data events.
    pub(crate) data: Vec<DataSelector>,
}

/// The data events of one resource type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataSelector {
    /// `AWS::S3::Object`.
    pub(crate) resource_type: String,
    /// ARNs, or their beginnings; None for all of the type.
    pub(crate) resources: Option<Vec<String>>,
    /// `reads only`, `writes only`, or what other fields must be; empty for nothing.
    pub(crate) only: String,
}

const ALL: &str = "all";
const READS: &str = "reads only";
const WRITES: &str = "writes only";

impl Selectors {
    /// What a trail records that nobody has told otherwise.
    pub(crate) fn usual() -> Self {
        Self { management: Some(ALL), ..Self::default() }
    }

    /// Reads the parameters or the answer of `PutEventSelectors`; None where it has no selectors.
    pub(crate) fn read(parameters: &Value) -> Option<Self> {
        let list = |key: &str| parameters.get(key).and_then(Value::as_array);
        let (basic, advanced) = (list("eventSelectors"), list("advancedEventSelectors"));
        if basic.is_none() && advanced.is_none() {
            return None;
        }
        let mut read = Self::default();
        for selector in basic.into_iter().flatten().take(SELECTORS_MAX) {
            read.add_basic(selector);
        }
        for selector in advanced.into_iter().flatten().take(SELECTORS_MAX) {
            read.add_advanced(selector);
        }
        read.data.truncate(SELECTORS_MAX);
        Some(read)
    }

    fn add_basic(&mut self, selector: &Value) {
        let kind = match selector["readWriteType"].as_str() {
            Some("ReadOnly") => READS,
            Some("WriteOnly") => WRITES,
            _ => ALL,
        };
        // Absent means true, as for AWS.
        if selector["includeManagementEvents"].as_bool() != Some(false) {
            self.add_management(kind);
            let without = texts(&selector["excludeManagementEventSources"]);
            self.without.extend(without.take(LISTED_MAX));
        }
        for resource in selector["dataResources"].as_array().into_iter().flatten() {
            let values: Vec<String> = texts(&resource["values"]).take(RESOURCES_MAX).collect();
            if values.is_empty() {
                continue; // It names none.
            }
            self.data.push(DataSelector {
                resource_type: text(&resource["type"]),
                resources: (!values.iter().any(|value| is_all(value))).then_some(values),
                only: if kind == ALL { String::new() } else { kind.to_owned() },
            });
        }
    }

    fn add_management(&mut self, kind: &'static str) {
        self.management = match self.management {
            Some(before) if before != kind => Some(ALL),
            _ => Some(kind),
        };
    }

    fn add_advanced(&mut self, selector: &Value) {
        let fields: Vec<&Value> =
            selector["fieldSelectors"].as_array().into_iter().flatten().collect();
        let of = |name: &str| fields.iter().find(|f| f["field"].as_str() == Some(name)).copied();
        let equal = |name: &str| of(name).and_then(|field| field["equals"][0].as_str());
        let kind = match equal("readOnly") {
            Some("true") => READS,
            Some("false") => WRITES,
            _ => ALL,
        };
        match equal("eventCategory") {
            Some("Management") => {
                self.add_management(kind);
                let sources = of("eventSource").map(|field| &field["notEquals"]);
                self.without.extend(sources.into_iter().flat_map(texts).take(LISTED_MAX));
            }
            Some("Data") => {
                let resources = of("resources.ARN").and_then(|field| {
                    let whole = texts(&field["equals"]);
                    let begun = texts(&field["startsWith"]).map(|arn| format!("{arn}*"));
                    let ended = texts(&field["endsWith"]).map(|arn| format!("*{arn}"));
                    let all = whole.chain(begun).chain(ended).take(RESOURCES_MAX);
                    Some(all.collect::<Vec<_>>()).filter(|all| !all.is_empty())
                });
                let only: Vec<String> = (kind != ALL)
                    .then(|| kind.to_owned())
                    .into_iter()
                    .chain(fields.iter().filter_map(|field| narrowing(field)))
                    .collect();
                for resource_type in
                    of("resources.type").into_iter().flat_map(|f| texts(&f["equals"]))
                {
                    self.data.push(DataSelector {
                        resource_type,
                        resources: resources.clone(),
                        only: only.join(", "),
                    });
                }
            }
            _ => {}
        }
    }

    /// In a few words.
    pub(crate) fn told(&self) -> String {
        let mut told = match self.management {
            Some(ALL) => "all management events".to_owned(),
            Some(kind) => format!("management events, {kind}"),
            None => "no management events".to_owned(),
        };
        if !self.without.is_empty() {
            told.push_str(&format!(" but those of {}", listed(&self.without)));
        }
        if self.data.is_empty() {
            return told + ", no data events";
        }
        for data in self.data.iter().take(LISTED_MAX) {
            told.push_str(&format!(", data events {}", data.told()));
        }
        if self.data.len() > LISTED_MAX {
            told.push_str(&format!(" and {} more selectors", self.data.len() - LISTED_MAX));
        }
        told
    }

    /// Bytes that its resources take.
    pub(crate) fn bytes(&self) -> usize {
        let of = |data: &DataSelector| {
            data.resources.iter().flatten().map(|arn| arn.len() + 32).sum::<usize>() + 128
        };
        self.data.iter().map(of).sum()
    }
}

impl DataSelector {
    fn told(&self) -> String {
        let of = match &self.resources {
            None => "of all".to_owned(),
            Some(resources) => {
                let short: Vec<String> = resources.iter().map(|arn| short(arn)).collect();
                format!("of {}", listed(&short))
            }
        };
        let only = if self.only.is_empty() { "" } else { " (" };
        let end = if self.only.is_empty() { "" } else { ")" };
        format!("{} {of}{only}{}{end}", self.resource_type, self.only)
    }
}

/// A field of an advanced selector that narrows it, in words; None for those that are told elsewhere.
fn narrowing(field: &Value) -> Option<String> {
    let name = field["field"].as_str()?;
    if matches!(name, "eventCategory" | "resources.type" | "readOnly") {
        return None;
    }
    let operators = [
        ("equals", ""),
        ("notEquals", "not "),
        ("startsWith", "from "),
        ("notStartsWith", "not from "),
        ("endsWith", "to "),
        ("notEndsWith", "not to "),
    ];
    let told: Vec<String> = operators
        .iter()
        .filter(|(key, _)| name != "resources.ARN" || key.starts_with("not"))
        .filter_map(|(key, word)| {
            let values: Vec<String> = texts(&field[*key]).take(LISTED_MAX + 1).collect();
            (!values.is_empty()).then(|| format!("{word}{}", listed(&values)))
        })
        .collect();
    (!told.is_empty()).then(|| cut(&format!("{name} {}", told.join(" "))))
}

/// Whether a value of a basic selector names all resources of its type: `arn:aws:s3`, `arn:aws:lambda`.
fn is_all(value: &str) -> bool {
    let value = value.trim_end_matches([':', '/', '*']);
    value.split(':').count() <= 3
}

/// A resource as a person calls it: a bucket, with what its objects' names begin with; else the ARN.
pub(crate) fn short(arn: &str) -> String {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    match parts[..] {
        ["arn", _, "s3", "", "", bucket] => bucket
            .strip_suffix("/*")
            .or_else(|| bucket.strip_suffix('/'))
            .unwrap_or(bucket)
            .to_owned(),
        _ => arn.to_owned(),
    }
}

/// The bucket of a resource of S3's.
pub(crate) fn bucket(arn: &str) -> Option<&str> {
    let (_, rest) = arn.split_once(":s3:::")?;
    rest.split(['/', '*']).next()
}

fn texts(list: &Value) -> impl Iterator<Item = String> + '_ {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(cut)
}

fn text(value: &Value) -> String {
    cut(value.as_str().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(parameters: &Value, expected: &str) {
        assert_eq!(Selectors::read(parameters).unwrap().told(), expected);
    }

    #[test]
    fn basic_selectors_are_read() {
        check(
            &json!({"eventSelectors": [{"readWriteType": "All", "includeManagementEvents": true,
                "dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3:::b1/", "arn:aws:s3:::b2/p"]},
                    {"type": "AWS::Lambda::Function", "values": ["arn:aws:lambda"]}]}]}),
            "all management events, data events AWS::S3::Object of b1, b2/p, \
             data events AWS::Lambda::Function of all",
        );
        // No value is no resource, as the technique "event selectors" of Stratus has it.
        check(
            &json!({"eventSelectors": [{"readWriteType": "ReadOnly", "includeManagementEvents": false,
                "dataResources": [{"type": "AWS::S3::Object", "values": []}]}]}),
            "no management events, no data events",
        );
        check(
            &json!({"eventSelectors": [{"readWriteType": "WriteOnly",
                "excludeManagementEventSources": ["kms.amazonaws.com"],
                "dataResources": [{"type": "AWS::S3::Object", "values": ["arn:aws:s3:::"]}]}]}),
            "management events, writes only but those of kms.amazonaws.com, \
             data events AWS::S3::Object of all (writes only)",
        );
        assert_eq!(Selectors::read(&json!({"trailName": "t"})), None);
        assert_eq!(Selectors::read(&Value::Null), None);
    }

    #[test]
    fn advanced_selectors_are_read() {
        check(
            &json!({"advancedEventSelectors": [
                {"name": "m", "fieldSelectors": [{"field": "eventCategory", "equals": ["Management"]}]},
                {"fieldSelectors": [{"field": "eventCategory", "equals": ["Data"]},
                    {"field": "resources.type", "equals": ["AWS::S3::Object"]},
                    {"field": "resources.ARN", "startsWith": ["arn:aws:s3:::b/"]},
                    {"field": "readOnly", "equals": ["false"]},
                    {"field": "eventName", "equals": ["DeleteObject"]}]},
                {"fieldSelectors": [{"field": "eventCategory", "equals": ["Data"]},
                    {"field": "resources.type", "equals": ["AWS::DynamoDB::Table"]},
                    {"field": "resources.ARN", "notStartsWith": ["arn:aws:dynamodb:us-east-1:1:table/x"]}]}]}),
            "all management events, data events AWS::S3::Object of b (writes only, eventName \
             DeleteObject), data events AWS::DynamoDB::Table of all (resources.ARN not from \
             arn:aws:dynamodb:us-east-1:1:table/x)",
        );
    }

    #[test]
    fn what_is_no_selector_is_none() {
        for odd in [
            json!({"eventSelectors": [1, null, {"dataResources": 7}]}),
            json!({"eventSelectors": []}),
        ] {
            assert!(Selectors::read(&odd).unwrap().data.is_empty(), "{odd}");
        }
    }
}
