//! Kubernetes' pods out of containerd's own records: what CRI would say of them.

use std::path::Path;

use jiff::Timestamp;
use serde::Deserialize;

use super::record::{Known, Record};
use crate::observation::RuntimeState;
use crate::source::cri::model::{Container, CriNode, Sandbox};
use crate::source::cri::{image, opaque, sandbox_mark, sandbox_of};
use crate::source::oci::file::{Error, HostFiles};

/// Where CRI keeps the statuses of containers, below containerd's root.
const STATUSES: &str = "io.containerd.grpc.v1.cri/containers";

/// What CRI writes down whenever a container's state changes. Times are in nanoseconds since 1970; 0 is never.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Status {
    created_at: i64,
    started_at: i64,
    finished_at: i64,
    exit_code: i32,
    reason: String,
}

/// A container's status on disk; `None` where there is none.
///
/// # Errors
/// When there is one that is not to be read or believed.
#[must_use]
pub fn status(files: &HostFiles, root: &Path, id: &str) -> Option<Result<Status, Error>> {
    if !crate::state::cgroup::is_id(id) {
        return None;
    }
    files.json(&root.join(STATUSES).join(id).join("status")).transpose()
}

/// The sandboxes and containers; `status` has what CRI wrote down of a container.
#[must_use]
pub fn node(known: Vec<Known>, status: &dyn Fn(&str) -> Option<Status>) -> CriNode {
    let mut node = CriNode::default();
    for known in known {
        if known.record.is_sandbox() {
            node.sandboxes.push(sandbox(known));
        } else {
            let status = status(&known.record.id);
            node.containers.push(container(known, status));
        }
    }
    node
}

fn sandbox(known: Known) -> Sandbox {
    let Known { record, task } = known;
    let task = task.unwrap_or_default();
    let running = task.state == RuntimeState::Running;
    let annotation = |name: &str| annotated(&record, name);
    let metadata = record.sandbox.clone().unwrap_or_default();
    let or = |told: &str, name: &str| if told.is_empty() { annotation(name) } else { told.to_owned() };
    Sandbox {
        name: or(&metadata.pod.name, "sandbox-name"),
        namespace: or(&metadata.pod.namespace, "sandbox-namespace"),
        uid: or(&metadata.pod.uid, "sandbox-uid"),
        attempt: metadata.pod.attempt,
        ready: Some(running),
        created_at: record.created_at,
        options: metadata.config.options(),
        pid: if running { task.pid } else { 0 },
        start_ticks: task.start_ticks,
        cgroup: task.cgroup,
        image: text(&record.image).or_else(|| image(record.spec.as_ref()?)),
        mark: record
            .spec
            .as_ref()
            .and_then(sandbox_mark)
            .unwrap_or_else(|| "label io.cri-containerd.kind=sandbox".to_owned()),
        opaque: [metadata.runtime_handler.as_str(), &record.runtime].into_iter().find_map(opaque),
        ignore: metadata.config.ignore(),
        spec: record.spec,
        id: record.id,
        ..Sandbox::default()
    }
}

fn container(known: Known, status: Option<Status>) -> Container {
    let Known { record, task } = known;
    let task = task.unwrap_or_default();
    let runs = matches!(task.state, RuntimeState::Running);
    let noted = status.as_ref().map(|status| match status {
        Status { finished_at: 1.., .. } => RuntimeState::Exited,
        // The end of a process that nobody took note of.
        Status { started_at: 1.., .. } if !runs => RuntimeState::Exited,
        Status { started_at: 1.., .. } => RuntimeState::Running,
        _ => RuntimeState::Created,
    });
    // What lives runs, whatever was written down; but one that waits for its start is only created.
    let state = match (noted, task.state) {
        (Some(RuntimeState::Created), RuntimeState::Running) | (None, _) => task.state,
        (Some(RuntimeState::Exited), RuntimeState::Running) => RuntimeState::Running,
        (Some(noted), _) => noted,
    };
    let state = if state == RuntimeState::Unknown { RuntimeState::Created } else { state };
    let status = status.unwrap_or_default();
    let exited = state == RuntimeState::Exited;
    let metadata = record.container.clone().unwrap_or_default();
    let spec = record.spec.as_ref();
    let sandbox = text(&metadata.sandbox).or_else(|| sandbox_of(spec?));
    let name = text(&metadata.name).unwrap_or_else(|| annotated(&record, "container-name"));
    Container {
        sandbox: sandbox.unwrap_or_default(),
        name,
        attempt: metadata.attempt,
        image: text(&metadata.config.image.user_specified_image)
            .or_else(|| image(spec?))
            .or_else(|| text(&record.image)),
        state,
        created_at: moment(status.created_at).or(record.created_at),
        started_at: moment(status.started_at),
        finished_at: moment(status.finished_at).filter(|_| exited),
        exit_code: Some(status.exit_code).filter(|_| exited && status.finished_at > 0),
        oom_killed: status.reason == "OOMKilled",
        pid: if state == RuntimeState::Running { task.pid } else { 0 },
        start_ticks: task.start_ticks,
        options: metadata.config.options(),
        cgroup: task.cgroup,
        mounts: metadata.config.mounts(),
        opaque: opaque(&record.runtime),
        ignore: metadata.config.ignore(),
        spec: record.spec,
        id: record.id,
    }
}

/// What CRI annotates, where its metadata is not to be had.
fn annotated(record: &Record, name: &str) -> String {
    let annotations = record.spec.as_ref().map(|spec| &spec.annotations);
    annotations.and_then(|it| it.get(&format!("io.kubernetes.cri.{name}"))).cloned().unwrap_or_default()
}

fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn moment(nanoseconds: i64) -> Option<Timestamp> {
    Timestamp::from_nanosecond(i128::from(nanoseconds)).ok().filter(|time| *time > Timestamp::UNIX_EPOCH)
}
