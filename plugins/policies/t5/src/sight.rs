//! What positions see of each other, and the ways to look.
//!
//! In one pass over each sequence as long as it is, where the processor serves that; or by libtorch's products over the
//! rectangle, head by head.

use crate::attention::{Network, Source};
use crate::decoder::Wanted;
use crate::fused::FusedBlock;
use crate::layout::{Layout, whole_numbers};
use crate::relative::causal_mask;
use prorl_kernels::attention::{Attention, Spans};
use prorl_kernels::layers::Weights;
use tch::Tensor;

/// How the positions of a row see each other, in all layers of a stack.
pub enum Sight {
    /// In one pass.
    Fused { bias: Tensor, causal: bool, spans: Spans }, // [heads, T, T]
    /// By products; the bias of each head is minus infinity where nothing is seen.
    Products { bias: Vec<Tensor> }, // [B or 1, T, T]
}

impl Sight {
    /// Each position sees those up to itself; `bias` is `[heads, T, T]`.
    pub fn back(network: &Network, bias: Tensor, layout: &Layout) -> Self {
        if network.fused {
            return Self::Fused { bias, causal: true, spans: layout.spans() };
        }
        let mask = causal_mask(layout.time, bias.device());
        Self::Products { bias: (bias + mask).unsqueeze(1).unbind(0) }
    }

    /// Each position sees all real ones; `mask` `[B, 1, T]` is minus infinity at the others.
    pub fn all(network: &Network, bias: Tensor, mask: Option<&Tensor>, layout: &Layout) -> Self {
        if network.fused {
            return Self::Fused { bias, causal: false, spans: layout.spans() };
        }
        let bias = bias.unsqueeze(1); // [heads, 1, T, T]
        Self::Products { bias: mask.map_or_else(|| bias.shallow_clone(), |mask| &bias + mask).unbind(0) }
    }

    /// What every position, or every wanted one, finds in its row, as a factor. // [N or M, heads * d_kv]
    pub fn look(
        &self,
        network: &Network,
        source: &Source<'_>,
        block: &FusedBlock,
        layout: &Layout,
        wanted: Option<&Wanted>,
    ) -> Tensor {
        let Network { heads, dropout, .. } = *network;
        match (self, source, wanted) {
            (Self::Fused { bias, causal, spans }, Source::States(states), Some(wanted)) => {
                let part = |first, width| Weights::of(block.qkv.tensor().narrow(1, first, width));
                let (of_queries, of_others) = (part(0, network.inner()), part(network.inner(), 2 * network.inner()));
                let queries = network.factors_of_attention(&wanted.of(states), &of_queries); // [M, heads * d_kv]
                let keys_values = network.factors_of_attention(states, &of_others); // [N, 2 * heads * d_kv]
                let from = Spans::packed(&whole_numbers(&wanted.rows.bincount(None::<&Tensor>, layout.rows)));
                let places = whole_numbers(&wanted.times);
                let factors = network.kept(&keys_values);
                let attention = Attention { heads, bias: Some(bias), causal: *causal, factors, dropout };
                attention.from_places(&queries, &from, &places, &keys_values, spans)
            }
            (Self::Fused { bias, causal, spans }, ..) => {
                let qkv = network.factors_of(source, &block.qkv); // [N, 3 * heads * d_kv]
                let factors = network.kept(&qkv);
                let attention = Attention { heads, bias: Some(bias), causal: *causal, factors, dropout };
                let found = attention.within(&qkv, spans).to_kind(network.factors.kind());
                wanted.map_or_else(|| found.shallow_clone(), |wanted| wanted.of(&found))
            }
            (Self::Products { bias }, ..) => {
                let qkv = network.for_products(&network.factors_of(source, &block.qkv));
                let parts = network.by_head(&layout.spread(&qkv), 3);
                let (queries, others) = parts.split_at(heads as usize);
                let (keys, values) = others.split_at(heads as usize);
                let found = network.factors.of(&layout.pack(&network.look_up(queries, keys, values, bias)));
                wanted.map_or_else(|| found.shallow_clone(), |wanted| wanted.of(&found))
            }
        }
    }
}

#[cfg(test)]
pub mod tests {
    #![allow(clippy::unwrap_used)]
    use crate::log_probs::log_probs;
    use crate::parameters::T5Parameters;
    use crate::policy::{Call, T5Policy};
    use prorl_kernels::factors::Factors;
    use prorl_sdk::prelude::*;

    /// A small policy of three items a path and thirty in all.
    pub fn policy() -> T5Policy {
        let digits: Vec<i64> = (0..31).flat_map(|item| [item % 4, item / 4 % 5, item / 20, item * 3 % 5]).collect();
        let setup = Setup {
            items: 30,
            history: 4,
            path: 3,
            codes: Some(Tensor::from_slice(&digits).view([31, 4])),
            codebook_size: 5,
            device: "cpu".into(),
            hidden: 0,
            popularity: None,
        };
        tch::manual_seed(3);
        let parameters =
            T5Parameters { layers: 2, d_model: 32, d_kv: 16, heads: 3, d_ff: 32, ..T5Parameters::default() };
        T5Policy::create(parameters, &setup).unwrap()
    }

    /// Prompts of different lengths, and paths of one to three items.
    fn batch(group: i64) -> (Prompts, Paths) {
        let items = |size: &[i64]| Tensor::randint_low(1, 31, size, (Kind::Int64, Device::Cpu));
        let history = items(&[3, 4]);
        let _ = history.get(1).narrow(0, 1, 3).zero_();
        let length = Tensor::arange(3 * group, (Kind::Int64, Device::Cpu)).remainder(3).view([3, group, 1]) + 1;
        let held = Tensor::arange(3, (Kind::Int64, Device::Cpu)).lt_tensor(&length);
        let paths = Paths::from_items(items(&[3, group, 3]) * held.to_kind(Kind::Int64));
        (Prompts { history, target: items(&[3]) }, paths)
    }

    /// Log-probabilities, and gradients of their sum with these weights.
    fn results(
        policy: &T5Policy,
        prepare: impl Fn(&mut Call<'_>),
        (prompts, paths): &(Prompts, Paths),
        weights: &Tensor,
        query: &Query,
    ) -> Vec<Tensor> {
        let mut call = policy.call(false);
        prepare(&mut call);
        let digits = log_probs(&call, prompts, paths, query).digits;
        let parameters: Vec<Tensor> = policy.parameters().into_iter().map(|(_, parameter)| parameter).collect();
        let gradients = Tensor::run_backward(&[(&digits * weights).sum(Kind::Float)], &parameters, false, false);
        [digits].into_iter().chain(gradients).collect()
    }

    /// bf16 factors are what libtorch's products take on a processor that has such products, and read anywhere.
    #[test]
    fn in_bf16_the_ways_differ_by_its_rounding() {
        let policy = policy();
        let (batch, weights) = (batch(40), Tensor::randn([3, 40, 4, 4], (Kind::Float, Device::Cpu)));
        let with = |factors: Factors, fused: bool, absorbing: bool| {
            let prepare = move |call: &mut Call<'_>| {
                let network = &mut call.network;
                (network.factors, network.absorbing) = (factors, absorbing);
                network.fused = fused && network.fused;
                network.sublayers = fused && network.sublayers;
            };
            results(&policy, prepare, &batch, &weights, &Query::plain())
        };
        let exact = with(Factors::Float32, false, false);
        let off = |factors, fused, absorbing| {
            let of_one = |(ours, exact): (&Tensor, &Tensor)| {
                let off = (ours - exact).square().sum(Kind::Double) / exact.square().sum(Kind::Double);
                off.sqrt().double_value(&[])
            };
            with(factors, fused, absorbing).iter().zip(&exact).map(of_one).collect::<Vec<f64>>()
        };
        let by_products = off(Factors::Bf16, false, false);
        let mean = |off: &[f64]| off.iter().sum::<f64>() / off.len() as f64;
        let others = [(Factors::Bf16, true), (Factors::Rounded, true), (Factors::Rounded, false)];
        for ((factors, fused), absorbing) in others.into_iter().flat_map(|it| [(it, false), (it, true)]) {
            let off = off(factors, fused, absorbing);
            assert!(off[0] > 0.0 && off[0] < 0.005, "log-probabilities are off by {}", off[0]);
            let (mean, by_products) = (mean(&off), mean(&by_products));
            assert!(
                mean < 1.2 * by_products,
                "off by {mean}, products by {by_products}: {factors:?}, {fused}, {absorbing}"
            );
        }
    }

    #[test]
    fn all_ways_to_look_find_the_same() {
        let policy = policy();
        for (group, query) in
            [(40, Query::plain()), (40, Query { entropy: true, ..Query::plain() }), (1, Query::plain())]
        {
            let plain = |call: &mut Call<'_>| {
                let network = &mut call.network;
                (network.fused, network.absorbing, network.by_token) = (false, false, false);
                (network.chunked, network.sublayers) = (false, false);
            };
            let (batch, weights) = (batch(group), Tensor::randn([3, group, 4, 4], (Kind::Float, Device::Cpu)));
            let expected = results(&policy, plain, &batch, &weights, &query);
            let network = policy.call(false).network;
            let (history, tokens) = (4 * 5 + 1, 9 * group);
            assert_eq!(
                (network.absorbs(history, tokens), network.leaves_bare(history, tokens)),
                (group > 1, group == 1)
            );
            let ways = [
                (true, true, true, true),
                (true, true, true, false),
                (true, false, false, true),
                (false, true, true, true),
                (false, true, true, false),
            ];
            for (absorbing, fused, reads_strides, chunked) in ways {
                let prepare = |call: &mut Call<'_>| {
                    let network = &mut call.network;
                    network.absorbing = absorbing;
                    network.fused &= fused;
                    network.reads_strides = reads_strides;
                    network.chunked &= chunked;
                };
                for (ours, expected) in results(&policy, prepare, &batch, &weights, &query).iter().zip(&expected) {
                    let off = (ours - expected).abs().max().double_value(&[]);
                    let most = expected.abs().max().double_value(&[]);
                    assert!(
                        off <= 1e-5 * most.max(1.0),
                        "off by {off} of {most}, absorbing {absorbing}, fused {fused}, chunked {chunked}"
                    );
                }
            }
        }
    }

    #[test]
    fn where_nothing_is_to_choose_nothing_is_looked_at() {
        let setup = Setup {
            items: 1,
            history: 2,
            path: 1,
            codes: Some(Tensor::from_slice(&[0_i64, 0, 0, 0, 1, 2, 3, 4]).view([2, 4])),
            codebook_size: 5,
            device: "cpu".into(),
            hidden: 0,
            popularity: None,
        };
        let parameters =
            T5Parameters { layers: 2, d_model: 24, d_kv: 16, heads: 3, d_ff: 32, ..T5Parameters::default() };
        let policy = T5Policy::create(parameters, &setup).unwrap();
        let ones = Tensor::ones([2, 1, 1], (Kind::Int64, Device::Cpu));
        let prompts = Prompts { history: ones.view([2, 1]).expand([2, 2], false), target: ones.view([2]) };
        for training in [false, true] {
            let digits = log_probs(&policy.call(training), &prompts, &Paths::from_items(ones.copy()), &Query::plain());
            assert_eq!(digits.digits.abs().max().double_value(&[]), 0.0);
        }
    }
}
