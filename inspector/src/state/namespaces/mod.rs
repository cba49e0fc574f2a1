//! Every namespace that was seen, with who is in it and what keeps it: the pure core of `inspector namespaces`.
//!
//! One pass over the tasks, and one over everything else that names a namespace; each question about one namespace is
//! then an index or a short range. Nodes have ten thousands of namespaces, so nothing here may compare namespaces,
//! containers or tasks pairwise, and nothing builds a string for each of them.
//!
//! It tells what was seen. Whose a namespace is, it takes from the pods ([`who`]); it judges nothing itself.

mod grouped;
mod table;
mod who;

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::observation::{Gap, Kind, NamespaceFact, Observation, Task};
use crate::view::{HolderType, NamespaceHolder, Owner};
use grouped::Grouped;
use table::{Key, Table};
use who::Who;
pub use who::{Member, PodName};

/// The position of a namespace among all, by kind and inode.
pub type Position = usize;

/// Which namespace is above another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Above {
    /// The one that it was made in: of kinds pid and user.
    #[default]
    Parent,
    /// The user namespace that owns it (of a user namespace: its parent).
    Owner,
}

/// Every namespace of one observation.
pub struct Namespaces<'a> {
    observation: &'a Observation,
    /// By kind and inode.
    entries: Vec<Entry<'a>>,
    relations: Relations<'a>,
    who: Who,
}

/// What was counted of one namespace.
struct Entry<'a> {
    key: Key,
    processes: u32,
    threads: u32,
    zombies: u32,
    /// The living process with the lowest pid whose main thread is in it; else the thread with the lowest id.
    lowest: Option<&'a Task>,
    fact: Option<&'a NamespaceFact>,
}

/// What else has to do with namespaces, each sorted.
struct Relations<'a> {
    holders: Grouped<Held<'a>>,
    /// Tasks whose children are born into it, and that are elsewhere themselves.
    for_children: Grouped<u32>,
    /// A PID or user namespace below it; what a user namespace owns.
    below: Grouped<Below>,
}

/// What keeps a namespace, in the order in which it is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Held<'a> {
    holder_type: HolderType,
    path: &'a str,
    pid: Option<u32>,
}

/// A namespace that keeps another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Below {
    Child(u32),
    Owned(u32),
}

impl<'a> Namespaces<'a> {
    /// Finds every namespace of an observation.
    #[must_use]
    pub fn of(observation: &'a Observation) -> Self {
        let mut found = Self::without_members(observation);
        found.who = Who::of(observation, found.len(), |kind, inode| found.position(kind, inode));
        found
    }

    /// The same, and nothing of containers and pods.
    pub(super) fn without_members(observation: &'a Observation) -> Self {
        let mut table = Table::with_capacity(observation.tasks.len() / 2 + observation.namespaces.len());
        table.count(&observation.tasks);
        let mut for_children = table.for_children(&observation.tasks);
        let mut holders = table.holders(observation);
        let below = table.facts(&observation.namespaces);
        let (entries, rank) = table.sorted();
        let place = |number: &mut u32| *number = rank.get(*number as usize).copied().unwrap_or_default();
        for_children.iter_mut().for_each(|(number, _)| place(number));
        for_children.sort_unstable();
        for_children.dedup();
        holders.iter_mut().for_each(|(number, _)| place(number));
        holders.sort_unstable();
        holders.dedup();
        let mut below: Vec<(u32, Below)> = below
            .into_iter()
            .map(|(mut number, mut below)| {
                place(&mut number);
                match &mut below {
                    Below::Child(child) | Below::Owned(child) => place(child),
                }
                (number, below)
            })
            .collect();
        below.sort_unstable();
        below.dedup();
        let relations = Relations {
            holders: Grouped::of(entries.len(), &holders),
            for_children: Grouped::of(entries.len(), &for_children),
            below: Grouped::of(entries.len(), &below),
        };
        Self { observation, entries, relations, who: Who::default() }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none was seen.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Where it stands.
    #[must_use]
    pub fn position(&self, kind: Kind, inode: u32) -> Option<Position> {
        self.entries.binary_search_by_key(&Key::new(kind, inode), |entry| entry.key).ok()
    }

    /// What could not be made out of what was seen.
    #[must_use]
    pub fn gaps(&self) -> &[Gap] {
        &self.who.gaps
    }

    /// The namespace at a position below [`Self::len`].
    #[must_use]
    pub fn get(&self, position: Position) -> Option<Namespace<'_, 'a>> {
        Some(Namespace { all: self, entry: self.entries.get(position)?, position })
    }

    /// Every namespace, by kind and inode.
    pub fn iter(&self) -> impl Iterator<Item = Namespace<'_, 'a>> {
        self.entries.iter().enumerate().map(|(position, entry)| Namespace { all: self, entry, position })
    }

    /// The namespaces that a process or thread is in, and those that its children are born into; `None` where no task
    /// has that id.
    #[must_use]
    pub fn of_task(&self, pid: u32) -> Option<BTreeSet<Position>> {
        let task = self.observation.tasks.iter().find(|task| task.pid == pid)?;
        let children = [(Kind::Pid, task.pid_for_children), (Kind::Time, task.time_for_children)];
        let children = children.into_iter().filter_map(|(kind, inode)| Some((kind, inode?)));
        Some(
            task.namespaces
                .iter()
                .chain(children)
                .filter_map(|(kind, inode)| self.position(kind, inode))
                .collect(),
        )
    }
}

/// One namespace among all.
#[derive(Clone, Copy)]
pub struct Namespace<'n, 'a> {
    all: &'n Namespaces<'a>,
    entry: &'n Entry<'a>,
    position: Position,
}

impl<'n, 'a> Namespace<'n, 'a> {
    /// Where it stands among all.
    #[must_use]
    pub const fn position(&self) -> Position {
        self.position
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.entry.key.kind()
    }

    /// Its inode.
    #[must_use]
    pub const fn inode(&self) -> u32 {
        self.entry.key.inode()
    }

    /// The kernel's id of it.
    #[must_use]
    pub fn id(&self) -> Option<u64> {
        self.entry.fact.and_then(|fact| fact.id)
    }

    /// Processes whose main thread is in it, zombies too.
    #[must_use]
    pub const fn processes(&self) -> u32 {
        self.entry.processes
    }

    /// Threads in it, of whatever process.
    #[must_use]
    pub const fn threads(&self) -> u32 {
        self.entry.threads
    }

    /// Those of [`Self::processes`] that are over: dead and not yet reaped, or waiting for such.
    #[must_use]
    pub const fn zombies(&self) -> u32 {
        self.entry.zombies
    }

    /// The living process with the lowest pid whose main thread is in it; where there is none, the thread in it with
    /// the lowest id.
    #[must_use]
    pub const fn lowest(&self) -> Option<&'a Task> {
        self.entry.lowest
    }

    /// The inode of the namespace that it was made in.
    #[must_use]
    pub fn parent(&self) -> Option<u32> {
        self.entry.fact.and_then(|fact| fact.parent)
    }

    /// The inode of the user namespace that owns it.
    #[must_use]
    pub fn owner_user_namespace(&self) -> Option<u32> {
        let fact = self.entry.fact?;
        fact.owner.or_else(|| fact.parent.filter(|_| fact.kind == Kind::User))
    }

    /// Whether it is the node's own; `None` where that is unknown.
    #[must_use]
    pub fn is_host(&self) -> Option<bool> {
        self.all.observation.host.is_host(self.kind(), self.inode())
    }

    /// The position of the namespace above it.
    #[must_use]
    pub fn above(&self, above: Above) -> Option<Position> {
        let (kind, inode) = match above {
            Above::Parent => (self.kind(), self.parent()?),
            Above::Owner => (Kind::User, self.owner_user_namespace()?),
        };
        self.all.position(kind, inode).filter(|position| *position != self.position)
    }

    /// The living containers with a process or thread in it, by age.
    pub fn containers(&self) -> impl Iterator<Item = &'n Member> {
        let who = &self.all.who;
        who.in_namespace.get(self.position).iter().filter_map(|member| who.members.get(*member as usize))
    }

    /// The pods of those containers, and a pod whose sandbox pins it; by name.
    pub fn pods(&self) -> impl Iterator<Item = &'n PodName> {
        let who = &self.all.who;
        who.pods_in.get(self.position).iter().filter_map(|pod| who.pods.get(*pod as usize))
    }

    /// Whom it was made for, as its pod says; else the only container that is in it.
    #[must_use]
    pub fn owner(&self) -> Cow<'n, Owner> {
        self.all.who.owner(self)
    }

    /// Tasks whose children are born into it, and that are elsewhere themselves.
    #[must_use]
    pub fn for_children(&self) -> &'n [u32] {
        self.all.relations.for_children.get(self.position)
    }

    /// What else keeps it: bind mounts, descriptors, sockets, mounts, and the namespaces below it.
    ///
    /// The node's own need nothing to keep them, so what is below those is left out: all there is. What a user
    /// namespace owns is told only where no process is in it, which would keep it by itself.
    #[must_use]
    pub fn holders(&self) -> Vec<NamespaceHolder<'n>> {
        let relations = &self.all.relations;
        let seen = relations.holders.get(self.position).iter().map(|held| NamespaceHolder {
            holder_type: held.holder_type,
            path: Some(Cow::Borrowed(held.path)),
            pid: held.pid,
        });
        let host = self.is_host() == Some(true);
        let below = relations.below.get(self.position).iter().filter(|_| !host).filter_map(|below| {
            let position = match below {
                Below::Child(position) => *position,
                Below::Owned(position) if self.threads() == 0 => *position,
                Below::Owned(_) => return None,
            };
            let key = self.all.entries.get(position as usize)?.key;
            let name = format!("{}:[{}]", key.kind(), key.inode());
            let holder_type = HolderType::ChildNamespace;
            Some(NamespaceHolder { holder_type, path: Some(Cow::Owned(name)), pid: None })
        });
        let mut holders: Vec<NamespaceHolder<'n>> = seen.collect();
        let at = holders.partition_point(|holder| holder.holder_type < HolderType::ChildNamespace);
        holders.splice(at..at, below);
        holders
    }
}
