//! The context of a task iterator, which aya-ebpf does not have (its layout is the kernel's `bpf_iter__task` and
//! `bpf_iter_meta`, both part of the stable interface).

use aya_ebpf::{EbpfContext, bindings::seq_file, cty::c_void};

/// `struct bpf_iter__task`.
#[repr(C)]
pub struct Context {
    /// About this reading.
    pub meta: *const Meta,
    /// The task; NULL in the one call after the last.
    pub task: *const u8,
}

/// `struct bpf_iter_meta`.
#[repr(C)]
pub struct Meta {
    /// Where output goes.
    pub seq: *mut seq_file,
    /// Tells one reading (one iterator file) from another.
    pub session_id: u64,
}

/// The context that aya-log wants to be given, and does not look at: it writes to a ring buffer.
pub struct NoContext;

impl EbpfContext for NoContext {
    fn as_ptr(&self) -> *mut c_void {
        core::ptr::null_mut()
    }
}
