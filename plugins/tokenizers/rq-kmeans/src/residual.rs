//! Residual quantisation: each level clusters what the levels before it left over.

use crate::kmeans::{self, Clusters, squared_lengths};
use crate::parameters::RqKmeansParameters;
use prorl_sdk::prelude::*;
use rand::Rng;

/// Points nearer than this, relative to the longest, count as one: rounding of 32-bit numbers.
const SAME: f64 = 1e-6;

/// One level's outcome.
#[derive(Debug)]
pub(crate) struct Level {
    /// Code of every item.
    pub(crate) codes: Vec<i64>,
    /// Share of the codebook's entries that some item has.
    pub(crate) use_of_codebook: f64,
    /// Exponential of the entropy of the codes: how many entries would be as varied if used equally.
    pub(crate) perplexity: f64,
    /// Length of what is left over after this level relative to the (centred) embedding's.
    pub(crate) error: f64,
}

/// An embedding in codes.
#[derive(Debug)]
pub(crate) struct Quantised {
    /// First level first.
    pub(crate) levels: Vec<Level>,
    /// What the last level clustered. // [V, D]
    remainder: Tensor,
    /// The last level's centroids. // [K, D]
    centroids: Tensor,
}

impl Quantised {
    /// Quantises an embedding [V, D].
    ///
    /// # Errors
    /// libtorch refused an operation.
    pub(crate) fn new(embedding: &Tensor, parameters: &RqKmeansParameters, random: &mut impl Rng) -> Result<Self> {
        let longest = squared_lengths(embedding).max().f_double_value(&[])?;
        let tolerance = longest * SAME * SAME;
        let mut remainder = embedding - embedding.mean_dim(0, true, embedding.kind()); // [V, D]
        let whole = length(&remainder)?;
        let mut levels = Vec::new();
        loop {
            let size = parameters.codebook_size;
            let Clusters { centroids, nearest } =
                kmeans::cluster(&remainder, size, parameters.iterations, tolerance, random)?;
            let left = &remainder - centroids.f_index_select(0, &nearest)?;
            let codes = Vec::<i64>::try_from(nearest.to_device(Device::Cpu))?;
            let error = if whole > 0.0 { length(&left)? / whole } else { 0.0 };
            levels.push(Level::new(codes, size, error));
            if levels.len() as i64 >= parameters.levels {
                return Ok(Self { levels, remainder, centroids });
            }
            remainder = left;
        }
    }

    /// The codes of every level for an item (from 0).
    pub(crate) fn prefix(&self, item: usize) -> Vec<i64> {
        self.levels.iter().map(|level| level.codes[item]).collect()
    }

    /// The last level's codes from the one that suits an item best to the one that suits it least; entries
    /// without a centroid come last.
    ///
    /// # Errors
    /// libtorch refused an operation.
    pub(crate) fn alternatives(&self, item: usize, codebook_size: i64) -> Result<Vec<i64>> {
        let point = self.remainder.narrow(0, item as i64, 1); // [1, D]
        let order = kmeans::squared_distances(&self.centroids, &point)?.f_argsort(0, false)?; // [K]
        let mut codes = Vec::<i64>::try_from(order.to_device(Device::Cpu))?;
        codes.extend(codes.len() as i64..codebook_size);
        Ok(codes)
    }
}

impl Level {
    fn new(codes: Vec<i64>, codebook_size: i64, error: f64) -> Self {
        let mut counts = vec![0usize; codebook_size as usize];
        for &code in &codes {
            counts[code as usize] += 1;
        }
        let shares = || {
            let used = counts.iter().filter(|&&count| count > 0);
            used.map(|&count| count as f64 / codes.len() as f64)
        };
        Self {
            use_of_codebook: shares().count() as f64 / codebook_size as f64,
            perplexity: shares().map(|share| -share * share.ln()).sum::<f64>().exp(),
            error,
            codes,
        }
    }
}

fn length(matrix: &Tensor) -> Result<f64> {
    Ok(squared_lengths(matrix).sum(Kind::Double).f_double_value(&[])?.sqrt())
}
