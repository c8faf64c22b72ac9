//! The IPG score of every item.

use prorl_sdk::prelude::*;
use prorl_seqrec::{Either, SequenceEncoder, SequenceModel, prefixes, sequences};
use prorl_stepwise::{Choices, NextItem, Prefixes};

/// A model that represents users, and how far an item moves them.
pub struct Guide {
    pub model: SequenceModel<Either>,
    pub gamma: f64,
}

/// `sigmoid(u · E_i) · (E_j · u' − E_j · u)` with `u' = γ u + (1 − γ) E_i`: the probability that a user with
/// representation `users` `[N, D]` interacts with item `i` of `items` `[V + 1, D]`, times the gain of interest in
/// the target `j` of `targets` `[N]` if so. // [N, V + 1]
pub fn scores(users: &Tensor, items: &Tensor, targets: &Tensor, gamma: f64) -> Tensor {
    let probability = users.mm(&items.tr()).sigmoid(); // [N, V + 1]
    let target = items.index_select(0, targets); // [N, D]
    let now = (&target * users).sum_dim_intlist(-1, true, None); // [N, 1]
    let later = now.shallow_clone() * gamma + target.mm(&items.tr()) * (1.0 - gamma); // [N, V + 1]
    probability * (later - now)
}

impl NextItem for Guide {
    /// The user's representation is read anew from history and path, so it follows every item that was appended.
    fn choices(&mut self, prefixes: &Prefixes) -> Result<Choices> {
        let encoder = self.model.encoder();
        let users = prefixes::last_states(encoder, &sequences::compact(&prefixes.seen())); // [N, D]
        Ok(Choices::endless(scores(&users, encoder.item_embedding(), &prefixes.target, self.gamma)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One user at (1, 2); item 1 is the target (0, 1), item 2 is (3, -1).
    #[test]
    fn a_closed_form() {
        let users = Tensor::from_slice(&[1f64, 2.0]).view([1, 2]);
        let items = Tensor::from_slice(&[0f64, 0.0, 0.0, 1.0, 3.0, -1.0]).view([3, 2]);
        let found = scores(&users, &items, &Tensor::from_slice(&[1i64]), 0.8);
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        // The target's interest is 2; the items' are 0, 1 and -1.
        for (item, score, interest) in [(0, 0.0, 0.0), (1, 2.0, 1.0), (2, 1.0, -1.0)] {
            let expected = sigmoid(score) * 0.2 * (interest - 2.0);
            assert!((found.double_value(&[0, item]) - expected).abs() < 1e-12, "item {item}");
        }
    }
}
