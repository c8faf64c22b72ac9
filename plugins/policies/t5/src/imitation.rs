//! Learning from given paths, and looking inside while doing so.

use crate::decoder::decode;
use crate::encoder::encode;
use crate::head::{self, Head};
use crate::layout::Layout;
use crate::log_probs::log_probs;
use crate::policy::Call;
use crate::tokens::Spelled;
use prorl_sdk::loss::Loss;
use prorl_sdk::policy::Query;
use prorl_sdk::prompts::{Paths, Prompts};
use tch::{Kind, Reduction, Tensor};

/// Mean cross-entropy of the paths' tokens, under the distribution that is sampled: a constrained policy has nothing to
/// learn of which codes exist, and a digit without an alternative costs nothing.
pub fn loss(call: &Call<'_>, prompts: &Prompts, paths: &Paths) -> Loss {
    if !call.constrained {
        return full_loss(call, prompts, paths);
    }
    let digits = log_probs(call, prompts, paths, &Query::plain()).digits; // [B, 1, P + 1, L]
    let tokens = &paths.length * call.vocabulary.digits + paths.stopped.to_kind(Kind::Int64); // [B, 1]
    let count = tokens.sum(Kind::Float).clamp_min(1.0);
    Loss::new(-digits.sum(Kind::Float) / &count).mean_of(count)
}

/// The same over the full vocabulary, as Hugging Face's `T5ForConditionalGeneration` with padding ignored.
fn full_loss(call: &Call<'_>, prompts: &Prompts, paths: &Paths) -> Loss {
    let encoded = encode(call, prompts);
    let spelled = call.vocabulary.paths(paths);
    let layout = spelled.layout(call.network.worth_packing());
    let states = decode(&call.network, call.weights, call.decoder_buckets, &encoded, &spelled.shifted(), &layout, None);
    let logits = Head::logits(call.weights, &states); // [N, V]
    let labels = layout.pack(&spelled.tokens.masked_fill(&layout.real().logical_not(), IGNORED)); // [N]
    let loss = logits.cross_entropy_loss(&labels, None::<&Tensor>, Reduction::Mean, IGNORED, 0.0);
    Loss::new(loss).mean_of(labels.ne(IGNORED).sum(Kind::Float))
}

const IGNORED: i64 = -100;

/// `encoder_states` `[B, T, D]` and `logits` `[B * G, T, V]` at every position of `paths.tokens`.
pub fn inspect(call: &Call<'_>, prompts: &Prompts, paths: &Paths) -> Vec<(String, Tensor)> {
    let encoded = encode(call, prompts);
    let tokens = match &paths.tokens {
        Some(tokens) => tokens.flatten(0, 1),
        None => call.vocabulary.paths(paths).tokens,
    };
    let (rows, time) = (tokens.size()[0], tokens.size()[1]);
    let lengths = Tensor::full([rows], time, (Kind::Int64, tokens.device()));
    let whole = Spelled { tokens, lengths, total: rows * time };
    let layout: Layout = whole.layout(call.network.worth_packing());
    let states = decode(&call.network, call.weights, call.decoder_buckets, &encoded, &whole.shifted(), &layout, None);
    let encoder_states = encoded.layout.spread(&(&encoded.states * &call.weights.encoder.final_norm));
    vec![
        ("encoder_states".into(), encoder_states),
        ("logits".into(), head::Head::logits(call.weights, &states).view([rows, time, -1])),
    ]
}
