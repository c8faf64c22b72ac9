//! The last digit: tells apart items whose codes on all levels are the same.

use crate::residual::Quantised;
use prorl_sdk::prelude::*;
use std::collections::HashMap;

/// Codes of which no two are the same.
#[derive(Debug)]
pub(crate) struct Unique {
    /// Digits of every item, the last counting 1, 2, … within a collision.
    pub(crate) codes: Vec<Vec<i64>>,
    /// Items that share the codes of all levels with another.
    pub(crate) collisions: usize,
    /// Items of the largest such group.
    pub(crate) largest: usize,
    /// Items for which the last digit had no room and which took the next best code of the last level.
    pub(crate) moved: usize,
}

/// Appends a digit to every item's codes.
///
/// Within a collision the items count 1, 2, … in catalogue order. Where more than `codebook_size − 1` items
/// collide, the later ones move to the nearest entry of the last level that has room.
///
/// # Errors
/// A whole last level has no room.
pub(crate) fn append(quantised: &Quantised, codebook_size: i64, raw_ids: &[String]) -> Result<Unique> {
    let mut codes: Vec<Vec<i64>> = (0..raw_ids.len()).map(|item| quantised.prefix(item)).collect();
    let mut sizes: HashMap<Vec<i64>, i64> = HashMap::new();
    let mut surplus = Vec::new();
    for (item, code) in codes.iter_mut().enumerate() {
        let size = sizes.entry(code.clone()).or_default();
        *size += 1;
        if *size < codebook_size {
            code.push(*size);
        } else {
            surplus.push(item);
        }
    }
    let collisions = sizes.values().filter(|&&size| size > 1).sum::<i64>() as usize;
    let largest = sizes.values().max().map_or(0, |&size| size as usize);
    for &item in &surplus {
        let room = quantised.alternatives(item, codebook_size)?.into_iter().find_map(|last| {
            let mut prefix = codes[item].clone();
            *prefix.last_mut()? = last;
            let size = sizes.entry(prefix.clone()).or_default();
            *size += 1;
            (*size < codebook_size).then(|| [prefix, vec![*size]].concat())
        });
        codes[item] = room.ok_or_else(|| no_room(&codes[item], codebook_size, &raw_ids[item]))?;
    }
    Ok(Unique { codes, collisions, largest, moved: surplus.len() })
}

fn no_room(prefix: &[i64], codebook_size: i64, id: &str) -> Error {
    let shared = &prefix[..prefix.len() - 1];
    let room = codebook_size * (codebook_size - 1);
    Error::Input(format!(
        "item `{id}` gets no code of its own: more than {room} items begin with the codes {shared:?}, which is all that a last level and a last digit of `codebook_size` {codebook_size} tell apart; raise `codebook_size` or `levels`, or set `embeddings` to a matrix in which these items differ"
    ))
}
