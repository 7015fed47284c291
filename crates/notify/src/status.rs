//! What is known of a target: kept by the program that runs, shown by `status`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::disk;

/// The state of one target.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct TargetStatus {
    pub counts: Counts,
    pub delivered_at: Option<String>,
    /// In a row, until now.
    pub failures: u32,
    /// The last one, until a delivery.
    pub error: Option<String>,
    pub next_try: Option<String>,
    /// What the reader does.
    pub reading: String,
}

/// Counted since the target is there; a kill can lose the last ones.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Counts {
    pub delivered: u64,
    /// Attempts that failed and were to be repeated.
    pub failures: u64,
    pub dead: u64,
    /// By level, rule or kind of change.
    pub not_wanted: u64,
    pub too_old: u64,
    /// Dropped by the daemon before they were read.
    pub missed: u64,
}

impl TargetStatus {
    pub(crate) fn read(folder: &Path) -> Self {
        let bytes = disk::read(&folder.join("status.json")).ok().flatten();
        bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    pub(crate) fn write(&self, folder: &Path) -> std::io::Result<()> {
        disk::replace(&folder.join("status.json"), &serde_json::to_vec(self)?, disk::Sync::No)
    }
}
