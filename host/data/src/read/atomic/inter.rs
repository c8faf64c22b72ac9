//! `.inter`: who did what when.

use super::columns::{chosen, first_of, missing};
use super::header::ColumnType;
use super::table::Table;
use crate::catalogue::Catalogue;
use crate::error::DataError;
use crate::interactions::Interactions;
use crate::read::reading::Reading;
use std::path::Path;

/// Reads the interactions with items of the catalogue. `item_column` is what `.item` calls the item's id.
///
/// # Errors
/// The file is malformed, or no column holds users, items or, with `min_rating`, ratings.
pub(super) fn read_interactions(
    reading: &mut Reading<'_>,
    path: &Path,
    catalogue: &Catalogue,
    item_column: &str,
) -> Result<Interactions, DataError> {
    let text = reading.text(path)?;
    let mut table = Table::open(path, &text, reading.options)?;
    let columns = Columns::of(&table, reading, item_column)?;
    let lowest = reading.options.min_rating.unwrap_or(f64::NEG_INFINITY);
    let mut interactions = Interactions::default();
    let (mut nameless, mut unknown, mut low) = (0, 0, 0);
    while table.next_row()? {
        let (user, item) = (table.text(columns.user), table.text(columns.item));
        if user.is_empty() || item.is_empty() {
            nameless += 1;
            continue;
        }
        let time = columns.time.map_or(Ok(0.0), |time| table.number(time))?;
        let rating = columns.rating.map_or(Ok(f64::INFINITY), |rating| table.number(rating))?;
        match catalogue.id_of(item) {
            None => unknown += 1,
            Some(_) if rating < lowest => low += 1,
            Some(item) => interactions.push(user, item, time),
        }
    }
    reading.records(table.rows_read());
    let report = &mut reading.report;
    report.drop_counted("interactions", "no user or no item", nameless);
    report.drop_counted("interactions", "the item has no row in .item", unknown);
    report.drop_counted("interactions", "rated lower than min_rating", low);
    if columns.time.is_none() {
        report.note("there is no time column, so users' sequences are in file order");
    }
    Ok(interactions)
}

struct Columns {
    user: usize,
    item: usize,
    time: Option<usize>,
    rating: Option<usize>,
}

impl Columns {
    fn of(table: &Table<'_>, reading: &Reading<'_>, item_column: &str) -> Result<Self, DataError> {
        let (options, header) = (reading.options, table.header());
        let item = chosen(table, "item_column", options.item_column.as_deref(), &[item_column, "item_id"])?;
        let taken: Vec<usize> = item.into_iter().collect();
        let user = chosen(table, "user_column", options.user_column.as_deref(), &["user_id"])?
            .or_else(|| first_of(header, ColumnType::Token, &taken));
        let user = user.ok_or_else(|| missing(table, "the user", "user_column"))?;
        let item = item.or_else(|| first_of(header, ColumnType::Token, &[user]));
        let item = item.ok_or_else(|| missing(table, "the item", "item_column"))?;
        let time = chosen(table, "time_column", options.time_column.as_deref(), &["timestamp"])?;
        let mut rating = None;
        if options.min_rating.is_some() {
            rating = chosen(table, "rating_column", options.rating_column.as_deref(), &["rating"])?;
            if rating.is_none() {
                return Err(missing(table, "the rating that `min_rating` needs", "rating_column"));
            }
        }
        Ok(Self { user, item, time, rating })
    }
}
