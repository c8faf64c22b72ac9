//! From an invocation to what it does.

use crate::command_line::{Action, Invocation, PolicyWeights, Resume, Verbosity};
use crate::comparison;
use crate::experiment::{self, Until};
use crate::inspection;
use crate::plugins::{PluginError, Registry, installation, survey, trial};
use crate::processes::{Processes, launcher};
use crate::progress;
use crate::run_folder::{Manifest, PluginOrigin, RunFolder};
use crate::scaffold;
use crate::settings::{self, KnownComponents, Resolved, Settings, SettingsError, Sources};
use crate::truth;
use crate::workbench::Workbench;
use crate::{out, outln};
use anyhow::{Context, Result, bail};
use log::warn;
use prorl_abi::cuda::{self, CudaError};
use prorl_abi::fault::{Fault, FaultKind};
use prorl_data::{DataError, Dataset, World};
use prorl_distributed::Place;
use prorl_sdk::export::description::Kind;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tch::Device;
use thiserror::Error;

/// Does what the command line asks for.
///
/// # Errors
/// Whatever went wrong first, with where and what to do.
pub fn run(invocation: Invocation) -> Result<()> {
    let launched = launcher::is_launched();
    let place = Place::from_environment()?;
    let silent = place.as_ref().is_some_and(|place| place.rank > 0);
    progress::init_logging(match invocation.verbosity {
        // Process 0 speaks for all.
        Verbosity::Quiet | Verbosity::Normal if silent => progress::Verbosity::from_flags(true, 0),
        Verbosity::Quiet => progress::Verbosity::from_flags(true, 0),
        Verbosity::Normal => progress::Verbosity::from_flags(false, 0),
        Verbosity::Verbose => progress::Verbosity::from_flags(false, 1),
        Verbosity::Everything => progress::Verbosity::from_flags(false, 2),
    });
    let Invocation { action, sources, resume, plugins, processes, verbosity } = invocation;
    if let Some(processes) = processes.filter(|_| !launched) {
        check_launch(&action, place.as_ref())?;
        if processes > 1 {
            return launcher::launch(processes);
        }
    }
    let start = || -> Result<Started> {
        let (resume, sources, place) = (resume.clone(), sources.clone(), place.clone());
        Ok(Started { registry: Registry::open(&plugins)?, resume, sources, place })
    };
    match action {
        Action::Version => inspection::versions(&start()?.registry),
        Action::PluginNew(order) => scaffold::create(&order)?,
        Action::PluginCheck { library, device } => {
            let flags: Vec<&str> = ["--device", &device].into_iter().chain(verbosity.flag()).collect();
            trial::in_a_process(&library, &flags)?;
        }
        Action::PluginCheckHere { library, device: name } => trial::here(&library, device(&name)?)?,
        Action::PluginSurveyHere { library } => survey::here(&library)?,
        Action::PluginInstall { library } => installation::install(&library)?,
        Action::PluginPack { library, out } => installation::pack(&library, out.as_deref())?,
        Action::PluginList => inspection::list(&start()?.registry),
        Action::PluginInfo { name } => inspection::info(&start()?.registry, &name)?,
        Action::ConfigShow => out!("{}", start()?.resolved()?.show()),
        Action::DataStats => outln!("{}", start()?.dataset()?.describe()),
        Action::DataGenerate { out } => start()?.generate(&out)?,
        Action::TrainReward => together(&start()?.workbench()?.0, experiment::train_rewards)?,
        Action::Pretrain => together(&start()?.workbench()?.0, experiment::pretrain)?,
        Action::Run => start()?.experiment(Until::Report)?,
        Action::Rl => start()?.experiment(Until::Reinforcement)?,
        Action::Eval { weights } => start()?.judge(&weights)?,
        Action::Bench(order) => comparison::run(&order, &sources, &start()?.registry, &plugins)?,
    }
    Ok(())
}

/// The process's exit code for an error: 2 where the user can mend it, 3 where a plugin failed, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(failure) = cause.downcast_ref::<launcher::Failure>() {
            return failure.code;
        }
        if cause.is::<LaunchError>() {
            return 2;
        }
        let called = cause.downcast_ref::<PluginError>().and_then(PluginError::fault);
        if let Some(fault) = called.or_else(|| cause.downcast_ref::<Fault>()) {
            return if matches!(fault.kind, FaultKind::Parameters | FaultKind::Input) { 2 } else { 3 };
        }
        if cause.is::<PluginError>() || cause.is::<SettingsError>() || cause.is::<DataError>() {
            return 2;
        }
    }
    1
}

struct Started {
    registry: Registry,
    resume: Option<Resume>,
    sources: Sources,
    place: Option<Place>,
}

impl Started {
    /// The settings of this invocation, or those of the run to go on with and this invocation's over them.
    fn resolved(&self) -> Result<Resolved> {
        let mut sources = self.sources.clone();
        if let Some(folder) = self.resumed_folder()? {
            sources.preset = None;
            sources.files.insert(0, folder.join("settings.toml"));
        }
        Ok(settings::resolve(&sources, &self.registry)?)
    }

    fn resumed_folder(&self) -> Result<Option<PathBuf>> {
        match &self.resume {
            None => Ok(None),
            Some(Resume::Folder(folder)) => Ok(Some(RunFolder::view(folder)?.path().to_owned())),
            Some(Resume::Latest) => {
                let runs = settings::resolve(&self.sources, &self.registry)?.settings.runs;
                Ok(Some(RunFolder::view(&runs)?.path().to_owned()))
            }
        }
    }

    fn dataset(&self) -> Result<Dataset> {
        Ok(read(&self.resolved()?.settings)?.0)
    }

    fn workbench(self) -> Result<(Workbench, Resolved, Option<PathBuf>)> {
        let (resolved, resumed) = (self.resolved()?, self.resumed_folder()?);
        let settings = resolved.settings.clone();
        self.check_parameters(&settings)?;
        let (dataset, world) = read(&settings)?;
        check_truth(&resolved, world.is_some())?;
        if settings.threads > 0 {
            tch::set_num_threads(settings.threads as i32);
        }
        if let Err(error) = prorl_distributed::widen_float32_products() {
            log::warn!("{error}");
        }
        check_blocks(&resolved, self.place.as_ref())?;
        let device = device_of(&settings.device, self.place.as_ref())?;
        let processes = Processes::join(&settings.processes, self.place)?;
        processes.use_device(device)?;
        let cache = crate::artefacts::Cache::new(&settings.cache);
        let data_hash = dataset.hash();
        let bench =
            Workbench { settings, registry: self.registry, dataset, world, data_hash, device, cache, processes };
        Ok((bench, resolved, resumed))
    }

    /// Lets every chosen component look at its parameters before anything is trained.
    fn check_parameters(&self, settings: &Settings) -> Result<()> {
        let chosen = [
            (Kind::Tokenizer, &settings.tokenizer),
            (Kind::Policy, &settings.policy),
            (Kind::RewardModel, &settings.reward),
            (Kind::Algorithm, &settings.algo),
        ];
        for (kind, component) in chosen {
            let parameters = Value::Object(component.parameters.clone());
            self.registry.complete(kind, &component.name, &parameters)?;
        }
        for (name, parameters) in &settings.evaluator.parameters {
            self.registry.complete(Kind::RewardModel, name, &Value::Object(parameters.clone()))?;
        }
        Ok(())
    }

    fn experiment(self, until: Until) -> Result<()> {
        let (bench, resolved, resumed) = self.workbench()?;
        if until == Until::Reinforcement && bench.policy_is_fixed()? {
            return Err(untrainable(&bench, &resolved).into());
        }
        let run = run_folder(&bench, &resolved, resumed)?;
        let body = |bench: &Workbench| experiment::run(bench, &run, until);
        together(&bench, body).with_context(|| format!("run {}", run.path().display()))
    }

    fn judge(self, weights: &PolicyWeights) -> Result<()> {
        let (bench, resolved, resumed) = self.workbench()?;
        let checkpoint = match weights {
            PolicyWeights::Imitation => None,
            PolicyWeights::Rl if bench.policy_is_fixed()? => None,
            PolicyWeights::File(path) => Some(path.clone()),
            PolicyWeights::Rl => Some(latest_policy(&bench, resumed.as_deref())?),
        };
        let run = run_folder(&bench, &resolved, None)?;
        together(&bench, |bench| experiment::judge(bench, &run, checkpoint.as_deref()))
    }

    fn generate(&self, out: &Path) -> Result<()> {
        let settings = self.resolved()?.settings;
        let world = World::generate(&settings.data.world)?;
        world.write(out)?;
        outln!("wrote a generated world to {}; use it with --data {}", out.display(), out.display());
        Ok(())
    }
}

fn untrainable(bench: &Workbench, resolved: &Resolved) -> SettingsError {
    SettingsError::Conflict {
        key: "policy.name".into(),
        value: Value::from(bench.settings.policy.name.as_str()).to_string(),
        origin: resolved.origins.of("policy.name"),
        reason: "no algorithm can train this policy; `prorl-host run` judges it as it is".into(),
    }
}

/// The data, and the world that made them if one did.
fn read(settings: &Settings) -> Result<(Dataset, Option<World>)> {
    let data = &settings.data;
    let options = data.read_options();
    if data.path == "generated" {
        let world = World::generate(&data.world)?;
        return Ok((world.dataset(&options)?, Some(world)));
    }
    let folder = Path::new(&data.path);
    Ok((Dataset::open(folder, &options)?, World::beside(folder)?))
}

/// Only generated users are known well enough to judge by the truth.
fn check_truth(resolved: &Resolved, generated: bool) -> Result<(), SettingsError> {
    let settings = &resolved.settings;
    let names = &settings.evaluator.names;
    if generated || !names.iter().any(|name| name == truth::NAME) {
        return Ok(());
    }
    let key = "evaluator.names";
    let others: Vec<&str> = names.iter().map(String::as_str).filter(|name| *name != truth::NAME).collect();
    let others = if others.is_empty() { "sasrec".to_owned() } else { others.join(",") };
    let reason = format!(
        "`truth` is known of generated data only, and {} holds other data; judge by --evaluator {others}",
        settings.data.path
    );
    Err(SettingsError::Conflict {
        key: key.into(),
        value: json!(names).to_string(),
        origin: resolved.origins.of(key),
        reason,
    })
}

/// `--nproc` does not fit.
#[derive(Debug, Error)]
enum LaunchError {
    #[error("--nproc starts processes, but this one was started as one of {0}: leave --nproc out")]
    Twice(usize),
    #[error(
        "--nproc is for run, train-reward, pretrain, rl and eval; bench has --jobs, whose runs are one process each"
    )]
    Action,
}

fn check_launch(action: &Action, place: Option<&Place>) -> Result<(), LaunchError> {
    let trains =
        matches!(action, Action::Run | Action::TrainReward | Action::Pretrain | Action::Rl | Action::Eval { .. });
    match place {
        _ if !trains => Err(LaunchError::Action),
        Some(place) => Err(LaunchError::Twice(place.processes)),
        None => Ok(()),
    }
}

/// The processes share the blocks out evenly.
fn check_blocks(resolved: &Resolved, place: Option<&Place>) -> Result<(), SettingsError> {
    let (blocks, count) = (resolved.settings.processes.blocks, place.map_or(1, |place| place.processes));
    if blocks % count as i64 == 0 {
        return Ok(());
    }
    let key = "processes.blocks";
    let reason = format!("{count} processes can share out only a multiple of {count} blocks");
    Err(SettingsError::Conflict {
        key: key.into(),
        value: blocks.to_string(),
        origin: resolved.origins.of(key),
        reason,
    })
}

/// Runs `body`, after which no process leaves before the others are done: one of them may serve the store of all.
fn together(bench: &Workbench, body: impl FnOnce(&Workbench) -> Result<()>) -> Result<()> {
    body(bench)?;
    bench.processes.meet("the end")
}

/// The device of one of several processes is the GPU of its number on its machine.
fn device_of(name: &str, place: Option<&Place>) -> Result<Device> {
    let Some(place) = place else { return device(name) };
    if name.starts_with("cuda:") {
        bail!(
            "`device` is {name}, but there are {} processes: use --device cuda, with which each has a GPU of its own",
            place.processes
        )
    }
    match device(name)? {
        Device::Cuda(_) if place.local_rank as i64 >= tch::Cuda::device_count() => bail!(
            "process {} is number {} on this machine, which has {} GPUs: start as many processes as there are GPUs, or use --device cpu",
            place.rank,
            place.local_rank,
            tch::Cuda::device_count()
        ),
        Device::Cuda(_) => Ok(Device::Cuda(place.local_rank)),
        device => Ok(device),
    }
}

fn device(name: &str) -> Result<Device> {
    match name {
        "cpu" => Ok(Device::Cpu),
        "auto" => {
            match cuda::open() {
                Ok(()) | Err(CudaError::NoDriver) => {}
                Err(error) => warn!("computing on the CPU, though there is an NVIDIA driver: {error}"),
            }
            Ok(Device::cuda_if_available())
        }
        _ if !gpu_is_there(name)? => {
            bail!("`device` is {name}, but this process sees no CUDA device: use --device cpu, or auto")
        }
        "cuda" => Ok(Device::Cuda(0)),
        name => {
            let index = name.strip_prefix("cuda:").and_then(|index| index.parse().ok());
            index
                .map(Device::Cuda)
                .with_context(|| format!("`device` is {name}, but should be auto, cpu, cuda or cuda:N"))
        }
    }
}

/// Whether there is one, where `name` asks for it.
fn gpu_is_there(name: &str) -> Result<bool> {
    match cuda::open() {
        Err(CudaError::NoDriver) => Ok(false),
        opened => {
            opened.with_context(|| format!("`device` is {name}"))?;
            Ok(tch::Cuda::is_available())
        }
    }
}

/// Under which note a launch keeps the folder of its run.
const RUN_FOLDER: &str = "run folder";

/// The run's folder: process 0 makes it or takes it up, the others look into it. Processes that a launcher has started
/// anew take up the run of those before them.
fn run_folder(bench: &Workbench, resolved: &Resolved, resumed: Option<PathBuf>) -> Result<RunFolder> {
    let processes = &bench.processes;
    if !processes.is_first() {
        return Ok(RunFolder::view(Path::new(&processes.told(None, RUN_FOLDER)?))?);
    }
    let earlier = match processes.group().filter(|group| group.place().attempt > 0 && resumed.is_none()) {
        Some(group) => group.remembered(RUN_FOLDER)?,
        None => None,
    };
    let resumed = earlier.map(|path| PathBuf::from(String::from_utf8_lossy(&path).into_owned())).or(resumed);
    let run = own_run_folder(bench, resolved, resumed)?;
    let path = std::path::absolute(run.path()).context("naming the run's folder")?;
    processes.told(Some(&path.to_string_lossy()), RUN_FOLDER)?;
    if let Some(group) = processes.group() {
        group.remember(RUN_FOLDER, path.to_string_lossy().as_bytes())?;
    }
    Ok(run)
}

fn own_run_folder(bench: &Workbench, resolved: &Resolved, resumed: Option<PathBuf>) -> Result<RunFolder> {
    if let Some(folder) = resumed {
        let run = RunFolder::resume(&folder)?;
        run.record_resumption()?;
        return Ok(run);
    }
    let origins = experiment::provenance(&bench.registry)?;
    let plugins: Vec<PluginOrigin> = serde_json::from_value(origins)?;
    let manifest = Manifest::new(bench.settings.seed, &bench.data_hash, plugins);
    let dataset = &bench.dataset.name;
    let (text, origins) = (resolved.to_toml()?, resolved.show());
    let run = RunFolder::create(&bench.settings.runs, dataset, &text, &origins, &manifest)?;
    log::info!("run folder {}", run.path().display());
    Ok(run)
}

/// The policy of the latest checkpoint of a run: the one given, or the latest of this data set.
fn latest_policy(bench: &Workbench, resumed: Option<&Path>) -> Result<PathBuf> {
    let folder = match resumed {
        Some(folder) => folder.to_owned(),
        None => bench.settings.runs.join(&bench.dataset.name),
    };
    let run = RunFolder::view(&folder).context("looking for a trained policy; train one with `prorl-host rl`")?;
    let store = crate::checkpoint::Store::at(&run.checkpoints());
    let name = store.latest()?.with_context(|| format!("{} holds no checkpoint", run.path().display()))?;
    Ok(run.checkpoints().join(name).join("model.safetensors"))
}

impl KnownComponents for Registry {
    fn parameter_schema(&self, kind: Kind, name: &str) -> Option<Value> {
        Some(self.lookup(kind, name)?.description.schema.clone())
    }

    fn names(&self, kind: Kind) -> Vec<String> {
        let of_kind = self.components().iter().filter(|component| component.description.kind == kind);
        of_kind.map(|component| component.description.name.clone()).collect()
    }
}
