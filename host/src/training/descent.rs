//! One step of gradient descent on a batch, whichever blocks it is cut into, whichever processes share them, and however
//! much of it fits into memory at a time.

use super::adamw::{AdamW, AdamWOptions};
use crate::processes::{Block, Processes};
use anyhow::Result;
use prorl_distributed::Reducer;
use prorl_sdk::loss::Loss;
use tch::{Kind, Tensor, no_grad};

/// Parameters, their optimiser, and how gradients of several processes become one.
pub struct Descent<'a> {
    processes: &'a Processes,
    optimiser: AdamW,
    reducer: Option<Reducer>,
    /// Parameters of which a process's gradient is that of its own rows.
    shared: Vec<Tensor>,
    /// Parameters of which every process computes the gradient of all rows.
    whole: Vec<Tensor>,
    /// Most rows at a time; 0 is no limit.
    limit: usize,
}

impl<'a> Descent<'a> {
    /// Over `shared`, parameters of a model that each process applies to its own rows, and `whole`, those of an
    /// algorithm that sees the rows of all. All processes start from process 0's values. At most `micro_batch` rows are
    /// differentiated at a time, all where it is 0.
    ///
    /// # Errors
    /// Another process is gone; so for all methods that run backward.
    pub fn new(
        processes: &'a Processes,
        shared: Vec<(String, Tensor)>,
        whole: Vec<(String, Tensor)>,
        options: AdamWOptions,
        micro_batch: i64,
    ) -> Result<Self> {
        let trainable = |named: &[(String, Tensor)]| -> Vec<Tensor> {
            let tensors = named.iter().map(|(_, tensor)| tensor);
            tensors.filter(|tensor| tensor.requires_grad()).map(Tensor::shallow_clone).collect()
        };
        let (ours, theirs) = (trainable(&shared), trainable(&whole));
        let mut reducer = None;
        if let Some(group) = processes.group() {
            group.broadcast(&ours, "parameters at the start")?;
            group.broadcast(&theirs, "parameters at the start")?;
            reducer = if ours.is_empty() { None } else { Some(Reducer::new(group, &ours)?) };
        }
        let optimiser = AdamW::new(shared.into_iter().chain(whole).collect(), options);
        let limit = usize::try_from(micro_batch).unwrap_or(0);
        Ok(Self { processes, optimiser, reducer, shared: ours, whole: theirs, limit })
    }

    /// The optimiser, for its state.
    pub fn optimiser(&self) -> &AdamW {
        &self.optimiser
    }

    /// The optimiser, to take a state back.
    pub fn optimiser_mut(&mut self) -> &mut AdamW {
        &mut self.optimiser
    }

    /// Moves the parameters by the mean loss over `rows` rows. `loss` gives that of a block's rows; it is called for the
    /// blocks of this process in turn, or once for all rows. Gives the mean over the rows of all processes. // scalar
    ///
    /// # Errors
    /// A loss fails.
    pub fn step(&mut self, rows: usize, rate: f64, mut loss: impl FnMut(&Block) -> Result<Loss>) -> Result<Tensor> {
        let (sum, weight) = loop {
            self.optimiser.zero_grad();
            if self.processes.is_plain() && (self.limit == 0 || rows <= self.limit) {
                match loss(&Block { index: 0, rows: 0..rows }).and_then(|loss| self.descended(&loss.total, rate)) {
                    Ok(loss) => return Ok(loss),
                    Err(error) => self.halve(rows, error)?,
                }
                continue;
            }
            match self.add_up(rows, &mut loss) {
                Ok(found) => break found,
                Err(error) => self.halve(rows, error)?,
            }
        };
        let all = self.processes.numbers(&[sum, weight], "losses")?;
        let total = |column: usize| all.iter().map(|numbers| numbers[column]).sum::<f64>();
        let (sum, weight) = (total(0), total(1).max(f64::MIN_POSITIVE));
        // The reducer has left the processes' mean.
        self.scale(self.processes.count() as f64 / weight);
        let _ = self.optimiser.step(rate)?;
        Ok(Tensor::from(sum / weight).to_kind(Kind::Float))
    }

    /// The step for a batch that is one block.
    fn descended(&mut self, loss: &Tensor, rate: f64) -> Result<Tensor> {
        loss.f_backward()?;
        let _ = self.optimiser.step(rate)?;
        Ok(loss.detach())
    }

    /// Adds up the gradients of this process's blocks, each times its weight, and reduces them with the last. Gives the
    /// sum of the weighted losses and that of the weights.
    fn add_up(&mut self, rows: usize, loss: &mut impl FnMut(&Block) -> Result<Loss>) -> Result<(f64, f64)> {
        let (mut sum, mut weight) = (0.0, 0.0);
        let blocks: Vec<Block> =
            self.processes.blocks(rows).iter().flat_map(|block| block.pieces(self.limit)).collect();
        let mut reduced = false;
        for (place, block) in blocks.iter().enumerate() {
            let Loss { total, count, .. } = loss(block)?;
            let own = count.map_or(block.len() as f64, |count| count.double_value(&[]));
            if own <= 0.0 {
                continue; // nothing to learn; the mean of nothing is no number
            }
            sum += total.double_value(&[]) * own;
            weight += own;
            reduced = place + 1 == blocks.len();
            self.backward(&(total * own), reduced)?;
        }
        if !reduced {
            self.backward(&self.nothing(), true)?;
        }
        Ok((sum, weight))
    }

    /// Forgets all gradients.
    pub fn zero_grad(&mut self) {
        self.optimiser.zero_grad();
    }

    /// Most rows at a time; 0 is no limit.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Halves the limit after `error`, if memory was what ran out over a batch of `rows` rows. Processes that share a
    /// batch cannot start it again, for they wait for each other.
    ///
    /// # Errors
    /// `error`, where that is no remedy.
    pub fn halve(&mut self, rows: usize, error: anyhow::Error) -> Result<()> {
        let now = if self.limit == 0 { rows } else { self.limit.min(rows) };
        if !is_out_of_memory(&error) {
            return Err(error);
        }
        if now < 2 || self.processes.count() > 1 {
            return Err(error.context(format!("memory ran out; set a --micro-batch below {now}")));
        }
        self.limit = now.div_ceil(2);
        log::warn!("memory ran out with {now} rows of a batch at a time; going on with {} (micro_batch)", self.limit);
        Ok(())
    }

    /// Runs backward from a loss of the rows of all processes that is differentiable in this process's own.
    ///
    /// # Errors
    /// Backward fails.
    pub fn backward_of_all(&mut self, loss: &Tensor) -> Result<()> {
        self.backward(loss, true)?;
        self.add_up_processes()
    }

    /// The same from several losses, of which `loss` gives one after the other.
    ///
    /// # Errors
    /// Backward fails, or `loss`.
    pub fn backward_of_parts(&mut self, parts: usize, mut loss: impl FnMut(usize) -> Result<Tensor>) -> Result<()> {
        for part in 0..parts {
            self.backward(&loss(part)?, part + 1 == parts)?;
        }
        self.add_up_processes()
    }

    /// Turns the means over processes that the reducer has left into sums.
    fn add_up_processes(&mut self) -> Result<()> {
        let Some(group) = self.processes.group() else { return Ok(()) };
        let count = self.processes.count() as f64;
        self.scale(count);
        for parameter in &self.whole {
            let mut gradient = parameter.grad();
            if gradient.defined() {
                // All have computed the same; a mean keeps them the same to the last bit.
                let sum = group.sum(&gradient, "gradients")?;
                no_grad(|| gradient.copy_(&(sum / count)));
            }
        }
        Ok(())
    }

    /// Moves the parameters; gives the gradient's norm. // scalar
    ///
    /// # Errors
    /// Parameters are of several kinds or devices.
    pub fn apply(&mut self, rate: f64) -> Result<Tensor> {
        Ok(self.optimiser.step(rate)?)
    }

    fn backward(&mut self, loss: &Tensor, last: bool) -> Result<()> {
        match (&mut self.reducer, last) {
            (None, _) => loss.f_backward()?,
            (Some(reducer), true) => reducer.backward(loss)?,
            (Some(reducer), false) => reducer.accumulate(loss)?,
        }
        Ok(())
    }

    /// A loss without gradient that reaches all parameters that any loss has reached: for a process without rows.
    fn nothing(&self) -> Tensor {
        let reached: Vec<&Tensor> = self.shared.iter().filter(|parameter| parameter.grad().defined()).collect();
        let over = if reached.is_empty() { self.shared.iter().collect() } else { reached };
        let zeros: Vec<Tensor> = over.iter().map(|parameter| (*parameter * 0.0).sum(Kind::Float)).collect();
        Tensor::stack(&zeros, 0).sum(Kind::Float)
    }

    fn scale(&self, factor: f64) {
        no_grad(|| {
            for parameter in &self.shared {
                let mut gradient = parameter.grad();
                if gradient.defined() {
                    let _ = gradient.g_mul_scalar_(factor);
                }
            }
        });
    }
}

/// Whether an error, of libtorch or of a plugin, says that memory ran out.
fn is_out_of_memory(error: &anyhow::Error) -> bool {
    let says = |cause: &(dyn std::error::Error + 'static)| {
        let text = cause.to_string();
        ["out of memory", "can't allocate memory", "not enough memory"].iter().any(|it| text.contains(it))
    };
    error.chain().any(says)
}
