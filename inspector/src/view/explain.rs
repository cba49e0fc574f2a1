//! Puts an explanation together: pure, from what was seen and what was made of it.

use std::collections::{BTreeSet, HashMap};

use super::cost::infra_cost;
use super::explanation::{
    Explanation, IfDies, Listener, NamespaceName, Network, OrphanedNamespace, Sharing, Started, TargetInfo,
    Victim, Visible,
};
use crate::findings::Judgement;
use crate::observation::{Kind, Observation, Origin};
use crate::state::blast::{self, Death};
use crate::state::facts::{Facts, How};
use crate::state::namespaces::Namespaces;
use crate::state::{Snapshot, processes};
use crate::view::{API_VERSION, Class, Container, Namespace, Pod, Role, State, Target, coverage, node};

/// What is explained, with what it means to the rest.
struct Subject<'s> {
    pod: Option<&'s Pod>,
    /// The containers that it is, or that it is of.
    containers: Vec<&'s Container>,
    /// Whose death is meant.
    dies: Vec<u32>,
    /// Its namespaces.
    namespaces: Vec<(Kind, u32)>,
    info: TargetInfo,
    why: String,
}

/// Explains a target.
#[must_use]
pub fn explain(
    observation: &Observation,
    snapshot: &Snapshot,
    facts: &Facts,
    judgement: &Judgement,
    target: Target<'_>,
) -> Explanation {
    let containers = processes::containers(observation);
    let subject = subject(observation, snapshot, &containers, target);
    let death = blast::death(observation, &subject.dies);
    let pod = subject.pod;
    Explanation {
        api_version: API_VERSION,
        kind: "Explanation",
        node: node(observation),
        coverage: coverage(observation, snapshot),
        sharing: sharing(observation, snapshot, &subject),
        started: pod.map(started).unwrap_or_default(),
        if_dies: if_dies(&subject, death, snapshot),
        visible_to: visible_to(observation, snapshot, facts, &subject),
        network: network(observation, snapshot, &containers, &subject),
        infra_cost: pod.map(|pod| infra_cost(observation, &containers, pod)).unwrap_or_default(),
        findings: judgement
            .findings
            .iter()
            .filter(|finding| pod.is_some_and(|pod| finding.subject.pod.as_ref() == Some(&pod.id)))
            .cloned()
            .collect(),
        target: subject.info,
        why: subject.why,
        pod: pod.cloned(),
    }
}

/// The living owners of what a pod's containers share; else its only living containers.
fn owners(pod: &Pod) -> Vec<u32> {
    let shared = pod.namespaces.iter().filter(|it| it.kind.makes_pod() && it.shared_by.len() > 1);
    let owners: BTreeSet<u32> =
        shared.filter(|it| it.owner.alive).map(|it| it.owner.pid).filter(|pid| *pid != 0).collect();
    if !owners.is_empty() {
        return owners.into_iter().collect();
    }
    pod.running().map(|container| container.init_pid).collect()
}

fn subject<'s>(
    observation: &Observation,
    snapshot: &'s Snapshot,
    containers: &HashMap<u32, String>,
    target: Target<'_>,
) -> Subject<'s> {
    let pods = || snapshot.pods.iter().map(|pod| &**pod);
    let container =
        |id: &str| pods().find_map(|pod| Some((pod, pod.containers.iter().find(|it| it.id == id)?)));
    let info = |target_type| TargetInfo {
        target_type,
        id: None,
        name: None,
        pid: None,
        container: None,
        namespace_kind: None,
        inode: None,
    };
    match target {
        Target::Pod(wanted) => {
            let pod = pods().find(|pod| pod.id == wanted.id);
            let dies = pod.map(owners).unwrap_or_default();
            Subject {
                pod,
                containers: pod.map(|pod| pod.running().collect()).unwrap_or_default(),
                namespaces: pod
                    .map(|pod| pod.namespaces.iter().map(|it| (it.kind, it.inode)).collect())
                    .unwrap_or_default(),
                info: TargetInfo {
                    id: Some(wanted.id.clone()),
                    name: Some(wanted.name.clone()),
                    pid: dies.first().copied(),
                    ..info("pod")
                },
                why: wanted.why.clone(),
                dies,
            }
        }
        Target::Container(id) => {
            let found = container(id);
            let it = found.map(|(_, container)| container);
            let alive = it.filter(|it| it.state == State::Running);
            Subject {
                pod: found.map(|(pod, _)| pod),
                containers: alive.into_iter().collect(),
                dies: alive.map(|it| it.init_pid).into_iter().collect(),
                namespaces: it
                    .map(|it| it.namespaces.iter().map(|(kind, inode)| (*kind, *inode)).collect())
                    .unwrap_or_default(),
                info: TargetInfo {
                    id: Some(id.to_owned()),
                    name: it.map(|it| it.name.clone()),
                    pid: alive.map(|it| it.init_pid),
                    container: it.cloned(),
                    ..info("container")
                },
                why: found.map(|(pod, it)| belongs(pod, it)).unwrap_or_default(),
            }
        }
        Target::Process(pid) => {
            let task = observation.tasks.iter().find(|task| task.pid == pid);
            let whose = containers.get(&pid).cloned();
            let found = whose.as_deref().and_then(container);
            Subject {
                pod: found.map(|(pod, _)| pod),
                containers: found.map(|(_, it)| it).into_iter().collect(),
                dies: task.filter(|task| !task.is_dead()).map(|_| pid).into_iter().collect(),
                namespaces: task.map(|task| task.namespaces.iter().collect()).unwrap_or_default(),
                info: TargetInfo {
                    id: whose,
                    name: task.map(|task| task.comm.to_string()),
                    pid: Some(pid),
                    ..info("process")
                },
                why: match (found, task) {
                    (Some((pod, it)), Some(task)) => format!(
                        "process {pid} is of {}: its cgroup is {}; {}",
                        it.name,
                        task.cgroup.as_deref().unwrap_or("unread"),
                        belongs(pod, it)
                    ),
                    _ => "it is of no container".to_owned(),
                },
            }
        }
        Target::Namespace(kind, inode) => {
            let listed = |pod: &&Pod| pod.namespaces.iter().any(|it| (it.kind, it.inode) == (kind, inode));
            let lived_in = |pod: &&Pod| pod.running().any(|it| it.namespaces.get(&kind) == Some(&inode));
            let host = observation.host.is_host(kind, inode) == Some(true);
            let pod = pods().find(listed).or_else(|| pods().find(lived_in)).filter(|_| !host);
            let all = Namespaces::of(observation);
            let row = all.position(kind, inode).and_then(|at| all.get(at));
            let owner = row.as_ref().map(|row| row.owner().into_owned());
            let pid = owner.as_ref().map(|owner| owner.pid).filter(|pid| *pid != 0 && !host);
            let inside = |it: &&Container| it.namespaces.get(&kind) == Some(&inode);
            Subject {
                pod,
                containers: pod.map(|pod| pod.running().filter(inside).collect()).unwrap_or_default(),
                dies: pid.into_iter().collect(),
                namespaces: vec![(kind, inode)],
                info: TargetInfo {
                    name: Some(format!("{kind}:[{inode}]")),
                    pid,
                    namespace_kind: Some(kind),
                    inode: Some(inode),
                    ..info("namespace")
                },
                why: match owner {
                    _ if host => "it is the node's own".to_owned(),
                    Some(owner) => owner.why,
                    None => "nothing is known of it".to_owned(),
                },
            }
        }
    }
}

/// How we know that a container belongs to a pod.
fn belongs(pod: &Pod, container: &Container) -> String {
    let mut reasons: Vec<String> = Vec::new();
    if pod.id == container.id && pod.containers.len() == 1 {
        return "it is a pod of its own: it declares no sharing, and shares no namespace".to_owned();
    }
    let joins: Vec<String> = container
        .declared
        .iter()
        .filter(|(kind, word)| {
            kind.makes_pod()
                && (word.as_str() == "pod" || word.as_str() == "target" || word.starts_with("container:"))
        })
        .map(|(kind, word)| format!("{kind} {}", words(pod, word)))
        .collect();
    if !joins.is_empty() {
        reasons.push(format!("it declares {}", joins.join(", ")));
    }
    let shared: Vec<String> = pod
        .namespaces
        .iter()
        .filter(|it| it.kind.makes_pod() && it.shared_by.len() > 1 && it.shared_by.contains(&container.id))
        .map(|it| format!("{} {}", it.kind, it.inode))
        .collect();
    if !shared.is_empty() {
        reasons.push(format!("it shares {}", shared.join(", ")));
    }
    if reasons.is_empty() {
        reasons.push(match pod.origin {
            Origin::Unmanaged => "it shares namespaces with the others of its group".to_owned(),
            _ => format!("its runtime puts it into {}", pod.name),
        });
    }
    reasons.join("; ")
}

/// A declaration with the container's name in place of its id.
fn words(pod: &Pod, word: &str) -> String {
    match word.strip_prefix("container:") {
        Some(id) => format!("container:{}", name(pod, id)),
        None => word.to_owned(),
    }
}

fn name(pod: &Pod, id: &str) -> String {
    let found = pod.containers.iter().find(|it| it.id == id);
    found.map_or_else(|| id.chars().take(12).collect(), |it| it.name.clone())
}

fn sharing(observation: &Observation, snapshot: &Snapshot, subject: &Subject<'_>) -> Vec<Sharing> {
    let all = Namespaces::of(observation);
    let own: BTreeSet<&str> = match subject.info.target_type {
        // Of a pod or a namespace all who are in it are meant.
        "container" => subject.containers.iter().map(|it| it.id.as_str()).collect(),
        _ => BTreeSet::new(),
    };
    subject
        .namespaces
        .iter()
        .filter(|(kind, inode)| {
            subject.info.target_type == "namespace" || observation.host.is_host(*kind, *inode) == Some(false)
        })
        .filter_map(|(kind, inode)| {
            let row = all.get(all.position(*kind, *inode)?)?;
            let with: Vec<String> = row
                .containers()
                .filter(|member| {
                    member.managed || subject.pod.is_some_and(|pod| pod.origin == Origin::Unmanaged)
                })
                .map(|member| member.id.clone())
                .filter(|id| !own.contains(id.as_str()))
                .collect();
            let listed = snapshot
                .pods
                .iter()
                .flat_map(|pod| &pod.namespaces)
                .find(|it: &&Namespace| (it.kind, it.inode) == (*kind, *inode));
            let owner = listed.map_or_else(|| row.owner().into_owned(), |it| it.owner.clone());
            (listed.is_some() || !with.is_empty() || subject.info.target_type == "namespace")
                .then_some(Sharing { kind: *kind, inode: *inode, with, owner })
        })
        .collect()
}

fn started(pod: &Pod) -> Vec<Started> {
    let mut started: Vec<Started> = pod
        .containers
        .iter()
        .filter(|it| it.started_at.is_some())
        .map(|it| Started {
            container: it.id.clone(),
            name: it.name.clone(),
            role: it.role,
            started_at: it.started_at.clone(),
        })
        .collect();
    let time = |it: &Started| it.started_at.as_deref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    started.sort_by_key(time);
    started
}

fn if_dies(subject: &Subject<'_>, death: Death, snapshot: &Snapshot) -> IfDies {
    let restart = restart(subject, &death, snapshot);
    IfDies {
        of: subject.dies.clone(),
        killed: death
            .killed
            .into_iter()
            .map(|it| Victim { pid: it.pid, comm: it.comm, container: it.container, by: it.by })
            .collect(),
        orphaned: death
            .orphaned
            .into_iter()
            .map(|it| OrphanedNamespace {
                kind: it.kind,
                inode: it.inode,
                members: it.members,
                kept_by: it.kept_by,
            })
            .collect(),
        destroyed: death.destroyed.into_iter().map(|(kind, inode)| NamespaceName { kind, inode }).collect(),
        restart,
    }
}

/// What a restart of the dead gives.
fn restart(subject: &Subject<'_>, death: &Death, snapshot: &Snapshot) -> Vec<String> {
    let Some(pod) = subject.pod else { return Vec::new() };
    let mut said = Vec::new();
    let dead_inits: Vec<&Container> =
        pod.running().filter(|it| subject.dies.contains(&it.init_pid)).collect();
    for dead in &dead_inits {
        let orphans: Vec<_> = death.orphaned.iter().filter(|it| !it.members.is_empty()).collect();
        if !orphans.is_empty() {
            let kinds: Vec<&str> = orphans.iter().map(|it| it.kind.name()).collect();
            let members: BTreeSet<String> =
                orphans.iter().flat_map(|it| &it.members).map(|id| any_name(snapshot, id)).collect();
            let members: Vec<String> = members.into_iter().collect();
            said.push(format!(
                "{} started again gets a new {} namespace; {} stay{} in the old one until started again, too (a split brain)",
                dead.name,
                kinds.join(", "),
                members.join(", "),
                if members.len() == 1 { "s" } else { "" }
            ));
        }
        let joiners: Vec<&str> = pod
            .containers
            .iter()
            .filter(|it| it.declared.values().any(|word| word.strip_prefix("container:") == Some(&dead.id)))
            .filter(|it| death.killed.iter().any(|victim| victim.pid == it.init_pid))
            .map(|it| it.name.as_str())
            .collect();
        if !joiners.is_empty() {
            let (they, are) = if joiners.len() == 1 { ("it", "is") } else { ("they", "are") };
            said.push(format!(
                "{} can be started again only after {}, whose namespaces {they} {are} declared to join",
                joiners.join(", "),
                dead.name
            ));
        }
        if dead.role == Role::Infra && pod.origin == Origin::Kubernetes {
            said.push(
                "the kubelet replaces the whole pod: every container starts anew, in a new sandbox"
                    .to_owned(),
            );
        }
    }
    for orphan in death.orphaned.iter().filter(|it| it.members.is_empty()) {
        said.push(format!(
            "the {} namespace is there for whoever joins it again, kept by {}",
            orphan.kind, orphan.kept_by
        ));
    }
    if said.is_empty() && !dead_inits.is_empty() && death.orphaned.is_empty() {
        let names: Vec<&str> = dead_inits.iter().map(|it| it.name.as_str()).collect();
        let pinned = pod.namespaces.iter().any(|it| it.owner.class == Class::RuntimePinned);
        let others = pod.namespaces.iter().any(|it| {
            it.kind.makes_pod()
                && it.shared_by.len() > 1
                && it.owner.alive
                && !subject.dies.contains(&it.owner.pid)
        });
        if others || pinned {
            said.push(format!(
                "{} started again joins the same namespaces: the others do not notice",
                names.join(", ")
            ));
        }
    }
    said
}

fn any_name(snapshot: &Snapshot, id: &str) -> String {
    let mut all = snapshot.pods.iter().flat_map(|pod| &pod.containers);
    all.find(|it| it.id == id).map_or_else(|| id.chars().take(12).collect(), |it| it.name.clone())
}

fn visible_to(
    observation: &Observation,
    snapshot: &Snapshot,
    facts: &Facts,
    subject: &Subject<'_>,
) -> Vec<Visible> {
    let mut found: BTreeSet<Visible> = BTreeSet::new();
    let everyone = || {
        snapshot
            .pods
            .iter()
            .filter(|pod| pod.origin != Origin::Unmanaged)
            .flat_map(|pod| pod.running().map(move |it| (pod, it)))
    };
    for target in &subject.containers {
        let pid_namespace = target.namespaces.get(&Kind::Pid).copied();
        for (_, other) in everyone().filter(|(_, other)| other.id != target.id) {
            let theirs = other.namespaces.get(&Kind::Pid).copied();
            let host = theirs.is_some_and(|inode| observation.host.is_host(Kind::Pid, inode) == Some(true));
            let same = pid_namespace.is_some() && theirs == pid_namespace;
            if same || host {
                let place = if host { "the node's own PID namespace" } else { "one PID namespace" };
                let what =
                    format!("the processes of {}, their names and arguments, from {place}", target.name);
                found.insert(Visible { container: other.id.clone(), via: "pid-namespace", what });
            }
        }
        for exposure in &facts.exposures {
            for reading in exposure.readings.iter().filter(|it| it.target == target.id) {
                let how = match reading.how {
                    How::Capability => "it has CAP_SYS_PTRACE".to_owned(),
                    How::SameUid(uid) => format!("both are uid {uid}"),
                };
                let what = format!("the environment and files of {}, by /proc/PID: {how}", target.name);
                found.insert(Visible { container: reading.reader.clone(), via: "ptrace", what });
            }
        }
        let own = snapshot.pods.iter().flat_map(|pod| &pod.volumes);
        for volume in own.filter(|volume| volume.mounts.iter().any(|mount| mount.container == target.id)) {
            for pod in &snapshot.pods {
                let same = pod.volumes.iter().filter(|other| other.source == volume.source);
                for mount in same.flat_map(|other| &other.mounts).filter(|mount| mount.container != target.id)
                {
                    if pod.running().any(|it| it.id == mount.container) {
                        let mode = if mount.read_only { "read-only" } else { "writable" };
                        let what = format!("the folder {} ({mode} at {})", volume.source, mount.target);
                        found.insert(Visible { container: mount.container.clone(), via: "volume", what });
                    }
                }
            }
        }
    }
    found.into_iter().collect()
}

fn network(
    observation: &Observation,
    snapshot: &Snapshot,
    containers: &HashMap<u32, String>,
    subject: &Subject<'_>,
) -> Option<Network> {
    let of_container = || subject.containers.iter().find_map(|it| it.namespaces.get(&Kind::Net).copied());
    let own = subject.namespaces.iter().find(|(kind, _)| *kind == Kind::Net).map(|(_, inode)| *inode);
    let inode = own.or_else(of_container)?;
    let fact = observation.networks.iter().find(|fact| fact.inode == inode)?;
    let known = |id: &str| snapshot.pods.iter().any(|pod| pod.containers.iter().any(|it| it.id == id));
    let container =
        |pids: &[u32]| pids.iter().filter_map(|pid| containers.get(pid)).find(|id| known(id)).cloned();
    Some(Network {
        inode,
        addresses: fact.addresses.clone(),
        listeners: fact
            .listeners
            .iter()
            .map(|it| Listener {
                protocol: it.protocol.clone(),
                address: it.address.clone(),
                port: it.port,
                container: container(&it.pids),
                pids: it.pids.clone(),
            })
            .collect(),
    })
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
