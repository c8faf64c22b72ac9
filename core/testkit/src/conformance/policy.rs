//! What must hold of every policy.

use super::examples::{BATCH, GROUP, HISTORY, ITEMS, PATH};
use super::finding::{Finding, Reason, answered, close, ensure, finite, holds_everywhere, shape, zero_outside};
use super::{Entry, Subject, weights};
use crate::closeness::{EXACT, Tolerance, VALUES};
use prorl_sdk::actions;
use prorl_sdk::foreign::ForeignPolicy;
use prorl_sdk::prelude::*;
use tch::no_grad;

pub const CHECKS: &[Entry] = &[
    ("its weights are sound, and the very tensors it computes with", sound_weights),
    ("sampled paths have the right shapes, types, device and ranges", samples),
    ("the same seed draws the same paths", repeatable),
    ("beams have the right shapes, differ, and come best first", beams),
    ("a batch of one is answered", batch_of_one),
    ("a batch without prompts is answered, or refused by an error", empty_batch),
    ("its inputs are left as they were", untouched),
    ("log-probabilities are finite, at most 0, and 0 where there is no action", log_probs),
    ("log-probabilities are of the very distribution that is sampled", one_distribution),
    ("padding and the order of prompts change no log-probability", invariance),
    ("capability entropy: at least 0", entropy),
    ("capability distribution: sums to 1", distribution),
    ("capability hidden: finite, one state an action", hidden),
    ("the gradient of log-probabilities reaches every weight", policy_gradient),
    ("imitation has a finite loss whose gradient reaches every weight", imitation),
    ("the same seed gives the same imitation loss, dropout included", repeatable_loss),
    ("saved weights, loaded, give the same log-probabilities", round_trip),
];

fn made(subject: &Subject<'_>, seed: i64) -> Finding<ForeignPolicy> {
    tch::manual_seed(seed);
    let (description, setup) = (subject.description, subject.problem.setup(true));
    let mut policy = ForeignPolicy::make(subject.module, &description.name, &description.defaults, &setup)?;
    policy.set_training(false)?;
    Ok(policy)
}

fn drawn(policy: &mut ForeignPolicy, prompts: &Prompts, decoding: &Decoding) -> Finding<Rollout> {
    tch::manual_seed(7);
    Ok(no_grad(|| policy.rollout(prompts, decoding))?)
}

/// A policy, and paths that it drew.
fn examples(subject: &Subject<'_>) -> Finding<(ForeignPolicy, Prompts, Rollout)> {
    let (mut policy, prompts) = (made(subject, 1)?, subject.problem.prompts());
    let rollout = drawn(&mut policy, &prompts, &Decoding::sample(GROUP))?;
    Ok((policy, prompts, rollout))
}

fn sound_weights(subject: &Subject<'_>) -> Finding {
    let policy = made(subject, 1)?;
    let first = weights::some(policy.parameters()?)?;
    weights::sound(&first, subject.problem.device)?;
    weights::lasting(&first, &policy.parameters()?)
}

fn sound(subject: &Subject<'_>, rollout: &Rollout, batch: i64, group: i64) -> Finding {
    let (device, Rollout { items, length, stopped, score, .. }) = (subject.problem.device, rollout);
    shape("items", items, &[batch, group, PATH], Kind::Int64, device)?;
    shape("length", length, &[batch, group], Kind::Int64, device)?;
    shape("stopped", stopped, &[batch, group], Kind::Bool, device)?;
    shape("score", score, &[batch, group], Kind::Float, device)?;
    finite("score", score)?;
    holds_everywhere("an item", &format!("in 0..={ITEMS}"), items, &items.ge(0).logical_and(&items.le(ITEMS)))?;
    let fits = length.ge(0).logical_and(&length.le(PATH));
    holds_everywhere("a length", &format!("in 0..={PATH}"), length, &fits)?;
    zero_outside("items", "after the path's end", items, &rollout.paths().holds_item())?;
    let before_the_end = stopped.logical_not().logical_or(&length.lt(PATH));
    holds_everywhere("a stop", "before the last position", length, &before_the_end)
}

fn samples(subject: &Subject<'_>) -> Finding {
    sound(subject, &examples(subject)?.2, BATCH, GROUP)
}

fn repeatable(subject: &Subject<'_>) -> Finding {
    let (first, second) = (examples(subject)?.2, examples(subject)?.2);
    close("items drawn again", &second.items, &first.items, EXACT)?;
    close("scores drawn again", &second.score, &first.score, VALUES)
}

fn beams(subject: &Subject<'_>) -> Finding {
    let (mut policy, prompts) = (made(subject, 1)?, subject.problem.prompts());
    let rollout = drawn(&mut policy, &prompts, &Decoding::beam(GROUP))?;
    sound(subject, &rollout, BATCH, GROUP)?;
    let step = rollout.score.diff::<Tensor>(1, -1, None, None); // [B, G - 1]
    holds_everywhere("the step from a beam's score to the next one's", "at most 0", &step, &step.le(1e-5))?;
    for row in 0..BATCH {
        let paths = Tensor::cat(&[rollout.items.get(row), rollout.length.get(row).unsqueeze(-1)], -1); // [G, P + 1]
        let (distinct, _, _) = paths.unique_dim(0, true, false, false);
        ensure(distinct.size()[0] == GROUP, || format!("prompt {row} has {} distinct beams", distinct.size()[0]))?;
    }
    let greedy = drawn(&mut policy, &prompts, &Decoding::beam(1))?;
    sound(subject, &greedy, BATCH, 1)
}

fn batch_of_one(subject: &Subject<'_>) -> Finding {
    let (mut policy, prompts, _) = examples(subject)?;
    let rollout = drawn(&mut policy, &prompts.narrow(0, 1), &Decoding::sample(1))?;
    sound(subject, &rollout, 1, 1)
}

fn empty_batch(subject: &Subject<'_>) -> Finding {
    let (mut policy, prompts) = (made(subject, 1)?, subject.problem.prompts().narrow(0, 0));
    let answer = no_grad(|| policy.rollout(&prompts, &Decoding::sample(GROUP)));
    match answered("a batch without prompts", answer)? {
        None => Ok(()),
        Some(rollout) => shape("items", &rollout.items, &[0, GROUP, PATH], Kind::Int64, subject.problem.device),
    }
}

fn untouched(subject: &Subject<'_>) -> Finding {
    let (_, prompts, _) = examples(subject)?;
    close("history", &prompts.history, &subject.problem.prompts().history, EXACT)?;
    close("target", &prompts.target, &subject.problem.prompts().target, EXACT)
}

fn log_probs(subject: &Subject<'_>) -> Finding {
    let (mut policy, prompts, rollout) = examples(subject)?;
    let (paths, device) = (rollout.paths(), subject.problem.device);
    let digits = policy.log_probs(&prompts, &paths, &Query::plain())?.digits;
    let last = digits.size().last().copied().unwrap_or(0);
    shape("log-probabilities", &digits, &[BATCH, GROUP, PATH + 1, last], Kind::Float, device)?;
    finite("log-probabilities", &digits)?;
    holds_everywhere("a log-probability", "at most 0", &digits, &digits.le(1e-5))?;
    zero_outside("log-probabilities", "where there is no action", &digits, &paths.acts().unsqueeze(-1))
}

/// At temperature 1 the score of a sample is the sum of its actions' log-probabilities.
fn one_distribution(subject: &Subject<'_>) -> Finding {
    let (mut policy, prompts, rollout) = examples(subject)?;
    let log_probs = no_grad(|| policy.log_probs(&prompts, &rollout.paths(), &Query::plain()))?;
    let whole = log_probs.digits.sum_dim_intlist([-2, -1].as_slice(), false, Kind::Float); // [B, G]
    let tolerance = Tolerance { absolute: 1e-3, relative: 1e-3 };
    close("the sum of log-probabilities, beside the sample's score", &whole, &rollout.score, tolerance)
}

fn invariance(subject: &Subject<'_>) -> Finding {
    let (mut policy, prompts, rollout) = examples(subject)?;
    let paths = rollout.paths();
    let mut ask = |prompts: &Prompts, paths: &Paths| -> Finding<Tensor> {
        Ok(no_grad(|| policy.log_probs(prompts, paths, &Query::plain()))?.digits)
    };
    let expected = ask(&prompts, &paths)?;
    let history = prompts.history.narrow(1, 0, HISTORY - 1); // the last column is padding
    let narrow = Prompts { history, target: prompts.target.shallow_clone() };
    close("histories with a column of padding less", &ask(&narrow, &paths)?, &expected, VALUES)?;
    let turn = |tensor: &Tensor| tensor.flip([0]);
    let turned = Prompts { history: turn(&prompts.history), target: turn(&prompts.target) };
    let tokens = paths.tokens.as_ref().map(turn);
    let others =
        Paths { items: turn(&paths.items), length: turn(&paths.length), stopped: turn(&paths.stopped), tokens };
    close("prompts in reverse", &ask(&turned, &others)?, &turn(&expected), VALUES)
}

/// What the policy says when asked for one thing more, if it has that capability.
fn queried(subject: &Subject<'_>, capability: &str, query: &Query) -> Finding<(ActionLogProbs, Paths)> {
    if !subject.description.capabilities.iter().any(|it| it == capability) {
        return Err(Reason::Absent("it does not name the capability".into()));
    }
    let (mut policy, prompts, rollout) = examples(subject)?;
    let paths = rollout.paths();
    Ok((no_grad(|| policy.log_probs(&prompts, &paths, query))?, paths))
}

fn given<'a>(tensor: &'a Option<Tensor>, what: &str) -> Finding<&'a Tensor> {
    tensor.as_ref().ok_or_else(|| Reason::Wrong(format!("it was asked for {what} and gave none")))
}

fn entropy(subject: &Subject<'_>) -> Finding {
    let (answer, paths) = queried(subject, "entropy", &Query { entropy: true, ..Query::plain() })?;
    let entropy = given(&answer.entropy, "entropy")?;
    shape("entropy", entropy, &answer.digits.size(), Kind::Float, subject.problem.device)?;
    finite("entropy", entropy)?;
    holds_everywhere("entropy", "at least 0", entropy, &entropy.ge(-1e-5))?;
    zero_outside("entropy", "where there is no action", entropy, &paths.acts().unsqueeze(-1))
}

fn distribution(subject: &Subject<'_>) -> Finding {
    let (answer, paths) = queried(subject, "distribution", &Query { distribution: true, ..Query::plain() })?;
    let distribution = given(&answer.distribution, "the distribution")?; // [B, G, P + 1, L, C]
    let digits = answer.digits.size();
    ensure(distribution.size().len() == 5 && distribution.size()[..4] == digits, || {
        format!("the distribution has shape {:?}, but should have {digits:?} and the choices", distribution.size())
    })?;
    let mass = distribution.exp().sum_dim_intlist(-1, false, Kind::Float); // [B, G, P + 1, L]
    let chosen = actions::choices(&paths, digits[3]);
    let whole = (&mass - 1.0).abs().le(1e-3).logical_or(&chosen.logical_not());
    holds_everywhere("the distribution's sum", "1", &mass, &whole)
}

fn hidden(subject: &Subject<'_>) -> Finding {
    let (answer, _) = queried(subject, "hidden", &Query { hidden: true, ..Query::plain() })?;
    let hidden = given(&answer.hidden, "hidden states")?;
    let width = hidden.size().last().copied().unwrap_or(0);
    shape("hidden", hidden, &[BATCH, GROUP, PATH + 1, width], Kind::Float, subject.problem.device)?;
    finite("hidden", hidden)
}

fn policy_gradient(subject: &Subject<'_>) -> Finding {
    let (mut policy, prompts, rollout) = examples(subject)?;
    let log_probs = policy.log_probs(&prompts, &rollout.paths(), &Query::plain())?;
    backward(&policy, &log_probs.digits.sum(Kind::Float))
}

fn backward(policy: &ForeignPolicy, total: &Tensor) -> Finding {
    let parameters = weights::some(policy.parameters()?)?;
    ensure(total.requires_grad(), || "it depends on no weight that requires a gradient".into())?;
    total.backward();
    weights::reached(&parameters)
}

fn imitation(subject: &Subject<'_>) -> Finding {
    let mut policy = made(subject, 1)?;
    policy.set_training(true)?;
    let loss = policy.imitation_loss(&subject.problem.prompts(), &subject.problem.given_paths())?;
    shape("the loss", &loss.total, &[], Kind::Float, subject.problem.device)?;
    finite("the loss", &loss.total)?;
    let declared: Vec<&str> = subject.description.metrics.iter().map(|it| it.name.as_str()).collect();
    for (name, _) in &loss.metrics {
        ensure(declared.contains(&name.as_str()), || format!("metric `{name}` is reported but not declared"))?;
    }
    backward(&policy, &loss.total)
}

fn repeatable_loss(subject: &Subject<'_>) -> Finding {
    let total = || -> Finding<Tensor> {
        let mut policy = made(subject, 1)?;
        policy.set_training(true)?;
        tch::manual_seed(3);
        Ok(policy.imitation_loss(&subject.problem.prompts(), &subject.problem.given_paths())?.total)
    };
    close("the loss", &total()?, &total()?, EXACT)
}

fn round_trip(subject: &Subject<'_>) -> Finding {
    let (mut saved, prompts, rollout) = examples(subject)?;
    let mut other = made(subject, 2)?;
    weights::load(&weights::some(other.parameters()?)?, &saved.parameters()?)?;
    let paths = rollout.paths();
    let ask = |policy: &mut ForeignPolicy| no_grad(|| policy.log_probs(&prompts, &paths, &Query::plain()));
    close("log-probabilities with loaded weights", &ask(&mut other)?.digits, &ask(&mut saved)?.digits, VALUES)
}
