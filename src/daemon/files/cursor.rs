//! The cursor of a list of files: the end of a page, as text that a client sends back for the next page.
//!
//! The ledger only grows, so behind so many of its lines no file is listed again, and none is left out.
//! Files that wait or are skipped follow, by state and path. One that is read between two pages becomes a
//! line of the ledger: it can be listed in both states, and is never left out.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use xxhash_rust::xxh3::xxh3_64;

use store::snapshot::Snapshot;
use trail::time::Micros;
use wire::{ApiError, ErrorKind, FileState, FilesRequest};

/// Counted up when the meaning of the parts changes.
const VERSION: u64 = 1;

/// See the module's documentation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Lines of the ledger that the pages so far have gone through.
    pub(super) lines: u64,
    /// The last file that was listed, where it is none of the ledger.
    pub(super) unread: Option<Unread>,
    /// What relative times are relative to, in microseconds.
    now: i64,
    /// Hash of what must not change from page to page.
    request: u64,
    /// When the index was begun whose ledger this is.
    begun: Micros,
}

/// A place among the files that are not read: the order of the list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Unread {
    pub(super) state: FileState,
    pub(super) path: String,
}

impl Cursor {
    /// Where a first page begins.
    pub(super) fn begin(request: &FilesRequest, snapshot: &Snapshot, now: Timestamp) -> Self {
        Self {
            lines: 0,
            unread: None,
            now: now.as_microsecond(),
            request: request_hash(request),
            begun: snapshot.begun,
        }
    }

    /// Where the page of a request begins; an error where its cursor belongs to another list or index.
    pub(super) fn of(request: &FilesRequest, snapshot: &Snapshot) -> Result<Self, ApiError> {
        let Some(text) = &request.cursor else {
            return Ok(Self::begin(request, snapshot, Timestamp::now()));
        };
        let bad = |message: &str| Err(ApiError::new(ErrorKind::BadRequest, message));
        if !request.by.is_empty() {
            return bad("cursor: sums have no pages; ask for them without it");
        }
        let Some(cursor) = Self::parse(text) else {
            return bad("cursor: this is none of traildex's lists of files");
        };
        if cursor.request != request_hash(request) {
            return bad(
                "cursor: it belongs to another list; all keys but limit must be as they were",
            );
        }
        if cursor.begun != snapshot.begun {
            let message = "cursor: the index was made anew since; begin at the first page again";
            return Err(ApiError::new(ErrorKind::Gone, message));
        }
        Ok(cursor)
    }

    /// The same list, behind this place.
    pub(super) fn at(&self, lines: u64, unread: Option<Unread>) -> Self {
        Self { lines, unread, ..self.clone() }
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_microsecond(self.now).unwrap_or_else(|_| Timestamp::now())
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (numbers, rest) = bytes.split_first_chunk::<48>()?;
        let (numbers, _) = numbers.as_chunks::<8>();
        let numbers: [[u8; 8]; 6] = numbers.try_into().ok()?;
        let [version, lines, now, request, begun, state] = numbers.map(u64::from_le_bytes);
        let path = String::from_utf8(rest.to_vec()).ok()?;
        let unread = match state.checked_sub(1) {
            None => None,
            Some(at) => {
                let (_, state) = *FileState::ALL.get(usize::try_from(at).ok()?)?;
                Some(Unread { state, path: path.clone() })
            }
        };
        let now = now.cast_signed();
        let is_whole = version == VERSION && (unread.is_some() || path.is_empty());
        let is_time = Timestamp::from_microsecond(now).is_ok();
        let begun = Micros(begun.cast_signed());
        (is_whole && is_time).then_some(Self { lines, unread, now, request, begun })
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lines, unread, now, request, begun } = self;
        let state = unread.as_ref().map_or(0, |unread| unread.state as u64 + 1);
        let numbers =
            [VERSION, *lines, now.cast_unsigned(), *request, begun.0.cast_unsigned(), state];
        let mut bytes = numbers.map(u64::to_le_bytes).as_flattened().to_vec();
        bytes.extend(unread.iter().flat_map(|unread| unread.path.bytes()));
        f.write_str(&BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

/// Of the keys of a request that decide which files it lists.
fn request_hash(request: &FilesRequest) -> u64 {
    let keys = FilesRequest { limit: None, cursor: None, ..request.clone() };
    xxh3_64(&serde_json::to_vec(&keys).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let first = Cursor {
            lines: u64::MAX,
            unread: None,
            now: 1_700_000_000_000_001,
            request: 4,
            begun: Micros(-5),
        };
        let path = "AWSLogs/é\n.json".to_owned();
        let unread = Unread { state: FileState::Skipped, path };
        for cursor in [first.clone(), first.at(7, Some(unread))] {
            let text = cursor.to_string();
            assert_eq!(Cursor::parse(&text).as_ref(), Some(&cursor));
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            for other in ["", "A", &text[1..], &text[..20], &format!("{text}=")] {
                assert_eq!(Cursor::parse(other), None, "{other}");
            }
        }
        assert_eq!(Cursor::parse(&format!("{first}AAAA")), None);
        assert_eq!(Cursor::parse(&Cursor { now: i64::MAX, ..first }.to_string()), None);
    }

    #[test]
    fn a_cursor_belongs_to_one_list_whatever_its_pages_limit() {
        let request = FilesRequest { account: Some("1".to_owned()), ..FilesRequest::default() };
        let page = FilesRequest { limit: Some(7), cursor: Some("x".to_owned()), ..request.clone() };
        assert_eq!(request_hash(&request), request_hash(&page));
        let other = FilesRequest { region: Some("1".to_owned()), ..FilesRequest::default() };
        assert_ne!(request_hash(&request), request_hash(&other));
    }
}
