//! What codes must be whatever the catalogue: unique, in range, reproducible, alike for alike items.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod catalogue;

use catalogue::{Items, digits, figure, matrix_file, tokenize};
use proptest::prelude::*;
use prorl_plugin_rq_kmeans::RqKmeansParameters;
use prorl_sdk::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::HashSet;

fn small() -> RqKmeansParameters {
    RqKmeansParameters { levels: 2, codebook_size: 8, dimensions: 8, ..Default::default() }
}

/// Fails unless the table has a row of zeros, distinct rows behind it and digits in range, the last from 1.
fn assert_sound(table: &CodeTable, items: usize, parameters: &RqKmeansParameters) {
    let rows = digits(table);
    assert_eq!(table.codebook_size, parameters.codebook_size);
    assert_eq!(rows.len(), items + 1);
    assert!(rows[0].iter().all(|&digit| digit == 0));
    let (real, range) = (&rows[1..], 0..parameters.codebook_size);
    assert!(real.iter().all(|row| row.len() as i64 == parameters.levels + 1));
    assert!(real.iter().flatten().all(|digit| range.contains(digit)));
    assert!(real.iter().all(|row| *row.last().unwrap() >= 1));
    assert_eq!(real.iter().collect::<HashSet<_>>().len(), items);
    assert!(table.report.iter().all(|(_, value)| value.is_finite()));
}

/// A matrix [groups · copies, D] of tight groups: copies of item `v` of group `g` stand together.
fn groups(groups: usize, copies: usize, dimensions: usize, noise: f32) -> Vec<Vec<f32>> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut number = move || random.random::<f32>() - 0.5;
    (0..groups)
        .flat_map(|_| {
            let centre: Vec<f32> = (0..dimensions).map(|_| number()).collect();
            let near = |_| centre.iter().map(|x| x + noise * number()).collect();
            (0..copies).map(near).collect::<Vec<Vec<f32>>>()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    #[test]
    fn codes_are_unique_and_in_range(
        attributes in prop::collection::vec(prop::collection::vec(0i64..4, 0..3), 1..50),
        sequences in prop::collection::vec(prop::collection::vec(0usize..1000, 0..12), 0..20),
        seed in any::<u64>(),
    ) {
        let items = attributes.len();
        let sequences = sequences
            .into_iter()
            .map(|sequence| sequence.into_iter().map(|item| (item % items) as i64 + 1).collect())
            .collect();
        let known = Items { attributes, sequences };
        let parameters = RqKmeansParameters { seed, ..small() };
        match tokenize(parameters.clone(), &known.catalogue()) {
            Ok(table) => assert_sound(&table, items, &parameters),
            Err(error) => prop_assert!(error.to_string().contains("neither attributes nor sequences"), "{error}"),
        }
    }

    #[test]
    fn codes_of_a_matrix_with_equal_rows_are_unique(
        rows in prop::collection::vec(prop::sample::select(vec![[0f32, 0.0], [0.0, 1.0], [1e4, -1.0], [1e-6, 0.0]]), 1..50),
    ) {
        let rows: Vec<Vec<f32>> = rows.iter().map(|row| row.to_vec()).collect();
        let file = matrix_file(&rows);
        let mut catalogue = Items::unknown(rows.len()).catalogue();
        catalogue.embeddings = Some(file.path.display().to_string());
        assert_sound(&tokenize(small(), &catalogue).unwrap(), rows.len(), &small());
    }
}

#[test]
fn one_item_has_a_code() {
    let items = Items { attributes: vec![vec![0]], sequences: vec![] };
    let table = tokenize(RqKmeansParameters::default(), &items.catalogue()).unwrap();
    assert_eq!(digits(&table)[1], [0, 0, 0, 1]);
    assert_eq!(figure(&table, "reconstruction_error/level_1"), 0.0);
}

/// libtorch's generator is one for all threads: tests that seed it take turns.
static GENERATOR: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn the_seed_decides() {
    let file = matrix_file(&groups(200, 2, 16, 0.3));
    let codes = |seed| {
        let mut catalogue = Items::unknown(400).catalogue();
        catalogue.embeddings = Some(file.path.display().to_string());
        digits(&tokenize(RqKmeansParameters { seed, codebook_size: 16, ..small() }, &catalogue).unwrap())
    };
    let _alone = GENERATOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    tch::manual_seed(1);
    let first = codes(5);
    tch::manual_seed(2);
    assert_eq!(first, codes(5));
    assert_ne!(first, codes(6));
}

#[test]
fn the_hosts_generator_is_left_alone() {
    let _alone = GENERATOR.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    tch::manual_seed(3);
    let expected = Tensor::rand([4], (Kind::Float, Device::Cpu));
    tch::manual_seed(3);
    let items = Items { attributes: vec![vec![0], vec![1], vec![0, 1]], sequences: vec![vec![1, 2, 3]] };
    tokenize(small(), &items.catalogue()).unwrap();
    assert_eq!(expected, Tensor::rand([4], (Kind::Float, Device::Cpu)));
}

#[test]
fn what_is_left_over_falls_with_the_levels() {
    let file = matrix_file(&groups(300, 1, 12, 0.0));
    let mut catalogue = Items::unknown(300).catalogue();
    catalogue.embeddings = Some(file.path.display().to_string());
    let parameters = RqKmeansParameters { levels: 5, ..small() };
    let table = tokenize(parameters, &catalogue).unwrap();
    let errors: Vec<f64> =
        (1..=5).map(|level| figure(&table, &format!("reconstruction_error/level_{level}"))).collect();
    assert!(errors.is_sorted_by(|a, b| a > b), "{errors:?}");
    assert!(errors[0] < 1.0 && errors[4] < 0.6, "{errors:?}");
    for level in 1..=5 {
        let used = figure(&table, &format!("codebook_use/level_{level}"));
        let perplexity = figure(&table, &format!("perplexity/level_{level}"));
        assert!(used == 1.0 && perplexity > 4.0 && perplexity <= 8.0, "{used} {perplexity}");
    }
}

#[test]
fn items_alike_share_their_first_codes() {
    let (count, copies) = (8, 5);
    let file = matrix_file(&groups(count, copies, 16, 1e-4));
    let mut catalogue = Items::unknown(count * copies).catalogue();
    catalogue.embeddings = Some(file.path.display().to_string());
    let rows = digits(&tokenize(small(), &catalogue).unwrap());
    let firsts: Vec<HashSet<i64>> =
        rows[1..].chunks(copies).map(|group| group.iter().map(|row| row[0]).collect()).collect();
    assert!(firsts.iter().all(|codes| codes.len() == 1), "{firsts:?}");
    assert_eq!(firsts.iter().flatten().collect::<HashSet<_>>().len(), count);
}

#[test]
fn items_seen_together_share_their_first_code() {
    let mut random = ChaCha8Rng::seed_from_u64(0);
    let sequences =
        (0..300).map(|user| (0..10).map(|_| (user % 4) * 10 + random.random_range(1..=10)).collect()).collect();
    let items = Items { attributes: vec![vec![]; 40], sequences };
    let parameters = RqKmeansParameters { codebook_size: 4, levels: 3, ..small() };
    let rows = digits(&tokenize(parameters, &items.catalogue()).unwrap());
    for group in rows[1..].chunks(10) {
        assert!(group.iter().all(|row| row[0] == group[0][0]), "{group:?}");
    }
}

#[test]
fn a_collision_beyond_the_last_digit_moves_to_the_neighbours() {
    let items = |count: usize| Items { attributes: vec![vec![3]; count], sequences: vec![] };
    let parameters = RqKmeansParameters { levels: 1, codebook_size: 4, ..small() };
    let table = tokenize(parameters.clone(), &items(12).catalogue()).unwrap();
    assert_sound(&table, 12, &parameters);
    assert_eq!(figure(&table, "collisions"), 12.0);
    assert_eq!(figure(&table, "largest_collision"), 12.0);
    assert_eq!(figure(&table, "moved"), 9.0);
    let error = tokenize(parameters, &items(13).catalogue()).unwrap_err().to_string();
    for part in ["`raw13`", "more than 12 items", "raise `codebook_size` or `levels`"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn without_anything_to_go_by_the_message_says_what_to_give() {
    let error = tokenize(small(), &Items::unknown(3).catalogue()).unwrap_err();
    assert!(error.to_string().contains("set `embeddings`"), "{error}");
    let error = tokenize(small(), &Items::unknown(0).catalogue()).unwrap_err();
    assert!(error.to_string().contains("no items"), "{error}");
}

#[test]
fn an_inconsistent_catalogue_is_refused() {
    let mut catalogue = Items { attributes: vec![vec![0]; 3], sequences: vec![vec![1, 9]] }.catalogue();
    let error = tokenize(small(), &catalogue).unwrap_err().to_string();
    assert!(error.contains("sequence: entry 1 is 9, but should be in 1..4"), "{error}");
    catalogue.sequence_items = Tensor::from_slice(&[1i64, 2]);
    catalogue.attribute_offsets = Tensor::from_slice(&[0i64, 0, 2, 1, 3]);
    let error = tokenize(small(), &catalogue).unwrap_err().to_string();
    assert!(error.contains("attribute_offsets should rise"), "{error}");
}

#[test]
fn parameters_are_checked() {
    let parse = prorl_sdk::parameters::parse::<RqKmeansParameters>;
    assert_eq!(parse("{}").unwrap().codebook_size, 256);
    for (json, name) in [
        (r#"{"levels": 0}"#, "levels"),
        (r#"{"codebook_size": 1}"#, "codebook_size"),
        (r#"{"dimensions": 0}"#, "dimensions"),
        (r#"{"iterations": 0}"#, "iterations"),
        (r#"{"window": -1}"#, "window"),
        (r#"{"attribute_weight": -0.5}"#, "attribute_weight"),
        (r#"{"level": 3}"#, "level"),
    ] {
        let error = parse(json).unwrap_err().to_string();
        assert!(error.contains(name), "{error}");
    }
}
