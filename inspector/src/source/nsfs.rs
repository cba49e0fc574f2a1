//! What the kernel says of a namespace through a descriptor of it (ioctl_nsfs(2)): what it is, what stands above it, whose
//! it is.
//!
//! It is handed descriptors and opens none by path. What a kernel does not have, or what lies above the reader's own
//! namespaces, is `None`, not an error: nobody could say more from here.

use std::collections::HashMap;
use std::ffi::c_void;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::ioctl::{Getter, Ioctl, IoctlOutput, Opcode, ioctl, opcode};

use crate::observation::{Kind, NamespaceFact};

/// The ioctls' "magic number" (`NSIO` in include/uapi/linux/nsfs.h).
const NSIO: u8 = 0xb7;
/// Gives the user namespace that owns it (Linux 4.9).
const NS_GET_USERNS: Opcode = opcode::none(NSIO, 1);
/// Gives the namespace above it: of a PID or user namespace (Linux 4.9).
const NS_GET_PARENT: Opcode = opcode::none(NSIO, 2);
/// Gives the `CLONE_NEW…` flag of its kind (Linux 4.11).
const NS_GET_NSTYPE: Opcode = opcode::none(NSIO, 3);
/// Gives the uid that owns a user namespace (Linux 4.11).
const NS_GET_OWNER_UID: Opcode = opcode::none(NSIO, 4);
/// Gives the id that no other namespace ever has (Linux 6.18).
const NS_GET_ID: Opcode = opcode::read::<u64>(NSIO, 13);

/// How deep PID and user namespaces can be nested below the initial one (`MAX_PID_NS_LEVEL`, and the same in
/// `create_user_ns`).
const MAX_LEVELS: u32 = 32;

/// An ioctl that answers with a new descriptor.
struct Opens<const OPCODE: Opcode>;

// SAFETY: the ioctls that this is used for take no argument, so the null pointer is never followed; when they succeed
// they return a descriptor that belongs to nobody else (`open_related_ns` and `sock_ioctl` in the kernel).
unsafe impl<const OPCODE: Opcode> Ioctl for Opens<OPCODE> {
    type Output = OwnedFd;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> Result<OwnedFd, Errno> {
        // SAFETY: rustix calls this after success only, where the value is the new descriptor.
        Ok(unsafe { OwnedFd::from_raw_fd(out) })
    }
}

/// An ioctl that answers with a number.
struct Returns<const OPCODE: Opcode>;

// SAFETY: as for `Opens`, and the result is a plain number.
unsafe impl<const OPCODE: Opcode> Ioctl for Returns<OPCODE> {
    type Output = u32;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        OPCODE
    }

    fn as_ptr(&mut self) -> *mut c_void {
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(out: IoctlOutput, _: *mut c_void) -> Result<u32, Errno> {
        u32::try_from(out).map_err(|_| Errno::RANGE)
    }
}

/// The kind and the inode of a namespace; `None` where the descriptor is of none that is known here.
pub fn identify(namespace: BorrowedFd<'_>) -> Option<(Kind, u32)> {
    // SAFETY: NS_GET_NSTYPE takes no argument and returns a flag.
    let flag = unsafe { ioctl(namespace, Returns::<NS_GET_NSTYPE>) }.ok()?;
    Some((kind(flag)?, inode(namespace)?))
}

/// The kind that a `CLONE_NEW…` flag is of.
fn kind(flag: u32) -> Option<Kind> {
    Some(match flag {
        0x0000_0080 => Kind::Time,
        0x0002_0000 => Kind::Mnt,
        0x0200_0000 => Kind::Cgroup,
        0x0400_0000 => Kind::Uts,
        0x0800_0000 => Kind::Ipc,
        0x1000_0000 => Kind::User,
        0x2000_0000 => Kind::Pid,
        0x4000_0000 => Kind::Net,
        _ => return None,
    })
}

/// The inode of what is open.
pub fn inode(namespace: BorrowedFd<'_>) -> Option<u32> {
    rustix::fs::fstat(namespace).ok().and_then(|stat| stat.st_ino.try_into().ok())
}

/// Opens the namespace that a descriptor made with `O_PATH` leads to; `None` where it leads to anything else, which is not
/// opened: that could wait for somebody, or do something.
pub fn reopen(found: BorrowedFd<'_>) -> Option<(Kind, OwnedFd)> {
    // NSFS_MAGIC in include/uapi/linux/magic.h.
    const NSFS_MAGIC: u64 = 0x6e73_6673;
    let file_system = rustix::fs::fstatfs(found).ok()?;
    if u64::try_from(file_system.f_type) != Ok(NSFS_MAGIC) {
        return None;
    }
    let link = format!("/proc/self/fd/{}", found.as_raw_fd());
    let namespace = rustix::fs::open(link, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let (kind, _) = identify(namespace.as_fd())?;
    Some((kind, namespace))
}

/// The network namespace of a socket (`SIOCGSKNS`, Linux 4.9).
///
/// # Errors
/// When the reader lacks CAP_NET_ADMIN there, or the descriptor is no socket.
pub fn of_socket(socket: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    // From include/uapi/linux/sockios.h.
    const SIOCGSKNS: Opcode = 0x894c;
    // SAFETY: SIOCGSKNS takes no argument and returns a new descriptor.
    unsafe { ioctl(socket, Opens::<SIOCGSKNS>) }
}

/// The namespace above one of kind pid or user; `None` for the initial one, and above the reader's own.
fn parent(namespace: BorrowedFd<'_>) -> Option<OwnedFd> {
    // SAFETY: NS_GET_PARENT takes no argument and returns a new descriptor.
    unsafe { ioctl(namespace, Opens::<NS_GET_PARENT>) }.ok()
}

/// The user namespace that owns one; `None` where that is above the reader's own.
fn owner(namespace: BorrowedFd<'_>) -> Option<OwnedFd> {
    // SAFETY: NS_GET_USERNS takes no argument and returns a new descriptor.
    unsafe { ioctl(namespace, Opens::<NS_GET_USERNS>) }.ok()
}

/// The uid that owns a user namespace, as the reader's user namespace numbers it.
fn owner_uid(namespace: BorrowedFd<'_>) -> Option<u32> {
    // SAFETY: NS_GET_OWNER_UID writes one uid_t (u32) through the pointer, which is what this getter offers it.
    unsafe { ioctl(namespace, Getter::<NS_GET_OWNER_UID, u32>::new()) }.ok()
}

/// The kernel's id of a namespace.
fn id(namespace: BorrowedFd<'_>) -> Result<u64, Errno> {
    // SAFETY: NS_GET_ID writes one u64 through the pointer, which is what this getter offers it.
    unsafe { ioctl(namespace, Getter::<NS_GET_ID, u64>::new()) }
}

/// What the kernel said of namespaces so far, so that it is asked about each once.
#[derive(Default)]
pub struct Facts {
    /// What another source knew before, by kind and inode.
    told: Vec<NamespaceFact>,
    known: HashMap<(Kind, u32), NamespaceFact>,
    /// The uids that own the user namespaces among them.
    uids: HashMap<u32, Option<u32>>,
    /// This kernel has no ids.
    no_ids: bool,
}

impl Facts {
    /// Starts from what is known already.
    #[must_use]
    pub fn of(mut told: Vec<NamespaceFact>) -> Self {
        told.sort_unstable();
        Self { told, ..Self::default() }
    }

    /// Whether the kernel was asked about it.
    #[must_use]
    pub fn has(&self, kind: Kind, inode: u32) -> bool {
        self.known.contains_key(&(kind, inode))
            || self.told.binary_search_by_key(&(kind, inode), |fact| (fact.kind, fact.inode)).is_ok()
    }

    /// The uid that owns a user namespace which was added, as the reader's user namespace numbers it.
    #[must_use]
    pub fn owner_uid(&self, inode: u32) -> Option<u32> {
        self.uids.get(&inode).copied().flatten()
    }

    /// Asks about a namespace of that kind and about everything above it, but for what is known.
    pub fn add(&mut self, kind: Kind, namespace: BorrowedFd<'_>) {
        // Above a PID namespace there are as many others as levels, and above each of them as many user namespaces.
        self.climb(kind, namespace, 2 * MAX_LEVELS + 1);
    }

    /// The inode of the namespace, after it and those above it have been asked about.
    fn climb(&mut self, kind: Kind, namespace: BorrowedFd<'_>, levels: u32) -> Option<u32> {
        let inode = inode(namespace)?;
        if self.has(kind, inode) {
            return Some(inode);
        }
        let id = self.id(namespace);
        // Known from here on: the recursion ends even where a kernel should name a namespace above itself.
        self.known.insert((kind, inode), NamespaceFact { kind, inode, owner: None, parent: None, id });
        if kind == Kind::User {
            self.uids.insert(inode, owner_uid(namespace));
        }
        let Some(levels) = levels.checked_sub(1) else { return Some(inode) };
        let parent = matches!(kind, Kind::Pid | Kind::User)
            .then(|| parent(namespace))
            .flatten()
            .and_then(|above| self.climb(kind, above.as_fd(), levels));
        let owner = match kind {
            Kind::User => parent,
            _ => owner(namespace).and_then(|owner| self.climb(Kind::User, owner.as_fd(), levels)),
        };
        self.known.insert((kind, inode), NamespaceFact { kind, inode, owner, parent, id });
        Some(inode)
    }

    fn id(&mut self, namespace: BorrowedFd<'_>) -> Option<u64> {
        if self.no_ids {
            return None;
        }
        let id = id(namespace);
        self.no_ids = id == Err(Errno::NOTTY);
        id.ok()
    }

    /// All of them, by kind and inode.
    #[must_use]
    pub fn into_sorted(self) -> Vec<NamespaceFact> {
        let mut facts = self.told;
        facts.extend(self.known.into_values());
        facts.sort_unstable();
        facts
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn own(link: &str) -> (File, u32) {
        let file = File::open(format!("/proc/self/ns/{link}")).unwrap();
        let inode = file.metadata().unwrap().ino().try_into().unwrap();
        (file, inode)
    }

    #[test]
    fn the_ioctls_are_numbered_as_the_kernel_numbers_them() {
        let numbers = [NS_GET_USERNS, NS_GET_PARENT, NS_GET_NSTYPE, NS_GET_OWNER_UID, NS_GET_ID];
        assert_eq!(numbers, [0xb701, 0xb702, 0xb703, 0xb704, 0x8008_b70d]);
    }

    #[test]
    fn every_kind_is_told_by_its_descriptor() {
        for kind in Kind::ALL {
            let (file, inode) = own(kind.name());
            assert_eq!(identify(file.as_fd()), Some((kind, inode)));
        }
        assert_eq!(identify(File::open("/dev/null").unwrap().as_fd()), None);
    }

    #[test]
    fn only_namespaces_are_reopened() {
        let path =
            |path: &str| rustix::fs::open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let (kind, namespace) = reopen(path("/proc/self/ns/uts").as_fd()).unwrap();
        assert_eq!((kind, inode(namespace.as_fd())), (Kind::Uts, Some(own("uts").1)));
        for other in ["/dev/null", "/proc/self/stat", "/"] {
            assert!(reopen(path(other).as_fd()).is_none(), "{other}");
        }
    }

    #[test]
    fn what_is_above_a_namespace_is_asked_about_too_and_once() {
        let mut facts = Facts::default();
        let (net, inode) = own("net");
        facts.add(Kind::Net, net.as_fd());
        let (user, user_inode) = own("user");
        assert!(facts.has(Kind::Net, inode) && facts.has(Kind::User, user_inode));
        assert_eq!(facts.owner_uid(user_inode), owner_uid(user.as_fd()));
        facts.add(Kind::Net, net.as_fd());
        facts.add(Kind::User, user.as_fd());
        let listed = facts.into_sorted();
        assert_eq!(listed.len(), 2, "{listed:?}");
        assert_eq!((listed[0].kind, listed[0].owner, listed[0].parent), (Kind::Net, Some(user_inode), None));
        assert_eq!(listed[0].id, id(net.as_fd()).ok());
        let mut facts = Facts::of(listed.clone());
        facts.add(Kind::Net, net.as_fd());
        assert_eq!(facts.into_sorted(), listed);
    }

    #[test]
    fn a_sockets_namespace_is_the_one_that_it_was_made_in() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        if rustix::process::geteuid().is_root() {
            assert_eq!(identify(of_socket(socket.as_fd()).unwrap().as_fd()), Some((Kind::Net, own("net").1)));
        }
        assert!(of_socket(File::open("/dev/null").unwrap().as_fd()).is_err());
    }
}
