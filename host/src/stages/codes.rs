//! Stage: items get codes.

use crate::artefacts::key;
use crate::checkpoint;
use crate::random_streams::seed_torch;
use crate::workbench::Workbench;
use anyhow::{Context, Result, bail};
use prorl_sdk::export::description::Kind;
use prorl_sdk::tokenizer::{Catalogue, CodeTable};
use serde_json::{Value, json};
use tch::{Kind as Scalar, Tensor};

/// The items' codes, from the cache if the same tokenizer has seen the same data.
///
/// # Errors
/// The tokenizer fails, or two items share a code.
pub fn codes(bench: &Workbench) -> Result<CodeTable> {
    let component = &bench.settings.tokenizer;
    let parameters = Value::Object(component.parameters.clone());
    let inputs = json!({
        "data": bench.data_hash,
        "tokenizer": bench.fingerprint(Kind::Tokenizer, &component.name, &parameters)?,
        "seed": bench.settings.seed,
    });
    let folder = bench.artefact(&key("codes", &inputs), |folder| -> Result<()> {
        // Cheap beside the trainings: process 0 computes, the others wait.
        let Some(folder) = folder else { return Ok(()) };
        seed_torch(bench.settings.seed, "codes", 0, 0);
        let mut tokenizer = bench.registry.tokenizer(&component.name, &parameters, &bench.setup(None))?;
        let table = tokenizer.tokenize(&catalogue(&bench.dataset))?;
        check(&table, bench.dataset.catalogue.len() as i64)
            .with_context(|| format!("codes of the tokenizer `{}`", component.name))?;
        let meta = json!({ "codebook_size": table.codebook_size, "report": table.report });
        checkpoint::save(folder, "codes", &[("codes".into(), table.codes)], &meta)?;
        Ok(())
    })?;
    let saved = checkpoint::load(&folder.join("codes.safetensors"))?;
    let meta = &saved.meta;
    let report: Vec<(String, f64)> = serde_json::from_value(meta["report"].clone()).unwrap_or_default();
    for (name, value) in &report {
        log::info!("codes: {name} {value}");
    }
    Ok(CodeTable {
        codes: saved.tensor("codes")?.shallow_clone(),
        codebook_size: meta["codebook_size"].as_i64().unwrap_or_default(),
        report,
    })
}

/// What tokenizers are told of the data.
pub fn catalogue(dataset: &prorl_data::Dataset) -> Catalogue {
    let integers = |values: &[u32]| values.iter().map(|&value| i64::from(value)).collect::<Vec<_>>();
    let path = |path: &Option<std::path::PathBuf>| path.as_ref().map(|path| path.display().to_string());
    Catalogue {
        raw_ids: dataset.catalogue.raw_ids().to_vec(),
        attribute_offsets: Tensor::from_slice(&integers(dataset.catalogue.attribute_offsets())),
        attribute_values: Tensor::from_slice(&integers(dataset.catalogue.attribute_values())),
        sequence_offsets: Tensor::from_slice(&integers(dataset.sequences.offsets())),
        sequence_items: Tensor::from_slice(&integers(dataset.sequences.items())),
        semantic_ids: path(&dataset.semantic_ids),
        embeddings: path(&dataset.embeddings),
    }
}

/// The contract of a code table, checked for every tokenizer.
fn check(table: &CodeTable, items: i64) -> Result<()> {
    let size = table.codes.size();
    if size.len() != 2 || size[0] != items + 1 {
        bail!("the table is {size:?}, but should be [{} items and padding, digits]", items + 1);
    }
    let (low, high) = (table.codes.min().int64_value(&[]), table.codes.max().int64_value(&[]));
    if low < 0 || high >= table.codebook_size {
        bail!("digits run from {low} to {high}, but should lie in 0..{}", table.codebook_size);
    }
    let real = table.codes.narrow(0, 1, items).to_kind(Scalar::Int64);
    let (distinct, _, _) = real.unique_dim(0, true, false, false);
    if distinct.size()[0] != items {
        bail!("{} items share their code with another", items - distinct.size()[0]);
    }
    Ok(())
}
