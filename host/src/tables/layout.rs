//! Cells of text in columns.

/// To which side of its column a cell goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// Rows in columns two spaces apart, for a terminal. Columns beyond the last of `aligns` go to the
/// right. Widths are counted in characters.
pub fn plain_text(rows: &[Vec<String>], aligns: &[Align]) -> String {
    let widths = widths(rows, 0);
    let line = |cells: &Vec<String>| aligned(cells, &widths, aligns).join("  ").trim_end().to_owned();
    rows.iter().map(|cells| line(cells) + "\n").collect()
}

/// Each column's width in characters, at least `least`.
pub(super) fn widths(rows: &[Vec<String>], least: usize) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|cells| cells.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0).max(least)
    };
    (0..columns).map(width).collect()
}

/// Cells filled up with spaces to their columns' widths.
pub(super) fn aligned(cells: &[String], widths: &[usize], aligns: &[Align]) -> Vec<String> {
    let cells = cells.iter().zip(widths).enumerate();
    cells
        .map(|(index, (cell, width))| match aligns.get(index) {
            Some(Align::Left) => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn words_go_left_and_numbers_right() {
        let rows = [vec!["task", "s"], vec!["é", "12.5"], vec!["alone"]];
        let rows = rows.map(|row| row.into_iter().map(str::to_owned).collect());
        let text = plain_text(&rows, &[Align::Left, Align::Right]);
        assert_eq!(text, "task      s\né      12.5\nalone\n");
        assert_eq!(plain_text(&[], &[]), "");
    }
}
