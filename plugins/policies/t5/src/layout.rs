//! Where the real positions of a padded batch are.
//!
//! Products that treat every position alike run on the real positions only; attention runs on the
//! rectangle. Where little is padded, the rectangle is used throughout.

use tch::{Device, Kind, Tensor};

/// Real positions of `rows` sequences cut to `time`.
pub struct Layout {
    pub rows: i64,
    pub time: i64,
    /// Flat positions in the rectangle, in order; absent where the whole rectangle is kept.
    packed: Option<Tensor>, // [N]
    real: Tensor, // [rows, time] bool
}

/// Padding is left in where more than this share of the rectangle is real.
pub const WORTH_PACKING: f64 = 0.85;

impl Layout {
    /// The layout of sequences with the given lengths, the longest of which is `time` and which have
    /// `total` positions.
    pub fn new(lengths: &Tensor, time: i64, total: i64) -> Self {
        let worth = (total as f64) < WORTH_PACKING * (lengths.size()[0] * time) as f64;
        Self::of(lengths, time, worth)
    }

    /// The layout of what belongs to `owners` owners: `owner` `[N]`, ascending, says whose each is. Owners' rows lie side
    /// by side, as long as the longest.
    pub fn by_owner(owner: &Tensor, owners: i64) -> Self {
        let lengths = owner.bincount(None::<&Tensor>, owners); // [owners]
        let (time, total) = Self::extent(&lengths);
        Self::of(&lengths, time, total < owners * time)
    }

    /// The layout without padding.
    pub fn rectangle(rows: i64, time: i64, device: Device) -> Self {
        Self { rows, time, packed: None, real: Tensor::ones([rows, time], (Kind::Bool, device)) }
    }

    fn of(lengths: &Tensor, time: i64, pack: bool) -> Self {
        let steps = Tensor::arange(time, (Kind::Int64, lengths.device()));
        let real = steps.lt_tensor(&lengths.unsqueeze(-1)); // [rows, time]
        let packed = pack.then(|| real.flatten(0, -1).nonzero().squeeze_dim(-1));
        Self { rows: lengths.size()[0], time, packed, real }
    }

    /// Positions that are kept, `N`.
    pub fn len(&self) -> i64 {
        self.packed.as_ref().map_or(self.rows * self.time, |packed| packed.size()[0])
    }

    /// Longest and total of `lengths`, in one transfer.
    pub fn extent(lengths: &Tensor) -> (i64, i64) {
        let both = Tensor::stack(&[lengths.max(), lengths.sum(Kind::Int64)], 0).to(tch::Device::Cpu);
        (both.int64_value(&[0]), both.int64_value(&[1]))
    }

    /// Which positions are real. // [rows, time] bool
    pub fn real(&self) -> &Tensor {
        &self.real
    }

    /// From the rectangle to the kept positions: `[rows, time, ...]` to `[N, ...]`.
    pub fn pack(&self, rectangle: &Tensor) -> Tensor {
        let flat = rectangle.flatten(0, 1);
        match &self.packed {
            Some(packed) => flat.index_select(0, packed),
            None => flat,
        }
    }

    /// From the kept positions to the rectangle, zeros elsewhere: `[N, W]` to `[rows, time, W]`.
    pub fn spread(&self, kept: &Tensor) -> Tensor {
        let width = kept.size()[1];
        let flat = match &self.packed {
            Some(packed) => {
                kept.new_zeros([self.rows * self.time, width], (kept.kind(), kept.device())).index_copy(0, packed, kept)
            }
            None => kept.shallow_clone(),
        };
        flat.view([self.rows, self.time, width])
    }

    /// Where flat positions of the rectangle are among the kept ones.
    pub fn locate(&self, flat: &Tensor) -> Tensor {
        match &self.packed {
            Some(packed) => flat.bucketize(packed, false, false),
            None => flat.shallow_clone(),
        }
    }
}
