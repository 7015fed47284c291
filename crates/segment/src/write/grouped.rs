//! Things by their keys, which are small numbers.

/// For each key, its things, in the order in which they came.
pub(crate) struct Grouped<T> {
    things: Vec<T>,
    /// Where the things of each key end.
    ends: Vec<usize>,
}

impl<T: Copy + Default> Grouped<T> {
    /// Of pairs whose keys are below `keys`.
    pub(crate) fn of(pairs: impl Iterator<Item = (u32, T)> + Clone, keys: usize) -> Self {
        let mut ends = vec![0; keys + 1];
        pairs.clone().for_each(|(key, _)| ends[key as usize + 1] += 1);
        for key in 0..keys {
            ends[key + 1] += ends[key];
        }
        // Each key's entry is where it begins now, and where it ends once its things are in place.
        let mut things = vec![T::default(); ends[keys]];
        pairs.for_each(|(key, thing)| {
            let place = &mut ends[key as usize];
            things[*place] = thing;
            *place += 1;
        });
        ends.truncate(keys);
        Self { things, ends }
    }

    fn range(&self, key: u32) -> std::ops::Range<usize> {
        let start = key.checked_sub(1).map_or(0, |before| self.ends[before as usize]);
        start..self.ends[key as usize]
    }

    pub(crate) fn of_key(&self, key: u32) -> &[T] {
        &self.things[self.range(key)]
    }

    pub(crate) fn of_key_mut(&mut self, key: u32) -> &mut [T] {
        let range = self.range(key);
        &mut self.things[range]
    }

    pub(crate) fn things(&self) -> usize {
        self.things.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_with_their_key_in_order() {
        let pairs = [(3, 'a'), (0, 'b'), (3, 'c'), (1, 'd'), (3, 'a')];
        let mut grouped = Grouped::of(pairs.into_iter(), 5);
        let of = |key| grouped.of_key(key).iter().collect::<String>();
        assert_eq!([of(0), of(1), of(2), of(3), of(4)], ["b", "d", "", "aca", ""]);
        assert_eq!(grouped.things(), 5);
        grouped.of_key_mut(3).sort_unstable();
        assert_eq!(grouped.of_key(3), ['a', 'a', 'c']);
        assert_eq!(Grouped::<u32>::of([].into_iter(), 0).things(), 0);
    }
}
