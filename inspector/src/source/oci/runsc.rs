//! gVisor's state of a container: `<id>_sandbox:<sandbox>.state` in runsc's root. What runs in it runs on a kernel in user
//! space: the namespaces that this host's kernel shows are the sentry's, not the container's.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Deserialize;

use super::spec::Spec;

/// What of a state file is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct RunscState {
    /// The container's id.
    pub id: String,
    /// When it was created.
    #[serde(deserialize_with = "super::spec::time")]
    pub created_at: Option<Timestamp>,
    /// The folder of its bundle.
    #[serde(deserialize_with = "super::spec::null_as_default")]
    pub bundle_dir: PathBuf,
    /// Its specification.
    #[serde(deserialize_with = "super::spec::null_as_default")]
    pub spec: Spec,
    /// The sentry that runs it, and the other containers of its pod.
    pub sandbox: Option<Sandbox>,
}

/// The sentry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Sandbox {
    /// Its pid.
    pub pid: u32,
}
