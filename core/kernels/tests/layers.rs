//! Layers beside libtorch's functions in double precision.

mod plain;

use plain::{EPSILON, hold_slopes, inner, looked_up, normalised, with_gradients};
use prorl_kernels::attention::Spans;
use prorl_kernels::dropout::dropped_relu;
use prorl_kernels::factors::Factors;
use prorl_kernels::layers::{self, Memory, Weights, serves};
use prorl_kernels::norm::root_mean_square;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};

/// Rows that fill no tile, one tile, a chunk, a part, and several.
const ROWS: [i64; 6] = [1, 6, 7, 97, 1283, 3001];

/// libtorch's generator is everybody's: one test at a time, where layers are served.
fn alone() -> Option<MutexGuard<'static, ()>> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    if !serves(Device::Cpu, Factors::Float32, &[16]) {
        eprintln!("skipped: this processor has no AVX2");
        return None;
    }
    let guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(1);
    Some(guard)
}

fn random(rows: i64, width: i64) -> Tensor {
    Tensor::randn([rows, width], (Kind::Float, Device::Cpu)).set_requires_grad(true)
}

fn weights(w: &Tensor) -> Weights {
    Weights::of(w.shallow_clone())
}

/// Off by how much of the largest number.
fn off(ours: &Tensor, theirs: &Tensor) -> f64 {
    let (ours, theirs) = (ours.to_kind(Kind::Double), theirs.to_kind(Kind::Double));
    if ours.numel() == 0 {
        return 0.0;
    }
    (ours - &theirs).abs().max().double_value(&[]) / theirs.abs().max().double_value(&[]).max(1e-30)
}

/// Holds a layer to another, which is given the same inputs in double precision.
fn hold(name: &str, inputs: &[Tensor], ours: impl Fn(&[Tensor]) -> Tensor, theirs: impl Fn(&[Tensor]) -> Tensor) {
    let doubles: Vec<Tensor> =
        inputs.iter().map(|it| it.detach().to_kind(Kind::Double).set_requires_grad(true)).collect();
    let of_result = tch::no_grad(|| ours(inputs)).randn_like();
    let theirs = with_gradients(theirs, &doubles, &of_result);
    for (part, (ours, theirs)) in with_gradients(ours, inputs, &of_result).iter().zip(&theirs).enumerate() {
        let off = off(ours, theirs);
        assert!(ours.size() == theirs.size() && off < 3e-6, "{name}, part {part}: {off}");
    }
}

#[test]
fn products_agree_with_libtorch() {
    let Some(_alone) = alone() else { return };
    for (rows, (inner, outer)) in
        ROWS.into_iter().zip([(16, 16), (32, 48), (128, 16), (16, 128), (256, 128), (128, 768)])
    {
        let name = format!("{rows} rows, {inner} to {outer}");
        let (x, states) = (random(rows, inner), random(rows, outer));
        let by_rows = [x.shallow_clone(), random(inner, outer)];
        hold(&name, &by_rows, |it| layers::product(&it[0], &weights(&it[1])), |it| it[0].mm(&it[1]));
        let by_columns = [x.shallow_clone(), random(outer, inner)];
        hold(&name, &by_columns, |it| layers::product(&it[0], &Weights::of(it[1].tr())), |it| it[0].mm(&it[1].tr()));
        let project = |it: &[Tensor]| layers::projection(&it[0], &Weights::of(it[1].tr()), EPSILON, Factors::Float32);
        hold(&name, &by_columns, project, |it| normalised(&it[0]).mm(&it[1].tr()));
        let [_, w] = by_rows;
        let residual = |it: &[Tensor]| layers::residual(&it[0], &it[1], &weights(&it[2]), 0.0);
        hold(&name, &[states, x, w], residual, |it| &it[0] + it[1].mm(&it[2]));
    }
}

#[test]
fn feed_forward_agrees_with_libtorch() {
    let Some(_alone) = alone() else { return };
    for (rows, (width, hidden)) in
        ROWS.into_iter().zip([(16, 16), (32, 48), (128, 16), (16, 128), (48, 96), (128, 512)])
    {
        let inputs = [random(rows, width), random(hidden, width), random(hidden, width)];
        let layer = |it: &[Tensor]| {
            layers::feed_forward(&it[0], &Weights::of(it[1].tr()), &weights(&it[2]), inner(Factors::Float32, 0.0))
        };
        let plain = |it: &[Tensor]| &it[0] + normalised(&it[0]).mm(&it[1].tr()).relu().mm(&it[2]);
        hold(&format!("{rows} rows of {width}, {hidden} inside"), &inputs, layer, plain);
    }
}

#[test]
fn what_rows_find_in_their_prompts_agrees_with_libtorch() {
    let Some(_alone) = alone() else { return };
    let sizes: [(&[usize], i64, i64, i64); 4] =
        [(&[7, 1, 0, 13], 2, 5, 16), (&[208; 3], 4, 45, 128), (&[97, 300], 1, 16, 32), (&[1], 3, 1, 48)];
    for (lengths, heads, keys, width) in sizes {
        let prompts = lengths.len() as i64;
        let rows = random(lengths.iter().sum::<usize>() as i64, width);
        let inputs = [rows, random(prompts, heads * keys * width), random(prompts, heads * keys * width)];
        let memory = |it: &Tensor| it.view([prompts, heads * keys, width]) / (width as f64).sqrt();
        // Every prompt but the first lacks some keys at the end, or one at the beginning.
        let mask = Tensor::zeros([prompts, keys], (Kind::Float, Device::Cpu));
        for prompt in 1..prompts.min(keys) {
            let lacking = if prompt == 2 {
                mask.get(prompt).narrow(0, 0, 1)
            } else {
                mask.get(prompt).narrow(0, keys - prompt, prompt)
            };
            let _ = lacking.shallow_clone().fill_(f64::NEG_INFINITY);
        }
        let spans = Spans::packed(lengths);
        let ours = |it: &[Tensor]| {
            let memory = Memory::of(&memory(&it[1]), &memory(&it[2]), Some(&mask), heads);
            layers::look(&it[0], &spans, &memory, EPSILON)
        };
        let theirs = |it: &[Tensor]| {
            let it = [it[0].shallow_clone(), memory(&it[1]), memory(&it[2])];
            looked_up(&it, lengths, &mask.to_kind(Kind::Double), heads)
        };
        hold(&format!("{lengths:?} rows, {heads} heads of {keys} keys"), &inputs, ours, theirs);
    }
}

#[test]
fn some_prompts_are_looked_at_like_all() {
    let Some(_alone) = alone() else { return };
    let (keys, values) = (random(5, 6 * 16).view([5, 6, 16]), random(5, 6 * 16).view([5, 6, 16]));
    let (memory, rows) = (Memory::of(&keys, &values, None, 2), random(20, 16));
    let all = layers::look(&rows, &Spans::packed(&[4; 5]), &memory, EPSILON);
    let some = memory.some(&Tensor::from_slice(&[1_i64, 4]));
    assert_eq!((memory.prompts(), some.prompts(), some.width()), (5, 2, 16));
    let of = |tensor: &Tensor| Tensor::cat(&[tensor.narrow(0, 4, 4), tensor.narrow(0, 16, 4)], 0);
    assert_eq!(layers::look(&of(&rows), &Spans::packed(&[4; 2]), &some, EPSILON), of(&all));
}

/// Where no gradient is wanted, the same comes out, and none is made.
#[test]
fn only_wanted_gradients_are_made() {
    let Some(_alone) = alone() else { return };
    let (x, w, out) = (random(500, 32), random(32, 64), random(64, 32));
    let (of_x, of_w) = (x.detach(), w.detach());
    let plain = x.mm(&w).sum(Kind::Float);
    let theirs = Tensor::run_backward(&[plain], &[&x, &w], false, false);
    let normal = normalised(&x).mm(&w).sum(Kind::Float);
    let of_normal = Tensor::run_backward(&[normal], &[&x, &w], false, false);
    for (x, w, wanted) in [(&x, &of_w, 0), (&of_x, &w, 1)] {
        let found = layers::product(x, &weights(w)).sum(Kind::Float);
        let ours = Tensor::run_backward(&[found], &[[x, w][wanted]], false, false);
        assert!(off(&ours[0], &theirs[wanted]) < 3e-6, "{wanted}");
        let found = layers::projection(x, &weights(w), EPSILON, Factors::Float32).sum(Kind::Float);
        let ours = Tensor::run_backward(&[found], &[[x, w][wanted]], false, false);
        assert!(off(&ours[0], &of_normal[wanted]) < 3e-6, "{wanted}");
        let found = layers::residual(&of_x.zeros_like().repeat([1, 2]), x, &weights(w), 0.0).sum(Kind::Float);
        let ours = Tensor::run_backward(&[found], &[[x, w][wanted]], false, false);
        assert!(off(&ours[0], &theirs[wanted]) < 3e-6, "{wanted}");
    }
    let layer = || layers::feed_forward(&x, &weights(&w), &weights(&out), inner(Factors::Float32, 0.0));
    let (followed, alone) = (layer(), tch::no_grad(layer));
    assert_eq!(followed, alone);
    assert!(followed.requires_grad() && !alone.requires_grad());
}

/// Dropped shares and the scale of the rest, seen in what is added.
#[test]
fn residuals_drop_what_they_add() {
    let Some(_alone) = alone() else { return };
    let (states, x, w) = (random(2000, 32), random(2000, 48), random(48, 32));
    let added = x.mm(&w);
    let result = layers::residual(&states, &x, &weights(&w), 0.25);
    let multipliers = (&result - &states).detach() / &added.detach();
    let kept = multipliers.gt(0.5).to_kind(Kind::Float);
    assert!((kept.mean(Kind::Float).double_value(&[]) - 0.75).abs() < 0.01);
    assert!(off(&multipliers, &(&kept / 0.75)) < 0.01, "kept numbers are scaled");
    let of_result = result.detach().randn_like();
    let inputs = [&states, &x, &w];
    let ours = Tensor::run_backward(&[(&result * &of_result).sum(Kind::Float)], &inputs, false, false);
    let plain = &states + added * kept / 0.75;
    let theirs = Tensor::run_backward(&[(plain * of_result).sum(Kind::Float)], &inputs, false, false);
    assert!(ours.iter().zip(&theirs).all(|(ours, theirs)| off(ours, theirs) < 3e-6));
}

/// With dropout, a layer is a function of its inputs and of the generator's state: its gradient is that function's slope.
#[test]
fn gradients_with_dropout_are_slopes() {
    let Some(_alone) = alone() else { return };
    let inputs = [random(700, 32), random(32, 64), random(64, 32)];
    let layer = |it: &[Tensor]| {
        tch::manual_seed(5);
        layers::feed_forward(&it[0], &weights(&it[1]), &weights(&it[2]), inner(Factors::Float32, 0.3))
    };
    let of_result = inputs[0].detach().randn_like();
    let found = with_gradients(layer, &inputs, &of_result);
    let dropped_none =
        layers::feed_forward(&inputs[0], &weights(&inputs[1]), &weights(&inputs[2]), inner(Factors::Float32, 0.0));
    assert!(off(&found[0], &dropped_none) > 0.1, "something is dropped");
    hold_slopes(layer, &inputs, &of_result, &found[1..]);
}

/// Means over many draws are what comes out without dropout.
#[test]
fn what_is_kept_makes_up_for_what_is_dropped() {
    let Some(_alone) = alone() else { return };
    // Of equal rows all differences are dropout's.
    let (x, into, out) = (random(1, 32).repeat([20_000, 1]).detach(), random(32, 64), random(64, 32));
    let mean = |dropout| {
        let found = tch::no_grad(|| {
            layers::feed_forward(&x, &weights(&into), &weights(&out), inner(Factors::Float32, dropout))
        });
        found.mean_dim([0].as_slice(), false, Kind::Double)
    };
    assert!(off(&mean(0.1), &mean(0.0)) < 0.01);
}

/// What is rounded to bf16 is what the norm and the activation round as passes of their own; sums are float32.
#[test]
fn rounded_factors_are_those_of_bf16() {
    let Some(_alone) = alone() else { return };
    let (x, into, out) = (random(900, 64), random(64, 128), random(128, 64));
    let [into, out] = [into, out].map(|w| Factors::Rounded.of(&w.detach()));
    let (normal, doubles) = (root_mean_square(&x, EPSILON, Factors::Rounded), |w: &Tensor| w.to_kind(Kind::Double));
    let projected = layers::projection(&x, &weights(&into), EPSILON, Factors::Rounded);
    assert!(off(&projected, &doubles(&normal).mm(&doubles(&into))) < 3e-6);
    let hidden = dropped_relu(&projected, 0.0, Factors::Rounded);
    let found = layers::feed_forward(&x, &weights(&into), &weights(&out), inner(Factors::Rounded, 0.0));
    assert!(off(&found, &(doubles(&x) + doubles(&hidden).mm(&doubles(&out)))) < 3e-6);
    let exact = layers::feed_forward(&x, &weights(&into), &weights(&out), inner(Factors::Float32, 0.0));
    assert!(off(&found, &exact) > 1e-5, "factors are rounded");
    let apart = layers::residual(
        &x,
        &dropped_relu(&layers::product(&normal, &weights(&into)), 0.0, Factors::Rounded),
        &weights(&out),
        0.0,
    );
    let of_result = x.detach().randn_like();
    let gradient = |found: Tensor| Tensor::run_backward(&[(found * &of_result).sum(Kind::Float)], &[&x], false, false);
    let [found, apart, exact] = [found, apart, exact].map(|found| gradient(found).remove(0));
    assert!(off(&found, &apart) < 3e-6 && off(&found, &exact) > 1e-4, "gradients are rounded likewise");
}

/// What is no number in a row is none in its result, and no other row is touched by it.
#[test]
fn what_is_no_number_stays_in_its_row() {
    let Some(_alone) = alone() else { return };
    let x = Tensor::ones([8, 16], (Kind::Float, Device::Cpu));
    let _ = x.get(7).get(3).fill_(f64::NAN);
    let w = Tensor::ones([16, 16], (Kind::Float, Device::Cpu));
    for found in [
        layers::product(&x, &weights(&w)),
        layers::feed_forward(&x, &weights(&w), &weights(&w), inner(Factors::Float32, 0.0)),
    ] {
        assert!(found.narrow(0, 0, 7).isfinite().all().int64_value(&[]) == 1);
        assert!(found.get(7).isnan().any().int64_value(&[]) == 1);
    }
}

#[test]
fn the_same_comes_out_every_time() {
    let Some(_alone) = alone() else { return };
    let inputs = [random(5000, 64), random(128, 64), random(128, 64)];
    let of_result = inputs[0].detach().randn_like();
    let run = || {
        tch::manual_seed(7);
        let layer = |it: &[Tensor]| {
            layers::feed_forward(&it[0], &Weights::of(it[1].tr()), &weights(&it[2]), inner(Factors::Float32, 0.1))
        };
        with_gradients(layer, &inputs, &of_result)
    };
    let first = run();
    assert!((0..5).all(|_| run() == first));
}

#[test]
fn no_rows_are_fine() {
    let Some(_alone) = alone() else { return };
    let of_result = random(0, 32).detach();
    let layer =
        |it: &[Tensor]| layers::feed_forward(&it[0], &weights(&it[1]), &weights(&it[2]), inner(Factors::Float32, 0.0));
    let parts = with_gradients(layer, &[random(0, 32), random(32, 16), random(16, 32)], &of_result);
    assert_eq!(parts.iter().map(Tensor::size).collect::<Vec<_>>(), [[0, 32], [0, 32], [32, 16], [16, 32]]);
    assert!(parts[2..].iter().all(|part| part.abs().sum(Kind::Double).double_value(&[]) == 0.0));
}

/// What is not in one piece is read all the same.
#[test]
fn parts_of_tensors_are_read_as_they_are() {
    let Some(_alone) = alone() else { return };
    let inputs = [random(64, 50), random(64, 96)];
    let cut = |it: &[Tensor]| (it[0].tr().narrow(0, 3, 40), it[1].narrow(1, 16, 32));
    let product = |it: &[Tensor]| layers::product(&cut(it).0, &weights(&cut(it).1));
    hold("parts", &inputs, product, |it| cut(it).0.mm(&cut(it).1));
}

#[test]
fn other_widths_and_kinds_are_refused() {
    assert!(!serves(Device::Cpu, Factors::Float32, &[128, 257]) && !serves(Device::Cpu, Factors::Float32, &[0]));
    assert!(!serves(Device::Cpu, Factors::Bf16, &[128]));
}
