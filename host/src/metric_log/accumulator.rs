//! Values of several batches become one, as their declarations say.

use super::{Declared, MetricError, Reduction, Result};
use std::collections::BTreeMap;

/// Collects values until [`values`](Accumulator::values) are asked for.
#[derive(Clone, Debug)]
pub struct Accumulator {
    declared: Declared,
    sums: BTreeMap<String, Sum>,
}

#[derive(Clone, Copy, Debug)]
struct Sum {
    reduction: Reduction,
    total: f64,
    weight: f64,
}

impl Accumulator {
    /// Empty, for the metrics of `declared`.
    pub fn new(declared: Declared) -> Self {
        let sums = BTreeMap::new();
        Self { declared, sums }
    }

    /// Adds a value that stands for `weight` prompts; only means take the weight into account.
    ///
    /// # Errors
    /// If `name` is not declared or `weight` is negative or not finite.
    pub fn add(&mut self, name: &str, value: f64, weight: f64) -> Result<()> {
        let reduction = self.declared.find(name)?.reduction;
        if !weight.is_finite() || weight < 0.0 {
            let name = name.to_owned();
            return Err(MetricError::Weight { name, weight });
        }
        let sum = Sum::of(reduction, value, weight);
        match self.sums.get_mut(name) {
            Some(known) => known.add(sum),
            None => drop(self.sums.insert(name.to_owned(), sum)),
        }
        Ok(())
    }

    /// Adds what another accumulator collected, e.g. that of another process; of last values, the
    /// other's stays.
    pub fn merge(&mut self, other: &Accumulator) {
        for (name, sum) in &other.sums {
            match self.sums.get_mut(name) {
                Some(known) => known.add(*sum),
                None => drop(self.sums.insert(name.clone(), *sum)),
            }
        }
    }

    /// One value for each metric that was added, by name; a mean over no prompts is left out.
    pub fn values(&self) -> Vec<(String, f64)> {
        let values = self.sums.iter().filter_map(|(name, sum)| Some((name.clone(), sum.value()?)));
        values.collect()
    }

    /// The values, after which the accumulator is empty.
    pub fn take(&mut self) -> Vec<(String, f64)> {
        let values = self.values();
        self.sums.clear();
        values
    }
}

impl Sum {
    fn of(reduction: Reduction, value: f64, weight: f64) -> Self {
        let total = match reduction {
            // A batch of no prompts has no mean; what stands in its place must not spread.
            Reduction::Mean if weight == 0.0 => 0.0,
            Reduction::Mean => value * weight,
            _ => value,
        };
        Self { reduction, total, weight }
    }

    fn add(&mut self, other: Sum) {
        self.weight += other.weight;
        self.total = match self.reduction {
            Reduction::Mean | Reduction::Sum => self.total + other.total,
            Reduction::Max if self.total.is_nan() || other.total.is_nan() => f64::NAN,
            Reduction::Max => self.total.max(other.total),
            Reduction::Last => other.total,
        };
    }

    fn value(&self) -> Option<f64> {
        match self.reduction {
            Reduction::Mean => (self.weight > 0.0).then(|| self.total / self.weight),
            _ => Some(self.total),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use proptest::prelude::*;
    use prorl_sdk::metrics::MetricDeclaration;

    const NAMES: [&str; 4] = ["mean", "sum", "max", "last"];

    fn empty() -> Accumulator {
        let reductions = [Reduction::Mean, Reduction::Sum, Reduction::Max, Reduction::Last];
        let mut declared = Declared::default();
        for (name, reduction) in NAMES.into_iter().zip(reductions) {
            let metric = MetricDeclaration::mean(name, "", "For the test.");
            declared.add(&[MetricDeclaration { reduction, ..metric }]).unwrap();
        }
        Accumulator::new(declared)
    }

    fn of(batch: &Accumulator) -> BTreeMap<String, f64> {
        batch.values().into_iter().collect()
    }

    fn filled(values: &[(f64, f64)]) -> Accumulator {
        let mut batch = empty();
        for name in NAMES {
            for (value, weight) in values {
                batch.add(name, *value, *weight).unwrap();
            }
        }
        batch
    }

    #[test]
    fn each_metric_is_reduced_as_declared() {
        let mut batch = filled(&[(1.0, 3.0), (4.0, 1.0), (2.0, 0.0)]);
        let values: Vec<f64> = NAMES.map(|name| of(&batch)[name]).into();
        assert_eq!(values, [7.0 / 4.0, 7.0, 4.0, 2.0]);
        assert_eq!(batch.take().len(), 4);
        assert!(batch.values().is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_nan_shows() {
        let mut batch = filled(&[(1.0, 1.0), (f64::NAN, 1.0), (1.0, 1.0)]);
        let nan = |name: &str| of(&batch)[name].is_nan();
        assert!(nan("mean") && nan("sum") && nan("max") && !nan("last"));
        assert!(batch.add("maxx", 1.0, 1.0).unwrap_err().to_string().contains("`max`"));
        assert!(batch.add("max", 1.0, f64::NAN).is_err());
        assert!(!of(&filled(&[(f64::NAN, 0.0)])).contains_key("mean"));
    }

    proptest! {
        #[test]
        fn processes_and_batches_give_the_same(
            values in prop::collection::vec((-100.0..100.0, 1.0..9.0), 2..20), cut in 1_usize..19,
        ) {
            let cut = cut.min(values.len() - 1);
            let mut split = filled(&values[..cut]);
            split.merge(&filled(&values[cut..]));
            let whole = of(&filled(&values));
            for (name, value) in split.values() {
                prop_assert!((value - whole[&name]).abs() < 1e-9, "{}", name);
            }
        }
    }
}
