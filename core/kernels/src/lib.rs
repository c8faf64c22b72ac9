//! What libtorch computes in many passes over memory, in one, with gradients of its own: [`attention`] over many short
//! sequences, the [`norm`] of rows, a masked [`softmax`], [`dropout`] with what stands beside it, [`lookup`] of rows, the
//! [`standing`] of one score among all, whole [`layers`] of own products with weights, and [`sublayers`] of libtorch's.
//!
//! For float32, and for [`factors`] of bf16's bits, on processors with AVX2 and FMA; each module's `serves` says whether,
//! and elsewhere libtorch's own functions are the way. Work is done on libtorch's threads, and results are the same in every run with as many of them.
#![warn(missing_docs)]

pub mod attention;
pub mod dropout;
pub mod factors;
pub mod layers;
pub mod lookup;
pub mod norm;
pub mod softmax;
pub mod standing;
pub mod sublayers;

#[cfg(target_arch = "x86_64")]
mod dropping;
#[cfg(target_arch = "x86_64")]
mod floats;
#[cfg(target_arch = "x86_64")]
mod lanes;
#[cfg(target_arch = "x86_64")]
mod matrices;
#[cfg(target_arch = "x86_64")]
mod node;
#[cfg(target_arch = "x86_64")]
mod number;
#[cfg(target_arch = "x86_64")]
mod registers;
#[cfg(target_arch = "x86_64")]
mod sixteen;
#[cfg(target_arch = "x86_64")]
mod threads;
#[cfg(target_arch = "x86_64")]
mod tiles;

fn processor_serves() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    false
}
