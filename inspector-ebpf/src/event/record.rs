//! Puts together the record of an event, in the ring buffer itself.

use core::ptr::write_volatile;

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_probe_read_kernel_str};
use inspector_common::{ABI, EVENT_NAME_LEN, Event, EventRecord, Inodes, MISSING, event_flags, kind};

use super::ring;
use crate::{
    cgroup,
    memory::{Memory, Pointer, Probe, offset},
    pid::{self, Innermost},
    task::PF_KTHREAD,
};

/// Writes a field, by itself. Where several that follow one another are 0 the compiler would make a call of `memset`, a
/// function that the verifier knows nothing of.
macro_rules! put {
    ($record:ident.$($field:ident).+, $value:expr) => {
        write_volatile(&raw mut (*$record).$($field).+, $value)
    };
    ($record:ident.$field:ident, $inodes:ident, $($kind:ident)*) => {
        $(write_volatile(&raw mut (*$record).$field.$kind, $inodes.$kind);)*
    };
}

/// No namespaces.
pub const NONE: Inodes = Inodes {
    mnt: 0,
    uts: 0,
    ipc: 0,
    pid: 0,
    net: 0,
    user: 0,
    cgroup: 0,
    time: 0,
    pid_for_children: 0,
    time_for_children: 0,
};

/// What is told.
#[derive(Clone, Copy)]
pub struct Told {
    pub event: Event,
    /// Who it happens to.
    pub task: Pointer,
    /// The main thread of its process.
    pub leader: Pointer,
    /// What leads to the namespaces, numbers and owner of who is told of.
    pub ways: Ways,
    /// The caller of a fork; the parent of the process of who calls exec, `setns` or `unshare`.
    pub other: Option<Pointer>,
    pub exit_code: u32,
    /// Bits of [`event_flags`], so far.
    pub flags: u32,
}

impl Told {
    /// Writes the record.
    ///
    /// # Safety
    ///
    /// The tasks are such, by this way of reading, and exist.
    #[inline(always)]
    pub unsafe fn send<M: Memory>(&self, old: &Inodes, new: &Inodes) {
        let Some(mut room) = ring::reserve(self.event) else { return };
        let record = room.record();
        // SAFETY: room for a record, which what is written to leaves no byte of unwritten but those of the name past its
        // end; and fields of `task_struct`, `pid`, `cred` and `user_namespace`. An exit is told of its main thread, which
        // has all of this still, whichever thread goes last.
        unsafe {
            let Self { event, task, leader, ways, other, exit_code, mut flags } = *self;
            let told = if matches!(event, Event::Exit) { leader } else { task };
            let start = M::u64(told, offset!(task_start_boottime));
            put!(record.header.kind, kind::EVENT);
            put!(record.header.abi, ABI);
            put!(record.header.length, size_of::<EventRecord>() as u32);
            // A task begins when it is made: that clock was read already.
            let now = if matches!(event, Event::Fork) { start } else { bpf_ktime_get_boot_ns() };
            put!(record.boottime_ns, now);
            put!(record.start_boottime_ns, start);
            put!(record.process_start_boottime_ns, M::u64(leader, offset!(task_start_boottime)));
            put!(record.event, event as u32);
            put!(record.exit_code, exit_code);

            let Innermost { level, number: inside, .. } = innermost::<M>(ways.pid);
            put!(record.level, level);
            put!(record.pid_inside, inside);
            put!(record.pid, number::<M>(told, offset!(task_pid)));
            put!(record.tgid, number::<M>(leader, offset!(task_tgid)));
            if inside == 1 {
                flags |= event_flags::PID_NAMESPACE_INIT;
            }
            if M::u32(told, offset!(task_flags)) & PF_KTHREAD != 0 {
                flags |= event_flags::KERNEL_THREAD;
            }

            let (mut other_pid, mut other_tgid, mut other_start) = (0, 0, 0);
            if let Some(other) = other {
                other_pid = number::<M>(other, offset!(task_pid));
                if let Some(leader) = M::pointer(other, offset!(task_group_leader)) {
                    other_tgid = number::<M>(leader, offset!(task_tgid));
                    other_start = M::u64(leader, offset!(task_start_boottime));
                }
            }
            put!(record.other_pid, other_pid);
            put!(record.other_tgid, other_tgid);
            put!(record.other_start_boottime_ns, other_start);

            let (mut uid, mut owner) = (0, 0);
            if let Some(cred) = ways.cred {
                uid = M::u32(cred, offset!(cred_uid));
                if let Some(user) = M::pointer(cred, offset!(cred_user_ns)) {
                    owner = M::u32(user, offset!(user_owner));
                }
            }
            put!(record.uid, uid);
            put!(record.user_namespace_owner, owner);

            put!(record.old, old, mnt uts ipc pid net user cgroup time pid_for_children time_for_children);
            put!(record.new, new, mnt uts ipc pid net user cgroup time pid_for_children time_for_children);
            let comm = offset!(task_comm);
            // 16 bytes in two halves, as the kernel has them; at a place that is aligned for them.
            let halves = (&raw mut (*record).comm).cast::<u64>();
            write_volatile(halves, M::u64(told, comm));
            write_volatile(halves.add(1), M::u64(told, comm + 8));
            flags |= cgroups::<M>(record, task);
            put!(record.flags, flags);
        }
        room.submit();
    }
}

/// The thread group's id, as the reader sees it; 0 if it does not.
///
/// # Safety
///
/// The main thread of a process, by this way of reading.
#[inline(always)]
pub unsafe fn key<M: Memory>(leader: Pointer) -> u32 {
    // SAFETY: the caller's.
    unsafe { number::<M>(leader, offset!(task_tgid)) }
}

/// A task's id, as the reader sees it; 0 if it does not. In the initial namespace that is what `field` holds.
#[inline(always)]
unsafe fn number<M: Memory>(task: Pointer, field: u32) -> u32 {
    if offset!(reader_level) == 0 {
        // SAFETY: a field of `task_struct`.
        return unsafe { M::u32(task, field) };
    }
    // SAFETY: a field of `task_struct`, and a `struct pid`.
    unsafe { pid::seen(Probe::u64(task, offset!(task_thread_pid))) }
}

/// Fills in the cgroups, and the name of one. Gives bits of [`event_flags`].
#[inline(always)]
unsafe fn cgroups<M: Memory>(record: *mut EventRecord, task: Pointer) -> u32 {
    /// Without the NUL.
    const LONGEST: u32 = EVENT_NAME_LEN as u32 - 1;
    // SAFETY: room for a record; a `task_struct`; and the helper checks the address of the name, and puts a NUL within its
    // room.
    unsafe {
        let (v2, pids) = cgroup::of_task::<M>(task);
        put!(record.cgroup_v2, cgroup::id::<M>(v2));
        put!(record.cgroup_pids, cgroup::id::<M>(pids));
        let of_pids = cgroup::is_below_root(pids);
        let name = if of_pids { cgroup::name::<M>(pids) } else { cgroup::name::<M>(v2) };
        let room = (&raw mut (*record).cgroup_name).cast();
        let copied = bpf_probe_read_kernel_str(room, EVENT_NAME_LEN as u32, name as *const _);
        // Negative where there is none.
        let length = (copied - 1).clamp(0, LONGEST.into()) as u32;
        put!(record.cgroup_name_length, length);
        let mut flags = 0;
        if of_pids {
            flags |= event_flags::NAME_OF_PIDS;
        }
        // As long as there is room for, or longer.
        if length == LONGEST {
            flags |= event_flags::NAME_TRUNCATED;
        }
        flags
    }
}

#[inline(always)]
unsafe fn innermost<M: Memory>(pid: Option<Pointer>) -> Innermost {
    match pid {
        // SAFETY: a `struct pid`, by this way of reading.
        Some(pid) => unsafe { pid::innermost::<M>(pid) },
        None => Innermost::default(),
    }
}

/// What leads to the namespaces of a task.
///
/// Each is loaded once: where a pointer is loaded from one that the verifier trusts, it looks for the names of its safe
/// kinds among all of the kernel's types.
#[derive(Clone, Copy)]
pub struct Ways {
    pub nsproxy: Option<Pointer>,
    pub pid: Option<Pointer>,
    pub cred: Option<Pointer>,
}

impl Ways {
    /// Those of nobody.
    pub const NONE: Self = Self { nsproxy: None, pid: None, cred: None };

    /// Those of a task.
    ///
    /// # Safety
    ///
    /// A task, by this way of reading.
    #[inline(always)]
    pub unsafe fn of<M: Memory>(task: Pointer) -> Self {
        // SAFETY: fields of `task_struct`.
        unsafe {
            Self {
                nsproxy: M::pointer(task, offset!(task_nsproxy)),
                pid: M::pointer(task, offset!(task_thread_pid)),
                cred: M::pointer(task, offset!(task_real_cred)),
            }
        }
    }

    #[inline(always)]
    unsafe fn user<M: Memory>(&self) -> Option<Pointer> {
        match self.cred {
            // SAFETY: a field of `cred`.
            Some(cred) => unsafe { M::pointer(cred, offset!(cred_user_ns)) },
            None => None,
        }
    }

    /// Whether a child has all namespaces of who made it, and makes children where that does.
    ///
    /// # Safety
    ///
    /// As for [`Self::of`].
    #[inline(always)]
    pub unsafe fn are_those_of_child<M: Memory>(&self, child: &Self) -> bool {
        if self.nsproxy != child.nsproxy {
            return false;
        }
        // Nobody can be born but into the PID namespace of who made it or one below, so the depth tells.
        let depth = |ways: &Self| match ways.pid {
            // SAFETY: a field of `pid`.
            Some(pid) => unsafe { M::u32(pid, offset!(pid_level)) },
            None => 0,
        };
        // SAFETY: the caller's.
        depth(self) == depth(child) && unsafe { self.user::<M>() == child.user::<M>() }
    }

    /// The namespaces.
    ///
    /// # Safety
    ///
    /// As for [`Self::of`].
    #[inline(always)]
    pub unsafe fn namespaces<M: Memory>(&self) -> Inodes {
        // SAFETY: fields of `nsproxy`, and of each sort of namespace.
        unsafe {
            let pid = innermost::<M>(self.pid).inode;
            let user = match self.user::<M>() {
                Some(user) => M::u32(user, offset!(user_inum)),
                None => 0,
            };
            let Some(nsproxy) = self.nsproxy else { return Inodes { pid, user, ..NONE } };
            macro_rules! inode {
                ($pointer:ident, $inum:ident) => {
                    match offset!($pointer) {
                        MISSING => 0,
                        pointer => M::u32_behind(nsproxy, pointer, offset!($inum)),
                    }
                };
            }
            Inodes {
                mnt: inode!(nsproxy_mnt, mnt_inum),
                uts: inode!(nsproxy_uts, uts_inum),
                ipc: inode!(nsproxy_ipc, ipc_inum),
                pid,
                net: inode!(nsproxy_net, net_inum),
                user,
                cgroup: inode!(nsproxy_cgroup, cgroup_inum),
                time: inode!(nsproxy_time, time_inum),
                pid_for_children: inode!(nsproxy_pid_for_children, pid_inum),
                time_for_children: inode!(nsproxy_time_for_children, time_inum),
            }
        }
    }
}
