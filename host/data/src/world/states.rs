//! Where the world's users really stand: the state that their own clicks led to, from their own start.

use super::World;
use std::collections::HashMap;

/// A user's vector after every one of the user's clicks; no item is clicked twice by the same user.
#[derive(Clone, Debug, Default)]
pub struct States {
    after: HashMap<(usize, usize), Vec<f64>>,
}

impl World {
    /// Replays all clicks.
    pub fn states(&self) -> States {
        let mut users = self.users.clone();
        let mut after = HashMap::with_capacity(self.clicks.len());
        for click in &self.clicks {
            let Some(user) = users.get_mut(click.user) else { continue };
            self.options.drift_towards(user, &self.items[click.item].vector);
            after.insert((click.user, click.item), user.clone());
        }
        States { after }
    }
}

impl States {
    /// Where the user of this name stood right after the click on an item, by its index; none if there was no such
    /// click.
    pub fn after(&self, user: &str, item: usize) -> Option<&[f64]> {
        let user = user.strip_prefix('u')?.parse::<usize>().ok()?.checked_sub(1)?;
        self.after.get(&(user, item)).map(Vec::as_slice)
    }
}
