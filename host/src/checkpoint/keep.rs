//! Which checkpoints are worth their disk space; apart from how they are stored.

/// Chooses among numbered checkpoints.
pub trait Retention {
    /// The steps to give up, of `steps` in increasing order.
    fn given_up(&self, steps: &[u64]) -> Vec<u64>;
}

/// Keeps the latest, and milestones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// How many of the latest to keep; 0 counts as 1, as a run without a checkpoint cannot resume.
    pub last: usize,
    /// Also keep each step that is a multiple of this.
    pub every: Option<u64>,
}

impl Keep {
    /// Keeps the `last` latest.
    pub fn last(last: usize) -> Self {
        Self { last, every: None }
    }

    fn is_milestone(&self, step: u64) -> bool {
        self.every.is_some_and(|every| every > 0 && step.is_multiple_of(every))
    }
}

impl Retention for Keep {
    fn given_up(&self, steps: &[u64]) -> Vec<u64> {
        let old = steps.len().saturating_sub(self.last.max(1));
        let old = steps.iter().take(old).copied();
        old.filter(|step| !self.is_milestone(*step)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_latest_and_the_milestones_stay() {
        let steps = [10, 20, 30, 40, 50];
        assert_eq!(Keep::last(2).given_up(&steps), [10, 20, 30]);
        assert!(Keep::last(9).given_up(&steps).is_empty());
        assert_eq!(Keep::last(0).given_up(&steps), [10, 20, 30, 40]);
        let milestones = Keep { last: 1, every: Some(20) };
        assert_eq!(milestones.given_up(&steps), [10, 30]);
    }
}
