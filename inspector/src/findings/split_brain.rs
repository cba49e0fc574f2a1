//! PNS003: containers that are declared to share a namespace are in different ones (a restarted owner).

use super::{Judgement, Node, Rule, stable_id, words};
use crate::observation::Kind;
use crate::state::facts::SandboxState;
use crate::view::{Container, Finding, Identity, Namespace, Pod, Severity, Subject, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS003",
    name: "split-brain",
    severity: Severity::Critical,
    fires: "containers declared to share a namespace are in different ones (a restarted owner)",
    about: "The container that others joined was started again, and got a new namespace, while those that had joined \
            it stayed where they were. Everything looks as configured: `docker inspect` still shows \
            `container:nginx`. But they no longer share localhost, an address or shared memory, and a health check of \
            one says nothing about the other.",
    quiet: "A container that its declaration leads to nobody alive is PNS002's matter.",
    undetermined: "It cannot tell when the namespaces of one of the two could not be read, nor of a container of which only \
                   a cgroup tells.",
    remedy: "Restart those that joined; let a pause container own the namespace from then on.",
    example: "docker run -d --name nginx nginx\n\
              docker run -d --name busybox --net=container:nginx busybox sleep 1d\n\
              docker restart nginx",
    judge,
};

/// Checks every living joiner against the container that its declaration names.
fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    for pod in node.pods {
        for joiner in pod.running() {
            let unknown = (joiner.identity == Identity::CgroupOnly)
                .then(|| format!("what {} declares is not known: only a cgroup tells of it", joiner.name));
            let opaque = || node.opaque(joiner);
            if let Some(why) = unknown.or_else(opaque) {
                let subject = super::of_container(pod, joiner, None);
                judgement.undetermined.push(Undetermined { rule: RULE.id, subject, why });
                continue;
            }
            for (kind, declared) in joiner.declared.iter().filter(|(kind, _)| kind.makes_pod()) {
                let Some(partner) = partner(node, pod, declared).filter(|partner| partner.id != joiner.id)
                else {
                    continue;
                };
                match (joiner.namespaces.get(kind), partner.namespaces.get(kind)) {
                    (Some(mine), Some(theirs)) if mine != theirs => {
                        let inodes = (*mine, *theirs);
                        judgement.findings.push(finding(node.name, pod, joiner, partner, *kind, inodes));
                    }
                    (Some(_), Some(_)) => {}
                    _ => judgement.undetermined.push(Undetermined {
                        rule: RULE.id,
                        subject: super::of_container(pod, joiner, Some(*kind)),
                        why: format!(
                            "the {kind} namespace of {} or of {} could not be read",
                            joiner.name, partner.name
                        ),
                    }),
                }
            }
        }
    }
}

/// The living container that a declaration leads to.
fn partner<'n>(node: &Node<'n>, pod: &Pod, declared: &str) -> Option<&'n Container> {
    if let Some(id) = declared.strip_prefix("container:") {
        return node.living(id);
    }
    if declared != "pod" {
        return None;
    }
    match &node.sandbox(pod)?.state {
        SandboxState::Running(container) => node.living(container),
        _ => None,
    }
}

/// Whether the owner of this namespace lives on in another one.
pub(super) fn is_split(node: &Node<'_>, namespace: &Namespace) -> bool {
    namespace.owner.container.as_deref().and_then(|id| node.living(id)).is_some_and(|owner| {
        owner.namespaces.get(&namespace.kind).is_some_and(|inode| *inode != namespace.inode)
    })
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
        id: stable_id(RULE.id, node, kind, pod, Some(joiner)),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
        subject: Subject {
            pod: Some(pod.id.clone()),
            container: Some(joiner.id.clone()),
            namespace_kind: Some(kind),
            inode: Some(mine),
            pid: None,
        },
        message: format!("{joins} is meant to share the {kind} namespace of {joined}, and is in another one"),
        evidence: vec![
            format!("{joins} declares {kind} {}", joiner.declared.get(&kind).map_or("?", String::as_str)),
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
