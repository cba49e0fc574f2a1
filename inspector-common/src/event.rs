//! What happens to processes and their namespaces, as the kernel side tells it at the moment it happens: one record an
//! event, through a ring buffer; and what the event programs are told in return.
//!
//! The ring buffer keeps the order in which records were begun, whatever processor they come from. So none has a
//! number: what is missing from the order, [`counter`] counts.

use core::mem::offset_of;

use crate::{Header, Inodes};

/// What happened ([`EventRecord::event`]).
#[repr(u32)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    /// A task was made.
    Fork = 0,
    /// A process became another program.
    Exec = 1,
    /// A process is over: its last thread is going.
    Exit = 2,
    /// A task joined namespaces.
    Setns = 3,
    /// A task made namespaces for itself.
    Unshare = 4,
}

impl Event {
    /// All of them, by their numbers.
    pub const ALL: [Self; 5] = [Self::Fork, Self::Exec, Self::Exit, Self::Setns, Self::Unshare];
}

/// The bits of [`EventRecord::flags`].
pub mod event_flags {
    /// A kernel thread (`PF_KTHREAD`).
    pub const KERNEL_THREAD: u32 = 1 << 0;
    /// Number 1 of its PID namespace.
    pub const PID_NAMESPACE_INIT: u32 = 1 << 1;
    /// What the namespaces were before is not known: `old` says nothing.
    pub const OLD_UNKNOWN: u32 = 1 << 2;
    /// `old` are those of its parent, for want of its own: nobody knew this process before.
    pub const OLD_IS_PARENTS: u32 = 1 << 3;
    /// The cgroup's name fills the room for it, and may be longer.
    pub const NAME_TRUNCATED: u32 = 1 << 4;
    /// The cgroup's name is that of the v1 hierarchy with the `pids` controller, not that of v2.
    pub const NAME_OF_PIDS: u32 = 1 << 5;
    /// Of a fork: the child's parent is its caller's, not its caller (`CLONE_PARENT`, and every thread's).
    pub const PARENT_IS_CALLERS: u32 = 1 << 6;
}

/// Room for the cgroup's name and a NUL: more than any runtime makes of an id of 64 digits.
pub const EVENT_NAME_LEN: usize = 128;

/// One event. Pids are as the reader's PID namespace numbers them; 0 for what it cannot see.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRecord {
    /// Kind [`crate::kind::EVENT`].
    pub header: Header,
    /// When, in nanoseconds since boot, suspend included.
    pub boottime_ns: u64,
    /// Start of the task, on the same clock.
    pub start_boottime_ns: u64,
    /// Start of its process (its main thread): together with `tgid` it tells that from all others.
    pub process_start_boottime_ns: u64,
    /// Start of the other's process.
    pub other_start_boottime_ns: u64,
    /// The task's cgroup in the default (v2) hierarchy, as in [`crate::TaskRecord`].
    pub cgroup_v2: u64,
    /// Its cgroup in the v1 hierarchy that has the `pids` controller; 0 where that controller is on v2.
    pub cgroup_pids: u64,
    /// An [`Event`].
    pub event: u32,
    /// Bits of [`event_flags`].
    pub flags: u32,
    /// The task. Of an exit its main thread, which may have gone before.
    pub pid: u32,
    /// Its thread group.
    pub tgid: u32,
    /// The other task. Of a fork its caller, whoever is the parent then; of an exec, a `setns` and an `unshare` the parent of
    /// the task's process; of an exit 0.
    pub other_pid: u32,
    /// The other's thread group.
    pub other_tgid: u32,
    /// Of an exit, what `wait` would give for it; else 0.
    pub exit_code: u32,
    /// Depth of its PID namespace below the initial one.
    pub level: u32,
    /// Its id in its own (innermost) PID namespace.
    pub pid_inside: u32,
    /// Real uid (`real_cred`), as the initial user namespace numbers it.
    pub uid: u32,
    /// The uid that owns its user namespace, likewise.
    pub user_namespace_owner: u32,
    /// Bytes of the cgroup's name, without a NUL.
    pub cgroup_name_length: u32,
    /// The namespaces before: of a fork its caller's; of an exit those that it leaves.
    pub old: Inodes,
    /// The namespaces after; of an exit none.
    pub new: Inodes,
    /// The kernel's name for the task, as in [`crate::TaskRecord`].
    pub comm: [u8; 16],
    /// The own name of its innermost cgroup, of which `cgroup_name_length` bytes count. That of v1 unless the task is
    /// in the root there.
    pub cgroup_name: [u8; EVENT_NAME_LEN],
}

/// What the event programs know of a process whose death is to be told. Its key is the thread group's id, as the
/// reader's PID namespace numbers it. Of those that are counted at one [`slot`] the start is enough to tell them apart: no
/// two that are so many numbers apart are made in one nanosecond.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked {
    /// Start of the process: an id may be somebody else's by now.
    pub start_boottime_ns: u64,
    /// Its namespaces, as they were told last.
    pub namespaces: Inodes,
}

/// How many counts of [`Tracked`] processes there are: each process is counted at its [`slot`].
pub const SLOTS: u32 = 1 << 14;

/// Where a process is counted, and noted if it is alone there, by its key. To look there is a load for the kernel side, and to
/// look among all others a call: so hardly any process that begins or ends costs one. Those that follow one another lie side
/// by side.
#[must_use]
pub const fn slot(key: u32) -> u32 {
    key % SLOTS
}

/// The elements of the counters, one array a processor.
pub mod counter {
    use super::Event;

    /// Records of this event that were due, whether or not they found room.
    #[must_use]
    pub const fn emitted(event: Event) -> u32 {
        2 * event as u32
    }

    /// Records of this event that found no room in the ring buffer.
    #[must_use]
    pub const fn lost(event: Event) -> u32 {
        2 * event as u32 + 1
    }

    /// Processes whose death will not be told, because there was no room to note them.
    pub const UNTRACKED: u32 = lost(Event::Unshare) + 1;
    /// How many there are.
    pub const COUNT: u32 = UNTRACKED + 1;
}

/// What the event programs are told once and for all: frozen before they are loaded, so that the verifier drops what
/// does not apply.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventSettings {
    /// Not 0: every fork of a process, exec and exit, whatever its namespaces.
    pub all_processes: u32,
    /// Wakes the reader when so many bytes wait for it; 0: at once.
    pub wake_at: u32,
    /// Inode of the reader's PID namespace. 0 if it is the initial one, where every task is to be seen.
    pub reader_namespace: u32,
    /// Not 0: the tracepoint of an exit says by itself whether the process is over (from Linux 6.16).
    pub exit_tells_group_dead: u32,
    /// Numbers of `setns`: this machine's, and that of its 32-bit programs. `u32::MAX` for none.
    pub setns: [u32; 2],
    /// Numbers of `unshare`, likewise.
    pub unshare: [u32; 2],
}

impl EventSettings {
    /// What the object holds until it is loaded.
    pub const UNSET: Self = Self {
        all_processes: 0,
        wake_at: 0,
        reader_namespace: 0,
        exit_tells_group_dead: 0,
        setns: [u32::MAX; 2],
        unshare: [u32::MAX; 2],
    };
}

const _: () = {
    assert!(size_of::<EventRecord>() == 328 && align_of::<EventRecord>() == 8);
    assert!(offset_of!(EventRecord, boottime_ns) == 8);
    assert!(offset_of!(EventRecord, cgroup_pids) == 48);
    assert!(offset_of!(EventRecord, event) == 56);
    assert!(offset_of!(EventRecord, exit_code) == 80);
    assert!(offset_of!(EventRecord, cgroup_name_length) == 100);
    assert!(offset_of!(EventRecord, old) == 104);
    assert!(offset_of!(EventRecord, new) == 144);
    assert!(offset_of!(EventRecord, comm) == 184);
    assert!(offset_of!(EventRecord, cgroup_name) == 200);
    assert!(size_of::<Tracked>() == 48 && offset_of!(Tracked, namespaces) == 8);
    // No padding: user space hands it over as bytes.
    assert!(size_of::<EventSettings>() == 32);
};
