//! How likely is the target next, and how many items are likelier?

use crate::chunks;
use prorl_kernels::standing;
use tch::{Kind, Tensor};

/// Log-probability of each row's target among the real items `1..=V`, float, and its rank
/// `1 + #{v : p(v) > p(target)}`, int64. // [M], [M]
///
/// `states` is `[M, D]`, `embedding` `[V + 1, D]`, `targets` `[M]`. Scores `[R, V]` exist for one chunk at
/// a time only.
pub fn of_targets(states: &Tensor, embedding: &Tensor, targets: &Tensor) -> (Tensor, Tensor) {
    let real = embedding.narrow(0, 1, embedding.size()[0] - 1); // [V, D]
    let rows = chunks::rows(real.size()[0], states.device());
    if rows >= LEAST_ROWS {
        return of_targets_by(states, &real, &(targets - 1), rows);
    }
    let columns = chunks::rows(LEAST_ROWS, states.device());
    of_targets_by_tiles(states, &real, &(targets - 1), LEAST_ROWS, columns)
}

/// Rows that make a product with all items worth while: with fewer, reading the items takes longer than the arithmetic.
const LEAST_ROWS: i64 = 128;

/// The same in tiles of `rows` states and `columns` items: of a large catalogue, each item is read once, and never are
/// all scores of a state held. // [M], [M]
fn of_targets_by_tiles(states: &Tensor, items: &Tensor, targets: &Tensor, rows: i64, columns: i64) -> (Tensor, Tensor) {
    let own = (states * items.index_select(0, targets)).sum_dim_intlist(-1, true, None); // [M, 1]
    let total = own.full_like(f64::NEG_INFINITY); // [M, 1] ln Σ exp(score) so far
    let likelier = own.zeros_like(); // [M, 1]
    for (first, width) in chunks::ranges(items.size()[0], columns) {
        let tile = items.narrow(0, first, width).tr(); // [D, C]
        for (start, rows) in chunks::ranges(states.size()[0], rows) {
            let part = |whole: &Tensor| whole.narrow(0, start, rows);
            let mut scores = part(states).mm(&tile); // [R, C]
            put_own(&mut scores, &part(&own), &(part(targets).unsqueeze(-1) - first));
            let (of_tile, above) = total_and_likelier(scores, &part(&own)); // [R, 1], [R, 1]
            let mut total = part(&total); // [R, 1]
            total.copy_(&total.logaddexp(&of_tile));
            let mut likelier = part(&likelier); // [R, 1]
            likelier += above;
        }
    }
    ((own - total).squeeze_dim(-1), likelier.squeeze_dim(-1).to_kind(Kind::Int64) + 1)
}

/// Where a tile holds a row's own target: the very score that the others are compared with, whose last bit a product of
/// another shape may round otherwise. `column` `[R, 1]` may lie outside.
fn put_own(scores: &mut Tensor, own: &Tensor, column: &Tensor) {
    let width = scores.size()[1];
    let inside = column.ge(0).logical_and(&column.lt(width)); // [R, 1]
    let column = column.clamp(0, width - 1); // [R, 1]
    let value = own.where_self(&inside, &scores.gather(1, &column, false)); // [R, 1]
    let _ = scores.scatter_(1, &column, &value);
}

/// The same with `rows` rows at a time, among all columns of `items` `[V, D]`.
fn of_targets_by(states: &Tensor, items: &Tensor, targets: &Tensor, rows: i64) -> (Tensor, Tensor) {
    let mut log_probs = Vec::new();
    let mut likelier = Vec::new();
    for (start, rows) in chunks::ranges(states.size()[0], rows) {
        let scores = states.narrow(0, start, rows).mm(&items.tr()); // [R, V]
        let own = scores.gather(1, &targets.narrow(0, start, rows).unsqueeze(-1), false); // [R, 1]
        let (total, above) = total_and_likelier(scores, &own); // [R, 1], [R, 1]
        log_probs.push(own - total);
        likelier.push(above);
    }
    let log_probs = Tensor::cat(&log_probs, 0).squeeze_dim(-1); // [M]
    let ranks = Tensor::cat(&likelier, 0).squeeze_dim(-1).to_kind(Kind::Int64) + 1; // [M]
    (log_probs, ranks)
}

/// `ln Σ exp(score)` of every row, and how many of its scores are above `own`. // [R, C], [R, 1] to [R, 1], [R, 1]
fn total_and_likelier(mut scores: Tensor, own: &Tensor) -> (Tensor, Tensor) {
    if standing::serves(&scores) {
        return standing::total_and_greater(&scores, own);
    }
    let total = scores.logsumexp(-1, true);
    // In place, a comparison gives 0.0 or 1.0: a float32 counts exactly up to 2^24 items.
    (total, scores.gt_tensor_(own).sum_dim_intlist(-1, true, None))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;
    use prorl_testkit::closeness::{EXACT, VALUES, assert_close};
    use tch::Device;

    #[test]
    fn a_closed_form() {
        let states = Tensor::from_slice(&[1.0f32]).view([1, 1]);
        // Padding's score would be the largest, but it takes no part.
        let embedding = Tensor::from_slice(&[9.0f32, 0.0, 2.0f32.ln(), 5.0f32.ln()]).view([4, 1]);
        let (log_prob, rank) = of_targets(&states, &embedding, &Tensor::from_slice(&[2i64]));
        let expected = Tensor::from_slice(&[(2.0f32 / 8.0).ln()]);
        assert_close("log-probability", &log_prob, &expected, VALUES);
        assert_eq!(rank, Tensor::from_slice(&[2i64]));
    }

    #[test]
    fn tiles_of_states_and_items_give_the_same() {
        let options = (Kind::Float, Device::Cpu);
        let (states, items) = (Tensor::randn([13, 8], options), Tensor::randn([50, 8], options));
        let targets = Tensor::randint(50, [13], (Kind::Int64, Device::Cpu));
        let whole = of_targets_by(&states, &items, &targets, 13);
        for (rows, columns) in [(1, 1), (4, 7), (100, 100)] {
            let tiles = of_targets_by_tiles(&states, &items, &targets, rows, columns);
            assert_close("log-probability", &tiles.0, &whole.0, VALUES);
            assert_close("rank", &tiles.1, &whole.1, EXACT);
        }
    }

    #[test]
    fn the_chunk_does_not_matter() {
        let options = (Kind::Float, Device::Cpu);
        let (states, items) = (Tensor::randn([13, 8], options), Tensor::randn([50, 8], options));
        let targets = Tensor::randint(50, [13], (Kind::Int64, Device::Cpu));
        let whole = of_targets_by(&states, &items, &targets, 13);
        for rows in [1, 4, 100] {
            let parts = of_targets_by(&states, &items, &targets, rows);
            assert_close("log-probability", &parts.0, &whole.0, VALUES);
            assert_close("rank", &parts.1, &whole.1, EXACT);
        }
    }
}
