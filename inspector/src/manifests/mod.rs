//! Kubernetes manifests as declarations: what a workload's pods are meant to share, and which pod of a node is whose.
//! Pure: files are read by `cli`.

mod matching;
mod parse;
#[cfg(test)]
mod tests;

pub use matching::Match;
pub use parse::{ManifestError, parse};

use crate::observation::Kind;

/// The objects of all files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifests {
    /// In the order in which they were read.
    pub list: Vec<Manifest>,
}

/// A Pod, or something that makes pods from a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The file that it is from.
    pub file: String,
    /// What sort of object it is.
    pub workload: Workload,
    /// Its Kubernetes namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What it says of namespaces; `None` where it leaves a field out.
    fields: [Option<bool>; Field::ALL.len()],
}

/// The objects that make pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// A pod itself.
    Pod,
    /// It makes replica sets, which make pods.
    Deployment,
    /// Pods with a random suffix.
    ReplicaSet,
    /// Pods with a random suffix.
    ReplicationController,
    /// Pods with an ordinal.
    StatefulSet,
    /// A pod for each node.
    DaemonSet,
    /// Pods that end.
    Job,
    /// It makes jobs.
    CronJob,
}

impl Workload {
    const ALL: [Self; 8] = [
        Self::Pod,
        Self::Deployment,
        Self::ReplicaSet,
        Self::ReplicationController,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::CronJob,
    ];

    /// As `kind` has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::Deployment => "Deployment",
            Self::ReplicaSet => "ReplicaSet",
            Self::ReplicationController => "ReplicationController",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Job => "Job",
            Self::CronJob => "CronJob",
        }
    }

    /// The path from the object to the pod's specification.
    const fn pod_spec(self) -> &'static [&'static str] {
        match self {
            Self::Pod => &["spec"],
            Self::CronJob => &["spec", "jobTemplate", "spec", "template", "spec"],
            _ => &["spec", "template", "spec"],
        }
    }
}

/// A field of a pod's specification that decides about namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// The node's network.
    HostNetwork,
    /// The node's processes.
    HostPid,
    /// The node's System V IPC.
    HostIpc,
    /// The node's user namespace.
    HostUsers,
    /// One PID namespace for the pod.
    ShareProcessNamespace,
}

impl Field {
    /// In the order of [`Manifest`]'s fields.
    pub const ALL: [Self; 5] =
        [Self::HostNetwork, Self::HostPid, Self::HostIpc, Self::HostUsers, Self::ShareProcessNamespace];

    /// As the specification spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::HostNetwork => "hostNetwork",
            Self::HostPid => "hostPID",
            Self::HostIpc => "hostIPC",
            Self::HostUsers => "hostUsers",
            Self::ShareProcessNamespace => "shareProcessNamespace",
        }
    }

    /// The kind of namespace that it is about.
    #[must_use]
    pub const fn kind(self) -> Kind {
        match self {
            Self::HostNetwork => Kind::Net,
            Self::HostIpc => Kind::Ipc,
            Self::HostUsers => Kind::User,
            Self::HostPid | Self::ShareProcessNamespace => Kind::Pid,
        }
    }

    /// The field that says whether a container is in the node's namespace of a kind.
    #[must_use]
    pub const fn of_host(kind: Kind) -> Option<Self> {
        match kind {
            // The node's host name comes with its network.
            Kind::Net | Kind::Uts => Some(Self::HostNetwork),
            Kind::Pid => Some(Self::HostPid),
            Kind::Ipc => Some(Self::HostIpc),
            Kind::User => Some(Self::HostUsers),
            _ => None,
        }
    }
}

impl Manifest {
    /// What it says in a field, if anything.
    #[must_use]
    pub fn says(&self, field: Field) -> Option<bool> {
        let at = Field::ALL.iter().position(|it| *it == field)?;
        self.fields.get(at).copied().flatten()
    }

    /// `Deployment default/web`.
    #[must_use]
    pub fn title(&self) -> String {
        format!("{} {}/{}", self.workload.name(), self.namespace, self.name)
    }

    /// What it says in a field, with the place: `Deployment default/web (web.yaml) has spec.template.spec.hostPID: true`.
    #[must_use]
    pub fn quote(&self, field: Field) -> String {
        let path = format!("{}.{}", self.workload.pod_spec().join("."), field.name());
        match self.says(field) {
            Some(value) => format!("{} ({}) has {path}: {value}", self.title(), self.file),
            None => format!(
                "{} ({}) leaves {path} out, which is {}",
                self.title(),
                self.file,
                field == Field::HostUsers
            ),
        }
    }
}
