//! A line of the ledger on disk: a [`segment::file::FileRecord`], or a loss.
//!
//! These types are the format, as those are.

use serde::{Deserialize, Serialize};

use trail::time::Micros;

/// The events of one file that were in a damaged segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// The file's number in the ledger.
    pub file: u64,
    /// How many events of the file were lost. Zero where only events that it duplicates may have
    /// been in the segment.
    pub events: u64,
    /// When the damage was found.
    pub at: Micros,
}

impl Loss {
    pub(super) fn reason(events: u64) -> String {
        match events {
            0 => "it shares events with files whose events were in a damaged part of the index; to be \
                  read again"
                .to_owned(),
            events => {
                format!("{events} of its events were in a damaged part of the index; to be read again")
            }
        }
    }
}

/// A line that tells of a loss.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LossLine {
    pub(crate) loss: Loss,
}

/// How such a line begins, and no other does.
pub(super) const LOSS_PREFIX: &[u8] = b"{\"loss\":";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_a_loss_are_those_of_version_4() {
        let loss = Loss { file: 4, events: 3, at: Micros(2_000_000) };
        let line = serde_json::to_string(&LossLine { loss }).unwrap();
        assert_eq!(line, r#"{"loss":{"file":4,"events":3,"at":"1970-01-01T00:00:02Z"}}"#);
        assert!(line.as_bytes().starts_with(LOSS_PREFIX));
    }
}
