//! What must hold of every algorithm.

use super::examples::{DIGITS, GROUP, HIDDEN, PATH, Problem};
use super::finding::{Finding, Reason, answered, close, ensure, finite, shape, zero, zero_outside};
use super::{Entry, Subject, weights};
use crate::closeness::{EXACT, VALUES};
use prorl_sdk::abi::fault::Fault;
use prorl_sdk::actions;
use prorl_sdk::algorithm::{Alone, Moved};
use prorl_sdk::foreign::ForeignAlgorithm;
use prorl_sdk::prelude::*;

pub const CHECKS: &[Entry] = &[
    ("what it asks of the host makes sense", requirements),
    ("its weights are sound, and the very tensors it computes with", sound_weights),
    ("advantages are finite, and 0 where there is no action", advantages),
    ("the same inputs give the same advantages", repeatable),
    ("paths without items change nothing for the others", without_items),
    ("the order of a group's paths changes nothing", permutation),
    ("a batch of one is answered", batch_of_one),
    ("a group of one is answered, or refused by an error", group_of_one),
    ("a batch without prompts is answered, or refused by an error", empty_batch),
    ("a batch whose paths hold no item has finite advantages and loss", nothing_to_learn),
    ("its inputs are left as they were", untouched),
    ("the loss is finite, and its gradient reaches actions alone", gradient),
    ("the gradient reaches every weight of its own", own_gradient),
    ("every reported metric is declared, finite and a scalar", metrics),
    ("saved state, loaded, continues as if never stopped", round_trip),
    ("capability early_stop: updates go on where the policy has not moved", early_stop),
];

/// Choices of a digit `C`.
const CHOICES: i64 = 9;

fn made(subject: &Subject<'_>) -> Finding<ForeignAlgorithm> {
    tch::manual_seed(1);
    let (description, setup) = (subject.description, subject.problem.setup(true));
    Ok(ForeignAlgorithm::make(subject.module, &description.name, &description.defaults, &setup)?)
}

fn at(step: i64) -> Progress {
    Progress { epoch: 0, step, steps: 10 }
}

/// The algorithm's answer to judged paths as the host hands them over: with states only where they are asked for.
fn asked(algorithm: &mut ForeignAlgorithm, scored: &ScoredPaths, step: i64) -> Result<Advantages, Fault> {
    let wanted = algorithm.requirements()?.hidden;
    let hidden = scored.hidden.as_ref().filter(|_| wanted).map(Tensor::shallow_clone);
    algorithm.prepare(&ScoredPaths { hidden, ..share(scored) }, &at(step), Alone)
}

fn prepared(algorithm: &mut ForeignAlgorithm, scored: &ScoredPaths, step: i64) -> Finding<Advantages> {
    Ok(asked(algorithm, scored, step)?)
}

fn share(scored: &ScoredPaths) -> ScoredPaths {
    mapped(scored, Tensor::shallow_clone)
}

/// Every tensor of judged paths through `map`.
fn mapped(scored: &ScoredPaths, map: impl Fn(&Tensor) -> Tensor) -> ScoredPaths {
    ScoredPaths {
        items: map(&scored.items),
        length: map(&scored.length),
        stopped: map(&scored.stopped),
        ioi: map(&scored.ioi),
        ior: map(&scored.ior),
        ctr: map(&scored.ctr),
        hidden: scored.hidden.as_ref().map(map),
    }
}

/// Log-probabilities of a made-up policy with these logits `[B, G, P + 1, L, C]`.
fn spoken(problem: &Problem, logits: &Tensor, paths: &Paths) -> ActionLogProbs {
    let distribution = logits.log_softmax(-1, Kind::Float); // [B, G, P + 1, L, C]
    let (batch, group, path) = paths.sizes();
    let none = actions::choices(paths, DIGITS).logical_not(); // [B, G, P + 1, L]
    ActionLogProbs {
        digits: distribution.select(-1, 2).masked_fill(&none, 0.0),
        entropy: Some(
            -(distribution.exp() * &distribution).sum_dim_intlist(-1, false, Kind::Float).masked_fill(&none, 0.0),
        ),
        distribution: Some(distribution),
        hidden: Some(problem.waves(&[batch, group, path + 1, HIDDEN], 1.1)),
    }
}

/// The loss of a batch, and the made-up policy's logits that it depends on.
fn lost(subject: &Subject<'_>, algorithm: &mut ForeignAlgorithm, scored: &ScoredPaths) -> Finding<(Loss, Tensor)> {
    let (advantages, wanted) = (prepared(algorithm, scored, 0)?, algorithm.requirements()?);
    let (problem, paths) = (subject.problem, scored.paths());
    let (batch, group, path) = paths.sizes();
    let size = [batch, group, path + 1, DIGITS, CHOICES];
    let logits = problem.waves(&size, 1.3).set_requires_grad(true);
    let other = |pace: f64| spoken(problem, &(problem.waves(&size, 1.3) + problem.waves(&size, pace) * 0.05), &paths);
    let several = wanted.epochs * wanted.minibatches > 1 || wanted.hidden;
    let log_probs = LogProbs {
        current: spoken(problem, &logits, &paths),
        reference: wanted.reference.then(|| other(0.7)),
        behaviour: several.then(|| other(0.3)),
    };
    let ScoredPaths { items, length, stopped, .. } = share(scored);
    let batch = Batch { items, length, stopped, advantages: advantages.values, extra: advantages.extra };
    Ok((algorithm.loss(&log_probs, &batch, &at(0))?, logits))
}

fn requirements(subject: &Subject<'_>) -> Finding {
    let Requirements { epochs, minibatches, .. } = made(subject)?.requirements()?;
    ensure(epochs >= 1, || format!("`epochs` is {epochs}, but should be at least 1"))?;
    ensure(minibatches >= 1, || format!("`minibatches` is {minibatches}, but should be at least 1"))
}

fn sound_weights(subject: &Subject<'_>) -> Finding {
    let algorithm = made(subject)?;
    let first = weights::some(algorithm.parameters()?)?;
    weights::sound(&first, subject.problem.device)?;
    weights::lasting(&first, &algorithm.parameters()?)
}

fn sound(subject: &Subject<'_>, advantages: &Advantages, paths: &Paths) -> Finding {
    let (batch, group, path) = paths.sizes();
    shape("advantages", &advantages.values, &[batch, group, path + 1], Kind::Float, subject.problem.device)?;
    finite("advantages", &advantages.values)?;
    zero_outside("advantages", "where no action counts", &advantages.values, &actions::active(paths))?;
    for (name, tensor) in &advantages.extra {
        let rows = tensor.size().first().copied();
        ensure(rows == Some(batch), || {
            format!("extra `{name}` has shape {:?}, but should have {batch} rows", tensor.size())
        })?;
    }
    Ok(())
}

fn advantages(subject: &Subject<'_>) -> Finding {
    let scored = subject.problem.scored();
    let mut algorithm = made(subject)?;
    for step in 0..3 {
        sound(subject, &prepared(&mut algorithm, &scored, step)?, &scored.paths())?;
    }
    Ok(())
}

fn repeatable(subject: &Subject<'_>) -> Finding {
    let scored = subject.problem.scored();
    let first = prepared(&mut made(subject)?, &scored, 0)?;
    close("advantages", &prepared(&mut made(subject)?, &scored, 0)?.values, &first.values, EXACT)
}

/// The same paths with one more a prompt that stopped at once.
fn with_empty_paths(scored: &ScoredPaths) -> ScoredPaths {
    let mut more = mapped(scored, |tensor| {
        let empty = tensor.narrow(1, 0, 1).zeros_like();
        Tensor::cat(&[tensor, &empty], 1)
    });
    more.stopped = Tensor::cat(&[&scored.stopped, &scored.stopped.narrow(1, 0, 1).ones_like()], 1);
    more
}

fn without_items(subject: &Subject<'_>) -> Finding {
    let (scored, more) = (subject.problem.scored(), with_empty_paths(&subject.problem.scored()));
    let expected = prepared(&mut made(subject)?, &scored, 0)?.values;
    let actual = prepared(&mut made(subject)?, &more, 0)?.values;
    close("advantages beside a path without items", &actual.narrow(1, 0, GROUP), &expected, VALUES)?;
    let (loss, logits) = lost(subject, &mut made(subject)?, &more)?;
    loss.total.backward();
    let gradient = logits.grad().narrow(1, GROUP, 1);
    zero("the gradient at a path without items", &gradient)
}

fn permutation(subject: &Subject<'_>) -> Finding {
    let scored = subject.problem.scored();
    let turn = |tensor: &Tensor| tensor.flip([1]);
    let expected = turn(&prepared(&mut made(subject)?, &scored, 0)?.values);
    let actual = prepared(&mut made(subject)?, &mapped(&scored, turn), 0)?.values;
    close("advantages of groups in reverse", &actual, &expected, VALUES)
}

fn batch_of_one(subject: &Subject<'_>) -> Finding {
    let one = mapped(&subject.problem.scored(), |tensor| tensor.narrow(0, 1, 1));
    sound(subject, &prepared(&mut made(subject)?, &one, 0)?, &one.paths())
}

fn group_of_one(subject: &Subject<'_>) -> Finding {
    let single = mapped(&subject.problem.scored(), |tensor| tensor.narrow(1, 1, 1));
    let advantages = answered("a group of one", asked(&mut made(subject)?, &single, 0))?;
    advantages.map_or(Ok(()), |advantages| sound(subject, &advantages, &single.paths()))
}

fn empty_batch(subject: &Subject<'_>) -> Finding {
    let none = mapped(&subject.problem.scored(), |tensor| tensor.narrow(0, 0, 0));
    match answered("a batch without prompts", asked(&mut made(subject)?, &none, 0))? {
        None => Ok(()),
        Some(advantages) => {
            shape("advantages", &advantages.values, &[0, GROUP, PATH + 1], Kind::Float, subject.problem.device)
        }
    }
}

fn nothing_to_learn(subject: &Subject<'_>) -> Finding {
    let scored = subject.problem.scored();
    let mut empty = mapped(&scored, Tensor::zeros_like);
    empty.stopped = scored.stopped.ones_like();
    let mut algorithm = made(subject)?;
    sound(subject, &prepared(&mut algorithm, &empty, 0)?, &empty.paths())?;
    let (loss, logits) = lost(subject, &mut algorithm, &empty)?;
    finite("the loss", &loss.total)?;
    if loss.total.requires_grad() {
        loss.total.backward();
        if logits.grad().defined() {
            zero("the gradient where no path holds an item", &logits.grad())?;
        }
    }
    Ok(())
}

fn untouched(subject: &Subject<'_>) -> Finding {
    let (scored, before) = (subject.problem.scored(), subject.problem.scored());
    let _ = lost(subject, &mut made(subject)?, &scored)?;
    close("items", &scored.items, &before.items, EXACT)?;
    close("ioi", &scored.ioi, &before.ioi, EXACT)?;
    close("ior", &scored.ior, &before.ior, EXACT)?;
    close("ctr", &scored.ctr, &before.ctr, EXACT)
}

fn gradient(subject: &Subject<'_>) -> Finding {
    let scored = subject.problem.scored();
    let (loss, logits) = lost(subject, &mut made(subject)?, &scored)?;
    shape("the loss", &loss.total, &[], Kind::Float, subject.problem.device)?;
    finite("the loss", &loss.total)?;
    ensure(loss.total.requires_grad(), || "the loss does not depend on the policy's log-probabilities".into())?;
    loss.total.backward();
    let gradient = logits.grad();
    ensure(gradient.defined(), || "no gradient reaches the policy's log-probabilities".into())?;
    finite("the gradient", &gradient)?;
    ensure(gradient.any().int64_value(&[]) == 1, || "the policy's gradient is 0 everywhere".into())?;
    let active = actions::active(&scored.paths()).unsqueeze(-1).unsqueeze(-1); // [B, G, P + 1, 1, 1]
    zero_outside("the gradient", "where no action counts", &gradient, &active.expand_as(&gradient))
}

fn own_gradient(subject: &Subject<'_>) -> Finding {
    let mut algorithm = made(subject)?;
    let parameters = weights::some(algorithm.parameters()?)?;
    lost(subject, &mut algorithm, &subject.problem.scored())?.0.total.backward();
    weights::reached(&parameters)
}

fn metrics(subject: &Subject<'_>) -> Finding {
    let (scored, mut algorithm) = (subject.problem.scored(), made(subject)?);
    let prepared = prepared(&mut algorithm, &scored, 0)?.metrics;
    let lost = lost(subject, &mut algorithm, &scored)?.0.metrics;
    let declared: Vec<&str> = subject.description.metrics.iter().map(|it| it.name.as_str()).collect();
    for (name, value) in prepared.iter().chain(&lost) {
        ensure(declared.contains(&name.as_str()), || format!("metric `{name}` is reported but not declared"))?;
        ensure(value.numel() == 1, || format!("metric `{name}` has shape {:?}", value.size()))?;
        finite(&format!("metric `{name}`"), value)?;
    }
    Ok(())
}

fn round_trip(subject: &Subject<'_>) -> Finding {
    let (scored, mut straight, mut resumed) = (subject.problem.scored(), made(subject)?, made(subject)?);
    let _ = lost(subject, &mut straight, &scored)?;
    let other = mapped(&scored, |tensor| tensor.flip([0]));
    prepared(&mut straight, &mapped(&other, Tensor::copy), 1)?;
    let state = straight.state()?;
    if state.is_empty() {
        return Err(Reason::Absent("it has no state".into()));
    }
    let saved = state.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect();
    resumed.load_state(saved)?;
    weights::load(&resumed.parameters()?, &straight.parameters()?)?;
    for ((name, expected), (_, actual)) in state.iter().zip(&resumed.state()?) {
        close(&format!("state `{name}` after loading"), actual, expected, EXACT)?;
    }
    let expected = prepared(&mut straight, &scored, 2)?.values;
    close("advantages after loading", &prepared(&mut resumed, &scored, 2)?.values, &expected, EXACT)
}

fn early_stop(subject: &Subject<'_>) -> Finding {
    if !subject.description.has("early_stop") {
        return Err(Reason::Absent("it does not name the capability".into()));
    }
    let scored = subject.problem.scored();
    let (batch, group, path) = scored.paths().sizes();
    let logits = subject.problem.waves(&[batch, group, path + 1, DIGITS, CHOICES], 1.3);
    let digits = spoken(subject.problem, &logits, &scored.paths()).digits;
    let ScoredPaths { items, length, stopped, .. } = share(&scored);
    let moved = |by: f64| Moved {
        current: &digits + by,
        behaviour: digits.shallow_clone(),
        items: items.shallow_clone(),
        length: length.shallow_clone(),
        stopped: stopped.shallow_clone(),
    };
    let mut algorithm = made(subject)?;
    ensure(algorithm.goes_on(&moved(0.0))?, || "it stops although the policy is the one that drew the paths".into())?;
    answered("a policy that has moved", algorithm.goes_on(&moved(-0.5))).map(|_| ())
}
