//! A task's cgroups: their ids, and the names on the way to the root, so that nobody has to look into cgroupfs for
//! a cgroup that may be gone by then.

use aya_ebpf::{bindings::seq_file, helpers::generated::bpf_probe_read_kernel_str};
use inspector_common::{
    CGROUP_DEPTH, CGROUP_HEADER_LEN, CgroupRecord, Header, Hierarchy, MISSING, NAME_LEN, kind,
};

use crate::{
    memory::{Memory, Pointer, offset},
    output::{self, Full, State},
};

/// The cgroup of a task in one hierarchy.
#[derive(Clone, Copy)]
pub struct Cgroup {
    /// Its `kernfs_node`.
    node: Pointer,
    hierarchy: Hierarchy,
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
        let v2 = in_hierarchy::<M>(default, Hierarchy::V2);
        if offset!(css_set_pids) == MISSING {
            return (v2, None);
        }
        let Some(css) = M::pointer(css_set, offset!(css_set_pids)) else { return (v2, None) };
        let Some(cgroup) = M::pointer(css, offset!(css_cgroup)) else { return (v2, None) };
        // On v2 too? Told by the root: where a v2 cgroup does not enable the controller, this is an ancestor.
        if M::u64(cgroup, offset!(cgroup_root)) == M::u64(default, offset!(cgroup_root)) {
            return (v2, None);
        }
        (v2, in_hierarchy::<M>(cgroup, Hierarchy::Pids))
    }
}

/// A `struct cgroup` of this hierarchy.
#[inline(always)]
unsafe fn in_hierarchy<M: Memory>(cgroup: Pointer, hierarchy: Hierarchy) -> Option<Cgroup> {
    // SAFETY: the caller's.
    let node = unsafe { M::pointer(cgroup, offset!(cgroup_kn)) }?;
    Some(Cgroup { node, hierarchy })
}

/// The id of a cgroup; 0 for none.
///
/// # Safety
///
/// It comes from [`of_task`].
#[inline(always)]
pub unsafe fn id<M: Memory>(cgroup: Option<Cgroup>) -> u64 {
    match cgroup {
        // SAFETY: a `kernfs_node`.
        Some(cgroup) => unsafe { M::u64(cgroup.node, offset!(kernfs_id)) },
        None => 0,
    }
}

/// Writes a record for the cgroup and for each ancestor, up to the first that was written before: then all above
/// it were. Says whether it got there, or to the root.
///
/// # Safety
///
/// The cgroup comes from [`of_task`], `seq` and `session` from the context.
#[inline(always)]
pub unsafe fn write_path<M: Memory>(
    seq: *mut seq_file,
    session: u64,
    cgroup: Option<Cgroup>,
    state: &mut State,
) -> Result<bool, Full> {
    let Some(Cgroup { mut node, hierarchy }) = cgroup else { return Ok(true) };
    for _ in 0..CGROUP_DEPTH {
        // SAFETY: fields of `kernfs_node`.
        unsafe {
            let id = M::u64(node, offset!(kernfs_id));
            if output::is_written(hierarchy, id, session) {
                return Ok(true);
            }
            let parent = M::pointer(node, offset!(kernfs_parent));
            state.cgroup.hierarchy = hierarchy as u32;
            state.cgroup.id = id;
            state.cgroup.parent = match parent {
                Some(parent) => M::u64(parent, offset!(kernfs_id)),
                None => 0,
            };
            let name = M::pointer(node, offset!(kernfs_name));
            write_record(seq, name, &mut state.cgroup)?;
            state.pending_cgroups += 1;
            let Some(parent) = parent else { return Ok(true) };
            node = parent;
        }
    }
    Ok(false)
}

/// Remembers what [`write_path`] wrote, once the kernel keeps it. Only for a path that led to the root: one cut
/// short must not pass for known.
///
/// # Safety
///
/// As for [`write_path`].
#[inline(always)]
pub unsafe fn remember_path<M: Memory>(session: u64, cgroup: Option<Cgroup>) {
    let Some(Cgroup { mut node, hierarchy }) = cgroup else { return };
    for _ in 0..CGROUP_DEPTH {
        // SAFETY: fields of `kernfs_node`.
        unsafe {
            let id = M::u64(node, offset!(kernfs_id));
            if output::is_written(hierarchy, id, session) {
                return;
            }
            output::set_written(hierarchy, id, session);
            let Some(parent) = M::pointer(node, offset!(kernfs_parent)) else { return };
            node = parent;
        }
    }
}

/// Completes the record with its name, and writes it.
#[inline(always)]
unsafe fn write_record(
    seq: *mut seq_file,
    name: Option<Pointer>,
    record: &mut CgroupRecord,
) -> Result<(), Full> {
    let copied = match name {
        // SAFETY: the helper checks the address (of a `char *`, which no typed load follows), and puts a NUL
        // within the buffer.
        Some(name) => unsafe {
            bpf_probe_read_kernel_str(
                record.name.as_mut_ptr().cast(),
                NAME_LEN as u32,
                name.as_ptr().cast_const().cast(),
            )
        },
        None => 0,
    };
    // Without the NUL, and bounded, for the verifier. Unreadable (negative) is a name of no bytes.
    let name_length = if copied > 0 { (copied as u32 - 1).min(NAME_LEN as u32 - 1) } else { 0 };
    let length = CGROUP_HEADER_LEN as u32 + name_length;
    record.header = Header::new(kind::CGROUP, length);
    record.name_length = name_length;
    // SAFETY: the length is within the record.
    unsafe { output::write(seq, record, length) }
}
