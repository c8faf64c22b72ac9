//! What is learnt from.

use prorl_data::{ReadOptions, WorldOptions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The data and how examples are cut from it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DataSettings {
    /// Folder of the data set; `generated` is a small world that the host makes up.
    pub path: String,
    /// Items of a prompt's history, `H`.
    #[schemars(range(min = 1))]
    pub history: i64,
    /// Most intermediate items of a path, `P`.
    #[schemars(range(min = 1))]
    pub path_items: i64,
    /// How files are read.
    pub options: ReadOptions,
    /// The generated world.
    pub world: WorldOptions,
}

impl Default for DataSettings {
    fn default() -> Self {
        Self {
            path: "generated".into(),
            history: 10,
            path_items: 10,
            options: ReadOptions::default(),
            world: WorldOptions::default(),
        }
    }
}

impl DataSettings {
    /// How files are read, with the sizes of prompts and paths.
    pub fn read_options(&self) -> ReadOptions {
        ReadOptions { history: self.history as usize, path_items: self.path_items as usize, ..self.options.clone() }
    }
}
