//! What Podman's API answers about containers and pods. There is no field for an environment: those hold secrets.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use super::record::{Mode, PodRecord, Record};
use crate::observation::{IgnoreKeys, Kind, Mount, MountKind, RuntimeState};
use crate::source::oci::spec::{null_as_default, time};

/// `GET /libpod/containers/{id}/json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Container {
    /// The whole id.
    pub id: String,
    #[serde(deserialize_with = "null_as_default")]
    name: String,
    #[serde(deserialize_with = "time")]
    created: Option<Timestamp>,
    #[serde(deserialize_with = "null_as_default")]
    path: String,
    #[serde(deserialize_with = "null_as_default")]
    args: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    state: State,
    #[serde(deserialize_with = "null_as_default")]
    image_name: String,
    #[serde(deserialize_with = "null_as_default")]
    pod: String,
    #[serde(rename = "OCIRuntime", deserialize_with = "null_as_default")]
    oci_runtime: String,
    #[serde(deserialize_with = "null_as_default")]
    mounts: Vec<MountPoint>,
    is_infra: bool,
    #[serde(deserialize_with = "null_as_default")]
    static_dir: String,
    #[serde(deserialize_with = "null_as_default")]
    host_config: HostConfig,
    #[serde(deserialize_with = "null_as_default")]
    config: Config,
}

/// Of what the user asked for, two labels.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    #[serde(deserialize_with = "null_as_default")]
    labels: IgnoreKeys,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    #[serde(deserialize_with = "null_as_default")]
    status: String,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    pid: u32,
    exit_code: i32,
    #[serde(deserialize_with = "time")]
    started_at: Option<Timestamp>,
    #[serde(deserialize_with = "time")]
    finished_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct HostConfig {
    #[serde(deserialize_with = "null_as_default")]
    network_mode: String,
    #[serde(deserialize_with = "null_as_default")]
    ipc_mode: String,
    #[serde(deserialize_with = "null_as_default")]
    pid_mode: String,
    #[serde(rename = "UTSMode", deserialize_with = "null_as_default")]
    uts_mode: String,
    #[serde(deserialize_with = "null_as_default")]
    userns_mode: String,
    #[serde(deserialize_with = "null_as_default")]
    cgroup_mode: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct MountPoint {
    #[serde(rename = "Type", deserialize_with = "null_as_default")]
    kind: String,
    #[serde(deserialize_with = "null_as_default")]
    source: String,
    #[serde(deserialize_with = "null_as_default")]
    destination: String,
    #[serde(rename = "RW")]
    writable: bool,
}

impl Container {
    /// The storage root that it is in, by its folder there: `ROOT/DRIVER-containers/ID/userdata`.
    #[must_use]
    pub fn storage_root(&self) -> Option<&Path> {
        let own = Path::new(&self.static_dir).parent().filter(|own| own.ends_with(&self.id))?;
        own.parent()?.parent().filter(|root| root.is_absolute())
    }

    /// What it comes to.
    #[must_use]
    pub fn into_record(self) -> Record {
        let state = runtime_state(&self.state.status);
        let exited = state == RuntimeState::Exited;
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let mut mounts: Vec<_> = self.mounts.into_iter().filter_map(volume).collect();
        mounts.sort_by(|one, other| one.target.cmp(&other.target));
        Record {
            id: self.id,
            name: self.name,
            pod: text(self.pod),
            image: text(self.image_name),
            command: text(self.path).into_iter().chain(self.args).collect(),
            created_at: self.created,
            state,
            pid: if state == RuntimeState::Running { self.state.pid } else { 0 },
            started_at: self.state.started_at,
            finished_at: self.state.finished_at,
            exit_code: Some(self.state.exit_code).filter(|_| exited && self.state.finished_at.is_some()),
            oom_killed: self.state.oom_killed,
            infra: self.is_infra,
            // The API does not tell; the state on disk does.
            init: false,
            oci_runtime: self.oci_runtime,
            modes: modes(&self.host_config),
            mounts,
            ignore: self.config.labels.ignore(),
        }
    }
}

/// The state, by Podman's word for it.
fn runtime_state(status: &str) -> RuntimeState {
    match status {
        "created" | "configured" | "initialized" => RuntimeState::Created,
        "running" | "paused" | "stopping" => RuntimeState::Running,
        "stopped" | "exited" | "removing" => RuntimeState::Exited,
        _ => RuntimeState::Unknown,
    }
}

fn modes(host: &HostConfig) -> BTreeMap<Kind, Mode> {
    let modes = [
        (Kind::Net, &host.network_mode),
        (Kind::Ipc, &host.ipc_mode),
        (Kind::Pid, &host.pid_mode),
        (Kind::Uts, &host.uts_mode),
        (Kind::User, &host.userns_mode),
        (Kind::Cgroup, &host.cgroup_mode),
    ];
    let known = modes.into_iter().filter_map(|(kind, mode)| Some((kind, of_word(kind, mode)?)));
    known.chain([(Kind::Mnt, Mode::Private), (Kind::Time, Mode::Host)]).collect()
}

fn of_word(kind: Kind, mode: &str) -> Option<Mode> {
    let after = |prefix: &str| mode.strip_prefix(prefix).filter(|rest| !rest.is_empty()).map(str::to_owned);
    if let Some(id) = after("container:") {
        return Some(Mode::Container(id));
    }
    if let Some(path) = after("ns:") {
        return Some(Mode::Path(path));
    }
    match mode {
        "host" => Some(Mode::Host),
        // A user namespace has to be asked for; of the other kinds nothing is said.
        "" => (kind == Kind::User).then_some(Mode::Host),
        _ => Some(Mode::Private),
    }
}

fn volume(mount: MountPoint) -> Option<Mount> {
    let kind = match mount.kind.as_str() {
        "bind" => MountKind::Bind,
        "volume" => MountKind::Volume,
        _ => return None,
    };
    // Overlays and the like name no folder.
    mount.source.starts_with('/').then_some(Mount {
        source: mount.source,
        target: mount.destination,
        read_only: !mount.writable,
        kind,
    })
}

/// `GET /libpod/pods/{id}/json`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Pod {
    /// The whole id.
    pub id: String,
    #[serde(deserialize_with = "null_as_default")]
    name: String,
    #[serde(deserialize_with = "time")]
    created: Option<Timestamp>,
    create_infra: bool,
    #[serde(rename = "InfraContainerID", deserialize_with = "null_as_default")]
    infra: String,
    #[serde(deserialize_with = "null_as_default")]
    shared_namespaces: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    labels: IgnoreKeys,
}

impl Pod {
    /// What it comes to.
    #[must_use]
    pub fn into_record(self) -> PodRecord {
        let mut shares: Vec<_> = self.shared_namespaces.iter().filter_map(|name| shared(name)).collect();
        shares.sort_unstable();
        PodRecord {
            id: self.id,
            name: self.name,
            created_at: self.created,
            has_infra: self.create_infra,
            infra: Some(self.infra).filter(|id| !id.is_empty()),
            shares,
            ignore: self.labels.ignore(),
        }
    }
}

fn shared(name: &str) -> Option<Kind> {
    if name == "mount" { Some(Kind::Mnt) } else { name.parse().ok() }
}
