//! States after prefixes, whatever the sequence's length and the batch's size.

use crate::chunks;
use crate::encoder::SequenceEncoder;
use crate::sequences::{last_positions, lengths, trim};
use tch::{Device, Kind, Tensor};

/// Floats that one item needs within a pass, roughly, as a multiple of `D`.
const PASS_WIDTH: i64 = 8;

/// The state after every prefix of `items` `[N, T]`, as the model reads its last `window` items; without
/// dropout. // [N, T, D]
pub fn states<E: SequenceEncoder>(encoder: &E, items: &Tensor) -> Tensor {
    let width = items.size()[1];
    let window = encoder.window().unwrap_or(width).min(width);
    let mut columns = vec![pass(encoder, &items.narrow(1, 0, window))]; // [N, window, D]
    for end in window..width {
        let read = items.narrow(1, end + 1 - window, window); // [N, window]
        columns.push(pass(encoder, &read).narrow(1, window - 1, 1)); // [N, 1, D]
    }
    Tensor::cat(&columns, 1)
}

fn pass<E: SequenceEncoder>(encoder: &E, items: &Tensor) -> Tensor {
    let rows = pass_rows(encoder, items.size()[1], items.device());
    chunks::map(items, rows, |items| encoder.states(items, false))
}

/// The states after every prefix of `histories` `[B, H]`, and after those that `paths` `[B, G, P]` go on with; without
/// dropout. `None` unless the encoder reads a history once for all its paths, and its window holds both.
// [B, H, D], [B, G, P, D]
pub(crate) fn states_of_branches<E: SequenceEncoder>(
    encoder: &E,
    histories: &Tensor,
    paths: &Tensor,
) -> Option<[Tensor; 2]> {
    let (history, size) = (histories.size()[1], paths.size());
    if encoder.window().is_some_and(|window| history + size[2] > window) {
        return None;
    }
    let rows = pass_rows(encoder, history + size[1] * size[2], paths.device());
    let parts = chunks::ranges(size[0], rows).map(|(start, count)| {
        encoder.states_of_branches(&histories.narrow(0, start, count), &paths.narrow(0, start, count))
    });
    let parts: Vec<[Tensor; 2]> = parts.collect::<Option<_>>()?;
    let joined = |which: usize| Tensor::cat(&parts.iter().map(|part| &part[which]).collect::<Vec<_>>(), 0);
    Some([joined(0), joined(1)])
}

/// How many rows of `width` items are read at once.
pub(crate) fn pass_rows<E: SequenceEncoder>(encoder: &E, width: i64, device: Device) -> i64 {
    chunks::rows(width * encoder.item_embedding().size()[1] * PASS_WIDTH, device)
}

/// The state after each whole sequence of `items` `[N, T]`; zero where there is no item. // [N, D]
pub fn last_states<E: SequenceEncoder>(encoder: &E, items: &Tensor) -> Tensor {
    let items = &trim(items); // [N, T]
    let window = encoder.window().unwrap_or(items.size()[1]);
    let items = &items.gather(1, &last_positions(items, window), false); // [N, window]
    let states = pass(encoder, items); // [N, window, D]
    let length = lengths(items); // [N]
    let at = (&length - 1).clamp_min(0).view([-1, 1, 1]); // [N, 1, 1]
    let at = at.expand([-1, 1, states.size()[2]], false); // [N, 1, D]
    states.gather(1, &at, false).squeeze_dim(1) * length.gt(0).unsqueeze(-1).to_kind(Kind::Float)
}
