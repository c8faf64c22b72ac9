//! The processes of a run: which rows of a batch are this one's, and what all of them know together.
//!
//! A batch is cut into *blocks* of neighbouring rows, each with random numbers of its own; the processes share the
//! blocks out, in order. So what is computed depends on how many blocks there are, not on how many processes. One process
//! with one block is a run without any of this.

pub mod launcher;
mod sharing;

pub use sharing::Whole;

use crate::settings::schema::ProcessSettings;
use anyhow::Result;
use prorl_distributed::{Place, ProcessGroup};
use prorl_sdk::algorithm::Collective;
use prorl_sdk::error::Error;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tch::{Device, Tensor};

/// Neighbouring rows of a batch that draw from one random stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Which of the batch's blocks, from 0.
    pub index: u64,
    /// Its rows.
    pub rows: Range<usize>,
}

impl Block {
    /// How many rows it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The same rows in pieces of at most `limit`, if that is not 0. Every piece draws from a stream of its own; the
    /// first has the block's.
    pub fn pieces(&self, limit: usize) -> Vec<Block> {
        let limit = if limit == 0 { self.len().max(1) } else { limit };
        let starts = self.rows.clone().step_by(limit).enumerate();
        let piece = |(place, start): (usize, usize)| Block {
            index: self.index + ((place as u64) << 32),
            rows: start..(start + limit).min(self.rows.end),
        };
        starts.map(piece).collect()
    }
}

/// The processes of a run, of which this is one.
pub struct Processes {
    group: Option<ProcessGroup>,
    blocks: usize,
    notes: AtomicU64,
}

impl Processes {
    /// Joins the processes that the environment tells of; their number must divide that of the blocks.
    ///
    /// # Errors
    /// The environment is incomplete, or the others do not come.
    pub fn join(settings: &ProcessSettings, place: Option<Place>) -> Result<Self> {
        let timeout = Duration::from_secs(settings.timeout.max(1) as u64);
        let group = place.map(|place| ProcessGroup::join(place, timeout)).transpose()?;
        let count = group.as_ref().map_or(1, ProcessGroup::processes);
        let blocks = if settings.blocks > 0 { settings.blocks as usize } else { count };
        Ok(Self { group, blocks, notes: AtomicU64::new(0) })
    }

    /// Makes ready for models on `device`.
    ///
    /// # Errors
    /// They are on GPUs and this build cannot let processes on GPUs work together.
    pub fn use_device(&self, device: Device) -> Result<()> {
        Ok(self.group.as_ref().map_or(Ok(()), |group| group.use_device(device))?)
    }

    /// The group, where there are several processes.
    pub fn group(&self) -> Option<&ProcessGroup> {
        self.group.as_ref()
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.group.as_ref().map_or(1, ProcessGroup::processes)
    }

    /// This one, from 0.
    pub fn rank(&self) -> usize {
        self.group.as_ref().map_or(0, ProcessGroup::rank)
    }

    /// Whether this is process 0, which alone writes files and tables.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Blocks of a batch, those of all processes.
    pub fn block_count(&self) -> usize {
        self.blocks
    }

    /// Whether a batch is one block in one process.
    pub fn is_plain(&self) -> bool {
        self.blocks == 1
    }

    /// This process's blocks of a batch of `rows`.
    pub fn blocks(&self, rows: usize) -> Vec<Block> {
        self.blocks_of(self.rank(), rows)
    }

    /// The blocks of process `rank`.
    pub fn blocks_of(&self, rank: usize, rows: usize) -> Vec<Block> {
        let block = |index: usize| Block { index: index as u64, rows: share(rows, index, self.blocks) };
        share(self.blocks, rank, self.count()).map(block).collect()
    }

    /// This process's rows of work that draws no random numbers: an evaluation's prompts.
    pub fn share(&self, rows: usize) -> Range<usize> {
        share(rows, self.rank(), self.count())
    }

    /// What every process has in place of `own`, by rank.
    ///
    /// # Errors
    /// Another process is gone; so for all that is done together.
    pub fn numbers(&self, own: &[f64], name: &str) -> Result<Vec<Vec<f64>>> {
        match &self.group {
            Some(group) => Ok(group.gather_numbers(own, name)?),
            None => Ok(vec![own.to_vec()]),
        }
    }

    /// The sum of `own` over the processes, the same in all of them.
    ///
    /// # Errors
    /// As for [`Processes::numbers`].
    pub fn sum(&self, own: f64, name: &str) -> Result<f64> {
        Ok(self.numbers(&[own], name)?.iter().flatten().sum())
    }

    /// Waits until all are here.
    ///
    /// # Errors
    /// As for [`Processes::numbers`].
    pub fn meet(&self, name: &str) -> Result<()> {
        Ok(self.group.as_ref().map_or(Ok(()), |group| group.barrier(name))?)
    }

    /// Text that process 0 knows: it gives it as `Some`, the others wait for it for as long as process 0 lives.
    ///
    /// # Errors
    /// Process 0 is gone.
    pub fn told(&self, text: Option<&str>, name: &str) -> Result<String> {
        let number = self.notes.fetch_add(1, Ordering::Relaxed);
        let key = format!("{number} {name}");
        match (&self.group, text) {
            (None, text) => Ok(text.unwrap_or_default().to_owned()),
            (Some(group), Some(text)) => {
                group.announce(&key, text.as_bytes())?;
                Ok(text.to_owned())
            }
            (Some(group), None) => Ok(String::from_utf8_lossy(&group.awaited(&key)?).into_owned()),
        }
    }

    /// Sums for algorithms.
    pub fn collective(&self) -> Sums {
        Sums(self.group.clone())
    }
}

/// The `index`-th of `parts` nearly equal shares of `0..whole`.
pub fn share(whole: usize, index: usize, parts: usize) -> Range<usize> {
    whole * index / parts..whole * (index + 1) / parts
}

/// Sums over the processes of a run, as algorithms ask for them.
pub struct Sums(Option<ProcessGroup>);

impl Collective for Sums {
    fn processes(&self) -> u64 {
        self.0.as_ref().map_or(1, |group| group.processes() as u64)
    }

    fn sum(&self, tensor: &Tensor) -> Result<Tensor, Error> {
        match &self.0 {
            Some(group) => {
                group.sum(tensor, "sums of the algorithm").map_err(|error| Error::Boundary(error.to_string()))
            }
            None => Ok(tensor.shallow_clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_lose_and_repeat_nothing() {
        for (whole, parts) in [(10, 4), (3, 4), (0, 2), (128, 3), (7, 1)] {
            let all: Vec<usize> = (0..parts).flat_map(|index| share(whole, index, parts)).collect();
            assert_eq!(all, (0..whole).collect::<Vec<_>>());
            let sizes = (0..parts).map(|index| share(whole, index, parts).len());
            assert!(sizes.clone().max() <= sizes.min().map(|least| least + 1));
        }
    }

    #[test]
    fn pieces_are_the_block() {
        let block = Block { index: 2, rows: 3..10 };
        assert_eq!(block.pieces(0), std::slice::from_ref(&block));
        assert_eq!(block.pieces(7), std::slice::from_ref(&block));
        let pieces = block.pieces(3);
        assert_eq!(pieces.iter().flat_map(|it| it.rows.clone()).collect::<Vec<_>>(), (3..10).collect::<Vec<_>>());
        assert_eq!(pieces.iter().map(|it| it.index).collect::<Vec<_>>(), [2, 2 + (1 << 32), 2 + (2 << 32)]);
        assert!(Block { index: 0, rows: 4..4 }.pieces(3).is_empty());
    }

    #[test]
    fn one_process_has_all_blocks() {
        let processes = Processes { group: None, blocks: 4, notes: AtomicU64::new(0) };
        let blocks = processes.blocks(10);
        assert_eq!(blocks.iter().map(Block::len).collect::<Vec<_>>(), [2, 3, 2, 3]);
        assert_eq!((blocks[3].index, blocks[3].rows.clone()), (3, 7..10));
        assert_eq!(processes.share(10), 0..10);
    }
}
