//! The processes whose death is to be told.
//!
//! Those that were told of as starting, as joining, or as becoming another program in other namespaces than their
//! parent's; and those that user space puts in because they were there before.

use core::{arch::asm, ptr::read_volatile};

use aya_ebpf::{
    bindings::{BPF_EXIST, BPF_F_MMAPABLE, BPF_NOEXIST},
    macros::map,
    maps::{Array, HashMap, LruHashMap},
};
use inspector_common::{Inodes, SLOTS, Tracked, counter, slot};

use super::ring;

/// By the thread group's id, as the reader numbers it. How many there may be, user space says.
#[map]
static TRACKED: HashMap<u32, Tracked> = HashMap::with_max_entries(1, 0);

/// How many of them there are, by [`slot`]. User space shares this memory, and counts those that it puts in.
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
    // Counted before it is there: whoever finds nothing counted looks no further.
    count(key, 1);
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
    // SAFETY: copied at once; should the process die meanwhile, which it does not while it runs this, garbage would be
    // compared and told as what was before.
    let process = unsafe { TRACKED.get(&key) }?;
    (process.start_boottime_ns == start_boottime_ns).then_some(process.namespaces)
}

/// Its death is being told. Says whether it was to be; and that to one who asks only, should several.
#[inline(always)]
pub fn remove(key: u32, start_boottime_ns: u64) -> bool {
    if !may_be(key) {
        return false;
    }
    // SAFETY: as above.
    let Some(process) = (unsafe { TRACKED.get(&key) }) else { return false };
    let same = process.start_boottime_ns == start_boottime_ns;
    // Another's is of one whose death went unseen: user space may put in who is gone by then.
    let removed = TRACKED.remove(&key).is_ok();
    if removed {
        count(key, u64::MAX);
    }
    removed && same
}

/// Whether a process may be among them: if not, it is not.
#[inline(always)]
fn may_be(key: u32) -> bool {
    // SAFETY: an element of an array map, aligned.
    TRACKED_SLOTS.get_ptr(slot(key)).is_none_or(|number| unsafe { read_volatile(number) } != 0)
}

/// Counts one more, or one less (`u64::MAX`).
#[inline(always)]
fn count(key: u32, change: u64) {
    if let Some(number) = TRACKED_SLOTS.get_ptr_mut(slot(key)) {
        // SAFETY: an element of an array map, aligned. In one instruction, as others count as well.
        unsafe { asm!("lock *(u64 *)({} + 0) += {}", in(reg) number, in(reg) change) };
    }
}

/// Whether nobody asked this of the process before.
#[inline(always)]
pub fn is_first(key: u32, start_boottime_ns: u64) -> bool {
    ENDED.insert(&Ended { start_boottime_ns, key: key.into() }, &0, BPF_NOEXIST.into()).is_ok()
}
