//! What a policy brings: scores after every prefix.

use prorl_sdk::error::Result;
use tch::{Kind, Tensor};

/// Which item comes next?
pub trait NextItem {
    /// Scores of all items, and of stopping, after each prefix.
    ///
    /// # Errors
    /// Those of the policy.
    fn choices(&mut self, prefixes: &Prefixes) -> Result<Choices>;
}

/// Prompts and the items picked so far, all prefixes equally long.
pub struct Prefixes {
    /// The users' last items, right-padded with 0. // [N, H] int64
    pub history: Tensor,
    /// The items to lead them to. // [N] int64
    pub target: Tensor,
    /// Items picked so far. // [N, t] int64
    pub path: Tensor,
    /// Items that may be picked: neither padding nor known, picked or the target. // [N, V + 1] bool
    pub admissible: Tensor,
}

/// Scores, of which a softmax over the admissible items and the stop is what is sampled.
pub struct Choices {
    /// Score of every item; column 0 and inadmissible items are not read. // [N, V + 1] float
    pub scores: Tensor,
    /// Score of stopping; minus infinity: the path goes on; infinity: it ends. // [N] float
    pub stop: Tensor,
}

impl Prefixes {
    /// Prefixes of `path` `[N, t]` over a catalogue of `items` items.
    pub fn new(history: Tensor, target: Tensor, path: Tensor, items: i64) -> Self {
        let taken = Tensor::cat(&[&history, &target.unsqueeze(-1), &path, &target.zeros_like().unsqueeze(-1)], 1);
        let admissible = Tensor::ones([history.size()[0], items + 1], (Kind::Bool, history.device()));
        let admissible = admissible.scatter_value(1, &taken, 0);
        Self { history, target, path, admissible }
    }

    /// What each user has seen: history, then path, perhaps with padding between. // [N, H + t]
    pub fn seen(&self) -> Tensor {
        Tensor::cat(&[&self.history, &self.path], 1)
    }

    /// Items picked so far, `t`.
    pub fn picked(&self) -> i64 {
        self.path.size()[1]
    }
}

impl Choices {
    /// Scores of a policy that never stops by itself.
    pub fn endless(scores: Tensor) -> Self {
        let stop = scores.select(1, 0).full_like(f64::NEG_INFINITY);
        Self { scores, stop }
    }

    /// Scores of a policy that stops exactly where `ends` `[N]` says so.
    pub fn until(scores: Tensor, ends: &Tensor) -> Self {
        let going = scores.select(1, 0).full_like(f64::NEG_INFINITY);
        Self { stop: going.masked_fill(ends, f64::INFINITY), scores }
    }
}
