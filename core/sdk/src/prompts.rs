//! Prompts and paths: what policies answer, what reward models judge.
//!
//! Letters of shapes, here and everywhere: `B` prompts, `G` paths of a prompt (its group), `P` most
//! items of a path, `L` digits of a code, `T` tokens, `V` items, `D` hidden, `H` history.

use crate::crossing;
use tch::{Kind, Tensor};

crossing! {
    /// Users and where they should be led.
    pub struct Prompts {
        /// The users' last items, oldest first, right-padded with 0. // [B, H] int64
        pub history: Tensor,
        /// The item to lead each user to. // [B] int64
        pub target: Tensor,
    }

    /// A group of paths for every prompt.
    ///
    /// Position `p` of a path holds an item where `p < length`; item 0 there is a code that no item
    /// has (possible only where decoding is not constrained).
    pub struct Paths {
        /// Items, 0 after the end and for codes that are no item. // [B, G, P] int64
        pub items: Tensor,
        /// Positions that hold an item, valid or not. // [B, G] int64
        pub length: Tensor,
        /// Whether the path ended by choice (its stop is an action) and not at `P`. // [B, G] bool
        pub stopped: Tensor,
        /// The policy's own spelling, opaque to all others and handed back to it. // [B, G, T] int64
        pub tokens: Option<Tensor>,
    }
}

impl Prompts {
    /// Number of prompts `B`.
    pub fn len(&self) -> i64 {
        self.target.size()[0]
    }

    /// Whether there is no prompt.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Prompts `start..start + count`.
    pub fn narrow(&self, start: i64, count: i64) -> Self {
        Self { history: self.history.narrow(0, start, count), target: self.target.narrow(0, start, count) }
    }
}

impl Paths {
    /// Paths made of valid items only, as data hold them: no spelling, stopped before `P`.
    ///
    /// `items` is `[B, G, P]` right-padded with 0.
    pub fn from_items(items: Tensor) -> Self {
        let length = items.ne(0).sum_dim_intlist(-1, false, Kind::Int64); // [B, G]
        let stopped = length.lt(items.size()[2]); // [B, G]
        Self { items, length, stopped, tokens: None }
    }

    /// `[B, G, P]`.
    pub fn sizes(&self) -> (i64, i64, i64) {
        let size = self.items.size();
        (size[0], size[1], size[2])
    }

    /// Positions that hold an item, valid or not. // [B, G, P] bool
    pub fn holds_item(&self) -> Tensor {
        positions(&self.items).lt_tensor(&self.length.unsqueeze(-1))
    }

    /// Positions that hold a code that no item has. // [B, G, P] bool
    pub fn invalid(&self) -> Tensor {
        self.holds_item().logical_and(&self.items.eq(0))
    }

    /// Positions that hold an item which stands earlier on the same path. // [B, G, P] bool
    pub fn repeated(&self) -> Tensor {
        let path = self.items.size()[2];
        let same = self.items.unsqueeze(-1).eq_tensor(&self.items.unsqueeze(-2)); // [B, G, P, P]
        let earlier = Tensor::ones([path, path], (Kind::Bool, self.items.device())).tril(-1); // [P, P]
        let holds = self.items.gt(0); // [B, G, P]
        same.logical_and(&earlier).any_dim(-1, false).logical_and(&holds)
    }

    /// Positions at which an action was taken: an item, or the stop. // [B, G, P + 1] bool
    pub fn acts(&self) -> Tensor {
        let acted = &self.length + self.stopped.to_kind(Kind::Int64); // [B, G]
        let (_, _, path) = self.sizes();
        Tensor::arange(path + 1, (Kind::Int64, self.items.device())).lt_tensor(&acted.unsqueeze(-1))
    }

    /// Positions at which the action was to stop. // [B, G, P + 1] bool
    pub fn stops(&self) -> Tensor {
        let (_, _, path) = self.sizes();
        Tensor::arange(path + 1, (Kind::Int64, self.items.device()))
            .eq_tensor(&self.length.unsqueeze(-1))
            .logical_and(&self.stopped.unsqueeze(-1))
    }

    /// How many paths hold at least one item, at least 1 for division. // scalar float
    pub fn with_items(&self) -> Tensor {
        self.length.gt(0).sum(Kind::Float).clamp_min(1.0)
    }

    /// Paths of prompts `start..start + count`.
    pub fn narrow(&self, start: i64, count: i64) -> Self {
        Self {
            items: self.items.narrow(0, start, count),
            length: self.length.narrow(0, start, count),
            stopped: self.stopped.narrow(0, start, count),
            tokens: self.tokens.as_ref().map(|tokens| tokens.narrow(0, start, count)),
        }
    }
}

fn positions(items: &Tensor) -> Tensor {
    Tensor::arange(items.size()[2], (Kind::Int64, items.device())) // [P]
}
