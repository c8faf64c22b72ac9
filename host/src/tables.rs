//! Result tables: rows of numbers under headings that say which way is better.

mod layout;
mod render;
mod write;

pub use layout::{Align, plain_text};
pub use write::TableError;

use prorl_sdk::metrics::{Direction, MetricDeclaration};

/// A column of numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// The metric, e.g. `IoI@20`.
    pub name: String,
    /// E.g. `ranks`; empty for a pure number.
    pub unit: String,
    /// Which way is better.
    pub direction: Direction,
    /// Decimals shown.
    pub decimals: usize,
    /// Whether 0.5 is shown as `50 %`.
    pub percent: bool,
}

impl Column {
    /// A column of numbers shown with `decimals`.
    pub fn new(name: &str, direction: Direction, decimals: usize) -> Self {
        let (name, unit) = (name.to_owned(), String::new());
        Self { name, unit, direction, decimals, percent: false }
    }

    /// The column of a declared metric, with four decimals.
    pub fn of(metric: &MetricDeclaration) -> Self {
        Self::new(&metric.name, metric.direction, 4).unit(&metric.unit)
    }

    /// The same with a unit in its heading.
    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        self.unit = unit.to_owned();
        self
    }

    /// The same shown times 100, with a % sign.
    #[must_use]
    pub fn percent(mut self) -> Self {
        self.percent = true;
        self
    }

    /// The name with its unit and an arrow that says which way is better: `IoR (ranks) ↑`.
    pub fn heading(&self) -> String {
        let unit = match self.unit.as_str() {
            "" => String::new(),
            unit => format!(" ({unit})"),
        };
        let arrow = match self.direction {
            Direction::Up => " ↑",
            Direction::Down => " ↓",
            Direction::None => "",
        };
        format!("{}{unit}{arrow}", self.name)
    }

    /// A number as it is shown; zero has no sign.
    fn show(&self, value: f64) -> String {
        let decimals = self.decimals;
        let text = match self.percent {
            true => format!("{:.decimals$} %", value * 100.0),
            false => format!("{value:.decimals$}"),
        };
        match text.strip_prefix('-') {
            Some(rest) if !rest.contains(|c: char| matches!(c, '1'..='9' | 'i')) => rest.to_owned(),
            _ => text,
        }
    }
}

/// A row: what it is about, and a number or nothing for each column.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What it is about, e.g. the algorithm.
    pub label: String,
    /// As many as there are columns.
    pub cells: Vec<Option<f64>>,
}

/// A table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// What it shows.
    pub title: String,
    /// The heading of the rows' labels.
    pub labels: String,
    columns: Vec<Column>,
    rows: Vec<Row>,
}

impl Table {
    /// A table without rows, whose labels are headed `name`.
    pub fn new(title: &str, columns: Vec<Column>) -> Self {
        let (title, labels) = (title.to_owned(), "name".to_owned());
        Self { title, labels, columns, rows: Vec::new() }
    }

    /// The same with another heading for the rows' labels, e.g. `algorithm`.
    #[must_use]
    pub fn labelled(mut self, labels: &str) -> Self {
        self.labels = labels.to_owned();
        self
    }

    /// Adds a row. Cells that are missing stay empty; those beyond the last column are dropped.
    pub fn row(&mut self, label: &str, mut cells: Vec<Option<f64>>) {
        cells.resize(self.columns.len(), None);
        let label = label.to_owned();
        self.rows.push(Row { label, cells });
    }

    /// The columns.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The rows.
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// The best number of a column, as shown; none where no way is better or nothing is compared.
    fn best(&self, column: usize) -> Option<String> {
        let shape = self.columns.get(column)?;
        let numbers: Vec<f64> = self.rows.iter().filter_map(|row| number(row, column)).collect();
        let best = match shape.direction {
            Direction::Up => numbers.iter().copied().reduce(f64::max),
            Direction::Down => numbers.iter().copied().reduce(f64::min),
            Direction::None => None,
        };
        best.filter(|_| numbers.len() > 1).map(|best| shape.show(best))
    }
}

/// A cell's number, if it has one.
fn number(row: &Row, column: usize) -> Option<f64> {
    let cell = row.cells.get(column).copied().flatten();
    cell.filter(|value| !value.is_nan())
}

#[cfg(test)]
mod tests;
