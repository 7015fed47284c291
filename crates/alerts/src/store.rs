//! The alerts that there are, in memory and on disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use detect::{Decided, Decision, Standing};
use jiff::Timestamp;
use segment::IndexError;
use segment::disk::{Disk, RealDisk};
use sha2::{Digest, Sha256};
use wire::limits::CHANGES_LIMIT_MAX;
use wire::{
    Alert, AlertChange, AlertChangeKind, AlertChanges, AlertChangesRequest, AlertRule, AlertState,
    AlertsChangeRequest, ApiError, ErrorKind,
};

use crate::file::{AlertsFile, Change, Changed, Entry, Line, head};
use crate::limits::{
    ALERTS_BYTES_MAX, ALERTS_MAX, CHANGES_LIMIT_DEFAULT, CHANGES_MAX, COMPACT_BYTES_MIN, IDS_MAX,
    LINE_CHANGES_MAX, NOTE_BYTES_MAX, RULE_ALERTS_MAX, TEXT_BYTES_MAX,
};
use crate::list::Listing;
use crate::seen::Seen;

/// The alerts of a data directory. The directory's lock is held by whoever has one.
#[derive(Debug)]
pub struct Alerts {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    file: AlertsFile,
    log: String,
    entries: BTreeMap<String, Entry>,
    /// The ids of each rule's alerts, by what it is known by.
    of_rules: BTreeMap<String, BTreeSet<String>>,
    /// Bytes of memory that they take, about.
    bytes: usize,
    changes: VecDeque<Change>,
    next_number: u64,
    seen: Seen,
    /// Alerts whose last event is before this are too old.
    kept_from: i64,
    /// What rules say of themselves, shared by their alerts.
    rules: HashMap<String, Arc<AlertRule>>,
}

/// A rule that decides.
#[derive(Clone, Debug)]
pub(crate) struct Deciding<'r> {
    /// What it is known by.
    pub(crate) key: &'r str,
    /// Its kind's name.
    pub(crate) kind: &'static str,
    /// What it says of itself.
    pub(crate) rule: &'r AlertRule,
}

/// Decisions that are to be kept.
#[derive(Debug)]
pub(crate) struct Verdict<'r> {
    /// Whose they are.
    pub(crate) of: Deciding<'r>,
    /// What was decided.
    pub(crate) decided: Decided,
    /// Whether alerts that were not found again are withdrawn: not while the index lacks events that the
    /// archive has.
    pub(crate) may_withdraw: bool,
}

impl Alerts {
    /// Reads the alerts. The second value says what was damaged; None where the file was whole.
    pub fn open(
        data_dir: &Path,
        disk: Arc<dyn Disk>,
    ) -> Result<(Self, Option<String>), IndexError> {
        let (file, read) = AlertsFile::open(data_dir, disk)?;
        let damage = read.damage.map(|damage| {
            format!(
                "{}: {damage}: what it said is lost, and all rules look at everything again",
                file.path().display()
            )
        });
        let mut state = State::of(file, read.lines);
        if damage.is_some() {
            // What is lost may have had the numbers that come next.
            state.log = new_log();
            state.seen.rules.clear();
            state.set_aside()?;
            state.compact()?;
        }
        Ok((Self { state: Mutex::new(state) }, damage))
    }

    /// Reads the alerts of a data directory that another process may own, and changes nothing. They are
    /// not to be changed. The second value says what is damaged; None where the file is whole.
    pub fn read(data_dir: &Path) -> Result<(Self, Option<String>), IndexError> {
        let (file, read) = AlertsFile::open(data_dir, Arc::new(RealDisk))?;
        let damage = read.damage.map(|damage| format!("{}: {damage}", file.path().display()));
        Ok((Self { state: Mutex::new(State::of(file, read.lines)) }, damage))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the index was looked at.
    pub fn seen(&self) -> Seen {
        self.state().seen.clone()
    }

    /// The decisions of a rule that stand.
    pub(crate) fn standing(&self, key: &str) -> Vec<Standing> {
        let state = self.state();
        let standing = state.of_rule(key).filter(|entry| entry.alert.withdrawn.is_none());
        standing.map(|entry| Standing { group: entry.group.clone(), at: entry.at }).collect()
    }

    /// Keeps decisions, and how far the index was looked at, where that is known: what was decided since
    /// it was said last is decided again after a crash. When this returns, both are on disk. Returns how
    /// many changes there were.
    pub(crate) fn keep(
        &self,
        verdicts: Vec<Verdict<'_>>,
        seen: Option<Seen>,
    ) -> Result<usize, IndexError> {
        let mut state = self.state();
        let now = now();
        let mut changes = Vec::new();
        for verdict in verdicts {
            state.differences(verdict, &now, &mut changes);
        }
        let count = changes.len();
        let seen = seen.map(|seen| Seen {
            horizons: state.seen.horizons.clone(),
            dropped: state.seen.dropped,
            ..seen
        });
        let seen = seen.filter(|seen| *seen != state.seen);
        if count > 0 || seen.is_some() {
            state.write(changes, seen)?;
        }
        Ok(count)
    }

    /// Drops alerts whose last event is before a time, and raises none from then on.
    pub fn expire(&self, before: i64) -> Result<(), IndexError> {
        let mut state = self.state();
        let is_old = |entry: &Entry| entry.last < before;
        state.kept_from = before;
        if !state.entries.values().any(is_old) {
            return Ok(());
        }
        let old = state.entries.iter().filter(|(_, entry)| is_old(entry));
        let old: Vec<String> = old.map(|(id, _)| id.clone()).collect();
        for id in old {
            state.remove(&id);
        }
        state.compact()
    }

    /// Notes what a person did. All alerts must be there, or nothing changes.
    pub fn change(&self, request: &AlertsChangeRequest, by: u32) -> Result<Vec<Alert>, ApiError> {
        let bad = |message: String| ApiError::new(ErrorKind::BadRequest, message);
        if request.ids.is_empty() || request.ids.len() > CHANGES_LIMIT_MAX {
            return Err(bad(format!("ids: give 1 to {CHANGES_LIMIT_MAX} ids of alerts")));
        }
        if request.state.is_none() && request.note.is_none() {
            return Err(bad("give a state, a note or both".to_owned()));
        }
        if request.note.as_ref().is_some_and(|note| note.len() > NOTE_BYTES_MAX) {
            return Err(bad(format!("note: it has {NOTE_BYTES_MAX} bytes at most")));
        }
        let mut state = self.state();
        let (now, mut changes) = (now(), Vec::new());
        for id in request.ids.iter().collect::<BTreeSet<_>>() {
            let Some(entry) = state.entries.get(id) else {
                let message = format!("there is no alert '{id}'");
                return Err(ApiError::new(ErrorKind::NotFound, message));
            };
            let before = &entry.alert;
            let note = match &request.note {
                Some(note) => Some(note.clone()).filter(|note| !note.is_empty()),
                None => before.note.clone(),
            };
            let state = request.state.unwrap_or(before.state);
            let change = match (state == before.state, state) {
                (false, AlertState::Open) => AlertChangeKind::Reopened,
                (false, AlertState::Acknowledged) => AlertChangeKind::Acknowledged,
                (false, AlertState::Closed) => AlertChangeKind::Closed,
                (true, _) if note != before.note => AlertChangeKind::Noted,
                (true, _) => continue,
            };
            let by = Some(by);
            let alert = Alert { state, note, by, changed: now.clone(), ..before.clone() };
            changes.push((change, Entry { alert, ..entry.clone() }));
        }
        state.write(changes, None).map_err(ApiError::from)?;
        let alert = |id: &String| state.entries.get(id).map(|entry| entry.alert.clone());
        Ok(request.ids.iter().filter_map(alert).collect())
    }

    /// The changes behind a number.
    pub fn changes(&self, request: &AlertChangesRequest) -> AlertChanges {
        let state = self.state();
        let limit = request.limit.unwrap_or(CHANGES_LIMIT_DEFAULT).clamp(1, CHANGES_LIMIT_MAX);
        let first = state.changes.front().map_or(state.next_number, |change| change.number);
        let mut missed = first.saturating_sub(1).saturating_sub(request.after);
        let from = state.changes.partition_point(|change| change.number <= request.after);
        let (mut changes, mut gone) = (Vec::new(), 0);
        for Change { number, time, change, id } in state.changes.range(from..) {
            if changes.len() == limit {
                break;
            }
            let Some(entry) = state.entries.get(id) else {
                gone += 1;
                continue;
            };
            // Those before it are told once: the next request begins behind it.
            missed += std::mem::take(&mut gone);
            let (number, change, alert) = (*number, *change, entry.alert.clone());
            changes.push(AlertChange { number, time: time.clone(), change, alert });
        }
        AlertChanges { log: state.log.clone(), changes, last: state.next_number - 1, missed }
    }

    /// Calls `visit` with a list that has all alerts.
    pub(crate) fn listed<T>(&self, visit: impl FnOnce(Listing<'_>) -> T) -> T {
        let state = self.state();
        visit(Listing {
            alerts: state.entries.values().map(|entry| (entry, &entry.alert)).collect(),
        })
    }

    /// How many alerts are open and stand.
    pub fn open_count(&self) -> u64 {
        let state = self.state();
        let is_open = |entry: &&Entry| {
            entry.alert.state == AlertState::Open && entry.alert.withdrawn.is_none()
        };
        state.entries.values().filter(is_open).count() as u64
    }
}

impl State {
    fn of(file: AlertsFile, lines: Vec<Line>) -> Self {
        let mut state = Self {
            file,
            log: String::new(),
            entries: BTreeMap::new(),
            of_rules: BTreeMap::new(),
            bytes: 0,
            changes: VecDeque::new(),
            next_number: 1,
            seen: Seen::default(),
            kept_from: i64::MIN,
            rules: HashMap::new(),
        };
        for line in lines {
            state.take(line);
        }
        if state.log.is_empty() {
            state.log = new_log();
        }
        state
    }

    /// What decisions change.
    fn differences(
        &mut self,
        verdict: Verdict<'_>,
        now: &str,
        changes: &mut Vec<(AlertChangeKind, Entry)>,
    ) {
        let Verdict { of, decided, may_withdraw } = verdict;
        let rule = self.shared(of.rule);
        let dropped_to = self.seen.horizons.get(of.key).copied().unwrap_or(i64::MIN);
        let kept_from = self.kept_from.max(dropped_to.saturating_add(1));
        let mut found = HashSet::new();
        let (mut raised, mut stood) = (Vec::new(), Vec::new());
        for decision in decided.decisions {
            let id = id_of(of.key, of.kind, &decision);
            found.insert(id.clone());
            match self.entries.get(&id) {
                Some(_) => stood.push((id, decision)),
                None if decision.last < kept_from => {}
                None => raised.push((id, decision)),
            }
        }
        self.leave_out(of.key, &mut raised);
        for (id, decision) in raised.into_iter().chain(stood) {
            let before = self.entries.get(&id);
            let entry = entry(&of, &rule, id, decision, before, now);
            let change = match before {
                None => AlertChangeKind::Raised,
                Some(before) if before.alert.withdrawn.is_some() => AlertChangeKind::Raised,
                Some(before) if is_same(before, &entry) => continue,
                Some(_) => AlertChangeKind::Grown,
            };
            changes.push((change, entry));
        }
        if !may_withdraw {
            return;
        }
        for entry in self.of_rule(of.key) {
            let is_meant = entry.alert.withdrawn.is_none()
                && decided.scope.has(&entry.group, entry.at)
                && !found.contains(&entry.alert.id);
            if is_meant {
                let (withdrawn, changed) = (Some(now.to_owned()), now.to_owned());
                let alert = Alert { withdrawn, changed, ..entry.alert.clone() };
                changes.push((AlertChangeKind::Withdrawn, Entry { alert, ..entry.clone() }));
            }
        }
    }

    /// Leaves out the oldest of a rule's new alerts where they are more than it can have: nobody is told of
    /// what would be dropped at once.
    fn leave_out(&mut self, key: &str, raised: &mut Vec<(String, Decision)>) {
        if raised.len() <= RULE_ALERTS_MAX {
            return;
        }
        raised.sort_by_key(|(_, decision)| decision.last);
        let surplus = raised.len() - RULE_ALERTS_MAX / 10 * 9;
        let left_out = raised.drain(..surplus).next_back();
        if let Some((_, decision)) = left_out {
            self.drop_to(key, decision.last, surplus as u64);
        }
    }

    /// Notes that alerts of a rule were dropped, and the time up to which none is raised any more.
    fn drop_to(&mut self, key: &str, last: i64, count: u64) {
        let until = written(last);
        tracing::warn!(
            rule = key,
            alerts = count,
            until,
            "too many alerts: the oldest are dropped"
        );
        let horizon = self.seen.horizons.entry(key.to_owned()).or_insert(last);
        *horizon = last.max(*horizon);
        self.seen.dropped += count;
    }

    fn of_rule(&self, key: &str) -> impl Iterator<Item = &Entry> {
        let ids = self.of_rules.get(key).into_iter().flatten();
        ids.filter_map(|id| self.entries.get(id))
    }

    fn shared(&mut self, rule: &AlertRule) -> Arc<AlertRule> {
        let key = rule.id.as_ref().or(rule.name.as_ref()).unwrap_or(&rule.title);
        match self.rules.get(key) {
            Some(known) if **known == *rule => Arc::clone(known),
            _ => {
                let rule = Arc::new(rule.clone());
                self.rules.insert(key.clone(), Arc::clone(&rule));
                rule
            }
        }
    }

    /// Writes changes, and then takes them.
    fn write(
        &mut self,
        changes: Vec<(AlertChangeKind, Entry)>,
        seen: Option<Seen>,
    ) -> Result<(), IndexError> {
        let (time, first) = (now(), self.next_number);
        let numbered = changes.into_iter().zip(first..).map(|((change, entry), number)| Changed {
            number,
            time: time.clone(),
            change,
            entry,
        });
        let numbered: Vec<Changed> = numbered.collect();
        let parts = numbered.chunks(LINE_CHANGES_MAX);
        let begins = (self.file.bytes == 0).then(|| head(&self.log));
        let parts = parts.map(|part| Line::Changes(part.to_vec()));
        let mut lines: Vec<Line> = begins.into_iter().chain(parts).collect();
        lines.extend(seen.map(|seen| Line::Seen(Box::new(seen))));
        self.file.append(&lines)?;
        for line in lines {
            self.take(line);
        }
        let has_dropped = self.make_room();
        let is_large = self.file.bytes > COMPACT_BYTES_MIN.max(4 * self.bytes as u64);
        if (is_large || has_dropped)
            && let Err(error) = self.compact()
        {
            // What was to be written is on disk.
            tracing::warn!(%error, "the file of alerts cannot be made smaller");
        }
        Ok(())
    }

    /// Takes what a line says.
    fn take(&mut self, line: Line) {
        match line {
            Line::Head { log, .. } => self.log = log,
            Line::Seen(seen) => self.seen = *seen,
            Line::Alerts(entries) => entries.into_iter().for_each(|entry| self.insert(entry)),
            Line::Kept(changes) => changes.into_iter().for_each(|change| self.note(change)),
            Line::Changes(changes) => {
                for Changed { number, time, change, entry } in changes {
                    let id = entry.alert.id.clone();
                    self.insert(entry);
                    self.note(Change { number, time, change, id });
                }
            }
        }
    }

    fn insert(&mut self, mut entry: Entry) {
        entry.alert.rule = self.shared(&Arc::clone(&entry.alert.rule));
        let id = entry.alert.id.clone();
        self.of_rules.entry(entry.rule.clone()).or_default().insert(id.clone());
        self.bytes += bytes_of(&entry);
        if let Some(before) = self.entries.insert(id, entry) {
            self.bytes -= bytes_of(&before);
        }
    }

    fn remove(&mut self, id: &str) {
        let Some(entry) = self.entries.remove(id) else { return };
        self.bytes -= bytes_of(&entry);
        if let Some(ids) = self.of_rules.get_mut(&entry.rule) {
            ids.remove(id);
        }
    }

    fn note(&mut self, change: Change) {
        self.next_number = change.number + 1;
        self.changes.push_back(change);
        if self.changes.len() > CHANGES_MAX {
            self.changes.pop_front();
        }
    }

    /// Drops alerts where there are too many: the oldest, of the rules that have the most. Returns whether
    /// there were.
    fn make_room(&mut self) -> bool {
        let counts: Vec<usize> = self.of_rules.values().map(BTreeSet::len).collect();
        let share = share_of(&counts, self.bytes);
        let too_many = self.of_rules.iter().filter(|(_, ids)| ids.len() > share);
        let too_many: Vec<(String, usize)> =
            too_many.map(|(rule, ids)| (rule.clone(), ids.len() - share)).collect();
        for (rule, surplus) in &too_many {
            let of_rule = self.of_rule(rule);
            let mut oldest: Vec<(i64, String)> =
                of_rule.map(|entry| (entry.last, entry.alert.id.clone())).collect();
            oldest.sort_unstable();
            oldest.truncate(*surplus);
            for (_, id) in &oldest {
                self.remove(id);
            }
            if let Some((last, _)) = oldest.last() {
                self.drop_to(rule, *last, oldest.len() as u64);
            }
        }
        !too_many.is_empty()
    }

    /// Writes a file that has nothing but what there is.
    fn compact(&mut self) -> Result<(), IndexError> {
        let mut lines = vec![head(&self.log)];
        let entries: Vec<Entry> = self.entries.values().cloned().collect();
        lines.extend(entries.chunks(LINE_CHANGES_MAX).map(|part| Line::Alerts(part.to_vec())));
        let changes: Vec<Change> = self.changes.iter().cloned().collect();
        lines.extend(changes.chunks(10 * LINE_CHANGES_MAX).map(|part| Line::Kept(part.to_vec())));
        lines.push(Line::Seen(Box::new(self.seen.clone())));
        self.file.replace(&lines)
    }

    /// Copies the damaged file, so that someone can look at it. The new one takes its place.
    fn set_aside(&self) -> Result<(), IndexError> {
        let path = self.file.path();
        let second = Timestamp::now().as_second();
        let aside = path.with_extension(format!("jsonl.damaged-{second}"));
        std::fs::copy(path, &aside).map(|_| ()).map_err(IndexError::io(&aside))
    }
}

/// How many alerts a rule can have, where the rules have so many, of so many bytes together. Where there
/// are too many, a tenth less than fits, so that this is seldom.
fn share_of(counts: &[usize], bytes: usize) -> usize {
    let all: usize = counts.iter().sum();
    let is_full = all > ALERTS_MAX || bytes > ALERTS_BYTES_MAX;
    if !is_full {
        let is_too_much = counts.iter().any(|count| *count > RULE_ALERTS_MAX);
        return if is_too_much { RULE_ALERTS_MAX / 10 * 9 } else { RULE_ALERTS_MAX };
    }
    let by_bytes = all as u128 * (ALERTS_BYTES_MAX / 10 * 9) as u128 / bytes.max(1) as u128;
    let target = (ALERTS_MAX / 10 * 9).min(by_bytes as usize);
    let left = |share: usize| counts.iter().map(|count| share.min(*count)).sum::<usize>();
    // Of each rule, the latest stays.
    let (mut fits, mut too_many) = (1, RULE_ALERTS_MAX);
    while fits + 1 < too_many {
        let middle = usize::midpoint(fits, too_many);
        if left(middle) <= target { fits = middle } else { too_many = middle }
    }
    fits
}

/// The entry of a decision.
fn entry(
    of: &Deciding<'_>,
    rule: &Arc<AlertRule>,
    id: String,
    decision: Decision,
    before: Option<&Entry>,
    now: &str,
) -> Entry {
    let Decision { names, group, at, first, last, events, ids, query } = decision;
    // What is raised again is for somebody to look at.
    let stood = before.filter(|before| before.alert.withdrawn.is_none());
    let shown = names.into_iter().zip(group.iter().map(|value| cut(value)));
    let alert = Alert {
        id,
        rule: Arc::clone(rule),
        kind: of.kind.to_owned(),
        group: shown.collect(),
        first: written(first),
        last: written(last),
        events,
        ids: ids.into_iter().take(IDS_MAX).collect(),
        query: query.map(|query| query.to_string()).filter(|query| query.len() <= TEXT_BYTES_MAX),
        state: stood.map_or(AlertState::Open, |before| before.alert.state),
        note: before.and_then(|before| before.alert.note.clone()),
        by: before.and_then(|before| before.alert.by),
        withdrawn: None,
        raised: before.map_or_else(|| now.to_owned(), |before| before.alert.raised.clone()),
        changed: now.to_owned(),
    };
    Entry { rule: of.key.to_owned(), group, at, first, last, alert }
}

/// Whether there is nothing to tell.
fn is_same(before: &Entry, entry: &Entry) -> bool {
    let of = |entry: &Entry| (entry.first, entry.last, entry.alert.events);
    let (old, new) = (&before.alert, &entry.alert);
    let is_same_rule = old.rule == new.rule && old.kind == new.kind && old.query == new.query;
    of(before) == of(entry) && old.ids == new.ids && is_same_rule
}

/// The same for the same decision of the same rule, wherever it is made.
fn id_of(key: &str, kind: &str, decision: &Decision) -> String {
    // Only of absences, several can be of one group and time, each of an event.
    let of_one = decision.ids.first().filter(|_| kind == "absence");
    let parts = serde_json::json!([key, decision.names, decision.group, decision.at, of_one]);
    hex::encode(&Sha256::digest(parts.to_string())[..16])
}

fn bytes_of(entry: &Entry) -> usize {
    let Entry { rule, group, alert, .. } = entry;
    let texts = [&alert.kind, &alert.id, &alert.first, &alert.last, &alert.raised, rule];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    let groups: usize = group.iter().map(|value| 2 * value.len() + 64).sum();
    let ids: usize = alert.ids.iter().map(|id| id.len() + 24).sum();
    let rest = [&alert.query, &alert.note].into_iter().flatten().map(String::len).sum::<usize>();
    size_of::<Entry>() + 128 + texts + groups + ids + rest
}

/// A value as it is shown.
fn cut(value: &str) -> String {
    let end = value.floor_char_boundary(TEXT_BYTES_MAX);
    if end == value.len() { value.to_owned() } else { format!("{}…", &value[..end]) }
}

fn now() -> String {
    Timestamp::now().to_string()
}

fn written(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |time| time.to_string())
}

/// A name that no other log has.
fn new_log() -> String {
    let mut hash = Sha256::new();
    hash.update(Timestamp::now().as_nanosecond().to_le_bytes());
    hash.update(std::process::id().to_le_bytes());
    hex::encode(&hash.finalize()[..8])
}

#[cfg(test)]
mod tests;
