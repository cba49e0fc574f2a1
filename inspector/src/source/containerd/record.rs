//! What containerd knows of a container, whoever told: its API or its database.
//!
//! The environment of the specification, and that of the kubelet's request, have no field here: they hold secrets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::messages::{self, Any};
use crate::observation::RuntimeState;
use crate::source::cri::{self, info};
use crate::source::oci::spec::{Spec, null_as_default};

/// containerd's namespace of Kubernetes.
pub const KUBERNETES: &str = "k8s.io";
/// containerd's namespace of Docker, which tells better itself.
pub const DOCKER: &str = "moby";

/// Under which names CRI writes down what the kubelet asked for.
const SANDBOX_METADATA: &str = "io.cri-containerd.sandbox.metadata";
const CONTAINER_METADATA: &str = "io.cri-containerd.container.metadata";

/// A container of containerd's.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// containerd's namespace: ids are unique in one only.
    pub namespace: String,
    /// The id.
    pub id: String,
    /// The labels.
    pub labels: BTreeMap<String, String>,
    /// The image.
    pub image: String,
    /// The sort of runtime.
    pub runtime: String,
    /// The specification.
    pub spec: Option<Spec>,
    /// When it was created.
    pub created_at: Option<Timestamp>,
    /// What CRI wrote down of a sandbox.
    pub sandbox: Option<SandboxMetadata>,
    /// What CRI wrote down of a container.
    pub container: Option<ContainerMetadata>,
    /// What of the above is not as it is written.
    pub damaged: Option<String>,
}

/// A container's task: its process, or what is left of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// The pid of its init, also of one that has ended.
    pub pid: u32,
    /// Created, running, exited.
    pub state: RuntimeState,
    /// When the init started, in clock ticks since boot, where that is written down.
    pub start_ticks: Option<u64>,
    /// The cgroup, by runc.
    pub cgroup: Option<String>,
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// When it ended.
    pub exited_at: Option<Timestamp>,
}

/// A container with its task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// The container.
    pub record: Record,
    /// Its task; `None` where it has none: it was never started, or its end was taken note of.
    pub task: Option<Task>,
}

/// What CRI writes down of a sandbox.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxMetadata {
    /// Whose sandbox it is.
    pub pod: PodMetadata,
    /// How it shares.
    pub config: info::Config,
    /// The configured name of its runtime.
    pub runtime_handler: String,
}

/// What CRI writes down of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerMetadata {
    /// Its name and how often it was started before.
    pub name: String,
    /// How often it was started before.
    pub attempt: u32,
    /// Its sandbox's id.
    pub sandbox: String,
    /// How it shares, its image and its volumes.
    pub config: info::Config,
}

/// `PodSandboxMetadata` and `ContainerMetadata`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct PodMetadata {
    /// The name.
    pub name: String,
    /// The pod's uid.
    pub uid: String,
    /// The pod's Kubernetes namespace.
    pub namespace: String,
    /// How often there was one before.
    pub attempt: u32,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase", bound(deserialize = "C: Deserialize<'de> + Default"))]
struct Versioned<C: Default> {
    #[serde(deserialize_with = "null_as_default")]
    metadata: Metadata<C>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase", bound(deserialize = "C: Deserialize<'de> + Default"))]
struct Metadata<C: Default> {
    #[serde(rename = "SandboxID")]
    sandbox_id: String,
    runtime_handler: String,
    #[serde(deserialize_with = "null_as_default")]
    config: C,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Named {
    #[serde(deserialize_with = "null_as_default")]
    metadata: PodMetadata,
}

impl Record {
    /// A container by its API.
    #[must_use]
    pub fn of(namespace: &str, container: messages::Container) -> Self {
        let mut record = Self {
            namespace: namespace.to_owned(),
            id: container.id,
            labels: container.labels.into_iter().collect(),
            image: container.image,
            runtime: container.runtime.unwrap_or_default().name,
            created_at: container.created_at.and_then(messages::Moment::time),
            ..Self::default()
        };
        if let Some(spec) = &container.spec {
            record.read_spec(spec);
        }
        for (name, extension) in &container.extensions {
            record.read_extension(name, extension);
        }
        record
    }

    /// A container of which nothing but its specification was found.
    #[must_use]
    pub fn of_spec(namespace: &str, id: String, spec: Spec) -> Self {
        Self { namespace: namespace.to_owned(), id, spec: Some(spec), ..Self::default() }
    }

    /// Whether CRI made it: by its metadata, or by its annotations where that is not to be had.
    #[must_use]
    pub fn is_cri(&self) -> bool {
        let annotated = |spec| cri::sandbox_of(spec).is_some();
        self.namespace == KUBERNETES
            && (self.sandbox.is_some()
                || self.container.is_some()
                || self.spec.as_ref().is_some_and(annotated))
    }

    /// Whether it is a sandbox of CRI's.
    #[must_use]
    pub fn is_sandbox(&self) -> bool {
        self.sandbox.is_some()
            || self.container.is_none()
                && self.spec.as_ref().is_some_and(|spec| cri::sandbox_mark(spec).is_some())
    }

    /// Reads the specification.
    pub fn read_spec(&mut self, spec: &Any) {
        match serde_json::from_slice(&spec.value) {
            Ok(spec) => self.spec = Some(spec),
            Err(error) => self.note("specification", &error),
        }
    }

    /// Reads what others wrote down with it, where that is of use.
    pub fn read_extension(&mut self, name: &str, extension: &Any) {
        let bytes = &extension.value;
        // Twice, for what all of CRI's statuses have and for what only this has: nothing else is kept in memory.
        let read = || -> serde_json::Result<(Metadata<info::Config>, PodMetadata)> {
            let config: Versioned<info::Config> = serde_json::from_slice(bytes)?;
            let named: Versioned<Named> = serde_json::from_slice(bytes)?;
            Ok((config.metadata, named.metadata.config.metadata))
        };
        let is_sandbox = name == SANDBOX_METADATA;
        if !is_sandbox && name != CONTAINER_METADATA {
            return;
        }
        match read() {
            Ok((metadata, pod)) if is_sandbox => {
                let (config, runtime_handler) = (metadata.config, metadata.runtime_handler);
                self.sandbox = Some(SandboxMetadata { pod, config, runtime_handler });
            }
            Ok((metadata, PodMetadata { name, attempt, .. })) => {
                let (config, sandbox) = (metadata.config, metadata.sandbox_id);
                self.container = Some(ContainerMetadata { name, attempt, sandbox, config });
            }
            Err(error) => self.note("metadata", &error),
        }
    }

    /// Says where something is damaged, not what was there: it may hold secrets.
    fn note(&mut self, what: &str, error: &serde_json::Error) {
        let (line, column) = (error.line(), error.column());
        self.damaged =
            Some(format!("its {what} is not what containerd writes (line {line}, column {column})"));
    }

    /// A label that says something.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }
}
