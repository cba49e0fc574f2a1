//! PNS003: containers that are declared to share a namespace are in different ones (a restarted owner).

use super::{stable_id, words};
use crate::observation::Kind;
use crate::view::{Container, Finding, Namespace, Pod, Severity, State, Subject};

/// Checks every living joiner against the container that its declaration names.
pub(super) fn check(node: &str, pods: &[Pod]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for pod in pods {
        for joiner in pod.containers.iter().filter(|container| container.state == State::Running) {
            for (kind, declared) in joiner.declared.iter().filter(|(kind, _)| kind.makes_pod()) {
                let Some(partner) = declared.strip_prefix("container:").and_then(|id| living(pods, id))
                else {
                    continue;
                };
                let (Some(mine), Some(theirs)) = (joiner.namespaces.get(kind), partner.namespaces.get(kind))
                else {
                    continue;
                };
                if mine != theirs {
                    findings.push(finding(node, pod, joiner, partner, *kind, (*mine, *theirs)));
                }
            }
        }
    }
    findings
}

/// Whether the owner of this namespace lives on in another one.
pub(super) fn is_split(namespace: &Namespace, pods: &[Pod]) -> bool {
    namespace.owner.container.as_deref().and_then(|id| living(pods, id)).is_some_and(|owner| {
        owner.namespaces.get(&namespace.kind).is_some_and(|inode| *inode != namespace.inode)
    })
}

fn living<'p>(pods: &'p [Pod], id: &str) -> Option<&'p Container> {
    pods.iter().flat_map(|pod| &pod.containers).find(|it| it.id == id && it.state == State::Running)
}

fn finding(
    node: &str,
    pod: &Pod,
    joiner: &Container,
    partner: &Container,
    kind: Kind,
    (mine, theirs): (u32, u32),
) -> Finding {
    let (joins, joined) = (&joiner.name, &partner.name);
    Finding {
        id: stable_id("PNS003", node, kind, pod, Some(joiner)),
        rule: "PNS003",
        name: "split-brain",
        severity: Severity::Critical,
        subject: Subject {
            pod: Some(pod.id.clone()),
            container: Some(joiner.id.clone()),
            namespace_kind: Some(kind),
            inode: Some(mine),
            pid: None,
        },
        message: format!("{joins} is meant to share the {kind} namespace of {joined}, and is in another one"),
        evidence: vec![
            format!("{joins} declares {kind} container:{}", partner.id),
            format!("{joins} (pid {}) is in {kind} namespace {mine}", joiner.init_pid),
            format!(
                "{joined} (pid {}{}) is in {kind} namespace {theirs}",
                partner.init_pid,
                partner.started_at.as_ref().map(|at| format!(", started {at}")).unwrap_or_default()
            ),
        ],
        consequence: format!(
            "{joins} and {joined} do not share {}: {joins} is still where {joined} was before it was started again",
            words::what_is_shared(kind),
        ),
        remedy: format!(
            "restart {joins}, so that it joins the namespace that {joined} has now; a pause container as owner keeps this \
             from happening again"
        ),
    }
}
