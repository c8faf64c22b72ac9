//! Of the likeliest next items, the nearest to the target.

use prorl_sdk::prelude::*;
use prorl_seqrec::{Either, SequenceEncoder, SequenceModel, sequences};
use prorl_stepwise::{Choices, NextItem, Prefixes};

/// What an item loses that is not among the likeliest: enough never to be chosen while there are others.
const FAR: f64 = 100.0;

/// A model that recommends, and how many of its recommendations are looked at.
pub struct NearestOfLikeliest {
    pub model: SequenceModel<Either>,
    pub top_k: i64,
}

impl NearestOfLikeliest {
    /// Which of the admissible items are among the `top_k` likeliest, and whether the target would be.
    // [N, V + 1] bool, [N] bool
    fn recommended(&mut self, prefixes: &Prefixes) -> Result<(Tensor, Tensor)> {
        let likely = self.model.next_item_scores(&sequences::compact(&prefixes.seen()))?; // [N, V + 1]
        let target = likely.gather(1, &prefixes.target.unsqueeze(-1), false); // [N, 1]
        let likely = likely.masked_fill(&prefixes.admissible.logical_not(), f64::NEG_INFINITY); // [N, V + 1]
        let count = self.top_k.min(likely.size()[1]);
        let places = likely.topk(count, -1, true, true).1; // [N, top_k]
        let recommended = prefixes.admissible.zeros_like().scatter_value(1, &places, 1); // [N, V + 1]
        let likelier = likely.gt_tensor(&target).sum_dim_intlist(-1, false, Kind::Int64); // [N]
        Ok((recommended, likelier.lt(self.top_k)))
    }

    /// Cosine of the embeddings of every item and the target. // [N, V + 1]
    fn nearness(&self, target: &Tensor) -> Tensor {
        let items = self.model.encoder().item_embedding(); // [V + 1, D]
        let length = items.square().sum_dim_intlist(-1, true, Kind::Float).sqrt().clamp_min(1e-12); // [V + 1, 1]
        let items = items / length; // [V + 1, D]
        items.index_select(0, target).mm(&items.tr())
    }
}

impl NextItem for NearestOfLikeliest {
    /// The cosine scores what is recommended; the path ends before the target would be recommended itself.
    fn choices(&mut self, prefixes: &Prefixes) -> Result<Choices> {
        let (recommended, reached) = self.recommended(prefixes)?;
        let scores = self.nearness(&prefixes.target) - recommended.logical_not().to_kind(Kind::Float) * FAR;
        Ok(Choices::until(scores, &reached))
    }
}
