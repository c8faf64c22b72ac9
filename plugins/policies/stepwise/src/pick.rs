//! Which continuations are taken: beams or samples.

use crate::filters::likeliest;
use crate::walk::Walk;
use prorl_sdk::policy::Decoding;
use tch::{Kind, Tensor};

/// What the best paths are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beams {
    /// Those with the largest log-probability over actions^`length_penalty`. A finished path keeps its place until
    /// better ones push it out and the search ends when all are finished, so `early_stopping` changes nothing.
    Joint,
    /// The `k`-th opens with the `k`-th best item, whose log-probability is its score, and takes the best choice
    /// from there on.
    Apart,
}

/// Parents and choices of the paths that are taken, from log-probabilities `[B, K, V + 1]`. // 2 x [B, G]
pub fn pick(walk: &Walk, log_probs: &Tensor, beams: Beams, decoding: &Decoding) -> (Tensor, Tensor) {
    match (decoding.beam, beams) {
        (false, _) => sample(walk, log_probs, decoding),
        (true, Beams::Joint) => joint(walk, log_probs, decoding),
        (true, Beams::Apart) => apart(walk, log_probs, decoding.group),
    }
}

/// Every path draws its own next choice; at first all from the one empty path.
fn sample(walk: &Walk, log_probs: &Tensor, decoding: &Decoding) -> (Tensor, Tensor) {
    let probabilities = likeliest(log_probs, decoding.top_k, decoding.top_p).exp(); // [B, K, V + 1]
    let draws = if walk.picked() == 0 { decoding.group } else { 1 };
    let choice = probabilities.flatten(0, 1).multinomial(draws, true); // [B * K, draws]
    let choice = choice.view([log_probs.size()[0], -1]); // [B, G]
    (own_parents(&choice, walk), choice)
}

/// The `G` best of all continuations of a prompt.
fn joint(walk: &Walk, log_probs: &Tensor, decoding: &Decoding) -> (Tensor, Tensor) {
    let choices = log_probs.size()[2];
    let sums = walk.score.unsqueeze(-1) + log_probs; // [B, K, V + 1]
    let actions = &walk.actions + walk.going.to_kind(Kind::Int64); // [B, K]
    let worth = sums / actions.to_kind(Kind::Float).pow_tensor_scalar(decoding.length_penalty).unsqueeze(-1); // [B, K, V + 1]
    let places = worth.flatten(1, 2).topk(decoding.group, -1, true, true).1; // [B, G]
    (places.divide_scalar_mode(choices, "floor"), places.remainder(choices))
}

/// At first the `G` best items, then of each path the best choice.
fn apart(walk: &Walk, log_probs: &Tensor, group: i64) -> (Tensor, Tensor) {
    let choice = match walk.picked() {
        0 => log_probs.select(1, 0).topk(group, -1, true, true).1, // [B, G]
        _ => log_probs.argmax(-1, false),
    };
    (own_parents(&choice, walk), choice)
}

/// Each path is its own parent; at first there is one for all.
fn own_parents(choice: &Tensor, walk: &Walk) -> Tensor {
    let size = choice.size();
    let own = Tensor::arange(size[1], (Kind::Int64, choice.device())).expand(&size, false);
    if walk.picked() == 0 { own.zeros_like() } else { own }
}
