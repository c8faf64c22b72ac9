//! What a check finds, and the comparisons that most checks are made of.

use crate::closeness::{self, Tolerance};
use prorl_sdk::abi::fault::{Fault, FaultKind};
use tch::{Device, Kind, Tensor};

/// Why a check did not pass.
#[derive(Debug)]
pub enum Reason {
    /// The component does not offer what is checked.
    Absent(String),
    /// It breaks its contract.
    Wrong(String),
}

/// What a check finds.
pub type Finding<T = ()> = Result<T, Reason>;

impl From<Fault> for Reason {
    fn from(fault: Fault) -> Self {
        match fault.kind {
            FaultKind::Unsupported => Reason::Absent(fault.message.into()),
            _ => Reason::Wrong(fault.to_string()),
        }
    }
}

/// A finding that something is wrong.
pub fn wrong<T>(why: impl Into<String>) -> Finding<T> {
    Err(Reason::Wrong(why.into()))
}

/// `holds`, or what is wrong.
pub fn ensure(holds: bool, why: impl FnOnce() -> String) -> Finding {
    if holds { Ok(()) } else { wrong(why()) }
}

/// The shape, and `Float` for any floating type.
pub fn shape(what: &str, tensor: &Tensor, size: &[i64], kind: Kind, device: Device) -> Finding {
    ensure(tensor.size() == size, || format!("{what} has shape {:?}, but should have {size:?}", tensor.size()))?;
    let fits = if kind == Kind::Float { tensor.is_floating_point() } else { tensor.kind() == kind };
    ensure(fits, || format!("{what} is {:?}, but should be {kind:?}", tensor.kind()))?;
    ensure(tensor.device() == device, || {
        format!("{what} lies on {:?}, but its inputs lie on {device:?}", tensor.device())
    })
}

/// No NaN, no infinity.
pub fn finite(what: &str, tensor: &Tensor) -> Finding {
    holds_everywhere(what, "finite", tensor, &tensor.isfinite())
}

/// `mask`, elementwise; else the first offending number and its place.
pub fn holds_everywhere(what: &str, property: &str, tensor: &Tensor, mask: &Tensor) -> Finding {
    let bad = mask.logical_not().flatten(0, -1).nonzero().flatten(0, -1); // [bad]
    if bad.numel() == 0 {
        return Ok(());
    }
    let first = bad.int64_value(&[0]);
    let value = tensor.detach().expand_as(mask).to_kind(Kind::Double).flatten(0, -1).double_value(&[first]);
    wrong(format!(
        "{what} should be {property}, but is {value} at {:?} and wrong at {} of {} places",
        place(first, &mask.size()),
        bad.numel(),
        mask.numel()
    ))
}

/// Index in every dimension of a flat index.
fn place(mut flat: i64, size: &[i64]) -> Vec<i64> {
    let mut index = vec![0; size.len()];
    for (at, &extent) in index.iter_mut().zip(size).rev() {
        *at = flat % extent.max(1);
        flat /= extent.max(1);
    }
    index
}

/// Zero wherever `mask` does not hold.
pub fn zero_outside(what: &str, where_not: &str, tensor: &Tensor, mask: &Tensor) -> Finding {
    let fits = tensor.eq(0).logical_or(mask);
    holds_everywhere(what, &format!("0 {where_not}"), tensor, &fits)
}

/// Zero everywhere.
pub fn zero(what: &str, tensor: &Tensor) -> Finding {
    holds_everywhere(what, "0", tensor, &tensor.eq(0))
}

/// Equal within the tolerance.
pub fn close(what: &str, actual: &Tensor, expected: &Tensor, tolerance: Tolerance) -> Finding {
    match closeness::difference(actual, expected, tolerance) {
        None => Ok(()),
        Some(difference) => wrong(format!("{what}: {difference}")),
    }
}

/// Whatever it is, it must not be a panic: an answer, or an error that says what is wrong.
pub fn answered<T>(what: &str, answer: Result<T, Fault>) -> Finding<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(fault) if fault.kind == FaultKind::Panic => wrong(format!(
            "{what} should be answered, or refused by an error, but the component panicked: {}",
            fault.message
        )),
        Err(_) => Ok(None),
    }
}
