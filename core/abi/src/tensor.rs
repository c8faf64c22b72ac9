//! A tensor on its way across the boundary.
//!
//! One process has one libtorch, so a tensor made in one library is valid, and differentiable, in
//! another. The handle owns one reference, the one that `tch::Tensor` owns, and passes it on.
#![allow(unsafe_code)]

use abi_stable::StableAbi;
use std::ffi::c_void;

/// Owns one reference to an `at::Tensor`; dropping it frees the reference through libtorch.
#[repr(C)]
#[derive(StableAbi)]
pub struct TensorHandle {
    pointer: *mut c_void,
}

// SAFETY: the handle is the sole owner of a heap-allocated `at::Tensor`, whose reference count is
// atomic; `tch::Tensor`, which it stands for, is `Send` for the same reason.
unsafe impl Send for TensorHandle {}

impl From<tch::Tensor> for TensorHandle {
    fn from(tensor: tch::Tensor) -> Self {
        let pointer = tensor.as_ptr() as *mut c_void;
        // The reference moves into the handle: `tensor` must not free it.
        std::mem::forget(tensor);
        Self { pointer }
    }
}

impl From<TensorHandle> for tch::Tensor {
    fn from(handle: TensorHandle) -> Self {
        let pointer = handle.pointer;
        std::mem::forget(handle);
        // SAFETY: `pointer` came from a `tch::Tensor` that was forgotten, so it is valid and owned by
        // nobody else; all libraries share the libtorch that allocated it (compared at load).
        unsafe { tch::Tensor::from_ptr(pointer.cast()) }
    }
}

impl Drop for TensorHandle {
    fn drop(&mut self) {
        // SAFETY: as above; the reference is taken back once and freed by `tch::Tensor`.
        drop(unsafe { tch::Tensor::from_ptr(self.pointer.cast()) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_round_trip_keeps_the_storage_and_the_graph() {
        let x = tch::Tensor::from_slice(&[1f32, 2.0]).set_requires_grad(true);
        let handle = TensorHandle::from(&x * 3.0);
        let y: tch::Tensor = handle.into();
        y.sum(tch::Kind::Float).backward();
        assert_eq!(Vec::<f32>::try_from(x.grad()).unwrap_or_default(), [3.0, 3.0]);
    }

    #[test]
    fn a_dropped_handle_frees_its_reference_and_no_other() {
        let x = tch::Tensor::from_slice(&[1i64, 2]);
        drop(TensorHandle::from(x.shallow_clone()));
        assert_eq!(x.size(), [2]);
    }
}
