//! One file of named tensors, in the safetensors format that Python's libraries read.
//!
//! The header carries `{"format": "pt"}`, without which Transformers refuses the file, and under
//! `prorl` what the file's writer had to say about it, so that both are written in one go.

use super::{CheckpointError, Result};
use crate::durable;
use safetensors::tensor::{Dtype, Metadata, SafeTensorError, SafeTensors, TensorInfo, TensorView};
use serde::Serialize;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tch::{Device, Kind, Tensor};

/// A tensor and its name, e.g. `decoder.block.0.layer.0.SelfAttention.q.weight`.
pub type NamedTensor = (String, Tensor);

const META: &str = "prorl";

/// What a file held; the tensors are on the CPU, in the order of the file.
#[derive(Debug)]
pub struct Loaded {
    /// Where it was read.
    pub path: PathBuf,
    /// The tensors.
    pub tensors: Vec<NamedTensor>,
    /// What [`save`] was given as `meta`; null for a file of other origin.
    pub meta: Value,
}

impl Loaded {
    /// The tensor called `name`.
    ///
    /// # Errors
    /// If the file has none of that name.
    pub fn tensor(&self, name: &str) -> Result<&Tensor> {
        let found = self.tensors.iter().find(|(known, _)| known == name);
        found.map(|(_, tensor)| tensor).ok_or_else(|| CheckpointError::Mismatch {
            path: self.path.clone(),
            differences: vec![format!("tensor `{name}` is missing")],
        })
    }
}

/// Writes `folder/name.safetensors`, and `meta` into it and, for people, as `folder/name.json`
/// beside it. Each file is replaced as a whole. The folder is created if need be.
///
/// Tensors may lie on any device and in any layout. Tensors that share memory are written twice.
///
/// # Errors
/// For a name that occurs twice, a tensor of a kind that cannot be stored, or a failing disk.
pub fn save(folder: &Path, name: &str, tensors: &[NamedTensor], meta: &Value) -> Result<PathBuf> {
    fs::create_dir_all(folder).map_err(CheckpointError::writing(folder))?;
    let path = folder.join(format!("{name}.safetensors"));
    write(&path, tensors, meta)?;
    write_json(&folder.join(format!("{name}.json")), meta)?;
    Ok(path)
}

/// Reads the safetensors file `path`, whoever wrote it.
///
/// # Errors
/// If it cannot be read, is cut off or malformed, or holds numbers of an unknown kind.
pub fn load(path: &Path) -> Result<Loaded> {
    let bytes = fs::read(path).map_err(CheckpointError::reading(path))?;
    let damaged = |error: SafeTensorError| CheckpointError::damaged(path, explain(&error));
    let (_, header) = SafeTensors::read_metadata(&bytes).map_err(damaged)?;
    let views = SafeTensors::deserialize(&bytes).map_err(damaged)?;
    let mut tensors = Vec::with_capacity(views.len());
    for name in header.offset_keys() {
        let tensor = to_tensor(path, &name, &views.tensor(&name).map_err(damaged)?)?;
        tensors.push((name, tensor));
    }
    let meta = header.metadata().as_ref().and_then(|header| header.get(META));
    let meta = meta.map_or(Ok(Value::Null), |text| serde_json::from_str(text));
    let meta = meta.map_err(|error| CheckpointError::damaged(path, error.to_string()))?;
    let path = path.to_owned();
    Ok(Loaded { path, tensors, meta })
}

pub(super) fn write(path: &Path, tensors: &[NamedTensor], meta: &Value) -> Result<()> {
    let header = header(tensors, meta)?;
    let written = durable::write_file_with(path, |file| write_parts(file, &header, tensors));
    written.map_err(|failure| match failure {
        Failure::Disk(source) => CheckpointError::writing(path)(source),
        Failure::Tensor(error) => error,
    })
}

pub(super) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let json = serde_json::to_vec_pretty(value).map_err(io::Error::from);
    let written = json.and_then(|json| durable::write_file(path, &json));
    written.map_err(CheckpointError::writing(path))
}

enum Failure {
    Disk(io::Error),
    Tensor(CheckpointError),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Disk(error)
    }
}

fn write_parts(file: &mut File, header: &[u8], tensors: &[NamedTensor]) -> Result<(), Failure> {
    let mut out = BufWriter::with_capacity(1 << 20, file);
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header)?;
    for (name, tensor) in tensors {
        let bytes = bytes_of(tensor).map_err(|error| Failure::Tensor(CheckpointError::torch(name)(error)))?;
        out.write_all(&bytes)?;
    }
    Ok(out.flush()?)
}

/// The JSON header, padded with spaces to eight bytes as the format asks.
fn header(tensors: &[NamedTensor], meta: &Value) -> Result<Vec<u8>> {
    let mut names = HashSet::new();
    let mut infos = Vec::with_capacity(tensors.len());
    let mut end = 0;
    for (name, tensor) in tensors {
        if name == "__metadata__" || !names.insert(name) {
            return Err(unstorable(name, "its name occurs twice or is reserved"));
        }
        let info = info(name, tensor, end)?;
        end = info.data_offsets.1;
        infos.push((name.clone(), info));
    }
    let notes = HashMap::from([("format".into(), "pt".into()), (META.into(), meta.to_string())]);
    let metadata = Metadata::new(Some(notes), infos);
    let json = metadata.and_then(|metadata| Ok(serde_json::to_vec(&metadata)?));
    let mut json = json.map_err(|error| unstorable("(all)", &error.to_string()))?;
    json.resize(json.len().next_multiple_of(8), b' ');
    Ok(json)
}

fn info(name: &str, tensor: &Tensor, start: usize) -> Result<TensorInfo> {
    let kind = tensor.f_kind().map_err(CheckpointError::torch(name))?;
    let dtype =
        dtype_of(kind).ok_or_else(|| unstorable(name, &format!("{kind:?} numbers have no place in the format")))?;
    let shape: Vec<usize> = tensor.size().iter().map(|size| size.unsigned_abs() as usize).collect();
    let bytes = shape.iter().product::<usize>() * kind.elt_size_in_bytes();
    let data_offsets = (start, start + bytes);
    Ok(TensorInfo { dtype, shape, data_offsets })
}

/// The tensor's numbers in row-major order, as they lie in memory.
pub(crate) fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>, tch::TchError> {
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * tensor.f_kind()?.elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}

fn to_tensor(path: &Path, name: &str, view: &TensorView) -> Result<Tensor> {
    let kind = kind_of(view.dtype())
        .ok_or_else(|| CheckpointError::damaged(path, format!("tensor `{name}` has unknown kind {}", view.dtype())))?;
    let shape: Vec<i64> = view.shape().iter().map(|size| *size as i64).collect();
    Tensor::f_from_data_size(view.data(), &shape, kind).map_err(CheckpointError::torch(name))
}

fn unstorable(name: &str, reason: &str) -> CheckpointError {
    let (name, reason) = (name.to_owned(), reason.to_owned());
    CheckpointError::Unstorable { name, reason }
}

fn explain(error: &SafeTensorError) -> String {
    match error {
        SafeTensorError::MetadataIncompleteBuffer => "it is cut off, or has bytes that belong to no tensor".to_owned(),
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => {
            format!("it is cut off within its header, or no safetensors file ({error})")
        }
        SafeTensorError::HeaderTooLarge => format!("it is no safetensors file ({error})"),
        error => error.to_string(),
    }
}

const KINDS: [(Kind, Dtype); 10] = [
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
    (Kind::Half, Dtype::F16),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Bool, Dtype::BOOL),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Int16, Dtype::I16),
    (Kind::Int8, Dtype::I8),
    (Kind::Uint8, Dtype::U8),
];

fn dtype_of(kind: Kind) -> Option<Dtype> {
    KINDS.iter().find(|(known, _)| *known == kind).map(|(_, dtype)| *dtype)
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|(_, known)| *known == dtype).map(|(kind, _)| *kind)
}
