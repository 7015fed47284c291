//! The times that a search asks for, beside those that the index has.

use super::Search;
use crate::meaning::{EventMeaning, EventTest, Meaning, TimeBetween};
use trail::time::Micros;
use wire::{ApiError, ErrorKind};

/// Refuses bounds of which the first is behind the second; what is between equal ones is told to be
/// nothing.
pub(super) fn check_order(
    start: Option<Micros>,
    end: Option<Micros>,
) -> Result<Option<String>, ApiError> {
    match (start, end) {
        (Some(start), Some(end)) if start > end => {
            let message = format!("the start, {start}, is behind the end, {end}");
            let suggestion = Some("exchange the two".to_owned());
            Err(ApiError { suggestion, ..ApiError::new(ErrorKind::BadRequest, message) })
        }
        (Some(start), Some(end)) if start == end => Ok(Some(format!(
            "the start and the end are both {start}, and the end is excluded: nothing is between them"
        ))),
        _ => Ok(None),
    }
}

impl Search<'_> {
    /// Tells the reader where all the times that are asked for lie before or behind those of events.
    pub(super) fn note_times(&self, filter: &EventMeaning) {
        let mut asked = TimeBetween { start: self.start, end: self.end };
        match filter {
            Meaning::And(parts) => parts.iter().for_each(|part| narrow(&mut asked, part)),
            filter => narrow(&mut asked, filter),
        }
        let Some((first, last)) = self.snapshot.time_span() else { return };
        let is_behind = asked.start.is_some_and(|start| start > last);
        let is_before = asked.end.is_some_and(|end| end <= first);
        let asked = match (asked.start, asked.end) {
            (Some(start), _) if is_behind => format!("from {start} on"),
            (_, Some(end)) if is_before => format!("before {end}"),
            _ => return,
        };
        self.notes.add(format!("events span {first} to {last}; the query asks for times {asked}"));
    }
}

fn narrow(asked: &mut TimeBetween, condition: &EventMeaning) {
    if let Meaning::Test(EventTest::Time(TimeBetween { start, end })) = condition {
        asked.start = asked.start.max(*start);
        asked.end = [asked.end, *end].into_iter().flatten().min();
    }
}
