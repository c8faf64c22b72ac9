//! How files are read and examples are cut.

use crate::error::DataError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a folder holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Found out from the files in the folder.
    #[default]
    Auto,
    /// Published ProRL files: `X.train`, `X.val`, `X.test` and `X.item` or `X.datamaps`.
    Prorl,
    /// RecBole atomic files: `X.inter` and `X.item`.
    Atomic,
    /// MovieLens: `ratings.dat` and `movies.dat`.
    Movielens,
    /// The default generated world with this seed; the folder does not matter.
    Generated,
}

/// What becomes of a user's further interactions with an item.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// They stay.
    #[default]
    Keep,
    /// Only the first in time stays.
    First,
    /// Only the last in time stays.
    Last,
}

/// How files are read and how examples are cut from them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReadOptions {
    /// What the folder holds: `auto`, `prorl`, `atomic`, `movielens` or `generated`.
    pub format: Format,
    /// Items of a history, `H`: so many precede a run that becomes an example.
    pub history: usize,
    /// Fewest items of a coherent run that becomes an example, target included.
    pub min_run: usize,
    /// Most items of a coherent run that becomes an example, target included; longer runs give none.
    pub max_run: usize,
    /// Most intermediate items of a path, `P`: examples with a longer path are left out.
    pub path_items: usize,
    /// Shares of users for training, validation and test; they sum to 1.
    pub split: [f64; 3],
    /// Share of users held out for validation where a published data set lacks its training or validation file.
    pub held_out: f64,
    /// Seed of splits and of test targets.
    pub seed: u64,
    /// Attribute values that do not count, e.g. `Drama` for ML-1M; items lose them altogether.
    pub ignore_attributes: Vec<String>,
    /// Column of `.item` that holds the attributes; by default `genres`, `class` or `categories`, else the first
    /// `token_seq` column that is not a title.
    pub attribute_column: Option<String>,
    /// Column of `.item` that holds the title; by default one whose name has `title` or `name` in it.
    pub title_column: Option<String>,
    /// Column of `.inter` that holds the user; by default `user_id`, else the first `token` column.
    pub user_column: Option<String>,
    /// Column of `.inter` and `.item` that holds the item; by default `item_id`, else what `.item` begins with.
    pub item_column: Option<String>,
    /// Column of `.inter` that holds the time; by default `timestamp`. Without one, file order counts.
    pub time_column: Option<String>,
    /// Column of `.inter` that holds the rating; by default `rating`. Only `min_rating` needs it.
    pub rating_column: Option<String>,
    /// What separates columns of atomic files; by default found out from the header (tab, `::`, `,`, `;`, `|`).
    pub separator: Option<String>,
    /// What separates the values of a `token_seq` or `float_seq` cell.
    pub sequence_separator: String,
    /// Whether a cell of an atomic file that begins with `"` is a quoted one, as in CSV.
    pub quotes: bool,
    /// What becomes of a user's further interactions with an item: `keep`, `first` or `last`.
    pub duplicates: Duplicates,
    /// Interactions rated lower are dropped.
    pub min_rating: Option<f64>,
    /// Users with fewer interactions are dropped, in turns with items, until nothing changes (k-core).
    pub min_user_interactions: usize,
    /// Items with fewer interactions are dropped, in turns with users, until nothing changes (k-core).
    pub min_item_interactions: usize,
    /// Whether items that no interaction is left of leave the catalogue (RecBole and the published files keep them).
    pub drop_unseen_items: bool,
    /// Whether items of a published data set that its `.sem_ids` file gives no code leave the catalogue.
    pub only_coded_items: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: Format::Auto,
            history: 10,
            min_run: 2,
            max_run: 10,
            path_items: 10,
            split: [0.8, 0.1, 0.1],
            held_out: 0.1,
            seed: 0,
            ignore_attributes: Vec::new(),
            attribute_column: None,
            title_column: None,
            user_column: None,
            item_column: None,
            time_column: None,
            rating_column: None,
            separator: None,
            sequence_separator: " ".into(),
            quotes: true,
            duplicates: Duplicates::Keep,
            min_rating: None,
            min_user_interactions: 0,
            min_item_interactions: 0,
            drop_unseen_items: false,
            only_coded_items: true,
        }
    }
}

impl ReadOptions {
    /// Checks that the options make sense together.
    ///
    /// # Errors
    /// A length, share or separator is out of range.
    pub fn check(&self) -> Result<(), DataError> {
        if self.history == 0 {
            return Err(DataError::option("history", "is 0, but a prompt needs at least one item of history"));
        }
        if self.path_items == 0 {
            return Err(DataError::option("path_items", "is 0, but a path needs at least one item"));
        }
        if self.min_run < 2 || self.max_run < self.min_run {
            let (min, max) = (self.min_run, self.max_run);
            let problem = format!("runs of {min} to {max} items make no examples; 2 <= min_run <= max_run should hold");
            return Err(DataError::option("min_run", problem));
        }
        let sum: f64 = self.split.iter().sum();
        if self.split.iter().any(|&share| !(0.0..=1.0).contains(&share)) || (sum - 1.0).abs() > 1e-6 {
            let problem = format!("{:?} sums to {sum}; three shares of users that sum to 1 are needed", self.split);
            return Err(DataError::option("split", problem));
        }
        if !(0.0..1.0).contains(&self.held_out) {
            return Err(DataError::option("held_out", format!("is {}, but should lie in [0, 1)", self.held_out)));
        }
        if self.separator.as_deref().is_some_and(|it| it.is_empty() || it.contains(['\n', '\r', '"'])) {
            return Err(DataError::option(
                "separator",
                "should be a short text without line ends and quotes, e.g. `,`",
            ));
        }
        if self.sequence_separator.is_empty() {
            return Err(DataError::option("sequence_separator", "is empty, but should be e.g. a space or `|`"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn defaults_make_sense_and_survive_serde() {
        let options = ReadOptions::default();
        options.check().unwrap();
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<ReadOptions>(&text).unwrap(), options);
        assert!(serde_json::from_str::<ReadOptions>(r#"{"histroy": 5}"#).is_err());
        assert_eq!(serde_json::from_str::<ReadOptions>(r#"{"format": "atomic"}"#).unwrap().format, Format::Atomic);
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let refused = |options: ReadOptions, name: &str| {
            let message = options.check().unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        };
        refused(ReadOptions { history: 0, ..Default::default() }, "history");
        refused(ReadOptions { min_run: 1, ..Default::default() }, "min_run");
        refused(ReadOptions { split: [0.5, 0.1, 0.1], ..Default::default() }, "split");
        refused(ReadOptions { held_out: 1.0, ..Default::default() }, "held_out");
        refused(ReadOptions { separator: Some(String::new()), ..Default::default() }, "separator");
    }
}
