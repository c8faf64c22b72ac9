//! The policy's contract: which path?

use crate::crossing;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::metrics::MetricDeclaration;
use crate::parameters::Parameters;
use crate::prompts::{Paths, Prompts};
use crate::setup::Setup;
use tch::Tensor;

crossing! {
    /// How paths are drawn from the policy.
    pub struct Decoding {
        /// Paths of a prompt: samples, or beams returned.
        pub group: i64,
        /// Beam search where true (1 beam is greedy decoding), else ancestral sampling.
        pub beam: bool,
        /// Divides the logits before sampling; 1 samples the policy itself.
        pub temperature: f64,
        /// Only the `top_k` likeliest tokens are sampled; 0 is all of them.
        pub top_k: i64,
        /// Only the likeliest tokens with this total probability are sampled; 1 is all of them.
        pub top_p: f64,
        /// Beam search: a hypothesis scores its log-probability over its length to this power.
        pub length_penalty: f64,
        /// Beam search: stop once `group` hypotheses are complete.
        pub early_stopping: bool,
        /// Paths have exactly this many items where it is not 0 (for measurements).
        pub forced_length: i64,
    }

    /// Paths and how likely the policy held them when it drew them.
    pub struct Rollout {
        /// Items, 0 after the end and for codes that are no item. // [B, G, P] int64
        pub items: Tensor,
        /// Positions that hold an item, valid or not. // [B, G] int64
        pub length: Tensor,
        /// Whether the path ended by choice. // [B, G] bool
        pub stopped: Tensor,
        /// The policy's own spelling. // [B, G, T] int64
        pub tokens: Option<Tensor>,
        /// Sampling: log-probability of the whole path; beam search: its score. // [B, G] float
        pub score: Tensor,
    }

    /// What is wanted beside the log-probabilities of the actions.
    pub struct Query {
        /// Entropy of every choice.
        pub entropy: bool,
        /// The whole distribution at every digit.
        pub distribution: bool,
        /// The state from which each action was chosen.
        pub hidden: bool,
    }

    /// Log-probabilities of the actions on given paths.
    ///
    /// An item is `L` choices, one a digit; a stop is one choice, in digit 0.
    pub struct ActionLogProbs {
        /// Log-probability of every digit, 0 where there is none. // [B, G, P + 1, L] float
        pub digits: Tensor,
        /// Entropy of every digit's choice, 0 where there is none. // [B, G, P + 1, L] float
        pub entropy: Option<Tensor>,
        /// Log-probabilities over the allowed choices of every digit: `C - 1` codes, then stop;
        /// minus infinity where not allowed. // [B, G, P + 1, L, C] float
        pub distribution: Option<Tensor>,
        /// State before the action. // [B, G, P + 1, D] float
        pub hidden: Option<Tensor>,
    }
}

impl Decoding {
    /// `group` paths drawn from the policy itself.
    pub fn sample(group: i64) -> Self {
        Self {
            group,
            beam: false,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            length_penalty: 1.0,
            early_stopping: true,
            forced_length: 0,
        }
    }

    /// Whether paths are drawn with the policy's own probabilities.
    pub fn is_the_policy(&self) -> bool {
        !self.beam && self.temperature == 1.0 && self.top_k == 0 && self.top_p == 1.0 && self.forced_length == 0
    }

    /// The `beams` best paths by beam search; 1 is greedy decoding.
    pub fn beam(beams: i64) -> Self {
        Self { beam: true, ..Self::sample(beams) }
    }
}

impl Query {
    /// Log-probabilities alone.
    pub fn plain() -> Self {
        Self { entropy: false, distribution: false, hidden: false }
    }
}

impl Rollout {
    /// The paths, sharing their tensors.
    pub fn paths(&self) -> Paths {
        Paths {
            items: self.items.shallow_clone(),
            length: self.length.shallow_clone(),
            stopped: self.stopped.shallow_clone(),
            tokens: self.tokens.as_ref().map(Tensor::shallow_clone),
        }
    }
}

impl ActionLogProbs {
    /// The state before each action. // [B, G, P + 1, D]
    ///
    /// # Errors
    /// The policy gave none.
    pub fn hidden(&self) -> Result<&Tensor> {
        self.hidden.as_ref().ok_or_else(|| Error::Unsupported("this policy gave no hidden states".into()))
    }

    /// The same log-probabilities, sharing their tensors.
    pub fn share(&self) -> Self {
        let share = |tensor: &Option<Tensor>| tensor.as_ref().map(Tensor::shallow_clone);
        Self {
            digits: self.digits.shallow_clone(),
            entropy: share(&self.entropy),
            distribution: share(&self.distribution),
            hidden: share(&self.hidden),
        }
    }

    /// Log-probability of every action as the mean over its digits (method, section 6.6). // [B, G, P + 1]
    pub fn mean_over_digits(&self, paths: &Paths) -> Tensor {
        crate::actions::mean_over_digits(&self.digits, paths)
    }

    /// Log-probability of every action as the sum over its digits. // [B, G, P + 1]
    pub fn sum_over_digits(&self) -> Tensor {
        self.digits.sum_dim_intlist(-1, false, self.digits.kind())
    }
}

/// Which path?
///
/// Inputs arrive on the device of `setup`. The host seeds libtorch's generator before `rollout`, calls
/// `rollout` without gradient, and holds the training loop.
pub trait Policy: Sized + Send {
    /// What a user may set.
    type Parameters: Parameters;

    /// Optional calls that this policy answers: `inspect`, `entropy`, `distribution`, `hidden`; and a mark, `fixed`:
    /// it has no `log_probs`, so no algorithm can train it, and the host judges it as it is, or as imitation left it.
    const CAPABILITIES: &'static [&'static str] = &[];

    /// Makes the policy with fresh weights drawn from libtorch's generator.
    ///
    /// # Errors
    /// A parameter makes no sense, or item codes are missing.
    fn create(parameters: Self::Parameters, setup: &Setup) -> Result<Self>;

    /// All weights by name; trainable where they require gradient. The host saves, loads and
    /// optimises them in place. Empty for a policy that does not learn.
    fn parameters(&self) -> Vec<(String, Tensor)>;

    /// Switches dropout on or off.
    fn set_training(&mut self, training: bool);

    /// Draws `decoding.group` paths for every prompt.
    ///
    /// # Errors
    /// Shapes do not fit, or the decoding is not supported.
    fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout>;

    /// Differentiable log-probabilities of the actions on `paths`: of the very distribution that
    /// `rollout` samples at temperature 1.
    ///
    /// # Errors
    /// Shapes do not fit, the policy does not learn, or the query is not supported.
    fn log_probs(&mut self, _prompts: &Prompts, _paths: &Paths, _query: &Query) -> Result<ActionLogProbs> {
        Err(Error::Unsupported("this policy does not learn".into()))
    }

    /// Loss of imitating one path a prompt (`G` = 1).
    ///
    /// # Errors
    /// Shapes do not fit, or the policy does not learn.
    fn imitation_loss(&mut self, _prompts: &Prompts, _paths: &Paths) -> Result<Loss> {
        Err(Error::Unsupported("this policy does not learn".into()))
    }

    /// Metrics that `imitation_loss` reports.
    fn metrics() -> Vec<MetricDeclaration> {
        Vec::new()
    }

    /// Capability `inspect`: inner states by name, for parity tests and analysis.
    ///
    /// # Errors
    /// The policy shows none.
    fn inspect(&mut self, _prompts: &Prompts, _paths: &Paths) -> Result<Vec<(String, Tensor)>> {
        Err(Error::Unsupported("this policy shows no inner states".into()))
    }
}
