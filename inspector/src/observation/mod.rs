//! What the sources saw, and nothing else: the only input of `state`.
//!
//! An [`Observation`] is plain, serializable data. `inspector record` writes it and `--replay` reads it, so
//! everything that an answer depends on has to be in here; nothing in this module touches the machine, and
//! nothing in here is a judgement.

mod cost;
mod credentials;
mod declared;
mod event;
mod history;
mod ignore;
mod input;
mod kind;
mod namespace;
mod network;
mod task;
mod tasks;

pub use cost::Cost;
pub use credentials::Credentials;
pub use declared::{
    Declaration, DeclaredContainer, DeclaredPod, DeclaredRole, Infra, Mount, MountKind, Origin, Runtime,
    RuntimeState, SandboxNamespace,
};
pub use event::{EventCgroup, EventKind, ExitStatus, HeardBy, KernelEvent, NamespaceSet, TaskRef};
pub use history::{Creation, History, SeenClass, SeenOwner};
pub use ignore::{IGNORE, IGNORE_REASON, Ignore, IgnoreKeys};
pub use input::{Blind, Input, Look, Told};
pub use kind::{HostNamespaces, Inodes, Kind};
pub use namespace::{Handle, NamespaceFact, Pin, Via};
pub use network::{NetworkFact, Socket};
pub use task::{Behaviour, ProcessKey, Task, Wait};
pub use tasks::Tasks;

use serde::{Deserialize, Serialize};

/// Everything that was seen of one node at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The machine and the moment.
    pub node: Node,
    /// Where [`Self::tasks`] come from.
    pub source: TaskSource,
    /// The process that looked: left out of every verdict.
    pub reader: Reader,
    /// The node's own namespaces.
    pub host: HostNamespaces,
    /// One for each process, and one for each thread whose namespaces differ from its leader's; sorted by pid.
    pub tasks: Tasks,
    /// Processes that were there but whose namespaces could not be read.
    pub unreadable: u64,
    /// What the runtimes know of their containers, exited ones too.
    pub containers: Vec<DeclaredContainer>,
    /// Pods that a runtime or orchestrator declares as such (a CRI sandbox, a Podman pod).
    pub pods: Vec<DeclaredPod>,
    /// How the processes of those containers behave whose class depends on it.
    pub behaviours: Vec<Behaviour>,
    /// Who the processes are to the kernel that share a PID namespace with another container.
    #[serde(default)]
    pub credentials: Vec<Credentials>,
    /// The network namespaces of containers from inside, where that was asked for.
    #[serde(default)]
    pub networks: Vec<NetworkFact>,
    /// What processes cost that only hold namespaces, or may be such, where that was asked for.
    #[serde(default)]
    pub costs: Vec<Cost>,
    /// What the kernel says of the namespaces themselves, by kind and inode. A namespace that is not in here may
    /// exist all the same.
    #[serde(default)]
    pub namespaces: Vec<NamespaceFact>,
    /// Bind mounts of namespaces.
    pub pins: Vec<Pin>,
    /// Open descriptors, sockets and mounts that keep a namespace alive; by kind and inode.
    #[serde(default)]
    pub handles: Vec<Handle>,
    /// Each runtime that was asked, and how that went.
    pub runtimes: Vec<RuntimeReport>,
    /// What could not be read, and why.
    pub gaps: Vec<Gap>,
    /// What was seen to happen before, where somebody watched.
    #[serde(default)]
    pub history: History,
}

impl Observation {
    /// The row of a process: that of its main thread.
    #[must_use]
    pub fn leader(&self, pid: u32) -> Option<&Task> {
        self.task(pid).filter(|task| task.is_leader())
    }

    /// The row of a task: its own, where it has one.
    #[must_use]
    pub fn task(&self, pid: u32) -> Option<&Task> {
        self.tasks.get(pid)
    }
}

/// The machine and the moment of an observation.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The node's name (`uname -n`).
    pub name: String,
    /// The kernel's release (`uname -r`).
    pub kernel: String,
    /// Wall-clock time of the observation, RFC 3339.
    pub time: Option<jiff::Timestamp>,
    /// Wall-clock time of the boot (`CLOCK_REALTIME` less `CLOCK_BOOTTIME`, constant until somebody sets the clock),
    /// rounded to 10 ms: so that two looks at one process give it one start time.
    pub booted_at: Option<jiff::Timestamp>,
    /// Time since boot at the observation, suspend included (`CLOCK_BOOTTIME`), in nanoseconds.
    pub boottime_ns: u64,
    /// Time since boot when the reading of the tasks began, where they are as of then: asking everything else for what it
    /// knows of them may take seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tasks_boottime_ns: Option<u64>,
    /// Clock ticks a second (`sysconf(_SC_CLK_TCK)`): the unit of start times in `/proc/PID/stat`.
    pub ticks_per_second: u64,
    /// Distinguishes boots of one machine (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
}

impl Node {
    /// The wall-clock time of a moment given in nanoseconds since boot, to the clock tick.
    #[must_use]
    pub fn wall_clock(&self, boottime_ns: u64) -> Option<jiff::Timestamp> {
        let ticks = i64::try_from(self.ticks(boottime_ns)).ok()?;
        let tick_ns = i64::try_from(self.tick_ns()).ok()?;
        self.booted_at?.checked_add(jiff::SignedDuration::from_nanos(ticks.checked_mul(tick_ns)?)).ok()
    }

    /// A start time in clock ticks since boot, as `/proc/PID/stat` (field 22) gives it.
    #[must_use]
    pub fn ticks(&self, start_boottime_ns: u64) -> u64 {
        // Ticks divide a second evenly on every architecture, so the kernel's own rounding (down) is this one.
        start_boottime_ns / self.tick_ns()
    }

    /// The wall-clock time of a moment given in nanoseconds since boot, by the clock as it was at the observation.
    #[must_use]
    pub fn time_at(&self, boottime_ns: u64) -> Option<jiff::Timestamp> {
        let later = i64::try_from(i128::from(boottime_ns) - i128::from(self.boottime_ns)).ok()?;
        self.time?.checked_add(jiff::SignedDuration::from_nanos(later)).ok()
    }

    /// As of when the tasks are at least, in nanoseconds since boot.
    #[must_use]
    pub fn tasks_as_of_ns(&self) -> u64 {
        self.tasks_boottime_ns.unwrap_or(self.boottime_ns)
    }

    fn tick_ns(&self) -> u64 {
        1_000_000_000 / self.ticks_per_second.clamp(1, 1_000_000_000)
    }
}

/// Where the facts about tasks come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskSource {
    /// The eBPF task iterator.
    Bpf,
    /// A walk of /proc.
    #[default]
    Procfs,
}

/// The process that looked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reader {
    /// Its pid, as its /proc numbers it.
    pub pid: u32,
    /// Its effective uid.
    pub euid: u32,
}

/// How asking one runtime went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeReport {
    /// Which runtime.
    pub runtime: Runtime,
    /// The socket or folder that was asked.
    pub endpoint: String,
    /// The outcome.
    pub status: RuntimeStatus,
    /// What a reader should know about it: a version, or what went wrong.
    pub detail: String,
}

/// The outcome of asking a runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeStatus {
    /// It answered in full.
    Ok,
    /// It is not on this node.
    Absent,
    /// It is there, and the reader may not ask it.
    Denied,
    /// It is there, and its answer was late, wrong or too long.
    Error,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// What is missing from the answer.
    pub what: String,
    /// Why, and what would mend it.
    pub why: String,
    /// Whether a verdict could come out otherwise had it been read.
    pub could_change_verdict: bool,
}

impl Gap {
    /// A gap that could change a verdict.
    pub fn deciding(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), could_change_verdict: true }
    }

    /// A gap in detail only.
    pub fn detail(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into(), could_change_verdict: false }
    }
}
