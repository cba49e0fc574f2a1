//! From tasks and runtimes' words to containers: who is in which.
//!
//! A runtime's container is believed when the process that it names is the one it means (start time, or its cgroup),
//! and its cgroup is then *confirmed*. A task belongs to the innermost confirmed cgroup above it. A cgroup's name
//! alone proves nothing: below a confirmed cgroup, or anywhere else, the id of a container that a runtime has
//! elsewhere is an imitation, and any other id makes a container that is known by its cgroup only.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use crate::observation::{
    DeclaredContainer, Infra, Inodes, Kind, Node, Observation, Origin, Runtime, RuntimeState, Task, Tasks,
};
use crate::state::cgroup::{self, CgroupName};
use crate::state::hash::NumberMap;
use crate::state::index::PodKey;
use crate::view::Identity;

/// The position of a unit in [`Units::list`].
pub(super) type UnitId = usize;

/// A container, or the topmost process of an unmanaged group.
#[derive(Debug)]
pub(super) struct Unit<'a> {
    pub id: String,
    pub name: String,
    pub runtime: Option<Runtime>,
    pub origin: Origin,
    pub declared: Option<&'a DeclaredContainer>,
    pub identity: Identity,
    /// The living init's main thread.
    pub init: Option<&'a Task>,
    /// Its living thread groups, by pid; those of a container inside it left out.
    pub tasks: Vec<&'a Task>,
    /// Living thread groups in its cgroup subtree.
    pub processes: u64,
    pub cgroup: Option<Arc<str>>,
    /// The namespaces of its init; empty once that is dead.
    pub namespaces: Inodes,
    /// Its Kubernetes pod's uid, when only its cgroup says so.
    pub cgroup_pod_uid: Option<String>,
}

impl<'a> Unit<'a> {
    /// The declared pod that its runtime puts it into.
    pub(super) fn declared_pod(&self) -> Option<PodKey<'a>> {
        let declared = self.declared?;
        Some(PodKey { word_of_uid: declared.word_of_uid, id: declared.pod.as_deref()? })
    }

    pub(super) const fn is_living(&self) -> bool {
        self.init.is_some()
    }

    /// Orders by start, then pid, then id: stable over two looks at the same node. /proc tells starts apart by clock ticks
    /// only, and of two within one the kernel gave the elder the lower pid, unless it had just begun from the lowest again.
    pub(super) fn age(&self) -> Age<'_> {
        let init = self.init.map_or((u64::MAX, u32::MAX), |init| (init.start_boottime_ns, init.pid));
        (init.0, init.1, &self.id)
    }
}

/// When a unit's init started, its pid, and the unit's id.
pub(super) type Age<'u> = (u64, u32, &'u str);

/// The containers of a node and their tasks.
#[derive(Debug)]
pub(super) struct Units<'a> {
    pub list: Vec<Unit<'a>>,
    /// Which unit a task (by its thread id) belongs to.
    pub of_task: NumberMap<u32, UnitId>,
    /// What could not be made out.
    pub doubts: Vec<crate::observation::Gap>,
}

impl<'a> Units<'a> {
    /// Makes out the containers. Unmanaged groups are added later.
    pub(super) fn of(observation: &'a Observation) -> Self {
        let mut units = Self { list: Vec::new(), of_task: NumberMap::default(), doubts: Vec::new() };
        let mut confirmed: HashMap<String, UnitId> = HashMap::new();
        let processless: HashSet<&str> = observation
            .pods
            .iter()
            .filter(|pod| pod.infra == Infra::Processless)
            .map(|pod| pod.id.as_str())
            .collect();
        for declared in &observation.containers {
            if declared.state == RuntimeState::Created && declared.pid == 0 {
                continue;
            }
            // A sandbox that never had a process is no container.
            if processless.contains(declared.id.as_str()) {
                continue;
            }
            let unit = declared_unit(declared, observation);
            if let (true, Some(cgroup)) = (unit.is_living(), unit.cgroup.as_deref()) {
                confirmed.insert(cgroup.to_owned(), units.list.len());
            }
            units.list.push(unit);
        }
        units.attribute(observation, confirmed);
        units
    }

    /// Gives every task to its container, and makes containers of what only cgroups tell of.
    fn attribute(&mut self, observation: &'a Observation, confirmed: HashMap<String, UnitId>) {
        // What a user's own runtime says of processes that are not that user's must not hide what they are.
        let known: HashSet<String> = self
            .list
            .iter()
            .filter(|unit| unit.is_living() || unit.declared.is_none_or(|it| it.word_of_uid.is_none()))
            .map(|unit| unit.id.clone())
            .collect();
        let mut by_path: BTreeMap<&str, Vec<&Task>> = BTreeMap::new();
        for task in &observation.tasks {
            if let Some(path) = task.cgroup.as_deref().filter(|_| !task.kernel_thread) {
                by_path.entry(path).or_default().push(task);
            }
        }
        // First what nobody confirms, gathered by the cgroup that names it.
        let mut named: BTreeMap<String, (CgroupName, Vec<&'a Task>)> = BTreeMap::new();
        for (path, tasks) in &by_path {
            let sure = ancestors(path).find_map(|ancestor| Some((ancestor, *confirmed.get(ancestor)?)));
            let name = cgroup::parse(path)
                .filter(|name| sure.is_none_or(|(ancestor, _)| name.prefix.len() > ancestor.len()))
                .filter(|name| !known.contains(&name.id));
            match (name, sure) {
                (Some(name), _) => {
                    named.entry(name.prefix.clone()).or_insert_with(|| (name, Vec::new())).1.extend(tasks);
                }
                (None, Some((_, unit))) => {
                    self.of_task.extend(tasks.iter().map(|task| (task.pid, unit)));
                }
                (None, None) => {}
            }
        }
        let mut roots = confirmed;
        self.add_cgroup_only(named, &mut roots, &observation.tasks);
        // A container's init belongs to it wherever it has moved itself.
        for (index, unit) in self.list.iter().enumerate() {
            if let Some(init) = unit.init {
                self.of_task.insert(init.pid, index);
            }
        }
        self.count(&by_path, &roots);
        for task in observation.tasks.iter().filter(|task| task.is_leader() && !task.is_dead()) {
            if let Some(unit) = self.of_task.get(&task.pid).and_then(|unit| self.list.get_mut(*unit)) {
                unit.tasks.push(task);
            }
        }
    }

    fn add_cgroup_only(
        &mut self,
        named: BTreeMap<String, (CgroupName, Vec<&'a Task>)>,
        roots: &mut HashMap<String, UnitId>,
        all: &Tasks,
    ) {
        let mut candidates: Vec<_> = named
            .into_iter()
            .filter_map(|(prefix, (name, tasks))| Some((init_among(&tasks)?, prefix, name, tasks)))
            .collect();
        // An id can be known only after the container that has it exists: of two, the elder is the true one.
        candidates.sort_by_key(|(init, ..)| (init.start_boottime_ns, init.pid));
        let mut seen = HashSet::new();
        for (init, prefix, name, tasks) in candidates {
            if !seen.insert(name.id.clone()) {
                self.doubts.push(crate::observation::Gap::detail(
                    format!("whose the cgroup {prefix} is"),
                    format!(
                        "it is named like container {}, which an older cgroup is named for",
                        short(&name.id)
                    ),
                ));
                continue;
            }
            let index = self.list.len();
            self.of_task.extend(tasks.iter().map(|task| (task.pid, index)));
            roots.insert(prefix.clone(), index);
            self.list.push(Unit {
                name: short(&name.id),
                id: name.id,
                runtime: Some(name.runtime.unwrap_or(Runtime::Oci)),
                origin: origin_by_cgroup(name.runtime, name.pod_uid.is_some()),
                declared: None,
                identity: Identity::CgroupOnly,
                init: Some(init),
                tasks: Vec::new(),
                processes: 0,
                cgroup: Some(prefix.into()),
                namespaces: namespaces(init, all),
                cgroup_pod_uid: name.pod_uid,
            });
        }
    }

    /// Counts living thread groups by cgroup subtree: a container inside a container counts for both.
    fn count(&mut self, by_path: &BTreeMap<&str, Vec<&'a Task>>, roots: &HashMap<String, UnitId>) {
        for (path, tasks) in by_path {
            let living = tasks.iter().filter(|task| task.is_leader() && !task.is_dead()).count() as u64;
            for ancestor in ancestors(path) {
                if let Some(unit) = roots.get(ancestor).and_then(|unit| self.list.get_mut(*unit)) {
                    unit.processes += living;
                }
            }
        }
    }
}

fn declared_unit<'a>(declared: &'a DeclaredContainer, observation: &'a Observation) -> Unit<'a> {
    let is_it = |task: &&Task| is_init_of(task, declared, &observation.node);
    let init = observation.leader(declared.pid).filter(is_it);
    let init = init.filter(|task| !task.is_dead() && declared.state != RuntimeState::Exited);
    let init = init.filter(|task| declared.word_of_uid.is_none_or(|uid| is_of_user(task, uid)));
    // What the kernel says of the init comes before what a file says of the container.
    let cgroup = init
        .and_then(|task| cgroup::parse(task.cgroup.as_deref()?))
        .filter(|name| name.id == declared.id)
        .map(|name| name.prefix)
        .or_else(|| declared.cgroup.clone())
        .map(Arc::from);
    Unit {
        id: declared.id.clone(),
        name: declared.name.clone().unwrap_or_else(|| short(&declared.id)),
        runtime: Some(declared.runtime),
        origin: declared.origin,
        declared: Some(declared),
        identity: Identity::Confirmed,
        init,
        tasks: Vec::new(),
        processes: 0,
        cgroup,
        namespaces: init.map(|task| namespaces(task, &observation.tasks)).unwrap_or_default(),
        cgroup_pod_uid: None,
    }
}

/// Whether this task is the init that the runtime means, and not a later process with its pid.
fn is_init_of(task: &Task, declared: &DeclaredContainer, node: &Node) -> bool {
    if declared.pid == 0 {
        return false;
    }
    if let Some(ticks) = declared.start_ticks {
        return node.ticks(task.start_boottime_ns) == ticks;
    }
    if let Some(path) = task.cgroup.as_deref() {
        let below = |root: &str| ancestors(path).any(|ancestor| ancestor == root);
        return declared.cgroup.as_deref().is_some_and(below)
            || cgroup::parse(path).is_some_and(|name| name.id == declared.id);
    }
    // Without either, its start must agree with what the runtime wrote down; a runtime notes it after the fact.
    let (Some(noted), Some(started)) = (declared.started_at, node.wall_clock(task.start_boottime_ns)) else {
        return false;
    };
    noted.duration_since(started).abs() <= jiff::SignedDuration::from_secs(5)
}

/// Whether a process is a user's own: it runs as that user, or in a user namespace that is the user's. Only of those is
/// the word of a rootless runtime worth anything, whose files and sockets its user writes at will.
fn is_of_user(task: &Task, uid: u32) -> bool {
    task.uid == Some(uid) || task.user_namespace_owner == Some(uid)
}

/// The namespaces of a process. A main thread that has ended has left most of them; its siblings are in them still.
fn namespaces(init: &Task, tasks: &Tasks) -> Inodes {
    if !init.zombie {
        return init.namespaces;
    }
    let sibling = tasks.iter().find(|task| task.tgid == init.pid && !task.is_leader() && !task.zombie);
    let of_sibling = sibling.into_iter().flat_map(|task| task.namespaces.iter());
    of_sibling.chain(init.namespaces.iter()).collect()
}

/// The init among the tasks of a cgroup: the init of a PID namespace that came from outside, else the eldest that did.
fn init_among<'a>(tasks: &[&'a Task]) -> Option<&'a Task> {
    let inside: HashSet<u32> = tasks.iter().map(|task| task.pid).collect();
    tasks
        .iter()
        .filter(|task| task.is_leader() && !task.is_dead() && !inside.contains(&task.parent))
        .min_by_key(|task| (!task.pid_namespace_init, task.start_boottime_ns, task.pid))
        .copied()
}

const fn origin_by_cgroup(runtime: Option<Runtime>, kubernetes: bool) -> Origin {
    if kubernetes {
        return Origin::Kubernetes;
    }
    match runtime {
        Some(Runtime::Docker) => Origin::Docker,
        Some(Runtime::Podman) => Origin::Podman,
        Some(Runtime::Containerd) => Origin::Containerd,
        Some(Runtime::CriO) => Origin::Kubernetes,
        Some(Runtime::Oci) | None => Origin::Oci,
    }
}

/// The path and everything above it, the longest first; the root is nobody's.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above))
        .filter(|path| !path.is_empty())
}

/// The first twelve characters of an id, as runtimes shorten it.
pub(super) fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

/// The kinds in which a task is in a namespace other than the node's own, of those that make pods.
pub(super) fn own_pod_namespaces<'a>(
    task: &'a Task,
    observation: &'a Observation,
) -> impl Iterator<Item = (Kind, u32)> + 'a {
    Kind::POD.into_iter().filter_map(|kind| {
        let inode = task.namespaces.get(kind)?;
        (observation.host.is_host(kind, inode) == Some(false)).then_some((kind, inode))
    })
}
