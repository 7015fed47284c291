//! The answer to `GET /v1/coverage`: a picture by account, region, day or hour.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::limits::NAME_BYTES_MAX;
use crate::picture::{Cell, Picture, Place, hour_of, start_of};
use trail::layout::PathFacts;
use trail::seeded::SeededMap;
use trail::time::Micros;
use wire::limits::{COVERAGE_GROUPS_DEFAULT, COVERAGE_GROUPS_MAX, COVERAGE_LIST_MAX};
use wire::{
    CoverageGap, CoverageGroup, CoverageKey, CoverageRequest, CoverageResponse, DigestState,
    FileEntry, FileState, Integrity, Recording, StateCount, TrailChange, ValidateReport,
};

const DAY_HOURS: i32 = 24;

/// Groups that gaps are added to: what takes a tenth of a second.
const GAP_STEPS_MAX: usize = 500_000;

/// What groups are of.
type Key = (Option<String>, Option<String>, Option<Micros>);

/// An answer in the making: files are added to it one by one.
#[derive(Debug)]
pub struct Answering<'p> {
    picture: &'p Picture,
    request: &'p CoverageRequest,
    by: Vec<CoverageKey>,
    start: Option<Micros>,
    end: Option<Micros>,
    groups: BTreeMap<Key, CoverageGroup>,
    /// States of digests that are named.
    digests: SeededMap<&'p str, DigestState>,
    /// The state of the others; None where it is not known.
    unnamed: Option<DigestState>,
    /// Whether there are digests whose state is not known.
    is_unjudged: bool,
    /// Whether something found no place among the groups.
    is_cut: bool,
}

impl<'p> Answering<'p> {
    /// Begins with the events of a picture between two times, in whole hours.
    pub fn new(
        picture: &'p Picture,
        request: &'p CoverageRequest,
        (start, end): (Option<Micros>, Option<Micros>),
        judged: Option<&'p ValidateReport>,
    ) -> Self {
        let by =
            if request.by.is_empty() { CoverageKey::DEFAULT.to_vec() } else { request.by.clone() };
        let named = judged.into_iter().flat_map(|report| &report.digests_named);
        let names_all = judged.is_some_and(|report| report.left_out == 0);
        let mut answering = Self {
            picture,
            request,
            by,
            start,
            end,
            groups: BTreeMap::new(),
            digests: named.clone().map(|named| (&*named.path, named.state)).collect(),
            unnamed: names_all.then_some(DigestState::Verified),
            is_unjudged: false,
            is_cut: false,
        };
        answering.add_events();
        answering.add_gaps();
        for named in named.filter(|named| named.state == DigestState::Missing) {
            answering.add_digest(&named.path, named.state);
        }
        answering
    }

    fn is_meant(&self, place: &Place) -> bool {
        let is = |wanted: &Option<String>, name: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        is(&self.request.account, &place.account) && is(&self.request.region, &place.region)
    }

    fn is_within(&self, hour: i32) -> bool {
        self.start.is_none_or(|start| hour >= hour_of(start))
            && self.end.is_none_or(|end| start_of(hour) < end)
    }

    /// How many hours a group has; None for all.
    fn unit(&self) -> Option<i32> {
        let is_by = |key| self.by.contains(&key);
        match (is_by(CoverageKey::Hour), is_by(CoverageKey::Day)) {
            (true, _) => Some(1),
            (false, true) => Some(DAY_HOURS),
            (false, false) => None,
        }
    }

    /// The group of an hour.
    fn group(&mut self, place: &Place, hour: i32) -> Option<&mut CoverageGroup> {
        let is_by = |key| self.by.contains(&key);
        let account = is_by(CoverageKey::Account).then(|| place.account.clone());
        let region = is_by(CoverageKey::Region).then(|| place.region.clone());
        let time = self.unit().map(|hours| start_of(hour.div_euclid(hours) * hours));
        let key = (account, region, time);
        if self.groups.len() >= COVERAGE_GROUPS_MAX && !self.groups.contains_key(&key) {
            self.is_cut = true;
            return None;
        }
        let (account, region, time) = key.clone();
        let empty = CoverageGroup { account, region, time, ..CoverageGroup::default() };
        Some(self.groups.entry(key).or_insert(empty))
    }

    fn add_events(&mut self) {
        let picture = self.picture;
        let unit = self.unit();
        let group_of = |cell: &Cell| (cell.place, unit.map(|hours| cell.hour.div_euclid(hours)));
        for cells in picture.cells.chunk_by(|a, b| group_of(a) == group_of(b)) {
            let place = &picture.places[cells[0].place as usize];
            if !self.is_meant(place) {
                continue;
            }
            let mut sum = CoverageGroup::default();
            let mut hour = None;
            for cell in cells.iter().filter(|cell| self.is_within(cell.hour)) {
                hour = Some(cell.hour);
                sum.events += cell.events;
                sum.hours += 1;
                sum.first = [sum.first, Some(cell.first())].into_iter().flatten().min();
                sum.last = sum.last.max(Some(cell.last()));
            }
            let Some(group) = hour.and_then(|hour| self.group(place, hour)) else { continue };
            group.events += sum.events;
            group.hours += sum.hours;
            group.first = [group.first, sum.first].into_iter().flatten().min();
            group.last = group.last.max(sum.last);
        }
    }

    /// A gap has groups of its own, too, so that a day without an event is seen.
    fn add_gaps(&mut self) {
        let picture = self.picture;
        let mut steps = 0;
        for gap in &picture.gaps {
            let place = &picture.places[gap.place as usize];
            if !self.is_meant(place) {
                continue;
            }
            let start = self.start.map_or(i32::MIN, hour_of).max(gap.hours.start);
            let end = self
                .end
                .map_or(i32::MAX, |end| hour_of(Micros(end.0.saturating_sub(1))).saturating_add(1));
            let end = end.min(gap.hours.end);
            let mut hour = start;
            while hour < end {
                let next = self.unit().map_or(end, |hours| (hour.div_euclid(hours) + 1) * hours);
                let next = next.min(end);
                steps += 1;
                if steps > GAP_STEPS_MAX {
                    self.is_cut = true;
                    return;
                }
                match self.group(place, hour) {
                    Some(group) => group.missing += (next - hour) as u64,
                    None => break,
                }
                hour = next;
            }
        }
    }

    /// Counts a digest where its span begins.
    fn add_digest(&mut self, path: &str, state: DigestState) {
        let PathFacts { account, region, .. } = PathFacts::of(path);
        let start = evidence::digest_start(path);
        let (Some(account), Some(region), Some(start)) = (account, region, start) else { return };
        let place = Place { account: account.to_owned(), region: region.to_owned() };
        if region.len() <= NAME_BYTES_MAX
            && self.is_within(hour_of(start))
            && self.is_meant(&place)
            && let Some(group) = self.group(&place, hour_of(start))
        {
            StateCount::add(&mut group.digests, state);
        }
    }

    /// Counts a file where its first event is. A digest counts only if it was there when digests were
    /// judged.
    pub fn add_file(&mut self, file: &FileEntry, is_judged: bool) {
        if file.state == FileState::Digest && evidence::is_digest_path(&file.path) {
            let known = self.digests.get(&*file.path).copied().or(self.unnamed);
            match known.filter(|_| is_judged) {
                Some(state) => self.add_digest(&file.path, state),
                None => self.is_unjudged = true,
            }
        }
        if matches!(file.state, FileState::Rejected | FileState::Digest | FileState::Replaced) {
            return;
        }
        let facts = PathFacts::of(&file.path);
        let named = |read: &Option<String>, path: Option<&str>| {
            let name = read.as_deref().or(path).unwrap_or_default();
            (name.len() <= NAME_BYTES_MAX).then(|| name.to_owned())
        };
        let account = named(&file.reading.account, facts.account);
        let region = named(&file.reading.region, facts.region);
        let of_path = || {
            facts.day.and_then(|day| crate::trails::time(&format!("{}T00:00:00Z", day.join("-"))))
        };
        let time = file.reading.first.or_else(of_path);
        let (Some(account), Some(region), Some(time)) = (account, region, time) else { return };
        let place = Place { account, region };
        if self.is_within(hour_of(time))
            && self.is_meant(&place)
            && let Some(group) = self.group(&place, hour_of(time))
        {
            group.files += 1;
            if let Some(state) = file.integrity.filter(|state| *state != Integrity::NoDigest) {
                StateCount::add(&mut group.integrity, state);
            }
        }
    }

    /// The whole answer.
    pub fn end(self) -> CoverageResponse {
        let Self { picture, request, .. } = &self;
        let data_events = picture.data_events.iter().filter(|data| self.is_account(&data.account));
        let mut answer = CoverageResponse {
            first: picture.span.map(|(first, _)| first),
            last: picture.span.map(|(_, last)| last),
            gaps: self.gaps(),
            trails: self.trails(),
            recordings: self.recordings(),
            data_events: data_events.cloned().collect(),
            total: self.groups.len() as u64,
            notes: picture.notes.clone(),
            ..CoverageResponse::default()
        };
        shorten(&mut answer.gaps, "gaps", &mut answer.notes);
        shorten(&mut answer.trails, "changes of trails", &mut answer.notes);
        shorten(&mut answer.recordings, "recordings", &mut answer.notes);
        shorten(&mut answer.data_events, "counts of data events", &mut answer.notes);
        if self.is_cut {
            answer.notes.push(format!(
                "there are more than {COVERAGE_GROUPS_MAX} groups, or gaps are too long: ask for days, an \
                 account, a region or a shorter time"
            ));
        }
        if self.is_unjudged {
            answer.notes.push("digests whose state is not known here".to_owned());
        }
        let limit = request.limit.unwrap_or(COVERAGE_GROUPS_DEFAULT);
        answer.groups = self.groups.into_values().take(limit).collect();
        answer
    }

    fn is_account(&self, account: &str) -> bool {
        self.request.account.as_ref().is_none_or(|asked| asked == account)
    }

    /// The latest first.
    fn gaps(&self) -> Vec<CoverageGap> {
        let meant = self.picture.gaps.iter().filter(|gap| {
            self.is_meant(&self.picture.places[gap.place as usize])
                && self.end.is_none_or(|end| start_of(gap.hours.start) < end)
                && self.start.is_none_or(|start| start_of(gap.hours.end) > start)
        });
        let mut gaps: Vec<CoverageGap> = meant.map(|gap| self.picture.told(gap)).collect();
        gaps.sort_by_key(|gap| Reverse(gap.start));
        gaps
    }

    fn trails(&self) -> Vec<TrailChange> {
        let changes = self.picture.changes.iter().map(|change| &change.told);
        let meant = changes.filter(|told| {
            self.is_account(&told.account)
                && self.start.is_none_or(|start| told.time >= start)
                && self.end.is_none_or(|end| told.time < end)
        });
        meant.cloned().collect()
    }

    fn recordings(&self) -> Vec<Recording> {
        let meant = self.picture.recordings.iter().filter(|recording| {
            self.is_account(&recording.account)
                && self.end.is_none_or(|end| recording.from < end)
                && self.start.zip(recording.until).is_none_or(|(start, until)| until > start)
        });
        meant.cloned().collect()
    }
}

fn shorten<T>(list: &mut Vec<T>, what: &str, notes: &mut Vec<String>) {
    if list.len() > COVERAGE_LIST_MAX {
        notes.push(format!("{} more {what}", list.len() - COVERAGE_LIST_MAX));
        list.truncate(COVERAGE_LIST_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::{Named, Reading};

    fn digest(hour: u32) -> String {
        format!(
            "/a/AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2024/05/06/\
             111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_20240506T{hour:02}0000Z.json.gz"
        )
    }

    /// The states of all digests, and whether some are told to be unknown.
    fn states(judged: Option<&ValidateReport>, files: &[(u32, bool)]) -> (Vec<DigestState>, bool) {
        let (picture, request) = (Picture::default(), CoverageRequest::default());
        let mut answering = Answering::new(&picture, &request, (None, None), judged);
        for (hour, is_judged) in files {
            let file = FileEntry {
                path: digest(*hour),
                state: FileState::Digest,
                size: 1,
                modified: None,
                integrity: None,
                reading: Reading::default(),
            };
            answering.add_file(&file, *is_judged);
        }
        let answer = answering.end();
        let states = answer.groups.iter().flat_map(|group| &group.digests);
        let states = states.flat_map(|of| (0..of.count).map(|_| of.state)).collect();
        (states, !answer.notes.is_empty())
    }

    #[test]
    fn a_digest_counts_as_verified_only_once_it_was_judged() {
        use DigestState::{Invalid, Missing, Verified};
        let named = |hour, state| Named { path: digest(hour), state, reason: None };
        let digests_named = vec![named(1, Invalid), named(2, Missing)];
        let all = ValidateReport { digests_named, ..ValidateReport::default() };
        let states_of = |files: &[(u32, bool)]| states(Some(&all), files);
        assert_eq!(states_of(&[(1, true), (3, true)]), (vec![Verified, Invalid, Missing], false));
        assert_eq!(states_of(&[(3, false)]), (vec![Missing], true), "it came later");
        let some = ValidateReport { left_out: 1, ..all.clone() };
        assert_eq!(states(Some(&some), &[(1, true), (3, true)]), (vec![Invalid, Missing], true));
        assert_eq!(states(None, &[(1, false)]), (vec![], true));
    }
}
