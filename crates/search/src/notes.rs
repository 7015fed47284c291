//! What a search tells of how it took its query: sentences that become the answer's `warnings`.
//!
//! The parser's notes are the first. Whatever gives the query its meaning adds others: it holds a
//! `&Notes`.

use std::cell::RefCell;

/// Sentences for the reader of the answer, each once, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Notes(RefCell<Vec<String>>);

impl Notes {
    /// Adds a sentence, unless it is there already.
    pub(crate) fn add(&self, note: String) {
        let mut notes = self.0.borrow_mut();
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Adds sentences.
    pub(crate) fn extend(&self, notes: Vec<String>) {
        for note in notes {
            self.add(note);
        }
    }

    /// Takes the sentences out, for the answer.
    pub(crate) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}
