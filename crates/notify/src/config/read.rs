//! Keys of a TOML table, taken one by one; what is left at the end is unknown.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Origin};
use formats::bytes;

/// Characters of a value that an error repeats: enough to recognise it on one line.
const SHOWN_CHARS_MAX: usize = 80;

/// Two names with this similarity or more (1 is equal) are one name and a slip.
const SLIP_SIMILARITY: f64 = 0.6;

/// The file, for what an error says about it.
pub(super) struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

/// A table of the file. What is set by a key is left as it is where the key is absent.
pub(super) struct Keys<'a> {
    file: &'a File<'a>,
    /// What stands before a key in an error; empty for the whole file.
    section: String,
    table: &'a DeTable<'a>,
    /// Where the table begins.
    offset: usize,
    known: Vec<&'static str>,
}

impl<'a> File<'a> {
    pub(super) fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text }
    }

    pub(super) fn parse(&self) -> Result<DeTable<'a>, ConfigError> {
        DeTable::parse(self.text).map(Spanned::into_inner).map_err(|error| self.syntax(&error))
    }

    fn origin(&self, offset: usize) -> Origin {
        let line = self.text[..offset].matches('\n').count() + 1;
        Origin { path: self.path.to_owned(), line }
    }

    /// The value's own text, of a long one the beginning.
    fn shown(&self, span: Range<usize>) -> String {
        let first_line = self.text[span].lines().next().unwrap_or_default();
        first_line.chars().take(SHOWN_CHARS_MAX).collect()
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let offset = self.text.floor_char_boundary(error.span().map_or(0, |span| span.start));
        let line_start = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        ConfigError::Syntax {
            path: self.path.to_owned(),
            line: self.origin(offset).line,
            column: self.text[line_start..offset].chars().count() + 1,
            message: error.message().to_owned(),
        }
    }
}

impl<'a> Keys<'a> {
    pub(super) fn new(
        file: &'a File<'a>,
        section: String,
        table: &'a DeTable<'a>,
        offset: usize,
    ) -> Self {
        Self { file, section, table, offset, known: Vec::new() }
    }

    /// Shows the table under another name in errors.
    pub(super) fn rename(&mut self, section: String) {
        self.section = section;
    }

    /// Whether the key is there.
    pub(super) fn has(&mut self, key: &'static str) -> bool {
        self.value(key).is_some()
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, ConfigError> {
        self.take(key, "a text", |value| match value {
            DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
            _ => None,
        })
    }

    pub(super) fn truth(&mut self, key: &'static str, to: &mut bool) -> Result<(), ConfigError> {
        let taken = self.take(key, "true or false", |value| match value {
            DeValue::Boolean(value) => Some(*value),
            _ => None,
        })?;
        *to = taken.unwrap_or(*to);
        Ok(())
    }

    pub(super) fn count(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        to: &mut u64,
    ) -> Result<(), ConfigError> {
        let allowed = format!("{} to {}", range.start(), range.end());
        let taken =
            self.take(key, &allowed, |value| integer(value).filter(|n| range.contains(n)))?;
        *to = taken.unwrap_or(*to);
        Ok(())
    }

    pub(super) fn bytes(
        &mut self,
        key: &'static str,
        range: RangeInclusive<u64>,
        to: &mut u64,
    ) -> Result<(), ConfigError> {
        let allowed =
            format!("{} to {} bytes, as a number or as \"128 MiB\"", range.start(), range.end());
        let taken = self.take(key, &allowed, |value| {
            let bytes = integer(value).or_else(|| match value {
                DeValue::String(text) => bytes::parse(text),
                _ => None,
            });
            bytes.filter(|bytes| range.contains(bytes))
        })?;
        *to = taken.unwrap_or(*to);
        Ok(())
    }

    /// A path; a relative one counts from the folder of the configuration.
    pub(super) fn path(&mut self, key: &'static str, to: &mut PathBuf) -> Result<(), ConfigError> {
        if let Some(text) = self.text(key)? {
            *to = self.beside(&text);
        }
        Ok(())
    }

    /// Where a path of the configuration is.
    pub(super) fn beside(&self, text: &str) -> PathBuf {
        self.file.path.parent().unwrap_or(Path::new("")).join(text)
    }

    pub(super) fn choice<T: Copy>(
        &mut self,
        key: &'static str,
        names: &[(&str, T)],
        to: &mut T,
    ) -> Result<(), ConfigError> {
        let all: Vec<_> = names.iter().map(|(name, _)| *name).collect();
        let taken = self.take(key, &or(&all), |value| match value {
            DeValue::String(text) => names.iter().find(|(name, _)| name == text).map(|(_, it)| *it),
            _ => None,
        })?;
        *to = taken.unwrap_or(*to);
        Ok(())
    }

    pub(super) fn texts(&mut self, key: &'static str) -> Result<Option<Vec<String>>, ConfigError> {
        self.take(key, "a list of texts", |value| match value {
            DeValue::Array(items) => items
                .iter()
                .map(|item| match item.get_ref() {
                    DeValue::String(text) if !text.is_empty() => Some(text.to_string()),
                    _ => None,
                })
                .collect(),
            _ => None,
        })
    }

    /// Names and texts.
    pub(super) fn pairs(
        &mut self,
        key: &'static str,
    ) -> Result<BTreeMap<String, String>, ConfigError> {
        let taken = self.take(key, "a table of texts", |value| match value {
            DeValue::Table(table) => table
                .iter()
                .map(|(name, value)| match value.get_ref() {
                    DeValue::String(text) => Some((name.get_ref().to_string(), text.to_string())),
                    _ => None,
                })
                .collect(),
            _ => None,
        })?;
        Ok(taken.unwrap_or_default())
    }

    /// Names and tables of texts.
    pub(super) fn pairs_by_name(
        &mut self,
        key: &'static str,
    ) -> Result<BTreeMap<String, BTreeMap<String, String>>, ConfigError> {
        let mut found = BTreeMap::new();
        let Some(mut tables) = self.table(key)? else { return Ok(found) };
        for (name, value) in tables.table {
            let taken = match value.get_ref() {
                DeValue::Table(table) => table
                    .iter()
                    .map(|(name, value)| match value.get_ref() {
                        DeValue::String(text) => {
                            Some((name.get_ref().to_string(), text.to_string()))
                        }
                        _ => None,
                    })
                    .collect::<Option<BTreeMap<_, _>>>(),
                _ => None,
            };
            let Some(pairs) = taken else {
                tables.rename(format!("{}.{}", tables.section, name.get_ref()));
                return Err(self.refuse(key, "allowed is a table of tables of texts"));
            };
            found.insert(name.get_ref().to_string(), pairs);
        }
        Ok(found)
    }

    /// Any value that JSON has, too.
    pub(super) fn json(&mut self, key: &'static str) -> Result<Option<Value>, ConfigError> {
        self.take(key, "a value without dates", to_json)
    }

    pub(super) fn table(&mut self, key: &'static str) -> Result<Option<Keys<'a>>, ConfigError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let DeValue::Table(table) = value.get_ref() else {
            let help = format!("write its keys under [{key}]");
            return Err(self.refuse(key, &help));
        };
        let section = self.name(key);
        Ok(Some(Keys::new(self.file, section, table, value.span().start)))
    }

    /// All tables that are written `[[key]]`.
    pub(super) fn tables(&mut self, key: &'static str) -> Result<Vec<Keys<'a>>, ConfigError> {
        let Some(value) = self.value(key) else { return Ok(Vec::new()) };
        let refuse = || format!("write [[{key}]], with the keys of one target under it");
        let DeValue::Array(items) = value.get_ref() else {
            return Err(self.refuse(key, &refuse()));
        };
        let mut tables = Vec::new();
        for item in items {
            let DeValue::Table(table) = item.get_ref() else {
                return Err(self.refuse(key, &refuse()));
            };
            tables.push(Keys::new(self.file, self.name(key), table, item.span().start));
        }
        Ok(tables)
    }

    /// Refuses what was not asked for.
    pub(super) fn finish(&self) -> Result<(), ConfigError> {
        for (name, _) in self.table {
            let given: &str = name.get_ref();
            if self.known.contains(&given) {
                continue;
            }
            let kind = if self.section.is_empty() { "section" } else { "key" };
            let nearest = self
                .known
                .iter()
                .map(|known| (strsim::normalized_damerau_levenshtein(given, known), known))
                .filter(|(similarity, _)| *similarity >= SLIP_SIMILARITY)
                .max_by(|(a, _), (b, _)| a.total_cmp(b));
            let help = match nearest {
                Some((_, known)) => format!("did you mean `{}`?", self.name(known)),
                None => format!("there are {}", self.known.join(", ")),
            };
            let origin = self.file.origin(name.span().start);
            return Err(ConfigError::Unknown { origin, kind, name: self.name(given), help });
        }
        Ok(())
    }

    /// The error of a key's value.
    pub(super) fn refuse(&self, key: &str, reason: &str) -> ConfigError {
        let span = self.find(key).map_or(self.offset..self.offset, Spanned::span);
        ConfigError::Value {
            origin: self.file.origin(span.start),
            key: self.name(key),
            value: self.file.shown(span),
            reason: reason.to_owned(),
        }
    }

    /// The error of a key that is not there.
    pub(super) fn missing(&self, what: &str) -> ConfigError {
        ConfigError::Missing {
            origin: self.file.origin(self.offset),
            section: self.section.split('.').next().unwrap_or_default().to_owned(),
            what: what.to_owned(),
        }
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        allowed: &str,
        read: impl Fn(&DeValue) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        match read(value.get_ref()) {
            Some(taken) => Ok(Some(taken)),
            None => Err(self.refuse(key, &format!("allowed is {allowed}"))),
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.find(key)
    }

    fn find(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        let is_key = |name: &str| name == key;
        self.table.iter().find(|(name, _)| is_key(name.get_ref())).map(|(_, value)| value)
    }

    fn name(&self, key: &str) -> String {
        if self.section.is_empty() { key.to_owned() } else { format!("{}.{key}", self.section) }
    }
}

fn integer(value: &DeValue) -> Option<u64> {
    match value {
        DeValue::Integer(digits) => u64::from_str_radix(digits.as_str(), digits.radix()).ok(),
        _ => None,
    }
}

fn to_json(value: &DeValue) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(digits) => {
            i64::from_str_radix(digits.as_str(), digits.radix()).ok()?.into()
        }
        DeValue::Float(digits) => digits.as_str().parse::<f64>().ok()?.into(),
        DeValue::Boolean(value) => Value::Bool(*value),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| to_json(item.get_ref()));
            Value::Array(items.collect::<Option<_>>()?)
        }
        DeValue::Table(table) => {
            let members = table
                .iter()
                .map(|(name, value)| Some((name.get_ref().to_string(), to_json(value.get_ref())?)));
            Value::Object(members.collect::<Option<_>>()?)
        }
        DeValue::Datetime(_) => return None,
    })
}

/// `a, b or c`.
fn or(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}
