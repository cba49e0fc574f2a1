//! Writing to the reader, and remembering what was written.
//!
//! The kernel collects what one call writes, and **throws all of it away** when it does not fit what is left of
//! its buffer; then it calls again for the same task, on the reader's next `read`. So nothing may be remembered
//! as written until every record of the call has been: `bpf_seq_write` fails from the first that does not fit,
//! and once all succeeded the kernel keeps them.

use aya_ebpf::{
    bindings::seq_file,
    helpers::generated::bpf_seq_write,
    macros::map,
    maps::{Array, LruHashMap},
};
use inspector_common::{CgroupRecord, Hierarchy, TaskRecord};

/// The output did not fit: the kernel will call again.
pub struct Full;

/// What a call works on. It lives in a map because it is too long for the stack, and because the verifier does not
/// track what is in a map: a count kept in a register would make it follow each of its values by itself.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct State {
    session: u64,
    /// Task records written in this reading.
    pub tasks: u64,
    /// Cgroup records written in this reading.
    pub cgroups: u64,
    /// Threads looked at in this reading.
    pub visited: u64,
    /// Cgroup records written by this call, which the kernel may yet throw away.
    pub pending_cgroups: u64,
    pub task: TaskRecord,
    pub cgroup: CgroupRecord,
}

/// A cgroup, told from those of the other hierarchy, which have ids of their own.
#[repr(C)]
#[derive(Clone, Copy)]
struct CgroupKey {
    id: u64,
    hierarchy: u64,
}

// One reading at a time: user space lends an object to one reader only.
#[map]
static STATE: Array<State> = Array::with_max_entries(1, 0);

/// The reading in which a cgroup was last written. What is forgotten is written again.
#[map]
static WRITTEN: LruHashMap<CgroupKey, u64> = LruHashMap::with_max_entries(8192, 0);

/// The state of this reading.
#[inline(always)]
pub fn state(session: u64) -> Option<&'static mut State> {
    let state = STATE.get_ptr_mut(0)?;
    // SAFETY: an element of an array map is valid for the program's life, any bytes make a state, and only one
    // reading uses it.
    let state = unsafe { &mut *state };
    if state.session != session {
        state.session = session;
        state.tasks = 0;
        state.cgroups = 0;
        state.visited = 0;
    }
    state.pending_cgroups = 0;
    Some(state)
}

/// Whether a cgroup was written in this reading.
#[inline(always)]
pub fn is_written(hierarchy: Hierarchy, id: u64, session: u64) -> bool {
    let key = CgroupKey { id, hierarchy: hierarchy as u64 };
    // SAFETY: the value is copied at once; the map's user is this reading alone.
    unsafe { WRITTEN.get(&key) }.is_some_and(|written| *written == session)
}

/// Remembers that a cgroup was written in this reading.
#[inline(always)]
pub fn set_written(hierarchy: Hierarchy, id: u64, session: u64) {
    let key = CgroupKey { id, hierarchy: hierarchy as u64 };
    // A failure costs a second record of the same cgroup, no more.
    let _ = WRITTEN.insert(&key, &session, 0);
}

/// Writes the first `length` bytes of a record.
///
/// # Safety
///
/// `seq` is the iterator's, and `length` at most the size of `T`.
#[inline(always)]
pub unsafe fn write<T>(seq: *mut seq_file, record: &T, length: u32) -> Result<(), Full> {
    // SAFETY: the caller's.
    match unsafe { bpf_seq_write(seq, core::ptr::from_ref(record).cast_mut().cast(), length) } {
        0 => Ok(()),
        _ => Err(Full),
    }
}
