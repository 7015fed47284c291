//! The first events by the values of fields, and the first of those that agree in some.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use tantivy::query::{EnableScoring, Query};
use tantivy::{DocId, DocSet, TERMINATED};

use crate::collect::Match;
use crate::values::{Local, ReadRecord, Source, Values};
use segment::IndexError;
use segment::view::SegmentView;
use store::snapshot::Snapshot;
use trail::cell::Cell;
use wire::Order;

/// Events visited between two looks at the deadline.
const CHECK_STEP: u64 = 1 << 12;

/// Events kept beyond those that are wanted, before the last ones are dropped.
const SURPLUS: usize = 4_096;

/// What a kept event costs in memory, about, beside its texts.
const EVENT_BYTES: usize = 160;

/// In which order events are wanted.
#[derive(Clone, Debug)]
pub struct Ranking {
    /// By these, descending where it is true; events without a value come last. Of several values
    /// the one that comes first counts.
    pub sort: Vec<(Source, bool)>,
    /// Of events with the same values in these, the first.
    pub dedup: Vec<Source>,
    /// By time, and by place, where all else is equal.
    pub order: Order,
    pub limit: usize,
}

/// An event with what it is ranked by.
struct Ranked {
    found: Match,
    keys: Vec<Cell>,
}

/// The first events that match, and how many match. `check` is asked now and then whether to go on.
pub fn ranked<E: From<IndexError>>(
    snapshot: &Snapshot,
    query: &dyn Query,
    ranking: &Ranking,
    read: &Arc<ReadRecord>,
    bytes_max: usize,
    check: &dyn Fn() -> Result<(), E>,
) -> Result<(Vec<Match>, u64), E> {
    let weight = query
        .weight(EnableScoring::disabled_from_schema(snapshot.schema()))
        .map_err(|error| E::from(error.into()))?;
    let mut kept = Kept { ranking, all: Vec::new(), firsts: HashMap::default(), bytes: 0 };
    let mut total = 0_u64;
    for segment in &snapshot.segments {
        check()?;
        let open = |source| Reader::open(segment, source, read);
        let mut sort: Vec<Reader> =
            ranking.sort.iter().map(|(source, _)| open(source)).collect::<Result<_, _>>()?;
        let mut dedup: Vec<Reader> = ranking.dedup.iter().map(open).collect::<Result<_, _>>()?;
        let mut scorer =
            weight.scorer(&segment.reader, 1.0).map_err(|error| E::from(error.into()))?;
        let mut doc = scorer.doc();
        while doc != TERMINATED {
            let mut keys = Vec::with_capacity(sort.len());
            for (reader, (_, is_descending)) in sort.iter_mut().zip(&ranking.sort) {
                keys.push(reader.first(doc, *is_descending)?);
            }
            let mut group = Vec::with_capacity(dedup.len());
            for reader in &mut dedup {
                group.push(reader.of(doc)?);
            }
            kept.add(Ranked { found: Match::new(segment, doc), keys }, group, bytes_max)?;
            total += 1;
            if total.is_multiple_of(CHECK_STEP) {
                check()?;
            }
            doc = scorer.advance();
        }
    }
    Ok((kept.end(), total))
}

/// Reads a field's values as cells.
struct Reader {
    values: Values,
    known: HashMap<Local, Cell, FxBuildHasher>,
}

impl Reader {
    fn open(
        segment: &Arc<SegmentView>,
        source: &Source,
        read: &Arc<ReadRecord>,
    ) -> Result<Self, IndexError> {
        Ok(Self { values: Values::open(segment, source, read)?, known: HashMap::default() })
    }

    /// Every value, in order.
    fn of(&mut self, doc: DocId) -> Result<Vec<Cell>, IndexError> {
        let mut cells = Vec::new();
        for local in self.values.of(doc)?.to_vec() {
            if let Some(cell) = self.known.get(&local) {
                cells.push(cell.clone());
                continue;
            }
            let cell = self.values.cell(local)?;
            self.known.insert(local, cell.clone());
            cells.push(cell);
        }
        cells.sort();
        Ok(cells)
    }

    fn first(&mut self, doc: DocId, is_descending: bool) -> Result<Cell, IndexError> {
        let mut cells = self.of(doc)?;
        let first = if is_descending { cells.pop() } else { cells.into_iter().next() };
        Ok(first.unwrap_or_default())
    }
}

struct Kept<'r> {
    ranking: &'r Ranking,
    all: Vec<Ranked>,
    firsts: HashMap<Vec<Vec<Cell>>, Ranked, FxBuildHasher>,
    bytes: usize,
}

impl Kept<'_> {
    fn add(
        &mut self,
        ranked: Ranked,
        group: Vec<Vec<Cell>>,
        bytes_max: usize,
    ) -> Result<(), IndexError> {
        if self.ranking.dedup.is_empty() {
            self.all.push(ranked);
            if self.all.len() > self.ranking.limit + SURPLUS {
                self.drop_surplus();
            }
            return Ok(());
        }
        match self.firsts.get_mut(&group) {
            Some(first) => {
                if self.ranking.compare(&ranked, first).is_lt() {
                    *first = ranked;
                }
            }
            None => {
                let texts: usize = group.iter().flatten().map(bytes).sum();
                self.bytes += EVENT_BYTES + texts;
                if self.bytes > bytes_max {
                    return Err(IndexError::TooManyGroups { groups: self.firsts.len() });
                }
                self.firsts.insert(group, ranked);
            }
        }
        Ok(())
    }

    fn drop_surplus(&mut self) {
        self.all.sort_by(|a, b| self.ranking.compare(a, b));
        self.all.truncate(self.ranking.limit);
    }

    fn end(mut self) -> Vec<Match> {
        self.all.extend(std::mem::take(&mut self.firsts).into_values());
        self.drop_surplus();
        self.all.into_iter().map(|ranked| ranked.found).collect()
    }
}

impl Ranking {
    fn compare(&self, a: &Ranked, b: &Ranked) -> Ordering {
        let keys = a.keys.iter().zip(&b.keys).zip(&self.sort);
        let by_keys = keys.map(|((a, b), (_, is_descending))| in_order(a, b, *is_descending));
        let by_keys = by_keys.fold(Ordering::Equal, Ordering::then);
        by_keys.then_with(|| a.found.position.compare(&b.found.position, self.order))
    }
}

/// Compares two values; one that is not there comes last in either direction.
pub fn in_order(a: &Cell, b: &Cell, is_descending: bool) -> Ordering {
    let is_null = |cell: &Cell| *cell == Cell::Null;
    let by_value = if is_descending { b.cmp(a) } else { a.cmp(b) };
    is_null(a).cmp(&is_null(b)).then(by_value)
}

fn bytes(cell: &Cell) -> usize {
    size_of::<Cell>() + if let Cell::Text(text) = cell { text.len() } else { 0 }
}
