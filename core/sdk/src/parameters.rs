//! Parameters of a component: one serde struct with defaults, docs and a schema.

use crate::error::{Error, Result};
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

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

/// Parameters from JSON, checked. What is absent, in nested tables too, is `P`'s default.
///
/// # Errors
/// A key is unknown, a value has another type or is out of range.
pub fn parse<P: Parameters>(json: &str) -> Result<P> {
    let wrong = |error: serde_json::Error| Error::Parameters(error.to_string());
    let mut whole = serde_json::to_value(P::default()).map_err(wrong)?;
    lay_over(&mut whole, serde_json::from_str(json).map_err(wrong)?);
    let parameters: P = serde_json::from_value(whole).map_err(wrong)?;
    parameters.validate()?;
    Ok(parameters)
}

/// Nested tables have defaults of their own type, which need not be the component's.
fn lay_over(below: &mut Value, above: Value) {
    match (below, above) {
        (Value::Object(below), Value::Object(above)) => {
            for (key, value) in above {
                lay_over(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, above) => *below = above,
    }
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
