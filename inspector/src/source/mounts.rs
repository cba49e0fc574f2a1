//! The mounts of one mount namespace, from a process's mountinfo; and how to get at one of them without a hang.
//!
//! What a path leads through may belong to a dead server (NFS, FUSE), where even a look-up waits for ever. Mountinfo
//! itself touches no file system, and tells which ones are on the way: nothing here is opened below one that is not
//! known to be local.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

/// The longest mountinfo that is read: some 100,000 mounts, the kernel's own limit for a namespace.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// File systems that answer without anybody's help.
const LOCAL: [&str; 16] = [
    "bcachefs", "btrfs", "devtmpfs", "ext2", "ext3", "ext4", "f2fs", "nsfs", "overlay", "proc", "ramfs",
    "rootfs", "squashfs", "sysfs", "tmpfs", "xfs",
];

/// A mount, as a line of mountinfo has it (proc_pid_mountinfo(5)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount<'a> {
    /// `st_dev` of what is in it.
    pub device: (u32, u32),
    /// What of its file system is mounted; escaped as the kernel does.
    pub root: &'a [u8],
    /// Where, from the process's own root; escaped as the kernel does.
    pub point: &'a [u8],
    /// The type of the file system.
    pub file_system: &'a [u8],
}

impl<'a> Mount<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let device = std::str::from_utf8(fields.nth(2)?).ok()?;
        let (major, minor) = device.split_once(':')?;
        let device = (major.parse().ok()?, minor.parse().ok()?);
        let (root, point) = (fields.next()?, fields.next()?);
        let file_system = fields.skip_while(|field| *field != b"-").nth(1)?;
        Some(Self { device, root, point, file_system })
    }

    fn is_local(&self) -> bool {
        LOCAL.iter().any(|name| name.as_bytes() == self.file_system)
    }

    /// Whether it covers a path, or the way there.
    fn is_on_the_way(&self, path: &[u8]) -> bool {
        match path.strip_prefix(self.point) {
            Some(rest) => rest.is_empty() || rest[0] == b'/' || self.point == b"/",
            None => false,
        }
    }
}

/// Reads a mountinfo.
///
/// # Errors
/// When it cannot be read, or is too long.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!("{}: longer than {} MiB", path.display(), MAX_BYTES >> 20));
    }
    Ok(bytes)
}

/// The mounts in a mountinfo. A line that is none is left out.
pub fn parse(mountinfo: &[u8]) -> Vec<Mount<'_>> {
    mountinfo.split(|byte| *byte == b'\n').filter_map(Mount::parse).collect()
}

/// The mounts that may need somebody's help to answer.
#[must_use]
pub fn obstacles<'a>(mounts: &[Mount<'a>]) -> Vec<Mount<'a>> {
    mounts.iter().filter(|mount| !mount.is_local()).copied().collect()
}

/// Whether every file system on the way to a mount answers without anybody's help.
#[must_use]
pub fn is_reachable(obstacles: &[Mount<'_>], to: &Mount<'_>) -> bool {
    !obstacles.iter().any(|mount| mount.is_on_the_way(to.point))
}

/// The path that mountinfo has written with `\040` and the like for blanks, tabs, line feeds and backslashes.
#[must_use]
pub fn unescape(escaped: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((first, tail)) = rest.split_first() {
        let digits = (*first == b'\\').then(|| tail.get(..3)).flatten();
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        path.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &tail[3..] } else { tail };
    }
    path
}

/// Opens what is mounted there, as the process with that directory in /proc sees it, without reading or asking
/// anything of it (`O_PATH`).
///
/// # Errors
/// When it is not there any more, may not be reached, or the kernel cannot do it safely (before Linux 5.6).
pub fn open(process: &Path, point: &[u8]) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let root = rustix::fs::open(process.join("root"), flags | OFlags::DIRECTORY, Mode::empty())?;
    let path = unescape(point);
    let inside = path.strip_prefix(b"/").unwrap_or(&path);
    let inside = if inside.is_empty() { b"." } else { inside };
    // No link is followed out of the mounts that were looked at.
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_SYMLINKS;
    openat2(root.as_fd(), Path::new(OsStr::from_bytes(inside)), flags, Mode::empty(), resolve)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &[u8] = b"21 1 259:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n\
        22 21 0:20 / /proc rw shared:5 master:1 - proc proc rw\n\
        nonsense\n\
        23 21 0:21 / /home rw - fuse.sshfs a:/b\\040c rw\n\
        24 23 0:4 net:[4026532281] /home/me/ns rw - nsfs nsfs rw\n\
        25 21 0:4 pid:[4026532282] /home2\\040\xff/ns rw - nsfs  rw\n";

    #[test]
    fn lines_of_mountinfo() {
        let mounts = parse(LINES);
        let points: Vec<String> =
            mounts.iter().map(|mount| String::from_utf8_lossy(&unescape(mount.point)).into_owned()).collect();
        assert_eq!(points, ["/", "/proc", "/home", "/home/me/ns", "/home2 \u{fffd}/ns"]);
        assert_eq!(mounts[1], Mount { device: (0, 20), root: b"/", point: b"/proc", file_system: b"proc" });
        assert_eq!((mounts[3].root, mounts[4].file_system), (&b"net:[4026532281]"[..], &b"nsfs"[..]));
    }

    #[test]
    fn nothing_below_a_server_is_reachable() {
        let mounts = parse(LINES);
        let obstacles = obstacles(&mounts);
        let reachable: Vec<bool> = mounts.iter().map(|mount| is_reachable(&obstacles, mount)).collect();
        assert_eq!(reachable, [true, true, false, false, true]);
    }

    #[test]
    fn escapes() {
        for (escaped, path) in [
            ("/a\\040b", "/a b"),
            ("/a\\134040b", "/a\\040b"),
            ("\\011\\012", "\t\n"),
            ("/a\\", "/a\\"),
            ("/a\\04", "/a\\04"),
            ("/a\\999", "/a\\999"),
            ("", ""),
        ] {
            assert_eq!(unescape(escaped.as_bytes()), path.as_bytes(), "{escaped}");
        }
    }

    #[test]
    fn this_process_reaches_its_own_proc() {
        let bytes = read(Path::new("/proc/self/mountinfo")).unwrap();
        let mounts = parse(&bytes);
        let proc = mounts.iter().find(|mount| mount.point == b"/proc").unwrap();
        assert!(is_reachable(&obstacles(&mounts), proc));
        let opened = open(Path::new("/proc/self"), proc.point).unwrap();
        assert!(rustix::fs::statat(&opened, c"self", rustix::fs::AtFlags::empty()).is_ok());
        assert_eq!(open(Path::new("/proc/self"), b"/no/such/place").unwrap_err(), Errno::NOENT);
    }
}
