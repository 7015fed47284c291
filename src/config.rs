//! The configuration: raw settings from a file, the environment and flags become checked ones.
//!
//! A key is one row of [`keys::KEYS`], one field below, and one commented entry of
//! `config/traildex.toml`; the tests keep the three equal. [`Config::load`] reads the file and
//! touches nothing else: whether a directory exists is for its user to find out. It runs once, on
//! the starting thread; any error is the caller's mistake and ends the start.

mod check;
mod error;
mod keys;
mod load;
mod memory;
mod sql;

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub use self::check::advice_on_address;
pub use self::error::{ConfigError, Origin};
pub use self::memory::{MemoryPart, MemorySum};
pub use self::sql::Sql;

/// Checked settings. A field has its key's name, and with it its unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub watch: Watch,
    pub index: Index,
    pub retention: Retention,
    pub ingest: Ingest,
    pub evidence: Evidence,
    pub geo: Geo,
    pub ioc: Ioc,
    pub rules: Rules,
    pub alerts: Alerts,
    pub socket: Socket,
    pub search: Search,
    pub web: Web,
    pub aws: Aws,
    pub sql: Sql,
    pub log: Log,
}

/// Where trail files come from, and when one is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// Archives, with all below them. Absolute; none inside another or beside the index.
    pub dirs: Vec<PathBuf>,
    /// Between two full listings of the archives.
    pub rescan_s: u64,
    /// A file is read when its size and time have not changed for this long.
    pub settle_ms: u64,
    /// A file that ends too early is retried this long after its last change, then rejected.
    pub unfinished_s: u64,
}

/// Where the index is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Absolute.
    pub data_dir: PathBuf,
    /// Free space of its file system below which ingest pauses.
    pub free_bytes_min: usize,
}

/// What is kept. 0 is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Retention {
    /// Events of today and of so many days before, UTC.
    pub age_days_max: usize,
    /// The latest events that fit.
    pub bytes_max: usize,
}

/// How files become searchable events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingest {
    /// 0 is one a core; see [`Ingest::workers`].
    pub threads: usize,
    /// Age of the oldest read but uncommitted event at which a commit starts.
    pub commit_age_ms_max: u64,
    /// Time without a new event after which a commit starts.
    pub commit_idle_ms: u64,
    /// Events of one segment in the making.
    pub segment_events_max: usize,
    /// Memory of one segment in the making.
    pub segment_bytes_max: usize,
    /// Uncompressed bytes of one file.
    pub file_bytes_max: usize,
    /// Uncompressed to compressed bytes, above 16 MiB uncompressed.
    pub inflate_ratio_max: usize,
}

/// What CloudTrail's digest files are verified with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evidence {
    /// Files and folders with what `aws cloudtrail list-public-keys` printed. Absolute.
    pub public_keys: Vec<PathBuf>,
    /// Folders whose bucket is known. Absolute.
    pub roots: Vec<evidence::Root>,
}

/// Where addresses are, and whose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geo {
    /// In MaxMind's format. Absolute; none in a watched directory.
    pub databases: Vec<PathBuf>,
    /// Bytes that all of them may have.
    pub bytes_max: usize,
    /// AWS's `ip-ranges.json`. Absolute; in no watched directory.
    pub ip_ranges: Option<PathBuf>,
}

/// Lists of what is bad.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ioc {
    /// Absolute; none in a watched directory.
    pub files: Vec<PathBuf>,
}

/// What looks for attacks while the daemon runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// Files and folders of rules. Absolute; none in a watched directory.
    pub dirs: Vec<PathBuf>,
    /// The rules that are a part of the program, too.
    pub pack: bool,
}

impl Rules {
    /// Whether there are none, whatever the folders hold.
    pub fn are_off(&self) -> bool {
        self.dirs.is_empty() && !self.pack
    }
}

/// What rules find.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alerts {
    /// Days that alerts are kept, by the time of their last event; 0 is all.
    pub age_days_max: usize,
}

/// Where questions arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// As it was written: a relative path may be short enough for the kernel where the absolute
    /// one is not.
    pub path: PathBuf,
    /// The group that the socket is given to; empty is the daemon's own.
    pub group: String,
    /// Who may connect, by name or number, beside root and the daemon's own user. Empty, with no
    /// groups either, is whoever the socket's mode lets in.
    pub allowed_users: Vec<String>,
    /// The same, by the groups that a user is in.
    pub allowed_groups: Vec<String>,
    /// Who may operate the daemon beside root and its own user, by name or number; they may ask, too.
    pub operators: Vec<String>,
    pub connections_max: usize,
}

/// What searches may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// 0 is one a core; see [`Search::concurrent`].
    pub concurrent_max: usize,
    /// Searches that wait for a place; the next one is refused at once.
    pub queue_max: usize,
    /// From a search's arrival to its answer.
    pub deadline_ms: u64,
    /// What stays in memory of what was read last: three quarters for decompressed blocks of stored
    /// records, a quarter for the events that words with wildcards found.
    pub record_cache_bytes: usize,
}

/// What browsers may ask, where the socket is forwarded to a port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Web {
    /// Hosts that requests may be for, beside `localhost` and loopback addresses.
    pub hosts: Vec<String>,
}

/// Where AWS's tools ask, and what they see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aws {
    /// A loopback address; none where nothing listens.
    pub listen: Option<SocketAddr>,
    pub auth: Auth,
    /// The access keys of [`Auth::Keys`].
    pub keys_file: PathBuf,
    pub region: Region,
    /// Data, network and aggregated events as well as management events.
    pub data_events: bool,
}

/// Whom the AWS listener answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Who signs with an access key of `aws.keys_file`.
    Keys,
    /// Whoever connects.
    None,
}

/// Of which regions the AWS listener tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    All,
    /// The one that the client signs for.
    Client,
}

/// What the daemon says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    pub level: Level,
    pub format: Format,
}

/// In the order of how much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One line for a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// A key that two configurations differ in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub key: &'static str,
    /// The values as a configuration file has them.
    pub from: String,
    pub to: String,
    /// Whether a running daemon can take it.
    pub is_reloaded: bool,
}

/// What the command line says; it wins over everything else. Empty and `None` mean "not given".
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Replaces `watch.dirs`.
    pub watch: Vec<PathBuf>,
    pub data_dir: Option<PathBuf>,
    pub socket: Option<PathBuf>,
}

/// The reasons are in `config/traildex.toml`.
impl Default for Config {
    fn default() -> Self {
        Self {
            watch: Watch { dirs: Vec::new(), rescan_s: 60, settle_ms: 2_000, unfinished_s: 600 },
            index: Index { data_dir: PathBuf::from("/var/lib/traildex"), free_bytes_min: 1 << 30 },
            retention: Retention::default(),
            ingest: Ingest {
                threads: 0,
                commit_age_ms_max: 1_000,
                commit_idle_ms: 100,
                segment_events_max: 60_000,
                segment_bytes_max: 144 << 20,
                file_bytes_max: 256 << 20,
                inflate_ratio_max: 200,
            },
            evidence: Evidence::default(),
            geo: Geo { databases: Vec::new(), bytes_max: 256 << 20, ip_ranges: None },
            ioc: Ioc::default(),
            rules: Rules::default(),
            alerts: Alerts::default(),
            socket: Socket {
                path: PathBuf::from("/run/traildex/traildex.sock"),
                group: String::new(),
                allowed_users: Vec::new(),
                allowed_groups: Vec::new(),
                operators: Vec::new(),
                connections_max: 160,
            },
            search: Search {
                concurrent_max: 0,
                queue_max: 64,
                deadline_ms: 10_000,
                record_cache_bytes: 64 << 20,
            },
            web: Web::default(),
            aws: Aws {
                listen: None,
                auth: Auth::Keys,
                keys_file: PathBuf::from("/etc/traildex.keys.toml"),
                region: Region::All,
                data_events: true,
            },
            sql: Sql::default(),
            log: Log { level: Level::Info, format: Format::Text },
        }
    }
}

impl Config {
    /// The settings in force: flags override the environment, which overrides the file, which
    /// overrides the defaults.
    ///
    /// `env` may hold anything; only names that start with `TRAILDEX_` are looked at, and one that
    /// sets no key is refused. Directories become absolute, against the current directory.
    pub fn load(
        file: Option<&Path>,
        env: impl IntoIterator<Item = (String, String)>,
        flags: &Overrides,
    ) -> Result<Self, ConfigError> {
        load::load(file, env, flags)
    }

    /// The settings as a configuration file that [`Config::load`] reads back. A path that is not
    /// UTF-8 shows replacement characters.
    pub fn to_toml(&self) -> String {
        let mut config = self.clone();
        let mut text = String::new();
        let mut section = "";
        for key in &keys::KEYS {
            if key.section() != section {
                let blank = if section.is_empty() { "" } else { "\n" };
                section = key.section();
                let _ = writeln!(text, "{blank}[{section}]");
            }
            let _ = writeln!(text, "{} = {}", key.name(), (key.field)(&mut config).to_toml());
        }
        text
    }

    /// Where `other` says something else, in the order of the keys.
    pub fn changes(&self, other: &Self) -> Vec<Change> {
        let (mut from, mut to) = (self.clone(), other.clone());
        let differ = |key: &keys::Setting| {
            let (from, to) = ((key.field)(&mut from).to_toml(), (key.field)(&mut to).to_toml());
            let is_reloaded = keys::RELOADED.contains(&key.path);
            (from != to).then_some(Change { key: key.path, from, to, is_reloaded })
        };
        keys::KEYS.iter().filter_map(differ).collect()
    }

    /// These settings with those of `other` that a running daemon can take.
    #[must_use]
    pub fn reloaded(&self, other: &Self) -> Self {
        let mut config = self.clone();
        config.geo.clone_from(&other.geo);
        config.ioc.clone_from(&other.ioc);
        config.rules.clone_from(&other.rules);
        config.alerts.clone_from(&other.alerts);
        config.socket.allowed_users.clone_from(&other.socket.allowed_users);
        config.socket.allowed_groups.clone_from(&other.socket.allowed_groups);
        config.socket.operators.clone_from(&other.socket.operators);
        config.search.queue_max = other.search.queue_max;
        config.search.deadline_ms = other.search.deadline_ms;
        config.web.hosts.clone_from(&other.web.hosts);
        config.log.level = other.log.level;
        config
    }

    /// The files in which values are looked up.
    pub fn sources(&self) -> enrich::Sources {
        enrich::Sources {
            geo: self.geo.databases.clone(),
            geo_bytes_max: self.geo.bytes_max,
            ip_ranges: self.geo.ip_ranges.clone(),
            lists: self.ioc.files.clone(),
        }
    }

    /// What the settings let the daemon use at most on a machine with `cores` cores.
    pub fn memory(&self, cores: usize) -> MemorySum {
        memory::sum(self, cores)
    }

    /// Refuses settings that add up to more than the machine has. `total_ram` is in bytes; `None`,
    /// where it cannot be learnt, refuses nothing.
    pub fn check_memory(
        &self,
        cores: usize,
        total_ram: Option<u64>,
    ) -> Result<MemorySum, ConfigError> {
        let sum = self.memory(cores);
        match total_ram {
            Some(total_ram) if sum.total() > total_ram => {
                Err(ConfigError::Memory { sum, total_ram })
            }
            _ => Ok(sum),
        }
    }
}

impl Ingest {
    /// Ingest threads on a machine with `cores` cores.
    pub fn workers(&self, cores: usize) -> usize {
        or_one_a_core(self.threads, cores)
    }
}

impl Search {
    /// Searches that run at the same time on a machine with `cores` cores.
    pub fn concurrent(&self, cores: usize) -> usize {
        or_one_a_core(self.concurrent_max, cores)
    }
}

fn or_one_a_core(count: usize, cores: usize) -> usize {
    if count == 0 { cores.max(1) } else { count }
}

impl Level {
    const NAMES: [(&str, Self); 5] = [
        ("error", Self::Error),
        ("warn", Self::Warn),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("trace", Self::Trace),
    ];

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

impl Auth {
    const NAMES: [(&str, Self); 2] = [("keys", Self::Keys), ("none", Self::None)];

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

impl Region {
    const NAMES: [(&str, Self); 2] = [("all", Self::All), ("client", Self::Client)];

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

impl Format {
    const NAMES: [(&str, Self); 2] = [("text", Self::Text), ("json", Self::Json)];

    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/config/traildex.toml");

    fn load(path: &Path) -> Config {
        Config::load(Some(path), [], &Overrides::default()).unwrap()
    }

    /// One that the key takes, and that is not its default.
    fn other_value(key: &keys::Setting) -> &'static str {
        match key.path {
            "watch.dirs" => "/a:/b \"quoted\"",
            "index.data_dir"
            | "socket.path"
            | "aws.keys_file"
            | "sql.state_dir"
            | "sql.postgres_passwords" => "/elsewhere",
            "evidence.public_keys" => "/keys",
            "geo.databases" | "geo.ip_ranges" | "ioc.files" => "/looked/up",
            "evidence.roots" => "/a b=s3://bucket:/c=s3://other/pre/fix",
            "aws.listen" | "sql.postgres_address" => "[::1]:8123",
            "aws.auth" => "none",
            "aws.region" => "client",
            "aws.data_events" => "false",
            "rules.dirs" => "/rules",
            "rules.pack" => "true",
            "ingest.threads" | "search.concurrent_max" | "sql.queries_max" => "3",
            "ingest.commit_idle_ms" => "999",
            "log.level" => "trace",
            "log.format" => "json",
            path if path.contains("bytes") => "77000 KB",
            _ => "1234",
        }
    }

    #[test]
    fn the_default_file_is_the_built_in_defaults() {
        assert_eq!(load(Path::new(FILE)), Config::default());
        assert_eq!(
            Config::load(None, [], &Overrides::default()).unwrap(),
            Config::default(),
            "the defaults pass their own checks"
        );
    }

    #[test]
    fn the_default_file_sets_and_explains_every_key() {
        let text = std::fs::read_to_string(FILE).unwrap();
        let mut section = "";
        let mut comment = String::new();
        let mut found = Vec::new();
        for line in text.lines() {
            if let Some(header) = line.strip_prefix('[') {
                section = header.trim_end_matches(']');
            } else if let Some(sentence) = line.strip_prefix('#') {
                comment += sentence;
            } else if let Some((name, _)) = line.split_once(" = ") {
                found.push((format!("{section}.{name}"), std::mem::take(&mut comment)));
            } else {
                comment.clear();
            }
        }
        for (key, (path, comment)) in keys::KEYS.iter().zip(&found) {
            assert_eq!(key.path, path, "the order of the table");
            let allowed = format!("Allowed: {}.", (key.field)(&mut Config::default()).allowed());
            assert!(comment.contains(&allowed), "{path}: {comment}\nmust say: {allowed}");
            let is_reloaded = keys::RELOADED.contains(&key.path);
            assert_eq!(comment.contains(" SIGHUP reloads it."), is_reloaded, "{path}: {comment}");
        }
        assert_eq!(found.len(), keys::KEYS.len());
    }

    #[test]
    fn every_field_has_a_key() {
        let printed = format!("{:#?}", Config::default());
        let fields = printed.lines().filter(|line| line.contains(": ") && !line.ends_with('{'));
        assert_eq!(fields.count(), keys::KEYS.len(), "{printed}");
    }

    #[test]
    fn every_key_can_be_set_by_environment_and_printed_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        for key in &keys::KEYS {
            let env = [(key.variable(), other_value(key).to_owned())];
            let config = Config::load(None, env, &Overrides::default()).unwrap();
            assert_ne!(config, Config::default(), "{}", key.path);

            let printed = dir.path().join("printed.toml");
            std::fs::write(&printed, config.to_toml()).unwrap();
            assert_eq!(load(&printed), config, "{}", key.path);
        }
    }

    #[test]
    fn a_running_daemon_takes_the_keys_that_are_reloaded_and_no_other() {
        for key in &keys::KEYS {
            let env = [(key.variable(), other_value(key).to_owned())];
            let other = Config::load(None, env, &Overrides::default()).unwrap();
            let changes = Config::default().changes(&other);
            let [change] = changes.as_slice() else { panic!("{}: {changes:?}", key.path) };
            assert_eq!(change.key, key.path);
            let reloaded = Config::default().reloaded(&other);
            let expected = if change.is_reloaded { other } else { Config::default() };
            assert_eq!(reloaded, expected, "{}", key.path);
        }
    }

    #[test]
    fn users_and_groups_are_names_and_numbers() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("traildex.toml");
        let text = "[socket]\ngroup = 7\nallowed_users = [\"alice\", 1000, \"1001\"]\n";
        std::fs::write(&file, text).unwrap();
        let socket = load(&file).socket;
        assert_eq!((&*socket.group, socket.allowed_groups.len()), ("7", 0));
        assert_eq!(socket.allowed_users, ["alice", "1000", "1001"]);
        for value in ["[\"\"]", "[true]", "[-1]", "\"alice\"", "{ a = 1 }"] {
            std::fs::write(&file, format!("[socket]\nallowed_groups = {value}\n")).unwrap();
            let error = Config::load(Some(&file), [], &Overrides::default()).unwrap_err();
            assert!(error.to_string().ends_with("allowed is a list of names and numbers"));
        }
    }

    #[test]
    fn the_names_of_choices_are_in_the_order_of_their_variants() {
        assert!(Level::NAMES.iter().all(|(name, level)| level.name() == *name));
        assert!(Auth::NAMES.iter().all(|(name, auth)| auth.name() == *name));
        assert!(Region::NAMES.iter().all(|(name, region)| region.name() == *name));
        assert!(Format::NAMES.iter().all(|(name, format)| format.name() == *name));
    }

    #[test]
    fn zero_threads_are_one_a_core() {
        let mut config = Config::default();
        assert_eq!((config.ingest.workers(8), config.search.concurrent(0)), (8, 1));
        config.ingest.threads = 3;
        assert_eq!(config.ingest.workers(8), 3);
    }
}
