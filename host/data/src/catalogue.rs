//! The items: ids, titles, attributes.

use std::collections::HashMap;

/// All items. Item ids count from 1; id 0 is padding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Catalogue {
    raw_ids: Vec<String>,
    titles: Vec<String>,
    attribute_names: Vec<String>,
    attribute_offsets: Vec<u32>,
    attribute_values: Vec<u32>,
    ids: HashMap<String, u32>,
}

impl Catalogue {
    /// Number of items, padding not counted.
    pub fn len(&self) -> usize {
        self.raw_ids.len().saturating_sub(1)
    }

    /// Whether there is no item.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Ids as the files have them; `raw_ids()[0]` is padding's empty text. `V + 1` texts.
    pub fn raw_ids(&self) -> &[String] {
        &self.raw_ids
    }

    /// Titles, empty where the files give none. `V + 1` texts.
    pub fn titles(&self) -> &[String] {
        &self.titles
    }

    /// Names of the attributes; an attribute's id is its index here.
    pub fn attribute_names(&self) -> &[String] {
        &self.attribute_names
    }

    /// Attributes of item `v` are `attribute_values()[attribute_offsets()[v]..attribute_offsets()[v + 1]]`. `V + 2`
    /// numbers.
    pub fn attribute_offsets(&self) -> &[u32] {
        &self.attribute_offsets
    }

    /// Attribute ids of all items, ascending within an item.
    pub fn attribute_values(&self) -> &[u32] {
        &self.attribute_values
    }

    /// Attribute ids of an item, ascending; none for padding and for an id beyond the catalogue.
    pub fn attributes(&self, item: u32) -> &[u32] {
        let item = item as usize;
        match (self.attribute_offsets.get(item), self.attribute_offsets.get(item + 1)) {
            (Some(&from), Some(&to)) => &self.attribute_values[from as usize..to as usize],
            _ => &[],
        }
    }

    /// Whether two items are coherent: whether they have an attribute in common.
    pub fn share_attribute(&self, a: u32, b: u32) -> bool {
        let (mut left, mut right) = (self.attributes(a), self.attributes(b));
        while let (Some(&x), Some(&y)) = (left.first(), right.first()) {
            match x.cmp(&y) {
                std::cmp::Ordering::Equal => return true,
                std::cmp::Ordering::Less => left = &left[1..],
                std::cmp::Ordering::Greater => right = &right[1..],
            }
        }
        false
    }

    /// The id of an item named `raw` in the files.
    pub fn id_of(&self, raw: &str) -> Option<u32> {
        self.ids.get(raw).copied()
    }

    /// The items for which `keep` holds, and the new id of every old one (0 where it left). Attribute ids stay.
    pub fn filtered(&self, keep: impl Fn(u32) -> bool) -> (Self, Vec<u32>) {
        let mut builder = CatalogueBuilder::new(&[]);
        builder.names_from(&self.attribute_names);
        let mut renumbered = vec![0; self.raw_ids.len()];
        for item in 1..self.raw_ids.len() as u32 {
            if keep(item) {
                let names = self.attributes(item).iter().map(|&attribute| &*self.attribute_names[attribute as usize]);
                let index = item as usize;
                builder.add(&self.raw_ids[index], &self.titles[index], names);
                renumbered[index] = builder.len() as u32;
            }
        }
        (builder.finish(), renumbered)
    }
}

/// Collects items one by one; ids follow the order of adding, attribute ids the order of first appearance.
#[derive(Debug)]
pub struct CatalogueBuilder {
    catalogue: Catalogue,
    attribute_ids: HashMap<String, u32>,
    ignored: Vec<String>,
    ignored_values: usize,
}

impl CatalogueBuilder {
    /// An empty catalogue whose items lose the attributes named in `ignored`.
    pub fn new(ignored: &[String]) -> Self {
        let catalogue = Catalogue {
            raw_ids: vec![String::new()],
            titles: vec![String::new()],
            attribute_offsets: vec![0, 0],
            ..Catalogue::default()
        };
        Self { catalogue, attribute_ids: HashMap::new(), ignored: ignored.to_vec(), ignored_values: 0 }
    }

    /// Adds an item; returns false, and changes nothing, if its id is there already or empty.
    pub fn add<'a>(&mut self, raw_id: &str, title: &str, attributes: impl IntoIterator<Item = &'a str>) -> bool {
        if raw_id.is_empty() || self.catalogue.ids.contains_key(raw_id) {
            return false;
        }
        let mut values: Vec<u32> = Vec::new();
        for name in attributes {
            if self.ignored.iter().any(|ignored| ignored == name) {
                self.ignored_values += 1;
            } else {
                values.push(self.attribute(name));
            }
        }
        values.sort_unstable();
        values.dedup();
        let catalogue = &mut self.catalogue;
        catalogue.ids.insert(raw_id.to_owned(), catalogue.raw_ids.len() as u32);
        catalogue.raw_ids.push(raw_id.to_owned());
        catalogue.titles.push(title.to_owned());
        catalogue.attribute_values.extend(values);
        catalogue.attribute_offsets.push(catalogue.attribute_values.len() as u32);
        true
    }

    /// Number of items added.
    pub fn len(&self) -> usize {
        self.catalogue.len()
    }

    /// Whether no item was added.
    pub fn is_empty(&self) -> bool {
        self.catalogue.is_empty()
    }

    /// How often an ignored attribute was left out.
    pub fn ignored_values(&self) -> usize {
        self.ignored_values
    }

    /// The catalogue.
    pub fn finish(self) -> Catalogue {
        self.catalogue
    }

    fn names_from(&mut self, names: &[String]) {
        for name in names {
            self.attribute(name);
        }
    }

    fn attribute(&mut self, name: &str) -> u32 {
        if let Some(&id) = self.attribute_ids.get(name) {
            return id;
        }
        let id = self.catalogue.attribute_names.len() as u32;
        self.catalogue.attribute_names.push(name.to_owned());
        self.attribute_ids.insert(name.to_owned(), id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_films() -> CatalogueBuilder {
        let mut builder = CatalogueBuilder::new(&["Drama".into()]);
        assert!(builder.add("7", "Heat", ["Crime", "Action", "Crime"]));
        assert!(builder.add("3", "", ["Drama"]));
        assert!(!builder.add("7", "again", ["War"]));
        assert!(builder.add("9", "Ran", ["War", "Action"]));
        builder
    }

    #[test]
    fn ids_follow_the_order_of_adding_and_zero_is_padding() {
        let builder = three_films();
        assert_eq!(builder.ignored_values(), 1);
        let films = builder.finish();
        assert_eq!(films.raw_ids(), ["", "7", "3", "9"]);
        assert_eq!(films.attribute_names(), ["Crime", "Action", "War"]);
        assert_eq!((films.len(), films.id_of("9"), films.id_of("4")), (3, Some(3), None));
        assert_eq!(films.attribute_offsets(), [0, 0, 2, 2, 4]);
        assert_eq!(films.attributes(3), [1, 2]);
        assert_eq!(films.attributes(99), [0u32; 0]);
    }

    #[test]
    fn coherent_items_share_an_attribute() {
        let films = three_films().finish();
        assert!(films.share_attribute(1, 3));
        assert!(!films.share_attribute(1, 2) && !films.share_attribute(2, 2) && !films.share_attribute(0, 1));
    }

    #[test]
    fn filtering_renumbers_items_and_keeps_attributes() {
        let (kept, renumbered) = three_films().finish().filtered(|item| item != 1);
        assert_eq!(renumbered, [0, 0, 1, 2]);
        assert_eq!(kept.raw_ids(), ["", "3", "9"]);
        assert_eq!(kept.attribute_names().len(), 3);
        assert_eq!(kept.attributes(2), [1, 2]);
    }
}
