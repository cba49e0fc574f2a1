//! Puts together the record of an event, in the ring buffer itself.

use core::ptr::write_volatile;

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_probe_read_kernel, bpf_probe_read_kernel_str};
use inspector_common::{ABI, EVENT_NAME_LEN, Event, EventRecord, Inodes, MISSING, event_flags, kind};

use super::ring;
use crate::{
    cgroup,
    memory::{Pointer, Probe, offset},
    pid,
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

/// What is told. Tasks are addresses of `task_struct`.
#[derive(Clone, Copy)]
pub struct Told {
    pub event: Event,
    /// Who it happens to.
    pub task: u64,
    /// The main thread of its process.
    pub leader: u64,
    /// The caller of a fork, the parent of who calls exec; else 0.
    pub other: u64,
    pub exit_code: u32,
    /// Bits of [`event_flags`], so far.
    pub flags: u32,
}

impl Told {
    /// The thread group's id, as the reader sees it; 0 if it does not.
    #[inline(always)]
    pub unsafe fn key(&self) -> u32 {
        // SAFETY: fields of `task_struct`.
        unsafe { pid::seen(thread_pid(self.leader)) }
    }

    /// Writes the record.
    ///
    /// # Safety
    ///
    /// The tasks are such, and exist.
    #[inline(always)]
    pub unsafe fn send(&self, old: &Inodes, new: &Inodes) {
        let Some(mut entry) = ring::reserve(self.event) else { return };
        let record = entry.as_mut_ptr();
        // SAFETY: room for a record, which what is written to leaves no byte of unwritten but those of the name past its
        // end; and fields of `task_struct`, `pid`, `cred` and `user_namespace`. An exit is told of its main thread, which
        // has all of this still, whichever thread goes last.
        unsafe {
            let Self { event, task, leader, other, exit_code, mut flags } = *self;
            let told = if matches!(event, Event::Exit) { leader } else { task };
            put!(record.header.kind, kind::EVENT);
            put!(record.header.abi, ABI);
            put!(record.header.length, size_of::<EventRecord>() as u32);
            put!(record.boottime_ns, bpf_ktime_get_boot_ns());
            put!(record.start_boottime_ns, Probe::u64_or_0(told, offset!(task_start_boottime)));
            put!(record.process_start_boottime_ns, Probe::u64_or_0(leader, offset!(task_start_boottime)));
            put!(record.event, event as u32);
            put!(record.exit_code, exit_code);

            let number = thread_pid(told);
            let (level, inside, _) = pid::innermost_numbers(number);
            put!(record.level, level);
            put!(record.pid_inside, inside);
            put!(record.pid, pid::seen(number));
            put!(record.tgid, pid::seen(thread_pid(leader)));
            if inside == 1 {
                flags |= event_flags::PID_NAMESPACE_INIT;
            }
            if Probe::u32_or_0(told, offset!(task_flags)) & PF_KTHREAD != 0 {
                flags |= event_flags::KERNEL_THREAD;
            }

            let other_leader = Probe::u64_or_0(other, offset!(task_group_leader));
            put!(record.other_pid, pid::seen(thread_pid(other)));
            put!(record.other_tgid, pid::seen(thread_pid(other_leader)));
            let other_start = Probe::u64_or_0(other_leader, offset!(task_start_boottime));
            put!(record.other_start_boottime_ns, other_start);

            let cred = Probe::u64_or_0(told, offset!(task_real_cred));
            put!(record.uid, Probe::u32_or_0(cred, offset!(cred_uid)));
            let user = Probe::u64_or_0(cred, offset!(cred_user_ns));
            put!(record.user_namespace_owner, Probe::u32_or_0(user, offset!(user_owner)));

            put!(record.old, old, mnt uts ipc pid net user cgroup time pid_for_children time_for_children);
            put!(record.new, new, mnt uts ipc pid net user cgroup time pid_for_children time_for_children);
            let comm = told.wrapping_add(offset!(task_comm).into());
            bpf_probe_read_kernel((&raw mut (*record).comm).cast(), 16, comm as *const _);
            flags |= cgroups(record, task);
            put!(record.flags, flags);
        }
        ring::submit(entry);
    }
}

/// Fills in the cgroups, and the name of one. Gives bits of [`event_flags`].
#[inline(always)]
unsafe fn cgroups(record: *mut EventRecord, task: u64) -> u32 {
    /// Without the NUL.
    const LONGEST: u32 = EVENT_NAME_LEN as u32 - 1;
    // SAFETY: room for a record; a `task_struct`; and the helper checks the address of the name, and puts a NUL within its
    // room.
    unsafe {
        let (v2, pids) = match Pointer::new(task as *mut u8) {
            Some(task) => cgroup::of_task(task),
            None => (None, None),
        };
        put!(record.cgroup_v2, cgroup::id(v2));
        put!(record.cgroup_pids, cgroup::id(pids));
        let of_pids = cgroup::is_below_root(pids);
        let name = cgroup::name(if of_pids { pids } else { v2 });
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

/// The address of a task's `struct pid`.
#[inline(always)]
unsafe fn thread_pid(task: u64) -> u64 {
    // SAFETY: a field of `task_struct`.
    unsafe { Probe::u64_or_0(task, offset!(task_thread_pid)) }
}

/// The depth of a task's PID namespace.
///
/// # Safety
///
/// A task, or 0.
#[inline(always)]
pub unsafe fn depth(task: u64) -> u32 {
    // SAFETY: a field of `pid`.
    unsafe { Probe::u32_or_0(thread_pid(task), offset!(pid_level)) }
}

/// The address of a task's user namespace.
///
/// # Safety
///
/// A task, or 0.
#[inline(always)]
pub unsafe fn user_namespace(task: u64) -> u64 {
    // SAFETY: fields of `task_struct` and `cred`.
    unsafe { Probe::u64_or_0(Probe::u64_or_0(task, offset!(task_real_cred)), offset!(cred_user_ns)) }
}

/// The namespaces of a task.
///
/// # Safety
///
/// A task, or 0.
#[inline(always)]
pub unsafe fn namespaces(task: u64) -> Inodes {
    // SAFETY: fields of `task_struct`, `nsproxy`, `pid`, and of each sort of namespace.
    unsafe {
        let nsproxy = Probe::u64_or_0(task, offset!(task_nsproxy));
        macro_rules! inode {
            ($pointer:ident, $inum:ident) => {
                if offset!($pointer) == MISSING {
                    0
                } else {
                    Probe::u32_or_0(Probe::u64_or_0(nsproxy, offset!($pointer)), offset!($inum))
                }
            };
        }
        let (_, _, pid) = pid::innermost_numbers(thread_pid(task));
        Inodes {
            mnt: inode!(nsproxy_mnt, mnt_inum),
            uts: inode!(nsproxy_uts, uts_inum),
            ipc: inode!(nsproxy_ipc, ipc_inum),
            pid,
            net: inode!(nsproxy_net, net_inum),
            user: Probe::u32_or_0(user_namespace(task), offset!(user_inum)),
            cgroup: inode!(nsproxy_cgroup, cgroup_inum),
            time: inode!(nsproxy_time, time_inum),
            pid_for_children: inode!(nsproxy_pid_for_children, pid_inum),
            time_for_children: inode!(nsproxy_time_for_children, time_inum),
        }
    }
}
