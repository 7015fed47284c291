//! The cursor: the end of a page of events, as text that a client sends back for the next page.
//!
//! A cursor is a position in the one order of all events. So pages neither repeat nor skip an event
//! while others arrive and segments merge. The cursor also fixes `now` for all pages, and belongs
//! to one search: another one refuses it.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use segment::position::Position;
use store::snapshot::Snapshot;
use trail::time::Micros;
use wire::{ApiError, ErrorKind, SearchRequest};

/// Counted up when the meaning of the numbers changes.
const VERSION: u64 = 1;

const NUMBERS: usize = 8;

/// See the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// The position of the last event of the page.
    pub(crate) after: Position,
    /// How many events the pages so far had, for a query with a limit of its own.
    pub(crate) given: u64,
    /// What relative times are relative to, in microseconds.
    now: i64,
    /// Hash of what must not change from page to page.
    search: u64,
    /// When the index was begun whose files `after` numbers.
    begun: Micros,
}

impl Cursor {
    /// Makes the cursor at the end of a page.
    pub(crate) fn behind(
        after: Position,
        given: u64,
        now: Timestamp,
        request: &SearchRequest,
        snapshot: &Snapshot,
    ) -> Self {
        let (now, search) = (now.as_microsecond(), search_hash(request));
        Self { after, given, now, search, begun: snapshot.begun }
    }

    /// Parses the cursor of a request; None where it has none, an error where it belongs to another
    /// search or index.
    pub(crate) fn of(
        request: &SearchRequest,
        snapshot: &Snapshot,
    ) -> Result<Option<Self>, ApiError> {
        let Some(text) = &request.cursor else { return Ok(None) };
        let bad = |message: &str| Err(ApiError::new(ErrorKind::BadRequest, message));
        let Some(cursor) = Self::parse(text) else {
            return bad("cursor: this is none of traildex's");
        };
        if cursor.search != search_hash(request) {
            return bad(
                "cursor: it belongs to another search; query, start, end, time_zone and order \
                 must be as they were",
            );
        }
        if cursor.begun != snapshot.begun {
            let message = "cursor: the index was made anew since; begin at the first page again";
            return Err(ApiError::new(ErrorKind::Gone, message));
        }
        Ok(Some(cursor))
    }

    pub(crate) fn now(&self) -> Option<Timestamp> {
        Timestamp::from_microsecond(self.now).ok()
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        let numbers: [[u8; 8]; NUMBERS] = numbers.try_into().ok()?;
        let [version, time, file, offset, given, now, search, begun] =
            numbers.map(u64::from_le_bytes);
        let cursor = Self {
            after: Position { time: Micros(time.cast_signed()), file, offset },
            given,
            now: now.cast_signed(),
            search,
            begun: Micros(begun.cast_signed()),
        };
        (rest.is_empty() && version == VERSION && cursor.now().is_some()).then_some(cursor)
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { after: Position { time, file, offset }, given, now, search, begun } = *self;
        let numbers: [u64; NUMBERS] = [
            VERSION,
            time.0.cast_unsigned(),
            file,
            offset,
            given,
            now.cast_unsigned(),
            search,
            begun.0.cast_unsigned(),
        ];
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(numbers.map(u64::to_le_bytes).as_flattened()))
    }
}

/// Of the keys of a request that decide which events it finds, and in which order.
fn search_hash(request: &SearchRequest) -> u64 {
    let SearchRequest { query, start, end, time_zone, order, .. } = request;
    let keys = (query.to_string(), start, end, time_zone, order);
    xxh3_64(&serde_json::to_vec(&keys).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor = Cursor {
            after: Position { time: Micros(-1), file: u64::MAX, offset: 3 },
            given: 50,
            now: 1_700_000_000_000_001,
            search: 4,
            begun: Micros(5),
        };
        let text = cursor.to_string();
        assert_eq!(Cursor::parse(&text), Some(cursor));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        for other in ["", "A", &text[1..], &text[..text.len() - 4], &format!("{text}AAAA")] {
            assert_eq!(Cursor::parse(other), None, "{other}");
        }
        let far = Cursor { now: i64::MAX, ..cursor };
        assert_eq!(Cursor::parse(&far.to_string()), None);
    }
}
