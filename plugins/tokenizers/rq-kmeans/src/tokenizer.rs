//! The component: embedding, residual quantisation, last digit.

use crate::last_digit::{self, Unique};
use crate::parameters::RqKmeansParameters;
use crate::residual::Quantised;
use crate::{embeddings, features};
use prorl_sdk::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::path::Path;

/// Gives items codes by residual k-means: level `i` clusters what levels before `i` left of the embedding,
/// and a last digit (1, 2, …) tells apart items that collide on all levels.
///
/// A generator of its own makes the codes a function of catalogue, parameters and seed.
#[derive(Debug)]
pub struct RqKmeans {
    parameters: RqKmeansParameters,
    device: Device,
}

prorl_sdk::register_tokenizer!(
    "rq-kmeans",
    "Item codes by residual k-means over an embedding, read or made from attributes and sequences.",
    RqKmeans
);

impl Tokenizer for RqKmeans {
    type Parameters = RqKmeansParameters;

    fn create(parameters: RqKmeansParameters, setup: &Setup) -> Result<Self> {
        let device = setup.device()?;
        Ok(Self { parameters, device })
    }

    fn tokenize(&mut self, catalogue: &Catalogue) -> Result<CodeTable> {
        if catalogue.raw_ids.len() < 2 {
            return Err(Error::Input("the catalogue has no items".into()));
        }
        let _guard = tch::no_grad_guard();
        let mut random = ChaCha8Rng::seed_from_u64(self.parameters.seed);
        let embedding = self.embedding(catalogue, &mut random)?.to_device(self.device); // [V, D]
        let quantised = Quantised::new(&embedding, &self.parameters, &mut random)?;
        let codebook_size = self.parameters.codebook_size;
        let unique = last_digit::append(&quantised, codebook_size, &catalogue.raw_ids[1..])?;
        let digits = self.parameters.levels as usize + 1;
        let mut table = vec![0; digits]; // the padding item's
        table.extend(unique.codes.iter().flatten());
        Ok(CodeTable {
            codes: Tensor::from_slice(&table).view([-1, digits as i64]), // [V + 1, L]
            codebook_size,
            report: report(&quantised, &unique),
        })
    }
}

impl RqKmeans {
    fn embedding(&self, catalogue: &Catalogue, random: &mut ChaCha8Rng) -> Result<Tensor> {
        let given = self.parameters.embeddings.as_ref();
        match given.or(catalogue.embeddings.as_ref()) {
            Some(path) => embeddings::read(Path::new(path), self.parameters.tensor.as_deref(), catalogue),
            None => features::from_catalogue(catalogue, &self.parameters, random),
        }
    }
}

fn report(quantised: &Quantised, unique: &Unique) -> Vec<(String, f64)> {
    let mut figures = vec![
        ("collisions".to_string(), unique.collisions as f64),
        ("largest_collision".to_string(), unique.largest as f64),
        ("moved".to_string(), unique.moved as f64),
    ];
    for (level, outcome) in (1..).zip(&quantised.levels) {
        figures.extend([
            (format!("codebook_use/level_{level}"), outcome.use_of_codebook),
            (format!("perplexity/level_{level}"), outcome.perplexity),
            (format!("reconstruction_error/level_{level}"), outcome.error),
        ]);
    }
    figures
}
