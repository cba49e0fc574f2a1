//! PNS011: the init of a PID namespace lets zombies pile up.

use super::{Judgement, Node, Rule, note_unseen, stable_id, words};
use crate::observation::{Kind, Origin};
use crate::state::facts::Zombies;
use crate::view::{Finding, Severity, Subject};

pub(super) const RULE: Rule = Rule {
    id: "PNS011",
    name: "unreaped-zombies",
    severity: Severity::Medium,
    fires: "the PID namespace's init lets zombies pile up",
    about: "PID 1 inherits every orphan of its PID namespace and has to reap the dead. A program that was not written to \
            be an init does not: each dead child stays as a zombie and keeps its pid, until the cgroup's limit of pids \
            is reached and nothing can start any more, an exec into the container included.",
    quiet: "Up to 15 zombies are passing ones. Those whose parent is another process than the namespace's init are that \
            one's affair.",
    undetermined: "It cannot tell of a container whose PID namespace could not be read.",
    remedy: "Put an init in front: docker run --init, catatonit, tini, or a pod with a shared PID namespace and a pause.",
    example: "docker run -d --name leaky busybox sh -c 'for i in $(seq 20); do (sleep 1 &) ; done; exec sleep 1d'",
    judge,
};

/// From so many on it is a pile.
const PILE: u32 = 16;

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    note_unseen(node, RULE.id, &[Kind::Pid], judgement);
    let piles = node.facts.zombies.iter().filter(|zombies| zombies.count >= PILE);
    judgement.findings.extend(piles.filter_map(|zombies| finding(node, zombies)));
}

fn finding(node: &Node<'_>, zombies: &Zombies) -> Option<Finding> {
    let (pod, container) = node.container(&zombies.container)?;
    let (name, count) = (&container.name, zombies.count);
    Some(Finding {
        id: stable_id(RULE.id, node.name, Kind::Pid, pod, Some(container)),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
        subject: Subject {
            pod: Some(pod.id.clone()),
            container: Some(container.id.clone()),
            namespace_kind: Some(Kind::Pid),
            inode: Some(zombies.inode),
            pid: None,
        },
        message: format!("{name} is PID 1 of its PID namespace and has not reaped {count} dead children"),
        evidence: vec![format!(
            "{count} zombies have process {} ({}) for a parent, the init of PID namespace {}",
            zombies.pid, zombies.comm, zombies.inode
        )],
        consequence: format!(
            "each keeps a pid: once {} limit of pids is reached, nothing can start in there any more",
            words::possessive(name)
        ),
        remedy: match pod.origin {
            Origin::Kubernetes => {
                "run an init in the image (tini, dumb-init), or set shareProcessNamespace: true, so that the pause reaps".to_owned()
            }
            Origin::Docker => format!("run {name} with --init, or start its program by tini or dumb-init"),
            Origin::Compose => format!("set init: true for {name} in the compose file"),
            Origin::Podman => format!("run {name} with --init, or start its program by catatonit or tini"),
            _ => format!("start {name} by an init that reaps (tini, catatonit)"),
        },
    })
}
