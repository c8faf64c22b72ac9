//! Rows of a table by their places, with gradients of equal places summed in float32.
//!
//! libtorch sums in the table's kind, which of bf16 loses most of what many rows add; a table turned to float32 first has
//! twice the bytes to write, read, and write and read again backwards.

#[cfg(target_arch = "x86_64")]
mod passes;

use tch::{Device, Kind, Tensor};

/// Whether such a table is served: float32 or bf16 on a processor with AVX2 and FMA, in rows of a multiple of 16 numbers.
pub fn serves(table: &Tensor) -> bool {
    let size = table.size();
    let reads = table.device() == Device::Cpu && matches!(table.kind(), Kind::Float | Kind::BFloat16);
    reads && size.len() == 2 && size[1] > 0 && size[1] % 16 == 0 && crate::processor_serves()
}

/// The rows at `places`, whole numbers below `V`. Differentiable in the table. // [V, W], [N] to [N, W]
///
/// # Panics
/// [`serves`] says no to the table, or a place is not in it.
pub fn rows_of(table: &Tensor, places: &Tensor) -> Tensor {
    assert!(serves(table), "`serves` says no to {table:?}");
    assert_eq!((places.kind(), places.size().len()), (Kind::Int64, 1), "places are [N], whole numbers");
    served(table, places)
}

#[cfg(target_arch = "x86_64")]
fn served(table: &Tensor, places: &Tensor) -> Tensor {
    let (rows, kind) = (table.size()[0], table.kind());
    let places = passes::whole_numbers(places, rows);
    let result = passes::gather(&table.detach().contiguous(), &places);
    crate::node::attach(&result, &[table], move |of_result| {
        vec![Some(passes::sums(&of_result.contiguous(), &places, rows).to_kind(kind))]
    });
    result
}

#[cfg(not(target_arch = "x86_64"))]
fn served(_: &Tensor, _: &Tensor) -> Tensor {
    unreachable!("`serves` says no on this processor")
}
