//! An embedding from attributes and behaviour, where no file gives one.

use crate::parameters::RqKmeansParameters;
use crate::ragged::Ragged;
use crate::sparse::Entries;
use crate::{attributes, cooccurrence, factorise};
use prorl_sdk::prelude::*;
use rand::Rng;

/// One row of length 1 an item; zeros for an item of which nothing is known. // [V, D]
///
/// Factorises `[PPMI | attribute_weight · TF-IDF]`, each half with rows of equal length, so that the weight
/// says how much of an item's likeness to others comes from what it is.
///
/// # Errors
/// The catalogue is inconsistent, or has neither attributes nor sequences.
pub(crate) fn from_catalogue(
    catalogue: &Catalogue,
    parameters: &RqKmeansParameters,
    random: &mut impl Rng,
) -> Result<Tensor> {
    let items = catalogue.raw_ids.len() - 1;
    let mut matrix = Entries::default();
    let (offsets, values) = (&catalogue.sequence_offsets, &catalogue.sequence_items);
    let sequences = Ragged::new("sequence", offsets, values, 1..items as i64 + 1)?;
    if parameters.window > 0 && !sequences.is_empty() {
        cooccurrence::add(&mut matrix, &sequences, items, parameters.window as usize);
    }
    let (offsets, values) = (&catalogue.attribute_offsets, &catalogue.attribute_values);
    let attributes = Ragged::new("attribute", offsets, values, 0..i64::MAX)?;
    if attributes.len() != items + 1 {
        return Err(Error::Tensor(format!(
            "attribute_offsets has {} entries, but should have V + 2 = {}",
            attributes.len() + 1,
            items + 2
        )));
    }
    if parameters.attribute_weight > 0.0 && !attributes.is_empty() {
        attributes::add(&mut matrix, &attributes, parameters.attribute_weight);
    }
    if matrix.is_empty() {
        return Err(Error::Input(
            "there are neither attributes nor sequences to make codes from; set `embeddings` to a `.npy` or `.safetensors` file, or raise `attribute_weight` or `window` above 0"
                .into(),
        ));
    }
    let (matrix, transpose) = matrix.matrices(items);
    let embedding = factorise::factorise(&matrix, &transpose, parameters.dimensions, random)?;
    Ok(factorise::of_length_one(&embedding))
}
