//! SASRec's encoder: items and positions embedded, then causal Transformer layers.

use super::attention::{Attention, causal_mask};
use super::branches::Branches;
use super::feed_forward::FeedForward;
use super::layers::{Fresh, LayerNorm};
use super::parameters::SasRecParameters;
use crate::{SequenceEncoder, initial};
use prorl_sdk::dropout::dropout;
use prorl_sdk::error::Result;
use prorl_sdk::setup::Setup;
use tch::{Kind, Tensor};

/// SASRec, "Self-Attentive Sequential Recommendation" (arXiv 1808.09781), with the numbers of RecBole
/// 1.2.1's `SASRec`: `X = Dropout(LN(E[x_t] + P[t]))` with positions from 0 at the left, then post-norm layers
/// without a final norm.
pub struct Encoder {
    item_embedding: Tensor,     // [V + 1, D]
    position_embedding: Tensor, // [max_length, D]
    norm: LayerNorm,
    layers: Vec<(Attention, FeedForward)>,
    parameters: SasRecParameters,
}

impl SequenceEncoder for Encoder {
    type Parameters = SasRecParameters;

    /// All matrices are drawn from `N(0, initial_deviation²)`, padding's row too.
    fn create(parameters: SasRecParameters, setup: &Setup) -> Result<Self> {
        let device = setup.device()?;
        let deviation = parameters.initial_deviation;
        let fresh = Fresh { deviation, device };
        let embedding = |rows| initial::normal(&[rows, parameters.hidden], deviation, device);
        let layer = |_| {
            let attention = Attention::new(&parameters, fresh);
            (attention, FeedForward::new(&parameters, fresh))
        };
        Ok(Self {
            item_embedding: embedding(setup.items + 1),
            position_embedding: embedding(parameters.max_length),
            norm: LayerNorm::new(parameters.hidden, fresh),
            layers: (0..parameters.layers).map(layer).collect(),
            parameters,
        })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        let mut named = vec![
            ("item_embedding.weight".into(), self.item_embedding.shallow_clone()),
            ("position_embedding.weight".into(), self.position_embedding.shallow_clone()),
        ];
        for (index, (attention, feed_forward)) in self.layers.iter().enumerate() {
            let layer = format!("trm_encoder.layer.{index}");
            named.extend(attention.named(&format!("{layer}.multi_head_attention")));
            named.extend(feed_forward.named(&format!("{layer}.feed_forward")));
        }
        named.extend(self.norm.named("LayerNorm"));
        named
    }

    fn item_embedding(&self) -> &Tensor {
        &self.item_embedding
    }

    fn negatives(&self) -> i64 {
        self.parameters.negatives
    }

    fn window(&self) -> Option<i64> {
        Some(self.parameters.max_length)
    }

    fn states(&self, items: &Tensor, training: bool) -> Tensor {
        self.states_with(items, &causal_mask(items.size()[1], items.device()), training)
    }

    fn states_of_branches(&self, histories: &Tensor, paths: &Tensor) -> Option<[Tensor; 2]> {
        let branches = Branches::of(histories, paths);
        let items = Tensor::cat(&[histories.flatten(0, -1), paths.flatten(0, -1)], 0); // [N]
        let embedded = Tensor::embedding(&self.item_embedding, &items, 0, false, false); // [N, D]
        let positions = self.position_embedding.index_select(0, &branches.positions()); // [N, D]
        let states = self.layers.iter().fold(self.norm.forward(&(embedded + positions)), |states, layer| {
            let (attention, feed_forward) = layer;
            feed_forward.forward(&attention.forward_branches(&states, &branches), false)
        }); // [N, D]
        let [of_histories, of_paths] = branches.apart(&states);
        Some([of_histories, of_paths.unflatten(1, &paths.size()[1..])])
    }

    /// RecBole adds −10,000 where a key is padding or stands behind its query: who sees padding alone sees all alike.
    fn states_of_padded(&self, items: &Tensor) -> Tensor {
        let padding = items.eq(0).view([items.size()[0], 1, 1, -1]); // [N, 1, 1, T]
        let later = causal_mask(items.size()[1], items.device()).isneginf(); // [T, T]
        let mask = padding.logical_or(&later).to_kind(Kind::Float) * HIDDEN; // [N, 1, T, T]
        self.states_with(items, &mask, false)
    }
}

/// What RecBole adds to the scores of hidden keys.
const HIDDEN: f64 = -10_000.0;

impl Encoder {
    fn states_with(&self, items: &Tensor, mask: &Tensor, training: bool) -> Tensor {
        let embedded = Tensor::embedding(&self.item_embedding, items, 0, false, false); // [N, T, D]
        let positions = self.position_embedding.narrow(0, 0, items.size()[1]); // [T, D]
        let first = dropout(&self.norm.forward(&(embedded + positions)), self.parameters.hidden_dropout, training); // [N, T, D]
        self.layers.iter().fold(first, |states, (attention, feed_forward)| {
            feed_forward.forward(&attention.forward(&states, mask, training), training)
        })
    }
}
