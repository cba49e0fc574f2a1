//! What keeps namespaces besides their members and their pins: open descriptors, sockets of a network namespace that their
//! process is not in, and mounted proc file systems, which keep the PID namespace that they show.
//!
//! A mounted mqueue or sysfs keeps nothing, whatever is said of it: the one is cut off when its IPC namespace goes, the
//! other holds what little memory is left of its network namespace. So they are not looked for.
//!
//! Nothing here opens what a descriptor or a path leads to before it is known to be a namespace, or to be reachable
//! without anybody's help; see [`super::mounts`] and [`super::nsfs::reopen`].

mod descriptors;
mod places;

use std::collections::BTreeSet;

use crate::observation::{Gap, Handle, HostNamespaces, Kind, NamespaceFact, Reader, Tasks};
use crate::source::nsfs::Facts;
use crate::source::pins::{Found, Scope};
use crate::source::{Context, HoldersScope};

/// How much is looked at.
#[derive(Clone, Copy)]
struct Limits {
    /// Processes whose descriptors are read.
    processes: usize,
    /// Descriptors of one process.
    descriptors: usize,
    /// Sockets of one process that are asked for their namespace.
    sockets: usize,
}

impl Limits {
    /// Those that hold where nobody asked for everything: some milliseconds on any host (a descriptor costs 1 µs, a
    /// socket 4 µs, a process 15 µs).
    const HOST: Self = Self { processes: 500, descriptors: 4096, sockets: 1024 };
    /// Only the time limits what somebody asked for.
    const ALL: Self = Self { processes: usize::MAX, descriptors: usize::MAX, sockets: usize::MAX };
}

/// What was found.
#[derive(Default)]
pub struct Holders {
    /// What keeps namespaces, sorted.
    pub handles: Vec<Handle>,
    /// What the kernel says of namespaces: what was known, and of those that are held; sorted.
    pub namespaces: Vec<NamespaceFact>,
    /// What could not be read.
    pub gaps: Vec<Gap>,
}

/// What is known when holders are looked for.
pub struct Known<'a> {
    /// Every task.
    pub tasks: &'a Tasks,
    /// The node's own namespaces.
    pub host: &'a HostNamespaces,
    /// The process that looks: what it holds is nobody's business.
    pub reader: Reader,
    /// Processes of runtimes.
    pub runtime_pids: &'a BTreeSet<u32>,
    /// The mount namespaces in scope.
    pub scope: &'a Scope,
    /// What is mounted in those.
    pub mounts: &'a Found,
}

/// Looks for them, and adds to what the kernel says of namespaces; where that was asked for: in the host's mount namespace and the runtimes', or everywhere.
#[must_use]
pub fn read(context: &Context, known: &Known<'_>, namespaces: Vec<NamespaceFact>) -> Holders {
    if !context.options.handles {
        return Holders { namespaces, ..Holders::default() };
    }
    let everywhere = context.options.holders == HoldersScope::All;
    let limits = if everywhere { Limits::ALL } else { Limits::HOST };
    let mut found =
        Search { context, known, facts: Facts::of(namespaces), handles: Vec::new(), gaps: Vec::new() };
    found.pins();
    found.proc_file_systems();
    found.descriptors(limits);
    let Search { facts, mut handles, gaps, .. } = found;
    handles.sort_unstable();
    handles.dedup();
    Holders { handles, namespaces: facts.into_sorted(), gaps }
}

/// A search under way.
struct Search<'a> {
    context: &'a Context,
    known: &'a Known<'a>,
    facts: Facts,
    handles: Vec<Handle>,
    gaps: Vec<Gap>,
}

impl Search<'_> {
    /// Whether it is the node's own: those need nothing to keep them.
    fn is_host(&self, kind: Kind, inode: u32) -> bool {
        self.known.host.is_host(kind, inode) == Some(true)
    }

    fn is_late(&self) -> bool {
        self.context.time_left(std::time::Duration::MAX).is_zero()
    }

    /// Notes that the time ran out.
    fn late(&mut self, what: impl Into<String>) {
        self.gaps.push(Gap::detail(what, "the time limit ran out; allow more with --timeout"));
    }
}
