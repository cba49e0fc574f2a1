//! The types of the JSON output. Their names and fields are a promise: adding is fine, renaming is a new
//! `apiVersion`.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use super::Finding;
use crate::observation::{Kind, Origin, Runtime, RuntimeStatus};

/// The version of the JSON output.
pub const API_VERSION: &str = "inspector/v1";

/// The answer of `inspector pods`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodList {
    /// Always `inspector/v1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: &'static str,
    /// Always `PodList`.
    #[schemars(extend("const" = "PodList"))]
    pub kind: &'static str,
    /// The machine and the moment.
    pub node: NodeInfo,
    /// What the answer rests on, and what is missing from it.
    pub coverage: Coverage,
    /// The pods, by name.
    pub pods: Vec<Pod>,
    /// Pods that exist and are not in `pods` (shown by `--all`).
    pub hidden: Hidden,
    /// What is wrong, worst first.
    pub findings: Vec<Finding>,
}

/// The machine and the moment.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct NodeInfo {
    /// `uname -n`.
    pub name: String,
    /// `uname -r`.
    pub kernel: String,
    /// RFC 3339.
    pub time: Option<String>,
}

/// What an answer rests on, and what is missing from it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// `bpf` or `procfs`.
    #[schemars(extend("enum" = ["bpf", "procfs"]))]
    pub source: &'static str,
    /// How setns and unshare are seen: `none` in a one-shot answer.
    #[schemars(extend("enum" = ["fentry", "syscall", "fork-exec", "none"]))]
    pub tier: &'static str,
    /// Tasks read.
    pub tasks: u64,
    /// Processes whose namespaces could not be read.
    pub unreadable: u64,
    /// Events that were lost: 0 in a one-shot answer.
    pub events_lost: u64,
    /// Whether something that could change a verdict could not be read.
    pub partial: bool,
    /// Each runtime that was asked.
    pub runtimes: Vec<RuntimeInfo>,
    /// What could not be read.
    pub gaps: Vec<GapInfo>,
}

/// How asking a runtime went.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct RuntimeInfo {
    /// Which runtime.
    pub runtime: Runtime,
    /// The socket or folder asked.
    pub endpoint: String,
    /// The outcome.
    pub status: RuntimeStatus,
    /// Its version, or what went wrong.
    pub detail: String,
}

/// Something that could not be read.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct GapInfo {
    /// What is missing.
    pub what: String,
    /// Why, and what would mend it.
    pub why: String,
}

/// Pods left out of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hidden {
    /// Pods without a living container.
    pub exited: u64,
    /// Unmanaged groups of a single process.
    pub unmanaged: u64,
}

/// What the keys of a map by kind may be.
fn kind_names() -> serde_json::Value {
    serde_json::json!({ "enum": Kind::ALL.map(Kind::name) })
}

/// A set of containers in common namespaces.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Pod {
    /// The declared pod's id, else that of the container that names it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its Kubernetes namespace.
    pub namespace: Option<String>,
    /// Its Kubernetes uid, as the runtime has it.
    pub uid: Option<String>,
    /// What made it.
    pub origin: Origin,
    /// The judgement.
    pub verdict: Verdict,
    /// Why that is the judgement.
    pub why: String,
    /// Its containers: infra first, then by start.
    pub containers: Vec<Container>,
    /// The namespaces that make it a pod, and every PID namespace of it.
    pub namespaces: Vec<Namespace>,
    /// The volumes of its containers.
    pub volumes: Vec<Volume>,
}

/// The judgement of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// A business container owns a shared namespace.
    ApplicationOwned,
    /// The evidence does not reach.
    Unknown,
    /// Infra owns all that is shared.
    PauseOwned,
    /// Pins of a sandbox hold what is shared.
    RuntimePinned,
    /// All that it shares is the host's.
    Host,
    /// Its containers share nothing.
    Isolated,
}

impl Verdict {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ApplicationOwned => "application-owned",
            Self::Unknown => "unknown",
            Self::PauseOwned => "pause-owned",
            Self::RuntimePinned => "runtime-pinned",
            Self::Host => "host",
            Self::Isolated => "isolated",
        }
    }
}

/// A container, or the topmost process of an unmanaged group.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    /// The runtime's id; `proc:<pid>:<start ticks>` where no runtime has one.
    pub id: String,
    /// Its name.
    pub name: String,
    /// `docker`, `containerd`, `cri-o`, `podman`, `oci`; null for a process that no runtime claims.
    pub runtime: Option<Runtime>,
    /// Its image.
    pub image: Option<String>,
    /// What it is in its pod.
    pub role: Role,
    /// Whether a runtime confirms what its cgroup's name says.
    pub identity: Identity,
    /// Whether it runs.
    pub state: State,
    /// Its init's pid as the reader's /proc numbers it; 0 once exited.
    pub init_pid: u32,
    /// When its init started, RFC 3339.
    pub started_at: Option<String>,
    /// Live thread groups in its cgroup subtree.
    pub processes: u64,
    /// Its cgroup, from the hierarchy's root.
    pub cgroup: Option<Arc<str>>,
    /// The namespaces of its init's main thread.
    #[schemars(with = "BTreeMap<String, u32>", extend("propertyNames" = kind_names()))]
    pub namespaces: BTreeMap<Kind, u32>,
    /// How it is meant to get them: `pod`, `target`, `container:<id>`, `shareable`, `host`, `private` or `unknown`.
    #[schemars(with = "BTreeMap<String, String>", extend("propertyNames" = kind_names()))]
    pub declared: BTreeMap<Kind, String>,
    /// How it ended, once it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<Box<Exit>>,
}

/// What a container is in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It holds the pod's namespaces and does nothing else.
    Infra,
    /// It runs before the others.
    Init,
    /// It does the work.
    App,
    /// It came later, to debug.
    Ephemeral,
    /// Nothing tells.
    Unknown,
}

impl Role {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Infra => "infra",
            Self::Init => "init",
            Self::App => "app",
            Self::Ephemeral => "ephemeral",
            Self::Unknown => "unknown",
        }
    }
}

/// How sure a container's identity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Identity {
    /// A runtime's state, specification or socket says so (for an unmanaged process: the kernel).
    Confirmed,
    /// Only the name of a cgroup says so, and whoever owns a cgroup can imitate one below it.
    CgroupOnly,
}

/// Whether a container runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It has a living process.
    Running,
    /// It has none.
    Exited,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// Its exit code, as the runtime has it (128 + signal for a death by signal).
    pub code: Option<i32>,
    /// When, RFC 3339.
    pub finished_at: Option<String>,
    /// What ended it.
    pub cause: ExitCause,
    /// How we know.
    pub why: String,
}

/// What ended a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExitCause {
    /// It returned.
    #[serde(rename = "self")]
    Itself,
    /// A signal.
    Signal,
    /// The init of its PID namespace died, so the kernel killed it.
    PidNamespaceDied,
    /// Nothing tells.
    Unknown,
}

/// A namespace of a pod.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Namespace {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// Which use of that inode: 1 in a one-shot answer.
    pub generation: u64,
    /// The living containers in it.
    pub shared_by: Vec<String>,
    /// Whom it was made for.
    pub owner: Owner,
    /// What else keeps it alive.
    pub holders: Vec<Holder>,
}

/// Whom a namespace was made for, and how we know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    /// The container's id, while anything names it.
    pub container: Option<String>,
    /// Its init's pid; 0 when dead or processless.
    pub pid: u32,
    /// Whether it lives: as the incarnation that the namespace was made for.
    pub alive: bool,
    /// What it is.
    pub class: Class,
    /// How we know whose it is.
    pub evidence: Evidence,
    /// How we know what it is.
    pub class_evidence: ClassEvidence,
    /// Both, in words, with the facts.
    pub why: String,
}

/// What an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It only holds namespaces.
    Pause,
    /// It does work.
    Application,
    /// A sandbox without a process: pins hold its namespaces.
    RuntimePinned,
    /// Nothing tells.
    Unknown,
}

impl Class {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Application => "application",
            Self::RuntimePinned => "runtime-pinned",
            Self::Unknown => "unknown",
        }
    }
}

/// How we know whose a namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// We saw it made.
    Observed,
    /// A specification or a runtime says so.
    Declared,
    /// PID 1 of the PID namespace, or the first living member by start time.
    Inferred,
    /// Nothing tells.
    None,
}

impl Evidence {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Declared => "declared",
            Self::Inferred => "inferred",
            Self::None => "none",
        }
    }
}

/// How we know what an owner is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ClassEvidence {
    /// The runtime or a known label says infra.
    Marked,
    /// What its processes do.
    Behaviour,
    /// What its declared command does (of a dead one).
    Command,
    /// What a watcher saw it be while it lived.
    Observed,
    /// Nothing tells.
    None,
}

impl ClassEvidence {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Marked => "marked",
            Self::Behaviour => "behaviour",
            Self::Command => "command",
            Self::Observed => "observed",
            Self::None => "none",
        }
    }
}

/// Something other than a member that keeps a namespace alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Holder {
    /// `bind-mount`, `fd`, `child-namespace`, `socket` or `mount`.
    #[serde(rename = "type")]
    pub holder_type: HolderType,
    /// Where a bind mount is, as the host's mountinfo says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Who has the fd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// How something keeps a namespace alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HolderType {
    /// A bind mount of it.
    BindMount,
    /// An open file descriptor of it.
    Fd,
    /// A namespace below it.
    ChildNamespace,
    /// A socket that lives in it, of a process that does not.
    Socket,
    /// A mounted proc (of a PID namespace), mqueue (ipc) or sysfs (net).
    Mount,
}

impl HolderType {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BindMount => "bind-mount",
            Self::Fd => "fd",
            Self::ChildNamespace => "child-namespace",
            Self::Socket => "socket",
            Self::Mount => "mount",
        }
    }
}

/// A folder of the host that containers of the pod mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Volume {
    /// The folder.
    pub source: String,
    /// What sort of volume it is.
    #[serde(rename = "type")]
    pub volume_type: VolumeType,
    /// Its name in the pod's specification, where the folder tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who mounts it, and where.
    pub mounts: Vec<VolumeMount>,
}

/// A sort of volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum VolumeType {
    /// A folder or file of the host.
    Bind,
    /// One that a runtime manages.
    Volume,
    /// Kubernetes: a folder that lives and dies with the pod.
    EmptyDir,
    /// Kubernetes: a folder or file of the host.
    HostPath,
    /// Kubernetes: a `ConfigMap`.
    ConfigMap,
    /// Kubernetes: a `Secret`.
    Secret,
    /// Kubernetes: several sources in one, such as a service account's token.
    Projected,
    /// Kubernetes: facts about the pod.
    #[serde(rename = "downwardAPI")]
    DownwardApi,
    /// Kubernetes: from a storage plugin, or a part of any volume.
    Persistent,
}

/// One container's view of a volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VolumeMount {
    /// The container's id.
    pub container: String,
    /// Where it sees it.
    pub target: String,
    /// Whether it may only read.
    pub read_only: bool,
}
