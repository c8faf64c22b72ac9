//! Gradients of all processes, reduced while backward still runs.

use crate::Result;
use crate::calls::ReducerHandle;
use crate::group::ProcessGroup;
use tch::Tensor;

/// c10d's `Reducer`, the engine under DistributedDataParallel, over a fixed list of parameters.
///
/// While it lives, every backward over one of them must go through it.
pub struct Reducer {
    // Dropped before the group that it reduces over.
    handle: ReducerHandle,
    group: ProcessGroup,
}

impl Reducer {
    /// Watches `parameters`, all trainable, the same in the same order in every process.
    ///
    /// # Errors
    /// A parameter is no leaf that requires gradient.
    pub fn new(group: &ProcessGroup, parameters: &[Tensor]) -> Result<Self> {
        let mut made = None;
        group.named("gradients", || {
            made = Some(ReducerHandle::new(group.handle(), parameters)?);
            Ok(())
        })?;
        let Some(handle) = made else { unreachable!("a call that succeeds has made a reducer") };
        Ok(Self { handle, group: group.clone() })
    }

    /// Adds the gradient of the scalar `loss` to the parameters', without the other processes: for all parts of a batch
    /// but the last (`no_sync`).
    ///
    /// # Errors
    /// Backward fails.
    pub fn accumulate(&mut self, loss: &Tensor) -> Result<()> {
        self.group.named("gradients", || self.handle.backward(loss, false))
    }

    /// The same, after which the parameters' gradients are the mean over all processes of what each has added up.
    ///
    /// # Errors
    /// Backward fails; another process is gone or does not come.
    pub fn backward(&mut self, loss: &Tensor) -> Result<()> {
        self.group.named("gradients", || self.handle.backward(loss, true))
    }
}
