//! What must hold of every reward model.

use super::examples::{BATCH, GROUP, HISTORY, ITEMS, PATH};
use super::finding::{Finding, Reason, answered, close, ensure, finite, holds_everywhere, shape, zero, zero_outside};
use super::{Entry, Subject, weights};
use crate::closeness::{EXACT, Tolerance, VALUES};
use prorl_sdk::foreign::ForeignRewardModel;
use prorl_sdk::prelude::*;
use tch::no_grad;

pub const CHECKS: &[Entry] = &[
    ("its weights are sound, and the very tensors it computes with", sound_weights),
    ("scores have the right shapes, types, device and ranges", scores),
    ("scores of all items have a column an item", all_items),
    ("ranks agree with the scores of all items", ranks),
    ("the same seed gives the same scores", repeatable),
    ("a path without items leaves the state as it was", no_path),
    ("an invalid item, and what comes after the end, leave the state as it was", inert),
    ("padding changes nothing", padding),
    ("the order of prompts and paths changes nothing", permutation),
    ("a batch of one is scored as within a batch", batch_of_one),
    ("a batch without prompts is answered, or refused by an error", empty_batch),
    ("its inputs are left as they were", untouched),
    ("a loss is finite, and its gradient reaches every weight", gradient),
    ("the same seed gives the same loss, dropout included", repeatable_loss),
    ("saved weights, loaded, give the same scores", round_trip),
    ("capability path_details: shapes, and ranks no worse than unfiltered", details),
];

fn made(subject: &Subject<'_>, seed: i64) -> Finding<ForeignRewardModel> {
    tch::manual_seed(seed);
    let (description, setup) = (subject.description, subject.problem.setup(true));
    let mut model = ForeignRewardModel::make(subject.module, &description.name, &description.defaults, &setup)?;
    model.set_training(false)?;
    Ok(model)
}

fn judged(model: &mut ForeignRewardModel, prompts: &Prompts, paths: &Paths) -> Finding<PathScores> {
    Ok(no_grad(|| model.score_paths(prompts, paths))?)
}

fn examples(subject: &Subject<'_>) -> Finding<PathScores> {
    judged(&mut made(subject, 1)?, &subject.problem.prompts(), &subject.problem.paths())
}

fn same(what: &str, actual: &PathScores, expected: &PathScores) -> Finding {
    close(&format!("{what}: target_log_prob"), &actual.target_log_prob, &expected.target_log_prob, VALUES)?;
    // Rounding may swap two items that score alike.
    let swap = Tolerance { absolute: 1.0, relative: 0.0 };
    close(&format!("{what}: target_rank"), &actual.target_rank, &expected.target_rank, swap)?;
    close(&format!("{what}: click_prob"), &actual.click_prob, &expected.click_prob, VALUES)
}

fn sound_weights(subject: &Subject<'_>) -> Finding {
    let model = made(subject, 1)?;
    let first = weights::some(model.parameters()?)?;
    weights::sound(&first, subject.problem.device)?;
    weights::lasting(&first, &model.parameters()?)
}

fn scores(subject: &Subject<'_>) -> Finding {
    let (scores, paths) = (examples(subject)?, subject.problem.paths());
    let device = subject.problem.device;
    let PathScores { target_log_prob, target_rank, click_prob } = &scores;
    shape("target_log_prob", target_log_prob, &[BATCH, GROUP, PATH + 1], Kind::Float, device)?;
    shape("target_rank", target_rank, &[BATCH, GROUP, PATH + 1], Kind::Int64, device)?;
    shape("click_prob", click_prob, &[BATCH, GROUP, PATH], Kind::Float, device)?;
    finite("target_log_prob", target_log_prob)?;
    holds_everywhere("target_log_prob", "at most 0", target_log_prob, &target_log_prob.le(1e-5))?;
    let ranked = target_rank.ge(1).logical_and(&target_rank.le(ITEMS));
    holds_everywhere("target_rank", &format!("in 1..={ITEMS}"), target_rank, &ranked)?;
    let probable = click_prob.ge(0).logical_and(&click_prob.le(1));
    holds_everywhere("click_prob", "in [0, 1]", click_prob, &probable)?;
    zero_outside("click_prob", "where there is no valid item", click_prob, &paths.items.gt(0))
}

fn all_items(subject: &Subject<'_>) -> Finding {
    let history = subject.problem.prompts().history;
    let scores = no_grad(|| made(subject, 1)?.next_item_scores(&history).map_err(Reason::from))?;
    shape("next_item_scores", &scores, &[BATCH, ITEMS + 1], Kind::Float, subject.problem.device)?;
    finite("a real item's score", &scores.narrow(1, 1, ITEMS))
}

/// Within rounding: an item counts as above the target where its score is by more than a trifle.
fn ranks(subject: &Subject<'_>) -> Finding {
    let (prompts, paths) = (subject.problem.prompts(), subject.problem.paths());
    let mut model = made(subject, 1)?;
    let rank = judged(&mut model, &prompts, &paths)?.target_rank.select(2, 0).select(1, 0); // [B]
    let all = no_grad(|| model.next_item_scores(&prompts.history))?.narrow(1, 1, ITEMS); // [B, V]
    let own = all.gather(1, &(&prompts.target - 1).unsqueeze(-1), false); // [B, 1]
    let trifle = all.abs().amax(-1, true) * 1e-5; // [B, 1]
    let above = |bound: Tensor| all.gt_tensor(&bound).sum_dim_intlist(1, false, Kind::Int64) + 1; // [B]
    let fits = rank.ge_tensor(&above(&own + &trifle)).logical_and(&rank.le_tensor(&above(&own - &trifle)));
    holds_everywhere("target_rank after the history", "1 + #{v : score(v) > score(target)}", &rank, &fits)
}

fn repeatable(subject: &Subject<'_>) -> Finding {
    let (prompts, paths) = (subject.problem.prompts(), subject.problem.paths());
    let mut model = made(subject, 1)?;
    let first = judged(&mut model, &prompts, &paths)?;
    same("asked again", &judged(&mut model, &prompts, &paths)?, &first)?;
    same("made again", &examples(subject)?, &first)
}

fn no_path(subject: &Subject<'_>) -> Finding {
    let (prompts, held) = (subject.problem.prompts(), subject.problem.paths());
    let mut model = made(subject, 1)?;
    let before = judged(&mut model, &prompts, &held)?.target_log_prob.narrow(2, 0, 1); // [B, G, 1]
    let paths = Paths::from_items(held.items.zeros_like());
    let scores = judged(&mut model, &prompts, &paths)?;
    let expected = before.expand_as(&scores.target_log_prob).contiguous();
    close("target_log_prob of paths without items", &scores.target_log_prob, &expected, VALUES)?;
    zero("click_prob of paths without items", &scores.click_prob)
}

fn inert(subject: &Subject<'_>) -> Finding {
    let (scores, paths) = (examples(subject)?, subject.problem.paths());
    let log_prob = &scores.target_log_prob; // [B, G, P + 1]
    let moved = log_prob.diff::<Tensor>(1, -1, None, None); // [B, G, P]
    let still = moved.abs().le(1e-4).logical_or(&paths.items.gt(0));
    holds_everywhere("the target's log-probability", "unmoved where there is no valid item", &moved, &still)
}

fn padding(subject: &Subject<'_>) -> Finding {
    let (prompts, paths) = (subject.problem.prompts(), subject.problem.paths());
    let mut model = made(subject, 1)?;
    let expected = judged(&mut model, &prompts, &paths)?;
    let history = prompts.history.narrow(1, 0, HISTORY - 1); // the last column is padding
    let narrow = Prompts { history: history.shallow_clone(), target: prompts.target.shallow_clone() };
    same("histories with a column of padding less", &judged(&mut model, &narrow, &paths)?, &expected)?;
    let (wide, less) =
        no_grad(|| Ok::<_, Reason>((model.next_item_scores(&prompts.history)?, model.next_item_scores(&history)?)))?;
    close("next_item_scores with a column less", &less.narrow(1, 1, ITEMS), &wide.narrow(1, 1, ITEMS), VALUES)
}

fn permutation(subject: &Subject<'_>) -> Finding {
    let (prompts, paths) = (subject.problem.prompts(), subject.problem.paths());
    let mut model = made(subject, 1)?;
    let scores = judged(&mut model, &prompts, &paths)?;
    let turned = |tensor: &Tensor| tensor.flip([0]);
    let other = Prompts { history: turned(&prompts.history), target: turned(&prompts.target) };
    let turn = |tensor: &Tensor| tensor.flip([0, 1]);
    let others =
        Paths { items: turn(&paths.items), length: turn(&paths.length), stopped: turn(&paths.stopped), tokens: None };
    let expected = PathScores {
        target_log_prob: turn(&scores.target_log_prob),
        target_rank: turn(&scores.target_rank),
        click_prob: turn(&scores.click_prob),
    };
    same("prompts and paths in reverse", &judged(&mut model, &other, &others)?, &expected)
}

fn batch_of_one(subject: &Subject<'_>) -> Finding {
    let (prompts, paths) = (subject.problem.prompts(), subject.problem.paths());
    let mut model = made(subject, 1)?;
    let whole = judged(&mut model, &prompts, &paths)?;
    for row in 0..BATCH {
        let one = judged(&mut model, &prompts.narrow(row, 1), &paths.narrow(row, 1))?;
        let part = |tensor: &Tensor| tensor.narrow(0, row, 1);
        let expected = PathScores {
            target_log_prob: part(&whole.target_log_prob),
            target_rank: part(&whole.target_rank),
            click_prob: part(&whole.click_prob),
        };
        same(&format!("prompt {row} alone"), &one, &expected)?;
    }
    Ok(())
}

fn empty_batch(subject: &Subject<'_>) -> Finding {
    let (prompts, paths) = (subject.problem.prompts().narrow(0, 0), subject.problem.paths().narrow(0, 0));
    let mut model = made(subject, 1)?;
    match answered("a batch without prompts", no_grad(|| model.score_paths(&prompts, &paths)))? {
        None => Ok(()),
        Some(scores) => shape("click_prob", &scores.click_prob, &[0, GROUP, PATH], Kind::Float, subject.problem.device),
    }
}

fn untouched(subject: &Subject<'_>) -> Finding {
    let (prompts, paths) = (subject.problem.prompts(), subject.problem.paths());
    judged(&mut made(subject, 1)?, &prompts, &paths)?;
    close("history", &prompts.history, &subject.problem.prompts().history, EXACT)?;
    close("target", &prompts.target, &subject.problem.prompts().target, EXACT)?;
    close("items", &paths.items, &subject.problem.paths().items, EXACT)
}

fn gradient(subject: &Subject<'_>) -> Finding {
    let mut model = made(subject, 1)?;
    model.set_training(true)?;
    let loss = model.loss(&subject.problem.sequences())?;
    shape("the loss", &loss.total, &[], Kind::Float, subject.problem.device)?;
    finite("the loss", &loss.total)?;
    let declared: Vec<&str> = subject.description.metrics.iter().map(|it| it.name.as_str()).collect();
    for (name, _) in &loss.metrics {
        ensure(declared.contains(&name.as_str()), || format!("metric `{name}` is reported but not declared"))?;
    }
    let parameters = weights::some(model.parameters()?)?;
    ensure(loss.total.requires_grad(), || "the loss depends on no weight that requires a gradient".into())?;
    loss.total.backward();
    weights::reached(&parameters)
}

fn repeatable_loss(subject: &Subject<'_>) -> Finding {
    let total = || -> Finding<Tensor> {
        let mut model = made(subject, 1)?;
        model.set_training(true)?;
        tch::manual_seed(3);
        Ok(model.loss(&subject.problem.sequences())?.total)
    };
    close("the loss", &total()?, &total()?, EXACT)
}

fn round_trip(subject: &Subject<'_>) -> Finding {
    let (prompts, paths) = (subject.problem.prompts(), subject.problem.paths());
    let (mut saved, mut other) = (made(subject, 1)?, made(subject, 2)?);
    weights::load(&weights::some(other.parameters()?)?, &saved.parameters()?)?;
    same("with loaded weights", &judged(&mut other, &prompts, &paths)?, &judged(&mut saved, &prompts, &paths)?)
}

fn details(subject: &Subject<'_>) -> Finding {
    if !subject.description.capabilities.iter().any(|it| it == "path_details") {
        return Err(Reason::Absent("it does not name the capability".into()));
    }
    let (prompts, paths) = (subject.problem.prompts(), subject.problem.paths());
    let (mut model, device) = (made(subject, 1)?, subject.problem.device);
    let details = no_grad(|| model.path_details(&prompts, &paths))?;
    shape("item_log_prob", &details.item_log_prob, &[BATCH, GROUP, PATH], Kind::Float, device)?;
    shape("filtered_rank", &details.filtered_rank, &[BATCH, GROUP, PATH + 1], Kind::Int64, device)?;
    finite("item_log_prob", &details.item_log_prob)?;
    zero_outside("item_log_prob", "where there is no valid item", &details.item_log_prob, &paths.items.gt(0))?;
    let rank = judged(&mut model, &prompts, &paths)?.target_rank + 1; // rounding may swap two
    let no_worse = details.filtered_rank.ge(1).logical_and(&details.filtered_rank.le_tensor(&rank));
    holds_everywhere("filtered_rank", "in 1..=target_rank", &details.filtered_rank, &no_worse)
}
