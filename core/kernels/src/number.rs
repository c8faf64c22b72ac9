//! Kinds of numbers that are read and written; in between all is float32.

use bytemuck::{Pod, Zeroable};
use half::bf16;
use tch::Kind;

/// A kind of numbers.
pub trait Number: Pod + Send + Sync {
    /// As libtorch names it.
    const KIND: Kind;
    /// How it is laid out.
    const FORM: Form;
}

/// How numbers are laid out.
#[derive(Clone, Copy)]
pub enum Form {
    Float32,
    Bf16,
    /// Float32, rounded to bf16 when it is read, and when it is written.
    Rounded,
}

/// A number of float32 that has the 8 bits of bf16 where it counts.
#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(transparent)]
pub struct Rounded(f32);

impl Number for f32 {
    const KIND: Kind = Kind::Float;
    const FORM: Form = Form::Float32;
}

impl Number for bf16 {
    const KIND: Kind = Kind::BFloat16;
    const FORM: Form = Form::Bf16;
}

impl Number for Rounded {
    const KIND: Kind = Kind::Float;
    const FORM: Form = Form::Rounded;
}

/// A call whose numbers are of the type that factors are kept in.
macro_rules! with_numbers {
    ($factors:expr, $Numbers:ident => $call:expr) => {
        match $factors {
            $crate::factors::Factors::Float32 => {
                type $Numbers = f32;
                $call
            }
            $crate::factors::Factors::Bf16 => {
                type $Numbers = half::bf16;
                $call
            }
            $crate::factors::Factors::Rounded => {
                type $Numbers = $crate::number::Rounded;
                $call
            }
        }
    };
}
pub(crate) use with_numbers;
