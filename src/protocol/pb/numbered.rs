//! Things by numbers that only grow: as small as what is in it, where a tree keeps room for eleven.

/// Things by their numbers, which were given in growing order.
#[derive(Debug)]
pub(super) struct Numbered<T>(Vec<(i64, T)>);

impl<T> Numbered<T> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a thing, whose number is greater than all before.
    pub(super) fn push(&mut self, number: i64, thing: T) {
        debug_assert!(self.0.last().is_none_or(|(last, _)| *last < number), "numbers grow");
        // Most have one or two things for their whole life.
        if self.0.len() == self.0.capacity() && self.0.len() < 4 {
            self.0.reserve_exact(1);
        }
        self.0.push((number, thing));
    }

    pub(super) fn get(&self, number: i64) -> Option<&T> {
        self.place(number).map(|place| &self.0[place].1)
    }

    pub(super) fn get_mut(&mut self, number: i64) -> Option<&mut T> {
        self.place(number).map(|place| &mut self.0[place].1)
    }

    /// Takes a thing out. Those that were added first go first, mostly, and are few.
    pub(super) fn remove(&mut self, number: i64) -> Option<T> {
        let (_, thing) = self.0.remove(self.place(number)?);
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
        Some(thing)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn place(&self, number: i64) -> Option<usize> {
        self.0.binary_search_by_key(&number, |(number, _)| *number).ok()
    }
}
