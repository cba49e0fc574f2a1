//! PNS002: the owner of a namespace has exited and members live on in it.

use super::{Judgement, Node, Rule, note_unseen, stable_id, words};
use crate::observation::Kind;
use crate::view::{Class, Evidence, Finding, Namespace, Pod, Severity, Subject, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS002",
    name: "owner-gone",
    severity: Severity::High,
    fires: "the owner of a shared namespace has exited and members live on in it",
    about: "The container that the namespace was made for is gone, and whoever joined it is still in there: with the \
            addresses, ports or shared memory of a container that no longer runs. Nobody configures such a namespace \
            any more, and the owner, once started again, gets a new one.",
    quiet: "Where the owner runs again in another namespace, PNS003 says so instead; where it was a pod's sandbox, \
            PNS012 does. A sandbox without a process by design (CRI-O's) is no owner that is gone.",
    undetermined: "It cannot tell when nothing says whom the namespace was made for, nor of a container whose namespaces \
                   could not be read.",
    remedy: "Start the owner again, then restart the members.",
    example: "docker run -d --name nginx nginx\n\
              docker run -d --name busybox --net=container:nginx busybox sleep 1d\n\
              docker stop nginx",
    judge,
};

/// The owner may stand in another pod of the list: started again, it is another incarnation.
fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    note_unseen(node, RULE.id, &Kind::POD, judgement);
    for pod in node.pods {
        let orphaned = pod
            .namespaces
            .iter()
            .filter(|namespace| namespace.kind.makes_pod() && !namespace.shared_by.is_empty())
            .filter(|namespace| !namespace.owner.alive && namespace.owner.class != Class::RuntimePinned);
        for namespace in orphaned {
            if !matches!(namespace.owner.evidence, Evidence::Declared | Evidence::Observed) {
                judgement.undetermined.push(Undetermined {
                    rule: RULE.id,
                    subject: Subject::owner_of(namespace, pod),
                    why: namespace.owner.why.clone(),
                });
            } else if !super::split_brain::is_split(node, namespace)
                && !node.is_of_missing_sandbox(pod, namespace)
            {
                judgement.findings.push(finding(node.name, pod, namespace));
            }
        }
    }
}

fn finding(node: &str, pod: &Pod, namespace: &Namespace) -> Finding {
    let kind = namespace.kind;
    let id = namespace.owner.container.as_deref().unwrap_or("?");
    let owner = words::name(pod, id);
    let others = words::others(pod, namespace);
    let (members, live) = (words::list(&others), words::live(&others));
    let keep = if others.len() == 1 { "keeps" } else { "keep" };
    Finding {
        id: stable_id(RULE.id, node, kind, pod, words::owner(pod, namespace)),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
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
