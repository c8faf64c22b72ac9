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
/// common, compiled for both. It goes through those that the caller names, `by` a type of [`Registers`]; or through those of
/// sixteen where the processor has them and numbers fit.
macro_rules! in_registers {
    (
        $(#[$attribute:meta])*
        by $Registers:ident;
        pub fn $name:ident($($argument:ident: $of:ty),* $(,)?) $(-> $result:ty)? $body:block
    ) => {
        $(#[$attribute])*
        #[inline]
        #[target_feature(enable = "avx2,fma")]
        #[allow(unsafe_code)]
        pub fn $name<$Registers: $crate::registers::Registers>($($argument: $of),*) $(-> $result)? {
            $crate::registers::in_registers!(@both [] ($($argument: $of),*) [$(-> $result)?] $body);
            if $Registers::SIXTEEN {
                // SAFETY: the processor has AVX-512, or its registers would not have been named.
                return unsafe { of_sixteen($($argument),*) };
            }
            of_eight($($argument),*)
        }
    };
    (
        $(#[$attribute:meta])*
        $(if $fits:expr;)?
        pub fn $name:ident$(<$($Number:ident: $bound:ident),+>)?($($argument:ident: $of:ty),* $(,)?) $body:block
    ) => {
        $(#[$attribute])*
        #[target_feature(enable = "avx2,fma")]
        #[allow(unsafe_code)]
        pub fn $name$(<$($Number: $bound),+>)?($($argument: $of),*) {
            $crate::registers::in_registers!(@both [$(<$($Number: $bound),+>)?] ($($argument: $of),*) [] $body);
            if $($fits &&)? $crate::registers::registers_of_sixteen() {
                // SAFETY: the processor has AVX-512.
                return unsafe { of_sixteen$(::<$($Number),+>)?($($argument),*) };
            }
            of_eight$(::<$($Number),+>)?($($argument),*)
        }
    };
    (@both [$($generics:tt)*] ($($argument:ident: $of:ty),*) [$($result:tt)*] $body:block) => {
        #[target_feature(enable = "avx2,fma")]
        fn of_eight$($generics)*($($argument: $of),*) $($result)* {
            use $crate::lanes::*;
            $body
        }
        #[target_feature(enable = "avx2,fma,avx512f")]
        fn of_sixteen$($generics)*($($argument: $of),*) $($result)* {
            use $crate::sixteen::*;
            $body
        }
    };
}
pub(crate) use in_registers;
