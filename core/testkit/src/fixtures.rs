//! Golden numbers: folders of safetensors with a `case.json` that describes them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// Named tensors of a file.
pub type Tensors = BTreeMap<String, Tensor>;

/// A folder with inputs, weights and expected values.
#[derive(Clone, Debug)]
pub struct Case {
    /// Path below the root, e.g. `t5` or `large/t5`.
    pub name: String,
    /// Where it lies.
    pub folder: PathBuf,
}

/// Where cases are looked for: `PRORL_FIXTURES`, else the copy in the project.
///
/// A relative path is taken from the workspace's root, from where `cargo xtask test` is started.
pub fn root() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    match std::env::var_os("PRORL_FIXTURES") {
        Some(root) => workspace.join(root),
        None => workspace.join("tests/fixtures"),
    }
}

/// Name of the device on which the cases are tried: `PRORL_TEST_DEVICE` (`cuda`), else `cpu`.
///
/// # Panics
/// There is no GPU to compute on, where one is asked for.
pub fn device_name() -> String {
    let name = std::env::var("PRORL_TEST_DEVICE").unwrap_or_else(|_| "cpu".into());
    if name == "cuda" {
        prorl_abi::cuda::open().unwrap_or_else(|error| panic!("PRORL_TEST_DEVICE is `cuda`, but {error}"));
    }
    name
}

/// The same as a device.
///
/// # Panics
/// The name is neither `cpu` nor `cuda`, or there is no GPU to compute on.
pub fn device() -> Device {
    match device_name().as_str() {
        "cpu" => Device::Cpu,
        "cuda" => Device::Cuda(0),
        other => panic!("PRORL_TEST_DEVICE is `{other}`, but should be cpu or cuda"),
    }
}

/// Every case whose folder's name starts with `kind`: `<root>/<case>` and `<root>/<set>/<case>`.
///
/// # Panics
/// The root is not a folder: a fixture that was asked for and is absent must not pass silently.
pub fn cases(kind: &str) -> Vec<Case> {
    let root = root();
    let mut cases = Vec::new();
    for folder in folders(&root) {
        cases.extend(folders(&folder).into_iter().chain([folder]).filter_map(|folder| {
            let starts = folder.file_name()?.to_str()?.starts_with(kind);
            let name = folder.strip_prefix(&root).ok()?.display().to_string();
            (starts && folder.join("case.json").is_file()).then_some(Case { name, folder })
        }));
    }
    if cases.is_empty() {
        eprintln!("skipped: no case `{kind}…` under {}", root.display());
    }
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}; check PRORL_FIXTURES", parent.display()));
    entries.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()).collect()
}

impl Case {
    /// What `case.json` says.
    ///
    /// # Panics
    /// It is missing or malformed.
    pub fn meta(&self) -> serde_json::Value {
        let path = self.folder.join("case.json");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The tensors of one of its files, on the device under test.
    ///
    /// # Panics
    /// It is missing or malformed.
    pub fn tensors(&self, file: &str) -> Tensors {
        let path = self.folder.join(file);
        let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        file.tensors().into_iter().map(|(name, view)| (name, tensor(&view).to_device(device()))).collect()
    }
}

fn tensor(view: &safetensors::tensor::TensorView<'_>) -> Tensor {
    use safetensors::Dtype;
    let kind = match view.dtype() {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::I64 => Kind::Int64,
        Dtype::BOOL => Kind::Bool,
        other => panic!("no fixture uses {other:?}"),
    };
    let size: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
    Tensor::from_data_size(view.data(), &size, kind)
}
