//! The two ways to read kernel memory, and the frozen layout that says where.
//!
//! A pointer is followed only after it was compared with NULL: recent verifiers demand it, and [`Option`] makes it
//! impossible to forget.

use core::ptr::{NonNull, read_volatile};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use inspector_common::Layout;

/// The address of a kernel structure.
pub type Pointer = NonNull<u8>;

/// What a pointer is as a number; 0 for none.
#[inline(always)]
pub fn address(pointer: Option<Pointer>) -> u64 {
    pointer.map_or(0, |pointer| pointer.as_ptr() as u64)
}

/// Overwritten by user space before loading, then frozen.
#[unsafe(no_mangle)]
pub static LAYOUT: Layout = Layout::UNRESOLVED;

/// An offset out of [`LAYOUT`].
macro_rules! offset {
    ($field:ident) => {
        $crate::memory::frozen(&$crate::memory::LAYOUT.$field)
    };
}
pub(crate) use offset;

/// A value as it was frozen: the compiler must not take the one that it sees for the last word.
#[inline(always)]
pub fn frozen(value: &u32) -> u32 {
    // SAFETY: a reference.
    unsafe { read_volatile(value) }
}

/// A way to read kernel memory.
///
/// # Safety
///
/// In every method `base` must be a pointer that this way of reading gave (or the iterator's task), and `offset`
/// that of a field of this size in the structure it points to.
pub trait Memory {
    /// A number of 32 bits.
    unsafe fn u32(base: Pointer, offset: u32) -> u32;
    /// A number of 64 bits.
    unsafe fn u64(base: Pointer, offset: u32) -> u64;
    /// A pointer; `None` if NULL or unreadable.
    unsafe fn pointer(base: Pointer, offset: u32) -> Option<Pointer>;
    /// A number of 32 bits in what a field points to; 0 where that is NULL. Without a branch: the verifier of Linux 5.10
    /// takes each twice, and so of twenty that follow one another a million ways. The pointer must be one that verifiers
    /// have no mark for (trusted, RCU): those are to be compared first.
    unsafe fn u32_behind(base: Pointer, pointer: u32, offset: u32) -> u32;
}

/// Plain loads through typed pointers.
pub enum Direct {}

impl Memory for Direct {
    #[inline(always)]
    unsafe fn u32(base: Pointer, offset: u32) -> u32 {
        // SAFETY: the caller's; the verifier checks it, and a bad address reads as 0.
        unsafe { read_volatile(base.as_ptr().add(offset as usize).cast()) }
    }

    #[inline(always)]
    unsafe fn u64(base: Pointer, offset: u32) -> u64 {
        // SAFETY: as above.
        unsafe { read_volatile(base.as_ptr().add(offset as usize).cast()) }
    }

    #[inline(always)]
    unsafe fn pointer(base: Pointer, offset: u32) -> Option<Pointer> {
        // SAFETY: as above.
        Pointer::new(unsafe { read_volatile(base.as_ptr().add(offset as usize).cast::<*mut u8>()) })
    }

    #[inline(always)]
    unsafe fn u32_behind(base: Pointer, pointer: u32, offset: u32) -> u32 {
        // SAFETY: as above, for the address too that is loaded first.
        unsafe {
            let behind = read_volatile(base.as_ptr().add(pointer as usize).cast::<*mut u8>());
            read_volatile(behind.wrapping_add(offset as usize).cast())
        }
    }
}

/// The helper, which takes any address.
pub enum Probe {}

impl Probe {
    /// A number of 64 bits; 0 where the address is NULL.
    ///
    /// # Safety
    ///
    /// As for [`Memory`], but for NULL.
    #[inline(always)]
    pub unsafe fn u64_or_0(base: u64, offset: u32) -> u64 {
        // SAFETY: the caller's.
        unsafe { Self::read(base as *mut u8, offset, 0) }
    }

    /// A number of 32 bits, likewise.
    ///
    /// # Safety
    ///
    /// As for [`Self::u64_or_0`].
    #[inline(always)]
    pub unsafe fn u32_or_0(base: u64, offset: u32) -> u32 {
        // SAFETY: the caller's.
        unsafe { Self::read(base as *mut u8, offset, 0) }
    }

    #[inline(always)]
    unsafe fn read<T>(base: *mut u8, offset: u32, mut value: T) -> T {
        let from = base.wrapping_add(offset as usize);
        // SAFETY: the helper checks the address. Its verdict needs no look, and so costs the verifier no branch:
        // what cannot be read it fills with zeros.
        unsafe { bpf_probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, from.cast()) };
        value
    }
}

impl Memory for Probe {
    #[inline(always)]
    unsafe fn u32(base: Pointer, offset: u32) -> u32 {
        // SAFETY: the caller's.
        unsafe { Self::read(base.as_ptr(), offset, 0) }
    }

    #[inline(always)]
    unsafe fn u64(base: Pointer, offset: u32) -> u64 {
        // SAFETY: the caller's.
        unsafe { Self::read(base.as_ptr(), offset, 0) }
    }

    #[inline(always)]
    unsafe fn pointer(base: Pointer, offset: u32) -> Option<Pointer> {
        // SAFETY: the caller's.
        Pointer::new(unsafe { Self::read(base.as_ptr(), offset, core::ptr::null_mut::<u8>()) })
    }

    #[inline(always)]
    unsafe fn u32_behind(base: Pointer, pointer: u32, offset: u32) -> u32 {
        // SAFETY: the caller's.
        unsafe { Self::u32_or_0(Self::u64(base, pointer), offset) }
    }
}
