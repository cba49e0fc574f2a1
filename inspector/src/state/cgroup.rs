//! Which container a cgroup's path names: a pure function of the path.
//!
//! The name of a cgroup is a hint and never a proof: whoever owns a cgroup can make one below it that is named
//! like any container. So this module only reads names, from the innermost outwards, and leaves it to the
//! runtimes' own records to confirm one. It knows the layouts that runtimes use, wherever they stand: any prefix
//! may precede them (a kubelet's cgroup root, a nested node).

use crate::observation::Runtime;

/// What a cgroup's path says about the container it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CgroupName {
    /// The container's id: 64 hexadecimal digits, or any id that `ctr` accepts in `ctr`'s own layout.
    pub id: String,
    /// The runtime whose naming this is; `None` where several share it.
    pub runtime: Option<Runtime>,
    /// The uid of the Kubernetes pod whose cgroup encloses it, with dashes (a static pod's is 32 hexadecimal
    /// digits without any).
    pub pod_uid: Option<String>,
    /// The id of the Podman pod whose cgroup encloses it.
    pub podman_pod: Option<String>,
    /// The path up to and with the container's own component: what every task of the container has in common.
    pub prefix: String,
}

/// The namespaces of containerd in which `ctr`, nerdctl and BuildKit put containers directly below a cgroup of
/// the namespace's name. Any other two components (`/system.slice/ssh.service`) look just the same.
pub(crate) const CONTAINERD_NAMESPACES: [&str; 3] = ["default", "k8s.io", "buildkit"];

/// The longest id that containerd accepts.
const CONTAINERD_ID_BYTES: usize = 76;

/// Reads the innermost container that a cgroup's path names.
#[must_use]
pub fn parse(path: &str) -> Option<CgroupName> {
    parse_all(path).next()
}

/// Reads every container that a cgroup's path names, the innermost first. All but the outermost may be made up
/// by the ones around them.
pub fn parse_all(path: &str) -> impl Iterator<Item = CgroupName> + '_ {
    let components = components(path);
    (0..components.len()).rev().filter_map(move |index| {
        let found = container(&components[..=index])?;
        let (name, end) = components[index];
        let parent = index.checked_sub(1).map_or("", |parent| components[parent].0);
        let above = index.checked_sub(2).map_or("", |above| components[above].0);
        let slice = name.split_once(':').map_or(parent, |(slice, _)| slice);
        Some(CgroupName {
            id: found.id.to_owned(),
            runtime: found.runtime,
            pod_uid: pod_uid(slice),
            podman_pod: podman_pod(slice, above, found.runtime),
            prefix: path[..end].to_owned(),
        })
    })
}

/// The components of a path, each with the position of its end.
fn components(path: &str) -> Vec<(&str, usize)> {
    let mut end = 0;
    path.split('/')
        .filter_map(|name| {
            let start = end;
            end = start + name.len() + 1;
            (!name.is_empty()).then_some((name, start + name.len()))
        })
        .collect()
}

/// An id, and the runtime whose naming it is in.
struct Found<'a> {
    id: &'a str,
    runtime: Option<Runtime>,
}

/// The container that the last of these components names, in the light of those above it.
fn container<'a>(components: &[(&'a str, usize)]) -> Option<Found<'a>> {
    let ((name, _), above) = components.split_last()?;
    let parent = above.last().map_or("", |(parent, _)| parent);
    if let Some(found) = prefixed(name).or_else(|| misdriven(name)) {
        return Some(found);
    }
    if is_id(name) {
        return match parent {
            // A pod's own cgroup: the containers are below it.
            "libpod_parent" => None,
            "docker" => Some(Found { id: name, runtime: Some(Runtime::Docker) }),
            parent if CONTAINERD_NAMESPACES.contains(&parent) => {
                Some(Found { id: name, runtime: Some(Runtime::Containerd) })
            }
            // A cgroupfs pod's container, or one below a user's own `--cgroup-parent`.
            _ => Some(Found { id: name, runtime: None }),
        };
    }
    let (_, outside) = above.split_last()?;
    let known = CONTAINERD_NAMESPACES.contains(&parent) && is_containerd_id(name);
    // At the root, or at the root of a container: elsewhere `default` is anybody's word.
    (known && (outside.is_empty() || container(outside).is_some()))
        .then_some(Found { id: name, runtime: Some(Runtime::Containerd) })
}

/// `docker-<id>.scope` and its like; CRI-O's and Podman's also without the suffix (cgroupfs).
fn prefixed(name: &str) -> Option<Found<'_>> {
    let (stem, scope) = name.strip_suffix(".scope").map_or((name, false), |stem| (stem, true));
    let (prefix, id) = stem.rsplit_once('-')?;
    let runtime = runtime_of_prefix(prefix)?;
    let bare_allowed = matches!(runtime, Runtime::CriO | Runtime::Podman);
    (is_id(id) && (scope || bare_allowed)).then_some(Found { id, runtime: Some(runtime) })
}

/// `<slice>:cri-containerd:<id>`: a systemd path taken literally by the cgroupfs driver.
fn misdriven(name: &str) -> Option<Found<'_>> {
    let (rest, id) = name.rsplit_once(':')?;
    let (slice, prefix) = rest.rsplit_once(':')?;
    let runtime = runtime_of_prefix(prefix)?;
    (slice.ends_with(".slice") && is_id(id)).then_some(Found { id, runtime: Some(runtime) })
}

/// `crio-conmon` and `libpod-conmon` are monitors, not containers, and so not in here.
fn runtime_of_prefix(prefix: &str) -> Option<Runtime> {
    match prefix {
        "docker" => Some(Runtime::Docker),
        "cri-containerd" | "nerdctl" => Some(Runtime::Containerd),
        "crio" => Some(Runtime::CriO),
        "libpod" | "libpod-payload" => Some(Runtime::Podman),
        _ => None,
    }
}

/// The pod's uid in `pod<uid>` (cgroupfs) or `…-pod<uid>.slice` (systemd, `_` for `-`).
fn pod_uid(component: &str) -> Option<String> {
    let uid = match component.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("-pod")?.1.replace('_', "-"),
        None => component.strip_prefix("pod")?.to_owned(),
    };
    (is_uuid(&uid) || uid.len() == 32 && uid.bytes().all(is_hex)).then_some(uid)
}

/// The pod's id in `machine-libpod_pod_<id>.slice` (systemd) or `libpod_parent/<id>` (cgroupfs).
fn podman_pod(parent: &str, above: &str, runtime: Option<Runtime>) -> Option<String> {
    if runtime != Some(Runtime::Podman) {
        return None;
    }
    let id = match parent.strip_suffix(".slice") {
        Some(slice) => slice.rsplit_once("libpod_pod_")?.1,
        None if above == "libpod_parent" => parent,
        None => return None,
    };
    is_id(id).then(|| id.to_owned())
}

const fn is_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// Whether this is an id as Docker, containerd's CRI, CRI-O and Podman make them: 64 hexadecimal digits.
#[must_use]
pub fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(is_hex)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text
            .bytes()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { byte == b'-' } else { is_hex(byte) })
}

/// Whether containerd would accept this as an id: words of letters and digits, joined by single `-`, `_` or `.`;
/// but not a systemd unit's name.
pub(crate) fn is_containerd_id(name: &str) -> bool {
    let unit = [".slice", ".scope", ".service", ".mount", ".socket", ".swap"];
    name.len() <= CONTAINERD_ID_BYTES
        && !unit.iter().any(|suffix| name.ends_with(suffix))
        && name
            .split(['-', '_', '.'])
            .all(|word| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
#[path = "cgroup_tests.rs"]
mod tests;
