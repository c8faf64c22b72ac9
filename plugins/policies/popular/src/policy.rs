//! Popular items behind the SDK's `Policy`.

use crate::parameters::PopularParameters;
use prorl_sdk::prelude::*;
use prorl_stepwise::{Beams, Choices, NextItem, Prefixes, Stepwise};

/// Counts as this many interactions where there is none: such items come last, but in an order that is defined.
const UNSEEN: f64 = 1e-3;

/// An item is as likely as it is popular.
pub struct PopularPolicy {
    steps: Stepwise,
    next: Popularity,
}

/// Items by how often the training sequences hold them.
struct Popularity {
    scores: Tensor, // [V + 1], log of the counts
}

impl NextItem for Popularity {
    fn choices(&mut self, prefixes: &Prefixes) -> Result<Choices> {
        Ok(Choices::endless(self.scores.unsqueeze(0).expand_as(&prefixes.admissible)))
    }
}

impl Policy for PopularPolicy {
    type Parameters = PopularParameters;
    const CAPABILITIES: &'static [&'static str] = &["fixed"];

    fn create(parameters: PopularParameters, setup: &Setup) -> Result<Self> {
        parameters.validate()?;
        let counts = setup.popularity.as_ref().ok_or_else(|| {
            Error::Input("popularity is not known: there are no training sequences to count items in".into())
        })?;
        let scores = counts.to_device(setup.device()?).to_kind(Kind::Float).clamp_min(UNSEEN).log();
        Ok(Self { steps: Stepwise::new(setup, parameters.length, Beams::Apart)?, next: Popularity { scores } })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn set_training(&mut self, _: bool) {}

    fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        self.steps.rollout(&mut self.next, prompts, decoding)
    }
}

prorl_sdk::register_policy!("popular", "The most popular items that the user does not know.", PopularPolicy);
