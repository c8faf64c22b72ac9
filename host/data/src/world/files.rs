//! A world as RecBole atomic files, and how it was made.

use super::{World, WorldOptions, user_name};
use crate::error::DataError;
use std::fmt::Write as _;
use std::path::Path;

/// How the world was made, so that the same can be made again: its users are known nowhere else.
const OPTIONS: &str = "generated.world.json";

/// The options that `write` left in a folder.
pub(super) fn options(folder: &Path) -> Result<Option<WorldOptions>, DataError> {
    let path = folder.join(OPTIONS);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).map_err(DataError::io("read", &path))?;
    serde_json::from_str(&text).map(Some).map_err(|error| DataError::folder(&path, error.to_string()))
}

/// Writes `generated.inter`, `generated.item` and the options.
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
    // Options hold numbers and nothing that JSON could not.
    let options = serde_json::to_string_pretty(&world.options).unwrap_or_default();
    for (name, text) in [("generated.item", items), ("generated.inter", clicks), (OPTIONS, options)] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(DataError::io("write", &path))?;
    }
    Ok(())
}
