//! Users' sequences for leave-one-out, mapped from a file: four bytes an interaction, read when a batch asks for them and
//! shared by all processes of a machine.

use crate::artefacts::key;
use crate::durable;
use crate::workbench::Workbench;
use anyhow::{Context, Result, bail};
use prorl_sdk::reward_model::Sequences;
use serde_json::json;
use std::path::Path;
use tch::{Device, Kind as Scalar, Tensor};

/// The file of an artefact: items of all training sequences, one after the other, as little-endian int32.
const FILE: &str = "items.i32";

/// The training sequences of at least three items, each cut to its last ones.
pub(super) struct Users {
    items: Tensor,     // [interactions] int32
    start: Tensor,     // [U] where a sequence's last items begin
    length: Tensor,    // [U] with the two held-out items
    lengths: Vec<i64>, // the same, for cutting batches to their longest
    catalogue: usize,  // items that there are, V
}

impl Users {
    /// Those of the run's data.
    ///
    /// # Errors
    /// There is none, or the cache's folder cannot be written.
    pub(super) fn of(bench: &Workbench) -> Result<Self> {
        let sequences = &bench.dataset.sequences;
        let folder = bench
            .artefact(&key("sequences", &json!({ "data": bench.data_hash })), |folder| -> Result<()> {
                folder.map_or(Ok(()), |folder| write(&folder.join(FILE), sequences.items()))
            })?;
        // The held-out items come on top of the longest sequence that the model sees.
        let longest = bench.settings.reward_training.max_length + 1;
        let path = folder.join(FILE);
        let name = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
        let count = sequences.items().len() as i64;
        let options = (Scalar::Int, Device::Cpu);
        let items = Tensor::f_from_file(name, false, count.max(1), options)
            .with_context(|| format!("mapping {name}; delete its folder if it is damaged"))?;
        let ends: Vec<i64> = sequences.offsets().iter().map(|&end| i64::from(end)).collect();
        Self::new(items.to_device(bench.device), &ends, longest, bench.dataset.catalogue.len())
    }

    /// Of the sequences that end in `items` where `ends` says, beginning with 0, the last `longest` items each.
    fn new(items: Tensor, ends: &[i64], longest: i64, catalogue: usize) -> Result<Self> {
        let kept = ends.windows(2).map(|ends| (ends[1], ends[1] - ends[0])).filter(|(_, length)| *length >= 3);
        let (start, lengths): (Vec<i64>, Vec<i64>) = kept
            .map(|(end, length)| {
                let length = length.min(longest);
                (end - length, length)
            })
            .unzip();
        let all = ends.len().saturating_sub(1);
        if lengths.is_empty() {
            bail!("none of the {all} sequences has the three items that leave-one-out needs");
        }
        if lengths.len() < all {
            log::info!("{} of {all} sequences have fewer than three items and are left out", all - lengths.len());
        }
        let on_device = |numbers: &[i64]| Tensor::from_slice(numbers).to_device(items.device());
        Ok(Self { start: on_device(&start), length: on_device(&lengths), items, lengths, catalogue })
    }

    /// How many there are.
    pub(super) fn len(&self) -> u32 {
        self.lengths.len() as u32
    }

    /// Items that there are, `V`.
    pub(super) fn catalogue(&self) -> usize {
        self.catalogue
    }

    /// Items of some users, padded on the right, and how many each has. // [N, T], [N]
    fn select(&self, rows: &[u32]) -> (Tensor, Tensor) {
        let longest = rows.iter().map(|&row| self.lengths[row as usize]).max().unwrap_or(1);
        let rows: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
        let rows = Tensor::from_slice(&rows).to_device(self.items.device());
        let length = self.length.index_select(0, &rows); // [N]
        let position = Tensor::arange(longest, (Scalar::Int64, self.items.device())); // [T]
        let place = self.start.index_select(0, &rows).unsqueeze(-1) + &position; // [N, T]
        let items = self.items.take(&place.clamp_max(self.items.size()[0] - 1)).to_kind(Scalar::Int64); // [N, T]
        (items * position.lt_tensor(&length.unsqueeze(-1)), length)
    }

    /// All positions of the learnt part, each with the item that follows.
    pub(super) fn training(&self, rows: &[u32]) -> Sequences {
        let (items, length) = self.select(rows); // [N, T], [N]
        let longest = items.size()[1];
        let learnt = (length - 2).unsqueeze(-1); // [N, 1]
        let positions = Tensor::arange(longest, (Scalar::Int64, items.device())); // [T]
        let items = &items * positions.lt_tensor(&learnt); // [N, T]
        let labels = Tensor::cat(&[&items.slice(1, 1, None, 1), &items.narrow(1, 0, 1).zeros_like()], 1);
        let width = (longest - 2).max(1);
        Sequences { items: items.narrow(1, 0, width), labels: labels.narrow(1, 0, width) }
    }

    /// Prefixes that end before a held-out item, and that item.
    pub(super) fn held_out(&self, rows: &[u32], held_out: i64) -> (Tensor, Tensor) {
        let (items, length) = self.select(rows);
        let place = (length - 1 - held_out).unsqueeze(-1); // [N, 1]
        let positions = Tensor::arange(items.size()[1], (Scalar::Int64, items.device()));
        let next = items.gather(1, &place, false).squeeze_dim(-1); // [N]
        let prefix = &items * positions.lt_tensor(&place); // [N, T]
        (prefix.narrow(1, 0, (items.size()[1] - 1).max(1)), next)
    }
}

fn write(path: &Path, items: &[u32]) -> Result<()> {
    let bytes: Vec<u8> = items.iter().flat_map(|item| item.to_le_bytes()).collect();
    // A map of no bytes does not exist.
    let bytes = if bytes.is_empty() { vec![0; 4] } else { bytes };
    durable::write_file(path, &bytes).with_context(|| format!("writing {}", path.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn users() -> Users {
        let items = Tensor::from_slice(&[9i32, 1, 2, 3, 4, 5, 7, 6, 7, 8]);
        Users::new(items, &[0, 6, 7, 10], 5, 9).unwrap()
    }

    #[test]
    fn long_sequences_keep_their_last_items_and_short_ones_leave() {
        let (items, length) = users().select(&[1, 0]);
        assert_eq!(Vec::<i64>::try_from(items.flatten(0, -1)).unwrap(), [6, 7, 8, 0, 0, 1, 2, 3, 4, 5]);
        assert_eq!(Vec::<i64>::try_from(length).unwrap(), [3, 5]);
        assert!(Users::new(Tensor::from_slice(&[1i32, 2]), &[0, 2], 5, 9).is_err());
    }

    #[test]
    fn what_is_written_is_mapped_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        write(&path, &[1, 70_000, 3]).unwrap();
        let mapped = Tensor::from_file(path.to_str().unwrap(), false, 3, (Scalar::Int, Device::Cpu));
        assert_eq!(Vec::<i32>::try_from(mapped).unwrap(), [1, 70_000, 3]);
    }

    #[test]
    fn training_never_sees_the_held_out_items() {
        let batch = users().training(&[0, 1]);
        assert_eq!(Vec::<i64>::try_from(batch.items.flatten(0, -1)).unwrap(), [1, 2, 3, 6, 0, 0]);
        assert_eq!(Vec::<i64>::try_from(batch.labels.flatten(0, -1)).unwrap(), [2, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn validation_and_test_hold_out_one_item_each() {
        let (prefix, next) = users().held_out(&[0, 1], 1);
        assert_eq!(Vec::<i64>::try_from(prefix.flatten(0, -1)).unwrap(), [1, 2, 3, 0, 6, 0, 0, 0]);
        assert_eq!(Vec::<i64>::try_from(next).unwrap(), [4, 7]);
        let (prefix, next) = users().held_out(&[0, 1], 0);
        assert_eq!(Vec::<i64>::try_from(prefix.flatten(0, -1)).unwrap(), [1, 2, 3, 4, 6, 7, 0, 0]);
        assert_eq!(Vec::<i64>::try_from(next).unwrap(), [5, 8]);
    }
}
