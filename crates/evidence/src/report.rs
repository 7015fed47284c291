//! Findings collected into a report of bounded size.

use std::collections::BTreeMap;

use wire::{DigestState, Integrity, Named, StateCount, ValidateReport};

use crate::judge::Finding;
use crate::limits::NAMED_MAX;

/// Collects findings.
#[derive(Debug, Default)]
pub struct Collector {
    report: ValidateReport,
    files: BTreeMap<Integrity, u64>,
    digests: BTreeMap<DigestState, u64>,
    has_gaps: bool,
}

impl Collector {
    /// Adds one.
    pub fn add(&mut self, finding: Finding<'_>) {
        match finding {
            Finding::File { path, state, reason, .. } => {
                *self.files.entry(state).or_default() += 1;
                if state != Integrity::Verified {
                    let reason = reason.map(str::to_owned);
                    self.keep(
                        |report| &mut report.files_named,
                        || Named { path: path.to_owned(), state, reason },
                    );
                }
            }
            Finding::Digest { path, state, reason } => {
                *self.digests.entry(state).or_default() += 1;
                if state != DigestState::Verified {
                    let reason = reason.map(str::to_owned);
                    self.keep(
                        |report| &mut report.digests_named,
                        || Named { path: path.to_owned(), state, reason },
                    );
                }
            }
            Finding::Chain(chain) => {
                let report = &mut self.report;
                self.has_gaps |= !chain.gaps.is_empty();
                let from = report.verified_from.into_iter().chain(chain.verified_from).min();
                let to = report.verified_to.into_iter().chain(chain.verified_to).max();
                (report.verified_from, report.verified_to) = (from, to);
                self.keep(|report| &mut report.chains, || chain);
            }
            Finding::Note(note) => self.keep(|report| &mut report.notes, || note),
        }
    }

    fn keep<T>(
        &mut self,
        list: impl Fn(&mut ValidateReport) -> &mut Vec<T>,
        item: impl FnOnce() -> T,
    ) {
        if list(&mut self.report).len() < NAMED_MAX {
            let item = item();
            list(&mut self.report).push(item);
        } else {
            self.report.left_out += 1;
        }
    }

    /// The report, with the number of keys that there were.
    pub fn report(mut self, keys: usize) -> ValidateReport {
        // A folder has no order.
        self.report.files_named.sort_by(|a, b| a.path.cmp(&b.path));
        let is_good = |good: bool, count: u64| good || count == 0;
        let files = self.files.iter().all(|(state, n)| is_good(*state == Integrity::Verified, *n));
        let digests =
            self.digests.iter().all(|(state, n)| is_good(*state == DigestState::Verified, *n));
        let has_any = self.digests.get(&DigestState::Verified).is_some_and(|count| *count > 0);
        let has_notes = !self.report.notes.is_empty();
        ValidateReport {
            is_verified: files && digests && has_any && !self.has_gaps && !has_notes,
            files: counts(&self.files),
            digests: counts(&self.digests),
            keys: keys as u64,
            ..self.report
        }
    }
}

fn counts<S: Copy>(counts: &BTreeMap<S, u64>) -> Vec<StateCount<S>> {
    counts.iter().map(|(state, count)| StateCount { state: *state, count: *count }).collect()
}
