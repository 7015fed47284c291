//! The columns of a segment that is being built, of the fields that the schema does not have.

use std::collections::HashMap;
use std::io;

use tantivy::DocId;

use super::columns::{ColumnFile, Docs};
use super::distinct::{ColumnNo, Texts};
use super::{Kind, LEAF_COLUMNS};
use crate::overflow::{self, Candidate, OVERFLOW};
use crate::schema;
use trail::flat::Event;
use trail::paths::{Generation, PathId, SEPARATOR};

/// The columns of leaves, by name and by path.
#[derive(Default)]
pub(super) struct LeafColumns {
    /// The paths, each as often as it has kinds of values.
    paths: Texts,
    /// The columns of each path, of each kind, of this generation.
    by_path: Vec<[Option<ColumnNo>; 3]>,
    generation: Option<Generation>,
}

impl LeafColumns {
    pub(super) fn column(&mut self, event: &Event, path: PathId, kind: Kind) -> ColumnNo {
        let known = self.by_path.get(path.index()).and_then(|columns| columns[kind as usize]);
        known.unwrap_or_else(|| self.new_path(event, path, kind))
    }

    #[cold]
    fn new_path(&mut self, event: &Event, path: PathId, kind: Kind) -> ColumnNo {
        let text = event.path_text(path).as_bytes();
        let column = LEAF_COLUMNS + self.paths.number(kind as u32, text).0;
        if self.by_path.len() <= path.index() {
            self.by_path.resize(path.index() + 1, [None; 3]);
        }
        self.by_path[path.index()][kind as usize] = Some(column);
        column
    }

    /// To be called before the columns of an event's leaves are asked for.
    pub(super) fn begin(&mut self, event: &Event) {
        let generation = Some(event.path_generation());
        if self.generation != generation {
            self.generation = generation;
            self.by_path.clear();
        }
    }

    pub(super) fn memory(&self) -> usize {
        self.paths.memory() + self.by_path.capacity() * size_of::<[Option<ColumnNo>; 3]>()
    }

    pub(super) fn count(&self) -> usize {
        self.paths.count()
    }

    /// Whether no path has to be left out. False for some that would just fit, because a path is
    /// counted once for each kind of its values; all of these are chosen then.
    pub(super) fn all_have_columns(&self) -> bool {
        overflow::all_fit(self.count(), self.paths.bytes())
    }

    /// A column's path, its parts separated by [`SEPARATOR`].
    fn path(&self, column: ColumnNo) -> &str {
        let path = self.paths.text(column - LEAF_COLUMNS);
        str::from_utf8(path).expect("a path is text")
    }

    pub(super) fn name(&self, column: ColumnNo) -> String {
        format!("{}{SEPARATOR}{}", schema::REST, self.path(column))
    }

    pub(super) fn kinds(&self) -> impl Iterator<Item = Kind> {
        (0..self.count() as u32).map(|number| match self.paths.of(number) {
            kind if kind == Kind::Text as u32 => Kind::Text,
            kind if kind == Kind::Number as u32 => Kind::Number,
            _ => Kind::Bool,
        })
    }

    /// Which columns are written. `values` has the column of each value of each event, an event behind
    /// another.
    pub(super) fn choose<I: Iterator<Item = (DocId, ColumnNo)> + Clone>(
        &self,
        values: I,
    ) -> Written {
        if self.all_have_columns() {
            return Written::All;
        }
        let numbers = LEAF_COLUMNS..LEAF_COLUMNS + self.count() as ColumnNo;
        let mut by_text: HashMap<&str, usize> = HashMap::new();
        let mut paths = Vec::new();
        let path_of: Vec<usize> = numbers
            .map(|column| {
                let path = self.path(column);
                *by_text.entry(path).or_insert_with(|| {
                    paths.push(Candidate { path, votes: 0.0 });
                    paths.len() - 1
                })
            })
            .collect();
        drop(by_text);
        let leaves = values.filter(|(_, column)| *column >= LEAF_COLUMNS);
        let mut leaves = leaves.peekable();
        let mut of_event: Vec<usize> = Vec::new();
        while let Some((doc, column)) = leaves.next() {
            of_event.push(path_of[(column - LEAF_COLUMNS) as usize]);
            if leaves.peek().is_none_or(|(next, _)| *next != doc) {
                let vote = 1.0 / of_event.len() as f64;
                of_event.sort_unstable();
                of_event.dedup();
                of_event.drain(..).for_each(|path| paths[path].votes += vote);
            }
        }
        let is_chosen = overflow::choose(&paths);
        Written::Some(path_of.into_iter().map(|path| is_chosen[path]).collect())
    }

    /// The paths of the columns that are not written, with their events; None where all are written.
    pub(super) fn overflow<I: Iterator<Item = DocId>>(
        &self,
        written: &Written,
        events: impl Fn(ColumnNo) -> I,
    ) -> Option<Overflow<'_>> {
        let numbers = LEAF_COLUMNS..LEAF_COLUMNS + self.count() as ColumnNo;
        let mut left_out: Vec<(&str, ColumnNo)> = numbers
            .filter(|column| !written.has(*column))
            .map(|column| (self.path(column), column))
            .collect();
        if left_out.is_empty() {
            return None;
        }
        left_out.sort_unstable();
        let count = left_out.iter().map(|(_, column)| events(*column).count()).sum();
        let mut overflow = Overflow { paths: Vec::new(), of_events: Vec::with_capacity(count) };
        for (path, column) in left_out {
            if overflow.paths.last() != Some(&path) {
                overflow.paths.push(path);
            }
            let place = overflow.paths.len() as u32 - 1;
            overflow.of_events.extend(events(column).map(|doc| (doc, place)));
        }
        overflow.of_events.sort_unstable();
        overflow.of_events.dedup();
        Some(overflow)
    }
}

/// Which columns of leaves are written.
pub(super) enum Written {
    All,
    Some(Vec<bool>),
}

impl Written {
    pub(super) fn has(&self, column: ColumnNo) -> bool {
        match self {
            Self::All => true,
            Self::Some(leaves) => {
                column.checked_sub(LEAF_COLUMNS).is_none_or(|leaf| leaves[leaf as usize])
            }
        }
    }
}

/// See [`crate::overflow`].
pub(super) struct Overflow<'p> {
    /// In order.
    pub(super) paths: Vec<&'p str>,
    /// Each event with the place of each of its paths, in order.
    pub(super) of_events: Vec<(DocId, u32)>,
}

impl Overflow<'_> {
    pub(super) fn write(&self, file: &mut ColumnFile<impl io::Write>) -> io::Result<()> {
        let mut dictionary = file.texts()?;
        self.paths.iter().try_for_each(|path| dictionary.push(path.as_bytes()))?;
        let bytes = dictionary.finish()?;
        let mut docs = Docs::default();
        for (doc, _) in &self.of_events {
            docs.push(*doc);
        }
        let places: Vec<u32> = self.of_events.iter().map(|(_, place)| *place).collect();
        file.end_texts(OVERFLOW, bytes, &docs, &places)
    }
}
