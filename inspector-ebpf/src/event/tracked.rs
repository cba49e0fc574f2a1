//! The processes whose death is to be told.
//!
//! Those that were told of as starting, as joining, or as becoming another program in other namespaces than their
//! parent's; and those that user space puts in because they were there before.

use core::{
    arch::asm,
    ptr::{read_volatile, write_volatile},
};

use aya_ebpf::{
    bindings::{BPF_EXIST, BPF_F_MMAPABLE, BPF_NOEXIST},
    macros::map,
    maps::{Array, HashMap, LruHashMap},
};
use inspector_common::{Inodes, SLOTS, Tracked, counter, slot};

use super::ring;

/// One process at each [`slot`]: who found nobody counted there. It is the one that started then, which nobody did at 0;
/// what is noted of who has ended stays. Those that follow one another lie side by side, so this is memory that a cache
/// holds, as a hash map's is not; and to note one takes no call.
#[map]
static FIRST: Array<Tracked> = Array::with_max_entries(SLOTS, 0);

/// Those that found another at their slot, and those that user space puts in: by the thread group's id, as the reader
/// numbers it. How many there may be, user space says.
#[map]
static TRACKED: HashMap<u32, Tracked> = HashMap::with_max_entries(1, 0);

/// How many of all these there are, by [`slot`]. User space shares this memory, and counts those that it puts in.
#[map]
static TRACKED_SLOTS: Array<u64> = Array::with_max_entries(SLOTS, BPF_F_MMAPABLE);

/// A process that has ended.
#[repr(C)]
#[derive(Clone, Copy)]
struct Ended {
    start_boottime_ns: u64,
    key: u64,
}

/// Those that ended lately with several threads. Room for many more than can end at one time.
#[map]
static ENDED: LruHashMap<Ended, u32> = LruHashMap::with_max_entries(1024, 0);

/// Its death is to be told.
#[inline(always)]
pub fn insert(key: u32, process: &Tracked) {
    let Some(first) = FIRST.get_ptr_mut(slot(key)) else { return };
    // Counted before it is there: whoever finds nothing counted looks no further. Who counts one is alone there, and so
    // the only one that writes; should two come at one time, both may find the place taken.
    if start(first) == process.start_boottime_ns || count(key, 1) == 1 {
        write(first, process);
        return;
    }
    if TRACKED.insert(&key, process, BPF_NOEXIST.into()).is_ok() {
        return;
    }
    count(key, u64::MAX);
    // There already, or without room.
    if TRACKED.insert(&key, process, BPF_EXIST.into()).is_err() {
        ring::count(counter::UNTRACKED);
    }
}

/// The namespaces that were told last of a process.
#[inline(always)]
pub fn namespaces(key: u32, start_boottime_ns: u64) -> Option<Inodes> {
    if !may_be(key) {
        return None;
    }
    let first = FIRST.get_ptr(slot(key))?;
    // SAFETY: copied at once; should the process die meanwhile, which it does not while it runs this, garbage would be
    // compared and told as what was before.
    let process = unsafe { if start(first) == start_boottime_ns { &*first } else { TRACKED.get(&key)? } };
    (process.start_boottime_ns == start_boottime_ns).then_some(process.namespaces)
}

/// Its death is being told, by one who asks only: says whether it was to be.
#[inline(always)]
pub fn remove(key: u32, start_boottime_ns: u64) -> bool {
    let counted = counted(key);
    let Some(first) = FIRST.get_ptr(slot(key)).filter(|_| counted != 0) else { return false };
    let is_first = start(first) == start_boottime_ns;
    if is_first {
        count(key, u64::MAX);
        if counted == 1 {
            return true;
        }
    }
    // Who is the first may have been put in by user space as well.
    // SAFETY: as above.
    let Some(process) = (unsafe { TRACKED.get(&key) }) else { return is_first };
    let same = process.start_boottime_ns == start_boottime_ns;
    // Another's is of one whose death went unseen: user space may put in who is gone by then.
    if TRACKED.remove(&key).is_ok() {
        count(key, u64::MAX);
    }
    is_first || same
}

/// Whether a process may be among them: if not, it is not.
#[inline(always)]
pub fn may_be(key: u32) -> bool {
    counted(key) != 0
}

/// When the process of a place started.
#[inline(always)]
fn start(of: *const Tracked) -> u64 {
    // SAFETY: an element of an array map, aligned.
    unsafe { read_volatile(&raw const (*of).start_boottime_ns) }
}

/// Field by field: `memcpy` is a loop over bytes to the verifier. It is the process's once the start is there.
#[inline(always)]
fn write(to: *mut Tracked, process: &Tracked) {
    macro_rules! put {
        ($($kind:ident)*) => {
            $(write_volatile(&raw mut (*to).namespaces.$kind, process.namespaces.$kind);)*
        };
    }
    // SAFETY: an element of an array map, aligned.
    unsafe {
        put!(mnt uts ipc pid net user cgroup time pid_for_children time_for_children);
        write_volatile(&raw mut (*to).start_boottime_ns, process.start_boottime_ns);
    }
}

/// How many there are where a process is counted, or would be.
#[inline(always)]
fn counted(key: u32) -> u64 {
    // SAFETY: an element of an array map, aligned.
    TRACKED_SLOTS.get_ptr(slot(key)).map_or(0, |number| unsafe { read_volatile(number) })
}

/// Counts one more, or one less (`u64::MAX`). Gives how many there are by now.
#[inline(always)]
fn count(key: u32, change: u64) -> u64 {
    let Some(number) = TRACKED_SLOTS.get_ptr_mut(slot(key)) else { return 0 };
    // SAFETY: an element of an array map, aligned. In one instruction, as others count as well; kernels before 5.12 cannot
    // have it give the old value.
    unsafe {
        asm!("lock *(u64 *)({} + 0) += {}", in(reg) number, in(reg) change);
        read_volatile(number)
    }
}

/// Whether nobody asked this of the process before.
#[inline(always)]
pub fn is_first(key: u32, start_boottime_ns: u64) -> bool {
    ENDED.insert(&Ended { start_boottime_ns, key: key.into() }, &0, BPF_NOEXIST.into()).is_ok()
}
