//! What libpod writes down about a container, a pod and a volume: the same JSON in Podman 4's database and in
//! Podman 5's. There is no field for an environment: those hold secrets.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::record::{Mode, PodRecord, Record};
use crate::observation::{IgnoreKeys, Kind, Mount, MountKind, RuntimeState};
use crate::source::oci::spec::{Spec, null_as_default, time};

/// `ContainerConfig`: fixed when the container is created.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerConfig {
    /// The whole id.
    pub id: String,
    #[serde(deserialize_with = "null_as_default")]
    spec: Spec,
    #[serde(deserialize_with = "null_as_default")]
    name: String,
    #[serde(deserialize_with = "null_as_default")]
    pod: String,
    #[serde(deserialize_with = "null_as_default")]
    rootfs_image_name: String,
    #[serde(deserialize_with = "null_as_default")]
    named_volumes: Vec<NamedVolume>,
    #[serde(deserialize_with = "null_as_default")]
    user_volumes: Vec<String>,
    #[serde(deserialize_with = "null_as_default")]
    ipc_ns_ctr: String,
    #[serde(deserialize_with = "null_as_default")]
    mount_ns_ctr: String,
    #[serde(deserialize_with = "null_as_default")]
    net_ns_ctr: String,
    #[serde(deserialize_with = "null_as_default")]
    pid_ns_ctr: String,
    #[serde(deserialize_with = "null_as_default")]
    user_ns_ctr: String,
    #[serde(deserialize_with = "null_as_default")]
    uts_ns_ctr: String,
    #[serde(deserialize_with = "null_as_default")]
    cgroup_ns_ctr: String,
    /// Podman makes the network namespace itself.
    #[serde(rename = "createNetNS")]
    create_net_ns: bool,
    #[serde(deserialize_with = "time")]
    created_time: Option<Timestamp>,
    #[serde(deserialize_with = "null_as_default")]
    runtime: String,
    #[serde(rename = "pause")]
    is_infra: bool,
    #[serde(rename = "init_container_type", deserialize_with = "null_as_default")]
    init_container_type: String,
    #[serde(deserialize_with = "null_as_default")]
    labels: IgnoreKeys,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct NamedVolume {
    #[serde(rename = "volumeName")]
    name: String,
    dest: String,
    #[serde(deserialize_with = "null_as_default")]
    options: Vec<String>,
}

/// `ContainerState`: as it was last written.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ContainerState {
    state: i64,
    pid: u32,
    exit_code: i32,
    oom_killed: bool,
    #[serde(deserialize_with = "time")]
    started_time: Option<Timestamp>,
    #[serde(deserialize_with = "time")]
    finished_time: Option<Timestamp>,
}

/// `VolumeConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct VolumeConfig {
    /// The folder that holds it.
    #[serde(deserialize_with = "null_as_default")]
    pub mount_point: String,
}

/// `PodConfig`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "libpod's")]
pub struct PodConfig {
    /// The whole id.
    pub id: String,
    #[serde(deserialize_with = "null_as_default")]
    name: String,
    #[serde(deserialize_with = "time")]
    created: Option<Timestamp>,
    #[serde(rename = "hasInfra")]
    has_infra: bool,
    #[serde(rename = "sharesPid")]
    pid: bool,
    #[serde(rename = "sharesIpc")]
    ipc: bool,
    #[serde(rename = "sharesNet")]
    net: bool,
    #[serde(rename = "sharesMnt")]
    mnt: bool,
    #[serde(rename = "sharesUser")]
    user: bool,
    #[serde(rename = "sharesUts")]
    uts: bool,
    #[serde(rename = "sharesCgroupNS")]
    cgroup: bool,
    #[serde(deserialize_with = "null_as_default")]
    labels: IgnoreKeys,
}

/// `podState`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct PodState {
    #[serde(rename = "InfraContainerID", deserialize_with = "null_as_default")]
    infra: String,
}

impl ContainerConfig {
    /// What it comes to, given the folders of the volumes by their names.
    #[must_use]
    pub fn into_record(self, last: &ContainerState, volumes: &BTreeMap<String, String>) -> Record {
        let state = match last.state {
            1 | 2 => RuntimeState::Created,
            // Running, paused, stopping.
            3 | 5 | 8 => RuntimeState::Running,
            // Stopped, exited, removing.
            4 | 6 | 7 => RuntimeState::Exited,
            _ => RuntimeState::Unknown,
        };
        let exited = state == RuntimeState::Exited && last.finished_time.is_some();
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Record {
            pod: text(&self.pod),
            image: text(&self.rootfs_image_name),
            created_at: self.created_time,
            state,
            pid: if state == RuntimeState::Running { last.pid } else { 0 },
            started_at: last.started_time,
            finished_at: last.finished_time,
            exit_code: Some(last.exit_code).filter(|_| exited),
            oom_killed: last.oom_killed,
            infra: self.is_infra,
            init: !self.init_container_type.is_empty(),
            modes: self.modes(),
            mounts: self.mounts(volumes),
            ignore: self.labels.ignore(),
            id: self.id,
            name: self.name,
            command: self.spec.process.args,
            oci_runtime: self.runtime,
        }
    }

    /// How it gets its namespaces, as libpod itself reads it: another container's first, then what the specification
    /// says, which has no entry for what is inherited.
    fn modes(&self) -> BTreeMap<Kind, Mode> {
        let Some(linux) = &self.spec.linux else { return BTreeMap::new() };
        let mode = |kind: Kind| {
            let joined = match kind {
                Kind::Mnt => self.mount_ns_ctr.as_str(),
                Kind::Uts => &self.uts_ns_ctr,
                Kind::Ipc => &self.ipc_ns_ctr,
                Kind::Pid => &self.pid_ns_ctr,
                Kind::Net => &self.net_ns_ctr,
                Kind::User => &self.user_ns_ctr,
                Kind::Cgroup => &self.cgroup_ns_ctr,
                Kind::Time => "",
            };
            if kind == Kind::Net && self.create_net_ns {
                return Mode::Private;
            }
            if !joined.is_empty() {
                return Mode::Container(joined.to_owned());
            }
            match linux.namespaces.iter().find(|namespace| namespace.kind() == Some(kind)) {
                None => Mode::Host,
                Some(namespace) => match namespace.path.as_deref() {
                    None | Some("") => Mode::Private,
                    Some(path) => Mode::Path(path.to_owned()),
                },
            }
        };
        Kind::ALL.into_iter().map(|kind| (kind, mode(kind))).collect()
    }

    /// The volumes that a user asked for: all else that is mounted is Podman's own.
    fn mounts(&self, volumes: &BTreeMap<String, String>) -> Vec<Mount> {
        let asked = |target: &str| self.user_volumes.iter().any(|volume| volume == target);
        let named = self.named_volumes.iter().filter(|volume| asked(&volume.dest)).filter_map(|volume| {
            Some(Mount {
                source: volumes.get(&volume.name)?.clone(),
                target: volume.dest.clone(),
                read_only: volume.options.iter().any(|option| option == "ro"),
                kind: MountKind::Volume,
            })
        });
        let bound = self.spec.mounts.iter().filter(|mount| asked(&mount.destination) && mount.is_bind());
        let bound = bound.filter(|mount| mount.source.starts_with('/')).map(|mount| Mount {
            source: mount.source.clone(),
            target: mount.destination.clone(),
            read_only: mount.is_read_only(),
            kind: MountKind::Bind,
        });
        let mut mounts: Vec<_> = named.chain(bound).collect();
        mounts.sort_by(|one, other| one.target.cmp(&other.target));
        mounts
    }
}

impl PodConfig {
    /// What it comes to.
    #[must_use]
    pub fn into_record(self, state: PodState) -> PodRecord {
        let shares = [
            (Kind::Mnt, self.mnt),
            (Kind::Uts, self.uts),
            (Kind::Ipc, self.ipc),
            (Kind::Pid, self.pid),
            (Kind::Net, self.net),
            (Kind::User, self.user),
            (Kind::Cgroup, self.cgroup),
        ];
        PodRecord {
            id: self.id,
            name: self.name,
            created_at: self.created,
            has_infra: self.has_infra,
            infra: Some(state.infra).filter(|id| !id.is_empty()),
            shares: shares.into_iter().filter_map(|(kind, shared)| shared.then_some(kind)).collect(),
            ignore: self.labels.ignore(),
        }
    }
}
