//! NumPy's `.npy` files, versions 1 to 3.
//!
//! The format: `\x93NUMPY`, major and minor version, the header's length (2 bytes in version 1, else 4), the
//! header, the data. The header is a Python dictionary with `descr`, `fortran_order` and `shape`.
//! <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>

use super::Matrix;
use prorl_sdk::prelude::*;

const MAGIC: &[u8] = b"\x93NUMPY";

/// The matrix in a file's bytes.
///
/// # Errors
/// The file is malformed, in column order, or of a kind that is not read.
pub(super) fn parse(bytes: &[u8]) -> Result<Matrix<'_>, String> {
    let (header, data) = split(bytes)?;
    let header = std::str::from_utf8(header).map_err(|_| "its header is not text".to_string())?;
    let fields = Literal(header).dictionary().ok_or_else(|| {
        let start: String = header.chars().take(80).collect();
        format!("its header is not a dictionary of NumPy's: {start}")
    })?;
    let field = |name: &str| {
        let found = fields.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value).ok_or_else(|| format!("its header lacks `{name}`"))
    };
    let kind = match field("descr")? {
        Value::Text("<f8") => Kind::Double,
        Value::Text("<f4") => Kind::Float,
        Value::Text("<f2") => Kind::Half,
        other => {
            return Err(format!(
                "holds numbers of kind {other:?}; convert it with `.astype('<f4')` (read are <f8, <f4, <f2)"
            ));
        }
    };
    if field("fortran_order")? != &Value::Truth(false) {
        return Err("is in column order; save it with `np.ascontiguousarray`".into());
    }
    match field("shape")? {
        Value::Shape(shape) => Matrix::new(kind, shape, data),
        other => Err(format!("its header's shape is {other:?}, not a tuple of numbers")),
    }
}

/// Header and data.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let cut = || "ends within its header; write it again".to_string();
    let rest = bytes.strip_prefix(MAGIC).ok_or("does not start with NumPy's mark; save it with `np.save`")?;
    let (&[major, _], rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk().map(|(length, rest)| (usize::from(u16::from_le_bytes(*length)), rest)),
        2 | 3 => rest.split_first_chunk().map(|(length, rest)| (u32::from_le_bytes(*length) as usize, rest)),
        other => return Err(format!("is of format version {other}; 1, 2 and 3 are read")),
    }
    .ok_or_else(cut)?;
    rest.split_at_checked(length).ok_or_else(cut)
}

/// A value of the header.
#[derive(Debug, PartialEq)]
enum Value<'a> {
    Text(&'a str),
    Truth(bool),
    Shape(Vec<u64>),
}

/// What is left to read of a Python literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    /// `{'key': value, …}` and nothing after it.
    fn dictionary(mut self) -> Option<Vec<(&'a str, Value<'a>)>> {
        let mut fields = Vec::new();
        self.take("{")?;
        while self.take("}").is_none() {
            let key = self.text()?;
            self.take(":")?;
            fields.push((key, self.value()?));
            if self.take(",").is_none() {
                self.take("}")?;
                break;
            }
        }
        self.0.trim().is_empty().then_some(fields)
    }

    fn value(&mut self) -> Option<Value<'a>> {
        if self.take("True").is_some() {
            return Some(Value::Truth(true));
        }
        if self.take("False").is_some() {
            return Some(Value::Truth(false));
        }
        if self.take("(").is_some() {
            return self.shape();
        }
        self.text().map(Value::Text)
    }

    /// `3, 4)`, behind the opening bracket.
    fn shape(&mut self) -> Option<Value<'a>> {
        let mut sizes = Vec::new();
        while self.take(")").is_none() {
            let rest = self.0.trim_start();
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            sizes.push(rest[..end].parse().ok()?);
            self.0 = &rest[end..];
            if self.take(",").is_none() {
                self.take(")")?;
                break;
            }
        }
        Some(Value::Shape(sizes))
    }

    fn text(&mut self) -> Option<&'a str> {
        let quote = if self.take("'").is_some() { '\'' } else { self.take("\"").map(|()| '"')? };
        let (text, rest) = self.0.split_once(quote)?;
        self.0 = rest;
        Some(text)
    }

    /// Steps over `token`, if it comes next.
    fn take(&mut self, token: &str) -> Option<()> {
        self.0 = self.0.trim_start().strip_prefix(token)?;
        Some(())
    }
}
