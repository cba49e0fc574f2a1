//! runc's, crun's and runsc's containers that no daemon manages: each declares its own namespaces, and joins others'
//! by paths.
//!
//! It must not believe a pid without its start time, a user's word about anything but that user's own processes, or wait
//! longer than a moment for a file system of a user's.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::dead::{Dead, name_the_dead};
use super::process::Processes;
use super::roots::{self, Contents, Found, Root};
use super::spec::{Spec, SpecMount, cgroup_of, namespace_inode};
use crate::observation::{
    Declaration, DeclaredContainer, Gap, Ignore, Kind, Mount, MountKind, Origin, Runtime, RuntimeReport,
    RuntimeState, RuntimeStatus,
};
use crate::source::endpoints::Endpoints;
use crate::source::{Context, RuntimeFacts, TaskScan, cri, node};

/// How long to wait for one folder.
const ROOT_TIME: Duration = Duration::from_secs(5);

/// What is mounted into every container and is no volume.
const NO_VOLUMES: [&str; 9] = [
    "/proc",
    "/sys",
    "/dev",
    "/dev/shm",
    "/dev/termination-log",
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/run/.containerenv",
];

/// A container and what its declarations come to.
type Read = (Found, BTreeMap<Kind, Declaration>);

/// Reads the containers of runc, crun and runsc.
///
/// Folders that the user named (`--socket oci=DIR`) are read instead of the usual ones.
pub async fn collect(context: &Context, scan: &TaskScan) -> RuntimeFacts {
    let endpoints = Endpoints::of(context, Runtime::Oci, &[]);
    let mut facts = RuntimeFacts::default();
    for path in &endpoints.sockets {
        let why = "there is no such folder: name one as runc's or crun's --root has it".to_owned();
        let endpoint = path.display().to_string();
        facts.gaps.push(Gap::deciding(format!("containers of runc and crun, by {endpoint}"), why.clone()));
        facts.reports.push(report(endpoint, RuntimeStatus::Absent, why));
    }
    let processes = Processes::new(context, scan);
    let mut dead = Vec::new();
    let (host, _) = node::host_namespaces(&scan.tasks);
    for root in roots::find(context, &endpoints) {
        let endpoint = root.path.display().to_string();
        let Some((found, gaps)) = read(context, root.clone()).await else {
            let why = "its file system does not answer in time".to_owned();
            facts.gaps.push(Gap::deciding(format!("the containers of {endpoint}"), why.clone()));
            facts.reports.push(report(endpoint, RuntimeStatus::Error, why));
            continue;
        };
        let (mut others, mut of_daemons) = (0, 0);
        for (found, declared) in found {
            if found.manager().is_some() {
                of_daemons += 1
            } else {
                others += 1
            };
            let (pid, created) = (found.pid, found.created_at);
            let mut container = container(found, declared, &root, &processes);
            if root.uid.is_some() {
                keep_what_a_user_can_say(&mut container, &host, &processes);
            }
            if let (0, Some(created)) = (container.pid, created) {
                dead.push(Dead { pid, created, id: container.id.clone(), uid: root.uid });
            }
            add(&mut facts, container);
        }
        let status = if gaps.iter().any(|gap| gap.could_change_verdict) {
            RuntimeStatus::Error
        } else {
            RuntimeStatus::Ok
        };
        let detail = match of_daemons {
            0 => format!("read from disk: {others} containers"),
            _ => format!("read from disk: {others} containers, and {of_daemons} that a daemon manages"),
        };
        facts.gaps.extend(gaps);
        facts.reports.push(report(endpoint, status, detail));
    }
    name_the_dead(&mut facts.containers, &dead);
    facts.containers.sort_by(|one, other| one.id.cmp(&other.id));
    facts
}

fn report(endpoint: String, status: RuntimeStatus, detail: String) -> RuntimeReport {
    RuntimeReport { runtime: Runtime::Oci, endpoint, status, detail }
}

/// Reads a folder and where its paths lead, for a limited time.
async fn read(context: &Context, root: Root) -> Option<(Vec<Read>, Vec<Gap>)> {
    let (sender, receiver) = mpsc::channel();
    let (time, context) = (context.time_left(ROOT_TIME), context.clone());
    // A thread of its own, left behind when it is late: whatever lies below a user's folder may be that user's own file
    // system, and what waits for that cannot be told to stop.
    let reader = thread::Builder::new().name("oci-root".to_owned()).spawn(move || {
        let Contents { containers, gaps } = roots::read(&root);
        let containers = containers.into_iter().map(|found| {
            let declared = found.spec.declarations(|path| namespace_inode(&context, path));
            (found, declared)
        });
        // Nobody listens any more where it was late.
        let _late = sender.send((containers.collect(), gaps));
    });
    reader.ok()?;
    tokio::task::spawn_blocking(move || receiver.recv_timeout(time).ok()).await.ok()?
}

fn container(
    found: Found,
    declared: BTreeMap<Kind, Declaration>,
    root: &Root,
    processes: &Processes<'_>,
) -> DeclaredContainer {
    let manager = found.manager();
    let (runtime, origin) = match manager {
        Some(Runtime::CriO) => (Runtime::CriO, Origin::Kubernetes),
        Some(Runtime::Podman) => (Runtime::Podman, Origin::Podman),
        Some(Runtime::Containerd) => (Runtime::Containerd, Origin::Kubernetes),
        _ => (Runtime::Oci, Origin::Oci),
    };
    let lives = processes.lives(found.pid, found.start_ticks);
    let state = match (lives, found.waits) {
        (true, true) => RuntimeState::Created,
        (true, false) => RuntimeState::Running,
        (false, _) => RuntimeState::Exited,
    };
    let cgroups_path = found.spec.linux.as_ref().map(|linux| linux.cgroups_path.as_str());
    let kernel = processes.cgroup(found.pid).filter(|_| lives);
    DeclaredContainer {
        name: Some(found.id.clone()),
        state,
        pid: if lives { found.pid } else { 0 },
        start_ticks: found.start_ticks.filter(|_| lives),
        created_at: found.created_at,
        cgroup: found
            .cgroup
            .or_else(|| cgroup_of(&found.id, cgroups_path, kernel))
            .filter(|path| path != "/"),
        infra_mark: cri::sandbox_mark(&found.spec),
        mounts: volumes(&found.spec, found.bundle.as_deref()),
        command: found.spec.process.args,
        declared,
        opaque: found.opaque,
        ignore: Ignore::of(|name| found.spec.annotations.get(name).map(String::as_str)),
        word_of_uid: root.uid,
        ..DeclaredContainer::new(&found.id, runtime, origin, root.path.display().to_string())
    }
}

/// A user's word is good for what the kernel bears out: not for a cgroup that its process is not in, nor for a namespace
/// that was inherited, since rootless runtimes run in namespaces of their own.
fn keep_what_a_user_can_say(
    container: &mut DeclaredContainer,
    host: &crate::observation::HostNamespaces,
    processes: &Processes<'_>,
) {
    let init = processes.task(container.pid);
    let kernel = init.and_then(|task| task.cgroup.as_deref());
    container.cgroup = container.cgroup.take().filter(|path| kernel == Some(path.as_str()));
    container.declared.retain(|kind, declaration| {
        let inode = init.and_then(|task| task.namespaces.get(*kind));
        *declaration != Declaration::Host || inode.and_then(|inode| host.is_host(*kind, inode)) == Some(true)
    });
}

/// Adds a container. Of two with one id, which only different folders can have, the first stands.
fn add(facts: &mut RuntimeFacts, container: DeclaredContainer) {
    match facts.containers.iter().find(|it| it.id == container.id) {
        None => facts.containers.push(container),
        Some(first) => {
            let why = format!("{} has a container of the same id, which stands", first.source);
            facts
                .gaps
                .push(Gap::deciding(format!("container {}, by {}", container.id, container.source), why));
        }
    }
}

/// The bind mounts that are volumes, by target.
#[must_use]
pub fn volumes(spec: &Spec, bundle: Option<&Path>) -> Vec<Mount> {
    let is_volume = |mount: &&SpecMount| {
        let below =
            |folder: &str| mount.destination.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
        let own = NO_VOLUMES.contains(&mount.destination.as_str()) || below("/proc") || below("/sys");
        mount.is_bind() && !own
    };
    let source = |source: &str| match bundle {
        // A path is relative to the bundle; an absolute one replaces it.
        Some(bundle) => bundle.join(source).to_string_lossy().into_owned(),
        None => source.to_owned(),
    };
    let volume = |mount: &SpecMount| Mount {
        source: source(&mount.source),
        target: mount.destination.clone(),
        read_only: mount.is_read_only(),
        kind: MountKind::Bind,
    };
    let mut mounts: Vec<_> = spec.mounts.iter().filter(is_volume).map(volume).collect();
    mounts.sort_by(|one, other| one.target.cmp(&other.target));
    mounts
}
