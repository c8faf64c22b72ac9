#![allow(clippy::unwrap_used)]
use super::*;
use prorl_data::{Example, ReadOptions, WorldOptions};

fn world() -> (World, Dataset) {
    let world = World::generate(&WorldOptions { users: 80, items: 90, ..WorldOptions::default() }).unwrap();
    let dataset = world.dataset(&ReadOptions::default()).unwrap();
    (world, dataset)
}

/// Log-probabilities of items by their ids, by hand, for a user at `state` to whom `known` ids are not new.
fn by_hand(world: &World, state: &[f64], known: &[u32]) -> Vec<f64> {
    let options = world.options();
    let weight = |index: usize| {
        let item = &world.items()[index];
        let product: f64 = state.iter().zip(&item.vector).map(|(a, b)| a * b).sum();
        (product / options.temperature + options.popularity * item.log_popularity).exp()
    };
    let weights: Vec<f64> =
        (0..world.items().len()).map(|i| if known.contains(&(i as u32 + 1)) { 0.0 } else { weight(i) }).collect();
    let total: f64 = weights.iter().sum();
    std::iter::once(f64::NEG_INFINITY).chain(weights.into_iter().map(|it| (it / total).ln())).collect()
}

fn stands(world: &World, example: &Example) -> Vec<f64> {
    let last = *example.history.last().unwrap() as usize - 1;
    world.states().after(example.user.as_deref().unwrap(), last).unwrap().to_vec()
}

fn prompt(example: &Example) -> Prompts {
    let history: Vec<i64> = example.history.iter().map(|&item| i64::from(item)).collect();
    Prompts {
        history: Tensor::from_slice(&history).unsqueeze(0),
        target: Tensor::from_slice(&[i64::from(example.target)]),
    }
}

fn close(actual: f64, expected: f64) {
    assert!((actual - expected).abs() < 1e-5, "{actual} is not {expected}");
}

#[test]
fn a_path_is_judged_by_the_worlds_own_rules() {
    let (world, dataset) = world();
    let example = &dataset.test[0];
    let mut truth = Truth::new(&world, &dataset, 10, Device::Cpu).unwrap();
    let new: Vec<u32> = (1..=90).filter(|id| !example.history.contains(id) && *id != example.target).collect();
    let (first, second) = (new[0], new[1]);
    // Two new items, then one that the user knows by now, then a code that is no item.
    let items = [i64::from(first), i64::from(second), i64::from(first), 0];
    let paths = Paths {
        items: Tensor::from_slice(&items).view([1, 1, 4]),
        length: Tensor::from_slice(&[4i64]).view([1, 1]),
        stopped: Tensor::from_slice(&[true]).view([1, 1]),
        tokens: None,
    };
    let prompts = prompt(example);
    let scores = truth.score_paths(&prompts, &paths).unwrap();
    let details = truth.path_details(&prompts, &paths).unwrap();

    let (mut state, mut known) = (stands(&world, example), example.history.clone());
    let drift = world.options().drift;
    for (column, next) in [Some(first), Some(second), None, None, None].into_iter().enumerate() {
        let expected = by_hand(&world, &state, &known);
        let own = expected[example.target as usize];
        let at = [0, 0, column as i64];
        close(scores.target_log_prob.double_value(&at), own);
        let above = |id: &u32| expected[*id as usize] > own;
        assert_eq!(scores.target_rank.int64_value(&at), 1 + (1..=90).filter(above).count() as i64);
        let left = (1..=90).filter(|id| ![first, second].contains(id)).filter(above).count() as i64;
        assert_eq!(details.filtered_rank.int64_value(&at), 1 + left);
        let Some(id) = next else { continue };
        let p = expected[id as usize].exp();
        let n = (90 - known.len()) as f64;
        close(details.item_log_prob.double_value(&at), p.ln());
        close(scores.click_prob.double_value(&at), p * n / (p * n + 1.0));
        let item = &world.items()[id as usize - 1].vector;
        state.iter_mut().zip(item).for_each(|(a, b)| *a += drift * (b - *a));
        known.push(id);
    }
    assert_eq!(details.item_log_prob.double_value(&[0, 0, 2]), f64::NEG_INFINITY, "a known item is not clicked");
    assert_eq!(scores.click_prob.double_value(&[0, 0, 2]), 0.0);
    assert_eq!(details.item_log_prob.double_value(&[0, 0, 3]), 0.0);
}

#[test]
fn a_history_of_nobody_is_placed_by_its_items() {
    let (world, dataset) = world();
    let truth = Truth::new(&world, &dataset, 10, Device::Cpu).unwrap();
    let users = truth.users(&Tensor::from_slice(&[5i64, 6, 0]).view([1, 3])).unwrap();
    for (component, expected) in world.user_vector(&[5, 6]).into_iter().enumerate() {
        close(users.double_value(&[0, component as i64]), expected);
    }
}

#[test]
fn items_that_left_the_catalogue_leave_the_truth() {
    let (world, _) = world();
    let options = ReadOptions { drop_unseen_items: true, min_item_interactions: 30, ..ReadOptions::default() };
    let dataset = world.dataset(&options).unwrap();
    assert!(dataset.catalogue.len() < 90, "every item is popular");
    let mut truth = Truth::new(&world, &dataset, 10, Device::Cpu).unwrap();
    let scores = truth.next_item_scores(&Tensor::from_slice(&[1i64]).view([1, 1])).unwrap();
    assert_eq!(scores.size(), [1, dataset.catalogue.len() as i64 + 1]);
    // The number of the item changed, the item did not.
    let place = world.items().iter().position(|item| item.raw_id == dataset.catalogue.raw_ids()[1]).unwrap();
    close(truth.vectors.double_value(&[1, 0]), world.items()[place].vector[0]);
}
