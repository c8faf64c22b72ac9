//! What must hold of every tokenizer.

use super::examples::{CODEBOOK, ITEMS};
use super::finding::{Finding, answered, close, ensure, holds_everywhere, wrong};
use super::{Entry, Subject};
use crate::closeness::EXACT;
use prorl_sdk::foreign::ForeignTokenizer;
use prorl_sdk::prelude::*;
use std::path::PathBuf;

pub const CHECKS: &[Entry] = &[
    ("every item gets a code of its own, padding zeros", codes),
    ("the same seed gives the same codes", repeatable),
    ("the catalogue is left as it was", untouched),
    ("the figures it reports are finite", figures),
    ("one item is enough, or refused by an error", one_item),
    ("a catalogue without items is refused by an error, or answered", no_items),
];

/// A file of codes for tokenizers that read one; removed when dropped.
struct CodeFile(PathBuf);

impl CodeFile {
    fn write(items: i64) -> Finding<Self> {
        let code = |item: i64| [item / CODEBOOK, item % CODEBOOK, 1];
        let records = (1..=items).map(|item| format!("\"item-{item}\": {:?}", code(item)));
        let text = format!("{{{}}}", records.collect::<Vec<_>>().join(", "));
        let path = std::env::temp_dir().join(format!("prorl-conformance-{}-{items}.sem_ids", std::process::id()));
        match std::fs::write(&path, text) {
            Ok(()) => Ok(Self(path)),
            Err(error) => wrong(format!("cannot write {}: {error}", path.display())),
        }
    }
}

impl Drop for CodeFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn made(subject: &Subject<'_>) -> Finding<ForeignTokenizer> {
    tch::manual_seed(1);
    let (description, setup) = (subject.description, subject.problem.setup(false));
    Ok(ForeignTokenizer::make(subject.module, &description.name, &description.defaults, &setup)?)
}

/// The catalogue with a file of codes beside it.
fn catalogue(subject: &Subject<'_>, items: i64) -> Finding<(Catalogue, CodeFile)> {
    let file = CodeFile::write(items)?;
    let semantic_ids = Some(file.0.display().to_string());
    Ok((Catalogue { semantic_ids, ..subject.problem.catalogue(items) }, file))
}

fn table(subject: &Subject<'_>) -> Finding<CodeTable> {
    let (catalogue, _file) = catalogue(subject, ITEMS)?;
    Ok(made(subject)?.tokenize(&catalogue)?)
}

fn codes(subject: &Subject<'_>) -> Finding {
    sound(&table(subject)?, ITEMS)
}

fn sound(table: &CodeTable, items: i64) -> Finding {
    let (codes, size) = (&table.codes, table.codes.size());
    let shaped = size.len() == 2 && size[0] == items + 1 && size[1] > 0;
    ensure(shaped, || format!("the table has shape {size:?}, but should have [{}, digits]", items + 1))?;
    ensure(codes.kind() == Kind::Int64, || format!("the table is {:?}, but should be Int64", codes.kind()))?;
    let within = codes.ge(0).logical_and(&codes.lt(table.codebook_size));
    holds_everywhere("a digit", &format!("in 0..{}", table.codebook_size), codes, &within)?;
    holds_everywhere("padding's code", "zeros", &codes.get(0), &codes.get(0).eq(0))?;
    let (distinct, _, _) = codes.narrow(0, 1, items).unique_dim(0, true, false, false);
    let shared = items - distinct.size()[0];
    ensure(shared == 0, || format!("{shared} of {items} items share their code with another"))
}

fn repeatable(subject: &Subject<'_>) -> Finding {
    let (first, second) = (table(subject)?, table(subject)?);
    close("codes of a second run", &second.codes, &first.codes, EXACT)
}

fn untouched(subject: &Subject<'_>) -> Finding {
    let (catalogue, _file) = catalogue(subject, ITEMS)?;
    made(subject)?.tokenize(&catalogue)?;
    let before = subject.problem.catalogue(ITEMS);
    close("attribute_offsets", &catalogue.attribute_offsets, &before.attribute_offsets, EXACT)?;
    close("attribute_values", &catalogue.attribute_values, &before.attribute_values, EXACT)?;
    close("sequence_offsets", &catalogue.sequence_offsets, &before.sequence_offsets, EXACT)?;
    close("sequence_items", &catalogue.sequence_items, &before.sequence_items, EXACT)
}

fn figures(subject: &Subject<'_>) -> Finding {
    for (name, value) in table(subject)?.report {
        ensure(value.is_finite(), || format!("`{name}` is {value}"))?;
    }
    Ok(())
}

fn one_item(subject: &Subject<'_>) -> Finding {
    let (catalogue, _file) = catalogue(subject, 1)?;
    let table = answered("a catalogue of one item", made(subject)?.tokenize(&catalogue))?;
    table.map_or(Ok(()), |table| sound(&table, 1))
}

fn no_items(subject: &Subject<'_>) -> Finding {
    let (catalogue, _file) = catalogue(subject, 0)?;
    answered("a catalogue without items", made(subject)?.tokenize(&catalogue)).map(|_| ())
}
