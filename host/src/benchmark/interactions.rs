//! Logs of any number of interactions, written for timing and read as any data set is.

use super::python::Python;
use super::{Timing, memory};
use anyhow::{Context, Result};
use prorl_data::{Dataset, ReadOptions};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

/// Interactions of a user, as in MovieLens 25M.
const OF_A_USER: u64 = 154;
/// Interactions of an item, as there.
const OF_AN_ITEM: u64 = 424;
/// Attributes; each item has one.
const ATTRIBUTES: u64 = 20;
/// Of four interactions, so many stay with the attribute of the last one.
const STAYING: u64 = 3;

/// What a log's files are called.
const NAME: &str = "log";

/// Writes `count` interactions as RecBole atomic files into `folder`, which is made: user after user, in time.
///
/// # Errors
/// The files cannot be written.
pub fn write(folder: &Path, count: u64) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let open = |extension: &str| -> Result<BufWriter<File>> {
        let path = folder.join(format!("{NAME}.{extension}"));
        Ok(BufWriter::new(File::create(&path).with_context(|| format!("writing {}", path.display()))?))
    };
    let items = (count / OF_AN_ITEM).max(ATTRIBUTES * 4);
    let mut file = open("item")?;
    writeln!(file, "item_id:token\tclass:token_seq")?;
    for item in 0..items {
        writeln!(file, "{item}\tc{}", item % ATTRIBUTES)?;
    }
    file.flush()?;
    let mut file = open("inter")?;
    writeln!(file, "user_id:token\titem_id:token\trating:float\ttimestamp:float")?;
    let (mut random, mut attribute) = (Splitmix(count), 0);
    for time in 0..count {
        let draw = random.next();
        if draw % 4 >= STAYING {
            attribute = (draw >> 8) % ATTRIBUTES;
        }
        // A product of two uniform numbers prefers small ones: some items are popular.
        let places = items / ATTRIBUTES;
        let place = (random.next() % places) * (random.next() % places) / places;
        let item = (place * ATTRIBUTES + attribute).min(items - 1);
        writeln!(file, "{}\t{item}\t4.0\t{}", time / OF_A_USER, 1_000_000_000 + time)?;
    }
    file.flush()?;
    Ok(())
}

/// Seconds and memory that reading `folder` and cutting it into examples takes, and what came of it.
///
/// # Errors
/// The folder cannot be read.
pub fn read(folder: &Path) -> Result<(Timing, Dataset)> {
    memory::forget_peak();
    let started = Instant::now();
    let dataset = Dataset::open(folder, &ReadOptions::default())?;
    let seconds = started.elapsed().as_secs_f64();
    let what = format!("{} interactions, {} examples", dataset.interactions, dataset.train.len());
    Ok((Timing { name: "read".into(), seconds, what, peak: memory::peak() }, dataset))
}

/// Writes a log of `count` interactions into `folder/log`, where it stays, reads it, and has RecBole read it where there
/// is a Python: a text of a line each.
///
/// # Errors
/// The folder cannot be written or read, or Python does not start. Where RecBole fails, the text says how.
pub fn compare(folder: &Path, count: u64, python: Option<&Python>) -> Result<String> {
    write(&folder.join(NAME), count)?;
    let folder = folder.canonicalize().with_context(|| format!("looking at {}", folder.display()))?;
    let (timing, dataset) = read(&folder.join(NAME))?;
    drop(dataset);
    memory::forget_peak();
    let mut text = line("", &timing, timing.peak, count);
    let Some(python) = python else { return Ok(text) };
    let outcome = python.load(&folder, NAME)?;
    for timing in &outcome.timings {
        text += &line("RecBole: ", timing, outcome.peak, count);
    }
    if let Some(complaint) = outcome.complaint {
        text += &format!("RecBole failed: {}\n", complaint.trim_end().lines().last().unwrap_or("it was killed"));
    }
    Ok(text)
}

fn line(whose: &str, timing: &Timing, peak: Option<u64>, count: u64) -> String {
    let held = peak.map_or(String::new(), |peak| {
        format!("; at most {} MiB, {:.0} bytes an interaction", peak >> 20, peak as f64 / count.max(1) as f64)
    });
    format!("{whose}{} {:.2} s, {}{held}\n", timing.name, timing.seconds, timing.what)
}

/// SplitMix64 (Steele et al., 2014): enough for a log that nobody learns from.
struct Splitmix(u64);

impl Splitmix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 5_000).unwrap();
        let (timing, dataset) = read(folder.path()).unwrap();
        assert_eq!((dataset.interactions, dataset.users), (5_000, 33));
        assert!(!dataset.train.is_empty() && timing.seconds > 0.0);
    }

    #[test]
    fn a_comparison_without_python_leaves_the_log_and_tells_what_reading_it_took() {
        let folder = tempfile::tempdir().unwrap();
        let text = compare(folder.path(), 5_000, None).unwrap();
        assert!(text.starts_with("read ") && text.contains("5000 interactions"), "{text}");
        assert!(read(&folder.path().join(NAME)).is_ok());
    }
}
