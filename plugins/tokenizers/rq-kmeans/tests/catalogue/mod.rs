//! Catalogues to test with.
#![allow(dead_code)] // each test file uses a part

use prorl_plugin_rq_kmeans::{RqKmeans, RqKmeansParameters};
use prorl_sdk::prelude::*;
use std::path::PathBuf;

/// What is known of items: attributes of items 1, 2, … and users' sequences.
pub struct Items {
    pub attributes: Vec<Vec<i64>>,
    pub sequences: Vec<Vec<i64>>,
}

impl Items {
    /// Items of which nothing is known.
    pub fn unknown(count: usize) -> Self {
        Self { attributes: vec![vec![]; count], sequences: vec![] }
    }

    pub fn catalogue(&self) -> Catalogue {
        let padded: Vec<Vec<i64>> = std::iter::once(vec![]).chain(self.attributes.clone()).collect();
        let (attribute_offsets, attribute_values) = ragged(&padded);
        let (sequence_offsets, sequence_items) = ragged(&self.sequences);
        let ids = (1..=self.attributes.len()).map(|item| format!("raw{item}"));
        Catalogue {
            raw_ids: std::iter::once(String::new()).chain(ids).collect(),
            attribute_offsets,
            attribute_values,
            sequence_offsets,
            sequence_items,
            semantic_ids: None,
            embeddings: None,
        }
    }
}

fn ragged(lists: &[Vec<i64>]) -> (Tensor, Tensor) {
    let mut offsets = vec![0];
    for list in lists {
        offsets.push(offsets[offsets.len() - 1] + list.len() as i64);
    }
    (Tensor::from_slice(&offsets), Tensor::from_slice(&lists.concat()))
}

pub fn tokenize(parameters: RqKmeansParameters, catalogue: &Catalogue) -> Result<CodeTable> {
    let setup = Setup {
        items: catalogue.raw_ids.len() as i64 - 1,
        history: 10,
        path: 10,
        codes: None,
        codebook_size: 0,
        device: "cpu".into(),
        hidden: 0,
        popularity: None,
    };
    RqKmeans::create(parameters, &setup)?.tokenize(catalogue)
}

/// Rows of the table, the padding item's first.
pub fn digits(table: &CodeTable) -> Vec<Vec<i64>> {
    Vec::<Vec<i64>>::try_from(&table.codes).unwrap()
}

pub fn figure(table: &CodeTable, name: &str) -> f64 {
    let found = table.report.iter().find(|(figure, _)| figure == name);
    found.unwrap_or_else(|| panic!("no figure `{name}`")).1
}

/// A `.npy` file that lives as long as this.
pub struct MatrixFile {
    _folder: tempfile::TempDir,
    pub path: PathBuf,
}

pub fn matrix_file(rows: &[Vec<f32>]) -> MatrixFile {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("embedding.npy");
    let (height, width) = (rows.len(), rows[0].len());
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({height}, {width}), }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(rows.iter().flatten().flat_map(|value| value.to_le_bytes()));
    std::fs::write(&path, bytes).unwrap();
    MatrixFile { _folder: folder, path }
}
