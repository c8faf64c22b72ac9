//! What the beams of a prompt have read, kept once for all of them.

use crate::attention::Network;
use crate::policy::Call;
use crate::relative::causal_mask;
use crate::stepper::Past;
use tch::{Device, Kind, Tensor};

/// Keys and values of all tokens that any beam of a prompt has read, and whose they are.
///
/// Slot 0 holds the start token, slot `1 + (t - 1) K + k` token `t` of what was then beam `k`.
pub struct SharedPast {
    keys: Vec<Tensor>,   // [b, heads, slots, d_kv]
    values: Vec<Tensor>, // [b, heads, slots, d_kv]
    relative: Tensor,    // [heads, P * L, P * L]
    visible: Tensor,     // [b, 1 or K, slots so far] 0 for a beam's own past, else minus infinity
    bias: Tensor,        // [b, heads, n beams, n tokens, slots so far and new ones] of those that read now
    width: i64,
    /// Tokens of a beam read so far.
    pub time: i64,
}

impl SharedPast {
    /// Nothing read yet.
    pub fn new(call: &Call<'_>, prompts: i64, width: i64, longest: i64, device: Device) -> Self {
        let Network { heads, d_kv, attention, .. } = call.network;
        let slots = 1 + (longest - 1) * width;
        let room = || Tensor::empty([prompts, heads, slots, d_kv], (attention, device));
        let layers = call.weights.decoder.blocks.len();
        let table = &call.weights.decoder.relative_bias;
        Self {
            keys: (0..layers).map(|_| room()).collect(),
            values: (0..layers).map(|_| room()).collect(),
            relative: call.decoder_buckets.bias(table, 0, longest, longest),
            visible: Tensor::zeros([prompts, 1, 0], (Kind::Float, device)),
            bias: Tensor::zeros([1], (Kind::Float, device)),
            width,
            time: 0,
        }
    }

    /// Slots of what was read so far.
    fn used(&self) -> i64 {
        if self.time == 0 { 0 } else { 1 + (self.time - 1) * self.width }
    }

    /// Lays out who sees what while `reading` beams, those in `beams` `[b, reading]` or all, read `new` tokens each.
    pub fn begin(&mut self, beams: Option<&Tensor>, reading: i64, new: i64) {
        let device = self.visible.device();
        let (prompts, used) = (self.visible.size()[0], self.used());
        let visible = match beams {
            Some(beams) => self.visible.gather(1, &beams.unsqueeze(-1).expand([-1, -1, used], false), false),
            None => self.visible.shallow_clone(),
        }; // [b, reading, used]
        let own = nothing_but_itself(reading, device).view([reading, 1, 1, reading]);
        let earlier = causal_mask(new, device).view([1, new, new, 1]);
        let own = (own + earlier).flatten(2, 3); // [reading, new, new * reading]
        let visible = Tensor::cat(
            &[
                visible.unsqueeze(2).expand([-1, -1, new, -1], false),
                own.unsqueeze(0).expand([prompts, -1, -1, -1], false),
            ],
            3,
        ); // [b, reading, new, used and new slots]
        let beams_at = |time: i64| match time {
            0 => 1,
            time if time < self.time => self.width,
            _ => reading,
        };
        let repeats: Vec<i64> = (0..self.time + new).map(beams_at).collect();
        let repeats = Tensor::from_slice(&repeats).to(device);
        let relative = self.relative.narrow(1, self.time, new).narrow(2, 0, self.time + new);
        let relative = relative.repeat_interleave_self_tensor(&repeats, 2, used + new * reading); // [heads, new, slots]
        self.bias = visible.unsqueeze(1) + relative.unsqueeze(1).unsqueeze(0);
    }

    /// What all beams read last is kept: they now have read `time` tokens.
    pub fn keep_read(&mut self, time: i64) {
        let (prompts, beams) = (self.visible.size()[0], self.visible.size()[1]);
        let own = nothing_but_itself(beams, self.visible.device()).repeat([1, time - self.time]);
        self.visible = Tensor::cat(&[&self.visible, &own.unsqueeze(0).expand([prompts, -1, -1], false)], 2);
        self.time = time;
    }

    /// Beam `k` goes on from what was beam `parents[.., k]`. // [b, K]
    pub fn reorder(&mut self, parents: &Tensor) {
        let slots = self.visible.size()[2];
        let index = parents.unsqueeze(-1).expand([-1, -1, slots], false);
        self.visible = self.visible.gather(1, &index, false);
    }

    /// Goes on with some prompts only, by their current places.
    pub fn keep(&mut self, places: &Tensor) {
        let used = self.used();
        for tensor in self.keys.iter_mut().chain(&mut self.values) {
            let old = tensor.narrow(2, 0, used).index_select(0, places);
            let mut size = tensor.size();
            size[0] = places.size()[0];
            *tensor = tensor.new_empty(size, (tensor.kind(), tensor.device()));
            tensor.narrow(2, 0, used).copy_(&old);
        }
        self.visible = self.visible.index_select(0, places);
    }
}

/// 0 on the diagonal, else minus infinity. // [beams, beams]
fn nothing_but_itself(beams: i64, device: Device) -> Tensor {
    Tensor::full([beams, beams], f64::NEG_INFINITY, (Kind::Float, device)).fill_diagonal_(0.0, false)
}

impl Past for SharedPast {
    fn attend(&mut self, network: &Network, layer: usize, qkv: &Tensor, last_alone: bool) -> Tensor {
        let Network { heads, d_kv, .. } = *network;
        let (keys, values) = (&self.keys[layer], &self.values[layer]);
        let (prompts, new, used) = (keys.size()[0], qkv.size()[1], self.used());
        let apart = network.for_products(qkv).view([prompts, -1, new, 3, heads, d_kv]).permute([3, 0, 4, 2, 1, 5]); // [3, b, heads, n, beams, d_kv]
        let beams = apart.size()[4];
        let stored = |place: i64| apart.get(place).reshape([prompts, heads, new * beams, d_kv]);
        keys.narrow(2, used, new * beams).copy_(&stored(1));
        values.narrow(2, used, new * beams).copy_(&stored(2));
        if used == 0 {
            return network.factors.of(&apart.get(2).reshape([-1, heads * d_kv])); // the only token attends to itself
        }
        let (slots, asking) = (used + new * beams, if last_alone { 1 } else { new });
        let so_far = |kept: &Tensor| network.readable(kept.flatten(0, 1).narrow(1, 0, slots)); // [b * heads, slots, d_kv]
        let query = apart.get(0).narrow(2, new - asking, asking).transpose(2, 3); // [b, heads, beams, asking, d_kv]
        let query = query.reshape([prompts * heads, beams * asking, d_kv]);
        let scores = query.bmm(&so_far(keys).transpose(1, 2)).view([prompts, heads, beams * asking, slots]);
        let bias = self.bias.narrow(3, new - asking, asking).flatten(2, 3); // [b, heads, beams * asking, slots]
        let mixed = network.mix(scores, Some(&bias), &so_far(values));
        network.factors.of(&network.merge(&mixed, prompts).view([-1, heads * d_kv]))
    }
}
