//! Prompts' keys and values that the weights around them are part of.

use tch::{Kind, Tensor};

/// Keys `K = k Wq` and values `V = v Wo` of prompts, in the width of states, laid out once for all rows that look at them.
/// They must not change any more.
pub struct Memory {
    keys: Tensor,   // [B, heads * T, D]
    values: Tensor, // [B, heads * T, D]
    heads: i64,
    #[cfg(target_arch = "x86_64")]
    laid_out: Vec<std::sync::Arc<super::looking::Prompt>>,
}

impl Memory {
    /// Of keys and values `[B, heads * T, D]`, and masks `[B, T]` that are minus infinity where no key is and 0 elsewhere.
    ///
    /// # Panics
    /// Shapes do not fit, or [`serves`](super::serves) says no to the width.
    pub fn of(keys: &Tensor, values: &Tensor, mask: Option<&Tensor>, heads: i64) -> Self {
        let size = keys.size();
        let fits = size.len() == 3 && size[1] % heads == 0 && size == values.size();
        assert!(fits, "keys {size:?} and values {:?} of {heads} heads", values.size());
        let served = [keys, values].iter().all(|it| {
            it.kind() == Kind::Float && super::serves(it.device(), crate::factors::Factors::Float32, &[size[2]])
        });
        assert!(served, "`serves` says no to {keys:?} and {values:?}");
        let masks = [size[0], size[1] / heads];
        if let Some(mask) = mask {
            assert_eq!((mask.size(), mask.kind()), (masks.to_vec(), Kind::Float), "a mask of every prompt's keys");
        }
        let (keys, values) = (keys.contiguous(), values.contiguous());
        Self {
            #[cfg(target_arch = "x86_64")]
            laid_out: {
                let none = || Tensor::zeros(masks, (Kind::Float, keys.device()));
                let masks = mask.map_or_else(none, |mask| mask.detach().contiguous());
                super::looking::Prompt::all(&keys.detach(), &values.detach(), &masks, sizes(&keys, heads))
            },
            keys,
            values,
            heads,
        }
    }

    /// Some of the prompts, by their places.
    #[must_use]
    pub fn some(&self, places: &Tensor) -> Self {
        Self {
            keys: self.keys.index_select(0, places),
            values: self.values.index_select(0, places),
            heads: self.heads,
            #[cfg(target_arch = "x86_64")]
            laid_out: {
                let places = Vec::<i64>::try_from(places).unwrap_or_default();
                places.into_iter().map(|place| self.laid_out[place as usize].clone()).collect()
            },
        }
    }

    /// Prompts.
    pub fn prompts(&self) -> usize {
        self.keys.size()[0] as usize
    }

    /// Width of states.
    pub fn width(&self) -> i64 {
        self.keys.size()[2]
    }
}

#[cfg(target_arch = "x86_64")]
fn sizes(keys: &Tensor, heads: i64) -> super::looking::Sizes {
    let size = keys.size();
    super::looking::Sizes { heads: heads as usize, keys: (size[1] / heads) as usize, width: size[2] as usize }
}

#[cfg(target_arch = "x86_64")]
impl Memory {
    pub(super) fn both(&self) -> (&Tensor, &Tensor) {
        (&self.keys, &self.values)
    }

    pub(super) fn sizes(&self) -> super::looking::Sizes {
        sizes(&self.keys, self.heads)
    }

    pub(super) fn laid_out(&self) -> Vec<std::sync::Arc<super::looking::Prompt>> {
        self.laid_out.clone()
    }
}
