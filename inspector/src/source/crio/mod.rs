//! CRI-O: from its socket where that answers, else from its files; the same pods either way.
//!
//! Its sandboxes mostly have no process: bind mounts hold their namespaces, and only their specification says which. So
//! nothing here is keyed by a sandbox's pid, and what a socket leaves out is read from disk.

mod disk;
mod record;
mod storage;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;

use self::disk::Disk;
use self::record::Annotations;
use self::storage::Storage;
use super::cri::model::CriNode;
use super::cri::{self, Answer};
use super::endpoints::Endpoints;
use super::grpc::Error;
use super::oci::file::{self, HostFiles};
use super::oci::process::Processes;
use super::oci::spec::{cgroup_of, namespace_inode};
use super::{Context, RuntimeFacts, TaskScan};
use crate::observation::{Gap, Runtime, RuntimeReport, RuntimeStatus};

/// Where CRI-O listens.
const SOCKETS: [&str; 1] = ["/run/crio/crio.sock"];

/// Asks CRI-O for its pods.
///
/// Sockets that the user named are asked instead of the usual one; a folder named in place of a socket is read as a root
/// of its storage. What no socket answers for is read from disk.
pub async fn collect(context: &Context, scan: &TaskScan) -> RuntimeFacts {
    collect_from(context, scan, &HostFiles::new(context)).await
}

async fn collect_from(context: &Context, scan: &TaskScan, files: &HostFiles) -> RuntimeFacts {
    let endpoints = Endpoints::of(context, Runtime::CriO, &SOCKETS);
    let processes = Processes::new(context, scan);
    let disk = Disk::new(files, processes);
    let mut facts = RuntimeFacts::default();
    let mut answers = Vec::new();
    let mut refused = Vec::new();
    for socket in &endpoints.sockets {
        match cri::ask(socket, endpoints.trust(), context).await {
            Ok(answer) => answers.push((socket, answer)),
            Err(error) => refused.push((socket, error)),
        }
    }
    let mut storages: Vec<Storage> = storage::named(context, files, &endpoints.folders).into_iter().collect();
    let named = storages.len();
    if !endpoints.named || !endpoints.sockets.is_empty() {
        storages.extend(storage::find(context, scan, files, &mut facts.gaps));
    }
    let mut on_disk = Vec::new();
    let mut gaps = Vec::new();
    for storage in &storages {
        on_disk.push((storage, disk.node(storage, &mut gaps)));
    }
    for (socket, answer) in answers {
        let known = on_disk.iter().filter_map(|(_, node)| node.as_ref().ok());
        facts.merge(told(context, &processes, socket, answer, known));
    }
    let all_answered = refused.is_empty() && endpoints.named;
    let mut read = 0;
    for (index, (storage, node)) in on_disk.into_iter().enumerate() {
        // Of a daemon that answered, the answer is enough; where the user named all that is to be asked, so is that.
        let is_told = node
            .as_ref()
            .is_ok_and(|node| node.sandboxes.iter().any(|it| facts.pods.iter().any(|pod| pod.id == it.id)));
        if index >= named && (all_answered || is_told) {
            continue;
        }
        read += usize::from(node.as_ref().is_ok_and(|node| *node != CriNode::default()));
        facts.merge(found(context, storage, node, index < named));
    }
    facts.gaps.extend(gaps);
    for (socket, error) in refused {
        // Where the files tell everything, a socket that is usually there and is not is no news.
        let expected = !endpoints.named && matches!(error, Error::Absent(_));
        facts.merge(refusal(socket, &error, expected && read > 0));
    }
    if facts.reports.is_empty() {
        let endpoint = context.host(SOCKETS[0]).display().to_string();
        facts.reports.push(report(endpoint, RuntimeStatus::Absent, "nobody listens there".to_owned()));
    }
    facts
}

/// What a socket told, completed by the files: who the processes are, and what holds a sandbox without one.
fn told<'n>(
    context: &Context,
    processes: &Processes<'_>,
    socket: &Path,
    answer: Answer,
    on_disk: impl Iterator<Item = &'n CriNode>,
) -> RuntimeFacts {
    let Answer { runtime_name, runtime_version, mut node, missing } = answer;
    complete(&mut node, processes, on_disk);
    let endpoint = socket.display().to_string();
    let detail = format!(
        "{runtime_name} {runtime_version}, {} sandboxes, {} containers",
        node.sandboxes.len(),
        node.containers.len()
    );
    let described = |id: &str| {
        node.sandboxes.iter().any(|it| it.id == id && it.spec.is_some())
            || node.containers.iter().any(|it| it.id == id && it.spec.is_some())
    };
    let gaps: Vec<Gap> = missing
        .into_iter()
        .map(|(id, why)| match described(&id) {
            true => Gap::detail(format!("container {id}"), format!("cri-o: {why}; read from disk instead")),
            false => Gap::deciding(format!("container {id}"), format!("cri-o: {why}")),
        })
        .collect();
    let status = if gaps.iter().any(|gap| gap.could_change_verdict) {
        RuntimeStatus::Error
    } else {
        RuntimeStatus::Ok
    };
    RuntimeFacts {
        reports: vec![report(endpoint.clone(), status, detail)],
        gaps,
        ..declared(context, &node, &endpoint)
    }
}

/// Completes an answer by what the files say of the same containers.
fn complete<'n>(node: &mut CriNode, processes: &Processes<'_>, on_disk: impl Iterator<Item = &'n CriNode>) {
    let (mut sandboxes, mut containers) = (BTreeMap::new(), BTreeMap::new());
    for known in on_disk {
        sandboxes.extend(known.sandboxes.iter().map(|it| (it.id.as_str(), it)));
        containers.extend(known.containers.iter().map(|it| (it.id.as_str(), it)));
    }
    for sandbox in &mut node.sandboxes {
        if let Some(known) = sandboxes.get(sandbox.id.as_str()) {
            sandbox.spec = sandbox.spec.take().or_else(|| known.spec.clone());
            sandbox.processless = known.processless;
            sandbox.start_ticks = known.start_ticks.filter(|_| known.pid == sandbox.pid);
            sandbox.mark.clone_from(&known.mark);
            sandbox.started_at = sandbox.started_at.or(known.started_at);
            sandbox.finished_at = sandbox.finished_at.or(known.finished_at);
            sandbox.exit_code = sandbox.exit_code.or(known.exit_code);
        }
        let Some(spec) = &sandbox.spec else { continue };
        let annotations = Annotations::of(spec);
        sandbox.image = annotations.image().or_else(|| sandbox.image.take());
        sandbox.opaque = sandbox.opaque.take().or_else(|| annotations.opaque());
        let path = spec.linux.as_ref().map(|linux| linux.cgroups_path.as_str());
        sandbox.cgroup = cgroup_of(&sandbox.id, path, processes.cgroup(sandbox.pid));
    }
    for container in &mut node.containers {
        if let Some(known) = containers.get(container.id.as_str()) {
            container.spec = container.spec.take().or_else(|| known.spec.clone());
            container.start_ticks = known.start_ticks.filter(|_| known.pid == container.pid);
            container.oom_killed |= known.oom_killed;
        }
        let Some(spec) = &container.spec else { continue };
        let annotations = Annotations::of(spec);
        container.image = annotations.image().or_else(|| container.image.take());
        container.opaque = container.opaque.take().or_else(|| annotations.opaque());
        container.mounts = container.mounts.take().or_else(|| annotations.volumes());
        let path = spec.linux.as_ref().map(|linux| linux.cgroups_path.as_str());
        container.cgroup = cgroup_of(&container.id, path, processes.cgroup(container.pid));
    }
}

/// What was found in one place.
fn found(
    context: &Context,
    storage: &Storage,
    node: Result<CriNode, file::Error>,
    named: bool,
) -> RuntimeFacts {
    let endpoint = storage.roots.first().map(|root| root.display().to_string()).unwrap_or_default();
    match node {
        // Podman alone, or nothing at all, is no CRI-O.
        Ok(node) if node == CriNode::default() && !named => RuntimeFacts::default(),
        Ok(node) => {
            let (sandboxes, containers) = (node.sandboxes.len(), node.containers.len());
            let detail = format!("read from disk: {sandboxes} sandboxes, {containers} containers");
            RuntimeFacts {
                reports: vec![report(endpoint.clone(), RuntimeStatus::Ok, detail)],
                ..declared(context, &node, &endpoint)
            }
        }
        Err(error) => {
            let status = match error {
                file::Error::Denied(_) => RuntimeStatus::Denied,
                _ => RuntimeStatus::Error,
            };
            let gap = Gap::deciding(format!("CRI-O's pods, by {endpoint}"), error.to_string());
            RuntimeFacts {
                gaps: vec![gap],
                reports: vec![report(endpoint, status, error.to_string())],
                ..RuntimeFacts::default()
            }
        }
    }
}

fn declared(context: &Context, node: &CriNode, source: &str) -> RuntimeFacts {
    let inode = |path: &str| namespace_inode(context, path);
    let (containers, pods) = cri::facts(node, Runtime::CriO, source, &inode);
    RuntimeFacts { containers, pods, ..RuntimeFacts::default() }
}

fn refusal(socket: &Path, error: &Error, expected: bool) -> RuntimeFacts {
    let endpoint = socket.display().to_string();
    let status = match error {
        Error::Absent(_) => RuntimeStatus::Absent,
        Error::Denied(_) => RuntimeStatus::Denied,
        _ => RuntimeStatus::Error,
    };
    let gap = Gap::deciding(format!("CRI-O's pods, by {endpoint}"), error.to_string());
    RuntimeFacts {
        gaps: if expected { Vec::new() } else { vec![gap] },
        reports: vec![report(endpoint, status, error.to_string())],
        ..RuntimeFacts::default()
    }
}

fn report(endpoint: String, status: RuntimeStatus, detail: String) -> RuntimeReport {
    RuntimeReport { runtime: Runtime::CriO, endpoint, status, detail }
}
