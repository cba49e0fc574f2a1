//! PNS001: a namespace shared by two or more containers is owned by an application container.

use super::{stable_id, words};
use crate::observation::{Kind, Origin};
use crate::view::{Class, Finding, Namespace, Pod, Role, Severity, Subject};

/// Checks one pod: a finding for each kind of namespace. Where the owner is dead, PNS002 says more.
pub(super) fn check(node: &str, pod: &Pod) -> Vec<Finding> {
    pod.namespaces
        .iter()
        .filter(|namespace| namespace.kind.makes_pod())
        .filter(|namespace| namespace.shared_by.len() > 1 && namespace.owner.alive)
        .filter(|namespace| namespace.owner.class == Class::Application)
        .filter(|namespace| !shared_on_purpose(pod, namespace))
        .map(|namespace| finding(node, pod, namespace))
        .collect()
}

/// PID mode TARGET: a debugger joined it, and knows.
fn shared_on_purpose(pod: &Pod, namespace: &Namespace) -> bool {
    namespace.kind == Kind::Pid
        && namespace
            .shared_by
            .iter()
            .filter(|id| Some(*id) != namespace.owner.container.as_ref())
            .all(|id| pod.containers.iter().any(|it| it.id == *id && it.role == Role::Ephemeral))
}

fn finding(node: &str, pod: &Pod, namespace: &Namespace) -> Finding {
    let kind = namespace.kind;
    let owner = words::owner(pod, namespace);
    let owner_name = owner.map_or_else(
        || words::name(pod, namespace.owner.container.as_deref().unwrap_or("?")),
        |owner| owner.name.clone(),
    );
    let joiners = words::others(pod, namespace);
    let joined = words::list(&joiners);
    let mut evidence = vec![
        format!("{kind} namespace {} is shared by {owner_name} and {joined}", namespace.inode),
        namespace.owner.why.clone(),
    ];
    if let Some(owner) = owner.filter(|owner| owner.init_pid != 0) {
        evidence.push(format!(
            "{owner_name} is pid {}{}",
            owner.init_pid,
            owner.started_at.as_ref().map(|at| format!(", started {at}")).unwrap_or_default()
        ));
    }
    Finding {
        id: stable_id("PNS001", node, kind, pod, owner),
        rule: "PNS001",
        name: "non-pause-owner",
        severity: if pod.origin == Origin::Unmanaged { Severity::Info } else { Severity::High },
        subject: Subject {
            pod: Some(pod.id.clone()),
            container: namespace.owner.container.clone(),
            namespace_kind: Some(kind),
            inode: Some(namespace.inode),
            pid: None,
        },
        message: format!("{owner_name}, an application, owns the {kind} namespace that {joined} joined"),
        evidence,
        consequence: consequence(kind, &owner_name, &joined, !namespace.holders.is_empty()),
        remedy: words::remedy(pod, kind, &owner_name, &joiners),
    }
}

fn consequence(kind: Kind, owner: &str, joined: &str, pinned: bool) -> String {
    if kind == Kind::Pid {
        return format!(
            "when {owner} exits, the kernel kills {joined} at once (SIGKILL, exit code 137): \
             {owner} is PID 1 of the PID namespace, and it dies with its PID 1"
        );
    }
    let kept = if pinned { "they (and the runtime's pin) keep it alive" } else { "they keep it alive" };
    format!(
        "when {owner} exits, {joined} live on in the old {kind} namespace ({kept}); \
         a restarted {owner} gets a new one, and they no longer share {}: a split brain until they are restarted, too",
        match kind {
            Kind::Net => "localhost, addresses and ports",
            Kind::Ipc => "shared memory, semaphores and message queues",
            _ => "a hostname",
        }
    )
}
