//! Running mean and deviation of several objectives.

use crate::algorithm::Collective;
use crate::error::{Error, Result};
use crate::masked;
use tch::{Device, Kind, Tensor};

/// Mean and deviation of everything seen so far, of `K` objectives at once, in float64.
///
/// A batch is merged by the parallel form of Welford's method (Chan, Golub, LeVeque 1979): with counts `n`, means `μ`
/// and squared deviations `S` of the past `a` and the batch `b`, `δ = μ_b − μ_a`, `n = n_a + n_b`,
/// `μ = μ_a + δ·n_b/n`, `S = S_a + S_b + δ²·n_a·n_b/n`. The batch is that of all processes together, so all hold the
/// same moments. Nothing is read back from the device.
#[derive(Debug)]
pub struct Moments {
    count: Tensor,   // scalar float64
    mean: Tensor,    // [K] float64
    squares: Tensor, // [K] float64, sum of squared deviations from the mean
}

impl Moments {
    /// Moments of `objectives` objectives of which nothing has been seen.
    pub fn new(objectives: i64) -> Self {
        let zeros = |size: &[i64]| Tensor::zeros(size, (Kind::Double, Device::Cpu));
        Self { count: zeros(&[]), mean: zeros(&[objectives]), squares: zeros(&[objectives]) }
    }

    /// How many values of each objective were seen. // scalar float64
    pub fn count(&self) -> &Tensor {
        &self.count
    }

    /// `μ`, 0 before the first value. // [K] float64
    pub fn mean(&self) -> &Tensor {
        &self.mean
    }

    /// Unbiased `σ = √(S / (n − 1))`, 0 before the second value. // [K] float64
    pub fn deviation(&self) -> Tensor {
        (&self.squares / (&self.count - 1.0).clamp_min(1.0)).sqrt()
    }

    /// Takes in a batch: `values` `[.., K]` where `mask` `[..]` holds, of all processes.
    ///
    /// # Errors
    /// The last dimension is not `K`; another process failed.
    pub fn update(&mut self, values: &Tensor, mask: &Tensor, collective: &dyn Collective) -> Result<()> {
        self.expect_objectives(values)?;
        let objectives = self.mean.size()[0];
        self.move_to(values.device());
        let values = values.to_kind(Kind::Double).reshape([-1, objectives]); // [N, K]
        let mask = mask.reshape([-1, 1]); // [N, 1]

        let sums = masked::sum_over(&values, &mask, 0).squeeze_dim(0); // [K]
        let own = Tensor::cat(&[mask.sum_dim_intlist(0, false, Kind::Double), sums], 0); // [1 + K]
        let all = collective.sum(&own)?; // [1 + K]
        let count = all.get(0); // n_b
        let mean = all.narrow(0, 1, objectives) / count.clamp_min(1.0); // μ_b
        let own = masked::sum_over(&(values - &mean).square(), &mask, 0).squeeze_dim(0); // [K]
        let squares = collective.sum(&own)?; // S_b

        let total = &self.count + &count; // n
        let share = &count / total.clamp_min(1.0); // n_b / n
        let delta = mean - &self.mean; // δ
        self.squares = &self.squares + squares + delta.square() * &self.count * &share;
        self.mean = &self.mean + delta * share;
        self.count = total;
        Ok(())
    }

    /// `x − μ` of `values` `[.., K]`, in their own type. // [.., K]
    ///
    /// # Errors
    /// The last dimension is not `K`.
    pub fn centre(&self, values: &Tensor) -> Result<Tensor> {
        self.expect_objectives(values)?;
        Ok((values.to_kind(Kind::Double) - self.mean.to_device(values.device())).to_kind(values.kind()))
    }

    /// `x / max(σ, floor)` of `values` `[.., K]`, in their own type. // [.., K]
    ///
    /// # Errors
    /// The last dimension is not `K`.
    pub fn scale(&self, values: &Tensor, floor: f64) -> Result<Tensor> {
        self.expect_objectives(values)?;
        let deviation = self.deviation().to_device(values.device()).clamp_min(floor);
        Ok((values.to_kind(Kind::Double) / deviation).to_kind(values.kind()))
    }

    /// `(x − μ) / max(σ, floor)` of `values` `[.., K]`, in their own type. // [.., K]
    ///
    /// # Errors
    /// The last dimension is not `K`.
    pub fn normalise(&self, values: &Tensor, floor: f64) -> Result<Tensor> {
        self.scale(&self.centre(&values.to_kind(Kind::Double))?, floor).map(|it| it.to_kind(values.kind()))
    }

    /// What [`Moments::load`] takes back, each name after `prefix` and a dot.
    pub fn state(&self, prefix: &str) -> Vec<(String, Tensor)> {
        let named = |name: &str, tensor: &Tensor| (format!("{prefix}.{name}"), tensor.copy());
        vec![named("count", &self.count), named("mean", &self.mean), named("squares", &self.squares)]
    }

    /// Continues from what [`Moments::state`] gave.
    ///
    /// # Errors
    /// A tensor is missing or has another shape.
    pub fn load(&mut self, prefix: &str, state: &[(String, Tensor)]) -> Result<()> {
        let find = |name: &str, like: &Tensor| {
            let name = format!("{prefix}.{name}");
            let (_, tensor) = state
                .iter()
                .find(|(key, _)| *key == name)
                .ok_or_else(|| Error::Input(format!("the saved state has no `{name}`")))?;
            if tensor.size() != like.size() {
                let (saved, expected) = (tensor.size(), like.size());
                return Err(Error::Input(format!("the saved `{name}` has shape {saved:?} instead of {expected:?}")));
            }
            Ok(tensor.to_kind(Kind::Double).copy())
        };
        let (count, mean, squares) =
            (find("count", &self.count)?, find("mean", &self.mean)?, find("squares", &self.squares)?);
        *self = Self { count, mean, squares };
        Ok(())
    }

    fn expect_objectives(&self, values: &Tensor) -> Result<()> {
        let (size, objectives) = (values.size(), self.mean.size()[0]);
        if size.last() == Some(&objectives) {
            return Ok(());
        }
        Err(Error::Tensor(format!("rewards have shape {size:?}, but their last dimension should be {objectives}")))
    }

    fn move_to(&mut self, device: Device) {
        for tensor in [&mut self.count, &mut self.mean, &mut self.squares] {
            *tensor = tensor.to_device(device);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::algorithm::Alone;
    use proptest::prelude::*;
    use std::sync::{Arc, Barrier, Mutex};

    fn column(values: &[f64]) -> Tensor {
        Tensor::from_slice(values).view([-1, 1])
    }

    fn everything(values: &Tensor) -> Tensor {
        Tensor::ones([values.size()[0]], (Kind::Bool, Device::Cpu))
    }

    fn numbers(moments: &Moments) -> [f64; 3] {
        let first = |tensor: &Tensor| tensor.view(-1).double_value(&[0]);
        [first(moments.count()), first(moments.mean()), first(&moments.deviation())]
    }

    fn assert_same(actual: [f64; 3], expected: [f64; 3]) {
        for (a, b) in actual.iter().zip(expected) {
            assert!((a - b).abs() <= 1e-9 * (1.0 + b.abs()), "{actual:?} is not {expected:?}");
        }
    }

    fn plain(values: &[f64]) -> [f64; 3] {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        [n, mean, (squares / (n - 1.0).max(1.0)).sqrt()]
    }

    proptest! {
        #[test]
        fn batches_amount_to_the_whole(batches in prop::collection::vec(prop::collection::vec(-1e4..1e4, 0..9), 1..6)) {
            let mut moments = Moments::new(1);
            for batch in &batches {
                let values = column(batch);
                moments.update(&values, &everything(&values), &Alone).unwrap();
            }
            assert_same(numbers(&moments), plain(&batches.concat()));
        }
    }

    #[test]
    fn a_large_offset_costs_no_digits() {
        let values = [1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0];
        let mut moments = Moments::new(1);
        for value in values {
            moments.update(&column(&[value]), &everything(&column(&[value])), &Alone).unwrap();
        }
        assert!((moments.deviation().double_value(&[0]) - 30_f64.sqrt()).abs() < 1e-6);
    }

    #[test]
    fn what_is_masked_is_not_seen() {
        let values = Tensor::from_slice(&[1.0, f64::NAN, 3.0, 10.0, f64::NAN, 30.0]).view([2, 3]).transpose(0, 1);
        let mut moments = Moments::new(2);
        moments.update(&values, &Tensor::from_slice(&[true, false, true]), &Alone).unwrap();
        assert_eq!(*moments.mean(), Tensor::from_slice(&[2.0, 20.0]));
    }

    #[test]
    fn before_anything_was_seen_only_the_floor_divides() {
        let normalised = Moments::new(1).normalise(&column(&[3.0]), 0.1).unwrap();
        assert!((normalised.double_value(&[0, 0]) - 30.0).abs() < 1e-12);
    }

    #[test]
    fn a_restored_state_continues_identically() {
        let (first, second) = (column(&[1.0, 5.0, -2.0]), column(&[4.0, 4.5]));
        let mut straight = Moments::new(1);
        straight.update(&first, &everything(&first), &Alone).unwrap();
        let mut resumed = Moments::new(1);
        resumed.load("moments", &straight.state("moments")).unwrap();
        for moments in [&mut straight, &mut resumed] {
            moments.update(&second, &everything(&second), &Alone).unwrap();
        }
        assert_eq!(numbers(&straight), numbers(&resumed));
    }

    #[test]
    fn a_wrong_state_is_refused_by_name() {
        let mut moments = Moments::new(2);
        let missing = moments.load("moments", &[]).unwrap_err().to_string();
        assert!(missing.contains("`moments.count`"), "{missing}");
        let other = moments.load("moments", &Moments::new(3).state("moments")).unwrap_err().to_string();
        assert!(other.contains("[3] instead of [2]"), "{other}");
    }

    #[test]
    fn objectives_must_agree() {
        let values = column(&[1.0]);
        assert!(Moments::new(2).update(&values, &everything(&values), &Alone).is_err());
    }

    /// One of two threads that add up their tensors.
    struct Half {
        slots: Arc<[Mutex<Option<Tensor>>; 2]>,
        barrier: Arc<Barrier>,
        rank: usize,
    }

    impl Collective for Half {
        fn processes(&self) -> u64 {
            2
        }
        fn sum(&self, tensor: &Tensor) -> Result<Tensor> {
            *self.slots[self.rank].lock().unwrap() = Some(tensor.copy());
            self.barrier.wait();
            let parts = [0, 1].map(|rank| self.slots[rank].lock().unwrap().as_ref().unwrap().copy());
            self.barrier.wait();
            Ok(&parts[0] + &parts[1])
        }
    }

    #[test]
    fn two_processes_have_the_moments_of_all() {
        let batches = [[vec![1.0, 2.0, 9.0], vec![-4.0]], [vec![0.5], vec![3.0, 3.5]]]; // [step][process]
        let (slots, barrier) = (Arc::new([Mutex::new(None), Mutex::new(None)]), Arc::new(Barrier::new(2)));
        let run = |rank: usize| {
            let half = Half { slots: slots.clone(), barrier: barrier.clone(), rank };
            let batches = batches.clone();
            std::thread::spawn(move || {
                let mut moments = Moments::new(1);
                for batch in &batches {
                    let values = column(&batch[rank]);
                    moments.update(&values, &everything(&values), &half).unwrap();
                }
                numbers(&moments)
            })
        };
        let threads = [run(0), run(1)];
        let all = batches.concat().concat();
        for thread in threads {
            assert_same(thread.join().unwrap(), plain(&all));
        }
    }
}
