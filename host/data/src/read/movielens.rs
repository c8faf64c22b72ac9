//! MovieLens `.dat` files: `UserID::MovieID::Rating::Timestamp` and `MovieID::Title::Genre|Genre`, Latin-1 or UTF-8.

use crate::assembly::{Parts, assemble};
use crate::catalogue::{Catalogue, CatalogueBuilder};
use crate::dataset::Dataset;
use crate::error::DataError;
use crate::interactions::Interactions;
use crate::options::ReadOptions;
use crate::read::folder::{Folder, file_name};
use crate::read::reading::Reading;
use crate::read::rows::{Cell, Rows};
use std::path::Path;

const RATINGS: [&str; 4] = ["UserID", "MovieID", "Rating", "Timestamp"];
const MOVIES: [&str; 3] = ["MovieID", "Title", "Genres"];

/// Reads a MovieLens folder.
///
/// # Errors
/// A file is missing or malformed.
pub(crate) fn open(folder: &Folder, options: &ReadOptions) -> Result<Dataset, DataError> {
    let mut reading = Reading::new("MovieLens files", options);
    let catalogue = movies(&mut reading, file(folder, "movies.dat")?)?;
    let interactions = ratings(&mut reading, file(folder, "ratings.dat")?, &catalogue)?;
    let (semantic_ids, embeddings) = reading.item_features(folder)?;
    let (report, hash) = reading.finish();
    let name = file_name(folder.path());
    Ok(assemble(Parts { name, catalogue, interactions, report, hash, semantic_ids, embeddings }, options))
}

fn file<'a>(folder: &'a Folder, name: &str) -> Result<&'a Path, DataError> {
    let missing = || DataError::folder(folder.path(), format!("has no `{name}`; found {}", folder.contents()));
    folder.named(name).ok_or_else(missing)
}

fn movies(reading: &mut Reading<'_>, path: &Path) -> Result<Catalogue, DataError> {
    let text = reading.text(path)?;
    let mut builder = CatalogueBuilder::new(&reading.options.ignore_attributes);
    let mut repeated = 0;
    let count = each_row(path, &text, &MOVIES, |cells| {
        let genres = cells[2].text.split('|').filter(|genre| !genre.is_empty() && *genre != "(no genres listed)");
        repeated += usize::from(!builder.add(&cells[0].text, &cells[1].text, genres));
        Ok(())
    })?;
    reading.records(count);
    reading.report.drop_counted("items", "empty or repeated id; the first row counts", repeated);
    reading.report.drop_counted("attribute values", "ignore_attributes", builder.ignored_values());
    Ok(builder.finish())
}

fn ratings(reading: &mut Reading<'_>, path: &Path, catalogue: &Catalogue) -> Result<Interactions, DataError> {
    let text = reading.text(path)?;
    let lowest = reading.options.min_rating.unwrap_or(f64::NEG_INFINITY);
    let mut interactions = Interactions::default();
    let (mut unknown, mut low) = (0, 0);
    let count = each_row(path, &text, &RATINGS, |cells| {
        let (rating, time) = (number(path, &text, cells, 2)?, number(path, &text, cells, 3)?);
        match catalogue.id_of(&cells[1].text) {
            None => unknown += 1,
            Some(_) if rating < lowest => low += 1,
            Some(item) => interactions.push(&cells[0].text, item, time),
        }
        Ok(())
    })?;
    reading.records(count);
    reading.report.drop_counted("interactions", "the item is not in movies.dat", unknown);
    reading.report.drop_counted("interactions", "rated lower than min_rating", low);
    Ok(interactions)
}

/// Hands every row, which has as many cells as `names`, to `take`; returns the number of rows.
fn each_row(
    path: &Path,
    text: &str,
    names: &[&str],
    mut take: impl FnMut(&[Cell<'_>]) -> Result<(), DataError>,
) -> Result<usize, DataError> {
    let (mut rows, mut cells, mut count) = (Rows::new(text, "::", false), Vec::new(), 0);
    while matches!(rows.next(&mut cells), Ok(true)) {
        if cells.len() != names.len() {
            let start = cells.first().map_or(0, |cell| cell.start);
            let form = names.join("::");
            let problem = format!("{} fields, but a row is {form}; mend or delete it", cells.len());
            return Err(DataError::at(path, text, start, problem));
        }
        take(&cells)?;
        count += 1;
    }
    Ok(count)
}

fn number(path: &Path, text: &str, cells: &[Cell<'_>], column: usize) -> Result<f64, DataError> {
    let cell = &cells[column];
    cell.text.trim().parse().map_err(|_| {
        let problem = format!("`{}` is not a number, as {} should be", cell.text, RATINGS[column]);
        DataError::at(path, text, cell.start, problem)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    fn read(movies: &[u8], ratings: &str) -> Result<Dataset, DataError> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("movies.dat"), movies).unwrap();
        std::fs::write(folder.path().join("ratings.dat"), ratings).unwrap();
        Dataset::open(folder.path(), &ReadOptions { min_rating: Some(2.0), ..Default::default() })
    }

    #[test]
    fn a_small_folder() {
        let movies = b"1::Toy Story (1995)::Animation|Comedy\n9::Am\xe9lie: a \"film\"::(no genres listed)\n";
        let dataset = read(movies, "5::9::3::20\r\n5::1::4::10\r\n6::1::1::10\r\n6::7::5::1\r\n").unwrap();
        assert_eq!(dataset.catalogue.titles()[2], "Amélie: a \"film\"");
        assert_eq!(dataset.catalogue.attribute_names(), ["Animation", "Comedy"]);
        assert_eq!((dataset.users, dataset.interactions), (1, 2));
        assert_eq!(dataset.report.dropped_for("interactions", "rated lower than min_rating"), 1);
        assert_eq!(dataset.report.dropped_for("interactions", "the item is not in movies.dat"), 1);
    }

    #[test]
    fn malformed_rows_are_told_by_place() {
        let movies = b"1::a::b\n";
        let message = |ratings| read(movies, ratings).unwrap_err().to_string();
        assert!(message("5::1::4::10\n5::1::x::10\n").contains("ratings.dat:2:7: `x` is not a number, as Rating"));
        assert!(message("5::1::4\n").contains("ratings.dat:1:1: 3 fields"));
    }
}
