//! What every path has read, kept for itself.

use crate::attention::Network;
use crate::policy::Call;
use crate::relative::causal_mask;
use crate::stepper::Past;
use prorl_kernels::attention::{Attention, Spans};
use prorl_kernels::factors::Factors;
use tch::{Device, Kind, Tensor};

/// Keys and values of each path's own tokens.
pub struct OwnPast {
    kept: Kept,
    bias: Tensor, // [heads, P * L, P * L]; among heads, minus infinity for later tokens
    group: i64,
    /// Tokens read so far.
    pub time: i64,
}

/// Keys and values of every layer.
enum Kept {
    /// As they are projected, for one pass over each path.
    Rows(Vec<Tensor>), // [rows, P * L, 2 * heads * d_kv]
    /// Head by head, for products.
    Heads { keys: Vec<Tensor>, values: Vec<Tensor> }, // [rows, heads, P * L, d_kv]
}

/// Up to so many tokens, paths are looked at in one pass. What longer ones have read is more than the caches hold, and
/// products read it head by head without a gap.
const WORTH_ROWS: i64 = 128;

/// How rows are kept: numbers of 8 bits in as many bytes as they need, whatever products with weights take.
fn in_rows(network: &Network) -> Factors {
    if network.factors == Factors::Float32 { Factors::Float32 } else { Factors::Bf16 }
}

impl OwnPast {
    /// Nothing read yet, with room for `longest` tokens.
    pub fn new(call: &Call<'_>, prompts: i64, group: i64, longest: i64, device: Device) -> Self {
        let network = &call.network;
        let blocks = &call.weights.decoder.blocks;
        let room = |size: &[i64], kind: Kind| blocks.iter().map(|_| Tensor::empty(size, (kind, device))).collect();
        let bias = call.decoder_buckets.bias(&call.weights.decoder.relative_bias, 0, longest, longest);
        let rows = prompts * group;
        if network.fused && longest <= WORTH_ROWS {
            let kept = Kept::Rows(room(&[rows, longest, 2 * network.inner()], in_rows(network).kind()));
            return Self { kept, bias, group, time: 0 };
        }
        let size = [rows, network.heads, longest, network.d_kv];
        let kept = Kept::Heads { keys: room(&size, network.attention), values: room(&size, network.attention) };
        Self { kept, bias: bias + causal_mask(longest, device), group, time: 0 }
    }

    /// That of some rows, with room for `room` tokens.
    pub fn of(&self, rows: &Tensor, room: i64) -> Self {
        let some = |all: &[Tensor], of_time: usize| {
            let some = all.iter().map(|kept| {
                let mut size = kept.size();
                (size[0], size[of_time]) = (rows.size()[0], room);
                let own = kept.new_empty(size, (kept.kind(), kept.device()));
                let read = |kept: &Tensor| kept.narrow(of_time as i64, 0, self.time);
                read(&own).copy_(&read(kept).index_select(0, rows));
                own
            });
            some.collect()
        };
        let kept = match &self.kept {
            Kept::Rows(both) => Kept::Rows(some(both, 1)),
            Kept::Heads { keys, values } => Kept::Heads { keys: some(keys, 2), values: some(values, 2) },
        };
        Self { kept, bias: self.bias.shallow_clone(), ..*self }
    }

    /// One pass over each path; `both` are its keys and values.
    fn look_back(&self, network: &Network, both: &Tensor, qkv: &Tensor, asking: i64) -> Tensor {
        let (rows, new, inner) = (qkv.size()[0], qkv.size()[1], network.inner());
        let longest = both.size()[1];
        both.narrow(1, self.time, new).copy_(&qkv.narrow(2, inner, 2 * inner));
        let queries = qkv.narrow(1, new - asking, asking).narrow(2, 0, inner).reshape([-1, inner]).to_kind(both.kind());
        let slots = (self.time + new) as usize;
        let from = Spans::packed(&vec![asking as usize; rows as usize]);
        let to = Spans::padded(&vec![slots; rows as usize], longest as usize);
        let places: Vec<usize> = (0..rows).flat_map(|_| slots - asking as usize..slots).collect();
        let (heads, factors) = (network.heads, in_rows(network));
        let attention = Attention { heads, bias: Some(&self.bias), causal: true, factors, dropout: 0.0 };
        attention.from_places(&queries, &from, &places, &both.flatten(0, 1), &to).to_kind(network.factors.kind())
    }

    /// The same by products, head by head.
    fn look_up(&self, network: &Network, [keys, values]: [&Tensor; 2], qkv: &Tensor, asking: i64) -> Tensor {
        let Network { heads, d_kv, .. } = *network;
        let (rows, new) = (qkv.size()[0], qkv.size()[1]);
        let slots = self.time + new;
        let qkv = network.for_products(qkv).view([rows, new, 3, heads, d_kv]);
        let part = |place: i64| qkv.select(2, place).transpose(1, 2); // [rows, heads, n, d_kv]
        keys.narrow(2, self.time, new).copy_(&part(1));
        values.narrow(2, self.time, new).copy_(&part(2));
        let so_far = |kept: &Tensor| network.readable(kept.flatten(0, 1).narrow(1, 0, slots)); // [rows * heads, slots, d_kv]
        let query = part(0).narrow(2, new - asking, asking).reshape([rows * heads, asking, d_kv]);
        let scores = query.bmm(&so_far(keys).transpose(1, 2)).view([rows, heads, asking, slots]);
        let bias = self.bias.narrow(1, slots - asking, asking).narrow(2, 0, slots); // [heads, asking, slots]
        let found = network.merge(&network.mix(scores, Some(&bias), &so_far(values)), rows);
        network.factors.of(&found.view([-1, heads * d_kv]))
    }

    /// The first token, which all paths of a prompt share, finds itself.
    fn begin(&self, network: &Network, layer: usize, qkv: &Tensor) -> Tensor {
        let Network { heads, d_kv, .. } = *network;
        let (prompts, inner) = (qkv.size()[0], network.inner());
        let of_group = |kept: &Tensor| kept.unflatten(0, [prompts, self.group]); // [B, G, ..]
        match &self.kept {
            Kept::Rows(both) => {
                let first = qkv.narrow(2, inner, 2 * inner).unsqueeze(1); // [B, 1, 1, 2 * heads * d_kv]
                of_group(&both[layer].narrow(1, 0, 1)).copy_(&first);
            }
            Kept::Heads { keys, values } => {
                let qkv = network.for_products(qkv);
                for (place, kept) in [keys, values].into_iter().enumerate() {
                    let part = qkv.narrow(2, (place as i64 + 1) * inner, inner);
                    of_group(&kept[layer].narrow(2, 0, 1)).copy_(&part.view([prompts, 1, heads, 1, d_kv]));
                }
            }
        }
        network.factors.of(&qkv.narrow(2, 2 * inner, inner).flatten(0, 1))
    }
}

impl Past for OwnPast {
    fn attend(&mut self, network: &Network, layer: usize, qkv: &Tensor, last_alone: bool) -> Tensor {
        if self.time == 0 {
            return self.begin(network, layer, qkv);
        }
        let asking = if last_alone { 1 } else { qkv.size()[1] };
        match &self.kept {
            Kept::Rows(both) => self.look_back(network, &both[layer], qkv, asking),
            Kept::Heads { keys, values } => self.look_up(network, [&keys[layer], &values[layer]], qkv, asking),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::encoder::encode;
    use crate::sampling::sample;
    use crate::sight::tests::policy;
    use prorl_sdk::policy::Decoding;
    use prorl_sdk::prelude::*;

    #[test]
    fn rows_and_heads_draw_the_same_paths() {
        let policy = policy();
        let items = |size: &[i64]| Tensor::randint_low(1, 31, size, (Kind::Int64, Device::Cpu));
        let prompts = Prompts { history: items(&[40, 4]), target: items(&[40]) };
        let drawn = |fused: bool| {
            let mut call = policy.call(false);
            call.network.fused &= fused;
            let encoded = encode(&call, &prompts);
            // The likeliest choices: draws of tests that run side by side come from one generator.
            let decoding = Decoding { top_k: 1, ..Decoding::sample(2) };
            tch::no_grad(|| sample(&call, &encoded, &decoding))
        };
        let ((rows, of_rows), (heads, of_heads)) = (drawn(true), drawn(false));
        assert_eq!(rows, heads);
        let off = (of_rows - of_heads).abs().max().double_value(&[]);
        assert!(off < 1e-4, "log-probabilities are off by {off}");
    }
}
