//! The order in which the kernel's words and the looks arrive is not the order in which things happened: whatever arrives
//! when, as far as the kernel and the watcher allow it, the engine ends up with the same tasks, and tells of no container's
//! beginning or end twice.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::*;
use crate::observation::{
    EventCgroup, ExitStatus, Inodes, Kind, NamespaceSet, RuntimeState, Task, TaskRef, Tasks,
};
use crate::state::tests::world::{World, id};
use crate::view::EventType;

/// Numbers that a seed gives (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % limit as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

/// Between two things that happen.
const STEP_NS: u64 = 1_000_000;

/// From one look to the next, in things that happen.
const LOOK_EVERY: usize = 25;

/// By how many places what happened to different processes may change places, and a look may come earlier or later.
const JITTER: usize = 4;
const LOOK_JITTER: usize = 10;

/// How many machines, and in how many orders what happens on each arrives.
const SEEDS: u64 = 25;
const ORDERS: u64 = 3;

/// A node on which processes come and go at random, and all that is told of it.
struct Machine {
    world: World,
    random: Random,
    now_ns: u64,
    next_pid: u32,
    next_inode: u32,
    /// What can be used again.
    free: Vec<(Kind, u32)>,
    /// The PID namespace above each.
    above: BTreeMap<u32, u32>,
    happened: Vec<KernelEvent>,
}

impl Machine {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        world.docker("eldest", 100);
        world.seen.node.boottime_ns = 1_000_000_000_000;
        let now_ns = world.seen.node.boottime_ns;
        Self {
            world,
            random: Random(seed),
            now_ns,
            next_pid: 1000,
            next_inode: 100_000,
            free: Vec::new(),
            above: BTreeMap::new(),
            happened: Vec::new(),
        }
    }

    fn look(&self) -> Look {
        let mut observation = self.world.seen.clone();
        observation.tasks.put_in_order();
        observation.node.boottime_ns = self.now_ns + STEP_NS / 3;
        Look { observation, since_boottime_ns: self.now_ns + STEP_NS / 4 }
    }

    fn inode(&mut self, kind: Kind) -> u32 {
        // Not of PID namespaces: the kernel frees those long after their inits have ended.
        let at = self.free.iter().position(|(it, _)| *it == kind && kind != Kind::Pid);
        at.filter(|_| self.random.below(2) == 0).map_or_else(
            || {
                self.next_inode += 1;
                self.next_inode
            },
            |at| self.free.remove(at).1,
        )
    }

    fn tell(&mut self, kind: EventKind, task: &Task, old: Option<NamespaceSet>, caller: Option<TaskRef>) {
        let leader = self.world.seen.tasks.iter().find(|it| it.pid == task.tgid);
        let process_start_boottime_ns = leader.map_or(task.start_boottime_ns, |it| it.start_boottime_ns);
        let name = task.cgroup.as_deref().and_then(|path| path.strip_prefix("/docker/"));
        self.happened.push(KernelEvent {
            kind,
            boottime_ns: self.now_ns,
            pid: task.pid,
            tgid: task.tgid,
            start_boottime_ns: task.start_boottime_ns,
            process_start_boottime_ns,
            comm: task.comm.clone(),
            uid: 0,
            user_namespace_owner: 0,
            level: 0,
            pid_inside: task.pid,
            kernel_thread: false,
            pid_namespace_init: task.pid_namespace_init,
            caller,
            parent_is_callers: false,
            parent: None,
            exit: (kind == EventKind::Exit).then_some(ExitStatus::from_wait(9)),
            old,
            old_is_parents: false,
            new: (kind != EventKind::Exit).then_some(set(task)),
            cgroup: EventCgroup { name: name.unwrap_or_default().into(), ..EventCgroup::default() },
        });
    }

    /// Those that may do something: the ones that this machine has made.
    fn actors(&self) -> Vec<Task> {
        self.world.seen.tasks.iter().filter(|task| task.is_leader() && task.pid >= 1000).cloned().collect()
    }

    /// One thing happens.
    fn step(&mut self, containers_begin: bool) {
        self.now_ns += STEP_NS;
        let actors = self.actors();
        match self.random.below(10) {
            0..=3 => self.fork(&actors, containers_begin),
            4 | 5 if !actors.is_empty() => self.exit(&actors),
            6 if !actors.is_empty() => self.unshare(&actors),
            7 if !actors.is_empty() => self.join(&actors),
            8 if !actors.is_empty() => self.exec(&actors),
            9 if !actors.is_empty() => self.hop(&actors),
            _ => self.fork(&actors, containers_begin),
        }
    }

    fn fork(&mut self, actors: &[Task], containers_begin: bool) {
        let begins_container = containers_begin && self.random.below(6) == 0;
        let root = self.world.task(1).clone();
        let maker = if begins_container || actors.is_empty() || self.random.below(2) == 0 {
            root
        } else {
            self.random.pick(actors).clone()
        };
        let old = set(&maker);
        let pid = self.next_pid;
        self.next_pid += 1;
        let mut child = Task {
            pid,
            tgid: pid,
            parent: maker.pid,
            start_boottime_ns: self.now_ns - STEP_NS / 10,
            comm: format!("p{pid}").into(),
            pid_namespace_init: false,
            pid_inside: Some(pid),
            ..maker
        };
        let born_into = maker.pid_for_children;
        if let Some(inode) = born_into {
            child.namespaces.set(Kind::Pid, inode);
        }
        let kinds = if begins_container { Kind::POD.to_vec() } else { self.some_kinds() };
        for kind in kinds {
            // Who unshared its children's PID namespace has one child at most that is its init; here it makes none.
            if kind != Kind::Pid || born_into == maker.namespaces.get(Kind::Pid) || born_into.is_none() {
                let inode = self.inode(kind);
                if kind == Kind::Pid {
                    self.above.extend(child.namespaces.get(kind).map(|above| (inode, above)));
                    child.pid_namespace_init = true;
                }
                child.namespaces.set(kind, inode);
            }
        }
        child.pid_for_children = child.namespaces.get(Kind::Pid);
        child.time_for_children = child.namespaces.get(Kind::Time);
        if begins_container {
            let name = format!("c{pid}");
            child.cgroup = Some(format!("/docker/{}", id(&name)).into());
            self.world.exited(&name);
            let declared = self.world.container(&name);
            (declared.state, declared.pid, declared.exit_code) = (RuntimeState::Running, pid, None);
        }
        let caller =
            TaskRef { pid: maker.pid, tgid: maker.tgid, process_start_boottime_ns: maker.start_boottime_ns };
        self.tell(EventKind::Fork, &child, Some(old), Some(caller));
        self.world.seen.tasks.push(child);
    }

    fn some_kinds(&mut self) -> Vec<Kind> {
        let kinds = [Kind::Uts, Kind::Net, Kind::Ipc, Kind::Mnt, Kind::Pid];
        (0..self.random.below(4)).map(|_| *self.random.pick(&kinds)).collect()
    }

    /// An end, and with an init that of all that are in its PID namespace.
    fn exit(&mut self, actors: &[Task]) {
        let first = self.random.pick(actors).clone();
        let mut dying = vec![first.clone()];
        if first.pid_namespace_init {
            let dead = first.namespaces.get(Kind::Pid);
            let inside = |it: &&Task| {
                let own = it.namespaces.get(Kind::Pid);
                let up = std::iter::successors(own, |inode| self.above.get(inode).copied());
                it.pid != first.pid && up.into_iter().any(|inode| Some(inode) == dead)
            };
            dying.extend(actors.iter().filter(inside).cloned());
        }
        for task in dying {
            self.tell(EventKind::Exit, &task, Some(set(&task)), None);
            self.now_ns += STEP_NS / 100;
            self.world.seen.tasks.retain(|it| it.tgid != task.pid);
            for declared in self.world.seen.containers.iter_mut().filter(|it| it.pid == task.pid) {
                (declared.state, declared.pid, declared.exit_code) = (RuntimeState::Exited, 0, Some(137));
            }
            let tasks = &self.world.seen.tasks;
            let is_free =
                |(kind, inode): &(Kind, u32)| tasks.iter().all(|it| it.namespaces.get(*kind) != Some(*inode));
            self.free.extend(task.namespaces.iter().filter(is_free));
        }
    }

    fn change(&mut self, kind: EventKind, mut task: Task, change: impl FnOnce(&mut Task)) {
        let old = set(&task);
        change(&mut task);
        self.tell(kind, &task, Some(old), None);
        let tasks = &mut self.world.seen.tasks;
        let leader = tasks.iter().find(|it| it.pid == task.tgid).map(set);
        tasks.retain(|it| it.pid != task.pid);
        // A thread that is where its process is has no row.
        if task.is_leader() || leader != Some(set(&task)) {
            tasks.push(task);
        }
    }

    fn unshare(&mut self, actors: &[Task]) {
        let task = self.random.pick(actors).clone();
        let kind = *self.random.pick(&[Kind::Uts, Kind::Net, Kind::Ipc, Kind::Time]);
        let inode = self.inode(kind);
        self.change(EventKind::Unshare, task, |it| match kind {
            Kind::Time => it.time_for_children = Some(inode),
            kind => it.namespaces.set(kind, inode),
        });
    }

    fn join(&mut self, actors: &[Task]) {
        let (task, other) = (self.random.pick(actors).clone(), self.random.pick(actors).clone());
        let kind = *self.random.pick(&[Kind::Uts, Kind::Net, Kind::Ipc]);
        if let Some(inode) = other.namespaces.get(kind) {
            self.change(EventKind::Setns, task, |it| it.namespaces.set(kind, inode));
        }
    }

    fn exec(&mut self, actors: &[Task]) {
        let task = self.random.pick(actors).clone();
        // Its threads are gone with that, and what comes of it is its main thread.
        if self.world.seen.tasks.iter().any(|it| it.tgid == task.pid && !it.is_leader()) {
            return;
        }
        self.change(EventKind::Exec, task, |it| it.comm = format!("{}x", it.comm).into());
    }

    /// A thread goes elsewhere, or comes back.
    fn hop(&mut self, actors: &[Task]) {
        let leader = self.random.pick(actors).clone();
        let stray = self.world.seen.tasks.iter().find(|it| it.tgid == leader.pid && !it.is_leader()).cloned();
        if let Some(stray) = stray {
            let home = leader.namespaces;
            self.change(EventKind::Setns, stray, |it| it.namespaces = home);
        } else {
            let pid = self.next_pid;
            self.next_pid += 1;
            let start_boottime_ns = self.now_ns - STEP_NS / 5;
            let thread = Task { pid, start_boottime_ns, pid_namespace_init: false, ..leader };
            let inode = self.inode(Kind::Net);
            self.change(EventKind::Unshare, thread, |it| it.namespaces.set(Kind::Net, inode));
        }
    }
}

fn set(task: &Task) -> NamespaceSet {
    NamespaceSet {
        namespaces: task.namespaces,
        pid_for_children: task.pid_for_children.or(task.namespaces.get(Kind::Pid)),
        time_for_children: task.time_for_children.or(task.namespaces.get(Kind::Time)),
    }
}

/// What arrives: an event, or a look.
#[derive(Clone)]
enum Arrival {
    Event(Box<KernelEvent>),
    Look(Box<Look>),
}

/// Whether two neighbours may change places: what happened to different processes, of which neither made or killed the other.
fn may_swap(one: &Arrival, other: &Arrival) -> bool {
    let (Arrival::Event(one), Arrival::Event(other)) = (one, other) else { return false };
    let makes = |it: &KernelEvent, child: &KernelEvent| {
        it.kind == EventKind::Fork && child.caller.is_some_and(|caller| caller.tgid == it.tgid)
            || child.kind == EventKind::Fork && child.caller.is_some_and(|caller| caller.tgid == it.tgid)
    };
    let kills = |it: &KernelEvent| it.kind == EventKind::Exit && it.pid_namespace_init;
    one.tgid != other.tgid && !makes(one, other) && !makes(other, one) && !kills(one) && !kills(other)
}

/// The same, in an order in which it may arrive, too.
fn shuffled(mut arrivals: Vec<Arrival>, random: &mut Random) -> Vec<Arrival> {
    for _ in 0..JITTER {
        let mut at = 0;
        while at + 1 < arrivals.len() {
            if random.below(2) == 0 && may_swap(&arrivals[at], &arrivals[at + 1]) {
                arrivals.swap(at, at + 1);
            }
            at += 1 + random.below(2);
        }
    }
    // Told twice: again before anything else happens to its process.
    let mut twice = Vec::new();
    for arrival in arrivals {
        let again = matches!(arrival, Arrival::Event(_)) && random.below(10) == 0;
        twice.extend(again.then(|| arrival.clone()));
        twice.push(arrival);
    }
    let looks: Vec<usize> = (0..twice.len()).filter(|at| matches!(twice[*at], Arrival::Look(_))).collect();
    for at in looks {
        let to = (at + random.below(2 * LOOK_JITTER + 1)).saturating_sub(LOOK_JITTER).min(twice.len() - 1);
        let look = twice.remove(at);
        twice.insert(to, look);
    }
    twice
}

type Rows = BTreeMap<u32, (u64, Arc<str>, Inodes, NamespaceSet)>;

fn rows(tasks: &Tasks) -> Rows {
    tasks.iter().map(|it| (it.pid, (it.start_boottime_ns, it.comm.clone(), it.namespaces, set(it)))).collect()
}

/// Feeds it all, in batches, and gives the tasks in the end and what was told.
fn feed(first: Look, arrivals: &[Arrival], random: &mut Random) -> (Rows, Vec<Event>) {
    let mut engine = Engine::start(first, Some(HeardBy::Fexit), true);
    let (mut told, mut batch) = (Vec::new(), Vec::new());
    let mut flush = |engine: &mut Engine, batch: &mut Vec<KernelEvent>| {
        if !batch.is_empty() {
            let events = std::mem::take(batch);
            told.extend(engine.take(Input::Told(Told {
                events,
                by: Some(HeardBy::Fexit),
                ..Told::default()
            })));
        }
    };
    let mut looks = Vec::new();
    for arrival in arrivals {
        match arrival {
            Arrival::Event(event) => {
                batch.push((**event).clone());
                if random.below(4) == 0 {
                    flush(&mut engine, &mut batch);
                }
            }
            Arrival::Look(look) => {
                flush(&mut engine, &mut batch);
                looks.extend(engine.take(Input::Look(look.clone())));
            }
        }
    }
    flush(&mut engine, &mut batch);
    told.extend(looks);
    (rows(&engine.last().observation().tasks), told)
}

/// What is in one and not in the other, or not the same.
fn differences(tasks: &Rows, truth: &Rows) -> Vec<String> {
    let pids = tasks.keys().chain(truth.keys()).collect::<std::collections::BTreeSet<_>>();
    let differ = pids.into_iter().filter(|pid| tasks.get(pid) != truth.get(pid));
    differ.map(|pid| format!("{pid}: {:?} instead of {:?}", tasks.get(pid), truth.get(pid))).collect()
}

/// A machine's story: the first look, all that arrives in the order in which it happened, and the tasks in the end.
fn story(seed: u64) -> (Look, Vec<Arrival>, Rows) {
    const STEPS: usize = 150;
    let mut machine = Machine::new(seed);
    let first = machine.look();
    let mut arrivals = Vec::new();
    for step in 1..=STEPS {
        // What begins in a container's cgroup is kept back until a look knows it: the last look has to.
        machine.step(step < STEPS - 2 * LOOK_EVERY);
        arrivals.extend(machine.happened.drain(..).map(|event| Arrival::Event(Box::new(event))));
        if step % LOOK_EVERY == 0 && step < STEPS {
            arrivals.push(Arrival::Look(Box::new(machine.look())));
        }
    }
    (first, arrivals, rows(&machine.world.seen.tasks))
}

/// Which containers are told of more than once, as what.
fn told_twice(events: &[Event]) -> Vec<(EventType, String)> {
    let mut times: BTreeMap<(EventType, String), u32> = BTreeMap::new();
    for event in events {
        if matches!(event.event_type, EventType::ContainerStarted | EventType::ContainerExited)
            && let Some(container) = &event.container
        {
            *times.entry((event.event_type, container.id.clone())).or_default() += 1;
        }
    }
    times.into_iter().filter(|(_, times)| *times > 1).map(|(what, _)| what).collect()
}

#[test]
fn what_arrives_in_order_gives_the_machines_tasks() {
    for seed in 0..SEEDS {
        let (first, arrivals, truth) = story(seed);
        assert!(truth.len() > 4, "seed {seed}: nothing lives");
        let (tasks, told) = feed(first, &arrivals, &mut Random(seed));
        assert_eq!(differences(&tasks, &truth), [""; 0], "seed {seed}");
        assert_eq!(told_twice(&told), [], "seed {seed}");
        let ended = told.iter().filter(|it| it.event_type == EventType::ContainerExited).count();
        assert!(ended > 2, "seed {seed}: {ended} containers have ended");
    }
}

#[test]
fn no_order_in_which_it_may_arrive_gives_other_tasks_or_tells_a_start_or_an_end_twice() {
    for seed in 0..SEEDS {
        let (first, arrivals, truth) = story(seed);
        for order in 0..ORDERS {
            let mut random = Random(seed * 1000 + order);
            let arrivals = shuffled(arrivals.clone(), &mut random);
            let (tasks, told) = feed(first.clone(), &arrivals, &mut random);
            assert_eq!(differences(&tasks, &truth), [""; 0], "seed {seed}, order {order}");
            assert_eq!(told_twice(&told), [], "seed {seed}, order {order}");
        }
    }
}
