//! PNS002: the owner of a namespace has exited and members live on in it.

use super::{stable_id, words};
use crate::view::{Class, Evidence, Finding, Namespace, Pod, Severity, Subject};

/// Checks one pod. The owner may stand in another pod of the list: started again, it is another incarnation.
pub(super) fn check(node: &str, pod: &Pod, pods: &[Pod]) -> Vec<Finding> {
    pod.namespaces
        .iter()
        .filter(|namespace| namespace.kind.makes_pod() && !namespace.shared_by.is_empty())
        .filter(|namespace| !namespace.owner.alive && namespace.owner.evidence == Evidence::Declared)
        .filter(|namespace| namespace.owner.class != Class::RuntimePinned)
        // Declared partner alive elsewhere: the split brain (PNS003) is the more specific truth.
        .filter(|namespace| !super::split_brain::is_split(namespace, pods))
        .map(|namespace| finding(node, pod, namespace))
        .collect()
}

fn finding(node: &str, pod: &Pod, namespace: &Namespace) -> Finding {
    let kind = namespace.kind;
    let id = namespace.owner.container.as_deref().unwrap_or("?");
    let owner = words::name(pod, id);
    let others = words::others(pod, namespace);
    let (members, live) = (words::list(&others), words::live(&others));
    let keep = if others.len() == 1 { "keeps" } else { "keep" };
    Finding {
        id: stable_id("PNS002", node, kind, pod, words::owner(pod, namespace)),
        rule: "PNS002",
        name: "owner-gone",
        severity: Severity::High,
        subject: Subject::owner_of(namespace, pod),
        message: format!(
            "{owner}, which the {kind} namespace was made for, is gone, and {members} {live} on in it"
        ),
        evidence: vec![
            format!("{kind} namespace {} is held by {members} alone", namespace.inode),
            namespace.owner.why.clone(),
        ],
        consequence: format!(
            "{members} {keep} an orphaned {kind} namespace: {owner} started again gets a new one and shares no {} with {members}",
            words::what_is_shared(kind),
        ),
        remedy: format!(
            "start {owner} again, then restart {members}, so that all are in one namespace; to keep it from happening again, {}",
            words::remedy(pod, &[kind], &owner, &others)
        ),
    }
}
