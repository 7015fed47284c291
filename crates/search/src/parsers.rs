//! Parsers that searches take turns with. A new one has to learn the paths of records, which takes longer
//! than to parse a few records.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use trail::parse::Parser;

/// Parsers that are kept while nobody uses them: one for each core that a search uses, on most
/// machines. One takes about a MiB at most.
const KEPT_MAX: usize = 8;

static KEPT: Mutex<Vec<Parser>> = Mutex::new(Vec::new());

/// A parser, which the next search gets when this is dropped.
pub(crate) struct SharedParser(Parser);

impl SharedParser {
    pub(crate) fn take() -> Self {
        Self(KEPT.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default())
    }
}

impl Deref for SharedParser {
    type Target = Parser;

    fn deref(&self) -> &Parser {
        &self.0
    }
}

impl DerefMut for SharedParser {
    fn deref_mut(&mut self) -> &mut Parser {
        &mut self.0
    }
}

impl Drop for SharedParser {
    fn drop(&mut self) {
        // What a panic may have left behind is not used again.
        if std::thread::panicking() || !self.0.is_small() {
            return;
        }
        let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_MAX {
            kept.push(mem::take(&mut self.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_met(parser: &mut SharedParser, record: &str) -> bool {
        parser.parse_record(record.as_bytes()).is_some()
    }

    #[test]
    fn a_parser_that_met_much_is_not_kept() {
        let plain = r#"{"eventName":"A","eventTime":"2026-06-01T00:00:00Z","x":1}"#;
        let mut parser = SharedParser::take();
        assert!(has_met(&mut parser, plain));
        assert!(parser.is_small());
        let names: Vec<String> = (0..5_000).map(|n| format!(r#""k{n}":{n}"#)).collect();
        assert!(has_met(&mut parser, &format!("{{{}}}", names.join(","))));
        assert!(!parser.is_small(), "many names");
        let mut parser = SharedParser::take();
        assert!(has_met(&mut parser, &format!(r#"{{"a":"{}"}}"#, "x".repeat(1 << 20))));
        assert!(!parser.is_small(), "a large record");
    }
}
