//! Which policy of a run is the one that counts.

use crate::settings::schema::{Rl, RlSelection};
use crate::stages::evaluation::Validation;

/// When policies are validated, and how validations compare.
pub struct Selection {
    select: RlSelection,
    epochs: u64,
    steps: u64,
    least_ctr: f64,
}

impl Selection {
    /// As the settings say; `before` is the validation before training, where there are validation prompts.
    pub fn new(settings: &Rl, before: Option<Validation>) -> Self {
        Self {
            select: settings.select,
            epochs: settings.validate_every.max(1) as u64,
            steps: settings.validate_steps.max(0) as u64,
            least_ctr: before.map_or(0.0, |before| (1.0 - settings.click_loss) * before.ctr),
        }
    }

    /// Whether a validation is due after `step` of `epoch`, which it may end.
    pub fn is_due(&self, step: u64, epoch: u64, ends_epoch: bool) -> bool {
        match self.steps {
            0 => ends_epoch && (epoch + 1).is_multiple_of(self.epochs),
            steps => (step + 1).is_multiple_of(steps),
        }
    }

    /// What a policy is chosen by, the larger the better; none where it must not be chosen.
    pub fn score(&self, validation: &Validation) -> Option<f64> {
        match self.select {
            RlSelection::Last | RlSelection::Best => Some(validation.ioi_max),
            RlSelection::Clickable => (validation.ctr >= self.least_ctr).then_some(validation.ioi),
        }
    }

    /// Whether the policy of the last step counts, whatever the validations say.
    pub fn takes_last(&self) -> bool {
        self.select == RlSelection::Last
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn selection(select: RlSelection, steps: i64) -> Selection {
        let settings = Rl { select, validate_every: 2, validate_steps: steps, click_loss: 0.1, ..Rl::default() };
        Selection::new(&settings, Some(Validation { ioi_max: 0.0, ioi: 0.0, ctr: 0.8 }))
    }

    #[test]
    fn validations_come_by_epochs_or_by_steps() {
        let by_epochs = selection(RlSelection::Last, 0);
        assert!(by_epochs.is_due(9, 1, true) && !by_epochs.is_due(9, 0, true) && !by_epochs.is_due(9, 1, false));
        let by_steps = selection(RlSelection::Last, 5);
        assert!(by_steps.is_due(9, 0, false) && !by_steps.is_due(8, 1, true));
    }

    #[test]
    fn a_clickable_policy_keeps_most_of_its_clicks() {
        let clickable = selection(RlSelection::Clickable, 0);
        assert_eq!(clickable.score(&Validation { ioi_max: 9.0, ioi: 2.0, ctr: 0.73 }), Some(2.0));
        assert_eq!(clickable.score(&Validation { ioi_max: 9.0, ioi: 2.0, ctr: 0.71 }), None);
        assert_eq!(selection(RlSelection::Best, 0).score(&Validation { ioi_max: 9.0, ioi: 2.0, ctr: 0.1 }), Some(9.0));
    }
}
