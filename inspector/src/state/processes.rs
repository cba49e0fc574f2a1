//! Who runs in which PID namespace, with the pid seen inside, and whose container each process is of.
//!
//! Pure, like everything in `state`; it judges nothing and leaves nothing out but the reader itself: which of the
//! namespaces to show is up to the view.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::observation::{Kind, Observation, Origin, Task};
use crate::state::units::{Unit, UnitId};
use crate::state::{Model, Snapshot};
use crate::view::{ContainerName, PodName, Process};

/// A PID namespace that containers live in, or the part of one pod in the node's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PidSpace {
    /// The namespace's inode.
    pub inode: u32,
    /// It is the node's own, of which only the containers' processes are listed.
    pub host: bool,
    /// No runtime claims anything in it.
    pub unmanaged: bool,
    /// The living containers whose PID namespace it is, eldest first, each with its pod.
    pub containers: Vec<(ContainerName, PodName)>,
    /// Its processes by their pid inside, those of PID namespaces below it included.
    pub processes: Vec<Seen>,
}

/// A process, as one namespace shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What is said of it.
    pub process: Process,
    /// The innermost namespace on the way down to its own that is a [`PidSpace`] itself: the same process is listed
    /// there too, where that is another.
    pub home: u32,
}

/// The PID namespaces of all containers and unmanaged groups, by pod.
#[must_use]
pub fn of(observation: &Observation, snapshot: &Snapshot) -> Vec<PidSpace> {
    let model = Model::of(observation);
    let survey = Survey::of(&model, snapshot);
    let mut spaces: Vec<PidSpace> =
        survey.homes.iter().map(|(inode, units)| survey.space(*inode, units)).collect();
    spaces.extend(survey.host_spaces());
    let order = |space: &PidSpace| {
        let pod = space.containers.iter().map(|(_, pod)| pod).min();
        (pod.cloned(), space.inode)
    };
    spaces.sort_by_cached_key(order);
    spaces
}

/// The id of the container or unmanaged group that each process is of.
#[must_use]
pub fn containers(observation: &Observation) -> HashMap<u32, String> {
    let mut units = crate::state::units::Units::of(observation);
    crate::state::unmanaged::add(&mut units, observation);
    let of = |unit: UnitId| units.list.get(unit).map(|unit| unit.id.clone());
    units.of_task.iter().filter_map(|(pid, unit)| Some((*pid, of(*unit)?))).collect()
}

/// What is looked up again and again.
struct Survey<'m, 'a> {
    model: &'m Model<'a>,
    /// Each container's own name and its pod's, by id.
    names: HashMap<&'m str, (ContainerName, PodName)>,
    /// The PID namespace above each one, as far as known.
    above: HashMap<u32, u32>,
    /// How many PID namespaces below the reader's each one is.
    depth: HashMap<u32, usize>,
    /// The namespaces that are somebody's, the node's own apart, and whose.
    homes: BTreeMap<u32, BTreeSet<UnitId>>,
    /// Processes by the namespace that they are in.
    inside: HashMap<u32, Vec<&'a Task>>,
}

impl<'m, 'a> Survey<'m, 'a> {
    fn of(model: &'m Model<'a>, snapshot: &'m Snapshot) -> Self {
        let observation = model.observation;
        let mut inside: HashMap<u32, Vec<&Task>> = HashMap::new();
        for task in observation.tasks.iter().filter(|task| task.is_leader()) {
            if let Some(inode) = task.namespaces.get(Kind::Pid) {
                inside.entry(inode).or_default().push(task);
            }
        }
        let depth = inside.iter().filter_map(|(inode, tasks)| Some((*inode, depth(tasks)?))).collect();
        let names = snapshot
            .pods
            .iter()
            .flat_map(|pod| {
                let of_pod =
                    PodName { name: pod.name.clone(), namespace: pod.namespace.clone(), id: pod.id.clone() };
                pod.containers.iter().map(move |container| {
                    let name = ContainerName {
                        id: container.id.clone(),
                        name: container.name.clone(),
                        role: container.role,
                    };
                    (container.id.as_str(), (name, of_pod.clone()))
                })
            })
            .collect();
        let mut survey = Self { model, names, above: HashMap::new(), depth, homes: BTreeMap::new(), inside };
        survey.above = survey.parents();
        survey.homes = survey.homes();
        survey
    }

    fn unit(&self, unit: UnitId) -> Option<&Unit<'a>> {
        self.model.units.list.get(unit)
    }

    /// Whether this is the node's own PID namespace. Where that is unknown, only the reader's own can be.
    fn is_host(&self, inode: u32) -> bool {
        let host = self.model.observation.host.is_host(Kind::Pid, inode);
        host.unwrap_or_else(|| self.depth.get(&inode) == Some(&0))
    }

    /// The kernel's word for what is above each namespace; else where its init's parent is, if that is just above: a
    /// namespace is born below the one that its maker is in.
    fn parents(&self) -> HashMap<u32, u32> {
        let told = self.model.observation.namespaces.iter().filter(|fact| fact.kind == Kind::Pid);
        let mut above: HashMap<u32, u32> = told.filter_map(|fact| Some((fact.inode, fact.parent?))).collect();
        for (inode, tasks) in &self.inside {
            let Some(init) = tasks.iter().find(|task| task.pid_namespace_init) else { continue };
            let parent = self
                .model
                .observation
                .leader(init.parent)
                .and_then(|parent| parent.namespaces.get(Kind::Pid));
            let Some(parent) = parent.filter(|parent| parent != inode) else { continue };
            if let (Some(below), Some(depth)) = (self.depth.get(inode), self.depth.get(&parent))
                && depth + 1 == *below
            {
                above.entry(*inode).or_insert(parent);
            }
        }
        above
    }

    /// This namespace and all above it.
    fn upwards(&self, inode: u32) -> impl Iterator<Item = u32> + '_ {
        // The kernel nests 32 deep; a longer chain is one that recycled inodes tie into a ring.
        std::iter::successors(Some(inode), |inode| self.above.get(inode).copied()).take(33)
    }

    /// Which namespaces are whose: those of the inits, and what unmanaged processes of the node's PID namespace made
    /// for their children (`unshare --fork` itself stays outside).
    fn homes(&self) -> BTreeMap<u32, BTreeSet<UnitId>> {
        let mut homes: BTreeMap<u32, BTreeSet<UnitId>> = BTreeMap::new();
        for (index, unit) in self.model.units.list.iter().enumerate().filter(|(_, unit)| unit.is_living()) {
            let Some(own) = unit.namespaces.get(Kind::Pid) else { continue };
            if !self.is_host(own) {
                homes.entry(own).or_default().insert(index);
                continue;
            }
            for task in unit.tasks.iter().filter(|_| unit.runtime.is_none()) {
                let Some(inode) = task.namespaces.get(Kind::Pid) else { continue };
                let outermost = self.upwards(inode).take_while(|inode| !self.is_host(*inode)).last();
                if let Some(outermost) = outermost {
                    homes.entry(outermost).or_default().insert(index);
                }
            }
        }
        for units in homes.values_mut() {
            // An unmanaged process in a container's namespace is a guest there.
            if units.iter().any(|unit| self.is_managed(*unit)) {
                units.retain(|unit| self.is_managed(*unit));
            }
        }
        homes
    }

    fn is_managed(&self, unit: UnitId) -> bool {
        self.unit(unit).is_some_and(|unit| unit.runtime.is_some())
    }

    fn space(&self, inode: u32, units: &BTreeSet<UnitId>) -> PidSpace {
        let unmanaged = !units.iter().any(|unit| self.is_managed(*unit));
        let depth = self.depth.get(&inode).copied();
        let below = self.inside.iter().filter(|(other, _)| self.upwards(**other).any(|above| above == inode));
        let processes = below
            .flat_map(|(other, tasks)| {
                let home = self.upwards(*other).find(|above| self.homes.contains_key(above));
                tasks.iter().map(move |task| (*task, home.unwrap_or(inode)))
            })
            .filter(|(task, _)| {
                // The inspector does not report itself.
                task.pid != self.model.observation.reader.pid || self.attributed(task, unmanaged).is_some()
            })
            .map(|(task, home)| {
                let pid_inside = match depth {
                    Some(0) => Some(task.pid),
                    _ if task.namespaces.get(Kind::Pid) == Some(inode) => task.pid_inside,
                    Some(depth) => task.pids_below.get(depth - 1).copied(),
                    None => None,
                };
                Seen {
                    process: self.process(task, inode, pid_inside, self.attributed(task, unmanaged)),
                    home,
                }
            });
        self.assemble(inode, false, units, processes)
    }

    /// One for each pod with containers in the node's own PID namespace: their processes, by cgroup only.
    fn host_spaces(&self) -> Vec<PidSpace> {
        let mut pods: BTreeMap<PodName, (u32, BTreeSet<UnitId>)> = BTreeMap::new();
        for (index, unit) in self.model.units.list.iter().enumerate().filter(|(_, unit)| unit.is_living()) {
            let inode = unit.namespaces.get(Kind::Pid).filter(|inode| self.is_host(*inode));
            if let (Some(inode), Some((_, pod))) = (inode, self.names.get(unit.id.as_str())) {
                pods.entry(pod.clone()).or_insert_with(|| (inode, BTreeSet::new())).1.insert(index);
            }
        }
        let tasks = &self.model.observation.tasks;
        let space = |(inode, units): (u32, BTreeSet<UnitId>)| {
            let of_these = tasks.iter().filter(|task| task.is_leader()).filter_map(|task| {
                let unit = *self.model.units.of_task.get(&task.pid)?;
                let inside = task.namespaces.get(Kind::Pid)?;
                let home = self.upwards(inside).find(|above| self.homes.contains_key(above)).unwrap_or(inode);
                units
                    .contains(&unit)
                    .then(|| Seen { process: self.process(task, inode, Some(task.pid), Some(unit)), home })
            });
            self.assemble(inode, true, &units, of_these)
        };
        pods.into_values().map(space).collect()
    }

    fn assemble(
        &self,
        inode: u32,
        host: bool,
        units: &BTreeSet<UnitId>,
        processes: impl Iterator<Item = Seen>,
    ) -> PidSpace {
        let mut members: Vec<&Unit<'_>> = units.iter().filter_map(|unit| self.unit(*unit)).collect();
        members.sort_by_key(|unit| unit.age());
        let mut processes: Vec<Seen> = processes.collect();
        processes.sort_by_key(|seen| (seen.process.pod_pid, seen.process.pid));
        PidSpace {
            inode,
            host,
            unmanaged: members.iter().all(|unit| unit.origin == Origin::Unmanaged),
            containers: members.iter().filter_map(|unit| self.names.get(unit.id.as_str()).cloned()).collect(),
            processes,
        }
    }

    /// Whose process it is. In a container's namespace, one that no runtime claims is nobody's.
    fn attributed(&self, task: &Task, unmanaged: bool) -> Option<UnitId> {
        let mut task = task;
        let mut seen = HashSet::new();
        loop {
            if let Some(unit) = self.model.units.of_task.get(&task.pid) {
                return Some(*unit).filter(|unit| unmanaged || self.is_managed(*unit));
            }
            // A zombie has left its cgroup: it is whose parent has to reap it.
            if !task.is_dead() || !seen.insert(task.pid) {
                return None;
            }
            task = self.model.observation.leader(task.parent)?;
        }
    }

    fn process(&self, task: &Task, inode: u32, pod_pid: Option<u32>, unit: Option<UnitId>) -> Process {
        let name = unit.and_then(|unit| self.names.get(self.unit(unit)?.id.as_str()));
        let state = task.state.or_else(|| task.zombie.then_some('Z'));
        Process {
            pid: task.pid,
            pod_pid,
            parent: task.parent,
            container: name.map(|(container, _)| container.id.clone()),
            container_name: name.map(|(container, _)| container.name.clone()),
            pod: name.map(|(_, pod)| pod.clone()),
            pid_namespace: inode,
            comm: task.comm.to_string(),
            state: state.map(String::from),
            uid: task.uid,
            started_at: self
                .model
                .observation
                .node
                .wall_clock(task.start_boottime_ns)
                .map(|time| time.to_string()),
            threads: task.threads,
        }
    }
}

/// How many PID namespaces below the reader's these processes' own is; `None` where nothing tells (recordings of
/// older versions).
fn depth(tasks: &[&Task]) -> Option<usize> {
    let below = tasks.iter().map(|task| task.pids_below.len()).max()?;
    let of_the_reader = || tasks.iter().all(|task| task.pid_inside.is_none_or(|inside| inside == task.pid));
    (below > 0 || of_the_reader()).then_some(below)
}

#[cfg(test)]
#[path = "processes_tests.rs"]
mod tests;
