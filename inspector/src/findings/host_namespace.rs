//! PNS005: a container is in one of the node's own namespaces.

use super::{Judgement, Node, Rule, of_container, stable_id, words};
use crate::manifests::{Field, Match};
use crate::observation::{Kind, Origin};
use crate::view::{Container, Finding, Pod, Role, Severity, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS005",
    name: "host-namespace",
    severity: Severity::Medium,
    fires: "a container is in the host's net, pid, ipc, uts or mnt namespace",
    about: "Such a container is not contained in that respect. In the host's network namespace it sees all traffic and \
            reaches whatever listens on the node's localhost; in the host's PID namespace it sees every process, and \
            with the same uid or CAP_SYS_PTRACE reads their environment and files; in the host's mount namespace there \
            is nothing between it and the node's files. Some have to (a network plugin, kube-proxy, a node agent); \
            the finding lists who does.",
    quiet: "The infra container of a host-network pod is not reported beside the containers that it is there for, nor \
            is the host's UTS namespace, which comes with the host's network in Kubernetes.",
    undetermined: "It cannot tell where the node's own namespaces, or the container's, could not be read.",
    remedy: "Give it a namespace of its own, unless managing the node is its purpose.",
    example: "docker run -d --name agent --pid=host --net=host busybox sleep 1d",
    judge,
};

const KINDS: [Kind; 5] = [Kind::Mnt, Kind::Uts, Kind::Ipc, Kind::Pid, Kind::Net];

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    for pod in node.pods.iter().filter(|pod| pod.origin != Origin::Unmanaged) {
        for container in pod.running() {
            if let Some(why) = node.opaque(container) {
                let subject = of_container(pod, container, None);
                judgement.undetermined.push(Undetermined { rule: RULE.id, subject, why });
                continue;
            }
            for kind in KINDS {
                match in_host(node, container, kind) {
                    Some(true) if !is_said_already(node, pod, container, kind) => {
                        judgement.findings.push(finding(node, pod, container, kind));
                    }
                    Some(_) => {}
                    None => judgement.undetermined.push(Undetermined {
                        rule: RULE.id,
                        subject: of_container(pod, container, Some(kind)),
                        why: format!(
                            "the {kind} namespace of {}, or the node's own, could not be read",
                            container.name
                        ),
                    }),
                }
            }
        }
    }
}

fn in_host(node: &Node<'_>, container: &Container, kind: Kind) -> Option<bool> {
    node.facts.host.is_host(kind, *container.namespaces.get(&kind)?)
}

fn is_said_already(node: &Node<'_>, pod: &Pod, container: &Container, kind: Kind) -> bool {
    let others = || pod.running().filter(|other| other.id != container.id);
    let for_another =
        container.role == Role::Infra && others().any(|other| in_host(node, other, kind) == Some(true));
    let host_network_pod = kind == Kind::Uts
        && pod.origin == Origin::Kubernetes
        && in_host(node, container, Kind::Net) == Some(true);
    for_another || host_network_pod
}

fn finding(node: &Node<'_>, pod: &Pod, container: &Container, kind: Kind) -> Finding {
    let name = &container.name;
    let declared = container.declared.get(&kind);
    let mut evidence = vec![
        format!(
            "{name} (pid {}) is in {kind} namespace {}, the node's own",
            container.init_pid,
            container.namespaces.get(&kind).copied().unwrap_or_default()
        ),
        match declared {
            Some(word) => format!("it declares {kind} {word}"),
            None => "no runtime says what it declares".to_owned(),
        },
    ];
    if let (Some(Match::One(manifest)), Some(field)) = (node.manifest(pod), Field::of_host(kind)) {
        evidence.push(manifest.quote(field));
    }
    Finding {
        id: stable_id(RULE.id, node.name, kind, pod, Some(container)),
        rule: RULE.id,
        name: RULE.name,
        severity: if matches!(kind, Kind::Pid | Kind::Mnt) { Severity::High } else { RULE.severity },
        subject: of_container(pod, container, Some(kind)),
        message: format!("{name} is in the node's own {kind} namespace"),
        evidence,
        consequence: match kind {
            Kind::Net => format!(
                "{name} sees the node's traffic, reaches what listens on its localhost, and its ports are the node's"
            ),
            Kind::Pid => format!(
                "{name} sees every process of the node; with the same uid or CAP_SYS_PTRACE it reads their environment and files, and may signal them"
            ),
            Kind::Ipc => format!(
                "{name} reaches the System V shared memory, semaphores and message queues of the node"
            ),
            Kind::Uts => {
                format!("{name} sees the node's host name, and with CAP_SYS_ADMIN changes it for all")
            }
            _ => format!("nothing is between {name} and the node's files"),
        },
        remedy: format!("unless managing the node is its purpose, {}", words::own_namespace(pod, kind)),
    }
}
