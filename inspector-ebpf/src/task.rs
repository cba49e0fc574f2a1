//! One call of the iterator: the record of a task, preceded by those of its cgroups.

use aya_ebpf::bindings::seq_file;
use aya_log_ebpf::warn;
use inspector_common::{CGROUP_DEPTH, EndRecord, Header, Inodes, MISSING, TaskRecord, flags, kind};

use crate::{
    cgroup,
    context::{Context, Logged},
    memory::{Memory, Pointer, offset},
    output::{self, Full, State},
    pid::{self, Innermost},
};

/// `PF_KTHREAD` of `task_struct.flags`, the same in every kernel.
const PF_KTHREAD: u32 = 0x0020_0000;

/// How often namespaces are read again that change under our eyes.
const ATTEMPTS: u32 = 3;

/// Writes what there is to write about the task of this call. Always 0: the kernel itself calls again after an
/// output that did not fit.
///
/// # Safety
///
/// `context` is the one that the kernel calls an iterator with.
#[inline(always)]
pub unsafe fn show<M: Memory>(context: *mut Context) -> i32 {
    // SAFETY: the kernel's context.
    unsafe {
        let meta = (*context).meta;
        let task = (*context).task;
        let (seq, session) = ((*meta).seq, (*meta).session_id);
        let Some(state) = output::state(session) else { return 0 };
        let _ = match Pointer::new(task.cast_mut()) {
            Some(task) => show_task::<M>(context, seq, session, task, state),
            None => show_end(seq, state),
        };
    }
    0
}

/// The end: no more tasks.
#[inline(always)]
unsafe fn show_end(seq: *mut seq_file, state: &State) -> Result<(), Full> {
    const LENGTH: u32 = size_of::<EndRecord>() as u32;
    let record = EndRecord {
        header: Header::new(kind::END, LENGTH),
        tasks: state.tasks,
        cgroups: state.cgroups,
        visited: state.visited,
    };
    // SAFETY: the record's own length.
    unsafe { output::write(seq, &record, LENGTH) }
}

#[inline(always)]
unsafe fn show_task<M: Memory>(
    context: *mut Context,
    seq: *mut seq_file,
    session: u64,
    task: Pointer,
    state: &mut State,
) -> Result<(), Full> {
    // SAFETY: fields of `task_struct`, in here and in what is called.
    unsafe {
        let Some(leader) = M::pointer(task, offset!(task_group_leader)) else { return Ok(()) };
        let namespaces = if leader == task {
            Namespaces::of::<M>(task)
        } else if let Some(namespaces) = of_stray_thread::<M>(task, leader) {
            namespaces
        } else {
            state.visited += 1;
            return Ok(());
        };
        fill::<M>(&mut state.task, task, leader, namespaces);

        let (v2, pids) = cgroup::of_task::<M>(task);
        state.task.cgroup_v2 = cgroup::id::<M>(v2);
        state.task.cgroup_pids = cgroup::id::<M>(pids);
        let v2_whole = cgroup::write_path::<M>(seq, session, v2, state)?;
        let pids_whole = cgroup::write_path::<M>(seq, session, pids, state)?;
        if !(v2_whole && pids_whole) {
            state.task.flags |= flags::CGROUP_TOO_DEEP;
        }
        output::write(seq, &state.task, size_of::<TaskRecord>() as u32)?;

        // All of it fitted: the kernel keeps it.
        state.tasks += 1;
        state.cgroups += state.pending_cgroups;
        state.visited += 1;
        if v2_whole {
            cgroup::remember_path::<M>(session, v2);
        }
        if pids_whole {
            cgroup::remember_path::<M>(session, pids);
        }
        if state.task.flags & flags::CGROUP_TOO_DEEP != 0 {
            warn!(&Logged(context), "the cgroup of pid {} is over {} levels deep", state.task.pid, CGROUP_DEPTH);
        }
        Ok(())
    }
}

/// Fills the record, all but the cgroups.
#[inline(always)]
unsafe fn fill<M: Memory>(record: &mut TaskRecord, task: Pointer, leader: Pointer, namespaces: Namespaces) {
    record.header = Header::new(kind::TASK, size_of::<TaskRecord>() as u32);
    record.namespaces = namespaces.inodes;
    record.flags = namespaces.flags;
    record.reserved = 0;
    // SAFETY: fields of `task_struct`, `signal_struct`, `cred` and `user_namespace`.
    unsafe {
        record.start_boottime_ns = M::u64(task, offset!(task_start_boottime));
        let comm = offset!(task_comm);
        let (head, tail) = (M::u64(task, comm), M::u64(task, comm + 8));
        // SAFETY: 16 bytes in two halves, as the kernel has them.
        record.comm.as_mut_ptr().cast::<[u64; 2]>().write_unaligned([head, tail]);
        if M::u32(task, offset!(task_flags)) & PF_KTHREAD != 0 {
            record.flags |= flags::KERNEL_THREAD;
        }
        if M::u32(task, offset!(task_exit_state)) != 0 {
            record.flags |= flags::ZOMBIE;
        }

        let level = pid::reader_level();
        record.pid = pid::seen_by_reader::<M>(task, level);
        record.tgid = pid::seen_by_reader::<M>(leader, level);
        record.parent = 0;
        if let Some(parent) = M::pointer(task, offset!(task_real_parent))
            && let Some(parent) = M::pointer(parent, offset!(task_group_leader))
        {
            record.parent = pid::seen_by_reader::<M>(parent, level);
        }
        let innermost = match M::pointer(task, offset!(task_thread_pid)) {
            Some(pid) => pid::innermost::<M>(pid),
            None => Innermost::default(),
        };
        record.level = innermost.level;
        record.pid_inside = innermost.number;
        record.namespaces.pid = innermost.inode;
        if innermost.number == 1 {
            record.flags |= flags::PID_NAMESPACE_INIT;
        }

        record.threads = match M::pointer(task, offset!(task_signal)) {
            Some(signal) => M::u32(signal, offset!(signal_nr_threads)),
            None => 0,
        };
        record.uid = 0;
        record.user_namespace_owner = 0;
        if let Some(cred) = M::pointer(task, offset!(task_real_cred)) {
            record.uid = M::u32(cred, offset!(cred_uid));
            if let Some(user) = M::pointer(cred, offset!(cred_user_ns)) {
                record.namespaces.user = M::u32(user, offset!(user_inum));
                record.user_namespace_owner = M::u32(user, offset!(user_owner));
            }
        }
    }
}

/// What `nsproxy` leads to: all but `pid` and `user`.
#[derive(Clone, Copy)]
struct Namespaces {
    inodes: Inodes,
    /// Why they are not there.
    flags: u32,
}

impl Namespaces {
    #[inline(always)]
    unsafe fn of<M: Memory>(task: Pointer) -> Self {
        // A task may leave or swap its nsproxy meanwhile, and its old one be freed and used again. While the task
        // has it, it cannot be: so what was read counts only if the task has it still.
        for _ in 0..ATTEMPTS {
            // SAFETY: fields of `task_struct` and of the structures that `nsproxy` leads to.
            unsafe {
                let Some(nsproxy) = M::pointer(task, offset!(task_nsproxy)) else {
                    return Self { inodes: Inodes::default(), flags: flags::NO_NSPROXY };
                };
                let inodes = inodes_of::<M>(nsproxy);
                if M::u64(task, offset!(task_nsproxy)) == nsproxy.as_ptr() as u64 {
                    return Self { inodes, flags: 0 };
                }
            }
        }
        Self { inodes: Inodes::default(), flags: flags::UNSTABLE }
    }
}

/// The namespaces of a thread, if they are not its leader's. Not those of a thread that is just exiting; all of a
/// thread whose leader has exited, for then nothing else tells where the process lives.
#[inline(always)]
unsafe fn of_stray_thread<M: Memory>(task: Pointer, leader: Pointer) -> Option<Namespaces> {
    // SAFETY: fields of `task_struct`.
    unsafe {
        let own = M::u64(task, offset!(task_nsproxy));
        if own == 0 || own == M::u64(leader, offset!(task_nsproxy)) {
            return None;
        }
        let own = Namespaces::of::<M>(task);
        let leaders = Namespaces::of::<M>(leader);
        // Two nsproxies may hold the same namespaces. (PID and user namespace are one for the whole group.)
        let same = own.flags == leaders.flags && own.inodes.same(&leaders.inodes);
        (!same && own.flags & flags::NO_NSPROXY == 0).then_some(own)
    }
}

#[inline(always)]
unsafe fn inodes_of<M: Memory>(nsproxy: Pointer) -> Inodes {
    macro_rules! inode {
        ($namespace:ident, $inum:ident) => {
            match M::pointer(nsproxy, offset!($namespace)) {
                Some(namespace) => M::u32(namespace, offset!($inum)),
                None => 0,
            }
        };
    }
    // SAFETY: fields of `nsproxy` and of each sort of namespace.
    unsafe {
        let mut inodes = Inodes {
            mnt: inode!(nsproxy_mnt, mnt_inum),
            uts: inode!(nsproxy_uts, uts_inum),
            ipc: inode!(nsproxy_ipc, ipc_inum),
            net: inode!(nsproxy_net, net_inum),
            cgroup: inode!(nsproxy_cgroup, cgroup_inum),
            pid_for_children: inode!(nsproxy_pid_for_children, pid_inum),
            ..Inodes::default()
        };
        if offset!(nsproxy_time) != MISSING {
            inodes.time = inode!(nsproxy_time, time_inum);
            inodes.time_for_children = inode!(nsproxy_time_for_children, time_inum);
        }
        inodes
    }
}
