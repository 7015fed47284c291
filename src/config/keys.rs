//! The table of keys, and how a given value becomes a field. Pure.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use toml::de::DeValue;

use super::{Auth, Config, Format, Level, Region};
use formats::bytes;

/// One setting that a person can make.
pub(super) struct Setting {
    /// Section and name: `search.deadline_ms`.
    pub path: &'static str,
    /// Where its value lives, and what it may be.
    pub field: fn(&mut Config) -> Field<'_>,
}

/// In the order of `config/traildex.toml`.
pub(super) static KEYS: [Setting; 50] = [
    Setting { path: "watch.dirs", field: |c| Field::Dirs(&mut c.watch.dirs) },
    Setting { path: "watch.rescan_s", field: |c| Field::Time(&mut c.watch.rescan_s, RESCAN_S) },
    Setting { path: "watch.settle_ms", field: |c| Field::Time(&mut c.watch.settle_ms, SETTLE_MS) },
    Setting {
        path: "watch.unfinished_s",
        field: |c| Field::Time(&mut c.watch.unfinished_s, UNFINISHED_S),
    },
    Setting { path: "index.data_dir", field: |c| Field::Path(&mut c.index.data_dir) },
    Setting {
        path: "index.free_bytes_min",
        field: |c| Field::Bytes(&mut c.index.free_bytes_min, FREE_BYTES),
    },
    Setting {
        path: "retention.age_days_max",
        field: |c| Field::Count(&mut c.retention.age_days_max, AGE_DAYS),
    },
    Setting {
        path: "retention.bytes_max",
        field: |c| Field::Bytes(&mut c.retention.bytes_max, KEPT_BYTES),
    },
    Setting { path: "ingest.threads", field: |c| Field::Count(&mut c.ingest.threads, THREADS) },
    Setting {
        path: "ingest.commit_age_ms_max",
        field: |c| Field::Time(&mut c.ingest.commit_age_ms_max, COMMIT_AGE_MS),
    },
    Setting {
        path: "ingest.commit_idle_ms",
        field: |c| Field::Time(&mut c.ingest.commit_idle_ms, COMMIT_IDLE_MS),
    },
    Setting {
        path: "ingest.segment_events_max",
        field: |c| Field::Count(&mut c.ingest.segment_events_max, SEGMENT_EVENTS),
    },
    Setting {
        path: "ingest.segment_bytes_max",
        field: |c| Field::Bytes(&mut c.ingest.segment_bytes_max, SEGMENT_BYTES),
    },
    Setting {
        path: "ingest.file_bytes_max",
        field: |c| Field::Bytes(&mut c.ingest.file_bytes_max, FILE_BYTES),
    },
    Setting {
        path: "ingest.inflate_ratio_max",
        field: |c| Field::Count(&mut c.ingest.inflate_ratio_max, INFLATE_RATIO),
    },
    Setting { path: "evidence.public_keys", field: |c| Field::Dirs(&mut c.evidence.public_keys) },
    Setting { path: "evidence.roots", field: |c| Field::Roots(&mut c.evidence.roots) },
    Setting { path: "geo.databases", field: |c| Field::Dirs(&mut c.geo.databases) },
    Setting { path: "geo.bytes_max", field: |c| Field::Bytes(&mut c.geo.bytes_max, GEO_BYTES) },
    Setting { path: "geo.ip_ranges", field: |c| Field::File(&mut c.geo.ip_ranges) },
    Setting { path: "ioc.files", field: |c| Field::Dirs(&mut c.ioc.files) },
    Setting { path: "rules.dirs", field: |c| Field::Dirs(&mut c.rules.dirs) },
    Setting { path: "rules.pack", field: |c| Field::Bool(&mut c.rules.pack) },
    Setting {
        path: "alerts.age_days_max",
        field: |c| Field::Count(&mut c.alerts.age_days_max, AGE_DAYS),
    },
    Setting { path: "socket.path", field: |c| Field::Path(&mut c.socket.path) },
    Setting { path: "socket.group", field: |c| Field::Group(&mut c.socket.group) },
    Setting { path: "socket.allowed_users", field: |c| Field::Names(&mut c.socket.allowed_users) },
    Setting {
        path: "socket.allowed_groups",
        field: |c| Field::Names(&mut c.socket.allowed_groups),
    },
    Setting { path: "socket.operators", field: |c| Field::Names(&mut c.socket.operators) },
    Setting {
        path: "socket.connections_max",
        field: |c| Field::Count(&mut c.socket.connections_max, CONNECTIONS),
    },
    Setting {
        path: "search.concurrent_max",
        field: |c| Field::Count(&mut c.search.concurrent_max, THREADS),
    },
    Setting { path: "search.queue_max", field: |c| Field::Count(&mut c.search.queue_max, QUEUE) },
    Setting {
        path: "search.deadline_ms",
        field: |c| Field::Time(&mut c.search.deadline_ms, DEADLINE_MS),
    },
    Setting {
        path: "search.record_cache_bytes",
        field: |c| Field::Bytes(&mut c.search.record_cache_bytes, RECORD_CACHE_BYTES),
    },
    Setting { path: "web.hosts", field: |c| Field::Hosts(&mut c.web.hosts) },
    Setting { path: "aws.listen", field: |c| Field::Listen(&mut c.aws.listen) },
    Setting { path: "aws.auth", field: |c| Field::Auth(&mut c.aws.auth) },
    Setting { path: "aws.keys_file", field: |c| Field::Path(&mut c.aws.keys_file) },
    Setting { path: "aws.region", field: |c| Field::Region(&mut c.aws.region) },
    Setting { path: "aws.data_events", field: |c| Field::Bool(&mut c.aws.data_events) },
    Setting { path: "sql.postgres_address", field: |c| Field::Listen(&mut c.sql.postgres_address) },
    Setting {
        path: "sql.postgres_passwords",
        field: |c| Field::Path(&mut c.sql.postgres_passwords),
    },
    Setting { path: "sql.state_dir", field: |c| Field::Path(&mut c.sql.state_dir) },
    Setting { path: "sql.stores", field: |c| Field::Names(&mut c.sql.stores) },
    Setting { path: "sql.queries_max", field: |c| Field::Count(&mut c.sql.queries_max, QUERIES) },
    Setting {
        path: "sql.memory_bytes_max",
        field: |c| Field::Bytes(&mut c.sql.memory_bytes_max, SQL_BYTES),
    },
    Setting {
        path: "sql.disk_bytes_max",
        field: |c| Field::Bytes(&mut c.sql.disk_bytes_max, DISK_BYTES),
    },
    Setting {
        path: "sql.timeout_s_max",
        field: |c| Field::Time(&mut c.sql.timeout_s_max, TIMEOUT_S),
    },
    Setting { path: "log.level", field: |c| Field::Level(&mut c.log.level) },
    Setting { path: "log.format", field: |c| Field::Format(&mut c.log.format) },
];

/// What SIGHUP changes in a daemon that runs; anything else waits for a restart.
pub(super) const RELOADED: [&str; 14] = [
    "geo.databases",
    "geo.bytes_max",
    "geo.ip_ranges",
    "ioc.files",
    "rules.dirs",
    "rules.pack",
    "alerts.age_days_max",
    "socket.allowed_users",
    "socket.allowed_groups",
    "socket.operators",
    "search.queue_max",
    "search.deadline_ms",
    "web.hosts",
    "log.level",
];

type Range = RangeInclusive<u64>;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// A listing of a million files takes seconds, so none more often than that; a file whose event was
/// lost is found within a day.
const RESCAN_S: Range = 1..=86_400;

/// File times step with the kernel's clock, 10 ms at worst: below that, a file that still grows can
/// look settled. Ten minutes serve the slowest copy that does not rename into place.
const SETTLE_MS: Range = 10..=600_000;

/// A second is for tests; what has not grown for a week will not.
const UNFINISHED_S: Range = 1..=604_800;

/// None watches over the disk in another way; a terabyte is more than any merge writes.
const FREE_BYTES: Range = 0..=1 << 40;

/// CloudTrail began in 2013; a hundred years are for good.
const AGE_DAYS: Range = 0..=36_500;

/// A petabyte is more than one machine's disks.
const KEPT_BYTES: Range = 0..=1 << 50;

/// More threads than cores only cost memory; 256 is above the cores of any machine this is for.
const THREADS: Range = 0..=256;

/// A commit waits for the disk, tens of milliseconds on a slow one: below 100 it would do little
/// else. Ten minutes is as long as a crash should cost in repeated work.
const COMMIT_AGE_MS: Range = 100..=600_000;

/// From the pause between two files of one copy to the oldest that a commit can be.
const COMMIT_IDLE_MS: Range = 10..=600_000;

/// Below a thousand, merging costs more than indexing; above a million, the hash table of terms has
/// long left every cache, and the segment's memory ends it first.
const SEGMENT_EVENTS: Range = 1_000..=1_000_000;

/// Tantivy's tables start at megabytes, and its offsets into them are 32 bits wide.
const SEGMENT_BYTES: Range = 16 * MIB..=2 * GIB;

/// AWS's own files end at 50 MB, but most are tiny, and tests bound them tightly. Offsets into a
/// parsed file are 32 bits wide.
const FILE_BYTES: Range = MIB..=2 * GIB;

/// Trail files reach 13:1, generated ones a little more. gzip ends at 1,032:1 by its format, zstd
/// does not.
const INFLATE_RATIO: Range = 50..=10_000;

/// A country's database has some MB, and the largest of cities a GB.
const GEO_BYTES: Range = MIB..=4 * GIB;

/// Each is a file descriptor, and beside them the index's segments need theirs.
const CONNECTIONS: Range = 1..=10_000;

/// 0 refuses a search that cannot start at once; ten thousand waiting ones are an outage already.
const QUEUE: Range = 0..=10_000;

/// A cold disk needs some 100 ms for the first page of a large archive; past ten minutes the client
/// has gone.
const DEADLINE_MS: Range = 100..=600_000;

/// A few blocks for each segment, or caching is only work.
const RECORD_CACHE_BYTES: Range = MIB..=64 * GIB;

/// Each has its share of the memory, and a thread of each core: a hundred at once only share it out.
const QUERIES: Range = 1..=64;

/// Below, a sort does not find the room to be written to disk.
const SQL_BYTES: Range = 64 * MIB..=1024 * GIB;

/// With none, what does not fit the memory ends with an error.
const DISK_BYTES: Range = 0..=1 << 50;

/// Nobody waits for longer than a day.
const TIMEOUT_S: Range = 1..=86_400;

impl Setting {
    pub(super) fn section(&self) -> &'static str {
        self.split().0
    }

    pub(super) fn name(&self) -> &'static str {
        self.split().1
    }

    /// Its environment variable: `TRAILDEX_SEARCH_DEADLINE_MS`.
    pub(super) fn variable(&self) -> String {
        format!("TRAILDEX_{}_{}", self.section(), self.name()).to_ascii_uppercase()
    }

    fn split(&self) -> (&'static str, &'static str) {
        self.path.split_once('.').expect("every row of KEYS has a section")
    }
}

/// A key's place in a [`Config`], with what it takes. Ranges are in the key's own unit.
pub(super) enum Field<'a> {
    Count(&'a mut usize, Range),
    Time(&'a mut u64, Range),
    Bytes(&'a mut usize, Range),
    Path(&'a mut PathBuf),
    Dirs(&'a mut Vec<PathBuf>),
    /// A file; none where it is empty.
    File(&'a mut Option<PathBuf>),
    /// Folders and what they are copies of.
    Roots(&'a mut Vec<evidence::Root>),
    /// A group; empty where none is named.
    Group(&'a mut String),
    Names(&'a mut Vec<String>),
    /// Hosts without ports.
    Hosts(&'a mut Vec<String>),
    /// A loopback address and a port; none where it is empty.
    Listen(&'a mut Option<SocketAddr>),
    Auth(&'a mut Auth),
    Region(&'a mut Region),
    Bool(&'a mut bool),
    Level(&'a mut Level),
    Format(&'a mut Format),
}

impl Field<'_> {
    /// Stores the value; `None` where it is not [`Field::allowed`].
    pub(super) fn set(self, given: &Given) -> Option<()> {
        match self {
            Self::Count(field, range) => *field = within(given.integer()?, &range)? as usize,
            Self::Time(field, range) => *field = within(given.integer()?, &range)?,
            Self::Bytes(field, range) => *field = within(given.bytes()?, &range)? as usize,
            Self::Path(field) => *field = path(given)?,
            Self::Dirs(field) => *field = given.items(path)?,
            Self::File(field) => {
                *field = match given.text()? {
                    "" => None,
                    text => Some(PathBuf::from(text)),
                }
            }
            Self::Roots(field) => *field = given.joined_items(root)?,
            Self::Group(field) => *field = name(given).or_else(|| nothing(given))?,
            Self::Names(field) => *field = given.items(name)?,
            Self::Hosts(field) => *field = given.items(host)?,
            Self::Listen(field) => {
                *field = match given.text()? {
                    "" => None,
                    text => Some(loopback(text)?),
                }
            }
            Self::Auth(field) => *field = choose(&Auth::NAMES, given.text()?)?,
            Self::Region(field) => *field = choose(&Region::NAMES, given.text()?)?,
            Self::Bool(field) => *field = given.truth()?,
            Self::Level(field) => *field = choose(&Level::NAMES, given.text()?)?,
            Self::Format(field) => *field = choose(&Format::NAMES, given.text()?)?,
        }
        Some(())
    }

    /// What it takes, for a message and for the comments of `config/traildex.toml`.
    pub(super) fn allowed(&self) -> String {
        match self {
            Self::Count(_, range) | Self::Time(_, range) => {
                format!("{} to {}", range.start(), range.end())
            }
            Self::Bytes(_, range) => {
                let (min, max) = (bytes::text(*range.start()), bytes::text(*range.end()));
                format!("{min} to {max}, in bytes or as \"128 MiB\"")
            }
            Self::Path(_) => "a path".to_owned(),
            Self::Dirs(_) => "a list of paths".to_owned(),
            Self::File(_) => "a path, or \"\" for none".to_owned(),
            Self::Roots(_) => "a list of FOLDER=s3://BUCKET/PREFIX".to_owned(),
            Self::Group(_) => "a name or a number, or \"\" for none".to_owned(),
            Self::Names(_) => "a list of names and numbers".to_owned(),
            Self::Hosts(_) => "a list of host names and addresses, without ports".to_owned(),
            Self::Listen(_) => {
                "a loopback address and a port, such as 127.0.0.1:8123, or \"\" for none".to_owned()
            }
            Self::Auth(_) => names(&Auth::NAMES),
            Self::Region(_) => names(&Region::NAMES),
            Self::Bool(_) => "true or false".to_owned(),
            Self::Level(_) => names(&Level::NAMES),
            Self::Format(_) => names(&Format::NAMES),
        }
    }

    pub(super) fn to_toml(&self) -> String {
        match self {
            Self::Count(value, _) => value.to_string(),
            Self::Time(value, _) => value.to_string(),
            Self::Bytes(value, _) => match bytes::text(**value as u64) {
                plain if plain.ends_with(|c: char| c.is_ascii_digit()) => plain,
                with_unit => quote(&with_unit),
            },
            Self::Path(path) => quote(&path.to_string_lossy()),
            Self::Dirs(dirs) => list(dirs.iter().map(|dir| quote(&dir.to_string_lossy()))),
            Self::File(path) => quote(
                &path.as_ref().map_or_else(String::new, |it| it.to_string_lossy().into_owned()),
            ),
            Self::Roots(roots) => list(roots.iter().map(|root| quote(&root.to_string()))),
            Self::Group(group) => quote(group),
            Self::Names(names) | Self::Hosts(names) => list(names.iter().map(|name| quote(name))),
            Self::Listen(address) => {
                quote(&address.map_or_else(String::new, |address| address.to_string()))
            }
            Self::Auth(auth) => quote(auth.name()),
            Self::Region(region) => quote(region.name()),
            Self::Bool(value) => value.to_string(),
            Self::Level(level) => quote(level.name()),
            Self::Format(format) => quote(format.name()),
        }
    }
}

/// A value as a person gave it, before its key has taken it.
pub(super) enum Given<'a> {
    Toml(&'a DeValue<'a>),
    Variable(&'a str),
}

impl Given<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Toml(DeValue::String(text)) => Some(text),
            Self::Toml(_) => None,
            Self::Variable(text) => Some(text),
        }
    }

    fn truth(&self) -> Option<bool> {
        match self {
            Self::Toml(DeValue::Boolean(value)) => Some(*value),
            Self::Toml(_) => None,
            Self::Variable(text) => text.parse().ok(),
        }
    }

    fn integer(&self) -> Option<u64> {
        match self {
            Self::Toml(DeValue::Integer(digits)) => {
                u64::from_str_radix(digits.as_str(), digits.radix()).ok()
            }
            Self::Toml(_) => None,
            Self::Variable(text) => text.parse().ok(),
        }
    }

    fn bytes(&self) -> Option<u64> {
        self.integer().or_else(|| bytes::parse(self.text()?))
    }

    /// A TOML list, or a variable with `:` between the items as in `PATH`.
    fn items<T>(&self, item: impl Fn(&Given) -> Option<T>) -> Option<Vec<T>> {
        match self {
            Self::Toml(DeValue::Array(items)) => {
                items.iter().map(|it| item(&Given::Toml(it.get_ref()))).collect()
            }
            Self::Toml(_) => None,
            Self::Variable("") => Some(Vec::new()),
            Self::Variable(text) => text.split(':').map(|it| item(&Given::Variable(it))).collect(),
        }
    }

    /// The same of items that hold `://`, which does not part them.
    fn joined_items<T>(&self, item: impl Fn(&Given) -> Option<T>) -> Option<Vec<T>> {
        let Self::Variable(text) = self else { return self.items(item) };
        let mut items: Vec<String> = Vec::new();
        for part in text.split(':') {
            match items.last_mut().filter(|_| part.starts_with("//")) {
                Some(last) => last.push_str(&format!(":{part}")),
                None => items.push(part.to_owned()),
            }
        }
        let items = items.iter().filter(|text| !text.is_empty());
        items.map(|text| item(&Given::Variable(text))).collect()
    }
}

/// A folder and what it is a copy of.
fn root(given: &Given) -> Option<evidence::Root> {
    evidence::Root::parse(given.text()?).ok()
}

fn path(given: &Given) -> Option<PathBuf> {
    given.text().filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// Of a user or group.
fn name(given: &Given) -> Option<String> {
    let number = || given.integer().map(|number| number.to_string());
    let text = given.text().filter(|text| !text.is_empty()).map(str::to_owned);
    text.or_else(number)
}

fn nothing(given: &Given) -> Option<String> {
    given.text().filter(|text| text.is_empty()).map(str::to_owned)
}

/// As requests name it.
fn host(given: &Given) -> Option<String> {
    given.text().filter(|text| server::Host::parse(text).is_some()).map(str::to_owned)
}

fn loopback(text: &str) -> Option<SocketAddr> {
    text.parse().ok().filter(|address: &SocketAddr| address.ip().is_loopback())
}

fn within(value: u64, range: &Range) -> Option<u64> {
    range.contains(&value).then_some(value)
}

fn choose<T: Copy>(choices: &[(&str, T)], name: &str) -> Option<T> {
    choices.iter().find(|choice| choice.0 == name).map(|choice| choice.1)
}

fn names<T>(choices: &[(&str, T)]) -> String {
    let names: Vec<_> = choices.iter().map(|choice| choice.0).collect();
    let (last, others) = names.split_last().expect("a choice has names");
    format!("{} or {last}", others.join(", "))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A TOML string.
pub(super) fn quote(text: &str) -> String {
    toml::Value::from(text).to_string()
}
