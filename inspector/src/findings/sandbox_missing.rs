//! PNS012: a declared pod's infra container is gone, or never ran.

use super::{Judgement, Node, Rule, hash, words};
use crate::observation::{Kind, Origin};
use crate::state::facts::SandboxState;
use crate::view::{Finding, Pod, Severity, Subject, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS012",
    name: "sandbox-missing",
    severity: Severity::High,
    fires: "a declared pod's infra container is gone, or never ran",
    about: "The pod's namespaces were made for its sandbox (the pause container), and that has died or was removed \
            while containers of the pod live on. The pod is broken, even if it looks well: Kubernetes will replace the \
            whole pod as soon as it notices, a container that restarts can not join the others, and after a `kill -9` \
            of the pause a shared PID namespace would be gone at once.",
    quiet: "A sandbox without a process by design (CRI-O with drop_infra_ctr, Podman with --infra=false or an empty \
            --share) is not missing; nor is one that a newer sandbox of the same pod has replaced, or whose pod has no \
            living container.",
    undetermined: "It cannot tell where only cgroups tell of the pod, or its runtime does not say what holds it.",
    remedy: "Have the pod made anew: delete it (Kubernetes), or stop and start it (Podman).",
    example: "kill -9 \"$(crictl inspectp -o go-template --template '{{.info.pid}}' POD)\"",
    judge,
};

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    for pod in node.pods {
        if let Some((container, why)) = node.missing_sandbox(pod) {
            judgement.findings.push(finding(node.name, pod, container, why));
        } else if pod.running().next().is_some()
            && let Some(why) = unknown(node, pod)
        {
            judgement.undetermined.push(Undetermined {
                rule: RULE.id,
                subject: Subject { pod: Some(pod.id.clone()), ..Subject::default() },
                why,
            });
        }
    }
}

fn unknown(node: &Node<'_>, pod: &Pod) -> Option<String> {
    match node.sandbox(pod).map(|sandbox| &sandbox.state) {
        Some(SandboxState::Unknown) => Some("its runtime does not say what holds the pod".to_owned()),
        None if pod.origin == Origin::Kubernetes => {
            Some("only cgroups tell of the pod: no runtime says what its sandbox is".to_owned())
        }
        _ => None,
    }
}

fn finding(node: &str, pod: &Pod, container: &str, why: &str) -> Finding {
    let place = words::pod(pod);
    let members: Vec<String> = pod.running().map(|it| it.name.clone()).collect();
    let lost: Vec<Kind> = pod
        .namespaces
        .iter()
        .filter(|it| it.owner.container.as_deref() == Some(container) && !it.owner.alive)
        .map(|it| it.kind)
        .collect();
    let kinds: Vec<String> = lost.iter().map(|kind| kind.to_string()).collect();
    let short: String = container.chars().take(12).collect();
    let mut evidence = vec![format!("its sandbox is {short}: {why}")];
    evidence.extend(
        pod.namespaces
            .iter()
            .filter(|it| lost.contains(&it.kind) && !it.owner.alive)
            .map(|it| format!("{} namespace {} was made for it: {}", it.kind, it.inode, it.owner.why)),
    );
    let members = words::list(&members);
    Finding {
        id: hash(&[RULE.id, node, &place, "sandbox"]),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
        subject: Subject {
            pod: Some(pod.id.clone()),
            container: Some(container.to_owned()),
            ..Subject::default()
        },
        message: format!(
            "the sandbox of pod {place} is missing, and {members} run{} without it",
            if pod.running().count() == 1 { "s" } else { "" }
        ),
        evidence,
        consequence: if kinds.is_empty() {
            format!("whatever starts in the pod from now on does not share namespaces with {members}")
        } else {
            format!(
                "{members} keep{} the orphaned {} of the sandbox; whatever starts in the pod from now on gets others",
                if pod.running().count() == 1 { "s" } else { "" },
                words::list(&kinds)
            )
        },
        remedy: match pod.origin {
            Origin::Kubernetes => {
                let namespace = pod.namespace.as_deref().unwrap_or("default");
                format!(
                    "delete the pod (kubectl delete pod -n {namespace} {}); its controller makes a new one",
                    pod.name
                )
            }
            Origin::Podman => format!("stop and start the pod: podman pod restart {}", pod.name),
            _ => "stop what is left of the pod, and start it anew".to_owned(),
        },
    }
}
