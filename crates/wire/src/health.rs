//! The state of the daemon and of its index.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::RulesStatus;
use trail::time::Micros;

/// The answer to `GET /v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    /// The daemon's version, as in `traildex --version`.
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    /// Directories of the archive that the daemon watches.
    pub watch: Vec<String>,
    /// The directory that holds the index.
    pub data_dir: String,
    /// Files of the archive, counted by state.
    pub files: FileCounts,
    /// Records of the archive, counted by what became of them.
    pub events: EventCounts,
    /// The index on disk.
    pub index: IndexStatus,
    /// How far the index is behind the archive.
    pub lag: Lag,
    /// False while ingest is paused, and after it has stopped for good; `fault` says which, and
    /// why. Searches go on.
    pub is_ingesting: bool,
    /// True while ingest waits for a fault to pass; it then goes on by itself.
    #[serde(default)]
    pub is_paused: bool,
    /// Why ingest is paused or stopped; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The rebuild that is running, or how the last one ended; absent without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildStatus>,
    /// What the rules do that are asked of what comes in; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RulesStatus>,
    /// The fields that are looked up in files of the operator's, such as `geo.country` and `ioc`; absent
    /// where none can be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lookups: Vec<LookupStatus>,
    /// What a person should know: damage, data that was set aside, directories that cannot be
    /// watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A field that is looked up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LookupStatus {
    /// Its name in queries.
    pub field: String,
    /// What it is looked up in: `GeoLite2-City of 2026-11-24`.
    pub sources: Vec<String>,
}

/// Files counted by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileCounts {
    /// Files found whose names can be those of trail files.
    pub seen: u64,
    /// Files that were read, with durable events.
    pub indexed: u64,
    /// Waiting, settling, or being read.
    pub pending: u64,
    /// Files that could not be read, or in which nothing could be read as a record.
    pub rejected: u64,
    /// CloudTrail digest files, which hold no events.
    pub digest: u64,
    /// Trail files without a record.
    pub empty: u64,
    /// Earlier readings of files that changed and were read again.
    pub replaced: u64,
    /// Files to be read again, because a damaged segment held some of their events.
    pub reread: u64,
    /// Links, pipes, sockets, devices, names that are not UTF-8, and files that cannot be opened.
    pub skipped: u64,
    /// Files that are no trail's, by their names or their content.
    pub ignored: u64,
}

/// Records counted by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventCounts {
    /// Events in the index.
    pub indexed: u64,
    /// Events older than the retention period: deleted from the index, or never added.
    #[serde(default)]
    pub expired: u64,
    /// Records whose event was in the index already.
    pub duplicates: u64,
    /// Events that share account and `eventID` with an earlier event of different content.
    pub conflicting: u64,
    /// Records that could not be read; each is listed with its file by `GET /v1/files`.
    pub rejected: u64,
    /// Records that needed a repair to be read.
    pub repaired: u64,
    /// Events that a damaged segment held, of files that have not been read again yet.
    pub lost: u64,
    /// Time of the earliest event; null while the index is empty.
    pub first: Option<Micros>,
    /// Time of the latest event; null while the index is empty.
    pub last: Option<Micros>,
}

/// The index on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndexStatus {
    /// Bytes that the index takes on disk.
    pub bytes: u64,
    /// Bytes free on the index's file system; ingest needs `index.free_bytes_min`.
    #[serde(default)]
    pub free_bytes: u64,
    /// Segments in the current snapshot.
    pub segments: u64,
    /// Damaged segments; a search that needs one is refused.
    pub damaged: u64,
    /// Version of the index's format on disk: see docs/format.md.
    pub format_version: u32,
}

/// How far the index is behind the archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lag {
    /// Bytes on disk of the pending files.
    pub pending_bytes: u64,
    /// Seconds since the oldest pending file was first seen; 0 when nothing is pending.
    pub oldest_pending_s: f64,
    /// Seconds since the last commit; null before the first.
    pub last_commit_s: Option<f64>,
    /// Seconds since the last full scan of the archive ended; null before the first. A change that
    /// the kernel did not report is at most this far behind.
    pub last_scan_s: Option<f64>,
}

/// `POST /v1/rebuild`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RebuildRequest {
    /// Rebuild even if files have left the archive; the new index then lacks their events.
    #[serde(default)]
    pub accept_loss: bool,
}

/// A rebuild of the index. The old index answers searches until the new one has caught up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildStatus {
    /// Whether the rebuild runs, is done or failed.
    pub state: RebuildState,
    /// Why it failed; absent unless it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The uid of the user who asked for it.
    #[serde(default)]
    pub uid: u32,
    /// Events of the old index that the new one lacks, once it has taken its place.
    #[serde(default)]
    pub events_lost: u64,
    /// Files read since it began.
    pub files: u64,
    /// Events indexed since it began.
    pub events: u64,
    /// Files found that are still to be read.
    pub pending: u64,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RebuildState {
    /// The new index is being filled.
    #[default]
    Running,
    /// The new index has taken the place of the old one.
    Done,
    /// The rebuild was given up; the old index stays.
    Failed,
}

/// The answer to `GET /v1/verify`, and to `POST /v1/verify`, which starts a check of the index.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyStatus {
    /// Whether a check is running now.
    pub is_running: bool,
    /// Bytes that the running check has read.
    pub bytes_done: u64,
    /// Bytes that the running check has to read.
    pub bytes_total: u64,
    /// What the last check found; absent before the first has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<VerifyReport>,
}

/// What a check of the index found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReport {
    /// When the check ended.
    pub checked_at: Micros,
    /// Segments checked.
    pub segments: u64,
    /// Events in these segments.
    pub events: u64,
    /// Files of the archive that the ledger lists.
    pub files: u64,
    /// Bytes whose checksums were compared.
    pub bytes: u64,
    /// One entry for each fault found; empty for a healthy index.
    pub problems: Vec<VerifyProblem>,
}

/// A fault that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyProblem {
    /// The file of the index or of the archive that has the fault.
    pub path: String,
    /// What is wrong with it, for a person.
    pub problem: String,
}
