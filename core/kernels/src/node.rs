//! A place in libtorch's graph for a result of own code.
//!
//! tch names no custom functions of autograd, so a node of C++ (`shim/node.cpp`) asks a closure for the gradient.
#![allow(unsafe_code)]

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::null_mut;
use tch::Tensor;

type Gradient = Box<dyn Fn(Tensor) -> Vec<Option<Tensor>> + Send>;

/// What the node keeps.
struct Kept {
    gradient: Gradient,
    inputs: usize,
}

#[repr(C)]
struct Context {
    kept: *mut c_void,
    gradient: extern "C" fn(*mut c_void, *mut c_void, *mut *mut c_void) -> i32,
    release: extern "C" fn(*mut c_void),
}

unsafe extern "C" {
    fn prorl_attach(result: *mut c_void, inputs: *const *mut c_void, count: usize, context: Context) -> i32;
    fn prorl_follows() -> i32;
}

/// Whether [`attach`] would keep what a gradient needs.
pub fn wanted(inputs: &[&Tensor]) -> bool {
    // SAFETY: asks for a setting of this thread.
    inputs.iter().any(|input| input.requires_grad()) && unsafe { prorl_follows() } != 0
}

/// Makes `result`, just computed and seen by nobody else, a function of `inputs` whose gradient `gradient` tells: from the
/// gradient of the result to those of the inputs, none for an input that has none. Tensors that the closure holds must not
/// change before the backward pass, and `result` itself must not be among them (a detached one may).
///
/// Nothing happens where no input wants a gradient or gradients are off.
pub fn attach(result: &Tensor, inputs: &[&Tensor], gradient: impl Fn(Tensor) -> Vec<Option<Tensor>> + Send + 'static) {
    let kept = Box::new(Kept { gradient: Box::new(gradient), inputs: inputs.len() });
    let pointers: Vec<*mut c_void> = inputs.iter().map(|input| input.as_ptr() as *mut c_void).collect();
    let context = Context { kept: Box::into_raw(kept).cast(), gradient: of_inputs, release };
    // SAFETY: all pointers are of live tensors, of which the shim keeps references of its own; it passes `kept` to the two
    // functions below alone, and to `release` once, as the last.
    let outcome = unsafe { prorl_attach(result.as_ptr() as *mut c_void, pointers.as_ptr(), pointers.len(), context) };
    assert_eq!(outcome, 0, "libtorch has no memory for a node of its graph");
}

extern "C" fn of_inputs(kept: *mut c_void, of_result: *mut c_void, of_inputs: *mut *mut c_void) -> i32 {
    // No panic may cross into C++; its message was printed where it arose.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `kept` is what `attach` gave, not yet released; the tensor is ours from now on; `of_inputs` has a place
        // for every input.
        let (kept, of_result, places) = unsafe {
            let kept = &*kept.cast::<Kept>();
            (kept, Tensor::from_ptr(of_result.cast()), std::slice::from_raw_parts_mut(of_inputs, kept.inputs))
        };
        let _guard = tch::no_grad_guard();
        for (place, found) in places.iter_mut().zip((kept.gradient)(of_result)) {
            *place = found.map_or(null_mut(), |found| {
                let pointer = found.as_ptr() as *mut c_void;
                std::mem::forget(found); // the graph's from now on
                pointer
            });
        }
    }));
    i32::from(outcome.is_err())
}

extern "C" fn release(kept: *mut c_void) {
    // SAFETY: made by `Box::into_raw` in `attach`, and given back once.
    drop(unsafe { Box::from_raw(kept.cast::<Kept>()) });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Arc;
    use tch::{Device, Kind};

    fn scaled(x: &Tensor, kept: &Arc<()>) -> Tensor {
        let kept = kept.clone();
        let result = tch::no_grad(|| x * 3.0);
        attach(&result, &[x], move |of_result| {
            assert!(Arc::strong_count(&kept) > 0);
            vec![Some(of_result * 3.0)]
        });
        result
    }

    #[test]
    fn gradients_flow_through_a_node_and_end_it() {
        let (x, kept) = (Tensor::from_slice(&[1f32, 2.0]).set_requires_grad(true), Arc::new(()));
        let result = scaled(&(&x * 2.0), &kept);
        assert_eq!(Arc::strong_count(&kept), 2);
        (&result * &result).sum(Kind::Float).backward();
        assert_eq!(Vec::<f32>::try_from(x.grad()).unwrap(), [72.0, 144.0]);
        assert_eq!(Arc::strong_count(&kept), 1, "what the node kept is freed by the backward pass");
        let again = tch::no_grad(|| result.f_sum(Kind::Float)).unwrap();
        assert_eq!(again.double_value(&[]), 18.0);
    }

    #[test]
    fn a_second_backward_pass_is_refused() {
        let x = Tensor::from_slice(&[1f32]).set_requires_grad(true);
        let loss = scaled(&x, &Arc::new(())).sum(Kind::Float);
        loss.backward();
        assert!(loss.f_backward().unwrap_err().to_string().contains("second time"));
    }

    #[test]
    fn nothing_is_kept_where_no_gradient_is_wanted() {
        let kept = Arc::new(());
        let leaf = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        assert!(wanted(&[&leaf]) && !wanted(&[&leaf.detach()]) && !tch::no_grad(|| wanted(&[&leaf])));
        let plain = scaled(&Tensor::ones([2], (Kind::Float, Device::Cpu)), &kept);
        let off =
            tch::no_grad(|| scaled(&Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true), &kept));
        assert!(!plain.requires_grad() && !off.requires_grad());
        assert_eq!(Arc::strong_count(&kept), 1);
    }

    #[test]
    fn a_panic_is_an_error_of_the_backward_pass() {
        let x = Tensor::from_slice(&[1f32]).set_requires_grad(true);
        let result = tch::no_grad(|| &x * 2.0);
        attach(&result, &[&x], |_| panic!("on purpose"));
        let error = result.sum(Kind::Float).f_backward().unwrap_err();
        assert!(error.to_string().contains("outside libtorch failed"), "{error}");
    }
}
