//! What was measured, as tables.

use super::floor::{self, Machine};
use super::{Sizes, Timing, runs_the_policy, step};
use crate::tables::{Align, plain_text};

/// Who did the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This program.
    Ours,
    /// The Python libraries.
    Python,
}

/// A timing, whose and in which precision.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Whose.
    pub side: Side,
    /// `float32` or `bf16`.
    pub precision: String,
    /// The timing.
    pub timing: Timing,
}

/// The timing of Python's in a precision.
pub fn python_of<'a>(measured: &'a [Measured], task: &str, precision: &str) -> Option<&'a Timing> {
    let mut found =
        measured.iter().filter(|it| it.side == Side::Python && it.precision == precision && it.timing.name == task);
    found.next().map(|it| &it.timing)
}

/// Adds a whole step of RL for every side and precision whose three parts were measured; what does not run the policy
/// counts for all precisions.
pub fn add_steps(measured: &mut Vec<Measured>) {
    for side in [Side::Ours, Side::Python] {
        for precision in ["float32", "bf16"] {
            let mine =
                |it: &&Measured| it.side == side && (it.precision == precision || !runs_the_policy(&it.timing.name));
            let timings: Vec<Timing> = measured.iter().filter(mine).map(|it| it.timing.clone()).collect();
            if let Some(timing) = step(&timings) {
                measured.push(Measured { side, precision: precision.into(), timing });
            }
        }
    }
}

/// Seconds and memory beside Python's in float32, and, for bf16, beside Python's under autocast.
pub fn comparison(measured: &[Measured]) -> String {
    let head =
        ["task", "precision", "ours (s)", "Python (s)", "ratio", "autocast (s)", "ratio", "ours (MiB)", "Python (MiB)"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for it in measured.iter().filter(|it| it.side == Side::Ours) {
        let task = &it.timing.name;
        let plain = python_of(measured, task, "float32");
        let autocast = python_of(measured, task, "bf16").filter(|_| it.precision == "bf16");
        let mut row = vec![task.clone(), it.precision.clone(), format!("{:.3}", it.timing.seconds)];
        for python in [plain, autocast] {
            row.push(python.map_or(String::new(), |python| format!("{:.3}", python.seconds)));
            row.push(python.map_or(String::new(), |python| format!("{:.1}x", python.seconds / it.timing.seconds)));
        }
        for peak in [it.timing.peak, plain.and_then(|python| python.peak)] {
            row.push(peak.map_or(String::new(), |bytes| (bytes >> 20).to_string()));
        }
        rows.push(row);
    }
    plain_text(&rows, &[&[Align::Left; 2][..], &[Align::Right; 7]].concat())
}

/// The least time that the arithmetic of each task takes on this machine, beside the measured one.
pub fn floors(measured: &[Measured], machine: &Machine, sizes: &Sizes) -> String {
    let head = ["task", "precision", "GFLOP", "GB", "floor (s)", "measured (s)", "share"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for it in measured.iter().filter(|it| it.side == Side::Ours) {
        let Some(work) = floor::work(&it.timing.name, sizes) else { continue };
        let bytes = floor::bytes(&it.timing.name, &it.precision, sizes).unwrap_or(f64::NAN);
        let least = floor::least(&it.timing.name, &it.precision, sizes, machine).unwrap_or(f64::NAN);
        rows.push(vec![
            it.timing.name.clone(),
            it.precision.clone(),
            format!("{:.1}", work.operations() / 1e9),
            format!("{:.2}", bytes / 1e9),
            format!("{least:.3}"),
            format!("{:.3}", it.timing.seconds),
            format!("{:.0} %", 100.0 * least / it.timing.seconds),
        ]);
    }
    format!(
        "a large product {:.0} GFLOP/s, with bf16 factors {}; a large copy {:.1} GB/s\n{}",
        machine.float32 / 1e9,
        machine.bf16.map_or("no faster".into(), |speed| format!("{:.0}", speed / 1e9)),
        machine.bandwidth / 1e9,
        plain_text(&rows, &[&[Align::Left; 2][..], &[Align::Right; 5]].concat())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(side: Side, precision: &str, name: &str, seconds: f64) -> Measured {
        let timing = Timing { name: name.into(), seconds, what: String::new(), peak: Some(3 << 20) };
        Measured { side, precision: precision.into(), timing }
    }

    fn all() -> Vec<Measured> {
        let mut all = vec![
            measured(Side::Ours, "float32", "sample", 0.2),
            measured(Side::Ours, "bf16", "sample", 0.1),
            measured(Side::Ours, "float32", "reward", 0.1),
            measured(Side::Ours, "float32", "update", 0.7),
            measured(Side::Ours, "bf16", "update", 0.3),
            measured(Side::Python, "float32", "sample", 1.0),
            measured(Side::Python, "bf16", "sample", 0.8),
            measured(Side::Python, "float32", "reward", 2.0),
            measured(Side::Python, "float32", "update", 4.0),
        ];
        add_steps(&mut all);
        all
    }

    #[test]
    fn a_step_is_its_parts_in_each_precision() {
        let all = all();
        let steps: Vec<_> = all
            .iter()
            .filter(|it| it.timing.name == "step")
            .map(|it| (it.side, it.precision.as_str(), (it.timing.seconds * 10.0).round()))
            .collect();
        // Python's update was not timed under autocast, so that there is no such step.
        assert_eq!(steps, [(Side::Ours, "float32", 10.0), (Side::Ours, "bf16", 5.0), (Side::Python, "float32", 70.0)]);
    }

    #[test]
    fn ratios_are_to_float32_and_for_bf16_also_to_autocast() {
        let text = comparison(&all());
        let row = |task: &str, precision: &str| {
            let mut lines = text.lines().filter(|line| line.starts_with(task) && line.contains(precision));
            lines.next().unwrap_or_default().to_owned()
        };
        assert!(row("sample", "float32").contains("5.0x") && !row("sample", "float32").contains("0.800"));
        assert!(row("sample", "bf16").contains("10.0x") && row("sample", "bf16").contains("8.0x"));
        assert!(row("step", "bf16").contains("14.0x"));
    }
}
