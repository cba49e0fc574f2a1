//! Where this kernel keeps the facts: offsets in its structures, resolved by user space from the kernel's own
//! BTF and given to the programs as one frozen global.
//!
//! Frozen read-only data is known to the verifier, so it checks each access against the kernel's types as if the
//! offset had been compiled in, and drops the branches of what is [`MISSING`].

/// No such field in this kernel. Never 0, which is a good offset.
pub const MISSING: u32 = u32::MAX;

macro_rules! layout {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// Offsets in bytes, one for each field that is read. Those of a namespace lead to its inode
        /// (`ns.inum`).
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "named <structure>_<field>, after the kernel's own")]
        pub struct Layout {
            $($(#[$doc])* pub $field: u32,)*
        }

        impl Layout {
            /// Nothing resolved: what the object holds until it is loaded.
            pub const UNRESOLVED: Self = Self { $($field: MISSING,)* };
        }

        // No padding: user space hands it over as bytes.
        const _: () = assert!(size_of::<Layout>() == 4 * [$(stringify!($field)),*].len());
    };
}

layout! {
    /// Depth of the reader's PID namespace; `MISSING` where user space cannot know it, and the program asks.
    reader_level,
    task_flags,
    task_tgid,
    task_pid,
    task_exit_state,
    task_exit_code,
    /// `__state`; before Linux 5.14 `state`, a long, of which the low half is read.
    task_state,
    task_start_boottime,
    task_comm,
    task_real_parent,
    task_group_leader,
    task_thread_pid,
    task_real_cred,
    task_nsproxy,
    task_signal,
    task_cgroups,
    signal_nr_threads,
    signal_live,
    signal_flags,
    signal_group_exit_code,
    cred_uid,
    cred_user_ns,
    pid_level,
    pid_numbers,
    upid_nr,
    upid_ns,
    upid_size,
    nsproxy_mnt,
    nsproxy_uts,
    nsproxy_ipc,
    nsproxy_net,
    nsproxy_cgroup,
    /// Optional: before Linux 5.6 there are no time namespaces.
    nsproxy_time,
    /// Optional, as `nsproxy_time`.
    nsproxy_time_for_children,
    nsproxy_pid_for_children,
    mnt_inum,
    uts_inum,
    ipc_inum,
    pid_inum,
    net_inum,
    user_inum,
    user_owner,
    cgroup_inum,
    /// Optional, as `nsproxy_time`.
    time_inum,
    mnt_user_ns,
    uts_user_ns,
    ipc_user_ns,
    pid_user_ns,
    pid_parent,
    net_user_ns,
    user_parent,
    cgroup_user_ns,
    /// Optional, as `nsproxy_time`.
    time_user_ns,
    ns_common_inum,
    /// Optional: from Linux 6.18.
    ns_common_ns_id,
    css_set_default,
    /// Optional: the slot of the `pids` controller; a kernel may be built without it.
    css_set_pids,
    css_cgroup,
    cgroup_kn,
    cgroup_root,
    cgroup_level,
    kernfs_id,
    kernfs_parent,
    kernfs_name,
    /// Where a system call's number is among the registers; `MISSING` where this program does not know the processor.
    registers_syscall,
}
