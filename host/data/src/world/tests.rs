#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;

fn small() -> WorldOptions {
    WorldOptions { users: 80, items: 90, ..WorldOptions::default() }
}

#[test]
fn reading_what_was_written_gives_the_same_data_set() {
    let world = World::generate(&small()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    world.write(folder.path()).unwrap();
    let options = ReadOptions { ignore_attributes: vec!["Comedy".into()], ..ReadOptions::default() };
    let (made, read) = (world.dataset(&options).unwrap(), Dataset::open(folder.path(), &options).unwrap());
    assert_eq!(made.name, read.name);
    assert_eq!(made.catalogue, read.catalogue);
    assert_eq!((&made.train, &made.validation, &made.test), (&read.train, &read.validation, &read.test));
    assert_eq!(made.sequences, read.sequences);
    assert_eq!(made.stats(), read.stats());
    assert_eq!(World::beside(folder.path()).unwrap(), Some(world));
    assert_eq!(World::beside(tempfile::tempdir().unwrap().path()).unwrap(), None);
}

/// By hand: from the user's start through all of the user's own clicks.
#[test]
fn states_are_those_that_the_users_were_in() {
    let world = World::generate(&small()).unwrap();
    let (states, drift) = (world.states(), world.options().drift);
    let mut vector = world.users()[3].clone();
    for click in world.clicks().iter().filter(|click| click.user == 3) {
        let item = &world.items()[click.item].vector;
        vector.iter_mut().zip(item).for_each(|(a, b)| *a = (1.0 - drift) * *a + drift * b);
        let found = states.after("u4", click.item).unwrap();
        assert!(found.iter().zip(&vector).all(|(a, b)| (a - b).abs() < 1e-12));
    }
    let never = (0..90).find(|&item| !world.clicks().iter().any(|click| (click.user, click.item) == (3, item)));
    assert_eq!(states.after("u4", never.unwrap()), None);
    assert_eq!(states.after("somebody", 0), None);
}

#[test]
fn a_seed_makes_one_world() {
    assert_eq!(World::generate(&small()).unwrap(), World::generate(&small()).unwrap());
    let other = WorldOptions { seed: 1, ..small() };
    assert_ne!(World::generate(&small()).unwrap().clicks(), World::generate(&other).unwrap().clicks());
}

#[test]
fn the_default_world_is_made_quickly_and_gives_thousands_of_examples() {
    let start = std::time::Instant::now();
    let dataset = World::generate(&WorldOptions::default()).unwrap().dataset(&ReadOptions::default()).unwrap();
    let took = start.elapsed();
    println!("made in {took:?}\n{}", dataset.describe());
    assert!(took.as_secs_f64() < 3.0, "{took:?}");
    assert!(dataset.train.len() > 4000, "{}", dataset.train.len());
    let stats = dataset.stats();
    assert_eq!(stats.train.path_coherence(), 1.0);
    assert_eq!(stats.train.start_coherence, 0.0);
    assert!(stats.test.target_coherence < 0.6);
}

#[test]
fn the_true_model_is_a_distribution_and_clicks_lead_towards_items() {
    let world = World::generate(&small()).unwrap();
    let before = world.log_probabilities(&[1, 2, 3]);
    assert_eq!((before.len(), before[0]), (91, f64::NEG_INFINITY));
    assert!((before.iter().map(|value| value.exp()).sum::<f64>() - 1.0).abs() < 1e-9);
    for item in [5u32, 40, 90] {
        let after = world.log_probabilities(&[1, 2, 3, item]);
        assert!(after[item as usize] > before[item as usize]);
    }
    assert_eq!(world.log_probabilities(&[0, 999]), world.log_probabilities(&[]));
}

/// The history tells what comes next: the true model gives what users did more than popularity alone does.
#[test]
fn sequences_can_be_learnt() {
    let world = World::generate(&small()).unwrap();
    let dataset = world.dataset(&ReadOptions::default()).unwrap();
    let (mut told, mut untold, mut count) = (0.0, 0.0, 0);
    for items in dataset.sequences.iter().filter(|items| items.len() > 12) {
        told += world.log_probabilities(&items[..12])[items[12] as usize];
        untold += world.log_probabilities(&[])[items[12] as usize];
        count += 1;
    }
    let gain = (told - untold) / f64::from(count);
    assert!(gain > 0.3, "{gain}");
}

#[test]
fn nonsense_is_refused_by_name() {
    let refused = |options: WorldOptions, name: &str| {
        let message = World::generate(&options).unwrap_err().to_string();
        assert!(message.contains(&format!("`{name}`")), "{message}");
    };
    refused(WorldOptions { users: 0, ..small() }, "users");
    refused(WorldOptions { items: 60, ..small() }, "items");
    refused(WorldOptions { drift: 0.0, ..small() }, "drift");
    refused(WorldOptions { temperature: f64::NAN, ..small() }, "temperature");
    refused(WorldOptions { noise: -1.0, ..small() }, "noise");
}
