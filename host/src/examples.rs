//! Examples as tensors on the device: batches are rows, picked without work per item.

use prorl_sdk::prompts::{Paths, Prompts};
use tch::{Device, Kind, Tensor};

/// Histories, paths and targets of many examples.
pub struct Examples {
    history: Tensor, // [N, H]
    path: Tensor,    // [N, P]
    target: Tensor,  // [N]
}

impl Examples {
    /// From examples of item ids. Longer histories keep their last `history` items.
    pub fn new(examples: &[prorl_data::Example], history: usize, path: usize, device: Device) -> Self {
        let count = examples.len() as i64;
        let histories: Vec<i64> =
            examples.iter().flat_map(|it| padded(last_of(&it.history, history), history)).collect();
        let paths: Vec<i64> = examples.iter().flat_map(|it| padded(&it.path, path)).collect();
        let targets: Vec<i64> = examples.iter().map(|it| i64::from(it.target)).collect();
        Self {
            history: Tensor::from_slice(&histories).reshape([count, history as i64]).to_device(device),
            path: Tensor::from_slice(&paths).reshape([count, path as i64]).to_device(device),
            target: Tensor::from_slice(&targets).to_device(device),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.target.size()[0] as usize
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Prompts of the given rows.
    pub fn prompts(&self, rows: &[u32]) -> Prompts {
        let rows = self.rows(rows);
        Prompts { history: self.history.index_select(0, &rows), target: self.target.index_select(0, &rows) }
    }

    /// Reference paths of the given rows, one a prompt. // [B, 1, P]
    pub fn paths(&self, rows: &[u32]) -> Paths {
        Paths::from_items(self.path.index_select(0, &self.rows(rows)).unsqueeze(1))
    }

    fn rows(&self, rows: &[u32]) -> Tensor {
        let rows: Vec<i64> = rows.iter().map(|&row| i64::from(row)).collect();
        Tensor::from_slice(&rows).to_device(self.target.device())
    }
}

/// Targets drawn uniformly from `candidates`, none of which stands in the prompt's history.
///
/// Draws from libtorch's generator, which the caller seeds. A history that holds all candidates keeps whatever was
/// drawn last. // [B]
pub fn random_targets(history: &Tensor, candidates: &Tensor) -> Tensor {
    let count = candidates.size()[0];
    let draw = || {
        let rows = Tensor::randint(count, [history.size()[0]], (Kind::Int64, history.device()));
        candidates.index_select(0, &rows)
    };
    let mut targets = draw(); // [B]
    for _ in 0..32 {
        let known = history.eq_tensor(&targets.unsqueeze(-1)).any_dim(-1, false); // [B]
        if known.any().int64_value(&[]) == 0 {
            break;
        }
        targets = draw().where_self(&known, &targets);
    }
    targets
}

fn last_of(items: &[u32], count: usize) -> &[u32] {
    &items[items.len().saturating_sub(count)..]
}

fn padded(items: &[u32], width: usize) -> Vec<i64> {
    let mut row: Vec<i64> = items.iter().take(width).map(|&item| i64::from(item)).collect();
    row.resize(width, 0);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_targets_avoid_the_history() {
        tch::manual_seed(1);
        let history = Tensor::from_slice(&[1i64, 2, 3, 4]).reshape([1, 4]).repeat([200, 1]);
        let targets = random_targets(&history, &Tensor::arange_start(1, 7, (Kind::Int64, Device::Cpu)));
        assert_eq!(targets.lt(5).any().int64_value(&[]), 0);
        assert_eq!(targets.gt(6).any().int64_value(&[]), 0);
    }
}
