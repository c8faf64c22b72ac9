//! What must hold of weights, whoever holds them.

use super::finding::{Finding, Reason, ensure, finite};
use std::collections::HashSet;
use tch::{Device, Tensor, no_grad};

/// Tensors by name.
pub type Named = Vec<(String, Tensor)>;

/// Distinct names, finite, on the device, leaves of the graph.
pub fn sound(weights: &Named, device: Device) -> Finding {
    let mut names = HashSet::new();
    for (name, weight) in weights {
        ensure(names.insert(name), || format!("two weights are called `{name}`"))?;
        ensure(weight.device() == device, || format!("weight `{name}` lies on {:?}, not {device:?}", weight.device()))?;
        ensure(weight.is_leaf(), || format!("weight `{name}` is computed from others: give back the tensor itself"))?;
        finite(&format!("weight `{name}`"), weight)?;
    }
    Ok(())
}

/// The same tensors at every call, since the host saves, loads and optimises them in place.
pub fn lasting(first: &Named, second: &Named) -> Finding {
    ensure(first.len() == second.len(), || format!("{} weights became {}", first.len(), second.len()))?;
    for ((name, a), (_, b)) in first.iter().zip(second) {
        ensure(a.data_ptr() == b.data_ptr(), || {
            format!("weight `{name}` is a copy: `parameters` should give the tensor that is computed with")
        })?;
    }
    Ok(())
}

/// Gradients, finite and not all 0, at every weight that requires one.
pub fn reached(weights: &Named) -> Finding {
    let mut missing = Vec::new();
    for (name, weight) in weights.iter().filter(|(_, weight)| weight.requires_grad()) {
        let gradient = weight.grad();
        if !gradient.defined() || gradient.count_nonzero(None::<i64>).int64_value(&[]) == 0 {
            missing.push(format!("`{name}`"));
        } else {
            finite(&format!("the gradient of `{name}`"), &gradient)?;
        }
    }
    ensure(missing.is_empty(), || format!("no gradient reaches {}", missing.join(", ")))
}

/// Copies `from` into `to`, as a checkpoint is loaded.
pub fn load(to: &Named, from: &Named) -> Finding {
    for ((name, to), (other, from)) in to.iter().zip(from) {
        let same = name == other && to.size() == from.size();
        ensure(same, || format!("`{name}` {:?} became `{other}` {:?} when made anew", to.size(), from.size()))?;
        let mut to = to.shallow_clone();
        no_grad(|| to.copy_(from));
    }
    ensure(to.len() == from.len(), || format!("{} weights became {} when made anew", to.len(), from.len()))
}

/// The weights, or that there are none.
pub fn some(weights: Named) -> Finding<Named> {
    if weights.is_empty() { Err(Reason::Absent("it has no weights".into())) } else { Ok(weights) }
}
