//! The processes whose death is to be told.
//!
//! Those that were told of as starting, as joining, or as becoming another program in other namespaces than their
//! parent's; and those that user space puts in because they were there before.

use aya_ebpf::{
    bindings::BPF_NOEXIST,
    macros::map,
    maps::{HashMap, LruHashMap},
};
use inspector_common::{Inodes, Tracked, counter};

use super::ring;

/// By the thread group's id, as the reader numbers it. How many there may be, user space says.
#[map]
static TRACKED: HashMap<u32, Tracked> = HashMap::with_max_entries(1, 0);

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
    if TRACKED.insert(&key, process, 0).is_err() {
        ring::count(counter::UNTRACKED);
    }
}

/// The namespaces that were told last of a process.
#[inline(always)]
pub fn namespaces(key: u32, start_boottime_ns: u64) -> Option<Inodes> {
    // SAFETY: copied at once; should the process die meanwhile, which it does not while it runs this, garbage would be
    // compared and told as what was before.
    let process = unsafe { TRACKED.get(&key) }?;
    (process.start_boottime_ns == start_boottime_ns).then_some(process.namespaces)
}

/// Its death is being told. Says whether it was to be; and that to one who asks only, should several.
#[inline(always)]
pub fn remove(key: u32, start_boottime_ns: u64) -> bool {
    // SAFETY: as above.
    let Some(process) = (unsafe { TRACKED.get(&key) }) else { return false };
    let same = process.start_boottime_ns == start_boottime_ns;
    // Another's is of one whose death went unseen: user space may put in who is gone by then.
    TRACKED.remove(&key).is_ok() && same
}

/// Whether nobody asked this of the process before.
#[inline(always)]
pub fn is_first(key: u32, start_boottime_ns: u64) -> bool {
    ENDED.insert(&Ended { start_boottime_ns, key: key.into() }, &0, BPF_NOEXIST.into()).is_ok()
}
