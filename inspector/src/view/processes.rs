//! The answer of `inspector ps`: its types, which PID namespaces a target means, and what is left out without one.

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::Serialize;

use super::{Coverage, NodeInfo, Pod, Role, State};
use crate::observation::{Kind, Observation};
use crate::state::Snapshot;
use crate::state::processes::PidSpace;
use crate::view::{API_VERSION, Target, TargetError, coverage, node};

/// The answer of `inspector ps`.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProcessList {
    /// Always `inspector/v1`.
    #[schemars(extend("const" = API_VERSION))]
    pub api_version: &'static str,
    /// Always `ProcessList`.
    #[schemars(extend("const" = "ProcessList"))]
    pub kind: &'static str,
    /// The machine and the moment.
    pub node: NodeInfo,
    /// What the answer rests on, and what is missing from it.
    pub coverage: Coverage,
    /// The PID namespaces whose processes are listed, by pod.
    pub pid_namespaces: Vec<PidNamespace>,
    /// The processes in them: by namespace in that order, then by their pid inside. Each is listed once, in the
    /// innermost of these namespaces.
    pub processes: Vec<Process>,
    /// Pods that are alive and not in `pidNamespaces` (shown by `--all`, or when named).
    pub hidden: HiddenPods,
}

/// A PID namespace that containers live in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PidNamespace {
    /// Its inode.
    pub inode: u32,
    /// It is the node's own: of its processes only those of containers are listed.
    pub host: bool,
    /// The pods of its containers, by name.
    pub pods: Vec<PodName>,
    /// The living containers whose PID namespace it is, eldest first.
    pub containers: Vec<ContainerName>,
}

/// A process, as the PID namespace of its pod shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Process {
    /// Its pid as the reader's /proc numbers it.
    pub pid: u32,
    /// Its pid in `pidNamespace`; null where it could not be read.
    pub pod_pid: Option<u32>,
    /// Its parent's pid as the reader's /proc numbers it; 0 where the reader cannot see the parent.
    pub parent: u32,
    /// The id of the container whose process it is (a zombie: whose parent has to reap it); null for one that got in
    /// from outside (nsenter).
    pub container: Option<String>,
    /// That container's name.
    pub container_name: Option<String>,
    /// That container's pod.
    pub pod: Option<PodName>,
    /// The inode of the PID namespace that `podPid` counts in: the pod's, which may be above the process's own.
    pub pid_namespace: u32,
    /// The kernel's name for it, which it can set itself.
    pub comm: String,
    /// What it is doing, by the letter of `/proc/PID/stat`: `R`, `S`, `D`, `T`, `t`, `Z`, `I` …
    #[schemars(extend("maxLength" = 1))]
    pub state: Option<String>,
    /// Its real uid, as the reader's user namespace numbers it.
    pub uid: Option<u32>,
    /// When it started, RFC 3339.
    pub started_at: Option<String>,
    /// Its threads.
    pub threads: Option<u32>,
}

/// A pod, where it is only named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct PodName {
    /// Its name.
    pub name: String,
    /// Its Kubernetes namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its id.
    pub id: String,
}

/// A container, where it is only named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct ContainerName {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is in its pod.
    pub role: Role,
}

/// Pods left out of a list of processes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HiddenPods {
    /// No two containers of them share a PID namespace.
    pub private: u64,
    /// Their only container in a shared PID namespace is in the node's own.
    pub host: u64,
}

/// The processes of the PID namespaces that the target is in; without a target, of those that two or more containers
/// share; with `all`, of every pod's.
///
/// # Errors
/// If the target is unknown or ambiguous.
pub fn process_list(
    observation: &Observation,
    snapshot: &Snapshot,
    spaces: Vec<PidSpace>,
    target: Option<&str>,
    all: bool,
) -> Result<ProcessList, TargetError> {
    let chosen: Vec<PidSpace> = match target {
        Some(target) => {
            let wanted = Target::resolve(target, observation, snapshot, &["pod", "container", "pid"])?;
            if let Some(error) = left_out(&wanted, observation, &spaces) {
                return Err(error);
            }
            spaces.into_iter().filter(|space| is_in(&wanted, space)).collect()
        }
        None => spaces.iter().filter(|space| all || is_shared(space)).cloned().collect(),
    };
    let hidden = if target.is_none() { hidden(snapshot, &chosen) } else { HiddenPods::default() };
    let listed: BTreeSet<u32> = chosen.iter().filter(|space| !space.host).map(|space| space.inode).collect();
    let mut list = ProcessList {
        api_version: API_VERSION,
        kind: "ProcessList",
        node: node(observation),
        coverage: coverage(observation, snapshot),
        pid_namespaces: Vec::new(),
        processes: Vec::new(),
        hidden,
    };
    for space in chosen {
        let elsewhere = |home: u32| listed.contains(&home) && (space.host || home != space.inode);
        list.processes.extend(
            space.processes.into_iter().filter(|seen| !elsewhere(seen.home)).map(|seen| seen.process),
        );
        list.add(space.inode, space.host, space.containers);
    }
    Ok(list)
}

impl ProcessList {
    /// The node's own PID namespace stands once, however many pods are in it.
    fn add(&mut self, inode: u32, host: bool, containers: Vec<(ContainerName, PodName)>) {
        let position = self.pid_namespaces.iter().position(|known| known.inode == inode);
        let position = position.unwrap_or_else(|| {
            let namespace = PidNamespace { inode, host, pods: Vec::new(), containers: Vec::new() };
            self.pid_namespaces.push(namespace);
            self.pid_namespaces.len() - 1
        });
        let Some(namespace) = self.pid_namespaces.get_mut(position) else { return };
        for (container, pod) in containers {
            namespace.containers.push(container);
            if let Err(place) = namespace.pods.binary_search(&pod) {
                namespace.pods.insert(place, pod);
            }
        }
    }
}

/// Two or more containers see each other's processes. In the node's namespace unmanaged ones are mere processes.
fn is_shared(space: &PidSpace) -> bool {
    space.containers.len() > 1 && !(space.host && space.unmanaged)
}

fn hidden(snapshot: &Snapshot, chosen: &[PidSpace]) -> HiddenPods {
    let shown: BTreeSet<&str> =
        chosen.iter().flat_map(|space| &space.containers).map(|(_, pod)| pod.id.as_str()).collect();
    let mut hidden = HiddenPods::default();
    for pod in snapshot.pods.iter().filter(|pod| !shown.contains(pod.id.as_str())) {
        let mut living =
            pod.containers.iter().filter(|container| container.state == State::Running).peekable();
        let of_a_runtime = living.peek().is_some_and(|container| container.runtime.is_some());
        let own: BTreeSet<u32> =
            living.filter_map(|container| container.namespaces.get(&Kind::Pid).copied()).collect();
        if own.iter().any(|inode| pod.namespaces.iter().any(|it| it.kind == Kind::Pid && it.inode == *inode))
        {
            hidden.private += 1;
        } else if of_a_runtime && !own.is_empty() {
            hidden.host += 1;
        }
    }
    hidden
}

/// Why a process is in none of the namespaces that can be listed.
fn left_out(target: &Target<'_>, observation: &Observation, spaces: &[PidSpace]) -> Option<TargetError> {
    let Target::Process(pid) = target else { return None };
    if spaces.iter().any(|space| is_in(target, space)) {
        return None;
    }
    let task = observation.tasks.iter().find(|task| task.pid == *pid);
    let own = task.and_then(|task| task.namespaces.get(Kind::Pid));
    match own.map(|own| observation.host.is_host(Kind::Pid, own)) {
        Some(Some(true)) => Some(TargetError::OfTheNode(*pid)),
        _ => Some(TargetError::Nowhere(*pid)),
    }
}

/// Whether a target is in a namespace.
fn is_in(target: &Target<'_>, space: &PidSpace) -> bool {
    let processes = || space.processes.iter().map(|seen| (seen.process.pid, seen.home));
    match target {
        Target::Pod(pod) => space.containers.iter().any(|(_, of)| of.id == pod.id),
        Target::Container(id) => space.containers.iter().any(|(container, _)| container.id == *id),
        // Its innermost one, not those above.
        Target::Process(pid) => processes().any(|it| it.0 == *pid && (it.1 == space.inode)),
        Target::Namespace(..) => false,
    }
}

impl PodName {
    /// The name of a pod.
    #[must_use]
    pub fn of(pod: &Pod) -> Self {
        Self { name: pod.name.clone(), namespace: pod.namespace.clone(), id: pod.id.clone() }
    }
}

impl fmt::Display for PodName {
    /// `NAMESPACE/NAME`, or the name alone; as it was given, so to be cleaned.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
