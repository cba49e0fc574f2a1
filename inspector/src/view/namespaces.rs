//! The answer of `inspector namespaces`: its types (a promise, as all of `view`), which namespaces to show, in which
//! order, and below which others.
//!
//! Rows are made when they are printed, one at a time, and borrow from what was seen: a node has ten thousands of
//! namespaces, and nobody needs all of their rows in memory.

#[cfg(test)]
pub mod samples;
mod select;
#[cfg(test)]
mod tests;
mod tree;

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{API_VERSION, Coverage, HolderType, NodeInfo, Owner};
use crate::observation::{Kind, Observation};
use crate::state::Snapshot;
use crate::state::namespaces::{Namespace, Namespaces, Position};

pub use select::{NamespaceSelection, NamespaceSort, NoSuchProcess, select_namespaces};
pub use tree::{Branch, tree};

/// The answer of `inspector namespaces`.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceList<'a> {
    /// Always `inspector/v1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: &'static str,
    /// Always `NamespaceList`.
    #[schemars(extend("const" = "NamespaceList"))]
    pub kind: &'static str,
    /// The machine and the moment.
    pub node: NodeInfo,
    /// What the answer rests on, and what is missing from it.
    pub coverage: Coverage,
    /// The namespaces, by kind and inode.
    #[schemars(with = "Vec<NamespaceRow<'static>>")]
    pub namespaces: NamespaceRows<'a>,
}

/// The namespaces of an answer, in its order.
pub struct NamespaceRows<'a> {
    /// Every namespace there is.
    pub all: &'a Namespaces<'a>,
    /// Those to show; `None` for all of them.
    shown: Option<Vec<Position>>,
}

impl<'a> NamespaceRows<'a> {
    /// The namespaces, in order.
    pub fn iter(&self) -> impl Iterator<Item = Namespace<'a, 'a>> {
        let all = self.all;
        let some = self.shown.iter().flatten().filter_map(move |position| all.get(*position));
        let every = self.shown.is_none().then(|| all.iter()).into_iter().flatten();
        every.chain(some)
    }

    /// An answer about the same namespaces, without any of them.
    #[must_use]
    pub const fn none(&self) -> Self {
        Self { all: self.all, shown: Some(Vec::new()) }
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shown.as_ref().map_or(self.all.len(), Vec::len)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some were left out.
    #[must_use]
    pub fn is_filtered(&self) -> bool {
        self.len() < self.all.len()
    }
}

impl Serialize for NamespaceRows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(|namespace| NamespaceRow::of(&namespace)))
    }
}

/// A namespace.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceRow<'a> {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// Which use of that inode: 1 in a one-shot answer.
    pub generation: u64,
    /// The kernel's id of it, which is never used again; null where the kernel has none (before Linux 6.18).
    pub id: Option<u64>,
    /// Processes whose main thread is in it. A zombie is in a PID and a user namespace still.
    pub processes: u32,
    /// Threads in it, also of processes whose main thread is elsewhere.
    pub threads: u32,
    /// Those of `processes` that are over, where there are any: dead and not reaped, or waiting for such.
    #[serde(skip_serializing_if = "is_zero")]
    pub zombies: u32,
    /// The lowest pid of the living ones of `processes`; where there is none, the lowest id of the threads in it; else 0.
    pub pid: u32,
    /// The kernel's name for that task (its comm, which it chooses itself).
    pub command: Option<&'a str>,
    /// The real uid of that task.
    pub uid: Option<u32>,
    /// The inode of the namespace that it was made in: of kinds pid and user.
    pub parent: Option<u32>,
    /// The inode of the user namespace that owns it; of a user namespace, its parent.
    pub owner_user_namespace: Option<u32>,
    /// Whether it is the node's own; null where that is unknown.
    pub host: Option<bool>,
    /// The living containers with a process or thread in it, by their start.
    pub containers: Vec<&'a str>,
    /// The pods of those, and a pod whose sandbox pins it.
    pub pods: Vec<&'a str>,
    /// Whom it was made for.
    pub owner: Cow<'a, Owner>,
    /// What keeps it besides those that are in it.
    pub holders: Vec<NamespaceHolder<'a>>,
    /// Tasks whose children are born into it, and that are elsewhere themselves, where there are any.
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    pub for_children: &'a [u32],
}

impl<'a> NamespaceRow<'a> {
    /// All about one namespace.
    #[must_use]
    pub fn of(namespace: &Namespace<'a, 'a>) -> Self {
        let lowest = namespace.lowest();
        Self {
            kind: namespace.kind(),
            inode: namespace.inode(),
            generation: 1,
            id: namespace.id(),
            processes: namespace.processes(),
            threads: namespace.threads(),
            zombies: namespace.zombies(),
            pid: lowest.map_or(0, |task| task.pid),
            command: lowest.map(|task| &*task.comm),
            uid: lowest.and_then(|task| task.uid),
            parent: namespace.parent(),
            owner_user_namespace: namespace.owner_user_namespace(),
            host: namespace.is_host(),
            containers: namespace.containers().map(|container| container.id.as_str()).collect(),
            pods: namespace.pods().map(|pod| pod.id.as_str()).collect(),
            owner: namespace.owner(),
            holders: namespace.holders(),
            for_children: namespace.for_children(),
        }
    }
}

/// Something other than a member that keeps a namespace alive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceHolder<'a> {
    /// `bind-mount`, `fd`, `child-namespace`, `socket` or `mount`.
    #[serde(rename = "type")]
    pub holder_type: HolderType,
    /// Where it is mounted, which descriptor it is, or which namespace is below it, as `pid:[4026532184]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Cow<'a, str>>,
    /// Whose descriptor or socket it is; for a mount, a process that sees it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// The namespaces of a node, all of them.
#[must_use]
pub fn namespace_list<'a>(observation: &Observation, all: &'a Namespaces<'a>) -> NamespaceList<'a> {
    let doubts = Snapshot { pods: Vec::new(), gaps: all.gaps().to_vec() };
    NamespaceList {
        api_version: API_VERSION,
        kind: "NamespaceList",
        node: super::node(observation),
        coverage: super::coverage(observation, &doubts),
        namespaces: NamespaceRows { all, shown: None },
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}
