//! What a search could miss, in a few lines: only what touches the fields and the time that its query
//! asks for. An ordinary query over an archive without gaps has none.

mod data;
mod places;
mod stops;

use crate::asked::Asked;
use crate::limits::NOTES_MAX;
use crate::picture::Picture;
use trail::time::Micros;

/// What is known of an answer beside the picture.
#[derive(Clone, Copy, Debug, Default)]
pub struct Known {
    /// Whether something was found.
    pub is_found: bool,
    /// Files that wait to be read.
    pub pending: u64,
    /// The present.
    pub now: Micros,
}

/// Told while there is no picture yet.
pub const NOT_YET: &str =
    "what the archive covers is being looked up; ask again in a moment (traildex coverage)";

/// The lines for a query, the gravest first.
pub fn notes(picture: &Picture, asked: &Asked, known: &Known) -> Vec<String> {
    let view = View { picture, asked, known };
    let mut notes = view.data();
    notes.extend(view.lacking());
    notes.extend(view.stops());
    notes.extend(view.gaps());
    notes.extend(view.span());
    notes.extend(view.stops_with_others());
    notes.extend(view.unread());
    if notes.len() > NOTES_MAX {
        let more = notes.len() - (NOTES_MAX - 1);
        notes.truncate(NOTES_MAX - 1);
        notes.push(format!("and {more} more (traildex coverage)"));
    }
    notes
}

/// Whether a query asks for something that a picture would have lines about.
pub fn may_have_notes(asked: &Asked, known: &Known) -> bool {
    !known.is_found || *asked != Asked::default()
}

/// A picture as a query sees it.
struct View<'a> {
    picture: &'a Picture,
    asked: &'a Asked,
    known: &'a Known,
}

impl View<'_> {
    /// The beginning of the time that the archive has and the query asks for.
    fn start(&self) -> Option<Micros> {
        let first = self.picture.span.map(|(first, _)| first);
        self.asked.start.max(first)
    }

    /// The end of it.
    fn end(&self) -> Option<Micros> {
        let last = self.picture.span.map(|(_, last)| last);
        [self.asked.end, last].into_iter().flatten().min()
    }

    /// Whether a time is asked for.
    fn is_within(&self, time: Micros) -> bool {
        self.asked.start.is_none_or(|start| time >= start)
            && self.asked.end.is_none_or(|end| time < end)
    }

    /// Whether some of the time from `from` to `until` is asked for.
    fn overlaps(&self, from: Micros, until: Option<Micros>) -> bool {
        self.asked.end.is_none_or(|end| from < end)
            && self.asked.start.zip(until).is_none_or(|(start, until)| until > start)
    }

    /// Whether the query is about a part of all, or has found nothing: then it is told of what is
    /// missing here and there.
    fn is_particular(&self) -> bool {
        let Asked { accounts, regions, .. } = self.asked;
        let is_of_place = accounts.is_some() || regions.is_some();
        self.asked.is_bounded() || is_of_place || !self.known.is_found
    }
}

/// `1 hour`, `2 hours`.
fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
