//! Weights of products, laid out once for all calls that read them.

use tch::Tensor;

/// Weights `[K, N]`, which must not change any more.
#[derive(Debug)]
pub struct Weights {
    tensor: Tensor,
    #[cfg(target_arch = "x86_64")]
    panels: std::sync::OnceLock<super::panels::Panels>,
}

impl Weights {
    /// Of `[K, N]`, which lies by rows or, as the view of a transpose, by columns.
    pub fn of(tensor: Tensor) -> Self {
        Self {
            tensor,
            #[cfg(target_arch = "x86_64")]
            panels: std::sync::OnceLock::new(),
        }
    }

    /// As they were given. // [K, N]
    pub fn tensor(&self) -> &Tensor {
        &self.tensor
    }
}

#[cfg(target_arch = "x86_64")]
mod laid_out {
    #![allow(unsafe_code)]
    use super::super::panels::{Panels, Right};
    use super::Weights;

    impl Weights {
        /// As they lie, without a graph.
        pub(in super::super) fn lying(&self) -> Right {
            Right::of(&self.tensor.detach())
        }

        /// Laid out when first asked for.
        pub(in super::super) fn panels(&self) -> &Panels {
            // SAFETY: the processor has AVX2 and FMA, as `serves` found.
            self.panels.get_or_init(|| unsafe { self.lying().panels() })
        }
    }
}
