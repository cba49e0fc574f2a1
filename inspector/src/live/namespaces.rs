//! Namespaces that are new, gone, come into and left.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;

use super::generations::Generations;
use super::lineage::Lineage;
use super::moment::{Containers, Moment, Running};
use super::story::{Story, named, named_pod, process, process_of};
use crate::observation::{
    EventKind, Inodes, KernelEvent, Kind, NamespaceSet, Observation, Origin, ProcessKey, Task,
};
use crate::view::{Change, Container, Event, EventProcess, EventType, Named, Pod};

/// A pod, and the container of it that a namespace is of.
type Tenant = (Named, Named);

/// Whose new namespaces are, where a container is known; else the start and the pid of who made them.
type Maker<'a> = (Option<&'a str>, u64, u32);

/// Namespaces that are gone, and whose they were.
type Gone<'a> = (Option<&'a Tenant>, Vec<Change>);

/// A namespace as it was seen. Of these there are ten thousands, of two moments at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    /// The kernel's id of it, where it has one.
    pub id: Option<NonZeroU64>,
    /// The eldest process whose main thread is in it: its start, and its pid.
    pub eldest: Option<(u64, NonZeroU32)>,
    /// Which use of its inode it is.
    pub generation: u64,
    /// The pod and the container whose init was its eldest, once that was so.
    pub whose: Option<Arc<Tenant>>,
}

impl Seen {
    /// The start and the pid of the eldest process whose main thread is in it.
    fn eldest(&self) -> Option<(u64, u32)> {
        self.eldest.map(|(start_boottime_ns, pid)| (start_boottime_ns, pid.get()))
    }
}

const _: () = assert!(size_of::<Seen>() == 40);

/// Every namespace of a moment: of tasks, and of what else keeps one.
#[derive(Default)]
pub(super) struct Census {
    pub namespaces: BTreeMap<(Kind, u32), Seen>,
}

impl Census {
    pub(super) fn of(observation: &Observation) -> Self {
        let mut namespaces: BTreeMap<(Kind, u32), Seen> = BTreeMap::new();
        for task in &observation.tasks {
            let age = NonZeroU32::new(task.pid).map(|pid| (task.start_boottime_ns, pid));
            for key in task.namespaces.iter() {
                let seen = namespaces.entry(key).or_default();
                if task.is_leader() && !task.zombie && (seen.eldest.is_none() || age < seen.eldest) {
                    seen.eldest = age;
                }
            }
            // What children are to be born into is there already.
            let for_children = [(Kind::Pid, task.pid_for_children), (Kind::Time, task.time_for_children)];
            for (kind, inode) in for_children.into_iter().filter_map(|(kind, it)| Some((kind, it?))) {
                namespaces.entry((kind, inode)).or_default();
            }
        }
        for pin in &observation.pins {
            namespaces.entry((pin.kind, pin.inode)).or_default();
        }
        for handle in &observation.handles {
            namespaces.entry((handle.kind, handle.inode)).or_default();
        }
        for fact in &observation.namespaces {
            namespaces.entry((fact.kind, fact.inode)).or_default().id = fact.id.and_then(NonZeroU64::new);
        }
        // What was put in here and there leaves half of the room empty; what comes in order does not.
        Self { namespaces: namespaces.into_iter().collect() }
    }

    /// Keeps what was there before: the kernel tells of no namespace's end, only a look finds it.
    pub(super) fn keep(&mut self, before: &Self) {
        for (key, seen) in &before.namespaces {
            self.namespaces.entry(*key).or_insert_with(|| Seen { eldest: None, ..seen.clone() });
        }
    }

    /// Says whose each is, or was before its processes ended.
    pub(super) fn attribute(&mut self, containers: &Containers<'_>, before: &Self, lineage: &Lineage) {
        let mut names: HashMap<u32, Arc<Tenant>> = HashMap::new();
        for (key, seen) in &mut self.namespaces {
            let eldest = || seen.eldest().map(|(_, pid)| pid);
            let maker = || lineage.creation(*key).map(|made| made.process.pid);
            let of = |pid: u32| Some((pid, containers.by_pid(pid)?));
            let now = eldest().and_then(of).or_else(|| maker().and_then(of));
            seen.whose = match now {
                Some((pid, it)) => {
                    let name = || Arc::new((named_pod(it.pod), named(it.container)));
                    Some(Arc::clone(names.entry(pid).or_insert_with(name)))
                }
                None => {
                    let last = before.namespaces.get(key).filter(|it| it.generation == seen.generation);
                    last.and_then(|it| it.whose.clone())
                }
            };
        }
    }

    /// Whether a process is in it.
    fn has_member(&self, key: (Kind, u32)) -> bool {
        self.namespaces.get(&key).is_some_and(|it| it.eldest.is_some())
    }

    /// Whether a namespace of this moment is there still in a later one, as itself.
    fn lives_on(&self, key: (Kind, u32), later: &Self) -> bool {
        self.namespaces.get(&key).is_some_and(|seen| later.has(key, seen))
    }

    /// Whether a namespace of another moment is there, as itself.
    fn has(&self, key: (Kind, u32), seen: &Seen) -> bool {
        self.namespaces.get(&key).is_some_and(|it| it.generation == seen.generation)
    }
}

/// A change of a namespace, with what is known of the one come into.
pub(super) fn change(story: &Story<'_>, kind: Kind, from: Option<u32>, to: Option<u32>) -> Change {
    change_in(story.next, story.generations, kind, from, to)
}

/// The same, by one moment.
pub(super) fn change_in(
    moment: &Moment,
    generations: &Generations,
    kind: Kind,
    from: Option<u32>,
    to: Option<u32>,
) -> Change {
    let home = to.and_then(|inode| home(moment, kind, inode));
    Change {
        kind,
        generation: to.or(from).map_or(1, |inode| generations.get(kind, inode)),
        from,
        to,
        to_pod: home.as_ref().map(|(pod, _)| pod.clone()),
        to_owner: home.and_then(|(_, owner)| owner),
    }
}

/// A namespace that came and went between two moments: its inode is another's by now.
pub(super) fn flash((kind, inode): (Kind, u32), generation: u64, made: &KernelEvent) -> [Event; 2] {
    let process = process_of(made);
    let change = |from, to| Change { kind, generation, from, to, to_pod: None, to_owner: None };
    [
        Event {
            message: format!("{kind} created by {} ({})", process.comm, process.pid),
            process: Some(process),
            namespaces: vec![change(None, Some(inode))],
            boottime_ns: made.boottime_ns,
            ..Event::draft(EventType::NamespaceCreated)
        },
        Event {
            message: format!("{kind} destroyed: its inode is the next one's"),
            namespaces: vec![change(Some(inode), None)],
            ..Event::draft(EventType::NamespaceDestroyed)
        },
    ]
}

/// The pod that a namespace is of, and whom it was made for there. Where no pod lists it, the container that has it for
/// itself is its home.
pub(super) fn home(moment: &Moment, kind: Kind, inode: u32) -> Option<(Named, Option<String>)> {
    if moment.observation().host.is_host(kind, inode) == Some(true) {
        return None;
    }
    let listed = moment.pods().iter().find_map(|pod| {
        let it = pod.namespaces.iter().find(|it| it.kind == kind && it.inode == inode)?;
        Some((named_pod(pod), it.owner.container.clone()))
    });
    listed.or_else(|| {
        moment.pods().iter().find_map(|pod| {
            let own = pod.running().find(|it| it.namespaces.get(&kind) == Some(&inode))?;
            Some((named_pod(pod), Some(own.id.clone())))
        })
    })
}

/// Namespaces that were left, and those of which nothing is left.
pub(super) fn ends(story: &Story<'_>) -> Vec<Event> {
    let mut events = left_by_moving(story);
    events.extend(left_by_ending(story));
    let mut gone: BTreeMap<(Option<&str>, bool), Gone<'_>> = BTreeMap::new();
    for (key, seen) in &story.before.namespaces {
        if story.after.has(*key, seen) {
            continue;
        }
        let whose = seen.whose.as_deref();
        // That another has its inode proves its end; else it is that nothing was found in it.
        let is_replaced = story.after.namespaces.contains_key(key);
        let id = whose.map(|(_, it)| it.id.as_str());
        let entry = gone.entry((id, is_replaced)).or_insert((whose, Vec::new()));
        entry.1.push(Change {
            kind: key.0,
            generation: seen.generation,
            from: Some(key.1),
            to: None,
            to_pod: None,
            to_owner: None,
        });
    }
    events.extend(gone.into_iter().map(|((_, is_replaced), (whose, changes))| Event {
        pod: whose.map(|(pod, _)| pod.clone()),
        container: whose.map(|(_, container)| container.clone()),
        message: format!(
            "{}{} destroyed: {}",
            names(&changes),
            whose.map_or_else(String::new, |(_, it)| format!(" of {}", it.name)),
            match (is_replaced, changes.len()) {
                (true, 1) => "its inode is the next one's",
                (true, _) => "their inodes are the next ones'",
                (false, 1) => "no process and nothing else that was looked for keeps it",
                (false, _) => "no process and nothing else that was looked for keeps them",
            }
        ),
        namespaces: changes,
        ..Event::draft(EventType::NamespaceDestroyed)
    }));
    events
}

/// Of containers that ended: what they had in common with others, who live on.
fn left_by_ending(story: &Story<'_>) -> Vec<Event> {
    let host = &story.last.observation().host;
    let gone = story.gone_containers().map(|(_, it)| it);
    gone.filter(|it| story.tells_of(it.pod))
        .filter_map(|Running { pod, container }| {
            let changes: Vec<Change> = (container.namespaces.iter())
                .filter(|(kind, inode)| host.is_host(**kind, **inode) == Some(false))
                .filter(|(kind, inode)| story.before.lives_on((**kind, **inode), story.after))
                // Where only a look can find the end, who is in it still tells that it has not come.
                .filter(|(kind, inode)| story.after.has_member((**kind, **inode)))
                .map(|(kind, inode)| change(story, *kind, Some(*inode), None))
                .collect();
            (!changes.is_empty()).then(|| Event {
                pod: Some(named_pod(pod)),
                container: Some(named(container)),
                message: format!("{} left {}, which {} on", container.name, names(&changes), lives(&changes)),
                namespaces: changes,
                ..Event::draft(EventType::NamespaceLeft)
            })
        })
        .collect()
}

/// Processes that are elsewhere than they were.
struct Moved<'a> {
    task: &'a Task,
    /// Kind, where it was, where it is.
    changes: Vec<(Kind, u32, u32)>,
}

/// The namespaces that a process was in before. Of one that no look has seen yet, the kernel told where it came from.
fn was_in(story: &Story<'_>, process: ProcessKey) -> Option<Inodes> {
    let seen = story.last.process(process).map(|task| task.namespaces);
    seen.or_else(|| story.origins.get(&process).copied())
}

fn moved<'a>(story: &Story<'a>) -> Vec<Moved<'a>> {
    let still = story.next.observation().tasks.iter().filter(|task| task.is_leader() && !task.zombie);
    still
        .filter_map(|task| {
            let key = story.next.key(task);
            let was = was_in(story, key)?;
            let changes: Vec<_> = task
                .namespaces
                .iter()
                .filter_map(|(kind, now)| {
                    was.get(kind).filter(|before| *before != now).map(|it| (kind, it, now))
                })
                .collect();
            (!changes.is_empty()).then_some(Moved { task, changes })
        })
        .collect()
}

fn left_by_moving(story: &Story<'_>) -> Vec<Event> {
    let host = &story.last.observation().host;
    moved(story)
        .into_iter()
        .filter_map(|Moved { task, changes }| {
            let left: Vec<Change> = changes
                .into_iter()
                .filter(|(kind, from, _)| host.is_host(*kind, *from) == Some(false))
                .filter(|(kind, from, _)| story.before.lives_on((*kind, *from), story.after))
                .filter(|(kind, from, _)| story.after.has_member((*kind, *from)))
                .map(|(kind, from, to)| Change {
                    generation: story.generations.get(kind, from),
                    ..change(story, kind, Some(from), Some(to))
                })
                .collect();
            (!left.is_empty()).then(|| Event {
                process: Some(process(task)),
                message: format!("{} ({}) left {}", task.comm, task.pid, names(&left)),
                namespaces: left,
                ..Event::draft(EventType::NamespaceLeft)
            })
        })
        .collect()
}

/// Namespaces that are new, and processes that came into others.
pub(super) fn beginnings(story: &Story<'_>) -> Vec<Event> {
    let is_new =
        |key: (Kind, u32)| story.after.namespaces.get(&key).is_some_and(|seen| !story.before.has(key, seen));
    let mut events = created(story, &is_new);
    if story.told {
        events.extend(called(story));
        return events;
    }
    let foreign: BTreeSet<u32> = story.next.judged.foreign.iter().map(|it| it.pid).collect();
    for Moved { task, changes } in moved(story) {
        let joined: Vec<Change> = changes
            .into_iter()
            .filter(|(kind, _, to)| !is_new((*kind, *to)))
            .map(|(kind, from, to)| change(story, kind, Some(from), Some(to)))
            .collect();
        // Who is in a pod without being of it is told as such.
        if !foreign.contains(&task.pid) {
            events.extend(joined_by(process(task), joined));
        }
    }
    events
}

/// Of which kind, from where, to where.
pub(super) type Step = (Kind, Option<u32>, u32);

/// What a call of `setns` came into, and where from.
pub(super) fn steps(old: &NamespaceSet, new: &NamespaceSet) -> impl Iterator<Item = Step> {
    let own = new.namespaces.iter().filter(|(kind, inode)| old.namespaces.get(*kind) != Some(*inode));
    let own = own.map(|(kind, inode)| (kind, old.namespaces.get(kind), inode));
    // For its children only, but it will hardly stay without.
    let pid = new.pid_for_children.filter(|_| new.pid_for_children != old.pid_for_children);
    own.chain(pid.map(|inode| (Kind::Pid, old.pid_for_children, inode)))
}

/// Who called `setns`, also where it is gone by now. A thread does so for a moment, for its process: a look finds it if
/// it stays.
fn called(story: &Story<'_>) -> Vec<Event> {
    let mut moves: BTreeMap<(u64, u32), (&KernelEvent, Vec<Step>)> = BTreeMap::new();
    let calls = story.calls.iter().filter(|it| it.kind == EventKind::Setns && !it.is_thread());
    for call in calls {
        let (Some(old), Some(new)) = (call.old, call.new) else { continue };
        let of_call = moves.entry((call.process_start_boottime_ns, call.tgid)).or_insert((call, Vec::new()));
        of_call.0 = call;
        for (kind, from, to) in steps(&old, &new) {
            match of_call.1.iter_mut().find(|(it, ..)| *it == kind) {
                // On from there: what counts is where from and where to.
                Some(step) => step.2 = to,
                None => of_call.1.push((kind, from, to)),
            }
        }
    }
    let joined = moves.into_values().flat_map(|(call, steps)| {
        let steps = steps.into_iter().filter(|(_, from, to)| *from != Some(*to));
        let changes = steps.map(|(kind, from, to)| change(story, kind, from, Some(to)));
        // Who comes into a runtime's pod may be the runtime's, or an intruder: a look tells, or its end.
        let changes = changes.filter(|it| it.to_pod.as_ref().is_none_or(|pod| !is_managed(story.next, pod)));
        let event = joined_by(process_of(call), changes.collect())?;
        Some(Event { boottime_ns: call.boottime_ns, ..event })
    });
    joined.collect()
}

/// Whether a pod is a runtime's.
pub(super) fn is_managed(moment: &Moment, pod: &Named) -> bool {
    moment.pods().iter().any(|it| it.id == pod.id && it.origin != Origin::Unmanaged)
}

fn joined_by(process: EventProcess, joined: Vec<Change>) -> Option<Event> {
    (!joined.is_empty()).then(|| Event {
        message: format!("{} ({}) joined {}", process.comm, process.pid, names_and_homes(&joined)),
        process: Some(process),
        namespaces: joined,
        ..Event::draft(EventType::NamespaceJoined)
    })
}

/// By whom new namespaces were made: by what the kernel told, else as far as can be told from who is in them.
fn created(story: &Story<'_>, is_new: &impl Fn((Kind, u32)) -> bool) -> Vec<Event> {
    let mut made: BTreeMap<Maker<'_>, Vec<(Kind, u32)>> = BTreeMap::new();
    for (key, seen) in story.after.namespaces.iter().filter(|(key, _)| is_new(**key)) {
        let whose = seen.eldest().and_then(|(_, pid)| story.is.by_pid(pid));
        let whose = whose.filter(|it| it.container.runtime.is_some());
        // What was made in several steps for one container is one thing that happened.
        let by = match (whose, story.lineage.creation(*key)) {
            (Some(_), _) => seen.eldest(),
            (None, Some(made)) => Some((made.start_boottime_ns, made.process.pid)),
            (None, None) => seen.eldest(),
        };
        let (start, pid) = by.unwrap_or_default();
        made.entry((whose.map(|it| it.container.id.as_str()), start, pid)).or_default().push(*key);
    }
    let events = made.into_iter().map(|((whose, start_boottime_ns, pid), keys)| {
        let whose = whose.and_then(|id| story.is.by_id(id));
        let first =
            keys.iter().filter_map(|key| story.lineage.creation(*key)).min_by_key(|it| it.boottime_ns);
        let task = story.next.task(pid).filter(|task| task.start_boottime_ns == start_boottime_ns);
        let process = task.map(process).or_else(|| {
            let made = first.filter(|it| it.process.pid == pid)?;
            Some(EventProcess { pid, start_boottime_ns, comm: made.comm.clone() })
        });
        let from = |kind| was_in(story, story.next.key(task?))?.get(kind);
        let changes: Vec<Change> =
            keys.iter().map(|(kind, inode)| change(story, *kind, from(*kind), Some(*inode))).collect();
        let by = match (whose, &process) {
            (Some(it), _) => format!(" for {}", it.container.name),
            (None, Some(it)) if first.is_some() => format!(" by {} ({})", it.comm, it.pid),
            (None, Some(it)) => {
                let what = if changes.len() == 1 { "it" } else { "them" };
                format!(", {} ({}) is in {what}", it.comm, it.pid)
            }
            (None, None) => String::new(),
        };
        Event {
            pod: whose.map(|it| named_pod(it.pod)),
            container: whose.map(|it| named(it.container)),
            process,
            message: format!("{} created{by}", names(&changes)),
            namespaces: changes,
            boottime_ns: first.map_or(0, |it| it.boottime_ns),
            tier: first.map_or(story.tier, |_| story.told_tier),
            ..Event::draft(EventType::NamespaceCreated)
        }
    });
    events.collect()
}

/// What a container that has started found there already: namespaces that were made for another.
pub(super) fn joined(
    story: &Story<'_>,
    pod: &Pod,
    container: &Container,
    process: Option<EventProcess>,
) -> Option<Event> {
    let changes: Vec<Change> = (pod.namespaces.iter())
        .filter(|it| container.namespaces.get(&it.kind) == Some(&it.inode))
        .filter(|it| it.owner.container.as_ref().is_some_and(|owner| *owner != container.id))
        .map(|it| change(story, it.kind, None, Some(it.inode)))
        .collect();
    if changes.is_empty() {
        return None;
    }
    let owners: BTreeSet<&str> = (changes.iter().filter_map(|it| it.to_owner.as_deref()))
        .map(|id| story.is.by_id(id).map_or(id, |it| it.container.name.as_str()))
        .collect();
    let owners: Vec<&str> = owners.into_iter().collect();
    Some(Event {
        pod: Some(named_pod(pod)),
        container: Some(named(container)),
        process,
        message: format!("{} joined {} of {}", container.name, names(&changes), owners.join(", ")),
        namespaces: changes,
        ..Event::draft(EventType::NamespaceJoined)
    })
}

/// `pid net`, by the order in which they are listed.
pub(super) fn names(changes: &[Change]) -> String {
    let kinds: Vec<&str> = changes.iter().map(|it| it.kind.name()).collect();
    kinds.join(" ")
}

fn names_and_homes(changes: &[Change]) -> String {
    let homes: BTreeSet<&str> =
        changes.iter().filter_map(|it| it.to_pod.as_ref()).map(|pod| pod.name.as_str()).collect();
    let homes: Vec<&str> = homes.into_iter().collect();
    if homes.is_empty() { names(changes) } else { format!("{} of pod {}", names(changes), homes.join(", ")) }
}

const fn lives(changes: &[Change]) -> &'static str {
    if changes.len() == 1 { "lives" } else { "live" }
}
