//! Two moments, and what is told of the time between.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::generations::Generations;
use super::lineage::Lineage;
use super::moment::{Containers, Incarnation, Moment, Running};
use super::namespaces::{self, Census};
use super::{Ends, exits};
use crate::observation::{Inodes, KernelEvent, Origin, ProcessKey, Task};
use crate::state::facts::Foreign;
use crate::view::{Container, Event, EventProcess, EventTier, EventType, Finding, Named, Pod, State};

/// Two moments, and what is looked up in them.
pub(super) struct Story<'a> {
    pub last: &'a Moment,
    pub next: &'a Moment,
    pub was: &'a Containers<'a>,
    pub is: &'a Containers<'a>,
    pub before: &'a Census,
    pub after: &'a Census,
    pub generations: &'a Generations,
    pub lineage: &'a Lineage,
    /// Where processes came from that no look has seen before they moved.
    pub origins: &'a HashMap<ProcessKey, Inodes>,
    /// What the kernel told, where that is what happened between these moments.
    pub calls: &'a [KernelEvent],
    /// How processes ended.
    pub ends: &'a Ends,
    /// How it is seen what the kernel told.
    pub told_tier: EventTier,
    /// How it is seen what happened between these moments.
    pub tier: EventTier,
    /// The later moment is the earlier one and what the kernel told, not a look.
    pub told: bool,
    pub all: bool,
    /// Groups that no runtime claims and that were told of: their ends are told, too, however few are left.
    pub groups: &'a HashSet<String>,
}

impl<'a> Story<'a> {
    /// All of it, in the order of the contract: the ends before the beginnings, findings last.
    pub(super) fn events(&self) -> Vec<Event> {
        let mut events = exits::events(self);
        events.extend(namespaces::ends(self));
        events.extend(namespaces::beginnings(self));
        events.extend(self.started());
        events.extend(self.entered());
        events.extend(self.findings());
        for event in &mut events {
            if event.tier == EventTier::Iterator {
                event.tier = self.tier;
            }
        }
        events
    }

    /// Whether a pod is worth a line: unmanaged groups of one process are what every sandboxed service is.
    pub(super) fn tells_of(&self, pod: &Pod) -> bool {
        self.all
            || pod.origin != Origin::Unmanaged
            || is_group(pod)
            || pod.containers.iter().any(|it| self.groups.contains(&it.id))
    }

    /// Containers that run now and did not. A process that no runtime claims and that was there before, elsewhere, has
    /// not started: it moved.
    fn new_containers(&self) -> impl Iterator<Item = Running<'a>> {
        let was = &self.was.by_incarnation;
        let new = (self.is.by_incarnation.iter()).filter(|(key, _)| !was.contains_key(*key));
        new.map(|(_, it)| *it)
            .filter(|it| it.container.runtime.is_some() || !same_init(it.container, self.next, self.last))
    }

    /// Containers that ran and do not any more. One whose init lives on has not ended, whatever it counts as now.
    pub(super) fn gone_containers(&self) -> impl Iterator<Item = (Incarnation<'a>, Running<'a>)> {
        let is = &self.is.by_incarnation;
        let gone = (self.was.by_incarnation.iter()).filter(|(key, _)| !is.contains_key(*key));
        gone.map(|(key, it)| (*key, *it)).filter(|(_, it)| !same_init(it.container, self.last, self.next))
    }

    fn started(&self) -> Vec<Event> {
        let mut events = Vec::new();
        for Running { pod, container } in self.new_containers().filter(|it| self.tells_of(it.pod)) {
            let process = Self::process(self.next, container);
            let what = if container.runtime.is_some() { "container" } else { "process" };
            events.push(Event {
                pod: Some(named_pod(pod)),
                container: Some(named(container)),
                process: process.clone(),
                message: format!("{what} {} started in pod {}", container.name, pod.name),
                // A process that no runtime claims was one before it made namespaces for itself.
                boottime_ns: (process.as_ref().filter(|_| container.runtime.is_some()))
                    .map_or(0, |it| it.start_boottime_ns),
                ..Event::draft(EventType::ContainerStarted)
            });
            // Who called `setns` is told of as such.
            let moved =
                self.next.init(container).is_some_and(|it| self.origins.contains_key(&self.next.key(it)));
            if !moved || container.runtime.is_some() {
                events.extend(namespaces::joined(self, pod, container, process));
            }
        }
        events
    }

    /// Who got into a pod without being of it, and was not in it before.
    fn entered(&self) -> Vec<Event> {
        let key = |it: &Foreign| (it.pod.clone(), it.pid, it.started_at.clone());
        let before: BTreeSet<_> = self.last.judged.foreign.iter().map(key).collect();
        let new = self.next.judged.foreign.iter().filter(|it| !before.contains(&key(it)));
        new.map(|foreign| {
            let pod = self.next.pods().iter().find(|pod| pod.id == foreign.pod);
            let task = self.next.task(foreign.pid);
            let pod_name = pod.map_or(foreign.pod.as_str(), |pod| pod.name.as_str());
            let changes: Vec<_> = (foreign.namespaces.iter())
                .map(|(kind, inode)| namespaces::change(self, *kind, None, Some(*inode)))
                .collect();
            Event {
                pod: Some(Named { id: foreign.pod.clone(), name: pod_name.to_owned() }),
                container: foreign
                    .container
                    .as_deref()
                    .and_then(|id| self.is.by_id(id))
                    .map(|it| named(it.container)),
                process: task.map(process),
                message: format!(
                    "{} ({}) is in the {} of pod {pod_name} and in none of its containers",
                    foreign.comm,
                    foreign.pid,
                    namespaces::names(&changes)
                ),
                namespaces: changes,
                ..Event::draft(EventType::ForeignEntered)
            }
        })
        .collect()
    }

    /// What rules find that they did not, and the other way round. What a rule cannot judge now is not called cleared.
    fn findings(&self) -> Vec<Event> {
        let (was, is) = (&self.last.judged, &self.next.judged);
        let unsure: BTreeSet<&str> = is.judgement.undetermined.iter().map(|it| it.rule).collect();
        let index = |judged: &'a super::moment::Judged| -> BTreeMap<&'a str, (&'a Finding, &'a Names)> {
            let findings = judged.judgement.findings.iter().zip(&judged.names);
            findings.map(|(finding, names)| (finding.id.as_str(), (finding, names))).collect()
        };
        let (before, after) = (index(was), index(is));
        let finding = |event_type, finding: &Finding, names: &Names| Event {
            pod: names.pod.clone(),
            container: names.container.clone(),
            message: format!("{} {}: {}", finding.rule, finding.name, finding.message),
            finding: Some(Box::new(finding.clone())),
            ..Event::draft(event_type)
        };
        // In the judgement's order: the worst first.
        let cleared = (was.judgement.findings.iter())
            .filter(|it| !after.contains_key(it.id.as_str()) && !unsure.contains(it.rule))
            .filter_map(|it| before.get(it.id.as_str()))
            .map(|(it, names)| finding(EventType::FindingCleared, it, names));
        let raised = (is.judgement.findings.iter())
            .filter(|it| !before.contains_key(it.id.as_str()))
            .filter_map(|it| after.get(it.id.as_str()))
            .map(|(it, names)| finding(EventType::FindingRaised, it, names));
        cleared.chain(raised).collect()
    }

    pub(super) fn process(moment: &Moment, container: &Container) -> Option<EventProcess> {
        moment.init(container).map(process)
    }
}

/// The ids of who is in a group of several processes that no runtime claims.
pub(super) fn groups(moment: &Moment) -> impl Iterator<Item = String> {
    let groups = moment.pods().iter().filter(|pod| pod.origin == Origin::Unmanaged && is_group(pod));
    groups.flat_map(|pod| pod.running()).map(|it| it.id.clone())
}

/// Whether a pod is of several processes.
fn is_group(pod: &Pod) -> bool {
    pod.containers.iter().map(|container| container.processes).sum::<u64>() > 1
}

/// The pod and the container that a finding is about.
#[derive(Default)]
pub(super) struct Names {
    pub pod: Option<Named>,
    pub container: Option<Named>,
}

impl Names {
    pub(super) fn of(finding: &Finding, pods: &[Arc<Pod>]) -> Self {
        let subject = &finding.subject;
        let pod = pods.iter().find(|pod| Some(&pod.id) == subject.pod.as_ref());
        let mut containers = pods.iter().flat_map(|pod| &pod.containers);
        Self {
            pod: pod.map(|pod| named_pod(pod)),
            container: containers.find(|it| Some(&it.id) == subject.container.as_ref()).map(named),
        }
    }
}

/// Whether the init of a container of this moment is a living process in the other one, too.
fn same_init(container: &Container, of: &Moment, other: &Moment) -> bool {
    of.init(container).and_then(|init| other.process(of.key(init))).is_some_and(|it| !it.is_dead())
}

pub(super) fn process(task: &Task) -> EventProcess {
    EventProcess { pid: task.pid, start_boottime_ns: task.start_boottime_ns, comm: task.comm.to_string() }
}

/// The process that an event of the kernel is about.
pub(super) fn process_of(event: &KernelEvent) -> EventProcess {
    EventProcess {
        pid: event.tgid,
        start_boottime_ns: event.process_start_boottime_ns,
        comm: event.comm.to_string(),
    }
}

pub(super) fn named(container: &Container) -> Named {
    Named { id: container.id.clone(), name: container.name.clone() }
}

pub(super) fn named_pod(pod: &Pod) -> Named {
    Named { id: pod.id.clone(), name: pod.name.clone() }
}

pub(super) fn is_exited(container: &Container) -> bool {
    container.state == State::Exited
}
