//! Dropout and its neighbours beside libtorch's functions.
#![allow(clippy::unwrap_used)]

use prorl_kernels::dropout::{dropped, dropped_relu, plus_dropped, serves};
use prorl_kernels::factors::Factors;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tch::{Device, Kind, Tensor};

/// libtorch's generator for one test alone; none where the processor is not served.
fn generator(seed: i64) -> Option<MutexGuard<'static, ()>> {
    static GENERATOR: Mutex<()> = Mutex::new(());
    if !serves(&Tensor::ones([8], (Kind::Float, Device::Cpu))) {
        eprintln!("skipped: this processor has no AVX2");
        return None;
    }
    let guard = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(seed);
    Some(guard)
}

/// Numbers that differ from 0, exact in bf16.
fn numbers(size: &[i64], kind: Kind) -> Tensor {
    let some = Tensor::randn(size, (Kind::BFloat16, Device::Cpu)).to_kind(Kind::Float);
    (some.sign() * (some.abs() + 0.25)).to_kind(Kind::BFloat16).to_kind(kind).set_requires_grad(true)
}

/// The factors of dropout that a call draws after this seed: what it makes of ones.
fn factors(size: &[i64], share: f64, seed: i64) -> Tensor {
    tch::manual_seed(seed);
    dropped(&Tensor::ones(size, (Kind::Float, Device::Cpu)), share)
}

fn factors_of(kind: Kind) -> Factors {
    if kind == Kind::BFloat16 { Factors::Bf16 } else { Factors::Float32 }
}

fn gradient(result: &Tensor, of_result: &Tensor, input: &Tensor) -> Tensor {
    let loss = (result * of_result.to_kind(result.kind())).sum(Kind::Float);
    Tensor::run_backward(&[loss], &[input], false, false).remove(0)
}

#[test]
fn shares_and_means_are_those_asked_for() {
    let Some(_alone) = generator(1) else { return };
    for share in [0.1, 0.5, 0.9] {
        let kept = factors(&[1001, 400], share, 7);
        let zeros = kept.eq(0.0).to_kind(Kind::Double);
        let of_columns = zeros.mean_dim([0].as_slice(), false, Kind::Double);
        let mean = zeros.mean(Kind::Double).double_value(&[]);
        assert!((mean - share).abs() < 0.004, "{mean} of {share}"); // five standard deviations
        assert!((of_columns - share).abs().max().double_value(&[]) < 0.08, "every column drops its share");
        let most = kept.max().double_value(&[]);
        assert!((most * (1.0 - share) - 1.0).abs() < 1e-3, "{most}");
        for lag in [1, 2, 3, 4, 1024] {
            let flat = kept.gt(0.0).to_kind(Kind::Double).view([-1]);
            let both = flat.narrow(0, lag, 390_000) * flat.narrow(0, 0, 390_000);
            let expected = (1.0 - share) * (1.0 - share);
            let both = both.mean(Kind::Double).double_value(&[]);
            assert!((both - expected).abs() < 0.004, "{both} for {expected} at a distance of {lag}");
        }
    }
}

#[test]
fn results_and_gradients_are_those_of_the_factors_drawn() {
    let Some(_alone) = generator(2) else { return };
    for (kind, size) in [
        (Kind::Float, [300, 128]),
        (Kind::BFloat16, [300, 128]),
        (Kind::Float, [3, 8]),
        (Kind::BFloat16, [1, 24]),
        (Kind::Float, [0, 8]),
    ] {
        let (x, states) = (numbers(&size, kind), numbers(&size, Kind::Float));
        let of_result = numbers(&size, kind).detach();
        for share in [0.0, 0.25] {
            let kept = factors(&size, share, 3);
            let wide = x.to_kind(Kind::Float) * &kept;
            let of_wide = (of_result.to_kind(Kind::Float) * &kept).to_kind(kind);
            let draw = |call: &dyn Fn() -> Tensor| {
                tch::manual_seed(3);
                call()
            };

            let plain = draw(&|| dropped(&x, share));
            assert_eq!(plain, wide.to_kind(kind));
            assert_eq!(gradient(&plain, &of_result, &x), of_wide);

            let positive = draw(&|| dropped_relu(&x, share, factors_of(kind)));
            assert_eq!(positive, wide.relu().to_kind(kind));
            assert_eq!(gradient(&positive, &of_result, &x), &of_wide * x.gt(0.0).to_kind(kind));

            let sum = draw(&|| plus_dropped(&states, &x, share));
            let off = (&sum - (&states + &wide)).abs().sum(Kind::Double).double_value(&[]);
            assert!(sum.kind() == Kind::Float && off <= 1e-6 * sum.numel() as f64, "{off}");
            assert_eq!(gradient(&draw(&|| plus_dropped(&states, &x, share)), &of_result, &x), of_wide);
            assert_eq!(gradient(&sum, &of_result, &states), of_result.to_kind(Kind::Float));
        }
    }
}

#[test]
fn what_is_drawn_follows_from_the_seed_and_not_from_threads() {
    let Some(_alone) = generator(3) else { return };
    let size = [1000, 128];
    let first = factors(&size, 0.3, 1);
    assert_eq!(first, factors(&size, 0.3, 1));
    assert_ne!(first, factors(&size, 0.3, 2));
    let threads = tch::get_num_threads();
    tch::set_num_threads(if threads == 1 { 2 } else { 1 });
    let other = factors(&size, 0.3, 1);
    tch::set_num_threads(threads);
    assert_eq!(first, other);
    tch::manual_seed(1);
    let ones = Tensor::ones(size, (Kind::Float, Device::Cpu));
    assert_ne!(dropped(&ones, 0.3), dropped(&ones, 0.3), "two calls draw anew");
}

#[test]
fn what_is_no_number_is_passed_on() {
    let Some(_alone) = generator(4) else { return };
    let x = Tensor::full([2, 8], f64::NAN, (Kind::Float, Device::Cpu));
    assert!(bool::try_from(dropped_relu(&x, 0.0, Factors::Rounded).isnan().all()).unwrap());
    assert!(bool::try_from(dropped_relu(&x.to_kind(Kind::BFloat16), 0.0, Factors::Bf16).isnan().all()).unwrap());
}

#[test]
fn rounded_activations_are_factors() {
    let Some(_alone) = generator(5) else { return };
    let x = Tensor::randn([40, 32], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let of_result = Tensor::randn([40, 32], (Kind::BFloat16, Device::Cpu));
    let positive = dropped_relu(&x, 0.0, Factors::Rounded);
    assert_eq!(positive, Factors::Rounded.of(&x.relu()));
    assert_eq!(gradient(&positive, &of_result, &x), of_result.to_kind(Kind::Float) * x.gt(0.0).to_kind(Kind::Float));
}

#[test]
fn other_numbers_are_refused() {
    for (size, kind) in [(&[128][..], Kind::Double), (&[12], Kind::Float), (&[3, 0], Kind::Float), (&[], Kind::Float)] {
        assert!(!serves(&Tensor::ones(size, (kind, Device::Cpu))), "{size:?} {kind:?}");
    }
}
