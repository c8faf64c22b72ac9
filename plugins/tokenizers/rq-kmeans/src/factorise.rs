//! Truncated singular value decomposition of a sparse matrix by randomised subspace iteration.

use crate::sparse::Sparse;
use prorl_sdk::prelude::*;
use rand::Rng;

/// Columns beyond the wanted ones, which make the wanted ones accurate.
const OVERSAMPLING: i64 = 10;
/// Multiplications with `M Mᵀ`; each sharpens the leading directions.
const ROUNDS: usize = 4;

/// `U Σ^½` of the leading `dimensions` singular triplets (fewer where the matrix is smaller). // [V, D]
///
/// Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1; the square root of the singular values is the
/// usual choice for similarity between items (Levy, Goldberg and Dagan 2015).
///
/// # Errors
/// libtorch refused an operation.
pub(crate) fn factorise(
    matrix: &Sparse,    // [V, W]
    transpose: &Sparse, // [W, V]
    dimensions: i64,
    random: &mut impl Rng,
) -> Result<Tensor> {
    let (rows, columns) = (matrix.height() as i64, transpose.height() as i64);
    let most = rows.min(columns);
    let rank = dimensions.min(most);
    let sketch = (rank + OVERSAMPLING).min(most);
    let mut basis = orthonormal(&matrix.times(&signs(columns, sketch, random))?)?; // [V, S]
    for _ in 0..ROUNDS {
        let back = orthonormal(&transpose.times(&basis)?)?; // [W, S]
        basis = orthonormal(&matrix.times(&back)?)?; // [V, S]
    }
    let projected = transpose.times(&basis)?.to_kind(Kind::Double); // [W, S]
    let (squares, vectors) = projected.tr().f_mm(&projected)?.f_linalg_eigh("L")?; // rising
    let squares = squares.narrow(0, sketch - rank, rank).flip([0]); // [D]
    let vectors = vectors.narrow(1, sketch - rank, rank).flip([1]); // [S, D]
    let scale = squares.clamp_min(0.0).pow_tensor_scalar(0.25); // σ^½ [D]
    Ok(basis.f_mm(&(vectors * scale).to_kind(Kind::Float))?)
}

/// Rows of length 1; a row that is nothing but rounding becomes zeros. // [V, D] → [V, D]
pub(crate) fn of_length_one(matrix: &Tensor) -> Tensor {
    let lengths = matrix.square().sum_dim_intlist(1, true, Kind::Float).sqrt(); // [V, 1]
    let rounding = lengths.max() * 1e-5;
    let scale = lengths.reciprocal().masked_fill(&lengths.le_tensor(&rounding), 0.0);
    matrix * scale
}

fn orthonormal(columns: &Tensor) -> Result<Tensor> {
    Ok(Tensor::f_linalg_qr(columns, "reduced")?.0)
}

/// A random matrix of 1 and −1. // [rows, columns] float
fn signs(rows: i64, columns: i64, random: &mut impl Rng) -> Tensor {
    let signs: Vec<f32> = (0..rows * columns).map(|_| if random.random() { 1.0 } else { -1.0 }).collect();
    Tensor::from_slice(&signs).view([rows, columns])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;
    use crate::sparse::Entries;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn random(rows: i64, columns: i64, seed: u64) -> Tensor {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let values: Vec<f32> = (0..rows * columns).map(|_| random.random::<f32>() - 0.5).collect();
        Tensor::from_slice(&values).view([rows, columns])
    }

    fn factorise_dense(matrix: &Tensor, dimensions: i64) -> Tensor {
        let (rows, columns) = matrix.size2().unwrap();
        let mut entries = Entries::default();
        let mut block = entries.block(columns as usize);
        for row in 0..rows {
            let values: Vec<f32> = matrix.get(row).try_into().unwrap();
            let length = matrix.get(row).norm().double_value(&[]);
            let values: Vec<(usize, f32)> = values.into_iter().enumerate().collect();
            block.push(row as usize, &values, length);
        }
        let (matrix, transpose) = entries.matrices(rows as usize);
        let mut random = ChaCha8Rng::seed_from_u64(4);
        factorise(&matrix, &transpose, dimensions, &mut random).unwrap()
    }

    #[test]
    fn the_leading_directions_are_those_of_the_full_decomposition() {
        let matrix = random(40, 5, 1).mm(&random(5, 30, 2)) + random(40, 30, 3) * 1e-3;
        let found = factorise_dense(&matrix, 3);
        let (u, s, _) = matrix.svd(true, true);
        let exact = (u * s.sqrt()).narrow(1, 0, 3);
        // Signs of columns are free, so products between items are compared.
        let difference = (found.mm(&found.tr()) - exact.mm(&exact.tr())).abs().max();
        assert!(difference.double_value(&[]) < 1e-4, "{difference}");
    }

    #[test]
    fn a_small_matrix_gives_what_it_has() {
        let matrix = Tensor::from_slice(&[3f32, 4.0]).view([1, 2]);
        let found = factorise_dense(&matrix, 64);
        assert_eq!(found.size(), [1, 1]);
        assert!((found.double_value(&[0, 0]).abs() - 5f64.sqrt()).abs() < 1e-5);
    }

    #[test]
    fn a_row_of_rounding_becomes_zeros() {
        let rows = of_length_one(&Tensor::from_slice(&[3f32, 4.0, 1e-8, 0.0]).view([2, 2]));
        let rows: Vec<f32> = rows.flatten(0, 1).try_into().unwrap();
        assert_eq!(rows, [0.6, 0.8, 0.0, 0.0]);
    }
}
