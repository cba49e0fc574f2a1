//! The answer of `inspector explain`: its types.

use schemars::JsonSchema;
use serde::Serialize;

use super::{API_VERSION, Container, Coverage, Finding, InfraCost, NodeInfo, Owner, Pod, Role};
use crate::observation::Kind;

/// The answer of `inspector explain`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Always `inspector/v1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: &'static str,
    /// Always `Explanation`.
    #[schemars(extend("const" = "Explanation"))]
    pub kind: &'static str,
    /// The machine and the moment.
    pub node: NodeInfo,
    /// What the answer rests on, and what is missing from it.
    pub coverage: Coverage,
    /// What was asked about.
    pub target: TargetInfo,
    /// The pod that it belongs to.
    pub pod: Option<Pod>,
    /// How we know that it belongs there.
    pub why: String,
    /// Which namespaces it shares, with whom, and whose they are.
    pub sharing: Vec<Sharing>,
    /// The pod's containers in the order in which they started.
    pub started: Vec<Started>,
    /// What its death brings about.
    pub if_dies: IfDies,
    /// Who can see into it.
    pub visible_to: Vec<Visible>,
    /// Its network; null where it is the node's own, or unread.
    pub network: Option<Network>,
    /// What the containers cost that only hold the pod's namespaces; left out where there is none, or it was not read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub infra_cost: Vec<InfraCost>,
    /// What is wrong with its pod.
    pub findings: Vec<Finding>,
}

/// What was asked about.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TargetInfo {
    /// `pod`, `container`, `process` or `namespace`.
    #[serde(rename = "type")]
    #[schemars(extend("enum" = ["pod", "container", "process", "namespace"]))]
    pub target_type: &'static str,
    /// The pod's or the container's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name; of a process the kernel's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its pid: of a container that of its init, of a pod or a namespace that of its owner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The container, whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container>,
    /// The namespace's kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_kind: Option<Kind>,
    /// The namespace's inode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inode: Option<u32>,
}

/// A namespace that it shares.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Sharing {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// The other living containers in it.
    pub with: Vec<String>,
    /// Whose it is.
    pub owner: Owner,
}

/// When a container started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Started {
    /// Its id.
    pub container: String,
    /// Its name.
    pub name: String,
    /// What it is in its pod.
    pub role: Role,
    /// RFC 3339.
    pub started_at: Option<String>,
}

/// What a death brings about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct IfDies {
    /// Whose death: the pids of the first to die.
    pub of: Vec<u32>,
    /// Who dies with it.
    pub killed: Vec<Victim>,
    /// Namespaces that outlive their owner.
    pub orphaned: Vec<OrphanedNamespace>,
    /// Namespaces that nothing keeps any more.
    pub destroyed: Vec<NamespaceName>,
    /// What a restart would give.
    pub restart: Vec<String>,
}

/// A process that dies with another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Victim {
    /// Its pid, as the reader's /proc numbers it.
    pub pid: u32,
    /// The kernel's name for it.
    pub comm: String,
    /// The id of the container that it is of.
    pub container: Option<String>,
    /// Who kills it, and why.
    pub by: &'static str,
}

/// A namespace that outlives its owner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OrphanedNamespace {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// The containers that stay in it.
    pub members: Vec<String>,
    /// What keeps it.
    pub kept_by: String,
}

/// A namespace, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct NamespaceName {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
}

/// Somebody who can see into it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Visible {
    /// The id of the container that can.
    pub container: String,
    /// `pid-namespace`, `ptrace` or `volume`.
    #[schemars(extend("enum" = ["pid-namespace", "ptrace", "volume"]))]
    pub via: &'static str,
    /// What it sees.
    pub what: String,
}

/// A network namespace from inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Network {
    /// Its inode.
    pub inode: u32,
    /// Its addresses, loopback and link-local ones left out.
    pub addresses: Vec<String>,
    /// Who listens: all in this namespace reach all of them, on localhost too.
    pub listeners: Vec<Listener>,
}

/// A socket that waits for others to come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Listener {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The address that it is bound to.
    pub address: String,
    /// The port.
    pub port: u16,
    /// The id of the container whose process has it; null where nobody seen has.
    pub container: Option<String>,
    /// The processes that have it.
    pub pids: Vec<u32>,
}
