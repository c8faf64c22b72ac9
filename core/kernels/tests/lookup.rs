//! Lookups beside libtorch's.
#![allow(clippy::unwrap_used)]

use prorl_kernels::lookup::{rows_of, serves};
use tch::{Device, Kind, Tensor};

fn gradient(rows: &Tensor, of_rows: &Tensor, table: &Tensor) -> Tensor {
    Tensor::run_backward(&[(rows.to_kind(Kind::Double) * of_rows).sum(Kind::Double)], &[table], false, false).remove(0)
}

#[test]
fn rows_and_their_gradients_agree_with_libtorch() {
    let table = |kind, size: [i64; 2]| Tensor::randn(size, (Kind::Float, Device::Cpu)).to_kind(kind);
    if !serves(&table(Kind::Float, [1, 16])) {
        eprintln!("skipped: this processor has no AVX2");
        return;
    }
    tch::manual_seed(6);
    // Of a sum in bf16, 8 bits count.
    for (kind, near) in [(Kind::Float, 1e-6), (Kind::BFloat16, 1.0 / 256.0)] {
        for (rows, width, count) in [(1, 16, 5), (7, 48, 3), (100, 768, 3000), (5, 32, 0)] {
            let table = table(kind, [rows, width]).set_requires_grad(true);
            let places = Tensor::randint(rows, [count], (Kind::Int64, Device::Cpu));
            let of_rows = Tensor::randn([count, width], (Kind::Float, Device::Cpu)).to_kind(kind).to_kind(Kind::Double);
            let (ours, theirs) = (rows_of(&table, &places), table.index_select(0, &places));
            assert_eq!((ours.kind(), &ours), (kind, &theirs));
            let sums = |rows_of: &Tensor| table.zeros_like().to_kind(Kind::Double).index_add(0, &places, rows_of);
            let off = gradient(&ours, &of_rows, &table).to_kind(Kind::Double) - sums(&of_rows);
            // Off by the rounding of the result, and by that of the sum to it.
            let bound = sums(&of_rows).abs() * near + sums(&of_rows.abs()) * 1e-6;
            assert!(off.abs().less_equal_tensor(&bound).all().int64_value(&[]) == 1, "{kind:?}: {rows} of {width}");
        }
    }
}

#[test]
fn sums_are_the_same_for_any_number_of_threads() {
    let table = Tensor::zeros([30, 160], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    if !serves(&table) {
        return;
    }
    let places = Tensor::randint(30, [20_000], (Kind::Int64, Device::Cpu));
    let of_rows = Tensor::randn([20_000, 160], (Kind::Float, Device::Cpu)).to_kind(Kind::Double);
    let with = |threads| {
        tch::set_num_threads(threads);
        gradient(&rows_of(&table, &places), &of_rows, &table)
    };
    let alone = with(1);
    assert!([2, 3, 5].into_iter().all(|threads| with(threads) == alone));
}

#[test]
#[should_panic(expected = "place 5 is not among 5 rows")]
fn a_place_beyond_the_table_is_refused() {
    let table = Tensor::zeros([5, 16], (Kind::Float, Device::Cpu));
    assert!(serves(&table), "place 5 is not among 5 rows: nothing to refuse on this processor");
    let _ = rows_of(&table, &Tensor::from_slice(&[0_i64, 5]));
}
