//! The policy. Here, the next item depends on the last one and on the target alone; replace it by yours.

use prorl_sdk::actions;
use prorl_sdk::prelude::*;

/// What a user may set of `my-policy`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MyPolicyParameters {
    /// Width of embeddings and states, at least 1.
    #[schemars(range(min = 1))]
    pub width: i64,
}

impl Default for MyPolicyParameters {
    fn default() -> Self {
        Self { width: 32 }
    }
}

impl Parameters for MyPolicyParameters {
    fn validate(&self) -> Result<()> {
        in_range("width", self.width, 1..)
    }
}

/// A choice is one digit with `C = V + 1` values: items 1 to V are 0 to V − 1, the stop is V.
///
/// `p(c | last item, target) = softmax(W · (last_embedding + target_embedding))`.
#[derive(Debug)]
pub struct MyPolicy {
    items: i64,
    path: i64,
    last: Tensor,   // [V + 1, D]
    target: Tensor, // [V + 1, D]
    choice: Tensor, // [V + 1, D]
}

prorl_sdk::register_policy!("my-policy", "The next item depends on the last one and the target.", MyPolicy);

/// Paths while they are drawn, all prompts' together.
struct Drawn {
    items: Vec<Tensor>, // a column a step, [B, G] each
    last: Tensor,       // [B, G]
    length: Tensor,     // [B, G]
    stopped: Tensor,    // [B, G] bool
    score: Tensor,      // [B, G]
}

impl Drawn {
    fn new(prompts: &Prompts, group: i64) -> Self {
        let last = last_items(&prompts.history).unsqueeze(-1).repeat([1, group]); // [B, G]
        let score = last.zeros_like().to_kind(Kind::Float);
        let stopped = last.zeros_like().to_kind(Kind::Bool);
        Self { items: Vec::new(), length: last.zeros_like(), last, stopped, score }
    }

    /// Every path goes on as `parent` `[B, G]` of its prompt did.
    fn follow(&mut self, parent: &Tensor) {
        let of = |tensor: &Tensor| tensor.gather(1, parent, false);
        self.items = self.items.iter().map(of).collect();
        (self.last, self.length, self.stopped) = (of(&self.last), of(&self.length), of(&self.stopped));
    }

    /// Adds `choice` `[B, G]` to the paths that go on.
    fn extend(&mut self, choice: &Tensor, stop: i64) {
        let holds = choice.ne(stop).logical_and(&self.stopped.logical_not()); // [B, G]
        let item = (choice + 1).masked_fill(&holds.logical_not(), 0); // [B, G]
        self.last = item.where_self(&holds, &self.last);
        self.length = &self.length + holds.to_kind(Kind::Int64);
        self.stopped = holds.logical_not();
        self.items.push(item);
    }

    fn rollout(self) -> Rollout {
        let items = Tensor::stack(&self.items, -1); // [B, G, P]
        Rollout { items, length: self.length, stopped: self.stopped, tokens: None, score: self.score }
    }
}

/// The last item of every history. // [B]
fn last_items(history: &Tensor) -> Tensor {
    let held = history.gt(0).sum_dim_intlist(1, true, Kind::Int64); // [B, 1]
    history.gather(1, &(held - 1).clamp_min(0), false).squeeze_dim(-1)
}

impl MyPolicy {
    /// States before a choice, from the item before it and the target, which have one shape. // […, D]
    fn state(&self, last: &Tensor, target: &Tensor) -> Tensor {
        let embed = |table: &Tensor, items: &Tensor| Tensor::embedding(table, items, -1, false, false);
        embed(&self.last, last) + embed(&self.target, target)
    }

    /// Log-probabilities of all choices. // […, C]
    fn choices(&self, state: &Tensor) -> Tensor {
        state.matmul(&self.choice.tr()).log_softmax(-1, Kind::Float)
    }

    fn next(&self, drawn: &Drawn, prompts: &Prompts) -> Tensor {
        let target = prompts.target.unsqueeze(-1).expand_as(&drawn.last); // [B, G]
        self.choices(&self.state(&drawn.last, &target)) // [B, G, C]
    }

    fn sample(&self, prompts: &Prompts, decoding: &Decoding) -> Rollout {
        let mut drawn = Drawn::new(prompts, decoding.group);
        for _ in 0..self.path {
            let log_probs = self.next(&drawn, prompts); // [B, G, C]
            let weights = (&log_probs / decoding.temperature).softmax(-1, Kind::Float).flatten(0, 1); // [B * G, C]
            let choice = weights.multinomial(1, true).view_as(&drawn.last); // [B, G]
            let own = log_probs.gather(-1, &choice.unsqueeze(-1), false).squeeze_dim(-1); // [B, G]
            drawn.score = &drawn.score + own.masked_fill(&drawn.stopped, 0.0);
            drawn.extend(&choice, self.items);
        }
        drawn.rollout()
    }

    /// The `group` likeliest paths; one that has stopped stays as it is, at no cost.
    fn search(&self, prompts: &Prompts, decoding: &Decoding) -> Rollout {
        let (group, choices) = (decoding.group, self.items + 1);
        let mut drawn = Drawn::new(prompts, group);
        // All beams begin alike: only the first counts at first.
        let _ = drawn.score.narrow(1, 1, group - 1).fill_(f64::NEG_INFINITY);
        let is_stop = Tensor::arange(choices, (Kind::Int64, self.choice.device())).eq(self.items); // [C]
        let stay = is_stop.to_kind(Kind::Float).log(); // [C]: 0 at the stop
        for _ in 0..self.path {
            let log_probs = stay.where_self(&drawn.stopped.unsqueeze(-1), &self.next(&drawn, prompts)); // [B, G, C]
            let total = (drawn.score.unsqueeze(-1) + log_probs).flatten(1, 2); // [B, G * C]
            let (score, index) = total.topk(group, -1, true, true); // [B, G]
            drawn.follow(&index.floor_divide_scalar(choices));
            drawn.extend(&index.remainder(choices), self.items);
            drawn.score = score;
        }
        let actions = &drawn.length + drawn.stopped.to_kind(Kind::Int64); // [B, G]
        drawn.score = &drawn.score / actions.to_kind(Kind::Float).pow_tensor_scalar(decoding.length_penalty);
        let (score, order) = drawn.score.sort(-1, true); // [B, G]
        drawn.follow(&order);
        drawn.score = score;
        drawn.rollout()
    }
}

impl Policy for MyPolicy {
    type Parameters = MyPolicyParameters;

    const CAPABILITIES: &'static [&'static str] = &["entropy", "distribution", "hidden"];

    fn create(parameters: MyPolicyParameters, setup: &Setup) -> Result<Self> {
        let (items, device) = (setup.items, setup.device()?);
        let size = [items + 1, parameters.width];
        let fresh = || (Tensor::randn(size, (Kind::Float, device)) * 0.1).set_requires_grad(true);
        Ok(Self { items, path: setup.path, last: fresh(), target: fresh(), choice: fresh() })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        let named = [("last", &self.last), ("target", &self.target), ("choice", &self.choice)];
        named.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).into()
    }

    fn set_training(&mut self, _: bool) {}

    fn rollout(&mut self, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        if decoding.top_k != 0 || decoding.top_p != 1.0 || decoding.forced_length != 0 {
            return Err(Error::Unsupported("it knows no top_k, top_p and forced_length".into()));
        }
        Ok(if decoding.beam { self.search(prompts, decoding) } else { self.sample(prompts, decoding) })
    }

    fn log_probs(&mut self, prompts: &Prompts, paths: &Paths, query: &Query) -> Result<ActionLogProbs> {
        let (batch, group, path) = paths.sizes();
        let first = last_items(&prompts.history).view([batch, 1, 1]).expand([batch, group, 1], false);
        let last = Tensor::cat(&[&first, &paths.items], -1); // [B, G, P + 1], the item before each action
        let target = prompts.target.view([batch, 1, 1]).expand([batch, group, path + 1], false);
        let state = self.state(&last, &target); // [B, G, P + 1, D]
        let distribution = self.choices(&state); // [B, G, P + 1, C]

        let item = (paths.items.constant_pad_nd([0, 1]) - 1).clamp_min(0); // [B, G, P + 1]
        let choice = item.masked_fill(&paths.stops(), self.items).unsqueeze(-1); // [B, G, P + 1, 1]
        let none = paths.acts().logical_not().unsqueeze(-1); // [B, G, P + 1, 1]
        let entropy = -(distribution.exp() * &distribution).sum_dim_intlist(-1, true, Kind::Float);
        Ok(ActionLogProbs {
            digits: distribution.gather(-1, &choice, false).masked_fill(&none, 0.0), // [B, G, P + 1, 1]
            entropy: query.entropy.then(|| entropy.masked_fill(&none, 0.0)),
            distribution: query.distribution.then(|| distribution.unsqueeze(-2)),
            hidden: query.hidden.then_some(state),
        })
    }

    /// Negative log-likelihood of the given paths.
    fn imitation_loss(&mut self, prompts: &Prompts, paths: &Paths) -> Result<Loss> {
        let log_probs = self.log_probs(prompts, paths, &Query::plain())?;
        Ok(Loss::new(-actions::per_path(&log_probs.sum_over_digits(), paths)))
    }
}
