//! Data events that were not recorded, or not all of the time.

use super::View;
use crate::asked::{Wanted, admits};
use crate::kinds::{KINDS, Kind};
use crate::picture::HOUR_US;
use crate::selectors::{bucket, short};
use crate::trails::listed;
use trail::time::Micros;
use wire::Recording;

/// Kinds that one query is told about: an event's name can be that of two.
const KINDS_TOLD: usize = 2;

/// Recordings that one line tells of; the rest is counted.
const RECORDINGS_TOLD: usize = 2;

impl View<'_> {
    pub(super) fn data(&self) -> Vec<String> {
        let kinds = KINDS.iter().filter(|kind| self.touches(kind));
        kinds.filter_map(|kind| self.of_kind(kind)).take(KINDS_TOLD).collect()
    }

    /// Whether a query asks for events of this kind.
    fn touches(&self, kind: &Kind) -> bool {
        let asked = self.asked;
        let is_source =
            |sources: &Vec<Wanted>| sources.iter().any(|wanted| wanted.admits_service(kind.source));
        if !asked.sources.as_ref().is_none_or(is_source) {
            return false;
        }
        let is_named = |wanted: &Wanted| match wanted {
            Wanted::Text(text) => kind.has(text),
            Wanted::Pattern(pattern) => kind.matched(pattern).is_some(),
        };
        match (&asked.names, &asked.types) {
            (Some(names), _) => names.iter().any(is_named),
            (None, Some(types)) => types.iter().any(|wanted| wanted.admits(kind.resource_type)),
            // Of a service that has other events, too.
            (None, None) => asked.sources.is_some() && !self.known.is_found,
        }
    }

    fn of_kind(&self, kind: &Kind) -> Option<String> {
        let all: Vec<&Recording> = self
            .picture
            .recordings
            .iter()
            .filter(|recording| recording.resource_type.eq_ignore_ascii_case(kind.resource_type))
            .filter(|recording| {
                recording.is_organization
                    || admits(self.asked.accounts.as_deref(), &recording.account)
            })
            .collect();
        let meant: Vec<&Recording> =
            all.iter().copied().filter(|recording| self.is_of_bucket(recording)).collect();
        let seen = self.seen(kind);
        let label = kind.label;
        if !meant.is_empty() {
            return self.recorded(label, &meant, seen);
        }
        match seen {
            None if all.is_empty() => Some(format!(
                "the archive has no {label}, and nothing in it shows that they were recorded: a trail \
                 records data events only if it is told to"
            )),
            None => Some(format!(
                "{label} were recorded for {}; nothing in the archive shows that they were for {}",
                resources(&all),
                self.buckets()
            )),
            Some(first) if self.start().is_some_and(|start| first.0 - start.0 > HOUR_US) => {
                Some(format!(
                    "the {label} in the archive begin at {first}; nothing shows that they were recorded \
                     before"
                ))
            }
            Some(_) => None,
        }
    }

    /// Tells of recordings that are not of everything all of the time.
    fn recorded(
        &self,
        label: &str,
        recordings: &[&Recording],
        seen: Option<Micros>,
    ) -> Option<String> {
        let (start, end) = (self.start()?, self.end()?);
        let is_whole = |recording: &&&Recording| {
            (recording.resources.is_empty() || self.asked.buckets.is_some())
                && recording.only.is_empty()
                && recording.from <= start
                && recording.until.is_none_or(|until| until > end)
        };
        if recordings.iter().any(|recording| is_whole(&recording)) {
            return None;
        }
        let mut told = Vec::new();
        let mut groups: Vec<Vec<&Recording>> = Vec::new();
        for recording in recordings {
            let is_same = |group: &&mut Vec<&Recording>| {
                let of = group[0];
                (&of.trail, of.from, of.until, &of.only)
                    == (&recording.trail, recording.from, recording.until, &recording.only)
            };
            match groups.iter_mut().find(is_same) {
                Some(group) => group.push(recording),
                None => groups.push(vec![recording]),
            }
        }
        for group in groups.iter().take(RECORDINGS_TOLD) {
            let Recording { from, until, trail, only, .. } = group[0];
            let until = until.map_or("on".to_owned(), |until| format!("to {until}"));
            let only = if only.is_empty() { String::new() } else { format!(", {only}") };
            told.push(format!(
                "for {} from {from} {until} (trail {trail}{only})",
                resources(group)
            ));
        }
        if groups.len() > RECORDINGS_TOLD {
            told.push(format!("and {} times more", groups.len() - RECORDINGS_TOLD));
        }
        let from = recordings.iter().map(|recording| recording.from).min()?;
        let before = match seen {
            Some(seen) if seen < from => format!("; the archive has some from {seen} on"),
            _ if from > start => "; nothing in the archive shows that they were before".to_owned(),
            _ => String::new(),
        };
        Some(format!("{label} were recorded {}{before}", told.join(", ")))
    }

    /// The time of the first event of a kind's service that the archive has.
    fn seen(&self, kind: &Kind) -> Option<Micros> {
        let events = self.picture.data_events.iter();
        let of_kind = events.filter(|events| {
            events.source == kind.source && admits(self.asked.accounts.as_deref(), &events.account)
        });
        of_kind.map(|events| events.first).min()
    }

    fn is_of_bucket(&self, recording: &Recording) -> bool {
        recording.resources.is_empty()
            || self.asked.buckets.is_none()
            || recording
                .resources
                .iter()
                .filter_map(|arn| bucket(arn))
                .any(|bucket| admits(self.asked.buckets.as_deref(), bucket))
    }

    fn buckets(&self) -> String {
        let texts = self.asked.buckets.iter().flatten().map(|wanted| match wanted {
            Wanted::Text(text) => text.clone(),
            Wanted::Pattern(pattern) => pattern.escape(""),
        });
        listed(&texts.collect::<Vec<_>>())
    }
}

/// The resources of recordings, each once.
fn resources(recordings: &[&Recording]) -> String {
    if recordings.iter().any(|recording| recording.resources.is_empty()) {
        return "all of them".to_owned();
    }
    let mut names: Vec<String> = recordings
        .iter()
        .flat_map(|recording| &recording.resources)
        .map(|arn| short(arn))
        .collect();
    names.sort();
    names.dedup();
    listed(&names)
}
