//! RecBole atomic files: `.inter`, `.item`, `.user`.

mod columns;
mod header;
mod inter;
mod item;
mod table;

use crate::assembly::{Parts, assemble};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::read::folder::{Folder, stem};
use crate::read::reading::Reading;
pub(crate) use item::read_items;
use std::path::Path;
use table::Table;

/// Reads a folder of atomic files.
///
/// # Errors
/// `.inter` or `.item` is missing, or a file is malformed.
pub(crate) fn open(folder: &Folder, options: &ReadOptions) -> Result<Dataset, DataError> {
    let mut reading = Reading::new("RecBole atomic files", options);
    let inter = folder.required("inter", "the interactions")?;
    let items = folder.required("item", "the items' attributes, without which nothing is coherent")?;
    let (catalogue, item_column) = read_items(&mut reading, items)?;
    let interactions = inter::read_interactions(&mut reading, inter, &catalogue, &item_column)?;
    if let Some(users) = folder.one("user")? {
        check_users(&mut reading, users)?;
    }
    let (semantic_ids, embeddings) = reading.item_features(folder)?;
    let (report, hash) = reading.finish();
    Ok(assemble(Parts { name: stem(inter), catalogue, interactions, report, hash, semantic_ids, embeddings }, options))
}

/// Users' features serve no model yet; the file is checked all the same.
fn check_users(reading: &mut Reading<'_>, path: &Path) -> Result<(), DataError> {
    let text = reading.text(path)?;
    let mut table = Table::open(path, &text, reading.options)?;
    while table.next_row()? {}
    reading.records(table.rows_read());
    Ok(())
}

#[cfg(test)]
mod tests;
