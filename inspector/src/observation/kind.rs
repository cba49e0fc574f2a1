//! The kinds of namespace, and a fixed-size map from kind to inode.

use std::fmt;
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A kind of namespace, by the kernel's own name for it (the entries of `/proc/PID/ns`).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Kind {
    /// Mounts.
    Mnt,
    /// Host and domain name.
    Uts,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// Process ids.
    Pid,
    /// Network.
    Net,
    /// Users, groups and capabilities.
    User,
    /// The cgroup root (Linux 4.6).
    Cgroup,
    /// Monotonic and boot-time clocks (Linux 5.6).
    Time,
}

impl Kind {
    /// All eight kinds, in the order of the contract.
    pub const ALL: [Self; 8] =
        [Self::Mnt, Self::Uts, Self::Ipc, Self::Pid, Self::Net, Self::User, Self::Cgroup, Self::Time];

    /// The kinds whose sharing makes a pod, in the order in which they name it.
    pub const POD: [Self; 4] = [Self::Pid, Self::Net, Self::Ipc, Self::Uts];

    /// The kernel's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mnt => "mnt",
            Self::Uts => "uts",
            Self::Ipc => "ipc",
            Self::Pid => "pid",
            Self::Net => "net",
            Self::User => "user",
            Self::Cgroup => "cgroup",
            Self::Time => "time",
        }
    }

    /// Whether sharing a namespace of this kind makes a pod.
    #[must_use]
    pub const fn makes_pod(self) -> bool {
        matches!(self, Self::Pid | Self::Net | Self::Ipc | Self::Uts)
    }

    /// The position in [`Self::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(|| {
            format!(
                "no kind of namespace is called {name:?}: use mnt, uts, ipc, pid, net, user, cgroup or time"
            )
        })
    }
}

/// The inode of a namespace of each kind; a kind may be unread (or unknown to the kernel).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Inodes([u32; 8]);

impl Inodes {
    /// The inode of this kind, when it was read.
    #[must_use]
    pub const fn get(&self, kind: Kind) -> Option<u32> {
        match self.0[kind.index()] {
            0 => None,
            inode => Some(inode),
        }
    }

    /// Notes an inode; 0 means unread (no namespace has inode 0).
    #[inline]
    pub const fn set(&mut self, kind: Kind, inode: u32) {
        self.0[kind.index()] = inode;
    }

    /// The kinds that were read, with their inodes.
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u32)> + '_ {
        Kind::ALL.into_iter().filter_map(|kind| Some((kind, self.get(kind)?)))
    }

    /// Whether nothing was read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0 == [0; 8]
    }
}

impl FromIterator<(Kind, u32)> for Inodes {
    fn from_iter<T: IntoIterator<Item = (Kind, u32)>>(pairs: T) -> Self {
        let mut inodes = Self::default();
        for (kind, inode) in pairs {
            inodes.set(kind, inode);
        }
        inodes
    }
}

impl fmt::Debug for Inodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter().map(|(kind, inode)| (kind.name(), inode))).finish()
    }
}

impl Serialize for Inodes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter().map(|(kind, inode)| (kind.name(), inode)))
    }
}

impl<'de> Deserialize<'de> for Inodes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::collections::BTreeMap::<String, u32>::deserialize(deserializer)?
            .into_iter()
            .map(|(name, inode)| Ok((name.parse().map_err(D::Error::custom)?, inode)))
            .collect()
    }
}

/// The node's own namespaces: what *host* means in every verdict.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostNamespaces {
    /// The inodes; a kind that could not be read is unknown.
    pub inodes: Inodes,
    /// Whose they are: `kthreadd`, `PID 1`, or why they are unknown.
    pub evidence: String,
}

impl HostNamespaces {
    /// Whether this is the node's own namespace of that kind; `None` where the node's is unknown.
    #[must_use]
    pub fn is_host(&self, kind: Kind, inode: u32) -> Option<bool> {
        self.inodes.get(kind).map(|host| host == inode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_as_the_kernel_names_them_and_indexed_in_order() {
        for (index, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind.index(), index);
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{}\"", kind.name()));
        }
        assert!("pid_for_children".parse::<Kind>().is_err());
    }

    #[test]
    fn inodes_keep_what_was_read_and_tell_unread_from_read() {
        let inodes: Inodes = [(Kind::Net, 7), (Kind::Mnt, 9)].into_iter().collect();
        assert_eq!(inodes.get(Kind::Net), Some(7));
        assert_eq!(inodes.get(Kind::Pid), None);
        let json = serde_json::to_string(&inodes).unwrap();
        assert_eq!(json, r#"{"mnt":9,"net":7}"#);
        assert_eq!(serde_json::from_str::<Inodes>(&json).unwrap(), inodes);
        assert!(serde_json::from_str::<Inodes>(r#"{"nett":9}"#).is_err());
    }
}
