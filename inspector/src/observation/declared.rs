//! What runtimes declare about their containers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Ignore;
use super::Kind;

/// The runtime that manages a container.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Runtime {
    /// dockerd.
    Docker,
    /// containerd, by its CRI, ctr or nerdctl.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// runc or crun without a daemon.
    Oci,
}

impl Runtime {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::Oci => "oci",
        }
    }
}

/// What made a pod.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Kubernetes, through a CRI runtime or cri-dockerd.
    Kubernetes,
    /// Podman.
    Podman,
    /// Docker Compose.
    Compose,
    /// Docker.
    Docker,
    /// ctr or nerdctl.
    Containerd,
    /// runc or crun without a daemon.
    Oci,
    /// No runtime.
    Unmanaged,
}

impl Origin {
    /// The name in the contract.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "kubernetes",
            Self::Podman => "podman",
            Self::Compose => "compose",
            Self::Docker => "docker",
            Self::Containerd => "containerd",
            Self::Oci => "oci",
            Self::Unmanaged => "unmanaged",
        }
    }
}

/// The state of a container, by its runtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RuntimeState {
    /// Created, never started.
    Created,
    /// Running (or frozen, or being restarted while its process lives).
    Running,
    /// Exited.
    Exited,
    /// The runtime does not say.
    #[default]
    Unknown,
}

/// How a container is meant to get its namespace of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Declaration {
    /// Made for it, by itself or by its runtime on its behalf.
    Private,
    /// Made for it and offered to others (Docker's `--ipc=shareable`).
    Shareable,
    /// The node's.
    Host,
    /// Its own sandbox's (CRI's POD mode, a Podman pod's shares).
    Pod,
    /// CRI's PID mode TARGET: that container's, on purpose.
    Target(String),
    /// Another container's, by the id or name that the runtime was given.
    Container(String),
    /// The namespace behind a path; nobody says whose. `inode` is what it led to when it was read.
    Path {
        /// The path, as the specification gives it.
        path: String,
        /// The inode of the namespace behind it, when it could be resolved.
        inode: Option<u32>,
    },
}

/// What a runtime knows of one container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredContainer {
    /// The runtime's id, whole.
    pub id: String,
    /// The runtime's name for it (Docker's without the leading slash).
    pub name: Option<String>,
    /// Which runtime.
    pub runtime: Runtime,
    /// What it was made through.
    pub origin: Origin,
    /// The image, as the runtime names it.
    pub image: Option<String>,
    /// Its state.
    pub state: RuntimeState,
    /// Its init's pid as the reader's /proc numbers it; 0 when it has none.
    pub pid: u32,
    /// When its init started, in clock ticks since boot, where the runtime wrote that down (runc's state.json).
    pub start_ticks: Option<u64>,
    /// When it was created.
    pub created_at: Option<jiff::Timestamp>,
    /// When it was last started.
    pub started_at: Option<jiff::Timestamp>,
    /// When it last exited.
    pub finished_at: Option<jiff::Timestamp>,
    /// Its last exit code, once it has exited.
    pub exit_code: Option<i32>,
    /// Killed by the kernel for want of memory, says the runtime.
    #[serde(default)]
    pub oom_killed: bool,
    /// The runtime's own path of its cgroup from the root of the hierarchy (from the spec or runc's state).
    pub cgroup: Option<String>,
    /// What marks it as an infra container (a label, an annotation, a flag), if anything does.
    pub infra_mark: Option<String>,
    /// Its command: the program and its arguments. Never the environment.
    pub command: Vec<String>,
    /// The declared mode of each kind; a kind that is absent is not known.
    pub declared: BTreeMap<Kind, Declaration>,
    /// The declared pod it belongs to ([`DeclaredPod::id`]).
    pub pod: Option<String>,
    /// The Compose project and service, if it is of one.
    pub compose: Option<(String, String)>,
    /// Its bind and named volumes.
    pub mounts: Vec<Mount>,
    /// What it is in its pod, where its runtime says so.
    #[serde(default)]
    pub role: Option<DeclaredRole>,
    /// The user whose word this is, where it is not root's: a rootless runtime's state proves nothing about the
    /// processes of others.
    #[serde(default)]
    pub word_of_uid: Option<u32>,
    /// Why its namespaces on this host say nothing about its processes: it runs in a virtual machine (Kata) or on a
    /// kernel of its own in user space (gVisor).
    #[serde(default)]
    pub opaque: Option<String>,
    /// Which rules its labels ask audits to leave out.
    #[serde(default)]
    pub ignore: Option<Ignore>,
    /// What told us: the socket or the files.
    pub source: String,
}

impl DeclaredContainer {
    /// A container of which nothing but this is known yet.
    #[must_use]
    pub fn new(id: impl Into<String>, runtime: Runtime, origin: Origin, source: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            name: None,
            runtime,
            origin,
            image: None,
            state: RuntimeState::Unknown,
            pid: 0,
            start_ticks: None,
            created_at: None,
            started_at: None,
            finished_at: None,
            exit_code: None,
            oom_killed: false,
            cgroup: None,
            infra_mark: None,
            command: Vec::new(),
            declared: BTreeMap::new(),
            pod: None,
            compose: None,
            mounts: Vec::new(),
            role: None,
            word_of_uid: None,
            opaque: None,
            ignore: None,
            source: source.into(),
        }
    }
}

impl DeclaredPod {
    /// A pod of which nothing but this is known yet.
    #[must_use]
    pub fn new(id: impl Into<String>, name: impl Into<String>, origin: Origin) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            namespace: None,
            uid: None,
            origin,
            created_at: None,
            infra: Infra::Unknown,
            namespaces: Vec::new(),
            ready: None,
            shares: None,
            runtime: None,
            word_of_uid: None,
            ignore: None,
        }
    }
}

/// What a runtime says that a container is in its pod, infra apart ([`DeclaredContainer::infra_mark`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeclaredRole {
    /// It runs before the others, or beside them from the start (a sidecar).
    Init,
    /// It does the work.
    App,
    /// It came later, to debug.
    Ephemeral,
}

/// A pod that something declares as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredPod {
    /// The sandbox's or Podman pod's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its Kubernetes namespace.
    pub namespace: Option<String>,
    /// Its uid, as the runtime has it.
    pub uid: Option<String>,
    /// What made it.
    pub origin: Origin,
    /// When it was created.
    pub created_at: Option<jiff::Timestamp>,
    /// What holds its namespaces, by its runtime.
    #[serde(default)]
    pub infra: Infra,
    /// The namespaces that its runtime made and pinned for it, where no container of its own has them: of a sandbox
    /// without a process. Sorted by kind.
    #[serde(default)]
    pub namespaces: Vec<SandboxNamespace>,
    /// Whether its runtime still counts it as there (CRI's READY, Podman's not exited); `None` where it does not say.
    #[serde(default)]
    pub ready: Option<bool>,
    /// Which kinds its containers share by default (a Podman pod's `--share`); `None` where it does not say.
    #[serde(default)]
    pub shares: Option<Vec<Kind>>,
    /// Which runtime's it is; `None` in what older versions recorded.
    #[serde(default)]
    pub runtime: Option<Runtime>,
    /// The user whose word this is, where it is not root's.
    #[serde(default)]
    pub word_of_uid: Option<u32>,
    /// Which rules its annotations or labels ask audits to leave out.
    #[serde(default)]
    pub ignore: Option<Ignore>,
}

/// What holds the namespaces of a declared pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Infra {
    /// The runtime does not say.
    #[default]
    Unknown,
    /// This container, which may be gone.
    Container(String),
    /// No process, by design: the runtime pins them (CRI-O's dropped infra container).
    Processless,
    /// Nothing, by declaration (Podman's `--infra=false`, `--share ""`).
    Nothing,
}

/// A namespace that a runtime made for a sandbox and keeps by a bind mount.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxNamespace {
    /// Its kind.
    pub kind: Kind,
    /// Where it is mounted, as the sandbox's specification says it.
    pub path: String,
    /// What is mounted there, when it could be read.
    pub inode: Option<u32>,
}

/// A volume of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where it comes from: a folder of the host.
    pub source: String,
    /// Where the container sees it.
    pub target: String,
    /// Mounted read-only.
    pub read_only: bool,
    /// Which sort of volume.
    pub kind: MountKind,
}

/// A sort of volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountKind {
    /// A folder or file of the host.
    Bind,
    /// A volume that the runtime manages; its source is the folder that holds it.
    Volume,
}
