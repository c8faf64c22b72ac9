//! Registers of eight numbers (AVX2) and of sixteen (AVX-512), and passes that are written once for both.

/// Which registers a pass goes through.
pub trait Registers {
    /// Whether these are AVX-512's.
    const SIXTEEN: bool;
}

/// Those of eight numbers.
pub struct Eight;

impl Registers for Eight {
    const SIXTEEN: bool = false;
}

/// Those of sixteen numbers. Named by callers alone that [`registers_of_sixteen`] has said yes to.
pub struct Sixteen;

impl Registers for Sixteen {
    const SIXTEEN: bool = true;
}

/// Whether the processor has registers of sixteen numbers.
pub fn registers_of_sixteen() -> bool {
    is_x86_feature_detected!("avx512f")
}

/// A pass whose body speaks of registers in the words that [`lanes`](crate::lanes) and [`sixteen`](crate::sixteen) have in
/// common, compiled for both. It goes through those of sixteen where the processor has them and numbers fit.
macro_rules! in_registers {
    (
        $(#[$attribute:meta])*
        $(if $fits:expr;)?
        pub fn $name:ident$(<$Number:ident: $bound:ident>)?($($argument:ident: $of:ty),* $(,)?) $body:block
    ) => {
        $(#[$attribute])*
        #[target_feature(enable = "avx2,fma")]
        #[allow(unsafe_code)]
        pub fn $name$(<$Number: $bound>)?($($argument: $of),*) {
            #[target_feature(enable = "avx2,fma")]
            fn of_eight$(<$Number: $bound>)?($($argument: $of),*) {
                use $crate::lanes::*;
                $body
            }
            #[target_feature(enable = "avx2,fma,avx512f")]
            fn of_sixteen$(<$Number: $bound>)?($($argument: $of),*) {
                use $crate::sixteen::*;
                $body
            }
            if $($fits &&)? $crate::registers::registers_of_sixteen() {
                // SAFETY: the processor has AVX-512.
                return unsafe { of_sixteen$(::<$Number>)?($($argument),*) };
            }
            of_eight$(::<$Number>)?($($argument),*)
        }
    };
}
pub(crate) use in_registers;
