//! Namespaces that are new, gone, come into and left.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::generations::Generations;
use super::{Event, EventType, Moment, Running, Story, draft, named, named_pod, process};
use crate::observation::{Kind, ProcessKey, Task};
use crate::view::{Change, Container, EventProcess, Named, Pod};

/// A namespace as it was seen.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen<'a> {
    /// The kernel's id of it, where it has one.
    pub id: Option<u64>,
    /// The eldest process whose main thread is in it.
    pub eldest: Option<&'a Task>,
}

/// Every namespace of a moment: of tasks, and of what else keeps one.
pub(super) struct Census<'a> {
    pub namespaces: BTreeMap<(Kind, u32), Seen<'a>>,
}

impl<'a> Census<'a> {
    pub(super) fn of(moment: &'a Moment) -> Self {
        let mut namespaces: BTreeMap<(Kind, u32), Seen<'a>> = BTreeMap::new();
        let observation = moment.observation();
        for task in &observation.tasks {
            for key in task.namespaces.iter() {
                let seen = namespaces.entry(key).or_default();
                let elder = seen
                    .eldest
                    .is_none_or(|it| (task.start_boottime_ns, task.pid) < (it.start_boottime_ns, it.pid));
                if task.is_leader() && !task.zombie && elder {
                    seen.eldest = Some(task);
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
            namespaces.entry((fact.kind, fact.inode)).or_default().id = fact.id;
        }
        Self { namespaces }
    }

    /// Whether a namespace of this moment is there still in a later one, as itself.
    fn lives_on(&self, key: (Kind, u32), later: &Census<'_>) -> bool {
        self.namespaces.get(&key).is_some_and(|seen| later.has(key, seen))
    }

    /// Whether a namespace of another moment is there still, as itself.
    fn has(&self, key: (Kind, u32), seen: &Seen<'_>) -> bool {
        self.namespaces
            .get(&key)
            .is_some_and(|now| seen.id.zip(now.id).is_none_or(|(before, now)| before == now))
    }
}

/// A change of a namespace, with what is known of the one come into.
pub(super) fn change(
    story: &Story<'_>,
    kind: Kind,
    from: Option<u32>,
    to: Option<u32>,
    generations: &Generations,
) -> Change {
    let home = to.and_then(|inode| home(story.next, kind, inode));
    Change {
        kind,
        generation: to.or(from).map_or(1, |inode| generations.get(kind, inode)),
        from,
        to,
        to_pod: home.as_ref().map(|(pod, _)| pod.clone()),
        to_owner: home.and_then(|(_, owner)| owner),
    }
}

/// The pod that a namespace is of, and whom it was made for there. Where no pod lists it, the container that has it for
/// itself is its home.
fn home(moment: &Moment, kind: Kind, inode: u32) -> Option<(Named, Option<String>)> {
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
pub(super) fn ends(
    story: &Story<'_>,
    before: &Census<'_>,
    after: &Census<'_>,
    told: &Generations,
    generations: &Generations,
) -> Vec<Event> {
    let mut events = left_by_moving(story, before, after, generations);
    events.extend(left_by_ending(story, before, after, generations));
    let mut gone: BTreeMap<Option<String>, (Option<Running<'_>>, Vec<Change>)> = BTreeMap::new();
    for (key, seen) in &before.namespaces {
        if after.has(*key, seen) {
            continue;
        }
        let (kind, inode) = *key;
        let whose = seen.eldest.and_then(|task| story.was.by_pid(task.pid));
        if whose.is_some_and(|it| !story.tells_of(it.pod)) || (whose.is_none() && !story.all) {
            continue;
        }
        let entry = gone.entry(whose.map(|it| it.container.id.clone())).or_insert((whose, Vec::new()));
        entry.1.push(Change {
            kind,
            generation: told.get(kind, inode),
            from: Some(inode),
            to: None,
            to_pod: None,
            to_owner: None,
        });
    }
    events.extend(gone.into_values().map(|(whose, changes)| Event {
        pod: whose.map(|it| named_pod(it.pod)),
        container: whose.map(|it| named(it.container)),
        message: format!(
            "{}{} destroyed: no process and nothing else that was looked for keeps {}",
            names(&changes),
            whose.map_or_else(String::new, |it| format!(" of {}", it.container.name)),
            if changes.len() == 1 { "it" } else { "them" }
        ),
        namespaces: changes,
        ..draft(EventType::NamespaceDestroyed)
    }));
    events
}

/// Of containers that ended: what they had in common with others, who live on.
fn left_by_ending(
    story: &Story<'_>,
    before: &Census<'_>,
    after: &Census<'_>,
    generations: &Generations,
) -> Vec<Event> {
    let host = &story.last.observation().host;
    let gone = story.gone_containers().map(|(_, it)| it);
    gone.filter(|it| story.tells_of(it.pod))
        .filter_map(|Running { pod, container }| {
            let changes: Vec<Change> = (container.namespaces.iter())
                .filter(|(kind, inode)| host.is_host(**kind, **inode) == Some(false))
                .filter(|(kind, inode)| before.lives_on((**kind, **inode), after))
                .map(|(kind, inode)| change(story, *kind, Some(*inode), None, generations))
                .collect();
            (!changes.is_empty()).then(|| Event {
                pod: Some(named_pod(pod)),
                container: Some(named(container)),
                message: format!("{} left {}, which {} on", container.name, names(&changes), lives(&changes)),
                namespaces: changes,
                ..draft(EventType::NamespaceLeft)
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

fn moved<'a>(story: &Story<'a>) -> Vec<Moved<'a>> {
    let last: HashMap<ProcessKey, &Task> = (story.last.observation().tasks.iter())
        .filter(|task| task.is_leader())
        .map(|task| (story.last.key(task), task))
        .collect();
    let still = story.next.observation().tasks.iter().filter(|task| task.is_leader() && !task.zombie);
    still
        .filter_map(|task| {
            let was = last.get(&story.next.key(task))?;
            let changes: Vec<_> = task
                .namespaces
                .iter()
                .filter_map(|(kind, now)| {
                    was.namespaces.get(kind).filter(|before| *before != now).map(|it| (kind, it, now))
                })
                .collect();
            (!changes.is_empty()).then_some(Moved { task, changes })
        })
        .collect()
}

fn left_by_moving(
    story: &Story<'_>,
    before: &Census<'_>,
    after: &Census<'_>,
    generations: &Generations,
) -> Vec<Event> {
    let host = &story.last.observation().host;
    moved(story)
        .into_iter()
        .filter_map(|Moved { task, changes }| {
            let left: Vec<Change> = changes
                .into_iter()
                .filter(|(kind, from, _)| host.is_host(*kind, *from) == Some(false))
                .filter(|(kind, from, _)| before.lives_on((*kind, *from), after))
                .map(|(kind, from, to)| Change {
                    generation: generations.get(kind, from),
                    ..change(story, kind, Some(from), Some(to), generations)
                })
                .collect();
            (!left.is_empty()).then(|| Event {
                process: Some(process(task)),
                message: format!("{} ({}) left {}", task.comm, task.pid, names(&left)),
                namespaces: left,
                ..draft(EventType::NamespaceLeft)
            })
        })
        .collect()
}

/// Namespaces that are new, and processes that came into others.
pub(super) fn beginnings(
    story: &Story<'_>,
    before: &Census<'_>,
    after: &Census<'_>,
    generations: &Generations,
) -> Vec<Event> {
    let is_new = |key: (Kind, u32)| after.namespaces.get(&key).is_some_and(|seen| !before.has(key, seen));
    // By whom they were made, as far as can be told from who is in them: the eldest.
    let mut made: BTreeMap<u32, (Option<&Task>, Vec<Change>)> = BTreeMap::new();
    for (key, seen) in after.namespaces.iter().filter(|(key, _)| is_new(**key)) {
        let from = seen.eldest.and_then(|task| {
            let was = story.last.process(story.next.key(task))?;
            was.namespaces.get(key.0)
        });
        let entry = made.entry(seen.eldest.map_or(0, |task| task.pid)).or_insert((seen.eldest, Vec::new()));
        entry.1.push(change(story, key.0, from, Some(key.1), generations));
    }
    let mut events = Vec::new();
    for (task, changes) in made.into_values() {
        let whose = task.and_then(|task| story.is.by_pid(task.pid));
        if whose.is_some_and(|it| !story.tells_of(it.pod)) || (task.is_none() && !story.all) {
            continue;
        }
        events.push(Event {
            pod: whose.map(|it| named_pod(it.pod)),
            container: whose.map(|it| named(it.container)),
            process: task.map(process),
            message: format!(
                "{} created{}",
                names(&changes),
                match (whose, task) {
                    (Some(it), _) => format!(" for {}", it.container.name),
                    (None, Some(task)) => format!(
                        ", {} ({}) is in {}",
                        task.comm,
                        task.pid,
                        if changes.len() == 1 { "it" } else { "them" }
                    ),
                    (None, None) => String::new(),
                }
            ),
            namespaces: changes,
            ..draft(EventType::NamespaceCreated)
        });
    }
    let foreign: BTreeSet<u32> = story.next.facts.foreign.iter().map(|it| it.pid).collect();
    for Moved { task, changes } in moved(story) {
        let joined: Vec<Change> = changes
            .into_iter()
            .filter(|(kind, _, to)| !is_new((*kind, *to)))
            .map(|(kind, from, to)| change(story, kind, Some(from), Some(to), generations))
            .collect();
        // Who is in a pod without being of it is told as such.
        if joined.is_empty() || foreign.contains(&task.pid) {
            continue;
        }
        events.push(Event {
            process: Some(process(task)),
            message: format!("{} ({}) joined {}", task.comm, task.pid, names_and_homes(&joined)),
            namespaces: joined,
            ..draft(EventType::NamespaceJoined)
        });
    }
    events
}

/// What a container that has started found there already: namespaces that were made for another.
pub(super) fn joined(
    story: &Story<'_>,
    pod: &Pod,
    container: &Container,
    process: Option<EventProcess>,
    generations: &Generations,
) -> Option<Event> {
    let changes: Vec<Change> = (pod.namespaces.iter())
        .filter(|it| container.namespaces.get(&it.kind) == Some(&it.inode))
        .filter(|it| it.owner.container.as_ref().is_some_and(|owner| *owner != container.id))
        .map(|it| change(story, it.kind, None, Some(it.inode), generations))
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
        ..draft(EventType::NamespaceJoined)
    })
}

/// `pid net`, by the order in which they are listed.
fn names(changes: &[Change]) -> String {
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
