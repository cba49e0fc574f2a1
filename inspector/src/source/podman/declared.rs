//! From what Podman knows of its containers and pods to what it declares: pure, and the same for the API and the disk.

use std::collections::BTreeMap;

use super::record::{Contents, Mode, PodRecord, Record};
use crate::observation::{
    Declaration, DeclaredContainer, DeclaredPod, DeclaredRole, Infra, Kind, Origin, Runtime, RuntimeState,
};
use crate::source::cri;

/// What Podman declares about one container. `cgroup` and `start_ticks` are not Podman's to tell, and left empty.
///
/// `inode` says what a path leads to.
#[must_use]
pub fn container(
    record: Record,
    pods: &[PodRecord],
    source: &str,
    inode: impl Fn(&str) -> Option<u32>,
) -> DeclaredContainer {
    let pod = pods.iter().find(|pod| Some(&pod.id) == record.pod.as_ref());
    let infra = pod.and_then(|pod| pod.infra.as_deref());
    let role = match (record.init, record.pod.is_some() && !record.infra) {
        (true, _) => Some(DeclaredRole::Init),
        (false, true) => Some(DeclaredRole::App),
        (false, false) => None,
    };
    DeclaredContainer {
        name: Some(record.name).filter(|name| !name.is_empty()),
        image: record.image,
        state: record.state,
        pid: record.pid,
        created_at: record.created_at,
        started_at: record.started_at,
        finished_at: record.finished_at,
        exit_code: record.exit_code,
        oom_killed: record.oom_killed,
        infra_mark: record.infra.then(|| match &record.pod {
            Some(pod) => format!("IsInfra of pod {pod}"),
            None => "IsInfra".to_owned(),
        }),
        command: record.command,
        declared: declared(record.modes, infra, inode),
        pod: record.pod,
        mounts: record.mounts,
        role,
        opaque: opaque(&record.oci_runtime),
        ignore: record.ignore,
        ..DeclaredContainer::new(record.id, Runtime::Podman, Origin::Podman, source)
    }
}

/// Why a container's processes are not to be seen on this host, by the name of its low-level runtime.
fn opaque(runtime: &str) -> Option<String> {
    let name = runtime.rsplit('/').next().unwrap_or(runtime);
    if name == "krun" || name.contains("libkrun") || name == "crun-krun" {
        return Some(format!("it runs in a virtual machine ({runtime})"));
    }
    cri::opaque(runtime)
}

fn declared(
    modes: BTreeMap<Kind, Mode>,
    infra: Option<&str>,
    inode: impl Fn(&str) -> Option<u32>,
) -> BTreeMap<Kind, Declaration> {
    let declaration = |mode: Mode| match mode {
        Mode::Host => Declaration::Host,
        Mode::Private => Declaration::Private,
        // A pod is joined by joining its infra container.
        Mode::Container(id) if Some(id.as_str()) == infra => Declaration::Pod,
        Mode::Container(id) => Declaration::Container(id),
        Mode::Path(path) => Declaration::Path { inode: inode(&path), path },
    };
    modes.into_iter().map(|(kind, mode)| (kind, declaration(mode))).collect()
}

/// The pods, given all their containers' states.
#[must_use]
pub fn pods(contents: &Contents) -> Vec<DeclaredPod> {
    contents.pods.iter().map(|pod| declared_pod(pod, &contents.containers)).collect()
}

fn declared_pod(pod: &PodRecord, containers: &[Record]) -> DeclaredPod {
    let runs = |record: &Record| record.state == RuntimeState::Running;
    let members = || containers.iter().filter(|record| record.pod.as_ref() == Some(&pod.id));
    let infra_runs = members().any(|record| Some(&record.id) == pod.infra.as_ref() && runs(record));
    DeclaredPod {
        created_at: pod.created_at,
        infra: match &pod.infra {
            // One that shares nothing need not have been started.
            Some(_) if pod.shares.is_empty() && !infra_runs => Infra::Nothing,
            Some(id) => Infra::Container(id.clone()),
            None if pod.has_infra => Infra::Unknown,
            None => Infra::Nothing,
        },
        ready: Some(members().any(runs)),
        shares: Some(pod.shares.clone()),
        runtime: Some(Runtime::Podman),
        ignore: pod.ignore.clone(),
        ..DeclaredPod::new(&pod.id, &pod.name, Origin::Podman)
    }
}
