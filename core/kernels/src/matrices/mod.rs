//! Products of small matrices of bf16 in the processor's own registers of matrices (AMX), with sums in float32.
//!
//! A register holds 16 rows of 64 bytes. A left factor lies row by row. A right factor lies in blocks of 32 rows and 16
//! columns, block after block across and then down, and in a block each row is two rows of the factor, number by number:
//! `block[i][2 j + p] = right[2 i + p][j]`.
//!
//! Sums flush numbers too small for normal float32 to 0, and so does rounding to bf16 here.
#![allow(unsafe_code)]

mod layout;

pub use layout::{pairs, put, rounded, rows, turned, turned_pairs};

use crate::number::{Form, Number};
use crate::tiles::{Onto, WIDE};
use half::bf16;
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Rows of a factor that one step sums over.
pub const DEEP: usize = 32;
/// Rows of results that are summed together.
pub const HIGH: usize = 16;
/// Numbers of a block of a right factor.
pub const BLOCK: usize = DEEP * WIDE;

/// The registers, laid out for 16 rows of 64 bytes each, on the thread that asked for them until this is dropped.
pub struct Matrices(PhantomData<*const ()>);

impl Matrices {
    /// The registers for heads of `width` numbers of a kind; none where the processor or the system has none, or where
    /// such numbers are not multiplied in them.
    pub fn of<N: Number>(width: usize) -> Option<Self> {
        /// What is in the registers: 64 bytes of 16 rows of each.
        #[repr(C, align(64))]
        struct Shape([u8; 64]);
        if !serve::<N>(width) {
            return None;
        }
        let mut shape = Shape([0; 64]);
        shape.0[0] = 1; // The only palette there is.
        for register in 0..8 {
            (shape.0[16 + 2 * register], shape.0[48 + register]) = (64, HIGH as u8);
        }
        // SAFETY: the processor has the instruction, and the system lets this process use it; the shape is 64 bytes.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shape, options(nostack, readonly, preserves_flags)) };
        Some(Self(PhantomData))
    }
}

impl Drop for Matrices {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// Whether heads of `width` numbers of a kind are multiplied here.
pub fn serve<N: Number>(width: usize) -> bool {
    static SERVE: OnceLock<bool> = OnceLock::new();
    matches!(N::FORM, Form::Bf16) && width.is_multiple_of(DEEP) && *SERVE.get_or_init(are_there)
}

/// Whether the processor multiplies matrices of bf16 and rounds to it in vectors, and the system saves the registers.
fn are_there() -> bool {
    /// AMX's bits of leaf 7: products of bf16, and the registers themselves.
    const BOTH: u32 = 1 << 22 | 1 << 24;
    let vectors = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16");
    // SAFETY: every processor with such vectors has leaf 7. (In later versions of Rust the call is safe.)
    #[allow(unused_unsafe)]
    let matrices = vectors && unsafe { __cpuid_count(7, 0) }.edx & BOTH == BOTH;
    matrices && permitted()
}

/// Asks Linux for room to save the registers in, which it gives to processes that ask.
#[cfg(target_os = "linux")]
fn permitted() -> bool {
    use std::ffi::c_long;
    unsafe extern "C" {
        fn syscall(number: c_long, ...) -> c_long;
    }
    /// `arch_prctl` of x86-64, what is asked of it, and the part of the processor's state that is meant.
    const ARCH_PRCTL: c_long = 158;
    const ARCH_REQ_XCOMP_PERM: c_long = 0x1023;
    const TILE_DATA: c_long = 18;
    // SAFETY: the call reads and writes no memory of this process.
    unsafe { syscall(ARCH_PRCTL, ARCH_REQ_XCOMP_PERM, TILE_DATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn permitted() -> bool {
    false
}

/// A left factor from some row on.
#[derive(Clone, Copy)]
pub struct Left<'a> {
    pub numbers: &'a [bf16],
    /// Numbers from one row to the next.
    pub row: usize,
    /// Numbers from the first of a step to the first of the next.
    pub step: usize,
}

/// A right factor in blocks, from some block on.
#[derive(Clone, Copy)]
pub struct Right<'a> {
    pub numbers: &'a [bf16],
    /// Blocks side by side.
    pub across: usize,
}

/// Sums over `steps` steps of 16 rows times `across` columns, whole blocks, onto rows of `into`, `stride` apart.
///
/// # Panics
/// A factor ends before its last step, `into` before its last row, or a matrix is empty.
#[allow(clippy::too_many_arguments)]
pub fn product(
    _: &Matrices,
    left: Left<'_>,
    right: Right<'_>,
    steps: usize,
    across: usize,
    onto: Onto,
    into: &mut [f32],
    stride: usize,
) {
    let blocks = across / WIDE;
    assert!(steps > 0 && blocks > 0, "{steps} steps, {across} columns");
    assert!(left.numbers.len() >= (steps - 1) * left.step + (HIGH - 1) * left.row + DEEP, "a left factor ends early");
    assert!(right.numbers.len() >= ((steps - 1) * right.across + blocks) * BLOCK, "a right factor ends early");
    assert!(into.len() >= (HIGH - 1) * stride + across, "rows end early");
    for block in (0..blocks).step_by(4) {
        let sum = [sum_1, sum_2, sum_3, sum_4][(blocks - block).min(4) - 1];
        let (right_numbers, into) = (&right.numbers[block * BLOCK..], &mut into[block * WIDE..]);
        let bytes = [left.row, left.step, right.across * BLOCK].map(|numbers| numbers * size_of::<bf16>());
        // SAFETY: the registers are laid out; all that is read and written lies within the slices, as was asked.
        unsafe {
            sum(left.numbers.as_ptr(), right_numbers.as_ptr(), bytes, steps, into.as_mut_ptr(), stride * 4, onto)
        };
    }
}

/// A sum of some blocks of columns: their registers, those of the blocks of the right factor, and bytes to these blocks and to
/// the results from the first ones.
macro_rules! sum {
    ($name:ident: $($sum:literal $block:literal $to_block:literal $to_result:literal),+) => {
        unsafe fn $name(
            left: *const bf16,
            right: *const bf16,
            [row, step, down]: [usize; 3],
            steps: usize,
            into: *mut f32,
            stride: usize,
            onto: Onto,
        ) {
            // SAFETY: the caller's.
            unsafe {
                asm!(
                    "test {onto}, {onto}",
                    "jz 2f",
                    $(concat!("tileloadd ", $sum, ", [{into} + {stride} + ", $to_result, "]"),)+
                    "jmp 3f",
                    "2:",
                    $(concat!("tilezero ", $sum),)+
                    "3:",
                    "tileloadd tmm4, [{left} + {row}]",
                    $(
                        concat!("tileloadd ", $block, ", [{right} + {line} + ", $to_block, "]"),
                        concat!("tdpbf16ps ", $sum, ", tmm4, ", $block),
                    )+
                    "add {left}, {step}",
                    "add {right}, {down}",
                    "dec {steps}",
                    "jnz 3b",
                    $(concat!("tilestored [{into} + {stride} + ", $to_result, "], ", $sum),)+
                    left = inout(reg) left => _,
                    right = inout(reg) right => _,
                    steps = inout(reg) steps => _,
                    row = in(reg) row,
                    step = in(reg) step,
                    down = in(reg) down,
                    line = in(reg) 64_usize,
                    into = in(reg) into,
                    stride = in(reg) stride,
                    onto = in(reg) usize::from(onto == Onto::Sums),
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
}

sum!(sum_1: "tmm0" "tmm5" 0 0);
sum!(sum_2: "tmm0" "tmm5" 0 0, "tmm1" "tmm6" 1024 64);
sum!(sum_3: "tmm0" "tmm5" 0 0, "tmm1" "tmm6" 1024 64, "tmm2" "tmm7" 2048 128);
sum!(sum_4: "tmm0" "tmm5" 0 0, "tmm1" "tmm6" 1024 64, "tmm2" "tmm7" 2048 128, "tmm3" "tmm5" 3072 192);

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns of the left factor, and of the right one: six blocks, of which four are summed together.
    const INNER: usize = 2 * DEEP;
    const ACROSS: usize = 6 * WIDE;

    /// Numbers whose sums of products are exact.
    fn small(count: usize, seed: usize) -> Vec<bf16> {
        (0..count).map(|index| bf16::from_f32(((index * 37 + seed * 101) % 31) as f32 - 15.0)).collect()
    }

    /// `[rows, columns]` to `[columns, rows]`.
    fn transposed(numbers: &[bf16], columns: usize) -> Vec<bf16> {
        (0..columns).flat_map(|column| numbers.iter().skip(column).step_by(columns)).copied().collect()
    }

    /// Asserts that the product is the plain one of `[HIGH, INNER]` and `[INNER, ACROSS]`, of some of the columns and of all.
    fn check(matrices: &Matrices, [left, right]: [&[bf16]; 2], laid_left: Left<'_>, laid_right: &[bf16]) {
        let sum = |row: usize, column: usize| -> f32 {
            (0..INNER).map(|k| left[row * INNER + k].to_f32() * right[k * ACROSS + column].to_f32()).sum()
        };
        let laid_right = Right { numbers: laid_right, across: ACROSS / WIDE };
        for across in (WIDE..=ACROSS).step_by(WIDE) {
            let mut found = vec![3.0; HIGH * ACROSS];
            for (onto, times, rest) in [(Onto::Anything, 1.0, 3.0), (Onto::Sums, 2.0, 3.0)] {
                product(matrices, laid_left, laid_right, INNER / DEEP, across, onto, &mut found, ACROSS);
                for (place, found) in found.iter().enumerate() {
                    let (row, column) = (place / ACROSS, place % ACROSS);
                    let expected = if column < across { times * sum(row, column) } else { rest };
                    assert_eq!(*found, expected, "row {row}, column {column} of {across}");
                }
            }
        }
    }

    #[test]
    fn products_are_the_plain_sums_however_factors_lie() {
        let Some(matrices) = Matrices::of::<bf16>(INNER) else {
            eprintln!("skipped: this processor has no registers of matrices");
            return;
        };
        let (left, right) = (small(HIGH * INNER, 1), small(INNER * ACROSS, 2));
        let (mut of_rows, mut of_columns, mut of_turned) = (Vec::new(), Vec::new(), vec![bf16::ZERO; HIGH * INNER]);
        let columns: Vec<f32> = transposed(&left, INNER).iter().map(|number| number.to_f32()).collect();
        // SAFETY: the processor has what is asked of one that has matrices.
        unsafe {
            pairs(&right, ACROSS, &mut of_rows);
            turned(&transposed(&right, ACROSS), INNER, &mut of_columns);
            for (step, into) in of_turned.chunks_exact_mut(BLOCK).enumerate() {
                turned_pairs(&columns[step * DEEP * HIGH..], HIGH, 0, into);
            }
        }
        let by_rows = Left { numbers: &left, row: INNER, step: DEEP };
        let by_columns = Left { numbers: &of_turned, row: DEEP, step: BLOCK };
        check(&matrices, [&left, &right], by_rows, &of_rows);
        check(&matrices, [&left, &right], by_columns, &of_columns);
    }

    #[test]
    fn numbers_are_rounded_to_the_nearest() {
        if Matrices::of::<bf16>(DEEP).is_none() {
            eprintln!("skipped: this processor has no registers of matrices");
            return;
        }
        let row: Vec<f32> = (0..3 * WIDE).map(|index| (index as f32 - 20.0) * 1.234_567).collect();
        let nearest = |scale: f32| row.iter().map(|number| bf16::from_f32(number * scale)).collect::<Vec<_>>();
        let (mut whole, mut scaled) = (vec![bf16::ONE; 4 * WIDE], vec![bf16::ONE; 3 * WIDE]);
        // SAFETY: as above.
        unsafe {
            rounded(&row, &mut whole);
            put(&row, 0.3, &mut scaled);
        }
        assert_eq!(whole[..3 * WIDE], nearest(1.0));
        assert_eq!(whole[3 * WIDE..], [bf16::ZERO; WIDE]);
        assert_eq!(scaled, nearest(0.3));
    }
}
