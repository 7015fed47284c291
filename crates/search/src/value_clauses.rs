//! Conditions on the values of a field: one value, values that pass a test, numbers in a range, or
//! any value.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use tantivy::columnar::{Cardinality, Column, ColumnIndex, DynamicColumn};
use tantivy::postings::TermInfo;
use tantivy::query::{AllQuery, BitSetDocSet, BooleanQuery, ConstScorer};
use tantivy::schema::{Field, IndexRecordOption, Term};
use tantivy::{BitSet, DocSet, TERMINATED};

use crate::clauses::{Clause, Context, union};
use crate::exact::Exact;
use crate::phrase::Row;
use segment::IndexError;
use segment::cache::FoundValues;
use segment::column_words::each_value;
use segment::dictionary::{TermWalk, TextColumn};
use segment::docsets::{Docs, Verified, docs_with_value, none};
use segment::overflow::Reach;
use segment::schema::Fields;
use segment::stop::Pace;
use segment::view::SegmentView;
use trail::columns::ColumnId;
use trail::limits::EXACT_BYTES_MAX;
use trail::words::{is_shortened, shorten};

/// Values looked up in the inverted index one by one; for more of them the column is scanned.
const VALUES_LOOKED_UP_MAX: usize = 64;

/// From here on, not every whole number has an `f64` of its own (2^53).
const EXACT_FLOATS_END: f64 = 9_007_199_254_740_992.0;

/// Whether a number is so large that a fraction's form may lack some of its digits: only the record has
/// all.
pub(crate) fn is_large(number: f64) -> bool {
    number.abs() >= EXACT_FLOATS_END
}

/// The place of a text value: a column of the schema, or a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TextField {
    Column(ColumnId),
    /// A path that is not a column.
    Path(String),
}

impl TextField {
    pub(crate) fn values(&self, segment: &SegmentView) -> Result<Option<TextColumn>, IndexError> {
        match self {
            Self::Column(id) => segment.text_column(*id),
            Self::Path(path) => segment.text_at(path),
        }
    }
}

/// The events that have a text at a path, or the number or truth value that the text reads as.
///
/// Values at paths have a column, and only their words are in the inverted index. So the candidates
/// are the events with the value's rarest word, or those with any value at the path, whichever are
/// fewer, and the column is checked for each. A column with fractions, or with negative numbers
/// beside the largest, holds `f64`; numbers too large for that are checked on the record.
pub(crate) struct LeafClause {
    pub(crate) path: String,
    pub(crate) text: String,
    /// Whether a record has the number at the path.
    pub(crate) is_met_by_record: RecordTest,
    /// Whether a record has the text, or what it reads as.
    pub(crate) is_in_record: RecordTest,
}

impl fmt::Debug for LeafClause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.path, self.text)
    }
}

impl Clause for LeafClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let mut parts = Vec::new();
        let number = SameNumber::new(&self.text);
        for column in context.segment.columns_at(&self.path)? {
            parts.push(match column {
                DynamicColumn::Str(column) => self.text_docs(context, &column.into())?,
                DynamicColumn::Bool(column) => equal(context, column, self.text.parse().ok()),
                DynamicColumn::I64(column) => equal(context, column, number.whole()),
                DynamicColumn::U64(column) => equal(context, column, number.whole()),
                DynamicColumn::F64(column) => {
                    let docs = equal(context, column, number.float);
                    if number.float.is_some_and(|n| !is_large(n)) {
                        docs
                    } else {
                        context.verified_by(docs, &self.is_met_by_record)
                    }
                }
                _ => none(),
            });
        }
        parts.extend(overflowed(context, &self.path, &self.is_in_record)?);
        Ok(union(parts))
    }
}

/// The events with a value at a path that is in no column, and whose record passes a test.
fn overflowed(
    context: &Context<'_>,
    path: &str,
    test: &RecordTest,
) -> Result<Option<Docs>, IndexError> {
    overflowed_within(context, path, Reach::At, test)
}

/// The same at a path or below it.
pub(crate) fn overflowed_within(
    context: &Context<'_>,
    path: &str,
    reach: Reach,
    test: &RecordTest,
) -> Result<Option<Docs>, IndexError> {
    let Some(overflow) = context.segment.overflowed(path, reach)? else { return Ok(None) };
    let index = overflow.index().clone();
    let candidates = context.scan_with_value(index, move |doc| overflow.has(doc));
    Ok(Some(context.verified_by(candidates, test)))
}

/// Events one of whose values in a column is this one, if there is one.
fn equal<V>(context: &Context<'_>, column: Column<V>, wanted: Option<V>) -> Docs
where
    V: Copy + PartialOrd + fmt::Debug + Send + Sync + 'static,
{
    let Some(wanted) = wanted else { return none() };
    let index = column.index.clone();
    context.scan_with_value(index, move |doc| column.values_for_doc(doc).any(|v| v == wanted))
}

/// A number, however it is written: `5`, `5.0` and `5e0` are the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SameNumber {
    exact: Option<Exact>,
    float: Option<f64>,
}

impl SameNumber {
    pub(crate) fn new(text: &str) -> Self {
        Self { exact: Exact::parse(text), float: text.parse().ok() }
    }

    /// As a whole number of a kind, if it is one.
    fn whole<V: TryFrom<i128>>(self) -> Option<V> {
        match self.exact {
            Some(Exact::Whole(whole)) => whole.try_into().ok(),
            Some(Exact::Float(_)) | None => None,
        }
    }
}

impl ValueTest for SameNumber {
    fn is_met_by(&self, value: &str) -> bool {
        self.exact.is_some_and(|wanted| Exact::parse(value) == Some(wanted))
    }
}

impl LeafClause {
    fn text_docs(&self, context: &Context<'_>, column: &TextColumn) -> Result<Docs, IndexError> {
        let mut value = self.text.clone();
        let Some(ordinal) = column.dictionary().term_ord(shorten(&mut value, EXACT_BYTES_MAX))?
        else {
            return Ok(none());
        };
        let ordinals = column.ords().clone();
        let index = ordinals.index.clone();
        let has_value = docs_with_value(&index, context.segment.events());
        let is_equal = move |doc| ordinals.values_for_doc(doc).any(|found| found == ordinal);
        match self.rarest_word(context)? {
            Some((word, events)) if events < has_value => {
                Ok(Verified::docs(context.term(&word)?, 1, is_equal, context.stop.clone()))
            }
            _ => Ok(context.scan_with_value(index, is_equal)),
        }
    }

    /// The word of the value, among those that tell most, that the fewest events have, and how many
    /// have it.
    fn rarest_word(&self, context: &Context<'_>) -> Result<Option<(Term, u32)>, IndexError> {
        // As tables tell it, its hash is no word.
        if is_shortened(&self.text, EXACT_BYTES_MAX) {
            return Ok(None);
        }
        let field = context.snapshot.fields.words;
        let mut rarest: Option<(Term, u32)> = None;
        for word in Row::of(&self.text).telling_words() {
            let term = Term::from_field_text(field, word);
            let place = context.segment.place_of(&term)?;
            let events = place.info.as_ref().map_or(0, |info| info.doc_freq);
            if rarest.as_ref().is_none_or(|(_, fewest)| events < *fewest) {
                rarest = Some((term, events));
            }
        }
        Ok(rarest)
    }
}

/// What it takes to go to a value of a dictionary, beside its test: about as much as so many steps of
/// a test.
pub(crate) const LOOK_UP_STEPS: usize = 64;

/// A test on the text of a value.
pub(crate) trait ValueTest: fmt::Debug + Send + Sync + 'static {
    fn is_met_by(&self, value: &str) -> bool;

    /// Steps that the test takes for each byte of a value, at most. A step is about a nanosecond.
    fn steps(&self) -> usize {
        1
    }

    /// A prefix that every value which passes has; empty where there is none.
    fn prefix(&self) -> &str {
        ""
    }

    /// A prefix that every value in lower case which passes has.
    fn lower_case_prefix(&self) -> &str {
        self.prefix()
    }

    /// Whether a value of these characters alone may pass; may be wrongly true, never wrongly
    /// false.
    fn can_be_made_of(&self, _alphabet: &str) -> bool {
        true
    }
}

/// A test of a record's bytes, as delivered.
pub(crate) type RecordTest = Arc<dyn Fn(&[u8]) -> bool + Send + Sync>;

/// The events with a value that passes a test, found through the field's dictionary.
///
/// The dictionary holds only the beginning of a long value (see `EXACT_BYTES_MAX`), on which the
/// test may decide otherwise. Such values are tested on the record.
pub(crate) struct ValuesClause<T> {
    pub(crate) field: TextField,
    pub(crate) test: T,
    /// A hash of the field and the test: what passes is kept by it.
    pub(crate) key: u128,
    /// Takes a record's bytes as delivered.
    pub(crate) is_met_by_record: RecordTest,
}

impl<T: fmt::Debug> fmt::Debug for ValuesClause<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?}", self.field, self.test)
    }
}

impl<T: ValueTest + Clone> Clause for ValuesClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let mut parts = Vec::new();
        if let TextField::Path(path) = &self.field {
            parts.extend(overflowed(context, path, &self.is_met_by_record)?);
            for column in context.segment.columns_at(path)? {
                parts.push(match column {
                    DynamicColumn::Bool(column) => self.shown(context, column, |_| true),
                    DynamicColumn::I64(column) => self.shown(context, column, |_| true),
                    DynamicColumn::U64(column) => self.shown(context, column, |_| true),
                    DynamicColumn::F64(column) => {
                        let large = numbers_where(context, column.clone(), is_large);
                        let large = context.verified_by(large, &self.is_met_by_record);
                        // Shown by what is left of its digits, a large number may be met wrongly.
                        let others = self.shown(context, column, move |n| !is_large(n));
                        context.union(vec![others, large])
                    }
                    _ => continue,
                });
            }
        }
        if let Some(column) = self.field.values(context.segment)? {
            let found = context.segment.values(self.key, || self.find(context, &column))?;
            if !found.met.is_empty() {
                parts.push(docs_of_found(context, &self.field, &column, &found)?);
            }
            if !found.cut.is_empty() {
                let candidates = scan_ordinals(context, column.ords().clone(), &found.cut);
                parts.push(context.verified_by(candidates, &self.is_met_by_record));
            }
        }
        Ok(context.union(parts))
    }

    fn can_be_idle(&self) -> bool {
        true
    }
}

impl<T: ValueTest> ValuesClause<T> {
    /// Looks at the whole dictionary.
    fn find(&self, context: &Context<'_>, column: &TextColumn) -> Result<FoundValues, IndexError> {
        let mut found = FoundValues::default();
        let prefix = self.test.prefix().as_bytes();
        let (steps, mut pace) = (self.test.steps(), Pace::new(context.stop));
        context.stop.check()?;
        let mut terms = Vec::new();
        let mut walk = column.walk(prefix)?;
        while walk.advance()? && walk.key().starts_with(prefix) {
            pace.spend(LOOK_UP_STEPS + walk.key().len() * steps)?;
            let value = text_of(walk.key());
            if is_shortened(&value, EXACT_BYTES_MAX) {
                found.cut.push(walk.ordinal());
            } else if self.test.is_met_by(&value) {
                found.met.push(walk.ordinal());
                if let TextField::Column(id) = &self.field
                    && terms.len() <= VALUES_LOOKED_UP_MAX
                {
                    terms.push(Term::from_field_text(Fields::column(*id), &value));
                }
            }
        }
        if (1..=VALUES_LOOKED_UP_MAX).contains(&terms.len()) {
            let index = context.segment.reader.inverted_index(terms[0].field())?;
            let infos: Vec<Option<TermInfo>> =
                terms.iter().map(|term| index.get_term_info(term)).collect::<Result<_, _>>()?;
            // Each value is a term; where one is none, the column tells.
            found.terms = infos.into_iter().collect();
        }
        found.met.shrink_to_fit();
        found.cut.shrink_to_fit();
        Ok(found)
    }
}

/// A value of a dictionary as text; what is none is shown as text shows it.
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

/// The documents that have one of the values that were found.
fn docs_of_found(
    context: &Context<'_>,
    field: &TextField,
    column: &TextColumn,
    found: &FoundValues,
) -> Result<Docs, IndexError> {
    let (TextField::Column(id), Some(terms)) = (field, &found.terms) else {
        return Ok(scan_ordinals(context, column.ords().clone(), &found.met));
    };
    let index = context.segment.reader.inverted_index(Fields::column(*id))?;
    let read = |info| index.read_postings_from_terminfo(info, IndexRecordOption::Basic);
    if let [info] = &terms[..] {
        return Ok(Box::new(ConstScorer::new(read(info)?, 1.0)));
    }
    let mut events = BitSet::with_max_value(context.segment.events());
    let mut pace = Pace::new(context.stop);
    for info in terms {
        let mut postings = read(info)?;
        pace.spend(info.doc_freq as usize)?;
        while postings.doc() != TERMINATED {
            events.insert(postings.doc());
            postings.advance();
        }
    }
    Ok(Box::new(ConstScorer::new(BitSetDocSet::from(events), 1.0)))
}

impl<T: ValueTest + Clone> ValuesClause<T> {
    /// Those numbers and truth values that are kept, by their text.
    fn shown<V>(
        &self,
        context: &Context<'_>,
        column: Column<V>,
        is_kept: impl Fn(V) -> bool + Send + Sync + 'static,
    ) -> Docs
    where
        V: fmt::Display + Copy + PartialOrd + fmt::Debug + Send + Sync + 'static,
    {
        let test = self.test.clone();
        let index = column.index.clone();
        let mut text = String::new();
        context.scan_with_value(index, move |doc| {
            column.values_for_doc(doc).filter(|value| is_kept(*value)).any(|value| {
                text.clear();
                write!(text, "{value}").expect("writing to a String cannot fail");
                // Zero has one text.
                if text == "-0" {
                    text.remove(0);
                }
                test.is_met_by(&text)
            })
        })
    }
}

/// Returns the documents that have one of several values, given by their ordinals in the field's
/// dictionary.
pub(crate) fn docs_with_values(
    context: &Context<'_>,
    field: &TextField,
    column: &TextColumn,
    ordinals: &[u64],
) -> Result<Docs, IndexError> {
    if ordinals.is_empty() {
        return Ok(none());
    }
    let TextField::Column(id) = field else {
        return Ok(scan_ordinals(context, column.ords().clone(), ordinals));
    };
    if ordinals.len() > VALUES_LOOKED_UP_MAX {
        return Ok(scan_ordinals(context, column.ords().clone(), ordinals));
    }
    let mut terms = Vec::with_capacity(ordinals.len());
    let mut value = String::new();
    for ordinal in ordinals {
        column.ord_to_str(*ordinal, &mut value)?;
        terms.push(Term::from_field_text(Fields::column(*id), &value));
    }
    context.query(&BooleanQuery::new_multiterms_query(terms))
}

fn scan_ordinals(context: &Context<'_>, column: Column<u64>, ordinals: &[u64]) -> Docs {
    let last = ordinals.iter().copied().max().unwrap_or(0);
    let mut wanted = vec![0_u64; last as usize / 64 + 1];
    for ordinal in ordinals {
        wanted[*ordinal as usize / 64] |= 1 << (ordinal % 64);
    }
    let is_wanted = move |ordinal: u64| {
        wanted.get(ordinal as usize / 64).is_some_and(|bits| bits & (1 << (ordinal % 64)) != 0)
    };
    match &column.index {
        // Every event has one value: no need to look for where it is.
        ColumnIndex::Full => {
            let values = column.values;
            context.scan(move |doc| is_wanted(values.get_val(doc)))
        }
        index => context
            .scan_with_value(index.clone(), move |doc| column.values_for_doc(doc).any(&is_wanted)),
    }
}

/// The events with a number in a range, or a text that reads as one.
pub(crate) struct NumberClause<T> {
    pub(crate) path: String,
    pub(crate) lower: Bound<Exact>,
    pub(crate) upper: Bound<Exact>,
    /// The same test for texts.
    pub(crate) texts: T,
    /// The same of a record.
    pub(crate) is_met_by_record: RecordTest,
}

impl<T: fmt::Debug> fmt::Debug for NumberClause<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?} {:?} {:?}", self.path, self.lower, self.upper, self.texts)
    }
}

impl<T: ValueTest> Clause for NumberClause<T> {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        let bounds = (self.lower, self.upper);
        let is_in = move |number: Exact| bounds.contains(&number);
        let mut parts = Vec::new();
        for column in context.segment.columns_at(&self.path)? {
            parts.push(match column {
                DynamicColumn::I64(column) => {
                    numbers_where(context, column, move |n| is_in(Exact::Whole(n.into())))
                }
                DynamicColumn::U64(column) => {
                    numbers_where(context, column, move |n| is_in(Exact::Whole(n.into())))
                }
                DynamicColumn::F64(column) => {
                    // A large one may have been a whole number with other last digits.
                    let large = numbers_where(context, column.clone(), is_large);
                    let large = context.verified_by(large, &self.is_met_by_record);
                    let others = numbers_where(context, column, move |n| {
                        !is_large(n) && is_in(Exact::of_float(n))
                    });
                    union(vec![others, large])
                }
                DynamicColumn::Str(column) => {
                    let column = TextColumn::from(column);
                    let met = ordinals_where(
                        context,
                        &column,
                        (|text: &str| self.texts.is_met_by(text), 1),
                    )?;
                    docs_with_values(context, &TextField::Path(self.path.clone()), &column, &met)?
                }
                _ => none(),
            });
        }
        parts.extend(overflowed(context, &self.path, &self.is_met_by_record)?);
        Ok(union(parts))
    }
}

fn numbers_where<V: Copy + PartialOrd + fmt::Debug + Send + Sync + 'static>(
    context: &Context<'_>,
    column: Column<V>,
    is_met: impl Fn(V) -> bool + Send + Sync + 'static,
) -> Docs {
    let index = column.index.clone();
    context.scan_with_value(index, move |doc| column.values_for_doc(doc).any(&is_met))
}

/// The events that have a value at a path or below it.
#[derive(Debug)]
pub(crate) struct ExistsClause {
    pub(crate) path: String,
}

impl Clause for ExistsClause {
    fn docs(&self, context: &Context<'_>) -> Result<Docs, IndexError> {
        context.stop.check()?;
        let columns = context.segment.columns_at_or_below(&self.path)?;
        let is_everywhere = |column: &DynamicColumn| column.get_cardinality() == Cardinality::Full;
        if columns.iter().any(is_everywhere) {
            return context.query(&AllQuery);
        }
        let parts = columns
            .into_iter()
            .map(|column| context.scan_with_value(column.into_column_index(), |_| true));
        let mut parts: Vec<Docs> = parts.collect();
        if let Some(overflow) = context.segment.overflowed(&self.path, Reach::AtOrBelow)? {
            let index = overflow.index().clone();
            parts.push(context.scan_with_value(index, move |doc| overflow.has(doc)));
        }
        Ok(context.union(parts))
    }

    fn can_be_idle(&self) -> bool {
        true
    }

    fn path_with_something(&self) -> Option<&str> {
        Some(&self.path)
    }
}

/// Adds to a set the events of all terms of a field that begin with `prefix` and pass a test, which
/// takes so many steps for each byte.
pub(crate) fn add_terms(
    context: &Context<'_>,
    field: Field,
    prefix: &str,
    (mut test, steps): (impl FnMut(&str) -> bool, usize),
    events: &mut BitSet,
) -> Result<(), IndexError> {
    let index = context.segment.reader.inverted_index(field)?;
    let mut pace = Pace::new(context.stop);
    context.stop.check()?;
    let mut terms = TermWalk::of_terms(index.terms(), prefix.as_bytes())?;
    while terms.advance()? && terms.key().starts_with(prefix.as_bytes()) {
        pace.spend(LOOK_UP_STEPS + terms.key().len() * steps)?;
        if !test(std::str::from_utf8(terms.key()).unwrap_or_default()) {
            continue;
        }
        let mut postings =
            index.read_postings_from_terminfo(terms.info(), IndexRecordOption::Basic)?;
        pace.spend(terms.info().doc_freq as usize)?;
        while postings.doc() != TERMINATED {
            events.insert(postings.doc());
            postings.advance();
        }
    }
    Ok(())
}

/// Returns the ordinals of a column's values that pass a test, which takes so many steps for each
/// byte.
pub(crate) fn ordinals_where(
    context: &Context<'_>,
    column: &TextColumn,
    (mut test, steps): (impl FnMut(&str) -> bool, usize),
) -> Result<Vec<u64>, IndexError> {
    let mut ordinals = Vec::new();
    let mut pace = Pace::new(context.stop);
    let mut stopped = context.stop.check();
    each_value(column, |ordinal, value| {
        if test(value) {
            ordinals.push(ordinal);
        }
        if stopped.is_ok() {
            stopped = pace.spend(LOOK_UP_STEPS + value.len() * steps);
        }
        stopped.is_ok()
    })?;
    stopped.map(|()| ordinals)
}
