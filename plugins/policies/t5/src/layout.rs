//! Where the real positions of a padded batch are.
//!
//! Products that treat every position alike run on the real positions only; attention runs on the
//! rectangle. Where little is padded, the rectangle is used throughout.

use prorl_kernels::attention::Spans;
use tch::{Device, Kind, Tensor};

/// Real positions of `rows` sequences cut to `time`.
pub struct Layout {
    pub rows: i64,
    pub time: i64,
    /// Flat positions in the rectangle, in order; absent where the whole rectangle is kept.
    packed: Option<Tensor>, // [N]
    real: Tensor,    // [rows, time] bool
    lengths: Tensor, // [rows]
    /// Of every so many rows, those after the first begin with the first one's token.
    sharing: Option<i64>,
}

/// Products of attention run on the rectangle: padding is left in where more than this share of it is real.
pub const WORTH_PACKING: f64 = 0.85;

impl Layout {
    /// The layout of sequences with the given lengths, none longer than `time`, which have `total` positions. Padding goes
    /// where these are less than `worth` of the rectangle.
    pub fn new(lengths: &Tensor, time: i64, total: i64, worth: f64) -> Self {
        let pack = (total as f64) < worth * (lengths.size()[0] * time) as f64;
        Self::of(lengths, time, pack)
    }

    /// The same positions where of every `rows` rows those after the first begin with the first one's only token, which
    /// is not among their own.
    pub fn sharing(self, rows: i64) -> Self {
        Self { sharing: Some(rows), ..self }
    }

    /// Real positions of each sequence. // [rows]
    pub fn lengths(&self) -> &Tensor {
        &self.lengths
    }

    /// The same sequences up to the last of the given flat positions of each, and with at least the token that they begin
    /// with.
    pub fn up_to(&self, places: &Tensor, worth: f64) -> Self {
        let wanted = self.real.zeros_like().view([-1]).index_fill(0, places, 1).view_as(&self.real); // [rows, time]
        let numbers = Tensor::arange_start(1, self.time + 1, (Kind::Int64, places.device()));
        let rows = Tensor::arange(self.rows, (Kind::Int64, places.device()));
        let begin = rows.remainder(self.sharing.unwrap_or(1)).eq(0).to_kind(Kind::Int64);
        let ends = (wanted * numbers).amax(1, false).maximum(&begin); // [rows]
        let (_, total) = Self::extent(&ends);
        Self { sharing: self.sharing, ..Self::new(&ends, self.time, total, worth) }
    }

    /// Where in their sequences flat positions are. // as `places`
    pub fn times(&self, places: &Tensor) -> Tensor {
        let times = places.remainder(self.time);
        let Some(rows) = self.sharing else { return times };
        times + places.divide_scalar_mode(self.time, "floor").remainder(rows).ne(0).to_kind(Kind::Int64)
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
        let lengths = Tensor::full([rows], time, (Kind::Int64, device));
        Self::of(&lengths, time, false)
    }

    /// The layout of the same positions where each of `prompts` prompts has as many rows: a prompt's lie side by side.
    pub fn by_prompt(&self, prompts: i64) -> Self {
        if self.packed.is_none() {
            return Self::rectangle(prompts, self.rows / prompts * self.time, self.real.device());
        }
        let lengths = self.lengths.view([prompts, -1]).sum_dim_intlist(1, false, Kind::Int64); // [prompts]
        let (time, total) = Self::extent(&lengths);
        Self::of(&lengths, time, total < prompts * time)
    }

    fn of(lengths: &Tensor, time: i64, pack: bool) -> Self {
        let steps = Tensor::arange(time, (Kind::Int64, lengths.device()));
        let real = steps.lt_tensor(&lengths.unsqueeze(-1)); // [rows, time]
        let packed = pack.then(|| real.flatten(0, -1).nonzero().squeeze_dim(-1));
        Self { rows: lengths.size()[0], time, packed, real, lengths: lengths.shallow_clone(), sharing: None }
    }

    /// Positions that are kept, `N`.
    pub fn len(&self) -> i64 {
        self.packed.as_ref().map_or(self.rows * self.time, |packed| packed.size()[0])
    }

    /// Where the rows lie among the kept positions.
    pub fn spans(&self) -> Spans {
        let spans = self.spans_of(1);
        let Some(rows) = self.sharing else { return spans };
        let first = |row: usize| row - row % rows as usize;
        let begin = (0..spans.len()).map(|row| (row > first(row)).then(|| spans.of(first(row)).start));
        let begin: Vec<Option<usize>> = begin.collect();
        spans.beginning_with(&begin)
    }

    /// The same where each kept position has `each` rows.
    pub fn spans_of(&self, each: i64) -> Spans {
        let lengths = whole_numbers(&self.lengths).into_iter().map(|length| length * each as usize);
        let lengths: Vec<usize> = lengths.collect();
        match self.packed {
            Some(_) => Spans::packed(&lengths),
            None => Spans::padded(&lengths, (self.time * each) as usize),
        }
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

/// Numbers of an integer tensor, none of them negative. // [N]
pub fn whole_numbers(tensor: &Tensor) -> Vec<usize> {
    let numbers = Vec::<i64>::try_from(tensor).unwrap_or_default();
    numbers.into_iter().map(|number| number as usize).collect()
}
