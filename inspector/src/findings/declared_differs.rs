//! PNS008: what a container shares is more, or less, than what its runtime declares.

use super::{Judgement, Node, Rule, of_container, stable_id, words};
use crate::manifests::{Field, Manifest, Match};
use crate::observation::{Kind, Origin};
use crate::state::facts::SandboxState;
use crate::view::{Class, Container, Finding, Identity, Pod, Role, Severity, Subject, Undetermined};

pub(super) const RULE: Rule = Rule {
    id: "PNS008",
    name: "declared-differs",
    severity: Severity::Medium,
    fires: "actual sharing is more, or less, than what the runtime or Kubernetes declares",
    about: "The kernel's facts and the specification do not agree: a container that is declared to have a namespace of \
            its own is in the node's or in another container's, or one that is declared to share is alone. Whoever \
            reads the specification (a policy engine, an auditor) is deceived.",
    quiet: "Where a more specific rule says it: the declared partner lives in another namespace (PNS003), is gone \
            (PNS002, PNS012), or the other container is another pod's (PNS004).",
    undetermined: "It cannot tell of a container of which only a cgroup tells: what it declares is not known.",
    remedy: "Find out who moved the container's init, and start it again.",
    example: "docker run -d --name app --cap-add SYS_ADMIN --pid=host busybox nsenter -t 1 -n sleep 1d",
    judge,
};

fn judge(node: &Node<'_>, judgement: &mut Judgement) {
    for pod in node.pods.iter().filter(|pod| pod.origin != Origin::Unmanaged) {
        let manifest = match node.manifest(pod) {
            Some(Match::One(manifest)) => Some(manifest),
            Some(Match::Several(list)) => {
                let titles: Vec<String> =
                    list.iter().map(|it| format!("{} ({})", it.title(), it.file)).collect();
                judgement.undetermined.push(Undetermined {
                    rule: RULE.id,
                    subject: Subject { pod: Some(pod.id.clone()), ..Subject::default() },
                    why: format!("by its name each of {} could be its manifest", words::list(&titles)),
                });
                None
            }
            Some(Match::None) | None => None,
        };
        for container in pod.running() {
            if let Some(why) = node.opaque(container) {
                let subject = of_container(pod, container, None);
                judgement.undetermined.push(Undetermined { rule: RULE.id, subject, why });
                continue;
            }
            if container.identity == Identity::CgroupOnly {
                judgement.undetermined.push(Undetermined {
                    rule: RULE.id,
                    subject: of_container(pod, container, None),
                    why: format!("what {} declares is not known: only a cgroup tells of it", container.name),
                });
                continue;
            }
            let mut said = Vec::new();
            for (kind, declared) in container.declared.iter().filter(|(kind, _)| kind.makes_pod()) {
                let Some(inode) = container.namespaces.get(kind).copied() else {
                    judgement.undetermined.push(Undetermined {
                        rule: RULE.id,
                        subject: of_container(pod, container, Some(*kind)),
                        why: format!("the {kind} namespace of {} could not be read", container.name),
                    });
                    continue;
                };
                if let Some(actual) = difference(node, pod, container, *kind, declared, inode) {
                    judgement.findings.push(finding(node.name, pod, container, *kind, declared, &actual));
                    said.push(*kind);
                }
            }
            let Some(manifest) = manifest.filter(|_| container.role == Role::App) else { continue };
            for field in Field::ALL {
                let kind = field.kind();
                if said.contains(&kind) {
                    continue;
                }
                if let Some(actual) = unlike_manifest(node, pod, container, manifest, field) {
                    judgement.findings.push(of_manifest(node.name, pod, container, manifest, field, actual));
                    said.push(kind);
                }
            }
        }
    }
}

/// Where a container is instead of where it is declared to be; `None` where that is the same, or another rule's matter.
fn difference(
    node: &Node<'_>,
    pod: &Pod,
    container: &Container,
    kind: Kind,
    declared: &str,
    inode: u32,
) -> Option<String> {
    let host = node.facts.host.is_host(kind, inode);
    let in_host = || Some("the node's own".to_owned());
    match declared {
        "host" => (host == Some(false)).then(|| "one that is not the node's".to_owned()),
        "private" | "shareable" => {
            if host == Some(true) {
                return in_host();
            }
            let owner = pod.namespaces.iter().find(|it| it.kind == kind && it.inode == inode)?;
            let id = owner.owner.container.as_deref().filter(|id| *id != container.id)?;
            // Another pod's is PNS004's matter.
            let (_, other) = node.container(id).filter(|(of, _)| of.id == pod.id)?;
            Some(format!("that of {}", other.name))
        }
        "pod" => {
            let sandbox = node.sandbox(pod)?;
            if sandbox.state != SandboxState::ByDesign {
                return None;
            }
            let pinned =
                |it: &&crate::view::Namespace| it.owner.class == Class::RuntimePinned && it.kind == kind;
            let pinned = pod.namespaces.iter().find(pinned)?;
            (pinned.inode != inode).then(|| format!("{inode}, not the sandbox's {}", pinned.inode))
        }
        word if word.starts_with("container:") => {
            let partner = word.trim_start_matches("container:");
            let lives =
                node.container(partner).is_some_and(|(_, it)| it.state == crate::view::State::Running);
            (host == Some(true) && !lives).then(in_host).flatten()
        }
        _ => None,
    }
}

/// Where a container is, if its pod's manifest says otherwise; `None` also where that cannot be told.
fn unlike_manifest(
    node: &Node<'_>,
    pod: &Pod,
    container: &Container,
    manifest: &Manifest,
    field: Field,
) -> Option<&'static str> {
    let kind = field.kind();
    let inode = *container.namespaces.get(&kind)?;
    let in_host = node.facts.host.is_host(kind, inode)?;
    let said = manifest.says(field);
    match field {
        // Whether a pod that says nothing has a user namespace is for the cluster to decide.
        Field::HostUsers => (said == Some(false) && in_host).then_some("the node's own"),
        Field::ShareProcessNamespace => {
            // The node's own is hostPID's matter.
            if in_host || manifest.says(Field::HostPid) == Some(true) {
                return None;
            }
            let others = || {
                pod.running().filter(|it| it.id != container.id && matches!(it.role, Role::App | Role::Infra))
            };
            let is_with = |other: &Container| other.namespaces.get(&kind) == Some(&inode);
            if said == Some(true) {
                // Without a sandbox there is nothing to be in.
                let sandbox = others().find(|it| it.role == Role::Infra)?;
                let read = sandbox.namespaces.contains_key(&kind);
                (read && !is_with(sandbox)).then_some("one that is not its sandbox's")
            } else {
                others().any(is_with).then_some("one that it shares with others of its pod")
            }
        }
        Field::HostNetwork | Field::HostPid | Field::HostIpc => {
            let wanted = said.unwrap_or(false);
            let actual = if in_host { "the node's own" } else { "one that is not the node's" };
            (wanted != in_host).then_some(actual)
        }
    }
}

fn of_manifest(
    node: &str,
    pod: &Pod,
    container: &Container,
    manifest: &Manifest,
    field: Field,
    actual: &str,
) -> Finding {
    let (name, kind) = (&container.name, field.kind());
    Finding {
        id: stable_id(RULE.id, node, kind, pod, Some(container)),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
        subject: of_container(pod, container, Some(kind)),
        message: format!("{name} is in another {kind} namespace than its manifest says: {actual}"),
        evidence: vec![
            manifest.quote(field),
            format!(
                "its init (pid {}) is in {kind} namespace {}: {actual}",
                container.init_pid,
                container.namespaces.get(&kind).copied().unwrap_or_default()
            ),
        ],
        consequence: format!(
            "whoever goes by the manifest of {name} is wrong about whom it shares {} with",
            words::what_is_shared(kind)
        ),
        remedy: "find out whether the pod is older than the manifest, or something changed it on the way (an admission \
                 webhook, kubectl edit), and apply the manifest again, or correct it"
            .to_owned(),
    }
}

fn finding(
    node: &str,
    pod: &Pod,
    container: &Container,
    kind: Kind,
    declared: &str,
    actual: &str,
) -> Finding {
    let name = &container.name;
    let meant = match declared {
        "host" => "the node's own".to_owned(),
        "private" => "one of its own".to_owned(),
        "shareable" => "one of its own, offered to others".to_owned(),
        "pod" => "its pod's".to_owned(),
        other => other.to_owned(),
    };
    Finding {
        id: stable_id(RULE.id, node, kind, pod, Some(container)),
        rule: RULE.id,
        name: RULE.name,
        severity: RULE.severity,
        subject: of_container(pod, container, Some(kind)),
        message: format!("{name} is declared to be in {meant} {kind} namespace, and is in {actual}"),
        evidence: vec![
            format!("{name} declares {kind} {declared}"),
            format!(
                "its init (pid {}) is in {kind} namespace {}: {actual}",
                container.init_pid,
                container.namespaces.get(&kind).copied().unwrap_or_default()
            ),
        ],
        consequence: format!(
            "whoever goes by the specification of {name} is wrong about whom it shares {} with",
            words::what_is_shared(kind)
        ),
        remedy: format!(
            "find out what moved the init of {name} (its own program, or somebody with setns), and start it again; if it is \
             meant, declare it"
        ),
    }
}
