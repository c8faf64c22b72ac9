//! A data set as an aligned text.

use crate::dataset::Dataset;
use crate::report::ReadReport;
use crate::statistics::{SplitStats, Stats};
use std::fmt::Write as _;

/// Figures, sources, what was left out, notes.
pub(crate) fn describe(dataset: &Dataset) -> String {
    let stats = dataset.stats();
    let mut text = format!("data set {}\n", stats.name);
    overview(&mut text, &stats);
    table(&mut text, &stats);
    histogram(&mut text, &stats);
    sources(&mut text, dataset);
    left_out(&mut text, &dataset.report);
    text.trim_end().to_owned()
}

// Writing to a String cannot fail, so results of `write!` are dropped here and below.
fn overview(text: &mut String, stats: &Stats) {
    let rows = [
        ("users", grouped(stats.users)),
        ("items", grouped(stats.items)),
        ("interactions", grouped(stats.interactions)),
        ("sparsity", format!("{:.2} %", 100.0 * stats.sparsity)),
        ("attributes", grouped(stats.attributes)),
        ("items without attributes", grouped(stats.items_without_attributes)),
        ("training sequences", format!("{} (mean {:.1} items)", grouped(stats.sequences), stats.mean_sequence_length)),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "  {name:<26}{value}");
    }
}

fn table(text: &mut String, stats: &Stats) {
    let splits = [&stats.train, &stats.validation, &stats.test];
    let _ = writeln!(text, "\n  {:<26}{:>12}{:>12}{:>12}", "examples", "train", "validation", "test");
    let mut row = |name: &str, cell: &dyn Fn(&SplitStats) -> String| {
        let cells: String = splits.iter().map(|split| format!("{:>12}", cell(split))).collect();
        let _ = writeln!(text, "  {name:<26}{cells}");
    };
    row("number", &|split| grouped(split.examples));
    row("mean length with target", &|split| format!("{:.2}", split.mean_path_length));
    row("coherent within path", &|split| format!("{:.1} %", 100.0 * split.path_coherence()));
    row("coherent with target", &|split| format!("{:.1} %", 100.0 * split.target_coherence));
    row("coherent with history", &|split| format!("{:.1} %", 100.0 * split.start_coherence));
    row("target in history", &|split| grouped(split.targets_in_history));
}

fn histogram(text: &mut String, stats: &Stats) {
    let splits = [&stats.train, &stats.validation, &stats.test];
    let longest = splits.iter().filter_map(|split| split.path_lengths.keys().next_back()).max();
    let Some(&longest) = longest else { return };
    let _ = writeln!(text, "\n  {:<26}{:>12}{:>12}{:>12}", "length with target", "train", "validation", "test");
    for length in 1..=longest {
        let counts = splits.map(|split| split.path_lengths.get(&length).copied().unwrap_or(0));
        if counts.iter().any(|&count| count > 0) {
            let cells: String = counts.iter().map(|&count| format!("{:>12}", grouped(count))).collect();
            let _ = writeln!(text, "  {length:<26}{cells}");
        }
    }
}

fn sources(text: &mut String, dataset: &Dataset) {
    let _ = writeln!(text, "\nread as {}", dataset.report.format);
    let shown = |file: &crate::report::FileRead| file.path.display().to_string();
    let width = dataset.report.files.iter().map(|file| shown(file).chars().count()).max().unwrap_or(0);
    for file in &dataset.report.files {
        let bytes = grouped(usize::try_from(file.bytes).unwrap_or(usize::MAX));
        let records = if file.records > 0 { format!("{} records", grouped(file.records)) } else { String::new() };
        let _ = writeln!(text, "  {:<width$}  {bytes:>13} bytes  {records}", shown(file));
    }
}

fn left_out(text: &mut String, report: &ReadReport) {
    if !report.dropped.is_empty() {
        text.push_str("\nleft out\n");
    }
    for dropped in &report.dropped {
        let _ = writeln!(text, "  {:>9} {:<16} {}", grouped(dropped.count), dropped.what, dropped.reason);
    }
    if !report.notes.is_empty() {
        text.push_str("\nnotes\n");
    }
    for note in &report.notes {
        let _ = writeln!(text, "  - {note}");
    }
}

/// A number with commas between groups of three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 12, 999, 1000, 1_000_209].map(grouped), ["0", "12", "999", "1,000", "1,000,209"]);
    }
}
