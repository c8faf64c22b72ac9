//! `.safetensors` files.

use super::Matrix;
use prorl_sdk::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

/// The tensor called `name`, or the only one with two dimensions.
///
/// # Errors
/// The file is malformed, or which tensor is meant is not clear.
pub(super) fn parse<'a>(bytes: &'a [u8], name: Option<&str>) -> Result<Matrix<'a>, String> {
    let file = SafeTensors::deserialize(bytes).map_err(|error| format!("is not a safetensors file: {error}"))?;
    let mut tensors = file.tensors();
    tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (name, view) = choose(tensors, name)?;
    let kind = match view.dtype() {
        Dtype::F64 => Kind::Double,
        Dtype::F32 => Kind::Float,
        Dtype::F16 => Kind::Half,
        Dtype::BF16 => Kind::BFloat16,
        other => {
            return Err(format!("tensor `{name}` is {other:?}; F64, F32, F16 or BF16 is needed"));
        }
    };
    let shape: Vec<u64> = view.shape().iter().map(|&size| size as u64).collect();
    Matrix::new(kind, &shape, view.data()).map_err(|message| format!("tensor `{name}` {message}"))
}

fn choose<'a>(
    mut tensors: Vec<(String, TensorView<'a>)>,
    name: Option<&str>,
) -> Result<(String, TensorView<'a>), String> {
    let names = |tensors: &[(String, TensorView<'a>)]| {
        let shown = tensors.iter().map(|(name, view)| format!("`{name}` {:?}", view.shape()));
        shown.collect::<Vec<_>>().join(", ")
    };
    let all = names(&tensors);
    match name {
        Some(name) => tensors.retain(|(found, _)| found == name),
        None => tensors.retain(|(_, view)| view.shape().len() == 2),
    }
    match (tensors.pop(), name) {
        (Some(tensor), _) if tensors.is_empty() => Ok(tensor),
        (Some(_), _) => Err(format!("holds several matrices; set `tensor` to one of {all}")),
        (None, Some(name)) => Err(format!("has no tensor `{name}`; it has {all}")),
        (None, None) => Err(format!("has no tensor with two dimensions; it has {all}")),
    }
}
