//! Brings what was seen up to what the kernel told since: processes are merged by their id and their start, so that telling
//! the same twice, or what a look has seen already, changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::observation::{
    EventCgroup, EventKind, ExitStatus, KernelEvent, Kind, NamespaceSet, Observation, RuntimeState, Task,
    Tasks,
};

/// The exit code of who is killed: 128 and SIGKILL.
const KILLED: i32 = 137;

/// Where the cgroups of a node are, by the kernel's ids of them.
#[derive(Default)]
pub(super) struct Paths(HashMap<u64, Arc<str>>);

impl Paths {
    /// As far as the tasks tell.
    pub(super) fn of(tasks: &Tasks) -> Self {
        let mut paths = HashMap::new();
        for (id, path) in tasks.iter().filter_map(|task| Some((task.cgroup_id?, task.cgroup.as_ref()?))) {
            paths.entry(id).or_insert_with(|| path.clone());
        }
        Self(paths)
    }

    /// The path of the cgroup that an event names. Of one that no task was in only the own name is known: what is above it is
    /// left out.
    pub(super) fn path(&self, cgroup: &EventCgroup) -> (Option<u64>, Option<Arc<str>>) {
        let id = if cgroup.name_is_of_pids { cgroup.pids } else { cgroup.v2 };
        let name = &*cgroup.name;
        // Each hierarchy counts for itself: the same number may be another cgroup's in another one.
        let is_it = |path: &&Arc<str>| path.rsplit('/').next() == Some(name);
        let path = id.and_then(|id| self.0.get(&id)).filter(is_it).cloned();
        (id, path.or_else(|| (!cgroup.name_truncated).then(|| format!("/{name}").into())))
    }
}

/// Whether this is the end of a process that is there still.
pub(super) fn is_leaving(event: &KernelEvent, observation: &Observation) -> bool {
    event.kind == EventKind::Exit
        && observation
            .task(event.tgid)
            .is_some_and(|it| it.start_boottime_ns == event.process_start_boottime_ns && !it.is_dead())
}

/// Applies events, in the kernel's order.
pub(super) fn patch<'a>(
    observation: &mut Observation,
    events: impl IntoIterator<Item = &'a KernelEvent>,
    paths: &Paths,
) {
    let mut patch = Patch::new(observation, paths);
    let mut last_ns = 0;
    for event in events {
        patch.apply(event);
        last_ns = event.boottime_ns.max(last_ns);
    }
    patch.finish();
    let node = &mut observation.node;
    if last_ns > node.boottime_ns {
        node.time = node.time_at(last_ns);
        node.boottime_ns = last_ns;
    }
}

/// An observation, and what is different by now: a task that is new or another, or none.
pub(super) struct Patch<'o, 'p> {
    observation: &'o mut Observation,
    over: BTreeMap<u32, Option<Task>>,
    paths: &'p Paths,
}

impl<'o, 'p> Patch<'o, 'p> {
    pub(super) const fn new(observation: &'o mut Observation, paths: &'p Paths) -> Self {
        Self { observation, over: BTreeMap::new(), paths }
    }

    fn task(&self, pid: u32) -> Option<&Task> {
        if let Some(over) = self.over.get(&pid) {
            return over.as_ref();
        }
        self.observation.task(pid)
    }

    fn apply(&mut self, event: &KernelEvent) {
        match event.kind {
            EventKind::Exit => self.ends(event),
            EventKind::Fork => self.begins(event),
            EventKind::Exec | EventKind::Setns | EventKind::Unshare => self.changes(event),
        }
    }

    /// The row of the task that an event is about, if it is that task's and not an earlier one's with its number.
    fn row(&self, event: &KernelEvent) -> Option<&Task> {
        self.task(event.pid).filter(|task| task.start_boottime_ns == event.start_boottime_ns)
    }

    fn begins(&mut self, event: &KernelEvent) {
        // Who was read is known better than by its birth.
        if self.row(event).is_some() {
            return;
        }
        let task = self.new_task(event);
        self.put(task);
    }

    fn changes(&mut self, event: &KernelEvent) {
        let mut task = self.row(event).cloned().unwrap_or_else(|| self.new_task(event));
        task.comm = Arc::clone(&event.comm);
        // A runtime puts its child into the container's cgroup between the fork and this, which no event tells.
        if event.kind == EventKind::Exec
            && let (Some(id), Some(path)) = self.paths.path(&event.cgroup)
            && task.cgroup_id != Some(id)
        {
            (task.cgroup_id, task.cgroup) = (Some(id), Some(path));
        }
        if let Some(new) = event.new {
            set_namespaces(&mut task, &new);
        }
        self.put(task);
    }

    fn put(&mut self, task: Task) {
        // A thread has a row of its own only where it is elsewhere than its process.
        let like_its_leader = !task.is_leader()
            && self.task(task.tgid).is_some_and(|leader| {
                let of = |it: &Task| (it.namespaces, it.pid_for_children, it.time_for_children);
                of(leader) == of(&task)
            });
        self.over.insert(task.pid, (!like_its_leader).then_some(task));
    }

    fn ends(&mut self, event: &KernelEvent) {
        let is_it = |task: &&Task| task.start_boottime_ns == event.process_start_boottime_ns;
        let Some(task) = self.task(event.tgid).filter(is_it) else { return };
        let pid_namespace = task.namespaces.get(Kind::Pid).filter(|_| task.pid_namespace_init);
        let members: Vec<Member> = pid_namespace.into_iter().flat_map(|inode| self.members(inode)).collect();
        let init = (event.tgid, task.start_boottime_ns);
        self.bury(init, &members, event.boottime_ns, event.exit);
    }

    /// Takes out who has ended, and with the init of a PID namespace its members: the kernel kills them, and does not let it
    /// go before.
    pub(super) fn bury(&mut self, init: Member, members: &[Member], at_ns: u64, exit: Option<ExitStatus>) {
        let killed = members.iter().map(|member| (*member, Some(KILLED)));
        for ((pid, start_boottime_ns), code) in std::iter::once((init, exit.map(code))).chain(killed) {
            if self.task(pid).is_some_and(|it| it.start_boottime_ns == start_boottime_ns) {
                self.over.insert(pid, None);
                self.declare_exited(pid, start_boottime_ns, at_ns, code);
            }
        }
    }

    fn members(&self, inode: u32) -> Vec<Member> {
        let seen = self.observation.tasks.iter().filter(|task| !self.over.contains_key(&task.pid));
        members(self.observation, seen.chain(self.over.values().flatten()), inode)
    }

    /// Its runtime will say so, too.
    fn declare_exited(&mut self, pid: u32, start_boottime_ns: u64, at_ns: u64, code: Option<i32>) {
        let node = &self.observation.node;
        let (ticks, time) = (node.ticks(start_boottime_ns), node.time_at(at_ns));
        for declared in &mut self.observation.containers {
            if declared.pid == pid
                && declared.state != RuntimeState::Exited
                && declared.start_ticks.is_none_or(|start| start == ticks)
            {
                declared.state = RuntimeState::Exited;
                declared.exit_code = code;
                declared.finished_at = time;
            }
        }
    }

    /// The parent of who is new, as a look will say it, unless that parent ends before; 0 if it is not known. Else a process
    /// would be its group's topmost until a look, and its end be told without its beginning, or the other way round.
    fn parent(&self, event: &KernelEvent) -> u32 {
        let Some(told) = event.caller.or(event.parent) else { return 0 };
        if !event.parent_is_callers {
            return told.tgid;
        }
        let is_it = |task: &&Task| task.start_boottime_ns == told.process_start_boottime_ns;
        self.task(told.tgid).filter(is_it).map_or(0, |caller| caller.parent)
    }

    fn new_task(&self, event: &KernelEvent) -> Task {
        let (cgroup_id, cgroup) = self.paths.path(&event.cgroup);
        let mut task = Task {
            pid: event.pid,
            tgid: event.tgid,
            parent: self.parent(event),
            start_boottime_ns: event.start_boottime_ns,
            comm: Arc::clone(&event.comm),
            uid: Some(event.uid),
            kernel_thread: event.kernel_thread,
            pid_namespace_init: event.pid_namespace_init,
            level: Some(event.level),
            pid_inside: Some(event.pid_inside),
            user_namespace_owner: Some(event.user_namespace_owner),
            cgroup,
            cgroup_id,
            ..Task::default()
        };
        if let Some(new) = event.new.or(event.old) {
            set_namespaces(&mut task, &new);
        }
        task
    }

    pub(super) fn finish(self) {
        let Self { observation, mut over, .. } = self;
        if over.is_empty() {
            return;
        }
        let gone: Vec<u32> = over.iter().filter(|(_, task)| task.is_none()).map(|(pid, _)| *pid).collect();
        let left: BTreeSet<(Kind, u32)> = (observation.tasks.iter())
            .filter(|task| gone.binary_search(&task.pid).is_ok())
            .flat_map(|task| task.namespaces.iter())
            .collect();
        let tasks = &mut observation.tasks;
        tasks.shared_mut().retain_mut(|task| match over.remove(&task.pid) {
            None => true,
            Some(None) => false,
            Some(Some(now)) => {
                *task = now.into();
                true
            }
        });
        tasks.extend(over.into_values().flatten());
        // Stray threads go with their process.
        let strays: Vec<u32> = tasks.iter().filter(|task| !task.is_leader()).map(|task| task.tgid).collect();
        if !strays.is_empty() {
            let gone: BTreeSet<u32> =
                (strays.into_iter()).filter(|tgid| tasks.get(*tgid).is_none()).collect();
            tasks.retain(|task| task.is_leader() || !gone.contains(&task.tgid));
        }
        forget_empty(observation, left);
    }
}

/// A process: its id and its start.
pub(super) type Member = (u32, u64);

/// The processes among these that are in a PID namespace or in one below it.
pub(super) fn members<'a>(
    observation: &Observation,
    tasks: impl Iterator<Item = &'a Task>,
    inode: u32,
) -> Vec<Member> {
    let mut below = BTreeSet::from([inode]);
    loop {
        let children = (observation.namespaces.iter())
            .filter(|it| it.kind == Kind::Pid && it.parent.is_some_and(|parent| below.contains(&parent)))
            .map(|it| it.inode);
        let before = below.len();
        below = below.iter().copied().chain(children).collect();
        if below.len() == before {
            break;
        }
    }
    let inside = |task: &&Task| task.namespaces.get(Kind::Pid).is_some_and(|it| below.contains(&it));
    tasks.filter(inside).map(|task| (task.pid, task.start_boottime_ns)).collect()
}

/// What a look said of namespaces whose last process has ended since is of the past, unless something else keeps them.
fn forget_empty(observation: &mut Observation, mut left: BTreeSet<(Kind, u32)>) {
    if left.is_empty() {
        return;
    }
    for task in &observation.tasks {
        for namespace in task.namespaces.iter() {
            left.remove(&namespace);
        }
        let children = [(Kind::Pid, task.pid_for_children), (Kind::Time, task.time_for_children)];
        for (kind, inode) in children.into_iter().filter_map(|(kind, inode)| Some((kind, inode?))) {
            left.remove(&(kind, inode));
        }
    }
    for pin in &observation.pins {
        left.remove(&(pin.kind, pin.inode));
    }
    for handle in &observation.handles {
        left.remove(&(handle.kind, handle.inode));
    }
    // A namespace keeps its parent and the user namespace that owns it.
    for fact in observation
        .namespaces
        .iter()
        .filter(|it| !left.contains(&(it.kind, it.inode)))
        .copied()
        .collect::<Vec<_>>()
    {
        if let Some(parent) = fact.parent {
            left.remove(&(fact.kind, parent));
        }
        if let Some(owner) = fact.owner {
            left.remove(&(Kind::User, owner));
        }
    }
    observation.namespaces.retain(|it| !left.contains(&(it.kind, it.inode)));
}

fn set_namespaces(task: &mut Task, set: &NamespaceSet) {
    task.namespaces = set.namespaces;
    task.pid_for_children = set.pid_for_children;
    task.time_for_children = set.time_for_children;
}

/// As a runtime writes it: 128 and the signal for a death by signal.
fn code(exit: ExitStatus) -> i32 {
    match (exit.code, exit.signal) {
        (Some(code), _) => i32::from(code),
        (None, Some(signal)) => 128 + i32::from(signal),
        (None, None) => 0,
    }
}
