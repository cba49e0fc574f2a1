//! What is wrong with a snapshot. One rule a file; each is a pure function of what is known of the node, and says
//! where it *fires* and where it *cannot tell*; of everything else it holds that nothing is wrong.

mod cross_pod_sharing;
mod declared_differs;
mod foreign_process;
mod host_namespace;
mod non_pause_owner;
mod orphaned_namespace;
mod owner_gone;
mod rule;
mod sandbox_missing;
mod shared_pid_exposure;
mod shared_volume;
mod split_brain;
#[cfg(test)]
mod tests;
mod unreaped_zombies;
mod words;

use std::collections::HashMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use rule::{RULES, Rule, find as rule};

use crate::manifests::{Manifests, Match};
use crate::observation::{Kind, Origin};
use crate::state::facts::{Facts, Sandbox, SandboxState};
use crate::view::{Container, Finding, Namespace, Pod, State, Subject, Undetermined};

/// What the rules judge.
#[derive(Debug)]
pub struct Node<'a> {
    /// The node's name.
    name: &'a str,
    /// Its pods, all of them.
    pods: &'a [Arc<Pod>],
    /// What else is known.
    facts: &'a Facts,
    /// What Kubernetes was told, where somebody says.
    manifests: Option<&'a Manifests>,
    /// Each pod by its id.
    pods_by_id: HashMap<&'a str, &'a Pod>,
    /// Each container by its id; of several with one id the living one.
    by_id: HashMap<&'a str, (&'a Pod, &'a Container)>,
}

/// What the rules say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Judgement {
    /// What is wrong: worst first, then by pod, rule and kind.
    pub findings: Vec<Finding>,
    /// What could not be judged, by rule and subject.
    pub undetermined: Vec<Undetermined>,
}

/// Judges a node by every rule.
#[must_use]
pub fn evaluate(node: &Node<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    for rule in &RULES {
        rule.check(node, &mut judgement);
    }
    for finding in &mut judgement.findings {
        let pod = finding.subject.pod.as_deref().and_then(|id| node.pod(id));
        if let Some(Match::One(manifest)) = pod.and_then(|pod| node.manifest(pod)) {
            finding.remedy += &format!("; its manifest: {} ({})", manifest.title(), manifest.file);
        }
        if let Some(unit) = pod.and_then(words::unit) {
            finding.remedy += &format!("; by its cgroup it is of the unit {unit}");
        }
    }
    judgement.findings.sort_by_cached_key(|finding| {
        (
            finding.severity,
            finding.subject.pod.clone(),
            finding.rule,
            finding.subject.namespace_kind,
            finding.id.clone(),
        )
    });
    judgement.undetermined.sort_by_cached_key(|it| {
        (
            it.rule,
            it.subject.pod.clone(),
            it.subject.namespace_kind,
            it.subject.container.clone(),
            it.why.clone(),
        )
    });
    judgement.undetermined.dedup();
    judgement
}

impl<'a> Node<'a> {
    /// A node of this name, with all of its pods and what else is known.
    #[must_use]
    pub fn new(name: &'a str, pods: &'a [Arc<Pod>], facts: &'a Facts) -> Self {
        let mut by_id: HashMap<&str, (&Pod, &Container)> = HashMap::new();
        for pod in pods {
            for container in &pod.containers {
                let slot = by_id.entry(&container.id).or_insert((pod, container));
                if slot.1.state != State::Running && container.state == State::Running {
                    *slot = (pod, container);
                }
            }
        }
        let pods_by_id = pods.iter().map(|pod| (pod.id.as_str(), &**pod)).collect();
        Self { name, pods, facts, manifests: None, pods_by_id, by_id }
    }

    /// The same, with what Kubernetes was told.
    #[must_use]
    pub const fn with_manifests(mut self, manifests: &'a Manifests) -> Self {
        self.manifests = Some(manifests);
        self
    }

    /// What the manifests say of a pod; `None` where there are none, or it is not Kubernetes'.
    fn manifest(&self, pod: &Pod) -> Option<Match<'a>> {
        let manifests = self.manifests.filter(|_| pod.origin == Origin::Kubernetes)?;
        Some(manifests.of(pod.namespace.as_deref(), &pod.name, self.name))
    }

    /// A pod.
    fn pod(&self, id: &str) -> Option<&'a Pod> {
        self.pods_by_id.get(id).copied()
    }

    /// The pod that has a container, and the container.
    fn container(&self, id: &str) -> Option<(&'a Pod, &'a Container)> {
        self.by_id.get(id).copied()
    }

    /// A container, if it lives.
    fn living(&self, id: &str) -> Option<&'a Container> {
        self.container(id).map(|(_, container)| container).filter(|it| it.state == State::Running)
    }

    /// Why the host's namespaces say nothing about a container's processes, if that is so.
    fn opaque(&self, container: &Container) -> Option<String> {
        let why = self.facts.opaque.get(&container.id)?;
        Some(format!("the host's namespaces say nothing about {}: {why}", container.name))
    }

    /// Why a container's namespaces of these kinds tell nothing: they were not read, or its processes run on another
    /// kernel than this one.
    fn unseen(&self, container: &Container, kinds: &[Kind]) -> Option<String> {
        if let Some(why) = self.opaque(container) {
            return Some(why);
        }
        let unread: Vec<&str> = kinds
            .iter()
            .filter(|kind| !container.namespaces.contains_key(kind))
            .map(|kind| kind.name())
            .collect();
        let plural = if unread.len() == 1 { "namespace" } else { "namespaces" };
        (!unread.is_empty())
            .then(|| format!("the {} {plural} of {} could not be read", unread.join(", "), container.name))
    }

    /// Its sandbox, where it is a declared pod.
    fn sandbox(&self, pod: &Pod) -> Option<&Sandbox> {
        let at = self.facts.sandboxes.binary_search_by(|it| it.pod.as_str().cmp(&pod.id)).ok()?;
        self.facts.sandboxes.get(at)
    }

    /// Whether the owner of a namespace is a sandbox that is missing, which says more than that its owner is gone.
    fn is_of_missing_sandbox(&self, pod: &Pod, namespace: &Namespace) -> bool {
        self.missing_sandbox(pod).is_some_and(|(container, _)| {
            namespace.owner.container.as_deref() == Some(container) && !namespace.owner.alive
        })
    }

    /// The infra container that a pod with living members lacks, and what became of it.
    fn missing_sandbox(&self, pod: &Pod) -> Option<(&str, &str)> {
        let sandbox = self.sandbox(pod).filter(|sandbox| !sandbox.superseded)?;
        let SandboxState::Missing { container, why } = &sandbox.state else { return None };
        pod.running().any(|it| it.id != *container).then_some((container, why))
    }
}

/// A container, and the kind of its namespace that something is wrong with.
fn of_container(pod: &Pod, container: &Container, kind: Option<Kind>) -> Subject {
    Subject {
        pod: Some(pod.id.clone()),
        container: Some(container.id.clone()),
        namespace_kind: kind,
        inode: kind.and_then(|kind| container.namespaces.get(&kind).copied()),
        pid: None,
    }
}

/// Notes for a rule what it could not see of the containers of runtimes: their namespaces of these kinds.
fn note_unseen(node: &Node<'_>, rule: &'static str, kinds: &[Kind], judgement: &mut Judgement) {
    for pod in node.pods.iter().filter(|pod| pod.origin != Origin::Unmanaged) {
        for container in pod.running() {
            if let Some(why) = node.unseen(container, kinds) {
                let subject = of_container(pod, container, None);
                judgement.undetermined.push(Undetermined { rule, subject, why });
            }
        }
    }
}

/// An id that survives restarts: made of names, never of pids, inodes or container ids.
fn stable_id(rule: &str, node: &str, kind: Kind, pod: &Pod, container: Option<&Container>) -> String {
    let cgroup = container
        .filter(|_| pod.origin == Origin::Unmanaged)
        .map(|it| it.cgroup.as_deref().unwrap_or_default());
    let mut parts = vec![
        rule,
        node,
        kind.name(),
        pod.namespace.as_deref().unwrap_or_default(),
        &pod.name,
        container.map_or("", |container| container.name.as_str()),
    ];
    parts.extend(cgroup);
    hash(&parts)
}

/// The same of what else names a finding's subject.
fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        // The length keeps ("ab", "c") apart from ("a", "bc").
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
