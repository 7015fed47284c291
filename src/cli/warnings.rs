//! What answers warn of, on standard error: how a query was taken, and why events may be missing.

use std::collections::BTreeSet;
use std::io::{self, Write};

use crate::cli::text::escape;

/// Warnings of several answers to one query, each told once.
#[derive(Debug, Default)]
pub(super) struct Warnings(BTreeSet<String>);

impl Warnings {
    /// Tells those that were not told yet.
    pub(super) fn tell(&mut self, warnings: &[String]) {
        for warning in warnings {
            if self.0.insert(warning.clone()) {
                let _ = writeln!(io::stderr(), "warning: {}", escape(warning));
            }
        }
    }
}
