//! How cost grows: each size that a researcher varies over two orders of magnitude, the others kept, and the exponent that
//! fits.

use super::{Sizes, Timing, interactions};
use crate::drawing::{self, Axes};
use crate::durable;
use crate::plugins::Registry;
use crate::tables::{Align, plain_text};
use anyhow::{Context, Result, bail};
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// A size that grows.
struct Axis {
    name: &'static str,
    values: [i64; 5],
    tasks: &'static [&'static str],
}

const STEP: &[&str] = &["sample", "reward", "update"];

/// Half an order of magnitude from one value to the next.
const AXES: [Axis; 5] = [
    Axis { name: "prompts", values: [4, 13, 40, 126, 400], tasks: STEP },
    Axis { name: "group", values: [1, 3, 10, 32, 100], tasks: STEP },
    Axis { name: "path-items", values: [1, 3, 10, 32, 100], tasks: STEP },
    Axis {
        name: "items",
        values: [10_000, 31_600, 100_000, 316_000, 1_000_000],
        tasks: &["sample", "reward", "train"],
    },
    Axis { name: "interactions", values: [250_000, 790_000, 2_500_000, 7_900_000, 25_000_000], tasks: &["read"] },
];

impl Axis {
    /// The sizes where this one is `value`.
    fn sizes(&self, value: i64, base: &Sizes) -> Sizes {
        let small = Sizes { prompts: 8, group: 8, ..base.clone() };
        match self.name {
            "prompts" => Sizes { prompts: value, ..base.clone() },
            "group" => Sizes { prompts: 16, group: value, ..base.clone() },
            "path-items" => Sizes { path_items: value, longest: value.max(10), ..small },
            _ => Sizes { items: value, ..small },
        }
    }

    /// Timings of all tasks at `value`.
    fn measure(&self, value: i64, registry: &Registry, base: &Sizes) -> Result<Vec<Timing>> {
        if self.name == "interactions" {
            let folder = tempfile::tempdir().context("making a folder for a log")?;
            interactions::write(folder.path(), value as u64)?;
            return Ok(vec![interactions::read(folder.path())?.0]);
        }
        let sizes = self.sizes(value, base);
        self.tasks.iter().map(|task| super::run(registry, &sizes, task)).collect()
    }
}

/// Seconds and peak memory of one task by the size that grew.
struct Curve {
    task: &'static str,
    points: Vec<(f64, f64)>,
    peaks: Vec<Option<u64>>,
}

impl Curve {
    /// The `b` of `seconds = a · size^b` that fits the last `count` points best, in squares of logarithms.
    fn exponent(&self, count: usize) -> f64 {
        let last = &self.points[self.points.len().saturating_sub(count)..];
        let logs: Vec<(f64, f64)> = last.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
        let mean = |of: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / logs.len() as f64;
        let (x, y) = (mean(&|it| it.0), mean(&|it| it.1));
        let sum = |of: &dyn Fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>();
        sum(&|it| (it.0 - x) * (it.1 - y)) / sum(&|it| (it.0 - x).powi(2))
    }
}

/// The names of all sizes that can grow.
pub fn names() -> Vec<&'static str> {
    AXES.iter().map(|axis| axis.name).collect()
}

/// Lets the sizes named in `only`, or all, grow; writes a drawing and a table of each into `folder` and gives the tables.
///
/// # Errors
/// A name is no size's, a plugin fails, or the folder cannot be written.
pub fn measure(registry: &Registry, base: &Sizes, only: &[String], folder: &Path) -> Result<String> {
    if let Some(unknown) = only.iter().find(|name| !names().contains(&name.as_str())) {
        bail!("`{unknown}` does not grow; what does: {}", names().join(", "));
    }
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut report = String::new();
    for axis in AXES.iter().filter(|axis| only.is_empty() || only.iter().any(|name| name == axis.name)) {
        let curves = curves(axis, registry, base)?;
        let lines: Vec<_> = curves.iter().map(|curve| (curve.task, curve.points.clone())).collect();
        let heading = format!("Seconds by {}", axis.name);
        let axes = Axes::logarithmic(axis.name, "seconds");
        drawing::lines(&folder.join(format!("{}.svg", axis.name)), &heading, axes, &lines)?;
        let path = folder.join(format!("{}.csv", axis.name));
        durable::write_file(&path, comma_separated(axis, &curves).as_bytes())
            .with_context(|| format!("writing {}", path.display()))?;
        writeln!(report, "{}\n", table(axis, &curves))?;
    }
    Ok(report)
}

fn curves(axis: &Axis, registry: &Registry, base: &Sizes) -> Result<Vec<Curve>> {
    let curve = |&task: &&'static str| Curve { task, points: Vec::new(), peaks: Vec::new() };
    let mut curves: Vec<Curve> = axis.tasks.iter().map(curve).collect();
    for value in axis.values {
        let timings = axis.measure(value, registry, base).with_context(|| format!("{} = {value}", axis.name))?;
        for (curve, timing) in curves.iter_mut().zip(timings) {
            log::info!("{} = {value}: {} {:.3} s", axis.name, timing.name, timing.seconds);
            curve.points.push((value as f64, timing.seconds));
            curve.peaks.push(timing.peak);
        }
    }
    Ok(curves)
}

fn table(axis: &Axis, curves: &[Curve]) -> String {
    let mut rows = vec![vec![axis.name.to_owned()]];
    rows[0].extend(axis.values.iter().map(i64::to_string));
    rows[0].extend(["exponent".into(), "of the last three".into()]);
    for curve in curves {
        let mut row = vec![format!("{} (s)", curve.task)];
        row.extend(curve.points.iter().map(|(_, seconds)| format!("{seconds:.4}")));
        row.extend([format!("{:.2}", curve.exponent(axis.values.len())), format!("{:.2}", curve.exponent(3))]);
        rows.push(row);
        let mut row = vec![format!("{} (MiB)", curve.task)];
        row.extend(curve.peaks.iter().map(|peak| peak.map_or("–".into(), |bytes| (bytes >> 20).to_string())));
        row.extend([String::new(), String::new()]);
        rows.push(row);
    }
    plain_text(&rows, &[&[Align::Left][..], &[Align::Right; 7]].concat())
}

fn comma_separated(axis: &Axis, curves: &[Curve]) -> String {
    let mut text = format!("{},task,seconds,peak_bytes\n", axis.name);
    for curve in curves {
        for ((value, seconds), peak) in curve.points.iter().zip(&curve.peaks) {
            let peak = peak.map(|bytes| bytes.to_string()).unwrap_or_default();
            text += &format!("{value},{},{seconds},{peak}\n", curve.task);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tch::Device;

    fn curve(points: &[(f64, f64)]) -> Curve {
        Curve { task: "sample", points: points.to_vec(), peaks: vec![Some(1 << 20); points.len()] }
    }

    #[test]
    fn the_exponent_of_a_power_is_found() {
        let square = curve(&[(1.0, 3.0), (10.0, 300.0), (100.0, 30_000.0)]);
        assert!((square.exponent(3) - 2.0).abs() < 1e-12);
        let late = curve(&[(1.0, 1.0), (10.0, 1.0), (100.0, 10.0)]);
        assert!((late.exponent(2) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn every_axis_spans_two_orders_of_magnitude_and_keeps_paths_within_the_longest() {
        let base = Sizes::of_the_comparison(Device::Cpu);
        for axis in &AXES {
            assert_eq!(axis.values[4] / axis.values[0], 100, "{}", axis.name);
            for value in axis.values {
                let sizes = axis.sizes(value, &base);
                assert!(sizes.path_items <= sizes.longest, "{} = {value}", axis.name);
            }
        }
    }

    #[test]
    fn tables_show_seconds_memory_and_exponents() {
        let axis = &AXES[0];
        let points: Vec<(f64, f64)> = axis.values.iter().map(|&value| (value as f64, value as f64 / 100.0)).collect();
        let text = table(axis, &[curve(&points)]);
        assert!(text.contains("sample (s)") && text.contains("4.0000") && text.contains("1.00"), "{text}");
        assert!(comma_separated(axis, &[curve(&points)]).contains("400,sample,4,1048576"));
    }
}
