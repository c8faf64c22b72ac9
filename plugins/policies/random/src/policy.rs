//! Uniform items behind the SDK's `Policy`.

use crate::parameters::RandomParameters;
use prorl_sdk::prelude::*;
use prorl_stepwise::{Beams, Choices, NextItem, Prefixes, Stepwise};

/// Every item that the user does not know, and that is not the target, is as likely as any other.
pub struct RandomPolicy {
    steps: Stepwise,
    next: Uniform,
}

/// All items alike.
struct Uniform {
    items: i64,
    /// Most items of a path whose length is drawn; none where the length is given.
    drawn: Option<i64>,
    /// Scores are drawn, so that the best of them are random items.
    noise: bool,
}

impl NextItem for Uniform {
    fn choices(&mut self, prefixes: &Prefixes) -> Result<Choices> {
        let (rows, options) = (prefixes.target.size()[0], (Kind::Float, prefixes.target.device()));
        let size = [rows, self.items + 1];
        let scores = if self.noise { Tensor::rand(size, options) } else { Tensor::zeros(size, options) };
        let Some(longest) = self.drawn else { return Ok(Choices::endless(scores)) };
        // Of the lengths that are left, t to P, each is as likely as the others.
        let left = longest - prefixes.picked() + 1;
        let ends = Tensor::rand([rows], options).lt(1.0 / left as f64); // [N]
        Ok(Choices::until(scores, &ends))
    }
}

impl Policy for RandomPolicy {
    type Parameters = RandomParameters;
    const CAPABILITIES: &'static [&'static str] = &["fixed"];

    fn create(parameters: RandomParameters, setup: &Setup) -> Result<Self> {
        parameters.validate()?;
        let steps = Stepwise::new(setup, parameters.length, Beams::Apart)?;
        let drawn = (parameters.length == 0).then_some(setup.path);
        Ok(Self { steps, next: Uniform { items: setup.items, drawn, noise: false } })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn set_training(&mut self, _: bool) {}

    /// Beams are random paths too, no two of a prompt with the same first item.
    fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        self.next.noise = decoding.beam;
        self.steps.rollout(&mut self.next, prompts, decoding)
    }
}

prorl_sdk::register_policy!("random", "Items drawn uniformly of those that the user does not know.", RandomPolicy);
