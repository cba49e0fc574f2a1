//! One thing that happened to namespaces, containers or pods: a line of `inspector watch -o json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{ExitCause, Finding, NodeInfo};
use crate::observation::{ExitStatus, Kind};

/// Something that happened, as far as was seen.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Always `inspector/v1`.
    #[schemars(extend("const" = super::API_VERSION))]
    pub api_version: &'static str,
    /// Always `Event`.
    #[schemars(extend("const" = "Event"))]
    pub kind: &'static str,
    /// Counts from 1, and skips nothing.
    pub sequence: u64,
    /// When it was seen, RFC 3339.
    #[schemars(with = "Option<String>")]
    pub time: Option<jiff::Timestamp>,
    /// The same in nanoseconds since boot, suspend included.
    pub boottime_ns: u64,
    /// What happened.
    #[serde(rename = "type")]
    pub event_type: EventType,
    /// The pod that it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<Named>,
    /// The container that it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Named>,
    /// The process that did it, or that it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<EventProcess>,
    /// The namespaces that changed for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<Change>,
    /// How the container ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<EventExit>,
    /// Who was killed because the init of their PID namespace died.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub victims: Vec<Killed>,
    /// The finding that was raised or cleared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<Box<Finding>>,
    /// What did not arrive of what the kernel told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lost: Option<Box<Lost>>,
    /// How it was seen.
    pub tier: EventTier,
    /// The same in words.
    pub message: String,
    /// The machine, on the first line of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<Box<NodeInfo>>,
}

impl Event {
    /// One of which nothing but its type is known yet.
    #[must_use]
    pub const fn draft(event_type: EventType) -> Self {
        Self {
            api_version: super::API_VERSION,
            kind: "Event",
            sequence: 0,
            time: None,
            boottime_ns: 0,
            event_type,
            pod: None,
            container: None,
            process: None,
            namespaces: Vec::new(),
            exit: None,
            victims: Vec::new(),
            finding: None,
            lost: None,
            tier: EventTier::Iterator,
            message: String::new(),
            node: None,
        }
    }
}

/// An [`Event`] of a single process, where every one is told of: of few parts, which are borrowed, as there may be tens of
/// thousands a second.
#[derive(Clone, Debug)]
pub struct ProcessEvent<'a> {
    /// As in [`Event`], and so are these below.
    pub sequence: u64,
    /// When it happened.
    pub time: Option<jiff::Timestamp>,
    /// The same in nanoseconds since boot, suspend included.
    pub boottime_ns: u64,
    /// What happened.
    pub event_type: EventType,
    /// The pod and the container that it is in.
    pub home: Option<(&'a Named, &'a Named)>,
    /// Its pid as the reader's /proc numbers it.
    pub pid: u32,
    /// When it started, in nanoseconds since boot, suspend included.
    pub start_boottime_ns: u64,
    /// The kernel's name for it, which it can set itself.
    pub comm: &'a str,
    /// How it ended.
    pub exit: Option<EventExit>,
    /// How it was seen.
    pub tier: EventTier,
}

impl ProcessEvent<'_> {
    /// Appends it in words.
    pub fn push_message(&self, out: &mut String) {
        let mut number = itoa::Buffer::new();
        out.push_str(self.comm);
        out.push_str(" (");
        out.push_str(number.format(self.pid));
        out.push(')');
        if let Some((_, container)) = self.home {
            out.push_str(" of ");
            out.push_str(&container.name);
        }
        let (ending, detail) = match (self.event_type, self.exit) {
            (EventType::ProcessStarted, _) => (" started", None),
            (EventType::ProcessExecuted, _) => (" is another program now", None),
            (_, Some(EventExit { signal: Some(signal), .. })) => (" ended by signal ", Some(signal)),
            (_, Some(EventExit { code: Some(code), .. })) => (" ended with code ", Some(code)),
            _ => (" ended", None),
        };
        out.push_str(ending);
        if let Some(detail) = detail {
            out.push_str(number.format(detail));
        }
    }
}

impl From<&ProcessEvent<'_>> for Event {
    fn from(event: &ProcessEvent<'_>) -> Self {
        let ProcessEvent { sequence, time, boottime_ns, event_type, home, pid, start_boottime_ns, .. } =
            *event;
        let ProcessEvent { comm, exit, tier, .. } = *event;
        let mut message = String::new();
        event.push_message(&mut message);
        Self {
            sequence,
            time,
            boottime_ns,
            pod: home.map(|(pod, _)| pod.clone()),
            container: home.map(|(_, container)| container.clone()),
            process: Some(EventProcess { pid, start_boottime_ns, comm: comm.to_owned() }),
            exit,
            tier,
            message,
            ..Self::draft(event_type)
        }
    }
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventType {
    /// A container's init runs.
    ContainerStarted,
    /// It does not any more.
    ContainerExited,
    /// A namespace is there that was not.
    NamespaceCreated,
    /// A process or container came into a namespace that was there.
    NamespaceJoined,
    /// A process or container left a namespace, which lives on.
    NamespaceLeft,
    /// Nothing of a namespace is left.
    NamespaceDestroyed,
    /// The container ended that a shared namespace was made for.
    OwnerExited,
    /// The kernel killed containers of a pod, because PID 1 of their PID namespace died.
    PodCollapsed,
    /// A container of a pod ended, and others live on.
    PodSurvived,
    /// A process of no container of the pod got into it.
    ForeignEntered,
    /// A rule finds something wrong.
    FindingRaised,
    /// It does not any more.
    FindingCleared,
    /// What was seen is complete again.
    Resynced,
    /// A process was made: only told of where every process is asked for.
    ProcessStarted,
    /// A process became another program: likewise.
    ProcessExecuted,
    /// A process is over: likewise.
    ProcessExited,
}

impl EventType {
    /// All of them, in the order of the contract; those of single processes last.
    pub const ALL: [Self; 16] = [
        Self::ContainerStarted,
        Self::ContainerExited,
        Self::NamespaceCreated,
        Self::NamespaceJoined,
        Self::NamespaceLeft,
        Self::NamespaceDestroyed,
        Self::OwnerExited,
        Self::PodCollapsed,
        Self::PodSurvived,
        Self::ForeignEntered,
        Self::FindingRaised,
        Self::FindingCleared,
        Self::Resynced,
        Self::ProcessStarted,
        Self::ProcessExecuted,
        Self::ProcessExited,
    ];

    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ContainerStarted => "container-started",
            Self::ContainerExited => "container-exited",
            Self::NamespaceCreated => "namespace-created",
            Self::NamespaceJoined => "namespace-joined",
            Self::NamespaceLeft => "namespace-left",
            Self::NamespaceDestroyed => "namespace-destroyed",
            Self::OwnerExited => "owner-exited",
            Self::PodCollapsed => "pod-collapsed",
            Self::PodSurvived => "pod-survived",
            Self::ForeignEntered => "foreign-entered",
            Self::FindingRaised => "finding-raised",
            Self::FindingCleared => "finding-cleared",
            Self::Resynced => "resynced",
            Self::ProcessStarted => "process-started",
            Self::ProcessExecuted => "process-executed",
            Self::ProcessExited => "process-exited",
        }
    }
}

/// How an event was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EventTier {
    /// By comparing two readings of all tasks: what came and went between them is not seen.
    Iterator,
    /// The kernel told of it as it happened; `setns` and `unshare` by the kernel's functions for them.
    Fexit,
    /// The kernel told of it as it happened; `setns` and `unshare` by the tracepoints of system calls.
    Syscall,
    /// The kernel told of it as it happened; `setns` and `unshare` only by what is started then.
    ForkExec,
}

/// Events of the kernel that did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Lost {
    /// How many.
    pub records: u64,
    /// The same by cause: `ring-full`, `untracked` (deaths that will not be told), `program-busy`, `undecodable`,
    /// `unconfirmed` (they came, and more than looks could confirm).
    pub by_cause: BTreeMap<String, u64>,
}

/// Something with an id and a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Named {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// A process, told from every other that has or had its pid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EventProcess {
    /// Its pid as the reader's /proc numbers it.
    pub pid: u32,
    /// When it started, in nanoseconds since boot, suspend included.
    pub start_boottime_ns: u64,
    /// The kernel's name for it, which it can set itself.
    pub comm: String,
}

/// A namespace that something came from or went to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// Its kind.
    pub kind: Kind,
    /// Which use of that inode (of `to`, else of `from`), as far as this stream saw.
    pub generation: u64,
    /// The inode that was left, or is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<u32>,
    /// The inode that was made, or come into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
    /// The pod that it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_pod: Option<Named>,
    /// The container that it was made for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_owner: Option<String>,
}

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventExit {
    /// Its exit code, as the runtime has it (128 + signal for a death by signal); null where it does not tell.
    pub code: Option<i32>,
    /// The signal, where one ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What ended it.
    pub cause: ExitCause,
}

impl EventExit {
    /// As the kernel told it.
    #[must_use]
    pub fn told(status: ExitStatus) -> Self {
        Self {
            code: status.code.map(i32::from),
            signal: status.signal.map(i32::from),
            cause: if status.signal.is_some() { ExitCause::Signal } else { ExitCause::Itself },
        }
    }
}

/// A container that died with its PID namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Killed {
    /// Its id.
    pub container: String,
    /// Its init's pid, as it was.
    pub pid: u32,
    /// Its exit code, where its runtime tells.
    pub code: Option<i32>,
    /// SIGKILL.
    pub signal: i32,
}
