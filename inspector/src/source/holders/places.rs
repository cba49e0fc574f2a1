//! What is mounted: pins, of which the kernel is asked, and proc file systems, whose PID namespace is made out.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{Mode, OFlags, fstat, major, minor, openat, readlinkat_raw};
use rustix::io::Errno;

use super::Search;
use crate::observation::{Gap, Handle, Kind, Via};
use crate::source::pins::{Place, namespace};
use crate::source::{mounts, nsfs};

impl Search<'_> {
    /// Asks the kernel about the namespaces that are pinned and that no process is in.
    pub(super) fn pins(&mut self) {
        for ((kind, inode), place) in &self.known.mounts.places {
            if !place.reachable || self.facts.has(*kind, *inode) {
                continue;
            }
            if self.is_late() {
                return self.late("what is above some pinned namespaces");
            }
            let Ok(opened) = mounts::open(&self.process(place), &place.point) else { continue };
            // Whatever lies there now: the kernel says what it is.
            if let Some((kind, namespace)) = nsfs::reopen(opened.as_fd()) {
                self.facts.add(kind, namespace.as_fd());
            }
        }
    }

    /// Finds the PID namespaces that mounted proc file systems keep.
    pub(super) fn proc_file_systems(&mut self) {
        let mut unknown: Vec<(String, String)> = Vec::new();
        for (device, place) in &self.known.mounts.procs {
            if self.is_late() {
                return self.late("the PID namespaces that some proc file systems keep");
            }
            let path = String::from_utf8_lossy(&place.point).into_owned();
            match self.shown_by(*device, place) {
                Ok((inode, namespace)) => {
                    if self.is_host(Kind::Pid, inode) {
                        continue;
                    }
                    if !self.facts.has(Kind::Pid, inode)
                        && let Some(namespace) = namespace
                    {
                        self.facts.add(Kind::Pid, namespace.as_fd());
                    }
                    let handle = Handle { kind: Kind::Pid, inode, pid: place.member, via: Via::Mount, path };
                    self.handles.push(handle);
                }
                Err(why) => unknown.push((path, why)),
            }
        }
        if let Some((path, why)) = unknown.first() {
            let what = match unknown.len() {
                1 => format!("the PID namespace that the proc file system at {path} keeps"),
                more => format!("the PID namespaces that {more} proc file systems keep, {path} first"),
            };
            self.gaps.push(Gap::detail(what, why.clone()));
        }
    }

    /// The PID namespace that a proc file system shows.
    fn shown_by(&self, device: (u32, u32), place: &Place) -> Result<(u32, Option<OwnedFd>), String> {
        if !place.reachable {
            return Err("what it is mounted below may hang, so it was not opened".to_owned());
        }
        let opened = mounts::open(&self.process(place), &place.point)
            .map_err(|error| format!("it cannot be opened: {}", std::io::Error::from(error)))?;
        let stat = fstat(&opened).map_err(|error| std::io::Error::from(error).to_string())?;
        if (major(stat.st_dev), minor(stat.st_dev)) != device {
            return Err("another mount hides it".to_owned());
        }
        // Its PID 1 is the init of the namespace that it shows, and in it.
        match link(opened.as_fd(), c"1/ns/pid") {
            Ok(inode) => Ok((inode, open(opened.as_fd(), c"1/ns/pid"))),
            Err(Errno::NOENT) => Err("all of that namespace's processes are gone, and the kernel names it \
                                      to nobody; unmount it to let it go"
                .to_owned()),
            // A security module may keep even root away from the node's init.
            Err(errno) => match reader_of(opened.as_fd()) {
                Some(inode) => Ok((inode, None)),
                None => Err(format!("its PID 1 is not to be read: {}", std::io::Error::from(errno))),
            },
        }
    }

    /// The directory in /proc of the process that a place is opened by.
    fn process(&self, place: &Place) -> PathBuf {
        self.context.host(format!("/proc/{}", place.by))
    }
}

/// The reader's own PID namespace, where that is the one that a proc file system shows.
fn reader_of(proc: BorrowedFd<'_>) -> Option<u32> {
    let status = openat(proc, c"self/status", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut std::fs::File::from(status), &mut text).ok()?;
    // One number for each level from the one that it shows down to the reader's.
    let levels = text.lines().find_map(|line| line.strip_prefix("NSpid:"))?.split_ascii_whitespace().count();
    if levels == 1 { link(proc, c"self/ns/pid").ok() } else { None }
}

fn link(proc: BorrowedFd<'_>, name: &std::ffi::CStr) -> Result<u32, Errno> {
    let mut buffer = [std::mem::MaybeUninit::<u8>::uninit(); 64];
    let (target, _) = readlinkat_raw(proc, name, &mut buffer)?;
    namespace(target).map(|(_, inode)| inode).ok_or(Errno::INVAL)
}

fn open(proc: BorrowedFd<'_>, name: &std::ffi::CStr) -> Option<OwnedFd> {
    openat(proc, name, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()
}
