//! The component: the file's records put in the catalogue's order.

use crate::code_file::CodeFile;
use prorl_sdk::prelude::*;
use std::collections::HashMap;
use std::path::PathBuf;

/// How many items a message names.
const NAMED: usize = 5;

/// What a user may set of `sem-ids`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SemIdsParameters {
    /// The `.sem_ids` file (JSON: raw item id → list of digits); absent: the data set's own.
    pub path: Option<String>,
    /// Entries of one codebook; every digit of the file, the last included, is below it.
    #[schemars(range(min = 2, max = 65_536))]
    pub codebook_size: i64,
}

impl Default for SemIdsParameters {
    fn default() -> Self {
        Self { path: None, codebook_size: 256 }
    }
}

impl Parameters for SemIdsParameters {
    fn validate(&self) -> Result<()> {
        in_range("codebook_size", self.codebook_size, 2..=65_536)
    }
}

/// Gives items the codes of a published `.sem_ids` file.
///
/// Any number of digits will do. Files whose last digit only tells collisions apart (1, 2, …) are read as
/// they are: the digit stays as written, so that the token of digit `i` is `c_i + codebook_size·i + 1`.
/// Records of items that the catalogue lacks are passed over and counted.
#[derive(Debug)]
pub struct SemIds {
    parameters: SemIdsParameters,
}

prorl_sdk::register_tokenizer!("sem-ids", "Item codes read from a `.sem_ids` file.", SemIds);

impl Tokenizer for SemIds {
    type Parameters = SemIdsParameters;

    fn create(parameters: SemIdsParameters, _: &Setup) -> Result<Self> {
        Ok(Self { parameters })
    }

    fn tokenize(&mut self, catalogue: &Catalogue) -> Result<CodeTable> {
        let path = self.path(catalogue)?;
        let codebook_size = self.parameters.codebook_size;
        let file = CodeFile::read(&path, codebook_size)?;
        let codes = in_catalogue_order(&file, catalogue.raw_ids.get(1..).unwrap_or_default())
            .and_then(|codes| distinct(&codes, &catalogue.raw_ids[1..]).map(|()| codes))
            .map_err(|message| Error::Input(format!("item codes {}: {message}", path.display())))?;
        let shape = [codes.len() as i64 + 1, file.levels() as i64];
        let padding = vec![0; file.levels()];
        let digits: Vec<i64> =
            std::iter::once(padding.as_slice()).chain(codes.iter().copied()).flatten().copied().collect();
        Ok(CodeTable {
            codes: Tensor::from_slice(&digits).view(shape.as_slice()), // [V + 1, L]
            codebook_size,
            report: report(&file, &codes),
        })
    }
}

impl SemIds {
    fn path(&self, catalogue: &Catalogue) -> Result<PathBuf> {
        let path = self.parameters.path.as_ref();
        path.or(catalogue.semantic_ids.as_ref()).map(PathBuf::from).ok_or_else(|| {
            Error::Input(
                "the data set has no `.sem_ids` file; set `path` to one, or let the tokenizer `rq-kmeans` make codes"
                    .into(),
            )
        })
    }
}

/// The digits of every item of the catalogue.
fn in_catalogue_order<'a>(file: &'a CodeFile, ids: &[String]) -> Result<Vec<&'a [i64]>, String> {
    if ids.is_empty() {
        return Err("the catalogue has no items".into());
    }
    let by_id: HashMap<&str, &[i64]> =
        file.records.iter().map(|(id, digits)| (id.as_str(), digits.as_slice())).collect();
    let codes: Vec<&[i64]> = ids.iter().filter_map(|id| by_id.get(id.as_str()).copied()).collect();
    if codes.len() == ids.len() {
        return Ok(codes);
    }
    let missing: Vec<String> =
        ids.iter().filter(|id| !by_id.contains_key(id.as_str())).take(NAMED).map(|id| format!("`{id}`")).collect();
    Err(format!(
        "{} of the catalogue's {} items have no code, the first of them {}; use the file that was made for this data set, or let the tokenizer `rq-kmeans` make codes",
        ids.len() - codes.len(),
        ids.len(),
        missing.join(", "),
    ))
}

/// Refuses two items with one code.
fn distinct(codes: &[&[i64]], ids: &[String]) -> Result<(), String> {
    let mut owners: HashMap<&[i64], &str> = HashMap::new();
    for (&code, id) in codes.iter().zip(ids) {
        if let Some(other) = owners.insert(code, id) {
            return Err(format!(
                "items `{other}` and `{id}` both have the code {code:?}; give one of them another last digit"
            ));
        }
    }
    Ok(())
}

fn report(file: &CodeFile, codes: &[&[i64]]) -> Vec<(String, f64)> {
    let mut groups: HashMap<&[i64], usize> = HashMap::new();
    for code in codes {
        *groups.entry(&code[..code.len() - 1]).or_default() += 1;
    }
    let sharing = groups.values().filter(|&&size| size > 1);
    let figures = [
        ("items", codes.len()),
        ("ignored", file.records.len() - codes.len()),
        ("levels", file.levels()),
        ("collisions", sharing.clone().sum()),
        ("largest_collision", sharing.max().copied().unwrap_or(0)),
    ];
    figures.map(|(name, value)| (name.into(), value as f64)).into()
}
