//! A table as Markdown, plain text, CSV and JSON.

use super::layout::{Align, aligned, plain_text, widths};
use super::{Row, Table, TableError, number};
use serde_json::{Map, Value, json};

/// Stands where there is no number.
const NOTHING: &str = "–";
/// Labels to the left; numbers, as all beyond, to the right.
const ALIGNS: [Align; 1] = [Align::Left];

/// Characters of a terminal's line.
const TERMINAL: usize = 100;
/// Columns that a Markdown table may have before it stands on its side.
const MANY_COLUMNS: usize = 16;

impl Table {
    /// A Markdown table under its title, columns aligned in the source too, the best of each column
    /// in bold; numbers that look the same are equally good.
    pub fn to_markdown(&self) -> String {
        let mut grid = self.grid(|text| format!("**{text}**"), escape);
        if self.columns.len() > MANY_COLUMNS && self.rows.len() < self.columns.len() {
            grid = transposed(&grid);
        }
        // Three: Markdown's rule takes as many characters.
        let widths = widths(&grid, 3);
        let mut lines = vec![format!("### {}", escape(&self.title)), String::new()];
        for (index, cells) in grid.iter().enumerate() {
            lines.push(format!("| {} |", aligned(cells, &widths, &ALIGNS).join(" | ")));
            if index == 0 {
                lines.push(rule(&widths));
            }
        }
        lines.join("\n") + "\n"
    }

    /// The same for a terminal: no marks but a `*` behind the best of each column. A table too wide for one stands on
    /// its side: its columns become lines.
    pub fn to_text(&self) -> String {
        let mut grid = self.grid(|text| format!("{text}*"), str::to_owned);
        let wide = widths(&grid, 0).iter().map(|width| width + 2).sum::<usize>() > TERMINAL;
        if wide && self.rows.len() < self.columns.len() {
            grid = transposed(&grid);
        }
        for column in 1..grid.first().map_or(0, Vec::len) {
            make_room(&mut grid, column);
        }
        format!("{}\n{}", self.title, plain_text(&grid, &ALIGNS))
    }

    /// Comma-separated values in full precision under plain names; empty where there is no number.
    ///
    /// # Errors
    /// If the table cannot be put in CSV, which no table is known to cause.
    pub fn to_csv(&self) -> Result<String, TableError> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        let names = self.columns.iter().map(|column| column.name.clone());
        let head = std::iter::once(self.labels.clone()).chain(names);
        writer.write_record(head).map_err(TableError::csv)?;
        for row in &self.rows {
            let numbers = row.cells.iter().map(|cell| cell.map_or(String::new(), |value| value.to_string()));
            let record = std::iter::once(row.label.clone()).chain(numbers);
            writer.write_record(record).map_err(TableError::csv)?;
        }
        let bytes = writer.into_inner().map_err(TableError::csv)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// `{"title", "labels", "columns": [{"name", "unit", "direction"}], "rows": [{"label",
    /// "values": {…}}]}` in full precision; null where there is no finite number.
    pub fn to_json(&self) -> Value {
        let columns = self
            .columns
            .iter()
            .map(|column| json!({"name": column.name, "unit": column.unit, "direction": column.direction}));
        let row = |row: &Row| {
            let names = self.columns.iter().map(|column| column.name.clone());
            let values: Map<String, Value> = names.zip(row.cells.iter().map(|cell| Value::from(*cell))).collect();
            json!({"label": row.label, "values": values})
        };
        json!({
            "title": self.title,
            "labels": self.labels,
            "columns": columns.collect::<Vec<_>>(),
            "rows": self.rows.iter().map(row).collect::<Vec<_>>(),
        })
    }

    /// Headings and rows as text, labels first.
    fn grid(&self, mark: impl Fn(&str) -> String, escape: impl Fn(&str) -> String) -> Vec<Vec<String>> {
        let headings = self.columns.iter().map(|column| escape(&column.heading()));
        let head = std::iter::once(escape(&self.labels)).chain(headings).collect();
        let best: Vec<_> = (0..self.columns.len()).map(|column| self.best(column)).collect();
        let mut grid = vec![head];
        for row in &self.rows {
            let mut cells = vec![escape(&row.label)];
            for (index, (column, best)) in self.columns.iter().zip(&best).enumerate() {
                let text = number(row, index).map(|value| column.show(value));
                cells.push(match text {
                    None => NOTHING.to_owned(),
                    Some(text) if best.as_ref() == Some(&text) => mark(&text),
                    Some(text) => text,
                });
            }
            grid.push(cells);
        }
        grid
    }
}

/// Columns as rows.
fn transposed(grid: &[Vec<String>]) -> Vec<Vec<String>> {
    let columns = grid.first().map_or(0, Vec::len);
    (0..columns).map(|column| grid.iter().filter_map(|cells| cells.get(column).cloned()).collect()).collect()
}

/// A space behind each number that has no star, if others of its column have one, so that digits stand below digits.
fn make_room(grid: &mut [Vec<String>], column: usize) {
    let starred = grid.iter().filter_map(|cells| cells.get(column)).any(|cell| cell.ends_with('*'));
    let cells = grid.iter_mut().skip(1).filter_map(|cells| cells.get_mut(column));
    cells.filter(|cell| starred && !cell.ends_with('*')).for_each(|cell| cell.push(' '));
}

fn escape(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

fn rule(widths: &[usize]) -> String {
    let dashes = widths.iter().enumerate().map(|(index, width)| match index {
        0 => format!("{:-<width$}", ":"),
        _ => format!("{:->width$}", ":"),
    });
    format!("| {} |", dashes.collect::<Vec<_>>().join(" | "))
}
