//! `.item`: the catalogue.

use super::columns::{chosen, first_of, missing};
use super::header::{ColumnType, Header};
use super::table::Table;
use crate::catalogue::{Catalogue, CatalogueBuilder};
use crate::error::DataError;
use crate::read::attribute_text;
use crate::read::reading::Reading;
use std::path::Path;

/// Reads the items in file order; returns with them the name of the id column.
///
/// # Errors
/// The file is malformed, or no column holds ids or attributes.
pub(crate) fn read_items(reading: &mut Reading<'_>, path: &Path) -> Result<(Catalogue, String), DataError> {
    let text = reading.text(path)?;
    let mut table = Table::open(path, &text, reading.options)?;
    let columns = Columns::of(&table, reading)?;
    let separator = &reading.options.sequence_separator;
    let mut builder = CatalogueBuilder::new(&reading.options.ignore_attributes);
    let mut repeated = 0;
    while table.next_row()? {
        let title = columns.title.map_or("", |title| table.text(title));
        let attributes = match columns.is_sequence {
            true => attribute_text::values(table.text(columns.attributes), separator),
            false => vec![table.text(columns.attributes).to_owned()],
        };
        let attributes = attributes.iter().map(String::as_str).filter(|name| !name.is_empty());
        repeated += usize::from(!builder.add(table.text(columns.id), title, attributes));
    }
    reading.records(table.rows_read());
    reading.report.drop_counted("items", "empty or repeated id; the first row counts", repeated);
    reading.report.drop_counted("attribute values", "ignore_attributes", builder.ignored_values());
    let name = |index: usize| table.header().columns.get(index).map_or("", |column| &column.name).to_owned();
    reading.report.note(format!("attributes are those of column `{}`", name(columns.attributes)));
    Ok((builder.finish(), name(columns.id)))
}

struct Columns {
    id: usize,
    title: Option<usize>,
    attributes: usize,
    is_sequence: bool,
}

impl Columns {
    fn of(table: &Table<'_>, reading: &Reading<'_>) -> Result<Self, DataError> {
        let (options, header) = (reading.options, table.header());
        // `item_column` may name the column of `.inter` alone.
        let named = options.item_column.as_deref().filter(|name| header.index_of(name).is_some());
        let id =
            chosen(table, "item_column", named, &["item_id"])?.or_else(|| first_of(header, ColumnType::Token, &[]));
        let id = id.ok_or_else(|| missing(table, "the item's id", "item_column"))?;
        let title = chosen(table, "title_column", options.title_column.as_deref(), &[])?
            .or_else(|| (0..header.columns.len()).find(|&index| index != id && is_title(header, index)));
        let usual = ["genres", "class", "categories"];
        let attributes = chosen(table, "attribute_column", options.attribute_column.as_deref(), &usual)?
            .or_else(|| first_attributes(header, id, title));
        let attributes = attributes.ok_or_else(|| missing(table, "the items' attributes", "attribute_column"))?;
        let kind = header.columns.get(attributes).map(|column| column.kind);
        if matches!(kind, Some(ColumnType::Float | ColumnType::FloatSeq)) {
            let problem = "`attribute_column` names a column of numbers; attributes are of type token or token_seq";
            return Err(table.header_error(problem));
        }
        Ok(Self { id, title, attributes, is_sequence: kind == Some(ColumnType::TokenSeq) })
    }
}

fn is_title(header: &Header, index: usize) -> bool {
    let column = &header.columns[index];
    let name = column.name.to_lowercase();
    matches!(column.kind, ColumnType::Token | ColumnType::TokenSeq) && (name.contains("title") || name.contains("name"))
}

fn first_attributes(header: &Header, id: usize, title: Option<usize>) -> Option<usize> {
    let titles = (0..header.columns.len()).filter(|&index| is_title(header, index));
    let taken: Vec<usize> = titles.chain([id]).chain(title).collect();
    first_of(header, ColumnType::TokenSeq, &taken)
}
