//! The field `flag`: what is odd about an event's record or its file. Most flags are in a column of
//! numbers. That a file is cut off is in the ledger; and of two events that share an id, only the later has
//! it in the column, so the others are looked up.

mod shared;

use std::sync::{Arc, LazyLock};

use tantivy::DocId;

use self::shared::{SharedDocs, SharedIds};
use crate::clauses::{Clause, Context};
use crate::meaning::ValueMeaning;
use crate::parsers::SharedParser;
use segment::IndexError;
use segment::docsets::Docs;
use segment::stop::Stop;
use segment::view::SegmentView;
use store::snapshot::Snapshot;
use trail::cell::Cell;
use trail::flags::Flags;
use trail::seeded::SeededMap;

/// The field's name.
pub(crate) const FLAG: &str = "flag";

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
    shared: Arc<SharedIds>,
}

impl Odd {
    /// `stop` ends what is looked up later.
    pub(crate) fn of(snapshot: &Snapshot, stop: Stop) -> Arc<Self> {
        let shared = Arc::new(SharedIds::of(snapshot, stop));
        Arc::new(Self { cut: snapshot.files.cut_off(), shared })
    }
}

/// Reads the flags of a segment's events.
pub(crate) struct FlagReader {
    segment: Arc<SegmentView>,
    odd: Arc<Odd>,
    /// The events that share an id with another.
    shared: SharedDocs,
}

impl FlagReader {
    pub(crate) fn new(segment: &Arc<SegmentView>, odd: &Arc<Odd>) -> Result<Self, IndexError> {
        let shared = odd.shared.in_segment(segment)?;
        Ok(Self { segment: Arc::clone(segment), odd: Arc::clone(odd), shared })
    }

    /// Whether records are read.
    pub(crate) fn is_slow(&self) -> bool {
        matches!(self.shared, SharedDocs::OfRecords)
    }

    /// For flags but those of ids.
    fn without_ids(segment: &Arc<SegmentView>, odd: &Arc<Odd>) -> Self {
        let shared = SharedDocs::Known(Arc::default());
        Self { segment: Arc::clone(segment), odd: Arc::clone(odd), shared }
    }

    /// The flags of an event where no record is read for them.
    fn quickly(&self, doc: DocId) -> Flags {
        self.known(doc) | self.shared(doc).unwrap_or_default()
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
        let is_shared = match &self.shared {
            SharedDocs::Known(docs) => docs.binary_search(&doc).is_ok(),
            SharedDocs::OfRecords => {
                let record = self.segment.record(doc)?;
                let key = SharedParser::take().key(&record);
                key.is_some_and(|key| self.odd.shared.has(key.id))
            }
        };
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
        let passes = |(_, name): &&(Flags, &str)| self.test.is_met_by(&Cell::text(name));
        let wanted: Vec<Flags> = BY_NAME.iter().filter(passes).map(|(flag, _)| *flag).collect();
        let mut known: SeededMap<u64, bool> = SeededMap::default();
        let reader = if wanted.contains(&Flags::ID_CONFLICT) {
            FlagReader::new(context.segment, &self.odd)?
        } else {
            FlagReader::without_ids(context.segment, &self.odd)
        };
        let mut has_wanted = move |flags: Flags| {
            let has = || wanted.iter().any(|wanted| flags.contains(*wanted));
            *known.entry(flags.0).or_insert_with(has)
        };
        if !reader.is_slow() {
            return Ok(context.scan(move |doc| has_wanted(reader.quickly(doc))));
        }
        Ok(context.scan_reading(move |doc| {
            Ok(has_wanted(reader.known(doc)) || has_wanted(reader.shared(doc)?))
        }))
    }
}
