//! What every path has read, kept for itself.

use crate::attention::Network;
use crate::policy::Call;
use crate::relative::{Buckets, causal_mask};
use crate::stepper::Past;
use tch::{Device, Tensor};

/// Keys and values of each path's own tokens.
pub struct OwnPast {
    keys: Vec<Tensor>,   // [rows, heads, P * L, d_kv]
    values: Vec<Tensor>, // [rows, heads, P * L, d_kv]
    bias: Tensor,        // [heads, P * L, P * L], minus infinity for later tokens
    group: i64,
    /// Tokens read so far.
    pub time: i64,
}

impl OwnPast {
    /// Nothing read yet, with room for `longest` tokens.
    pub fn new(call: &Call<'_>, prompts: i64, group: i64, longest: i64, device: Device) -> Self {
        let Network { heads, d_kv, attention, .. } = call.network;
        let room = || Tensor::empty([prompts * group, heads, longest, d_kv], (attention, device));
        let layers = call.weights.decoder.blocks.len();
        let buckets: Buckets = call.decoder_buckets;
        Self {
            keys: (0..layers).map(|_| room()).collect(),
            values: (0..layers).map(|_| room()).collect(),
            bias: buckets.bias(&call.weights.decoder.relative_bias, 0, longest, longest) + causal_mask(longest, device),
            group,
            time: 0,
        }
    }

    /// That of some rows, with room for `room` tokens.
    pub fn of(&self, rows: &Tensor, room: i64) -> Self {
        let some = |kept: &Tensor| {
            let mut size = kept.size();
            (size[0], size[2]) = (rows.size()[0], room);
            let own = kept.new_empty(size, (kept.kind(), kept.device()));
            own.narrow(2, 0, self.time).copy_(&kept.narrow(2, 0, self.time).index_select(0, rows));
            own
        };
        Self {
            keys: self.keys.iter().map(some).collect(),
            values: self.values.iter().map(some).collect(),
            bias: self.bias.shallow_clone(),
            ..*self
        }
    }
}

impl Past for OwnPast {
    fn attend(&mut self, network: &Network, layer: usize, qkv: &Tensor, last_alone: bool) -> Tensor {
        let Network { heads, d_kv, .. } = *network;
        let (rows, new) = (qkv.size()[0], qkv.size()[1]);
        let (keys, values) = (&self.keys[layer], &self.values[layer]);
        let part = |place: i64| qkv.select(2, place).transpose(1, 2); // [rows, heads, n, d_kv]
        if self.time == 0 {
            let shared = |new: &Tensor| new.unsqueeze(1).expand([-1, self.group, -1, -1, -1], false).flatten(0, 1);
            keys.narrow(2, 0, 1).copy_(&shared(&part(1)));
            values.narrow(2, 0, 1).copy_(&shared(&part(2)));
            return part(2).reshape([-1, heads * d_kv]); // the only token attends to itself
        }
        keys.narrow(2, self.time, new).copy_(&part(1));
        values.narrow(2, self.time, new).copy_(&part(2));
        let (slots, asking) = (self.time + new, if last_alone { 1 } else { new });
        let so_far = |kept: &Tensor| network.readable(kept.flatten(0, 1).narrow(1, 0, slots)); // [rows * heads, slots, d_kv]
        let query = part(0).narrow(2, new - asking, asking).reshape([rows * heads, asking, d_kv]);
        let scores = query.bmm(&so_far(keys).transpose(1, 2)).view([rows, heads, asking, slots]);
        let bias = self.bias.narrow(1, slots - asking, asking).narrow(2, 0, slots); // [heads, asking, slots]
        network.merge(&network.mix(scores, Some(&bias), &so_far(values)), rows).view([-1, heads * d_kv])
    }
}
