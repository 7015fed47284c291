//! The end of a trace: uses are counted, gaps get their files, and the answer is put together.

use trail::seeded::SeededMap;
use trail::time::Micros;
use wire::{ApiError, TotalMode, TraceKind, TraceResponse, ValueCount};

use crate::Tracer;
use crate::ask::{ADDRESS, CREATED, Group, KEY, PRINCIPAL, all, is, one_of};

/// Keys whose uses one search counts.
const KEYS_STEP: usize = 100;

/// Rows of key and address that one search returns.
const USES_ROWS_MAX: usize = 5_000;

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
                "what more than {searches} searches would find: uses that are not counted, ancestors and \
                 descendants"
            ));
        }
        let id = |at: &usize| self.graph.entries[*at].node.id.clone();
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

    /// Uses, times and addresses of all keys.
    fn count_keys(&mut self) -> Result<(), ApiError> {
        let is_key = |at: &usize| self.graph.kind(*at) == TraceKind::Key;
        let keys: Vec<usize> = (0..self.graph.entries.len()).filter(is_key).collect();
        for keys in keys.chunks(KEYS_STEP) {
            let names: Vec<String> = keys.iter().map(|at| self.graph.name(*at)).collect();
            let (rows, total) =
                self.ask.groups(one_of(KEY, &names), &[KEY, ADDRESS], USES_ROWS_MAX)?;
            if self.ask.is_spent {
                return Ok(());
            }
            if total > rows.len() as u64 {
                self.leave_out("the rarest addresses, and with them some uses".to_owned());
            }
            let mut of_key: SeededMap<String, Vec<Group>> = SeededMap::default();
            for row in rows {
                let Some(key) = row.values.first() else { continue };
                of_key.entry(key.clone()).or_default().push(row);
            }
            for (at, name) in keys.iter().zip(&names) {
                let rows = of_key.remove(name).unwrap_or_default();
                self.count(*at, &rows, 1);
                if !rows.is_empty() {
                    self.first_use(*at)?;
                }
            }
        }
        Ok(())
    }

    /// Enters what rows tell of a node, with the address at this place of their values.
    fn count(&mut self, at: usize, rows: &[Group], address: usize) {
        let node = &mut self.graph.entries[at].node;
        node.uses = Some(rows.iter().map(|row| row.events).sum());
        node.last = rows.iter().map(|row| row.last.clone()).max();
        let mut addresses: Vec<ValueCount> = Vec::new();
        for row in rows {
            let Some(text) = row.values.get(address).filter(|text| !text.is_empty()) else {
                continue;
            };
            match addresses.iter_mut().find(|known| known.value == text.as_str()) {
                Some(known) => known.events += row.events,
                None => {
                    addresses.push(ValueCount { value: text.clone().into(), events: row.events });
                }
            }
        }
        addresses.sort_by_key(|known| std::cmp::Reverse(known.events));
        addresses.truncate(ADDRESSES_MAX);
        node.addresses = addresses;
    }

    fn count_sessions(&mut self) -> Result<(), ApiError> {
        for at in 0..self.graph.entries.len() {
            let entry = &self.graph.entries[at];
            let Some(identity) = entry.identity.as_ref() else { continue };
            if entry.node.kind != TraceKind::Session {
                continue;
            }
            let of = all([is(PRINCIPAL, &identity.principal), is(CREATED, &identity.created)]);
            let (rows, total) = self.ask.groups(of.clone(), &[KEY, ADDRESS], USES_ROWS_MAX)?;
            if self.ask.is_spent {
                return Ok(());
            }
            if total > rows.len() as u64 {
                self.leave_out("the rarest addresses, and with them some uses".to_owned());
            }
            self.count(at, &rows, 1);
            let mut keys: Vec<&str> =
                rows.iter().filter_map(|row| Some(row.values.first()?.as_str())).collect();
            keys.retain(|key| !key.is_empty());
            keys.sort_unstable();
            keys.dedup();
            let keys = keys.len() as u64;
            let first = self.ask.oldest(of, 1, TotalMode::None)?.records.into_iter().next();
            let node = &mut self.graph.entries[at].node;
            node.keys = Some(keys);
            node.first = first.map(|record| record.event());
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
