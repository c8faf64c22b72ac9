//! Users' item sequences in compressed rows.

/// Item sequences in time order: sequence `s` is `items()[offsets()[s]..offsets()[s + 1]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequences {
    offsets: Vec<u32>,
    items: Vec<u32>,
}

impl Default for Sequences {
    fn default() -> Self {
        Self { offsets: vec![0], items: Vec::new() }
    }
}

impl Sequences {
    /// Adds a sequence.
    pub fn push(&mut self, items: impl IntoIterator<Item = u32>) {
        self.items.extend(items);
        self.offsets.push(self.items.len() as u32);
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no sequence.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where sequences begin in [`items`](Self::items), and the end of the last.
    pub fn offsets(&self) -> &[u32] {
        &self.offsets
    }

    /// Item ids of all sequences, one sequence after the other.
    pub fn items(&self) -> &[u32] {
        &self.items
    }

    /// The sequence at `index`, if there is one.
    pub fn get(&self, index: usize) -> Option<&[u32]> {
        let (&from, &to) = (self.offsets.get(index)?, self.offsets.get(index + 1)?);
        self.items.get(from as usize..to as usize)
    }

    /// All sequences.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        self.offsets.windows(2).map(|ends| &self.items[ends[0] as usize..ends[1] as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_went_in() {
        let mut sequences = Sequences::default();
        assert!(sequences.is_empty());
        sequences.push([4, 2]);
        sequences.push([]);
        sequences.push([7]);
        assert_eq!(sequences.iter().collect::<Vec<_>>(), [&[4, 2][..], &[], &[7]]);
        assert_eq!((sequences.get(0), sequences.get(3)), (Some(&[4, 2][..]), None));
    }
}
