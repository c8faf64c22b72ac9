//! Paths under way: `K` of each prompt, picked so far.

use crate::next_item::Prefixes;
use prorl_sdk::policy::Rollout;
use prorl_sdk::prompts::Prompts;
use tch::{Kind, Tensor};

/// Paths of all prompts, at first one empty path of each.
pub struct Walk {
    history: Tensor, // [B, H]
    target: Tensor,  // [B]
    items: Tensor,   // [B, K, P]
    /// Items of each path so far. // [B, K]
    pub length: Tensor,
    /// Choices of each path so far, its stop included. // [B, K]
    pub actions: Tensor,
    /// Paths that may get another item. // [B, K] bool
    pub going: Tensor,
    /// Log-probability of all that was picked. // [B, K]
    pub score: Tensor,
    picked: i64,
}

impl Walk {
    /// An empty path of every prompt, with room for `path` items.
    pub fn new(prompts: &Prompts, path: i64) -> Self {
        let (count, device) = (prompts.len(), prompts.target.device());
        Self {
            history: prompts.history.shallow_clone(),
            target: prompts.target.shallow_clone(),
            items: Tensor::zeros([count, 1, path], (Kind::Int64, device)),
            length: Tensor::zeros([count, 1], (Kind::Int64, device)),
            actions: Tensor::zeros([count, 1], (Kind::Int64, device)),
            going: Tensor::ones([count, 1], (Kind::Bool, device)),
            score: Tensor::zeros([count, 1], (Kind::Float, device)),
            picked: 0,
        }
    }

    /// Items that a path which goes on has.
    pub fn picked(&self) -> i64 {
        self.picked
    }

    /// Places of the paths that go on, in memory. // [N]
    pub fn places(&self) -> Tensor {
        self.going.flatten(0, 1).nonzero().squeeze_dim(-1)
    }

    /// The prefixes at `places`.
    pub fn prefixes(&self, places: &Tensor, catalogue: i64) -> Prefixes {
        let prompt = places.divide_scalar_mode(self.items.size()[1], "floor"); // [N]
        let path = self.items.flatten(0, 1).narrow(1, 0, self.picked).index_select(0, places); // [N, t]
        Prefixes::new(self.history.index_select(0, &prompt), self.target.index_select(0, &prompt), path, catalogue)
    }

    /// Goes on: path `g` from what was path `parents[.., g]`, by `choice` (0 is a stop), with log-probabilities
    /// `[B, K, V + 1]`. // parents, choice: [B, G]
    pub fn follow(&mut self, parents: &Tensor, choice: &Tensor, log_probs: &Tensor) {
        let of_parents = |values: &Tensor| values.gather(1, parents, false); // [B, G]
        let places = parents * log_probs.size()[2] + choice; // [B, G]
        let chosen = log_probs.flatten(1, 2).gather(1, &places, false); // [B, G]
        let index = parents.unsqueeze(-1).expand([-1, -1, self.items.size()[2]], false);
        self.items = self.items.gather(1, &index, false);
        self.items.select(2, self.picked).copy_(choice);
        self.length = of_parents(&self.length) + choice.gt(0).to_kind(Kind::Int64);
        self.actions = of_parents(&(&self.actions + self.going.to_kind(Kind::Int64)));
        self.going = of_parents(&self.going).logical_and(&choice.gt(0));
        self.score = of_parents(&self.score) + chosen;
        self.picked += 1;
    }

    /// The paths as they are, with their scores `[B, G]`.
    pub fn finish(self, score: Tensor) -> Rollout {
        let stopped = self.length.lt(self.items.size()[2]);
        Rollout { items: self.items, length: self.length, stopped, tokens: None, score }
    }
}
