//! Lists of different lengths, as the catalogue stores them: one row of values, and where each list starts.

use prorl_sdk::prelude::*;

/// Lists of indices.
#[derive(Debug)]
pub(crate) struct Ragged {
    offsets: Vec<usize>,
    values: Vec<usize>,
}

impl Ragged {
    /// From two tensors of the catalogue; every value must lie in `allowed`.
    ///
    /// # Errors
    /// Names the tensor `{name}_offsets` or its values, and the entry that is wrong.
    pub(crate) fn new(
        name: &str,
        offsets: &Tensor, // [R + 1]
        values: &Tensor,  // [N]
        allowed: std::ops::Range<i64>,
    ) -> Result<Self> {
        let offsets = indices(&format!("{name}_offsets"), offsets, 0..i64::MAX)?;
        let values = indices(&format!("the values of {name}"), values, allowed)?;
        let ordered = offsets.is_sorted() && offsets.first() == Some(&0);
        if !ordered || offsets.last() != Some(&values.len()) {
            return Err(Error::Tensor(format!(
                "{name}_offsets should rise from 0 to the number of values, {}",
                values.len()
            )));
        }
        Ok(Self { offsets, values })
    }

    /// How many lists there are.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether all lists are empty.
    pub(crate) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values, list after list.
    pub(crate) fn values(&self) -> &[usize] {
        &self.values
    }

    /// Where list `row` lies among the values.
    pub(crate) fn range(&self, row: usize) -> std::ops::Range<usize> {
        self.offsets[row]..self.offsets[row + 1]
    }

    /// List `row`.
    pub(crate) fn row(&self, row: usize) -> &[usize] {
        &self.values[self.range(row)]
    }

    /// For each value below `bound`, the positions at which it stands.
    pub(crate) fn positions(&self, bound: usize) -> Self {
        let mut offsets = vec![0; bound + 1];
        for &value in &self.values {
            offsets[value + 1] += 1;
        }
        for value in 0..bound {
            offsets[value + 1] += offsets[value];
        }
        let mut next = offsets.clone();
        let mut values = vec![0; self.values.len()];
        for (position, &value) in self.values.iter().enumerate() {
            values[next[value]] = position;
            next[value] += 1;
        }
        Self { offsets, values }
    }
}

fn indices(name: &str, tensor: &Tensor, allowed: std::ops::Range<i64>) -> Result<Vec<usize>> {
    if tensor.dim() != 1 || tensor.kind() != Kind::Int64 {
        return Err(Error::Tensor(format!(
            "{name} should be one row of int64, but is {:?} of {:?}",
            tensor.size(),
            tensor.kind()
        )));
    }
    let values: Vec<i64> = Vec::try_from(tensor.to_device(Device::Cpu).contiguous())?;
    match values.iter().position(|value| !allowed.contains(value)) {
        None => Ok(values.into_iter().map(|value| value as usize).collect()),
        Some(at) => Err(Error::Tensor(format!("{name}: entry {at} is {}, but should be in {allowed:?}", values[at]))),
    }
}
