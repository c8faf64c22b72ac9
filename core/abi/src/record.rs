//! Records: the arguments and results of every call that crosses the boundary.
//!
//! A record is a short list of named values. Typed structs stand at both ends (`prorl-sdk` makes
//! them); between, names keep the layout fixed for ever while a struct may gain an optional field.

use crate::fault::{Fault, FaultKind};
use crate::tensor::TensorHandle;
use abi_stable::StableAbi;
use abi_stable::std_types::{RString, RVec};
use tch::Tensor;

/// A value of a record.
#[repr(u8)]
#[derive(StableAbi)]
pub enum Value {
    Flag(bool),
    Integer(i64),
    Number(f64),
    Text(RString),
    Texts(RVec<RString>),
    Tensor(TensorHandle),
    Tensors(RVec<NamedTensor>),
    Numbers(RVec<NamedNumber>),
}

/// A tensor with its name.
#[repr(C)]
#[derive(StableAbi)]
pub struct NamedTensor {
    pub name: RString,
    pub tensor: TensorHandle,
}

/// A number with its name.
#[repr(C)]
#[derive(StableAbi)]
pub struct NamedNumber {
    pub name: RString,
    pub number: f64,
}

/// A value with its name.
#[repr(C)]
#[derive(StableAbi)]
pub struct Field {
    pub name: RString,
    pub value: Value,
}

/// Named values, in the order in which they were added.
#[repr(C)]
#[derive(StableAbi, Default)]
pub struct Record {
    fields: RVec<Field>,
}

impl Record {
    /// A record without fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field; a value that stands for "absent" adds none.
    pub fn put<T: FieldValue>(&mut self, name: &str, value: &T) {
        if let Some(value) = value.encode() {
            self.fields.push(Field { name: name.into(), value });
        }
    }

    /// Takes a field out.
    ///
    /// # Errors
    /// The field is absent and not optional, or has another type; the message names it.
    pub fn take<T: FieldValue>(&mut self, name: &str) -> Result<T, Fault> {
        let position = self.fields.iter().position(|field| field.name == name);
        let value = position.map(|index| self.fields.swap_remove(index).value);
        T::decode(value).map_err(|found| {
            let message = format!("field `{name}` should be {}, but is {found}", T::NAME);
            Fault::new(FaultKind::Internal, message)
        })
    }
}

impl Value {
    fn name(&self) -> &'static str {
        match self {
            Value::Flag(_) => "a flag",
            Value::Integer(_) => "an integer",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::Texts(_) => "a list of texts",
            Value::Tensor(_) => "a tensor",
            Value::Tensors(_) => "a list of named tensors",
            Value::Numbers(_) => "a list of named numbers",
        }
    }
}

/// A Rust type that can stand in a record's field.
pub trait FieldValue: Sized {
    /// What a field of this type is called in messages.
    const NAME: &'static str;
    /// The value, or none for "absent".
    fn encode(&self) -> Option<Value>;
    /// The type back from its value.
    ///
    /// # Errors
    /// What was found instead.
    fn decode(value: Option<Value>) -> Result<Self, &'static str>;
}

macro_rules! field_value {
    ($type:ty, $name:literal, $variant:ident, $self:ident => $encode:expr, $inner:ident => $decode:expr) => {
        impl FieldValue for $type {
            const NAME: &'static str = $name;
            fn encode(&$self) -> Option<Value> {
                Some(Value::$variant($encode))
            }
            fn decode(value: Option<Value>) -> Result<Self, &'static str> {
                match value {
                    Some(Value::$variant($inner)) => Ok($decode),
                    Some(other) => Err(other.name()),
                    None => Err("absent"),
                }
            }
        }
    };
}

field_value!(bool, "a flag", Flag, self => *self, inner => inner);
field_value!(i64, "an integer", Integer, self => *self, inner => inner);
field_value!(f64, "a number", Number, self => *self, inner => inner);
field_value!(String, "a text", Text, self => self.as_str().into(), inner => inner.into());
field_value!(Vec<String>, "a list of texts", Texts,
    self => self.iter().map(|text| text.as_str().into()).collect(),
    inner => inner.into_iter().map(String::from).collect());
field_value!(Tensor, "a tensor", Tensor, self => self.shallow_clone().into(), inner => inner.into());
field_value!(Vec<(String, Tensor)>, "a list of named tensors", Tensors,
    self => self.iter().map(|(name, tensor)| NamedTensor {
        name: name.as_str().into(), tensor: tensor.shallow_clone().into() }).collect(),
    inner => inner.into_iter().map(|named| (named.name.into(), named.tensor.into())).collect());
field_value!(Vec<(String, f64)>, "a list of named numbers", Numbers,
    self => self.iter().map(|(name, number)| NamedNumber {
        name: name.as_str().into(), number: *number }).collect(),
    inner => inner.into_iter().map(|named| (named.name.into(), named.number)).collect());

impl<T: FieldValue> FieldValue for Option<T> {
    const NAME: &'static str = T::NAME;
    fn encode(&self) -> Option<Value> {
        self.as_ref().and_then(FieldValue::encode)
    }
    fn decode(value: Option<Value>) -> Result<Self, &'static str> {
        value.map(|value| T::decode(Some(value))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_field_and_a_wrong_type_are_named() {
        let mut record = Record::new();
        record.put("group", &3i64);
        let wrong = record.take::<f64>("group").map_err(|fault| fault.to_string());
        assert_eq!(wrong, Err("field `group` should be a number, but is an integer".into()));
        let absent = record.take::<i64>("beams").map_err(|fault| fault.to_string());
        assert_eq!(absent, Err("field `beams` should be an integer, but is absent".into()));
        assert!(matches!(record.take::<Option<i64>>("beams"), Ok(None)));
    }
}
