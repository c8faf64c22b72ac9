//! Jobs on libtorch's own threads.
//!
//! Threads of another pool would compete with libtorch's, which wait for their next work in a loop.
#![allow(unsafe_code)]

use std::any::Any;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

unsafe extern "C" {
    fn prorl_run(count: i64, context: *mut c_void, job: extern "C" fn(*mut c_void, i64)) -> i32;
}

/// Numbers that are worth a thread.
const WORTH_A_THREAD: usize = 32_768;

type Outcome<R> = Result<R, Box<dyn Any + Send>>;

/// A job, then how it ended.
struct Slot<J, R> {
    job: Option<J>,
    outcome: Option<Outcome<R>>,
}

/// Jobs, and what does one.
struct Work<'a, J, R> {
    slots: Vec<Mutex<Slot<J, R>>>,
    each: &'a (dyn Fn(J) -> R + Sync),
    /// The first job that nobody has begun.
    next: AtomicUsize,
}

/// As many as libtorch works with.
pub fn threads() -> usize {
    tch::get_num_threads().max(1) as usize
}

/// Rows of a part where libtorch's threads share `numbers` numbers in rows of `width`.
pub fn share(numbers: usize, width: usize) -> usize {
    let parts = threads().min(numbers / WORTH_A_THREAD).max(1);
    numbers.div_ceil(width).div_ceil(parts).max(1)
}

/// Does every job, on as many of libtorch's threads as there are jobs and it has, each of which takes the next job as it ends
/// one; results in the jobs' order.
pub fn run<J: Send, R: Send>(jobs: Vec<J>, each: impl Fn(J) -> R + Sync) -> Vec<R> {
    if jobs.len() < 2 {
        return jobs.into_iter().map(each).collect();
    }
    let slots: Vec<_> = jobs.into_iter().map(|job| Mutex::new(Slot { job: Some(job), outcome: None })).collect();
    let count = slots.len().min(threads()) as i64;
    let mut work = Work { slots, each: &each, next: AtomicUsize::new(0) };
    // SAFETY: `work` outlives the call, which gives it to `one` alone, from several threads: it is `Sync`, as the jobs and
    // their results are `Send` and `each` is `Sync`.
    let outcome = unsafe { prorl_run(count, (&raw mut work).cast(), take::<J, R>) };
    assert_eq!(outcome, 0, "libtorch cannot share out jobs");
    let results = work.slots.into_iter().filter_map(|slot| slot.into_inner().ok()?.outcome);
    results.map(|outcome| outcome.unwrap_or_else(|panic| resume_unwind(panic))).collect()
}

extern "C" fn take<J: Send, R: Send>(work: *mut c_void, _thread: i64) {
    // SAFETY: what `run` gave, which nobody changes but through its mutexes and its counter.
    let work = unsafe { &*work.cast::<Work<'_, J, R>>() };
    while let Some(slot) = work.slots.get(work.next.fetch_add(1, Ordering::Relaxed)) {
        let Ok(mut slot) = slot.lock() else { return };
        if let Some(job) = slot.job.take() {
            // No panic may cross into C++: `run` goes on with it.
            slot.outcome = Some(catch_unwind(AssertUnwindSafe(|| (work.each)(job))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_jobs_order() {
        let jobs: Vec<usize> = (0..100).collect();
        assert_eq!(run(jobs.clone(), |number| number * 10), jobs.iter().map(|number| number * 10).collect::<Vec<_>>());
        assert_eq!(run(vec![4], |number| number + 1), [5]);
        assert!(run(Vec::<i32>::new(), |number| number).is_empty());
    }

    #[test]
    fn jobs_are_done_side_by_side() {
        tch::set_num_threads(2);
        let barrier = std::sync::Barrier::new(2);
        let leaders = run(vec![(), ()], |()| barrier.wait().is_leader());
        assert_eq!(leaders.iter().filter(|leader| **leader).count(), 1);
    }

    #[test]
    #[should_panic(expected = "on purpose")]
    fn a_panic_comes_back() {
        run(vec![1, 2, 3], |number| assert!(number != 2, "on purpose"));
    }
}
