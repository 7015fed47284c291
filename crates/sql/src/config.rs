//! What `traildex-sql serve` reads of the daemon's configuration: its own section, where the index is, and
//! how much is logged. The daemon's program checks all of the file (`traildex check-config`); here, what is
//! not of this program is left alone.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use thiserror::Error;
use toml::{Table, Value};

use crate::session::Options;
use formats::bytes;

/// Bytes of a configuration.
const BYTES_MAX: u64 = 1 << 20;

/// The configuration is wrong, or cannot be read.
#[derive(Debug, Error)]
#[error("{0}")]
pub(crate) struct ConfigError(String);

impl ConfigError {
    /// With this sentence.
    pub(crate) fn new(message: &str) -> Self {
        Self(message.to_owned())
    }
}

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Config {
    /// Where the index is.
    pub(crate) data_dir: PathBuf,
    pub(crate) log: Log,
    pub(crate) sql: Sql,
}

/// The section `sql`; its keys are explained in `config/traildex.toml`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Sql {
    pub(crate) state_dir: PathBuf,
    pub(crate) stores: Vec<String>,
    pub(crate) queries_max: usize,
    #[serde(deserialize_with = "size")]
    pub(crate) memory_bytes_max: u64,
    #[serde(deserialize_with = "size")]
    pub(crate) disk_bytes_max: u64,
    pub(crate) timeout_s_max: u64,
    #[serde(deserialize_with = "address")]
    pub(crate) postgres_address: Option<SocketAddr>,
    pub(crate) postgres_passwords: PathBuf,
}

/// The section `log`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Log {
    pub(crate) level: String,
    pub(crate) format: String,
}

#[derive(Deserialize)]
#[serde(default)]
struct Index {
    data_dir: PathBuf,
}

impl Default for Sql {
    fn default() -> Self {
        Self {
            state_dir: PathBuf::from("/var/lib/traildex-sql"),
            stores: Vec::new(),
            queries_max: 4,
            memory_bytes_max: 1 << 30,
            disk_bytes_max: 8 << 30,
            timeout_s_max: 600,
            postgres_address: None,
            postgres_passwords: PathBuf::from("/etc/traildex.postgres"),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: "text".to_owned() }
    }
}

impl Default for Index {
    fn default() -> Self {
        Self { data_dir: PathBuf::from("/var/lib/traildex") }
    }
}

impl Config {
    /// Reads a file, and the variables of the environment that override it, as for the daemon. Without a
    /// file, the defaults count.
    pub(crate) fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let shown = file.map_or("the environment".to_owned(), |file| file.display().to_string());
        let wrong = |message: &str| ConfigError(format!("{shown}: {message}"));
        let mut table = match file {
            Some(file) => read(file).map_err(|error| wrong(&error))?,
            None => Table::new(),
        };
        for (name, value) in env {
            set(&mut table, &name, value);
        }
        let index: Index = section(&table, "index").map_err(|error| wrong(&error))?;
        let log = section(&table, "log").map_err(|error| wrong(&error))?;
        let sql: Sql = section(&table, "sql").map_err(|error| wrong(&error))?;
        let config = Self { data_dir: index.data_dir, log, sql };
        config.check().map_err(|error| wrong(&error))?;
        Ok(config)
    }

    /// The ranges are the daemon's (`src/config/keys.rs`).
    fn check(&self) -> Result<(), String> {
        let Sql { queries_max, memory_bytes_max, timeout_s_max, postgres_address, .. } = &self.sql;
        let is_within = |key: &str, value: u64, min: u64, max: u64| {
            (min..=max)
                .contains(&value)
                .then_some(())
                .ok_or(format!("sql.{key} is {value}; allowed is {min} to {max}"))
        };
        is_within("queries_max", *queries_max as u64, 1, 64)?;
        is_within("memory_bytes_max", *memory_bytes_max, 64 << 20, 1 << 40)?;
        is_within("timeout_s_max", *timeout_s_max, 1, 86_400)?;
        match postgres_address {
            Some(address) if !address.ip().is_loopback() => {
                Err(format!("sql.postgres_address is {address}, which is no loopback address"))
            }
            _ => Ok(()),
        }
    }

    /// What one query may take.
    pub(crate) fn options(&self) -> Options {
        let queries = self.sql.queries_max;
        Options {
            memory_bytes: usize::try_from(self.sql.memory_bytes_max).unwrap_or(usize::MAX)
                / queries,
            spill_bytes: self.sql.disk_bytes_max / queries as u64,
            spill_dir: Some(self.spill_dir()),
            timeout: self.timeout_max(),
            stores: self.sql.stores.clone(),
            ..Options::default()
        }
    }

    /// Where queries write while they run; it is emptied at the start.
    pub(crate) fn spill_dir(&self) -> PathBuf {
        self.sql.state_dir.join("spill")
    }

    /// The longest that a query may take.
    pub(crate) fn timeout_max(&self) -> Duration {
        Duration::from_secs(self.sql.timeout_s_max)
    }
}

fn read(file: &Path) -> Result<Table, String> {
    let cannot = |error: std::io::Error| format!("it cannot be read: {error}");
    let mut text = String::new();
    File::open(file).map_err(cannot)?.take(BYTES_MAX).read_to_string(&mut text).map_err(cannot)?;
    text.parse().map_err(|error: toml::de::Error| error.message().to_owned())
}

fn section<T: DeserializeOwned + Default>(table: &Table, name: &str) -> Result<T, String> {
    match table.get(name) {
        None => Ok(T::default()),
        Some(section) => section
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| format!("[{name}]: {}", error.message().trim_end())),
    }
}

/// Sets a key by a variable such as `TRAILDEX_SQL_QUERIES_MAX`; lists have `:` between the items.
fn set(table: &mut Table, name: &str, value: String) {
    let of_section = |section: &'static str, prefix: &str| {
        name.strip_prefix(prefix).map(|key| (section, key.to_ascii_lowercase()))
    };
    let key = of_section("sql", "TRAILDEX_SQL_").or_else(|| of_section("log", "TRAILDEX_LOG_"));
    let key = key
        .or_else(|| (name == "TRAILDEX_INDEX_DATA_DIR").then(|| ("index", "data_dir".to_owned())));
    let Some((section, key)) = key else { return };
    let value = match value.parse::<i64>() {
        Ok(number) if section == "sql" => Value::Integer(number),
        _ if key == "stores" => {
            let items = value.split(':').filter(|item| !item.is_empty());
            Value::Array(items.map(|item| Value::String(item.to_owned())).collect())
        }
        _ => Value::String(value),
    };
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Value::Table(section) = section {
        section.insert(key, value);
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let address = (!text.is_empty()).then(|| text.parse()).transpose();
    address.map_err(|_| serde::de::Error::custom(format!("{text} is no address with a port")))
}

/// Bytes as a number, or as a text such as `128 MiB`.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let size = match &value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::String(text) => bytes::parse(text),
        _ => None,
    };
    size.ok_or_else(|| serde::de::Error::custom(format!("{value} is no size, such as \"128 MiB\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("traildex.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(
            Some(&file),
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        )
    }

    #[test]
    fn the_file_that_explains_every_key_has_the_built_in_defaults() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/traildex.toml");
        let config = Config::load(Some(Path::new(file)), []).unwrap();
        assert_eq!(config, Config::load(None, []).unwrap());
        assert_eq!(config.options().memory_bytes, 256 << 20);
    }

    #[test]
    fn the_environment_overrides_the_file() {
        let text = "[index]\ndata_dir = \"/data\"\n[sql]\npostgres_address = \"127.0.0.1:1\"\nqueries_max = 3\n\
                    memory_bytes_max = \"300 MiB\"\nstores = [\"x\"]\n[watch]\ndirs = []\n";
        let config = of(text, &[("TRAILDEX_SQL_QUERIES_MAX", "2"), ("TRAILDEX_SQL_STORES", "a:b")]);
        let config = config.unwrap();
        assert_eq!(config.data_dir, Path::new("/data"));
        assert_eq!(config.sql.postgres_address, Some(([127, 0, 0, 1], 1).into()));
        assert_eq!((config.sql.queries_max, config.sql.stores.len()), (2, 2));
        assert_eq!(config.options().memory_bytes, 150 << 20);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, words) in [
            ("[sql]\nquereis_max = 1\n", "quereis_max"),
            ("[sql]\nqueries_max = 0\n", "sql.queries_max is 0; allowed is 1 to 64"),
            ("[sql]\nmemory_bytes_max = \"1 MiB\"\n", "sql.memory_bytes_max"),
            ("[sql]\nmemory_bytes_max = \"1 acre\"\n", "is no size"),
            ("[sql]\npostgres_address = \"0.0.0.0:5432\"\n", "no loopback address"),
            ("[sql", "traildex.toml: "),
        ] {
            let error = of(text, &[]).unwrap_err().to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
