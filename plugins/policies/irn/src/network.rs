//! The network: SASRec's layers over a user's items, with the objective beside them.

use crate::parameters::IrnParameters;
use prorl_sdk::dropout::dropout;
use prorl_sdk::prelude::*;
use prorl_seqrec::initial;
use prorl_seqrec::sasrec::SasRecParameters;
use prorl_seqrec::sasrec::attention::{Attention, causal_mask};
use prorl_seqrec::sasrec::feed_forward::FeedForward;
use prorl_seqrec::sasrec::layers::{Fresh, LayerNorm, Linear};

/// IRN's Transformer with its personalised impressionability mask.
///
/// The objective stands in a column of its own, left of all items, so that the causal mask lets every item see it and
/// it sees none: no state knows of a later item, through any number of layers.
pub struct Network {
    /// Row 0 for padding. // [V + 1, D]
    pub item_embedding: Tensor,
    position_embedding: Tensor, // [max_length, D]
    objective_position: Tensor, // [1, D]
    norm: LayerNorm,
    layers: Vec<(Attention, FeedForward)>,
    impressionability: Linear, // D -> 1
    objective_weight: f64,
    history_weight: f64,
    dropout: f64,
}

/// What the network makes of sequences.
pub struct States {
    /// After every number of items from none on. // [N, T + 1, D]
    pub states: Tensor,
    /// How far the objective is heeded after every item. // [N, T]
    pub impressionability: Tensor,
}

impl Network {
    /// Fresh weights as SASRec's; everybody's impressionability is about 1 at first.
    pub fn new(parameters: &IrnParameters, items: i64, device: Device) -> Self {
        let IrnParameters { transformer, objective_weight, history_weight, .. } = parameters;
        let SasRecParameters { hidden, initial_deviation: deviation, .. } = *transformer;
        let fresh = Fresh { deviation, device };
        let embedding = |rows| initial::normal(&[rows, hidden], deviation, device);
        let layer = |_| (Attention::new(transformer, fresh), FeedForward::new(transformer, fresh));
        let bias = initial::constant(&[1], 1.0, device);
        Self {
            item_embedding: embedding(items + 1),
            position_embedding: embedding(transformer.max_length),
            objective_position: embedding(1),
            norm: LayerNorm::new(hidden, fresh),
            layers: (0..transformer.layers).map(layer).collect(),
            impressionability: Linear { bias, ..Linear::new(hidden, 1, fresh) },
            objective_weight: *objective_weight,
            history_weight: *history_weight,
            dropout: transformer.hidden_dropout,
        }
    }

    /// All weights by name: RecBole's names of SASRec, and three more.
    pub fn named(&self) -> Vec<(String, Tensor)> {
        let mut named = vec![
            ("item_embedding.weight".into(), self.item_embedding.shallow_clone()),
            ("position_embedding.weight".into(), self.position_embedding.shallow_clone()),
            ("objective_position.weight".into(), self.objective_position.shallow_clone()),
        ];
        for (index, (attention, feed_forward)) in self.layers.iter().enumerate() {
            let layer = format!("trm_encoder.layer.{index}");
            named.extend(attention.named(&format!("{layer}.multi_head_attention")));
            named.extend(feed_forward.named(&format!("{layer}.feed_forward")));
        }
        named.extend(self.norm.named("LayerNorm"));
        named.extend(self.impressionability.named("impressionability"));
        named
    }

    /// States over `items` `[N, T]`, right-padded with 0, on the way to `objective` `[N]`.
    pub fn states(&self, items: &Tensor, objective: &Tensor, training: bool) -> States {
        let embedded = Tensor::embedding(&self.item_embedding, items, 0, false, false); // [N, T, D]
        let positions = self.position_embedding.narrow(0, 0, items.size()[1]); // [T, D]
        let objective = Tensor::embedding(&self.item_embedding, &objective.unsqueeze(-1), 0, false, false); // [N, 1, D]
        let impressionability = self.impressionability_of(&embedded); // [N, T]
        let joined = Tensor::cat(&[objective + &self.objective_position, embedded + positions], 1); // [N, T + 1, D]
        let first = dropout(&self.norm.forward(&joined), self.dropout, training); // [N, T + 1, D]
        let mask = self.mask(&impressionability); // [N, 1, T + 1, T + 1]
        let states = self.layers.iter().fold(first, |states, (attention, feed_forward)| {
            feed_forward.forward(&attention.forward(&states, &mask, training), training)
        });
        States { states, impressionability }
    }

    /// A linear function of the mean embedding of the items so far. // [N, T]
    fn impressionability_of(&self, embedded: &Tensor) -> Tensor {
        let read = Tensor::arange_start(1, embedded.size()[1] + 1, (Kind::Float, embedded.device())); // [T]
        let mean = embedded.cumsum(1, Kind::Float) / read.unsqueeze(-1); // [N, T, D]
        self.impressionability.forward(&mean).squeeze_dim(-1)
    }

    /// What is added to attention: `w_t · r` to the objective, `w_h` to items, minus infinity to what comes
    /// later. // [N, 1, T + 1, T + 1]
    fn mask(&self, impressionability: &Tensor) -> Tensor {
        let (rows, width) = (impressionability.size()[0], impressionability.size()[1]);
        let own = impressionability.new_zeros([rows, 1], (Kind::Float, impressionability.device())); // [N, 1]
        let objective = Tensor::cat(&[&own, &(impressionability * self.objective_weight)], 1); // [N, T + 1]
        let items = objective.full_like(self.history_weight).unsqueeze(-1).expand([-1, -1, width], false);
        let heeded = Tensor::cat(&[objective.unsqueeze(-1), items], -1).unsqueeze(1); // [N, 1, T + 1, T + 1]
        heeded + causal_mask(width + 1, impressionability.device())
    }
}
