//! The ring buffer, when its reader is woken, and what is counted.

use core::{arch::asm, ptr::read_volatile};

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
const WAKE_WINDOW: u64 = 64 * size_of::<EventRecord>() as u64;

/// At every fourth record of a kind on a processor it is asked how many wait, unless the mark is lower than what may come
/// in between.
const ASK_EVERY: u64 = 4;

/// Room for a record.
pub struct Room {
    entry: RingBufEntry<EventRecord>,
    /// Records of this kind on this processor.
    number: u64,
}

impl Room {
    /// What is to be written.
    #[inline(always)]
    pub fn record(&mut self) -> *mut EventRecord {
        self.entry.as_mut_ptr()
    }

    /// Hands it to the reader, and wakes that if it is time to.
    #[inline(always)]
    pub fn submit(self) {
        let wake_at = setting!(wake_at);
        let flags = if wake_at == 0 {
            // If it has come to the end of what there was, and sleeps.
            0
        } else if u64::from(wake_at) > WAKE_WINDOW && self.number % ASK_EVERY != 0 {
            BPF_RB_NO_WAKEUP
        } else if EVENTS.query(BPF_RB_AVAIL_DATA.into()).wrapping_sub(wake_at.into()) < WAKE_WINDOW {
            BPF_RB_FORCE_WAKEUP
        } else {
            BPF_RB_NO_WAKEUP
        };
        self.entry.submit(flags.into());
    }
}

/// Room for a record. That one was due is counted, and that there was no room.
#[inline(always)]
pub fn reserve(event: Event) -> Option<Room> {
    let number = count(counter::emitted(event));
    match EVENTS.reserve::<EventRecord>(0) {
        Some(entry) => Some(Room { entry, number }),
        None => {
            count(counter::lost(event));
            None
        }
    }
}

/// Counts one more. Gives how many there are by now, or a few more.
#[inline(always)]
pub fn count(index: u32) -> u64 {
    let Some(number) = COUNTERS.get_ptr_mut(index) else { return 0 };
    // SAFETY: this processor's element, aligned. In one instruction: newer kernels may let another task come in between.
    // It does not give the old value, which kernels before 5.12 cannot.
    unsafe {
        asm!("lock *(u64 *)({} + 0) += {}", in(reg) number, in(reg) 1_u64);
        read_volatile(number)
    }
}
