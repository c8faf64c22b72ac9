//! Who did what when: the log that raw data sets come as.

use crate::options::{Duplicates, ReadOptions};
use crate::report::ReadReport;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// One interaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interaction {
    /// Index of the user, from 0.
    pub user: u32,
    /// Id of the item, from 1.
    pub item: u32,
    /// When, in any unit; equal times keep the order of the log.
    pub time: f64,
}

/// A log of interactions in file order.
#[derive(Clone, Debug, Default)]
pub struct Interactions {
    users: Vec<Arc<str>>,
    ids: HashMap<Arc<str>, u32>,
    rows: Vec<Interaction>,
}

impl Interactions {
    /// Adds an interaction; a new user is numbered.
    pub fn push(&mut self, user: &str, item: u32, time: f64) {
        let user = match self.ids.get(user) {
            Some(&id) => id,
            None => {
                let (name, id): (Arc<str>, u32) = (user.into(), self.users.len() as u32);
                self.users.push(Arc::clone(&name));
                self.ids.insert(name, id);
                id
            }
        };
        self.rows.push(Interaction { user, item, time });
    }

    /// Number of interactions.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The interactions.
    pub fn rows(&self) -> &[Interaction] {
        &self.rows
    }

    /// Names of the users, by index.
    pub fn users(&self) -> &[Arc<str>] {
        &self.users
    }

    /// Drops repeated interactions and what k-core drops, and counts both in `report`.
    pub fn filter(&mut self, options: &ReadOptions, report: &mut ReadReport) {
        let before = self.rows.len();
        match options.duplicates {
            Duplicates::Keep => {}
            Duplicates::First => self.keep_one_each(false),
            Duplicates::Last => self.keep_one_each(true),
        }
        report.drop_counted("interactions", "the user has another with the same item", before - self.rows.len());
        self.keep_core(options.min_user_interactions, options.min_item_interactions, report);
    }

    /// Calls `take` with every user who has interactions, in the order in which the log first names them, and the user's
    /// items in order of time; ties keep the log's order. Needs half as much memory again as the log.
    pub fn each_user(mut self, mut take: impl FnMut(&Arc<str>, &[u32])) {
        self.rows.sort_by(|a, b| a.user.cmp(&b.user).then(a.time.total_cmp(&b.time)));
        let mut items = Vec::new();
        for rows in self.rows.chunk_by(|a, b| a.user == b.user) {
            items.clear();
            items.extend(rows.iter().map(|row| row.item));
            take(&self.users[rows[0].user as usize], &items);
        }
    }

    /// Gives items the ids of another catalogue; interactions with items that left are lost.
    pub fn renumber(&mut self, new_ids: &[u32]) {
        self.rows.retain_mut(|row| {
            row.item = new_ids[row.item as usize];
            row.item != 0
        });
    }

    fn keep_one_each(&mut self, last: bool) {
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by(|&a, &b| self.rows[a].time.total_cmp(&self.rows[b].time));
        if last {
            order.reverse();
        }
        let mut seen = HashSet::new();
        let mut kept = vec![false; self.rows.len()];
        for index in order {
            let row = self.rows[index];
            kept[index] = seen.insert((row.user, row.item));
        }
        let mut kept = kept.into_iter();
        self.rows.retain(|_| kept.next().unwrap_or(false));
    }

    fn keep_core(&mut self, of_user: usize, of_item: usize, report: &mut ReadReport) {
        let items = self.rows.iter().map(|row| row.item as usize + 1).max().unwrap_or(0);
        loop {
            let (mut users, mut counts) = (vec![0usize; self.users.len()], vec![0usize; items]);
            for row in &self.rows {
                users[row.user as usize] += 1;
                counts[row.item as usize] += 1;
            }
            let before = self.rows.len();
            self.rows.retain(|row| users[row.user as usize] >= of_user);
            let after_users = self.rows.len();
            self.rows.retain(|row| counts[row.item as usize] >= of_item);
            report.drop_counted("interactions", "the user has too few (k-core)", before - after_users);
            report.drop_counted("interactions", "the item has too few (k-core)", after_users - self.rows.len());
            if self.rows.len() == before {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn log(rows: &[(&str, u32, f64)]) -> Interactions {
        let mut log = Interactions::default();
        for &(user, item, time) in rows {
            log.push(user, item, time);
        }
        log
    }

    fn sequences(log: &Interactions) -> Vec<Vec<u32>> {
        let mut all = Vec::new();
        log.clone().each_user(|_, items| all.push(items.to_vec()));
        all
    }

    #[test]
    fn time_orders_and_ties_keep_the_order_of_the_log() {
        let log = log(&[("a", 3, 2.0), ("b", 1, 0.0), ("a", 1, 1.0), ("a", 2, 2.0)]);
        assert_eq!(sequences(&log), [vec![1, 3, 2], vec![1]]);
    }

    #[test]
    fn of_duplicates_the_first_or_last_in_time_stays() {
        let rows = [("a", 1, 5.0), ("a", 2, 3.0), ("a", 1, 1.0), ("b", 1, 9.0)];
        let kept = |duplicates| {
            let (mut log, mut report) = (log(&rows), ReadReport::default());
            log.filter(&ReadOptions { duplicates, ..Default::default() }, &mut report);
            (sequences(&log), report.dropped.iter().map(|it| it.count).sum::<usize>())
        };
        assert_eq!(kept(Duplicates::Keep), (vec![vec![1, 2, 1], vec![1]], 0));
        assert_eq!(kept(Duplicates::First), (vec![vec![1, 2], vec![1]], 1));
        assert_eq!(kept(Duplicates::Last), (vec![vec![2, 1], vec![1]], 1));
    }

    #[test]
    fn renumbering_loses_items_that_left() {
        let mut log = log(&[("a", 1, 0.0), ("a", 2, 1.0)]);
        log.renumber(&[0, 0, 1]);
        assert_eq!(sequences(&log), [[1]]);
    }

    proptest! {
        #[test]
        fn the_core_is_stable(rows in prop::collection::vec((0u32..6, 1u32..6), 0..60), user in 0usize..5, item in 0usize..5) {
            let (mut log, mut report) = (Interactions::default(), ReadReport::default());
            for &(user, item) in &rows {
                log.push(&user.to_string(), item, 0.0);
            }
            log.filter(&ReadOptions { min_user_interactions: user, min_item_interactions: item, ..Default::default() }, &mut report);
            for row in log.rows() {
                prop_assert!(log.rows().iter().filter(|other| other.user == row.user).count() >= user);
                prop_assert!(log.rows().iter().filter(|other| other.item == row.item).count() >= item);
            }
            prop_assert_eq!(report.dropped.iter().map(|it| it.count).sum::<usize>() + log.len(), rows.len());
        }
    }
}
