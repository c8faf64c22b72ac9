//! Metrics are declared: a reported number without a declaration is an error.

use serde::{Deserialize, Serialize};

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Larger is better.
    Up,
    /// Smaller is better.
    Down,
    /// Neither.
    None,
}

/// How values of several batches or processes become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    /// Weighted by the number of prompts.
    Mean,
    /// Added up.
    Sum,
    /// The largest.
    Max,
    /// The most recent.
    Last,
}

/// A number that a component reports while it works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetricDeclaration {
    /// `group/detail`, e.g. `policy/entropy`.
    pub name: String,
    /// E.g. `nats`, `items`, `ranks`; empty for a pure number.
    pub unit: String,
    /// Which way is better.
    pub direction: Direction,
    /// How several values become one.
    pub reduction: Reduction,
    /// One sentence.
    pub doc: String,
}

impl MetricDeclaration {
    /// A mean over batches with no better direction.
    pub fn mean(name: &str, unit: &str, doc: &str) -> Self {
        Self {
            name: name.into(),
            unit: unit.into(),
            direction: Direction::None,
            reduction: Reduction::Mean,
            doc: doc.into(),
        }
    }

    /// The same where larger is better.
    pub fn up(mut self) -> Self {
        self.direction = Direction::Up;
        self
    }

    /// The same where smaller is better.
    pub fn down(mut self) -> Self {
        self.direction = Direction::Down;
        self
    }
}
