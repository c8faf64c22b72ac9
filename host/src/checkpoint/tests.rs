#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;
use serde_json::json;
use tch::{Device, Kind, Tensor};

fn ramp(kind: Kind, shape: &[i64]) -> Tensor {
    let count = shape.iter().product::<i64>();
    Tensor::arange(count, (Kind::Float, Device::Cpu)).reshape(shape).to_kind(kind)
}

fn named(tensors: &[(&str, Tensor)]) -> Vec<NamedTensor> {
    let copies = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone()));
    copies.collect()
}

fn small(value: i64) -> Vec<NamedTensor> {
    named(&[("w", Tensor::from(value).to_kind(Kind::Float).reshape([1, 1]))])
}

fn save_step(store: &Store, step: u64, value: i64) -> PathBuf {
    let tensors = small(value);
    let state = json!({ "step": step });
    let contents = Contents { model: &tensors, optimiser: &[], algorithm: &[], state: &state };
    store.save(&Store::step_name(step), &contents).unwrap()
}

fn value_of(checkpoint: &Checkpoint) -> f64 {
    checkpoint.model.tensor("w").unwrap().double_value(&[0, 0])
}

#[test]
fn every_kind_and_layout_survives() {
    let folder = tempfile::tempdir().unwrap();
    let kinds = [
        Kind::Float,
        Kind::Double,
        Kind::Int64,
        Kind::Bool,
        Kind::BFloat16,
        Kind::Half,
        Kind::Int,
        Kind::Int16,
        Kind::Int8,
        Kind::Uint8,
    ];
    let mut tensors: Vec<NamedTensor> = kinds.iter().map(|kind| (format!("{kind:?}"), ramp(*kind, &[2, 3]))).collect();
    tensors.push(("transposed".into(), ramp(Kind::Float, &[2, 3]).transpose(0, 1)));
    tensors.push(("grad".into(), ramp(Kind::Float, &[3]).set_requires_grad(true)));
    tensors.push(("scalar".into(), Tensor::from(2.5)));
    tensors.push(("empty".into(), ramp(Kind::Float, &[0, 4])));
    let meta = json!({"step": 3, "name": "q\"ö"});
    let path = save(folder.path(), "model", &tensors, &meta).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.meta, meta);
    assert_eq!(loaded.tensors.len(), tensors.len());
    for (name, tensor) in &tensors {
        let back = loaded.tensor(name).unwrap();
        assert_eq!((back.kind(), back.size()), (tensor.kind(), tensor.size()), "{name}");
        assert!(back.equal(tensor), "{name}");
    }
    let beside = fs::read_to_string(folder.path().join("model.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&beside).unwrap(), meta);
}

#[test]
fn cuda_tensors_are_stored_from_the_device() {
    if prorl_abi::cuda::open().is_err() || !tch::Cuda::is_available() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tensor = ramp(Kind::BFloat16, &[4, 5]);
    let on_device = named(&[("w", tensor.to_device(Device::Cuda(0)))]);
    let path = save(folder.path(), "model", &on_device, &Value::Null).unwrap();
    assert!(load(&path).unwrap().tensor("w").unwrap().equal(&tensor));
    copy_into(&on_device, &load(&path).unwrap()).unwrap();
}

#[test]
fn transformers_and_tch_accept_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path(), "m", &small(4), &Value::Null).unwrap();
    let bytes = fs::read(&path).unwrap();
    let (size, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    assert_eq!(size % 8, 0);
    assert_eq!(header.metadata().as_ref().unwrap()["format"], "pt");
    let back = Tensor::read_safetensors(&path).unwrap();
    assert_eq!(back[0].1.double_value(&[0, 0]), 4.0);
}

#[test]
fn what_cannot_be_stored_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let complex = named(&[("c", Tensor::zeros([2], (Kind::ComplexFloat, Device::Cpu)))]);
    let refused = save(folder.path(), "m", &complex, &Value::Null).unwrap_err().to_string();
    assert!(refused.contains("`c`") && refused.contains("ComplexFloat"), "{refused}");
    let twice = named(&[("w", Tensor::from(1)), ("w", Tensor::from(2))]);
    let refused = save(folder.path(), "m", &twice, &Value::Null).unwrap_err().to_string();
    assert!(refused.contains("`w`") && refused.contains("twice"), "{refused}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_checkpoint_comes_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(&folder.path().join("checkpoints"));
    assert_eq!(store.latest().unwrap(), None);
    store.recover().unwrap();
    save_step(&store, 10, 1);
    save_step(&store, 9, 2);
    let name = store.latest().unwrap().unwrap();
    assert_eq!(name, "step-00000010");
    let checkpoint = store.load(&name).unwrap();
    assert_eq!((value_of(&checkpoint), &checkpoint.state["step"]), (1.0, &json!(10)));
    assert!(checkpoint.optimiser.tensors.is_empty());
    save_step(&store, 10, 7);
    assert_eq!(value_of(&store.load(&name).unwrap()), 7.0);
}

#[test]
fn an_interrupted_write_is_ignored_and_cleaned() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    let whole = save_step(&store, 1, 1);
    let part = folder.path().join("step-00000002.part");
    fs::rename(&whole, &part).unwrap();
    save_step(&store, 1, 1);
    assert_eq!(store.names().unwrap(), ["step-00000001"]);
    assert!(matches!(store.load("step-00000002.part"), Err(CheckpointError::Name(_))));
    assert!(matches!(store.load("step-00000002"), Err(CheckpointError::Unknown { .. })));
    store.recover().unwrap();
    assert!(!part.exists());
    assert_eq!(store.names().unwrap(), ["step-00000001"]);
}

#[test]
fn an_interrupted_replacement_leaves_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    let place = save_step(&store, 1, 1);
    fs::rename(&place, durable::beside(&place, OLD)).unwrap();
    store.recover().unwrap();
    assert_eq!(value_of(&store.load("step-00000001").unwrap()), 1.0);
}

#[test]
fn pruning_keeps_the_latest_and_the_named() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    for step in [1, 2, 3, 4] {
        save_step(&store, step, 0);
    }
    fs::rename(folder.path().join("step-00000001"), folder.path().join("best")).unwrap();
    store.prune(&Keep::last(1)).unwrap();
    assert_eq!(store.names().unwrap(), ["best", "step-00000004"]);
}

#[test]
fn damage_is_told_with_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::at(folder.path());
    let place = save_step(&store, 1, 1);
    let error = |store: &Store| store.load("step-00000001").unwrap_err().to_string();
    let model = place.join("model.safetensors");
    let whole = fs::read(&model).unwrap();
    for length in 0..whole.len() {
        fs::write(&model, &whole[..length]).unwrap();
        let text = error(&store);
        assert!(text.contains("model.safetensors is damaged"), "{length}: {text}");
    }
    fs::write(&model, &whole).unwrap();
    fs::remove_file(place.join("optimiser.safetensors")).unwrap();
    assert!(error(&store).contains("optimiser.safetensors"));
    fs::write(place.join(STATE), r#"{"version": 2, "state": null}"#).unwrap();
    assert!(error(&store).contains("version 2"));
    fs::write(place.join(STATE), r#"{"version""#).unwrap();
    assert!(error(&store).contains("state.json is damaged"));
}

#[test]
fn copying_is_strict_and_tells_every_difference() {
    let folder = tempfile::tempdir().unwrap();
    let stored = named(&[
        ("shape", ramp(Kind::Float, &[2, 3])),
        ("kind", ramp(Kind::Float, &[2])),
        ("extra", ramp(Kind::Float, &[1])),
        ("same", ramp(Kind::Float, &[2])),
    ]);
    let path = save(folder.path(), "model", &stored, &Value::Null).unwrap();
    let targets = named(&[
        ("shape", ramp(Kind::Float, &[3, 2])),
        ("kind", ramp(Kind::Double, &[2])),
        ("absent", ramp(Kind::Float, &[1])),
        ("same", Tensor::zeros([2], (Kind::Float, Device::Cpu))),
    ]);
    let error = copy_into(&targets, &load(&path).unwrap()).unwrap_err().to_string();
    for part in [
        "missing: absent",
        "unexpected: extra",
        "`shape`: expected Float [3, 2], found Float [2, 3]",
        "`kind`: expected Double [2], found Float [2]",
        "model.safetensors",
    ] {
        assert!(error.contains(part), "no {part:?} in {error}");
    }
    assert!(!error.contains("same"));
    assert_eq!(targets[3].1.sum(Kind::Float).double_value(&[]), 0.0);
}

#[test]
fn copying_works_in_place_on_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let path = save(folder.path(), "model", &small(5), &Value::Null).unwrap();
    let parameter = Tensor::zeros([1, 1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    copy_into(&named(&[("w", parameter.shallow_clone())]), &load(&path).unwrap()).unwrap();
    assert_eq!(parameter.double_value(&[0, 0]), 5.0);
    assert!(parameter.requires_grad() && parameter.is_leaf());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn bits_survive(values in prop::collection::vec(any::<u32>(), 0..40)) {
        let folder = tempfile::tempdir().unwrap();
        let floats: Vec<f32> = values.iter().map(|bits| f32::from_bits(*bits)).collect();
        let tensors = named(&[("w", Tensor::from_slice(&floats))]);
        let path = save(folder.path(), "m", &tensors, &Value::Null).unwrap();
        let loaded = load(&path).unwrap();
        let back = Vec::<f32>::try_from(loaded.tensor("w").unwrap()).unwrap();
        let bits: Vec<u32> = back.iter().map(|value| value.to_bits()).collect();
        prop_assert_eq!(bits, values);
    }
}
