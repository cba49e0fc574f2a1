//! A task's cgroups: their ids, and the names on the way to the root, so that nobody has to look into cgroupfs for
//! a cgroup that may be gone by then.

use aya_ebpf::{bindings::seq_file, cty::c_void, helpers::generated::bpf_probe_read_kernel_str};
use inspector_common::{
    CGROUP_DEPTH, CGROUP_HEADER_LEN, CgroupRecord, Header, Hierarchy, MISSING, NAME_LEN, flags, kind,
};

use crate::{
    memory::{Memory, Pointer, Probe, offset},
    output::{self, Again, Paths, State, step, store},
};

/// The cgroup of a task in one hierarchy.
#[derive(Clone, Copy)]
pub struct Cgroup {
    /// Its `kernfs_node`.
    node: Pointer,
    /// How many levels below the root.
    level: u32,
}

/// The cgroups of a task: in the default hierarchy, and in the v1 hierarchy of the `pids` controller if there is
/// one.
///
/// # Safety
///
/// `task` points to a `task_struct`.
#[inline(always)]
pub unsafe fn of_task<M: Memory>(task: Pointer) -> (Option<Cgroup>, Option<Cgroup>) {
    // SAFETY: fields of `task_struct`, `css_set`, `cgroup_subsys_state` and `cgroup`.
    unsafe {
        let Some(css_set) = M::pointer(task, offset!(task_cgroups)) else { return (None, None) };
        let Some(default) = M::pointer(css_set, offset!(css_set_default)) else { return (None, None) };
        let v2 = of::<M>(default);
        if offset!(css_set_pids) == MISSING {
            return (v2, None);
        }
        let Some(css) = M::pointer(css_set, offset!(css_set_pids)) else { return (v2, None) };
        let Some(cgroup) = M::pointer(css, offset!(css_cgroup)) else { return (v2, None) };
        // On v2 too? Told by the root: where a v2 cgroup does not enable the controller, this is an ancestor.
        if M::u64(cgroup, offset!(cgroup_root)) == M::u64(default, offset!(cgroup_root)) {
            return (v2, None);
        }
        (v2, of::<M>(cgroup))
    }
}

/// What is needed of a `struct cgroup`.
#[inline(always)]
unsafe fn of<M: Memory>(cgroup: Pointer) -> Option<Cgroup> {
    // SAFETY: fields of `cgroup`.
    unsafe {
        let node = M::pointer(cgroup, offset!(cgroup_kn))?;
        Some(Cgroup { node, level: M::u32(cgroup, offset!(cgroup_level)) })
    }
}

/// The id of a cgroup; 0 for none.
///
/// # Safety
///
/// It comes from [`of_task`], by this way of reading.
#[inline(always)]
pub unsafe fn id<M: Memory>(cgroup: Option<Cgroup>) -> u64 {
    match cgroup {
        // SAFETY: a `kernfs_node`.
        Some(cgroup) => unsafe { M::u64(cgroup.node, offset!(kernfs_id)) },
        None => 0,
    }
}

/// The address of a cgroup's own name; 0 for none.
///
/// # Safety
///
/// It comes from [`of_task`], by this way of reading.
#[inline(always)]
pub unsafe fn name<M: Memory>(cgroup: Option<Cgroup>) -> u64 {
    match cgroup {
        // SAFETY: a `kernfs_node`.
        Some(cgroup) => unsafe { M::u64(cgroup.node, offset!(kernfs_name)) },
        None => 0,
    }
}

/// Whether there is one, and it is not the root of its hierarchy.
#[inline(always)]
pub fn is_below_root(cgroup: Option<Cgroup>) -> bool {
    cgroup.is_some_and(|cgroup| cgroup.level != 0)
}

/// Notes where the paths to write begin. One that is too deep is flagged, and not written at all: half a path
/// would pass for a whole one with the tasks that come after.
#[inline(always)]
pub fn begin(state: &mut State, v2: Option<Cgroup>, pids: Option<Cgroup>) {
    let mut first = |cgroup: Option<Cgroup>| match cgroup {
        Some(Cgroup { node, level }) if level < CGROUP_DEPTH => node.as_ptr() as u64,
        Some(_) => {
            state.task.flags |= flags::CGROUP_TOO_DEEP;
            0
        }
        None => 0,
    };
    let (v2, pids) = (first(v2), first(pids));
    store(&mut state.paths.node, v2);
    store(&mut state.paths.hierarchy, Hierarchy::V2 as u64);
    store(&mut state.paths.next, pids);
}

/// Writes a record for each cgroup and for its ancestors, up to the first that was written before: then all above
/// it were. Most tasks take one step.
///
/// # Safety
///
/// `seq` is the context's, `state` is [`output::current`], [`begin`] was called, and nobody else holds a reference to
/// the state.
#[inline(always)]
pub unsafe fn write_paths(seq: *mut seq_file, state: *mut State) -> Result<(), Again> {
    // Two paths, and a step at the end of each.
    for _ in 0..2 * (CGROUP_DEPTH + 1) {
        match cgroup_step() {
            step::END => return Ok(()),
            step::WRITE => {
                // SAFETY: the caller's; what is called is done with the state when it returns. The mask, which
                // changes nothing, keeps the length within the record in the verifier's eyes too.
                unsafe {
                    let name = output::reload(&(*state).cgroup.name_length) & NAME_MASK;
                    output::write(seq, &(*state).cgroup, CGROUP_HEADER_LEN as u32 + name)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

const NAME_MASK: u32 = NAME_LEN as u32 - 1;

/// Goes to the next cgroup; if it was not written yet, puts together its record.
#[inline(never)]
#[unsafe(no_mangle)]
extern "C" fn cgroup_step() -> u64 {
    let Some(state) = output::current() else { return step::END };
    // SAFETY: no caller holds a reference to it.
    let state = unsafe { &mut *state };
    let Some(node) = Pointer::new(state.paths.node as *mut u8) else {
        if state.paths.next == 0 {
            return step::END;
        }
        state.paths = Paths { node: state.paths.next, hierarchy: Hierarchy::Pids as u64, next: 0 };
        return step::NEXT;
    };
    // SAFETY: fields of `kernfs_node`.
    unsafe {
        state.cgroup.id = Probe::u64(node, offset!(kernfs_id));
        if state.is_written() {
            state.paths.node = 0;
            return step::NEXT;
        }
        state.set_written();
        state.paths.node = Probe::u64(node, offset!(kernfs_parent));
        state.cgroup.hierarchy = state.paths.hierarchy as u32;
        // 0 for the root's, which is NULL.
        state.cgroup.parent = Probe::u64_or_0(state.paths.node, offset!(kernfs_id));
        complete(Probe::u64(node, offset!(kernfs_name)), &mut state.cgroup);
    }
    // If it does not fit the call does not count, and neither does this.
    state.pending_cgroups += 1;
    step::WRITE
}

/// Completes the record with its name.
#[inline(always)]
unsafe fn complete(name: u64, record: &mut CgroupRecord) {
    // SAFETY: the helper checks the address (of a `char *`, which no typed load follows), and puts a NUL within
    // the buffer.
    let copied = unsafe {
        bpf_probe_read_kernel_str(record.name.as_mut_ptr().cast(), NAME_LEN as u32, name as *const c_void)
    };
    // Without the NUL. Unreadable (negative) is a name of no bytes.
    let name_length = copied - 1;
    let name_length = (name_length & !(name_length >> 63)) as u32 & NAME_MASK;
    record.header = Header::new(kind::CGROUP, CGROUP_HEADER_LEN as u32 + name_length);
    record.name_length = name_length;
}
