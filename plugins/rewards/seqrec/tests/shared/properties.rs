//! What must hold of every sequence model, through the contract that the host uses.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use prorl_sdk::prelude::*;
use prorl_testkit::closeness::{EXACT, VALUES, assert_close};

const ITEMS: i64 = 30;
const INTEGERS: (Kind, Device) = (Kind::Int64, Device::Cpu);

/// A model over a small catalogue, with weights large enough that scores differ.
pub fn model<M: RewardModel>(parameters: M::Parameters) -> M {
    tch::manual_seed(7);
    let setup = Setup {
        items: ITEMS,
        history: 5,
        path: 4,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    let mut model = M::create(parameters, &setup).unwrap();
    model.set_training(false);
    let _guard = tch::no_grad_guard();
    for (_, mut weight) in model.parameters() {
        let noise = weight.randn_like() * 0.3;
        let _ = weight.g_add_(&noise);
    }
    model
}

/// Sequences of `shortest..=width` items, right-padded. // [N, width]
fn sequences(rows: i64, shortest: i64, width: i64) -> Tensor {
    let length = Tensor::randint_low(shortest, width + 1, [rows, 1], INTEGERS);
    let holds = Tensor::arange(width, INTEGERS).lt_tensor(&length);
    Tensor::randint_low(1, ITEMS + 1, [rows, width], INTEGERS) * holds.to_kind(Kind::Int64)
}

fn prompts(batch: i64) -> Prompts {
    Prompts { history: sequences(batch, 1, 5), target: Tensor::randint_low(1, ITEMS + 1, [batch], INTEGERS) }
}

/// Paths of 0 to 4 items, some invalid. // [B, 3, 4]
fn paths(batch: i64) -> Paths {
    let mut paths = Paths::from_items(sequences(batch * 3, 0, 4).view([batch, 3, 4]));
    let valid = Tensor::rand([batch, 3, 4], (Kind::Float, Device::Cpu)).lt(0.7);
    paths.items *= valid.to_kind(Kind::Int64);
    paths
}

/// Equal scores.
pub fn assert_same(actual: &PathScores, expected: &PathScores) {
    let (a, e) = (actual, expected);
    assert_close("target_log_prob", &a.target_log_prob, &e.target_log_prob, VALUES);
    assert_close("target_rank", &a.target_rank, &e.target_rank, EXACT);
    assert_close("click_prob", &a.click_prob, &e.click_prob, VALUES);
}

/// Numbers of one row of a `[.., T]` tensor that stand for items.
fn row(items: &Tensor) -> Vec<i64> {
    let all = Vec::<i64>::try_from(items.contiguous().view(-1)).unwrap();
    all.into_iter().filter(|&item| item != 0).collect()
}

/// Every column is what `next_item_scores` says of the valid items until there, read one by one; so
/// invalid items are skipped, and columns repeat after the end.
pub fn columns_are_prefixes<M: RewardModel>(mut model: M) {
    let _guard = tch::no_grad_guard();
    let (prompts, paths) = (prompts(6), paths(6));
    let scores = model.score_paths(&prompts, &paths).unwrap();
    for (b, g, k) in (0..6).flat_map(|b| (0..3).flat_map(move |g| (0..5).map(move |k| (b, g, k)))) {
        let mut read = row(&prompts.history.get(b));
        read.extend(row(&paths.items.get(b).get(g).narrow(0, 0, k)));
        let next = model.next_item_scores(&Tensor::from_slice(&read).unsqueeze(0)).unwrap();
        let next = next.get(0).narrow(0, 1, ITEMS); // [V]
        let target = prompts.target.int64_value(&[b]) - 1;
        let own = next.double_value(&[target]);
        let at = [b, g, k];
        let tell = |what: &str, actual: f64, expected: f64, tolerance| {
            let what = format!("{what} {at:?}");
            assert_close(&what, &Tensor::from(actual), &Tensor::from(expected), tolerance);
        };
        let log_prob = next.log_softmax(-1, None).double_value(&[target]);
        tell("log-probability", scores.target_log_prob.double_value(&at), log_prob, VALUES);
        let rank = next.gt(own).sum(Kind::Double).double_value(&[]) + 1.0;
        tell("rank", scores.target_rank.double_value(&at), rank, EXACT);
        if k < 4 {
            let item = paths.items.int64_value(&at);
            let click = match item {
                0 => 0.0,
                item => next.sigmoid().double_value(&[item - 1]),
            };
            tell("click", scores.click_prob.double_value(&at), click, VALUES);
        }
    }
}

/// A path without valid items changes nothing and is never clicked.
pub fn nothing_valid_changes_nothing<M: RewardModel>(mut model: M) {
    let _guard = tch::no_grad_guard();
    let items = Tensor::zeros([4, 2, 3], INTEGERS);
    let length = Tensor::from_slice(&[0i64, 3]).expand([4, 2], false);
    let paths = Paths { stopped: length.lt(3), items, length, tokens: None };
    let scores = model.score_paths(&prompts(4), &paths).unwrap();
    let zero = |size: &[i64]| Tensor::zeros(size, (Kind::Float, Device::Cpu));
    let steps = scores.target_log_prob.diff(1, -1, None::<Tensor>, None::<Tensor>);
    assert_close("steps", &steps, &zero(&[4, 2, 3]), EXACT);
    assert_close("clicks", &scores.click_prob, &zero(&[4, 2, 3]), EXACT);
}

/// Before any item, all items are equally likely.
pub fn nothing_known_is_uniform<M: RewardModel>(mut model: M) {
    let _guard = tch::no_grad_guard();
    let prompts = Prompts { history: Tensor::zeros([2, 5], INTEGERS), target: Tensor::from_slice(&[3i64, 9]) };
    let scores = model.score_paths(&prompts, &paths(2)).unwrap();
    let first = scores.target_log_prob.narrow(-1, 0, 1);
    let uniform = first.full_like(-(ITEMS as f64).ln());
    assert_close("first", &first, &uniform, VALUES);
    let rank = scores.target_rank.narrow(-1, 0, 1);
    assert_close("rank", &rank, &rank.ones_like(), EXACT);
}

/// Histories of five items and paths of valid items only.
pub fn full() -> (Prompts, Paths) {
    let prompts = Prompts { history: sequences(6, 5, 5), target: Tensor::randint_low(1, ITEMS + 1, [6], INTEGERS) };
    (prompts, Paths::from_items(sequences(18, 0, 4).view([6, 3, 4])))
}

/// Neither neighbours nor padding nor the order of a batch matter.
pub fn a_batch_is_its_rows<M: RewardModel>(mut model: M) {
    let _guard = tch::no_grad_guard();
    let (prompts, paths) = (prompts(6), paths(6));
    let whole = model.score_paths(&prompts, &paths).unwrap();
    let part = |scores: &PathScores, b: &Tensor| PathScores {
        target_log_prob: scores.target_log_prob.index_select(0, b),
        target_rank: scores.target_rank.index_select(0, b),
        click_prob: scores.click_prob.index_select(0, b),
    };
    let orders: [&[i64]; 3] = [&[5, 3, 4, 0, 2, 1], &[2], &[4, 1]];
    for order in orders {
        let order = Tensor::from_slice(order);
        let prompts = Prompts {
            history: prompts.history.index_select(0, &order),
            target: prompts.target.index_select(0, &order),
        };
        let paths = Paths {
            items: paths.items.index_select(0, &order),
            length: paths.length.index_select(0, &order),
            stopped: paths.stopped.index_select(0, &order),
            tokens: None,
        };
        let some = model.score_paths(&prompts, &paths).unwrap();
        assert_same(&some, &part(&whole, &order));
    }
    let wider = Prompts { history: prompts.history.constant_pad_nd([0, 3]), target: prompts.target.shallow_clone() };
    assert_same(&model.score_paths(&wider, &paths).unwrap(), &whole);
}

/// The loss at all positions is the mean of the losses of all prefixes, each read for itself.
pub fn all_positions_at_once<M: RewardModel>(mut model: M, width: i64) {
    let items = sequences(5, 2, width);
    let labels = sequences(5, 2, width) * items.ne(0).to_kind(Kind::Int64);
    let mut single = Vec::new();
    for (n, t) in (0..5).flat_map(|n| (0..width).map(move |t| (n, t))) {
        let label = labels.get(n).narrow(0, t, 1).unsqueeze(0); // [1, 1]
        if label.int64_value(&[0, 0]) != 0 {
            let items = items.get(n).narrow(0, 0, t + 1).unsqueeze(0); // [1, t + 1]
            let labels = items.zeros_like();
            labels.narrow(1, t, 1).copy_(&label);
            single.push(model.loss(&Sequences { items, labels }).unwrap().total);
        }
    }
    let mean = Tensor::stack(&single, 0).mean(None);
    let loss = model.loss(&Sequences { items, labels }).unwrap().total;
    assert_close("loss", &loss, &mean, VALUES);
}

/// Every parameter learns; `flat` names those whose gradient is zero by nature.
pub fn every_parameter_learns<M: RewardModel>(mut model: M, flat: &str) {
    model.set_training(true);
    let (items, labels) = (sequences(8, 4, 4), sequences(8, 4, 4));
    model.loss(&Sequences { items, labels }).unwrap().total.backward();
    for (name, parameter) in model.parameters() {
        assert!(parameter.grad().defined(), "{name} has no gradient");
        let size = parameter.grad().abs().max().double_value(&[]);
        assert!(size > 1e-8 || name.ends_with(flat), "{name} does not learn: {size}");
    }
}

/// Dropout is on exactly while training, and never when judging.
pub fn dropout_is_for_training<M: RewardModel>(mut model: M) {
    let (items, labels) = (sequences(8, 2, 4), sequences(8, 2, 4));
    let batch = Sequences { items, labels };
    let mut twice = |training| {
        model.set_training(training);
        [(); 2].map(|()| model.loss(&batch).unwrap().total.double_value(&[]))
    };
    let [first, second] = twice(false);
    assert_eq!(first, second);
    let [first, second] = twice(true);
    assert_ne!(first, second);
    let states = [(); 2].map(|()| model.prefix_states(&batch.items).unwrap());
    assert_close("states", &states[0], &states[1], EXACT);
}

/// Shapes that do not fit are refused with a sentence.
pub fn wrong_shapes_are_refused<M: RewardModel>(mut model: M) {
    let refused = model.score_paths(&prompts(3), &paths(2)).unwrap_err();
    assert!(refused.to_string().contains("[B, G, P]"), "{refused}");
    let (items, labels) = (sequences(2, 1, 4), sequences(2, 1, 3));
    assert!(model.loss(&Sequences { items, labels }).is_err());
    assert!(model.next_item_scores(&Tensor::from_slice(&[1i64])).is_err());
}
