//! Lloyd's k-means in pieces of bounded memory.

use crate::seeding;
use prorl_sdk::prelude::*;
use rand::Rng;

/// Numbers of a temporary matrix at most, 64 MiB of them.
const PIECE: i64 = 1 << 24;

/// Points put into clusters.
#[derive(Debug)]
pub(crate) struct Clusters {
    /// Means. // [K, D]
    pub(crate) centroids: Tensor,
    /// Nearest centroid of every point. // [N] int64
    pub(crate) nearest: Tensor,
}

/// Clusters `points` [N, D] around at most `clusters` centroids; fewer where there are fewer different
/// points. Squared distances up to `tolerance` count as none.
///
/// # Errors
/// libtorch refused an operation.
pub(crate) fn cluster(
    points: &Tensor,
    clusters: i64,
    iterations: i64,
    tolerance: f64,
    random: &mut impl Rng,
) -> Result<Clusters> {
    let mut centroids = seeding::plus_plus(points, clusters, tolerance, random)?; // [K, D]
    let mut nearest = assign(points, &centroids)?; // [N]
    for _ in 0..iterations {
        centroids = means(points, &centroids, &nearest, tolerance)?;
        let moved = assign(points, &centroids)?;
        let settled = moved.f_equal(&nearest)?;
        nearest = moved;
        if settled {
            break;
        }
    }
    Ok(Clusters { centroids, nearest })
}

/// The nearest centroid of every point. // [N, D], [K, D] → [N]
fn assign(points: &Tensor, centroids: &Tensor) -> Result<Tensor> {
    let lengths = squared_lengths(centroids); // [K]
    let across = (centroids * -2.0).tr(); // [D, K]
    by_piece(points.size()[0], centroids.size()[0], |(start, length)| {
        let products = points.narrow(0, start, length).f_mm(&across)?; // [n, K]
        Ok((products + &lengths).f_argmin(1, false)?)
    })
}

/// Means of the clusters; an empty one moves onto one of the points farthest from their centroids.
fn means(points: &Tensor, centroids: &Tensor, nearest: &Tensor, tolerance: f64) -> Result<Tensor> {
    let (sums, counts) = totals(points, nearest, centroids.size()[0])?;
    let means = sums / counts.clamp_min(1.0).unsqueeze(1); // [K, D]
    let empty = counts.eq(0.0).f_nonzero()?.squeeze_dim(1); // [E]
    if empty.numel() == 0 {
        return Ok(means);
    }
    let kept = centroids.where_self(&counts.eq(0.0).unsqueeze(1), &means);
    let distances = by_piece(points.size()[0], points.size()[1], |(start, length)| {
        let own = centroids.f_index_select(0, &nearest.narrow(0, start, length))?; // [n, D]
        Ok(squared_lengths(&(points.narrow(0, start, length) - own)))
    })?; // [N]
    let most = empty.numel().min(distances.numel()) as i64;
    let (distances, farthest) = distances.f_topk(most, 0, true, true)?;
    let farthest = farthest.f_masked_select(&distances.gt(tolerance))?;
    let empty = empty.narrow(0, 0, farthest.numel() as i64);
    Ok(kept.f_index_copy(0, &empty, &points.f_index_select(0, &farthest)?)?)
}

/// Sum and number of every cluster's points, as products with indicators: exact on every device, while
/// scattered sums on a GPU differ from run to run. // [N, D], [N] → [K, D], [K]
fn totals(points: &Tensor, nearest: &Tensor, clusters: i64) -> Result<(Tensor, Tensor)> {
    let options = (points.kind(), points.device());
    let mut sums = Tensor::f_zeros([clusters, points.size()[1]], options)?;
    let mut counts = Tensor::f_zeros([clusters], options)?;
    for (start, length) in pieces(points.size()[0], clusters) {
        let column = nearest.narrow(0, start, length).unsqueeze(1); // [n, 1]
        let member = Tensor::f_zeros([length, clusters], options)?.f_scatter_value(1, &column, 1.0)?;
        sums += member.tr().f_mm(&points.narrow(0, start, length))?;
        counts += member.sum_dim_intlist(0, false, points.kind());
    }
    Ok((sums, counts))
}

/// Squared distance of every point from another. // [N, D], [1, D] → [N]
pub(crate) fn squared_distances(points: &Tensor, other: &Tensor) -> Result<Tensor> {
    by_piece(points.size()[0], points.size()[1], |(start, length)| {
        Ok(squared_lengths(&(points.narrow(0, start, length) - other)))
    })
}

/// Squared length of every row. // [N, D] → [N]
pub(crate) fn squared_lengths(rows: &Tensor) -> Tensor {
    rows.square().sum_dim_intlist(1, false, rows.kind())
}

fn by_piece(rows: i64, width: i64, compute: impl FnMut((i64, i64)) -> Result<Tensor>) -> Result<Tensor> {
    let results: Vec<Tensor> = pieces(rows, width).map(compute).collect::<Result<_>>()?;
    Ok(Tensor::f_cat(&results, 0)?)
}

/// Starts and lengths of pieces of `rows` rows that are `width` wide.
fn pieces(rows: i64, width: i64) -> impl Iterator<Item = (i64, i64)> {
    let step = (PIECE / width.max(1)).max(1);
    (0..rows).step_by(step as usize).map(move |start| (start, step.min(rows - start)))
}
