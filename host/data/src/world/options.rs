//! How a world is made up.

use super::WorldItem;
use crate::error::DataError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Size and nature of a generated world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WorldOptions {
    /// Users.
    pub users: usize,
    /// Items.
    pub items: usize,
    /// Genres; every item has one to three.
    pub genres: usize,
    /// Mean number of clicks of a user; users have between half and one and a half times as many.
    pub interactions: usize,
    /// Dimensions of the latent space.
    pub dimensions: usize,
    /// How far a click moves the user towards the item, in (0, 1].
    pub drift: f64,
    /// Temperature of the user model; lower means choosier users.
    pub temperature: f64,
    /// Weight of popularity in the user model; 0 makes items equally popular.
    pub popularity: f64,
    /// Length of the noise that moves an item's vector off its genres, relative to their mean.
    pub noise: f64,
    /// Seed of everything random.
    pub seed: u64,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            users: 2000,
            items: 400,
            genres: 8,
            interactions: 40,
            dimensions: 16,
            drift: 0.15,
            temperature: 0.15,
            popularity: 0.5,
            noise: 0.6,
            seed: 0,
        }
    }
}

impl WorldOptions {
    /// Checks ranges.
    ///
    /// # Errors
    /// A value is out of its range.
    pub fn check(&self) -> Result<(), DataError> {
        let counts = [
            ("users", self.users),
            ("items", self.items),
            ("genres", self.genres),
            ("interactions", self.interactions),
            ("dimensions", self.dimensions),
        ];
        if let Some((name, _)) = counts.into_iter().find(|&(_, count)| count == 0) {
            return Err(DataError::option(name, "is 0, but a world needs at least one"));
        }
        let most = self.interactions + self.interactions / 2;
        if self.items <= most {
            let problem = format!("users click up to {most} different items, so there must be more than these");
            return Err(DataError::option("items", problem));
        }
        if !(self.drift > 0.0 && self.drift <= 1.0) {
            return Err(DataError::option("drift", format!("is {}, but should lie in (0, 1]", self.drift)));
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(DataError::option("temperature", format!("is {}, but should be above 0", self.temperature)));
        }
        for (name, value) in [("popularity", self.popularity), ("noise", self.noise)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(DataError::option(name, format!("is {value}, but should be 0 or more")));
            }
        }
        Ok(())
    }

    /// The drift rule: `user ← (1 − drift) user + drift item`.
    pub(super) fn drift_towards(&self, user: &mut [f64], item: &[f64]) {
        for (component, goal) in user.iter_mut().zip(item) {
            *component += self.drift * (goal - *component);
        }
    }

    /// The user model's score: `user·item / temperature + popularity · log-popularity`.
    pub(super) fn score(&self, user: &[f64], item: &WorldItem) -> f64 {
        let product: f64 = user.iter().zip(&item.vector).map(|(a, b)| a * b).sum();
        product / self.temperature + self.popularity * item.log_popularity
    }
}
