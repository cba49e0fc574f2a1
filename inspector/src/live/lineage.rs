//! Who made what: which process made which namespace, and who made the process that is in it now.

use std::collections::{BTreeMap, HashMap};

use crate::observation::{
    Creation, EventKind, HeardBy, History, KernelEvent, Kind, Node, ProcessKey, SeenOwner,
};

/// From a process back to one that made it, at most: a runtime's own stages are three.
const STEPS: usize = 4;

/// How many forks are remembered at most. The oldest go first; what goes with them is evidence, not truth.
const FORKS: usize = 1 << 16;

/// What is remembered of namespaces and processes that are there.
#[derive(Default)]
pub(super) struct Lineage {
    creations: BTreeMap<(Kind, u32), Made>,
    /// Who called the fork that a process came of, and when that was.
    callers: HashMap<ProcessKey, (ProcessKey, u64)>,
    pub owners: BTreeMap<(Kind, u32), SeenOwner>,
}

/// That a namespace was made.
#[derive(Clone, Debug)]
pub(super) struct Made {
    pub boottime_ns: u64,
    pub process: ProcessKey,
    pub start_boottime_ns: u64,
    pub comm: String,
}

impl Lineage {
    /// Takes note of who made whom.
    pub(super) fn fork(&mut self, event: &KernelEvent, node: &Node) {
        let Some(caller) = event.caller.filter(|_| event.kind == EventKind::Fork && !event.is_thread())
        else {
            return;
        };
        if self.callers.len() >= FORKS {
            forget_elder_half(&mut self.callers, |(_, at)| *at);
        }
        let child = key(event.tgid, event.process_start_boottime_ns, node);
        let caller = key(caller.tgid, caller.process_start_boottime_ns, node);
        self.callers.insert(child, (caller, event.boottime_ns));
    }

    /// Takes note of a namespace that an event made.
    pub(super) fn create(&mut self, namespace: (Kind, u32), event: &KernelEvent, node: &Node) {
        let made = Made {
            boottime_ns: event.boottime_ns,
            process: key(event.tgid, event.process_start_boottime_ns, node),
            start_boottime_ns: event.process_start_boottime_ns,
            comm: event.comm.to_string(),
        };
        self.creations.insert(namespace, made);
        self.owners.remove(&namespace);
    }

    pub(super) fn creation(&self, namespace: (Kind, u32)) -> Option<&Made> {
        self.creations.get(&namespace)
    }

    /// Forgets what is about namespaces that are gone, and about processes that have been dead for long.
    pub(super) fn forget(
        &mut self,
        is_there: impl Fn((Kind, u32)) -> bool,
        lives: impl Fn(ProcessKey) -> bool,
        before_boottime_ns: u64,
    ) {
        self.creations.retain(|namespace, _| is_there(*namespace));
        self.owners.retain(|namespace, _| is_there(*namespace));
        self.callers.retain(|child, (_, at)| *at >= before_boottime_ns || lives(*child));
    }

    /// Gives back the room that a storm needed.
    pub(super) fn give_back(&mut self) {
        if super::has_much_room(self.callers.capacity(), self.callers.len()) {
            self.callers.shrink_to_fit();
        }
    }

    /// Who is not a told fork's child was made by nobody that is known.
    fn makers(&self, process: ProcessKey) -> impl Iterator<Item = ProcessKey> + '_ {
        let up = move |at: &ProcessKey| self.callers.get(at).map(|(caller, _)| *caller);
        std::iter::successors(up(&process), up).take(STEPS)
    }

    /// What is remembered, for who judges.
    pub(super) fn history(&self, by: Option<HeardBy>, lost: u64) -> History {
        let mut made: HashMap<ProcessKey, Vec<ProcessKey>> =
            self.creations.values().map(|it| (it.process, Vec::new())).collect();
        for child in self.callers.keys() {
            for maker in self.makers(*child) {
                if let Some(children) = made.get_mut(&maker) {
                    children.push(*child);
                }
            }
        }
        for children in made.values_mut() {
            children.sort_unstable();
        }
        let creations = self.creations.iter().map(|((kind, inode), it)| Creation {
            kind: *kind,
            inode: *inode,
            boottime_ns: it.boottime_ns,
            process: it.process,
            comm: it.comm.clone(),
            made: made.get(&it.process).cloned().unwrap_or_default(),
        });
        let owners = self.owners.values().cloned().collect();
        History { by, lost, creations: creations.collect(), owners }
    }
}

/// Makes room, at the cost of what is oldest.
pub(super) fn forget_elder_half<V>(map: &mut HashMap<ProcessKey, V>, time: impl Fn(&V) -> u64) {
    let mut times: Vec<u64> = map.values().map(&time).collect();
    if times.is_empty() {
        return;
    }
    let middle = times.len() / 2;
    let half = *times.select_nth_unstable(middle).1;
    map.retain(|_, it| time(it) > half);
}

fn key(tgid: u32, start_boottime_ns: u64, node: &Node) -> ProcessKey {
    ProcessKey { pid: tgid, start_ticks: node.ticks(start_boottime_ns) }
}

/// The namespaces that an event made. Those that a fork or `unshare` did not find there are new; what `setns` comes into was there.
pub(super) fn created(event: &KernelEvent) -> Vec<(Kind, u32)> {
    let (Some(old), Some(new)) = (event.old, event.new) else { return Vec::new() };
    if event.old_is_parents || !matches!(event.kind, EventKind::Fork | EventKind::Unshare) {
        return Vec::new();
    }
    let mut created = Vec::new();
    for (kind, inode) in new.namespaces.iter() {
        // A child is born into these, which were made before.
        let before = match kind {
            Kind::Pid => old.pid_for_children.or(old.namespaces.get(kind)),
            Kind::Time => old.time_for_children.or(old.namespaces.get(kind)),
            _ => old.namespaces.get(kind),
        };
        let unmoved = old.namespaces.get(kind) == Some(inode);
        if before.is_some_and(|before| before != inode) && !unmoved {
            created.push((kind, inode));
        }
    }
    if event.kind == EventKind::Unshare {
        let children = [
            (Kind::Pid, old.pid_for_children, new.pid_for_children),
            (Kind::Time, old.time_for_children, new.time_for_children),
        ];
        for (kind, before, after) in children {
            if let (Some(before), Some(after)) = (before, after)
                && before != after
                && new.namespaces.get(kind) != Some(after)
            {
                created.push((kind, after));
            }
        }
    }
    created
}
