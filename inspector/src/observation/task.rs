//! Tasks, as the kernel knows them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Inodes;

/// A process, told from every earlier and later process that has or had its pid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessKey {
    /// The thread group's id, as the reader's /proc numbers it.
    pub pid: u32,
    /// When it started, in clock ticks since boot (`/proc/PID/stat`, field 22).
    pub start_ticks: u64,
}

/// A task: a process, or a thread whose namespaces differ from its leader's.
///
/// There are ten thousands of them, with few names and few cgroups: those are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The thread's id, as the reader's /proc numbers it.
    pub pid: u32,
    /// Its thread group's id; equal to `pid` for a process (its main thread).
    pub tgid: u32,
    /// The parent's thread group id; 0 where the reader cannot see the parent.
    pub parent: u32,
    /// When it started, in nanoseconds since boot, suspend included. /proc has it in clock ticks only (10 ms),
    /// so a value from there is rounded down: compare by [`super::Node::ticks`].
    pub start_boottime_ns: u64,
    /// The kernel's name for it (at most 15 bytes, set by the process itself: proves nothing).
    pub comm: Arc<str>,
    /// The real uid, as the reader's user namespace numbers it.
    pub uid: Option<u32>,
    /// A kernel thread (`PF_KTHREAD`).
    #[serde(default, skip_serializing_if = "is_false")]
    pub kernel_thread: bool,
    /// Dead, but not yet reaped. Its PID namespace still counts it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub zombie: bool,
    /// The init (`child_reaper`) of its PID namespace: when it dies, the kernel kills every member.
    #[serde(default, skip_serializing_if = "is_false")]
    pub pid_namespace_init: bool,
    /// Threads of the group, where the source has it.
    pub threads: Option<u32>,
    /// Depth of its PID namespace below the initial one, where the source sees that (/proc counts from the
    /// reader's own, which is added).
    pub level: Option<u32>,
    /// Its pid inside its own (innermost) PID namespace.
    pub pid_inside: Option<u32>,
    /// Its pid in each PID namespace below the reader's, the outermost first, so that the last is `pid_inside`
    /// (`NSpid` in `/proc/PID/status` without its first). Empty in the reader's own, and where it was not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids_below: Vec<u32>,
    /// What it is doing, by the letter that `/proc/PID/stat` has for it: `R`, `S`, `D`, `T`, `t`, `Z`, `X`, `I`…
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<char>,
    /// The namespaces it is in. A zombie has only `pid` and `user`.
    pub namespaces: Inodes,
    /// The PID namespace that its children are born into.
    pub pid_for_children: Option<u32>,
    /// The time namespace that its children are born into.
    pub time_for_children: Option<u32>,
    /// The uid that owns its user namespace, as the reader's user namespace numbers it.
    pub user_namespace_owner: Option<u32>,
    /// Its cgroup's path from the root of the hierarchy that containers are told by (v2, or v1's
    /// `name=systemd`, `pids`), as the host names it; `None` where unread.
    pub cgroup: Option<Arc<str>>,
    /// The kernel's id of that cgroup (the inode of its directory), where the source has it.
    pub cgroup_id: Option<u64>,
}

impl Task {
    /// Whether it stands for its process (the main thread).
    #[must_use]
    pub const fn is_leader(&self) -> bool {
        self.pid == self.tgid
    }

    /// Whether nothing is different but what it does at the moment, and with how many threads.
    #[must_use]
    pub fn is_where_it_was(&self, before: &Self) -> bool {
        let Self { state, threads, .. } = *before;
        self == before || (!before.zombie && Self { state, threads, ..self.clone() } == *before)
    }

    /// Whether its process is over. A main thread that has ended is a zombie until the last of its siblings has, and
    /// the process lives on meanwhile.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.zombie && self.threads.is_none_or(|threads| threads <= 1)
    }
}

/// What one process is doing, read for those whose class depends on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// Which process.
    pub process: ProcessKey,
    /// The base name of its executable (`/proc/PID/exe`), where it could be read.
    pub executable: Option<String>,
    /// What each of its threads waits for.
    pub waits: Vec<Wait>,
    /// How many sockets it holds; `None` where its fds could not be read.
    pub sockets: Option<u32>,
    /// Its own CPU time, in milliseconds.
    pub cpu_ms: Option<u64>,
    /// CPU time of the children that it has reaped, in milliseconds: of the orphans that it was given too, where
    /// it is the init of a PID namespace.
    #[serde(default)]
    pub reaped_cpu_ms: Option<u64>,
    /// What its descriptors from 3 up lead to, sockets left out (`/proc/PID/fd`); the first few only, then `…`. Tells
    /// `tail -f /dev/null` from one that follows a log.
    #[serde(default)]
    pub files: Vec<String>,
}

/// What a thread waits for, by the system call that it sleeps in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// For a signal, without end: `pause`, `sigsuspend`, `sigwait`, a read of a signalfd.
    Signal,
    /// For children, without end.
    Children,
    /// For a signal or a child, with a time limit (tini asks every second).
    TimedSignal,
    /// A sleep of some length.
    Sleep,
    /// Anything else: the name of the system call (or of the kernel's function, where only that is known), or
    /// `running`. `rt_sigtimedwait` is a wait for a signal whose time limit, if it has one, is not known.
    Other(String),
    /// Not readable; why.
    Unreadable(String),
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}
