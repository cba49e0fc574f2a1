//! Sentences that more than one rule needs.

use crate::observation::{Kind, Origin};
use crate::view::{Container, Namespace, Pod};

/// A container's name by its id; the id's beginning where the pod has no such container.
pub(super) fn name(pod: &Pod, id: &str) -> String {
    pod.containers
        .iter()
        .find(|container| container.id == id)
        .map_or_else(|| id.chars().take(12).collect(), |container| container.name.clone())
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(names: &[String]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// The containers in a namespace other than its owner, by name.
pub(super) fn others(pod: &Pod, namespace: &Namespace) -> Vec<String> {
    namespace
        .shared_by
        .iter()
        .filter(|id| Some(*id) != namespace.owner.container.as_ref())
        .map(|id| name(pod, id))
        .collect()
}

/// The container that owns a namespace, if the pod has it.
pub(super) fn owner<'p>(pod: &'p Pod, namespace: &Namespace) -> Option<&'p Container> {
    let id = namespace.owner.container.as_ref()?;
    pod.containers.iter().find(|container| container.id == *id)
}

/// What the members lose with the owner of a namespace of this kind.
pub(super) const fn what_is_lost(kind: Kind) -> &'static str {
    match kind {
        Kind::Net => "its addresses, routes and the connection to localhost siblings",
        Kind::Ipc => "its System V shared memory, semaphores and message queues",
        Kind::Uts => "its hostname",
        Kind::Pid => "its processes",
        _ => "what it held",
    }
}

/// How to give the pod a pause for an owner, in the words of what made it.
pub(super) fn remedy(pod: &Pod, kind: Kind, owner: &str, joiners: &[String]) -> String {
    let joiners = list(joiners);
    match pod.origin {
        Origin::Docker => {
            let flag = match kind {
                Kind::Net => "--net",
                Kind::Ipc => "--ipc",
                Kind::Pid => "--pid",
                _ => "--uts",
            };
            let offer = if kind == Kind::Ipc { " --ipc=shareable" } else { "" };
            format!(
                "start a pause container first (docker run -d --name pause{offer} <a pause image>) and let {owner} and {joiners} \
                 join it with {flag}=container:pause"
            )
        }
        Origin::Compose => {
            let key = match kind {
                Kind::Net => "network_mode",
                Kind::Ipc => "ipc",
                _ => "pid",
            };
            format!(
                "add a pause service to the compose file and set {key}: \"service:pause\" for {owner} and {joiners}"
            )
        }
        Origin::Podman => {
            format!("make them a pod: podman pod create, then run {owner} and {joiners} with --pod")
        }
        Origin::Unmanaged => format!(
            "if they belong together, let a process that only sleeps make the {kind} namespace and let {owner} and {joiners} enter it"
        ),
        _ => format!(
            "run a pause container that owns the {kind} namespace, and let {owner} and {joiners} join it"
        ),
    }
}
