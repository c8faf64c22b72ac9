//! Figures of the prompts that several processes have judged, put together in the order of the prompts.

use super::Evaluation;
use crate::processes::Processes;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What one process has collected. Numbers go by their bits: JSON knows no NaN.
#[derive(Serialize, Deserialize)]
struct Part {
    per_prompt: BTreeMap<String, Vec<u32>>,
    recommended: BTreeMap<i64, u64>,
}

impl Evaluation {
    /// The figures of the prompts of all processes, each of which has judged its share.
    ///
    /// # Errors
    /// Another process is gone.
    pub fn of_all(mut self, processes: &Processes) -> Result<Self> {
        let Some(group) = processes.group() else { return Ok(self) };
        let bits =
            |(name, values): (&String, &Vec<f32>)| (name.clone(), values.iter().map(|it| it.to_bits()).collect());
        let own = Part {
            per_prompt: self.per_prompt.iter().map(bits).collect(),
            recommended: std::mem::take(&mut self.recommended),
        };
        self.per_prompt.clear();
        for bytes in group.gather_bytes(&serde_json::to_vec(&own)?, "figures of the evaluation")? {
            let part: Part = serde_json::from_slice(&bytes).context("reading another process's figures")?;
            for (name, values) in part.per_prompt {
                self.per_prompt.entry(name).or_default().extend(values.into_iter().map(f32::from_bits));
            }
            for (item, count) in part.recommended {
                *self.recommended.entry(item).or_default() += count;
            }
        }
        Ok(self)
    }
}
