//! The offsets that the programs need, by the kernel's names.

use inspector_common::{Layout, MISSING};
use thiserror::Error;

use super::btf::Btf;
use crate::observation::Gap;

/// A field that the kernel does not have as it should.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// It is not there.
    #[error("this kernel has no {structure}.{field}")]
    Missing {
        /// The structure.
        structure: &'static str,
        /// The field's path in it.
        field: &'static str,
    },
    /// It is there, of another size.
    #[error("{structure}.{field} has {found} bytes in this kernel, not {expected}")]
    Size {
        /// The structure.
        structure: &'static str,
        /// The field's path in it.
        field: &'static str,
        /// Bytes it has.
        found: u32,
        /// Bytes the programs read.
        expected: u32,
    },
}

const NUMBER: u32 = 4;
const POINTER: u32 = 8;
const LONG: u32 = 8;

/// Resolves all that the iterator needs. What an old kernel, or one built without it, may lack is a gap.
pub fn resolve(btf: &Btf<'_>, reader_level: Option<u32>) -> Result<(Layout, Vec<Gap>), LayoutError> {
    let any = |structure: &'static str, field: &'static str| {
        btf.field(structure, field).ok_or(LayoutError::Missing { structure, field })
    };
    let need = |structure, field, expected| need(btf, structure, field, expected);
    let task = |field, size| need("task_struct", field, size);
    let nsproxy = |field| need("nsproxy", field, POINTER);
    let inum = |structure| need(structure, "ns.inum", NUMBER);
    let user_ns = |structure| need(structure, "user_ns", POINTER);

    let mut layout = Layout {
        reader_level: reader_level.unwrap_or(MISSING),
        task_flags: task("flags", NUMBER)?,
        task_exit_state: task("exit_state", NUMBER)?,
        // Renamed, and shortened, in Linux 5.14.
        task_state: task("__state", NUMBER).or_else(|_| task("state", LONG))?,
        task_start_boottime: task("start_boottime", LONG)?,
        task_comm: task("comm", 16)?,
        task_real_parent: task("real_parent", POINTER)?,
        task_group_leader: task("group_leader", POINTER)?,
        task_thread_pid: task("thread_pid", POINTER)?,
        task_real_cred: task("real_cred", POINTER)?,
        task_nsproxy: task("nsproxy", POINTER)?,
        task_signal: task("signal", POINTER)?,
        task_cgroups: task("cgroups", POINTER)?,
        signal_nr_threads: need("signal_struct", "nr_threads", NUMBER)?,
        cred_uid: need("cred", "uid", NUMBER)?,
        cred_user_ns: need("cred", "user_ns", POINTER)?,
        pid_level: need("pid", "level", NUMBER)?,
        // An array of one, or of no declared length.
        pid_numbers: any("pid", "numbers")?.offset,
        upid_nr: need("upid", "nr", NUMBER)?,
        upid_ns: need("upid", "ns", POINTER)?,
        upid_size: btf.size("upid").ok_or(LayoutError::Missing { structure: "upid", field: "nr" })?,
        nsproxy_mnt: nsproxy("mnt_ns")?,
        nsproxy_uts: nsproxy("uts_ns")?,
        nsproxy_ipc: nsproxy("ipc_ns")?,
        nsproxy_net: nsproxy("net_ns")?,
        nsproxy_cgroup: nsproxy("cgroup_ns")?,
        nsproxy_pid_for_children: nsproxy("pid_ns_for_children")?,
        mnt_inum: inum("mnt_namespace")?,
        uts_inum: inum("uts_namespace")?,
        ipc_inum: inum("ipc_namespace")?,
        pid_inum: inum("pid_namespace")?,
        net_inum: inum("net")?,
        user_inum: inum("user_namespace")?,
        user_owner: need("user_namespace", "owner", NUMBER)?,
        cgroup_inum: inum("cgroup_namespace")?,
        mnt_user_ns: user_ns("mnt_namespace")?,
        uts_user_ns: user_ns("uts_namespace")?,
        ipc_user_ns: user_ns("ipc_namespace")?,
        pid_user_ns: user_ns("pid_namespace")?,
        pid_parent: need("pid_namespace", "parent", POINTER)?,
        net_user_ns: user_ns("net")?,
        user_parent: need("user_namespace", "parent", POINTER)?,
        cgroup_user_ns: user_ns("cgroup_namespace")?,
        ns_common_inum: need("ns_common", "inum", NUMBER)?,
        // From Linux 6.18.
        ns_common_ns_id: need("ns_common", "ns_id", LONG).unwrap_or(MISSING),
        css_set_default: need("css_set", "dfl_cgrp", POINTER)?,
        css_cgroup: need("cgroup_subsys_state", "cgroup", POINTER)?,
        cgroup_kn: need("cgroup", "kn", POINTER)?,
        cgroup_root: need("cgroup", "root", POINTER)?,
        cgroup_level: need("cgroup", "level", NUMBER)?,
        kernfs_id: need("kernfs_node", "id", LONG)?,
        // Renamed in Linux 6.15.
        kernfs_parent: need("kernfs_node", "__parent", POINTER)
            .or_else(|_| need("kernfs_node", "parent", POINTER))?,
        kernfs_name: need("kernfs_node", "name", POINTER)?,
        ..Layout::UNRESOLVED
    };

    let mut gaps = Vec::new();
    if let (Ok(time), Ok(for_children), Ok(inum), Ok(user_ns)) = (
        nsproxy("time_ns"),
        nsproxy("time_ns_for_children"),
        inum("time_namespace"),
        user_ns("time_namespace"),
    ) {
        layout.nsproxy_time = time;
        layout.nsproxy_time_for_children = for_children;
        layout.time_inum = inum;
        layout.time_user_ns = user_ns;
    } else {
        gaps.push(Gap::detail(
            "time namespaces",
            "this kernel has none (they came with Linux 5.6, and it may be built without)",
        ));
    }
    if let Some(offset) = pids_slot(btf) {
        layout.css_set_pids = offset;
    } else {
        gaps.push(Gap::deciding(
            "cgroups of the v1 hierarchies",
            "this kernel is built without the pids controller, by which they are found; those of v2 are read",
        ));
    }
    Ok((layout, gaps))
}

/// Resolves what the event programs need besides.
pub fn add_events(btf: &Btf<'_>, layout: &mut Layout) -> Result<(), LayoutError> {
    let need = |structure, field, expected| need(btf, structure, field, expected);
    layout.task_pid = need("task_struct", "pid", NUMBER)?;
    layout.task_tgid = need("task_struct", "tgid", NUMBER)?;
    layout.task_exit_code = need("task_struct", "exit_code", NUMBER)?;
    layout.signal_live = need("signal_struct", "live.counter", NUMBER)?;
    layout.signal_flags = need("signal_struct", "flags", NUMBER)?;
    layout.signal_group_exit_code = need("signal_struct", "group_exit_code", NUMBER)?;
    layout.registers_syscall = match std::env::consts::ARCH {
        "x86_64" => need("pt_regs", "orig_ax", LONG)?,
        "aarch64" => need("pt_regs", "syscallno", NUMBER)?,
        _ => MISSING,
    };
    Ok(())
}

fn need(
    btf: &Btf<'_>,
    structure: &'static str,
    field: &'static str,
    expected: u32,
) -> Result<u32, LayoutError> {
    let found = btf.field(structure, field).ok_or(LayoutError::Missing { structure, field })?;
    if found.size != expected {
        return Err(LayoutError::Size { structure, field, found: found.size, expected });
    }
    Ok(found.offset)
}

/// The slot of the `pids` controller in `css_set.subsys`.
fn pids_slot(btf: &Btf<'_>) -> Option<u32> {
    let slots = btf.field("css_set", "subsys")?;
    let slot = btf.enumerator("cgroup_subsys_id", "pids_cgrp_id")?.checked_mul(POINTER)?;
    (slot < slots.size).then(|| slots.offset.checked_add(slot))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_running_kernel_has_them_all_and_a_renamed_field_is_named() {
        let blob = std::fs::read("/sys/kernel/btf/vmlinux").expect("this test wants a kernel with BTF");
        let (layout, gaps) = resolve(&Btf::parse(&blob).unwrap(), Some(0)).unwrap();
        assert_eq!(gaps, []);
        assert_ne!(layout.css_set_pids, MISSING);
        assert_ne!(layout.nsproxy_time, MISSING);
        // Two fields of one structure are never in one place.
        assert_ne!(layout.upid_nr, layout.upid_ns);
        assert_ne!(layout.nsproxy_mnt, layout.nsproxy_net);

        // The same kernel, had it called things otherwise.
        for (name, renamed, error) in [
            ("\0real_cred\0", "\0real_crud\0", Some("this kernel has no task_struct.real_cred")),
            ("\0inum\0", "\0inom\0", Some("this kernel has no mnt_namespace.ns.inum")),
            ("\0time_ns_for_children\0", "\0time_xx_for_children\0", None),
            ("\0pids_cgrp_id\0", "\0pods_cgrp_id\0", None),
        ] {
            let mut other = blob.clone();
            let at = other.windows(name.len()).position(|bytes| bytes == name.as_bytes()).unwrap();
            other[at..at + name.len()].copy_from_slice(renamed.as_bytes());
            let result = resolve(&Btf::parse(&other).unwrap(), None);
            match error {
                Some(error) => assert_eq!(result.unwrap_err().to_string(), error),
                None => assert_eq!(result.unwrap().1.len(), 1, "{name}"),
            }
        }
    }
}
