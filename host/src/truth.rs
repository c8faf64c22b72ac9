//! The evaluator `truth`: the users of a generated world as they really are.
//!
//! What a reward model only estimates, the world's own rules say (see [`prorl_data::world`]): a user at `u` clicks item
//! `i` with probability `softmax_i(u·v_i / temperature + popularity · log-popularity_i)` among the items that are new to
//! the user, and a click moves the user, `u ← (1 − drift) u + drift v_i`. So the gap between a reward model's figures
//! and those of `truth` is what the policy made of the reward model's mistakes.
//!
//! - *State.* A prompt of the data is recognised by its history: its user stands where all of that user's clicks led,
//!   from the user's own start. Another history (or one that several users share) gives the mean of its items' vectors
//!   with weights `(1 − drift)^age`.
//! - *New items.* Items of the history and of the path so far are ruled out, the target never is. An item that the user
//!   knows is not clicked again and does not move the user.
//! - *Clicks.* A choice among all items has no probability of a click on one. It is taken as the choice between the item
//!   and a new item of mean weight, `p·n / (p·n + 1)` with `n` new items (Luce's axiom): 1/2 for an average item.

use crate::plugins::ForeignRewardModel;
use anyhow::{Context, Result};
use prorl_data::{Dataset, World};
use prorl_sdk::error::{Error, Result as SdkResult};
use prorl_sdk::parameters::Parameters;
use prorl_sdk::path_details::PathDetails;
use prorl_sdk::prompts::{Paths, Prompts};
use prorl_sdk::reward_model::{PathScores, RewardModel};
use prorl_sdk::setup::Setup;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use tch::{Device, Kind, Tensor};

/// How the evaluator is asked for.
pub const NAME: &str = "truth";

/// The true users of a generated world.
pub struct Truth {
    vectors: Tensor,    // [V + 1, D] double, row 0 is zero
    popularity: Tensor, // [V + 1] double, weighted
    drift: f64,
    temperature: f64,
    states: HashMap<Vec<i64>, Option<Vec<f64>>>,
}

/// The world knows all that there is to know.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoParameters {}

impl Parameters for NoParameters {}

impl Truth {
    /// The users of `world`, whose clicks `dataset` holds; prompts have `history` items.
    ///
    /// # Errors
    /// An item of the data is not the world's.
    pub fn new(world: &World, dataset: &Dataset, history: usize, device: Device) -> Result<Self> {
        let places: HashMap<&str, usize> =
            world.items().iter().enumerate().map(|(place, item)| (item.raw_id.as_str(), place)).collect();
        let place = |raw: &String| {
            let found = places.get(raw.as_str()).copied();
            found.with_context(|| format!("item `{raw}` of the data is not of the generated world beside them"))
        };
        let places = dataset.catalogue.raw_ids().iter().skip(1).map(place).collect::<Result<Vec<_>>>()?; // of ids from 1
        let options = world.options();
        let mut vectors = vec![0.0; options.dimensions];
        vectors.extend(places.iter().flat_map(|&place| world.items()[place].vector.iter().copied()));
        let popularity = places.iter().map(|&place| options.popularity * world.items()[place].log_popularity);
        let popularity: Vec<f64> = std::iter::once(0.0).chain(popularity).collect();
        let vectors = Tensor::from_slice(&vectors).reshape([-1, options.dimensions as i64]);
        Ok(Self {
            vectors: vectors.to_device(device),
            popularity: Tensor::from_slice(&popularity).to_device(device),
            drift: options.drift,
            temperature: options.temperature,
            states: states(world, dataset, &places, history),
        })
    }

    /// As the host calls reward models.
    pub fn into_evaluator(self) -> ForeignRewardModel {
        ForeignRewardModel::of_host(NAME, self)
    }

    fn moved(&self, users: &Tensor, items: &Tensor, moves: &Tensor) -> Tensor {
        let towards = users * (1.0 - self.drift) + self.vectors.index_select(0, items) * self.drift; // [N, D]
        towards.where_self(&moves.unsqueeze(-1), users)
    }

    /// Where the items alone place their users. // [N, D]
    fn placed(&self, items: &Tensor) -> Tensor {
        let mut users = Tensor::zeros([items.size()[0], self.vectors.size()[1]], (Kind::Double, items.device()));
        let mut weight = Tensor::zeros([items.size()[0], 1], (Kind::Double, items.device()));
        for column in 0..items.size()[1] {
            let item = items.select(1, column); // [N]
            let valid = item.gt(0); // [N]
            users = self.moved(&users, &item, &valid);
            let heavier = &weight * (1.0 - self.drift) + self.drift; // [N, 1]
            weight = heavier.where_self(&valid.unsqueeze(-1), &weight);
        }
        users / weight.masked_fill(&weight.eq(0.0), 1.0)
    }

    /// Where the users of prompts stand. // [B, D]
    fn users(&self, history: &Tensor) -> SdkResult<Tensor> {
        let users = self.placed(history); // [B, D]
        for (row, history) in rows(history)?.into_iter().enumerate() {
            if let Some(Some(state)) = self.states.get(&history) {
                users.get(row as i64).copy_(&Tensor::from_slice(state).to_device(users.device()));
            }
        }
        Ok(users)
    }

    /// Log-probability of every item as the next click, minus infinity for those ruled out. // [N, V + 1]
    fn log_probs(&self, users: &Tensor, out: &Tensor) -> Tensor {
        let scores = users.mm(&self.vectors.tr()) / self.temperature + &self.popularity; // [N, V + 1]
        scores.masked_fill(out, f64::NEG_INFINITY).log_softmax(-1, Kind::Double)
    }

    /// The items of every row, and padding. // [N, V + 1] bool
    fn marked(&self, items: &Tensor) -> Tensor {
        let marks = Tensor::zeros([items.size()[0], self.popularity.size()[0]], (Kind::Bool, items.device()));
        let _ = marks.narrow(1, 0, 1).fill_(1);
        marks.scatter_value(1, items, 1)
    }

    /// Walks along all paths at once.
    fn walk(&self, prompts: &Prompts, paths: &Paths) -> SdkResult<(PathScores, PathDetails)> {
        let (batch, group, path) = paths.sizes();
        let per_path = |values: &Tensor| values.repeat_interleave_self_int(group, 0, batch * group); // [N, …]
        let items = (&paths.items * paths.holds_item().to_kind(Kind::Int64)).flatten(0, 1); // [N, P]
        let target = per_path(&prompts.target).unsqueeze(-1); // [N, 1]
        let mut users = per_path(&self.users(&prompts.history)?); // [N, D]
        let mut known = self.marked(&per_path(&prompts.history)); // [N, V + 1]
        let whole = known.logical_or(&self.marked(&items)); // [N, V + 1]
        let mut columns = Columns::default();
        for column in 0..=path {
            let out = known.scatter_value(1, &target, 0); // [N, V + 1]
            let log_probs = self.log_probs(&users, &out); // [N, V + 1]
            columns.add_target(&log_probs, &target, &whole);
            if column < path {
                let item = items.narrow(1, column, 1); // [N, 1]
                let new = known.gather(1, &item, false).logical_not(); // [N, 1]
                columns.add_item(&log_probs, &item, &new, &out);
                users = self.moved(&users, &item.squeeze_dim(1), &new.squeeze_dim(1));
                known = known.scatter_value(1, &item, 1);
            }
        }
        Ok(columns.joined(batch, group))
    }
}

impl RewardModel for Truth {
    type Parameters = NoParameters;

    const CAPABILITIES: &'static [&'static str] = &["path_details"];

    fn create(_: NoParameters, _: &Setup) -> SdkResult<Self> {
        Err(Error::Unsupported("the truth is made from a generated world".into()))
    }

    fn parameters(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    fn set_training(&mut self, _: bool) {}

    fn score_paths(&mut self, prompts: &Prompts, paths: &Paths) -> SdkResult<PathScores> {
        Ok(self.walk(prompts, paths)?.0)
    }

    fn path_details(&mut self, prompts: &Prompts, paths: &Paths) -> SdkResult<PathDetails> {
        Ok(self.walk(prompts, paths)?.1)
    }

    /// Users are placed by their items alone; items of the sequence are ruled out.
    fn next_item_scores(&mut self, items: &Tensor) -> SdkResult<Tensor> {
        Ok(self.log_probs(&self.placed(items), &self.marked(items)).to_kind(Kind::Float))
    }
}

/// What is found column by column.
#[derive(Default)]
struct Columns {
    target_log_prob: Vec<Tensor>,
    target_rank: Vec<Tensor>,
    filtered_rank: Vec<Tensor>,
    click_prob: Vec<Tensor>,
    item_log_prob: Vec<Tensor>,
}

impl Columns {
    fn add_target(&mut self, log_probs: &Tensor, target: &Tensor, whole: &Tensor) {
        let own = log_probs.gather(1, target, false); // [N, 1]
        let above = log_probs.gt_tensor(&own); // [N, V + 1]
        let new_above = above.logical_and(&whole.logical_not()); // [N, V + 1]
        let rank = |above: &Tensor| above.sum_dim_intlist(1, true, Kind::Int64) + 1; // [N, 1]
        self.target_rank.push(rank(&above));
        self.filtered_rank.push(rank(&new_above));
        self.target_log_prob.push(own);
    }

    fn add_item(&mut self, log_probs: &Tensor, item: &Tensor, new: &Tensor, out: &Tensor) {
        let own = log_probs.gather(1, item, false); // [N, 1]
        let odds = own.exp() * out.logical_not().sum_dim_intlist(1, true, Kind::Double); // [N, 1]
        self.click_prob.push((&odds / (&odds + 1.0)).masked_fill(&new.logical_not(), 0.0));
        self.item_log_prob.push(own.masked_fill(&item.eq(0), 0.0));
    }

    fn joined(&self, batch: i64, group: i64) -> (PathScores, PathDetails) {
        let joined = |columns: &[Tensor]| Tensor::cat(columns, 1).view([batch, group, -1]);
        let float = |columns: &[Tensor]| joined(columns).to_kind(Kind::Float);
        let scores = PathScores {
            target_log_prob: float(&self.target_log_prob),
            target_rank: joined(&self.target_rank),
            click_prob: float(&self.click_prob),
        };
        let (item_log_prob, filtered_rank) = (float(&self.item_log_prob), joined(&self.filtered_rank));
        (scores, PathDetails { item_log_prob, filtered_rank })
    }
}

/// Where the user of every prompt of the data stands, by the prompt's history; none where users share it.
fn states(world: &World, dataset: &Dataset, places: &[usize], history: usize) -> HashMap<Vec<i64>, Option<Vec<f64>>> {
    let replayed = world.states();
    let mut states: HashMap<Vec<i64>, Option<Vec<f64>>> = HashMap::new();
    for example in dataset.train.iter().chain(&dataset.validation).chain(&dataset.test) {
        let (Some(user), Some(&last)) = (&example.user, example.history.last()) else { continue };
        let Some(state) = replayed.after(user, places[last as usize - 1]) else { continue };
        let kept = &example.history[example.history.len().saturating_sub(history)..];
        let key = kept.iter().map(|&item| i64::from(item)).collect();
        let held = states.entry(key).or_insert_with(|| Some(state.to_vec()));
        if held.as_deref() != Some(state) {
            *held = None;
        }
    }
    states
}

/// The items of every row, without padding.
fn rows(items: &Tensor) -> SdkResult<Vec<Vec<i64>>> {
    let width = items.size()[1].max(1) as usize;
    let all = Vec::<i64>::try_from(items.to_device(Device::Cpu).contiguous().view(-1));
    let all = all.map_err(|error| Error::Tensor(error.to_string()))?;
    Ok(all.chunks(width).map(|row| row.iter().copied().filter(|&item| item > 0).collect()).collect())
}

#[cfg(test)]
mod tests;
