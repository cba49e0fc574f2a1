//! The containers of ctr, nerdctl and others: what they declare. Pure.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::record::{Known, Record};
use crate::observation::{
    Declaration, DeclaredContainer, Ignore, Kind, Mount, MountKind, Origin, Runtime, RuntimeState,
};
use crate::source::oci::dead::Dead;
use crate::source::{cri, oci};

/// nerdctl's labels.
mod label {
    /// The name that its user gave.
    pub const NAME: &str = "nerdctl/name";
    /// Its networks, a list of JSON; `container:ID` joins another's.
    pub const NETWORKS: &str = "nerdctl/networks";
    /// Whose PID namespace it joins.
    pub const PID_CONTAINER: &str = "nerdctl/pid-container";
    /// Its volumes, JSON.
    pub const MOUNTS: &str = "nerdctl/mounts";
    /// As Docker Compose has them.
    pub const COMPOSE_PROJECT: &str = "com.docker.compose.project";
    pub const COMPOSE_SERVICE: &str = "com.docker.compose.service";
}

/// A volume, as nerdctl writes it down.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Volume {
    r#type: String,
    source: String,
    destination: String,
    #[serde(rename = "RW")]
    writable: bool,
}

/// What one declares. `inode` says which namespace a path of the host leads to.
#[must_use]
pub fn container(known: &Known, source: &str, inode: &dyn Fn(&str) -> Option<u32>) -> DeclaredContainer {
    let Known { record, task } = known;
    let task = task.clone().unwrap_or_default();
    // Without a task it was never started, or its end was taken note of.
    let state = if known.task.is_none() { RuntimeState::Created } else { task.state };
    let running = state == RuntimeState::Running;
    let spec = record.spec.as_ref();
    let compose = record.label(label::COMPOSE_PROJECT).map(|project| {
        let service = record.label(label::COMPOSE_SERVICE).unwrap_or_default();
        (project.to_owned(), service.to_owned())
    });
    let mut declared = spec.map(|spec| spec.declarations(inode)).unwrap_or_default();
    join(record, &mut declared);
    DeclaredContainer {
        name: Some(record.label(label::NAME).unwrap_or(&record.id).to_owned()),
        image: Some(record.image.clone()).filter(|image| !image.is_empty()),
        state,
        pid: if running { task.pid } else { 0 },
        start_ticks: task.start_ticks.filter(|_| running),
        created_at: record.created_at,
        finished_at: task.exited_at,
        exit_code: task.exit_code,
        cgroup: task
            .cgroup
            .or_else(|| spec.and_then(|spec| spec.linux.as_ref()).map(|linux| linux.cgroups_path.clone()))
            .filter(|path| path.starts_with('/') && path != "/"),
        command: spec.map(|spec| spec.process.args.clone()).unwrap_or_default(),
        mounts: mounts(record),
        declared,
        compose: compose.clone(),
        opaque: cri::opaque(&record.runtime),
        ignore: Ignore::of(|name| record.label(name)),
        ..DeclaredContainer::new(
            &record.id,
            Runtime::Containerd,
            if compose.is_some() { Origin::Compose } else { Origin::Containerd },
            source,
        )
    }
}

/// Whom nerdctl was told to join, where the specification has no more than a path of a process.
fn join(record: &Record, declared: &mut BTreeMap<Kind, Declaration>) {
    let networks =
        record.label(label::NETWORKS).and_then(|text| serde_json::from_str::<Vec<String>>(text).ok());
    let network = networks
        .unwrap_or_default()
        .into_iter()
        .find_map(|name| name.strip_prefix("container:").filter(|id| !id.is_empty()).map(str::to_owned));
    let pid = record.label(label::PID_CONTAINER).map(str::to_owned);
    for (kind, whom) in [(Kind::Net, network), (Kind::Pid, pid)] {
        if let (Some(whom), Some(Declaration::Path { .. })) = (whom, declared.get(&kind)) {
            declared.insert(kind, Declaration::Container(whom));
        }
    }
}

fn mounts(record: &Record) -> Vec<Mount> {
    let told = record.label(label::MOUNTS).and_then(|text| serde_json::from_str::<Vec<Volume>>(text).ok());
    if let Some(told) = told {
        let mut mounts: Vec<Mount> = told
            .into_iter()
            .filter(|volume| matches!(volume.r#type.as_str(), "bind" | "volume"))
            .map(|volume| Mount {
                kind: if volume.r#type == "volume" { MountKind::Volume } else { MountKind::Bind },
                source: volume.source,
                target: volume.destination,
                read_only: !volume.writable,
            })
            .collect();
        mounts.sort_by(|one, other| one.target.cmp(&other.target));
        return mounts;
    }
    record.spec.as_ref().map(|spec| oci::volumes(spec, None)).unwrap_or_default()
}

/// Those whose process has ended.
#[must_use]
pub fn dead(known: &[Known]) -> Vec<Dead> {
    let ended = known.iter().filter_map(|Known { record, task }| {
        let task = task.as_ref().filter(|task| task.state == RuntimeState::Exited)?;
        Some(Dead { pid: task.pid, created: record.created_at?, id: record.id.clone(), uid: None })
    });
    ended.collect()
}
