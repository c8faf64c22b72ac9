//! T5 over semantic ids as a policy.

use crate::choices::Choices;
use crate::decoder::{Layout, decode};
use crate::encoder::{Encoded, encode};
use crate::layers::Shape;
use crate::log_probs::{Given, log_probs};
use crate::parameters::T5Parameters;
use crate::spelling::Spelling;
use crate::steps::Steps;
use crate::trie::Trie;
use crate::weights::T5Weights;
use crate::{beam, sampling};
use prorl_sdk::prelude::*;

/// T5 over semantic ids.
pub struct T5Policy {
    parameters: T5Parameters,
    weights: T5Weights,
    spelling: Spelling,
    trie: Trie,
    path: i64,
    training: bool,
}

prorl_sdk::register_policy!(
    "t5",
    "T5 encoder-decoder over semantic ids, with Hugging Face's weights and arithmetic",
    T5Policy
);

impl T5Policy {
    fn shape(&self) -> Shape {
        let it = &self.parameters;
        Shape {
            heads: it.heads,
            d_kv: it.d_kv,
            epsilon: it.layer_norm_epsilon,
            dropout: if self.training { it.dropout } else { 0.0 },
            buckets: it.buckets,
            max_distance: it.max_distance,
        }
    }

    fn choices(&self) -> Choices<'_> {
        Choices::new(&self.weights, &self.spelling, &self.trie, self.parameters.constrained)
    }

    fn encoded(&self, prompts: &Prompts) -> Encoded {
        encode(&self.weights, &self.shape(), &self.spelling.prompts(prompts))
    }

    fn given(&self, paths: &Paths) -> Given {
        let digits = self.spelling.digits;
        if self.parameters.constrained {
            let nodes = self.trie.nodes(&paths.items).flatten(2, 3); // [B, G, P · L]
            let nodes = nodes.constant_pad_nd([0, 1]); // a stop is chosen at the empty prefix
            let counts = &paths.length * digits + paths.stopped.to_kind(Kind::Int64); // [B, G]
            return Given::new(&self.spelling.paths(paths), Some(&nodes), &counts);
        }
        let tokens = paths.tokens.as_ref().map_or_else(|| self.spelling.paths(paths), Tensor::shallow_clone);
        let ended = tokens.eq(self.spelling.end).cumsum(-1, Kind::Int64); // [B, G, T]
        let before = ended.eq(0).sum_dim_intlist(-1, false, Kind::Int64); // [B, G]
        let most = &paths.length * digits;
        let counts = before.minimum(&most) + ended.gt(0).any_dim(-1, false).to_kind(Kind::Int64);
        Given::new(&tokens, None, &counts)
    }
}

fn check(what: &str, tensor: &Tensor, dimensions: usize) -> Result<()> {
    let size = tensor.size();
    if size.len() == dimensions && tensor.kind() == Kind::Int64 {
        return Ok(());
    }
    let found = tensor.kind();
    Err(Error::Tensor(format!("{what} should be int64 of {dimensions} dimensions, but is {found:?} {size:?}")))
}

impl Policy for T5Policy {
    type Parameters = T5Parameters;
    const CAPABILITIES: &'static [&'static str] = &["inspect", "entropy", "distribution", "hidden"];

    fn create(parameters: T5Parameters, setup: &Setup) -> Result<Self> {
        let device = setup.device()?;
        let spelling = Spelling::new(setup)?;
        let trie = Trie::new(&setup.codes()?.to_kind(Kind::Int64).to_device(device), setup.codebook_size)?;
        let weights = T5Weights::new(&parameters, spelling.vocabulary(), device);
        Ok(Self { parameters, weights, spelling, trie, path: setup.path, training: false })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        self.weights.named.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect()
    }

    fn set_training(&mut self, training: bool) {
        self.training = training;
    }

    fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        check("history", &prompts.history, 2)?;
        if decoding.forced_length > self.path {
            let asked = decoding.forced_length;
            return Err(Error::Input(format!("paths of {asked} items were asked for, but {} is the most", self.path)));
        }
        tch::no_grad(|| {
            let (choices, count) = (self.choices(), prompts.len());
            let longest = self.path * self.spelling.digits + 1;
            let steps = Steps::new(&self.weights, self.shape(), &self.encoded(prompts), decoding.group, longest);
            let drawn = match decoding.beam {
                true => beam::search(&choices, steps, count, self.path, decoding),
                false => sampling::sample(&choices, steps, count, self.path, decoding),
            };
            let (items, length, stopped) = self.spelling.read(&drawn.tokens, &self.trie, self.path);
            Ok(Rollout { items, length, stopped, tokens: Some(drawn.tokens), score: drawn.score })
        })
    }

    fn log_probs(&mut self, prompts: &Prompts, paths: &Paths, query: &Query) -> Result<ActionLogProbs> {
        check("items", &paths.items, 3)?;
        let (encoded, given) = (self.encoded(prompts), self.given(paths));
        let (shape, choices) = (self.shape(), self.choices());
        Ok(log_probs(&self.weights, &shape, &choices, &encoded, &given, paths.items.size()[2], query))
    }

    fn imitation_loss(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Loss> {
        check("items", &paths.items, 3)?;
        let tokens = self.spelling.paths(paths); // [B, 1, T]
        let counts = &paths.length * self.spelling.digits + paths.stopped.to_kind(Kind::Int64);
        let given = Given::new(&tokens, None, &counts);
        let states = decode(&self.weights, &self.shape(), &self.encoded(prompts), &given.inputs, &given.layout);
        let labels = given.layout.pack(&given.tokens.flatten(0, -1)); // [N]
        let logits = self.choices().full(&states); // [N, V]
        Ok(Loss::new(logits.cross_entropy_for_logits(&labels)))
    }

    fn inspect(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Vec<(String, Tensor)>> {
        let tokens = paths.tokens.as_ref().ok_or_else(|| Error::Input("`inspect` wants the paths' tokens".into()))?;
        let encoded = self.encoded(prompts);
        let start = tokens.narrow(2, 0, 1).zeros_like();
        let inputs = Tensor::cat(&[&start, &tokens.narrow(2, 0, tokens.size()[2] - 1)], 2); // [B, G, T]
        let layout = Layout::new(&inputs.ones_like().to_kind(Kind::Bool));
        let states = decode(&self.weights, &self.shape(), &encoded, &inputs, &layout);
        let logits = self.choices().full(&states).view([-1, inputs.size()[2], self.spelling.vocabulary()]);
        Ok(vec![("encoder_states".into(), encoded.states), ("logits".into(), logits)])
    }
}
