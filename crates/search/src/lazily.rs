//! Conditions joined by AND, OR and NOT, of which no more is made and tested than the events at hand need.
//!
//! What the index answers at once leads. Where it has no event in a segment, nothing else is looked up
//! there; where it has a few, the others are asked of these alone. So a rule whose names are in no segment
//! costs nothing, whatever else it asks.
//!
//! Below, a set of documents is *idle* while it was only asked of single documents that it does not have:
//! nobody knows its next one, and only `seek_danger` may be called.

use std::sync::Arc;

use tantivy::query::{EnableScoring, Explanation, Query, Scorer, Weight};
use tantivy::{DocId, DocSet, Score, SeekDangerResult, SegmentReader, TERMINATED};

use segment::docsets::Docs;
use segment::stop::{STEPS, Stop};

/// Steps of asking one part of one document.
const ASK_STEPS: usize = 64;

/// A set of documents that is asked of single documents, or for its next one.
pub(crate) struct Part {
    docs: Docs,
    /// Where it is idle, before which document it has none, from the one on of which it was asked last.
    idle_until: Option<DocId>,
}

impl Part {
    /// A set that may be idle.
    pub(crate) fn idle(docs: Docs) -> Self {
        Self { docs, idle_until: Some(0) }
    }

    fn make(weight: &dyn Weight, reader: &SegmentReader, target: DocId) -> tantivy::Result<Self> {
        let (found, docs) = weight.scorer_danger(reader, target, 1.0)?;
        let mut part = Self { docs, idle_until: None };
        part.note(found);
        Ok(part)
    }

    fn note(&mut self, found: SeekDangerResult) {
        self.idle_until = match found {
            SeekDangerResult::Found => None,
            SeekDangerResult::SeekLowerBound(bound) => Some(bound),
        };
    }

    /// Whether it has a document; else before which it has none.
    fn ask(&mut self, target: DocId) -> SeekDangerResult {
        match self.idle_until {
            Some(bound) if target < bound => return SeekDangerResult::SeekLowerBound(bound),
            Some(_) => {}
            None => match self.docs.doc() {
                doc if doc == target => return SeekDangerResult::Found,
                doc if doc > target => return SeekDangerResult::SeekLowerBound(doc),
                _ => {}
            },
        }
        if target >= TERMINATED {
            self.idle_until = Some(TERMINATED);
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        let found = self.docs.seek_danger(target);
        self.note(found);
        found
    }

    /// Its first document that is not before another.
    fn next(&mut self, target: DocId) -> DocId {
        let Some(bound) = self.idle_until else {
            let doc = self.docs.doc();
            return if doc >= target { doc } else { self.docs.seek(target) };
        };
        let mut target = target.max(bound);
        while target < TERMINATED {
            match self.ask(target) {
                SeekDangerResult::Found => return target,
                SeekDangerResult::SeekLowerBound(bound) => target = bound,
            }
        }
        self.idle_until = Some(TERMINATED);
        TERMINATED
    }

    fn size_hint(&self) -> u32 {
        if self.idle_until == Some(TERMINATED) { 0 } else { self.docs.size_hint() }
    }
}

/// The documents of any of some sets.
pub(crate) struct AnyPart {
    parts: Vec<Part>,
    doc: DocId,
}

impl AnyPart {
    /// An idle set.
    pub(crate) fn idle(parts: Vec<Docs>) -> Docs {
        let parts = parts.into_iter().map(Part::idle).collect();
        Box::new(Self { parts, doc: 0 })
    }

    fn find(&mut self, target: DocId) -> DocId {
        let next = self.parts.iter_mut().map(|part| part.next(target)).min();
        self.doc = next.unwrap_or(TERMINATED);
        self.doc
    }
}

impl DocSet for AnyPart {
    fn advance(&mut self) -> DocId {
        self.find(self.doc.saturating_add(1).min(TERMINATED))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.find(target)
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        let mut bound = TERMINATED;
        for part in &mut self.parts {
            match part.ask(target) {
                SeekDangerResult::Found => {
                    self.doc = target;
                    return SeekDangerResult::Found;
                }
                SeekDangerResult::SeekLowerBound(of_part) => bound = bound.min(of_part),
            }
        }
        SeekDangerResult::SeekLowerBound(bound)
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.parts.iter().map(Part::size_hint).max().unwrap_or(0)
    }
}

impl Scorer for AnyPart {
    fn score(&mut self) -> Score {
        1.0
    }
}

/// So many documents are verified without a look at which can pass; more are narrowed down first.
const UNNARROWED_MAX: usize = 512;

/// Candidates that are found once many documents were asked of; until then, each is one.
pub(crate) struct Narrowed {
    /// Finds them. An error is with the search.
    make: Box<dyn Fn() -> Result<Docs, ()> + Send>,
    made: Option<Part>,
    asked: usize,
    doc: DocId,
    /// How many documents the segment has.
    max_doc: DocId,
}

impl Narrowed {
    /// An idle set.
    pub(crate) fn new(make: Box<dyn Fn() -> Result<Docs, ()> + Send>, max_doc: DocId) -> Self {
        Self { make, made: None, asked: 0, doc: 0, max_doc }
    }

    fn made(&mut self) -> &mut Part {
        let Self { make, made, .. } = self;
        made.get_or_insert_with(|| {
            let docs = make().unwrap_or_else(|()| segment::docsets::none());
            Part { docs, idle_until: None }
        })
    }
}

impl DocSet for Narrowed {
    fn advance(&mut self) -> DocId {
        self.seek(self.doc.saturating_add(1).min(TERMINATED))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        self.doc = self.made().next(target);
        self.doc
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target >= self.max_doc {
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        self.asked += 1;
        if self.asked > UNNARROWED_MAX || self.made.is_some() {
            let found = self.made().ask(target);
            if let SeekDangerResult::SeekLowerBound(_) = found {
                return found;
            }
        }
        self.doc = target;
        SeekDangerResult::Found
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    /// Nobody knows how many there are.
    fn size_hint(&self) -> u32 {
        TERMINATED
    }
}

/// The events of all of some conditions, and of none of others.
#[derive(Clone, Debug)]
pub(crate) struct All {
    /// Those that are cheap and tell much come first.
    pub(crate) all: Arc<[Box<dyn Query>]>,
    pub(crate) none: Arc<[Box<dyn Query>]>,
    pub(crate) stop: Stop,
}

/// The events of any of some conditions.
#[derive(Clone, Debug)]
pub(crate) struct Any {
    /// Those that are cheap come first.
    pub(crate) any: Arc<[Box<dyn Query>]>,
    /// The same, where all of its events are wanted.
    pub(crate) whole: Arc<dyn Query>,
    pub(crate) stop: Stop,
}

fn weights(
    queries: &[Box<dyn Query>],
    scoring: EnableScoring<'_>,
) -> tantivy::Result<Vec<Box<dyn Weight>>> {
    queries.iter().map(|query| query.weight(scoring)).collect()
}

impl Query for All {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let (all, none) = (weights(&self.all, scoring)?, weights(&self.none, scoring)?);
        Ok(Box::new(AllWeight(Arc::new(Conditions { all, none, stop: self.stop.clone() }))))
    }
}

impl Query for Any {
    fn weight(&self, scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        let all = weights(&self.any, scoring)?;
        let of_any = Conditions { all, none: Vec::new(), stop: self.stop.clone() };
        let whole = self.whole.weight(scoring)?;
        Ok(Box::new(AnyWeight { any: Arc::new(of_any), whole }))
    }
}

struct Conditions {
    all: Vec<Box<dyn Weight>>,
    none: Vec<Box<dyn Weight>>,
    stop: Stop,
}

struct AllWeight(Arc<Conditions>);

struct AnyWeight {
    any: Arc<Conditions>,
    whole: Box<dyn Weight>,
}

impl Weight for AllWeight {
    fn scorer(&self, reader: &SegmentReader, _: Score) -> tantivy::Result<Docs> {
        let mut docs = AllDocs { asked: Asked::new(&self.0, reader), doc: 0 };
        docs.find(0);
        docs.asked.failed()?;
        Ok(Box::new(docs))
    }

    fn scorer_danger(
        &self,
        reader: &SegmentReader,
        target: DocId,
        _: Score,
    ) -> tantivy::Result<(SeekDangerResult, Docs)> {
        let mut docs = AllDocs { asked: Asked::new(&self.0, reader), doc: 0 };
        let found = docs.seek_danger(target);
        docs.asked.failed()?;
        Ok((found, Box::new(docs)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("all", 1.0))
    }
}

impl Weight for AnyWeight {
    fn scorer(&self, reader: &SegmentReader, boost: Score) -> tantivy::Result<Docs> {
        self.whole.scorer(reader, boost)
    }

    fn scorer_danger(
        &self,
        reader: &SegmentReader,
        target: DocId,
        _: Score,
    ) -> tantivy::Result<(SeekDangerResult, Docs)> {
        let mut docs = AnyDocs { asked: Asked::new(&self.any, reader), doc: 0 };
        let found = docs.seek_danger(target);
        docs.asked.failed()?;
        Ok((found, Box::new(docs)))
    }

    fn explain(&self, _: &SegmentReader, _: DocId) -> tantivy::Result<Explanation> {
        Ok(Explanation::new("any", 1.0))
    }
}

/// Conditions of which a set of documents is made once it is asked.
struct Asked {
    conditions: Arc<Conditions>,
    reader: SegmentReader,
    all: Vec<Part>,
    none: Vec<Part>,
    done: usize,
    has_ended: bool,
    /// Why one could not be made.
    error: Option<tantivy::TantivyError>,
}

impl Asked {
    fn new(conditions: &Arc<Conditions>, reader: &SegmentReader) -> Self {
        Self {
            conditions: Arc::clone(conditions),
            reader: reader.clone(),
            all: Vec::new(),
            none: Vec::new(),
            done: 0,
            has_ended: false,
            error: None,
        }
    }

    /// The error of a set that could not be made at first. Of one that is made later, the stop has it.
    fn failed(&mut self) -> tantivy::Result<()> {
        self.error.take().map_or(Ok(()), Err)
    }

    /// Counts work, and ends where the search should.
    fn spend(&mut self, steps: usize) {
        self.done += steps;
        if self.done >= STEPS {
            self.done = 0;
            self.conditions.stop.end_if_due();
            self.has_ended |= self.conditions.stop.has_failed();
        }
    }

    fn made(&mut self, made: tantivy::Result<Part>) -> Option<Part> {
        made.map_err(|error| {
            self.has_ended = true;
            // A condition of our own has left its error there.
            if !self.conditions.stop.has_failed() {
                self.conditions.stop.fail(error.clone().into());
            }
            self.error.get_or_insert(error);
        })
        .ok()
    }

    /// Asks a condition of one document.
    fn ask(&mut self, at: usize, target: DocId) -> SeekDangerResult {
        const ENDED: SeekDangerResult = SeekDangerResult::SeekLowerBound(TERMINATED);
        self.spend(ASK_STEPS);
        if at == self.all.len() {
            let made = Part::make(&*self.conditions.all[at], &self.reader, target);
            let Some(part) = self.made(made) else { return ENDED };
            self.all.push(part);
        }
        if self.has_ended { ENDED } else { self.all[at].ask(target) }
    }

    fn next(&mut self, at: usize, target: DocId) -> DocId {
        match self.ask(at, target) {
            SeekDangerResult::Found => target,
            SeekDangerResult::SeekLowerBound(bound) if self.has_ended => {
                debug_assert_eq!(bound, TERMINATED);
                TERMINATED
            }
            SeekDangerResult::SeekLowerBound(bound) => self.all[at].next(bound),
        }
    }

    fn has_none(&mut self, target: DocId) -> bool {
        for at in 0..self.conditions.none.len() {
            self.spend(ASK_STEPS);
            if at == self.none.len() {
                let made = Part::make(&*self.conditions.none[at], &self.reader, target);
                let Some(part) = self.made(made) else { return false };
                self.none.push(part);
            }
            if self.has_ended || matches!(self.none[at].ask(target), SeekDangerResult::Found) {
                return false;
            }
        }
        true
    }
}

/// The documents of all conditions, and of none of the others.
struct AllDocs {
    asked: Asked,
    doc: DocId,
}

impl AllDocs {
    fn find(&mut self, target: DocId) -> DocId {
        let mut target = target;
        self.doc = loop {
            target = self.asked.next(0, target);
            if target >= TERMINATED {
                break TERMINATED;
            }
            match self.seek_danger(target) {
                SeekDangerResult::Found => break target,
                SeekDangerResult::SeekLowerBound(bound) => target = bound,
            }
            if self.asked.has_ended {
                break TERMINATED;
            }
        };
        self.doc
    }
}

impl DocSet for AllDocs {
    fn advance(&mut self) -> DocId {
        self.seek(self.doc.saturating_add(1).min(TERMINATED))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        if target > self.doc { self.find(target) } else { self.doc }
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        if target >= TERMINATED {
            return SeekDangerResult::SeekLowerBound(TERMINATED);
        }
        for at in 0..self.asked.conditions.all.len() {
            let found = self.asked.ask(at, target);
            if let SeekDangerResult::SeekLowerBound(_) = found {
                return found;
            }
        }
        if !self.asked.has_none(target) {
            let bound = if self.asked.has_ended { TERMINATED } else { target + 1 };
            return SeekDangerResult::SeekLowerBound(bound);
        }
        self.doc = target;
        SeekDangerResult::Found
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.asked.all.iter().map(Part::size_hint).min().unwrap_or(0)
    }
}

impl Scorer for AllDocs {
    fn score(&mut self) -> Score {
        1.0
    }
}

/// The documents of any of the conditions.
struct AnyDocs {
    asked: Asked,
    doc: DocId,
}

impl DocSet for AnyDocs {
    fn advance(&mut self) -> DocId {
        self.seek(self.doc.saturating_add(1).min(TERMINATED))
    }

    fn seek(&mut self, target: DocId) -> DocId {
        let of_any = 0..self.asked.conditions.all.len();
        let next = of_any.map(|at| self.asked.next(at, target)).min();
        self.doc = next.unwrap_or(TERMINATED);
        self.doc
    }

    fn seek_danger(&mut self, target: DocId) -> SeekDangerResult {
        let mut bound = TERMINATED;
        for at in 0..self.asked.conditions.all.len() {
            match self.asked.ask(at, target) {
                SeekDangerResult::Found => {
                    self.doc = target;
                    return SeekDangerResult::Found;
                }
                SeekDangerResult::SeekLowerBound(of_part) => bound = bound.min(of_part),
            }
        }
        SeekDangerResult::SeekLowerBound(bound)
    }

    fn doc(&self) -> DocId {
        self.doc
    }

    fn size_hint(&self) -> u32 {
        self.asked.all.iter().map(Part::size_hint).max().unwrap_or(0)
    }
}

impl Scorer for AnyDocs {
    fn score(&mut self) -> Score {
        1.0
    }
}

#[cfg(test)]
mod tests;
