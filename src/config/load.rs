//! From file, environment and flags to one [`Config`]: the layers in their order, each value with
//! where it was given, so that every error can name the place.

use std::ops::Range;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::{Config, ConfigError, Origin, Overrides, check};
use crate::config::error::Origins;
use crate::config::keys::{Given, KEYS, Setting, quote};

const PREFIX: &str = "TRAILDEX_";

/// The command line reads it, to find the file.
const FILE_VARIABLE: &str = "TRAILDEX_CONFIG";

/// The clients' name for the socket; the daemon listens where they look.
const SOCKET_VARIABLE: &str = "TRAILDEX_SOCKET";

/// Characters of a value that an error repeats: enough to recognise it on one line.
const SHOWN_CHARS_MAX: usize = 80;

/// Two names with this similarity or more (1 is equal) are one name and a slip: two letters
/// in five may differ. Lower, and unrelated names are suggested.
const SLIP_SIMILARITY: f64 = 0.6;

pub(super) fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    flags: &Overrides,
) -> Result<Config, ConfigError> {
    let mut draft = Draft { config: Config::default(), origins: Origins::default() };
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
            self.origins.put("watch.dirs", Origin::Flag("--watch"));
        }
        if let Some(dir) = &flags.data_dir {
            self.config.index.data_dir.clone_from(dir);
            self.origins.put("index.data_dir", Origin::Flag("--data-dir"));
        }
        if let Some(path) = &flags.socket {
            self.config.socket.path.clone_from(path);
            self.origins.put("socket.path", Origin::Flag("--socket"));
        }
    }

    /// `shown` is the value as the person wrote it.
    fn set(
        &mut self,
        key: &Setting,
        given: &Given,
        shown: String,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let field = (key.field)(&mut self.config);
        let reason = format!("allowed is {}", field.allowed());
        if field.set(given).is_none() {
            return Err(ConfigError::Value { origin, key: key.path, value: shown, reason });
        }
        self.origins.put(key.path, origin);
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
        let first_line = self.text[span].lines().next().unwrap_or_default();
        first_line.chars().take(SHOWN_CHARS_MAX).collect()
    }

    fn line(&self, offset: usize) -> usize {
        self.text[..offset].matches('\n').count() + 1
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let offset = self.text.floor_char_boundary(error.span().map_or(0, |span| span.start));
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
        let help = match nearest(name, |key| key.section().to_owned()) {
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
    let help = match nearest(name, |key| key.name().to_owned()) {
        Some(key) => format!("did you mean `{}`?", key.path),
        None if section.is_empty() => {
            format!("every key is in a section; the sections are {}", sections())
        }
        None => {
            let siblings = KEYS.iter().filter(|key| key.section() == section);
            let names: Vec<_> = siblings.map(Setting::name).collect();
            format!("the keys of [{section}] are {}", names.join(", "))
        }
    };
    ConfigError::Unknown { origin, kind: "key", name: path, help }
}

fn unknown_variable(name: String) -> ConfigError {
    let setting = &name[PREFIX.len()..];
    let help = match nearest(setting, |key| key.variable()[PREFIX.len()..].to_owned()) {
        Some(key) => format!("did you mean {}?", key.variable()),
        None => format!("the names are {PREFIX}SECTION_KEY; the sections are {}", sections()),
    };
    ConfigError::UnknownVariable { name, help }
}

/// The key that `given` is a slip of, by the name that `name_of` gives to keys.
fn nearest(given: &str, name_of: impl Fn(&Setting) -> String) -> Option<&'static Setting> {
    KEYS.iter()
        .map(|key| (strsim::normalized_damerau_levenshtein(given, &name_of(key)), key))
        .filter(|(similarity, _)| *similarity >= SLIP_SIMILARITY)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, key)| key)
}

fn sections() -> String {
    let mut sections: Vec<_> = KEYS.iter().map(Setting::section).collect();
    sections.dedup();
    sections.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads `text` as a file under these variables and flags, with the file's name shortened in
    /// the error.
    fn read(text: &str, env: &[(&str, &str)], flags: &Overrides) -> Result<Config, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.toml");
        std::fs::write(&path, text).unwrap();
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Config::load(Some(&path), env, flags)
            .map_err(|error| error.to_string().replace(path.to_str().unwrap(), "t.toml"))
    }

    #[track_caller]
    fn check_error(text: &str, env: &[(&str, &str)], expected: &str) {
        assert_eq!(read(text, env, &Overrides::default()).unwrap_err(), expected);
    }

    #[test]
    fn flags_override_the_environment_which_overrides_the_file() {
        let file = "[socket]\npath = '/file'\nconnections_max = 7\n[search]\nqueue_max = 7";
        let env = [
            ("TRAILDEX_SOCKET", "/env"),
            ("TRAILDEX_SEARCH_QUEUE_MAX", "8"),
            ("TRAILDEX_CONFIG", "/ignored"),
            ("HOME", "/ignored"),
        ];
        let flags = Overrides {
            watch: vec!["/a".into(), "/b".into()],
            data_dir: Some("/data".into()),
            socket: Some("/flag".into()),
        };

        let config = read(file, &env, &flags).unwrap();
        assert_eq!(config.watch.dirs, flags.watch);
        assert_eq!(config.index.data_dir, Path::new("/data"));
        assert_eq!(config.socket.path, Path::new("/flag"));
        assert_eq!((config.search.queue_max, config.socket.connections_max), (8, 7));
        assert_eq!(config.search.deadline_ms, Config::default().search.deadline_ms);

        let config = read(file, &env, &Overrides::default()).unwrap();
        assert_eq!(config.socket.path, Path::new("/env"));
    }

    #[test]
    fn byte_sizes_are_integers_or_text() {
        for size in ["67108864", "'64 MiB'", "0x400_0000"] {
            let config =
                read(&format!("[ingest]\nfile_bytes_max = {size}"), &[], &Overrides::default());
            assert_eq!(config.unwrap().ingest.file_bytes_max, 64 << 20, "{size}");
        }
    }

    #[test]
    fn a_refused_value_names_place_key_value_and_what_is_allowed() {
        check_error(
            "[search]\n\n# soon\ndeadline_ms = 0",
            &[],
            "t.toml, line 4: `search.deadline_ms = 0` is refused: allowed is 100 to 600000",
        );
        check_error(
            "[ingest]\nsegment_bytes_max = '3 GiB'",
            &[],
            "t.toml, line 2: `ingest.segment_bytes_max = '3 GiB'` is refused: \
             allowed is 16 MiB to 2 GiB, in bytes or as \"128 MiB\"",
        );
        check_error(
            "[log]\nlevel = 'verbose'",
            &[],
            "t.toml, line 2: `log.level = 'verbose'` is refused: \
             allowed is error, warn, info, debug or trace",
        );
        check_error(
            "[watch]\ndirs = [\n  '/a',\n  7\n]",
            &[],
            "t.toml, line 2: `watch.dirs = [` is refused: allowed is a list of paths",
        );
        check_error(
            "",
            &[("TRAILDEX_SEARCH_QUEUE_MAX", "many")],
            "environment variable TRAILDEX_SEARCH_QUEUE_MAX: `search.queue_max = \"many\"` \
             is refused: allowed is 0 to 10000",
        );
        check_error(
            "",
            &[("TRAILDEX_WATCH_DIRS", "/a:")],
            "environment variable TRAILDEX_WATCH_DIRS: `watch.dirs = \"/a:\"` \
             is refused: allowed is a list of paths",
        );
    }

    #[test]
    fn numbers_are_refused_just_outside_their_range_and_in_another_type() {
        let just_outside = [
            ("watch", "rescan_s", "0"),
            ("watch", "settle_ms", "600001"),
            ("ingest", "threads", "257"),
            ("ingest", "segment_events_max", "999"),
            ("ingest", "segment_events_max", "1000001"),
            ("ingest", "inflate_ratio_max", "49"),
            ("socket", "connections_max", "0"),
            ("search", "deadline_ms", "99"),
            ("search", "deadline_ms", "-1"),
            ("search", "deadline_ms", "18446744073709551616"),
            ("search", "deadline_ms", "'500'"),
            ("search", "deadline_ms", "500.0"),
            ("search", "deadline_ms", "true"),
            ("search", "deadline_ms", "{ ms = 500 }"),
            ("socket", "path", "7"),
            ("aws", "listen", "'0.0.0.0:8123'"),
            ("aws", "listen", "'192.0.2.1:8123'"),
            ("aws", "listen", "'localhost:8123'"),
            ("aws", "listen", "'[::]:8123'"),
            ("aws", "data_events", "'true'"),
            ("socket", "path", "''"),
        ];
        for (section, name, value) in just_outside {
            let text = format!("[{section}]\n{name} = {value}");
            let error = read(&text, &[], &Overrides::default()).unwrap_err();
            let start = format!("t.toml, line 2: `{section}.{name} = {value}` is refused: allowed");
            assert!(error.starts_with(&start), "{error}");
        }
    }

    #[test]
    fn an_unknown_name_is_refused_with_a_suggestion() {
        for (text, expected) in [
            (
                "[search]\ndeadlin_ms = 1",
                "t.toml, line 2: unknown key `search.deadlin_ms`; did you mean `search.deadline_ms`?",
            ),
            (
                "[watch]\nthreads = 1",
                "t.toml, line 2: unknown key `watch.threads`; did you mean `ingest.threads`?",
            ),
            (
                "deadline_ms = 1",
                "t.toml, line 1: unknown key `deadline_ms`; did you mean `search.deadline_ms`?",
            ),
            (
                "[socket]\nbacklog = 1",
                "t.toml, line 2: unknown key `socket.backlog`; \
                 the keys of [socket] are path, group, allowed_users, allowed_groups, operators, \
                 connections_max",
            ),
            (
                "watch = '/trails'",
                "t.toml, line 1: unknown key `watch`; \
                 it is a section: write its keys under [watch]",
            ),
            ("[serach]", "t.toml, line 1: unknown section `serach`; did you mean `[search]`?"),
            (
                "\n[tls]",
                "t.toml, line 2: unknown section `tls`; \
                 the sections are watch, index, retention, ingest, evidence, geo, ioc, rules, alerts, socket, search, web, aws, sql, log",
            ),
        ] {
            check_error(text, &[], expected);
        }
    }

    #[test]
    fn an_unknown_variable_is_refused_with_a_suggestion() {
        check_error(
            "",
            &[("TRAILDEX_SEARCH_DEADLINE", "9")],
            "unknown environment variable TRAILDEX_SEARCH_DEADLINE; \
             did you mean TRAILDEX_SEARCH_DEADLINE_MS?",
        );
        check_error(
            "",
            &[("TRAILDEX_TLS", "9")],
            "unknown environment variable TRAILDEX_TLS; the names are TRAILDEX_SECTION_KEY; \
             the sections are watch, index, retention, ingest, evidence, geo, ioc, rules, alerts, socket, search, web, aws, sql, log",
        );
    }

    #[test]
    fn two_variables_for_the_socket_are_refused() {
        check_error(
            "",
            &[("TRAILDEX_SOCKET_PATH", "/a"), ("TRAILDEX_SOCKET", "/b")],
            "environment variable TRAILDEX_SOCKET: `socket.path = \"/b\"` is refused: \
             TRAILDEX_SOCKET_PATH sets the same key; keep one of the two",
        );
    }

    #[test]
    fn a_syntax_error_keeps_line_and_column() {
        let error = read("[log]\nlevel = = 'é'", &[], &Overrides::default()).unwrap_err();
        assert!(error.starts_with("t.toml, line 2, column 9: "), "{error}");
        let error = read("[log]\nlevel='info'\nlevel='warn'", &[], &Overrides::default());
        assert_eq!(error.unwrap_err(), "t.toml, line 3, column 1: duplicate key");
    }

    #[test]
    fn no_cut_or_changed_file_panics() {
        let whole = Config::default().to_toml();
        for at in 0..whole.len() {
            let _ = read(&whole[..at], &[], &Overrides::default());
            for other in ["", "é", "[", "=", "\"", "\n", "9", "{"] {
                let changed = [&whole[..at], other, &whole[at + 1..]].concat();
                let _ = read(&changed, &[], &Overrides::default());
            }
        }
    }

    #[test]
    fn a_missing_file_is_named_and_keeps_its_cause() {
        let error =
            Config::load(Some(Path::new("/no/such.toml")), [], &Overrides::default()).unwrap_err();
        assert_eq!(error.to_string(), "cannot read the configuration file /no/such.toml");
        assert!(std::error::Error::source(&error).is_some());
    }
}
