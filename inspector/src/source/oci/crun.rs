//! crun's state of a container: `status`, in a folder of the container's id below crun's root. The specification is
//! beside it, as `config.json`.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

/// What of `status` is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct CrunStatus {
    /// The pid of its init, in the PID namespace of who ran crun.
    pub pid: u32,
    /// When that started, in clock ticks since boot; 0 where a release before that wrote it.
    pub process_start_time: u64,
    /// The path of its cgroup from the hierarchies' roots; empty where crun was told to make none.
    #[serde(deserialize_with = "super::spec::null_as_default")]
    pub cgroup_path: String,
    /// The folder of its bundle.
    #[serde(deserialize_with = "super::spec::null_as_default")]
    pub bundle: PathBuf,
    /// When it was created.
    #[serde(deserialize_with = "super::spec::time")]
    pub created: Option<Timestamp>,
}
