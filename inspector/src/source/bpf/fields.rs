//! Reading records: numbers one after another, and what records of several sorts have in common. Pure.

use crate::observation::{Inodes, Kind, NamespaceSet};

/// Reads numbers one after another.
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    #[inline]
    pub fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    #[inline]
    pub fn u16(&mut self) -> Option<u16> {
        Some(u16::from_ne_bytes(self.take()?))
    }

    #[inline]
    pub fn u32(&mut self) -> Option<u32> {
        Some(u32::from_ne_bytes(self.take()?))
    }

    #[inline]
    pub fn u64(&mut self) -> Option<u64> {
        Some(u64::from_ne_bytes(self.take()?))
    }
}

/// The namespaces of a task.
pub fn inodes(fields: &mut Fields<'_>) -> Option<NamespaceSet> {
    let mut namespaces = Inodes::default();
    for kind in Kind::ALL {
        namespaces.set(kind, fields.u32()?);
    }
    let known = |inode| (inode != 0).then_some(inode);
    let (pid_for_children, time_for_children) = (known(fields.u32()?), known(fields.u32()?));
    Some(NamespaceSet { namespaces, pid_for_children, time_for_children })
}

/// Bytes up to a NUL, or all, as a text.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(until_nul(bytes)).into_owned()
}

/// Bytes up to a NUL, or all.
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}
