//! The volumes of a pod's container, told from the files that its runtime and the kubelet put into every container.

use super::model::{Container, CriMount};
use crate::observation::{Mount, MountKind};
use crate::source::oci::spec::Spec;

/// What a runtime mounts into a pod's containers from the folder of the sandbox or the container.
const RUNTIMES_OWN: [&str; 7] = [
    "/etc/hosts",
    "/etc/hostname",
    "/etc/resolv.conf",
    "/dev/shm",
    "/run/.containerenv",
    "/run/secrets",
    "/var/run/secrets",
];

/// The bind mounts of a container that are volumes, by target. What the kubelet asked for is as good as a list of
/// them, but the specification says where its links led.
pub fn volumes(container: &Container) -> Vec<Mount> {
    let mounted: Vec<CriMount> = container.spec.iter().flat_map(binds).collect();
    let resolved = |asked: &CriMount| {
        let same = mounted.iter().find(|mount| mount.container_path == asked.container_path);
        same.unwrap_or(asked).clone()
    };
    let mounts: Vec<CriMount> = match &container.mounts {
        Some(asked) => asked.iter().map(resolved).collect(),
        None => mounted,
    };
    let mut volumes: Vec<Mount> = mounts
        .into_iter()
        .filter(|mount| !kubelets(mount) && !runtimes(mount, container))
        .map(|mount| Mount {
            source: mount.host_path,
            target: mount.container_path,
            read_only: mount.read_only,
            kind: MountKind::Bind,
        })
        .collect();
    volumes.sort_by(|one, other| (&one.target, &one.source).cmp(&(&other.target, &other.source)));
    volumes
}

fn binds(spec: &Spec) -> impl Iterator<Item = CriMount> + '_ {
    spec.mounts.iter().filter(|mount| mount.is_bind()).map(|mount| CriMount {
        host_path: mount.source.clone(),
        container_path: mount.destination.clone(),
        read_only: mount.is_read_only(),
    })
}

/// The files that a kubelet hands to each container: `/etc/hosts`, and the termination log wherever the pod wants it
/// (`pods/<uid>/containers/<name>/<file>`).
fn kubelets(mount: &CriMount) -> bool {
    let parts = components(&mount.host_path);
    let below_pod = |from_end: usize| {
        parts.len() > from_end + 1 && parts.iter().rev().nth(from_end + 1).is_some_and(|part| *part == "pods")
    };
    match parts.as_slice() {
        [.., "etc-hosts"] => below_pod(1) && mount.container_path == "/etc/hosts",
        [.., "containers", _, _] => below_pod(3),
        _ => false,
    }
}

/// The files that a runtime keeps for a sandbox or a container, in a folder of its id.
fn runtimes(mount: &CriMount, container: &Container) -> bool {
    let parts = components(&mount.host_path);
    let own = parts.iter().any(|part| *part == container.id || *part == container.sandbox);
    let keeps = |name: &str| parts.contains(&name);
    own && (keeps("sandboxes") || keeps("userdata")) && RUNTIMES_OWN.contains(&mount.container_path.as_str())
        // What an image declares as a volume and nobody named: containerd's folder for it, then CRI-O's.
        || own && keeps("containers") && keeps("volumes")
        || keeps("overlay-containers") && keeps("volumes")
}

fn components(path: &str) -> Vec<&str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".").collect()
}
