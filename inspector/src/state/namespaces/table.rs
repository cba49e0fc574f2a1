//! The table under construction: one entry for each namespace that anything names.

use std::collections::HashSet;

use super::{Below, Entry, Held};
use crate::observation::{Kind, NamespaceFact, Observation, Task, Tasks, Via};
use crate::state::hash::NumberMap;
use crate::view::HolderType;

/// A kind and an inode, in the order of the contract.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Key(u64);

impl Key {
    pub(super) const fn new(kind: Kind, inode: u32) -> Self {
        Self((kind.index() as u64) << 32 | inode as u64)
    }

    pub(super) const fn kind(self) -> Kind {
        Kind::ALL[(self.0 >> 32) as usize & 7]
    }

    #[expect(clippy::cast_possible_truncation, reason = "the lower half is the inode")]
    pub(super) const fn inode(self) -> u32 {
        self.0 as u32
    }
}

/// Whether a process is dead, or past leaving its namespaces: the init of a PID namespace stays so, sleeping, until the
/// last zombie in it has been reaped. Only a main thread that has ended before its siblings lacks as much and is alive.
fn is_over(task: &Task) -> bool {
    task.is_dead() || (!task.zombie && task.namespaces.get(Kind::Mnt).is_none())
}

/// Namespaces, numbered as they are met.
pub(super) struct Table<'a> {
    numbers: NumberMap<Key, u32>,
    entries: Vec<Entry<'a>>,
    /// The namespace of each kind that was met last: most tasks share the node's.
    last: [(Option<Key>, u32); 8],
}

impl<'a> Table<'a> {
    pub(super) fn with_capacity(entries: usize) -> Self {
        Self {
            numbers: NumberMap::with_capacity_and_hasher(entries, Default::default()),
            entries: Vec::with_capacity(entries),
            last: [(None, 0); 8],
        }
    }

    fn number(&mut self, kind: Kind, inode: u32) -> u32 {
        let key = Key::new(kind, inode);
        let last = &mut self.last[kind.index()];
        if last.0 == Some(key) {
            return last.1;
        }
        let entries = &mut self.entries;
        let number = *self.numbers.entry(key).or_insert_with(|| {
            entries.push(Entry { key, processes: 0, threads: 0, zombies: 0, lowest: None, fact: None });
            u32::try_from(entries.len() - 1).unwrap_or(u32::MAX)
        });
        *last = (Some(key), number);
        number
    }

    fn entry(&mut self, kind: Kind, inode: u32) -> Option<&mut Entry<'a>> {
        let number = self.number(kind, inode);
        self.entries.get_mut(number as usize)
    }

    /// Counts processes and threads.
    pub(super) fn count(&mut self, tasks: &'a Tasks) {
        let mut strays: Vec<&Task> = Vec::new();
        for task in tasks {
            if !task.is_leader() {
                strays.push(task);
                continue;
            }
            let dead = is_over(task);
            for (kind, inode) in task.namespaces.iter() {
                let Some(entry) = self.entry(kind, inode) else { continue };
                entry.processes += 1;
                entry.zombies += u32::from(dead);
                // Threads that are elsewhere are taken off below.
                entry.threads += task.threads.unwrap_or(1).max(1);
                if !dead && entry.lowest.is_none_or(|lowest| task.pid < lowest.pid) {
                    entry.lowest = Some(task);
                }
            }
        }
        let mut leaders: NumberMap<u32, Option<&Task>> =
            strays.iter().map(|thread| (thread.tgid, None)).collect();
        if leaders.is_empty() {
            return;
        }
        for task in tasks.iter().filter(|task| task.is_leader()) {
            if let Some(leader) = leaders.get_mut(&task.pid) {
                *leader = Some(task);
            }
        }
        for thread in strays {
            let leader = leaders.get(&thread.tgid).copied().flatten();
            for kind in Kind::ALL {
                let here = thread.namespaces.get(kind);
                let home = leader.and_then(|leader| leader.namespaces.get(kind));
                if here == home {
                    continue;
                }
                // Where the number of threads was not read, the leader counts for itself alone.
                let counted = leader.is_some_and(|leader| leader.threads.is_some());
                if let Some(entry) = home.filter(|_| counted).and_then(|home| self.entry(kind, home)) {
                    entry.threads = entry.threads.saturating_sub(1).max(entry.processes);
                }
                let Some(entry) = here.and_then(|here| self.entry(kind, here)) else { continue };
                entry.threads += 1;
                let lowest = |lowest: &Task| !lowest.is_leader() && thread.pid < lowest.pid;
                if !thread.zombie && entry.lowest.is_none_or(lowest) {
                    entry.lowest = Some(thread);
                }
            }
        }
    }

    /// Tasks whose children are born elsewhere, each with the number of where.
    pub(super) fn for_children(&mut self, tasks: &Tasks) -> Vec<(u32, u32)> {
        let mut list = Vec::new();
        for task in tasks {
            for (kind, inode) in [(Kind::Pid, task.pid_for_children), (Kind::Time, task.time_for_children)] {
                if let Some(inode) = inode.filter(|inode| task.namespaces.get(kind) != Some(*inode)) {
                    list.push((self.number(kind, inode), task.pid));
                }
            }
        }
        list
    }

    /// Pins (a sandbox's specification leads to some that no mountinfo showed), descriptors, sockets and mounts.
    pub(super) fn holders(&mut self, observation: &'a Observation) -> Vec<(u32, Held<'a>)> {
        let mut list = Vec::new();
        let pin = |path| Held { holder_type: HolderType::BindMount, path, pid: None };
        for it in &observation.pins {
            list.push((self.number(it.kind, it.inode), pin(it.path.as_str())));
        }
        // Mountinfo calls the same place by another name: /run, not /var/run.
        let seen: HashSet<u32> = list.iter().map(|(number, _)| *number).collect();
        for it in observation.pods.iter().flat_map(|pod| &pod.namespaces) {
            let number = it.inode.map(|inode| self.number(it.kind, inode));
            if let Some(number) = number.filter(|number| !seen.contains(number)) {
                list.push((number, pin(it.path.as_str())));
            }
        }
        for it in &observation.handles {
            let holder_type = match it.via {
                Via::Fd => HolderType::Fd,
                Via::Socket => HolderType::Socket,
                Via::Mount => HolderType::Mount,
            };
            let held = Held { holder_type, path: it.path.as_str(), pid: Some(it.pid) };
            list.push((self.number(it.kind, it.inode), held));
        }
        list
    }

    /// What the kernel says: with what is below what.
    pub(super) fn facts(&mut self, facts: &'a [NamespaceFact]) -> Vec<(u32, Below)> {
        let mut list = Vec::new();
        for fact in facts {
            let number = self.number(fact.kind, fact.inode);
            if let Some(entry) = self.entries.get_mut(number as usize) {
                entry.fact = Some(fact);
            }
            let hierarchical = matches!(fact.kind, Kind::Pid | Kind::User);
            if let Some(parent) = fact.parent.filter(|parent| hierarchical && *parent != fact.inode) {
                list.push((self.number(fact.kind, parent), Below::Child(number)));
            }
            match fact.owner {
                // A user namespace's owner is its parent.
                Some(owner) if fact.kind == Kind::User && fact.parent.is_none() && owner != fact.inode => {
                    list.push((self.number(Kind::User, owner), Below::Child(number)));
                }
                Some(_) if fact.kind == Kind::User => {}
                Some(owner) => list.push((self.number(Kind::User, owner), Below::Owned(number))),
                None => {}
            }
        }
        list
    }

    /// The entries in order, and the new number of each old one.
    pub(super) fn sorted(self) -> (Vec<Entry<'a>>, Vec<u32>) {
        let mut order: Vec<u32> = (0..self.entries.len()).filter_map(|at| u32::try_from(at).ok()).collect();
        let key = |at: &u32| self.entries.get(*at as usize).map(|entry| entry.key);
        order.sort_unstable_by_key(key);
        let mut rank = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            if let (Some(slot), Ok(new)) = (rank.get_mut(*old as usize), u32::try_from(new)) {
                *slot = new;
            }
        }
        let mut entries = self.entries;
        entries.sort_unstable_by_key(|entry| entry.key);
        (entries, rank)
    }
}
