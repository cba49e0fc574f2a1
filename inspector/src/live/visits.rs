//! Who joins a pod's namespaces from outside and is gone before a look can judge: a rule spares for a second what may be a
//! runtime on its way, so of those that live no longer only the kernel tells.

use std::collections::HashMap;

use super::birth::container_id;
use super::generations::Generations;
use super::moment::Moment;
use super::namespaces::{change_in, home, is_managed, names, steps};
use super::story::process_of;
use crate::observation::{EventKind, KernelEvent, ProcessKey};
use crate::state::facts::{YOUNG_NS, is_helper_name};
use crate::view::{Change, Event, EventTier, EventType, Named};

/// Those that are in there.
#[derive(Default)]
pub(super) struct Visits(HashMap<ProcessKey, Visit>);

struct Visit {
    pod: Named,
    changes: Vec<Change>,
    boottime_ns: u64,
}

impl Visits {
    /// Takes note of who comes in, and tells of who leaves that had no business there: that no runtime is known to start, and
    /// that never came to be in a container's cgroup, as what a runtime's `exec` brings in does.
    pub(super) fn see(
        &mut self,
        events: &[KernelEvent],
        moment: &Moment,
        generations: &Generations,
        tier: EventTier,
    ) -> Vec<Event> {
        let node = &moment.observation().node;
        let mut told = Vec::new();
        for event in events.iter().filter(|event| !event.is_thread()) {
            let key =
                ProcessKey { pid: event.tgid, start_ticks: node.ticks(event.process_start_boottime_ns) };
            match event.kind {
                EventKind::Setns if container_id(event).is_none() => {
                    self.enters(key, event, moment, generations)
                }
                EventKind::Exit => {
                    let Some(visit) = self.0.remove(&key) else { continue };
                    if !is_helper_name(&event.comm) && container_id(event).is_none() {
                        told.push(Event { tier, ..entered(visit, event) });
                    }
                }
                _ => {}
            }
        }
        told
    }

    fn enters(&mut self, key: ProcessKey, event: &KernelEvent, moment: &Moment, generations: &Generations) {
        let (Some(old), Some(new)) = (event.old, event.new) else { return };
        for (kind, from, inode) in steps(&old, &new) {
            let Some((pod, _)) = home(moment, kind, inode) else { continue };
            // Who joins what no runtime claims is of that group from then on.
            if !is_managed(moment, &pod) {
                continue;
            }
            let visit = self.0.entry(key).or_insert(Visit {
                pod,
                changes: Vec::new(),
                boottime_ns: event.boottime_ns,
            });
            if visit.changes.iter().all(|it| it.kind != kind) {
                visit.changes.push(change_in(moment, generations, kind, from, Some(inode)));
            }
        }
    }

    /// After a look: of those that live and are old enough, the rule has judged; of those that are gone unseen nothing is known.
    pub(super) fn settle(&mut self, moment: &Moment) {
        let now_ns = moment.observation().node.tasks_as_of_ns();
        self.0
            .retain(|key, _| moment.process(*key).is_some_and(|it| it.start_boottime_ns + YOUNG_NS > now_ns));
    }
}

fn entered(visit: Visit, event: &KernelEvent) -> Event {
    let kinds = names(&visit.changes);
    Event {
        message: format!(
            "{} ({}) was in the {kinds} of pod {} and in none of its containers, for {} ms",
            event.comm,
            event.tgid,
            visit.pod.name,
            event.boottime_ns.saturating_sub(visit.boottime_ns) / 1_000_000
        ),
        pod: Some(visit.pod),
        process: Some(process_of(event)),
        namespaces: visit.changes,
        boottime_ns: visit.boottime_ns,
        ..Event::draft(EventType::ForeignEntered)
    }
}
