//! Namespaces themselves, and what keeps them alive besides their members.

use serde::{Deserialize, Serialize};

use super::Kind;

/// What the kernel says of one namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamespaceFact {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// The user namespace that owns it: whose capabilities count in it (`NS_GET_USERNS`, Linux 4.9); for a user
    /// namespace its parent. `None` for the initial user namespace, and where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<u32>,
    /// The namespace above it (`NS_GET_PARENT`, Linux 4.9): of kinds `pid` and `user` only. `None` for the initial
    /// one, and where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<u32>,
    /// The kernel's id of it, which is never used again (`ns_common.ns_id`, `NS_GET_ID`; Linux 6.18).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

/// A bind mount of a namespace: it keeps the namespace alive without any process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The namespace's kind.
    pub kind: Kind,
    /// The namespace's inode.
    pub inode: u32,
    /// Where it is mounted, as the host's mountinfo says it.
    pub path: String,
}

/// Something of a process's that keeps a namespace alive, whether the process is in it or not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Handle {
    /// The namespace's kind.
    pub kind: Kind,
    /// The namespace's inode.
    pub inode: u32,
    /// The process (its thread group's id), as the reader's /proc numbers it; for a mount, one that sees it.
    pub pid: u32,
    /// How it keeps the namespace.
    pub via: Via,
    /// `/proc/PID/fd/N`, or where the file system is mounted (as that process's mountinfo says it).
    pub path: String,
}

/// How a process keeps a namespace that it need not be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// An open descriptor of the namespace.
    Fd,
    /// A socket of another network namespace than the process's own.
    Socket,
    /// A mounted proc (pid), mqueue (ipc) or sysfs (net) of it.
    Mount,
}
