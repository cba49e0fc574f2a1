//! What was seen to happen before, of the namespaces that are there now: only who watched can know it.

use serde::{Deserialize, Serialize};

use super::{HeardBy, Kind, ProcessKey};

/// What a watcher remembers. Empty where nobody watched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// How the kernel's events are heard, where they are.
    pub by: Option<HeardBy>,
    /// How many of them did not arrive.
    #[serde(default)]
    pub lost: u64,
    /// How namespaces came to be; by kind, then inode.
    #[serde(default)]
    pub creations: Vec<Creation>,
    /// For whom namespaces were while those lived; by kind, then inode.
    #[serde(default)]
    pub owners: Vec<SeenOwner>,
}

impl History {
    /// How this namespace came to be, where that was seen.
    #[must_use]
    pub fn creation(&self, kind: Kind, inode: u32) -> Option<&Creation> {
        let at = self.creations.binary_search_by_key(&(kind, inode), |it| (it.kind, it.inode)).ok()?;
        self.creations.get(at)
    }

    /// Whose this namespace was, where that was seen.
    #[must_use]
    pub fn owner(&self, kind: Kind, inode: u32) -> Option<&SeenOwner> {
        let at = self.owners.binary_search_by_key(&(kind, inode), |it| (it.kind, it.inode)).ok()?;
        self.owners.get(at)
    }
}

/// That a namespace was made, told by the kernel as it happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Creation {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// When, in nanoseconds since boot.
    pub boottime_ns: u64,
    /// The process that was first in it, or that children of are: the one that made it for itself, or the child that
    /// it was made with.
    pub process: ProcessKey,
    /// The kernel's name for that process, then.
    pub comm: String,
    /// Who that process made: by the call itself, whoever is the parent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub made: Vec<ProcessKey>,
}

impl Creation {
    /// Whether that process made the namespace, or was made by the one that did.
    #[must_use]
    pub fn led_to(&self, process: ProcessKey) -> bool {
        self.process == process || self.made.contains(&process)
    }
}

/// For whom a namespace was, by what was known while that container lived.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenOwner {
    /// The namespace's kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// The container's id.
    pub container: String,
    /// Its init.
    pub init: ProcessKey,
    /// What it was, where that could be told.
    pub class: Option<SeenClass>,
    /// Why it was taken for that.
    pub why: String,
}

/// What an owner was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeenClass {
    /// A pause.
    Pause,
    /// An application.
    Application,
}
