//! Weights kept in memory: those of the best epoch so far.

use crate::checkpoint::NamedTensor;
use tch::{Tensor, no_grad};

/// Copies that later updates do not touch.
pub fn kept(parameters: Vec<NamedTensor>) -> Vec<NamedTensor> {
    parameters.into_iter().map(|(name, tensor)| (name, tensor.detach().copy())).collect()
}

/// Puts copies back in place; `parameters` are those of the same model.
pub fn restore(parameters: &[NamedTensor], kept: &[NamedTensor]) {
    no_grad(|| {
        for ((_, target), (_, source)) in parameters.iter().zip(kept) {
            target.shallow_clone().copy_(source);
        }
    });
}

/// Sum of the sizes of all tensors.
pub fn count(parameters: &[NamedTensor]) -> usize {
    parameters.iter().map(|(_, tensor): &(String, Tensor)| tensor.numel()).sum()
}
