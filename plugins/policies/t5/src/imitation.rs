//! Learning from given paths, and looking inside while doing so.

use crate::decoder::decode;
use crate::encoder::encode;
use crate::head::{self, Head};
use crate::layout::Layout;
use crate::policy::Call;
use crate::tokens::Spelled;
use prorl_sdk::prompts::{Paths, Prompts};
use tch::{Kind, Reduction, Tensor};

/// Mean cross-entropy of the paths' tokens over the full vocabulary, as Hugging Face's
/// `T5ForConditionalGeneration` with padding ignored.
pub fn loss(call: &Call<'_>, prompts: &Prompts, paths: &Paths) -> Tensor {
    let encoded = encode(&call.network, call.weights, call.encoder_buckets, &call.vocabulary.prompts(prompts));
    let spelled = call.vocabulary.paths(paths);
    let layout = spelled.layout();
    let states = decode(&call.network, call.weights, call.decoder_buckets, &encoded, &spelled.shifted(), &layout);
    let logits = Head::logits(call.weights, &states); // [N, V]
    let labels = layout.pack(&spelled.tokens.masked_fill(&layout.real().logical_not(), IGNORED)); // [N]
    logits.cross_entropy_loss(&labels, None::<&Tensor>, Reduction::Mean, IGNORED, 0.0)
}

const IGNORED: i64 = -100;

/// `encoder_states` `[B, T, D]` and `logits` `[B * G, T, V]` at every position of `paths.tokens`.
pub fn inspect(call: &Call<'_>, prompts: &Prompts, paths: &Paths) -> Vec<(String, Tensor)> {
    let encoded = encode(&call.network, call.weights, call.encoder_buckets, &call.vocabulary.prompts(prompts));
    let tokens = match &paths.tokens {
        Some(tokens) => tokens.flatten(0, 1),
        None => call.vocabulary.paths(paths).tokens,
    };
    let (rows, time) = (tokens.size()[0], tokens.size()[1]);
    let lengths = Tensor::full([rows], time, (Kind::Int64, tokens.device()));
    let whole = Spelled { tokens, lengths, total: rows * time };
    let layout: Layout = whole.layout();
    let states = decode(&call.network, call.weights, call.decoder_buckets, &encoded, &whole.shifted(), &layout);
    let encoder_states = encoded.layout.spread(&(&encoded.states * &call.weights.encoder.final_norm));
    vec![
        ("encoder_states".into(), encoder_states),
        ("logits".into(), head::Head::logits(call.weights, &states).view([rows, time, -1])),
    ]
}
