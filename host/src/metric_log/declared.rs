//! The metrics that are known by name.

use super::{MetricDeclaration, MetricError, Result};
use std::collections::BTreeMap;

/// Two names less alike than this are not taken for a slip of the pen.
const ALIKE: f64 = 0.7;

/// Declarations by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Declared {
    by_name: BTreeMap<String, MetricDeclaration>,
}

impl Declared {
    /// Adds declarations; one that is already there may come again.
    ///
    /// # Errors
    /// If a name is known with another meaning.
    pub fn add(&mut self, metrics: &[MetricDeclaration]) -> Result<()> {
        for metric in metrics {
            match self.by_name.get(&metric.name) {
                Some(known) if known != metric => {
                    return Err(MetricError::Conflict(metric.name.clone()));
                }
                _ => self.by_name.insert(metric.name.clone(), metric.clone()),
            };
        }
        Ok(())
    }

    /// The declaration of `name`.
    ///
    /// # Errors
    /// If there is none, with the most similar name there is.
    pub fn find(&self, name: &str) -> Result<&MetricDeclaration> {
        let undeclared = || MetricError::Undeclared { name: name.to_owned(), nearest: self.nearest(name) };
        self.by_name.get(name).ok_or_else(undeclared)
    }

    /// All, by name.
    pub fn iter(&self) -> impl Iterator<Item = &MetricDeclaration> {
        self.by_name.values()
    }

    fn nearest(&self, name: &str) -> Option<String> {
        let scored = self.by_name.keys().map(|known| (strsim::jaro_winkler(known, name), known));
        let alike = scored.filter(|(likeness, _)| *likeness >= ALIKE);
        let best = alike.max_by(|one, other| one.0.total_cmp(&other.0));
        best.map(|(_, known)| known.clone())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn a_name_has_one_meaning() {
        let mut declared = Declared::default();
        let ioi = MetricDeclaration::mean("ioi", "", "Increase of interest.").up();
        declared.add(&[ioi.clone(), ioi.clone()]).unwrap();
        assert_eq!(declared.find("ioi").unwrap(), &ioi);
        let error = declared.add(&[ioi.down()]).unwrap_err().to_string();
        assert!(error.contains("`ioi` is declared twice"), "{error}");
        assert_eq!(declared.iter().count(), 1);
        let far = declared.find("throughput").unwrap_err().to_string();
        assert_eq!(far, "metric `throughput` is not declared");
    }
}
