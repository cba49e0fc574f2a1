//! Containers that begin: what happens in a cgroup that is named for a container nobody knows yet is kept back until a look
//! knows it, so that it is told by its name. Some are over by then.

use std::collections::{BTreeMap, BTreeSet};

use super::moment::Moment;
use crate::observation::{EventKind, KernelEvent, Observation, RuntimeState};
use crate::state::cgroup;

/// What is kept back, by the container's id.
#[derive(Default)]
pub(super) struct Births(BTreeMap<String, Birth>);

/// The first moments of a container.
#[derive(Default)]
pub(super) struct Birth {
    since_ns: u64,
    /// What happened in its cgroup, in the kernel's order.
    pub events: Vec<KernelEvent>,
}

/// How many events of one container are kept back at most: a runtime's stages are a dozen. What comes after is told at once,
/// without the container's name.
const KEPT: usize = 1024;

/// How many containers' events are kept back at most: anybody who owns a cgroup can name others below it as he likes.
const CONTAINERS: usize = 256;

impl Births {
    /// Keeps an event back, if it is of a container that is not known to run.
    pub(super) fn take(&mut self, event: &KernelEvent, known: &Moment) -> bool {
        let Some(id) = container_id(event) else { return false };
        if let Some(birth) = self.0.get_mut(&id) {
            let has_room = birth.events.len() < KEPT;
            if has_room {
                birth.events.push(event.clone());
            }
            return has_room;
        }
        // An end begins nothing.
        if event.kind == EventKind::Exit || self.0.len() >= CONTAINERS || known.runs(&id) {
            return false;
        }
        let birth = Birth { since_ns: event.boottime_ns, events: vec![event.clone()] };
        self.0.insert(id, birth);
        true
    }

    /// Whether an event is one that is kept back.
    pub(super) fn holds(&self, event: &KernelEvent) -> bool {
        !self.0.is_empty() && container_id(event).is_some_and(|id| self.0.contains_key(&id))
    }

    /// Those that a look knows, or would: it began after they did. The eldest first.
    pub(super) fn known_by(&mut self, look: &Observation, since_ns: u64) -> Vec<Birth> {
        let runs = |id: &String| {
            look.containers.iter().any(|it| it.id == *id && it.state == RuntimeState::Running && it.pid != 0)
        };
        let known = self.0.iter().filter(|(id, birth)| birth.since_ns < since_ns || runs(id));
        let known: Vec<String> = known.map(|(id, _)| id.clone()).collect();
        let mut births: Vec<Birth> = known.iter().filter_map(|id| self.0.remove(id)).collect();
        births.sort_by_key(|birth| birth.since_ns);
        births
    }
}

/// The container that the innermost cgroup of an event is named for.
pub(super) fn container_id(event: &KernelEvent) -> Option<String> {
    let name = &*event.cgroup.name;
    let may_be = !event.cgroup.name_truncated && name.len() >= 64;
    may_be.then(|| cgroup::parse(&format!("/{name}")).map(|it| it.id)).flatten()
}

/// A container whose end was told with its beginning.
pub(super) struct Lived<'e> {
    /// What happened up to its end.
    pub events: Vec<KernelEvent>,
    /// Its end.
    pub end: &'e KernelEvent,
    known: &'e Observation,
}

/// What was kept back, taken apart: the lives that are over, and what belongs to one that is not. A container that is
/// restarted may have had several.
pub(super) fn lives<'e>(
    events: &'e [KernelEvent],
    known: &'e Observation,
) -> (Vec<Lived<'e>>, &'e [KernelEvent]) {
    let (mut lives, mut rest) = (Vec::new(), events);
    let mut living: BTreeSet<(u32, u64)> = BTreeSet::new();
    let mut from = 0;
    for (at, event) in events.iter().enumerate() {
        let process = (event.tgid, event.process_start_boottime_ns);
        if event.kind != EventKind::Exit {
            living.insert(process);
            continue;
        }
        // The runtime's own stages end before it: with the last of all that were told of, it is over.
        if !living.remove(&process) || !living.is_empty() {
            continue;
        }
        let life = &events[from..=at];
        (from, rest) = (at + 1, &events[at + 1..]);
        // A container begins by getting namespaces. Who only becomes another program was left over by one.
        if !life.iter().any(|it| matches!(it.kind, EventKind::Fork | EventKind::Setns | EventKind::Unshare)) {
            continue;
        }
        let exits = || life.iter().filter(|it| it.kind == EventKind::Exit);
        let end = exits().rfind(|it| it.pid_namespace_init).unwrap_or(event);
        let is_end = |it: &KernelEvent| {
            it.kind == EventKind::Exit
                && (it.tgid, it.process_start_boottime_ns) == (end.tgid, end.process_start_boottime_ns)
        };
        let before = life.iter().filter(|it| !is_end(it)).cloned().collect();
        lives.push(Lived { events: before, end, known });
    }
    (lives, rest)
}

impl Lived<'_> {
    /// Has it run, in an observation of when it did, by what its runtime says of it now.
    pub(super) fn declare(&self, then: &mut Observation) {
        let Some(id) = container_id(self.end) else { return };
        let Some(known) = self.known.containers.iter().find(|it| it.id == id) else { return };
        let mut declared = known.clone();
        declared.state = RuntimeState::Running;
        declared.pid = self.end.tgid;
        declared.start_ticks = Some(then.node.ticks(self.end.process_start_boottime_ns));
        (declared.exit_code, declared.finished_at) = (None, None);
        let pod = self.known.pods.iter().find(|pod| Some(&pod.id) == declared.pod.as_ref());
        if let Some(pod) = pod.filter(|pod| then.pods.iter().all(|it| it.id != pod.id)) {
            then.pods.push(pod.clone());
        }
        then.containers.retain(|it| it.id != id);
        then.containers.push(declared);
    }
}
