//! Lines in a plane, as SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;
use std::path::Path;

/// What the axes are.
#[derive(Clone, Copy, Debug)]
pub struct Axes<'a> {
    /// What runs from left to right.
    pub across: &'a str,
    /// What runs from bottom to top; empty where the heading says it.
    pub up: &'a str,
    /// Whether equal distances are equal ratios, on both axes; points that are not above 0 are left out.
    pub logarithmic: bool,
}

impl<'a> Axes<'a> {
    /// Equal distances are equal differences; `across` begins at 0.
    pub fn linear(across: &'a str) -> Self {
        Self { across, up: "", logarithmic: false }
    }

    /// Equal distances are equal ratios.
    pub fn logarithmic(across: &'a str, up: &'a str) -> Self {
        Self { across, up, logarithmic: true }
    }

    /// Where a point is drawn.
    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        match self.logarithmic {
            false => Some((x, y)),
            true => (x > 0.0 && y > 0.0).then(|| (x.log10(), y.log10())),
        }
    }

    /// What is written beside a place of an axis.
    fn label(&self, place: f64) -> String {
        match self.logarithmic {
            false => format!("{}", (place * 1e6).round() / 1e6),
            true => two_digits(10_f64.powf(place)),
        }
    }
}

/// A number above 0 in two significant digits, thousands and millions by their letters.
fn two_digits(number: f64) -> String {
    let step = 10_f64.powf(number.log10().floor() - 1.0);
    let rounded = (number / step).round() * step;
    let (unit, letter) = match rounded {
        1e6.. => (1e6, "M"),
        1e4.. => (1e3, "k"),
        _ => (1.0, ""),
    };
    format!("{}{letter}", (rounded / unit * 1e6).round() / 1e6)
}

/// Draws named lines into the file `path`.
///
/// # Errors
/// The file cannot be written.
pub fn lines(path: &Path, heading: &str, axes: Axes<'_>, lines: &[(&str, Vec<(f64, f64)>)]) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| anyhow!("drawing {}: {error}", path.display());
    let placed: Vec<(&str, Vec<(f64, f64)>)> = lines
        .iter()
        .map(|(name, points)| (*name, points.iter().filter_map(|&point| axes.place(point)).collect()))
        .collect();
    let ((left, right), (low, high)) = extent(&placed, axes.logarithmic);
    let root = SVGBackend::new(path, (720, 420)).into_drawing_area();
    root.fill(&WHITE).map_err(|error| failed(&error))?;
    let mut chart = ChartBuilder::on(&root)
        .caption(heading, ("sans-serif", 18))
        .margin(10)
        .margin_right(24) // half of the last number stands there
        .x_label_area_size(36)
        .y_label_area_size(56)
        .build_cartesian_2d(left..right, low..high)
        .map_err(|error| failed(&error))?;
    let label = |place: &f64| axes.label(*place);
    let mut mesh = chart.configure_mesh();
    mesh.x_desc(axes.across).y_desc(axes.up).x_label_formatter(&label).y_label_formatter(&label);
    mesh.light_line_style(WHITE).draw().map_err(|error| failed(&error))?;
    for (index, (name, points)) in placed.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        chart
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)))
            .map_err(|error| failed(&error))?
            .label(*name)
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(if axes.logarithmic { SeriesLabelPosition::UpperLeft } else { SeriesLabelPosition::MiddleRight })
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK.mix(0.3))
        .draw()
        .map_err(|error| failed(&error))?;
    root.present().map_err(|error| failed(&error))
}

/// From where to where the axes run.
fn extent(lines: &[(&str, Vec<(f64, f64)>)], logarithmic: bool) -> ((f64, f64), (f64, f64)) {
    let all = || lines.iter().flat_map(|(_, points)| points.iter().copied());
    let span = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::MAX, f64::MIN), |(low, high), value| (low.min(value), high.max(value)))
    };
    let (left, right) = span(&mut all().map(|(x, _)| x));
    let (low, high) = span(&mut all().map(|(_, y)| y));
    let margin = ((high - low) * 0.05).max(1e-6);
    let across = if logarithmic { (left, right.max(left + 1e-6)) } else { (0.0, right.max(1.0)) };
    (across, (low - margin, high + margin))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn logarithmic_axes_are_labelled_with_the_numbers_themselves() {
        let axes = Axes::logarithmic("items", "seconds");
        assert_eq!(axes.label(axes.place((1000.0, 1.0)).unwrap().0), "1000");
        assert_eq!(axes.label((0.025_f64).log10()), "0.025");
        assert_eq!(axes.label(4.2), "16k");
        assert_eq!(axes.label(6.4), "2.5M");
        assert_eq!(axes.place((0.0, 1.0)), None);
        assert_eq!(Axes::linear("step").label(0.30000000000000004), "0.3");
    }

    #[test]
    fn a_drawing_names_its_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("growth.svg");
        let points = vec![("sample", vec![(1.0, 0.1), (10.0, 1.0)]), ("update", vec![(1.0, 0.5), (10.0, 5.0)])];
        lines(&path, "Seconds", Axes::logarithmic("prompts", "seconds"), &points).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        for word in ["Seconds", "prompts", "sample", "update"] {
            assert!(text.contains(word), "{word}");
        }
    }
}
