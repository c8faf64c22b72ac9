//! Sub-layers beside libtorch's functions in double precision, and beside the same function by function in bf16.

mod plain;

use plain::{EPSILON, hold_slopes, inner, looked_up, normalised, with_gradients};
use prorl_kernels::attention::Spans;
use prorl_kernels::factors::Factors;
use prorl_kernels::sublayers::{Sights, feed_forward, look, serves};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};

/// Rows in one part, whole steps or not, and in several.
const ROWS: [i64; 5] = [1, 32, 97, 512, 1283];

/// libtorch's generator is everybody's: one test at a time, where sub-layers are served.
fn alone() -> Option<MutexGuard<'static, ()>> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    if !serves(Device::Cpu, &[16]) {
        eprintln!("skipped: this processor has no AVX2");
        return None;
    }
    let guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::set_num_threads(2);
    tch::manual_seed(2);
    Some(guard)
}

fn random(size: &[i64]) -> Tensor {
    Tensor::randn(size, (Kind::Float, Device::Cpu))
}

/// Off by how much, as root mean squares.
fn off(ours: &Tensor, theirs: &Tensor) -> f64 {
    let (ours, theirs) = (ours.to_kind(Kind::Double), theirs.to_kind(Kind::Double));
    if ours.numel() == 0 {
        return 0.0;
    }
    (ours - &theirs).norm().double_value(&[]) / theirs.norm().double_value(&[]).max(1e-30)
}

/// Holds a sub-layer to another way, each in its own kinds.
fn hold(name: &str, near: f64, ours: &[Tensor], theirs: &[Tensor]) {
    for (part, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        let off = off(ours, theirs);
        assert!(ours.size() == theirs.size() && off < near, "{name}, part {part}: {off}");
    }
}

fn doubles(inputs: &[Tensor]) -> Vec<Tensor> {
    inputs.iter().map(|it| it.to_kind(Kind::Double)).collect()
}

#[test]
fn feed_forward_agrees_with_libtorch() {
    let Some(_alone) = alone() else { return };
    for (rows, (width, hidden)) in ROWS.into_iter().zip([(16, 16), (32, 48), (128, 16), (16, 128), (128, 512)]) {
        // Weights lie by columns, as parameters do.
        let inputs = [random(&[rows, width]), random(&[hidden, width]), random(&[hidden, width])];
        let of_result = random(&[rows, width]);
        let ours = with_gradients(
            |it| feed_forward(&it[0], &it[1].tr(), &it[2], inner(Factors::Float32, 0.0)),
            &inputs,
            &of_result,
        );
        let plain = |it: &[Tensor]| &it[0] + normalised(&it[0]).mm(&it[1].tr()).relu().mm(&it[2]);
        let theirs = with_gradients(plain, &doubles(&inputs), &of_result);
        hold(&format!("{rows} rows of {width}, {hidden} inside"), 1e-6, &ours, &theirs);
        let alone =
            tch::no_grad(|| feed_forward(&inputs[0], &inputs[1].tr(), &inputs[2], inner(Factors::Float32, 0.0)));
        assert_eq!(ours[0], alone, "the same without gradients");
    }
}

/// Masks that hide some of the last keys, or the first, of every prompt but one.
fn mask(prompts: i64, keys: i64) -> Tensor {
    let mask = Tensor::zeros([prompts, keys], (Kind::Float, Device::Cpu));
    for prompt in 1..prompts.min(keys) {
        let hidden = if prompt == 2 { (0, 1) } else { (keys - prompt, prompt) };
        let _ = mask.get(prompt).narrow(0, hidden.0, hidden.1).fill_(f64::NEG_INFINITY);
    }
    mask
}

#[test]
fn what_rows_find_in_their_prompts_agrees_with_libtorch() {
    let Some(_alone) = alone() else { return };
    let sizes: [(&[usize], i64, i64, i64); 4] =
        [(&[7, 1, 0, 13], 2, 8, 16), (&[208; 3], 4, 48, 128), (&[97, 300], 1, 16, 32), (&[1], 3, 8, 48)];
    for (lengths, heads, keys, width) in sizes {
        let (prompts, rows) = (lengths.len() as i64, lengths.iter().sum::<usize>() as i64);
        let memory = || random(&[prompts, heads * keys, width]) / (width as f64).sqrt();
        let (inputs, of_result) = ([random(&[rows, width]), memory(), memory()], random(&[rows, width]));
        let (mask, spans) = (mask(prompts, keys), Spans::packed(lengths));
        let ours = |it: &[Tensor]| {
            look(&it[0], &spans, Sights { keys: &it[1], values: &it[2], mask: Some(&mask), heads }, EPSILON)
        };
        let theirs = |it: &[Tensor]| looked_up(it, lengths, &mask.to_kind(Kind::Double), heads);
        let name = format!("{lengths:?} rows, {heads} heads of {keys} keys");
        let expected = with_gradients(theirs, &doubles(&inputs), &of_result);
        hold(&name, 1e-6, &with_gradients(ours, &inputs, &of_result), &expected);
        // In bf16, as far off as function by function.
        let [states, others @ ..] = &inputs;
        let rounded: Vec<Tensor> =
            [states.shallow_clone()].into_iter().chain(others.iter().map(|it| it.to_kind(Kind::BFloat16))).collect();
        let ours = with_gradients(ours, &rounded, &of_result);
        let plain = with_gradients(|it| looked_up(it, lengths, &mask, heads), &rounded, &of_result);
        for (part, ((ours, plain), exact)) in ours.iter().zip(&plain).zip(&expected).enumerate() {
            let (ours, plain) = (off(ours, exact), off(plain, exact));
            assert!(ours <= 1.5 * plain + 1e-6 && ours < 0.05, "{name}, part {part}: {ours} beside {plain}");
        }
    }
}

#[test]
fn without_a_mask_all_keys_are_seen() {
    let Some(_alone) = alone() else { return };
    let (states, keys, values) = (random(&[40, 16]), random(&[2, 16, 16]), random(&[2, 16, 16]));
    let (spans, none) = (Spans::packed(&[30, 10]), Tensor::zeros([2, 8], (Kind::Float, Device::Cpu)));
    let seen = |mask| look(&states, &spans, Sights { keys: &keys, values: &values, mask, heads: 2 }, EPSILON);
    assert_eq!(seen(None), seen(Some(&none)));
}

/// In bf16, the layer is as far off as function by function with factors and gradients of these bits.
#[test]
fn feed_forward_in_bf16_is_off_by_its_rounding() {
    let Some(_alone) = alone() else { return };
    for factors in [Factors::Bf16, Factors::Rounded] {
        let inputs = [random(&[700, 64]), random(&[128, 64]), random(&[128, 64])];
        let of_result = random(&[700, 64]);
        let plain = |it: &[Tensor]| &it[0] + normalised(&it[0]).mm(&it[1].tr()).relu().mm(&it[2]);
        let exact = with_gradients(plain, &doubles(&inputs), &of_result);
        let ours =
            |it: &[Tensor]| feed_forward(&it[0], &factors.of(&it[1].tr()), &factors.of(&it[2]), inner(factors, 0.0));
        let by_function = |it: &[Tensor]| {
            let hidden = factors.of(&normalised(&it[0])).mm(&factors.of(&it[1].tr()));
            &it[0] + factors.of(&hidden.relu()).mm(&factors.of(&it[2])).to_kind(Kind::Float)
        };
        let (ours, by_function) =
            (with_gradients(ours, &inputs, &of_result), with_gradients(by_function, &inputs, &of_result));
        for (part, ((ours, by_function), exact)) in ours.iter().zip(&by_function).zip(&exact).enumerate() {
            let (ours, by_function) = (off(ours, exact), off(by_function, exact));
            assert!(ours <= 1.2 * by_function, "{factors:?}, part {part}: {ours} beside {by_function}");
            assert!(ours > 1e-4 && ours < 0.1, "{factors:?}, part {part}: {ours}");
        }
    }
}

/// With dropout, the layer is a function of its inputs and of the generator's state: its gradient is that function's slope.
#[test]
fn gradients_with_dropout_are_slopes() {
    let Some(_alone) = alone() else { return };
    let inputs = [random(&[700, 32]), random(&[32, 64]), random(&[64, 32])];
    let layer = |it: &[Tensor], dropout| {
        tch::manual_seed(5);
        feed_forward(&it[0], &it[1], &it[2], inner(Factors::Float32, dropout))
    };
    let of_result = random(&[700, 32]);
    let found = with_gradients(|it| layer(it, 0.3), &inputs, &of_result);
    assert!(off(&found[0], &layer(&inputs, 0.0)) > 0.1, "something is dropped");
    hold_slopes(|it| layer(it, 0.3), &inputs, &of_result, &found[1..]);
}

/// Means over many draws are what comes out without dropout.
#[test]
fn what_is_kept_makes_up_for_what_is_dropped() {
    let Some(_alone) = alone() else { return };
    // Of equal rows all differences are dropout's.
    let (x, into, out) = (random(&[1, 32]).repeat([20_000, 1]), random(&[32, 64]), random(&[64, 32]));
    let mean = |dropout| {
        let found = feed_forward(&x, &into, &out, inner(Factors::Float32, dropout));
        found.mean_dim([0].as_slice(), false, Kind::Double)
    };
    assert!(off(&mean(0.1), &mean(0.0)) < 0.01);
}

#[test]
fn the_same_comes_out_every_time() {
    let Some(_alone) = alone() else { return };
    let inputs = [random(&[5000, 64]), random(&[64, 128]), random(&[128, 64])];
    let of_result = random(&[5000, 64]);
    let run = || {
        tch::manual_seed(7);
        let layer = |it: &[Tensor]| feed_forward(&it[0], &it[1], &it[2], inner(Factors::Float32, 0.1));
        with_gradients(layer, &inputs, &of_result)
    };
    let first = run();
    assert!((0..5).all(|_| run() == first));
}

#[test]
fn no_rows_are_fine() {
    let Some(_alone) = alone() else { return };
    let layer = |it: &[Tensor]| feed_forward(&it[0], &it[1], &it[2], inner(Factors::Float32, 0.0));
    let parts = with_gradients(layer, &[random(&[0, 32]), random(&[32, 16]), random(&[16, 32])], &random(&[0, 32]));
    assert_eq!(parts.iter().map(Tensor::size).collect::<Vec<_>>(), [[0, 32], [0, 32], [32, 16], [16, 32]]);
    assert!(parts[2..].iter().all(|part| part.abs().sum(Kind::Double).double_value(&[]) == 0.0));
}

/// What is no number in a row is none in its result, and no other row is touched by it.
#[test]
fn what_is_no_number_stays_in_its_row() {
    let Some(_alone) = alone() else { return };
    let x = Tensor::ones([8, 16], (Kind::Float, Device::Cpu));
    let _ = x.get(7).get(3).fill_(f64::NAN);
    let w = Tensor::ones([16, 16], (Kind::Float, Device::Cpu));
    let found = feed_forward(&x, &w, &w, inner(Factors::Float32, 0.0));
    assert!(found.narrow(0, 0, 7).isfinite().all().int64_value(&[]) == 1);
    assert!(found.get(7).isnan().any().int64_value(&[]) == 1);
}

#[test]
fn other_widths_are_refused() {
    assert!(!serves(Device::Cpu, &[128, 257]) && !serves(Device::Cpu, &[0]));
}
