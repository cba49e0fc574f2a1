//! The messages of containerd's own API that are sent and read, and the `Any` of its database: of each only the fields
//! that are used, by their official numbers. What is not named here is skipped on decoding.
//!
//! No message prints an `Any`: a specification has the environment in it.

use std::collections::HashMap;

use jiff::Timestamp;
use prost::Message;

/// `google.protobuf.Empty`, and requests without a filter.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Empty {}

/// `containerd.services.version.v1.VersionResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct VersionResponse {
    /// The version.
    #[prost(string, tag = "1")]
    pub version: String,
}

/// `containerd.services.namespaces.v1.ListNamespacesResponse`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct ListNamespacesResponse {
    /// containerd's namespaces.
    #[prost(message, repeated, tag = "1")]
    pub namespaces: Vec<Namespace>,
}

/// `containerd.services.namespaces.v1.Namespace`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Namespace {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `containerd.services.containers.v1.ListContainersResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct ListContainersResponse {
    /// The containers.
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<Container>,
}

/// `containerd.services.containers.v1.Container`.
#[derive(Clone, PartialEq, Message)]
pub struct Container {
    /// The id, its user's to choose.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The labels.
    #[prost(map = "string, string", tag = "2")]
    pub labels: HashMap<String, String>,
    /// The image.
    #[prost(string, tag = "3")]
    pub image: String,
    /// The runtime.
    #[prost(message, optional, tag = "4")]
    pub runtime: Option<Runtime>,
    /// The specification, JSON.
    #[prost(message, optional, tag = "5")]
    pub spec: Option<Any>,
    /// When it was created.
    #[prost(message, optional, tag = "8")]
    pub created_at: Option<Moment>,
    /// What others wrote down with it, by name.
    #[prost(map = "string, message", tag = "10")]
    pub extensions: HashMap<String, Any>,
}

/// `containerd.services.containers.v1.Container.Runtime`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Runtime {
    /// `io.containerd.runc.v2`, …
    #[prost(string, tag = "1")]
    pub name: String,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Eq, Message)]
#[prost(skip_debug)]
pub struct Any {
    /// What it holds.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

impl std::fmt::Debug for Any {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Any({} bytes)", self.value.len())
    }
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Moment {
    /// Since 1970.
    #[prost(int64, tag = "1")]
    pub seconds: i64,
    /// And nanoseconds.
    #[prost(int32, tag = "2")]
    pub nanoseconds: i32,
}

impl Moment {
    /// The time; `None` for Go's zero, which stands for never.
    #[must_use]
    pub fn time(self) -> Option<Timestamp> {
        Timestamp::new(self.seconds, self.nanoseconds).ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
    }
}

/// `containerd.services.tasks.v1.ListTasksResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct ListTasksResponse {
    /// The tasks: the running halves of containers.
    #[prost(message, repeated, tag = "1")]
    pub tasks: Vec<Process>,
}

/// `containerd.v1.types.Process`.
#[derive(Clone, PartialEq, Message)]
pub struct Process {
    /// Nothing in a list of tasks.
    #[prost(string, tag = "1")]
    pub container_id: String,
    /// The container's id.
    #[prost(string, tag = "2")]
    pub id: String,
    /// The pid of its init, also after that has ended.
    #[prost(uint32, tag = "3")]
    pub pid: u32,
    /// 1 created, 2 running, 3 stopped, 4 paused, 5 pausing.
    #[prost(int32, tag = "4")]
    pub status: i32,
    /// The exit code, once it is stopped.
    #[prost(uint32, tag = "9")]
    pub exit_status: u32,
    /// When it ended.
    #[prost(message, optional, tag = "10")]
    pub exited_at: Option<Moment>,
}
