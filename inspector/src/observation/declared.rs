//! What runtimes declare about their containers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// What told us: the socket or the files.
    pub source: String,
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
