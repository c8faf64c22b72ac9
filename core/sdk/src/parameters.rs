//! Parameters of a component: one serde struct with defaults, docs and a schema.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a user may set of a component.
///
/// Derive `Serialize`, `Deserialize` and `JsonSchema`, put `#[serde(deny_unknown_fields, default)]` on the
/// struct and a doc comment on every field.
pub trait Parameters: DeserializeOwned + Serialize + JsonSchema + Default {
    /// Whether the values make sense together.
    ///
    /// # Errors
    /// Names the parameter, its value and its range.
    fn validate(&self) -> Result<()> {
        Ok(())
    }
}

/// Parameters from JSON, checked.
///
/// # Errors
/// A key is unknown, a value has another type or is out of range.
pub fn parse<P: Parameters>(json: &str) -> Result<P> {
    let parameters: P = serde_json::from_str(json).map_err(|error| Error::Parameters(error.to_string()))?;
    parameters.validate()?;
    Ok(parameters)
}

/// An error unless `value` lies in `range`.
///
/// # Errors
/// Names the parameter, its value and its range.
pub fn in_range<T>(name: &str, value: T, range: impl std::ops::RangeBounds<T> + std::fmt::Debug) -> Result<()>
where
    T: PartialOrd + std::fmt::Display,
{
    if range.contains(&value) {
        return Ok(());
    }
    Err(Error::Parameters(format!("`{name}` is {value}, but should be in {range:?}")))
}
