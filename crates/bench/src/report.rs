//! The results of a benchmark, as it saves and compares them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::latency::Latencies;
use wire::TotalMode;

/// Everything that one run measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Version of the program that was measured.
    pub version: String,
    /// Processor cores available to the program.
    pub cores: usize,
    /// When the run began, RFC 3339.
    pub started_at: String,
    /// How far the searches counted their matches.
    #[serde(default)]
    pub total: TotalMode,
    /// What indexing cost; None if the run indexed nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<IngestReport>,
    /// What starting the daemon cost; None if the run started none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartReport>,
    /// Events in the index that was searched.
    pub events: u64,
    /// One entry for each query, in the order asked.
    pub queries: Vec<QueryReport>,
}

/// What indexing an archive cost, and what it found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IngestReport {
    /// Events indexed.
    pub events: u64,
    /// Files indexed.
    pub files: u64,
    /// Records whose event was in the index already.
    pub duplicates: u64,
    /// Records that could not be read.
    pub rejected: u64,
    /// Files in which nothing could be indexed.
    pub files_rejected: u64,
    /// Files that were not read, such as links and pipes.
    pub skipped: u64,
    /// Bytes of the files, uncompressed.
    pub raw_bytes: u64,
    /// Bytes of the files on disk.
    pub read_bytes: u64,
    /// Seconds on the clock, from start to end.
    pub wall_s: f64,
    /// Processor seconds of the whole process, its start and merges included.
    pub cpu_s: f64,
    /// The most memory resident at once, pages of mapped files included.
    pub peak_resident_bytes: u64,
    /// Seconds on the clock that threads were busy, by part of the work.
    pub busy_s: BTreeMap<String, f64>,
    /// Bytes of the index on disk, by purpose.
    pub index_bytes: BTreeMap<String, u64>,
}

/// What a daemon costs from its start until it answers searches, and at rest.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StartReport {
    /// Milliseconds until it is ready, with the index out of the page cache.
    pub cold_ms: f64,
    /// Milliseconds until it is ready, with the index in the page cache.
    pub warm_ms: f64,
    /// Memory resident after all queries, without pages of mapped files.
    pub own_bytes: u64,
    /// The most memory resident at once, pages of mapped files included.
    pub peak_resident_bytes: u64,
    /// Processor seconds that the daemon takes in one second of rest.
    pub idle_cpu_s: f64,
}

/// What one query cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct QueryReport {
    /// What the question is called.
    pub name: String,
    /// The query's text.
    pub query: String,
    /// How many events match the query.
    pub matches: u64,
    /// Milliseconds of the first answer after a start, with the index out of the page cache; None
    /// if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_ms: Option<f64>,
    /// Latencies with the index in the page cache.
    #[serde(flatten)]
    pub warm: Latencies,
}

impl IngestReport {
    /// Processor seconds for a million events.
    pub fn cpu_s_per_million(&self) -> f64 {
        self.cpu_s * 1e6 / self.events.max(1) as f64
    }

    /// Bytes of the whole index on disk.
    pub fn index_bytes_all(&self) -> u64 {
        self.index_bytes.values().sum()
    }

    /// Bytes of the index divided by bytes of the uncompressed files.
    pub fn share_of_raw(&self) -> f64 {
        self.index_bytes_all() as f64 / self.raw_bytes.max(1) as f64
    }
}
