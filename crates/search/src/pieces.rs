//! Spreads work over all cores: over the events of a snapshot, or over results.

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use tantivy::DocId;

use segment::view::SegmentView;

/// Fewer documents are not shared between threads: to wake one takes as long as to count some thousand.
const PIECE_DOCS_MIN: u32 = 1_000;

/// How much the threads of long work give way to those of short work, as `nice` counts: they have a quarter
/// of a core that both want.
const LONG_NICENESS: i32 = 6;

/// A range of a segment's documents, the unit of parallel work.
#[derive(Debug)]
pub(crate) struct SegmentPiece<'s> {
    pub(crate) segment: &'s Arc<SegmentView>,
    pub(crate) docs: Range<DocId>,
}

/// Runs the work on each piece of these segments. Returns the results in the order of segments and
/// documents.
pub(crate) fn each_piece_of<T: Send, E: Send>(
    segments: &[Arc<SegmentView>],
    work: impl Fn(SegmentPiece<'_>) -> Result<T, E> + Send + Sync,
) -> Result<Vec<T>, E> {
    in_parallel(pieces(segments, threads() as u32), work)
}

/// Runs the work on each item. Returns the results in order.
pub(crate) fn in_parallel<I: Send, T: Send, E: Send>(
    items: Vec<I>,
    work: impl Fn(I) -> Result<T, E> + Send + Sync,
) -> Result<Vec<T>, E> {
    match items.len() {
        0 | 1 => items.into_iter().map(work).collect(),
        _ => items.into_par_iter().map(work).collect(),
    }
}

/// Runs long work on threads of its own, so that short work does not wait for it. The kernel shares
/// the cores between both, and gives most to short work.
pub fn on_long_threads<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    static LONG: LazyLock<Option<ThreadPool>> = LazyLock::new(|| {
        let give_way = |_| {
            if let Err(error) = rustix::process::nice(LONG_NICENESS) {
                tracing::warn!(%error, "long searches do not give way to short ones");
            }
        };
        let pool = ThreadPoolBuilder::new()
            .thread_name(|n| format!("long-{n}"))
            .start_handler(give_way)
            .build();
        pool.inspect_err(|error| tracing::error!(%error, "no threads for long searches")).ok()
    });
    match &*LONG {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Returns how many threads the current work can use.
pub(crate) fn threads() -> usize {
    rayon::current_num_threads()
}

/// As few pieces as keep all threads busy: a condition is evaluated, and memory taken, for each.
fn pieces(segments: &[Arc<SegmentView>], threads: u32) -> Vec<SegmentPiece<'_>> {
    let all: u64 = segments.iter().map(|segment| u64::from(segment.events())).sum();
    let wanted = all.div_ceil(threads.into()).max(PIECE_DOCS_MIN.into());
    let of_segment = |segment| ranges(SegmentView::events(segment), wanted as u32);
    segments
        .iter()
        .flat_map(|segment| of_segment(segment).map(move |docs| SegmentPiece { segment, docs }))
        .collect()
}

/// Ranges of at most so many documents, all about as long.
fn ranges(docs: u32, wanted: u32) -> impl Iterator<Item = Range<DocId>> {
    let count = docs.div_ceil(wanted).max(1);
    let at = move |n: u32| (u64::from(docs) * u64::from(n) / u64::from(count)) as DocId;
    (0..count).map(move |n| at(n)..at(n + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_every_document_once() {
        for (docs, wanted, expected) in [(0, 10, 1), (10, 10, 1), (11, 10, 2), (1_000, 7, 143)] {
            let ranges: Vec<_> = ranges(docs, wanted).collect();
            assert_eq!(ranges.len(), expected);
            assert!(ranges.iter().all(|range| range.len() as u32 <= wanted));
            let all: Vec<DocId> = ranges.into_iter().flatten().collect();
            assert_eq!(all, (0..docs).collect::<Vec<_>>());
        }
    }
    #[test]
    fn long_work_gives_way_to_short_work() {
        let niceness = || rustix::process::getpriority_process(None).unwrap();
        assert_eq!(on_long_threads(niceness), niceness() + LONG_NICENESS);
    }
}
