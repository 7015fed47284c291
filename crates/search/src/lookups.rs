//! Fields that are looked up by values of events, in files of the user's: `geo.country`, `ioc`.
//!
//! A test of such a field is one of the values that it is looked up by. So it is asked of each distinct value
//! of a segment once, and what passes is kept, as of any other test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use enrich::{Enrichment, Field};

use crate::meaning::{EventField, EventTest, ValueMeaning};
use crate::parsers::SharedParser;
use crate::value_clauses::ValueTest;
use segment::view::separated;
use trail::cell::Cell;
use trail::columns;
use trail::columns::ColumnId;
use wire::Indicator;

/// Where an event has what a list of indicators could name: columns, and paths.
const INDICATED: [ColumnId; 6] = [
    columns::SOURCE_IP,
    columns::USER_AGENT,
    columns::ACCESS_KEY,
    columns::IDENTITY_ARN,
    columns::ISSUER_ARN,
    columns::RESOURCE_ARN,
];
const INDICATED_PATHS: [&str; 4] = [
    "requestParameters.accessKeyId",
    "requestParameters.roleArn",
    "responseElements.accessKey.accessKeyId",
    "responseElements.credentials.accessKeyId",
];

/// Indicators told of one event, which can have any number of values.
const INDICATORS_TOLD_MAX: usize = 100;

/// What one look-up may take, in steps a byte of the value: a walk through 128 nodes, and a record.
const STEPS: usize = 64;

/// What a search looks up, of one edition of the files from its beginning to its end.
#[derive(Debug, Default)]
pub(crate) struct Lookups {
    pub(crate) of: Arc<Enrichment>,
    /// The fields that were asked for.
    asked: RefCell<BTreeSet<Field>>,
}

impl Lookups {
    pub(crate) fn new(of: Arc<Enrichment>) -> Self {
        Self { of, asked: RefCell::default() }
    }

    /// A field that can be looked up.
    pub(crate) fn field(&self, field: Field) -> LookedUp {
        self.asked.borrow_mut().insert(field);
        LookedUp { field, edition: self.of.edition(field), of: Arc::clone(&self.of) }
    }

    /// What is found damaged of what was looked up.
    pub(crate) fn damage(&self) -> Vec<String> {
        self.asked.borrow().iter().filter_map(|field| self.of.damage(*field)).collect()
    }
}

/// What is looked up of single events.
pub(crate) struct EventLookups {
    of: Arc<Enrichment>,
    /// The paths of the values, as records are walked, and as they are called.
    paths: Vec<(String, &'static str)>,
}

/// What is looked up by an event's values, as its answer has it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) lookups: BTreeMap<String, Vec<String>>,
    pub(crate) indicators: Vec<Indicator>,
}

impl EventLookups {
    /// None where nothing can be looked up.
    pub(crate) fn new(of: Arc<Enrichment>) -> Option<Self> {
        let columns = INDICATED.iter().map(|id| id.column().path);
        let paths = columns.chain(INDICATED_PATHS).map(|path| (separated(path), path));
        of.sources().are_any().then(|| Self { paths: paths.collect(), of })
    }

    /// What is looked up by the values of a record.
    pub(crate) fn of(&self, raw: &[u8], parser: &mut SharedParser) -> Told {
        let mut values: Vec<(&str, String)> = Vec::new();
        parser.each_scalar(raw, |path, scalar| {
            let known = self.paths.iter().find(|(known, _)| known == path);
            values.extend(known.map(|(_, path)| (*path, scalar.written().into_owned())));
        });
        let mut told = Told::default();
        for (field, name, _) in Field::ALL {
            let by_address = field != Field::Indicators;
            let is_asked = |path| !by_address || path == columns::SOURCE_IP.column().path;
            let mut found = Vec::new();
            for (_, value) in values.iter().filter(|(path, _)| is_asked(*path)) {
                self.of.each(field, value, &mut |text| found.push(text.to_owned()));
            }
            found.sort_unstable();
            found.dedup();
            if !found.is_empty() {
                told.lookups.insert(name.to_owned(), found);
            }
        }
        for (path, value) in &values {
            for (list, label) in self.of.indicators(value) {
                if told.indicators.len() == INDICATORS_TOLD_MAX {
                    return told;
                }
                let (list, path) = (list.to_owned(), (*path).to_owned());
                told.indicators.push(Indicator { list, path, value: value.clone(), label });
            }
        }
        told
    }
}

/// A field that is looked up.
#[derive(Clone, Debug)]
pub(crate) struct LookedUp {
    pub(crate) field: Field,
    edition: u128,
    of: Arc<Enrichment>,
}

impl PartialEq for LookedUp {
    fn eq(&self, other: &Self) -> bool {
        (self.field, self.edition) == (other.field, other.edition)
    }
}

impl Eq for LookedUp {}

impl Hash for LookedUp {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.field, self.edition).hash(state);
    }
}

impl LookedUp {
    /// The paths of the values that it is looked up by.
    pub(crate) fn paths(&self) -> Vec<String> {
        match self.field {
            Field::Indicators => {
                let columns = INDICATED.iter().map(|id| id.column().path);
                columns.chain(INDICATED_PATHS).map(str::to_owned).collect()
            }
            _ => vec![columns::SOURCE_IP.column().path.to_owned()],
        }
    }

    /// The field whose values it is looked up by.
    fn base(&self) -> EventField {
        match self.field {
            Field::Indicators => EventField::Paths(self.paths()),
            _ => EventField::Column(columns::SOURCE_IP),
        }
    }

    /// What is asked of an event where this is asked of what is looked up.
    pub(crate) fn test(self, test: ValueMeaning) -> EventTest {
        EventTest::Value { field: self.base(), test: ValueMeaning::LookedUp(self.with(test)) }
    }

    /// What is asked of a value by which it is looked up.
    pub(crate) fn with(self, test: ValueMeaning) -> LookedUpTest {
        LookedUpTest { of: self, test: Box::new(test) }
    }

    /// The number of a system as it is kept, of a text that may begin with `AS`.
    pub(crate) fn number<'t>(&self, text: &'t str) -> Option<&'t str> {
        let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as"))?;
        let is_number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        (self.field == Field::Asn && is_number).then_some(digits)
    }

    /// What is looked up by a value, each once.
    pub(crate) fn cells(&self, value: &str) -> Vec<Cell> {
        let mut cells = Vec::new();
        self.of.each(self.field, value, &mut |text| {
            let number = (self.field == Field::Asn).then(|| text.parse().ok()).flatten();
            let cell = number.map_or_else(|| Cell::text(text), Cell::Int);
            if !cells.contains(&cell) {
                cells.push(cell);
            }
        });
        cells
    }
}

/// A value is one by which something is looked up that passes a test.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct LookedUpTest {
    of: LookedUp,
    test: Box<ValueMeaning>,
}

impl ValueTest for LookedUpTest {
    fn is_met_by(&self, value: &str) -> bool {
        self.of.cells(value).iter().any(|cell| self.test.is_met_by(cell))
    }

    fn steps(&self) -> usize {
        STEPS + self.test.steps()
    }
}
