//! runc's own state of a container: `state.json`, in a folder of the container's id below runc's root.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

use super::spec::SpecNamespace;

/// What of `state.json` is used. The rest, capabilities and device rules, is skipped on reading.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RuncState {
    /// The container's id.
    pub id: String,
    /// The pid of its init, in the PID namespace of who ran runc.
    pub init_process_pid: u32,
    /// When that started, in clock ticks since boot.
    pub init_process_start: u64,
    /// The folder of its cgroup in each v1 hierarchy, and in the v2 one under the empty name.
    #[serde(deserialize_with = "super::spec::null_as_default")]
    pub cgroup_paths: BTreeMap<String, String>,
    /// When the container was created.
    #[serde(deserialize_with = "super::spec::time")]
    pub created: Option<Timestamp>,
    /// What runc made of the specification.
    #[serde(deserialize_with = "super::spec::null_as_default")]
    pub config: RuncConfig,
}

/// What runc made of a specification when it created the container. The bundle may have been changed since, or be gone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RuncConfig {
    /// The namespaces that are not inherited.
    #[serde(deserialize_with = "super::spec::null_as_default")]
    pub namespaces: Vec<RuncNamespace>,
    /// The annotations, each as `name=value`, and the bundle's folder as `bundle=`.
    #[serde(deserialize_with = "super::spec::null_as_default")]
    pub labels: Vec<String>,
}

/// A namespace that a container was to have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct RuncNamespace {
    /// The kind, as the flag of `clone` that makes one, without `CLONE_`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The one to join; empty to make a new one.
    #[serde(deserialize_with = "super::spec::null_as_default")]
    pub path: String,
}

impl RuncConfig {
    /// The namespaces, as the specification would say them; `None` where there are none, as in no container of runc's.
    #[must_use]
    pub fn namespaces(&self) -> Option<Vec<SpecNamespace>> {
        let name = |kind: &str| {
            match kind {
                "NEWNS" => "mount",
                "NEWUTS" => "uts",
                "NEWIPC" => "ipc",
                "NEWPID" => "pid",
                "NEWNET" => "network",
                "NEWUSER" => "user",
                "NEWCGROUP" => "cgroup",
                "NEWTIME" => "time",
                other => other,
            }
            .to_owned()
        };
        let namespaces: Vec<_> = self
            .namespaces
            .iter()
            .map(|it| SpecNamespace { kind: name(&it.kind), path: Some(it.path.clone()) })
            .collect();
        (!namespaces.is_empty()).then_some(namespaces)
    }

    /// The folder of the bundle. runc writes it behind the annotations, one of which may have its name.
    #[must_use]
    pub fn bundle(&self) -> Option<PathBuf> {
        let bundle = self.labels.iter().rev().find_map(|label| label.strip_prefix("bundle="))?;
        Some(PathBuf::from(bundle)).filter(|path| path.is_absolute())
    }

    /// The annotations.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let labels = self.labels.iter().filter_map(|label| label.split_once('='));
        labels
            .filter(|(name, _)| *name != "bundle")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }
}

impl RuncState {
    /// The cgroup's path from the root of its hierarchy: of v1's `name=systemd`, else `pids`, else of v2.
    #[must_use]
    pub fn cgroup(&self) -> Option<String> {
        ["name=systemd", "pids", ""].into_iter().find_map(|hierarchy| {
            let folder = self.cgroup_paths.get(hierarchy)?;
            let below = folder.strip_prefix("/sys/fs/cgroup/")?;
            let path = match hierarchy {
                // v2 alone is mounted at the top; beside v1 it has a folder of its own.
                "" if self.cgroup_paths.len() == 1 => below,
                "" => below.strip_prefix("unified/")?,
                "name=systemd" => below.strip_prefix("systemd/")?,
                name => below.strip_prefix(name)?.strip_prefix('/')?,
            };
            Some(format!("/{path}"))
        })
    }
}
