//! The messages of `runtime.v1` (the Container Runtime Interface) that are sent and read, written down by hand: of each
//! only the fields that are used, by their official numbers. What is not named here is skipped on decoding.
//!
//! It must not name a container's environment. The verbose information, a string of JSON, has one inside: no message
//! prints it.

use std::collections::HashMap;
use std::fmt;

use prost::Message;

/// `VersionRequest`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct VersionRequest {}

/// `VersionResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct VersionResponse {
    /// `containerd`, `cri-o`, …
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
}

/// `ListPodSandboxRequest` and `ListContainersRequest`: both without their filter.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListRequest {}

/// `ListPodSandboxResponse`. No more of the entries is read than what their status is asked for by, so that no list
/// costs much more memory than it has bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListSandboxesResponse {
    /// The entries.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<ListedSandbox>,
}

/// `PodSandbox`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListedSandbox {
    /// The id.
    #[prost(string, tag = "1")]
    pub id: String,
}

/// `ListContainersResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListContainersResponse {
    /// The entries.
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<ListedContainer>,
}

/// `Container`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListedContainer {
    /// The id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its sandbox's.
    #[prost(string, tag = "2")]
    pub pod_sandbox_id: String,
}

/// `PodSandboxStatusRequest` and `ContainerStatusRequest`: both have the same fields.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct StatusRequest {
    /// The id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Whether to tell what is the runtime's own too.
    #[prost(bool, tag = "2")]
    pub verbose: bool,
}

/// `PodSandboxStatusResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct SandboxStatusResponse {
    /// What every runtime knows.
    #[prost(message, optional, tag = "1")]
    pub status: Option<SandboxStatus>,
    /// What this one knows besides.
    #[prost(map = "string, string", tag = "2")]
    pub info: HashMap<String, String>,
}

/// `ContainerStatusResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct ContainerStatusResponse {
    /// What every runtime knows.
    #[prost(message, optional, tag = "1")]
    pub status: Option<ContainerStatus>,
    /// What this one knows besides.
    #[prost(map = "string, string", tag = "2")]
    pub info: HashMap<String, String>,
}

impl fmt::Debug for SandboxStatusResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxStatusResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

impl fmt::Debug for ContainerStatusResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerStatusResponse").field("status", &self.status).finish_non_exhaustive()
    }
}

/// `PodSandboxMetadata`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SandboxMetadata {
    /// The pod's name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The pod's uid.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// The pod's namespace.
    #[prost(string, tag = "3")]
    pub namespace: String,
    /// How often the pod had a sandbox before.
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}

/// `PodSandboxStatus`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SandboxStatus {
    /// The id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Whose it is.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<SandboxMetadata>,
    /// `PodSandboxState`: 0 is ready.
    #[prost(int32, tag = "3")]
    pub state: i32,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    /// What is Linux's own.
    #[prost(message, optional, tag = "6")]
    pub linux: Option<LinuxSandboxStatus>,
    /// The pod's labels.
    #[prost(map = "string, string", tag = "7")]
    pub labels: HashMap<String, String>,
    /// The pod's annotations.
    #[prost(map = "string, string", tag = "8")]
    pub annotations: HashMap<String, String>,
    /// Which of the configured low-level runtimes it runs by.
    #[prost(string, tag = "9")]
    pub runtime_handler: String,
}

/// `LinuxPodSandboxStatus`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct LinuxSandboxStatus {
    /// How it is meant to share.
    #[prost(message, optional, tag = "1")]
    pub namespaces: Option<Namespaces>,
}

/// `Namespace`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Namespaces {
    /// The modes.
    #[prost(message, optional, tag = "2")]
    pub options: Option<NamespaceOption>,
}

/// `NamespaceOption`; a `NamespaceMode` is 0 for the pod's, 1 for the container's own, 2 for the node's, 3 for a
/// target's.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct NamespaceOption {
    /// Network.
    #[prost(int32, tag = "1")]
    pub network: i32,
    /// PID.
    #[prost(int32, tag = "2")]
    pub pid: i32,
    /// IPC.
    #[prost(int32, tag = "3")]
    pub ipc: i32,
    /// Whose PID namespace, with mode 3.
    #[prost(string, tag = "4")]
    pub target_id: String,
    /// User; the node's where it is absent.
    #[prost(message, optional, tag = "5")]
    pub userns_options: Option<UserNamespace>,
}

/// `UserNamespace`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct UserNamespace {
    /// The mode.
    #[prost(int32, tag = "1")]
    pub mode: i32,
}

/// `ContainerMetadata`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerMetadata {
    /// The name in the pod's specification.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How often it was started before.
    #[prost(uint32, tag = "2")]
    pub attempt: u32,
}

/// `ContainerStatus`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ContainerStatus {
    /// The id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Which container of the pod it is.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<ContainerMetadata>,
    /// `ContainerState`: 0 created, 1 running, 2 exited, 3 unknown.
    #[prost(int32, tag = "3")]
    pub state: i32,
    /// Nanoseconds since 1970.
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    /// Nanoseconds since 1970; 0 for never.
    #[prost(int64, tag = "5")]
    pub started_at: i64,
    /// Nanoseconds since 1970; 0 for never.
    #[prost(int64, tag = "6")]
    pub finished_at: i64,
    /// The exit code, once it has exited.
    #[prost(int32, tag = "7")]
    pub exit_code: i32,
    /// The image.
    #[prost(message, optional, tag = "8")]
    pub image: Option<ImageSpec>,
    /// The image by its digest.
    #[prost(string, tag = "9")]
    pub image_ref: String,
    /// Why it is in its state, in one word (`OOMKilled`).
    #[prost(string, tag = "10")]
    pub reason: String,
    /// Its labels.
    #[prost(map = "string, string", tag = "12")]
    pub labels: HashMap<String, String>,
    /// Its annotations.
    #[prost(map = "string, string", tag = "13")]
    pub annotations: HashMap<String, String>,
    /// Its volumes, as the kubelet asked for them.
    #[prost(message, repeated, tag = "14")]
    pub mounts: Vec<Mount>,
}

/// `ImageSpec`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ImageSpec {
    /// A name or an id.
    #[prost(string, tag = "1")]
    pub image: String,
    /// The name in the pod's specification.
    #[prost(string, tag = "18")]
    pub user_specified_image: String,
}

/// `Mount`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Mount {
    /// Where the container sees it.
    #[prost(string, tag = "1")]
    pub container_path: String,
    /// The host's folder.
    #[prost(string, tag = "2")]
    pub host_path: String,
    /// Mounted read-only.
    #[prost(bool, tag = "3")]
    pub readonly: bool,
}
