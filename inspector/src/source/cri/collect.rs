//! containerd's pods, by its CRI socket and by that alone: what it has outside Kubernetes, and its files, are not read.

use std::path::Path;

use super::{Answer, ask, facts};
use crate::observation::{DeclaredContainer, Gap, Runtime, RuntimeReport, RuntimeState, RuntimeStatus};
use crate::source::endpoints::Endpoints;
use crate::source::grpc::Error;
use crate::source::oci::spec::{cgroup_of, namespace_inode};
use crate::source::{Context, RuntimeFacts, TaskScan};

/// Where containerd listens: by itself, and inside k3s, RKE2, k0s and microk8s.
const CONTAINERD: [&str; 4] = [
    "/run/containerd/containerd.sock",
    "/run/k3s/containerd/containerd.sock",
    "/run/k0s/containerd.sock",
    "/var/snap/microk8s/common/run/containerd.sock",
];

/// Asks every containerd that is to be found, or that the user named, for its pods.
pub async fn collect(context: &Context, scan: &TaskScan) -> RuntimeFacts {
    let mut all = RuntimeFacts::default();
    let runtime = Runtime::Containerd;
    let endpoints = Endpoints::of(context, runtime, &CONTAINERD);
    for socket in &endpoints.sockets {
        all.merge(match ask(socket, endpoints.trust(), context).await {
            Ok(answer) => told(context, scan, runtime, socket, answer),
            Err(error) => refused(runtime, socket, &error, endpoints.named),
        });
    }
    all.gaps.extend(endpoints.folders.iter().map(|folder| {
        let why = "containerd is asked by its socket only: name that in place of a folder";
        Gap::deciding(format!("containerd's pods, by {}", folder.display()), why)
    }));
    all
}

fn told(context: &Context, scan: &TaskScan, runtime: Runtime, socket: &Path, answer: Answer) -> RuntimeFacts {
    let endpoint = socket.display().to_string();
    let inode = |path: &str| namespace_inode(context, path);
    let (mut containers, pods) = facts(&answer.node, runtime, &endpoint, &inode);
    for container in containers.iter_mut().filter(|container| container.state == RuntimeState::Running) {
        complete(container, scan);
    }
    let gaps: Vec<Gap> = answer
        .missing
        .iter()
        .map(|(id, why)| Gap::deciding(format!("container {id}"), format!("{}: {why}", runtime.name())))
        .collect();
    let detail = format!(
        "{} {}, {} sandboxes, {} containers",
        answer.runtime_name,
        answer.runtime_version,
        answer.node.sandboxes.len(),
        answer.node.containers.len()
    );
    let status = if gaps.is_empty() { RuntimeStatus::Ok } else { RuntimeStatus::Error };
    let reports = vec![RuntimeReport { runtime, endpoint, status, detail }];
    RuntimeFacts { containers, pods, reports, gaps }
}

/// Adds the cgroup where the specification names it in systemd's way: the kernel's path of its init.
fn complete(container: &mut DeclaredContainer, scan: &TaskScan) {
    if container.cgroup.is_none() {
        let init = scan.tasks.iter().find(|task| task.pid == container.pid);
        container.cgroup = cgroup_of(&container.id, None, init.and_then(|task| task.cgroup.as_deref()));
    }
}

fn refused(runtime: Runtime, socket: &Path, error: &Error, named: bool) -> RuntimeFacts {
    let status = match error {
        Error::Absent(_) => RuntimeStatus::Absent,
        Error::Denied(_) => RuntimeStatus::Denied,
        // A containerd without Kubernetes.
        Error::Unimplemented(_) if !named => RuntimeStatus::Absent,
        _ => RuntimeStatus::Error,
    };
    let endpoint = socket.display().to_string();
    let what = format!("{}'s pods, by {endpoint}", runtime.name());
    let gaps = if status == RuntimeStatus::Absent && !named {
        Vec::new()
    } else {
        vec![Gap::deciding(what, error.to_string())]
    };
    let reports = vec![RuntimeReport { runtime, endpoint, status, detail: error.to_string() }];
    RuntimeFacts { gaps, reports, ..RuntimeFacts::default() }
}
