//! Evidence: chains of digests that the tests sign themselves, and what the real program says of them.

mod attacks;
mod bounds;
mod bundle;
mod bundle_clients;
mod bundle_forged;
mod bundle_hostile;
mod bundle_incomplete;
mod bundle_resume;
mod bundle_tars;
mod cases;
mod chain;
mod changes;
#[path = "../common/mod.rs"]
mod common;
mod daemon;

use std::path::Path;

use wire::{DigestState, Integrity, ValidateReport};

use crate::common::traildex;

/// What `traildex validate` says.
pub(crate) struct Validated {
    pub(crate) code: i32,
    pub(crate) report: ValidateReport,
}

/// Validates a copy with the keys in `keys`, a file or a folder.
pub(crate) fn validate_with(copy: &Path, keys: &Path, args: &[&str]) -> Validated {
    let mut command = traildex();
    command.arg("validate").args(args).arg("--format").arg("json").arg("--public-keys").arg(keys);
    let output = command.arg(copy).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report = serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text} {}", String::from_utf8_lossy(&output.stderr))
    });
    Validated { code: output.status.code().unwrap(), report }
}

impl chain::Bench {
    pub(crate) fn validate(&self) -> Validated {
        validate_with(&self.copy, &self.keys, &[])
    }
}

impl Validated {
    /// How many files are in a state.
    pub(crate) fn files(&self, state: Integrity) -> u64 {
        self.report.files_in(state)
    }

    /// How many digests are in a state.
    pub(crate) fn digests(&self, state: DigestState) -> u64 {
        self.report.digests.iter().find(|of| of.state == state).map_or(0, |of| of.count)
    }

    /// The state of a named file; verified where it is not named.
    #[track_caller]
    pub(crate) fn file(&self, path: &Path) -> Integrity {
        let path = path.to_str().unwrap();
        let named = &self.report.files_named;
        named.iter().find(|of| of.path == path).map_or(Integrity::Verified, |of| of.state)
    }

    /// The state of a named digest, and why; verified where it is not named.
    pub(crate) fn digest(&self, path: &Path) -> (DigestState, String) {
        let path = path.to_str().unwrap();
        let named = self.report.digests_named.iter().find(|of| of.path == path);
        named.map_or((DigestState::Verified, String::new()), |of| {
            (of.state, of.reason.clone().unwrap_or_default())
        })
    }

    /// When each hour without a digest begins.
    pub(crate) fn gap_hours(&self) -> Vec<String> {
        let gaps = self.report.chains.iter().flat_map(|chain| &chain.gaps);
        gaps.flat_map(|gap| &gap.hours).map(ToString::to_string).collect()
    }

    #[track_caller]
    pub(crate) fn is_valid(&self) {
        assert!(self.code == 0 && self.report.is_verified, "{:#?}", self.report);
        let files: u64 = self.report.files.iter().map(|of| of.count).sum();
        assert_eq!(self.files(Integrity::Verified), files);
    }

    #[track_caller]
    pub(crate) fn is_not_valid(&self) -> &Self {
        assert!(self.code == 4 && !self.report.is_verified, "{} {:#?}", self.code, self.report);
        self
    }
}
