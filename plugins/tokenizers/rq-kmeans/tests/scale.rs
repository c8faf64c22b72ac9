//! A catalogue of a hundred thousand items stays within minutes and a few gigabytes.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod catalogue;

use catalogue::{Items, figure, tokenize};
use prorl_plugin_rq_kmeans::RqKmeansParameters;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[test]
#[ignore = "takes a minute or two; run with --ignored --nocapture"]
fn a_large_catalogue_gets_codes() {
    let (items, topics) = (100_000, 200);
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let attributes = (0..items).map(|item| vec![item % topics, topics + random.random_range(0..500)]).collect();
    let sequences = (0..20_000)
        .map(|_| {
            let topic = random.random_range(0..topics);
            let mut next = || topic + topics * random.random_range(0..items / topics) + 1;
            (0..100).map(|_| next()).collect()
        })
        .collect();
    let catalogue = Items { attributes, sequences }.catalogue();
    let start = std::time::Instant::now();
    let table = tokenize(RqKmeansParameters::default(), &catalogue).unwrap();
    eprintln!("{items} items, 2,000,000 interactions: {:.1?}", start.elapsed());
    for (name, value) in &table.report {
        eprintln!("{name} {value:.4}");
    }
    assert_eq!(table.codes.size(), [items + 1, 4]);
    assert!(figure(&table, "codebook_use/level_3") > 0.9);
}
