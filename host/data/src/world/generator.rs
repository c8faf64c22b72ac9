//! The dice behind a world.

use super::{Click, World, WorldItem, WorldOptions};
use crate::hash::seed_of;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const GENRES: [&str; 12] = [
    "Adventure",
    "Comedy",
    "Documentary",
    "Fantasy",
    "Horror",
    "Musical",
    "Mystery",
    "Romance",
    "Sci-Fi",
    "Thriller",
    "War",
    "Western",
];

/// Seconds of the first click: 1 January 2000.
const EPOCH: u64 = 946_684_800;

/// Makes a world of checked options. Genres, items and every user have random streams of their own.
pub(super) fn generate(options: &WorldOptions) -> World {
    let stream = |purpose: &str, name: &str| ChaCha8Rng::seed_from_u64(seed_of(options.seed, purpose, name));
    let mut random = stream("genres", "");
    let directions: Vec<Vec<f64>> =
        (0..options.genres).map(|_| unit(normals(&mut random, options.dimensions))).collect();
    let items = items(&mut stream("items", ""), &directions, options);
    let scores = Scores::of_items(&items, options);
    let (mut users, mut clicks) = (Vec::with_capacity(options.users), Vec::new());
    for user in 0..options.users {
        let mut random = stream("user", &user.to_string());
        let start = tastes(&mut random, &directions, options);
        life(&mut random, user, start.clone(), (&items, &scores), options, &mut clicks);
        users.push(start);
    }
    // The sort is stable and a user's times differ, so every user's order survives.
    clicks.sort_by_key(|click| click.time);
    World { options: options.clone(), items, users, clicks }
}

fn items(random: &mut ChaCha8Rng, directions: &[Vec<f64>], options: &WorldOptions) -> Vec<WorldItem> {
    let mut ranks: Vec<usize> = (1..=options.items).collect();
    ranks.shuffle(random);
    let mut items = Vec::with_capacity(options.items);
    for (index, rank) in ranks.into_iter().enumerate() {
        let mut genres: Vec<usize> = (0..directions.len()).collect();
        genres.shuffle(random);
        genres.truncate(match random.random_range(0..10) {
            0..5 => 1,
            5..9 => 2,
            _ => 3,
        });
        let vector = around(random, &genres, directions, options);
        let genres: Vec<String> = genres.into_iter().map(genre_name).collect();
        let title = format!("{} No. {}", genres.join(" & "), index + 1);
        // Zipf's law: the item of rank r is 1/r as popular as the first.
        items.push(WorldItem {
            raw_id: format!("i{}", index + 1),
            title,
            genres,
            vector,
            log_popularity: -(rank as f64).ln(),
        });
    }
    items
}

/// A user's vector before the first click: near one or two genres.
fn tastes(random: &mut ChaCha8Rng, directions: &[Vec<f64>], options: &WorldOptions) -> Vec<f64> {
    let liked: Vec<usize> = (0..2).map(|_| random.random_range(0..directions.len())).collect();
    around(random, &liked, directions, options)
}

/// A unit vector near the mean of some directions.
fn around(random: &mut ChaCha8Rng, chosen: &[usize], directions: &[Vec<f64>], options: &WorldOptions) -> Vec<f64> {
    let mut vector = vec![0.0; options.dimensions];
    for direction in chosen.iter().filter_map(|&index| directions.get(index)) {
        vector.iter_mut().zip(direction).for_each(|(sum, component)| *sum += component);
    }
    let noise = unit(normals(random, options.dimensions));
    let mut vector = unit(vector);
    vector.iter_mut().zip(noise).for_each(|(sum, component)| *sum += options.noise * component);
    unit(vector)
}

/// A user's clicks, each on an item that is new to the user.
fn life(
    random: &mut ChaCha8Rng,
    user: usize,
    mut vector: Vec<f64>,
    (items, scores): (&[WorldItem], &Scores),
    options: &WorldOptions,
    clicks: &mut Vec<Click>,
) {
    let mean = options.interactions;
    let count = random.random_range(mean.div_ceil(2)..=mean + mean / 2);
    let mut time = EPOCH + random.random_range(0..31_536_000);
    let mut weights = vec![0.0; items.len()];
    let mut clicked = vec![false; items.len()];
    for _ in 0..count {
        scores.of(&vector, &mut weights);
        let left = || weights.iter().zip(&clicked).filter(|&(_, &known)| !known).map(|(&score, _)| score);
        let largest = left().fold(f64::NEG_INFINITY, f64::max);
        for (weight, &known) in weights.iter_mut().zip(&clicked) {
            *weight = if known { 0.0 } else { (*weight - largest).exp() };
        }
        let item = draw(random, &weights);
        clicked[item] = true;
        options.drift_towards(&mut vector, &items[item].vector);
        clicks.push(Click { user, item, time });
        time += random.random_range(60..172_800);
    }
}

/// The user model's scores of all items at once: [`WorldOptions::score`], laid out so that the compiler vectorises it.
struct Scores {
    popularity: Vec<f64>,      // [V] already weighted
    components: Vec<Vec<f64>>, // [D][V] already divided by the temperature
}

impl Scores {
    fn of_items(items: &[WorldItem], options: &WorldOptions) -> Self {
        let component = |index: usize| items.iter().map(|item| item.vector[index] / options.temperature).collect();
        Self {
            popularity: items.iter().map(|item| options.popularity * item.log_popularity).collect(),
            components: (0..options.dimensions).map(component).collect(),
        }
    }

    fn of(&self, user: &[f64], scores: &mut [f64]) {
        scores.copy_from_slice(&self.popularity);
        for (weight, components) in user.iter().zip(&self.components) {
            scores.iter_mut().zip(components).for_each(|(score, component)| *score += weight * component);
        }
    }
}

/// An index with probability proportional to its weight.
fn draw(random: &mut ChaCha8Rng, weights: &[f64]) -> usize {
    let mut left = random.random::<f64>() * weights.iter().sum::<f64>();
    let mut last = 0;
    for (index, &weight) in weights.iter().enumerate() {
        if weight > 0.0 {
            last = index;
            if left < weight {
                break;
            }
            left -= weight;
        }
    }
    last
}

fn genre_name(genre: usize) -> String {
    GENRES.get(genre).map_or_else(|| format!("Genre-{}", genre + 1), |&name| name.to_owned())
}

/// Independent standard normal values (Box and Muller).
fn normals(random: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    let mut normal = || {
        let radius = (-2.0 * (1.0 - random.random::<f64>()).ln()).sqrt();
        radius * (std::f64::consts::TAU * random.random::<f64>()).cos()
    };
    (0..count).map(|_| normal()).collect()
}

fn unit(mut vector: Vec<f64>) -> Vec<f64> {
    let length = vector.iter().map(|component| component * component).sum::<f64>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|component| *component /= length);
    }
    vector
}
