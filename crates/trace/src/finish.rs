//! The end of a trace: uses are counted, gaps get their files, and the answer is put together.

use trail::seeded::SeededMap;
use trail::time::Micros;
use wire::{ApiError, TotalMode, TraceKind, TraceResponse, ValueCount};

use crate::Tracer;
use crate::ask::{
    ADDRESS, CREATED, Group, KEY, PRINCIPAL, SEARCHES_MAX, TIME_MAX, all, is, one_of,
};
use crate::record::Record;

/// Keys whose uses one search counts.
const KEYS_STEP: usize = 100;

/// Uses of a key up to which it is counted together with others.
const FEW_USES_MAX: u64 = 1_000;

/// Uses of busier keys whose addresses are counted in one trace: some 50 ms.
const EVENTS_MAX: u64 = 500_000;

/// Addresses of a node that are told.
const ADDRESSES_MAX: usize = 10;

/// Gaps whose files are looked for: each look reads the ledger.
const GAPS_WITH_FILES_MAX: usize = 4;
const FILES_MAX: usize = 10;

const HOUR: i64 = 3_600_000_000;

/// `1 use`, `29 uses`.
pub(crate) fn uses(events: u64) -> String {
    format!("{events} use{}", if events == 1 { "" } else { "s" })
}

impl Tracer<'_> {
    pub(crate) fn finish(mut self, subjects: &[usize]) -> Result<TraceResponse, ApiError> {
        self.count_keys()?;
        self.count_sessions()?;
        self.compare_addresses()?;
        self.find_files()?;
        let lost = self.graph.lost;
        if lost > 0 {
            self.leave_out(format!("{lost} more nodes or edges: no more are told in one answer"));
        }
        if self.ask.is_spent {
            let searches = self.ask.searches;
            self.leave_out(format!(
                "what more searches would find: uses that are not counted, ancestors and descendants; a trace \
                 takes {SEARCHES_MAX} searches and {} s at most, and this one took {searches}",
                TIME_MAX.as_secs()
            ));
        }
        let id = |at: &usize| self.graph.id(*at);
        Ok(TraceResponse {
            subjects: subjects.iter().map(id).collect(),
            nodes: self.graph.entries.into_iter().map(|entry| entry.node).collect(),
            edges: self.graph.edges,
            gaps: self.gaps,
            left_out: self.left_out,
            warnings: self.ask.warnings,
            searches: self.ask.searches,
            took_ms: 0.0,
        })
    }

    /// Uses, times and addresses of all keys: of those asked for first, and of many rarely used ones at
    /// once.
    fn count_keys(&mut self) -> Result<(), ApiError> {
        let is_key = |at: &usize| self.graph.kind(*at) == TraceKind::Key;
        let keys: Vec<usize> = (0..self.graph.entries.len()).filter(is_key).collect();
        let mut few = Vec::new();
        let mut many = Vec::new();
        for at in keys {
            self.first_use(at)?;
            match self.graph.entries[at].node.uses {
                Some(1..=FEW_USES_MAX) => few.push(at),
                Some(0) | None => {}
                Some(_) => many.push(at),
            }
        }
        for keys in few.chunks(KEYS_STEP) {
            self.count_few(keys)?;
        }
        let mut left = EVENTS_MAX;
        for at in many {
            let uses = self.graph.entries[at].node.uses.unwrap_or_default();
            let by = is(KEY, &self.graph.name(at));
            self.graph.entries[at].node.last =
                self.ask.last(by.clone())?.map(|record| record.meta.time);
            if uses > left {
                let id = self.graph.id(at);
                self.leave_out(format!("the addresses of {id}, which was used {uses} times"));
                continue;
            }
            left -= uses;
            let (rows, _) = self.ask.groups(by, &[ADDRESS], ADDRESSES_MAX)?;
            self.graph.entries[at].node.addresses = addresses_of(&rows, 0);
        }
        Ok(())
    }

    fn count_few(&mut self, keys: &[usize]) -> Result<(), ApiError> {
        let names: Vec<String> = keys.iter().map(|at| self.graph.name(*at)).collect();
        let rows = self.ask.tallies(one_of(KEY, &names), &[KEY, ADDRESS])?;
        let mut of_key: SeededMap<String, Vec<Group>> = SeededMap::default();
        for row in rows {
            let Some(key) = row.values.first() else { continue };
            of_key.entry(key.clone()).or_default().push(row);
        }
        for (at, name) in keys.iter().zip(&names) {
            let rows = of_key.remove(name).unwrap_or_default();
            let node = &mut self.graph.entries[*at].node;
            node.last = rows.iter().map(|row| row.last.clone()).max();
            node.addresses = addresses_of(&rows, 1);
        }
        Ok(())
    }

    fn count_sessions(&mut self) -> Result<(), ApiError> {
        for at in 0..self.graph.entries.len() {
            let entry = &self.graph.entries[at];
            let Some(identity) = entry.identity.as_ref() else { continue };
            if entry.node.kind != TraceKind::Session {
                continue;
            }
            let of = all([is(PRINCIPAL, &identity.principal), is(CREATED, &identity.created)]);
            let rows = self.ask.tallies(of.clone(), &[KEY, ADDRESS])?;
            let first = self.ask.oldest(of, 1, TotalMode::Exact)?;
            if self.ask.is_spent {
                return Ok(());
            }
            let mut keys: Vec<&str> =
                rows.iter().filter_map(|row| Some(row.values.first()?.as_str())).collect();
            keys.retain(|key| !key.is_empty());
            keys.sort_unstable();
            keys.dedup();
            let keys = keys.len() as u64;
            let node = &mut self.graph.entries[at].node;
            node.keys = Some(keys);
            node.uses = Some(first.total);
            node.last = rows.iter().map(|row| row.last.clone()).max();
            node.addresses = addresses_of(&rows, 1);
            node.first = first.records.first().map(Record::event);
        }
        Ok(())
    }

    /// Names the files of the hours in which an issuer is missing.
    fn find_files(&mut self) -> Result<(), ApiError> {
        let mut gaps = std::mem::take(&mut self.gaps);
        let mut looked_for: Vec<(Micros, Vec<String>, u64)> = Vec::new();
        for gap in &mut gaps {
            let time = gap.time.as_deref().and_then(Micros::parse_event_time);
            let Some(hour) = time.map(Micros::hour) else { continue };
            if let Some((_, files, total)) = looked_for.iter().find(|(known, ..)| *known == hour) {
                (gap.files, gap.files_total) = (files.clone(), Some(*total));
                continue;
            }
            if looked_for.len() == GAPS_WITH_FILES_MAX {
                self.leave_out("the files of the hours of further gaps".to_owned());
                break;
            }
            let end = Micros(hour.0.saturating_add(HOUR));
            let found = self.ask.files(hour.to_string(), end.to_string(), FILES_MAX)?;
            let files: Vec<String> = found.files.into_iter().map(|file| file.path).collect();
            (gap.files, gap.files_total) = (files.clone(), Some(found.total));
            looked_for.push((hour, files, found.total));
        }
        self.gaps = gaps;
        Ok(())
    }
}

/// Addresses with their events, the most frequent first; an address stands at this place of the rows'
/// values.
fn addresses_of(rows: &[Group], place: usize) -> Vec<ValueCount> {
    let mut events: SeededMap<&str, u64> = SeededMap::default();
    for row in rows {
        let Some(address) = row.values.get(place).filter(|text| !text.is_empty()) else { continue };
        *events.entry(address).or_default() += row.events;
    }
    let mut addresses: Vec<(&str, u64)> = events.into_iter().collect();
    addresses.sort_by(|(one, few), (other, many)| many.cmp(few).then(one.cmp(other)));
    addresses.truncate(ADDRESSES_MAX);
    let told = |(address, events): (&str, u64)| ValueCount { value: address.into(), events };
    addresses.into_iter().map(told).collect()
}
