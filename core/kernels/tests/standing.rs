//! Where a score stands, beside libtorch's functions.
#![allow(clippy::unwrap_used)]

use prorl_kernels::standing::{serves, total_and_greater};
use tch::{Device, Kind, Tensor};

const FLOATS: (Kind, Device) = (Kind::Float, Device::Cpu);

fn served() -> bool {
    let served = serves(&Tensor::zeros([1, 1], FLOATS));
    if !served {
        eprintln!("skipped: this processor has no AVX2");
    }
    served
}

#[test]
fn totals_and_counts_agree_with_libtorch() {
    if !served() {
        return;
    }
    tch::manual_seed(3);
    for (rows, width, scale) in [(1, 1, 1.0), (5, 7, 1.0), (300, 8, 30.0), (2, 9, 1e-3), (700, 3883, 4.0), (3, 64, 0.0)]
    {
        let scores = Tensor::randn([rows, width], FLOATS) * scale;
        let own = scores.narrow(1, width / 2, 1).contiguous();
        let (total, greater) = total_and_greater(&scores, &own);
        let expected = scores.to_kind(Kind::Double).logsumexp(-1, true);
        let off = (total.to_kind(Kind::Double) - &expected).abs().max().double_value(&[]);
        assert!(off < 4e-6 * (1.0 + expected.abs().max().double_value(&[])), "{rows} rows of {width}: {off}");
        assert_eq!(greater, scores.gt_tensor(&own).sum_dim_intlist(-1, true, Kind::Float), "{rows} rows of {width}");
    }
}

#[test]
fn what_is_hidden_counts_for_nothing_and_what_is_no_number_is_seen() {
    if !served() {
        return;
    }
    let (hidden, none, all) = (f32::NEG_INFINITY, f32::NAN, f32::INFINITY);
    let scores =
        Tensor::from_slice(&[0.0, hidden, 0.0, hidden, hidden, hidden, 1.0, none, 2.0, 1.0, all, 2.0]).view([4, 3]);
    let (total, greater) = total_and_greater(&scores, &Tensor::zeros([4, 1], FLOATS));
    let total = Vec::<f32>::try_from(total.flatten(0, -1)).unwrap();
    assert!((total[0] - 2f32.ln()).abs() < 1e-6 && total[1] == hidden, "{total:?}");
    assert!(total[2].is_nan() && total[3].is_nan(), "{total:?}");
    assert_eq!(Vec::<f32>::try_from(greater.flatten(0, -1)).unwrap(), [0.0, 0.0, 2.0, 3.0]);
}

#[test]
fn no_gradient_is_lost_in_silence() {
    assert!(!serves(&Tensor::zeros([2, 2], FLOATS).set_requires_grad(true)));
    assert!(!serves(&Tensor::zeros([2, 2], (Kind::Double, Device::Cpu))));
    assert!(!serves(&Tensor::zeros([2, 4], FLOATS).narrow(1, 0, 2)));
}
