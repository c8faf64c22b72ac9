//! A seed decides the paths. Alone in its process: libtorch's generator is one for all threads.
#![allow(clippy::unwrap_used)]

use prorl_plugin_t5::{T5Parameters, T5Policy};
use prorl_sdk::prelude::*;

#[test]
fn a_seed_decides_the_paths() {
    let codes = Tensor::from_slice(&[0i64, 0, 0, 1, 1, 0, 1, 1, 2, 0]).view([5, 2]);
    let setup = Setup {
        items: 4,
        history: 2,
        path: 3,
        codes: Some(codes),
        codebook_size: 3,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    let parameters = T5Parameters { layers: 1, d_model: 16, d_kv: 8, d_ff: 16, heads: 2, ..T5Parameters::default() };
    let mut policy = T5Policy::create(parameters, &setup).unwrap();
    let history = Tensor::from_slice(&[1i64, 2]).view([1, 2]);
    let prompts = Prompts { history, target: Tensor::from_slice(&[3i64]) };
    let mut draw = |seed| {
        tch::manual_seed(seed);
        let drawn = policy.rollout(&prompts, &Decoding::sample(32)).unwrap();
        Vec::<i64>::try_from(drawn.items.flatten(0, -1)).unwrap()
    };
    let first = draw(1);
    assert_eq!(draw(1), first);
    assert_ne!(draw(2), first);
}
