#![allow(clippy::unwrap_used, clippy::expect_used)]
use super::*;
use proptest::prelude::*;
use serde_json::Value;

fn results() -> Table {
    let columns = vec![
        Column::new("IoI@20", Direction::Up, 3),
        Column::new("IoR", Direction::Down, 1).unit("ranks"),
        Column::new("share", Direction::None, 1).percent(),
    ];
    let mut table = Table::new("Results on tiny", columns).labelled("algorithm");
    table.row("ProRL", vec![Some(0.12341), Some(-3.0), Some(0.5)]);
    table.row("A|B", vec![Some(0.12339), Some(2.0)]);
    table.row("none", vec![Some(f64::NAN), None, Some(1.0), Some(9.0)]);
    table
}

#[test]
fn markdown_is_aligned_and_marks_the_best() {
    let expected = "\
### Results on tiny

| algorithm |  IoI@20 ↑ | IoR (ranks) ↓ |   share |
| :-------- | --------: | ------------: | ------: |
| ProRL     | **0.123** |      **-3.0** |  50.0 % |
| A\\|B      | **0.123** |           2.0 |       – |
| none      |         – |             – | 100.0 % |
";
    assert_eq!(results().to_markdown(), expected);
}

#[test]
fn plain_text_marks_the_best_with_a_star() {
    let expected = "\
Results on tiny
algorithm  IoI@20 ↑  IoR (ranks) ↓    share
ProRL        0.123*          -3.0*   50.0 %
A|B          0.123*           2.0         –
none             –              –   100.0 %
";
    assert_eq!(results().to_text(), expected);
}

#[test]
fn a_wide_table_stands_on_its_side_in_a_terminal() {
    let columns = (0..12).map(|index| Column::new(&format!("a long name {index}"), Direction::Up, 1)).collect();
    let mut table = Table::new("Wide", columns);
    table.row("imitation", vec![Some(0.5); 12]);
    table.row("prorl", (0..12).map(|index| Some(f64::from(index) / 10.0)).collect());
    let text = table.to_text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 14);
    assert_eq!(lines[1], "name              imitation  prorl");
    assert_eq!(lines[2], "a long name 0 ↑        0.5*   0.0");
    assert_eq!(lines[13], "a long name 11 ↑       0.5    1.1*");
    assert!(table.to_markdown().contains("| imitation |"), "twelve columns are no trouble in Markdown");
}

#[test]
fn csv_and_json_keep_every_digit() {
    let csv = results().to_csv().unwrap();
    let expected = "algorithm,IoI@20,IoR,share\nProRL,0.12341,-3,0.5\nA|B,0.12339,2,\nnone,NaN,,1\n";
    assert_eq!(csv, expected);
    let json = results().to_json();
    assert_eq!(json["rows"][0]["values"]["IoI@20"], 0.12341);
    assert_eq!(json["rows"][2]["values"]["IoI@20"], Value::Null);
    assert_eq!(json["columns"][1]["direction"], "down");
}

#[test]
fn one_number_is_not_the_best_of_anything() {
    let mut table = Table::new("t", vec![Column::new("a", Direction::Up, 1)]);
    table.row("only", vec![Some(1.0)]);
    assert!(!table.to_markdown().contains("**"));
    assert!(Table::new("t", Vec::new()).to_markdown().contains("| name |"));
}

#[test]
fn zero_has_no_sign() {
    let column = Column::new("a", Direction::Up, 2);
    let texts = [-0.001, -0.0, -0.1, f64::NEG_INFINITY].map(|value| column.show(value));
    assert_eq!(texts, ["0.00", "0.00", "-0.10", "-inf"]);
    assert_eq!(column.percent().show(-1e-9), "0.00 %");
}

#[test]
fn a_metric_s_declaration_makes_a_column() {
    let metric = MetricDeclaration::mean("reward/ior", "ranks", "Rise of the target.").up();
    assert_eq!(Column::of(&metric).heading(), "reward/ior (ranks) ↑");
}

#[test]
fn files_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let tables = folder.path().join("tables");
    results().write(&tables, "test").unwrap();
    for ending in ["md", "csv", "json"] {
        assert!(tables.join(format!("test.{ending}")).is_file());
    }
    assert_eq!(std::fs::read_dir(&tables).unwrap().count(), 3);
}

proptest! {
    #[test]
    fn all_lines_of_a_table_are_as_wide(rows in prop::collection::vec(("[^\\|\\\\\\n\\r]{0,9}", any::<Option<f32>>()), 0..6)) {
        let mut table = Table::new("t", vec![Column::new("a", Direction::Down, 4)]);
        for (label, cell) in rows {
            table.row(&label, vec![cell.map(f64::from)]);
        }
        let markdown = table.to_markdown();
        let lines: Vec<_> = markdown.split('\n').skip(2).filter(|line| !line.is_empty()).collect();
        let width = lines[0].chars().count();
        prop_assert!(lines.iter().all(|line| line.chars().count() == width), "{}", markdown);
    }
}
