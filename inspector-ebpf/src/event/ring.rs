//! The ring buffer, when its reader is woken, and what is counted.

use core::arch::asm;

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    macros::map,
    maps::{PerCpuArray, RingBuf, ring_buf::RingBufEntry},
};
use inspector_common::{Event, EventRecord, counter};

use super::setting;

/// How large it is, user space says.
#[map]
static EVENTS: RingBuf = RingBuf::with_byte_size(4096, 0);

#[map]
static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::COUNT, 0);

/// A wake-up costs ten times what a record does. So the reader is woken when what waits for it has just come to the
/// mark, and not again and again while it is above: it is awake then, or its clock wakes it soon.
const WAKE_WINDOW: u64 = 16 * size_of::<EventRecord>() as u64;

/// Room for a record. That one was due is counted, and that there was no room.
#[inline(always)]
pub fn reserve(event: Event) -> Option<RingBufEntry<EventRecord>> {
    count(counter::emitted(event));
    let entry = EVENTS.reserve::<EventRecord>(0);
    if entry.is_none() {
        count(counter::lost(event));
    }
    entry
}

/// Hands a record to the reader, and wakes it if it is time to.
#[inline(always)]
pub fn submit(entry: RingBufEntry<EventRecord>) {
    let wake_at = setting!(wake_at);
    let flags = if wake_at == 0 {
        // If it has come to the end of what there was, and sleeps.
        0
    } else if EVENTS.query(BPF_RB_AVAIL_DATA.into()).wrapping_sub(wake_at.into()) < WAKE_WINDOW {
        BPF_RB_FORCE_WAKEUP
    } else {
        BPF_RB_NO_WAKEUP
    };
    entry.submit(flags.into());
}

/// Counts one more.
#[inline(always)]
pub fn count(index: u32) {
    if let Some(number) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: this processor's element, aligned. In one instruction: newer kernels may let another task come in between.
        // It does not give the old value, which kernels before 5.12 cannot.
        unsafe { asm!("lock *(u64 *)({} + 0) += {}", in(reg) number, in(reg) 1_u64) };
    }
}
