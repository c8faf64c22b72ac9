//! Typed structs that cross the boundary as records.

use crate::error::Result;
use prorl_abi::record::Record;

/// A struct that crosses the boundary as a record of its fields.
pub trait Crossing: Sized {
    /// The record; tensors are shared, not copied.
    fn to_record(&self) -> Record;
    /// The struct back.
    ///
    /// # Errors
    /// A field is absent or has another type; the message names it.
    fn from_record(record: Record) -> Result<Self>;
}

/// Declares structs whose fields are the fields of a record.
#[macro_export]
macro_rules! crossing {
    ($($(#[$meta:meta])* pub struct $name:ident {
        $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)*
    })*) => {$(
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }

        impl $crate::crossing::Crossing for $name {
            fn to_record(&self) -> $crate::abi::record::Record {
                #[allow(unused_mut)]
                let mut record = $crate::abi::record::Record::new();
                $(record.put(stringify!($field), &self.$field);)*
                record
            }
            #[allow(unused_mut, unused_variables)]
            fn from_record(mut record: $crate::abi::record::Record) -> $crate::error::Result<Self> {
                Ok(Self { $($field: record.take(stringify!($field))?,)* })
            }
        }
    )*};
}
