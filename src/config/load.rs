//! From file, environment and flags to one [`Config`]: the layers in their order, each value with
//! where it was given, so that every error can name the place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::keys::{Given, KEYS, Key, quote};
use super::{Config, ConfigError, Origin, Overrides, check};

const PREFIX: &str = "TRAILDEX_";

/// The command line reads it, to find the file.
const FILE_VARIABLE: &str = "TRAILDEX_CONFIG";

/// The clients' name for the socket; the daemon listens where they look.
const SOCKET_VARIABLE: &str = "TRAILDEX_SOCKET";

/// Characters of a value that an error repeats: enough to recognise it.
const SHOWN_CHARS_MAX: usize = 80;

/// Two names with this similarity or more (1 is equal) are one name and a slip.
const SLIP_SIMILARITY: f64 = 0.6;

pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    flags: &Overrides,
) -> Result<Config, ConfigError> {
    let mut draft = Draft { config: Config::default(), origins: Origins(HashMap::new()) };
    if let Some(path) = file {
        draft.read_file(path)?;
    }
    draft.read_environment(env)?;
    draft.take_flags(flags);
    check::check(&mut draft.config, &draft.origins)?;
    Ok(draft.config)
}

/// A configuration before the rules between its keys are checked.
struct Draft {
    config: Config,
    origins: Origins,
}

/// Where each key was last set, by its path.
pub struct Origins(HashMap<&'static str, Origin>);

impl Origins {
    pub fn of(&self, key: &'static str) -> Origin {
        self.0.get(key).cloned().unwrap_or(Origin::Default)
    }

    pub fn refuse(&self, key: &'static str, value: &Path, reason: String) -> ConfigError {
        let value = quote(&value.to_string_lossy());
        ConfigError::Value { origin: self.of(key), key, value, reason }
    }
}

impl Draft {
    fn read_file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let file = File { path, text: &text };
        let table = DeTable::parse(&text).map_err(|error| file.syntax(&error))?;
        for (section, body) in table.get_ref() {
            let DeValue::Table(settings) = body.get_ref() else {
                return Err(file.unknown_top_level(section.get_ref(), section.span()));
            };
            if !KEYS.iter().any(|key| key.section() == section.get_ref()) {
                return Err(file.unknown_section(section.get_ref(), section.span()));
            }
            for (name, value) in settings {
                let path = format!("{}.{}", section.get_ref(), name.get_ref());
                let origin = file.origin(&name.span());
                let Some(key) = KEYS.iter().find(|key| key.path == path) else {
                    return Err(unknown_key(origin, path));
                };
                let shown = file.shown(value.span());
                self.set(key, &Given::Toml(value.get_ref()), shown, origin)?;
            }
        }
        Ok(())
    }

    fn read_environment(
        &mut self,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, value) in env {
            if !variable.starts_with(PREFIX) || variable == FILE_VARIABLE {
                continue;
            }
            let name = if variable == SOCKET_VARIABLE { "TRAILDEX_SOCKET_PATH" } else { &variable };
            let Some(key) = KEYS.iter().find(|key| key.variable() == name) else {
                return Err(unknown_variable(variable));
            };
            if let Origin::Variable(other) = self.origins.of(key.path) {
                return Err(ConfigError::Value {
                    origin: Origin::Variable(variable),
                    key: key.path,
                    value: quote(&value),
                    reason: format!("{other} sets the same key; keep one of the two"),
                });
            }
            let shown = quote(&value);
            self.set(key, &Given::Variable(&value), shown, Origin::Variable(variable))?;
        }
        Ok(())
    }

    fn take_flags(&mut self, flags: &Overrides) {
        if !flags.watch.is_empty() {
            self.config.watch.dirs.clone_from(&flags.watch);
            self.origins.0.insert("watch.dirs", Origin::Flag("--watch"));
        }
        if let Some(dir) = &flags.data_dir {
            self.config.index.data_dir.clone_from(dir);
            self.origins.0.insert("index.data_dir", Origin::Flag("--data-dir"));
        }
        if let Some(path) = &flags.socket {
            self.config.socket.path.clone_from(path);
            self.origins.0.insert("socket.path", Origin::Flag("--socket"));
        }
    }

    /// `shown` is the value as the person wrote it.
    fn set(
        &mut self,
        key: &Key,
        given: &Given,
        shown: String,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let field = (key.field)(&mut self.config);
        let reason = format!("allowed is {}", field.allowed());
        if field.set(given).is_none() {
            return Err(ConfigError::Value { origin, key: key.path, value: shown, reason });
        }
        self.origins.0.insert(key.path, origin);
        Ok(())
    }
}

/// The configuration file, for what an error says about it.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, span: &Range<usize>) -> Origin {
        Origin::File { path: self.path.to_owned(), line: self.line(span.start) }
    }

    /// The value's own text, of a long one the beginning.
    fn shown(&self, span: Range<usize>) -> String {
        self.text[span].chars().take(SHOWN_CHARS_MAX).collect()
    }

    fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let offset = error.span().map_or(0, |span| span.start);
        let line_start = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        ConfigError::Syntax {
            path: self.path.to_owned(),
            line: self.line(offset),
            column: self.text[line_start..offset].chars().count() + 1,
            message: error.message().to_owned(),
        }
    }

    /// A key before the first section, or a section's name used as a key.
    fn unknown_top_level(&self, name: &str, span: Range<usize>) -> ConfigError {
        let origin = self.origin(&span);
        if KEYS.iter().any(|key| key.section() == name) {
            let help = format!("it is a section: write its keys under [{name}]");
            return ConfigError::Unknown { origin, kind: "key", name: name.to_owned(), help };
        }
        unknown_key(origin, name.to_owned())
    }

    fn unknown_section(&self, name: &str, span: Range<usize>) -> ConfigError {
        let help = match nearest(name, |key| key.section().into()) {
            Some(key) => format!("did you mean `[{}]`?", key.section()),
            None => format!("the sections are {}", sections()),
        };
        let origin = self.origin(&span);
        ConfigError::Unknown { origin, kind: "section", name: name.to_owned(), help }
    }
}

/// `path` is a key in a known section, or one without a section.
fn unknown_key(origin: Origin, path: String) -> ConfigError {
    let (section, name) = path.split_once('.').unwrap_or(("", &path));
    let siblings = KEYS.iter().filter(|key| key.section() == section);
    let help = match nearest(name, |key| key.name().into()) {
        Some(key) => format!("did you mean `{}`?", key.path),
        None if section.is_empty() => {
            format!("every key is in a section; the sections are {}", sections())
        }
        None => {
            let names: Vec<_> = siblings.map(Key::name).collect();
            format!("the keys of [{section}] are {}", names.join(", "))
        }
    };
    ConfigError::Unknown { origin, kind: "key", name: path, help }
}

fn unknown_variable(variable: String) -> ConfigError {
    let setting = &variable[PREFIX.len()..];
    let help = match nearest(setting, |key| key.variable()[PREFIX.len()..].to_owned().into()) {
        Some(key) => format!("did you mean {}?", key.variable()),
        None => format!("the names are {PREFIX}SECTION_KEY; the sections are {}", sections()),
    };
    let origin = Origin::Variable(variable.clone());
    ConfigError::Unknown { origin, kind: "setting", name: variable, help }
}

/// The key that `given` is a slip of, by the name that `name_of` gives to keys.
fn nearest(
    given: &str,
    name_of: impl Fn(&'static Key) -> Cow<'static, str>,
) -> Option<&'static Key> {
    KEYS.iter()
        .map(|key| (strsim::normalized_damerau_levenshtein(given, &name_of(key)), key))
        .filter(|(similarity, _)| *similarity >= SLIP_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, key)| key)
}

fn sections() -> String {
    let mut sections: Vec<_> = KEYS.iter().map(Key::section).collect();
    sections.dedup();
    sections.join(", ")
}
