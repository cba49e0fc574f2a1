//! What Docker writes about a container: the API's inspection, and `config.v2.json` with `hostconfig.json` on disk.
//! Both have the same members under (nearly) the same names, so one type reads both.
//!
//! The environment has no field here, on purpose: it holds secrets.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::source::oci::spec::{null_as_default, time};

/// A container, by the API or by `config.v2.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Record {
    /// The id.
    #[serde(alias = "ID")]
    pub id: String,
    /// The name, with a slash before it.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// When it was created.
    #[serde(deserialize_with = "time")]
    pub created: Option<jiff::Timestamp>,
    /// The program.
    #[serde(deserialize_with = "null_as_default")]
    pub path: String,
    /// Its arguments.
    #[serde(deserialize_with = "null_as_default")]
    pub args: Vec<String>,
    /// The state.
    #[serde(deserialize_with = "null_as_default")]
    pub state: State,
    /// What the user asked for.
    #[serde(deserialize_with = "null_as_default")]
    pub config: Config,
    /// How it meets the host: in the API's answer here, on disk in a file of its own.
    #[serde(deserialize_with = "null_as_default")]
    pub host_config: HostConfig,
    /// Its mounts, by the API.
    #[serde(deserialize_with = "null_as_default")]
    pub mounts: Vec<MountPoint>,
    /// Its mounts by target, on disk.
    #[serde(deserialize_with = "null_as_default")]
    pub mount_points: BTreeMap<String, MountPoint>,
}

/// The state of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct State {
    /// Running, or to be: also true between two attempts of a restart.
    pub running: bool,
    /// Between two attempts of a restart.
    pub restarting: bool,
    /// Killed for want of memory.
    #[serde(rename = "OOMKilled")]
    pub oom_killed: bool,
    /// Left over from a removal that failed.
    pub dead: bool,
    /// The init's pid.
    pub pid: u32,
    /// The exit code; `None` where Docker did not see it exit.
    pub exit_code: Option<i32>,
    /// When it was last started.
    #[serde(deserialize_with = "time")]
    pub started_at: Option<jiff::Timestamp>,
    /// When it last exited.
    #[serde(deserialize_with = "time")]
    pub finished_at: Option<jiff::Timestamp>,
}

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Config {
    /// The image, as it was named.
    #[serde(deserialize_with = "null_as_default")]
    pub image: String,
    /// The labels.
    #[serde(deserialize_with = "null_as_default")]
    pub labels: BTreeMap<String, String>,
}

/// How a container meets the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct HostConfig {
    /// `container:<id>`, `host`, `none`, or a network.
    #[serde(deserialize_with = "null_as_default")]
    pub network_mode: String,
    /// `container:<id>`, `host`, `shareable`, `private`, `none`.
    #[serde(deserialize_with = "null_as_default")]
    pub ipc_mode: String,
    /// `container:<id>`, `host`, or nothing.
    #[serde(deserialize_with = "null_as_default")]
    pub pid_mode: String,
    /// `host`, or nothing.
    #[serde(rename = "UTSMode", deserialize_with = "null_as_default")]
    pub uts_mode: String,
    /// `host`, or nothing.
    #[serde(deserialize_with = "null_as_default")]
    pub userns_mode: String,
    /// `host`, `private`, or nothing.
    #[serde(deserialize_with = "null_as_default")]
    pub cgroupns_mode: String,
}

/// A mount of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct MountPoint {
    /// `bind`, `volume`, `tmpfs`, …
    #[serde(rename = "Type", deserialize_with = "null_as_default")]
    pub kind: String,
    /// A volume's name.
    #[serde(deserialize_with = "null_as_default")]
    pub name: String,
    /// A volume's driver.
    #[serde(deserialize_with = "null_as_default")]
    pub driver: String,
    /// The folder or file of the host; on disk missing for a volume without a name of the user's.
    #[serde(deserialize_with = "null_as_default")]
    pub source: String,
    /// Where the container sees it.
    #[serde(deserialize_with = "null_as_default")]
    pub destination: String,
    /// Writable.
    #[serde(rename = "RW")]
    pub writable: bool,
}
