//! Learning rates over the steps of a training.

use crate::settings::schema::LearningRateShape;

/// Linear warm-up, then a shape.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// The rate after warm-up.
    pub peak: f64,
    /// Steps of warm-up.
    pub warmup: u64,
    /// All steps.
    pub steps: u64,
    /// What follows warm-up.
    pub shape: LearningRateShape,
}

impl Schedule {
    /// The rate at `step` (from 0). As `transformers.get_cosine_schedule_with_warmup`, but the first step
    /// already has a rate above 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / (self.warmup + 1) as f64;
        }
        match self.shape {
            LearningRateShape::Constant => self.peak,
            LearningRateShape::Cosine => {
                let done = (step - self.warmup) as f64 / self.steps.saturating_sub(self.warmup).max(1) as f64;
                self.peak * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_to_the_peak_and_the_cosine_falls_to_zero() {
        let schedule = Schedule { peak: 1.0, warmup: 3, steps: 13, shape: LearningRateShape::Cosine };
        let rates: Vec<f64> = (0..13).map(|step| schedule.rate(step)).collect();
        assert_eq!(rates[..4], [0.25, 0.5, 0.75, 1.0]);
        assert!((rates[8] - 0.5).abs() < 1e-12);
        assert!(rates.windows(2).skip(3).all(|pair| pair[1] < pair[0]) && rates[12] < 0.03);
        assert_eq!(Schedule { shape: LearningRateShape::Constant, ..schedule }.rate(12), 1.0);
    }
}
