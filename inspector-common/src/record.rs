//! The records, as they follow one another in the iterator's output.
//!
//! Native byte order, no padding between records: a reader must not assume alignment.

use core::mem::offset_of;

use crate::{ABI, PID_LEVELS};

/// What a record is ([`Header::kind`]).
pub mod kind {
    /// A [`super::TaskRecord`].
    pub const TASK: u16 = 1;
    /// A [`super::CgroupRecord`].
    pub const CGROUP: u16 = 2;
    /// The [`super::EndRecord`]: the last one, or the output is cut short.
    pub const END: u16 = 3;
    /// A [`super::NamespaceRecord`].
    pub const NAMESPACE: u16 = 4;
    /// A [`crate::EventRecord`].
    pub const EVENT: u16 = 5;
}

/// The bits of [`TaskRecord::flags`].
pub mod flags {
    /// A kernel thread (`PF_KTHREAD`).
    pub const KERNEL_THREAD: u32 = 1 << 0;
    /// Dead, not yet reaped (`exit_state` is set). Other threads of its group may live.
    pub const ZOMBIE: u32 = 1 << 1;
    /// Number 1 of its PID namespace: its `child_reaper`'s thread group leader.
    pub const PID_NAMESPACE_INIT: u32 = 1 << 2;
    /// It has left its namespaces (`nsproxy` is NULL): only `pid` and `user` are known.
    pub const NO_NSPROXY: u32 = 1 << 3;
    /// A cgroup of it lies [`crate::CGROUP_DEPTH`] levels deep or deeper: its path was not written.
    pub const CGROUP_TOO_DEEP: u32 = 1 << 4;
    /// Not all that is above its namespaces was told of: [`crate::NAMESPACE_STEPS`] did not suffice.
    pub const NAMESPACES_TOO_DEEP: u32 = 1 << 5;
}

/// What every record begins with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// One of [`kind`].
    pub kind: u16,
    /// [`ABI`].
    pub abi: u16,
    /// Length of the whole record in bytes.
    pub length: u32,
}

impl Header {
    /// The header of a record of this kind and length.
    #[must_use]
    pub const fn new(kind: u16, length: u32) -> Self {
        Self { kind, abi: ABI, length }
    }
}

/// Inodes of a task's namespaces; 0 where it has none or the kernel knows no such kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the kernel's own names of the kinds")]
pub struct Inodes {
    pub mnt: u32,
    pub uts: u32,
    pub ipc: u32,
    pub pid: u32,
    pub net: u32,
    pub user: u32,
    pub cgroup: u32,
    pub time: u32,
    pub pid_for_children: u32,
    pub time_for_children: u32,
}

/// One process (its main thread), or one thread whose `nsproxy` is not its leader's (every living thread of a dead
/// leader counts as one).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TaskRecord {
    /// Kind [`kind::TASK`].
    pub header: Header,
    /// Start, in nanoseconds since boot, suspend included.
    pub start_boottime_ns: u64,
    /// Its cgroup in the default (v2) hierarchy: `kernfs_node.id`, the inode of the folder. 0 where unread.
    pub cgroup_v2: u64,
    /// Its cgroup in the v1 hierarchy that has the `pids` controller; 0 where that controller is on v2.
    pub cgroup_pids: u64,
    /// The thread's id, as the reader's PID namespace numbers it.
    pub pid: u32,
    /// Its thread group's id, likewise.
    pub tgid: u32,
    /// The thread group's id of its `real_parent`, likewise; 0 where the reader cannot see that.
    pub parent: u32,
    /// Bits of [`flags`].
    pub flags: u32,
    /// Depth of its PID namespace below the initial one.
    pub level: u32,
    /// Its id in its own (innermost) PID namespace.
    pub pid_inside: u32,
    /// Threads of its group (`signal->nr_threads`).
    pub threads: u32,
    /// Real uid (`real_cred`), as the initial user namespace numbers it.
    pub uid: u32,
    /// The uid that owns its user namespace, as the initial user namespace numbers it.
    pub user_namespace_owner: u32,
    /// Its namespaces.
    pub namespaces: Inodes,
    /// The kernel's name for it, NUL-terminated; any other bytes, as the process likes.
    pub comm: [u8; 16],
    /// `task_struct.__state` and `exit_state`, or'ed: they have no bit in common.
    pub state: u32,
    /// Its id in each PID namespace below the reader's, the outermost first; the record's length ends them.
    pub pids_below: [u32; PID_LEVELS as usize],
}

/// A [`TaskRecord`] up to the pids below.
pub const TASK_HEADER_LEN: usize = offset_of!(TaskRecord, pids_below);

/// Which kind of namespace ([`NamespaceRecord::kind`]), in the order of [`Inodes`].
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the kernel's own names of the kinds")]
pub enum NamespaceKind {
    Mnt = 0,
    Uts = 1,
    Ipc = 2,
    Pid = 3,
    Net = 4,
    User = 5,
    Cgroup = 6,
    Time = 7,
}

/// One namespace: written once for each, before the first task in it, and before or after what is above it. Written
/// again should the kernel side forget that it was.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamespaceRecord {
    /// Kind [`kind::NAMESPACE`].
    pub header: Header,
    /// A [`NamespaceKind`].
    pub kind: u32,
    /// Its inode.
    pub inode: u32,
    /// Inode of the user namespace that owns it (a user namespace's parent); 0 for the initial user namespace.
    pub owner: u32,
    /// Inode of the namespace above it, for kinds `pid` and `user`; 0 for the initial ones and for other kinds.
    pub parent: u32,
    /// `ns_common.ns_id`, which is never used again; 0 before Linux 6.18.
    pub id: u64,
}

/// Which tree of cgroups ([`CgroupRecord::hierarchy`]).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hierarchy {
    /// The default hierarchy, cgroup v2.
    V2 = 0,
    /// The v1 hierarchy that has the `pids` controller.
    Pids = 1,
}

/// One cgroup on the way from a task's to the root; written once for each, before the first task that needs it.
/// Written again should the kernel side forget that it was.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupRecord {
    /// Kind [`kind::CGROUP`]; its length ends the name.
    pub header: Header,
    /// A [`Hierarchy`].
    pub hierarchy: u32,
    /// Bytes of the name, without a NUL.
    pub name_length: u32,
    /// The cgroup's id in its hierarchy.
    pub id: u64,
    /// The parent's id; 0 for the root.
    pub parent: u64,
    /// The name, of which [`Self::name_length`] bytes are written.
    pub name: [u8; NAME_LEN],
}

/// Room for the longest name of a cgroup (`NAME_MAX`) and a NUL.
pub const NAME_LEN: usize = 256;

/// A [`CgroupRecord`] up to its name.
pub const CGROUP_HEADER_LEN: usize = offset_of!(CgroupRecord, name);

/// The last record.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndRecord {
    /// Kind [`kind::END`].
    pub header: Header,
    /// Task records written.
    pub tasks: u64,
    /// Cgroup records written.
    pub cgroups: u64,
    /// Namespace records written.
    pub namespaces: u64,
    /// Threads looked at, most of which share all with their leader and have no record.
    pub visited: u64,
}

// Both sides are compiled by different compilers for different targets: the layout is part of the contract.
const _: () = {
    assert!(size_of::<Header>() == 8);
    assert!(size_of::<Inodes>() == 40);
    assert!(size_of::<TaskRecord>() == 256 && align_of::<TaskRecord>() == 8);
    assert!(offset_of!(TaskRecord, start_boottime_ns) == 8);
    assert!(offset_of!(TaskRecord, pid) == 32);
    assert!(offset_of!(TaskRecord, uid) == 60);
    assert!(offset_of!(TaskRecord, namespaces) == 68);
    assert!(offset_of!(TaskRecord, comm) == 108);
    assert!(offset_of!(TaskRecord, state) == 124);
    assert!(TASK_HEADER_LEN == 128);
    assert!(size_of::<NamespaceRecord>() == 32 && offset_of!(NamespaceRecord, id) == 24);
    assert!(size_of::<CgroupRecord>() == 288);
    assert!(offset_of!(CgroupRecord, hierarchy) == 8);
    assert!(offset_of!(CgroupRecord, id) == 16);
    assert!(CGROUP_HEADER_LEN == 32);
    assert!(size_of::<EndRecord>() == 40);
};
