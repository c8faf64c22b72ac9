//! Published ProRL files: examples ready made.
//!
//! `X.train`, `X.val` and `X.test` are JSON lists of records ([`records`]); items are those of `X.item` (an atomic
//! file), or of `X.datamaps` where there is none. In training and validation records the path's last item is the
//! target; in test records the random target is appended to the path.

mod datamaps;
mod json;
mod records;

use crate::assembly::warn_if_empty;
use crate::catalogue::Catalogue;
use crate::dataset::{Dataset, Example};
use crate::error::DataError;
use crate::options::ReadOptions;
use crate::read::atomic::read_items;
use crate::read::folder::{Folder, stem};
use crate::read::reading::Reading;
use crate::sequences::Sequences;
use crate::split::is_held_out;
use datamaps::Datamaps;
use records::Record;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// Reads a folder of published files.
///
/// # Errors
/// Training and validation file are both missing, no file lists the items, or a file is malformed.
pub(crate) fn open(folder: &Folder, options: &ReadOptions) -> Result<Dataset, DataError> {
    let mut reading = Reading::new("published ProRL files", options);
    let maps = folder.one("datamaps")?.map(|path| Datamaps::read(&mut reading, path)).transpose()?;
    let mut catalogue = items(&mut reading, folder, maps.as_ref())?;
    if options.only_coded_items {
        catalogue = coded_items(&mut reading, folder, catalogue)?;
    }
    let mut examples = |extension| -> Result<Option<Vec<Example>>, DataError> {
        folder.one(extension)?.map(|path| examples(&mut reading, path, &catalogue)).transpose()
    };
    let (train, validation, test) = (examples("train")?, examples("val")?, examples("test")?);
    let (train, validation) = match (train, validation) {
        (Some(train), Some(validation)) => (train, validation),
        (Some(records), None) => hold_out(&mut reading, records, "training"),
        (None, Some(records)) => hold_out(&mut reading, records, "validation"),
        (None, None) => {
            let problem = format!("has neither a `*.train` nor a `*.val` file; found {}", folder.contents());
            return Err(DataError::folder(folder.path(), problem));
        }
    };
    let name = ["train", "val", "test"].iter().find_map(|it| folder.one(it).ok().flatten().map(stem));
    let (semantic_ids, embeddings) = reading.item_features(folder)?;
    let sequences = sequences(&train);
    let users = maps.map_or(0, |maps| maps.users()).max(named_users(train.iter().chain(&validation)));
    let (report, hash) = reading.finish();
    let mut dataset = Dataset {
        name: name.unwrap_or_default(),
        catalogue,
        interactions: sequences.items().len(),
        train,
        validation,
        test: test.unwrap_or_default(),
        sequences,
        users,
        semantic_ids,
        embeddings,
        report,
        hash,
    };
    warn_if_empty(&mut dataset);
    Ok(dataset)
}

/// The catalogue of `.item`, or else of `.datamaps`.
fn items(reading: &mut Reading<'_>, folder: &Folder, maps: Option<&Datamaps>) -> Result<Catalogue, DataError> {
    if let Some(path) = folder.one("item")? {
        return Ok(read_items(reading, path)?.0);
    }
    let maps = maps.ok_or_else(|| {
        let found = folder.contents();
        DataError::folder(
            folder.path(),
            format!("has neither `*.item` nor `*.datamaps`, one of which must list the items; found {found}"),
        )
    })?;
    reading.report.note("there is no .item file, so items and attributes are those of .datamaps");
    Ok(maps.catalogue(&mut reading.report, &reading.options.ignore_attributes))
}

/// The items that the data set's own codes can spell. Without codes, or where they spell all, nothing changes.
fn coded_items(reading: &mut Reading<'_>, folder: &Folder, catalogue: Catalogue) -> Result<Catalogue, DataError> {
    let Some(&path) = folder.with_extension("sem_ids").first() else { return Ok(catalogue) };
    let text = std::fs::read_to_string(path).map_err(DataError::io("read", path))?;
    let codes: HashMap<String, Vec<i64>> = json::parse(path, &text)?;
    let raw_ids = catalogue.raw_ids();
    let (kept, _) = catalogue.filtered(|item| codes.contains_key(&raw_ids[item as usize]));
    reading.report.drop_counted("items", "no code in .sem_ids (only_coded_items)", catalogue.len() - kept.len());
    Ok(kept)
}

fn examples(reading: &mut Reading<'_>, path: &Path, catalogue: &Catalogue) -> Result<Vec<Example>, DataError> {
    let text = reading.text(path)?;
    let records = records::read(path, &text)?;
    reading.records(records.len());
    let mut examples = Vec::with_capacity(records.len());
    for record in &records {
        match example(record, catalogue, reading.options) {
            Ok(example) => examples.push(example),
            Err(reason) => reading.report.drop_counted("examples", reason, 1),
        }
    }
    Ok(examples)
}

/// A record with item ids, or why it gives no example.
fn example(record: &Record, catalogue: &Catalogue, options: &ReadOptions) -> Result<Example, &'static str> {
    let ids = |items: &[String]| items.iter().map(|raw| catalogue.id_of(raw)).collect::<Option<Vec<u32>>>();
    let unknown = "an item is not in the catalogue";
    let recent = &record.history[record.history.len().saturating_sub(options.history)..];
    if recent.is_empty() {
        return Err("the history is empty");
    }
    if record.path.len() > options.path_items {
        return Err("the path is longer than path_items");
    }
    Ok(Example {
        user: record.user.as_deref().map(Into::into),
        history: ids(recent).ok_or(unknown)?,
        path: ids(&record.path).ok_or(unknown)?,
        target: catalogue.id_of(&record.target).ok_or(unknown)?,
    })
}

/// Training examples, and those of users held out; examples without a user are held out by what they hold.
fn hold_out(reading: &mut Reading<'_>, examples: Vec<Example>, which: &str) -> (Vec<Example>, Vec<Example>) {
    let (share, seed) = (reading.options.held_out, reading.options.seed);
    let held_out = |example: &Example| match &example.user {
        Some(user) => is_held_out(user, share, seed),
        None => is_held_out(&format!("{:?} {:?} {}", example.history, example.path, example.target), share, seed),
    };
    let (validation, train): (Vec<_>, Vec<_>) = examples.into_iter().partition(held_out);
    reading.report.note(format!(
        "only the {which} file is there: {} of its examples train and {} validate (those of {:.0} % of its users, \
         chosen by hash)",
        train.len(),
        validation.len(),
        100.0 * share
    ));
    (train, validation)
}

fn sequences(train: &[Example]) -> Sequences {
    let mut sequences = Sequences::default();
    for example in train {
        sequences.push(example.history.iter().copied().chain(example.path_and_target()));
    }
    sequences
}

fn named_users<'a>(examples: impl Iterator<Item = &'a Example>) -> usize {
    examples.filter_map(|example| example.user.as_deref()).collect::<HashSet<_>>().len()
}

#[cfg(test)]
mod tests;
