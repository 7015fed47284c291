//! The field `flag`: what is odd about an event's record or its file. Most flags are in a column of
//! numbers. That a file is cut off is in the ledger; and of two events that share an id, only the later has
//! it in the column, so the record of another is read for its id where a segment may have such ids.

use std::sync::{Arc, LazyLock};

use tantivy::DocId;

use crate::clauses::{Clause, Context};
use crate::meaning::ValueMeaning;
use crate::parsers::SharedParser;
use segment::IndexError;
use segment::docsets::Docs;
use segment::view::SegmentView;
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::flags::Flags;
use trail::seeded::SeededMap;

/// The field's name.
pub(crate) const FLAG: &str = "flag";

/// Beyond so many ids that events share, every segment may have one: looking for each takes longer.
const IDS_LOOKED_FOR_MAX: usize = 10_000;

/// The flags in the order of their names.
static BY_NAME: LazyLock<Vec<(Flags, &str)>> = LazyLock::new(|| {
    let mut flags = Flags::NAMES.to_vec();
    flags.sort_unstable_by_key(|(_, name)| *name);
    flags
});

/// What columns do not say of a snapshot's events.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Odd {
    /// The files that end too early, in order.
    cut: Vec<u64>,
    /// Ids that events of different content share, in order.
    shared: Vec<u64>,
}

impl Odd {
    pub(crate) fn of(snapshot: &Snapshot) -> Arc<Self> {
        Arc::new(Self { cut: snapshot.files.cut_off(), shared: snapshot.conflicts() })
    }
}

/// Reads the flags of a segment's events.
pub(crate) struct FlagReader {
    segment: Arc<SegmentView>,
    odd: Arc<Odd>,
    /// Whether an event may share its id with a later one.
    has_shared: bool,
}

impl FlagReader {
    pub(crate) fn new(segment: &Arc<SegmentView>, odd: &Arc<Odd>) -> Self {
        let has_shared = odd.shared.len() > IDS_LOOKED_FOR_MAX
            || odd.shared.iter().any(|id| segment.keys.may_have(*id));
        Self { segment: Arc::clone(segment), odd: Arc::clone(odd), has_shared }
    }

    /// Whether records are read.
    pub(crate) fn is_slow(&self) -> bool {
        self.has_shared
    }

    /// The flags of an event.
    pub(crate) fn of(&self, doc: DocId) -> Result<Flags, IndexError> {
        Ok(self.known(doc) | self.shared(doc)?)
    }

    /// Those that are known without the record.
    fn known(&self, doc: DocId) -> Flags {
        let flags = self.segment.flags(doc);
        let is_cut = self.odd.cut.binary_search(&self.segment.file(doc)).is_ok();
        if is_cut { flags | Flags::CUT_OFF } else { flags }
    }

    fn shared(&self, doc: DocId) -> Result<Flags, IndexError> {
        if !self.has_shared {
            return Ok(Flags::default());
        }
        let record = self.segment.record(doc)?;
        let key = SharedParser::take().key(&record);
        let is_shared = key.is_some_and(|key| self.odd.shared.binary_search(&key.id).is_ok());
        Ok(if is_shared { Flags::ID_CONFLICT } else { Flags::default() })
    }

    /// The places of an event's flags in the order of their names.
    pub(crate) fn places(&self, doc: DocId) -> Result<impl Iterator<Item = u64>, IndexError> {
        let flags = self.of(doc)?;
        let places = BY_NAME.iter().enumerate();
        Ok(places
            .filter(move |(_, (flag, _))| flags.contains(*flag))
            .map(|(place, _)| place as u64))
    }
}

/// The name of the flag at a place in the order of names.
pub(crate) fn name_at(place: u64) -> &'static str {
    BY_NAME[place as usize].1
}

/// Events of which a flag passes a test.
#[derive(Debug)]
pub(crate) struct FlagClause {
    pub(crate) odd: Arc<Odd>,
    pub(crate) test: ValueMeaning,
}

impl Clause for FlagClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let reader = FlagReader::new(context.segment, &self.odd);
        let passes = |(_, name): &&(Flags, &str)| self.test.is_met_by(&Cell::text(name));
        let wanted: Vec<Flags> = BY_NAME.iter().filter(passes).map(|(flag, _)| *flag).collect();
        let mut known: SeededMap<u64, bool> = SeededMap::default();
        let asks_for_ids = wanted.contains(&Flags::ID_CONFLICT) && reader.is_slow();
        let mut has_wanted = move |flags: Flags| {
            let has = || wanted.iter().any(|wanted| flags.contains(*wanted));
            *known.entry(flags.0).or_insert_with(has)
        };
        if !asks_for_ids {
            return Ok(context.scan(move |doc| has_wanted(reader.known(doc))));
        }
        Ok(context.scan_reading(move |doc| {
            Ok(has_wanted(reader.known(doc)) || has_wanted(reader.shared(doc)?))
        }))
    }
}
