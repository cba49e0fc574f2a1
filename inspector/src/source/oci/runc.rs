//! runc's own state of a container: `state.json`, in a folder of the container's id below runc's root.

use std::collections::BTreeMap;

use serde::Deserialize;

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
