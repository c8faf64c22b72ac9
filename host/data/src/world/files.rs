//! A world as RecBole atomic files.

use super::{World, user_name};
use crate::error::DataError;
use std::fmt::Write as _;
use std::path::Path;

/// Writes `generated.inter` and `generated.item`.
pub(super) fn write(world: &World, folder: &Path) -> Result<(), DataError> {
    std::fs::create_dir_all(folder).map_err(DataError::io("make the folder", folder))?;
    let mut items = String::from("item_id:token\ttitle:token\tgenres:token_seq\n");
    for item in &world.items {
        // Writing to a String cannot fail.
        let _ = writeln!(items, "{}\t{}\t{}", item.raw_id, item.title, item.genres.join(" "));
    }
    let mut clicks = String::from("user_id:token\titem_id:token\ttimestamp:float\n");
    for click in &world.clicks {
        let _ = writeln!(clicks, "{}\t{}\t{}", user_name(click.user), world.items[click.item].raw_id, click.time);
    }
    for (name, text) in [("generated.item", items), ("generated.inter", clicks)] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(DataError::io("write", &path))?;
    }
    Ok(())
}
