//! What the kernel told as it happened.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Inodes;

/// What happened to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// It was made.
    Fork,
    /// It became another program.
    Exec,
    /// It is over: the last thread of the process has ended.
    Exit,
    /// It joined namespaces.
    Setns,
    /// It made namespaces for itself.
    Unshare,
}

impl EventKind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Fork, Self::Exec, Self::Exit, Self::Setns, Self::Unshare];

    /// The kernel's word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fork => "fork",
            Self::Exec => "exec",
            Self::Exit => "exit",
            Self::Setns => "setns",
            Self::Unshare => "unshare",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One event: what the kernel knew of the task in that moment, so that nothing has to be looked up of one that may be
/// gone by then. There may be ten thousands a second, with few names: those are shared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelEvent {
    /// What happened.
    pub kind: EventKind,
    /// When, in nanoseconds since boot, suspend included. Events come in the order in which the kernel began to tell of
    /// them; on several processors their times may differ from that by microseconds.
    pub boottime_ns: u64,
    /// The task's id, as the reader's PID namespace numbers it. Of an exit the main thread's.
    pub pid: u32,
    /// Its thread group's id, likewise.
    pub tgid: u32,
    /// When the task started, on the clock of `boottime_ns`.
    pub start_boottime_ns: u64,
    /// When its process did: with `tgid` it tells this process from all others.
    pub process_start_boottime_ns: u64,
    /// The kernel's name for it (at most 15 bytes, set by the process itself: proves nothing).
    pub comm: Arc<str>,
    /// The real uid, as the initial user namespace numbers it.
    pub uid: u32,
    /// The uid that owns its user namespace, likewise.
    pub user_namespace_owner: u32,
    /// Depth of its PID namespace below the initial one.
    pub level: u32,
    /// Its pid in its own (innermost) PID namespace.
    pub pid_inside: u32,
    /// A kernel thread (`PF_KTHREAD`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub kernel_thread: bool,
    /// The init of its PID namespace: when it dies, the kernel kills every member.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub pid_namespace_init: bool,
    /// Of a fork: who called it, which need not be the parent. `None` where the reader cannot see that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<TaskRef>,
    /// Of a fork: the child's parent is not the caller but the caller's own parent. So it is of a runtime's stages, which
    /// make each other as siblings.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub parent_is_callers: bool,
    /// Of an exec, a setns and an unshare: the parent of the task's process. `None` where the reader cannot see that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<TaskRef>,
    /// Of an exit: how it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitStatus>,
    /// The namespaces before: of a fork its caller's; of an exit those that it left. `None` where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old: Option<NamespaceSet>,
    /// `old` are the parent's: nobody knew the task's own before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub old_is_parents: bool,
    /// The namespaces after. `None` of an exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<NamespaceSet>,
    /// The cgroup it is in.
    pub cgroup: EventCgroup,
}

impl KernelEvent {
    /// Whether it is about a thread that is not its process's main thread.
    #[must_use]
    pub const fn is_thread(&self) -> bool {
        self.pid != self.tgid
    }
}

/// How it is heard that a process joins or makes namespaces without a fork.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HeardBy {
    /// By watching the kernel's functions for that.
    Fexit,
    /// By the tracepoints of system calls.
    Syscall,
    /// Only by what it then starts.
    ForkExec,
}

/// Another task that an event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRef {
    /// Its id, as the reader's PID namespace numbers it.
    pub pid: u32,
    /// Its thread group's id, likewise.
    pub tgid: u32,
    /// When its process started, in nanoseconds since boot.
    pub process_start_boottime_ns: u64,
}

/// The namespaces of a task, and those that its children are born into.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamespaceSet {
    /// Its own.
    pub namespaces: Inodes,
    /// The PID namespace that its children are born into.
    pub pid_for_children: Option<u32>,
    /// The time namespace that its children are born into.
    pub time_for_children: Option<u32>,
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// What it gave to `exit`; `None` if a signal ended it.
    pub code: Option<u8>,
    /// The signal that ended it.
    pub signal: Option<u8>,
    /// It left a core dump.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub core_dumped: bool,
}

impl ExitStatus {
    /// From what `wait` gives.
    #[must_use]
    pub const fn from_wait(status: u32) -> Self {
        let [low, code, ..] = status.to_le_bytes();
        match low & 0x7f {
            0 => Self { code: Some(code), signal: None, core_dumped: false },
            signal => Self { code: None, signal: Some(signal), core_dumped: low & 0x80 != 0 },
        }
    }
}

/// The cgroup that a task was in when something happened to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventCgroup {
    /// Its id in the default (v2) hierarchy.
    pub v2: Option<u64>,
    /// Its id in the v1 hierarchy that has the `pids` controller; `None` where that controller is on v2.
    pub pids: Option<u64>,
    /// The own name of the innermost: of v1's, unless the task is in the root there; else of v2's. Empty for a root.
    pub name: Arc<str>,
    /// The name is v1's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub name_is_of_pids: bool,
    /// The name may be longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub name_truncated: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_wait_is_taken_apart() {
        let exited = |code| ExitStatus { code: Some(code), signal: None, core_dumped: false };
        let killed = |signal, core_dumped| ExitStatus { code: None, signal: Some(signal), core_dumped };
        for (status, expected) in [
            (0, exited(0)),
            (3 << 8, exited(3)),
            (255 << 8, exited(255)),
            (9, killed(9, false)),
            (0x80 | 6, killed(6, true)),
        ] {
            assert_eq!(ExitStatus::from_wait(status), expected, "{status:#x}");
        }
    }
}
