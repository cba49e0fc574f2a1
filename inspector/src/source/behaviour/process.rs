//! One process's directory in /proc, held open: small, bounded reads relative to it.

use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir, Mode, OFlags, openat, readlinkat, statat};
use rustix::io::{Errno, read};

/// The longest file read: `fdinfo` of an epoll descriptor has a line for each that it watches.
const MAX_BYTES: usize = 64 * 1024;

/// A process's directory in /proc.
pub(in crate::source) struct Directory(OwnedFd);

impl Directory {
    pub(in crate::source) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, path, flags, Mode::empty()).map(Self)
    }

    /// A file of it, up to [`MAX_BYTES`]; what is not UTF-8 replaced.
    pub(in crate::source) fn read(&self, name: &str) -> Result<String, Errno> {
        let file = openat(&self.0, name, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW, Mode::empty())?;
        let mut bytes = vec![0; 4096];
        let mut length = 0;
        loop {
            if length == bytes.len() {
                if length >= MAX_BYTES {
                    break;
                }
                bytes.resize((length * 2).min(MAX_BYTES), 0);
            }
            match read(&file, &mut bytes[length..]) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    /// Whose a file of it is.
    pub(in crate::source) fn owner(&self, name: &str) -> Result<u32, Errno> {
        statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).map(|stat| stat.st_uid)
    }

    /// Where a link of it leads.
    pub(in crate::source) fn link(&self, name: &str) -> Result<String, Errno> {
        readlinkat(&self.0, name, Vec::new()).map(|target| target.to_string_lossy().into_owned())
    }

    /// The names in a folder of it, at most `limit`.
    pub(in crate::source) fn entries(&self, name: &str, limit: usize) -> Result<Vec<String>, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = Dir::new(openat(&self.0, name, flags, Mode::empty())?)?;
        let mut names = Vec::new();
        for entry in folder {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            if name.starts_with('.') {
                continue;
            }
            if names.len() == limit {
                break;
            }
            names.push(name.into_owned());
        }
        Ok(names)
    }

    /// Whether it has an entry of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether that descriptor of the process is a signalfd.
    pub(super) fn is_signalfd(&self, fd: u32) -> bool {
        self.link(&format!("fd/{fd}")).is_ok_and(|target| target == "anon_inode:[signalfd]")
    }
}

/// What we need of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stat {
    /// Its state's letter.
    pub(super) state: u8,
    /// Its own CPU time, in clock ticks.
    pub(super) own_ticks: u64,
    /// That of the children it has reaped.
    pub(super) reaped_ticks: u64,
    /// When it started, in clock ticks since boot.
    pub(super) start_ticks: u64,
}

impl Stat {
    /// Reads a line of `stat`; `None` where it is not one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        // The name, in parentheses, may hold parentheses and spaces of its own: the last one closes it.
        let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
        // proc(5) counts from 1 and the state is its third field.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        // Reaped children's times are signed in proc(5), and never negative.
        Some(Self {
            state: *fields.first()?.as_bytes().first()?,
            own_ticks: number(14)?.saturating_add(number(15)?),
            reaped_ticks: number(16)?.saturating_add(number(17)?),
            start_ticks: number(22)?,
        })
    }

    /// Whether it is a zombie or past that: it waits for nothing any more.
    pub(super) const fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X' | b'x')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines() {
        let tail = "S 1 2 3 0 -1 4194560 6 7 8 9 100 20 3 4 20 0 1 0 8412345 0 0";
        let expected = Some(Stat { state: b'S', own_ticks: 120, reaped_ticks: 7, start_ticks: 8_412_345 });
        for name in ["pause", "a b", ") S 9 9 (", "\u{1b}[31m", "\u{fffd}"] {
            assert_eq!(Stat::parse(&format!("42 ({name}) {tail}\n")), expected, "{name}");
        }
        for nonsense in ["", "42 pause S 1", "42 (pause)", "42 (pause) S 1 2 3"] {
            assert_eq!(Stat::parse(nonsense), None, "{nonsense:?}");
        }
    }
}
