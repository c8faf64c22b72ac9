//! The simulated user. Here, one whose taste is the mean of the items read; replace it by yours.

use prorl_sdk::masked;
use prorl_sdk::prelude::*;
use tch::Reduction;

/// What a user may set of `my-reward`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MyRewardParameters {
    /// Width of items' embeddings, at least 1.
    #[schemars(range(min = 1))]
    pub width: i64,
}

impl Default for MyRewardParameters {
    fn default() -> Self {
        Self { width: 32 }
    }
}

impl Parameters for MyRewardParameters {
    fn validate(&self) -> Result<()> {
        in_range("width", self.width, 1..)
    }
}

/// `score(v) = mean of the read items' embeddings · taste_v + bias_v`.
#[derive(Debug)]
pub struct MyReward {
    embedding: Tensor, // [V + 1, D]
    taste: Tensor,     // [V, D]
    bias: Tensor,      // [V]
}

prorl_sdk::register_reward_model!("my-reward", "A user whose taste is the mean of the items read.", MyReward);

impl MyReward {
    /// Scores of the real items after every prefix of `items` `[N, T]`; a 0 is no item and moves nothing. // [N, T, V]
    fn scores(&self, items: &Tensor) -> Tensor {
        let read = items.gt(0).to_kind(Kind::Float).unsqueeze(-1); // [N, T, 1]
        let embedded = Tensor::embedding(&self.embedding, items, 0, false, false) * &read; // [N, T, D]
        let state = embedded.cumsum(1, Kind::Float) / read.cumsum(1, Kind::Float).clamp_min(1.0); // [N, T, D]
        state.matmul(&self.taste.tr()) + &self.bias
    }
}

impl RewardModel for MyReward {
    type Parameters = MyRewardParameters;

    /// The default of `path_details` takes scores for logits, as these are.
    const CAPABILITIES: &'static [&'static str] = &["path_details"];

    fn create(parameters: MyRewardParameters, setup: &Setup) -> Result<Self> {
        let device = setup.device()?;
        let fresh = |size: &[i64]| (Tensor::randn(size, (Kind::Float, device)) * 0.1).set_requires_grad(true);
        let (items, width) = (setup.items, parameters.width);
        Ok(Self { embedding: fresh(&[items + 1, width]), taste: fresh(&[items, width]), bias: fresh(&[items]) })
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        let named = [("embedding", &self.embedding), ("taste", &self.taste), ("bias", &self.bias)];
        named.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).into()
    }

    fn set_training(&mut self, _: bool) {}

    /// One pass over history and path: column `k` is the state after the history and `k` positions of the path.
    fn score_paths(&mut self, prompts: &Prompts, paths: &Paths) -> Result<PathScores> {
        let (batch, group, path) = paths.sizes();
        let before = prompts.history.size()[1];
        let history = prompts.history.unsqueeze(1).expand([batch, group, before], false); // [B, G, H]
        let read = Tensor::cat(&[&history, &paths.items], -1).flatten(0, 1); // [B * G, H + P]
        let scores = self.scores(&read).narrow(1, before - 1, path + 1); // [B * G, P + 1, V]
        let scores = scores.view([batch, group, path + 1, self.bias.size()[0]]); // [B, G, P + 1, V]

        let log_probs = scores.log_softmax(-1, Kind::Float); // [B, G, P + 1, V]
        let target = (&prompts.target - 1).view([batch, 1, 1, 1]).expand([batch, group, path + 1, 1], false);
        let own = log_probs.gather(-1, &target, false); // [B, G, P + 1, 1]
        let item = (&paths.items - 1).clamp_min(0).unsqueeze(-1); // [B, G, P, 1]
        let click = scores.narrow(2, 0, path).gather(-1, &item, false).squeeze_dim(-1).sigmoid(); // [B, G, P]
        Ok(PathScores {
            target_rank: log_probs.gt_tensor(&own).sum_dim_intlist(-1, false, Kind::Int64) + 1,
            target_log_prob: own.squeeze_dim(-1),
            click_prob: masked::keep(&click, &paths.items.gt(0)),
        })
    }

    /// Column 0 is padding's.
    fn next_item_scores(&mut self, items: &Tensor) -> Result<Tensor> {
        let last = self.scores(items).select(1, items.size()[1] - 1); // [N, V]
        Ok(last.constant_pad_nd([1, 0])) // [N, V + 1]
    }

    /// Cross-entropy of the item that follows each position.
    fn loss(&mut self, sequences: &Sequences) -> Result<Loss> {
        let scores = self.scores(&sequences.items).flatten(0, 1); // [N * T, V]
        let labels = (&sequences.labels - 1).flatten(0, -1); // [N * T], -1 where there is nothing to learn
        Ok(Loss::new(scores.cross_entropy_loss::<Tensor>(&labels, None, Reduction::Mean, -1, 0.0)))
    }
}
