//! Pods as the Container Runtime Interface knows them, whoever told: its socket, or the runtime's own files.

use jiff::Timestamp;

use crate::observation::{Ignore, RuntimeState};
use crate::source::oci::spec::Spec;

/// The sandboxes and containers of one runtime.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CriNode {
    /// Its sandboxes, those that are not ready any more too.
    pub sandboxes: Vec<Sandbox>,
    /// Its containers, exited ones too.
    pub containers: Vec<Container>,
}

/// How a sandbox or container is to get its namespace of one kind (`runtime.v1.NamespaceMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NamespaceMode {
    /// The sandbox's, for every container of the pod.
    #[default]
    Pod,
    /// One of its own.
    Container,
    /// The node's.
    Node,
    /// Another container's (`target_id`), PID only.
    Target,
}

/// `runtime.v1.NamespaceOption`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceOptions {
    /// Network.
    pub network: NamespaceMode,
    /// PID.
    pub pid: NamespaceMode,
    /// IPC.
    pub ipc: NamespaceMode,
    /// User; [`NamespaceMode::Node`] where it says nothing, as before it was there.
    pub user: Option<NamespaceMode>,
    /// Whose PID namespace, with [`NamespaceMode::Target`].
    pub target_id: String,
}

/// A sandbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sandbox {
    /// Its id, which is that of its infra container too.
    pub id: String,
    /// The pod's name.
    pub name: String,
    /// The pod's Kubernetes namespace.
    pub namespace: String,
    /// The pod's uid; a static pod's is the hash of its configuration.
    pub uid: String,
    /// How often the pod had a sandbox before.
    pub attempt: u32,
    /// Whether it is READY; `None` where nobody says.
    pub ready: Option<bool>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// What it is to share with its containers, where that is told.
    pub options: Option<NamespaceOptions>,
    /// The pid of its infra container's process; 0 where it has none.
    pub pid: u32,
    /// When that started, in clock ticks since boot, where the runtime wrote that down.
    pub start_ticks: Option<u64>,
    /// When it was started and when it ended, where that is told, and its exit code.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// Its infra container's specification.
    pub spec: Option<Spec>,
    /// The runtime's own path of its cgroup from the hierarchy's root, where it is written down.
    pub cgroup: Option<String>,
    /// The infra image.
    pub image: Option<String>,
    /// The runtime's name for the infra container, where it has one (CRI-O: `POD`).
    pub infra_name: Option<String>,
    /// It has no process, by design: pins hold its namespaces (CRI-O's dropped infra container).
    pub processless: bool,
    /// What marks it as a sandbox (an annotation, a label, the API's own list), for the evidence.
    pub mark: String,
    /// Why its processes are not to be seen on this host: a virtual machine, a kernel in user space.
    pub opaque: Option<String>,
    /// Which rules the pod's annotations or labels ask audits to leave out.
    pub ignore: Option<Ignore>,
}

/// A container in a sandbox.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its sandbox's id.
    pub sandbox: String,
    /// Its name in the pod's specification.
    pub name: String,
    /// How often it was started before.
    pub attempt: u32,
    /// Its image, as a user named it where that is known.
    pub image: Option<String>,
    /// Its state.
    pub state: RuntimeState,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// When it was started.
    pub started_at: Option<Timestamp>,
    /// When it exited.
    pub finished_at: Option<Timestamp>,
    /// Its exit code, once it has exited.
    pub exit_code: Option<i32>,
    /// Killed by the kernel for want of memory (reason `OOMKilled`).
    pub oom_killed: bool,
    /// The pid of its init; 0 where it has none.
    pub pid: u32,
    /// When that started, in clock ticks since boot, where the runtime wrote that down.
    pub start_ticks: Option<u64>,
    /// What it is to share, where that is told.
    pub options: Option<NamespaceOptions>,
    /// Its specification.
    pub spec: Option<Spec>,
    /// The runtime's own path of its cgroup from the hierarchy's root, where it is written down.
    pub cgroup: Option<String>,
    /// Its volumes as the kubelet asked for them; where nobody says, the specification's bind mounts tell.
    pub mounts: Option<Vec<CriMount>>,
    /// Why its processes are not to be seen on this host.
    pub opaque: Option<String>,
    /// Which rules its annotations or labels ask audits to leave out.
    pub ignore: Option<Ignore>,
}

/// A volume (`runtime.v1.Mount`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CriMount {
    /// The host's folder.
    pub host_path: String,
    /// Where the container sees it.
    pub container_path: String,
    /// Mounted read-only.
    pub read_only: bool,
}
