//! Tables of a comparison: every row's figures over the seeds, and how sure their differences are.

use super::results::{IMITATION, Results, STARTS, differences};
use super::statistics::{bootstrap_interval, deviation, effect_size, holm, mean, t_test, wilcoxon};
use crate::durable;
use crate::evaluation::figures::Figure;
use crate::report::BEST_OF;
use anyhow::Result;
use prorl_sdk::metrics::Direction;
use serde_json::{Value, json};
use std::path::Path;

/// Mean and deviation over seeds of every figure of every row.
pub struct Summary {
    title: String,
    figures: Vec<Figure>,
    rows: Vec<(String, Vec<Option<Spread>>)>,
}

#[derive(Clone, Copy)]
struct Spread {
    mean: f64,
    deviation: f64,
    seeds: usize,
}

impl Summary {
    /// Rows in the order given, `imitation` before them.
    pub fn new(title: &str, results: &Results, order: &[String], figures: &[Figure]) -> Self {
        let rows = rows_in_order(results, order).into_iter().filter_map(|name| {
            let seeds = results.get(&name)?;
            let cells = figures.iter().map(|figure| {
                let values: Vec<f64> =
                    seeds.values().filter_map(|found| found.means.get(&figure.key).copied()).collect();
                let spread = Spread { mean: mean(&values), deviation: deviation(&values), seeds: values.len() };
                (!values.is_empty()).then_some(spread)
            });
            Some((name, cells.collect()))
        });
        Self { title: title.into(), figures: figures.to_vec(), rows: rows.collect() }
    }

    /// The figures, without those that no row has.
    pub fn without_empty_columns(mut self) -> Self {
        let columns = 0..self.figures.len();
        let kept: Vec<bool> =
            columns.map(|column| self.rows.iter().any(|(_, cells)| cells[column].is_some())).collect();
        let mut keep = kept.iter();
        self.figures.retain(|_| keep.next().copied().unwrap_or(true));
        for (_, cells) in &mut self.rows {
            let mut keep = kept.iter();
            cells.retain(|_| keep.next().copied().unwrap_or(true));
        }
        self
    }

    fn best(&self, column: usize) -> Option<f64> {
        let means = self.rows.iter().filter_map(|(_, cells)| cells[column].map(|cell| cell.mean));
        match self.figures[column].direction {
            Direction::Up => means.max_by(f64::total_cmp),
            Direction::Down => means.min_by(f64::total_cmp),
            Direction::None => None,
        }
    }

    fn cells(&self, plus_minus: &str, mark: impl Fn(&str) -> String) -> Vec<Vec<String>> {
        let row = |(name, cells): &(String, Vec<Option<Spread>>)| {
            let numbers = cells.iter().enumerate().map(|(column, cell)| match cell {
                None => "–".into(),
                Some(Spread { mean, deviation, seeds }) => {
                    let digits = self.figures[column].decimals;
                    let best =
                        self.best(column).is_some_and(|best| format!("{best:.digits$}") == format!("{mean:.digits$}"));
                    let text = if *seeds > 1 {
                        format!("{mean:.digits$}{plus_minus}{deviation:.digits$}")
                    } else {
                        format!("{mean:.digits$}")
                    };
                    if best { mark(&text) } else { text }
                }
            });
            std::iter::once(name.clone()).chain(numbers).collect()
        };
        self.rows.iter().map(row).collect()
    }

    /// The best of each column in bold.
    pub fn to_markdown(&self) -> String {
        let head: Vec<String> = std::iter::once("policy".to_owned()).chain(self.headings()).collect();
        let mut lines = vec![format!("### {}", self.title), String::new(), markdown_row(&head)];
        lines.push(markdown_row(&vec!["---".to_owned(); head.len()]));
        lines.extend(self.cells(" ± ", |text| format!("**{text}**")).iter().map(|row| markdown_row(row)));
        lines.join("\n") + "\n"
    }

    fn headings(&self) -> impl Iterator<Item = String> {
        self.figures.iter().map(|figure| {
            let arrow = match figure.direction {
                Direction::Up => " ↑",
                Direction::Down => " ↓",
                Direction::None => "",
            };
            format!("{}{arrow}", figure.heading)
        })
    }

    /// A `tabular` for `booktabs`, the best of each column in bold.
    pub fn to_latex(&self) -> String {
        let head: Vec<String> =
            self.headings().map(|it| it.replace(" ↑", r" $\uparrow$").replace(" ↓", r" $\downarrow$")).collect();
        let mut lines = vec![format!(r"\begin{{tabular}}{{l{}}}", "r".repeat(head.len())), r"\toprule".into()];
        lines.push(format!(r"policy & {} \\", head.join(" & ")));
        lines.push(r"\midrule".into());
        for row in self.cells(r" $\pm$ ", |text| format!(r"\textbf{{{text}}}")) {
            lines.push(format!(r"{} \\", row.join(" & ").replace('_', r"\_")));
        }
        lines.extend([r"\bottomrule".into(), r"\end{tabular}".into()]);
        lines.join("\n") + "\n"
    }

    /// Full precision: policy, figure, mean, deviation, seeds.
    pub fn to_csv(&self) -> String {
        let mut text = "policy,figure,mean,deviation,seeds\n".to_owned();
        for (name, cells) in &self.rows {
            for (figure, cell) in self.figures.iter().zip(cells) {
                if let Some(Spread { mean, deviation, seeds }) = cell {
                    text += &format!("{name},{},{mean},{deviation},{seeds}\n", figure.key);
                }
            }
        }
        text
    }

    fn to_json(&self) -> Value {
        let rows = self.rows.iter().map(|(name, cells)| {
            let cells = self.figures.iter().zip(cells).filter_map(|(figure, cell)| {
                let Spread { mean, deviation, seeds } = (*cell)?;
                Some((figure.key.clone(), json!({ "mean": mean, "deviation": deviation, "seeds": seeds })))
            });
            json!({ "policy": name, "figures": cells.collect::<serde_json::Map<_, _>>() })
        });
        json!({ "title": self.title, "rows": rows.collect::<Vec<_>>() })
    }

    /// Writes the table as Markdown, LaTeX, CSV and JSON.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn write(&self, folder: &Path, name: &str) -> Result<()> {
        let write =
            |ending: &str, text: String| durable::write_file(&folder.join(format!("{name}.{ending}")), text.as_bytes());
        write("md", self.to_markdown())?;
        write("tex", self.to_latex())?;
        write("csv", self.to_csv())?;
        write("json", format!("{:#}\n", self.to_json()))?;
        Ok(())
    }
}

/// `imitation`, then the variants, each with its re-ranked rows behind it.
fn rows_in_order(results: &Results, order: &[String]) -> Vec<String> {
    let family = |name: &str| {
        let re_ranked = format!("{name}{BEST_OF}");
        results.keys().filter(move |row| **row == *name || row.starts_with(&re_ranked)).cloned().collect::<Vec<_>>()
    };
    let starts = family(IMITATION).into_iter().chain(results.keys().filter(|row| row.starts_with(STARTS)).cloned());
    starts.chain(order.iter().flat_map(|name| family(name))).collect()
}

fn markdown_row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// One row's difference to the reference in one figure.
struct Test {
    row: String,
    figure: String,
    difference: f64,
    interval: (f64, f64),
    effect: Option<f64>,
    over_prompts: [Option<f64>; 2],
    over_seeds: Option<f64>,
}

/// Every row against the reference in every figure that prompts have, as Markdown and CSV. p-values are two-sided and
/// corrected by Holm over the whole table, each kind of test for itself.
pub fn tests(results: &Results, order: &[String], reference: &str, figures: &[Figure]) -> (String, String) {
    let rows = rows_in_order(results, order).into_iter().filter(|row| row != reference);
    let tests: Vec<Test> = rows
        .flat_map(|row| figures.iter().filter_map(move |figure| test(results, &row, reference, &figure.key)))
        .collect();
    let corrected = |p: &dyn Fn(&Test) -> Option<f64>| -> Vec<Option<f64>> {
        let known: Vec<f64> = tests.iter().filter_map(p).collect();
        let mut corrected = holm(&known).into_iter();
        tests.iter().map(|test| p(test).and_then(|_| corrected.next())).collect()
    };
    let student = corrected(&|test| test.over_prompts[0]);
    let ranks = corrected(&|test| test.over_prompts[1]);
    let seeds = corrected(&|test| test.over_seeds);
    let head =
        ["policy", "figure", "difference", "95 % from", "to", "d", "t, prompts", "Wilcoxon, prompts", "t, seeds"];
    let title = format!("### Differences to {reference}, paired (p-values corrected by Holm)\n\n");
    let mut markdown =
        title + &markdown_row(&head.map(str::to_owned)) + "\n" + &markdown_row(&["---"; 9].map(str::to_owned)) + "\n";
    let mut csv = "policy,figure,difference,low,high,effect_size,p_t_prompts,p_wilcoxon_prompts,p_t_seeds\n".to_owned();
    for (index, test) in tests.iter().enumerate() {
        let p = [student[index], ranks[index], seeds[index]];
        let number = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
        let chance = |value: Option<f64>| {
            value.map_or("–".to_owned(), |value| if value < 1e-4 { "< 0.0001".into() } else { format!("{value:.4}") })
        };
        let Test { row, figure, difference, interval: (low, high), effect, .. } = test;
        let cells = [Some(*difference), Some(*low), Some(*high), *effect].map(number);
        let cells: Vec<String> = [row.clone(), figure.clone()].into_iter().chain(cells).chain(p.map(chance)).collect();
        markdown += &(markdown_row(&cells) + "\n");
        let exact = [Some(*difference), Some(*low), Some(*high), *effect, p[0], p[1], p[2]];
        let exact = exact.map(|value| value.map_or(String::new(), |value| value.to_string()));
        csv += &format!("{row},{figure},{}\n", exact.join(","));
    }
    (markdown, csv)
}

fn test(results: &Results, row: &str, reference: &str, figure: &str) -> Option<Test> {
    let (prompts, seeds) = differences(results, row, reference, figure)?;
    Some(Test {
        row: row.into(),
        figure: figure.into(),
        difference: mean(&prompts),
        interval: bootstrap_interval(&prompts, 0),
        effect: effect_size(&prompts),
        over_prompts: [t_test(&prompts), wilcoxon(&prompts)],
        over_seeds: t_test(&seeds),
    })
}
