//! The algorithm's contract: what should be made likelier?

use crate::crossing;
use crate::error::{Error, Result};
use crate::loss::Loss;
use crate::metrics::MetricDeclaration;
use crate::parameters::Parameters;
use crate::policy::ActionLogProbs;
use crate::prompts::Paths;
use crate::setup::Setup;
use tch::Tensor;

crossing! {
    /// What an algorithm needs of the host.
    pub struct Requirements {
        /// Log-probabilities under the frozen policy from which training started.
        pub reference: bool,
        /// Entropy of every choice.
        pub entropy: bool,
        /// Whole distributions (of the reference too, if that is needed).
        pub distribution: bool,
        /// The policy's state before each action.
        pub hidden: bool,
        /// Updates made with one batch of paths.
        pub epochs: i64,
        /// Parts into which the batch's prompts are cut for each update.
        pub minibatches: i64,
    }

    /// Where training stands.
    pub struct Progress {
        /// Epoch from 0.
        pub epoch: i64,
        /// Step from 0, over all epochs.
        pub step: i64,
        /// Steps of the whole training.
        pub steps: i64,
    }

    /// Paths as the reward model judged them.
    ///
    /// Rewards are raw steps (method, section 5), 0 where there is no valid item.
    pub struct ScoredPaths {
        /// Items, 0 after the end and for codes that are no item. // [B, G, P] int64
        pub items: Tensor,
        /// Positions that hold an item, valid or not. // [B, G] int64
        pub length: Tensor,
        /// Whether the path ended by choice. // [B, G] bool
        pub stopped: Tensor,
        /// Gain of the target's log-probability. // [B, G, P] float
        pub ioi: Tensor,
        /// Ranks gained by the target. // [B, G, P] float
        pub ior: Tensor,
        /// Click probability. // [B, G, P] float
        pub ctr: Tensor,
        /// The policy's state before each action, if `requirements` asked for `hidden`. // [B, G, P + 1, D] float
        pub hidden: Option<Tensor>,
    }

    /// What `prepare` made of a batch: weights of actions, and whatever `loss` wants to see again.
    pub struct Advantages {
        /// Weight of every action, 0 where there is none. // [B, G, P + 1] float
        pub values: Tensor,
        /// Tensors with leading dimension B that are cut into minibatches along with it.
        pub extra: Vec<(String, Tensor)>,
        /// Scalars, by declared metric name.
        pub metrics: Vec<(String, Tensor)>,
    }

    /// Actions to be made likelier or less likely.
    pub struct Batch {
        /// The paths.
        pub items: Tensor,
        /// Positions that hold an item, valid or not. // [B, G] int64
        pub length: Tensor,
        /// Whether the path ended by choice. // [B, G] bool
        pub stopped: Tensor,
        /// Weight of every action. // [B, G, P + 1] float
        pub advantages: Tensor,
        /// What `prepare` left for this batch.
        pub extra: Vec<(String, Tensor)>,
    }
}

impl ScoredPaths {
    /// The paths without their rewards.
    pub fn paths(&self) -> Paths {
        Paths {
            items: self.items.shallow_clone(),
            length: self.length.shallow_clone(),
            stopped: self.stopped.shallow_clone(),
            tokens: None,
        }
    }
}

impl Batch {
    /// The paths.
    pub fn paths(&self) -> Paths {
        Paths {
            items: self.items.shallow_clone(),
            length: self.length.shallow_clone(),
            stopped: self.stopped.shallow_clone(),
            tokens: None,
        }
    }
}

impl Batch {
    /// What `prepare` left under `name`.
    ///
    /// # Errors
    /// It left nothing there.
    pub fn extra(&self, name: &str) -> Result<&Tensor> {
        let found = self.extra.iter().find(|(key, _)| key == name).map(|(_, tensor)| tensor);
        found.ok_or_else(|| Error::Input(format!("the batch carries no `{name}`")))
    }
}

impl Requirements {
    /// Log-probabilities of the current policy alone, one update a batch.
    pub fn none() -> Self {
        Self { reference: false, entropy: false, distribution: false, hidden: false, epochs: 1, minibatches: 1 }
    }
}

impl Advantages {
    /// Advantages, 0 wherever `paths` has no action or holds no item at all.
    pub fn masked(values: &Tensor, paths: &Paths) -> Self {
        let counts = paths.acts().logical_and(&paths.length.gt(0).unsqueeze(-1)); // [B, G, P + 1]
        Self { values: values.where_self(&counts, &values.zeros_like()), extra: Vec::new(), metrics: Vec::new() }
    }

    /// The same with one more metric.
    pub fn with(mut self, name: &str, value: &Tensor) -> Self {
        self.metrics.push((name.into(), value.detach()));
        self
    }
}

crossing! {
    /// How far the updates made with a batch have moved the policy; capability `early_stop`.
    pub struct Moved {
        /// Digits' log-probabilities under the policy as it stands, without gradient. // [B, G, P + 1, L] float
        pub current: Tensor,
        /// The same under the policy that drew the paths. // [B, G, P + 1, L] float
        pub behaviour: Tensor,
        /// Items, 0 after the end and for codes that are no item. // [B, G, P] int64
        pub items: Tensor,
        /// Positions that hold an item, valid or not. // [B, G] int64
        pub length: Tensor,
        /// Whether the path ended by choice. // [B, G] bool
        pub stopped: Tensor,
    }

    /// The answer of capability `early_stop`.
    pub struct Decision {
        /// Whether further updates are made with the batch.
        pub goes_on: bool,
    }
}

impl Moved {
    /// The paths, sharing their tensors.
    pub fn paths(&self) -> Paths {
        let share = Tensor::shallow_clone;
        Paths { items: share(&self.items), length: share(&self.length), stopped: share(&self.stopped), tokens: None }
    }
}

/// Sums over the processes of a run.
pub trait Collective {
    /// How many processes take part.
    fn processes(&self) -> u64;
    /// The sum of `tensor` over all processes.
    ///
    /// # Errors
    /// Another process failed.
    fn sum(&self, tensor: &Tensor) -> Result<Tensor>;
}

/// A run of one process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Collective for Alone {
    fn processes(&self) -> u64 {
        1
    }
    fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
        Ok(tensor.shallow_clone())
    }
}

/// What log-probabilities a loss may use; the optional ones are there if `requirements` asked.
#[derive(Debug)]
pub struct LogProbs {
    /// Under the policy being trained; differentiable.
    pub current: ActionLogProbs,
    /// Under the frozen policy from which training started.
    pub reference: Option<ActionLogProbs>,
    /// Under the policy that drew the paths; present from the second update with a batch on, and
    /// equal to `current` before.
    pub behaviour: Option<ActionLogProbs>,
}

/// What should be made likelier?
pub trait Algorithm: Sized + Send {
    /// What a user may set.
    type Parameters: Parameters;

    /// Optional calls that this algorithm answers: `early_stop`.
    const CAPABILITIES: &'static [&'static str] = &[];

    /// Makes the algorithm.
    ///
    /// # Errors
    /// A parameter makes no sense.
    fn create(parameters: Self::Parameters, setup: &Setup) -> Result<Self>;

    /// What the algorithm needs of the host.
    fn requirements(&self) -> Requirements {
        Requirements::none()
    }

    /// Judged paths to weights of actions.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn prepare(&mut self, paths: &ScoredPaths, progress: &Progress, collective: &dyn Collective) -> Result<Advantages>;

    /// Weights and log-probabilities to a scalar to minimise.
    ///
    /// # Errors
    /// Something that `requirements` asked for is absent.
    fn loss(&mut self, log_probs: &LogProbs, batch: &Batch, progress: &Progress) -> Result<Loss>;

    /// Capability `early_stop`: whether the next update with the same batch is still made. The host asks before every
    /// update but a batch's first; a no ends the batch's updates, and training goes on with the next batch.
    ///
    /// # Errors
    /// Shapes do not fit.
    fn goes_on(&mut self, _moved: &Moved) -> Result<bool> {
        Ok(true)
    }

    /// Metrics that `prepare` and `loss` report.
    fn metrics() -> Vec<MetricDeclaration> {
        Vec::new()
    }

    /// Weights of the algorithm's own (a value head); trained along with the policy.
    fn parameters(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    /// What must be saved for a resumed run to continue as if never stopped.
    fn state(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    /// Takes back what `state` gave.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    fn load_state(&mut self, _state: Vec<(String, Tensor)>) -> Result<()> {
        Ok(())
    }
}
