//! What all stages of an experiment share.

use crate::artefacts::{Cache, Key};
use crate::plugins::{ForeignPolicy, ForeignRewardModel, Registry};
use crate::processes::{Block, Processes};
use crate::random_streams::seed_torch;
use crate::settings::Settings;
use anyhow::{Context, Result};
use prorl_data::{Dataset, World};
use prorl_sdk::export::description::Kind;
use prorl_sdk::setup::Setup;
use prorl_sdk::tokenizer::CodeTable;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tch::{Device, Tensor};

/// What process 0 says of an artefact.
const BUILD: &str = "build";
/// The same where it is there already.
const REUSE: &str = "reuse";

/// Settings, data, plugins, device and cache.
pub struct Workbench {
    /// What the user asked for, completed.
    pub settings: Settings,
    /// Components of all plugins.
    pub registry: Registry,
    /// The data.
    pub dataset: Dataset,
    /// The world that made the data, if one did.
    pub world: Option<World>,
    /// Hash of the data and of how they were read.
    pub data_hash: String,
    /// Where models live.
    pub device: Device,
    /// Artefacts of earlier runs.
    pub cache: Cache,
    /// The processes of the run, of which this is one.
    pub processes: Processes,
}

impl Workbench {
    /// What components are told when they are made.
    pub fn setup(&self, codes: Option<&CodeTable>) -> Setup {
        Setup {
            items: self.dataset.catalogue.len() as i64,
            history: self.settings.data.history,
            path: self.settings.data.path_items,
            codes: codes.map(|table| table.codes.to_device(self.device)),
            codebook_size: codes.map_or(0, |table| table.codebook_size),
            device: device_name(self.device),
            hidden: 0,
            popularity: Some(self.popularity()),
        }
    }

    /// How often the training sequences hold each item. // [V + 1] int64
    fn popularity(&self) -> Tensor {
        let mut counts = vec![0_i64; self.dataset.catalogue.len() + 1];
        for &item in self.dataset.sequences.items() {
            counts[item as usize] += 1;
        }
        Tensor::from_slice(&counts).to_device(self.device)
    }

    /// All that determines what a component computes: library, parameters.
    ///
    /// # Errors
    /// There is no such component, or it refuses its parameters.
    pub fn fingerprint(&self, kind: Kind, name: &str, parameters: &Value) -> Result<Value> {
        let component = self.registry.find(kind, name)?;
        let completed = self.registry.complete(kind, name, parameters)?;
        Ok(json!({ "kind": kind, "name": name, "parameters": completed, "library": component.library.hash()? }))
    }

    /// Parameters of the model called `name`: those of `[reward]` if it is the reward model, else those of
    /// `[evaluator.NAME]`.
    pub fn model_parameters(&self, name: &str) -> Value {
        let settings = &self.settings;
        if name == settings.reward.name {
            return Value::Object(settings.reward.parameters.clone());
        }
        settings.evaluator.parameters.get(name).cloned().map_or_else(|| json!({}), Value::Object)
    }

    /// A fresh reward model; its weights follow from the run's seed.
    ///
    /// # Errors
    /// There is none of that name, or it refuses its parameters.
    pub fn reward_model(&self, name: &str) -> Result<ForeignRewardModel> {
        seed_torch(self.settings.seed, "reward-weights", 0, 0);
        let made = self.registry.reward_model(name, &self.model_parameters(name), &self.setup(None));
        made.with_context(|| format!("making the reward model `{name}`"))
    }

    /// A fresh policy; its weights follow from the run's seed.
    ///
    /// # Errors
    /// There is none of that name, or it refuses its parameters.
    pub fn policy(&self, codes: &CodeTable) -> Result<ForeignPolicy> {
        seed_torch(self.settings.seed, "policy-weights", 0, 0);
        let Settings { policy, .. } = &self.settings;
        let parameters = Value::Object(policy.parameters.clone());
        let made = self.registry.policy(&policy.name, &parameters, &self.setup(Some(codes)));
        made.with_context(|| format!("making the policy `{}`", policy.name))
    }

    /// Where the artefact of `key` is, after `build` made it if it was not there. All processes take part in building;
    /// process 0 alone has the folder to write to, and the others wait until it has finished.
    ///
    /// # Errors
    /// Those of `build`; the cache's folder cannot be written, or not be read by another process.
    pub fn artefact(&self, key: &Key, build: impl FnOnce(Option<&Path>) -> Result<()>) -> Result<PathBuf> {
        let processes = &self.processes;
        if !processes.is_first() {
            if processes.told(None, key.stage())? == BUILD {
                build(None)?;
                processes.told(None, "artefact written")?;
            }
            let place = self.cache.find(key);
            return place.with_context(|| {
                format!(
                    "process 0 has {key} in its cache, and this process has not: processes on several machines need \
                     one `cache` for all"
                )
            });
        }
        let mut built = false;
        let place = self.cache.get_or(key, |folder| {
            processes.told(Some(BUILD), key.stage())?;
            built = true;
            build(Some(folder))
        })?;
        match built {
            true => processes.told(Some(""), "artefact written")?,
            false => processes.told(Some(REUSE), key.stage())?,
        };
        Ok(place)
    }

    /// Seeds libtorch for a block of a step, where batches are cut into blocks.
    pub fn seed_block(&self, stage: &str, step: u64, block: &Block) {
        if !self.processes.is_plain() {
            seed_torch(self.settings.seed, &format!("{stage}-of-blocks"), step, block.index);
        }
    }

    /// What determines an artefact beside its own inputs: how many blocks a batch is cut into, if it is.
    pub fn with_blocks(&self, mut inputs: Value) -> Value {
        if !self.processes.is_plain() {
            inputs["blocks"] = json!(self.processes.block_count());
        }
        inputs
    }

    /// Whether no algorithm can train the chosen policy: it is judged as it is, or as imitation left it.
    ///
    /// # Errors
    /// There is no such policy.
    pub fn policy_is_fixed(&self) -> Result<bool> {
        let component = self.registry.find(Kind::Policy, &self.settings.policy.name)?;
        Ok(component.description.has("fixed"))
    }
}

/// How components are told a device.
pub fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".into(),
    }
}
