//! Sorts without losing sight of the deadline: a sort of the standard library cannot be ended early.

use std::cmp::Ordering;

/// So many are sorted between two looks at the deadline.
const RUN: usize = 512;

/// Returns the numbers below `len` in the order of what they stand for; equal ones stay in their
/// order. A comparison takes so many steps, which `spend` is told of; its error ends the sort.
pub(crate) fn sorted<E>(
    len: usize,
    compare: impl Fn(usize, usize) -> Ordering,
    steps: usize,
    mut spend: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<usize>, E> {
    let mut order: Vec<usize> = (0..len).collect();
    for run in order.chunks_mut(RUN) {
        run.sort_by(|a, b| compare(*a, *b));
        spend(run.len() * RUN.ilog2() as usize * steps)?;
    }
    let mut run = RUN;
    let mut merged = Vec::with_capacity(if len > RUN { len } else { 0 });
    while run < len {
        for pair in order.chunks(2 * run) {
            let (mut left, mut right) = pair.split_at(run.min(pair.len()));
            while let ([a, left_rest @ ..], [b, right_rest @ ..]) = (left, right) {
                if compare(*a, *b).is_le() {
                    merged.push(*a);
                    left = left_rest;
                } else {
                    merged.push(*b);
                    right = right_rest;
                }
                if merged.len().is_multiple_of(RUN) {
                    spend(RUN * steps)?;
                }
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut order, &mut merged);
        merged.clear();
        run *= 2;
    }
    Ok(order)
}

/// Returns the first `wanted` of what [`sorted`] returns. Most of many are compared once, with the last
/// of the first.
pub(crate) fn first_sorted<E>(
    len: usize,
    wanted: usize,
    compare: impl Fn(usize, usize) -> Ordering,
    steps: usize,
    mut spend: impl FnMut(usize) -> Result<(), E>,
) -> Result<Vec<usize>, E> {
    if wanted > RUN {
        let mut order = sorted(len, compare, steps, spend)?;
        order.truncate(wanted);
        return Ok(order);
    }
    let mut first: Vec<usize> = Vec::with_capacity(2 * RUN);
    let (mut next, mut last) = (0, None);
    while next < len {
        let end = len.min(next + RUN);
        spend(RUN * steps)?;
        // One that equals the last comes behind it.
        let is_wanted = |at: &usize| last.is_none_or(|last| compare(*at, last).is_lt());
        first.extend((next..end).filter(is_wanted));
        next = end;
        if first.len() > RUN || next == len {
            first.sort_by(|a, b| compare(*a, *b));
            spend(first.len() * RUN.ilog2() as usize * steps)?;
            first.truncate(wanted);
            last = first.get(wanted.saturating_sub(1)).copied();
        }
    }
    Ok(first)
}

/// Puts things into an order that [`sorted`] has found.
pub(crate) fn in_order_of<T: Default>(mut things: Vec<T>, order: &[usize]) -> Vec<T> {
    order.iter().map(|at| std::mem::take(&mut things[*at])).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_order_is_that_of_a_stable_sort(numbers in prop::collection::vec(0..40_u8, 0..5_000)) {
            let mut expected: Vec<usize> = (0..numbers.len()).collect();
            expected.sort_by_key(|at| numbers[*at]);
            let compare = |a: usize, b: usize| numbers[a].cmp(&numbers[b]);
            let found = sorted(numbers.len(), compare, 1, |_| Ok::<_, ()>(()));
            prop_assert_eq!(found, Ok(expected.clone()));
            for wanted in [0, 1, 7, RUN, RUN + 1, 10_000] {
                let found = first_sorted(numbers.len(), wanted, compare, 1, |_| Ok::<_, ()>(()));
                let expected = expected.iter().copied().take(wanted).collect::<Vec<_>>();
                prop_assert_eq!(found, Ok(expected));
            }
            let mut sorted = numbers.clone();
            sorted.sort_unstable();
            prop_assert_eq!(in_order_of(numbers, &expected), sorted);
        }
    }

    #[test]
    fn a_sort_ends_when_it_is_told_to() {
        let mut left = 40_000;
        let mut compared = std::cell::Cell::new(0);
        let compare = |a: usize, b: usize| {
            compared.set(compared.get() + 1);
            (b % 1_000).cmp(&(a % 1_000))
        };
        let spend = |steps| {
            left -= steps as i64;
            if left > 0 { Ok(()) } else { Err("over") }
        };
        assert_eq!(sorted(1 << 20, compare, 10, spend), Err("over"));
        assert!(*compared.get_mut() < 20_000);
    }
}
