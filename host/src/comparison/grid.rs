//! What is compared: variants under equal conditions, each with every seed.

use super::results::{IMITATION, STARTS};
use crate::settings::{self, Assignment, KnownComponents, Settings, Sources};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A grid file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grid {
    /// Heading of the tables.
    pub title: String,
    /// Preset under all cells; that of the command line goes before.
    pub preset: Option<String>,
    /// Seeds of every variant.
    pub seeds: Vec<u64>,
    /// What a seed decides.
    pub seeds_decide: SeedsDecide,
    /// Settings of all cells, as `key=value`.
    pub set: Vec<String>,
    /// The row against which all others are tested: a variant's name, or `imitation`.
    pub reference: Option<String>,
    /// Further figures for the main table and the tests, by key, e.g. `sasrec/success@10` or `gini`.
    pub figures: Vec<String>,
    /// What is compared.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
}

/// What differs between the seeds of a variant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeedsDecide {
    /// The whole run, from codes to evaluation.
    #[default]
    Run,
    /// The RL stage alone: all cells share codes, reward models and imitation, and differences between seeds are those of
    /// the estimator.
    Rl,
}

impl SeedsDecide {
    fn key(self) -> &'static str {
        match self {
            Self::Run => "seed",
            Self::Rl => "rl.seed_offset",
        }
    }
}

/// One row of the tables.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Its name in the tables.
    pub name: String,
    /// Its own settings, as `key=value`.
    #[serde(default)]
    pub set: Vec<String>,
}

/// A variant with a seed: one run.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Name of the variant.
    pub variant: String,
    /// The run's seed.
    pub seed: u64,
    /// All settings of the run, as TOML.
    pub settings_text: String,
    /// The same, typed.
    pub settings: Settings,
}

impl Grid {
    /// From a TOML file.
    ///
    /// # Errors
    /// The file cannot be read, or a key is unknown; the message names file and line.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("reading the grid {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("in the grid {}", path.display()))
    }

    /// Adds a variant for every algorithm of a list.
    pub fn add_algorithms(&mut self, names: &[String]) {
        for name in names {
            self.variants.push(Variant { name: name.clone(), set: vec![format!("algo.name={name}")] });
        }
    }

    /// Checks what no setting can check.
    ///
    /// # Errors
    /// There is nothing to compare, a name is used twice, or the reference is no row.
    pub fn check(&self) -> Result<()> {
        if self.variants.is_empty() || self.seeds.is_empty() {
            bail!(
                "there is nothing to compare: name algorithms (--algos prorl,reinforce) or a grid file (--grid FILE), and seeds"
            );
        }
        for (index, variant) in self.variants.iter().enumerate() {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
            let taken = variant.name == IMITATION || variant.name.starts_with(STARTS);
            if variant.name.is_empty() || taken || !variant.name.chars().all(plain) {
                bail!(
                    "`{}` cannot name a variant: take letters, digits, `-`, `_` and `.`, and not `imitation`",
                    variant.name
                );
            }
            if self.variants[..index].iter().any(|other| other.name == variant.name) {
                bail!("two variants are called `{}`", variant.name);
            }
        }
        let reference = self.reference();
        if reference != "imitation" && !self.variants.iter().any(|variant| variant.name == reference) {
            bail!("the reference `{reference}` is neither a variant nor `imitation`");
        }
        Ok(())
    }

    /// The row against which all others are tested.
    pub fn reference(&self) -> &str {
        self.reference.as_deref().unwrap_or("imitation")
    }

    /// All cells with their settings, seed by seed, so that shared stages of a seed are made by its first cell.
    ///
    /// # Errors
    /// A setting is wrong; nothing has run yet.
    pub fn cells(&self, sources: &Sources, known: &dyn KnownComponents) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        for &seed in &self.seeds {
            for variant in &self.variants {
                let cell = self.cell(variant, seed, sources, known);
                cells.push(cell.with_context(|| format!("variant `{}`", variant.name))?);
            }
        }
        Ok(cells)
    }

    fn cell(&self, variant: &Variant, seed: u64, sources: &Sources, known: &dyn KnownComponents) -> Result<Cell> {
        let mut sources = sources.clone();
        sources.preset = sources.preset.or_else(|| self.preset.clone());
        // Layers of their own, so that a variant's component is not given what the grid sets for another.
        for own in [&self.set, &variant.set] {
            sources.grid.push(own.iter().map(|text| text.parse()).collect::<Result<_, _>>()?);
        }
        sources.assignments.push(Assignment::flag("seed of the grid", self.seeds_decide.key(), seed));
        let resolved = settings::resolve(&sources, known)?;
        let settings_text = resolved.to_toml()?;
        Ok(Cell { variant: variant.name.clone(), seed, settings_text, settings: resolved.settings })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn grid(text: &str) -> Grid {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn grids_that_compare_nothing_are_refused() {
        let error = |text: &str| grid(text).check().unwrap_err().to_string();
        assert!(error("seeds = [1]").contains("nothing to compare"));
        assert!(error("seeds = [1]\n[[variant]]\nname = \"a\"\n[[variant]]\nname = \"a\"").contains("two variants"));
        assert!(error("seeds = [1]\nreference = \"b\"\n[[variant]]\nname = \"a\"").contains("`b` is neither"));
        assert!(error("seeds = [1]\n[[variant]]\nname = \"../a\"").contains("cannot name a variant"));
    }

    #[test]
    fn an_unknown_key_is_an_error() {
        assert!(toml::from_str::<Grid>("sed = [1]").unwrap_err().to_string().contains("sed"));
    }
}
