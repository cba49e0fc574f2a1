//! How many tracked processes there are at each slot: memory that the kernel side counts in, too.

use std::os::fd::AsFd as _;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use aya::maps::MapData;
use inspector_common::{SLOTS, slot};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

const BYTES: usize = SLOTS as usize * size_of::<AtomicU64>();

/// The memory, mapped for as long as this is kept.
pub struct Slots {
    first: NonNull<AtomicU64>,
    _map: MapData,
}

// SAFETY: nothing but the address of memory that is only touched atomically, by whoever has this.
unsafe impl Send for Slots {}

impl Slots {
    /// Maps the kernel's memory.
    pub fn map(map: MapData) -> rustix::io::Result<Self> {
        let flags = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // SAFETY: at an address of the kernel's choice; it refuses a map that is shorter.
        let address = unsafe { mmap(ptr::null_mut(), BYTES, flags.0, flags.1, map.fd().as_fd(), 0) }?;
        let first = NonNull::new(address.cast()).ok_or(rustix::io::Errno::NOMEM)?;
        Ok(Self { first, _map: map })
    }

    /// Counts a process.
    pub fn add(&self, key: u32) {
        self.at(key).fetch_add(1, Ordering::SeqCst);
    }

    /// Counts one less.
    pub fn subtract(&self, key: u32) {
        self.at(key).fetch_sub(1, Ordering::SeqCst);
    }

    /// How many are counted where this one is, or would be.
    pub fn count(&self, key: u32) -> u64 {
        self.at(key).load(Ordering::SeqCst)
    }

    fn at(&self, key: u32) -> &AtomicU64 {
        // SAFETY: a slot is below `SLOTS`, of which each is an aligned number, and the memory stays mapped as long as this
        // is borrowed.
        unsafe { self.first.add(slot(key) as usize).as_ref() }
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        // SAFETY: what was mapped, and is used no more.
        let _ = unsafe { munmap(self.first.as_ptr().cast(), BYTES) };
    }
}
