//! GRU4Rec's encoder: embedded items, recurrent layers, a projection back to the embeddings' width.

use super::parameters::Gru4RecParameters;
use crate::{SequenceEncoder, initial};
use prorl_sdk::dropout::dropout;
use prorl_sdk::error::Result;
use prorl_sdk::setup::Setup;
use tch::{Device, Kind, Tensor};

/// GRU4Rec, "Session-based Recommendations with Recurrent Neural Networks" (arXiv 1511.06939) in the form
/// of "Improved Recurrent Neural Networks for Session-based Recommendations" (arXiv 1606.08117), with the
/// numbers of RecBole 1.2.1's `GRU4Rec`: `o_t = W GRU(Dropout(E[x]))_t + b`, the GRU without bias.
pub struct Encoder {
    item_embedding: Tensor, // [V + 1, D]
    recurrent: Vec<Tensor>, // a layer: [3 hidden, in], [3 hidden, hidden]; gates r, z, n
    weight: Tensor,         // [D, hidden]
    bias: Tensor,           // [D]
    parameters: Gru4RecParameters,
}

impl SequenceEncoder for Encoder {
    type Parameters = Gru4RecParameters;

    /// Embeddings by Xavier's normal (padding's row too), the first recurrent layer by Xavier's uniform, all
    /// else by PyTorch's default `U(±1/sqrt(hidden))`.
    fn create(parameters: Gru4RecParameters, setup: &Setup) -> Result<Self> {
        let device = setup.device()?;
        let (width, hidden) = (parameters.embedding, parameters.hidden);
        let bound = 1.0 / (hidden as f64).sqrt();
        Ok(Self {
            item_embedding: initial::xavier_normal(setup.items + 1, width, device),
            recurrent: (0..parameters.layers).flat_map(|layer| recurrent_layer(layer, &parameters, device)).collect(),
            weight: initial::uniform(&[width, hidden], bound, device),
            bias: initial::uniform(&[width], bound, device),
            parameters,
        })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        let mut named = vec![("item_embedding.weight".into(), self.item_embedding.shallow_clone())];
        for (layer, pair) in self.recurrent.chunks(2).enumerate() {
            for (weight, part) in pair.iter().zip(["ih", "hh"]) {
                let name = format!("gru_layers.weight_{part}_l{layer}");
                named.push((name, weight.shallow_clone()));
            }
        }
        named.push(("dense.weight".into(), self.weight.shallow_clone()));
        named.push(("dense.bias".into(), self.bias.shallow_clone()));
        named
    }

    fn item_embedding(&self) -> &Tensor {
        &self.item_embedding
    }

    fn negatives(&self) -> i64 {
        self.parameters.negatives
    }

    fn window(&self) -> Option<i64> {
        None
    }

    fn states(&self, items: &Tensor, training: bool) -> Tensor {
        let Gru4RecParameters { hidden, layers, dropout: share, .. } = self.parameters;
        let embedded = dropout(&Tensor::embedding(&self.item_embedding, items, 0, false, false), share, training); // [N, T, D]
        let rows = items.size()[0];
        let start = Tensor::zeros([layers, rows, hidden], (Kind::Float, items.device()));
        // Nothing is dropped inside; but cuDNN keeps what gradients need in training alone.
        let keeps = training || embedded.requires_grad();
        let (read, _) = embedded.gru(&start, &self.recurrent, false, layers, 0.0, keeps, false, true); // [N, T, hidden]
        read.linear(&self.weight, Some(&self.bias))
    }
}

fn recurrent_layer(layer: i64, parameters: &Gru4RecParameters, device: Device) -> [Tensor; 2] {
    let hidden = parameters.hidden;
    if layer == 0 {
        return [parameters.embedding, hidden].map(|width| initial::xavier_uniform(3 * hidden, width, device));
    }
    let bound = 1.0 / (hidden as f64).sqrt();
    [hidden, hidden].map(|width| initial::uniform(&[3 * hidden, width], bound, device))
}
