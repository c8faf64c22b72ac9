//! Rollouts of a policy that picks item by item.

use crate::next_item::{Choices, NextItem, Prefixes};
use crate::pick::{Beams, pick};
use crate::walk::Walk;
use prorl_sdk::error::{Error, Result};
use prorl_sdk::parameters::in_range;
use prorl_sdk::policy::{Decoding, Rollout};
use prorl_sdk::prompts::Prompts;
use prorl_sdk::setup::Setup;
use tch::{Kind, Tensor, no_grad_guard};

/// Scores of one step that are held at once.
const SCORES: i64 = 1 << 24;

/// How paths are made of single items.
#[derive(Clone, Debug)]
pub struct Stepwise {
    items: i64,
    path: i64,
    longest: i64,
    beams: Beams,
}

impl Stepwise {
    /// Paths of at most `longest` items; 0 is as many as `setup` allows.
    ///
    /// # Errors
    /// Paths may not be that long.
    pub fn new(setup: &Setup, longest: i64, beams: Beams) -> Result<Self> {
        in_range("length", longest, 0..=setup.path)?;
        let longest = if longest == 0 { setup.path } else { longest };
        Ok(Self { items: setup.items, path: setup.path, longest, beams })
    }

    /// `decoding.group` paths for every prompt; without gradient.
    ///
    /// # Errors
    /// Shapes do not fit, the decoding makes no sense, the catalogue is too small, or the policy fails.
    pub fn rollout(&self, next: &mut impl NextItem, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        self.check(prompts, decoding)?;
        let _guard = no_grad_guard();
        let at_once = (SCORES / (decoding.group * (self.items + 1))).max(1);
        let mut parts = Vec::new();
        for start in (0..prompts.len()).step_by(at_once as usize) {
            let part = prompts.narrow(start, at_once.min(prompts.len() - start));
            parts.push(self.walk(next, &part, decoding)?);
        }
        Ok(joined(&parts))
    }

    fn walk(&self, next: &mut impl NextItem, prompts: &Prompts, decoding: &Decoding) -> Result<Rollout> {
        let mut walk = Walk::new(prompts, self.path);
        let steps = if decoding.forced_length > 0 { decoding.forced_length } else { self.longest };
        let mut opening = None;
        for _ in 0..steps {
            let places = walk.places();
            if places.size()[0] == 0 {
                break;
            }
            let log_probs = self.log_probs(next, &walk, &places, decoding)?; // [B, K, V + 1]
            let (parents, choice) = pick(&walk, &log_probs, self.beams, decoding);
            walk.follow(&parents, &choice, &log_probs);
            opening.get_or_insert_with(|| walk.score.shallow_clone());
        }
        let score = match (decoding.beam, self.beams, opening) {
            (true, Beams::Apart, Some(opening)) => opening,
            (true, Beams::Joint, _) => {
                &walk.score / walk.actions.to_kind(Kind::Float).pow_tensor_scalar(decoding.length_penalty)
            }
            _ => walk.score.shallow_clone(),
        };
        Ok(walk.finish(score))
    }

    /// Log-probabilities of the next choices; a finished path can only stay as it is. // [B, K, V + 1]
    fn log_probs(&self, next: &mut impl NextItem, walk: &Walk, places: &Tensor, decoding: &Decoding) -> Result<Tensor> {
        let prefixes = walk.prefixes(places, self.items);
        let choices = next.choices(&prefixes)?;
        let may_stop = walk.picked() > 0 && decoding.forced_length == 0;
        let temperature = if decoding.beam { 1.0 } else { decoding.temperature };
        let scored = normalised(&choices, &prefixes, may_stop, temperature); // [N, V + 1]
        let size = walk.going.size();
        let all = Tensor::full([size[0] * size[1], self.items + 1], f64::NEG_INFINITY, (Kind::Float, scored.device()));
        let _ = all.select(1, 0).fill_(0.0);
        Ok(all.index_copy(0, places, &scored).view([size[0], size[1], -1]))
    }

    fn check(&self, prompts: &Prompts, decoding: &Decoding) -> Result<()> {
        let (history, target) = (prompts.history.size(), prompts.target.size());
        if history.len() != 2 || target.len() != 1 || history[0] != target[0] || prompts.is_empty() {
            return Err(Error::Tensor(format!(
                "prompts have history {history:?} and target {target:?}, but should be [B, H] and [B]"
            )));
        }
        in_range("group", decoding.group, 1..)?;
        in_range("temperature", decoding.temperature, f64::MIN_POSITIVE..)?;
        in_range("top_k", decoding.top_k, 0..)?;
        in_range("top_p", decoding.top_p, 0.0..=1.0)?;
        in_range("forced_length", decoding.forced_length, 0..=self.path)?;
        let wanted = if decoding.beam { self.path.max(decoding.group) } else { self.path };
        let left = self.items - history[1] - 1;
        if left < wanted {
            return Err(Error::Input(format!(
                "of {} items, history and target leave {left} to recommend, but {wanted} are needed: ask for shorter \
                 paths or fewer beams",
                self.items
            )));
        }
        Ok(())
    }
}

/// Log-probabilities of the admissible items and, in column 0, of the stop. // [N, V + 1]
fn normalised(choices: &Choices, prefixes: &Prefixes, may_stop: bool, temperature: f64) -> Tensor {
    let scores = choices.scores.to_kind(Kind::Float) / temperature; // [N, V + 1]
    let scores = scores.masked_fill(&prefixes.admissible.logical_not(), f64::NEG_INFINITY);
    if !may_stop {
        return scores.log_softmax(-1, Kind::Float);
    }
    let ends = choices.stop.eq(f64::INFINITY); // [N]
    let stop = (&choices.stop / temperature).masked_fill(&ends, 0.0); // [N]
    scores.select(1, 0).copy_(&stop);
    let others = Tensor::arange(scores.size()[1], (Kind::Int64, scores.device())).ne(0); // [V + 1]
    let over = ends.unsqueeze(-1).logical_and(&others); // [N, V + 1]
    scores.masked_fill(&over, f64::NEG_INFINITY).log_softmax(-1, Kind::Float)
}

fn joined(parts: &[Rollout]) -> Rollout {
    let cat = |part: fn(&Rollout) -> &Tensor| Tensor::cat(&parts.iter().map(part).collect::<Vec<_>>(), 0);
    Rollout {
        items: cat(|it| &it.items),
        length: cat(|it| &it.length),
        stopped: cat(|it| &it.stopped),
        tokens: None,
        score: cat(|it| &it.score),
    }
}
