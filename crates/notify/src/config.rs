//! The configuration: one TOML file. Each error names file, line, key, value, and what would work.

mod error;
mod read;
mod target;

use std::path::{Path, PathBuf};

pub(crate) use self::error::ConfigError;
use self::read::{File, Keys};
pub(crate) use self::target::{
    Begin, CommandConfig, FileConfig, Kind, Retry, SyslogConfig, TargetConfig, To, WebhookConfig,
};

/// Where the package puts the file.
pub(crate) const DEFAULT_FILE: &str = "/etc/traildex/notify.toml";

/// All settings.
#[derive(Debug)]
pub(crate) struct Config {
    /// The daemon's socket.
    pub socket: PathBuf,
    /// What is ours to write: cursors, spools, dead letters.
    pub state_dir: PathBuf,
    pub level: &'static str,
    pub is_json: bool,
    pub targets: Vec<TargetConfig>,
}

const LEVELS: &[(&str, &str)] = &[
    ("error", "error"),
    ("warn", "warn"),
    ("info", "info"),
    ("debug", "debug"),
    ("trace", "trace"),
];

impl Config {
    /// Reads a file, and the files of secrets and templates that it names.
    pub(crate) fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        let file = File::new(path, &text);
        let root = file.parse()?;
        let mut config = Self {
            socket: "/run/traildex/traildex.sock".into(),
            state_dir: "/var/lib/traildex-notify".into(),
            level: "info",
            is_json: false,
            targets: Vec::new(),
        };
        let mut sections = Keys::new(&file, String::new(), &root, 0);
        if let Some(mut keys) = sections.table("daemon")? {
            keys.path("socket", &mut config.socket)?;
            keys.finish()?;
        }
        if let Some(mut keys) = sections.table("state")? {
            keys.path("dir", &mut config.state_dir)?;
            keys.finish()?;
        }
        if let Some(mut keys) = sections.table("log")? {
            keys.choice("level", LEVELS, &mut config.level)?;
            keys.choice("format", &[("text", false), ("json", true)], &mut config.is_json)?;
            keys.finish()?;
        }
        for kind in target::KINDS {
            for mut keys in sections.tables(kind)? {
                let target = target::read(kind, &mut keys)?;
                if config.targets.iter().any(|other| other.name == target.name) {
                    return Err(keys.refuse("name", "another target has the same name"));
                }
                config.targets.push(target);
            }
        }
        sections.finish()?;
        Ok(config)
    }

    /// The target of that name; the error lists those that there are.
    pub(crate) fn target(&self, name: &str) -> anyhow::Result<&TargetConfig> {
        let found = self.targets.iter().find(|target| target.name == name);
        found.ok_or_else(|| {
            let names: Vec<_> = self.targets.iter().map(|target| target.name.as_str()).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            anyhow::anyhow!("there is no target {name:?}; there are: {names}")
        })
    }
}

#[cfg(test)]
mod tests;
