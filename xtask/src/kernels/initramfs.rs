//! A first file system for a kernel: the `newc` cpio format, uncompressed, nothing but what is asked for.

/// One entry of the archive.
pub struct Entry {
    /// Its path, without a slash in front.
    pub path: String,
    /// Its type and permissions, as `st_mode` has them.
    pub mode: u32,
    /// A file's bytes, a link's target, nothing for a folder.
    pub data: Vec<u8>,
}

impl Entry {
    /// An executable file.
    pub fn program(path: &str, data: Vec<u8>) -> Self {
        Self { path: path.to_owned(), mode: 0o100_755, data }
    }

    /// A folder; it must stand before what is in it.
    pub fn folder(path: &str) -> Self {
        Self { path: path.to_owned(), mode: 0o040_755, data: Vec::new() }
    }
}

/// The archive of `entries`, in their order.
pub fn image(entries: &[Entry]) -> Vec<u8> {
    let mut image = Vec::new();
    for (index, entry) in entries.iter().enumerate() {
        append(&mut image, index + 1, entry);
    }
    append(&mut image, 0, &Entry { path: "TRAILER!!!".to_owned(), mode: 0, data: Vec::new() });
    image
}

fn append(image: &mut Vec<u8>, inode: usize, entry: &Entry) {
    let links = if entry.mode & 0o170_000 == 0o040_000 { 2 } else { 1 };
    // magic, then: inode mode uid gid links mtime size devmajor devminor rdevmajor rdevminor namesize check
    let header = format!(
        "070701{inode:08X}{:08X}{:08X}{:08X}{links:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}",
        entry.mode,
        0,
        0,
        0,
        entry.data.len(),
        0,
        0,
        0,
        0,
        entry.path.len() + 1,
        0
    );
    image.extend_from_slice(header.as_bytes());
    image.extend_from_slice(entry.path.as_bytes());
    image.push(0);
    pad(image);
    image.extend_from_slice(&entry.data);
    pad(image);
}

/// Names and data end on a multiple of four bytes.
fn pad(image: &mut Vec<u8>) {
    image.resize(image.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    /// busybox's cpio reads it back: another implementation of the format than ours.
    #[test]
    fn another_cpio_unpacks_it() {
        let dir = tempfile::tempdir().unwrap();
        let entries = [
            Entry::folder("bin"),
            Entry::program("bin/a", b"12345".to_vec()),
            Entry::program("init", b"#!/bin/sh\n".to_vec()),
        ];
        let mut cpio = Command::new(
            crate::setup::static_busybox().expect("busybox-static: `cargo xtask setup --tests`"),
        )
        .args(["cpio", "-i", "-d"])
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
        cpio.stdin.take().unwrap().write_all(&image(&entries)).unwrap();
        assert!(cpio.wait().unwrap().success());
        assert_eq!(std::fs::read(dir.path().join("bin/a")).unwrap(), b"12345");
        assert_eq!(std::fs::read(dir.path().join("init")).unwrap(), b"#!/bin/sh\n");
    }
}
