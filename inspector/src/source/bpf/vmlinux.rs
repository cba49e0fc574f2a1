//! The bytes of the kernel's own BTF, for as long as offsets are looked up in them, and without a trace after.

use std::fs::File;
use std::io::{self, Read as _};
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::slice;

use rustix::fs::fstatfs;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

/// Where the kernel shows them.
pub const PATH: &str = "/sys/kernel/btf/vmlinux";

/// Far more than any kernel has (5 to 10 MiB).
const MAX_BYTES: usize = 128 << 20;

const SYSFS_MAGIC: i64 = 0x6265_6572;

/// The bytes, in memory that is the kernel's own where it lets itself be mapped (from Linux 6.16), and goes back to
/// it at once where it has to be copied: an allocator might keep it.
pub struct Vmlinux {
    start: NonNull<u8>,
    length: usize,
}

impl Vmlinux {
    pub fn open() -> io::Result<Self> {
        Self::of(&File::open(PATH)?)
    }

    fn of(file: &File) -> io::Result<Self> {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if length == 0 || length > MAX_BYTES {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has {length} bytes")));
        }
        // Nothing but the kernel can change or shorten a file there, and this one it does not.
        if fstatfs(file)?.f_type == SYSFS_MAGIC {
            // SAFETY: where, is left to the kernel.
            let mapped =
                unsafe { mmap(ptr::null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, 0) };
            if let Some(start) = mapped.ok().and_then(|start| NonNull::new(start.cast())) {
                return Ok(Self { start, length });
            }
        }
        Self::copy(file, length)
    }

    fn copy(mut file: &File, length: usize) -> io::Result<Self> {
        // SAFETY: where, is left to the kernel.
        let mapped = unsafe {
            mmap_anonymous(ptr::null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
        }?;
        let start = NonNull::new(mapped.cast()).ok_or(io::ErrorKind::OutOfMemory)?;
        let whole = Self { start, length };
        // SAFETY: zeros so far, writable, and nobody else's yet.
        file.read_exact(unsafe { slice::from_raw_parts_mut(start.as_ptr(), length) })?;
        Ok(whole)
    }
}

impl Deref for Vmlinux {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: mapped with this length until dropped, and nobody writes to it.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Vmlinux {
    fn drop(&mut self) {
        // SAFETY: mapped with this length, and whoever borrowed it is gone.
        if let Err(error) = unsafe { munmap(self.start.as_ptr().cast(), self.length) } {
            log::debug!("munmap: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_or_copied_the_bytes_are_those_of_the_file() {
        let expected = std::fs::read(PATH).expect("this test wants a kernel with BTF");
        assert!(*Vmlinux::open().unwrap() == *expected);
        let file = File::open(PATH).unwrap();
        assert!(*Vmlinux::copy(&file, expected.len()).unwrap() == *expected);
        assert!(Vmlinux::copy(&file, 1).is_err(), "the file is at its end: nothing is made up");
    }

    #[test]
    fn an_ordinary_file_is_copied_and_an_endless_one_refused() {
        let file = tempfile::tempfile().unwrap();
        assert!(Vmlinux::of(&file).is_err(), "empty");
        file.set_len(3).unwrap();
        let copied = Vmlinux::of(&file).unwrap();
        file.set_len(0).unwrap();
        assert_eq!(*copied, [0; 3]);
        file.set_len(MAX_BYTES as u64 + 1).unwrap();
        assert!(Vmlinux::of(&file).is_err());
    }
}
