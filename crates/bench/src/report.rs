//! What a benchmark found, as it is kept and compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::latency::Latencies;
use wire::TotalMode;

/// Everything that one run measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    pub version: String,
    /// Cores that the program sees.
    pub cores: usize,
    pub started_at: String,
    /// How far the searches counted.
    #[serde(default)]
    pub total: TotalMode,
    /// Where an archive was indexed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<IngestReport>,
    /// Where a daemon was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartReport>,
    pub events: u64,
    pub queries: Vec<QueryReport>,
}

/// What indexing an archive came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IngestReport {
    pub events: u64,
    pub files: u64,
    pub duplicates: u64,
    pub rejected: u64,
    pub files_rejected: u64,
    pub skipped: u64,
    /// Uncompressed.
    pub raw_bytes: u64,
    /// As on disk.
    pub read_bytes: u64,
    pub wall_s: f64,
    /// Of the whole process, merges and its start included.
    pub cpu_s: f64,
    pub peak_resident_bytes: u64,
    /// Seconds that threads were busy with each part of the work, on the clock.
    pub busy_s: BTreeMap<String, f64>,
    /// The index on disk, by what it is for.
    pub index_bytes: BTreeMap<String, u64>,
}

/// What it takes until a daemon answers searches.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StartReport {
    /// With the index out of the page cache.
    pub cold_ms: f64,
    pub warm_ms: f64,
    /// When all queries were measured: resident, without pages of mapped files.
    pub own_bytes: u64,
    /// The same, at its peak, pages of mapped files included.
    pub peak_resident_bytes: u64,
    /// Processor seconds in a second of rest.
    pub idle_cpu_s: f64,
}

/// One query.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct QueryReport {
    pub name: String,
    pub query: String,
    /// Events that match.
    pub matches: u64,
    /// The first answer of a daemon that was just started, with the index out of the page cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_ms: Option<f64>,
    #[serde(flatten)]
    pub warm: Latencies,
}

impl IngestReport {
    /// CPU seconds for a million events.
    pub fn cpu_s_per_million(&self) -> f64 {
        self.cpu_s * 1e6 / self.events.max(1) as f64
    }

    pub fn index_bytes_all(&self) -> u64 {
        self.index_bytes.values().sum()
    }

    /// The index as a share of the uncompressed records.
    pub fn share_of_raw(&self) -> f64 {
        self.index_bytes_all() as f64 / self.raw_bytes.max(1) as f64
    }
}
