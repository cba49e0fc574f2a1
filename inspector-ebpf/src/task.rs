//! One call of the iterator: the record of a task, preceded by those of its cgroups.

use aya_ebpf::bindings::seq_file;
use aya_log_ebpf::warn;
use inspector_common::{
    CGROUP_DEPTH, EndRecord, Header, MISSING, PID_LEVELS, TASK_HEADER_LEN, TaskRecord, flags, kind,
};

use crate::{
    cgroup,
    context::{Context, NoContext},
    memory::{Memory, Pointer, Probe, address, offset},
    namespace,
    output::{self, Again, State},
    pid::{self, Innermost},
};

/// `PF_KTHREAD` of `task_struct.flags`, the same in every kernel.
pub const PF_KTHREAD: u32 = 0x0020_0000;

/// The places of kinds in `Inodes`, of those that `nsproxy` does not lead to.
const PID: usize = inspector_common::NamespaceKind::Pid as usize;
const USER: usize = inspector_common::NamespaceKind::User as usize;

/// What tells the kernel to keep the output of this call, if it fits.
const KEEP: i32 = 0;
/// What tells the kernel to throw it away and call again for this task.
const RETRY: i32 = 1;

/// Writes what there is to write about the task of this call.
///
/// # Safety
///
/// `context` is the one that the kernel calls an iterator with.
#[inline(always)]
pub unsafe fn show<M: Memory>(context: *mut Context) -> i32 {
    // SAFETY: the kernel's context.
    let written = unsafe {
        let meta = (*context).meta;
        let task = (*context).task;
        let (seq, session) = ((*meta).seq, (*meta).session_id);
        let Some(state) = output::begin(session) else { return KEEP };
        match Pointer::new(task.cast_mut()) {
            Some(task) => show_task::<M>(seq, task, state),
            None => show_end(seq, state),
        }
    };
    match written {
        Ok(()) | Err(Again::Full) => KEEP,
        Err(Again::Changed) => RETRY,
    }
}

/// The end: no more tasks.
#[inline(always)]
unsafe fn show_end(seq: *mut seq_file, state: *mut State) -> Result<(), Again> {
    const LENGTH: u32 = size_of::<EndRecord>() as u32;
    log_too_deep();
    // SAFETY: the state is this call's; the record's own length.
    unsafe {
        let record = EndRecord {
            header: Header::new(kind::END, LENGTH),
            tasks: (*state).tasks,
            cgroups: (*state).cgroups,
            namespaces: (*state).namespaces,
            visited: (*state).visited,
        };
        output::write(seq, &record, LENGTH)
    }
}

/// Logs how many tasks have cgroups that are too deep, if any. A function like a [step](output::step): aya-log takes
/// some hundred instructions, and twice that where two programs share it.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn log_too_deep() -> u64 {
    let Some(state) = output::current() else { return 0 };
    // SAFETY: no caller holds a reference to it.
    let too_deep = unsafe { (*state).too_deep };
    if too_deep != 0 {
        warn!(&NoContext, "{} tasks have cgroups over {} levels deep", too_deep, CGROUP_DEPTH);
    }
    0
}

#[inline(always)]
unsafe fn show_task<M: Memory>(seq: *mut seq_file, task: Pointer, state: *mut State) -> Result<(), Again> {
    // SAFETY: fields of `task_struct`, in here and in what is called; the state is this call's, and no reference to it
    // is held where one of the functions is called that take it from the map.
    unsafe {
        let Some(leader) = Probe::pointer(task, offset!(task_group_leader)) else { return Ok(()) };
        let nsproxy = M::pointer(task, offset!(task_nsproxy));
        if leader != task && !is_stray(nsproxy, leader) {
            (*state).visited += 1;
            return Ok(());
        }
        fill::<M>(&mut *state, task, leader);
        namespaces::<M>(&mut *state, nsproxy);
        namespace::write_new(seq, state)?;
        // The task may leave or swap its nsproxy meanwhile, and the old one be freed and used again. As long as
        // the task has it, it cannot be: so what was read counts only if the task has it still.
        if Probe::u64(task, offset!(task_nsproxy)) != output::reload(&(*state).nsproxy) {
            return Err(Again::Changed);
        }

        let (v2, pids) = cgroup::of_task::<Probe>(task);
        output::store(&mut (*state).task.cgroup_v2, cgroup::id::<Probe>(v2));
        output::store(&mut (*state).task.cgroup_pids, cgroup::id::<Probe>(pids));
        cgroup::begin(&mut *state, v2, pids);
        cgroup::write_paths(seq, state)?;
        pid::pids_below();
        complete(seq, &mut *state)?;
        Ok(())
    }
}

/// Writes the task's own record, and counts the call.
#[inline(always)]
unsafe fn complete(seq: *mut seq_file, state: &mut State) -> Result<(), Again> {
    // The limit, which changes nothing, is for the verifier.
    let below = output::reload(&state.below).min(PID_LEVELS);
    let length = TASK_HEADER_LEN as u32 + below * size_of::<u32>() as u32;
    state.task.header = Header::new(kind::TASK, length);
    // SAFETY: within the record, and the context's `seq`.
    unsafe { output::write(seq, &state.task, length) }?;

    // All of it fitted: the kernel keeps it.
    state.tasks += 1;
    state.cgroups += state.pending_cgroups;
    state.namespaces += state.pending_namespaces;
    state.visited += 1;
    if state.task.flags & flags::CGROUP_TOO_DEEP != 0 {
        state.too_deep += 1;
    }
    Ok(())
}

/// Whether a thread has a record of its own: its nsproxy is not its leader's. (Two may hold the same namespaces;
/// user space sorts that out. The PID and user namespaces are one for the whole group.) Not so a thread that is
/// just exiting; but every thread whose leader has exited, for then nothing else tells where the process lives.
#[inline(always)]
unsafe fn is_stray(nsproxy: Option<Pointer>, leader: Pointer) -> bool {
    match nsproxy {
        // SAFETY: a field of `task_struct`.
        Some(own) => own.as_ptr() as u64 != unsafe { Probe::u64(leader, offset!(task_nsproxy)) },
        None => false,
    }
}

/// Fills the record, all but the cgroups, the pids below and what `nsproxy` leads to.
#[inline(always)]
unsafe fn fill<M: Memory>(state: &mut State, task: Pointer, leader: Pointer) {
    let record = &mut state.task;
    record.flags = 0;
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
        let exit_state = M::u32(task, offset!(task_exit_state));
        if exit_state != 0 {
            record.flags |= flags::ZOMBIE;
        }
        record.state = M::u32(task, offset!(task_state)) | exit_state;

        let pid = M::pointer(task, offset!(task_thread_pid));
        state.pid = address(pid);
        let innermost = match pid {
            Some(pid) => pid::innermost::<M>(pid),
            None => Innermost::default(),
        };
        record.level = innermost.level;
        record.pid_inside = innermost.number;
        record.namespaces.pid = innermost.inode;
        state.walk.set(PID, innermost.namespace);
        if innermost.number == 1 {
            record.flags |= flags::PID_NAMESPACE_INIT;
        }
        let level = pid::reader_level();
        record.pid = pid::seen_by_reader(state.pid, level);
        record.tgid = pid::seen_by_reader(Probe::u64(leader, offset!(task_thread_pid)), level);
        let parent = Probe::u64(task, offset!(task_real_parent));
        let parent = Probe::u64_or_0(parent, offset!(task_group_leader));
        record.parent = pid::seen_by_reader(Probe::u64_or_0(parent, offset!(task_thread_pid)), level);

        let signal = Probe::u64(task, offset!(task_signal));
        record.threads = Probe::u32_or_0(signal, offset!(signal_nr_threads));
        let cred = Probe::u64(task, offset!(task_real_cred));
        record.uid = Probe::u32_or_0(cred, offset!(cred_uid));
        let user = Probe::u64_or_0(cred, offset!(cred_user_ns));
        record.namespaces.user = Probe::u32_or_0(user, offset!(user_inum));
        record.user_namespace_owner = Probe::u32_or_0(user, offset!(user_owner));
        state.walk.set(USER, Pointer::new(user as *mut u8));
    }
}

/// Fills in what `nsproxy` leads to: all namespaces but `pid` and `user`.
#[inline(always)]
unsafe fn namespaces<M: Memory>(state: &mut State, nsproxy: Option<Pointer>) {
    let State { task: TaskRecord { namespaces: inodes, flags, .. }, walk, nsproxy: noted, .. } = state;
    *noted = address(nsproxy);
    if nsproxy.is_none() {
        *flags |= flags::NO_NSPROXY;
    }
    macro_rules! namespace {
        ($name:ident, $index:expr, $pointer:ident, $inum:ident) => {
            let mut namespace = None;
            if offset!($pointer) != MISSING
                && let Some(nsproxy) = nsproxy
            {
                // SAFETY: a field of `nsproxy`.
                namespace = unsafe { M::pointer(nsproxy, offset!($pointer)) };
            }
            walk.set($index, namespace);
            inodes.$name = match namespace {
                // SAFETY: a field of that sort of namespace.
                Some(namespace) => unsafe { M::u32(namespace, offset!($inum)) },
                None => 0,
            };
        };
    }
    namespace!(mnt, 0, nsproxy_mnt, mnt_inum);
    namespace!(uts, 1, nsproxy_uts, uts_inum);
    namespace!(ipc, 2, nsproxy_ipc, ipc_inum);
    namespace!(net, 4, nsproxy_net, net_inum);
    namespace!(cgroup, 6, nsproxy_cgroup, cgroup_inum);
    namespace!(time, 7, nsproxy_time, time_inum);
    namespace!(pid_for_children, 8, nsproxy_pid_for_children, pid_inum);
    namespace!(time_for_children, 9, nsproxy_time_for_children, time_inum);
}
