//! The shim's functions: the one place of this crate that is unsafe.
#![allow(unsafe_code)]

use crate::adamw::{AdamWStep, Moving};
use std::ffi::{CStr, CString, c_char, c_void};
use tch::Tensor;

/// Longest message that comes back.
const MESSAGE: usize = 2048;

#[repr(C)]
struct Message {
    text: *mut c_char,
    capacity: usize,
}

unsafe extern "C" {
    fn prorl_store_open(
        host: *const c_char,
        port: u16,
        serve: bool,
        timeout_ms: i64,
        prefix: *const c_char,
        opened: *mut *mut c_void,
        port_taken: *mut u16,
        message: Message,
    ) -> i32;
    fn prorl_store_set(store: *mut c_void, key: *const c_char, data: *const u8, size: usize, message: Message) -> i32;
    fn prorl_store_check(store: *mut c_void, key: *const c_char, there: *mut bool, message: Message) -> i32;
    fn prorl_store_get(
        store: *mut c_void,
        key: *const c_char,
        timeout_ms: i64,
        data: *mut *mut u8,
        size: *mut usize,
        message: Message,
    ) -> i32;
    fn prorl_bytes_free(data: *mut u8);
    fn prorl_store_free(store: *mut c_void, message: Message) -> i32;
    fn prorl_group_gloo(
        store: *mut c_void,
        rank: i32,
        size: i32,
        timeout_ms: i64,
        joined: *mut *mut c_void,
        message: Message,
    ) -> i32;
    #[cfg(nccl)]
    fn prorl_group_add_nccl(group: *mut c_void, store: *mut c_void, rank: i32, size: i32, message: Message) -> i32;
    fn prorl_all_reduce(group: *mut c_void, tensor: *mut c_void, message: Message) -> i32;
    fn prorl_broadcast(group: *mut c_void, tensor: *mut c_void, root: i32, message: Message) -> i32;
    fn prorl_all_gather(group: *mut c_void, own: *mut c_void, all: *mut c_void, message: Message) -> i32;
    fn prorl_barrier(group: *mut c_void, message: Message) -> i32;
    fn prorl_group_free(group: *mut c_void, message: Message) -> i32;
    fn prorl_reducer_make(
        group: *mut c_void,
        parameters: *const *mut c_void,
        count: usize,
        made: *mut *mut c_void,
        message: Message,
    ) -> i32;
    fn prorl_reducer_backward(reducer: *mut c_void, loss: *mut c_void, reduce: bool, message: Message) -> i32;
    fn prorl_reducer_free(reducer: *mut c_void, message: Message) -> i32;
    fn prorl_adamw(
        parameters: *const *mut c_void,
        gradients: *const *mut c_void,
        first: *const *mut c_void,
        second: *const *mut c_void,
        count: usize,
        number: *mut c_void,
        step: AdamWStep,
        message: Message,
    ) -> i32;
    fn prorl_memory_keep(message: Message) -> i32;
    fn prorl_memory_release();
    fn prorl_products_can_be_wider() -> bool;
    fn prorl_products_by_onednn(by_onednn: bool, message: Message) -> i32;
}

/// Runs a call of the shim and turns its status and message into a result.
fn told(call: impl FnOnce(Message) -> i32) -> Result<(), String> {
    let mut text = [0u8; MESSAGE];
    let status = call(Message { text: text.as_mut_ptr().cast(), capacity: MESSAGE });
    if status == 0 {
        return Ok(());
    }
    let message = CStr::from_bytes_until_nul(&text).map(CStr::to_string_lossy).unwrap_or_default();
    // What follows the first line is a trace of libtorch's own calls.
    Err(message.lines().next().unwrap_or_default().trim().to_owned())
}

fn text(value: &str) -> Result<CString, String> {
    CString::new(value).map_err(|_| format!("`{}` holds a zero byte", value.escape_debug()))
}

fn pointer(tensor: &Tensor) -> *mut c_void {
    tensor.as_ptr() as *mut c_void
}

/// Sets the C library up to keep memory that is freed.
pub fn keep_memory() -> Result<(), String> {
    // SAFETY: the shim sets options of the C library, which guards them, and libtorch's allocator, whose blocks name
    // their own way of being freed, so that those which exist already are not concerned.
    told(|message| unsafe { prorl_memory_keep(message) })
}

/// Gives freed memory back to the system.
pub fn release_memory() {
    // SAFETY: the C library does this under its own locks, and touches free memory alone.
    unsafe { prorl_memory_release() }
}

/// Whether the processor has vectors that float32 products leave unused.
pub fn products_can_be_wider() -> bool {
    // SAFETY: the shim only asks the processor what it is.
    unsafe { prorl_products_can_be_wider() }
}

/// Lets oneDNN multiply float32 matrices, or MKL.
pub fn products_by_onednn(by_onednn: bool) -> Result<(), String> {
    // SAFETY: the shim sets a flag of libtorch's, which is read when a product begins.
    told(|message| unsafe { prorl_products_by_onednn(by_onednn, message) })
}

/// One step of the fused AdamW.
pub fn adamw(moving: &Moving, number: &Tensor, step: AdamWStep) -> Result<(), String> {
    let count = moving.parameters.len();
    for (name, list) in [("gradients", &moving.gradients), ("means", &moving.first), ("squares", &moving.second)] {
        if list.len() != count {
            return Err(format!("there are {count} parameters, but {} {name}", list.len()));
        }
    }
    let pointers = |list: &[Tensor]| list.iter().map(pointer).collect::<Vec<_>>();
    let (parameters, gradients) = (pointers(&moving.parameters), pointers(&moving.gradients));
    let (first, second) = (pointers(&moving.first), pointers(&moving.second));
    // SAFETY: the four lists hold `count` tensors that outlive the call; libtorch checks kinds, shapes and devices, and
    // keeps references of its own where it needs them longer.
    told(|message| unsafe {
        let (parameters, gradients) = (parameters.as_ptr(), gradients.as_ptr());
        prorl_adamw(parameters, gradients, first.as_ptr(), second.as_ptr(), count, pointer(number), step, message)
    })
}

/// Owns a store of the shim.
pub struct StoreHandle(*mut c_void);

// SAFETY: the pointer is owned by this value alone; c10d's TCPStore, behind it, guards every operation by a mutex of
// its own, so calls may come from any thread and from several at once.
unsafe impl Send for StoreHandle {}
// SAFETY: as above.
unsafe impl Sync for StoreHandle {}

impl StoreHandle {
    /// The store at `host:port` and its port, which is a free one where `port` is 0.
    pub fn open(host: &str, port: u16, serve: bool, timeout_ms: i64, prefix: &str) -> Result<(Self, u16), String> {
        let (host, prefix) = (text(host)?, text(prefix)?);
        let (mut opened, mut taken) = (std::ptr::null_mut(), 0);
        // SAFETY: texts end with 0 and outlive the call; both results have room, and are read only after success.
        told(|message| unsafe {
            let (host, prefix) = (host.as_ptr(), prefix.as_ptr());
            prorl_store_open(host, port, serve, timeout_ms, prefix, &mut opened, &mut taken, message)
        })?;
        Ok((Self(opened), taken))
    }

    /// Sets `key`.
    pub fn set(&self, key: &str, value: &[u8]) -> Result<(), String> {
        let key = text(key)?;
        // SAFETY: the store is alive as long as `self`; `value` is readable for its length; the shim copies it.
        told(|message| unsafe { prorl_store_set(self.0, key.as_ptr(), value.as_ptr(), value.len(), message) })
    }

    /// Whether `key` is set.
    pub fn check(&self, key: &str) -> Result<bool, String> {
        let (key, mut there) = (text(key)?, false);
        // SAFETY: the store is alive as long as `self`; `there` has room for the answer.
        told(|message| unsafe { prorl_store_check(self.0, key.as_ptr(), &mut there, message) })?;
        Ok(there)
    }

    /// The value of `key`, once it is set.
    pub fn get(&self, key: &str, timeout_ms: i64) -> Result<Vec<u8>, String> {
        let key = text(key)?;
        let (mut data, mut size) = (std::ptr::null_mut(), 0);
        // SAFETY: the store is alive as long as `self`; both results have room.
        told(|message| unsafe { prorl_store_get(self.0, key.as_ptr(), timeout_ms, &mut data, &mut size, message) })?;
        // SAFETY: after success `data` points to `size` bytes that nobody else owns; they are copied, then freed once by
        // the allocator that made them.
        let value = unsafe {
            let value = std::slice::from_raw_parts(data, size).to_vec();
            prorl_bytes_free(data);
            value
        };
        Ok(value)
    }
}

impl Drop for StoreHandle {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and freed once. What fails here has nobody left to tell.
        let _ = told(|message| unsafe { prorl_store_free(self.0, message) });
    }
}

/// Owns a group of the shim.
pub struct GroupHandle(*mut c_void);

// SAFETY: the pointer is owned by this value alone; the shim lets one collective run at a time, by a mutex.
unsafe impl Send for GroupHandle {}
// SAFETY: as above.
unsafe impl Sync for GroupHandle {}

impl GroupHandle {
    /// Joins the others that meet in `store`.
    pub fn gloo(store: &StoreHandle, rank: usize, size: usize, timeout_ms: i64) -> Result<Self, String> {
        let mut joined = std::ptr::null_mut();
        // SAFETY: the store is alive; the group keeps a counted reference to what it needs of it.
        told(|message| unsafe {
            prorl_group_gloo(store.0, rank as i32, size as i32, timeout_ms, &mut joined, message)
        })?;
        Ok(Self(joined))
    }

    /// Lets the group move tensors of GPUs.
    #[cfg(nccl)]
    pub fn add_nccl(&self, store: &StoreHandle, rank: usize, size: usize) -> Result<(), String> {
        // SAFETY: group and store are alive.
        told(|message| unsafe { prorl_group_add_nccl(self.0, store.0, rank as i32, size as i32, message) })
    }

    /// Sums `tensor` over all processes, in place.
    pub fn all_reduce(&self, tensor: &Tensor) -> Result<(), String> {
        // SAFETY: the group is alive; a `tch::Tensor` is a pointer to an `at::Tensor`, alive during the call.
        told(|message| unsafe { prorl_all_reduce(self.0, pointer(tensor), message) })
    }

    /// Gives all the `tensor` of `root`, in place.
    pub fn broadcast(&self, tensor: &Tensor, root: usize) -> Result<(), String> {
        // SAFETY: as for `all_reduce`.
        told(|message| unsafe { prorl_broadcast(self.0, pointer(tensor), root as i32, message) })
    }

    /// Fills `all` `[processes, …]` with the `own` of every process.
    pub fn all_gather(&self, own: &Tensor, all: &Tensor) -> Result<(), String> {
        // SAFETY: as for `all_reduce`.
        told(|message| unsafe { prorl_all_gather(self.0, pointer(own), pointer(all), message) })
    }

    /// Waits until all are here.
    pub fn barrier(&self) -> Result<(), String> {
        // SAFETY: the group is alive.
        told(|message| unsafe { prorl_barrier(self.0, message) })
    }
}

impl Drop for GroupHandle {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and freed once. What fails here has nobody left to tell.
        let _ = told(|message| unsafe { prorl_group_free(self.0, message) });
    }
}

/// Owns a reducer of the shim.
pub struct ReducerHandle(*mut c_void);

// SAFETY: the pointer is owned by this value alone, and its one call takes `&mut self`.
unsafe impl Send for ReducerHandle {}

impl ReducerHandle {
    /// Watches the gradients of `parameters`.
    pub fn new(group: &GroupHandle, parameters: &[Tensor]) -> Result<Self, String> {
        let pointers: Vec<*mut c_void> = parameters.iter().map(pointer).collect();
        let mut made = std::ptr::null_mut();
        // SAFETY: the group is alive, the list is readable for its length, and every entry is an `at::Tensor`; the shim
        // takes counted references.
        told(|message| unsafe { prorl_reducer_make(group.0, pointers.as_ptr(), pointers.len(), &mut made, message) })?;
        Ok(Self(made))
    }

    /// Runs backward, and reduces the gradients or not.
    pub fn backward(&mut self, loss: &Tensor, reduce: bool) -> Result<(), String> {
        // SAFETY: the reducer is alive, `loss` is an `at::Tensor` alive during the call.
        told(|message| unsafe { prorl_reducer_backward(self.0, pointer(loss), reduce, message) })
    }
}

impl Drop for ReducerHandle {
    fn drop(&mut self) {
        // SAFETY: the pointer is owned and freed once. What fails here has nobody left to tell.
        let _ = told(|message| unsafe { prorl_reducer_free(self.0, message) });
    }
}
