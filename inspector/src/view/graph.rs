//! What a picture of pods shows: containers, and what each has of every kind of namespace.

use std::collections::BTreeMap;

use super::{Class, Container, Finding, Namespace, Pod, PodList, Role, Severity, State, Verdict};
use crate::observation::{HostNamespaces, Kind};

/// A picture before it is drawn.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// The node's name.
    pub node: String,
    /// When it was seen, RFC 3339.
    pub time: Option<String>,
    /// Whether something that could change a verdict could not be read.
    pub partial: bool,
    /// Its pods.
    pub pods: Vec<GraphPod>,
}

/// A pod in a picture.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphPod {
    /// With its Kubernetes namespace.
    pub name: String,
    /// The judgement.
    pub verdict: Verdict,
    /// What made it.
    pub origin: &'static str,
    /// Its containers, as the pod has them.
    pub containers: Vec<GraphContainer>,
    /// The namespaces that its containers share, or that outlived their owner.
    pub namespaces: Vec<GraphNamespace>,
    /// What is wrong: severity, rule, and how often.
    pub findings: Vec<(Severity, &'static str, &'static str, usize)>,
}

/// A container in a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphContainer {
    /// Its name.
    pub name: String,
    /// What it is in its pod.
    pub role: Role,
    /// Whether it lives.
    pub alive: bool,
    /// Its init.
    pub pid: u32,
    /// What it has of each kind, in the order of [`Kind::ALL`].
    pub cells: [Cell; 8],
}

/// What a container has of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// A namespace that others share, made for it.
    Owner(Class),
    /// One that was made for another, of this class.
    Member(Class),
    /// One of its own.
    Own,
    /// The node's.
    Host,
    /// Not known, or it is dead.
    Nothing,
}

/// A shared namespace in a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraphNamespace {
    /// Its kind.
    pub kind: Kind,
    /// Its inode.
    pub inode: u32,
    /// What its owner is.
    pub class: Class,
    /// Its owner's name, where anything names it.
    pub owner_name: Option<String>,
    /// Its owner's place in the pod, where it is in there.
    pub owner: Option<usize>,
    /// Whether its owner lives.
    pub alive: bool,
    /// The places of those who are in it.
    pub members: Vec<usize>,
}

/// Makes the picture of a list of pods.
#[must_use]
pub fn graph(list: &PodList, host: &HostNamespaces, findings_only: bool) -> Graph {
    let pods = list
        .pods
        .iter()
        .map(|pod| {
            let about = list.findings.iter().filter(|it| it.subject.pod.as_ref() == Some(&pod.id));
            self::pod(pod, about, host)
        })
        .filter(|pod| !findings_only || !pod.findings.is_empty())
        .collect();
    Graph { node: list.node.name.clone(), time: list.node.time.clone(), partial: list.coverage.partial, pods }
}

fn pod<'f>(pod: &Pod, about: impl Iterator<Item = &'f Finding>, host: &HostNamespaces) -> GraphPod {
    let mut findings: BTreeMap<(Severity, &str, &str), usize> = BTreeMap::new();
    for finding in about {
        *findings.entry((finding.severity, finding.rule, finding.name)).or_default() += 1;
    }
    let namespaces: Vec<GraphNamespace> =
        pod.namespaces.iter().filter(|it| it.is_shared()).map(|it| namespace(pod, it)).collect();
    GraphPod {
        name: match &pod.namespace {
            Some(namespace) => format!("{namespace}/{}", pod.name),
            None => pod.name.clone(),
        },
        verdict: pod.verdict,
        origin: pod.origin.name(),
        containers: pod.containers.iter().map(|it| container(pod, it, host)).collect(),
        namespaces,
        findings: findings
            .into_iter()
            .map(|((severity, rule, name), count)| (severity, rule, name, count))
            .collect(),
    }
}

fn namespace(pod: &Pod, it: &Namespace) -> GraphNamespace {
    let place = |id: &String| pod.containers.iter().position(|container| container.id == *id);
    let owner = it.owner.container.as_ref().and_then(place);
    GraphNamespace {
        kind: it.kind,
        inode: it.inode,
        class: it.owner.class,
        owner_name: owner
            .and_then(|at| pod.containers.get(at))
            .map(|container| container.name.clone())
            .or_else(|| it.owner.container.as_ref().map(|id| id.chars().take(12).collect())),
        owner,
        alive: it.owner.alive,
        members: it.shared_by.iter().filter_map(place).collect(),
    }
}

fn container(pod: &Pod, it: &Container, host: &HostNamespaces) -> GraphContainer {
    let cell = |kind: Kind| {
        let Some(inode) = it.namespaces.get(&kind).copied() else { return Cell::Nothing };
        if host.is_host(kind, inode) == Some(true) {
            return Cell::Host;
        }
        let shared = pod.namespaces.iter().find(|ns| ns.kind == kind && ns.inode == inode && ns.is_shared());
        match shared {
            Some(ns) if ns.owner.container.as_ref() == Some(&it.id) && ns.owner.alive => {
                Cell::Owner(ns.owner.class)
            }
            Some(ns) => Cell::Member(ns.owner.class),
            None => Cell::Own,
        }
    };
    GraphContainer {
        name: it.name.clone(),
        role: it.role,
        alive: it.state == State::Running,
        pid: it.init_pid,
        cells: Kind::ALL.map(cell),
    }
}
