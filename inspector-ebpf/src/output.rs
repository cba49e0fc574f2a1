//! Writing to the reader, and remembering what was written.
//!
//! The kernel collects what one call writes, and **throws all of it away** when it does not fit what is left of
//! its buffer; then it calls again, on the reader's next `read`. From the first record that does not fit
//! `bpf_seq_write` fails, and once all succeeded the kernel keeps them: only then is the call complete, and only
//! what complete calls wrote counts as written.

use aya_ebpf::{
    bindings::seq_file,
    helpers::generated::bpf_seq_write,
    macros::map,
    maps::{Array, LruHashMap},
};
use inspector_common::{CgroupRecord, TaskRecord};

use crate::namespace::{self, Walk};

/// Why a call ends early.
pub enum Again {
    /// The output did not fit. The kernel sees that by itself.
    Full,
    /// The task changed while it was read. The kernel calls again if told so.
    Changed,
}

/// What a step of a loop has come to.
///
/// A step is a function of its own, global and without arguments: the verifier goes through it once, and not once for
/// each way and each round that lead to it. (That takes Linux 5.6, and types for the functions, which the loader
/// makes.) What it works on is in the map; what writes, with the kernel's `seq_file`, cannot be, and stays with the
/// caller.
pub mod step {
    /// There is no more to do.
    pub const END: u64 = 0;
    /// Nothing is to be written; the next step goes on.
    pub const NEXT: u64 = 1;
    /// The record at hand is to be written.
    pub const WRITE: u64 = 2;
}

/// What a call works on. It lives in a map because it is too long for the stack, and because the verifier does not
/// track what is in a map: a count kept in a register would make it follow each of its values by itself.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct State {
    session: u64,
    /// Complete calls in this reading: task records written.
    pub tasks: u64,
    /// Cgroup records written by complete calls.
    pub cgroups: u64,
    /// Namespace records written by complete calls.
    pub namespaces: u64,
    /// Threads looked at.
    pub visited: u64,
    /// Tasks whose cgroup is too deep.
    pub too_deep: u64,
    /// Cgroup records written by this call, which is not complete yet.
    pub pending_cgroups: u64,
    /// Namespace records written by it.
    pub pending_namespaces: u64,
    /// Calls that wrote anything, complete or not: tells what this one wrote from what one before it did.
    attempts: u64,
    /// The address of the task's `struct pid`; 0 if it has none any more.
    pub pid: u64,
    /// That of its `nsproxy`, likewise.
    pub nsproxy: u64,
    /// How many numbers the task has below the reader's PID namespace.
    pub below: u32,
    reserved: u32,
    pub paths: Paths,
    pub walk: Walk,
    pub task: TaskRecord,
    pub cgroup: CgroupRecord,
}

/// Where the writing of a task's cgroups is.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Paths {
    /// The `kernfs_node` at hand; 0 at the end of its path.
    pub node: u64,
    /// The `Hierarchy` it is of.
    pub hierarchy: u64,
    /// The first node of the path to write after this one; 0 if there is none.
    pub next: u64,
}

/// A cgroup, told from those of the other hierarchy, which have ids of their own.
#[repr(C)]
#[derive(Clone, Copy)]
struct CgroupKey {
    id: u64,
    hierarchy: u64,
}

/// The call that last wrote a cgroup: its reading, and how many were complete before it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Call {
    session: u64,
    tasks: u64,
}

/// The call that last told of a namespace.
#[repr(C)]
#[derive(Clone, Copy)]
struct Told {
    inode: u32,
    /// The reading, and how many calls of it were complete before; the low halves, which differ as well.
    session: u32,
    tasks: u32,
    attempt: u32,
}

/// How many namespaces are remembered. The kernel hands out the lowest free inode, so as many in a row have a slot
/// each.
const TOLD_SLOTS: u32 = 1 << 15;

// One reading at a time: user space lends an object to one reader only.
#[map]
static STATE: Array<State> = Array::with_max_entries(1, 0);

/// Which cgroups were written, by whom. What is forgotten is written again.
#[map]
static WRITTEN: LruHashMap<CgroupKey, Call> = LruHashMap::with_max_entries(8192, 0);

/// Which namespaces were told of, each in the slot of its inode: to look there costs a few loads, and no call. What is
/// forgotten is told again.
#[map]
static TOLD: Array<Told> = Array::with_max_entries(TOLD_SLOTS, 0);

/// The state of the reading that is under way. It is valid for the program's life, and any bytes make a state; only
/// one reading uses it.
#[inline(always)]
pub fn current() -> Option<*mut State> {
    STATE.get_ptr_mut(0)
}

/// The state of this reading, which a call begins.
#[inline(always)]
pub fn begin(session: u64) -> Option<*mut State> {
    let place = current()?;
    // SAFETY: as [`current`] says, and no other reference to it is left.
    let state = unsafe { &mut *place };
    if state.session != session {
        state.session = session;
        store(&mut state.tasks, 0);
        store(&mut state.cgroups, 0);
        store(&mut state.namespaces, 0);
        store(&mut state.visited, 0);
        store(&mut state.too_deep, 0);
        namespace::prepare(&mut state.walk);
    }
    store(&mut state.pending_cgroups, 0);
    store(&mut state.pending_namespaces, 0);
    state.attempts += 1;
    Some(place)
}

/// A number of the state, from the map: what the compiler kept of it in a register the verifier tells apart by how it
/// came about, and goes through all that follows once for each.
#[inline(always)]
pub fn reload<T>(value: &T) -> T {
    // SAFETY: a reference.
    unsafe { core::ptr::read_volatile(value) }
}

/// Sets a number of the state. Several of them that are 0 the compiler would make a `memset` of: a loop over bytes,
/// which costs the verifier more than all the rest.
#[inline(always)]
pub fn store(number: &mut u64, value: u64) {
    // SAFETY: a reference.
    unsafe { core::ptr::write_volatile(number, value) }
}

impl State {
    /// Whether a complete call of this reading wrote the cgroup at hand. (A call never meets what it wrote itself.)
    #[inline(always)]
    pub fn is_written(&self) -> bool {
        // SAFETY: the value is read at once; the map's user is this reading alone.
        unsafe { WRITTEN.get(&self.key()) }
            .is_some_and(|call| (call.session == self.session) & (call.tasks < self.tasks))
    }

    /// Remembers that this call wrote it, in case the call becomes complete.
    #[inline(always)]
    pub fn set_written(&self) {
        let call = Call { session: self.session, tasks: self.tasks };
        // A failure costs a second record of the same cgroup, no more.
        let _ = WRITTEN.insert(&self.key(), &call, 0);
    }

    #[inline(always)]
    fn key(&self) -> CgroupKey {
        CgroupKey { id: self.cgroup.id, hierarchy: self.paths.hierarchy }
    }
}

/// Whether this call, or a complete one of this reading, told of the namespace.
#[inline(always)]
pub fn is_told(state: &State, inode: u32) -> bool {
    let Some(told) = TOLD.get_ptr(inode % TOLD_SLOTS) else { return false };
    // SAFETY: an element of an array map, which one reading at a time uses.
    let told = unsafe { &*told };
    told.inode == inode
        && told.session == state.session as u32
        && (told.tasks != state.tasks as u32 || told.attempt == state.attempts as u32)
}

/// Remembers that this call told of it, in case the call becomes complete.
#[inline(always)]
pub fn set_told(state: &State, inode: u32) {
    let Some(told) = TOLD.get_ptr_mut(inode % TOLD_SLOTS) else { return };
    let call = Told {
        inode,
        session: state.session as u32,
        tasks: state.tasks as u32,
        attempt: state.attempts as u32,
    };
    // SAFETY: as above.
    unsafe { *told = call };
}

/// Writes the first `length` bytes of a record.
///
/// # Safety
///
/// `seq` is the iterator's, and `length` at most the size of `T`.
#[inline(always)]
pub unsafe fn write<T>(seq: *mut seq_file, record: &T, length: u32) -> Result<(), Again> {
    // SAFETY: the caller's.
    match unsafe { bpf_seq_write(seq, core::ptr::from_ref(record).cast_mut().cast(), length) } {
        0 => Ok(()),
        _ => Err(Again::Full),
    }
}
