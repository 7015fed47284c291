//! The part of a merge that keeps the number of columns within its bound: chooses the columns that the
//! merged segment has, and makes its [`OVERFLOW`] of the others and of what the segments have there.

use std::collections::BTreeMap;
use std::io::{self, Write};

use tantivy::DocId;
use tantivy::columnar::{ColumnType, ColumnarReader, DynamicColumn, DynamicColumnHandle};

use super::columns::{ColumnFile, Docs};
use super::stack::{Numbers, Parts, each_block, each_doc, merge_texts, opened, texts_of};
use crate::IndexError;
use crate::overflow::{Candidate, OVERFLOW, all_fit, choose, merged_max};
use crate::schema::REST;
use trail::paths::SEPARATOR;

type Columns = BTreeMap<(String, ColumnType), Parts<DynamicColumnHandle>>;

/// Columns that the merged segment does not have, by their path.
pub(super) type LeftOut = BTreeMap<String, Parts<DynamicColumnHandle>>;

/// Takes those out of the columns that go into the overflow, which has an entry among the columns
/// afterwards. Fails where that would have too many values.
pub(super) fn take_overflow(
    columns: &mut Columns,
    readers: &[ColumnarReader],
) -> Result<LeftOut, IndexError> {
    let mut paths: Vec<&str> = columns.keys().filter_map(|(name, _)| path_of(name)).collect();
    paths.dedup();
    let bytes = paths.iter().map(|path| path.len()).sum();
    if all_fit(paths.len(), bytes) {
        return Ok(LeftOut::new());
    }
    let votes = votes(columns, readers)?;
    let candidates = paths.iter().zip(votes).map(|(path, votes)| Candidate { path, votes });
    let candidates: Vec<Candidate<'_>> = candidates.collect();
    let chosen = choose(&candidates).into_iter().zip(paths);
    let left_out: Vec<String> =
        chosen.filter(|(chosen, _)| !chosen).map(|(_, path)| path.to_owned()).collect();
    let mut taken = LeftOut::new();
    for path in left_out {
        let name = format!("{REST}{SEPARATOR}{path}");
        let parts = taken.entry(path).or_default();
        for kind in [ColumnType::Str, ColumnType::I64, ColumnType::Bool] {
            parts.extend(columns.remove(&(name.clone(), kind)).into_iter().flatten());
        }
    }
    let overflow = columns.entry((OVERFLOW.to_owned(), ColumnType::Str)).or_default();
    check_values(overflow, &taken, readers.len())?;
    Ok(taken)
}

/// Checks how many values have no column, and names the segment that has most of them.
fn check_values(
    overflow: &Parts<DynamicColumnHandle>,
    left_out: &LeftOut,
    segments: usize,
) -> Result<(), IndexError> {
    let mut of_segments = vec![0; segments];
    for (n, handle) in left_out.values().flatten().chain(overflow) {
        of_segments[*n] += u64::from(handle.open()?.num_values());
    }
    let values: u64 = of_segments.iter().sum();
    if values <= merged_max() as u64 {
        return Ok(());
    }
    let most = of_segments.iter().enumerate().max_by_key(|(_, values)| **values);
    Err(IndexError::TooManyLeftOut { values, segment: most.map_or(0, |(n, _)| n) })
}

/// The path of a column of leaves, its parts separated by [`SEPARATOR`].
fn path_of(name: &str) -> Option<&str> {
    name.strip_prefix(REST)?.strip_prefix(SEPARATOR)
}

/// The votes of each path, in order.
fn votes(columns: &Columns, readers: &[ColumnarReader]) -> Result<Vec<f64>, IndexError> {
    let mut values: Vec<Vec<u32>> =
        readers.iter().map(|reader| vec![0; reader.num_docs() as usize]).collect();
    let leaves = || columns.iter().filter_map(|((name, _), parts)| Some((path_of(name)?, parts)));
    let overflow = columns.get(&(OVERFLOW.to_owned(), ColumnType::Str));
    for parts in leaves().map(|(_, parts)| parts).chain(overflow) {
        for (n, column) in opened(parts)? {
            each_doc(&column, |doc| values[n][doc as usize] += 1);
        }
    }
    let mut votes: Vec<f64> = Vec::new();
    let mut last = None;
    for (path, parts) in leaves() {
        if last.replace(path) != Some(path) {
            votes.push(0.0);
        }
        let vote = votes.last_mut().expect("a path was just begun");
        for (n, column) in opened(parts)? {
            let mut last = None;
            each_doc(&column, |doc| {
                if last.replace(doc) != Some(doc) {
                    *vote += 1.0 / f64::from(values[n][doc as usize]);
                }
            });
        }
    }
    Ok(votes)
}

/// Writes the overflow of the merged segment: what the segments have there, and the paths of the
/// columns that were left out.
pub(super) fn stack_overflow(
    file: &mut ColumnFile<impl Write>,
    columns: &Parts<DynamicColumn>,
    left_out: &LeftOut,
    numbers: &[Numbers],
) -> io::Result<()> {
    let mut dictionary = file.texts()?;
    let mut count = 0;
    let mut push = |text: &[u8]| {
        count += 1;
        dictionary.push(text).map(|()| count - 1)
    };
    // The place of each text that the segments have, and of each path that was left out.
    let (mut places, mut left_out_places) = (Vec::new(), Vec::with_capacity(left_out.len()));
    let mut paths = left_out.keys().map(String::as_bytes).peekable();
    let new_places = merge_texts(&texts_of(columns), |text| {
        while let Some(path) = paths.next_if(|path| *path < text) {
            left_out_places.push(push(path)?);
        }
        let place = push(text)?;
        if paths.next_if_eq(&text).is_some() {
            left_out_places.push(place);
        }
        places.push(place);
        Ok(())
    })?;
    for path in paths {
        left_out_places.push(push(path)?);
    }
    let bytes = dictionary.finish()?;
    let mut count: usize = columns.iter().map(|(_, column)| column.num_values() as usize).sum();
    for (_, handle) in left_out.values().flatten() {
        count += handle.open()?.num_values() as usize;
    }
    let mut of_events: Vec<(DocId, u32)> = Vec::with_capacity(count);
    for ((n, column), new_places) in columns.iter().zip(new_places) {
        let first = of_events.len();
        each_doc(column, |doc| of_events.push((numbers[*n].of(doc), 0)));
        let mut at = first;
        let DynamicColumn::Str(column) = column else { continue };
        each_block(&*column.ords().values, |block| {
            for place in block {
                of_events[at].1 = places[new_places[*place as usize] as usize];
                at += 1;
            }
        });
    }
    for (parts, place) in left_out.values().zip(left_out_places) {
        for (n, column) in opened(parts)? {
            each_doc(&column, |doc| of_events.push((numbers[n].of(doc), place)));
        }
    }
    of_events.sort_unstable();
    of_events.dedup();
    let mut docs = Docs::default();
    for (doc, _) in &of_events {
        docs.push(*doc);
    }
    let places: Vec<u32> = of_events.iter().map(|(_, place)| *place).collect();
    drop(of_events);
    file.end_texts(OVERFLOW, bytes, &docs, &places)
}
