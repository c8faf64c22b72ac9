//! First centroids: k-means++ (Arthur and Vassilvitskii 2007).

use crate::kmeans::squared_distances;
use prorl_sdk::prelude::*;
use rand::Rng;

/// Up to `clusters` points, each drawn with probability proportional to its squared distance from those
/// drawn before; fewer where all points are within `tolerance` (squared) of one drawn. // [N, D] → [K, D]
///
/// # Errors
/// libtorch refused an operation.
pub(crate) fn plus_plus(points: &Tensor, clusters: i64, tolerance: f64, random: &mut impl Rng) -> Result<Tensor> {
    let from = |drawn: i64| squared_distances(points, &points.narrow(0, drawn, 1)); // [N]
    let mut drawn = vec![random.random_range(0..points.size()[0])];
    let mut nearest = from(drawn[0])?; // [N]
    while (drawn.len() as i64) < clusters {
        let weights = Vec::<f64>::try_from(nearest.to_kind(Kind::Double).to_device(Device::Cpu))?;
        let Some(next) = draw(&weights, tolerance, random) else {
            break;
        };
        drawn.push(next as i64);
        nearest = nearest.f_minimum(&from(next as i64)?)?;
    }
    Ok(points.f_index_select(0, &Tensor::from_slice(&drawn).to_device(points.device()))?)
}

/// An index with probability proportional to its weight; none where no weight is above `least`.
fn draw(weights: &[f64], least: f64, random: &mut impl Rng) -> Option<usize> {
    let candidates = || weights.iter().enumerate().filter(|&(_, &weight)| weight > least);
    let mut mark = random.random::<f64>() * candidates().map(|(_, weight)| weight).sum::<f64>();
    candidates()
        .find(|&(_, &weight)| {
            mark -= weight;
            mark < 0.0
        })
        .or_else(|| candidates().next_back()) // rounding left the mark at the very end
        .map(|(index, _)| index)
}
