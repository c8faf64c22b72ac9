//! Putting loaded tensors back where they belong.

use super::tensor_file::{Loaded, NamedTensor};
use super::{CheckpointError, Result};
use std::collections::HashMap;
use tch::Tensor;

/// Copies `loaded` into `named` in place, without recording gradients.
///
/// Strict: the same names, shapes and kinds on both sides. All is compared before anything is
/// copied, so after a mismatch `named` is as it was.
///
/// # Errors
/// [`CheckpointError::Mismatch`] with every difference: missing names, unexpected names, and for
/// each tensor that differs what was expected and what was found.
pub fn copy_into(named: &[NamedTensor], loaded: &Loaded) -> Result<()> {
    let sources: HashMap<&str, &Tensor> = by_name(&loaded.tensors);
    let differences = differences(named, &sources);
    if !differences.is_empty() {
        let path = loaded.path.clone();
        return Err(CheckpointError::Mismatch { path, differences });
    }
    tch::no_grad(|| {
        for (name, target) in named {
            if let Some(source) = sources.get(name.as_str()) {
                let copied = target.shallow_clone().f_copy_(source);
                copied.map_err(CheckpointError::torch(name))?;
            }
        }
        Ok(())
    })
}

fn by_name(tensors: &[NamedTensor]) -> HashMap<&str, &Tensor> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect()
}

fn differences(named: &[NamedTensor], sources: &HashMap<&str, &Tensor>) -> Vec<String> {
    let targets = by_name(named);
    let missing = named.iter().map(|(name, _)| name.as_str());
    let missing = missing.filter(|name| !sources.contains_key(name)).collect();
    let unexpected = sources.keys().copied();
    let unexpected = unexpected.filter(|name| !targets.contains_key(name)).collect();
    let mut differences = Vec::new();
    differences.extend(list("missing", missing));
    differences.extend(list("unexpected", unexpected));
    for (name, target) in named {
        let source = sources.get(name.as_str());
        differences.extend(source.and_then(|source| difference(name, target, source)));
    }
    differences
}

fn difference(name: &str, expected: &Tensor, found: &Tensor) -> Option<String> {
    let (expected, found) = (describe(expected), describe(found));
    (expected != found).then(|| format!("`{name}`: expected {expected}, found {found}"))
}

fn describe(tensor: &Tensor) -> String {
    format!("{:?} {:?}", tensor.kind(), tensor.size())
}

fn list(what: &str, mut names: Vec<&str>) -> Option<String> {
    names.sort_unstable();
    (!names.is_empty()).then(|| format!("{what}: {}", names.join(", ")))
}
