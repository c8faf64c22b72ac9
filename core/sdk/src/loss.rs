//! What a model or an algorithm returns to be minimised.

use crate::crossing;
use tch::Tensor;

crossing! {
    /// A scalar to minimise, and what is worth writing down beside it.
    pub struct Loss {
        /// Scalar, float32, differentiable.
        pub total: Tensor,
        /// Scalars without gradient, by declared metric name.
        pub metrics: Vec<(String, Tensor)>,
        /// Of how many terms `total` is the mean: by it the parts of a batch that is cut up are weighed. Absent where
        /// they weigh as many as they hold prompts or sequences. // scalar
        pub count: Option<Tensor>,
    }
}

impl Loss {
    /// A loss without metrics.
    pub fn new(total: Tensor) -> Self {
        Self { total, metrics: Vec::new(), count: None }
    }

    /// The same, said to be the mean of `count` terms.
    pub fn mean_of(mut self, count: impl Into<Tensor>) -> Self {
        self.count = Some(count.into().detach());
        self
    }

    /// The same loss with one more metric; `value` is a scalar and is detached.
    pub fn with(mut self, name: &str, value: &Tensor) -> Self {
        self.metrics.push((name.into(), value.detach()));
        self
    }
}
