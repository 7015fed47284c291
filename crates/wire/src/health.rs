//! The state of the daemon and of its index.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use trail::time::Micros;

/// `GET /v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Status {
    pub version: String,
    /// Seconds since the daemon started.
    pub uptime_s: u64,
    pub watch: Vec<String>,
    pub data_dir: String,
    pub files: FileCounts,
    pub events: EventCounts,
    pub index: IndexStatus,
    pub lag: Lag,
    /// False while ingest is paused, and once it has stopped for good; `fault` says which, and why.
    /// Searches go on.
    pub is_ingesting: bool,
    /// Ingest waits for its fault to pass, and goes on by itself.
    #[serde(default)]
    pub is_paused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// A rebuild that is under way, or how the last one ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebuild: Option<RebuildStatus>,
    /// What a person should know: damage, what was set aside, what cannot be watched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Files by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileCounts {
    /// Files that were found and whose names can be a trail file's.
    pub seen: u64,
    pub indexed: u64,
    /// Waiting, settling, or being read.
    pub pending: u64,
    /// Nothing in them could be read as a record, or the file itself could not be read.
    pub rejected: u64,
    /// CloudTrail digest files: recognised, not events.
    pub digest: u64,
    /// Trail files without a record.
    pub empty: u64,
    /// Readings of files that were read again since, because they changed.
    pub replaced: u64,
    /// To be read again, because a part of the index that held events of them was damaged.
    pub reread: u64,
    /// Links, pipes, sockets, devices, names that are not UTF-8, and what cannot be opened.
    pub skipped: u64,
    /// Other names.
    pub ignored: u64,
}

/// Records by what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventCounts {
    pub indexed: u64,
    /// Events that are older than is kept: they were dropped, or not taken in.
    #[serde(default)]
    pub expired: u64,
    /// Records whose event was in the index already.
    pub duplicates: u64,
    /// Events whose account and `eventID` an earlier one has, with different content.
    pub conflicting: u64,
    /// Records that could not be read; each is listed with its file by `GET /v1/files`.
    pub rejected: u64,
    /// Records that could be read after a repair.
    pub repaired: u64,
    /// Events that were in a damaged part of the index, of files that were not read again yet.
    pub lost: u64,
    /// Time of the earliest and of the latest event.
    pub first: Option<Micros>,
    pub last: Option<Micros>,
}

/// The index on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IndexStatus {
    pub bytes: u64,
    /// What its file system has left; see `index.free_bytes_min`.
    #[serde(default)]
    pub free_bytes: u64,
    pub segments: u64,
    /// Segments that are damaged: searches over them are refused.
    pub damaged: u64,
    pub format_version: u32,
}

/// How far the index is behind the archive.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Lag {
    /// Bytes, as on disk, of the files that are pending.
    pub pending_bytes: u64,
    /// Seconds since the oldest pending file was first seen; 0 when nothing is pending.
    pub oldest_pending_s: f64,
    /// Seconds since the last commit; absent before the first.
    pub last_commit_s: Option<f64>,
    /// Seconds since the last whole scan of the archive ended; absent before the first. What no
    /// event of the kernel told of is at most this much behind.
    pub last_scan_s: Option<f64>,
}

/// `POST /v1/rebuild`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RebuildRequest {
    /// Whether to go on although files have left the archive, whose events the new index would lack.
    #[serde(default)]
    pub accept_loss: bool,
}

/// A rebuild: searches are answered by the old index until the new one has caught up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RebuildStatus {
    pub state: RebuildState,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Files read since it began.
    pub files: u64,
    /// Events indexed since it began.
    pub events: u64,
    /// Files that are known to be left.
    pub pending: u64,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RebuildState {
    #[default]
    Running,
    /// The new index has taken the place of the old one.
    Done,
    /// It was given up, and the old index stays.
    Failed,
}

/// `GET /v1/verify`; `POST /v1/verify` starts a check and answers the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyStatus {
    pub is_running: bool,
    /// Bytes of the running check that were read, and that are to be read.
    pub bytes_done: u64,
    pub bytes_total: u64,
    /// What the last check found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<VerifyReport>,
}

/// What a check of the index found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyReport {
    /// When it ended.
    pub checked_at: Micros,
    pub segments: u64,
    pub events: u64,
    pub files: u64,
    /// Bytes whose checksums were compared.
    pub bytes: u64,
    pub problems: Vec<VerifyProblem>,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerifyProblem {
    /// The file of the index, or the file of the archive.
    pub path: String,
    pub problem: String,
}
