//! PNS004: containers of different declared pods share a namespace that is not the node's.

use std::collections::BTreeMap;

use super::{Judgement, Node, Rule, hash, note_unseen, of_container, words};
use crate::observation::{Kind, Origin};
use crate::view::{Class, Container, Finding, Pod, Severity};

pub(super) const RULE: Rule = Rule {
    id: "PNS004",
    name: "cross-pod-sharing",
    severity: Severity::High,
    fires: "containers of different declared pods share a non-host namespace",
    about: "A container of one pod is in a namespace of another pod. It reaches what is meant to be private there: \
            services on localhost, shared memory, other containers' processes. Neither pod's declaration shows it, \
            policies that are written for pods do not see it, and it ties the fates of the two pods together.",
    quiet: "Containers without a declared pod that share a namespace are one pod, and no finding. A single process \
            that came in is PNS006's matter.",
    undetermined: "It cannot tell of containers whose namespaces could not be read.",
    remedy: "Find out who made the intruder join, and restart it without that.",
    example: "runc run intruder # its config.json has the network namespace path /proc/PID/ns/net of another pod",
    judge,
};

type Sharers<'n> = Vec<(&'n Pod, &'n Container)>;

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    note_unseen(node, RULE.id, &Kind::POD, judgement);
    let mut sharers: BTreeMap<(Kind, u32), Sharers<'_>> = BTreeMap::new();
    for pod in node.pods.iter().filter(|pod| pod.origin != Origin::Unmanaged) {
        for container in pod.running().filter(|it| node.opaque(it).is_none()) {
            for (kind, inode) in container.namespaces.iter().filter(|(kind, _)| kind.makes_pod()) {
                if node.facts.host.is_host(*kind, *inode) == Some(false) {
                    sharers.entry((*kind, *inode)).or_default().push((pod, container));
                }
            }
        }
    }
    for ((kind, inode), sharers) in sharers {
        let Some((first, _)) = sharers.first() else { continue };
        if sharers.iter().all(|(pod, _)| pod.id == first.id) {
            continue;
        }
        let home = home(node, kind, inode, &sharers).unwrap_or(first);
        let at_home: Vec<String> = sharers
            .iter()
            .filter(|(pod, _)| pod.id == home.id)
            .map(|(_, container)| container.name.clone())
            .collect();
        for (pod, intruder) in sharers.iter().filter(|(pod, _)| pod.id != home.id) {
            judgement.findings.push(finding(node.name, (pod, intruder), (home, &at_home), kind, inode));
        }
    }
}

/// The pod that the namespace was made for: whose own container or sandbox owns it.
fn home<'n>(node: &Node<'n>, kind: Kind, inode: u32, sharers: &Sharers<'n>) -> Option<&'n Pod> {
    let owns = |pod: &Pod| {
        pod.namespaces.iter().filter(|it| it.kind == kind && it.inode == inode).any(|it| {
            it.owner.class == Class::RuntimePinned && it.owner.container.as_deref() == Some(&pod.id)
                || pod.containers.iter().any(|container| Some(&container.id) == it.owner.container.as_ref())
        })
    };
    let declared_own = |(_, container): &&(&'n Pod, &'n Container)| {
        container.declared.get(&kind).is_some_and(|word| word == "private" || word == "shareable")
    };
    let mut pods = node.pods.iter().map(|pod| &**pod);
    pods.find(|pod| owns(pod))
        .or_else(|| sharers.iter().find(declared_own).map(|(pod, _)| *pod))
        // Who was there first.
        .or_else(|| sharers.iter().min_by_key(|(_, it)| it.started_at.clone()).map(|(pod, _)| *pod))
}

fn finding(
    node: &str,
    (pod, intruder): (&Pod, &Container),
    (home, at_home): (&Pod, &[String]),
    kind: Kind,
    inode: u32,
) -> Finding {
    let (name, there) = (&intruder.name, words::pod(home));
    let with = words::list(at_home);
    Finding {
        id: hash(&[RULE.id, node, kind.name(), &words::pod(pod), name, &there]),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
        subject: of_container(pod, intruder, Some(kind)),
        message: format!("{name} of pod {} is in the {kind} namespace of pod {there}", words::pod(pod)),
        evidence: vec![
            format!(
                "{kind} namespace {inode} is that of {with} of pod {there}, and of {name} (pid {})",
                intruder.init_pid
            ),
            format!(
                "{name} declares {kind} {}",
                intruder.declared.get(&kind).map_or("nothing", String::as_str)
            ),
        ],
        consequence: format!(
            "{name} shares {} with {with}, which neither pod's declaration shows; what befalls that namespace befalls both pods",
            words::what_is_shared(kind)
        ),
        remedy: format!(
            "find out who made {name} join (its specification, or whoever called setns), and start it again with a {kind} \
             namespace of its own pod; if the two belong together, make them one pod"
        ),
    }
}
