//! T5 behind the SDK's `Policy`.

use crate::attention::Network;
use crate::beam;
use crate::encoder::encode;
use crate::head::Head;
use crate::imitation;
use crate::log_probs;
use crate::parameters::T5Parameters;
use crate::precision::{in_attention, products_read_strides};
use crate::relative::Buckets;
use crate::sampling;
use crate::tokens::Vocabulary;
use crate::trie::Trie;
use crate::weights::Weights;
use prorl_kernels::factors::Factors;
use prorl_kernels::{layers, sublayers};
use prorl_sdk::prelude::*;

/// T5 over semantic ids (Raffel et al., arXiv 1910.10683; numbers and names of Hugging Face
/// Transformers 4.45.2).
pub struct T5Policy {
    parameters: T5Parameters,
    weights: Weights,
    vocabulary: Vocabulary,
    trie: Trie,
    path: i64,
    training: bool,
}

/// What the parts of one call share.
pub struct Call<'a> {
    pub network: Network,
    pub weights: &'a Weights,
    pub vocabulary: &'a Vocabulary,
    pub trie: &'a Trie,
    pub encoder_buckets: Buckets,
    pub decoder_buckets: Buckets,
    /// Most items of a path.
    pub path: i64,
    /// Whether only codes of items can be chosen.
    pub constrained: bool,
}

impl<'a> Call<'a> {
    /// About how many tokens a prompt's paths will have.
    pub fn tokens(&self, decoding: &Decoding) -> i64 {
        let items = if decoding.forced_length > 0 { decoding.forced_length } else { self.path };
        decoding.group * items * self.vocabulary.digits
    }

    /// The output products.
    pub fn head(&self) -> Head<'a> {
        if self.constrained {
            Head::constrained(self.weights, self.vocabulary, self.trie)
        } else {
            Head::full(self.weights, self.vocabulary)
        }
    }
}

impl T5Policy {
    /// What the parts of a call share.
    pub fn call(&self, training: bool) -> Call<'_> {
        let T5Parameters { d_model, heads, d_kv, d_ff, layer_norm_epsilon: eps, .. } = self.parameters;
        let (count, max_distance) = (self.parameters.buckets, self.parameters.max_distance);
        let device = self.weights.shared.device();
        let factors = self.parameters.precision.factors(device);
        let attention = in_attention(factors, device);
        Call {
            network: Network {
                d_model,
                heads,
                d_kv,
                eps,
                factors,
                attention,
                reads_strides: products_read_strides(device),
                // Products of weights with keys and values are attention's own: in bf16 they would be rounded once more.
                absorbing: attention == Kind::Float,
                by_token: true,
                fused: prorl_kernels::attention::serves(device, d_kv),
                chunked: layers::pay() && layers::serves(device, Factors::Float32, &[d_model, heads * d_kv, d_ff]),
                sublayers: sublayers::serves(device, &[d_model, d_ff]),
                dropout: if training { self.parameters.dropout } else { 0.0 },
            },
            weights: &self.weights,
            vocabulary: &self.vocabulary,
            trie: &self.trie,
            encoder_buckets: Buckets { count, max_distance, both_ways: true },
            decoder_buckets: Buckets { count, max_distance, both_ways: false },
            path: self.path,
            constrained: self.parameters.constrained,
        }
    }

    fn check_decoding(&self, decoding: &Decoding) -> Result<()> {
        in_range("group", decoding.group, 1..)?;
        in_range("temperature", decoding.temperature, f64::MIN_POSITIVE..)?;
        in_range("top_k", decoding.top_k, 0..)?;
        in_range("top_p", decoding.top_p, 0.0..=1.0)?;
        in_range("forced_length", decoding.forced_length, 0..=self.path)
    }
}

fn check_prompts(prompts: &Prompts) -> Result<()> {
    let (history, target) = (prompts.history.size(), prompts.target.size());
    if history.len() != 2 || target.len() != 1 || history[0] != target[0] || prompts.is_empty() {
        let message = format!("prompts have history {history:?} and target {target:?}, but should be [B, H] and [B]");
        return Err(Error::Tensor(message));
    }
    Ok(())
}

fn check_paths(prompts: &Prompts, paths: &Paths) -> Result<()> {
    let size = paths.items.size();
    if size.len() != 3 || size[0] != prompts.len() {
        let message = format!("paths have shape {size:?}, but should be [{}, G, P]", prompts.len());
        return Err(Error::Tensor(message));
    }
    Ok(())
}

impl Policy for T5Policy {
    type Parameters = T5Parameters;
    const CAPABILITIES: &'static [&'static str] = &["inspect", "entropy", "distribution", "hidden"];

    fn create(parameters: T5Parameters, setup: &Setup) -> Result<Self> {
        parameters.validate()?;
        let device = setup.device()?;
        let codes = setup.codes()?.to_device(device);
        let vocabulary = Vocabulary::new(&codes, setup.codebook_size)?;
        let trie = Trie::new(&codes, setup.codebook_size)?;
        let weights = Weights::fresh(&parameters, vocabulary.size(), device);
        Ok(Self { parameters, weights, vocabulary, trie, path: setup.path, training: false })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.weights.named()
    }

    fn set_training(&mut self, training: bool) {
        self.training = training;
    }

    fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        check_prompts(prompts)?;
        self.check_decoding(decoding)?;
        let _guard = tch::no_grad_guard();
        let call = self.call(false);
        let encoded = encode(&call, prompts);
        let decode = if decoding.beam { beam::search } else { sampling::sample };
        let (tokens, score) = decode(&call, &encoded, decoding);
        let Paths { items, length, stopped, .. } = call.trie.read(call.vocabulary, &tokens);
        let tokens = (!self.parameters.constrained).then_some(tokens);
        Ok(Rollout { items, length, stopped, tokens, score })
    }

    fn log_probs(&mut self, prompts: &Prompts, paths: &Paths, query: &Query) -> Result<ActionLogProbs> {
        check_prompts(prompts)?;
        check_paths(prompts, paths)?;
        Ok(log_probs::log_probs(&self.call(self.training), prompts, paths, query))
    }

    fn imitation_loss(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Loss> {
        check_prompts(prompts)?;
        check_paths(prompts, paths)?;
        Ok(imitation::loss(&self.call(self.training), prompts, paths))
    }

    fn inspect(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Vec<(String, Tensor)>> {
        check_prompts(prompts)?;
        check_paths(prompts, paths)?;
        Ok(imitation::inspect(&self.call(false), prompts, paths))
    }
}

prorl_sdk::register_policy!(
    "t5",
    "An encoder-decoder transformer (T5) that spells items by their semantic ids.",
    T5Policy
);
