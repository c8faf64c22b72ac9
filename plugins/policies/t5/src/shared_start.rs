//! The start token of a prompt's paths, which is the same for all of them: computed once a prompt, not once a path.
//!
//! A prompt's rows are then its start, a row of one token, and those of its paths, which go on after it: what stands at
//! time `t` of a path stands at `t - 1` of its row.

use crate::layout::Layout;
use tch::Tensor;

/// Paths whose starts are joined, `group` of every prompt.
#[derive(Clone, Copy)]
pub struct SharedStart {
    pub group: i64,
}

impl SharedStart {
    /// The layout of starts and paths, from that of paths. // [B * G, T] to [B * (1 + G), T]
    pub fn layout(self, paths: &Layout, worth: f64) -> Layout {
        let own = paths.lengths().view([-1, self.group]) - 1; // [B, G]
        let lengths = Tensor::cat(&[own.ones_like().narrow(1, 0, 1), own], 1).flatten(0, 1);
        let (_, total) = Layout::extent(&lengths);
        Layout::new(&lengths, paths.time, total, worth).sharing(1 + self.group)
    }

    /// What the rows read, from what the paths do. // [B * G, T] to [B * (1 + G), T]
    pub fn inputs(self, paths: &Tensor) -> Tensor {
        let time = paths.size()[1];
        let own = paths.narrow(1, 1, time - 1).constant_pad_nd([0, 1]).view([-1, self.group, time]); // [B, G, T]
        let starts = paths.view([-1, self.group, time]).narrow(1, 0, 1); // [B, 1, T], of which the first counts
        Tensor::cat(&[&starts, &own], 1).flatten(0, 1)
    }

    /// Flat places in the rows, from those in the paths, of `time` each. // as `places`
    pub fn places(self, places: &Tensor, time: i64) -> Tensor {
        let (path, when) = (places.divide_scalar_mode(time, "floor"), places.remainder(time));
        let prompt = path.divide_scalar_mode(self.group, "floor");
        let of_start = &prompt * ((1 + self.group) * time);
        let of_path = (path + prompt + 1) * time + &when - 1;
        of_start.where_self(&when.eq(0), &of_path)
    }
}
