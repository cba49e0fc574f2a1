//! What the kernel told at once, taken apart: of a process that began and ended between two moments nothing could be told.

use std::collections::HashSet;
use std::mem;

use super::moment::Moment;
use crate::observation::{EventKind, KernelEvent, Kind};

/// A moment more costs as much as there are tasks. So many tasks are gone through for one batch, and a few moments are made
/// however many there are.
const TASKS: usize = 250_000;
const MOMENTS: usize = 4;

/// Events that make one moment.
pub(super) struct Batch {
    events: Vec<KernelEvent>,
    /// Processes that did something in it, by id and start.
    begun: HashSet<(u32, u64)>,
    /// How many moments more may be made.
    left: usize,
    /// Beginnings and ends that fall into one moment, and are not told for that.
    pub untold: u64,
}

impl Batch {
    pub(super) fn new(moment: &Moment) -> Self {
        let left = (TASKS / moment.observation().tasks.len().max(1)).max(MOMENTS);
        Self { events: Vec::new(), begun: HashSet::new(), left, untold: 0 }
    }

    /// Whether a moment is to be made of what there is before this is added: it is the end of who began in it, and who is told
    /// of: `all` that have namespaces of their own, or one of a group.
    pub(super) fn is_moment_before(&mut self, event: &KernelEvent, last: &Moment, all: bool) -> bool {
        let process = (event.tgid, event.process_start_boottime_ns);
        let is_brief = event.kind == EventKind::Exit && self.begun.contains(&process);
        let is_known = || last.task(event.tgid).is_some_and(|it| it.start_boottime_ns == process.1);
        if !is_brief || is_known() || !(all || self.is_of_group(process)) {
            return false;
        }
        if self.left == 0 {
            self.untold += 2;
            return false;
        }
        self.left -= 1;
        true
    }

    /// Whether another process in it is in a namespace of this one's that makes a pod and that was made in it.
    fn is_of_group(&self, process: (u32, u64)) -> bool {
        let is_it = |event: &&KernelEvent| (event.tgid, event.process_start_boottime_ns) == process;
        let made = self.events.iter().filter(is_it).filter_map(|event| {
            let (old, new) = (event.old?, event.new?);
            Some(Kind::POD.map(|kind| {
                let now = new.namespaces.get(kind);
                (kind, now.filter(|_| now != old.namespaces.get(kind)))
            }))
        });
        let made: HashSet<(Kind, u32)> =
            made.flatten().filter_map(|(kind, inode)| Some((kind, inode?))).collect();
        let shares = |event: &KernelEvent| {
            event.new.is_some_and(|new| new.namespaces.iter().any(|namespace| made.contains(&namespace)))
        };
        self.events.iter().any(|event| !is_it(&event) && shares(event))
    }

    pub(super) fn add(&mut self, event: KernelEvent) {
        if event.kind != EventKind::Exit && !event.is_thread() {
            self.begun.insert((event.tgid, event.process_start_boottime_ns));
        }
        self.events.push(event);
    }

    /// Gives what there is, and begins anew.
    pub(super) fn take(&mut self) -> Vec<KernelEvent> {
        self.begun.clear();
        mem::take(&mut self.events)
    }
}
