//! `X.datamaps`: maps between raw ids, numbers, attributes and titles.

use super::json;
use crate::catalogue::{Catalogue, CatalogueBuilder};
use crate::error::DataError;
use crate::read::reading::Reading;
use crate::report::ReadReport;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::HashMap;
use std::path::Path;

/// The maps that serve us; all others are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Datamaps {
    user2id: HashMap<String, IgnoredAny>,
    item2id: HashMap<String, u64>,
    id2attribute: HashMap<String, String>,
    itemid2title: HashMap<String, String>,
    raw_item_id2attribute: HashMap<String, Vec<u64>>,
}

impl Datamaps {
    /// Reads the file.
    ///
    /// # Errors
    /// It cannot be read, or is not of the form.
    pub(super) fn read(reading: &mut Reading<'_>, path: &Path) -> Result<Self, DataError> {
        let text = reading.text(path)?;
        let maps: Self = json::parse(path, &text)?;
        reading.records(maps.item2id.len());
        Ok(maps)
    }

    /// Users of the data set that the files were cut from.
    pub(super) fn users(&self) -> usize {
        self.user2id.len()
    }

    /// The items in order of their numbers.
    pub(super) fn catalogue(&self, report: &mut ReadReport, ignored: &[String]) -> Catalogue {
        let mut items: Vec<(u64, &str)> = self.item2id.iter().map(|(raw, &number)| (number, raw.as_str())).collect();
        items.sort_unstable();
        let mut builder = CatalogueBuilder::new(ignored);
        for (number, raw) in items {
            let title = self.itemid2title.get(&number.to_string()).map_or("", String::as_str);
            let numbers = self.raw_item_id2attribute.get(raw).map_or(&[][..], Vec::as_slice);
            let names = numbers.iter().filter_map(|number| self.id2attribute.get(&number.to_string()));
            builder.add(raw, title, names.map(String::as_str));
        }
        report.drop_counted("attribute values", "ignore_attributes", builder.ignored_values());
        builder.finish()
    }
}
