//! Trails that did not record for a part of what is asked for.

use super::{View, counted};
use crate::asked::admits;
use crate::stops::Stop;
use crate::trails::listed;
use wire::TrailChange;

/// Bytes of an event's id that a line has, as tables have.
const ID_BYTES: usize = 8;

impl View<'_> {
    /// Stops behind which the account has no events: the latest, and how many there are.
    pub(super) fn stops(&self) -> Option<String> {
        if !self.is_particular() {
            return None;
        }
        let mut meant = self
            .stops_asked_for()
            .rev()
            .filter(|(stop, told)| !stop.has_others && self.overlaps(told.time, stop.until));
        let (stop, told) = meant.next()?;
        let told = line(stop, told);
        Some(match meant.count() {
            0 => told,
            more => format!(
                "{told}; and {} before (traildex coverage)",
                counted(more as u64, "more stop")
            ),
        })
    }

    /// Stops of one trail while another goes on; it may be another kind of events that is missing.
    pub(super) fn stops_with_others(&self) -> Option<String> {
        if !self.asked.is_bounded() {
            return None;
        }
        let meant = self
            .stops_asked_for()
            .filter(|(stop, told)| stop.has_others && self.is_within(told.time));
        let mut names: Vec<&str> = meant.map(|(_, told)| told.trail.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let (trails, were) = match names.len() {
            0 => return None,
            1 => ("trail", "was"),
            _ => ("trails", "were"),
        };
        Some(format!(
            "{trails} {} {were} stopped, deleted or told to record no management events in this time, \
             while other events of the account go on (traildex coverage)",
            listed(&names)
        ))
    }

    /// Whether a query asks for the account, and for a region that it has events of.
    fn concerns(&self, account: &str) -> bool {
        admits(self.asked.accounts.as_deref(), account)
            && (self.asked.regions.is_none()
                || self
                    .picture
                    .places(|place| place.account == account)
                    .any(|(_, place)| admits(self.asked.regions.as_deref(), &place.region)))
    }

    fn stops_asked_for(&self) -> impl DoubleEndedIterator<Item = (&Stop, &TrailChange)> {
        let told = |stop: &Stop| &self.picture.changes[stop.change].told;
        let stops = self.picture.stops.iter().map(move |stop| (stop, told(stop)));
        stops.filter(|(_, told)| self.concerns(&told.account))
    }
}

fn line(stop: &Stop, told: &TrailChange) -> String {
    let TrailChange { time, action, account, trail, actor, id, .. } = told;
    let verb = match action.as_str() {
        "StopLogging" => "was stopped",
        "DeleteTrail" => "was deleted",
        _ => "was told to record no management events",
    };
    let id = id.get(..ID_BYTES).unwrap_or(id);
    let again = match stop.until {
        Some(until) => format!("and recorded again from {until} on"),
        None => "and nothing shows that it was started again".to_owned(),
    };
    format!(
        "trail {trail} of account {account} {verb} at {time} by {actor} (event {id}), {again}; no other \
         events of the account are of that time"
    )
}
