//! Accounts, regions, hours and files that the archive does not have.

use super::{View, counted};
use crate::asked::Wanted;
use crate::gaps::Gap;
use crate::picture::{Cell, Counts, HOUR_US, Place, start_of};
use crate::trails::{cut, listed};

impl View<'_> {
    /// Accounts and regions that are asked for, and that no event has.
    pub(super) fn lacking(&self) -> Vec<String> {
        let (accounts, regions) = (&self.asked.accounts, &self.asked.regions);
        if self.picture.span.is_none() || self.picture.known_from.is_some() {
            return Vec::new();
        }
        let mut told = Vec::new();
        told.extend(self.unknown("account", accounts.as_deref(), |place| &place.account));
        told.extend(self.unknown("region", regions.as_deref(), |place| &place.region));
        if told.is_empty() && accounts.is_some() && regions.is_some() {
            let is_meant = |place: &Place| self.asked.is_at(&place.account, &place.region);
            if self.picture.places(is_meant).next().is_none() {
                told.push("the archive has no event of that account in that region".to_owned());
            }
        }
        told
    }

    fn unknown(
        &self,
        what: &str,
        wanted: Option<&[Wanted]>,
        of: impl Fn(&Place) -> &String,
    ) -> Option<String> {
        let is_known = |wanted: &Wanted| self.picture.places.iter().any(|p| wanted.admits(of(p)));
        let unknown: Vec<String> = wanted
            .into_iter()
            .flatten()
            .filter(|wanted| !is_known(wanted))
            .filter_map(|wanted| wanted.text().map(cut))
            .collect();
        if unknown.is_empty() {
            return None;
        }
        let mut known: Vec<&String> =
            self.picture.places.iter().map(of).filter(|name| !name.is_empty()).collect();
        known.sort();
        known.dedup();
        Some(format!(
            "the archive has no event of {what} {}; it has those of {}",
            listed(&unknown),
            listed(&known)
        ))
    }

    /// Hours without an event of accounts and regions that usually have some.
    pub(super) fn gaps(&self) -> Option<String> {
        if !self.is_particular() {
            return None;
        }
        let is_meant = |gap: &&Gap| {
            let place = &self.picture.places[gap.place as usize];
            self.asked.is_at(&place.account, &place.region)
                && self.overlaps(start_of(gap.hours.start), Some(start_of(gap.hours.end)))
        };
        let gaps: Vec<&Gap> = self.picture.gaps.iter().filter(is_meant).collect();
        let latest = gaps.iter().max_by_key(|gap| (gap.hours.end, gap.hours.len()))?;
        let place = &self.picture.places[latest.place as usize];
        let (start, end) = (start_of(latest.hours.start), start_of(latest.hours.end));
        let behind = if latest.is_end { "though others have" } else { "between hours that have" };
        let told = format!(
            "account {} in {} has no events from {start} to {end}, {behind}",
            named(&place.account),
            named(&place.region)
        );
        if gaps.len() == 1 {
            return Some(told);
        }
        let hours = gaps.iter().map(|gap| gap.hours.len() as u64).sum();
        let more = counted(gaps.len() as u64 - 1, "more gap");
        Some(format!("{told}; and {more}, {} in all (traildex coverage)", counted(hours, "hour")))
    }

    /// A time that is asked for and that lies before or behind all events.
    pub(super) fn span(&self) -> Option<String> {
        let is_meant = |place: &Place| self.asked.is_at(&place.account, &place.region);
        let cells = self.picture.places(is_meant).flat_map(|(at, _)| self.picture.cells_of(at));
        let (mut first, mut last) = (None, None);
        for cell in cells {
            first = [first, Some(Cell::first(cell))].into_iter().flatten().min();
            last = last.max(Some(cell.last()));
        }
        let (first, last) = first.zip(last)?;
        let is_early =
            self.asked.start.is_some_and(|start| first.0.saturating_sub(start.0) > HOUR_US);
        let end = self.asked.end.map(|end| end.min(self.known.now));
        let is_late = end.is_some_and(|end| end.0.saturating_sub(last.0) > HOUR_US);
        let of = match (&self.asked.accounts, &self.asked.regions) {
            (None, None) => "the archive's events",
            (Some(_), None) => "the events of that account",
            (None, Some(_)) => "the events of that region",
            (Some(_), Some(_)) => "the events of that account and region",
        };
        match (is_early, is_late) {
            (true, true) => Some(format!("{of} begin at {first} and end at {last}")),
            (true, false) => Some(format!("{of} begin at {first}")),
            (false, true) => Some(format!("{of} end at {last}")),
            (false, false) => None,
        }
    }

    /// Files of the time that are not in the index.
    pub(super) fn unread(&self) -> Option<String> {
        if !self.asked.is_bounded() && self.known.is_found {
            return None;
        }
        let Counts { files, records } =
            self.picture.unread.between(self.asked.start, self.asked.end);
        let mut parts = Vec::new();
        if self.known.pending > 0 {
            parts.push(format!("{} that wait to be read", counted(self.known.pending, "file")));
        }
        if files > 0 {
            parts.push(format!("{} that could not be read", counted(files, "file")));
        }
        if records > 0 {
            parts.push(format!("{} that could not be read", counted(records, "record")));
        }
        (!parts.is_empty())
            .then(|| format!("not in the index: {} (traildex files)", parts.join(", ")))
    }
}

fn named(name: &str) -> &str {
    if name.is_empty() { "-" } else { name }
}
