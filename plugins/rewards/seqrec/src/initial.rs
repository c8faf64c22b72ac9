//! Fresh weights, as RecBole draws them.

use tch::{Device, Kind, Tensor};

fn empty(size: &[i64], device: Device) -> Tensor {
    Tensor::empty(size, (Kind::Float, device))
}

/// Trainable, drawn from `N(0, deviation²)`.
pub fn normal(size: &[i64], deviation: f64, device: Device) -> Tensor {
    empty(size, device).normal_(0.0, deviation).set_requires_grad(true)
}

/// Trainable, drawn uniformly from `[-bound, bound]`.
pub fn uniform(size: &[i64], bound: f64, device: Device) -> Tensor {
    empty(size, device).uniform_(-bound, bound).set_requires_grad(true)
}

/// Trainable, all `value`.
pub fn constant(size: &[i64], value: f64, device: Device) -> Tensor {
    Tensor::full(size, value, (Kind::Float, device)).set_requires_grad(true)
}

/// Glorot and Bengio's normal, `torch.nn.init.xavier_normal_`, of a matrix `[out, in]`: deviation
/// `sqrt(2 / (in + out))`.
pub fn xavier_normal(out: i64, r#in: i64, device: Device) -> Tensor {
    normal(&[out, r#in], (2.0 / (r#in + out) as f64).sqrt(), device)
}

/// Glorot and Bengio's uniform, `torch.nn.init.xavier_uniform_`, of a matrix `[out, in]`: bound
/// `sqrt(6 / (in + out))`.
pub fn xavier_uniform(out: i64, r#in: i64, device: Device) -> Tensor {
    uniform(&[out, r#in], (6.0 / (r#in + out) as f64).sqrt(), device)
}
