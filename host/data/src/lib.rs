//! Data sets of proactive recommendation: read from files or generated, cut into examples, described.
//!
//! [`Dataset::open`] finds out what a folder holds — published ProRL files, RecBole atomic files, MovieLens
//! `.dat` files — and returns the one form that everything downstream uses. [`World::generate`] makes up a
//! small world whose true user model is known. The crate knows nothing of tensors.
//!
//! ```
//! use prorl_data::{ReadOptions, World, WorldOptions};
//!
//! # fn main() -> Result<(), prorl_data::DataError> {
//! let small = WorldOptions { users: 50, items: 70, ..WorldOptions::default() };
//! let dataset = World::generate(&small)?.dataset(&ReadOptions::default())?;
//! assert_eq!(dataset.catalogue.len(), 70);
//! let example = &dataset.train[0];
//! assert_eq!(example.history.len(), 10);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

pub mod assembly;
pub mod catalogue;
pub mod coherent;
pub mod dataset;
pub mod error;
pub mod hash;
pub mod interactions;
pub mod options;
pub mod report;
pub mod sequences;
pub mod split;
pub mod statistics;
pub mod world;

mod description;
mod read;

pub use catalogue::{Catalogue, CatalogueBuilder};
pub use dataset::{Dataset, Example};
pub use error::DataError;
pub use options::{Duplicates, Format, ReadOptions};
pub use report::ReadReport;
pub use sequences::Sequences;
pub use statistics::{SplitStats, Stats};
pub use world::{World, WorldOptions};
