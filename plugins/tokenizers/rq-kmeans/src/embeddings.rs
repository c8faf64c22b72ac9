//! An embedding matrix from a file, a row an item.

mod npy;
mod tensor_file;

use prorl_sdk::prelude::*;
use std::path::Path;

/// The items' rows of a `.npy` or `.safetensors` file, as 32-bit numbers. // [V, D]
///
/// Rows are the items in the catalogue's order; one row more than items means that the first is padding.
///
/// # Errors
/// The file cannot be read, is malformed, does not fit the catalogue or holds a number that is not finite.
pub(crate) fn read(path: &Path, tensor: Option<&str>, catalogue: &Catalogue) -> Result<Tensor> {
    let described = |message: String| Error::Input(format!("embedding matrix {}: {message}", path.display()));
    let bytes = std::fs::read(path)
        .map_err(|error| described(format!("{error}; set `embeddings` to a `.npy` or `.safetensors` file")))?;
    let matrix = match path.extension().and_then(|extension| extension.to_str()) {
        Some("npy") if tensor.is_some() => Err("a `.npy` file has no names; leave `tensor` out".into()),
        Some("npy") => npy::parse(&bytes),
        Some("safetensors") => tensor_file::parse(&bytes, tensor),
        _ => Err("the name should end in `.npy` or `.safetensors`".into()),
    };
    let matrix = matrix.map_err(described)?.into_tensor()?; // [R, D]
    let rows = rows_of_items(&matrix, &catalogue.raw_ids[1..]).map_err(described)?;
    Ok(rows)
}

/// A matrix as it stands in a file: exactly `rows · columns` numbers, row after row.
#[derive(Debug, PartialEq)]
struct Matrix<'a> {
    kind: Kind,
    rows: i64,
    columns: i64,
    data: &'a [u8],
}

impl<'a> Matrix<'a> {
    /// A matrix, if shape and data agree.
    fn new(kind: Kind, shape: &[u64], data: &'a [u8]) -> Result<Self, String> {
        let &[rows, columns] = shape else {
            return Err(format!("should have two dimensions, items and features, but its shape is {shape:?}"));
        };
        if rows == 0 || columns == 0 {
            return Err(format!("is empty: its shape is {shape:?}"));
        }
        let size = rows.checked_mul(columns).and_then(|count| count.checked_mul(kind.elt_size_in_bytes() as u64));
        if size != Some(data.len() as u64) {
            let size = size.map_or("more than any file's".into(), |size| size.to_string());
            return Err(format!(
                "shape {shape:?} of {kind:?} means {size} bytes of data, but the file has {}; write it again",
                data.len()
            ));
        }
        Ok(Self { kind, rows: rows as i64, columns: columns as i64, data })
    }

    fn into_tensor(self) -> Result<Tensor> {
        let tensor = Tensor::f_from_data_size(self.data, &[self.rows, self.columns], self.kind)?;
        Ok(tensor.to_kind(Kind::Float))
    }
}

/// Leaves out the padding row; refuses a matrix of another height or with numbers that are not finite.
fn rows_of_items(matrix: &Tensor, ids: &[String]) -> Result<Tensor, String> {
    let (items, rows) = (ids.len() as i64, matrix.size()[0]);
    if rows != items && rows != items + 1 {
        return Err(format!(
            "has {rows} rows, but the catalogue has {items} items; one row an item in catalogue order is needed, or {} with a padding row first",
            items + 1
        ));
    }
    let matrix = matrix.narrow(0, rows - items, items); // [V, D]
    let finite = matrix.isfinite().all_dim(1, false); // [V]
    if finite.all().int64_value(&[]) == 1 {
        return Ok(matrix);
    }
    let first = finite.to_kind(Kind::Int64).argmin(None, false).int64_value(&[]);
    Err(format!(
        "row {} (item `{}`) holds a number that is not finite; mend or remove it",
        first + rows - items,
        ids[first as usize]
    ))
}

#[cfg(test)]
mod tests;
