//! A small made-up world whose users are known: for tests, demonstrations and evaluation by the truth.
//!
//! Every genre has a direction in a latent space; an item's vector is the mean of its genres' directions and some
//! noise, on the unit sphere. A user is a vector `u`. The user clicks item `i` with probability
//! `softmax_i(u·v_i / temperature + popularity · log-popularity_i)` among the items not clicked yet, and a click moves
//! the user towards the item: `u ← (1 − drift) u + drift v_i`. So neighbours in a sequence tend to share genres, a
//! sequence model can learn the user, and a path can lead one somewhere.

mod files;
mod generator;
mod options;
mod states;

use crate::assembly::{Parts, assemble};
use crate::catalogue::CatalogueBuilder;
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::hash::ContentHash;
use crate::interactions::Interactions;
use crate::options::ReadOptions;
use crate::report::ReadReport;
pub use options::WorldOptions;
pub use states::States;
use std::path::Path;

/// An item of the world.
#[derive(Clone, Debug, PartialEq)]
pub struct WorldItem {
    /// Its raw id.
    pub raw_id: String,
    /// Its title.
    pub title: String,
    /// Its genres.
    pub genres: Vec<String>,
    /// Its unit vector in the latent space.
    pub vector: Vec<f64>,
    /// Logarithm of its popularity relative to the most popular item; at most 0.
    pub log_popularity: f64,
}

/// A click in the world.
#[derive(Clone, Debug, PartialEq)]
pub struct Click {
    /// Index of the user, from 0.
    pub user: usize,
    /// Index of the item, from 0.
    pub item: usize,
    /// When, in seconds.
    pub time: u64,
}

/// The world: items with their true vectors, users, and what they did.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    options: WorldOptions,
    items: Vec<WorldItem>,
    users: Vec<Vec<f64>>,
    clicks: Vec<Click>,
}

impl World {
    /// Makes a world up. The same options give the same world.
    ///
    /// # Errors
    /// An option is out of range.
    pub fn generate(options: &WorldOptions) -> Result<Self, DataError> {
        options.check()?;
        Ok(generator::generate(options))
    }

    /// How it was made.
    pub fn options(&self) -> &WorldOptions {
        &self.options
    }

    /// The items; the data set's item id is the index here plus 1.
    pub fn items(&self) -> &[WorldItem] {
        &self.items
    }

    /// The users' vectors before their first click.
    pub fn users(&self) -> &[Vec<f64>] {
        &self.users
    }

    /// All clicks in order of time.
    pub fn clicks(&self) -> &[Click] {
        &self.clicks
    }

    /// Where a user who has just done `history` (item ids, oldest first) stands: the mean of the items' vectors with
    /// weights `(1 − drift)^age`. That is the vector the drift rule leads to from anywhere, less what is left of the
    /// start, rescaled; exact as the history grows. Ids that are no item are passed over; without history, the origin.
    pub fn user_vector(&self, history: &[u32]) -> Vec<f64> {
        let (mut vector, mut weight) = (vec![0.0; self.options.dimensions], 0.0);
        for item in history.iter().filter_map(|&id| self.item(id)) {
            self.options.drift_towards(&mut vector, &item.vector);
            weight = (1.0 - self.options.drift) * weight + self.options.drift;
        }
        if weight > 0.0 {
            vector.iter_mut().for_each(|component| *component /= weight);
        }
        vector
    }

    /// The true user model: the log-probability of every item being clicked next after `history`. `V + 1` values;
    /// padding, at 0, has minus infinity. Items of the history are not ruled out, as in the reward models.
    pub fn log_probabilities(&self, history: &[u32]) -> Vec<f64> {
        let user = self.user_vector(history);
        let scores: Vec<f64> = self.items.iter().map(|item| self.options.score(&user, item)).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total = largest + scores.iter().map(|score| (score - largest).exp()).sum::<f64>().ln();
        std::iter::once(f64::NEG_INFINITY).chain(scores.iter().map(|score| score - total)).collect()
    }

    /// The world as a data set, cut into examples as a data set that is read.
    ///
    /// # Errors
    /// The options make no sense.
    pub fn dataset(&self, options: &ReadOptions) -> Result<Dataset, DataError> {
        options.check()?;
        let mut catalogue = CatalogueBuilder::new(&options.ignore_attributes);
        for item in &self.items {
            catalogue.add(&item.raw_id, &item.title, item.genres.iter().map(String::as_str));
        }
        let mut report = ReadReport { format: "a generated world".into(), ..ReadReport::default() };
        report.drop_counted("attribute values", "ignore_attributes", catalogue.ignored_values());
        let mut interactions = Interactions::default();
        for click in &self.clicks {
            interactions.push(&user_name(click.user), click.item as u32 + 1, click.time as f64);
        }
        let hash = ContentHash::new(&(options, &self.options)).finish();
        let (name, catalogue) = ("generated".into(), catalogue.finish());
        Ok(assemble(Parts { name, catalogue, interactions, report, hash, ..Parts::default() }, options))
    }

    /// Writes the world as RecBole atomic files, `generated.inter` and `generated.item`, into a folder that is made if
    /// it is not there, and how it was made as `generated.world.json`. Reading them gives the same data set.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), DataError> {
        files::write(self, folder)
    }

    /// The world whose files [`World::write`] left in a folder; none if there is no `generated.world.json`.
    ///
    /// # Errors
    /// The file cannot be read, or no world is made that way.
    pub fn beside(folder: &Path) -> Result<Option<Self>, DataError> {
        files::options(folder)?.map(|options| Self::generate(&options)).transpose()
    }

    fn item(&self, id: u32) -> Option<&WorldItem> {
        self.items.get((id as usize).checked_sub(1)?)
    }
}

fn user_name(user: usize) -> String {
    format!("u{}", user + 1)
}

#[cfg(test)]
mod tests;
