//! Scores of what comes next on the way to the objective.

use crate::network::Network;
use prorl_sdk::prelude::*;
use prorl_seqrec::{chunks, sequences};
use prorl_stepwise::{Choices, NextItem, Prefixes};

/// Floats that one item needs within a pass, roughly, as a multiple of `D`.
const PASS_WIDTH: i64 = 8;

impl Network {
    /// The state after all items of `items` `[N, T]`; that of the objective alone where there is none. // [N, D]
    fn last_states(&self, items: &Tensor, objective: &Tensor) -> Tensor {
        let items = sequences::compact(items); // [N, T]
        let floats = (items.size()[1] + 1) * self.item_embedding.size()[1] * PASS_WIDTH;
        let rows = chunks::rows(floats, items.device());
        let joined = Tensor::cat(&[objective.unsqueeze(-1), items], 1); // [N, T + 1]
        chunks::map(&joined, rows, |joined| {
            let (objective, items) = (joined.select(1, 0), joined.slice(1, 1, None, 1));
            let states = self.states(&items, &objective, false).states; // [N, T + 1, D]
            let at = sequences::lengths(&items).view([-1, 1, 1]).expand([-1, 1, states.size()[2]], false);
            states.gather(1, &at, false).squeeze_dim(1)
        })
    }
}

impl NextItem for Network {
    /// Recommending the objective ends the path.
    fn choices(&mut self, prefixes: &Prefixes) -> Result<Choices> {
        let states = self.last_states(&prefixes.seen(), &prefixes.target); // [N, D]
        let scores = states.mm(&self.item_embedding.tr()); // [N, V + 1]
        let stop = scores.gather(1, &prefixes.target.unsqueeze(-1), false).squeeze_dim(-1); // [N]
        Ok(Choices { scores, stop })
    }
}
