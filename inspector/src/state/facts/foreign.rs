//! Processes that are in a pod's namespaces and in none of its containers: somebody came in from outside.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::observation::{Kind, Task};
use crate::state::Model;
use crate::state::units::UnitId;

/// The kinds by which a process is *in* a pod. A user namespace is often shared with what only serves the containers
/// (a rootless Podman's own processes), and a cgroup namespace holds nothing.
const KINDS: [Kind; 5] = [Kind::Pid, Kind::Net, Kind::Ipc, Kind::Uts, Kind::Mnt];

/// A process, or a thread, that came in from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// The pod that it is in.
    pub pod: String,
    /// Its id; of a thread, the thread's.
    pub pid: u32,
    /// Of a thread, its process.
    pub thread_of: Option<u32>,
    /// The kernel's name for it.
    pub comm: String,
    /// Its real uid.
    pub uid: Option<u32>,
    /// When it started, RFC 3339.
    pub started_at: Option<String>,
    /// Its cgroup.
    pub cgroup: Option<String>,
    /// The namespaces of the pod that it is in.
    pub namespaces: Vec<(Kind, u32)>,
    /// The container that it is of, where that is another pod's.
    pub container: Option<String>,
    /// How many of its descendants are in there with it.
    pub descendants: u32,
}

/// A process in a pod's namespaces whose cgroup could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unplaced {
    /// The pod.
    pub pod: String,
    /// The process.
    pub pid: u32,
    /// The kernel's name for it.
    pub comm: String,
}

/// What is younger may be a runtime on its way (runc's stages, a plugin's hop): it is spared in a one-shot answer.
pub const YOUNG_NS: u64 = 1_000_000_000;

/// What runtimes start beside containers, by the kernel's name for it: such a process is spared where its parent is the
/// system's init or one of these too.
pub(crate) const HELPERS: [&str; 10] = [
    "runc",
    "crun",
    "conmon",
    "containerd",
    "dockerd",
    "docker-init",
    "crio",
    "podman",
    "kubelet",
    "cri-dockerd",
];

/// Whether the kernel's name for a process is one that runtimes' processes beside containers have.
#[must_use]
pub fn is_helper_name(comm: &str) -> bool {
    HELPERS.iter().any(|name| {
        comm.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '-']))
    })
}

pub(super) fn find(model: &Model<'_>, pod_of: &HashMap<UnitId, String>) -> (Vec<Foreign>, Vec<Unplaced>) {
    let observation = model.observation;
    let homes = homes(model);
    let in_pods = |task: &Task| -> Vec<(Kind, u32, UnitId)> {
        KINDS
            .into_iter()
            .filter_map(|kind| {
                let inode = task.namespaces.get(kind)?;
                Some((kind, inode, *homes.get(&(kind, inode))?))
            })
            .collect()
    };
    let (mut found, mut unplaced) = (BTreeMap::new(), Vec::new());
    for task in &observation.tasks {
        if task.kernel_thread || task.is_dead() || task.tgid == observation.reader.pid {
            continue;
        }
        let places = in_pods(task);
        if places.is_empty() || is_young(task, observation.node.tasks_as_of_ns()) {
            continue;
        }
        let leader = observation.leader(task.tgid);
        let unit =
            model.units.of_task.get(&task.pid).or_else(|| model.units.of_task.get(&task.tgid)).copied();
        let unit = unit.filter(|unit| is_managed(*unit, model));
        let own_pod = unit.and_then(|unit| pod_of.get(&unit));
        let own_init = unit.and_then(|unit| model.units.list.get(unit)?.init);
        let foreign: Vec<(Kind, u32, UnitId)> = places
            .into_iter()
            .filter(|(_, _, home)| pod_of.get(home) != own_pod || own_pod.is_none())
            // Where its container's init is too, the container as a whole is an intruder: another rule's matter.
            .filter(|(kind, inode, _)| own_init.is_none_or(|init| init.namespaces.get(*kind) != Some(*inode)))
            // A thread counts for what it does apart from its process.
            .filter(|(kind, inode, _)| {
                task.is_leader() || leader.is_none_or(|leader| leader.namespaces.get(*kind) != Some(*inode))
            })
            .collect();
        let Some((_, _, home)) = foreign.first() else { continue };
        let Some(pod) = pod_of.get(home) else { continue };
        // Of a container without a cgroup of its own only descent tells what is its own.
        if unit.is_none() && foreign.iter().any(|(.., home)| !has_own_cgroup(*home, model)) {
            if !descends(task, *home, model) {
                unplaced.push(Unplaced { pod: pod.clone(), pid: task.pid, comm: task.comm.to_string() });
            }
            continue;
        }
        if is_helper(task, leader, model) {
            continue;
        }
        if unit.is_none() && task.cgroup.is_none() {
            unplaced.push(Unplaced { pod: pod.clone(), pid: task.pid, comm: task.comm.to_string() });
            continue;
        }
        found.insert(
            task.pid,
            Foreign {
                pod: pod.clone(),
                pid: task.pid,
                thread_of: (!task.is_leader()).then_some(task.tgid),
                comm: task.comm.to_string(),
                uid: task.uid,
                started_at: observation.node.wall_clock(task.start_boottime_ns).map(|at| at.to_string()),
                cgroup: task.cgroup.as_deref().map(str::to_owned),
                namespaces: foreign.iter().map(|(kind, inode, _)| (*kind, *inode)).collect(),
                container: unit.and_then(|unit| Some(model.units.list.get(unit)?.id.clone())),
                descendants: 0,
            },
        );
    }
    (topmost(found, model), unplaced)
}

/// Whose each namespace is: those of living containers, the node's own left out.
fn homes(model: &Model<'_>) -> HashMap<(Kind, u32), UnitId> {
    let host = &model.observation.host;
    let mut homes: HashMap<(Kind, u32), UnitId> = HashMap::new();
    for (index, unit) in model.units.list.iter().enumerate() {
        let opaque = unit.declared.is_some_and(|declared| declared.opaque.is_some());
        if !is_managed(index, model) || !unit.is_living() || opaque {
            continue;
        }
        for kind in KINDS {
            let own = unit.namespaces.get(kind).filter(|inode| host.is_host(kind, *inode) == Some(false));
            if let Some(inode) = own {
                homes.entry((kind, inode)).or_insert(index);
            }
        }
    }
    homes
}

fn is_managed(unit: UnitId, model: &Model<'_>) -> bool {
    model.units.list.get(unit).is_some_and(|unit| unit.runtime.is_some())
}

/// Whether a container's processes are told by a cgroup: it has one, and its init is in there (crun can do without).
fn has_own_cgroup(unit: UnitId, model: &Model<'_>) -> bool {
    let Some(unit) = model.units.list.get(unit) else { return false };
    let (Some(own), Some(path)) = (unit.cgroup.as_deref(), unit.init.and_then(|init| init.cgroup.as_deref()))
    else {
        return false;
    };
    own != "/" && path.strip_prefix(own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a process descends from a container's init.
fn descends(task: &Task, unit: UnitId, model: &Model<'_>) -> bool {
    let init = model.units.list.get(unit).and_then(|unit| unit.init).map(|init| init.pid);
    let mut at = task.tgid;
    let mut seen = HashSet::new();
    while seen.insert(at) {
        if Some(at) == init {
            return true;
        }
        match model.observation.leader(at) {
            Some(leader) => at = leader.parent,
            None => return false,
        }
    }
    false
}

const fn is_young(task: &Task, now_ns: u64) -> bool {
    // A recording of unknown time has no young processes.
    now_ns != 0 && now_ns.saturating_sub(task.start_boottime_ns) < YOUNG_NS
}

/// A runtime's own process, or a thread of it that does something in there (a network plugin's hop). A name is easily
/// taken, so it counts only where the parent is what starts such processes.
fn is_helper(task: &Task, leader: Option<&Task>, model: &Model<'_>) -> bool {
    let process = leader.unwrap_or(task);
    if !is_helper_name(&process.comm) {
        return false;
    }
    process.parent <= 1
        || model.observation.leader(process.parent).is_some_and(|parent| is_helper_name(&parent.comm))
}

/// One for each that came in by itself; who was born in there is counted with it.
fn topmost(all: BTreeMap<u32, Foreign>, model: &Model<'_>) -> Vec<Foreign> {
    let parent = |pid: u32| model.observation.leader(pid).map(|task| task.parent);
    let mut tops: BTreeMap<u32, u32> = BTreeMap::new();
    for (pid, foreign) in all.iter().filter(|(_, foreign)| foreign.thread_of.is_none()) {
        let mut top = *pid;
        let mut seen = HashSet::from([top]);
        while let Some(above) = parent(top).filter(|above| seen.insert(*above)) {
            match all.get(&above) {
                Some(other) if other.pod == foreign.pod && other.thread_of.is_none() => top = above,
                _ => break,
            }
        }
        if top != *pid {
            *tops.entry(top).or_default() += 1;
            tops.entry(*pid).or_default();
        }
    }
    let is_below = |pid: u32, foreign: &Foreign| {
        foreign.thread_of.is_none()
            && parent(pid)
                .and_then(|above| all.get(&above))
                .is_some_and(|other| other.pod == foreign.pod && other.thread_of.is_none())
    };
    all.iter()
        .filter(|(pid, foreign)| !is_below(**pid, foreign))
        .map(|(pid, foreign)| Foreign {
            descendants: tops.get(pid).copied().unwrap_or_default(),
            ..foreign.clone()
        })
        .collect()
}
