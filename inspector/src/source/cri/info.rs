//! The verbose half of a status: a string of JSON of the runtime's own making. containerd and CRI-O both put it under
//! the key `info`, with the same names for what is used here; releases before that had a key for each value.
//!
//! `config.envs` and `runtimeSpec.process.env` have no field, on purpose: they hold secrets.

use std::collections::HashMap;

use serde::Deserialize;

use super::model::{CriMount, NamespaceMode, NamespaceOptions};
use crate::observation::{Ignore, IgnoreKeys};
use crate::source::oci::spec::{Spec, null_as_default};

/// What of it is used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Info {
    /// The pid of its init; 0 where it has none.
    #[serde(deserialize_with = "null_as_default")]
    pub pid: u32,
    /// The image of a sandbox.
    #[serde(deserialize_with = "null_as_default")]
    pub image: String,
    /// containerd's name for the sort of runtime (`io.containerd.kata.v2`).
    #[serde(deserialize_with = "null_as_default")]
    pub runtime_type: String,
    /// The configured name of the runtime.
    #[serde(deserialize_with = "null_as_default")]
    pub runtime_handler: String,
    /// The specification that it was made by.
    pub runtime_spec: Option<Spec>,
    /// What the kubelet asked for (containerd).
    #[serde(deserialize_with = "null_as_default")]
    pub config: Config,
}

/// `PodSandboxConfig` or `ContainerConfig`, as Go writes it in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Config {
    /// The image of a container.
    #[serde(deserialize_with = "null_as_default")]
    pub image: Image,
    /// The volumes of a container; `None` where nobody says (none are left out, like a missing list).
    pub mounts: Option<Vec<ConfigMount>>,
    /// What is Linux's own.
    #[serde(deserialize_with = "null_as_default")]
    pub linux: LinuxConfig,
    /// Two annotations.
    #[serde(deserialize_with = "null_as_default")]
    pub annotations: IgnoreKeys,
    /// Two labels.
    #[serde(deserialize_with = "null_as_default")]
    pub labels: IgnoreKeys,
}

/// `ImageSpec`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Image {
    /// The name in the pod's specification.
    #[serde(deserialize_with = "null_as_default")]
    pub user_specified_image: String,
}

/// `Mount`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfigMount {
    container_path: String,
    host_path: String,
    readonly: bool,
}

/// `LinuxPodSandboxConfig` or `LinuxContainerConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct LinuxConfig {
    /// The security context.
    #[serde(deserialize_with = "null_as_default")]
    pub security_context: SecurityContext,
}

/// `LinuxSandboxSecurityContext` or `LinuxContainerSecurityContext`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SecurityContext {
    /// How it is meant to share.
    pub namespace_options: Option<Options>,
}

/// `NamespaceOption`; Go leaves out what is 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Options {
    network: i32,
    pid: i32,
    ipc: i32,
    target_id: String,
    userns_options: Option<UserOptions>,
}

/// `UserNamespace`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct UserOptions {
    mode: i32,
}

impl Info {
    /// Reads it; nothing where the runtime says nothing.
    ///
    /// # Errors
    /// Says where it is not as runtimes write it, not what was there: it may hold secrets.
    pub fn read(info: &HashMap<String, String>) -> Result<Option<Self>, String> {
        let wrong = |what: &str, error: &serde_json::Error| {
            let (line, column) = (error.line(), error.column());
            format!("its verbose {what} is not what a runtime writes (line {line}, column {column})")
        };
        if let Some(text) = info.get("info") {
            return serde_json::from_str(text).map(Some).map_err(|error| wrong("information", &error));
        }
        let pid =
            info.get("pid").map(|text| serde_json::from_str(text).map_err(|error| wrong("pid", &error)));
        let spec = info
            .get("runtimeSpec")
            .map(|text| serde_json::from_str(text).map_err(|error| wrong("specification", &error)));
        if pid.is_none() && spec.is_none() {
            return Ok(None);
        }
        Ok(Some(Self {
            pid: pid.transpose()?.unwrap_or_default(),
            runtime_spec: spec.transpose()?,
            ..Self::default()
        }))
    }
}

impl Config {
    /// Which rules audits are asked to leave out: by annotation, else by label.
    #[must_use]
    pub fn ignore(&self) -> Option<Ignore> {
        self.annotations.ignore().or_else(|| self.labels.ignore())
    }

    /// The declared modes.
    #[must_use]
    pub fn options(&self) -> Option<NamespaceOptions> {
        let options = self.linux.security_context.namespace_options.as_ref()?;
        let user = options.userns_options.map(|user| user.mode);
        Some(namespace_options(options.network, options.pid, options.ipc, &options.target_id, user))
    }

    /// The volumes, as the kubelet asked for them.
    #[must_use]
    pub fn mounts(&self) -> Option<Vec<CriMount>> {
        let mounts = self.mounts.as_ref()?.iter().map(|mount| CriMount {
            host_path: mount.host_path.clone(),
            container_path: mount.container_path.clone(),
            read_only: mount.readonly,
        });
        Some(mounts.collect())
    }
}

/// The modes by their numbers.
#[must_use]
pub fn namespace_options(
    network: i32,
    pid: i32,
    ipc: i32,
    target: &str,
    user: Option<i32>,
) -> NamespaceOptions {
    NamespaceOptions {
        network: mode(network),
        pid: mode(pid),
        ipc: mode(ipc),
        user: user.map(mode),
        target_id: target.to_owned(),
    }
}

const fn mode(number: i32) -> NamespaceMode {
    match number {
        1 => NamespaceMode::Container,
        2 => NamespaceMode::Node,
        3 => NamespaceMode::Target,
        _ => NamespaceMode::Pod,
    }
}
