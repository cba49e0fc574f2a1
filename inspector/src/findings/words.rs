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

/// The systemd unit that all living processes of an unmanaged group are of, by their cgroups: the innermost service or
/// scope. A hint where to look, no identity: whoever owns a cgroup can imitate one below it.
pub(super) fn unit(pod: &Pod) -> Option<&str> {
    if pod.origin != Origin::Unmanaged {
        return None;
    }
    let mut units = pod.running().map(|container| unit_of(container.cgroup.as_deref()?));
    let unit = units.next()??;
    units.all(|other| other == Some(unit)).then_some(unit)
}

fn unit_of(cgroup: &str) -> Option<&str> {
    cgroup.split('/').rev().find(|name| name.ends_with(".service") || name.ends_with(".scope"))
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

/// What containers share by being in one namespace of this kind.
pub(super) const fn what_is_shared(kind: Kind) -> &'static str {
    match kind {
        Kind::Net => "localhost, addresses and ports",
        Kind::Ipc => "shared memory, semaphores and message queues",
        Kind::Uts => "a hostname",
        Kind::Pid => "processes",
        _ => "the namespace",
    }
}

/// `lives` for one, `live` for more.
pub(super) fn live(names: &[String]) -> &'static str {
    if names.len() == 1 { "lives" } else { "live" }
}

/// How to give the pod a pause for an owner, in the words of what made it. `kinds` are all that this owner holds.
pub(super) fn remedy(pod: &Pod, kinds: &[Kind], owner: &str, joiners: &[String]) -> String {
    let joiners = list(joiners);
    let each =
        |word: &dyn Fn(Kind) -> String| kinds.iter().map(|kind| word(*kind)).collect::<Vec<_>>().join(" ");
    match pod.origin {
        Origin::Docker => {
            let offer = if kinds.contains(&Kind::Ipc) { " --ipc=shareable" } else { "" };
            let flags = each(&|kind| format!("--{kind}=container:pause"));
            format!(
                "run a pause container first (docker run -d --name pause{offer} PAUSE-IMAGE), and start {owner} and {joiners} \
                 with {flags}"
            )
        }
        Origin::Compose => {
            let keys = each(&|kind| {
                let key = if kind == Kind::Net { "network_mode".to_owned() } else { kind.to_string() };
                format!("{key}: \"service:pause\"")
            });
            format!("add a pause service to the compose file, and give {owner} and {joiners} {keys}")
        }
        Origin::Podman => {
            format!("make them a pod (podman pod create) and run {owner} and {joiners} with --pod")
        }
        _ => {
            let kinds = each(&|kind| kind.to_string());
            format!(
                "let something that only sleeps make the namespaces ({kinds}), and let {owner} and {joiners} join those"
            )
        }
    }
}

/// A pod's name, with its Kubernetes namespace.
pub(super) fn pod(pod: &Pod) -> String {
    match &pod.namespace {
        Some(namespace) => format!("{namespace}/{}", pod.name),
        None => pod.name.clone(),
    }
}

/// `nginx's`.
pub(super) fn possessive(name: &str) -> String {
    format!("{name}'s")
}

/// How to give a container a namespace of its own, in the words of what made it.
pub(super) fn own_namespace(pod: &Pod, kind: Kind) -> String {
    match (pod.origin, kind) {
        (Origin::Kubernetes, Kind::Net | Kind::Uts) => {
            "leave hostNetwork: true out of the pod's spec".to_owned()
        }
        (Origin::Kubernetes, Kind::Pid) => "leave hostPID: true out of the pod's spec".to_owned(),
        (Origin::Kubernetes, Kind::Ipc) => "leave hostIPC: true out of the pod's spec".to_owned(),
        (Origin::Compose, Kind::Net) => "leave network_mode: host out of the compose file".to_owned(),
        (Origin::Compose, _) => format!("leave {kind}: host out of the compose file"),
        (Origin::Docker | Origin::Podman, _) => format!("run it without --{kind}=host"),
        _ => format!("give it a {kind} namespace of its own in its specification"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_the_innermost_service_or_scope() {
        for (cgroup, unit) in [
            ("/system.slice/web.service", Some("web.service")),
            ("/user.slice/user-0.slice/user@0.service/app.slice/run-7.scope/init", Some("run-7.scope")),
            ("/system.slice", None),
            ("/", None),
        ] {
            assert_eq!(unit_of(cgroup), unit, "{cgroup}");
        }
    }
}
